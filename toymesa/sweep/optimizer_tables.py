"""Base optimizers in a sweep file: one for the whole sweep, or several as an axis.

``[optimizer]`` is a table with exactly one of ``heavy_ball = friction``, ``descent = step``, ``temperature = T`` (noise),
``amplitudes = { state = formula, .. }`` (noise), ``rates = { state = formula, .. }`` (preconditioner), each a number or a
formula over the model's states and parameters and over ``params = { name = default, .. }``, which it brings in. An empty table
is plain gradient flow. ``[over.optimizer]`` has a label for each such table.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from toymesa.errors import ToymesaError
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import Descent, GradientNoise, HeavyBall, Preconditioned, with_optimizer
from toymesa.symbolic.toml_file import TomlFile

_SINGLE: dict[str, Callable[[Any], Any]] = {
    "heavy_ball": HeavyBall, "descent": Descent, "temperature": GradientNoise,
}  # fmt: skip
_BY_STATE: dict[str, Callable[[Any], Any]] = {
    "amplitudes": lambda given: GradientNoise(amplitudes=given), "rates": Preconditioned,
}  # fmt: skip
_KINDS = (*_SINGLE, *_BY_STATE)


def changed(file: TomlFile, key: str, table: Any) -> Callable[[Model], Model]:
    """What a table does to a model; its errors name the file and the key."""
    if not isinstance(table, dict):
        raise file.fail(key, f"must be a table; got {table!r}")
    file.keys(table, (*_KINDS, "params"), f"{key}.")
    kinds = [k for k in _KINDS if k in table]
    if len(kinds) != 1 and table:
        raise file.fail(key, f"needs exactly one of {', '.join(_KINDS)}; got {kinds}")
    params = table.get("params", {})
    if not isinstance(params, dict):
        raise file.fail(f"{key}.params", f"must be a table of name = default; got {params!r}")
    brought = {n: file.number(v, f"{key}.params.{n}") for n, v in params.items()}

    def apply(model: Model) -> Model:
        if not table:
            return model
        symbols = {n: sp.Symbol(n, positive=True) for n in brought}
        names = model.symbols() | symbols
        (kind,), value = kinds, table[kinds[0]]
        optimizer: Any
        if kind in _SINGLE:
            optimizer = _SINGLE[kind](file.formula(value, names, f"{key}.{kind}"))
        elif isinstance(value, Mapping):
            optimizer = _BY_STATE[kind]({n: file.formula(v, names, f"{key}.{kind}.{n}") for n, v in value.items()})
        else:
            raise file.fail(f"{key}.{kind}", f"must be a table of state = formula; got {value!r}")
        try:
            return with_optimizer(model, optimizer, params={symbols[n]: v for n, v in brought.items()})
        except ToymesaError as error:
            raise file.named(error) from None

    return apply


def under(model: Any, change: Callable[[Model], Model]) -> Any:
    """A model, or every model of a factory, under an optimizer."""
    if isinstance(model, Model):
        return change(model)

    def made(**options: Any) -> Model:
        return change(model(**options))

    functools.update_wrapper(made, model, assigned=(), updated=())
    made.__signature__ = inspect.signature(model)  # type: ignore[attr-defined]
    return made


def axis(file: TomlFile, table: Any) -> dict[str, Callable[[Model], Model]]:
    """``[over.optimizer]`` as label -> function of the model."""
    if not isinstance(table, dict) or not table:
        raise file.fail("over.optimizer", f"must be a table of label = optimizer; got {table!r}")
    return {label: changed(file, f"over.optimizer.{label}", t) for label, t in table.items()}

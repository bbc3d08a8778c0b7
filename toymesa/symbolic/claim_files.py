"""Claims as TOML files.

A claim has ``model`` (a file beside it, or a model of the package), ``kind``, optional ``name`` and ``statement``, and

* ``kind = "solution"``: ``[solution]`` state = formula in t, parameters and starts (``x_0`` is the start of x);
* ``"invariant"`` or ``"lyapunov"``: ``expr = "..."``;
* ``"fixed_point"``: ``[point]`` state = formula;
* ``"identity"``: ``lhs`` and ``rhs``; ``"inequality"``: ``expr`` (>= 0; ``strict = true``: > 0);
* ``"limit"``: ``expr``, ``variable``, ``point`` (a formula, "oo" or "-oo"), ``value``;

with optional ``conditions = ["k > 0", ...]`` and ``[where]`` symbol = value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sympy as sp

from toymesa.errors import ExpressionError, ToymesaError, did_you_mean
from toymesa.symbolic.claims import KINDS, Claim
from toymesa.symbolic.files import load_model
from toymesa.symbolic.model import TIME, Model, at_start, check_name
from toymesa.symbolic.parse import parse_relation
from toymesa.symbolic.toml_file import TomlFile

_CLAIM = (
    "model", "kind", "name", "statement", "symbols", "solution", "expr", "point", "lhs", "rhs", "variable", "value",
    "strict", "conditions", "where",
)  # fmt: skip
_INFINITE = {"oo": sp.oo, "-oo": -sp.oo}


def load_claim(path: str | Path, *, find_model: Callable[[str], Model] | None = None) -> Claim:
    """The claim in a TOML file. ``find_model`` looks up models of the package by name; files are read beside the claim.

    Raises ModelError, ArgumentError or ExpressionError in one line that names the file and the key.
    """
    file = TomlFile(path)
    file.keys(file.data, _CLAIM, needed=("kind",))
    kind = file.text(file.data, "kind")
    kinds = [k for k in KINDS if k != "numerical"]  # a measurement is a function
    if kind not in kinds:
        raise file.fail("kind", f"unknown kind {kind!r}{did_you_mean(kind, kinds)}")
    strict = file.data.get("strict", False)
    if not isinstance(strict, bool):
        raise file.fail("strict", f"must be true or false; got {strict!r}")
    try:
        model = _claimed(file, find_model) if "model" in file.data else None
        scope = _scope(file, model)
        return Claim(
            name=file.text(file.data, "name", default=file.path.stem),
            statement=file.text(file.data, "statement", default=f"{kind} of {model.name if model else 'a formula'}"),
            kind=kind,
            model=model,
            conditions=_conditions(file, scope),
            where={_known(file, f"where.{n}", n, scope): v for n, v in file.formulas("where", scope).items()},
            strict=strict,
            **_formulas(file, model, scope),
            **(_limit(file, scope) if kind == "limit" else {}),
        )
    except ToymesaError as error:
        raise file.named(error) from None


def _claimed(file: TomlFile, find_model: Callable[[str], Model] | None) -> Model:
    name = file.text(file.data, "model")
    if name.endswith(".toml"):
        return load_model(file.path.parent / name)
    if find_model is None:
        raise file.fail("model", f"must be a .toml file; got {name!r}")
    return find_model(name)


def _scope(file: TomlFile, model: Model | None) -> dict[str, sp.Symbol]:
    """Every name that the claim's formulas may use."""
    scope = dict(model.symbols()) if model else {"t": TIME}
    if model:
        scope |= {at_start(s).name: at_start(s) for s in model.states}
    for extra in file.names(file.data, "symbols") if "symbols" in file.data else []:
        scope.setdefault(check_name(extra, "a symbol"), sp.Symbol(extra, real=True))
    return scope


def _known(file: TomlFile, key: str, name: str, among: Mapping[str, sp.Symbol]) -> sp.Symbol:
    if name not in among:
        raise file.fail(key, f"unknown name {name!r}{did_you_mean(name, among)}")
    return among[name]


def _conditions(file: TomlFile, scope: Mapping[str, sp.Symbol]) -> tuple[Any, ...]:
    out = []
    for text in file.names(file.data, "conditions") if "conditions" in file.data else []:
        try:
            out.append(parse_relation(text, scope))
        except ExpressionError as error:
            raise ExpressionError(f"{file.path.name}: conditions: {error}") from None
    return tuple(out)


def _formulas(file: TomlFile, model: Model | None, scope: Mapping[str, sp.Symbol]) -> dict[str, Any]:
    states = {s.name: s for s in model.states} if model else {}
    out: dict[str, Any] = {}
    for key in ("solution", "point"):
        if isinstance(file.data.get(key), dict):
            table = file.formulas(key, scope)
            out[key] = {_known(file, f"{key}.{n}", n, states): e for n, e in table.items()}
    for key in ("expr", "lhs", "rhs", "value"):
        if key in file.data:
            out[key] = file.formula(file.data[key], scope, key)
    return out


def _limit(file: TomlFile, scope: Mapping[str, sp.Symbol]) -> dict[str, Any]:
    variable = _known(file, "variable", file.text(file.data, "variable"), scope)
    if (target := file.data.get("point")) is None:
        raise file.fail("point", "is missing")
    if isinstance(target, str) and target in _INFINITE:
        return {"variable": variable, "target": _INFINITE[target]}
    return {"variable": variable, "target": file.formula(target, scope, "point")}

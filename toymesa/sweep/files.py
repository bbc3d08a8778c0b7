"""Sweeps as TOML files.

``model`` is a name of the package or a model file beside the sweep; at most one ``[options]`` table gives its structural
options, and ``[optimizer]`` a base optimizer or noise (``optimizer_tables``; as an axis ``[over.optimizer]``). Then

* ``[over]`` name = a list, ``{ linspace = [low, high, count] }``, ``{ geomspace = [low, high, count] }``,
  ``{ file = "values.txt" }`` (one number a line) or, with ``design = "random" | "sobol" | "halton"`` and ``samples``,
  ``{ low = .., high = .., scale = "log" }``; a list of mappings ``over = [{..}, ..]`` gives points;
* ``measure``: a list of names, or a table name = formula, or ``{ label = { name = "condition", .. } }``,
  ``{ leader = [..] }``, ``{ event = "name", which = "first" }``, ``{ steady = "name" }``, ``{ at = "event", value = ".." }``,
  ``{ stability = "steady" }``, ``{ growth = "steady" }``, with noise ``{ mean = ".." }``, ``{ variance = ".." }`` and
  ``{ shares = { name = "condition", .. } }``;
* ``t`` or ``until = "steady"``; optional ``[params]``, ``[start]``, ``[events]`` (name = formula, or
  ``{ value = "..", direction = 1, terminal = true }``), ``method``, ``rtol``, ``atol``, ``max_steps``, ``seed``,
  ``chunk``; with noise ``paths`` and ``step``.

Nothing in a file is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toymesa.errors import ToymesaError, did_you_mean
from toymesa.sweep import measures
from toymesa.sweep.axes import DESIGNS
from toymesa.sweep.optimizer_tables import axis as optimizer_axis
from toymesa.sweep.optimizer_tables import changed, under
from toymesa.sweep.plan import Plan
from toymesa.sweep.planning import plan
from toymesa.symbolic.files import load_model
from toymesa.symbolic.model import Model
from toymesa.symbolic.toml_file import TomlFile

_KEYS = (
    "model", "options", "optimizer", "over", "design", "samples", "measure", "t", "until", "params", "start", "events",
    "method", "rtol", "atol", "max_steps", "paths", "step", "seed", "chunk", "title",
)  # fmt: skip
_KINDS = ("label", "leader", "event", "steady", "value", "stability", "growth", "mean", "variance", "shares")
_MEASURES = (*_KINDS, "which", "at", "level", "interval")
_MOST_VALUES = 10**8  # of one axis, all of which are kept in memory
_SAMPLED = ("random", "sobol", "halton")

Finder = Callable[[str, Mapping[str, Any]], Any]


def load_sweep(path: str | Path, *, find_model: Finder | None = None, kept: Mapping[str, Any] | None = None) -> Plan:
    """The sweep in a TOML file, checked; errors are one line that names the file and the key.

    find_model: gives the model, or a factory of models, for a name that is not a file. kept: chunk, seed and method of a
    store that is continued, where the file does not say.
    """
    file = TomlFile(path)
    file.keys(file.data, _KEYS)
    if "over" not in file.data:
        raise file.fail("over", "is missing: name at least one axis")
    model = _model(file, find_model)
    if "optimizer" in file.data:
        model = under(model, changed(file, "optimizer", file.data["optimizer"]))
    design = _design(file)
    kept = kept or {}
    method = file.text(file.data, "method", default="auto")
    try:
        return plan(
            model, _over(file, design), measure=_measure(file), t=file.data.get("t"), until=file.data.get("until"),
            params=file.table("params"), start=file.table("start"), events=_events(file), design_=design,
            samples=file.data.get("samples"), method=kept.get("method", method) if method == "auto" else method,
            rtol=file.data.get("rtol", 1e-8), atol=file.data.get("atol", 1e-10), max_step=float("inf"), first_step=None,
            max_steps=file.data.get("max_steps", 100_000), paths=file.data.get("paths"), step=file.data.get("step"),
            rng=file.data.get("seed", kept.get("seed", 0)), chunk=kept.get("chunk", file.data.get("chunk")),
        )  # fmt: skip
    except ToymesaError as error:
        text = str(error)
        raise error if text.startswith(file.path.name) else type(error)(f"{file.path.name}: {text}") from None


def _model(file: TomlFile, find_model: Finder | None) -> Any:
    name = file.text(file.data, "model")
    options = file.table("options")
    if name.endswith(".toml"):
        if options:
            raise file.fail("options", "go with a model of the package, not with a file")
        return load_model(file.path.parent / name)
    if find_model is None:
        raise file.fail("model", f"must be a .toml file; got {name!r}")
    found = find_model(name, options)
    return found if isinstance(found, Model) or callable(found) else load_model(name)


def _design(file: TomlFile) -> str | None:
    design = file.data.get("design")
    if design is not None and design not in DESIGNS:
        raise file.fail("design", f"unknown design {design!r}{did_you_mean(str(design), DESIGNS)}")
    return design


def _over(file: TomlFile, design: str | None) -> Any:
    over = file.data["over"]
    if isinstance(over, list):
        return over
    if not isinstance(over, dict):
        raise file.fail("over", f"must be a table or a list of tables; got {over!r}")
    return {
        name: optimizer_axis(file, value) if name == "optimizer" else _axis(file, name, value, design)
        for name, value in over.items()
    }


def _axis(file: TomlFile, name: str, value: Any, design: str | None) -> Any:
    key = f"over.{name}"
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise file.fail(key, f"must be a list or a table; got {value!r}")
    if design in _SAMPLED:
        file.keys(value, ("low", "high", "scale"), f"{key}.")
        if "low" not in value or "high" not in value:
            raise file.fail(key, "needs low and high")
        return (value["low"], value["high"], value.get("scale", "linear"))
    file.keys(value, ("linspace", "geomspace", "file"), f"{key}.")
    if len(value) != 1:
        raise file.fail(key, f"needs exactly one of linspace, geomspace, file; got {sorted(value)}")
    ((how, what),) = value.items()
    if how == "file":
        return _from_file(file, key, what)
    return _spaced(file, f"{key}.{how}", how, what)


def _spaced(file: TomlFile, key: str, how: str, what: Any) -> Any:
    numbers = isinstance(what, list) and len(what) == 3
    if not numbers or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in what):
        raise file.fail(key, f"must be [low, high, count]; got {what!r}")
    low, high, count = file.number(what[0], key), file.number(what[1], key), what[2]
    if not isinstance(count, int) or not 1 <= count <= _MOST_VALUES:
        raise file.fail(
            key, f"the count must be a whole number of at least 1 and at most {_MOST_VALUES}; got {count!r}"
        )
    if not (np.isfinite(low) and np.isfinite(high)):
        raise file.fail(key, f"the ends must be finite; got {low} and {high}")
    if how == "geomspace" and not (low > 0 and high > 0):
        raise file.fail(key, f"the ends must be positive; got {low} and {high}")
    return (np.linspace if how == "linspace" else np.geomspace)(low, high, count)


def _from_file(file: TomlFile, key: str, what: Any) -> Any:
    if not isinstance(what, str):
        raise file.fail(key, f"must be the name of a text file; got {what!r}")
    try:
        text = (file.path.parent / what).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise file.fail(key, f"cannot read {what!r}: {type(error).__name__}") from None
    values = []
    for i, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                values.append(float(line))
            except ValueError:
                raise file.fail(key, f"{what}, line {i}: not a number: {line.strip()[:40]!r}") from None
    return values


def _measure(file: TomlFile) -> Any:
    given = file.data.get("measure")
    if given is None or isinstance(given, str | list):
        return given
    if not isinstance(given, dict):
        raise file.fail("measure", f"must be a list of names or a table; got {given!r}")
    return {name: _one_measure(file, name, value) for name, value in given.items()}


def _one_measure(file: TomlFile, name: str, value: Any) -> Any:
    key = f"measure.{name}"
    if isinstance(value, str):
        return value  # a formula: of a model with noise its mean
    if not isinstance(value, dict):
        raise file.fail(key, f"must be a formula or a table; got {value!r}")
    file.keys(value, _MEASURES, f"{key}.")
    kinds = [k for k in _KINDS if k in value]
    if len(kinds) != 1:
        raise file.fail(key, f"needs exactly one of {', '.join(_KINDS)}; got {kinds}")
    what = value[kinds[0]]
    if kinds[0] == "label":
        return measures.label(_labels(file, key, what), name)
    if kinds[0] == "shares":
        options = {k: value[k] for k in ("level", "interval") if k in value}
        return measures.shares(_labels(file, key, what, "shares"), name, **options)
    if kinds[0] == "leader":
        return measures.leader(*file.names(value, "leader"), name=name)
    text = file.text(value, kinds[0])
    if kinds[0] in ("mean", "variance"):
        return (measures.mean if kinds[0] == "mean" else measures.variance)(text, name)
    if kinds[0] == "event":
        return measures.event_time(text, name, which=value.get("which", "first"))
    if kinds[0] == "steady":
        return measures.steady(text, name)
    if kinds[0] == "value":
        return measures.value(text, name, at=value.get("at"))
    return (measures.stability if kinds[0] == "stability" else measures.growth)(name, at=what)


def _labels(file: TomlFile, key: str, what: Any, kind: str = "label") -> dict[str, Any]:
    if not isinstance(what, dict):
        raise file.fail(f"{key}.{kind}", f"must be a table of label = condition; got {what!r}")
    return what


def _events(file: TomlFile) -> Any:
    out: dict[str, Any] = {}
    for name, value in file.table("events").items():
        if isinstance(value, str):
            out[name] = value
            continue
        if not isinstance(value, dict):
            raise file.fail(f"events.{name}", f"must be a formula or a table; got {value!r}")
        file.keys(value, ("value", "direction", "terminal"), f"events.{name}.")
        options = {k: v for k, v in value.items() if k != "value"}
        out[name] = (file.text(value, "value"), options)
    return out or None

"""Models as TOML files.

A model has ``name`` and one of

* ``[states]``: state = its rate of change (``kind = "map"`` at the top: its next value);
* ``[gradient]``: ``loss`` and ``states``, optional ``metric``;
* ``[bilevel]``: ``base_loss``, ``mesa_objective``, ``outer``, ``inner``, ``coupling`` with ``rate`` / ``inner_time`` /
  ``steps`` and ``step``, optional ``metric``, ``tasks``, ``regularizer``;

and may have ``[params]`` (a number, or ``{ value = 1.0, domain = [0, 10], meaning = "..." }``), ``[start]``,
``[observables]``, ``[meanings]``, ``question`` and ``reference``. Formulas use states, parameters and ``t``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sympy as sp

from toymesa.errors import ModelError, ToymesaError, did_you_mean
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.flows import Simplex, gradient_flow
from toymesa.symbolic.model import TIME, Domain, Model, Parameter
from toymesa.symbolic.toml_file import TomlFile

_TOP = (
    "name",
    "kind",
    "question",
    "reference",
    "states",
    "gradient",
    "bilevel",
    "params",
    "start",
    "observables",
    "meanings",
)
_BILEVEL = (
    "base_loss", "mesa_objective", "outer", "inner", "coupling", "rate", "inner_time", "steps", "step", "metric", "tasks",
    "regularizer",
)  # fmt: skip


def load_model(path: str | Path) -> Model:
    """The model in a TOML file; ModelError or ExpressionError in one line that names the file and the key."""
    file = TomlFile(path)
    file.keys(file.data, _TOP)
    given = [k for k in ("states", "gradient", "bilevel") if k in file.data]
    if len(given) != 1:
        raise file.fail("model", f"needs exactly one of [states], [gradient], [bilevel]; got {given or 'none'}")
    params = _params(file)
    common = {
        "name": file.text(file.data, "name", default=file.path.stem),
        "question": file.text(file.data, "question", default=""),
        "reference": file.text(file.data, "reference", default=""),
        "meanings": {n: file.text(file.table("meanings"), n) for n in file.table("meanings")},
        "params": params,
    }
    if "kind" in file.data and file.data["kind"] not in ("flow", "map"):
        raise file.fail("kind", f"must be 'flow' or 'map'; got {file.data['kind']!r}")
    build = {"states": _from_states, "gradient": _from_gradient, "bilevel": _from_bilevel}[given[0]]
    try:
        return build(file, common)
    except ToymesaError as error:
        raise file.named(error) from None


def _params(file: TomlFile) -> dict[sp.Symbol, Parameter]:
    out: dict[sp.Symbol, Parameter] = {}
    for name, value in file.table("params").items():
        spec = value if isinstance(value, dict) else {"value": value}
        file.keys(spec, ("value", "domain", "meaning"), f"params.{name}.", needed=("value",))
        default = file.number(spec["value"], f"params.{name}")
        ends = spec.get("domain", [-math.inf, math.inf])
        if not isinstance(ends, list) or len(ends) != 2:
            raise file.fail(f"params.{name}.domain", f"must be [low, high]; got {ends!r}")
        low, high = (file.number(e, f"params.{name}.domain") for e in ends)
        if not low < high:
            raise file.fail(f"params.{name}.domain", f"must have low < high; got {ends!r}")
        symbol = sp.Symbol(
            name, **({"positive": True} if low > 0 else {"nonnegative": True} if low == 0 else {"real": True})
        )
        try:
            out[symbol] = Parameter(
                default=default, domain=Domain(low, high), meaning=file.text(spec, "meaning", default="")
            )
        except ModelError as error:
            raise file.fail(f"params.{name}", str(error)) from None
    return out


def _scope(file: TomlFile, params: Mapping[sp.Symbol, Any], *groups: list[str]) -> dict[str, sp.Symbol]:
    scope = {s.name: s for s in params}
    for names in groups:
        for n in names:
            if n in scope:
                raise file.fail(n, "stands for two things")
            scope[n] = sp.Symbol(n, real=True)
    return scope


def _from_states(file: TomlFile, common: dict[str, Any]) -> Model:
    rates = file.table("states")
    if not rates:
        raise file.fail("states", "is empty")
    scope = _scope(file, common["params"], list(rates))
    timed = scope | {"t": TIME}
    return Model(
        **common,
        flow={scope[n]: file.formula(v, timed, f"states.{n}") for n, v in rates.items()},
        start=file.formulas("start", {s.name: s for s in common["params"]}),
        observables=file.formulas("observables", timed),
        discrete=file.data.get("kind") == "map",
    )


def _metric(file: TomlFile, table: Mapping[str, Any], scope: Mapping[str, sp.Symbol]) -> Any:
    value = table.get("metric")
    if value is None:
        return None
    pieces = value if isinstance(value, list) else [value]
    out: list[Any] = []
    for piece in pieces:
        if not isinstance(piece, dict):
            raise file.fail("metric", f"must be a table or a list of tables; got {piece!r}")
        if "simplex" in piece:
            file.keys(piece, ("simplex", "rate"), "metric.")
            members = file.names(piece, "simplex")
            if unknown := [n for n in members if n not in scope]:
                raise file.fail("metric.simplex", f"unknown state {unknown[0]!r}{did_you_mean(unknown[0], scope)}")
            out.append(
                Simplex(tuple(scope[n] for n in members), rate=file.formula(piece.get("rate", 1), scope, "metric.rate"))
            )
        else:
            out.append({n: file.formula(v, scope, f"metric.{n}") for n, v in piece.items()})
    return out


def _from_gradient(file: TomlFile, common: dict[str, Any]) -> Model:
    table = file.table("gradient")
    file.keys(table, ("loss", "states", "metric"), "gradient.", needed=("loss", "states"))
    states = file.names(table, "states")
    scope = _scope(file, common["params"], states)
    return gradient_flow(
        file.formula(table.get("loss"), scope, "gradient.loss"),
        [scope[n] for n in states],
        metric=_metric(file, table, scope),
        start=file.formulas("start", {s.name: s for s in common["params"]}),
        observables=file.formulas("observables", scope | {"t": TIME}),
        **common,
    )


def _from_bilevel(file: TomlFile, common: dict[str, Any]) -> Model:
    table = file.table("bilevel")
    file.keys(table, _BILEVEL, "bilevel.", needed=_BILEVEL[:5])
    outer, inner = file.names(table, "outer"), file.names(table, "inner")
    tasks = table.get("tasks", [])
    task_names = list(tasks) if isinstance(tasks, dict) else file.names(table, "tasks") if "tasks" in table else []
    scope = _scope(file, common["params"], outer, inner, task_names)
    options = {
        k: file.formula(table[k], scope, f"bilevel.{k}")
        for k in ("rate", "inner_time", "step", "regularizer")
        if k in table
    }
    return bilevel(
        file.formula(table.get("base_loss"), scope, "bilevel.base_loss"),
        file.formula(table.get("mesa_objective"), scope, "bilevel.mesa_objective"),
        outer=[scope[n] for n in outer],
        inner=[scope[n] for n in inner],
        coupling=file.text(table, "coupling"),
        steps=table.get("steps"),
        tasks={scope[n]: str(v) for n, v in tasks.items()}
        if isinstance(tasks, dict)
        else [scope[n] for n in task_names],
        metric=_metric(file, table, scope),
        start=file.formulas("start", {s.name: s for s in common["params"]}),
        observables=file.formulas("observables", scope | {"t": TIME}),
        **options,
        **common,
    )

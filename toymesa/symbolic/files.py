"""Models and claims as TOML files.

A model has ``name`` and one of

* ``[states]``: state = its rate of change (``kind = "map"`` at the top: its next value);
* ``[gradient]``: ``loss`` and ``states``, optional ``metric``;
* ``[bilevel]``: ``base_loss``, ``mesa_objective``, ``outer``, ``inner``, ``coupling`` with ``rate`` / ``inner_time`` /
  ``steps`` and ``step``, optional ``metric``, ``tasks``, ``regularizer``;

and may have ``[params]`` (a number, or ``{ value = 1.0, domain = [0, 10], meaning = "..." }``), ``[start]``,
``[observables]``, ``[meanings]``, ``question`` and ``reference``. Formulas use states, parameters and ``t``.

A claim has ``model`` (a file beside it, or a model of the package), ``kind``, optional ``name`` and ``statement``, and

* ``kind = "solution"``: ``[solution]`` state = formula in t, parameters and starts (``x_0`` is the start of x);
* ``"invariant"`` or ``"lyapunov"``: ``expr = "..."``;
* ``"fixed_point"``: ``[point]`` state = formula;
* ``"identity"``: ``lhs`` and ``rhs``; ``"inequality"``: ``expr`` (>= 0; ``strict = true``: > 0);
* ``"limit"``: ``expr``, ``variable``, ``point`` (a formula, "oo" or "-oo"), ``value``;

with optional ``conditions = ["k > 0", ...]`` and ``[where]`` symbol = value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, ExpressionError, ModelError, ToymesaError, did_you_mean
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.claims import KINDS, Claim
from toymesa.symbolic.flows import Simplex, gradient_flow
from toymesa.symbolic.model import TIME, Domain, Model, Parameter, at_start
from toymesa.symbolic.parse import parse, parse_relation

_MOST_BYTES = 1_000_000
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
_CLAIM = (
    "model", "kind", "name", "statement", "symbols", "solution", "expr", "point", "lhs", "rhs", "variable", "value",
    "strict", "conditions", "where",
)  # fmt: skip


class _File:
    """One TOML file: its tables, and errors that name it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise ModelError(f"there is no file {str(path)!r}")
        if not self.path.is_file():
            raise ModelError(f"{str(path)!r} is not a file")
        if self.path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{self.path.name}: larger than {_MOST_BYTES} bytes")
        try:
            self.data = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ModelError(f"{self.path.name}: not a text file in UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ModelError(f"{self.path.name}: not valid TOML: {error}") from None

    def fail(self, key: str, message: str) -> ModelError:
        return ModelError(f"{self.path.name}: {key}: {message}")

    def keys(self, table: Mapping[str, Any], allowed: tuple[str, ...], where: str = "") -> None:
        for key in table:
            if key not in allowed:
                raise self.fail(f"{where}{key}", f"unknown key{did_you_mean(key, allowed)}")

    def table(self, name: str, source: Mapping[str, Any] | None = None) -> dict[str, Any]:
        value = (self.data if source is None else source).get(name, {})
        if not isinstance(value, dict):
            raise self.fail(name, f"must be a table; got {type(value).__name__} {value!r}")
        return value

    def text(self, table: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
        value = table.get(key, default)
        if value is None:
            raise self.fail(key, "is missing")
        if not isinstance(value, str):
            raise self.fail(key, f"must be text; got {type(value).__name__} {value!r}")
        return value

    def formula(self, value: Any, names: Mapping[str, sp.Symbol], key: str) -> sp.Expr:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.fail(key, f"must be a formula or a number; got {type(value).__name__} {value!r}")
        try:
            return parse(value if isinstance(value, str) else repr(value), names)
        except ExpressionError as error:
            raise ExpressionError(f"{self.path.name}: {key}: {error}") from None

    def names(self, table: Mapping[str, Any], key: str) -> list[str]:
        value = table.get(key)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.fail(key, f"must be a list of names; got {value!r}")
        return value


def load_model(path: str | Path) -> Model:
    """The model in a TOML file; ModelError or ExpressionError in one line that names the file and the key."""
    file = _File(path)
    file.keys(file.data, _TOP)
    given = [k for k in ("states", "gradient", "bilevel") if k in file.data]
    if len(given) != 1:
        raise file.fail("model", f"needs exactly one of [states], [gradient], [bilevel]; got {given or 'none'}")
    params = _params(file)
    common = {
        "name": file.text(file.data, "name", default=file.path.stem),
        "question": file.text(file.data, "question", default=""),
        "reference": file.text(file.data, "reference", default=""),
        "meanings": file.table("meanings"),
        "params": params,
    }
    if "kind" in file.data and file.data["kind"] not in ("flow", "map"):
        raise file.fail("kind", f"must be 'flow' or 'map'; got {file.data['kind']!r}")
    build = {"states": _from_states, "gradient": _from_gradient, "bilevel": _from_bilevel}[given[0]]
    try:
        return build(file, common)
    except ExpressionError:
        raise
    except ToymesaError as error:
        raise type(error)(f"{file.path.name}: {error}") from None


def _params(file: _File) -> dict[sp.Symbol, Parameter]:
    out: dict[sp.Symbol, Parameter] = {}
    for name, value in file.table("params").items():
        spec = value if isinstance(value, dict) else {"value": value}
        file.keys(spec, ("value", "domain", "meaning"), f"params.{name}.")
        number = spec.get("value")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise file.fail(f"params.{name}", f"must be a number; got {number!r}")
        ends = spec.get("domain", [-sp.oo, sp.oo])
        if not isinstance(ends, list) or len(ends) != 2 or not all(isinstance(e, int | float | sp.Basic) for e in ends):
            raise file.fail(f"params.{name}.domain", f"must be [low, high]; got {ends!r}")
        low, high = float(ends[0]), float(ends[1])
        if not low < high:
            raise file.fail(f"params.{name}.domain", f"must have low < high; got {ends!r}")
        symbol = sp.Symbol(
            name, **({"positive": True} if low > 0 else {"nonnegative": True} if low == 0 else {"real": True})
        )
        try:
            out[symbol] = Parameter(
                default=float(number), domain=Domain(low, high), meaning=str(spec.get("meaning", ""))
            )
        except ModelError as error:
            raise file.fail(f"params.{name}", str(error)) from None
    return out


def _scope(file: _File, params: Mapping[sp.Symbol, Any], *groups: list[str]) -> dict[str, sp.Symbol]:
    scope = {s.name: s for s in params}
    for names in groups:
        for n in names:
            if n in scope:
                raise file.fail(n, "stands for two things")
            scope[n] = sp.Symbol(n, real=True)
    return scope


def _formulas(file: _File, table: str, scope: Mapping[str, sp.Symbol]) -> dict[str, sp.Expr]:
    return {n: file.formula(v, scope, f"{table}.{n}") for n, v in file.table(table).items()}


def _from_states(file: _File, common: dict[str, Any]) -> Model:
    rates = file.table("states")
    if not rates:
        raise file.fail("states", "is empty")
    scope = _scope(file, common["params"], list(rates))
    timed = scope | {"t": TIME}
    return Model(
        **common,
        flow={scope[n]: file.formula(v, timed, f"states.{n}") for n, v in rates.items()},
        start=_formulas(file, "start", {s.name: s for s in common["params"]}),
        observables=_formulas(file, "observables", timed),
        discrete=file.data.get("kind") == "map",
    )


def _metric(file: _File, table: Mapping[str, Any], scope: Mapping[str, sp.Symbol]) -> Any:
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


def _from_gradient(file: _File, common: dict[str, Any]) -> Model:
    table = file.table("gradient")
    file.keys(table, ("loss", "states", "metric"), "gradient.")
    states = file.names(table, "states")
    scope = _scope(file, common["params"], states)
    return gradient_flow(
        file.formula(table.get("loss"), scope, "gradient.loss"),
        [scope[n] for n in states],
        metric=_metric(file, table, scope),
        start=_formulas(file, "start", {s.name: s for s in common["params"]}),
        observables=_formulas(file, "observables", scope | {"t": TIME}),
        **common,
    )


def _from_bilevel(file: _File, common: dict[str, Any]) -> Model:
    table = file.table("bilevel")
    file.keys(table, _BILEVEL, "bilevel.")
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
        start=_formulas(file, "start", {s.name: s for s in common["params"]}),
        observables=_formulas(file, "observables", scope | {"t": TIME}),
        **options,
        **common,
    )


def load_claim(path: str | Path, *, find_model: Callable[[str], Model] | None = None) -> Claim:
    """The claim in a TOML file. ``find_model`` looks up models of the package by name; files are read beside the claim."""
    file = _File(path)
    file.keys(file.data, _CLAIM)
    kind = file.text(file.data, "kind")
    if kind not in KINDS:
        raise file.fail("kind", f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}")
    model = _claimed(file, find_model) if "model" in file.data else None
    scope = dict(model.symbols()) if model else {"t": TIME}
    if model:
        scope |= {at_start(s).name: at_start(s) for s in model.states}
    for extra in file.names(file.data, "symbols") if "symbols" in file.data else []:
        scope.setdefault(extra, sp.Symbol(extra, real=True))
    conditions = []
    for text in file.names(file.data, "conditions") if "conditions" in file.data else []:
        try:
            conditions.append(parse_relation(text, scope))
        except ExpressionError as error:
            raise ExpressionError(f"{file.path.name}: conditions: {error}") from None
    fields: dict[str, Any] = {}
    states = {s.name: s for s in model.states} if model else {}
    for key in ("solution", "point"):
        if key in file.data and isinstance(file.data[key], dict):
            table = _formulas(file, key, scope)
            if unknown := [n for n in table if n not in states]:
                raise file.fail(f"{key}.{unknown[0]}", f"unknown state{did_you_mean(unknown[0], states)}")
            fields[key] = {states[n]: e for n, e in table.items()}
    for key in ("expr", "lhs", "rhs", "value"):
        if key in file.data:
            fields[key] = file.formula(file.data[key], scope, key)
    if kind == "limit":
        name = file.text(file.data, "variable")
        if name not in scope:
            raise file.fail("variable", f"unknown symbol {name!r}{did_you_mean(name, scope)}")
        fields["variable"] = scope[name]
        target = file.data.get("point")
        infinite = {"oo": sp.oo, "-oo": -sp.oo}
        fields["target"] = infinite[target] if target in infinite else file.formula(target, scope, "point")
    where = {}
    for n, v in _formulas(file, "where", scope).items():
        if n not in scope:
            raise file.fail(f"where.{n}", f"unknown symbol{did_you_mean(n, scope)}")
        where[scope[n]] = v
    try:
        return Claim(
            name=file.text(file.data, "name", default=file.path.stem),
            statement=file.text(file.data, "statement", default=f"{kind} of {model.name if model else 'a formula'}"),
            kind=kind,
            model=model,
            conditions=tuple(conditions),
            where=where,
            strict=bool(file.data.get("strict", False)),
            **fields,
        )
    except (ModelError, ArgumentError) as error:
        raise type(error)(f"{file.path.name}: {error}") from None


def _claimed(file: _File, find_model: Callable[[str], Model] | None) -> Model:
    name = file.text(file.data, "model")
    if name.endswith(".toml"):
        return load_model(file.path.parent / name)
    if find_model is None:
        raise file.fail("model", f"must be a .toml file; got {name!r}")
    return find_model(name)

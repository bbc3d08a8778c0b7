"""Parameters and starts: whatever a user passes becomes named float64 arrays, a row a cell, or one clear line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, numbers
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.arrays import array_function, symbols_of
from toymesa.kernels.columns import Columns
from toymesa.symbolic.model import Chart, Domain, Model

_Given = dict[str, dict[str, Array]]  # "params" or "start" -> name -> a column, or the one number that all rows have


@dataclass(frozen=True)
class Cells:
    """Every cell of a batch: rows of starts and parameters, the dimensions they came from, and which are unusable."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]
    start_columns: Columns
    param_columns: Columns
    bad: NDArray[np.bool_]
    given: dict[str, dict[str, Any]]

    @property
    def starts(self) -> Array:
        """Starts, (row, state)."""
        return self.start_columns.table

    @property
    def params(self) -> Array:
        """Parameters, (row, parameter)."""
        return self.param_columns.table


def cells(model: Model, start: Any, params: Any, rng: np.random.Generator) -> Cells:
    """Broadcast parameters and starts to the cells of a batch; see ``solve`` for what may be passed."""
    given_params = _named(params, "params", [s.name for s in model.params], model.name)
    charts = [c.name for chart in model.charts for c in chart.coordinates]
    if len(model.states) == 1 and np.ndim(start) == 0 and isinstance(start, int | float | np.number | sp.Number):
        start = {model.state_names[0]: start}  # one state: a bare number can only mean it
    given_starts = _named(start, "start", [*model.state_names, *charts], model.name)
    arrays = {("params", n): _axis(v, n, f"parameter {n!r}", rng) for n, v in given_params.items()}
    arrays |= {("start", n): _axis(v, f"start_{n}", f"start of {n!r}", rng) for n, v in given_starts.items()}
    dims, shape, coords, spread = _broadcast(arrays)
    values: _Given = {"params": {}, "start": {}}
    for (kind, name), column in zip(arrays, spread, strict=True):
        values[kind][name] = column
    given = {kind: {n: _plain(arrays[kind, n]) for k, n in arrays if k == kind} for kind in ("params", "start")}
    return _filled(model, values, dims, shape, coords, given)


def rows_of(model: Model, start: Mapping[str, Any], params: Mapping[str, Any], rows: int) -> Cells:
    """Cells along the one dimension ``cell`` from finished columns: name -> float64 array (row,), or one number for all.

    What is outside its domain makes its cells bad. Raises ArgumentError and DomainError for coordinates of a simplex that
    do not fit together.
    """
    values: _Given = {"params": {}, "start": {}}
    for kind, columns in (("params", params), ("start", start)):
        values[kind] = {n: np.atleast_1d(np.asarray(column, dtype=float)) for n, column in columns.items()}
    return _filled(model, values, ("cell",), (rows,), {}, {"params": {}, "start": {}})


def _filled(
    model: Model, values: _Given, dims: tuple[str, ...], shape: tuple[int, ...], coords: dict[str, Any],
    given: dict[str, dict[str, Any]],
) -> Cells:  # fmt: skip
    """Parameters and starts of every row, and which rows cannot be used."""
    domains = {s.name: p.domain for s, p in model.params.items()}
    domains |= {s.name: d for s, d in model.domains.items()}
    domains |= {c.name: d for chart in model.charts for c, d in chart.coordinates.items()}
    rows = math.prod(shape)
    bad = np.zeros(rows, dtype=bool)
    for kind, name, column in ((k, n, c) for k, columns in values.items() for n, c in columns.items()):
        if column.size and _inside(np.array([column.min(), column.max()]), domains[name]).all():
            continue  # a NaN would have been both
        outside = ~_inside(column, domains[name])
        if outside.any() and not dims:
            what = "parameter" if kind == "params" else "start of"
            raise DomainError(f"{what} {name!r} must lie in {domains[name]}; got {column[0]:g}")
        bad |= outside
    table = Columns(rows, [_column(values["params"].get(s.name, p.default), rows) for s, p in model.params.items()])
    starts = _starts(model, values["start"], table, rows)
    bad |= ~starts.finite()
    return Cells(dims, shape, coords, starts, table, bad, given)


def _named(mapping: Any, what: str, allowed: Sequence[str], model: str) -> dict[str, Any]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        example = f", such as {{{allowed[0]!r}: {_example(mapping)}}}" if allowed else ""
        raise ArgumentError(f"{what} must be a mapping from name to value{example}; got {mapping!r}")
    out: dict[str, Any] = {}
    for key, value in mapping.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        if name not in allowed:
            kind = "parameter" if what == "params" else "state"
            raise ArgumentError(f"model {model!r} has no {kind} {name!r}{did_you_mean(name, allowed)}")
        if name in out:
            raise ArgumentError(f"{what} gives {name!r} twice, as a symbol and as a name")
        out[name] = value
    return out


def _example(got: Any) -> Any:
    return got if isinstance(got, int | float) and not isinstance(got, bool) else 1.0


def _axis(value: Any, dim: str, what: str, rng: np.random.Generator) -> xr.DataArray:
    """One given value as a labelled array: a scalar has no dimension, a list one of its own."""
    if callable(value) and not isinstance(value, xr.DataArray):
        drawn = numbers(what, _drawn(value, rng, what))
        if drawn.ndim > 1:
            raise DomainError(f"{what} must be drawn as a number or a list; got shape {drawn.shape}")
        return xr.DataArray(drawn, dims=(dim,) if drawn.ndim == 1 else ())
    if isinstance(value, xr.DataArray):
        values = value.values  # computed once, where that is still to be done
        # numbers are read alone, so that what is as it should be need not be copied; coordinates become the result's
        return value.copy(data=values if values.dtype == np.float64 else numbers(what, values))
    array = numbers(what, value)
    if array.ndim == 0:
        return xr.DataArray(array)
    if array.ndim > 1:
        raise DomainError(
            f"{what} must be a number, a list, or a DataArray with named dimensions; got shape {array.shape}"
        )
    if array.size == 0:
        raise DomainError(f"{what} must not be an empty list")
    if np.unique(array).size < array.size:
        raise DomainError(
            f"{what} has duplicate values on its axis; use a DataArray with a dimension of its own for draws"
        )
    if np.isnan(array).any():
        raise DomainError(f"{what} must not hold NaN")
    return xr.DataArray(array, dims=(dim,), coords={dim: array})


def _drawn(draw: Callable[[np.random.Generator], Any], rng: np.random.Generator, what: str) -> Any:
    try:
        return draw(rng)
    except Exception as error:  # a user's function: its error is theirs, where it happened is ours
        error.add_note(f"while drawing {what}")
        raise


def _broadcast(
    arrays: Mapping[tuple[str, str], xr.DataArray],
) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, Any], list[Array]]:
    sizes: dict[str, tuple[int, str]] = {}
    coords: dict[str, Any] = {}
    for (_, name), array in arrays.items():
        for dim, size in array.sizes.items():
            label = str(dim)
            if label in ("time", "state", "status"):
                raise DomainError(f"a dimension must not be called {label!r}: the name is reserved")
            if label in sizes and sizes[label][0] != size:
                raise DomainError(
                    f"dimension {label!r} has {sizes[label][0]} values in {sizes[label][1]!r} and {size} in {name!r}"
                )
            sizes.setdefault(label, (size, name))
        coords |= {str(d): array[d] for d in array.dims if d in array.coords and str(d) not in coords}
    if not arrays:
        return (), (), {}, []
    dims = tuple(sizes)
    shape = tuple(s for s, _ in sizes.values())
    spread = []
    for array in arrays.values():
        if array.dims in (dims, ()):  # as is usual for many cells: nothing to broadcast
            spread.append(np.ascontiguousarray(array.values, dtype=float).reshape(-1))  # it will be read several times
            continue
        bare = array.drop_vars(list(array.coords))
        full = bare.expand_dims({d: sizes[d][0] for d in dims if d not in bare.dims}).transpose(*dims)
        spread.append(np.asarray(full.values, dtype=float).reshape(-1))
    return dims, shape, coords, spread


def _inside(values: Array, domain: Domain) -> NDArray[np.bool_]:
    above = values > domain.low if domain.low_open else values >= domain.low
    below = values < domain.high if domain.high_open else values <= domain.high
    return np.asarray(above & below & np.isfinite(values))


def _starts(model: Model, given: dict[str, Array], params: Columns, rows: int) -> Columns:
    values: dict[sp.Symbol, Array | float] = {}
    for s, (used, value) in _usual_starts(model).items():
        if s.name in given:
            values[s] = given[s.name]
        else:
            values[s] = value(*(np.atleast_1d(params[i]) for i in used)) if used else value
    for chart in model.charts:
        names = {c.name for c in chart.coordinates} & set(given)
        if names:
            values |= _from_chart(chart, {n: given[n] for n in names}, given)
    return Columns(rows, [_column(values[s], rows) for s in model.flow])


def _usual_starts(model: Model) -> dict[sp.Symbol, tuple[list[int], Any]]:
    """Which parameters the start of each state depends on, by their places, and a function of them, or a number.

    Kept with the model: a sweep asks for every one of its blocks, and SymPy takes long to say what a number is.
    """
    kept: dict[sp.Symbol, tuple[list[int], Any]] | None = model.__dict__.get("_usual_starts")
    if kept is None:
        params = list(model.params)
        kept = {}
        for s, e in model.start.items():
            used = [p for p in params if p in symbols_of(e)]
            kept[s] = [params.index(p) for p in used], array_function(used, e) if used else float(e)
        model.__dict__["_usual_starts"] = kept
    return kept


def _column(values: Array | float, rows: int) -> Array | float:
    """A column of as many numbers as there are rows, or the one number that all rows have."""
    return values if np.size(values) == rows else float(np.reshape(values, ()))


def _from_chart(chart: Chart, given: dict[str, Array], others: Mapping[str, Array]) -> dict[sp.Symbol, Array]:
    coordinates = list(chart.coordinates)
    if clash := [s.name for s in chart.to_states if s.name in others]:
        raise ArgumentError(f"start gives both {sorted(given)} and {clash}, which are the same thing")
    missing = [c for c in coordinates if c.name not in given]
    if len(missing) > 1 or (missing and chart.constraint is None):
        raise ArgumentError(f"start needs all of {[c.name for c in coordinates]}; missing {[c.name for c in missing]}")
    if missing and chart.constraint is not None:
        (solution,) = sp.solve(chart.constraint, missing[0])
        known = [c for c in coordinates if c not in missing]
        given = given | {missing[0].name: array_function(known, solution)(*(given[c.name] for c in known))}
    columns = [given[c.name] for c in coordinates]
    if chart.constraint is not None:
        off = np.abs(array_function(coordinates, chart.constraint)(*columns))
        if (off > 1e-9).any():
            raise DomainError(
                f"start of {[c.name for c in coordinates]} must satisfy {chart.constraint} = 0; off by {off.max():g}"
            )
    return {s: array_function(coordinates, e)(*columns) for s, e in chart.to_states.items()}


def _plain(array: xr.DataArray) -> Any:
    """What was given, as JSON data; long lists by their ends."""
    values = array.values
    if values.ndim == 0:
        return float(values)
    if values.size <= 64:
        return values.tolist()
    first, last = (float(values[(place,) * values.ndim]) for place in (0, -1))
    return {"dims": [str(d) for d in array.dims], "size": int(values.size), "first": first, "last": last}

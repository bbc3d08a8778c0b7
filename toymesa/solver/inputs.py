"""The border: whatever a user passes becomes named float64 arrays, or one clear line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.arrays import array_function
from toymesa.symbolic.model import Chart, Domain, Model

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Every cell of a batch: rows of starts and parameters, the dimensions they came from, and which are unusable."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]
    starts: Array
    params: Array
    bad: NDArray[np.bool_]
    given: dict[str, dict[str, Any]]


def real(value: object, name: str, *, low: float = -math.inf, open_low: bool = False, infinite: bool = False) -> float:
    """A scalar argument as a float; ArgumentError for another type, DomainError outside [low, inf)."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ArgumentError(f"{name} must be a number; got {value!r}")
    number = float(value)
    if math.isnan(number) or (math.isinf(number) and not infinite) or number < low or (open_low and number == low):
        left = "(" if open_low or low == -math.inf else "["
        raise DomainError(f"{name} must be in the range {left}{low:g}, inf{']' if infinite else ')'}; got {number:g}")
    return number


def tolerances(rtol: object, atol: object, states: Sequence[str]) -> tuple[float, Array]:
    """rtol as a float of at least ten times the spacing of doubles, atol as one number a state."""
    relative = real(rtol, "rtol", low=10 * float(np.finfo(float).eps))
    if isinstance(atol, str | bytes | bool):
        raise ArgumentError(f"atol must be a number or one a state; got {atol!r}")
    absolute = np.asarray(atol)
    if absolute.dtype.kind not in "fiu":
        raise ArgumentError(f"atol must be a number or one a state; got {atol!r}")
    if absolute.ndim > 1 or (absolute.ndim == 1 and absolute.size != len(states)):
        raise DomainError(f"atol has shape {absolute.shape}, the state has {len(states)}: {', '.join(states)}")
    if not np.isfinite(absolute).all() or (absolute <= 0).any():
        raise DomainError(f"atol must be positive and finite; got {atol!r}")
    return relative, np.array(np.broadcast_to(absolute, len(states)), dtype=float)


def output_times(t: Any, *, until: str | None, discrete: bool) -> Array:
    """Requested times: a scalar gives 201 from 0 (every step of a map), a list those; with ``until`` the cap alone."""
    if until not in (None, "steady"):
        raise DomainError(f"until must be None or 'steady'; got {until!r}")
    if until == "steady":
        cap = 1e8 if t is None else real(t if np.ndim(t) == 0 else np.asarray(t)[-1], "t", low=0.0, open_low=True)
        return np.array([cap])
    if t is None:
        raise ArgumentError("t is missing: give an end time, a list of times, or until='steady'")
    values = numbers(t, "t")
    if values.ndim > 1:
        raise DomainError(f"t must be a number or a list of times; got shape {values.shape}")
    if values.size == 0:
        raise DomainError("t must not be empty")
    if not np.isfinite(values).all():
        raise DomainError("t must be finite; for the end of training use until='steady'")
    if values.ndim == 0:
        end = float(values)
        values = np.arange(int(end) + 1, dtype=float) if discrete and end >= 0 else np.linspace(0.0, end, 201)
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise DomainError("t must be strictly increasing, or strictly decreasing for backward integration")
    if values.size > 1 and ((steps[0] > 0 and values[0] < 0) or (steps[0] < 0 and values[0] > 0)):
        raise DomainError(f"t must lie on one side of the start at 0; got {values[0]:g} to {values[-1]:g}")
    if discrete and ((values < 0).any() or (values != np.round(values)).any()):
        raise DomainError("t of a map counts its steps: whole numbers from 0")
    return np.ascontiguousarray(values, dtype=float)


def numbers(value: Any, name: str) -> Array:
    """Real numbers of any shape as float64; ArgumentError for text, booleans, complex numbers, objects and None."""
    if value is None:
        raise ArgumentError(f"{name} is missing; got None")
    if isinstance(value, sp.Basic):
        if not value.is_number or not value.is_real:
            raise ArgumentError(f"{name} must be a real number; got {value}")
        return np.asarray(float(value))
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"{name} must be numbers in a regular shape; got {value!r}") from error
    if raw.dtype.kind not in "fiu":
        kind = {"b": "booleans", "c": "complex numbers", "U": "text", "S": "text"}.get(raw.dtype.kind, "objects")
        raise ArgumentError(f"{name} must be real numbers; got {kind}: {value!r}")
    return raw.astype(np.float64)


def cells(model: Model, start: Any, params: Any, rng: np.random.Generator) -> Cells:
    """Broadcast parameters and starts to the cells of a batch; see ``solve`` for what may be passed."""
    given_params = _named(params, "params", [s.name for s in model.params], model.name)
    charts = [c.name for chart in model.charts for c in chart.coordinates]
    given_starts = _named(start, "start", [*model.state_names, *charts], model.name)
    domains = {s.name: p.domain for s, p in model.params.items()}
    domains |= {s.name: d for s, d in model.domains.items()}
    domains |= {c.name: d for chart in model.charts for c, d in chart.coordinates.items()}
    arrays = {("params", n): _axis(v, n, f"parameter {n!r}", rng) for n, v in given_params.items()}
    arrays |= {("start", n): _axis(v, f"start_{n}", f"start of {n!r}", rng) for n, v in given_starts.items()}
    dims, shape, coords, spread = _broadcast(arrays)
    bad = np.zeros(spread[0].shape if spread else (1,), dtype=bool)
    values: dict[str, dict[str, Array]] = {"params": {}, "start": {}}
    for (kind, name), column in zip(arrays, spread, strict=True):
        outside = ~_inside(column, domains[name])
        if outside.any() and not dims:
            what = "parameter" if kind == "params" else "start of"
            raise DomainError(f"{what} {name!r} must lie in {domains[name]}; got {column[0]:g}")
        bad |= outside
        values[kind][name] = column
    rows = bad.size
    columns = [values["params"].get(s.name, np.full(rows, p.default)) for s, p in model.params.items()]
    table = np.stack(columns, axis=1) if columns else np.empty((rows, 0))
    starts = _starts(model, values["start"], table, rows)
    bad |= ~np.isfinite(starts).all(axis=1)
    given = {kind: {n: _plain(arrays[kind, n]) for k, n in arrays if k == kind} for kind in ("params", "start")}
    return Cells(dims, shape, coords, np.ascontiguousarray(starts), np.ascontiguousarray(table), bad, given)


def _named(mapping: Any, what: str, allowed: Sequence[str], model: str) -> dict[str, Any]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise ArgumentError(f"{what} must be a mapping from name to value, such as {{'x': 1.0}}; got {mapping!r}")
    out: dict[str, Any] = {}
    for key, value in mapping.items():
        name = key if isinstance(key, str) else getattr(key, "name", repr(key))
        if name not in allowed:
            raise ArgumentError(f"model {model!r} has no {what} {name!r}{did_you_mean(name, allowed)}")
        if name in out:
            raise ArgumentError(f"{what} gives {name!r} twice, as a symbol and as a name")
        out[name] = value
    return out


def _axis(value: Any, dim: str, what: str, rng: np.random.Generator) -> xr.DataArray:
    """One given value as a labelled array: a scalar has no dimension, a list one of its own."""
    if callable(value) and not isinstance(value, xr.DataArray):
        draw: Callable[[np.random.Generator], Any] = value
        drawn = numbers(draw(rng), what)
        return xr.DataArray(drawn, dims=(dim,) if drawn.ndim == 1 else ())
    if isinstance(value, xr.DataArray):
        return value.copy(data=numbers(value.values, what))
    array = numbers(value, what)
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
        bare = array.drop_vars(list(array.coords))
        full = bare.expand_dims({d: sizes[d][0] for d in dims if d not in bare.dims}).transpose(*dims)
        spread.append(np.array(full.values, dtype=float).reshape(-1))
    return dims, shape, coords, spread


def _inside(values: Array, domain: Domain) -> NDArray[np.bool_]:
    above = values > domain.low if domain.low_open else values >= domain.low
    below = values < domain.high if domain.high_open else values <= domain.high
    return np.asarray(above & below & np.isfinite(values))


def _starts(model: Model, given: dict[str, Array], params: Array, rows: int) -> Array:
    columns = [params[:, i] for i in range(params.shape[1])]
    symbols = list(model.params)
    values: dict[sp.Symbol, Array] = {}
    for s, e in model.start.items():
        if s.name in given:
            values[s] = given[s.name]
        else:
            values[s] = np.broadcast_to(array_function(symbols, e)(*columns), rows)
    for chart in model.charts:
        names = {c.name for c in chart.coordinates} & set(given)
        if names:
            values |= _from_chart(chart, {n: given[n] for n in names}, given)
    return np.stack([np.broadcast_to(values[s], rows) for s in model.flow], axis=1)


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
    flat = values.ravel()
    if flat.size <= 64:
        return values.tolist()
    return {
        "dims": [str(d) for d in array.dims],
        "size": int(flat.size),
        "first": float(flat[0]),
        "last": float(flat[-1]),
    }

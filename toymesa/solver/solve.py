"""``solve``: check, choose the route, run, label the answer."""

from __future__ import annotations

import json
import math
import sys
import time as clock
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.errors import ArgumentError, DomainError, SolveError, did_you_mean
from toymesa.kernels.batch import METHODS, Controls, interpolate, observe_batch, record, run_batch
from toymesa.kernels.cache import installed
from toymesa.kernels.generate import compile_model
from toymesa.solver import exact
from toymesa.solver.events import Event, crossings, events_of
from toymesa.solver.inputs import Cells, cells, output_times, real, tolerances
from toymesa.status import Status
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
Progress = bool | Callable[[int, int], None]


def solve(
    model: Model,
    t: Any = None,
    *,
    start: Any = None,
    params: Any = None,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: Any = 1e-10,
    events: Any = None,
    until: str | None = None,
    max_step: float = math.inf,
    first_step: float | None = None,
    max_steps: int = 100_000,
    on_fail: str = "raise",
    rng: Any = None,
    threads: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """Solve a model over time for every combination of the parameters and starts given.

    Parameters
    ----------
    model : the model; t : end time (201 evenly spaced times from 0; every step of a map), or the times wanted,
        decreasing for backward integration. With ``until="steady"`` the cap (default 1e8).
    start, params : name (or symbol) -> number, list (a dimension of its own, ``start_<name>`` for starts), DataArray
        (broadcast by its dimension names) or a function of a Generator (drawn with ``rng``). Starts may be given in the
        coordinates of a simplex instead of log-odds.
    method : "auto" (a closed form where it holds in all cells, else explicit with automatic switching to Rodas5P),
        "closed", "tsit5", "dop853", "rodas5p".
    rtol, atol : local error per step is kept below atol + rtol |x|; atol may be one number a state.
    events : name -> expression, formula text, or (expression, {"direction": -1|0|1, "terminal": bool}). Every sign
        change is found, also several within one step; a zero at the start and a tangency are none.
    until : "steady": stop when moving at the current rate for as long again would change no state by more than its
        tolerance. The result then has no time dimension, and ``t_steady``.
    on_fail : "raise" (a single trajectory raises SolveError; a batch always records) or "status".
    rng : seed or Generator for drawn starts. threads : default all cores. progress : True or ``progress(done, total)``.

    Returns an ``xarray.Dataset`` over the swept names and ``time`` with states, observables, ``status`` (codes of
    ``toymesa.Status``), ``nsteps``, and per event ``event_<name>``, ``event_<name>_count``, ``event_<name>_state``.
    Numerical unless ``attrs["method"]`` starts with "closed". A cell's bits depend on no other cell and no thread count.
    Raises DomainError or ArgumentError for unusable arguments, SolveError for a single failed trajectory.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if model.noise is not None:
        raise ArgumentError(f"model {model.name!r} has noise: its paths come from toymesa.simulate, not from solve")
    wanted = _method(method)
    relative, absolute = tolerances(rtol, atol, model.state_names)
    times = output_times(t, until=until, discrete=model.discrete)
    if on_fail not in ("raise", "status"):
        raise DomainError(f"on_fail must be 'raise' or 'status'; got {on_fail!r}")
    span = abs(float(times[-1]))
    controls = Controls(
        method="auto" if wanted == "closed" else wanted,
        rtol=relative,
        atol=absolute,
        first_step=0.0 if first_step is None else _first_step(first_step, span),
        max_step=real(max_step, "max_step", low=0.0, open_low=True, infinite=True),
        max_steps=_count(max_steps, "max_steps"),
        steady=until == "steady",
    )
    generator, seed = _generator(rng)
    batch = cells(model, start, params, generator)
    watched = events_of(model, events)
    show = _shown(progress)
    route = exact.choose(model, batch, times, steady=controls.steady) if wanted in ("auto", "closed") else None
    if wanted == "closed" and route is not None:
        exact.require(model, route)
        if watched:
            raise ArgumentError("events need a numerical method; use method='auto' or name one")
    if route is not None and route.form is not None and not watched:
        states, status, steps, when, label = _closed(model, route, batch, times, controls)
        found: dict[str, Any] = {}
    else:
        states, status, steps, when, label, found = _numerical(model, batch, times, controls, watched, threads, show)
    data = _labelled(model, batch, times, controls, states, status, steps, when, found)
    data.attrs |= _attributes(model, batch, label, relative, absolute, seed)
    if not batch.dims and on_fail == "raise":
        _raise(model, data, when)
    return data


# ---------------------------------------------------------------- routes


def _closed(
    model: Model, route: exact.Exact, batch: Cells, times: Array, controls: Controls
) -> tuple[Array, NDArray[np.int64], Array, Array, str]:
    states = exact.evaluate(model, exact.require(model, route), batch, times, steady=controls.steady)
    fine = np.isfinite(states).all(axis=(1, 2))
    status = np.where(fine, Status.OK, np.where(batch.bad, Status.BAD_PARAM, Status.OVERFLOW)).astype(np.int64)
    rows = batch.bad.size
    end = np.full(rows, math.inf if controls.steady else times[-1])
    return states, status, np.zeros((rows, 3)), end, route.label


def _numerical(
    model: Model,
    batch: Cells,
    times: Array,
    controls: Controls,
    watched: tuple[Event, ...],
    threads: int | None,
    show: Callable[[int, int], None] | None,
) -> tuple[Array, NDArray[np.int64], Array, Array, str, dict[str, Any]]:
    compiled = compile_model(model)
    rows = batch.bad.size
    good = np.flatnonzero(~batch.bad)
    count = 1 if controls.steady else times.size
    states = np.full((rows, count, compiled.n), np.nan)
    status = np.full(rows, int(Status.BAD_PARAM), dtype=np.int64)
    steps, when = np.zeros((rows, 3)), np.zeros(rows)
    found: dict[str, Any] = {}
    if watched:
        if model.discrete:
            raise ArgumentError(f"events need a flow; model {model.name!r} is a map")
        hits: list[list[tuple[Array, Array]]] = [[] for _ in watched]
        for row in range(rows):
            if batch.bad[row]:
                for h in hits:
                    h.append((np.empty(0), np.empty((0, compiled.n))))
                continue
            out, code, report, taken = record(compiled, times, batch.starts[row], batch.params[row], controls)
            ended = _locate(watched, taken, batch.params[row], hits)
            if ended is not None:
                after = np.abs(times) > abs(ended)
                if not controls.steady:
                    out[after] = np.nan
                code = int(Status.OK)
            states[row], status[row], steps[row], when[row] = (
                out,
                code,
                report[2:5],
                report[0] if ended is None else ended,
            )
            if show is not None:
                show(row + 1, rows)
        found = {e.name: h for e, h in zip(watched, hits, strict=True)}
    elif good.size:
        result = run_batch(
            compiled, times, np.ascontiguousarray(batch.starts[good]), np.ascontiguousarray(batch.params[good]), controls,
            threads=threads, progress=show,
        )  # fmt: skip
        states[good], status[good], steps[good], when[good] = (
            result.states,
            result.status,
            result.steps,
            result.report[:, 0],
        )
    used = [n for n, s in zip(("tsit5", "dop853", "rodas5p"), steps.sum(axis=0), strict=True) if s > 0]
    label = "iteration" if model.discrete else "+".join(used) or controls.method
    return states, status, steps, when, label, found


def _locate(
    watched: tuple[Event, ...], taken: Any, params: Array, hits: list[list[tuple[Array, Array]]]
) -> float | None:
    """All crossings of all events, cut at the first terminal one; returns its time, or None."""
    times = [crossings(e, taken, params) for e in watched]
    ends = [x[0] for e, x in zip(watched, times, strict=True) if e.terminal and x.size]
    end = min(ends, key=abs) if ends else None
    for h, x in zip(hits, times, strict=True):
        kept = x if end is None else x[np.abs(x) <= abs(end)]
        h.append((kept, interpolate(taken, kept) if kept.size else np.empty((0, taken.coefficients.shape[2]))))
    return None if end is None else float(end)


# ---------------------------------------------------------------- labels


def _labelled(
    model: Model, batch: Cells, times: Array, controls: Controls, states: Array, status: NDArray[np.int64], steps: Array,
    when: Array, found: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    compiled = compile_model(model)
    moments = when[:, None] if controls.steady else times[None, :]
    read = observe_batch(compiled, np.where(np.isfinite(moments), moments, 0.0), states, batch.params)
    index = {n: i for i, n in enumerate(compiled.observe_names)}
    for n in model.requires:
        low = (read[..., index[f"requires:{n}"]] <= 0).any(axis=1)
        status = np.where(low & (status == Status.OK), int(Status.INNER_NOT_MINIMUM), status)
    dims = batch.dims if controls.steady else (*batch.dims, "time")
    shape = batch.shape if controls.steady else (*batch.shape, times.size)
    columns = {n: states[..., i] for i, n in enumerate(model.state_names)}
    columns |= {n: read[..., index[n]] for n in model.observables}
    data: dict[str, Any] = {n: (dims, v.reshape(shape), _meaning(model, n)) for n, v in columns.items()}
    codes: dict[str, Any] = {
        "flag_values": [int(s) for s in Status],
        "flag_meanings": " ".join(s.label for s in Status),
    }
    data["status"] = (batch.dims, status.astype(np.uint8).reshape(batch.shape), {"long_name": "how it ended", **codes})
    data["nsteps"] = (
        batch.dims,
        steps.sum(axis=1).astype(np.int64).reshape(batch.shape),
        {"long_name": "accepted steps"},
    )
    if controls.steady:
        data["t_steady"] = (batch.dims, when.reshape(batch.shape), {"long_name": "time at which it was steady"})
    for name, hits in found.items():
        data |= _event_variables(name, hits, batch, len(model.states))
    coords: dict[str, Any] = dict(batch.coords)
    if not controls.steady:
        coords["time"] = ("time", times, {"long_name": "steps" if model.discrete else "training time"})
    if found:
        coords["state"] = list(model.state_names)
    return xr.Dataset(data, coords=coords)


def _event_variables(name: str, hits: list[tuple[Array, Array]], batch: Cells, n: int) -> dict[str, Any]:
    width = max((x.size for x, _ in hits), default=0)
    times = np.full((len(hits), width), np.nan)
    states = np.full((len(hits), width, n), np.nan)
    for row, (x, s) in enumerate(hits):
        times[row, : x.size], states[row, : x.size] = x, s
    dim = f"event_{name}_index"
    count = np.array([x.size for x, _ in hits], dtype=np.int64)
    return {
        f"event_{name}": ((*batch.dims, dim), times.reshape(*batch.shape, width), {"long_name": f"times of {name}"}),
        f"event_{name}_count": (batch.dims, count.reshape(batch.shape), {"long_name": f"number of {name}"}),
        f"event_{name}_state": ((*batch.dims, dim, "state"), states.reshape(*batch.shape, width, n), {}),
    }


def _meaning(model: Model, name: str) -> dict[str, str]:
    return {"long_name": model.meanings[name]} if name in model.meanings else {}


@cache
def _versions() -> str:
    packages = ("toymesa", "numpy", "scipy", "sympy", "numba", "xarray")
    return json.dumps({p: installed(p) for p in packages}, sort_keys=True)


def _attributes(model: Model, batch: Cells, label: str, rtol: float, atol: Array, seed: int | None) -> dict[str, Any]:
    out = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "params": json.dumps({**model.defaults(), **batch.given["params"]}, sort_keys=True),
        "start": json.dumps(batch.given["start"], sort_keys=True),
        "method": label,
        "rtol": rtol,
        "atol": float(atol[0]) if (atol == atol[0]).all() else atol.tolist(),
        "versions": _versions(),
    }
    return out | ({} if seed is None else {"seed": seed})


def _raise(model: Model, data: xr.Dataset, when: Array) -> None:
    status = Status(int(data["status"].values))
    if status is Status.OK:
        return
    bracket = f"; the blow-up is just after t = {when[0]:.10g}" if status is Status.BLOW_UP else ""
    raise SolveError(
        f"{model.name}: {status.label} at t = {when[0]:g}: {status.advice}{bracket}", status=status.label, dataset=data
    )


# ---------------------------------------------------------------- small checks


def _method(method: object) -> str:
    allowed = ["auto", "closed", *[m for m in METHODS if m != "auto"]]
    if not isinstance(method, str):
        raise ArgumentError(f"method must be a name; got {method!r} (allowed: {', '.join(allowed)})")
    if method not in allowed:
        raise DomainError(f"there is no method {method!r}{did_you_mean(method, allowed)}")
    return method


def _first_step(value: object, span: float) -> float:
    step = real(value, "first_step", low=0.0, open_low=True)
    if step > span > 0:
        raise DomainError(f"first_step must not exceed the span {span:g}; got {step:g}")
    return step


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a whole number; got {value!r}")
    if value < 1:
        raise DomainError(f"{name} must be at least 1; got {value}")
    return int(value)


def _generator(rng: Any) -> tuple[np.random.Generator, int | None]:
    if isinstance(rng, np.random.Generator):
        return rng, None
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, int | np.integer)):
        raise ArgumentError(f"rng must be a Generator or a non-negative whole number; got {rng!r}")
    if rng is not None and rng < 0:
        raise DomainError(f"rng must be a non-negative seed; got {rng}")
    return np.random.default_rng(rng), None if rng is None else int(rng)


def _shown(progress: Progress) -> Callable[[int, int], None] | None:
    if callable(progress):
        return progress
    if not progress:
        return None
    begun = clock.monotonic()
    bar: list[Any] = []

    def show(done: int, total: int) -> None:
        if not bar and clock.monotonic() - begun > 2 and done < total:
            from tqdm import tqdm

            bar.append(tqdm(total=total, initial=done, file=sys.stderr, leave=False))
        elif bar:
            bar[0].update(done - bar[0].n)
            if done == total:
                bar[0].close()

    return show

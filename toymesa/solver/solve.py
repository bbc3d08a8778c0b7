"""``solve``: check, choose the route, run, label the answer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, generator, whole
from toymesa.errors import ArgumentError, DomainError, ToymesaWarning, named_arguments
from toymesa.kernels.batch import Controls, interpolate, record, run_batch
from toymesa.kernels.codes import LANES
from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes.formulas import unsuited
from toymesa.solver import exact
from toymesa.solver.events import Event, crossings, events_of
from toymesa.solver.inputs import Cells, cells
from toymesa.solver.labels import Outcome, labelled, raise_failure
from toymesa.solver.options import Progress, controls, output_times, shown
from toymesa.status import Status
from toymesa.symbolic.model import InternalTimeForm, Model

# what the columns of the steps count where trajectories are solved one at a time
_ALONE = ("tsit5", "dop853", "rodas5p")


@named_arguments
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
        decreasing for backward integration (with a ToymesaWarning for a gradient flow). With ``until="steady"`` the cap
        (default 1e8).
    start, params : name (or symbol) -> number, list (a dimension of its own, ``start_<name>`` for starts), DataArray
        (broadcast by its dimension names) or a function of a Generator (drawn with ``rng``). Starts may be given in the
        coordinates of a simplex instead of log-odds.
    method : "auto", "closed", or a numerical one. Side by side in the lanes of vector registers: "tsit5-lanes",
        "dop853-lanes", "taylor-lanes" (Taylor series of smooth rates, order by the tolerance; DOP853 goes on where there is no
        series), "rodas5p-lanes", and "lanes": Tsit5 or DOP853 by the tolerance, Taylor series where they are tight and the
        rates polynomials whose series are cheap, and Rodas5P for what turns stiff. Explicit steps see no pulse that is
        narrow beside the quiet time before it: max_step is for those. One trajectory at a time: "tsit5", "dop853",
        "rodas5p". "auto" takes a closed form where it holds in all cells, else "lanes"; with events, algebraic
        states or an inner run, an explicit method that switches to Rodas5P and back, one trajectory at a time.
    rtol, atol : local error per step is kept below atol + rtol |x|; atol may be one number a state.
    events : name -> expression, formula text, or (expression, {"direction": -1|0|1, "terminal": bool}). Every sign
        change is found, also several within one step; a zero at the start and a tangency are none.
    until : "steady": stop when moving at the current rate for as long again would change no state by more than its
        tolerance. The result then has no time dimension, and ``t_steady``.
    on_fail : "raise" (a single trajectory raises SolveError; a batch always records) or "status".
    rng : seed or Generator for drawn starts. threads : default all cores. progress : True or ``progress(done, total)``.

    Returns an ``xarray.Dataset`` over the swept names and ``time`` with states, observables, ``status`` (codes of
    ``toymesa.Status``), ``nsteps``, and per event ``event_<name>``, ``event_<name>_count``, ``event_<name>_state``.
    No cell is ok in which an observable or an event is no finite number where the states are: its status is overflow.
    Numerical unless ``attrs["method"]`` starts with "closed". For a given method a cell's bits depend on no other cell and
    no thread count.
    Raises DomainError or ArgumentError for unusable arguments, SolveError for a single failed trajectory.
    """
    if not isinstance(model, Model):
        hint = f"; toymesa.models.find({model!r}) looks a name up" if isinstance(model, str) else ""
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}{hint}")
    if model.noise is not None:
        raise ArgumentError(f"model {model.name!r} has noise: its paths come from toymesa.simulate, not from solve")
    times = output_times(t, until=until, discrete=model.discrete)
    if on_fail not in ("raise", "status"):
        raise DomainError(f"on_fail must be 'raise' or 'status'; got {on_fail!r}")
    wanted, how = controls(
        method=method, rtol=rtol, atol=atol, first_step=first_step, max_step=max_step, max_steps=max_steps,
        steady=until == "steady", span=abs(float(times[-1])), states=model.state_names,
    )  # fmt: skip
    if threads is not None:
        threads = whole("threads", threads, 1)
    draw, seed = generator("rng", rng)
    batch = cells(model, start, params, draw)
    watched = events_of(model, events)
    warn_uphill(model, times, stacklevel=4)
    outcome = computed(model, batch, times, wanted, how, watched, threads=threads, show=shown(progress))
    data = labelled(model, batch, times, how, outcome)
    data.attrs |= {} if seed is None else {"seed": seed}
    if not batch.dims and on_fail == "raise":
        raise_failure(model, data, outcome)
    return data


def warn_uphill(model: Model, times: Array, *, stacklevel: int) -> None:
    """A ToymesaWarning for a gradient flow backward in time."""
    if model.potential is not None and times[-1] < 0:
        message = f"{model.name}: a gradient flow runs uphill backward in time and is unstable"
        warnings.warn(message, ToymesaWarning, stacklevel=stacklevel)


# ---------------------------------------------------------------- routes


def computed(
    model: Model, batch: Cells, times: Array, wanted: str, how: Controls, watched: tuple[Event, ...], *,
    threads: int | None, show: Callable[[int, int], None] | None,
) -> Outcome:  # fmt: skip
    """Every cell of a batch by the route that ``wanted`` (a method, "auto" or "closed") means; nothing is labelled yet."""
    route = exact.choose(model, batch, times, steady=how.steady) if wanted in ("auto", "closed") else None
    if wanted == "closed" and route is not None:
        exact.require(model, route)
        if watched:
            raise ArgumentError("events need a numerical method; use method='auto' or name one")
    outcome = None
    if route is not None and route.form is not None and not watched:
        outcome = _closed(model, route, batch, times, how, threads)
        # a cell that never converges has no internal-time solution, nor has one whose rate is lost in rounding; a
        # numerical one they have none the less
        lost = [Status.NOT_STEADY, Status.OVERFLOW] if isinstance(route.form, InternalTimeForm) else [Status.NOT_STEADY]
        if wanted == "auto" and np.isin(outcome.status, lost).any():
            outcome = None
    return _numerical(model, batch, times, how, watched, threads, show) if outcome is None else outcome


def _closed(
    model: Model, route: exact.Exact, batch: Cells, times: Array, how: Controls, threads: int | None
) -> Outcome:
    form = exact.require(model, route)
    states, status = exact.evaluate(model, form, batch, times, steady=how.steady, threads=threads)
    rows = batch.bad.size
    end = np.full(rows, math.inf if how.steady else times[-1])
    return Outcome(states, status, np.zeros((rows, 3)), end, states[:, -1], route.label)


def _numerical(
    model: Model,
    batch: Cells,
    times: Array,
    how: Controls,
    watched: tuple[Event, ...],
    threads: int | None,
    show: Callable[[int, int], None] | None,
) -> Outcome:
    n, rows = len(model.states), batch.bad.size
    every = (
        rows > 0 and not watched and not batch.bad.any()
    )  # nothing is copied then, which for many cells takes a while
    good = np.arange(rows) if every else np.flatnonzero(~batch.bad)
    alone, methods = np.empty(0, dtype=np.int64), _ALONE
    if not every:
        states = np.full((rows, 1 if how.steady else times.size, n), np.nan)
        status = np.full(rows, int(Status.BAD_PARAM), dtype=np.int64)
        out = Outcome(states, status, np.zeros((rows, 3)), np.zeros(rows), np.full((rows, n), np.nan), "")
    if watched:
        _watch(model, batch, times, how, watched, out, show)
    elif good.size:
        how = _settled(model, how)
        starts, params = batch.start_columns, batch.param_columns
        if not every:
            starts, params = starts.take(good), params.take(good)
        result = run_batch(compile_model(model), times, starts, params, how, threads=threads, progress=show)
        if every:
            out = Outcome(result.states, result.status, result.steps, result.report[:, 0], result.reached, "")
        else:
            out.states[good], out.status[good], out.steps[good] = result.states, result.status, result.steps
            out.when[good], out.reached[good] = result.report[:, 0], result.reached
        methods, alone = result.methods, good[result.elsewhere]
    out.label = "iteration" if model.discrete else "+".join(_used(out.steps, methods, alone)) or how.method
    return out


def _settled(model: Model, how: Controls) -> Controls:
    """The controls with "auto" settled: lanes for every model that has a form for them."""
    reason = unsuited(model)
    if how.method in LANES and reason:
        raise ArgumentError(f"method {how.method!r} does not solve {model.name!r}, which {reason}; use 'auto'")
    return replace(how, method="lanes") if how.method == "auto" and not reason else how


def _used(steps: Array, methods: tuple[str, ...], alone: NDArray[np.int64]) -> list[str]:
    """The methods that made steps; ``alone``: cells that lanes left to a method one trajectory at a time."""
    theirs, total = steps[alone].sum(axis=0), np.ones(steps.shape[0]) @ steps
    names = [m for m, s, t in zip(methods, total, theirs, strict=True) if s > t]
    return names + [m for m, t in zip(_ALONE, theirs, strict=True) if t > 0]


def _watch(
    model: Model, batch: Cells, times: Array, how: Controls, watched: tuple[Event, ...], out: Outcome,
    show: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    """Every cell in turn, with its steps recorded and its events located; ``out`` is filled in place."""
    if model.discrete:
        raise ArgumentError(f"events need a flow; model {model.name!r} is a map")
    if how.method in LANES:
        raise ArgumentError(f"events are located one trajectory at a time; use method='auto' instead of {how.method!r}")
    compiled, rows = compile_model(model), batch.bad.size
    hits: list[list[tuple[Array, Array]]] = [[] for _ in watched]
    for row in range(rows):
        if batch.bad[row]:
            for h in hits:
                h.append((np.empty(0), np.empty((0, compiled.n))))
            continue
        states, code, report, taken = record(compiled, times, batch.starts[row], batch.params[row], how)
        ended, undefined = _locate(watched, taken, batch.params[row], hits)
        if ended is not None:
            if not how.steady:
                states[np.abs(times) > abs(ended)] = np.nan
            code = int(Status.OK)
        if undefined is not None and code == Status.OK:
            code, out.undefined = int(Status.OVERFLOW), undefined
        out.states[row], out.status[row], out.steps[row] = states, code, report[2:5]
        out.when[row], out.reached[row] = report[0] if ended is None else ended, report[-compiled.n :]
        if show is not None:
            show(row + 1, rows)
    out.found = {e.name: h for e, h in zip(watched, hits, strict=True)}


def _locate(
    watched: tuple[Event, ...], taken: Any, params: Array, hits: list[list[tuple[Array, Array]]]
) -> tuple[float | None, str | None]:
    """All crossings up to the first of a terminal event: the time of that, and the name of an event that is no number."""
    found = [crossings(e, taken, params) for e in watched]
    ends = [c.times[0] for e, c in zip(watched, found, strict=True) if e.terminal and c.times.size]
    end = min(ends, key=abs) if ends else None
    for h, c in zip(hits, found, strict=True):
        kept = c.times if end is None else c.times[np.abs(c.times) <= abs(end)]
        h.append((kept, interpolate(taken, kept) if kept.size else np.empty((0, taken.coefficients.shape[2]))))
    reach = math.inf if end is None else abs(end)
    undefined = next((e.name for e, c in zip(watched, found, strict=True) if c.undefined < reach), None)
    return None if end is None else float(end), undefined

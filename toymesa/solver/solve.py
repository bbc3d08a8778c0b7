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
from toymesa.kernels.batch import Batch, Controls, again, run_batch
from toymesa.kernels.codes import LANES
from toymesa.kernels.columns import by_column
from toymesa.kernels.events import Event
from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes.formulas import unsuited
from toymesa.kernels.lanes.watch import unreadable
from toymesa.kernels.watched import Watch
from toymesa.solver import exact
from toymesa.solver.crossings import locate
from toymesa.solver.events import events_of
from toymesa.solver.inputs import Cells, cells
from toymesa.solver.labels import Crossings, Outcome, labelled, raise_failure
from toymesa.solver.options import Progress, controls, output_times, shown
from toymesa.status import Status
from toymesa.symbolic.model import InternalTimeForm, Model


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
        "rodas5p". "auto" takes a closed form where it holds in all cells (none with events), else "lanes"; with algebraic
        states, an inner run or an event that lanes have no function for, an explicit method that switches to Rodas5P and
        back, one trajectory at a time.
    rtol, atol : local error per step is kept below atol + rtol |x|; atol may be one number a state.
    events : name -> expression, formula text, or (expression, {"direction": -1|0|1, "terminal": bool}). Every zero at
        which the sign changes is found, also hundreds within one step (of too many a ToymesaWarning tells); one at the
        start, a tangency and a pole are none.
        Located to rounding on the interpolant of the step, which has the tolerance of the solution. What lies behind the
        first crossing of a terminal event is NaN; with ``until`` the state there is the result.
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
        outcome = _closed(model, route, batch, times, how, threads, show)
        # a cell that never converges has no internal-time solution, nor has one whose rate is lost in rounding or is
        # not positive; a numerical one they have none the less
        lost = (outcome.status != Status.OK) & ~batch.bad & isinstance(route.form, InternalTimeForm)
        if wanted == "auto" and lost.any():
            outcome = None
    return _numerical(model, batch, times, how, watched, threads, show) if outcome is None else outcome


def _closed(
    model: Model, route: exact.Exact, batch: Cells, times: Array, how: Controls, threads: int | None,
    show: Callable[[int, int], None] | None,
) -> Outcome:  # fmt: skip
    form = exact.require(model, route)
    states, status = exact.evaluate(model, form, batch, times, steady=how.steady, threads=threads, progress=show)
    rows = batch.bad.size
    end = np.full(rows, math.inf if how.steady else times[-1])
    return Outcome(states, status, np.zeros((rows, 3), dtype=np.int32), end, route.label)


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
    # if so nothing is copied, which for many cells takes a while
    every = rows > 0 and not watched and not batch.bad.any()
    if not every:
        good = np.flatnonzero(~batch.bad)
        states = by_column(rows, 1 if how.steady else times.size, n)
        states.fill(np.nan)
        status = np.full(rows, int(Status.BAD_PARAM), dtype=np.uint8)
        out = Outcome(states, status, np.zeros((rows, 3), dtype=np.int32), np.zeros(rows), how.method)
    if watched and model.discrete:
        raise ArgumentError(f"events need a flow; model {model.name!r} is a map")
    if every or good.size or watched:
        how = _settled(model, how, watched)
        if watched:
            result = _watch(model, batch, good, times, how, watched, out, threads, show)
        else:
            starts, params = batch.start_columns, batch.param_columns
            if not every:
                starts, params = starts.take(good), params.take(good)
            result = run_batch(compile_model(model), times, starts, params, how, threads=threads, progress=show)
        if every:
            out = Outcome(result.states, result.status, result.steps, result.when, how.method)
        else:
            out.states[good], out.status[good] = result.states, result.status
            out.steps[good], out.when[good] = result.steps, result.when
        if rows == 1 and (every or good.size):
            out.last = result.reached[0]
        out.method, out.methods = how.method, result.methods
        out.alone = result.elsewhere if every else good[result.elsewhere]
    if model.discrete:
        out.method, out.methods = "iteration", ()
    return out


def _settled(model: Model, how: Controls, watched: tuple[Event, ...]) -> Controls:
    """The controls with "auto" settled: lanes for every model that has a form for them, and so have its events."""
    reason = unsuited(model)
    if not reason and (name := unreadable(model, watched)):
        if how.method in LANES:
            raise ArgumentError(f"events[{name!r}] has a function without a form in method {how.method!r}; use 'auto'")
        reason = "has events without a form in lanes"
    if how.method in LANES and reason:
        raise ArgumentError(f"method {how.method!r} does not solve {model.name!r}, which {reason}; use 'auto'")
    return replace(how, method="lanes") if how.method == "auto" and not reason else how


def _watch(
    model: Model, batch: Cells, good: NDArray[np.int64], times: Array, how: Controls, events: tuple[Event, ...],
    out: Outcome, threads: int | None, show: Callable[[int, int], None] | None,
) -> Batch:  # fmt: skip
    """The usable cells with their events located; ``out`` gets crossings, and ends where a terminal event was crossed."""
    compiled, starts, params = compile_model(model), batch.start_columns.take(good), batch.param_columns.take(good)
    watch = Watch(model, events, good.size, -1.0 if times[-1] < 0 else 1.0)
    result = run_batch(compiled, times, starts, params, how, watch=watch, threads=threads, progress=show)
    span = abs(float(times[-1]))
    found, ends, gone = locate(watch, params, span, threads=threads)
    # a lane that rounding let stop at what is no crossing
    mistaken = np.flatnonzero(watch.ended & np.isinf(ends))
    if mistaken.size:
        result = again(compiled, times, starts, params, how, result, mistaken, watch=watch, threads=threads)
        found, ends, gone = locate(watch, params, span, threads=threads)
    ended = np.isfinite(ends)
    result.status[ended] = Status.OK
    result.when[ended] = watch.direction * ends[ended]
    if how.steady:
        for event in events:
            if event.terminal:
                f = found[event.name]
                last = f.elapsed == ends[f.rows]
                result.states[f.rows[last], 0] = f.states[last]
    else:
        late = np.abs(times) > ends[:, None]
        result.states[late] = np.nan
    for name, f in found.items():
        if f.crowded.size:
            warnings.warn(
                f"{model.name}: event {name!r} changes its sign thousands of times within one step, and not all of them were"
                f" found, in {f.crowded.size} of {good.size} cells; a shorter max_step finds them",
                ToymesaWarning,
                stacklevel=6,
            )
    lost = gone & (result.status == Status.OK)[:, None]
    for e, event in enumerate(events):
        if lost[:, e].any():
            result.status[lost[:, e]], out.undefined = Status.OVERFLOW, out.undefined or event.name
    out.found = {name: Crossings(good[f.rows], watch.direction * f.elapsed, f.states) for name, f in found.items()}
    return result

"""``basins``: which start ends where, with what share, and exactly where the boundaries run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.attractors import Attractors, attractors_of
from toymesa.analyse.boundary import Edges, edges_of
from toymesa.analyse.ends import Course
from toymesa.analyse.oscillations import RESTLESS
from toymesa.analyse.outcomes import NEAR, UNRESOLVED, End, Outcomes, outcomes_of
from toymesa.analyse.proportions import confidence, proportion
from toymesa.arguments import Array, generator, numbers, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean, named_arguments
from toymesa.solver.inputs import Cells, cells
from toymesa.solver.options import Progress, controls, output_times, shown
from toymesa.status import Status
from toymesa.symbolic.model import Model

_MOST_STARTS = 20_000_000


@named_arguments
def basins(
    model: Model,
    over: Any,
    *,
    outcomes: Any = None,
    params: Any = None,
    start: Any = None,
    t: Any = None,
    samples: int | None = None,
    refine: float | None = None,
    near: float = NEAR,
    level: float = 0.95,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: Any = 1e-10,
    max_steps: int = 20_000,
    time_limit: float = 60.0,
    rng: Any = None,
    threads: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """Label every start by where its trajectory ends.

    Parameters
    ----------
    over : state (or coordinate of a simplex) -> values, or (low, high, count): the grid of starts. With ``samples`` =
        N: (low, high) each, and N starts drawn evenly from that box with ``rng``. start : the other states, a number
        each (default: the model's start). params : as in :func:`toymesa.solve`; lists make dimensions of their own.
    outcomes : name -> formula in text over states, observables, parameters and ``t`` ("p_a > p_b"; one without a
        comparison must be positive), SymPy relation, function of {name: array}, fixed point ({state: value} or with a
        ``.state``), or name of a status ("blow_up"); or a list of fixed points. The first that holds counts. None: the
        steady states found are gathered into attractors (gaps up to ``near`` (1 + |x|); a line or surface of steady
        states is one), named by their states; and trajectories that never rest into the attracting cycles (of a map,
        periodic orbits) that they have settled on, named by the period ("cycle" with several values of a parameter).
    t : stop there; None: run until steady (see :func:`toymesa.solve`).
    refine : bracket every boundary between neighbouring starts of a grid to this width, by bisection along their edge.
    level : of the intervals (Wilson) of the shares. For a grid they say what as many random starts would leave open.
    max_steps, time_limit : budget of one trajectory in steps and of the call in seconds. What is open then is -1.

    Returns a Dataset over the swept parameters and ``start_<name>`` (or ``sample``): ``label`` (position in the
    dimension ``outcome``; -1 for unresolved: no outcome holds, or ``status`` is not ok), the end states, ``status``; over
    ``outcome``: ``count``, ``fraction``, ``fraction_low``, ``fraction_high``; ``unresolved`` (share). Without outcomes also
    ``attractor`` (outcome, state; of a cycle its mean), its ``spread``, ``dimension`` and ``period``. ``attrs["notes"]``
    (JSON, a list of sentences) says why starts are unresolved. With ``refine``, over ``edge`` and ``side`` (the two
    ends of a bracket): ``edge_<name>``, ``edge_label``; over ``edge``: ``edge_along``, ``edge_width``, ``edge_done``, swept
    parameters.
    Numerical: a bracket holds a boundary of the numerical solution, off from the true one by the solver's error (tighten
    rtol and atol for a narrow one); a basin thinner than the grid is missed.
    Raises ArgumentError and DomainError for unusable arguments.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if model.noise is not None:
        raise ArgumentError(
            f"model {model.name!r} has noise: its outcomes have probabilities, from outcome_probabilities"
        )
    level, width = confidence(level), _width(refine, samples)
    draw, seed = generator("rng", rng)
    asked = _asked(model, over, start, samples, draw)
    named = None if outcomes is None else outcomes_of(model, outcomes, near=near)
    if named is None and t is not None:
        raise ArgumentError("without outcomes basins runs until steady: give outcomes, or leave t out")
    course = _course(model, t, time_limit, threads, method=method, rtol=rtol, atol=atol, max_steps=max_steps)
    batch = cells(model, asked.start, params, draw)
    data, end = course.run(batch, shown(progress))
    found: Outcomes | Attractors
    found = named or attractors_of(model, end, scalar("near", near, 0.0, low_open=True), course.deadline)
    label = found.label(end)
    data = _shares(data, batch, asked, found, label, level)
    if isinstance(found, Attractors):
        data = _attractors(data, found)
    data.attrs["notes"] = json.dumps(_open(end, label))
    if width is not None:
        edges = edges_of(model, batch, asked.coordinates, asked.fixed, label)
        data = data.assign(_boundary(edges.refined(course, found, width), batch, model))
    data.attrs |= {"over": json.dumps(list(asked.coordinates)), "level": level, "budget_spent": int(course.spent)}
    data.attrs |= {} if seed is None else {"seed": seed}
    return data


# ---------------------------------------------------------------- what was asked


@dataclass(frozen=True)
class _Asked:
    """Starts as ``cells`` takes them; coordinate -> its dimension; the starts that are one number each."""

    start: dict[str, Any]
    coordinates: dict[str, str]
    fixed: dict[str, float]


def _asked(model: Model, over: Any, start: Any, samples: int | None, draw: np.random.Generator) -> _Asked:
    if not isinstance(over, Mapping) or not over:
        example = f"{{{model.state_names[0]!r}: (0, 1, 41)}}"
        raise ArgumentError(f"over must be a mapping from state to starts, such as {example}; got {over!r}")
    allowed = [*model.state_names, *(c.name for chart in model.charts for c in chart.coordinates)]
    ranges = {_name(k, model, allowed, "over"): v for k, v in over.items()}
    fixed = {}
    if start is not None and not isinstance(start, Mapping):
        raise ArgumentError(f"start must be a mapping from the other states to their values; got {start!r}")
    for k, v in dict(start or {}).items():
        name = _name(k, model, allowed, "start")
        if name in ranges:
            raise ArgumentError(f"{name!r} is in over and in start; it can be in one of them")
        fixed[name] = scalar(f"start of {name!r}", v)
    count = None if samples is None else whole("samples", samples, 1, 10_000_000)
    given: dict[str, Any] = {}
    for name, value in ranges.items():
        if count is None:
            given[name] = _axis(name, value)
        else:
            low, high = _ends(name, value, 2)
            given[name] = xr.DataArray(draw.uniform(low, high, count), dims="sample")
    if count is None and math.prod(len(given[n]) for n in ranges) > _MOST_STARTS:
        raise DomainError(f"over makes more than {_MOST_STARTS:,} starts; use fewer values, or samples")
    dims = {n: "sample" if count is not None else f"start_{n}" for n in ranges}
    return _Asked(given | fixed, dims, fixed)


def _name(key: Any, model: Model, allowed: list[str], what: str) -> str:
    name = key if isinstance(key, str) else getattr(key, "name", repr(key))
    if name in model.param_names:
        raise ArgumentError(f"{what} takes states; {name!r} is a parameter of {model.name!r}: give it in params")
    if name not in allowed:
        raise ArgumentError(f"model {model.name!r} has no state {name!r}{did_you_mean(name, allowed)}")
    return name


def _axis(name: str, value: Any) -> Array:
    if isinstance(value, tuple) and len(value) == 3:
        low, high = _ends(name, value[:2], 3)
        return np.linspace(low, high, whole(f"count of {name!r}", value[2], 2, 1_000_000))
    if isinstance(value, tuple) and len(value) == 2:
        raise ArgumentError(
            f"over {name!r} must be (low, high, count) or a list of values; got {value!r} without a count"
        )
    values = numbers(f"over {name!r}", value)
    if values.ndim != 1 or values.size == 0 or (np.diff(values) <= 0).any() or not np.isfinite(values).all():
        raise DomainError(f"over {name!r} must be rising finite values or (low, high, count); got {value!r}")
    return values


def _ends(name: str, value: Any, length: int) -> tuple[float, float]:
    shape = "(low, high, count)" if length == 3 else "(low, high)"
    ends = numbers(f"over {name!r}", value)
    if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
        raise DomainError(f"over {name!r} must be {shape} with low < high, both finite; got {value!r}")
    return float(ends[0]), float(ends[1])


def _width(refine: Any, samples: Any) -> float | None:
    if refine is None:
        return None
    if samples is not None:
        raise ArgumentError("refine follows the edges of a grid: it cannot be given with samples")
    return scalar("refine", refine, 0.0, low_open=True)


def _course(model: Model, t: Any, time_limit: Any, threads: int | None, **how: Any) -> Course:
    steady = t is None
    times = output_times(t, until="steady" if steady else None, discrete=model.discrete)[-1:]
    if times[0] <= 0:
        raise DomainError(f"t must be positive; got {times[0]:g}")
    wanted, steps = controls(
        **how, first_step=None, max_step=math.inf, steady=steady, span=float(times[0]), states=model.state_names
    )
    if wanted == "closed":
        raise DomainError("basins follows every trajectory numerically: method must be auto, tsit5, dop853 or rodas5p")
    if steady and model.discrete:  # a step is a step: the cap of a map is its number
        times = np.minimum(times, float(steps.max_steps))
    limit = scalar("time_limit", time_limit, 0.0, low_open=True, infinite=True)
    workers = None if threads is None else whole("threads", threads, 1)
    return Course(model, times, replace(steps, method=wanted), time.monotonic() + limit, workers)


# ---------------------------------------------------------------- what is answered


def _shares(
    data: xr.Dataset, batch: Cells, asked: _Asked, found: Outcomes | Attractors, label: NDArray[np.int64], level: float
) -> xr.Dataset:
    """The labels, and the share of each outcome among the starts."""
    names = [*found.names]
    grid = xr.DataArray(label.reshape(batch.shape), dims=batch.dims)
    inside = [d for d in dict.fromkeys(asked.coordinates.values()) if d in batch.dims]
    total = int(np.prod([grid.sizes[d] for d in inside]))
    data["label"] = grid.astype(np.int32).assign_attrs(long_name="position of the outcome, -1 unresolved")
    hits = [(grid == i).sum(inside) for i in range(len(names))]
    rest = tuple(d for d in batch.dims if d not in inside)
    count = np.stack([h.values for h in hits], axis=-1) if hits else np.zeros((*[grid.sizes[d] for d in rest], 0), int)
    share, low, high = proportion(count, total, level)
    dims = (*rest, "outcome")
    data["count"] = (dims, count, {"long_name": "starts with this outcome"})
    data["fraction"] = (dims, share, {"long_name": "share of the starts"})
    data["fraction_low"] = (dims, low, {"long_name": f"lower end of the {level:.4g} Wilson interval"})
    data["fraction_high"] = (dims, high, {"long_name": f"upper end of the {level:.4g} Wilson interval"})
    data["unresolved"] = ((grid == UNRESOLVED).sum(inside) / total).assign_attrs(long_name="share of unresolved starts")
    return data.assign_coords(outcome=("outcome", np.array(names, dtype=object if not names else str)))


def _open(end: End, label: NDArray[np.int64]) -> list[str]:
    """Why starts are unresolved, a sentence a reason."""
    rows = label == UNRESOLVED
    moving = rows & np.isin(end.status, RESTLESS)
    out = []
    if moving.any():
        out.append(
            f"{int(moving.sum())} starts never came to rest and are on no attracting cycle that was found: they drift, "
            "wander, or go round a centre (more steps with max_steps, or name where they are by outcomes and t)"
        )
    rest = rows & ~moving
    for code in np.unique(end.status[rest]):
        status, count = Status(int(code)), int((rest & (end.status == code)).sum())
        why = "no outcome holds there" if status is Status.OK else f"{status.label}: {status.advice}"
        out.append(f"{count} starts: {why}")
    return out


def _attractors(data: xr.Dataset, found: Attractors) -> xr.Dataset:
    data["attractor"] = (("outcome", "state"), found.centers, {"long_name": "its state (median over the starts)"})
    data["spread"] = ("outcome", found.spread, {"long_name": "its extent"})
    data["dimension"] = ("outcome", found.dimension, {"long_name": "0 isolated, 1 on a line of steady states, .."})
    unit = "steps" if found.model.discrete else "time"
    data["period"] = ("outcome", found.period, {"long_name": "0 for a steady state", "units": unit})
    return data.assign_coords(state=list(found.model.state_names))


def _boundary(edges: Edges, batch: Cells, model: Model) -> dict[str, Any]:
    """Variables over ``edge`` of the refined brackets."""
    names = list(edges.coordinates)
    along = np.array(names)[edges.along] if edges.along.size else np.array([], dtype="<U1")
    out: dict[str, Any] = {
        f"edge_{n}": (("edge", "side"), edges.ends[:, :, i], {"long_name": f"bracket of the boundary in {n}"})
        for i, n in enumerate(names)
    }
    out["edge_label"] = (("edge", "side"), edges.labels.astype(np.int32), {"long_name": "outcome on each side"})
    out["edge_along"] = ("edge", along, {"long_name": "coordinate that was bisected"})
    out["edge_width"] = ("edge", edges.width, {"long_name": "width of the bracket"})
    out["edge_done"] = ("edge", edges.done, {"long_name": "whether it is as narrow as was asked"})
    swept = [n for n in model.param_names if np.ndim(batch.given["params"].get(n, 0.0)) or n in batch.dims]
    out |= {f"edge_{n}": ("edge", edges.params[:, model.param_names.index(n)]) for n in swept}
    return out

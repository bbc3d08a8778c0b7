"""``lyapunov``: how perturbations grow in the long run."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import xarray as xr

from toymesa.analyse.variational import Carrier
from toymesa.analyse.walk import Mark, Walk, checked_model, course_attributes, one_trajectory
from toymesa.arguments import Array, scalar
from toymesa.errors import DomainError, ToymesaWarning, named_arguments
from toymesa.solver.options import controls
from toymesa.symbolic.model import Model

_BLOCKS = 20


@named_arguments
def lyapunov(
    model: Model,
    t: float,
    *,
    transient: float = 0.0,
    start: Any = None,
    params: Any = None,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    max_steps: int = 1_000_000,
    time_limit: float = 120.0,
) -> xr.Dataset:
    """Lyapunov spectrum of a flow (per unit of time) or map (per step), by repeated orthogonalization.

    t : how long to average, after a ``transient`` that is left out (both whole numbers of steps for a map). start, params,
    method, tolerances : as in :func:`toymesa.solve`, a number each. time_limit : seconds; the average then covers what was
    done (``attrs["reached"]``).

    Returns a Dataset over ``mode``: ``exponent`` (largest first) and ``exponent_error`` (standard error from 20 blocks in
    time: of the average along this trajectory, for a chaotic one about what a longer run would change); ``course`` (time,
    mode), the running averages; ``trace_mean``, the average of the trace of the Jacobian (of ln|det J| for a map), and
    ``trace_gap``, the sum of the exponents minus it: zero for an exact solver, with a ToymesaWarning if it is not;
    ``dimension`` (Kaplan and Yorke 1979). Method: Benettin, Galgani, Giorgilli and Strelcyn 1980. Numerical.
    Raises SolveError where the trajectory fails, ModelError for models without symbolic Jacobian.
    """
    checked_model(model)
    end = scalar("t", t, 0.0, low_open=True)
    skip = scalar("transient", transient, 0.0)
    if model.discrete and (end != round(end) or skip != round(skip)):
        raise DomainError(f"t and transient of a map count its steps: whole numbers; got {end:g} and {skip:g}")
    x, p = one_trajectory(model, start, params)
    _, how = controls(
        method=method, rtol=rtol, atol=atol, first_step=None, max_step=math.inf, max_steps=max_steps, steady=False,
        span=end + skip, states=model.state_names,
    )  # fmt: skip
    deadline = time.monotonic() + scalar("time_limit", time_limit, 0.0, low_open=True, infinite=True)
    carrier = Carrier(model, p, how)
    walk = Walk(carrier, x, deadline)
    begin = walk.to(skip)  # the frame is settled too: it is that of the attractor from here on
    if begin is None:
        raise DomainError(f"time_limit was spent in the transient, at t = {walk.frame.time:g}")
    cuts = np.linspace(skip, skip + end, _BLOCKS * 10 + 1)
    cuts = np.unique(np.round(cuts)) if model.discrete else cuts
    marks = [begin]
    for s in cuts[1:]:
        mark = walk.to(float(s))
        if mark is None:
            break
        marks.append(mark)
    if len(marks) < 2:
        raise DomainError(f"time_limit was spent before any average, at t = {walk.frame.time:g}")
    return _spectrum(model, marks, x, p)


def _spectrum(model: Model, marks: list[Mark], x: Array, p: Array) -> xr.Dataset:
    begin, end = marks[0], marks[-1]
    times = np.array([m.frame.time for m in marks])
    sums = np.stack([m.propagator.logs for m in marks]) - begin.propagator.logs
    spans = times[1:] - times[0]
    order = np.argsort(-sums[-1], kind="stable")
    sums = sums[:, order]
    course = sums[1:] / spans[:, None]
    blocks = min(_BLOCKS, len(marks) - 1)
    at = np.round(np.linspace(0, len(marks) - 1, blocks + 1)).astype(int)
    pieces = np.diff(sums[at], axis=0) / np.diff(times[at])[:, None]
    error = pieces.std(axis=0, ddof=1) / math.sqrt(blocks) if blocks > 1 else np.full(course.shape[1], np.nan)
    trace = (end.frame.trace - begin.frame.trace) / spans[-1]
    gap = float(course[-1].sum() - trace)
    scale = float(np.abs(course[-1]).sum()) + abs(trace)
    if abs(gap) > 1e-4 * max(scale, 1e-12):
        message = (
            f"{model.name}: the exponents sum to {course[-1].sum():g} and the trace averages {trace:g}: tighten rtol"
        )
        warnings.warn(message, ToymesaWarning, stacklevel=4)
    data = {
        "exponent": ("mode", course[-1], {"long_name": "Lyapunov exponent"}),
        "exponent_error": ("mode", error, {"long_name": "standard error from blocks in time"}),
        "course": (("time", "mode"), course, {"long_name": "running average"}),
        "trace_mean": ((), float(trace), {"long_name": "mean trace of the Jacobian"}),
        "trace_gap": ((), gap, {"long_name": "sum of the exponents minus the mean trace"}),
        "dimension": ((), _kaplan_yorke(course[-1]), {"long_name": "Kaplan-Yorke dimension"}),
    }
    attrs = course_attributes(model, x, p) | {"reached": float(times[-1]), "transient": float(times[0])}
    return xr.Dataset(data, coords={"time": times[1:]}, attrs=attrs)


def _kaplan_yorke(exponents: Array) -> float:
    """j + (sum of the first j)/|the next|, j the most that sum to something not negative."""
    sums = np.cumsum(exponents)
    kept = np.flatnonzero(sums >= 0.0)
    if kept.size == 0:
        return 0.0
    j = int(kept[-1])
    return float(exponents.size) if j == exponents.size - 1 else j + 1 + float(sums[j] / abs(exponents[j + 1]))

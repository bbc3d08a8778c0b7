"""How long a path of a model with noise stays in a region, by simulation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from toymesa.analyse.proportions import confidence, proportion
from toymesa.arguments import Array, generator, scalar, whole
from toymesa.errors import ArgumentError, DomainError, ExpressionError, did_you_mean, named_arguments
from toymesa.kernels.batch import Controls
from toymesa.kernels.codes import STOCHASTIC, key_of
from toymesa.kernels.generate import compile_model, region_field
from toymesa.solver.inputs import Cells, cells
from toymesa.solver.labels import Outcome, labelled
from toymesa.solver.options import Progress, shown
from toymesa.solver.simulate import chosen_method, every_path, in_blocks, usual_step
from toymesa.status import Status
from toymesa.symbolic.model import TIME, Model
from toymesa.symbolic.parse import parse, parse_relation


@named_arguments
def escape_times(
    model: Model,
    region: Any,
    t: float,
    *,
    paths: int = 1000,
    step: float | None = None,
    method: str = "auto",
    between: bool = True,
    start: Any = None,
    params: Any = None,
    level: float = 0.95,
    rng: Any = None,
    threads: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """First time at which each path of a model with noise leaves a region, up to time t.

    Parameters
    ----------
    region : one condition or several, all of which hold inside: text ("x < 0", or a formula that is positive inside),
        SymPy relations or expressions, a list of them, or name -> condition. Over states, parameters and explicit
        observables, not over ``t``. start : inside; a path that starts outside has escaped at 0.
    t : last time. step : size of the steps (default as in
        :func:`toymesa.simulate`). method : "euler", "milstein" or "auto".
    between : count crossings between steps, by the exact probability and time of a Brownian bridge at frozen drift and
        noise. Without it paths are looked at only at the ends of steps, and escape late by about the root of the step.
    paths, start, params, rng : as in :func:`toymesa.simulate`. level : of the intervals.

    Returns a Dataset over the swept names and ``path``: ``t_exit`` (of a path still inside: t, censored), ``exit`` (position
    of the condition that failed, -1 inside; names in ``attrs["region"]``), the state at the end of the last step, ``status``
    (ok, or not_escaped). Over the swept names: ``escaped`` (share, with ``escaped_low``, ``escaped_high``, Wilson);
    ``mean_time`` and ``mean_time_error`` (standard error; NaN unless every path escaped); ``rate`` (escapes per unit of
    time spent inside, the maximum-likelihood rate of an exponential law, with ``rate_low``, ``rate_high``).
    Raises ArgumentError and DomainError for unusable arguments.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if model.noise is None:
        raise ArgumentError(f"model {model.name!r} has no noise: its exits are events of toymesa.solve")
    margins = margins_of(model, region)
    end = scalar("t", t, 0.0, low_open=True)
    given = None if step is None else scalar("step", step, 0.0, low_open=True)
    chosen = chosen_method(model, method)
    if chosen not in ("euler", "milstein"):
        raise DomainError(
            f"escape_times needs Brownian increments: method must be 'euler' or 'milstein'; got {method!r}"
        )
    draw, seed = generator("rng", rng)
    used = int(draw.integers(2**63)) if seed is None else seed
    level = confidence(level)
    batch = cells(model, start, params, draw)
    size = usual_step(model, batch, end) if given is None else given
    every, names = every_path(batch, whole("paths", paths, 1))
    found = _escape(model, list(margins.values()), every, names, end, size, chosen, between, used, threads, progress)
    data = _labelled(model, every, found, end, chosen, level)
    data.attrs |= {"region": json.dumps(list(margins)), "step": size, "seed": used, "level": level, "t": end}
    return data


def margins_of(model: Model, region: Any) -> dict[str, sp.Expr]:
    """Name -> expression that is positive inside a region."""
    if isinstance(region, Mapping):
        given = dict(region)
    elif isinstance(region, Iterable) and not isinstance(region, str | sp.Basic):
        given = {str(r): r for r in region}
    else:
        given = {str(region): region}
    out: dict[str, sp.Expr] = {}
    for name, value in given.items():
        for i, g in enumerate(_margins(model, str(name), value)):
            out[str(name) if i == 0 else f"{name} ({i + 1})"] = g
    if not out:
        raise ArgumentError("region must be at least one condition; got none")
    return out


def _margins(model: Model, name: str, value: Any) -> list[sp.Expr]:
    observables = {n: sp.Symbol(n, real=True) for n in model.observables}
    if isinstance(value, str):
        read = parse_relation if any(c in value for c in "<>=") else parse
        try:
            value = read(value, observables | model.symbols(), what="condition")
        except ExpressionError as error:
            raise ExpressionError(f"region {name!r}: {error}") from None
    parts = list(value.args) if isinstance(value, sp.And) else [value]
    out = []
    for part in parts:
        if isinstance(part, sp.StrictGreaterThan | sp.GreaterThan):
            g = part.lhs - part.rhs
        elif isinstance(part, sp.StrictLessThan | sp.LessThan):
            g = part.rhs - part.lhs
        elif isinstance(part, sp.Expr) and not isinstance(part, sp.logic.boolalg.Boolean):
            g = part
        else:
            raise ArgumentError(f"region {name!r} must be inequalities, or expressions positive inside; got {part}")
        g = g.subs({s: model.observables[s.name] for s in g.free_symbols if s.name in observables})
        known = {s.name: s for s in (*model.states, *model.params)}
        for s in sorted(g.free_symbols, key=lambda s: s.name):
            if s == TIME or s.name not in known:
                raise ArgumentError(f"region {name!r} uses unknown {s.name!r}{did_you_mean(s.name, known)}")
        g = g.subs({s: known[s.name] for s in g.free_symbols})
        if not g.free_symbols & set(model.states):
            raise ArgumentError(f"region {name!r} depends on no state; got {part}")
        out.append(g)
    return out


def _escape(
    model: Model, margins: list[sp.Expr], every: Cells, names: NDArray[np.uint64], end: float, step: float, method: str,
    between: bool, seed: int, threads: int | None, progress: Progress,
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    from toymesa.kernels.escape import run_exits

    compiled, region = compile_model(model), region_field(model, margins)
    field, noise, show = compiled.field, compiled.noise, shown(progress)
    assert model.noise is not None
    noises = int(model.noise.cols)
    rows = every.bad.size
    when, reached = np.full(rows, np.nan), np.full((rows, compiled.n), np.nan)
    which, status = np.full(rows, -1, dtype=np.int64), np.full(rows, int(Status.BAD_PARAM), dtype=np.int64)

    def work(block: NDArray[np.int64]) -> None:
        out = np.empty(block.size), np.empty((block.size, compiled.n))
        codes = np.empty(block.size, np.int64), np.empty(block.size, np.int64)
        run_exits(
            field, noise, region, STOCHASTIC[method], end, step, noises, len(margins), between,
            every.start_columns.part(block), every.param_columns.part(block), key_of(seed), names[block], *out, *codes,
        )  # fmt: skip
        (when[block], reached[block]), (which[block], status[block]) = out, codes

    in_blocks(np.flatnonzero(~every.bad), work, threads, show)
    return when, reached, which, status


def _labelled(
    model: Model, every: Cells, found: tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]], end: float,
    method: str, level: float,
) -> xr.Dataset:  # fmt: skip
    when, reached, which, codes = found
    status = codes.astype(np.uint8)
    outcome = Outcome(reached[:, None], status, np.zeros((status.size, 3), dtype=np.int32), when, method)
    data = labelled(model, every, np.array([end]), Controls(), outcome).isel(time=0, drop=True).drop_vars("nsteps")
    for name in ("rtol", "atol"):
        del data.attrs[name]
    shape, dims, rest = every.shape, every.dims, every.dims[:-1]
    data["t_exit"] = (dims, when.reshape(shape), {"long_name": "first exit; of a path still inside the last time"})
    data["exit"] = (dims, which.reshape(shape).astype(np.int32), {"long_name": "condition that failed, -1 inside"})
    left, times = (which >= 0).reshape(shape), when.reshape(shape)
    usable = np.isin(status, (int(Status.OK), int(Status.NOT_ESCAPED))).reshape(shape)
    hits, total = (left & usable).sum(axis=-1), usable.sum(axis=-1)
    share, low, high = proportion(hits, total, level)
    with np.errstate(all="ignore"):
        spent = np.where(usable, times, 0.0).sum(axis=-1)
        all_left = (hits == shape[-1]) & (hits > 1)
        mean = np.where(all_left, times.mean(axis=-1), np.nan)
        error = np.where(all_left, times.std(axis=-1, ddof=1 if shape[-1] > 1 else 0) / np.sqrt(shape[-1]), np.nan)
        tail = (1.0 - level) / 2.0
        rate = hits / spent
        rate_low = np.where(hits > 0, chi2.ppf(tail, np.maximum(2 * hits, 1)) / (2.0 * spent), 0.0)
        rate_high = chi2.ppf(1.0 - tail, 2 * hits + 2) / (2.0 * spent)
    data["escaped"] = (rest, share, {"long_name": "share of paths that escaped"})
    data["escaped_low"], data["escaped_high"] = (rest, low), (rest, high)
    data["mean_time"] = (rest, mean, {"long_name": "mean time of escape"})
    data["mean_time_error"] = (rest, error, {"long_name": "its standard error"})
    data["rate"] = (rest, rate, {"long_name": "escapes per unit of time inside"})
    data["rate_low"], data["rate_high"] = (rest, rate_low), (rest, rate_high)
    return data

"""Paths of a model with noise, over every combination of the parameters and starts given."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, generator, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean, named_arguments
from toymesa.kernels import blocks
from toymesa.kernels.batch import Controls
from toymesa.kernels.codes import STOCHASTIC, key_of
from toymesa.kernels.generate import compile_model, milstein_terms
from toymesa.solver.inputs import Cells, cells
from toymesa.solver.labels import Outcome, labelled
from toymesa.solver.options import Progress, output_times, shown
from toymesa.status import Status
from toymesa.symbolic.model import Model

_LANES = "-lanes"
_SCHEMES = ("auto", *STOCHASTIC)
_METHODS = (*_SCHEMES, "euler-lanes", "milstein-lanes")
_SHARE, _MOST_STEPS = 0.02, 1e6  # of the shortest time scale, and steps of one path, where no step is given
_BLOCK, _LANE_BLOCK = 256, 1024


@named_arguments
def simulate(
    model: Model,
    t: Any,
    *,
    paths: int = 1000,
    step: float | None = None,
    method: str = "auto",
    start: Any = None,
    params: Any = None,
    rng: Any = None,
    threads: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """Simulate dx = f dt + B dW (Ito) many times by steps of one size.

    Parameters
    ----------
    model : a model with noise (see :class:`toymesa.GradientNoise`). t : end time, at which alone the state is kept, or
        the rising list of times wanted. step : largest step (default: see :func:`usual_step`); every output time is
        hit. paths : how many, a dimension ``path`` of the result. start, params : as in :func:`toymesa.solve`.
    method : "euler" (Euler-Maruyama; weak order 1, strong order 1/2), "milstein" (strong order 1; needs commuting noise),
        "weak2" (Platen's explicit method of weak order 2, for expectations), or "auto": Milstein where the noise
        commutes, which for additive noise is Euler-Maruyama, else Euler-Maruyama. "euler-lanes" and "milstein-lanes" make
        the same steps on the same noise for many paths side by side, ten times as fast; they agree to rounding, and
        "auto" takes them.
    rng : seed or Generator. Path i of cell j depends on the seed, i and j alone: more paths, another batch of the same
        first cells, or other threads change no bit.

    Returns an ``xarray.Dataset`` over the swept names, ``path`` and ``time`` with states, observables and ``status``.
    Numerical: steps are not adapted; halve ``step`` to see its error. Raises ArgumentError and DomainError for unusable
    arguments; a path that leaves the floating-point range gets a status, and NaN from there.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    if model.noise is None:
        raise ArgumentError(f"model {model.name!r} has no noise: use toymesa.solve, or give it some by GradientNoise")
    chosen = path_method(model, method)
    times = path_times(t)
    given = None if step is None else scalar("step", step, 0.0, low_open=True)
    count = whole("paths", paths, 1)
    draw, seed = generator("rng", rng)
    used = int(draw.integers(2**63)) if seed is None else seed  # recorded, so that every run can be repeated
    batch = cells(model, start, params, draw)
    size = usual_step(model, batch, float(times[-1])) if given is None else given
    every, names = every_path(batch, count)
    states, status = _run(model, every, names, times, size, chosen, used, threads, shown(progress))
    rows = every.bad.size
    outcome = Outcome(
        states=states, status=status.astype(np.uint8), steps=np.zeros((rows, 3), dtype=np.int32),
        when=np.full(rows, times[-1]), method=chosen,
    )  # fmt: skip
    data = labelled(model, every, times, Controls(), outcome)
    for name in ("rtol", "atol"):
        del data.attrs[name]
    data.attrs |= {"step": size, "seed": used}
    return data.drop_vars("nsteps")


def usual_step(model: Model, batch: Cells, end: float) -> float:
    """The step where none is given: a thousandth of the end time, and a fiftieth of the drift's shortest time scale.

    That is read off at the start of the first cell (so that more cells change no bit of the others), in the norm of the
    Jacobian, and makes no more than a million steps. It is a first guess: halve ``step`` to see the error of one.
    """
    n = len(model.states)
    flat = np.zeros(n * n)
    compile_model(model).field(1, 0.0, batch.starts[0].copy(), batch.params[0].copy(), flat)
    fastest = float(np.linalg.norm(flat.reshape(n, n), 2)) if np.isfinite(flat).all() else 0.0
    size = end / 1000
    return max(min(size, _SHARE / fastest), end / _MOST_STEPS) if fastest > 0 else size


def path_method(model: Model, method: object) -> str:
    """The method of a simulation: a scheme, in lanes where that was asked for, and where nothing was."""
    lanes = isinstance(method, str) and method in ("auto", "euler-lanes", "milstein-lanes")
    scheme = chosen_method(model, str(method).removesuffix(_LANES) if lanes else method, _METHODS)
    return scheme + _LANES if lanes else scheme


def chosen_method(model: Model, method: object, allowed: tuple[str, ...] = _SCHEMES) -> str:
    """The scheme that was asked for; "auto" is Milstein where the noise commutes, else Euler-Maruyama."""
    if not isinstance(method, str) or method not in _SCHEMES:
        raise DomainError(f"there is no method {method!r} for noise{did_you_mean(str(method), allowed)}")
    if method not in ("auto", "milstein"):
        return method
    if _commutes(model):
        return "milstein"
    if method == "milstein":
        raise DomainError(f"method 'milstein' needs commuting noise, which that of {model.name!r} is not; use 'euler'")
    return "euler"


def _commutes(model: Model) -> bool:
    """Whether Milstein's terms are symmetric in the two noises, so that no Levy area is needed."""
    terms = milstein_terms(model)
    m = range(len(terms[0]))
    return all(sp.simplify(row[j][r] - row[r][j]) == 0 for row in terms for j in m for r in m if j < r)


def path_times(t: Any) -> Array:
    """Output times of paths, checked; a scalar gives the end alone."""
    times = output_times(t, until=None, discrete=False)
    if np.ndim(t) == 0:
        times = times[-1:]
    if times[0] < 0 or times[-1] == 0:
        raise DomainError(f"t of a model with noise must run forward from 0; got {times[-1]:g}")
    return times


def every_path(batch: Cells, count: int) -> tuple[Cells, NDArray[np.uint64]]:
    """The cells with a dimension ``path`` behind their own, and the stream (cell) and path number of each row."""
    if "path" in batch.dims:
        raise DomainError("a dimension must not be called 'path': the name is reserved")
    cell, path = np.divmod(np.arange(batch.bad.size * count), count)
    every = replace(
        batch,
        dims=(*batch.dims, "path"),
        shape=(*batch.shape, count),
        start_columns=batch.start_columns.take(cell),
        param_columns=batch.param_columns.take(cell),
        bad=batch.bad[cell],
    )
    return every, np.stack([cell, path], axis=1).astype(np.uint64)


def path_runner(
    model: Model, times: Array, step: float, method: str
) -> Callable[[Array, Array, NDArray[np.uint64], NDArray[np.uint64]], tuple[Array, NDArray[np.int64]]]:
    """A function of starts (row, state), parameters (row, parameter), a key, and the stream and path number of each row.

    It returns states (row, time, state), NaN where a path had left the floating-point range, and codes of ``Status``.
    """
    from toymesa.kernels.lanes.paths import path_programs
    from toymesa.kernels.stochastic import run_paths

    assert model.noise is not None
    n, scheme = len(model.states), method.removesuffix(_LANES)
    programs = path_programs(model, scheme) if method != scheme else None
    compiled, noises = compile_model(model), int(model.noise.cols)
    fields = (compiled.field, compiled.noise) if programs is None else ()

    def run(
        starts: Array, params: Array, key: NDArray[np.uint64], names: NDArray[np.uint64]
    ) -> tuple[Array, NDArray[np.int64]]:
        out, code = np.empty((starts.shape[0], times.size, n)), np.empty(starts.shape[0], np.int64)
        if programs is not None:
            programs.run(times, step, starts, params, key, names, out, code)
        else:
            run_paths(*fields, STOCHASTIC[scheme], times, step, noises, starts, params, key, names, out, code)
        return out, code

    return run


def _run(
    model: Model, every: Cells, names: NDArray[np.uint64], times: Array, step: float, method: str,
    seed: int, threads: int | None, show: Any,
) -> tuple[Array, NDArray[np.int64]]:  # fmt: skip
    key, run = key_of(seed), path_runner(model, times, step, method)
    states = np.full((every.bad.size, times.size, len(model.states)), np.nan)
    status = np.full(every.bad.size, int(Status.BAD_PARAM), dtype=np.int64)

    def work(rows: NDArray[np.int64]) -> None:
        states[rows], status[rows] = run(
            every.start_columns.part(rows), every.param_columns.part(rows), key, names[rows]
        )

    block = _LANE_BLOCK if method.endswith(_LANES) else _BLOCK
    in_blocks(np.flatnonzero(~every.bad), work, threads, show, block=block)
    return states, status


def in_blocks(
    rows: NDArray[np.int64], work: Callable[[NDArray[np.int64]], None], threads: int | None,
    show: Callable[[int, int], None] | None, *, block: int = _BLOCK,
) -> None:  # fmt: skip
    """Have the rows of paths worked on, a block at a time, over threads."""
    workers = whole("threads", threads or os.cpu_count() or 1, 1)
    blocks.in_blocks(rows.size, block, lambda part: work(rows[part]), threads=workers, progress=show)

"""How to solve: tolerances, times, method, steps and progress, each checked, or one clear line."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toymesa.arguments import Array, numbers, real, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.kernels.batch import Controls
from toymesa.kernels.codes import LANES, METHODS

Progress = bool | Callable[[int, int], None]
_MOST_STEPS = 10_000_000
_METHODS = ("auto", "closed", *(m for m in METHODS if m != "auto"), *LANES)
# what other solvers call methods of the same kind
_ELSEWHERE = {
    **dict.fromkeys(("rk45", "rk54", "dopri5", "ode45", "rk4", "rk23"), "tsit5"),
    **dict.fromkeys(("dop853", "dopri8", "vern7", "vern8"), "dop853"),
    **dict.fromkeys(("radau", "bdf", "rodas5", "ode15s", "ode23s", "kvaerno5"), "rodas5p"),
    **dict.fromkeys(("lsoda", "adams"), "auto"),
}


def controls(
    *,
    method: object,
    rtol: object,
    atol: object,
    first_step: object,
    max_step: object,
    max_steps: object,
    steady: bool,
    span: float,
    states: Sequence[str],
) -> tuple[str, Controls]:
    """The method wanted, and everything that a numerical method needs, checked."""
    wanted = _method(method)
    relative, absolute = _tolerances(rtol, atol, states)
    return wanted, Controls(
        method="auto" if wanted == "closed" else wanted,
        rtol=relative,
        atol=absolute,
        first_step=0.0 if first_step is None else _first_step(first_step, span),
        max_step=scalar("max_step", max_step, 0.0, low_open=True, infinite=True),
        max_steps=whole("max_steps", max_steps, 1, 10**15),
        steady=steady,
    )


def _method(method: object) -> str:
    if not isinstance(method, str):
        raise ArgumentError(f"method must be a name; got {method!r} (allowed: {', '.join(_METHODS)})")
    if method in _METHODS:
        return method
    if twin := _ELSEWHERE.get(method.lower()):
        raise DomainError(f"there is no method {method!r}; did you mean {twin!r}? (allowed: {', '.join(_METHODS)})")
    raise DomainError(f"there is no method {method!r}{did_you_mean(method, _METHODS)}")


def _tolerances(rtol: object, atol: object, states: Sequence[str]) -> tuple[float, Array]:
    """rtol as a float of at least ten times the spacing of doubles, atol as one number a state."""
    relative = scalar("rtol", rtol, 10 * float(np.finfo(float).eps))
    absolute = real("atol", atol, 0.0, low_open=True)  # type: ignore[arg-type]  # checked by what it is for
    if absolute.ndim > 1 or (absolute.ndim == 1 and absolute.size != len(states)):
        raise DomainError(f"atol has shape {absolute.shape}, the state has shape ({len(states)},): {', '.join(states)}")
    return relative, np.array(np.broadcast_to(absolute, len(states)), dtype=float)


def _first_step(value: object, span: float) -> float:
    step = scalar("first_step", value, 0.0, low_open=True)
    if step > span > 0:
        raise DomainError(f"first_step must not exceed the span {span:g}; got {step:g}")
    return step


def output_times(t: Any, *, until: str | None, discrete: bool) -> Array:
    """Requested times: a scalar gives 201 from 0 (every step of a map), a list those; with ``until`` the cap alone."""
    if until not in (None, "steady"):
        raise DomainError(f"until must be None or 'steady'; got {until!r}")
    if until == "steady":
        return np.array([1e8 if t is None else scalar("t", _last(numbers("t", t)), 0.0, low_open=True)])
    if t is None:
        raise ArgumentError("t is missing: give an end time, a list of times, or until='steady'")
    values = numbers("t", t)
    if values.ndim > 1:
        raise DomainError(f"t must be a number or a list of times; got shape {values.shape}")
    if values.size == 0:
        raise DomainError("t must not be empty")
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)].flat[0]
        raise DomainError(f"t must be finite; got {bad:g} (for the end of training use until='steady')")
    if values.ndim == 0:
        end = float(values)
        if end == 0:
            values = np.zeros(1)
        elif discrete and end > 0 and end == int(end):
            if end > _MOST_STEPS:
                raise DomainError(
                    f"t of a map keeps every step, at most {_MOST_STEPS}; got {end:g} (or list the times)"
                )
            values = np.arange(int(end) + 1, dtype=float)
        else:
            values = np.linspace(0.0, end, 201)
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise DomainError("t must be strictly increasing, or strictly decreasing for backward integration")
    if values.size > 1 and ((steps[0] > 0 and values[0] < 0) or (steps[0] < 0 and values[0] > 0)):
        raise DomainError(f"t must lie on one side of the start at 0; got {values[0]:g} to {values[-1]:g}")
    if discrete and ((values < 0).any() or (values != np.round(values)).any()):
        raise DomainError("t of a map counts its steps: whole numbers from 0")
    return np.ascontiguousarray(values, dtype=float)


def _last(values: Array) -> float:
    if values.size == 0:
        raise DomainError("t must not be empty")
    return float(values.flat[-1])


def shown(progress: Progress) -> Callable[[int, int], None] | None:
    """The progress to report to: a given function, a bar on standard error once it takes two seconds, or none."""
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

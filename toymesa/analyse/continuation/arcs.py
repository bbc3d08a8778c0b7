"""Pseudo-arclength continuation of the curve F(u) = 0 with one unknown more than equations (Keller 1977).

Knows nothing about models: a system has ``residual(u)`` and ``matrix(u)`` in units of about 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_CONVERGED = 1e-13  # size of the last Newton step, relative to 1 + |u|
_TRUSTED = 1e-9  # a step this small that no longer shrinks is rounding
_WILD = 1e50  # no step of any use is longer
_ITERATIONS = 10
_TURN = 0.12  # radians between neighbouring tangents that the step size aims at
_MOST_TURN = 0.35
_SAME = 1e-6


class System(Protocol):
    """Equations whose solutions form a curve."""

    def residual(self, u: Array) -> Array:
        """F(u), one entry less than u has."""

    def matrix(self, u: Array) -> Array:
        """dF/du."""


class Eliminating(Protocol):
    """The same with an elimination of its own instead of a matrix."""

    def residual(self, u: Array) -> Array:
        """F(u), one entry less than u has."""

    def solver(self, u: Array) -> Solver | None:
        """(row, right) -> x with [matrix; row] x = right; None where the equations are not finite."""


Solver = Callable[[Array, Array], Array]
Equations = System | Eliminating


@dataclass(frozen=True)
class Steps:
    """How to step: first, smallest and largest arclength, most points, and the moment (monotonic clock) to stop."""

    first: float = 0.01
    least: float = 1e-7
    most: float = 0.05
    points: int = 2000
    deadline: float = float("inf")


@dataclass(frozen=True)
class Arc:
    """Points (k, unknowns) of a curve with their unit tangents, and why it ends: "low" or "high" of an unknown, "loop",
    "points", "time", "step"; ``bound`` is the position of that unknown, -1 otherwise."""

    points: Array
    tangents: Array
    end: str
    bound: int = -1


def solved(matrix: Array, row: Array, right: Array) -> Array:
    """The solution of [matrix; row] x = right, rows brought to unit size; least squares where it is singular."""
    a = np.vstack([matrix, row])
    size = np.linalg.norm(a, axis=1)
    size[size == 0] = 1.0
    try:
        return np.linalg.solve(a / size[:, None], right / size)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(a / size[:, None], right / size, rcond=None)[0])


def solver(system: Equations, u: Array) -> Solver | None:
    """(row, right) -> x with [matrix; row] x = right at u, by the system's own elimination where it has one."""
    if hasattr(system, "solver"):
        return system.solver(u)
    m = system.matrix(u)
    return (lambda row, right: solved(m, row, right)) if np.isfinite(m).all() else None


def correct(system: Equations, u: Array, row: Array, iterations: int = _ITERATIONS) -> Array | None:
    """The point of the curve on the hyperplane through u with normal ``row``, by Newton's method; None without one."""
    anchor, last = u, np.inf
    for k in range(iterations):
        f = system.residual(u)
        solve = solver(system, u) if np.isfinite(f).all() else None
        if solve is None:
            return None
        step = solve(row, -np.append(f, row @ (u - anchor)))
        if not np.isfinite(step).all() or np.abs(step).max() > _WILD:
            return None
        size = float(np.linalg.norm(step) / (1 + np.linalg.norm(u)))
        if k > 0 and size > 2 * last and size > _TRUSTED:
            return None
        u = u + step
        if size < _CONVERGED or (size < _TRUSTED and size > 0.3 * last):
            return u
        last = size
    return u if last < _TRUSTED else None


def tangent(system: Equations, u: Array, like: Array) -> Array:
    """The unit tangent of the curve at u, on the side of ``like``."""
    solve = solver(system, u)
    if solve is None:
        return like
    right = np.zeros(u.size)
    right[-1] = 1.0
    t = solve(like, right)
    size = np.linalg.norm(t)
    if not np.isfinite(size) or size == 0:
        return like
    t = t / size
    return t if t @ like > 0 else -t


def null_directions(matrix: Array, tolerance: float = 1e-9) -> Array:
    """Orthonormal vectors that a matrix sends to zero, (number, columns), by singular values relative to the largest."""
    _, sizes, right = np.linalg.svd(matrix)
    rank = int((sizes > tolerance * max(sizes[0] if sizes.size else 0.0, 1e-300)).sum())
    return np.asarray(right[rank:])


def trace(
    system: Equations,
    u: Array,
    direction: Array,
    low: Array,
    high: Array,
    steps: Steps,
    *,
    halt: Callable[[Array], bool] | None = None,
    renew: Callable[[Array], Array] | None = None,
) -> Arc:
    """Follow the curve from u, a point on it, towards ``direction`` until it leaves [low, high] or closes.

    low, high : bounds of every unknown, infinite ones allowed; the last point lies on the bound that was reached.
    halt : the curve also ends where this is true of a point ("halt"). renew : called with every new point, for a system
    whose normalization moves along.
    """
    points, tangents = [u], [tangent(system, u, direction)]
    h, travelled = steps.first, 0.0

    def arc(end: str, bound: int = -1) -> Arc:
        return Arc(np.array(points), np.array(tangents), end, bound)

    while len(points) < steps.points:
        if time.monotonic() > steps.deadline:
            return arc("time")
        new = advance(system, points[-1], tangents[-1], h)
        if new is None:
            h /= 2
            if h < steps.least:
                return arc("step")
            continue
        v, t, turn = new
        out = (v < low) | (v > high)
        if out.any():
            landed = _land(system, points[-1], v, low, high)
            if landed is None:
                if h > 1e-3 * steps.first:
                    h /= 4
                    continue
                index = int(np.flatnonzero(out)[0])
                return arc("high" if v[index] > high[index] else "low", index)
            v, index, side = landed
            if np.linalg.norm(v - points[-1]) > 1e-12:
                points.append(v)
                tangents.append(tangent(system, v, tangents[-1]))
            return arc(side, index)
        travelled += float(np.linalg.norm(v - points[-1]))
        if renew is not None:
            v = renew(v)
            t = tangent(system, v, t)
        points.append(v)
        tangents.append(t)
        if halt is not None and halt(v):
            return arc("halt")
        if travelled > 4 * steps.most and _closed(points, tangents, h):
            return arc("loop")
        reach = steps.most * (1 + float(np.linalg.norm(v)) / 8)  # far out, steps in proportion
        h = min(reach, h * float(np.clip(_TURN / max(turn, 1e-9), 0.5, 1.5)))
    return arc("points")


def advance(system: Equations, u: Array, t: Array, h: float) -> tuple[Array, Array, float] | None:
    """The next point, its tangent, and the angle turned; None if the step was too long."""
    v = correct(system, u + h * t, t, 6)
    if v is None or np.linalg.norm(v - u - h * t) > 0.5 * h:
        return None
    new = tangent(system, v, t)
    turn = float(np.arccos(np.clip(new @ t, -1.0, 1.0)))
    return None if turn > _MOST_TURN else (v, new, turn)


def _land(system: Equations, u: Array, v: Array, low: Array, high: Array) -> tuple[Array, int, str] | None:
    """The point of the curve on the first bound that the step from u to v crosses."""
    with np.errstate(all="ignore"):
        share = np.where(v > high, (high - u) / (v - u), np.where(v < low, (low - u) / (v - u), np.inf))
    index = int(np.argmin(share))
    side = "high" if v[index] > high[index] else "low"
    guess = u + np.clip(share[index], 0.0, 1.0) * (v - u)
    guess[index] = high[index] if side == "high" else low[index]
    row = np.zeros(u.size)
    row[index] = 1.0
    landed = correct(system, guess, row)
    if landed is None or np.linalg.norm(landed - guess) > 2 * np.linalg.norm(v - u) + 1e-12:
        return None
    landed[index] = guess[index]
    return landed, index, side


def _closed(points: list[Array], tangents: list[Array], h: float) -> bool:
    """Whether the last step passed the first point, going the same way."""
    a, b, first = points[-2], points[-1], points[0]
    step = b - a
    share = float((first - a) @ step / (step @ step))
    if not -0.01 <= share <= 1.01 or tangents[-1] @ tangents[0] < 0.9:
        return False
    return bool(np.linalg.norm(a + share * step - first) < 0.1 * np.linalg.norm(step))


def lies_on(
    system: Equations, points: Array, u: Array, base: int, renew: Callable[[Array], Array] | None = None
) -> bool:
    """Whether a solution is on a curve given by its points: compared in the first ``base`` unknowns."""
    a, b = points[:-1], points[1:]
    step = (b - a)[:, :base]
    size = np.einsum("ij,ij->i", step, step)
    along = np.einsum("ij,ij->i", u[:base] - a[:, :base], step)
    share = np.clip(along / np.maximum(size, 1e-300), 0.0, 1.0)
    feet = a + share[:, None] * (b - a)
    distance = np.linalg.norm(u[:base] - feet[:, :base], axis=1)
    for k in np.argsort(distance)[:3]:
        if distance[k] > 0.3 * np.sqrt(size[k]) + _SAME:
            continue
        if distance[k] < 1e-10:
            return True
        row = np.zeros(u.size)  # the hyperplane across the chord through the foot also holds u
        row[:base] = step[k] / np.sqrt(max(size[k], 1e-300))
        foot = correct(system, feet[k] if renew is None else renew(feet[k]), row)
        if foot is not None and np.linalg.norm((foot - u)[:base]) < _SAME + 1e-3 * distance[k]:
            return True
    return False

"""Which branches emanate from a branch point: all solutions on a small sphere in its kernel.

With a one-dimensional crossing that is the algebraic branching equation; with several eigenvalues crossing at once it is
a system of equations of degree two or more, whose lines are found from many directions, the symmetric ones among them.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, qmc

from toymesa.analyse.continuation.arcs import null_directions, solved
from toymesa.analyse.continuation.augmented import BranchPoint
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_RADIUS = 4e-3
_SAME = 0.05  # of the radius
_FLAT = 1e-11  # relative size of a singular value that is zero: the point is on a continuum
_DRAWS = 24  # directions tried for each line that could exist at most
_MOST = 6000
_PATTERNS = 10  # states up to which all patterns of equal entries are tried as directions


@dataclass(frozen=True)
class Emanating:
    """Half-branches: points on the sphere and unit directions, (number, n + m) each; and whether these are all.

    most : lines that can exist if the branching equations are quadratic and regular, 2^k (Bezout); ``complete`` is True
    where that many were found, two lines at a simple branch point. continuum : whether fixed points around it form lines
    or surfaces at one value of the parameter, which are no branches.
    """

    points: Array
    directions: Array
    most: int
    complete: bool
    continuum: bool


def emanating(problem: Problem, at: BranchPoint, deadline: float, radius: float = _RADIUS) -> Emanating:
    """All half-branches found on the sphere of ``radius`` (in u) around a branch point."""
    k = len(at.left)
    found: list[Array] = []
    lines = 2**k
    waiting = deque(_directions(problem, at, min(_DRAWS * lines, _MOST)))
    continuum = 0
    while waiting and time.monotonic() < deadline:
        begin = waiting.popleft()
        point = _on_sphere(problem, at, begin, radius)
        if point is None:
            continue
        if all(np.linalg.norm(point - other) > _SAME * radius for other in found):
            if len(null_directions(problem.matrix(point), _FLAT)) > 1:
                continuum += 1
                if continuum > 3:
                    break
                continue
            found.append(point)
            opposite = at.kernel @ (at.u - point)
            waiting.appendleft(opposite / np.linalg.norm(opposite))
            if k == 1 and len(found) == 4:
                break
    points = np.array(found).reshape(-1, at.u.size)
    away = points - at.u
    directions = away / np.linalg.norm(away, axis=1, keepdims=True) if len(away) else away
    return Emanating(points, directions, lines, len(found) >= 2 * lines and not continuum, continuum > 0)


def _directions(problem: Problem, at: BranchPoint, number: int) -> Array:
    """Unit vectors in the kernel, (count, k + 1): a fine circle, or the symmetric directions and a spread-out rest."""
    k = len(at.left)
    if k == 1:
        angle = 2 * np.pi * (np.arange(64) + 0.31) / 64
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    draws = norm.ppf(qmc.Halton(k + 1, scramble=False).random(number + 1)[1:])
    n = problem.n
    if n <= _PATTERNS:  # equal entries in some states, zero in the others, across the kernel's own trivial direction
        patterns = np.array(list(itertools.product((0.0, 1.0), repeat=n)))[1:]
        shadows = np.hstack([patterns, np.zeros((len(patterns), problem.m))]) @ at.kernel.T
        flat = at.kernel[:, n:]  # how far each kernel direction moves the parameter
        size = float(np.linalg.norm(flat))
        if size > 1e-12:  # leave the parameter out: it follows at second order
            out = flat[:, 0] / np.linalg.norm(flat[:, 0])
            shadows = shadows - (shadows @ out)[:, None] * out
            draws = np.vstack([out, -out, draws])
        shadows = shadows[np.linalg.norm(shadows, axis=1) > 1e-3]
        shadows = shadows / np.linalg.norm(shadows, axis=1, keepdims=True)
        shadows = np.unique(np.round(shadows, 9), axis=0)
        draws = np.vstack([shadows, -shadows, draws])
    return np.asarray(draws / np.linalg.norm(draws, axis=1, keepdims=True))


def _on_sphere(problem: Problem, at: BranchPoint, begin: Array, radius: float) -> Array | None:
    """Newton's method for F(u) = 0 with |kernel (u - u*)| = radius from one direction."""
    u = at.u + radius * begin @ at.kernel
    for _ in range(25):
        f, m = problem.residual(u), problem.matrix(u)
        if not (np.isfinite(f).all() and np.isfinite(m).all()):
            return None
        inside = at.kernel @ (u - at.u)
        row = inside @ at.kernel / radius
        step = solved(m, row, -np.append(f, (inside @ inside - radius**2) / (2 * radius)))
        size = float(np.linalg.norm(step))
        if not np.isfinite(size) or size > 20 * radius:
            return None
        if size > 0.5 * radius:
            step = step * (0.5 * radius / size)
        u = u + step
        if size < 1e-11:
            return u if np.linalg.norm(u - at.u) < 2 * radius else None
    return None


def paired(directions: Array) -> list[tuple[int, int | None]]:
    """Half-branches joined to lines through the branch point: each with the one most opposite to it, if any is."""
    left = list(range(len(directions)))
    out: list[tuple[int, int | None]] = []
    while left:
        i = left.pop(0)
        if left:
            j = min(left, key=lambda o: float(directions[i] @ directions[o]))
            if directions[i] @ directions[j] < -0.9:
                left.remove(j)
                out.append((i, j))
                continue
        out.append((i, None))
    return out

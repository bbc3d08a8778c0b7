"""Where continuation begins: fixed points at given parameters, so that no branch is missed for want of a start."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_SAME = 1e-7  # distance, in scaled states, below which two fixed points are one
_ITERATIONS = 60
_SOLVED = 1e-9


def starting_points(
    problem: Problem, q: Array, guesses: Array | None, number: int, deadline: float = math.inf
) -> list[Array]:
    """Fixed points u = (y, q) at free parameters q (fractions of their ranges), each once.

    guesses : states (k, n) to begin from; None looks from ``number`` points of a Halton sequence over the box, the
    model's start and the middle. deadline (monotonic clock) ends the search. Numerical: Newton's method with step
    halving, so that none is certified and some may be missed; points outside the box are dropped unless they were
    reached from a guess.
    """
    box = problem.box
    searched = guesses is None
    if guesses is None:
        cloud = qmc.Halton(len(box), scramble=False).random(number + 1)[1:]
        guesses = np.vstack([problem.start, box.mean(axis=1), box[:, 0] + cloud * (box[:, 1] - box[:, 0])])
    free = problem.low + q * problem.span
    y = np.array([problem.unknown(x, free)[: problem.n] for x in guesses])
    found: list[Array] = []
    slack = 1e-9 * (box[:, 1] - box[:, 0])
    for point in _newton(problem, y, q, deadline):
        u = np.concatenate([point, q])
        x = problem.state(u)
        if searched and ((x < box[:, 0] - slack) | (x > box[:, 1] + slack)).any():
            continue
        if all(np.linalg.norm(point - other[: problem.n]) > _SAME * (1 + np.linalg.norm(point)) for other in found):
            found.append(u)
    return found


def _newton(problem: Problem, y: Array, q: Array, deadline: float) -> list[Array]:
    """Where Newton's method with step halving ends from each row of y, all rows at once."""
    active = np.arange(len(y))
    y = y.copy()
    done: list[Array] = []
    f = problem.residuals(y, q)
    for _ in range(_ITERATIONS):
        if time.monotonic() > deadline:
            break
        fine = np.isfinite(f).all(axis=1)
        active, f = active[fine], f[fine]
        if not active.size:
            break
        j = problem.jacobians(y[active], q)
        usable = np.isfinite(j).all(axis=(1, 2))
        active, f, j = active[usable], f[usable], j[usable]
        if not active.size:
            break
        try:
            step = -np.linalg.solve(j, f[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:  # some of them are exactly singular
            step = -np.einsum("kij,kj->ki", np.linalg.pinv(j, rcond=1e-13), f)
        size = np.linalg.norm(f, axis=1)
        share = np.ones(active.size)
        new = problem.residuals(y[active] + step, q)
        for _ in range(12):
            worse = ~(np.linalg.norm(new, axis=1) <= (1 - 1e-4 * share) * size) & (size > 1e-13)
            if not worse.any():
                break
            share[worse] /= 2
            new[worse] = problem.residuals(y[active[worse]] + share[worse, None] * step[worse], q)
        y[active] += share[:, None] * step
        f = new
        small = np.linalg.norm(step, axis=1) < 1e-11 * (1 + np.linalg.norm(y[active], axis=1))
        small &= np.linalg.norm(f, axis=1) < _SOLVED  # a minimum of |F| is no fixed point
        done += [y[i].copy() for i in active[small]]
        active, f = active[~small], f[~small]
    return done

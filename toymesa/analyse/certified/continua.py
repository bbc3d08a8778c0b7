"""Curves and surfaces of fixed points: where there are fewer equations than states, or the equations lose rank."""

from __future__ import annotations

from collections.abc import Sequence

import flint
import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.linalg import qr

from toymesa.analyse.certified.certify import Certifier, Zero
from toymesa.analyse.certified.search import Search

Array = NDArray[np.float64]
_SAMPLES, _SEED = 48, 20240229


def samples(search: Search, lo: Array, hi: Array, start: Array) -> Array:
    """Points of the zero set of a system in a box (infinite ends allowed), from the start and from random places."""
    generator = np.random.default_rng(_SEED)
    low = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi - 10.0, -5.0))
    high = np.where(np.isfinite(hi), hi, low + 10.0)
    begin = np.concatenate([start[None, :], low + (high - low) * generator.random((_SAMPLES - 1, lo.size))])
    x, arrived = search.project(begin)
    room = 1e-9 * (1.0 + np.abs(x))
    return x[arrived & (x >= lo - room).all(axis=1) & (x <= hi + room).all(axis=1)]


def proved(states: Sequence[sp.Symbol], exprs: Sequence[sp.Expr], search: Search, x: Array) -> Zero | None:
    """A zero of r equations in n > r states near x through which a set of dimension n - r runs, proved; or None.

    n - r states are kept where they are, and the others are the certified zero of the equations that are left: full
    rank makes the zero set there a smooth one of dimension n - r (implicit function theorem).
    """
    slope = search.slope(x[None, :])[0]
    if not np.isfinite(slope).all():
        return None
    order = qr(slope, pivoting=True, mode="r")[1]
    free, kept = sorted(order[: len(exprs)]), sorted(order[len(exprs) :])
    fixed = {states[i]: sp.Rational(*float(x[i]).as_integer_ratio()) for i in kept}
    zero = Certifier([states[i] for i in free], [e.xreplace(fixed) for e in exprs]).certify(x[free])
    if zero is None:
        return None
    balls = [flint.arb(float(v)) for v in x]
    for i, ball in zip(free, zero.balls, strict=True):
        balls[i] = ball
    return Zero(balls, balls)


def empty(search: Search, lo: Array, hi: Array, *, max_boxes: int = 4000) -> bool:
    """Whether a system surely has no zero in a finite box."""
    if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
        return False
    found = search.run(lo, hi, max_boxes=max_boxes)
    return found.undecided[0].shape[0] == 0


def dimension(search: Search, x: Array) -> int:
    """Dimension of the zero set through a zero, by numbers: 0 unless the rank is lost along a whole set of zeros.

    Points a small step away along the kernel are moved back onto the zero set: where they stay away, and the rank is
    the same there, the zeros are a continuum; at an isolated degenerate zero they return to it.
    """
    slope = search.slope(x[None, :])[0]
    if not np.isfinite(slope).all():
        return 0
    size = 1e-9 * max(float(np.linalg.norm(slope, 2)), 1e-9)
    _, values, right = np.linalg.svd(slope)
    rank = int((values > size).sum())
    kernel = right[rank:]
    if kernel.shape[0] == 0:
        return 0
    h = 1e-3 * (1.0 + float(np.abs(x).max()))
    away = np.concatenate([x + h * kernel, x - h * kernel])
    back, arrived = search.project(away)
    kept = np.linalg.norm(back - x, axis=1) > h / 2.0
    if not (arrived & kept).any():
        return 0
    values = np.linalg.svd(search.slope(back), compute_uv=False)
    same = (values > 1e-7 * max(float(np.linalg.norm(slope, 2)), 1e-9)).sum(axis=1) <= rank
    good = (arrived & kept & same).reshape(2, -1).all(axis=0)
    return int(good.sum())

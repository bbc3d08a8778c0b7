"""Every zero of a system of equations in a box: branch and prune with interval Newton steps on many boxes at once.

A box is dropped only where interval arithmetic proves that it holds no zero, and settled only where the Krawczyk
operator maps it into its own inside, which proves exactly one (Krawczyk 1969; Moore 1977; Neumaier 1990, theorem 5.1.8).
What is neither at the smallest size, or when the budget is spent, is handed back as undecided.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified.contraction import krawczyk, quotient
from toymesa.analyse.certified.tape import Tape

Array = NDArray[np.float64]
_BATCH, _SMALLEST, _INFLATE = 1024, 2.0**-40, 2.0**-5


@dataclass(frozen=True)
class Found:
    """What a search left: boxes (lo, hi) with exactly one zero, undecided boxes, how many it looked at.

    spent: why it ended early, if it did: "boxes", "time", or "degenerate" (it was told to give up).
    """

    unique: tuple[Array, Array]
    undecided: tuple[Array, Array]
    boxes: int
    spent: str


class Search:
    """The zeros of ``exprs`` in boxes; fewer than ``symbols``, and a box can be emptied but never settled.

    also : other expressions that vanish wherever these do. Multiplied by exp(y^2) an equation says nothing where that
    overflows; as it was it empties the box at once.
    """

    def __init__(
        self,
        symbols: Sequence[sp.Symbol],
        exprs: Sequence[sp.Expr],
        *,
        pieces: Mapping[sp.Symbol, sp.Expr] | None = None,
        also: Sequence[sp.Expr] = (),
    ) -> None:
        self.n, self.r = len(symbols), len(exprs)
        known = {d: e for d, e in (pieces or {}).items() if e.free_symbols <= set(symbols)}
        slopes, more = _derivatives(symbols, exprs, known)
        self._values = Tape(symbols, exprs, pieces=known)
        # the values once more, so that it is known where they are defined on the whole box
        wanted = [*(d for row in slopes for d in row), *exprs]
        self._slopes = Tape(symbols, wanted, pieces={**known, **more}, slopes=True)
        self._also = Tape(symbols, also) if also else None
        square = self.r == self.n
        self._linear = _linear_block(symbols, slopes, {**known, **more}) if square else np.zeros(0, dtype=np.int64)

    def run(
        self,
        lo: Array,
        hi: Array,
        *,
        max_boxes: int,
        deadline: float = np.inf,
        give_up: Callable[[Array, Array], bool] | None = None,
    ) -> Found:
        """Search the box; at most ``max_boxes`` are looked at, none after ``deadline`` (of ``time.monotonic``).

        give_up: called now and then with the boxes still open; True ends the search there.
        """
        scale = np.maximum(hi - lo, 1e-3 * np.maximum(1.0, np.maximum(np.abs(lo), np.abs(hi))))
        open_lo, open_hi = lo[None, :].copy(), hi[None, :].copy()
        unique: list[tuple[Array, Array]] = []
        small: list[tuple[Array, Array]] = []
        looked, spent, ask = 0, "", 4096
        while open_lo.shape[0]:
            if looked >= max_boxes:
                spent = "boxes"
            elif time.monotonic() > deadline:
                spent = "time"
            elif give_up is not None and looked >= ask:
                ask = 2 * looked
                spent = "degenerate" if give_up(open_lo, open_hi) else ""
            if spent:
                small.append((open_lo, open_hi))
                break
            size = ((open_hi - open_lo) / scale).max(axis=1)
            take = np.argpartition(-size, _BATCH - 1)[:_BATCH] if size.size > _BATCH else np.arange(size.size)
            keep = np.ones(size.size, dtype=bool)
            keep[take] = False
            looked += take.size
            settled, next_lo, next_hi, tiny = self._step(open_lo[take], open_hi[take], scale)
            unique.append(settled)
            small.append(tiny)
            open_lo, open_hi = np.concatenate([open_lo[keep], next_lo]), np.concatenate([open_hi[keep], next_hi])
        return Found(_joined(unique, self.n), _joined(small, self.n), looked, spent)

    def value(self, x: Array) -> Array:
        """The expressions at points, shape (m, r), as plain numbers."""
        lo, hi = self._values_on(x, x)
        with np.errstate(all="ignore"):
            return np.asarray((lo + hi) / 2.0)

    def slope(self, x: Array) -> Array:
        """Their derivatives at points, shape (m, r, n)."""
        lo, hi = self._slopes_on(x, x)
        with np.errstate(all="ignore"):
            return np.asarray((lo + hi) / 2.0)

    def _slopes_on(self, lo: Array, hi: Array) -> tuple[Array, Array]:
        """Bounds of the derivatives, shape (m, r, n); infinite where a formula is not defined on the whole box."""
        j_lo, j_hi, seen = self._slopes(lo, hi)
        shape, count = (lo.shape[0], self.r, self.n), self.r * self.n
        j_lo, j_hi = j_lo[:, :count].reshape(shape), j_hi[:, :count].reshape(shape)
        j_lo[seen.partly], j_hi[seen.partly] = -np.inf, np.inf
        return j_lo, j_hi

    def _values_on(self, lo: Array, hi: Array) -> tuple[Array, Array]:
        """Bounds of the expressions, infinite where they are not defined on the whole box."""
        f_lo, f_hi, seen = self._values(lo, hi)
        f_lo[seen.partly], f_hi[seen.partly] = -np.inf, np.inf
        return f_lo, f_hi

    def project(self, x: Array, *, rounds: int = 60) -> tuple[Array, NDArray[np.bool_]]:
        """Points moved onto the zero set by Gauss-Newton steps, and which of them arrived."""
        x = np.array(x, dtype=float)
        arrived = np.zeros(x.shape[0], dtype=bool)
        for _ in range(rounds):
            f, j = self.value(x), self.slope(x)
            fine = np.isfinite(f).all(axis=1) & np.isfinite(j).all(axis=(1, 2)) & np.isfinite(x).all(axis=1)
            step = np.zeros_like(x)
            step[fine] = -(np.linalg.pinv(j[fine], rcond=1e-9) @ f[fine][..., None])[..., 0]
            size = np.abs(step).max(axis=1)
            arrived = fine & (size <= 1e-13 * (1.0 + np.abs(x).max(axis=1)))
            x = x + np.where((fine & ~arrived)[:, None], step, 0.0)
            if (arrived | ~fine).all():
                break
        return x, arrived

    def _step(
        self, lo: Array, hi: Array, scale: Array
    ) -> tuple[tuple[Array, Array], Array, Array, tuple[Array, Array]]:
        f_lo, f_hi, seen = self._values(lo, hi)
        may = (f_lo <= 0.0).all(axis=1) & (f_hi >= 0.0).all(axis=1) & ~seen.nowhere
        if self._also is not None:
            a_lo, a_hi, there = self._also(lo, hi)
            may &= (a_lo <= 0.0).all(axis=1) & (a_hi >= 0.0).all(axis=1) & ~there.nowhere
        lo, hi, f_size = lo[may], hi[may], np.maximum(-f_lo[may], f_hi[may])
        before = hi - lo
        # wider by a share of itself, and by some roundings where it is a point, so that a zero on a face lies inside
        margin = before * _INFLATE + (np.maximum(np.abs(lo), np.abs(hi)) + scale) * 2.0**-46
        wide_lo, wide_hi = lo - margin, hi + margin
        j_lo, j_hi = self._slopes_on(wide_lo, wide_hi)
        lo, hi = self._by_component(lo, hi, j_lo, j_hi)
        lo, hi = self._by_block(lo, hi, j_lo, j_hi)
        k_lo, k_hi, proved, noise = self._by_newton(wide_lo, wide_hi, j_lo, j_hi)
        lo, hi = np.maximum(lo, k_lo), np.minimum(hi, k_hi)
        alive = (lo <= hi).all(axis=1) & ~proved
        settled = k_lo[proved], k_hi[proved]
        lo, hi, before = lo[alive], hi[alive], before[alive]
        j_size = np.maximum(np.abs(j_lo[alive]), np.abs(j_hi[alive]))
        width = hi - lo
        # values below the rounding errors of the formula and of the states: no cutting would tell them from zero
        floor = (np.maximum(np.abs(lo), np.abs(hi)) + scale) * 2.0**-46
        with np.errstate(all="ignore"):
            errors = noise[alive] + (j_size @ floor[..., None])[..., 0]
        blurred = (f_size[alive] <= 16.0 * errors).all(axis=1) & (width <= scale * 2.0**-16).all(axis=1)
        tiny = blurred | (width <= np.maximum(scale * _SMALLEST, np.maximum(np.abs(lo), np.abs(hi)) * 2.0**-44)).all(
            axis=1
        )
        # a state known to its last digits cannot shrink any more, and says nothing about the others
        shrunk = np.where(before > floor, width / np.maximum(before, floor), 1.0).prod(axis=1) < 0.25
        split = ~tiny & ~shrunk
        left_lo, left_hi, right_lo, right_hi = _halves(lo[split], hi[split], j_size[split], scale)
        again = ~tiny & shrunk
        return (
            settled,
            np.concatenate([lo[again], left_lo, right_lo]),
            np.concatenate([hi[again], left_hi, right_hi]),
            (lo[tiny], hi[tiny]),
        )

    def _by_component(self, lo: Array, hi: Array, j_lo: Array, j_hi: Array) -> tuple[Array, Array]:
        """Solve every equation for every variable by the mean value theorem in that variable alone."""
        m, n = lo.shape
        if m == 0:
            return lo, hi
        middle = _middle(lo, hi)
        pinned_lo = np.repeat(lo[:, None, :], n, axis=1)
        pinned_hi = np.repeat(hi[:, None, :], n, axis=1)
        index = np.arange(n)
        pinned_lo[:, index, index] = middle
        pinned_hi[:, index, index] = middle
        g_lo, g_hi = self._values_on(pinned_lo.reshape(-1, n), pinned_hi.reshape(-1, n))
        g_lo, g_hi = (g.reshape(m, n, self.r).transpose(0, 2, 1) for g in (g_lo, g_hi))
        with np.errstate(all="ignore"):
            low, high = quotient(-g_hi, -g_lo, j_lo, j_hi, (lo - middle)[:, None, :], (hi - middle)[:, None, :])
        low, high = low.max(axis=1), high.min(axis=1)
        room = (np.abs(middle) + np.maximum(np.abs(low), np.abs(high))) * 2.0**-51
        return np.maximum(lo, middle + low - room), np.minimum(hi, middle + high + room)

    def _by_block(self, lo: Array, hi: Array, j_lo: Array, j_hi: Array) -> tuple[Array, Array]:
        """Solve the linear block of equations for its own states, whatever the others are in the box."""
        block = self._linear
        if block.size < 2 or lo.shape[0] == 0:
            return lo, hi
        with np.errstate(all="ignore"):
            middle = _middle(lo, hi)[:, block]
        pinned_lo, pinned_hi = lo.copy(), hi.copy()
        pinned_lo[:, block] = pinned_hi[:, block] = middle
        f_lo, f_hi = self._values_on(pinned_lo, pinned_hi)
        part = np.ix_(np.arange(lo.shape[0]), block, block)
        k_lo, k_hi = krawczyk(
            middle, f_lo[:, block], f_hi[:, block], j_lo[part], j_hi[part], hi[:, block] - lo[:, block]
        )
        lo, hi = lo.copy(), hi.copy()
        lo[:, block], hi[:, block] = np.maximum(lo[:, block], k_lo), np.minimum(hi[:, block], k_hi)
        return lo, hi

    def _by_newton(
        self, lo: Array, hi: Array, j_lo: Array, j_hi: Array
    ) -> tuple[Array, Array, NDArray[np.bool_], Array]:
        """The Krawczyk operator of all equations, where it lies inside the box, and the rounding errors of the values."""
        middle = _middle(lo, hi)
        f_lo, f_hi = self._values_on(middle, middle)
        with np.errstate(invalid="ignore"):
            noise = np.where(np.isfinite(f_hi - f_lo), f_hi - f_lo, 0.0)
        if self.r < self.n:
            unbounded = np.full_like(lo, np.inf)
            return -unbounded, unbounded, np.zeros(lo.shape[0], dtype=bool), noise
        k_lo, k_hi = krawczyk(middle, f_lo, f_hi, j_lo, j_hi, hi - lo)
        return k_lo, k_hi, np.asarray(((k_lo > lo) & (k_hi < hi)).all(axis=1)), noise


def _derivatives(
    symbols: Sequence[sp.Symbol], exprs: Sequence[sp.Expr], pieces: Mapping[sp.Symbol, sp.Expr]
) -> tuple[list[list[sp.Expr]], dict[sp.Symbol, sp.Expr]]:
    """Derivatives by the chain rule through the pieces, and stand-ins for the derivatives of the pieces themselves."""
    if not pieces:
        return [[sp.diff(e, s) for s in symbols] for e in exprs], {}
    through: dict[sp.Symbol, list[tuple[sp.Symbol, sp.Expr]]] = {s: [] for s in symbols}
    more: dict[sp.Symbol, sp.Expr] = {}
    for d, piece in pieces.items():
        for s in symbols:
            slope = sp.diff(piece, s)
            if slope.is_Integer:
                through[s] += [(d, slope)] * int(slope != 0)
            else:
                stand = sp.Dummy()
                more[stand] = slope
                through[s].append((d, stand))
    return [[sp.Add(*[sp.diff(e, d) * f for d, f in through[s]]) for s in symbols] for e in exprs], more


def _linear_block(
    symbols: Sequence[sp.Symbol],
    slopes: Sequence[Sequence[sp.Expr]],
    pieces: Mapping[sp.Symbol, sp.Expr],
) -> NDArray[np.int64]:
    """States that their own equations are jointly affine in: once the others are known, so are they."""
    within = {s: {s} | {d for d, e in pieces.items() if s in e.free_symbols} for s in symbols}
    block: list[int] = []
    for i in range(len(symbols)):
        wider = [*block, i]
        inside = set().union(*(within[symbols[j]] for j in wider))
        if slopes[i][i] != 0 and not any(slopes[a][b].free_symbols & inside for a in wider for b in wider):
            block = wider
    return np.asarray(block, dtype=np.int64)


def _middle(lo: Array, hi: Array) -> Array:
    return np.clip(lo + (hi - lo) / 2.0, lo, hi)


def _halves(lo: Array, hi: Array, slope: Array, scale: Array) -> tuple[Array, Array, Array, Array]:
    """Cut where the equations vary most over the box (the smear of Kearfott 1996), off the middle."""
    width = hi - lo
    with np.errstate(all="ignore"):
        smear = slope * width[:, None, :]
        smear = (smear / smear.max(axis=2, keepdims=True)).max(axis=1)
    # an axis much longer than the others is cut first, whatever the slopes say
    relative = width / scale
    smear = np.where(np.isfinite(smear), smear, 1.0) * np.where(
        relative < 1e-3 * relative.max(axis=1, keepdims=True), 0, 1
    )
    axis = np.argmax(np.where(width > 0, smear + 1e-9 * relative, -1.0), axis=1)
    rows = np.arange(lo.shape[0])
    cut = lo[rows, axis] + 0.4921875 * width[rows, axis]
    left_hi, right_lo = hi.copy(), lo.copy()
    left_hi[rows, axis] = cut
    right_lo[rows, axis] = cut
    return lo, left_hi, right_lo, hi


def _joined(parts: list[tuple[Array, Array]], n: int) -> tuple[Array, Array]:
    if not parts:
        return np.empty((0, n)), np.empty((0, n))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

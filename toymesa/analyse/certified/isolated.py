"""Isolated zeros of one square system: bounds, elimination, search; zeros and undecided boxes in all states."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.certified.region import Region
from toymesa.analyse.certified.search import Found, Search
from toymesa.analyse.certified.tape import Tape
from toymesa.analyse.certified.undecided import merged
from toymesa.symbolic.ideals import Unbounded, real_bounds
from toymesa.symbolic.patience import OutOfTime, within
from toymesa.symbolic.systems import Elimination, Fractions, eliminate

Array = NDArray[np.float64]

_DEEPER, _CLOSE = 4, 2.0**-20  # searches within searches, and width (of 1 + |x|) of what needs none
_LARGE = 2000  # operations of formulas that are not evaluated a second time


@dataclass
class Budget:
    """Boxes and time that are left, shared by all searches of one call."""

    boxes: int
    deadline: float
    used: int = 0
    spent: set[str] = field(default_factory=set)

    def run(self, search: Search, lo: Array, hi: Array, give_up: Callable[[Array, Array], bool] | None = None) -> Found:
        """One search on what is left of the budget; what a huge box leaves undecided is searched again as a box of its own.

        A search looks no closer than a share of its box: in one of width 1e12 that may be a place of width 1.
        """
        found = self._once(search, lo, hi, give_up)
        for _ in range(_DEEPER):
            boxes = [(a, b) for a, b in zip(*found.undecided, strict=True)]
            wide = [(b - a > _CLOSE * (1.0 + np.maximum(np.abs(a), np.abs(b)))).any() for a, b in boxes]
            if found.spent or not any(wide):
                break
            again = merged([box for box, w in zip(boxes, wide, strict=True) if w], lo, hi)
            parts = [self._once(search, a, b, give_up) for a, b in again]
            kept = [box for box, w in zip(boxes, wide, strict=True) if not w]
            left = [*kept, *(box for p in parts for box in zip(*p.undecided, strict=True))]
            alone = [*zip(*found.unique, strict=True), *(box for p in parts for box in zip(*p.unique, strict=True))]
            spent = next((p.spent for p in parts if p.spent), "")
            found = Found(_stacked(alone, lo.size), _stacked(left, lo.size), self.used, spent)
        return found

    def _once(self, search: Search, lo: Array, hi: Array, give_up: Callable[[Array, Array], bool] | None) -> Found:
        found = search.run(lo, hi, max_boxes=self.boxes - self.used, deadline=self.deadline, give_up=give_up)
        self.used += found.boxes
        if found.spent:
            self.spent.add(found.spent)
        return found

    def notes(self) -> list[str]:
        """What a reader must know about the searches that ended early."""
        texts = {
            "boxes": f"the budget of {self.boxes} boxes is spent: give a smaller box or raise max_boxes",
            "time": "the time limit is reached: give a smaller box or raise time_limit",
            "degenerate": "fixed points there are degenerate or not isolated: no search settles them",
        }
        return [texts[why] for why in texts if why in self.spent]


def _stacked(boxes: Sequence[tuple[Array, Array]], n: int) -> tuple[Array, Array]:
    low, high = (np.array([b[k] for b in boxes]).reshape(-1, n) for k in (0, 1))
    return low, high


@dataclass
class Candidates:
    """What one system left: boxes (lo, hi) with exactly one of its zeros each, and a place near it; undecided boxes."""

    zeros: list[tuple[Array, Array, Array]]
    undecided: list[tuple[Array, Array]]
    search: Search


def candidates(
    states: Sequence[sp.Symbol],
    exprs: Sequence[sp.Expr],
    inside: Fractions | None,
    polys: Sequence[Any] | None,
    region: Region,
    budget: Budget,
    also: Sequence[sp.Expr] = (),
) -> Candidates:
    """Every zero of a square system in the region, or everywhere for a polynomial one without a box.

    exprs: the equations. also: what vanishes there too (the equations before they were taken apart). inside, polys: the
    same as rational functions, where that was possible. Raises DomainError where bounds are missing and cannot be found.
    """
    lo, hi = region.lo.copy(), region.hi.copy()
    search = Search(states, exprs, also=also)
    if region.missing() and inside is not None and polys is not None and _polynomial(inside, polys):
        try:
            bounds = real_bounds([dict(p) for p in polys], len(states))
        except Unbounded as error:
            region.require(why=str(error))
            raise
        if bounds is None:
            return Candidates([], [], search)
        room = [1e-6 * (1.0 + max(abs(a), abs(b))) for a, b in bounds]
        lo = np.maximum(lo, [a - r for (a, _), r in zip(bounds, room, strict=True)])
        hi = np.minimum(hi, [b + r for (_, b), r in zip(bounds, room, strict=True)])
        if (lo > hi).any():
            return Candidates([], [], search)
    else:
        found = _elimination(inside, polys, budget)
        if found is not None:
            region.require(found.rest, why="it is not polynomial")
            if _nowhere_zero(states, found, lo, hi):
                return _reduced(states, found, search, lo, hi, budget, also)
        region.require(why="" if inside is not None and _polynomial(inside, polys or ()) else "it is not polynomial")
    # a zero on the face of the box is in the inside of a slightly larger one
    room = (hi - lo) * 1e-6 + 1e-9 * (np.abs(lo) + np.abs(hi))
    result = budget.run(search, lo - room, hi + room, _not_isolated(search))
    zeros = list(zip(*result.unique, _polished(search, *result.unique), strict=True))
    return Candidates(zeros, list(zip(*result.undecided, strict=True)), search)


def _elimination(inside: Fractions | None, polys: Sequence[Any] | None, budget: Budget) -> Elimination | None:
    """States that others determine, if that is found in a reasonable time."""
    if inside is None or polys is None:
        return None
    try:
        with within(min(15.0, max(budget.deadline - time.monotonic(), 0.0) / 3.0)):
            return eliminate(inside, polys)
    except OutOfTime:
        return None


def _polynomial(inside: Fractions, polys: Sequence[Any]) -> bool:
    """Whether polynomials of the ring use the states alone."""
    n = len(inside.symbols)
    return all(not any(m[n:]) for p in polys for m in p.itermonoms())


def _nowhere_zero(states: Sequence[sp.Symbol], found: Elimination, lo: Array, hi: Array) -> bool:
    """Whether an elimination holds on the whole box."""
    if not found.never_zero:
        return True
    others = [states[i] for i in found.rest]
    low, high, _ = Tape(others, found.never_zero, pieces=found.pieces)(lo[None, found.rest], hi[None, found.rest])
    return bool(((low > 0.0) | (high < 0.0)).all())


def _reduced(
    states: Sequence[sp.Symbol], found: Elimination, whole: Search, lo: Array, hi: Array, budget: Budget,
    also: Sequence[sp.Expr],
) -> Candidates:  # fmt: skip
    """Search among the states that are left, then put the eliminated ones in."""
    others = [states[i] for i in found.rest]
    put = {states[i]: e.xreplace(dict(found.pieces)) for i, e in zip(found.block, found.solved, strict=True)}
    also = [e.xreplace(put) for e in also]
    search = Search(others, found.left, pieces=found.pieces, also=also if sum(map(sp.count_ops, also)) < _LARGE else ())
    solved = Tape(others, found.solved, pieces=found.pieces)
    low, high = lo[found.rest], hi[found.rest]
    room = (high - low) * 1e-6 + 1e-9 * (np.abs(low) + np.abs(high))
    result = budget.run(search, low - room, high + room, _not_isolated(search))

    def full(boxes: tuple[Array, Array]) -> list[tuple[Array, Array]]:
        if boxes[0].shape[0] == 0:
            return []
        s_lo, s_hi, _ = solved(*boxes)
        all_lo, all_hi = np.empty((boxes[0].shape[0], len(states))), np.empty((boxes[0].shape[0], len(states)))
        all_lo[:, found.rest], all_hi[:, found.rest] = boxes
        # with room for the certificate of an eliminated state whose value is exact: the others alone tell zeros apart
        slack = 1e-12 * (1.0 + np.maximum(np.abs(s_lo), np.abs(s_hi)))
        all_lo[:, found.block], all_hi[:, found.block] = s_lo - slack, s_hi + slack
        return list(zip(all_lo, all_hi, strict=True))

    # a place among the others fixes the eliminated ones far better than their own bounds do
    near = _polished(search, *result.unique)
    places = [(a + b) / 2.0 for a, b in full((near, near))]
    zeros = [(a, b, x) for (a, b), x in zip(full(result.unique), places, strict=True)]
    return Candidates(zeros, full(result.undecided), whole)


def _polished(search: Search, lo: Array, hi: Array) -> Array:
    """The zeros in boxes that hold one each, as near as Newton's method gets; the middle where it runs away."""
    middle = (lo + hi) / 2.0
    if middle.shape[0] == 0:
        return middle
    x, arrived = search.project(middle)
    good = arrived & (x >= lo).all(axis=1) & (x <= hi).all(axis=1)
    return np.where(good[:, None], x, middle)


def _not_isolated(search: Search) -> Callable[[Array, Array], bool]:
    """Whether most of the boxes still open lie on curves or surfaces of zeros, which no cutting would settle."""

    def answer(lo: Array, hi: Array) -> bool:
        pick = np.linspace(0, lo.shape[0] - 1, min(16, lo.shape[0])).astype(int)
        middle = (lo[pick] + hi[pick]) / 2.0
        x, arrived = search.project(middle)
        near = (np.abs(x - middle) <= 4.0 * (hi[pick] - lo[pick])).all(axis=1)
        if (arrived & near).sum() < 0.75 * pick.size:
            return False
        values = np.linalg.svd(search.slope(x[arrived & near]), compute_uv=False)
        return bool((values[:, -1] <= 1e-6 * values[:, 0]).all())

    return answer

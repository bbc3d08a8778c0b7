"""Phase boundaries: found on a coarse grid, followed through ever smaller cells, and bracketed by bisection.

Only cells that the boundary passes through are divided, so the cost grows with the boundary, not with the volume: in d
dimensions halving the cells costs a factor 2^(d-1) instead of 2^d. All bisections run side by side.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, scalar, whole
from toymesa.errors import ArgumentError, DomainError
from toymesa.sweep.pointwise import Pointwise, pointwise

Ints = NDArray[np.int64]
_MOST_AXES = 5


def refine(
    model: Any,
    over: Any,
    *,
    label: Any = None,
    margin: Any = None,
    cells: int = 8,
    levels: int = 0,
    tol: float = 1e-6,
    workers: int | None = None,
    **solving: Any,
) -> xr.Dataset:
    """Bracket the boundaries between phases of a model to a tolerance.

    Parameters
    ----------
    model : a Model. over : name -> (low, high) or (low, high, "log"), one to five axes (parameters or starts).
    label : what names the phase: a measure with labels (``toymesa.measures.label``, ``leader``, ``stability``), a formula
        or function whose values are compared for equality. margin : instead of a label, a quantity whose sign is the
        phase: a bracket of a sign change of a continuous margin is a proof that a boundary lies in it.
    cells : cells of the coarse grid along each axis; what is smaller than one can be missed. levels : how often the
        cells with a boundary are halved before the bisection. tol : width of the brackets, as a part of each axis' range
        (of its logarithm on a logarithmic axis).
    **solving : ``t``, ``until``, ``params``, ``start``, ``events``, ``method``, ``rtol``, ``atol``, ``max_steps``, ``rng`` as
        in ``sweep``; phases are read at the end.

    Returns a Dataset over ``edge``, one for each edge of the finest grid that a boundary crosses: every axis (the middle
    of the bracket), ``<axis>_low`` and ``<axis>_high``, ``along`` (which axis the edge is parallel to), ``phase_low`` and
    ``phase_high`` (labels or margins at its ends); attributes ``evaluations`` and ``failed`` (points where the model
    failed; no boundary is sought beside them). No boundary in the box: no edges.
    Raises DomainError or ArgumentError for unusable arguments.
    """
    if (label is None) == (margin is None):
        raise ArgumentError("refine needs either label= or margin=")
    count, depth = whole("cells", cells, 1, 10_000), whole("levels", levels, 0, 40)
    width = scalar("tol", tol, 1e-15, 1.0)
    find = pointwise(model, over, label if margin is None else margin, "refine", workers, **solving)
    if len(find.ranges) > _MOST_AXES:
        raise DomainError(f"refine takes at most {_MOST_AXES} axes; got {len(find.ranges)}")
    lattice = _Lattice(find, count * 2**depth, by_sign=margin is not None)
    lower, axis = lattice.crossings(count, depth)
    return _bisected(lattice, lower, axis, width)


class _Lattice:
    """Phases at the points of a lattice with ``size`` intervals along each axis, each evaluated once."""

    def __init__(self, find: Pointwise, size: int, *, by_sign: bool) -> None:
        self.find, self.size, self.by_sign = find, size, by_sign
        self.axes = len(find.ranges)
        if self.axes * math.log2(size + 1) > 62:
            raise DomainError(
                f"the finest grid has {size} cells along {self.axes} axes: too many; lower levels or cells"
            )
        self.keys = np.empty(0, dtype=np.int64)
        self.found = np.empty(0)
        self.corners = np.array(list(itertools.product((0, 1), repeat=self.axes)), dtype=np.int64)

    def phases(self, points: Ints) -> Array:
        """What is found at lattice points (point, axis); NaN where the model failed."""
        wanted = np.ravel_multi_index(tuple(points.T), (self.size + 1,) * self.axes)
        new = np.setdiff1d(wanted, self.keys)
        if new.size:
            unit = np.stack(np.unravel_index(new, (self.size + 1,) * self.axes), axis=1) / self.size
            keys = np.concatenate([self.keys, new])
            found = np.concatenate([self.found, self.find(unit)])
            order = np.argsort(keys)
            self.keys, self.found = keys[order], found[order]
        return np.asarray(self.found[np.searchsorted(self.keys, wanted)])

    def differ(self, a: Array, b: Array) -> NDArray[np.bool_]:
        """Whether two looks fell into different phases; never beside a failure."""
        there = np.isfinite(a) & np.isfinite(b)
        return np.asarray(there & ((a > 0) != (b > 0) if self.by_sign else a != b))

    def edges(self, cells: Ints, step: int) -> tuple[Ints, Ints, NDArray[np.int64]]:
        """Edges of cells (lower corners) with a boundary on them: lower end, axis, and the cell it was seen from."""
        lower, axes, owner = [], [], []
        values = self.phases((cells[:, None, :] + step * self.corners).reshape(-1, self.axes))
        values = values.reshape(len(cells), -1)
        for a in range(self.axes):
            for i in np.flatnonzero(self.corners[:, a] == 0):
                j = i + 2 ** (self.axes - 1 - a)
                crossed = np.flatnonzero(self.differ(values[:, i], values[:, j]))
                lower.append(cells[crossed] + step * self.corners[i])
                axes.append(np.full(crossed.size, a, dtype=np.int64))
                owner.append(crossed)
        return np.concatenate(lower), np.concatenate(axes), np.concatenate(owner)

    def crossings(self, count: int, depth: int) -> tuple[Ints, Ints]:
        """Every edge of the finest cells that a boundary crosses: lower ends and axes, each edge once."""
        step = 2**depth
        cells = np.stack(np.meshgrid(*[np.arange(count) * step] * self.axes, indexing="ij"), axis=-1).reshape(
            -1, self.axes
        )
        lower, axes, owner = self.edges(cells.astype(np.int64), step)
        for _ in range(depth):
            mixed = cells[np.unique(owner)]
            step //= 2
            cells = (mixed[:, None, :] + step * self.corners).reshape(-1, self.axes)
            cells, lower, axes, owner = self._followed(cells, step)
        both = np.unique(np.column_stack([lower, axes]), axis=0)
        return both[:, :-1], both[:, -1]

    def _followed(self, cells: Ints, step: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Add neighbours that share an edge with a boundary on it until there are none: it may leave the cells given."""
        fresh, known = cells, cells
        lower, axes, owner = self.edges(cells, step)
        while fresh.size:
            low, axis, _ = (lower, axes, owner) if fresh is cells else self.edges(fresh, step)
            around = []
            for offset in itertools.product((0, 1), repeat=self.axes):
                moved = low - step * np.array(offset, dtype=np.int64)
                own = np.arange(len(low)), axis
                moved[own] = low[own]  # along its own axis an edge belongs to one cell
                around.append(moved)
            candidates = np.unique(np.concatenate(around), axis=0) if around else cells[:0]
            inside = ((candidates >= 0) & (candidates + step <= self.size)).all(axis=1)
            fresh = _without(candidates[inside], known)
            known = np.concatenate([known, fresh])
        lower, axes, owner = self.edges(known, step)
        return known, lower, axes, owner


def _without(rows: Ints, known: Ints) -> Ints:
    """Rows that are not among ``known``."""
    if not rows.size:
        return rows
    both = np.concatenate([known, rows])
    _, first = np.unique(both, axis=0, return_index=True)
    kept = first[first >= len(known)]
    return both[np.sort(kept)]


def _bisected(lattice: _Lattice, lower: Ints, axis: Ints, tol: float) -> xr.Dataset:
    """Halve every edge until the brackets are narrow; all at once."""
    find, rows = lattice.find, np.arange(len(lower))
    low = lower / lattice.size
    high = low.copy()
    high[rows, axis] = (lower[rows, axis] + 1) / lattice.size
    upper = lower.copy()
    upper[rows, axis] += 1
    at_low, at_high = (lattice.phases(p) if len(p) else np.empty(0) for p in (lower, upper))
    failed = int((~np.isfinite(lattice.found)).sum())
    for _ in range(max(0, math.ceil(math.log2(1 / (lattice.size * tol))))) if len(lower) else ():
        middle = (low + high) / 2
        here = find(middle)
        failed += int((~np.isfinite(here)).sum())
        # a failure is taken for neither side: the bracket stays where it is
        beyond, before = lattice.differ(here, at_low), np.isfinite(here) & ~lattice.differ(here, at_low)
        high[beyond], at_high[beyond] = middle[beyond], here[beyond]
        low[before], at_low[before] = middle[before], here[before]
        if not (beyond | before).any():
            break
    names = list(find.ranges)
    ends = find.values(low), find.values(high)
    middle = find.values((low + high) / 2)
    data: dict[str, Any] = {}
    for j, n in enumerate(names):
        data[n] = ("edge", middle[:, j])
        data[f"{n}_low"], data[f"{n}_high"] = ("edge", ends[0][:, j]), ("edge", ends[1][:, j])
    data["along"] = ("edge", np.array(names, dtype=object)[axis].astype(str))
    data["phase_low"], data["phase_high"] = ("edge", at_low), ("edge", at_high)
    attrs = {"evaluations": find.evaluations, "failed": failed, "tol": tol, "quantity": find.quantity}
    return xr.Dataset(data, attrs=attrs)

"""Boundaries between outcomes, bracketed: every edge of a grid whose ends differ is bisected, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.ends import Course
from toymesa.analyse.outcomes import UNRESOLVED, End
from toymesa.arguments import Array
from toymesa.errors import DomainError
from toymesa.solver.inputs import Cells, cells
from toymesa.symbolic.model import Model

# where a bracket is divided; a place that stays unresolved (such as a start on the boundary itself) is moved
_PLACES = (0.5, 0.40625, 0.59375)
_ROUNDS = 200

Labels = NDArray[np.int64]


class Labeller(Protocol):
    """Anything that names ends."""

    def label(self, end: End) -> Labels:
        """One label a row, -1 for none."""


@dataclass(frozen=True)
class Edges:
    """Brackets. ends: (edge, side, coordinate). labels: (edge, side). along: the coordinate in which the sides differ.

    params: (edge, parameter). width: between the sides. done: whether it is at most what was asked.
    """

    coordinates: tuple[str, ...]
    fixed: Mapping[str, float]
    ends: Array
    labels: Labels
    along: Labels
    params: Array
    done: NDArray[np.bool_]

    @property
    def width(self) -> Array:
        """Distance between the two sides, along the coordinate that was bisected."""
        rows = np.arange(self.along.size)
        return np.asarray(np.abs(self.ends[rows, 1, self.along] - self.ends[rows, 0, self.along]))

    def refined(self, course: Course, found: Labeller, tol: float) -> Edges:
        """Every bracket narrowed to ``tol``, or to neighbouring floating-point numbers, or until the budget is spent."""
        ends, labels, rows = self.ends.copy(), self.labels.copy(), np.arange(self.along.size)
        stuck = np.zeros(rows.size, dtype=bool)
        least = np.maximum(tol, 4.0 * np.spacing(np.abs(ends[rows, :, self.along]).max(axis=1, initial=0.0)))
        for _ in range(_ROUNDS):
            now = replace(self, ends=ends, labels=labels)
            todo = np.flatnonzero((now.width > least) & ~stuck)
            if todo.size == 0 or course.spent:
                break
            for place in _PLACES:
                middle = ends[todo, 0].copy()
                a = self.along[todo]
                pick = np.arange(todo.size)
                middle[pick, a] += place * (ends[todo, 1][pick, a] - ends[todo, 0][pick, a])
                found_there = self._labels(course, found, middle, todo)
                known = found_there != UNRESOLVED
                # a third outcome in between: the boundary of the first side is kept
                left = known & (found_there == labels[todo, 0])
                for side, hit in ((0, left), (1, known & ~left)):
                    ends[todo[hit], side] = middle[hit]
                    labels[todo[hit], side] = found_there[hit]
                todo = todo[~known]
                if todo.size == 0 or course.spent:
                    break
            stuck[todo] = True
        now = replace(self, ends=ends, labels=labels)
        return replace(now, done=now.width <= least)

    def _labels(self, course: Course, found: Labeller, places: Array, which: Labels) -> Labels:
        model = course.model
        start: dict[str, Any] = {
            n: xr.DataArray(places[:, i], dims="edge") for i, n in enumerate(self.coordinates)
        } | dict(self.fixed)
        params = {n: xr.DataArray(self.params[which, i], dims="edge") for i, n in enumerate(model.param_names)}
        batch = cells(model, start, params, np.random.default_rng(0))
        return found.label(course.run(batch)[1])


def edges_of(
    model: Model, batch: Cells, coordinates: Mapping[str, str], fixed: Mapping[str, float], label: Labels
) -> Edges:
    """Every pair of neighbouring starts of a grid with two different outcomes, neither of them unresolved."""
    names = tuple(coordinates)
    index = np.arange(label.size).reshape(batch.shape)
    grid = label.reshape(batch.shape)
    places = np.stack(
        np.broadcast_arrays(
            *(
                np.asarray(batch.coords[d].values, dtype=float).reshape([-1 if x == d else 1 for x in batch.dims])
                for d in coordinates.values()
            ),
            np.empty(batch.shape),
        )[:-1],
        axis=-1,
    ).reshape(label.size, len(names))
    pairs, along = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for i, d in enumerate(coordinates.values()):
        axis = batch.dims.index(d)
        low, high = (np.take(grid, np.arange(grid.shape[axis])[s], axis) for s in (slice(None, -1), slice(1, None)))
        a, b = (np.take(index, np.arange(grid.shape[axis])[s], axis) for s in (slice(None, -1), slice(1, None)))
        differ = (low != high) & (low != UNRESOLVED) & (high != UNRESOLVED)
        pairs.append(np.stack([a[differ], b[differ]], axis=1))
        along.append(np.full(pairs[-1].shape[0], i, dtype=np.int64))
    pair = np.concatenate(pairs)
    if batch.params.shape[1] and (batch.params[pair[:, 0]] != batch.params[pair[:, 1]]).any():
        raise DomainError("refine needs parameters that do not vary along the coordinates in over")
    return Edges(
        coordinates=names,
        fixed=fixed,
        ends=places[pair],
        labels=label[pair],
        along=np.concatenate(along),
        params=batch.params[pair[:, 0]] if batch.params.shape[1] else np.empty((pair.shape[0], 0)),
        done=np.zeros(pair.shape[0], dtype=bool),
    )

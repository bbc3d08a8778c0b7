"""The states that trajectories ended in, gathered into attractors: steady states, and cycles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from toymesa.analyse.oscillations import Cycles, cycles_of
from toymesa.analyse.outcomes import UNRESOLVED, End, state_text
from toymesa.arguments import Array
from toymesa.kernels.generate import compile_model
from toymesa.status import Status
from toymesa.symbolic.model import Model

Labels = NDArray[np.int64]
_JOINED = 2.0  # ends are one attractor if they are linked by gaps of at most this many units of ``near``
_SINGULAR = 1e-6  # singular values of the linearization below this share of the largest are zero


@dataclass(frozen=True)
class Attractors:
    """Clusters of end states, then cycles. centers: (attractor, state), of a cycle its mean. spread: largest extent of each,
    as ``near`` measures it, of a cycle in its states. period: 0 for steady states.

    dimension: of the set of steady states that the cluster lies on: 0 for isolated ones; all ends on lines (surfaces) of
    steady states are one cluster, however far apart they lie.
    """

    names: tuple[str, ...]
    centers: Array
    spread: Array
    dimension: Labels
    model: Model
    near: float
    tree: cKDTree | None
    owner: Labels
    period: Array
    cycles: Cycles

    def label(self, end: End) -> Labels:
        """The attractor that each end lies on, -1 where it is none of them or the trajectory failed."""
        round_ = self.cycles.label(end)
        out = np.where(round_ == UNRESOLVED, UNRESOLVED, round_ + len(self.names) - len(self.cycles.names))
        fine, places = _usable(self.model, end, self.near)
        rows = np.flatnonzero(fine)
        if self.tree is None or rows.size == 0:
            return out
        distance, index = self.tree.query(places)
        out[rows] = np.where(distance <= _JOINED, self.owner[index], UNRESOLVED)
        strange = rows[out[rows] == UNRESOLVED]
        if strange.size and self.dimension.any():
            flat = _dimensions(self.model, end, strange)
            for i in np.flatnonzero(self.dimension):
                out[strange[flat == self.dimension[i]]] = i
        return out


def attractors_of(model: Model, end: End, near: float, deadline: float) -> Attractors:
    """What trajectories ended in: steady states, and the attracting cycles of those that never rest."""
    steady, cycles = _steady(model, end, near), cycles_of(model, end, deadline)
    if not cycles.names:
        return steady
    orbits = [cycles.of(i) for i in range(len(cycles.names))]
    centers = np.stack([np.mean([o.states.mean(axis=0) for o in group], axis=0) for group in orbits])
    return replace(
        steady, names=(*steady.names, *cycles.names), cycles=cycles, centers=np.vstack([steady.centers, centers]),
        spread=np.append(steady.spread, [max(o.width.max() for o in group) for group in orbits]),
        dimension=np.append(steady.dimension, np.zeros(len(orbits), np.int64)),
        period=np.append(steady.period, [g[0].period if len(g) == 1 else np.nan for g in orbits]),
    )  # fmt: skip


def _steady(model: Model, end: End, near: float) -> Attractors:
    """The ends gathered by single linkage, in the distance that ``near`` (1 + |x|) measures; ordered by their states."""
    fine, places = _usable(model, end, near)
    rows = np.flatnonzero(fine)
    n = len(model.states)
    if rows.size == 0:
        none = np.empty(0, np.int64)
        return Attractors(
            (), np.empty((0, n)), np.empty(0), none, model, near, None, none, np.empty(0), Cycles(model, (), (), (), ())
        )
    # one representative a unit cell: a million ends of one attractor would make a million million pairs
    _, first, back = np.unique(np.round(places), axis=0, return_index=True, return_inverse=True)
    tree = cKDTree(places[first])
    flat = _dimensions(model, end, rows[first])
    pairs = tree.query_pairs(_JOINED, output_type="ndarray")
    for d in range(1, n + 1):  # steady states that form lines and surfaces are one whatever their distance
        together = np.flatnonzero(flat == d)
        pairs = np.concatenate([pairs, np.stack([together[:-1], together[1:]], axis=1)])
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(first.size, first.size))
    count, group = connected_components(links, directed=False)
    member = group[back.ravel()]
    values = np.stack([end.values[s][rows] for s in model.state_names], axis=1)
    centers = np.stack([np.median(values[member == g], axis=0) for g in range(count)])
    spread = np.array([np.ptp(places[member == g], axis=0).max() * near for g in range(count)])
    dimension = np.array([flat[group == g].max() for g in range(count)], dtype=np.int64)
    order = np.lexsort(np.round(centers / near).T[::-1])
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    names = _names(model.state_names, centers[order], spread[order], dimension[order], near)
    return Attractors(
        names, centers[order], spread[order], dimension[order], model, near, tree, rank[group], np.zeros(count),
        Cycles(model, (), (), (), ()),
    )  # fmt: skip


def _usable(model: Model, end: End, near: float) -> tuple[NDArray[np.bool_], Array]:
    """Which ends are states at all, and those in units of ``near``: absolute below 1, relative above."""
    states = np.stack([end.values[n] for n in model.state_names], axis=1)
    fine = (end.status == Status.OK) & np.isfinite(states).all(axis=1)
    return fine, np.arcsinh(states[fine]) / near


def _dimensions(model: Model, end: End, rows: Labels) -> Labels:
    """Dimension of the set of steady states at each of these ends: of the kernel of the linearization."""
    field, n = compile_model(model).field, len(model.states)
    matrices = np.empty((rows.size, n * n))
    for k, i in enumerate(rows):
        x = np.array([end.values[s][i] for s in model.state_names])
        p = np.array([end.values[s][i] for s in model.param_names])
        field(1, float(end.values["t"][i]), x, p, matrices[k])
    matrices = matrices.reshape(-1, n, n) - (np.eye(n) if model.discrete else 0.0)
    fine = np.asarray(np.isfinite(matrices.reshape(-1, n * n)).all(axis=1))
    usable: Array = np.where(fine[:, None, None], matrices, np.eye(n))
    sizes: Array = np.asarray(np.linalg.svd(usable, compute_uv=False))
    small: NDArray[np.bool_] = sizes <= _SINGULAR * np.maximum(sizes.max(axis=1, keepdims=True), 1e-300)
    kernel = small.sum(axis=1)
    return np.asarray(np.maximum(kernel - len(model.algebraic), 0), dtype=np.int64)  # constraints are no freedom


def _names(states: tuple[str, ...], centers: Array, spread: Array, dimension: Labels, near: float) -> tuple[str, ...]:
    out: list[str] = []
    for center, width, d in zip(centers, spread, dimension, strict=True):
        clean = {n: 0.0 if abs(v) < near / 10 else float(v) for n, v in zip(states, center, strict=True)}
        many = width > 10 * near and d > 0
        name = f"{'a line' if d == 1 else 'a surface'} of steady states" if many else state_text(clean)
        out.append(name if name not in out else f"{name} ({len(out)})")
    return tuple(out)

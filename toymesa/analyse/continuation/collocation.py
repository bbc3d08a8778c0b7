"""Periodic orbits as solutions of a boundary value problem: orthogonal collocation at Gauss points.

Piecewise polynomials of degree 4 on a mesh that adapts to the orbit (de Boor and Swartz 1973; Doedel, Keller and Kernevez
1991): errors at mesh points fall as the eighth power of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from toymesa.analyse.continuation.arcs import solved
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
DEGREE = 4
_NODES = np.arange(DEGREE + 1) / DEGREE
_GAUSS = (legendre.leggauss(DEGREE)[0] + 1) / 2
_WEIGHTS = legendre.leggauss(DEGREE)[1] / 2


def _lagrange(at: Array) -> tuple[Array, Array]:
    """Values and derivatives of the node polynomials, (points, nodes)."""
    powers = np.vander(_NODES, increasing=True)
    coefficients = np.linalg.inv(powers)  # [power, node]
    exponent = np.arange(DEGREE + 1)
    values = at[:, None] ** exponent @ coefficients
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(exponent > 0, exponent * at[:, None] ** np.maximum(exponent - 1, 0), 0.0) @ coefficients
    return values, slopes


_VALUE, _SLOPE = _lagrange(_GAUSS)
_HIGHEST = np.linalg.inv(np.vander(_NODES, increasing=True))[DEGREE]  # coefficient of s^4 from node values
_H = 1e-6
_CYCLIC = 48  # size of the matrix that the multipliers are taken from
_FINE = _lagrange(np.linspace(0.0, 1.0, 9)[:-1])[0]


def _product(steps: Array) -> Array:
    whole = steps[0]
    for step in steps[1:]:
        whole = step @ whole
    return np.asarray(whole)


def _solved_sparse(a: Array, b: Array) -> Array:
    """A bordered block matrix solved by sparse elimination once it is large: dense threads would only wait."""
    if len(a) < 100:
        return solved(a[:-1], a[-1], b)
    size = np.linalg.norm(a, axis=1)
    size[size == 0] = 1.0
    try:
        return np.asarray(splu(csc_matrix(a / size[:, None])).solve(b / size))
    except RuntimeError:  # exactly singular
        return solved(a[:-1], a[-1], b)


def _sign_of_determinant(a: Array) -> float:
    """-1, 0 or 1; by sparse elimination once the matrix is large, like the solution of its equations."""
    if len(a) < 40:
        return float(np.linalg.slogdet(a)[0])
    size = np.linalg.norm(a, axis=1)
    if not (np.isfinite(size).all() and (size > 0).all()):
        return 0.0
    try:
        factors = splu(csc_matrix(a / size[:, None]))
    except RuntimeError:  # exactly singular
        return 0.0
    moved = _parity(factors.perm_r) * _parity(factors.perm_c)
    return float(moved * np.prod(np.sign(factors.U.diagonal())))


def _parity(permutation: NDArray[Any]) -> int:
    """1 for an even permutation, -1 for an odd one: by the number of its cycles."""
    n = len(permutation)
    links = csr_matrix((np.ones(n), (np.arange(n), permutation)), shape=(n, n))
    return -1 if (n - int(connected_components(links, directed=False)[0])) % 2 else 1


def _powers(roots: NDArray[np.complex128], count: int, n: int) -> NDArray[np.complex128]:
    """The n numbers of which all ``count``-th roots are given: powers that agree belong together, the largest first."""
    powers = roots**count
    out = []
    for _ in range(n):
        first = powers[int(np.argmax(np.abs(powers)))]
        order = np.argsort(np.abs(powers - first))
        out.append(powers[order[:count]].mean() if first != 0 else 0j)
        powers = powers[order[count:]]
    return np.array(out, dtype=np.complex128)


class Orbits:
    """Unknowns w: node values times 1/sqrt(nodes), so that |w| is their root mean square, ln T, and the parameter q.

    mesh : (intervals + 1,) from 0 to 1. slope : dY/ds of a reference orbit at the Gauss points, (intervals, 4, n): the
    phase condition is that the orbit moves along itself as little as possible.
    """

    def __init__(self, problem: Problem, mesh: Array, slope: Array | None = None) -> None:
        self.problem, self.mesh, self.n = problem, mesh, problem.n
        self.intervals = len(mesh) - 1
        self.nodes = self.intervals * DEGREE + 1
        self.weight = 1 / np.sqrt(self.nodes)
        self.slope = np.zeros((self.intervals, DEGREE, self.n)) if slope is None else slope
        self._index = np.arange(self.intervals)[:, None] * DEGREE + np.arange(DEGREE + 1)

    # ---------------------------------------------------------------- packing

    def pack(self, orbit: Array, period: float, q: float) -> Array:
        """w from node values (nodes, n), the period in scaled time, and the parameter."""
        return np.concatenate([orbit.ravel() * self.weight, [np.log(period), q]])

    def orbit(self, w: Array) -> Array:
        """Node values (nodes, n)."""
        return np.asarray(w[:-2].reshape(self.nodes, self.n) / self.weight)

    def times(self) -> Array:
        """The fraction of the period at every node."""
        return np.append((self.mesh[:-1, None] + np.diff(self.mesh)[:, None] * _NODES[:-1]).ravel(), 1.0)

    def fine(self, w: Array) -> Array:
        """The orbit at eight points of every interval, (points, n)."""
        return np.asarray(np.einsum("kj,ijn->ikn", _FINE, self.orbit(w)[self._index]).reshape(-1, self.n))

    # ---------------------------------------------------------------- the boundary value problem

    def _at_gauss(self, w: Array) -> tuple[Array, Array, float, Array]:
        pieces = self.orbit(w)[self._index]
        values = np.einsum("kj,ijn->ikn", _VALUE, pieces)
        slopes = np.einsum("kj,ijn->ikn", _SLOPE, pieces) / np.diff(self.mesh)[:, None, None]
        return values, slopes, float(np.exp(min(w[-2], 50.0))), w[-1:]

    def residual(self, w: Array) -> Array:
        """Collocation, periodicity and phase: one equation less than unknowns."""
        values, slopes, period, q = self._at_gauss(w)
        with np.errstate(all="ignore"):
            gap = slopes - period * self.problem.residuals(values, q)
        y = self.orbit(w)
        phase = np.einsum("i,k,ikn,ikn->", np.diff(self.mesh), _WEIGHTS, values, self.slope)
        return np.concatenate([gap.ravel(), y[0] - y[-1], [phase]])

    def _blocks(self, w: Array) -> Array:
        """Derivative of the collocation equations by the node values of their interval, (i, k, n, j, n)."""
        values, _, period, q = self._at_gauss(w)
        with np.errstate(all="ignore"):
            a = self.problem.jacobians(values, q)
        eye = np.eye(self.n)
        h = np.diff(self.mesh)
        return np.asarray(
            np.einsum("kj,ab,i->ikajb", _SLOPE, eye, 1 / h) - period * np.einsum("kj,ikab->ikajb", _VALUE, a)
        )

    def _eliminated(self, w: Array) -> tuple[Array, Array] | None:
        """Inverses of the blocks inside the intervals, and nodes = known - onto [first node, ln T, q] of each."""
        n, inner, count = self.n, DEGREE * self.n, self.intervals
        values, _, period, q = self._at_gauss(w)
        with np.errstate(all="ignore"):
            by_time = -period * self.problem.residuals(values, q).reshape(count, inner)
            change = self.problem.residuals(values, q + _H) - self.problem.residuals(values, q - _H)
            by_q = -period * change.reshape(count, inner) / (2 * _H)
            blocks = self._blocks(w).reshape(count, inner, inner + n)
        first = np.concatenate([blocks[:, :, :n], by_time[:, :, None], by_q[:, :, None]], axis=2)
        if not (np.isfinite(blocks).all() and np.isfinite(first).all()):
            return None
        try:
            inverse: Array = np.asarray(np.linalg.inv(blocks[:, :, n:]), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        return inverse, inverse @ first

    def _reduced(self, onto: Array, row: Array) -> tuple[Array, tuple[Array, Array]]:
        """The equations left for the first nodes of all intervals, the end, ln T and q; and the phase and ``row`` in nodes."""
        n, count = self.n, self.intervals
        size = (count + 1) * n + 2
        a = np.zeros((size, size))
        for i in range(count):
            a[i * n : i * n + n, i * n : i * n + n] = onto[i, -n:, :n]
            a[i * n : i * n + n, -2:] = onto[i, -n:, n:]
        steps = np.arange(count * n)
        a[steps, steps + n] = 1.0
        ends = count * n + np.arange(n)
        a[ends, np.arange(n)], a[ends, ends] = 1.0, -1.0
        phase = np.zeros((self.nodes, n))
        pieces = np.einsum("i,k,kj,ikn->ijn", np.diff(self.mesh), _WEIGHTS, _VALUE, self.slope)
        np.add.at(phase, self._index, pieces)
        along = row[:-2].reshape(self.nodes, n) * self.weight
        for k, (line, last) in enumerate(((phase, np.zeros(2)), (along, row[-2:]))):
            inside = line[1:].reshape(count, DEGREE * n)
            a[-2 + k, :n] += line[0]
            a[-2 + k, : count * n] -= np.einsum("ia,iab->ib", inside, onto[:, :, :n]).ravel()
            a[-2 + k, -2:] += last - np.einsum("ia,iab->b", inside, onto[:, :, n:])
        return a, (phase[1:].reshape(count, -1), along[1:].reshape(count, -1))

    def solver(self, w: Array) -> Callable[[Array, Array], Array] | None:
        """(row, right) -> x for the residual's derivative with one more row: nodes inside an interval are eliminated."""
        n, inner, count = self.n, DEGREE * self.n, self.intervals
        eliminated = self._eliminated(w)
        if eliminated is None:
            return None
        inverse, onto = eliminated

        def solve(row: Array, right: Array) -> Array:
            known = np.einsum("iab,ib->ia", inverse, right[: count * inner].reshape(count, inner))
            a, lines = self._reduced(onto, row)
            b = np.concatenate([known[:, -n:].ravel(), right[count * inner :]])
            for k, line in enumerate(lines):
                b[-2 + k] -= np.einsum("ia,ia->", line, known)
            x = _solved_sparse(a, b)
            lead = np.concatenate([x[: count * n].reshape(count, n), np.tile(x[-2:], (count, 1))], axis=1)
            rest = known - np.einsum("iab,ib->ia", onto, lead)
            return np.concatenate([x[:n] * self.weight, rest.ravel() * self.weight, x[-2:]])

        return solve

    def orientation(self, w: Array, direction: Array) -> float:
        """The sign of the determinant with ``direction`` as last row: constant along a family but at its branch points."""
        eliminated = self._eliminated(w)
        if eliminated is None:
            return 0.0
        signs = np.linalg.slogdet(eliminated[0])[0]
        return float(np.prod(signs) * _sign_of_determinant(self._reduced(eliminated[1], direction)[0]))

    def multipliers(self, w: Array) -> NDArray[np.complex128]:
        """Floquet multipliers, one of them 1: from the cyclic matrix of the intervals' transfer matrices.

        Its eigenvalues are the roots of the multipliers; the product of the matrices itself would lose those that are
        small beside the growth along the orbit.
        """
        n = self.n
        blocks = self._blocks(w).reshape(self.intervals, DEGREE * n, (DEGREE + 1) * n)
        steps = -np.linalg.solve(blocks[:, :, n:], blocks[:, :, :n])[:, -n:]
        groups = [_product(part) for part in np.array_split(steps, max(min(_CYCLIC // n, self.intervals), 3))]
        cyclic = np.zeros((len(groups) * n, len(groups) * n))
        for i, step in enumerate(groups):
            j = (i + 1) % len(groups)
            cyclic[j * n : (j + 1) * n, i * n : (i + 1) * n] = step
        return _powers(np.asarray(np.linalg.eigvals(cyclic), dtype=np.complex128), len(groups), n)

    # ---------------------------------------------------------------- moving along a family

    def referred(self, w: Array) -> Orbits:
        """The same mesh with w as the reference of the phase condition."""
        return Orbits(self.problem, self.mesh, self._at_gauss(w)[1])

    def remeshed(self, w: Array, direction: Array, intervals: int) -> tuple[Orbits, Array, Array]:
        """A mesh of so many intervals adapted to w, with w (which becomes the reference) and a direction carried over to it."""
        pieces = self.orbit(w)[self._index]
        h = np.diff(self.mesh)
        top = np.einsum("j,ijn->in", _HIGHEST, pieces) / h[:, None] ** DEGREE
        jump = np.abs(top - np.roll(top, 1, axis=0)) / (0.5 * (h + np.roll(h, 1)))[:, None]
        monitor = (np.linalg.norm(jump + np.roll(jump, -1, axis=0), axis=1) / 2) ** (1 / (DEGREE + 1))
        monitor = monitor + 0.2 * float(h @ monitor) + 1e-12
        total = np.concatenate([[0.0], np.cumsum(h * monitor)])
        mesh = np.interp(np.linspace(0.0, total[-1], intervals + 1), total, self.mesh)
        mesh[0], mesh[-1] = 0.0, 1.0
        other = Orbits(self.problem, mesh)
        v, t = other.carried(self, w), other.carried(self, direction)
        return other.referred(v), v, t / np.linalg.norm(t)

    def carried(self, other: Orbits, w: Array) -> Array:
        """w of another mesh on this one."""
        return np.concatenate([other.read(w, self.times()).ravel() * self.weight, w[-2:]])

    def read(self, w: Array, times: Array) -> Array:
        """The piecewise polynomial at any times in [0, 1]."""
        i = np.clip(np.searchsorted(self.mesh, times, side="right") - 1, 0, self.intervals - 1)
        local = (times - self.mesh[i]) / np.diff(self.mesh)[i]
        return np.asarray(np.einsum("pj,pjn->pn", _lagrange(local)[0], self.orbit(w)[self._index[i]]))

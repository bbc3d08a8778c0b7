"""Augmented systems: folds, Hopf points and branch points as regular solutions of larger equations.

Folds by Moore and Spence (1980), Hopf points by Roose and Hlavacek (1985) in the form (A^2 + kappa) v = 0, branch points
by the vanishing of the reduced Jacobian of a bordered system (Griewank and Reddien 1984), for kernels of any dimension.
With two free parameters the first two are curves, to be followed like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import System
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_CONVERGED = 1e-13
_TRUSTED = 1e-10
_SOLVED = 1e-9


class FoldSystem:
    """Unknowns w = (u, v): F(u) = 0, F_y v = 0, v.v = 1. For maps and flows alike; regular through cusps."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.base = problem, problem.n + problem.m

    def null(self, w: Array) -> Array:
        """The vector in the kernel of F_y."""
        return w[self.base :]

    def residual(self, w: Array) -> Array:
        """(2 n + 1,)."""
        u, v = w[: self.base], self.null(w)
        jacobian = self.problem.matrix(u)[:, : self.problem.n]
        return np.concatenate([self.problem.residual(u), jacobian @ v, [v @ v - 1]])

    def matrix(self, w: Array) -> Array:
        """(2 n + 1, 2 n + m)."""
        problem, n, b = self.problem, self.problem.n, self.base
        u, v = w[:b], self.null(w)
        whole = problem.matrix(u)
        out = np.zeros((2 * n + 1, w.size))
        out[:n, :b] = whole
        out[n : 2 * n, :b] = (problem.derivatives(u, lambda x: problem.matrix(x)[:, :n]) @ v).T
        out[n : 2 * n, b:] = whole[:, :n]
        out[2 * n, b:] = 2 * v
        return out

    def begin(self, u: Array) -> Array:
        """A first guess from a point near a fold."""
        return np.concatenate([u, np.linalg.svd(self.problem.matrix(u)[:, : self.problem.n])[2][-1]])


class HopfSystem:
    """Unknowns w = (u, kappa, v): F(u) = 0, (A^2 + kappa) v = 0, v.v = 1, c.v = 0; kappa = omega^2 in scaled time.

    c fixes the phase of v in its plane; :meth:`renew` moves it along. Regular through Bogdanov-Takens points, kappa = 0.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.base = problem, problem.n + problem.m
        self.phase = np.zeros(0)

    def residual(self, w: Array) -> Array:
        """(n + d + 2,), d the number of differential states."""
        u, kappa, v = w[: self.base], w[self.base], w[self.base + 1 :]
        a = self.problem.linearization(u)
        return np.concatenate([self.problem.residual(u), a @ (a @ v) + kappa * v, [v @ v - 1, self.phase @ v]])

    def matrix(self, w: Array) -> Array:
        """(n + d + 2, n + m + 1 + d)."""
        problem, n, b = self.problem, self.problem.n, self.base
        u, kappa, v = w[:b], w[b], w[b + 1 :]
        a = problem.linearization(u)
        changes = problem.derivatives(u, problem.linearization)
        d = len(v)
        out = np.zeros((n + d + 2, w.size))
        out[:n, :b] = problem.matrix(u)
        out[n : n + d, :b] = (changes @ (a @ v) + (changes @ v) @ a.T).T
        out[n : n + d, b] = v
        out[n : n + d, b + 1 :] = a @ a + kappa * np.eye(d)
        out[n + d, b + 1 :] = 2 * v
        out[n + d + 1, b + 1 :] = self.phase
        return out

    def begin(self, u: Array, omega: float | None = None) -> Array:
        """A first guess from a point near a Hopf point: the pair nearest the axis, or nearest i omega (scaled time)."""
        values, vectors = np.linalg.eig(self.problem.linearization(u))
        upper = np.flatnonzero(values.imag > 0)
        if not upper.size:
            upper = np.arange(values.size)
        away = np.abs(values[upper].real) if omega is None else np.abs(values[upper] - 1j * omega)
        best = upper[int(np.argmin(away))]
        plane = np.linalg.qr(np.stack([vectors[:, best].real, vectors[:, best].imag], axis=1))[0]
        self.phase = plane[:, 1]
        return self.phased(np.concatenate([u, [abs(values[best]) ** 2], plane[:, 0]]))

    def phased(self, w: Array) -> Array:
        """w with its phase condition set anew: c is the part of A v across v."""
        u, v = w[: self.base], w[self.base + 1 :]
        across = self.problem.linearization(u) @ v
        across = across - (across @ v) / (v @ v) * v
        size = np.linalg.norm(across)
        if size > 1e-12:
            self.phase = across / size
        return w


@dataclass(frozen=True)
class BranchPoint:
    """Where the solution set of F = 0 is no curve: kernel (k + 1, n + m) of F_u, left kernel (k, n), and the residual."""

    u: Array
    kernel: Array
    left: Array
    residual: float


def newton(system: System, w: Array, reach: float = 0.05) -> tuple[Array, float] | None:
    """Newton's method for as many equations as unknowns (least squares for more): solution and residual, or None.

    None also where it moved by more than ``reach``.
    """
    begin, last = w, np.inf
    for k in range(25):
        f, m = system.residual(w), system.matrix(w)
        if not (np.isfinite(f).all() and np.isfinite(m).all()):
            return None
        step = np.linalg.lstsq(m, -f, rcond=1e-14)[0]
        size = float(np.linalg.norm(step) / (1 + np.linalg.norm(w)))
        if not np.isfinite(size) or (k > 3 and size > 4 * last and size > _TRUSTED):
            return None
        w = w + step
        if size < _CONVERGED or (size < _TRUSTED and size > 0.3 * last):
            break
        last = size
    else:
        if last > _TRUSTED:
            return None
    if np.linalg.norm(w - begin) > reach * (1 + np.linalg.norm(begin)):
        return None
    residual = float(np.abs(system.residual(w)).max())
    return (w, residual) if residual < _SOLVED else None


class Tested:
    """A curve with one more equation: as many as unknowns."""

    def __init__(self, system: Any, test: Callable[[Array], float]) -> None:
        self.system, self.test = system, test

    def residual(self, w: Array) -> Array:
        """The curve's equations, then the test."""
        return np.append(self.system.residual(w), self.test(w))

    def matrix(self, w: Array) -> Array:
        """The curve's matrix, then the gradient of the test by central differences."""
        h = 1e-5
        gradient = [(self.test(w + h * e) - self.test(w - h * e)) / (2 * h) for e in np.eye(w.size)]
        return np.vstack([self.system.matrix(w), gradient])


class _BranchSystem:
    """Unknowns w = (u, beta): F(u) + L beta = 0, and the reduced Jacobian S(u) = 0 (k by k + 1), L a left kernel.

    At a branch point beta = 0. For k > 1 there are more equations than unknowns; they agree where symmetry makes k
    eigenvalues cross at once.
    """

    def __init__(self, problem: Problem, u: Array, k: int) -> None:
        self.problem, self.k = problem, k
        left, _, right = np.linalg.svd(problem.matrix(u))
        self.left, self.kernel = left[:, len(left) - k :], right[u.size - k - 1 :].T

    def _bordered(self, u: Array) -> tuple[Array, Array, Array]:
        """Reduced Jacobian S, and the right and left factors of its derivative: dS = -left dF right."""
        n, size, k = self.problem.n, u.size, self.k
        whole = np.zeros((n + k + 1, size + k))
        whole[:n, :size], whole[:n, size:], whole[n:, :size] = self.problem.matrix(u), self.left, self.kernel.T
        inverse: Array = np.asarray(np.linalg.inv(whole), dtype=np.float64)
        return inverse[size:, n:], inverse[:size, n:], inverse[size:, :n]

    def residual(self, w: Array) -> Array:
        """(n + k (k + 1),)."""
        u, beta = w[: -self.k], w[-self.k :]
        try:
            reduced = self._bordered(u)[0]
        except np.linalg.LinAlgError:
            return np.full(self.problem.n + self.k * (self.k + 1), np.nan)
        return np.concatenate([self.problem.residual(u) + self.left @ beta, reduced.ravel()])

    def matrix(self, w: Array) -> Array:
        """(n + k (k + 1), n + m + k)."""
        u, n, k = w[: -self.k], self.problem.n, self.k
        _, right, left = self._bordered(u)
        changes = -left @ self.problem.derivatives(u, self.problem.matrix) @ right
        out = np.zeros((n + k * (k + 1), w.size))
        out[:n, : u.size], out[:n, u.size :] = self.problem.matrix(u), self.left
        out[n:, : u.size] = changes.reshape(u.size, -1).T
        return out


def branch_point(problem: Problem, u: Array, k: int) -> BranchPoint | None:
    """The branch point with a k-fold zero eigenvalue near u, or None where there is none."""
    if k > problem.n:
        return None
    system = _BranchSystem(problem, u, k)
    with np.errstate(all="ignore"):
        try:
            found = newton(system, np.concatenate([u, np.zeros(k)]), 0.02)
        except np.linalg.LinAlgError:
            return None
    if found is None or np.abs(found[0][-k:]).max() > 1e-9 or found[1] > 1e-8:
        return None
    w = found[0]
    at = w[:-k]
    regular = np.linalg.svd(system.matrix(w), compute_uv=False)
    if regular[-1] < 1e-8 * regular[0]:  # every point of a continuum of fixed points solves the equations
        return None
    left, sizes, right = np.linalg.svd(problem.matrix(at))
    if sizes[-k] > 1e-7 * max(sizes[0], 1.0) or (k < len(sizes) and sizes[-k - 1] < 1e-7 * sizes[0]):
        return None
    return BranchPoint(at, right[at.size - k - 1 :], left[:, len(left) - k :].T, found[1])

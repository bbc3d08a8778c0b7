"""Curves of folds and of Hopf points in two parameters, and the points of codimension two on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import Arc, Steps, correct, lies_on, null_directions, trace
from toymesa.analyse.continuation.augmented import FoldSystem, HopfSystem, Tested, newton
from toymesa.analyse.continuation.normal_forms import Forms, hopf, zero_pair
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_INTERVAL = 1e-5
_APART = 1e-5  # special points closer than this are one
_AXIS = 1e-7


@dataclass(frozen=True)
class Codimension2:
    """A point of codimension two: kind, u = (y, both parameters), the residual of its augmented system, and all
    unknowns w of the curve there."""

    kind: str
    u: Array
    residual: float
    w: Array


@dataclass
class Curve:
    """One curve: kind "fold" or "hopf", its points u, omega at each (NaN for folds), and how its two ends end."""

    kind: str
    points: Array
    omega: Array
    ends: tuple[str, str]
    unknowns: Array
    specials: list[tuple[int, Codimension2]] = field(default_factory=list)


class _Kind:
    """What curves of one kind are solved for, and which functions vanish at the special points on them."""

    def __init__(self, problem: Problem, forms: Forms, kind: str) -> None:
        self.problem, self.forms, self.kind = problem, forms, kind
        hopf_system = HopfSystem(problem)
        self.system: Any = FoldSystem(problem) if kind == "fold" else hopf_system
        self.base = problem.n + problem.m
        self.renew: Callable[[Array], Array] | None = None if kind == "fold" else hopf_system.phased

    # ---------------------------------------------------------------- marks that change at special points

    def marks(self, w: Array, like: Array) -> dict[str, float]:
        """Kind of special point -> a number whose sign changes there; ``like`` fixes the sign of the left kernel."""
        u = w[: self.base]
        if self.kind == "fold":
            return {
                "cusp": self.cusp(w, like),
                "bogdanov-takens": self.double_zero(w, like),
                "zero-hopf": float(self._others(u, np.zeros(1)) // 2 % 2) - 0.5,
            }
        omega = float(np.sqrt(max(w[self.base], 1e-300)))
        return {
            "generalized-hopf": hopf(self.forms, u, omega).lyapunov,
            "zero-hopf": float(self._others(u, np.array([1j, -1j]) * omega) % 2) - 0.5,
            "hopf-hopf": float(self._others(u, np.array([1j, -1j]) * omega) // 2 % 2) - 0.5,
        }

    def _others(self, u: Array, known: NDArray[Any]) -> int:
        """How many eigenvalues are unstable, beside those that are on the axis all along."""
        values = np.linalg.eigvals(self.problem.linearization(u))
        for k in known:
            values = np.delete(values, int(np.argmin(np.abs(values - k))))
        return int((values.real > 0).sum())

    def left_kernel(self, u: Array, like: Array | None = None) -> Array:
        """The left kernel of F_y at a fold, on the side of ``like``."""
        left = zero_pair(self.problem.matrix(u)[:, : self.problem.n])[1]
        return -left if like is not None and like.size and left @ like < 0 else left

    def cusp(self, w: Array, like: Array) -> float:
        """p.B(v, v)."""
        u, v = w[: self.base], w[self.base :]
        return float(self.left_kernel(u, like) @ self.forms.second(u, v, v).real)

    def double_zero(self, w: Array, like: Array) -> float:
        """p.v."""
        return float(self.left_kernel(w[: self.base], like) @ w[self.base :])

    def test(self, kind: str, near: Array) -> Callable[[Array], float] | None:
        """The smooth function whose zero the special point is, close to ``near``; None where it has none."""
        u, problem = near[: self.base], self.problem
        if kind == "cusp" or (kind == "bogdanov-takens" and self.kind == "fold"):
            like = self.left_kernel(u)
            function = self.cusp if kind == "cusp" else self.double_zero
            return lambda w: function(w, like)
        if kind == "generalized-hopf":
            return lambda w: hopf(self.forms, w[: self.base], float(np.sqrt(max(w[self.base], 1e-300)))).lyapunov
        values = np.linalg.eigvals(problem.linearization(u))
        if self.kind == "hopf":
            known = 1j * np.sqrt(max(near[self.base], 0.0))
            for k in (known, -known):
                values = np.delete(values, int(np.argmin(np.abs(values - k))))
        pairs = (
            values[values.imag > _AXIS]
            if self.kind == "fold" or kind == "hopf-hopf"
            else values[np.abs(values.imag) <= _AXIS]
        )
        if not pairs.size:
            return None
        target = pairs[int(np.argmin(np.abs(pairs.real)))]

        def nearest(w: Array) -> float:
            now = np.linalg.eigvals(problem.linearization(w[: self.base]))
            return float(now[int(np.argmin(np.abs(now - target)))].real)

        return nearest

    # ---------------------------------------------------------------- following and locating

    def trace(self, w: Array, direction: Array, steps: Steps) -> Arc:
        """Follow the curve from w inside both parameter ranges (and kappa >= 0)."""
        low, high = np.full(w.size, -np.inf), np.full(w.size, np.inf)
        low[self.base - 2 : self.base], high[self.base - 2 : self.base] = 0.0, 1.0
        if self.kind == "hopf":
            low[self.base] = 0.0
            self.system.phased(w)
        return trace(self.system, w, direction, low, high, steps, renew=self.renew)

    def locate(self, points: Array, deadline: float) -> list[tuple[int, Codimension2]]:
        """Every special point along a followed curve, with the position of the point before it."""
        out: list[tuple[int, Codimension2]] = []
        like = self.left_kernel(points[0][: self.base]) if self.kind == "fold" else np.zeros(0)
        before = self.marks(points[0], like)
        for i in range(len(points) - 1):
            if time.monotonic() > deadline:
                break
            if self.kind == "fold":
                like = self.left_kernel(points[i][: self.base], like)
            after = self.marks(points[i + 1], like)
            for kind, a in before.items():
                if np.isfinite(a) and np.isfinite(after[kind]) and (a > 0) != (after[kind] > 0):
                    found = self._between(kind, points[i], points[i + 1], a, like)
                    if found is not None and not any(
                        f.kind == found.kind and np.linalg.norm(f.u - found.u) < _APART for _, f in out
                    ):
                        out.append((i, found))
            before = after
        return out

    def _between(self, kind: str, a: Array, b: Array, mark: float, like: Array) -> Codimension2 | None:
        length = float(np.linalg.norm(b - a))
        while length > _INTERVAL:
            row = (b - a) / length
            middle = correct(self.system, (a + b) / 2, row)
            if middle is None:
                break
            if (self.marks(middle, like)[kind] > 0) == (mark > 0):
                a = middle
            else:
                b = middle
            length = float(np.linalg.norm(b - a))
        return self.solve(kind, (a + b) / 2)

    def solve(self, kind: str, near: Array) -> Codimension2 | None:
        """The special point near a point of the curve, by Newton's method on its augmented system."""
        test = self.test(kind, near)
        if test is None:
            return None
        if self.kind == "hopf":
            self.system.phased(near)
        found = newton(Tested(self.system, test), near, 0.02)
        if found is None or np.linalg.norm((found[0] - near)[: self.base]) > 0.02:
            return None
        return Codimension2(kind, found[0][: self.base], found[1], found[0])


@dataclass
class Curves:
    """All curves that were followed in two parameters, and in ``left`` what was not."""

    problem: Problem
    forms: Forms
    steps: Steps
    curves: list[Curve] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def follow(self, kind: str, u: Array, omega: float | None = None) -> None:
        """Follow the curve of folds or Hopf points through u, unless it is known; omega in radians per time."""
        family = _Kind(self.problem, self.forms, kind)
        w = (
            family.system.begin(u)
            if kind == "fold"
            else family.system.begin(u, None if omega is None else omega / self.problem.rate)
        )
        matrix, residual = family.system.matrix(w), family.system.residual(w)
        if not np.isfinite(matrix).all() or np.abs(residual).max() > 1e-6:
            return
        null = null_directions(matrix)
        if len(null) != 1 or self._known(family, w):
            return
        arcs = [family.trace(w, null[0], self.steps)]
        if arcs[0].end != "loop":
            arcs.append(family.trace(w, -null[0], self.steps))
        self._keep(family, arcs)

    def from_double_zero(self, u: Array) -> None:
        """Follow the curve of Hopf points that ends at a Bogdanov-Takens point."""
        family = _Kind(self.problem, self.forms, "hopf")
        a = self.problem.linearization(u)
        right = np.linalg.svd(a @ a)[2][-2:]  # the generalized kernel
        sizes = np.linalg.norm(a @ right.T, axis=0)
        w = family.system.phased(np.concatenate([u, [0.0], right[int(np.argmax(sizes))]]))
        found = null_directions(family.system.matrix(w), 1e-7)
        if len(found) != 1 or abs(found[0][family.base]) < 1e-9:
            return
        direction = found[0] * np.sign(found[0][family.base])
        ahead = correct(family.system, w + 1e-3 * direction, direction)
        if ahead is None or ahead[family.base] <= 0 or self._known(family, ahead):
            return
        self._keep(family, [family.trace(w, direction, self.steps)], "bogdanov-takens")

    def _known(self, family: _Kind, w: Array) -> bool:
        return any(
            lies_on(family.system, c.unknowns, w, family.base, family.renew)
            for c in self.curves
            if c.kind == family.kind
        )

    def _keep(self, family: _Kind, arcs: list[Arc], began: str = "closed") -> None:
        points = arcs[0].points
        ends = [_end(family, arcs[1]) if len(arcs) > 1 else began, _end(family, arcs[0])]
        if len(arcs) > 1:
            points = np.vstack([arcs[1].points[:0:-1], points])
        if len(points) < 2:
            return
        specials = family.locate(points, self.steps.deadline)
        for shift, (position, special) in enumerate(specials, start=1):  # the curve passes through them
            points = np.insert(points, position + shift, special.w, axis=0)
        if family.kind == "hopf":
            for position, end in ((0, ends[0]), (len(points) - 2, ends[1])):
                at = points[-1] if position else points[0]
                if end == "bogdanov-takens":
                    residual = float(np.abs(family.system.residual(at)[: self.problem.n]).max())
                    specials.append((position, Codimension2("bogdanov-takens", at[: family.base], residual, at)))
        for arc in arcs:
            if arc.end in ("points", "time", "step"):
                self.left.append(f"a curve of {family.kind} points ends early ({arc.end})")
        omega = np.sqrt(np.maximum(points[:, family.base], 0)) * self.problem.rate if family.kind == "hopf" else None
        self.curves.append(
            Curve(
                family.kind,
                points[:, : family.base],
                np.full(len(points), np.nan) if omega is None else omega,
                (ends[0], ends[1]),
                points,
                sorted(specials, key=lambda s: s[0]),
            )
        )


def _end(family: _Kind, arc: Arc) -> str:
    if family.kind == "hopf" and arc.bound == family.base:
        return "bogdanov-takens"
    if arc.end in ("low", "high"):
        which = "first" if arc.bound == family.base - 2 else "second"
        return f"{arc.end} end of the {which} parameter"
    return {"loop": "closed"}.get(arc.end, arc.end)

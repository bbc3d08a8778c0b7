"""The one-parameter diagram: every branch from every start, its special points, and what emanates from them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import Arc, Steps, lies_on, null_directions, trace
from toymesa.analyse.continuation.augmented import BranchPoint, branch_point
from toymesa.analyse.continuation.branching import emanating, paired
from toymesa.analyse.continuation.events import Special, specials
from toymesa.analyse.continuation.normal_forms import Forms
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_SAME = 1e-6
_CLOSE = 1e-4  # what is this close to a branch point cannot be told from it
_LINE = "on, at the same value"
_FEW = 8  # points, with which a branch may look vertical by chance
_ZERO = 1e-12  # in words
_SLACK = 1e-9  # a state this far outside its bounds is on them
Half = tuple[Array, Array]  # a point on a branch and the direction in which to follow it


@dataclass
class Branch:
    """Points u of one branch in order, how its two ends end, and its special points as (position, special point)."""

    points: Array
    ends: tuple[str, str]
    specials: list[tuple[int, Special]]


@dataclass
class Diagram:
    """Everything that was followed, in ``left`` what was not and why, and in ``notes`` what cannot be known to be all.

    inside : (states, 2), where states are followed to. most_branches : how many branches at most.
    """

    problem: Problem
    forms: Forms
    steps: Steps
    inside: Array
    most_branches: int
    branches: list[Branch] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crossings: list[BranchPoint] = field(default_factory=list)
    continua: list[Array] = field(default_factory=list)
    _degenerate: list[tuple[Array, int]] = field(default_factory=list)
    _queue: deque[tuple[Array | None, list[Half]]] = field(default_factory=deque)

    def run(self, starts: list[Array]) -> None:
        """Follow from every start, then from every branch point."""
        self.notes += conserved_in_words(self.problem)
        self.problem.tune(starts)
        for u in starts:
            matrix = self.problem.matrix(u)
            if not np.isfinite(matrix).all():
                self.left.append(f"the rates are not differentiable at {self.where(u)}: not followed")
                continue
            null = null_directions(matrix)
            if len(null) == 1:
                self._queue.append((None, [(u, null[0]), (u, -null[0])]))
            else:
                self._degenerate.append((u, len(null) - 1))
        self._work()
        for u, k in self._degenerate:  # by now known, unless nothing else leads there
            self._start_on_crossing(u, k)
        self._work()
        if self.continua:
            self.left.append(
                f"drift: {len(self.continua)} of the {len(starts)} fixed points that were found lie on lines or surfaces of "
                f"fixed points (or are degenerate), for instance {self.where(self.continua[0])}: not followed"
            )

    def _work(self) -> None:
        while self._queue:
            if time.monotonic() > self.steps.deadline:
                self.left.append(f"the time was spent with {len(self._queue)} starts not yet looked at")
                return
            centre, halves = self._queue.popleft()
            halves = [h for h in halves if not self._known(h[0])]
            if halves and len(self.branches) >= self.most_branches:
                self.left.append(f"{len(self._queue) + 1} starts were left after {self.most_branches} branches")
                return
            if halves:
                self._follow(centre, halves)

    def _start_on_crossing(self, u: Array, k: int) -> None:
        if any(np.linalg.norm(u - c.u) < _CLOSE for c in self.crossings) or self._known(u):
            return
        at = branch_point(self.problem, u, k)
        if at is None:
            self.continua.append(u)
        else:
            self._cross(at)

    # ---------------------------------------------------------------- one branch

    def _follow(self, centre: Array | None, halves: list[Half]) -> None:
        arcs: list[Arc] = []
        for u, direction in halves[:2]:
            if not arcs or arcs[0].end != "loop":
                arcs.append(self._trace(u, direction))
        points, tangents = _joined(centre, arcs)
        if len(points) < 2:
            return
        vertical = float(np.ptp(points[:, -1])) <= _SLACK and len(points) > _FEW
        words = {a.end for a in arcs} & set(_SPENT) - ({"points"} if vertical else set())
        self.left += [f"a branch ends at {self.where(a.points[-1])}: {_SPENT[a.end]}" for a in arcs if a.end in words]
        if vertical:
            self.branches.append(Branch(points, (_LINE, _LINE), []))
            self.notes.append(f"a line of fixed points at one value of the parameter, through {self.where(points[0])}")
            return  # every point of it is a fold, and none is special
        first = "loop" if arcs[0].end == "loop" else "start" if len(arcs) < 2 else self._end(arcs[1])
        found = specials(self.problem, self.forms, points, tangents)
        branch = Branch(points, (first, self._end(arcs[0])), [])
        shift = 1
        for after, special in found:
            if special.crossing is None and any(np.linalg.norm(special.u - c.u) < _CLOSE for c in self.crossings):
                continue  # the branch point itself, seen from a branch that turns there
            near = [i for i in (after + shift - 1, after + shift) if i < len(branch.points)]
            same = [i for i in near if np.linalg.norm(branch.points[i] - special.u) < 1e-9]
            position = same[0] if same else after + shift
            if not same:
                branch.points = np.insert(branch.points, position, special.u, axis=0)
                shift += 1
            branch.specials.append((position, special))
        self.branches.append(branch)
        for _, special in branch.specials:
            if special.crossing is not None:
                self._cross(special.crossing)
            if special.kind == "unresolved":
                self.left.append(f"a special point near {self.where(special.u)} could not be converged")

    def _trace(self, u: Array, direction: Array) -> Arc:
        problem, n = self.problem, self.problem.n
        low, high = np.full(n + 1, -np.inf), np.full(n + 1, np.inf)
        low[-1], high[-1] = 0.0, 1.0
        slack = np.array([[-_SLACK], [_SLACK]])
        if not len(problem.conserved):  # then every unknown is a state in other units
            low[:n], high[:n] = (self.inside.T + slack - problem.origin) / np.diag(problem.basis)
            return trace(problem, u, direction, low, high, self.steps)
        return trace(problem, u, direction, low, high, self.steps, halt=lambda v: not self._inside(v))

    def _end(self, arc: Arc) -> str:
        """Why a branch ends, in words that a reader of the result understands."""
        n = self.problem.n
        if arc.end == "halt" or (arc.end in ("low", "high") and 0 <= arc.bound < n):
            if arc.end == "halt":
                return "left the box"
            bound = self.inside[arc.bound][0 if arc.end == "low" else 1]
            return f"{self.problem.model.state_names[arc.bound]} = {bound:.6g}"
        return {"low": "low end", "high": "high end", "loop": "closed"}.get(arc.end, _SPENT.get(arc.end, arc.end))

    def _inside(self, u: Array) -> bool:
        x = self.problem.state(u)
        if not -_SLACK <= u[self.problem.n] <= 1 + _SLACK:
            return False
        return bool(((x >= self.inside[:, 0] - _SLACK) & (x <= self.inside[:, 1] + _SLACK)).all())

    # ---------------------------------------------------------------- branch points

    def _cross(self, at: BranchPoint) -> None:
        """Queue what emanates from a branch point that was not seen before."""
        if any(np.linalg.norm(at.u - other.u) < _SAME for other in self.crossings):
            return
        self.crossings.append(at)
        half = emanating(self.problem, at, self.steps.deadline)
        for i, j in paired(half.directions):
            both = [k for k in ([i] if j is None else [i, j]) if self._inside(half.points[k])]
            if both:
                self._queue.append((at.u, [(half.points[k], half.directions[k]) for k in both]))
        lines = len(paired(half.directions))
        if half.continuum:
            self.left.append(f"continua of fixed points meet the branch point at {self.where(at.u)}: not followed")
        elif not half.complete:
            self.notes.append(
                f"the branch point at {self.where(at.u)} has a kernel of dimension {len(at.left)}: {lines} lines were "
                f"found of at most {half.most}"
            )

    def _known(self, u: Array) -> bool:
        """Whether a solution lies on a branch that was followed."""
        return any(lies_on(self.problem, b.points, u, u.size) for b in self.branches)

    def specials(self) -> list[tuple[int, Special]]:
        """Every special point once, with the number of the first branch that it was found on."""
        out: list[tuple[int, Special]] = []
        for i, branch in enumerate(self.branches):
            for _, s in branch.specials:
                if s.kind != "unresolved" and not any(
                    s.kind == o.kind and np.linalg.norm(s.u - o.u) < _SAME for _, o in out
                ):
                    out.append((i, s))
        return out

    def where(self, u: Array) -> str:
        """A point in words: the parameter and the states."""
        problem = self.problem
        names = [list(problem.model.param_names)[i] for i in problem.free]
        parts = [f"{n} = {problem.values(u)[i]:.6g}" for n, i in zip(names, problem.free, strict=True)]
        states = list(zip(problem.model.state_names, problem.state(u), strict=True))
        parts += [f"{n} = {0.0 if abs(v) < _ZERO else v:.6g}" for n, v in states[:4]]
        return ", ".join(parts) + (", ..." if len(states) > 4 else "")


_SPENT = {"points": "its points were spent", "time": "the time was spent", "step": "the step became too small"}


def _joined(centre: Array | None, arcs: list[Arc]) -> tuple[Array, Array]:
    """One curve from one or two arcs that leave a common point, or a branch point ``centre`` between them."""
    ahead = arcs[0]
    points, tangents = ahead.points, ahead.tangents
    if centre is not None:
        away = points[0] - centre
        points = np.vstack([centre, points])
        tangents = np.vstack([away / np.linalg.norm(away), tangents])
    if len(arcs) > 1:
        back = arcs[1]
        skip = 0 if centre is not None else 1
        points = np.vstack([back.points[::-1][: len(back.points) - skip], points])
        tangents = np.vstack([-back.tangents[::-1][: len(back.points) - skip], tangents])
    return points, tangents


def conserved_in_words(problem: Problem) -> list[str]:
    """What the flow conserves, and that only its level set through the start was followed."""
    if not len(problem.conserved):
        return []
    reduced, _ = sp.Matrix(np.round(problem.conserved @ np.linalg.inv(problem.units), 12)).rref(
        iszerofunc=lambda v: abs(v) < 1e-9
    )
    sums = []
    for row in np.array(reduced.tolist(), dtype=float):
        terms = [
            f"{c:.6g}*{n}" if abs(c - 1) > 1e-9 else n for c, n in zip(row, problem.model.state_names, strict=True) if c
        ]
        total = float(row @ problem.start)
        sums.append(f"{' + '.join(terms).replace('+ -', '- ')} = {total:.6g}")
    return [f"conserved, and kept as at the model's start: {'; '.join(sums)}"]

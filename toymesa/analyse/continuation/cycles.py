"""Families of limit cycles: from a Hopf point to whatever the oscillation ends in."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import Steps, advance, correct, tangent
from toymesa.analyse.continuation.collocation import Orbits
from toymesa.analyse.continuation.cycle import Cycle, Family, deviation, read, vanishing
from toymesa.analyse.continuation.cycle_events import MOST_INTERVALS, at_end, cycle_specials, ending
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_INTERVALS, _FEWER = 30, 20  # of the first mesh: up to three states, more states
_RESOLVED = 1e-6  # error of the trivial multiplier above which the mesh gets more intervals
_HAIRPIN = 2e-3  # steps down to this length are checked for jumps


def family(problem: Problem, hopf: Array, omega: float, inside: Array, steps: Steps) -> Family:
    """Follow the cycles born at a Hopf point u = (y, q), omega in scaled time. steps.points is the most cycles."""
    out = Family(hopf, omega)
    walk = _Walk(problem, hopf, omega, steps)
    if not walk.started:
        out.ends_in = "step"
        return out
    smallest = 0.3 * float(np.linalg.norm(deviation(walk.system, walk.w)))
    out.cycles.append(read(walk.system, walk.w))
    while not out.ends_in:
        if len(out.cycles) >= steps.points or time.monotonic() > steps.deadline:
            out.ends_in = "points" if len(out.cycles) >= steps.points else "time"
            break
        new = walk.step()
        if new is None:
            if walk.h < steps.least:
                out.ends_in = "step"
            continue
        v, t, turn, cycle = new
        system, w = walk.system, walk.w
        if len(out.cycles) > 4 and deviation(system, v) @ deviation(system, w) < 0:
            out.ends_in, out.at = "hopf", vanishing(system, w)  # it shrank to a point and grew again upside down
            break
        if not 0 <= v[-1] <= 1:
            v, out.ends_in = at_end(system, w, v)
            cycle = read(system, v)
        cycle_specials(out, system, (w, walk.t), (v, t), cycle)
        out.cycles.append(cycle)
        walk.accept(v, t, turn)
        if not out.ends_in:
            out.ends_in = ending(out, system, v, t, smallest, inside, omega)
    return out


class _Walk:
    """A cycle w, the direction t in which its family goes on, the equations on their mesh, and the length of the next step."""

    def __init__(self, problem: Problem, hopf: Array, omega: float, steps: Steps) -> None:
        self.steps, self.h, self.taken = steps, steps.first, 0
        self.system, begin, direction = _born(problem, hopf, omega, _INTERVALS if problem.n <= 3 else _FEWER)
        w = correct(self.system, begin + self.h * direction, direction)
        while (w is None or np.linalg.norm(w - begin) > 3 * self.h) and self.h > 1e-4:
            self.h /= 2
            w = correct(self.system, begin + self.h * direction, direction)
        self.started = w is not None
        self.w = begin if w is None else w
        self.t = tangent(self.system, self.w, direction) if self.started else direction

    def step(self) -> tuple[Array, Array, float, Cycle] | None:
        """The next cycle, its direction, the angle turned and what is read off it; None where it must be tried again."""
        new = advance(self.system, self.w, self.t, self.h)
        if new is None:
            self.h /= 2
            return None
        v, t, turn = new
        cycle = read(self.system, v)
        if cycle.error > _RESOLVED and self.system.intervals < MOST_INTERVALS:
            self._remesh(int(1.5 * self.system.intervals))
            return None
        if self.h > _HAIRPIN and self.system.orientation(self.w, self.t) != self.system.orientation(v, t):
            self.h /= 2  # it may have jumped over a hairpin, and would go back
            return None
        return v, t, turn, cycle

    def accept(self, v: Array, t: Array, turn: float) -> None:
        """Go on from v; the mesh follows the orbit at every second step."""
        self.w, self.t, self.taken = v, t, self.taken + 1
        self.h = min(self.steps.most, self.h * float(np.clip(0.15 / max(turn, 1e-9), 0.5, 1.5)))
        if self.taken % 2:
            self.system = self.system.referred(v)
        else:
            self._remesh(self.system.intervals)

    def _remesh(self, intervals: int) -> None:
        system, w, t = self.system.remeshed(self.w, self.t, intervals)
        again = correct(system, w, t)
        if again is None:
            self.system = self.system.referred(self.w)
        else:
            self.system, self.w, self.t = system, again, tangent(system, again, t)


def _born(problem: Problem, hopf: Array, omega: float, intervals: int) -> tuple[Orbits, Array, Array]:
    """The Hopf point as a cycle of no size, and the unit direction in which it grows."""
    values, vectors = np.linalg.eig(problem.linearization(hopf))
    q = vectors[:, int(np.argmin(np.abs(values - 1j * omega)))]
    mesh = np.linspace(0.0, 1.0, intervals + 1)
    plain = Orbits(problem, mesh)
    wave = np.real(np.exp(2j * np.pi * plain.times())[:, None] * q)
    still = plain.pack(np.tile(hopf[: problem.n], (plain.nodes, 1)), 2 * np.pi / omega, hopf[-1])
    grown = plain.pack(np.tile(hopf[: problem.n], (plain.nodes, 1)) + wave, 2 * np.pi / omega, hopf[-1])
    direction = (grown - still) / np.linalg.norm(grown - still)
    # the reference is the wave alone: of a constant orbit the phase is free
    return plain.referred(grown), still, direction

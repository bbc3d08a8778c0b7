"""Equal achieved error, then rounds: every contender in turn, so that a busy neighbour slows all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Absent, Array, Contender, Run, error
from benchmarks.problems import Problem

TUNING_SECONDS = 3.0  # a contender too slow to do all points of the subset within this is tuned on the hardest of them


@dataclass
class Measured:
    """A contender's results for one problem and one target error; ``note`` says why there are none.

    seconds: per point, one a round. points: how many a round runs (fewer than all: scaled). tuned_on: points of the
    subset, the hardest ones, on which the tolerance was found.
    """

    name: str
    package: str
    note: str = ""
    tolerance: float = math.nan
    error: float = math.nan
    tuned_on: int = 0
    points: int = 0
    first_call: float = math.nan
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds per point; NaN where there are none."""
        return float(np.median(self.seconds)) if self.seconds else math.nan


def guarded(call: Callable[..., Any], *args: Any) -> tuple[Any, str]:
    """What the call returns, or None and why not: one contender's failure is a row, not the end of the benchmark."""
    try:
        return call(*args), ""
    except Absent as absent:
        return None, str(absent)
    except Exception as broken:  # whatever a foreign package raises
        lines = str(broken).strip().splitlines()
        return None, f"failed: {type(broken).__name__}: {lines[0][:120] if lines else ''}"


def tune(
    achieved: Callable[[float], float], target: float, *, tries: int = 12, seconds: float = 30.0
) -> tuple[float, float]:
    """The loosest tolerance found whose error meets the target, and that error; (NaN, best error) where none does.

    Searches the logarithm of the tolerance: a secant between the loosest known to fail and the tightest known to pass.
    """
    begun, passed, failed = time.perf_counter(), (-math.inf, math.nan), (math.inf, math.nan)
    x, best, goal = math.log10(target) - 0.5, math.inf, math.log10(target)
    for _ in range(tries):
        found = achieved(10.0**x)
        best = min(best, found)
        y = math.log10(found) if 0 < found < math.inf else math.copysign(300.0, found - 1.0)
        if found <= target:
            passed = max(passed, (x, y))
        else:
            failed = min(failed, (x, y))
        if math.isinf(passed[0]) and x < -15:
            return math.nan, best
        if passed[0] > -0.5 or failed[0] - passed[0] < 0.05 or goal - 0.05 <= passed[1]:
            break
        if time.perf_counter() - begun > seconds:
            break
        if math.isinf(failed[0]):
            x = passed[0] + min(max(0.2, 0.9 * (goal - passed[1])), 2.0)
        elif math.isinf(passed[0]):
            x = max(failed[0] - min(max(0.2, 1.1 * (failed[1] - goal)), 1.5), -15.5)
        else:
            share = (goal - 0.02 - passed[1]) / max(failed[1] - passed[1], 1e-9)
            x = passed[0] + min(max(share, 0.15), 0.85) * (failed[0] - passed[0])
    if math.isinf(passed[0]):
        return math.nan, best
    return 10.0 ** passed[0], 10.0 ** passed[1]


@dataclass
class Field:
    """The contenders of one problem, compiled once, and the data they run on.

    truth: end states of the first points. order: those points by falling difficulty; who cannot do all of them in
    reasonable time is tuned on the hardest, where the largest error is.
    """

    problem: Problem
    starts: Array
    params: Array
    truth: Array
    order: NDArray[np.intp]
    contenders: Sequence[Contender]
    log: Callable[[str], None] = print
    runs: dict[str, Run] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Compile every contender, keep how long its first answer took, and why any of them cannot take part."""
        for c in self.contenders:
            begun = time.perf_counter()
            run, note = guarded(c.prepare)
            if run is not None:
                count = min(4 if c.loop else 64, len(self.truth))
                ends, note = guarded(run, self.starts[:count], self.params[:count], 1e-6)
                if ends is not None and not error(ends, self.truth[:count]) < 1e-2:
                    note = f"wrong: error {error(ends, self.truth[:count]):.1e} at tolerance 1e-6"
            if note:
                self.notes[c.name] = note
            elif run is not None:
                self.runs[c.name], self.first[c.name] = run, time.perf_counter() - begun
            self.log(f"  {c.name}: {note or f'first answer after {self.first[c.name]:.2f} s'}")

    def achieved(self, c: Contender, tol: float, count: int) -> float:
        """The error on the hardest points; infinite where the contender raises."""
        rows = self.order[:count]
        ends, _ = guarded(self.runs[c.name], self.starts[rows], self.params[rows], tol)
        return math.inf if ends is None else error(ends, self.truth[rows])

    def seconds_a_point(self, c: Contender, tol: float, count: int) -> float:
        """One timed call, per point; infinite where it raises."""
        begun = time.perf_counter()
        ends, _ = guarded(self.runs[c.name], self.starts[:count], self.params[:count], tol)
        return math.inf if ends is None else (time.perf_counter() - begun) / count

    def tuned(self, c: Contender, target: float, seconds: float) -> Measured:
        """The contender at the target error: its tolerance, what it achieves, and on how many points that was found."""
        out = Measured(c.name, c.package, self.notes.get(c.name, ""), first_call=self.first.get(c.name, math.nan))
        if out.note:
            return out
        few = min(4 if c.loop else 64, len(self.truth))
        cost = min(self.seconds_a_point(c, target, few) for _ in range(2))  # the first may compile
        out.tuned_on = min(max(few, int(TUNING_SECONDS / cost)), len(self.truth))
        out.tolerance, out.error = tune(lambda tol: self.achieved(c, tol, out.tuned_on), target, seconds=seconds)
        if math.isnan(out.tolerance):
            out.note = f"{target:g} not reached in the tuning time (best {out.error:.1e})"
        return out

    def race(self, target: float, rounds: int, budget: float) -> list[Measured]:
        """Tune every contender, then time rounds over all of them; ``budget`` bounds the seconds of the rounds."""
        every = [self.tuned(c, target, max(10.0, budget / 4)) for c in self.contenders]
        running = [(c, m) for c, m in zip(self.contenders, every, strict=True) if not m.note]
        costs = []
        for c, m in running:
            few = min(max(c.least, m.tuned_on), len(self.starts))
            costs.append(min(self.seconds_a_point(c, m.tolerance, few) for _ in range(1 if c.loop else 2)))
        share = allowance([cost * len(self.starts) for cost in costs], budget / rounds)
        for (c, m), cost in zip(running, costs, strict=True):
            m.points = min(max(c.least, int(min(share / cost, 1e9))), len(self.starts))
            self.log(f"  {c.name}: tolerance {m.tolerance:.2e}, error {m.error:.2e}, {m.points} points a round")
        for r in range(rounds):
            for c, m in running if r % 2 == 0 else running[::-1]:
                m.seconds.append(self.seconds_a_point(c, m.tolerance, m.points))
        return every


def allowance(whole: Sequence[float], budget: float) -> float:
    """The seconds that each may take so that all together stay within the budget: who needs less leaves it to others."""
    left = budget
    for k, need in enumerate(sorted(whole)):
        share = left / (len(whole) - k)
        if need > share:
            return share
        left -= need
    return math.inf if whole else 0.0


def ratios(own: Measured, other: Measured) -> tuple[float, float, float]:
    """How many times faster than the other, within each round: median, least, greatest."""
    r = np.array(other.seconds) / np.array(own.seconds)
    return (float(np.median(r)), float(r.min()), float(r.max())) if r.size else (math.nan,) * 3

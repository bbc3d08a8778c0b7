"""Special cycles on a family (folds, period doublings, tori), and what the family ends in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import correct, tangent
from toymesa.analyse.continuation.collocation import Orbits
from toymesa.analyse.continuation.cycle import Cycle, Family, deviation, read, vanishing
from toymesa.analyse.continuation.events import fold_point

Array = NDArray[np.float64]
MOST_INTERVALS = 150  # of a mesh
_VERTICAL = 1e-9  # a family in which the parameter never changes by more belongs to a centre
_LONG = 25.0  # a period this many times the first, while the parameter stands still, is on its way to infinity
_STILL = 2e-4  # change of the parameter per change of ln T that counts as standing still


def at_end(system: Orbits, w: Array, v: Array) -> tuple[Array, str]:
    """The cycle at the end of the range between two cycles on both sides of it."""
    end, goal = ("low", 0.0) if v[-1] < 0 else ("high", 1.0)
    guess = w + (goal - w[-1]) / (v[-1] - w[-1]) * (v - w)
    guess[-1] = goal
    row = np.zeros(w.size)
    row[-1] = 1.0
    landed = correct(system, guess, row)
    return (v if landed is None else landed), end


def cycle_specials(
    out: Family, system: Orbits, before: tuple[Array, Array], after: tuple[Array, Array], cycle: Cycle
) -> None:
    """Folds of cycles where the parameter turns back; doublings and tori where multipliers leave the unit circle."""
    previous = out.cycles[-1]
    turned = before[1][-1] * after[1][-1] < 0
    crossed = cycle.unstable != previous.unstable and max(cycle.error, previous.error) < 1e-3
    if turned or crossed:
        system, before, after = _fitted(system, before, after)
    if turned:
        w = _turning(system, before, after)
        if w is not None:
            out.cycles.append(read(system, w))
            out.specials.append((len(out.cycles) - 1, "cycle-fold"))
            return
    if not crossed:
        return
    w = _crossing(system, before, after, int((np.abs(previous.multipliers) > 1).sum()))
    if w is not None:
        found = read(system, w)
        crossing = found.multipliers[int(np.argmin(np.abs(np.abs(found.multipliers) - 1)))]
        turns = (found.q - previous.q) * (cycle.q - found.q) < 0  # by less than the tangents show, in a huge range
        real = "period-doubling" if crossing.real < 0 else "cycle-fold" if turns else "cycle-branch"
        out.cycles.append(found)
        out.specials.append((len(out.cycles) - 1, "torus" if abs(crossing.imag) > 1e-6 else real))


def _fitted(
    system: Orbits, before: tuple[Array, Array], after: tuple[Array, Array]
) -> tuple[Orbits, tuple[Array, Array], tuple[Array, Array]]:
    """Both cycles on a mesh of their own, finer one, for a special point between them."""
    intervals = min(2 * system.intervals, MOST_INTERVALS)
    finer, w, t = system.remeshed(after[0], after[1], max(intervals, system.intervals))
    ends = [(finer.carried(system, before[0]), finer.carried(system, before[1])), (w, t)]
    out = []
    for w, t in ends:
        t = t / np.linalg.norm(t)
        again = correct(finer, w, t)
        if again is None:
            return system, before, after
        out.append((again, tangent(finer, again, t)))
    return finer, out[0], out[1]


def _turning(system: Orbits, before: tuple[Array, Array], after: tuple[Array, Array]) -> Array | None:
    """Where the parameter is stationary between two cycles: false position on its rate along the family."""
    (a, ta), (b, tb) = before, after
    chord = b - a
    length = float(np.linalg.norm(chord))
    row = chord / length
    low, high, at_low, at_high = 0.0, 1.0, ta[-1], tb[-1]
    w = None
    for _ in range(40):
        share = low + (high - low) * at_low / (at_low - at_high)
        share = float(np.clip(share, low + 0.02 * (high - low), high - 0.02 * (high - low)))
        w = correct(system, a + share * chord, row)
        if w is None:
            return None
        rate = tangent(system, w, row)[-1]
        if abs(rate) < 1e-9 or high - low < 1e-9:
            break
        if rate * at_low > 0:
            low, at_low = share, rate
        else:
            high, at_high = share, rate
    return w


def _crossing(system: Orbits, before: tuple[Array, Array], after: tuple[Array, Array], unstable: int) -> Array | None:
    """Where the number of unstable multipliers changes between two cycles, by halving to 1e-9 of the step."""
    a, chord = before[0], after[0] - before[0]
    row = chord / np.linalg.norm(chord)
    low, high = 0.0, 1.0
    w = None
    for _ in range(30):
        share = (low + high) / 2
        w = correct(system, a + share * chord, row)
        if w is None:
            return None
        if (np.abs(read(system, w).multipliers) > 1).sum() == unstable:
            low = share
        else:
            high = share
    return w


def ending(out: Family, system: Orbits, w: Array, t: Array, smallest: float, inside: Array, omega: float) -> str:
    """Whether the family ends here, in one word."""
    problem, cycle = system.problem, out.cycles[-1]
    if (
        (cycle.low < inside[:, 0]).any()
        or (cycle.high > inside[:, 1]).any()
        or np.linalg.norm(deviation(system, w)) > 1e4
    ):
        return "unbounded"
    if len(out.cycles) > 4 and np.linalg.norm(deviation(system, w)) < smallest:
        out.at = vanishing(system, w)
        return "hopf"
    at = [c.q for c in out.cycles]
    if len(at) > 8 and max(at) - min(at) < _VERTICAL and abs(at[0] - out.hopf[-1]) < _VERTICAL:
        return "centre"
    grown = cycle.period * problem.rate * omega / (2 * np.pi)
    if grown > _LONG and abs(t[-1]) < _STILL * abs(t[-2]):
        return _near_fixed_point(out, system, w)
    return ""


def _near_fixed_point(out: Family, system: Orbits, w: Array) -> str:
    """What a cycle of very long period lingers at: a saddle (homoclinic), or a fold of fixed points on the cycle."""
    problem = system.problem
    y = system.fine(w)
    speed = np.linalg.norm(problem.residuals(y, w[-1:]), axis=1)
    slow = np.append(y[int(np.argmin(speed))], w[-1])
    fold = fold_point(problem, slow)
    if fold is not None and abs(fold.u[-1] - w[-1]) < 1e-2 and np.linalg.norm((fold.u - slow)[:-1]) < 0.1:
        out.at = fold.u
        return "saddle-node"
    row = np.zeros(slow.size)
    row[-1] = 1.0
    out.at = correct(problem, slow, row, 20)
    return "homoclinic" if out.at is not None and np.linalg.norm(out.at - slow) < 0.5 else "long"

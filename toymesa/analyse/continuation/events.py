"""Special points on a branch: found by what changes between neighbouring points, halved in, then solved for exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import correct, tangent
from toymesa.analyse.continuation.augmented import BranchPoint, FoldSystem, HopfSystem, Tested, branch_point, newton
from toymesa.analyse.continuation.map_points import map_point
from toymesa.analyse.continuation.normal_forms import Forms, Onset, hopf
from toymesa.analyse.continuation.problem import Problem

Array = NDArray[np.float64]
_INTERVAL = 3e-7  # length to which an interval is halved before its special point is solved for
_AXIS = 1e-9  # a real part this small beside the rates is on the imaginary axis
_FLAT = 1e-13  # smallest singular value of a fold, of the largest, that rounding could have made
_NEAR_ZERO = 3e-5  # eigenvalues in such an interval that may be crossing zero


@dataclass(frozen=True)
class Special:
    """A special point: kind "fold", "hopf" or "branch", of a map also "flip" or "neimark-sacker" (or "unresolved"), where,
    and what was computed there. together : eigenvalues (or pairs) that cross at once."""

    kind: str
    u: Array
    residual: float
    onset: Onset | None = None
    crossing: BranchPoint | None = None
    together: int = 1


class _Signature(NamedTuple):
    """What cannot change without a special point: the number of growing eigenvalues, the direction of the parameter, the
    orientation, and the number of eigenvalues on the imaginary axis (the unit circle of a map)."""

    unstable: int
    forward: bool
    oriented: bool
    neutral: int


def _signature(problem: Problem, u: Array, t: Array) -> _Signature:
    a = problem.linearization(u)
    if not np.isfinite(a).all():
        return _Signature(-1, True, True, 0)
    real = problem.growth(np.linalg.eigvals(a))
    zero = _AXIS * max(1.0, float(np.abs(a).max()))
    m = np.vstack([problem.matrix(u), t])
    m = m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-300)
    return _Signature(
        int((real > zero).sum()), bool(t[-1] > 0), bool(np.linalg.slogdet(m)[0] > 0), int((np.abs(real) <= zero).sum())
    )


def specials(problem: Problem, forms: Forms, points: Array, tangents: Array) -> list[tuple[int, Special]]:
    """Every special point of a branch with the position of the point before it, in order."""
    marks = [_signature(problem, u, t) for u, t in zip(points, tangents, strict=True)]
    usual = min(m.neutral for m in marks)
    clear = [i for i, m in enumerate(marks) if m.unstable >= 0 and (m.neutral == usual or _stays(marks, i))]
    out: list[tuple[int, Special]] = []
    for i, j in pairwise(clear):
        if marks[i] != marks[j]:
            ends = (points[i], tangents[i], marks[i]), (points[j], tangents[j], marks[j])
            for special in _between(problem, forms, *ends):
                gaps = [
                    np.linalg.norm(special.u - points[k]) + np.linalg.norm(special.u - points[k + 1])
                    for k in range(i, j)
                ]
                out.append((i + int(np.argmin(gaps)), special))
    for end in (0, len(points) - 1):  # a branch may end on a special point
        if clear and marks[end].neutral > usual and not _stays(marks, end):
            special = _solve(problem, forms, points[end], None, None)
            if special.kind != "unresolved" and np.linalg.norm(special.u - points[end]) < 1e-6:
                out.append((min(end, len(points) - 2), special))
    return sorted(out, key=lambda item: item[0])


def _stays(marks: list[_Signature], i: int) -> bool:
    """Whether a neighbour is as neutral: along centres, and where something is conserved, eigenvalues stay on the axis."""
    return any(marks[j].neutral == marks[i].neutral for j in (i - 1, i + 1) if 0 <= j < len(marks))


_Mark = tuple[Array, Array, _Signature]


def _between(problem: Problem, forms: Forms, a: _Mark, b: _Mark) -> list[Special]:
    if a[2] == b[2]:
        return []
    chord = b[0] - a[0]
    length = float(np.linalg.norm(chord))
    if length > _INTERVAL:
        middle = correct(problem, (a[0] + b[0]) / 2, chord / length)
        if middle is not None and np.linalg.norm(middle - (a[0] + b[0]) / 2) < length / 2:
            t = tangent(problem, middle, chord / length)
            m = (middle, t, _signature(problem, middle, t))
            if m[2].neutral in (a[2].neutral, b[2].neutral):
                return _between(problem, forms, a, m) + _between(problem, forms, m, b)
            return [_solve(problem, forms, middle, a[2], b[2])]
    return [_solve(problem, forms, (a[0] + b[0]) / 2, a[2], b[2])]


def _solve(problem: Problem, forms: Forms, u: Array, before: _Signature | None, after: _Signature | None) -> Special:
    """The special point near u, by the augmented system that what changed there calls for."""
    values = np.linalg.eigvals(problem.linearization(u))
    growth = problem.growth(values)
    nearest = values[int(np.argmin(np.abs(growth)))]
    crossed = before is None or after is None or before.unstable != after.unstable
    turned = before is not None and after is not None and before.forward != after.forward
    odd = before is None or after is None or before.oriented != after.oriented
    if crossed and not turned and not (odd and before is not None) and (_turns(problem, nearest, growth)):
        found = oscillation(problem, forms, u)
        if found is not None:
            return found
    if turned and not odd:
        found = fold_point(problem, u)
        if found is not None:
            return found
    count = int((np.abs(values) < _NEAR_ZERO * max(1.0, float(np.abs(values).max()))).sum())
    for k in range(max(count, 1), 0, -1):
        at = branch_point(problem, u, k)
        if at is not None:
            return Special("branch", at.u, at.residual, crossing=at)
    return fold_point(problem, u) or oscillation(problem, forms, u) or Special("unresolved", u, np.nan)


def _turns(problem: Problem, nearest: complex, growth: Array) -> bool:
    """Whether the eigenvalue that may cross does so away from where fixed points meet: from zero, or from multiplier 1."""
    away = abs(nearest) if problem.discrete else abs(nearest.imag)
    return away > 1e-7 + 30 * float(np.abs(growth).min())


def oscillation(problem: Problem, forms: Forms, u: Array) -> Special | None:
    """The Hopf point near u, of a map the flip or Neimark-Sacker point; None where there is none."""
    if not problem.discrete:
        return hopf_point(problem, forms, u)
    found = map_point(problem, forms, u)
    if found is None:
        return None
    kind, at, residual, onset, together = found
    return Special(kind, at, residual, onset=onset, together=together)


def fold_point(problem: Problem, u: Array) -> Special | None:
    """The fold near u, or None."""
    system = FoldSystem(problem)
    found = newton(system, system.begin(u), 0.02)
    if found is None:
        return None
    w = found[0]
    if np.linalg.norm(w[: system.base] - u) > 0.02:
        return None
    sizes = np.linalg.svd(system.matrix(w), compute_uv=False)
    if sizes[-1] < _FLAT * sizes[0]:  # the rates are flat there, as exp(x) is far to the left: nothing turns
        return None
    return Special("fold", w[: system.base], found[1])


def hopf_point(problem: Problem, forms: Forms, u: Array) -> Special | None:
    """The Hopf point near u with its frequency and first Lyapunov coefficient, or None."""
    system = HopfSystem(problem)
    if len(problem.linearization(u)) < 2:
        return None
    found = newton(system, system.begin(u), 0.1)
    if found is None or np.linalg.norm(found[0][: system.base] - u) > 0.02 or found[0][system.base] <= 0:
        return None
    at, omega = found[0][: system.base], float(np.sqrt(found[0][system.base]))

    def nearest(v: Array) -> complex:
        values = np.linalg.eigvals(problem.linearization(v))
        return complex(values[int(np.argmin(np.abs(values - 1j * omega)))])

    # A^2 squares the ratio of fast to slow rates; with the eigenvalue itself a stiff system keeps its digits
    better = newton(Tested(problem, lambda v: nearest(v).real), at, 0.02)
    at, residual = (at, found[1]) if better is None else better
    return Special("hopf", at, residual, onset=hopf(forms, at, abs(nearest(at).imag)))

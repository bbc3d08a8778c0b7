"""``follow``: how fixed points and limit cycles change with one parameter, and where they are lost with two."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.continuation.arcs import Steps
from toymesa.analyse.continuation.asked import Asked, asked
from toymesa.analyse.continuation.curves import Curves
from toymesa.analyse.continuation.cycle import Family
from toymesa.analyse.continuation.cycles import family
from toymesa.analyse.continuation.diagram import Diagram
from toymesa.analyse.continuation.events import Special
from toymesa.analyse.continuation.labels import curves_dataset, diagram_dataset
from toymesa.analyse.continuation.normal_forms import Forms
from toymesa.analyse.continuation.outcome import branching_off
from toymesa.analyse.continuation.problem import Problem
from toymesa.analyse.continuation.starts import starting_points
from toymesa.errors import ArgumentError
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
# where, as fractions of the ranges, fixed points are looked for: the ends and places in between without symmetry
_PLACES = (0.0, 0.23, 0.51, 0.77, 1.0)
_SECOND_PLACES = (0.07, 0.29, 0.53, 0.71, 0.94)
_CYCLES = Steps(first=0.02, least=1e-5, most=0.3, points=300)
_REACHED = 0.02  # how close (fraction of the range) the end of a family of cycles is to the Hopf point that it ends in


def follow(
    model: Model,
    param: str,
    range: Sequence[float],
    *,
    params: Any = None,
    start: Any = None,
    box: Any = None,
    second: str | None = None,
    range2: Sequence[float] | None = None,
    cycles: bool = True,
    seconds: float = 30.0,
    max_points: int = 2000,
    max_branches: int = 100,
) -> xr.Dataset:
    """Follow all fixed points of a flow or map in a parameter, or with ``second`` a flow's folds and Hopf points in two.

    Parameters
    ----------
    model : a flow or a map. param, range : the parameter and the two ends between which it varies, inside its domain.
    params : values of the other parameters, name -> number.
    start : a state (name -> value, shares of a simplex too) or a list of them, from which fixed points are sought by
        Newton's method at the parameter's own value (at both ends of the range if that lies outside); other branches are
        then found only through branch points.
        None: many starts in the box (numerical: a fixed point may be missed, none is invented).
    box : state or share of a simplex -> (low, high): where to look, and where branches end. Without it the search reaches
        8 (1 + s) to both sides of the model's start, s its absolute value (within the domains), and branches end only at
        the domains.
    second, range2 : a second parameter and its range: folds and Hopf points are found at several values of it, then
        followed in both.
    cycles : whether limit cycles of a flow are followed from Hopf points. seconds : time after which what is done is returned.
    max_points : of one branch. max_branches : followed at most.

    Returns
    -------
    An ``xarray.Dataset``. With one parameter:

    * over ``point``: ``branch`` (number), the parameter, the states and the observables by name, ``arclength``, ``stable``,
      ``unstable`` (eigenvalues with positive real part), ``kind`` (one of ``toymesa.analyse.KINDS``),
      ``eigenvalue_re``/``_im`` (point, mode; largest real part first);
    * over ``followed``: ``begins`` and ``ends`` of each branch ("low end", "high end", "closed", "left the box", ...);
    * over ``special``: ``special_kind`` ("fold", "hopf", "branch"; of a map "fold", "branch", "flip", "neimark-sacker"),
      ``special_branch``, ``special_at`` (the parameter), ``special_state`` (special, state), ``special_omega`` (radians per
      time, or per step), ``special_lyapunov`` (the coefficient of the normal form: the first Lyapunov coefficient at a Hopf
      or Neimark-Sacker point, negative for supercritical; at a flip that of the cube, positive for supercritical),
      ``special_criticality``, ``special_kernel`` (eigenvalues, or pairs, that cross at once), ``special_residual``;
    * over ``cycle``: ``cycle_family``, ``cycle_at``, ``cycle_period``, ``cycle_low``/``cycle_high`` (cycle, state),
      ``cycle_orbit`` (cycle, phase, state; evenly over one period),
      ``cycle_stable``, ``multiplier_re``/``_im`` (cycle, multiplier) without the trivial one, ``cycle_error`` (how far that
      is from 1), ``cycle_kind`` ("", "cycle-fold", "period-doubling", "torus", "cycle-branch"). Families are followed
      through these; what branches off them (cycles of twice the period, tori) is marked there and not followed;
    * over ``family``: ``family_hopf`` (its special point), ``family_ends_in``, ``family_says`` (a sentence).

    With two, over ``point``: ``curve``, both parameters, states, ``curve_omega``; over ``followed``: ``curve_kind``, ``begins``,
    ``ends``; over ``special``: ``special_kind`` ("cusp", "bogdanov-takens", "generalized-hopf", "zero-hopf", "hopf-hopf"),
    ``special_curve``, ``special_at``, ``special_second``, ``special_state``, ``special_residual``.

    Of a map eigenvalues are the multipliers, "stable" means all of them inside the unit circle, and there are no cycles in
    the result: the orbits of period two that begin at flips are the fixed points of ``iterated(model, 2)``, which can be
    followed in turn; closed invariant curves are not followed.

    Special points satisfy their augmented systems to 1e-10 (``special_residual``, in units of the rates). Everything is
    numerical. ``attrs["left"]`` (JSON, a list of sentences) says what was not followed, and then ``attrs["complete"]`` is 0;
    ``attrs["notes"]`` says what is conserved and which branch points may have more lines; ``attrs["derivatives"]`` whether
    those of the normal forms are "symbolic" (exact), by "differences" of the Jacobian, or were "unused".
    Methods: Keller 1977 (arclength), Moore and Spence 1980 (folds), Kuznetsov 2004 (normal forms), Doedel, Keller and
    Kernevez 1991 (cycles). Raises ArgumentError, DomainError or ModelError for unusable arguments.
    """
    if (second is None) != (range2 is None):
        raise ArgumentError("second and range2 go together: give both or neither")
    free = [(param, range)] + ([] if second is None else [(second, range2)])
    what = asked(model, free, params, start, box, seconds, max_points, max_branches)
    with np.errstate(all="ignore"):  # what is not finite is looked for, and ends a step, not the analysis
        if second is not None:
            return _two(what)
        problem, diagram = _diagram(what, what.values, _places(what))
        found = _families(what, problem, diagram) if cycles else []
        diagram.notes += branching_off(problem, diagram, found)
        return diagram_dataset(what, diagram, found)


def _places(what: Asked) -> Sequence[float]:
    """Where in the range fixed points are looked for: all over it, the parameter's own value included, or only there."""
    place = float((what.values[what.free[0]] - what.low[0]) / (what.high[0] - what.low[0]))
    inside = 0 <= place <= 1
    if what.guesses is not None:
        return [place] if inside else [0.0, 1.0]
    return [*_PLACES, place] if inside and all(abs(place - p) > 1e-3 for p in _PLACES) else _PLACES


def _diagram(what: Asked, values: Array, places: Sequence[float]) -> tuple[Problem, Diagram]:
    """Every branch in the first parameter, the others at ``values``."""
    problem = Problem(what.model, values, what.free[:1], what.low[:1], what.high[:1], what.box, what.start)
    diagram = Diagram(problem, Forms(problem), what.steps, what.inside, what.branches)
    if problem.n == 0:
        diagram.left.append("every state is conserved: all of them are fixed points")
        return problem, diagram
    starts = [u for q in places for u in fixed_points_at(what, problem, q)]
    if time.monotonic() > what.steps.deadline:
        diagram.left.append("the time was spent while fixed points to start from were still looked for")
    elif not starts:
        diagram.left.append("no fixed point was found in the box: give start, or another box")
    diagram.run(starts)
    return problem, diagram


def fixed_points_at(what: Asked, problem: Problem, q: float) -> list[Array]:
    """The one source of starting points: fixed points (y, q) at a fraction q of the parameter's range."""
    few = 6 if what.model.inner_run is not None else 16  # a nested run at every evaluation is slow
    return starting_points(problem, np.array([q]), what.guesses, few + few // 2 * problem.n, what.steps.deadline)


def _families(what: Asked, problem: Problem, diagram: Diagram) -> list[tuple[int, Family]]:
    """The cycles of every Hopf point, each family once; with the number of the Hopf point among the special ones."""
    specials = diagram.specials()
    found: list[tuple[int, Family]] = []
    for index, (_, special) in enumerate(specials):
        if special.kind != "hopf" or special.onset is None:
            continue
        if any(f.ends_in == "hopf" and _same(f, special) for _, f in found):
            continue
        if problem.algebraic:
            diagram.left.append("cycles of a flow with algebraic states are not followed")
            break
        if time.monotonic() > what.steps.deadline:
            diagram.left.append("the time was spent before all limit cycles were followed")
            break
        steps = replace(_CYCLES, deadline=what.steps.deadline)
        one = family(problem, special.u, special.onset.omega / problem.rate, what.inside, steps)
        if one.ends_in in ("points", "time", "step"):
            diagram.left.append(
                f"the cycles from the Hopf point at {diagram.where(special.u)} end early ({one.ends_in})"
            )
        found.append((index, one))
    return found


def _same(one: Family, special: Special) -> bool:
    return one.at is not None and bool(np.linalg.norm(one.at - special.u) < _REACHED * (1 + np.linalg.norm(special.u)))


def _two(what: Asked) -> xr.Dataset:
    """Curves of folds and Hopf points in both parameters."""
    both = Problem(what.model, what.values, what.free, what.low, what.high, what.box, what.start)
    curves = Curves(both, Forms(both), what.steps)
    place = float((what.values[what.free[1]] - what.low[1]) / (what.high[1] - what.low[1]))
    places = [place, *_SECOND_PLACES] if 0 <= place <= 1 else list(_SECOND_PLACES)
    for q in places:
        if time.monotonic() > what.steps.deadline:
            curves.left.append(f"the time was spent before the second parameter was scanned ({what.names[1]})")
            break
        value = what.low[1] + q * (what.high[1] - what.low[1])
        problem, diagram = _diagram(what, what.fixed(what.names[1], value), _places(what))
        if not curves.curves:
            both.rate = problem.rate
        curves.left += [m for m in diagram.left if m not in curves.left]
        for _, special in diagram.specials():
            at = problem.values(special.u)[what.free[0]]
            u = both.unknown(problem.state(special.u), np.array([at, value]))
            if special.onset is not None:
                curves.follow("hopf", u, special.onset.omega)
            elif len(special.crossing.left) == 1 if special.crossing else special.kind == "fold":
                curves.follow("fold", u)
    for curve in list(curves.curves):
        for _, point in curve.specials:
            if point.kind == "bogdanov-takens" and curve.kind == "fold":
                curves.from_double_zero(point.u)
    return curves_dataset(what, curves)

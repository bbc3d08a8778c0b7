"""Strategies: inside the domain, degenerate often enough, shrinking well, and answers that are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import find, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.testing import strategies as tms

MECHANISMS = tm.models.mechanisms(("a", "b"))
DOMAINS = [
    tm.Domain(),
    tm.Domain(0.0, math.inf, True),
    tm.Domain(0.0),
    tm.Domain(-1.0, 1.0),
    tm.Domain(0.0, 1.0, True, True),
    tm.Domain(1.0),
    tm.Domain(-math.inf, -2.0, False, True),
]


@given(st.sampled_from(DOMAINS).flatmap(lambda d: st.tuples(st.just(d), tms.numbers(d, extreme=True))))
def test_numbers_stay_inside(pair):
    domain, value = pair
    assert value in domain


@pytest.mark.parametrize("wanted", [0.0, 5e-324, 1e300, -1e-16])
def test_extremes_are_reached(wanted):
    assert find(tms.numbers(extreme=True), lambda v: v == wanted) == wanted


def test_positive_numbers_shrink_to_one():
    assert find(tms.numbers(tm.Domain(0.0, math.inf, True)), lambda v: v > 0) == 1.0


@settings(max_examples=30)
@given(tms.params(MECHANISMS, fixed={"lam": 0.0}), tms.starts(MECHANISMS))
def test_params_and_starts_can_be_solved_with(params, start):
    assert set(params) == set(MECHANISMS.param_names)
    assert params["lam"] == 0.0
    run = tm.solve(MECHANISMS, [0.0], params=params, start=start)
    assert all(np.isfinite(run[n].values).all() for n in MECHANISMS.state_names)


def test_equal_rates_and_unequal_ones_are_both_drawn():
    drawn = tms.params(MECHANISMS)
    find(drawn, lambda p: p["rate_a"] == p["rate_b"] != 1.0)
    find(drawn, lambda p: p["rate_a"] != p["rate_b"])


def test_a_typo_is_caught():
    with pytest.raises(tm.ArgumentError, match="did you mean 'lam'"):
        find(tms.params(MECHANISMS, fixed={"lan": 0.0}), lambda p: True)
    with pytest.raises(tm.DomainError, match="decades must be positive; got 0"):
        tms.numbers(decades=0)


KNOWN = st.one_of(tms.gradient_flows(max_states=2), tms.bilevel_pairs())


@settings(max_examples=12)
@given(KNOWN)
def test_known_answers_are_proved(known):
    model = known.model
    for kind, what in (("solution", {"solution": known.solution}), ("fixed_point", {"point": known.fixed_point})):
        verdict = tm.verify(tm.Claim(name="k", statement="known", kind=kind, model=model, **what), points=3)
        assert verdict.outcome is tm.Outcome.PROVED, verdict


@settings(max_examples=10)
@given(tms.gradient_flows())
def test_known_solutions_are_what_the_solver_finds(known):
    times = [0.5, 2.0]
    run = tm.solve(known.model, times)
    begin = {tm.at_start(s): e for s, e in known.model.start.items()}
    for s, e in known.solution.items():
        exact = [float(e.subs(begin).subs(tm.TIME, sp.Float(t))) for t in times]
        assert run[s.name].values == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("coupling", ["joint", "equilibrium", "unrolled"])
@settings(max_examples=2)
@given(st.data())
def test_every_coupling_can_be_asked_for(coupling, data):
    known = data.draw(tms.bilevel_pairs(coupling=coupling))
    assert known.model.name == f"random_{coupling}"

"""Power split 11.1 and 11.2: the optimum against exhaustive search and ball arithmetic, eigenvalues against the model."""

from __future__ import annotations

import flint
import numpy as np
import pytest
import sympy as sp
from derived import derivation
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.models.power_split import power_split
from toymesa.theorems.power_split import all_or_nothing, eigenvalues, interior, optimum, optimum_of, time_limit

MODEL = power_split()
RATE = sp.lambdify([*MODEL.params, *MODEL.states], MODEL.flow[MODEL.states[0]], "math")
SLOPE = sp.lambdify([*MODEL.params, *MODEL.states], MODEL.jacobian()[0], "math")
powers = st.floats(-2.0, 5.0).map(lambda e: 10.0**e)
counts = st.floats(-1.0, 4.0).map(lambda e: 10.0**e)
costs = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
exponents = st.one_of(st.just(1.0), st.floats(0.2, 5.0), st.floats(-12.0, -2.0).map(lambda e: 1.0 + 10.0**e))


def worth(x, p, n, c, a):
    return (p - c * x**a) / n + x


@given(p=powers, n=counts, c=costs, a=exponents)
@settings(max_examples=200, deadline=None)
@example(p=10.0, n=2.0, c=2.0, a=1.0)
@example(p=10.0, n=2.0, c=2.0, a=1.0 + 1e-12)
def test_nothing_on_a_grid_is_better(p, n, c, a):
    best = optimum(p, n, cost=c, exponent=a)
    corner = (p / c) ** (1 / a)
    grid = corner * np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 400)])
    assert best.value >= worth(grid, p, n, c, a).max() * (1 - 1e-12)
    assert best.value == pytest.approx(worth(best.x, p, n, c, a), rel=1e-9)
    assert best.spent == pytest.approx(c * best.x**a, rel=1e-9, abs=1e-300)
    assert best.spent <= p * (1 + 1e-12)
    if best.x > 0.0:  # a convex cost that is nearly linear and too dear leaves x > 0 below all numbers
        assert best.limit == ("time" if best.spent == p else "diversity")
    else:
        assert best.limit == ("none" if a <= 1.0 else "diversity")


@given(n=counts, c=costs, a=st.one_of(st.floats(0.2, 5.0), st.floats(-6.0, -2.0).map(lambda e: 1.0 + 10.0**e)))
@settings(max_examples=150, deadline=None)
def test_the_interior_point_against_ball_arithmetic(n, c, a):
    assume(abs(a - 1.0) > 1e-7)
    before = flint.ctx.prec
    flint.ctx.prec = 300
    try:
        n_, c_, a_ = flint.arb(n), flint.arb(c), flint.arb(a)
        exact = (n_ / (c_ * a_)) ** (1 / (a_ - 1))
        power = c_ * (n_ / (c_ * a_)) ** (a_ / (a_ - 1))
        threshold = c_ * (c_ / n_) ** (a_ / (1 - a_))
    finally:
        flint.ctx.prec = before
    assume(1e-290 < float(exact) < 1e290 and 1e-290 < float(power) < 1e290)
    lost = 1e-14 * (1.0 + (abs(np.log(n / c)) + 1.0) / abs(a - 1.0))
    assert interior(n, cost=c, exponent=a) == pytest.approx(float(exact), rel=lost)
    if a > 1.0:
        assert time_limit(n, cost=c, exponent=a) == pytest.approx(float(power), rel=lost)
    elif 1e-290 < float(threshold) < 1e290:
        assert all_or_nothing(n, cost=c, exponent=a) == pytest.approx(float(threshold), rel=lost)


@given(n=counts, c=costs, a=st.floats(1.05, 5.0), side=st.sampled_from([0.99, 1.01]))
@settings(max_examples=60, deadline=None)
def test_time_and_diversity_part_at_the_limit(n, c, a, side):
    border = time_limit(n, cost=c, exponent=a)
    assume(1e-200 < border < 1e200)
    best = optimum(side * border, n, cost=c, exponent=a)
    assert best.limit == ("time" if side < 1 else "diversity")
    if side > 1:  # more time changes nothing any more, more diversity does
        assert optimum(2 * side * border, n, cost=c, exponent=a).x == best.x
        assert optimum(side * border, 1.001 * n, cost=c, exponent=a).x > best.x
    else:
        assert optimum(1.001 * side * border, n, cost=c, exponent=a).x > best.x
        assert optimum(side * border, 2 * n, cost=c, exponent=a).x == best.x
    found = eigenvalues(side * border, n, cost=c, exponent=a)
    assert (found.all < 0) == (side < 1)
    assert np.isnan(found.interior) == (side < 1)
    assert not found.interior >= 0


@given(n=counts, c=costs, a=st.floats(0.2, 0.95), side=st.sampled_from([0.99, 1.01]))
@settings(max_examples=60, deadline=None)
def test_all_or_nothing(n, c, a, side):
    border = all_or_nothing(n, cost=c, exponent=a)
    assume(1e-200 < border < 1e200)
    best = optimum(side * border, n, cost=c, exponent=a)
    assert best.limit == ("none" if side < 1 else "time")


@given(p=powers, n=counts, c=costs, a=st.floats(0.3, 4.0), eta=st.floats(0.1, 10.0))
@settings(max_examples=120, deadline=None)
def test_eigenvalues_are_those_of_the_flow(p, n, c, a, eta):
    assume(abs(a - 1.0) > 1e-3)
    found = eigenvalues(p, n, cost=c, exponent=a, rate=eta)
    values = {"power": p, "instances": n, "rate": eta, "cost": c, "exponent": a}
    packed = [values[s.name] for s in MODEL.params]
    corner, middle = (p / c) ** (1 / a), float(interior(n, cost=c, exponent=a))
    scale = eta * p * (1.0 / n + corner / (a * p))
    assert SLOPE(*packed, corner) == pytest.approx(found.all, rel=1e-8, abs=1e-10 * scale)
    if not np.isnan(found.interior) and 1e-100 < middle < 1e100:
        assert SLOPE(*packed, middle) == pytest.approx(found.interior, rel=1e-6, abs=1e-9 * scale)
        assert abs(RATE(*packed, middle)) <= 1e-9 * scale * middle
    if a < 1.0:  # phi'/phi near 0; phi^(1/a - 1) has died out
        x = corner * 1e-12 ** (1.0 / (1.0 - a))
        if x > 1e-100:
            expected = (1 - c * x**a / p) * (found.nothing + eta * x / (a * c * x**a) * p)
            assert a * RATE(*packed, x) / x == pytest.approx(expected, rel=1e-6)


# ---------------------------------------------------------------- any cost


@given(p=st.floats(0.5, 1e4), n=st.floats(0.5, 1e3), c=costs, a=st.floats(0.3, 4.0))
@settings(max_examples=60, deadline=None)
def test_the_search_finds_the_closed_form(p, n, c, a):
    assume(abs(a - 1.0) > 0.05)
    best = optimum(p, n, cost=c, exponent=a)
    found = optimum_of(lambda x: c * x**a, p, n)
    assert found.value == pytest.approx(best.value, rel=1e-9)
    other = (p / c) ** (1 / a) - p / n if a < 1 else 1.0
    if abs(other) > 1e-6 * best.value and best.x > 1e-9 * (p / c) ** (1 / a):
        assert found.x == pytest.approx(best.x, rel=1e-5)


def test_a_cost_of_many_shapes():
    steps = optimum_of(lambda x: x**2 if x < 3 else 9 + (x - 3), 100.0, 4.0)
    assert steps.x == pytest.approx(94.0)  # a cheap stretch beyond a dear one: f' = 1 < N from x = 3 on
    assert steps.limit == "time"
    dear = optimum_of(lambda x: 5 * x, [10.0, 20.0], 4.0)
    assert list(dear.limit) == ["none", "none"]
    np.testing.assert_array_equal(dear.x, 0.0)
    np.testing.assert_array_equal(dear.value, [2.5, 5.0])
    steep = optimum_of(lambda x: float(np.expm1(min(x, 700.0))), 50.0, [0.9, 1.1])  # convex, f'(0) = 1
    assert list(steep.limit) == ["none", "diversity"]
    np.testing.assert_allclose(steep.x, [0.0, np.log(1.1)], rtol=1e-6)
    table = optimum_of(lambda x: x**2, np.array([[1.0], [100.0]]), [4.0, 10.0])
    assert table.x.shape == (2, 2)
    assert table.limit.tolist() == [["time", "time"], ["diversity", "diversity"]]


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (3.0, ArgumentError, "f must be a function"),
        (lambda x: x + 1.0, DomainError, "must be 0 at x = 0; got 1"),
        (lambda x: 1.0 - 1.0 / (1.0 + x), DomainError, "must cost more than any power"),
        (lambda x: x + 3 * np.sin(x), DomainError, "must increase with x"),
        (lambda x: "a", ArgumentError, "must return a real number"),
        (lambda x: float("nan") if x > 0 else 0.0, DomainError, "must be a number for every x"),
    ],
)
def test_costs_that_are_none(f, error, message):
    with pytest.raises(error, match=message) as caught:
        optimum_of(f, 20.0, 4.0)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- ties, shapes, refusals


def test_ties_count_as_nothing():
    assert optimum(10.0, 2.0, cost=2.0, exponent=1.0) == (0.0, 0.0, 5.0, "none")
    tie = optimum(all_or_nothing(4.0, cost=1.0, exponent=0.5), 4.0, exponent=0.5)  # 1/4 bit: x_P = 1/16 = P/N
    assert (tie.x, tie.limit) == (0.0, "none")
    assert np.isnan(eigenvalues(10.0, 2.0, cost=2.0, exponent=1.0).interior)
    assert eigenvalues(10.0, 2.0, cost=2.0, exponent=1.0).nothing == 0.0
    assert eigenvalues(10.0, 2.0, exponent=2.0).nothing == np.inf


def test_tables():
    table = optimum(np.geomspace(1, 1e3, 4)[:, None], [1.0, 10.0, 100.0], exponent=[0.5, 1.0, 2.0])
    assert table.x.shape == table.limit.shape == (4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimum(0.0, 1.0), "power must lie in"),
        (lambda: optimum(1.0, -1.0), "instances must lie in"),
        (lambda: interior(1.0, exponent=1.0), "exponent must not be 1"),
        (lambda: time_limit(1.0, exponent=1.0), "exponent must lie in"),
        (lambda: all_or_nothing(1.0, exponent=1.0), "exponent must lie in"),
        (lambda: eigenvalues(1.0, 1.0, rate=0.0), "rate must lie in"),
    ],
)
def test_bad_values_are_refused_in_one_line(call, message):
    with pytest.raises(DomainError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stem", ["power_split_11_1_optimum", "power_split_11_2_flow"])
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name

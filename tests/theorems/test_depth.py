"""Depth 9.1 and 9.2: times, courses and the staircase, against high precision and the solver."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.theorems import depth as theorems

DEPTHS = st.one_of(
    st.sampled_from([1.0, 1.0000001, 1.5, 2.0, 2.0 - 1e-9, 2.0 + 1e-12, 3.0, 4.0, 100.0]), st.floats(1, 50)
)
SHARES = st.one_of(st.sampled_from([1e-12, 1e-3, 0.5, 0.999999]), st.floats(1e-6, 1 - 1e-6))
TARGETS = st.floats(-2, 2).map(lambda e: 10.0**e)


def exact_time(x: float, s: float, x0: float, d: float) -> mpmath.mpf:
    """By the hypergeometric function (D finite) at high precision."""
    with mpmath.workdps(60):
        e = 2 / mpmath.mpf(d) - 1
        scale = mpmath.mpf(d) * mpmath.mpf(s) ** (1 - e)

        def clock(u: mpmath.mpf) -> mpmath.mpf:
            if e == 0:
                return mpmath.log(u / (1 - u))
            return u**e / e * mpmath.hyp2f1(1, e, 1 + e, u)

        return (clock(mpmath.mpf(x) / s) - clock(mpmath.mpf(x0) / s)) / scale


@settings(max_examples=60)
@given(DEPTHS, TARGETS, SHARES, SHARES)
@example(2.0, 1.0, 1e-12, 0.5)
def test_time_is_the_hypergeometric_one(d, s, u0, u):
    x, x0 = u * s, u0 * s
    exact = exact_time(x, s, x0, d)
    got = theorems.time_to_reach(x, target=s, start=x0, depth=d)
    # what half an ulp of x and x0 does to the time is not the formula's fault
    e = 2 / d - 1
    rounding = sum(2**-52 * share**e / (1 - share) for share in (u, u0)) / (d * s ** (1 - e))
    assert abs(float(got - exact)) <= 1e-12 * abs(float(exact)) + 4 * rounding


@settings(max_examples=40)
@given(DEPTHS, TARGETS, st.floats(1.001, 50.0), st.floats(0.01, 0.99))
def test_time_from_beyond_the_target(d, s, u0, part):
    x0, x = u0 * s, (1 + (u0 - 1) * part) * s
    with mpmath.workdps(30):
        exact = mpmath.quad(lambda y: 1 / (mpmath.mpf(d) * y ** (2 - 2 / mpmath.mpf(d)) * (s - y)), [x0, x])
    assert theorems.time_to_reach(x, target=s, start=x0, depth=d) == pytest.approx(float(exact), rel=1e-9)


@settings(max_examples=60)
@given(DEPTHS, TARGETS, st.one_of(SHARES, st.floats(1.001, 30.0)), st.floats(-3, 3))
def test_course_inverts_time(d, s, u0, log_t):
    x0 = u0 * s
    t = 10.0**log_t / (d * s)
    x = theorems.course(t, target=s, start=x0, depth=d)
    assert (x0 <= x <= s) if x0 <= s else (s <= x <= x0)
    gap = abs(s - x) / s
    if gap > 1e-10 and x != x0:
        # compare strengths, not times: dt = dx / rate
        again = theorems.time_to_reach(x, target=s, start=x0, depth=d)
        rate = d * x ** (2 - 2 / d) * abs(s - x)
        assert abs(again - t) * rate <= 2e-12 * min(x, s * gap) + 4e-15 * s


@settings(max_examples=8)
@given(DEPTHS, TARGETS, st.floats(1e-4, 3.0))
def test_the_solver_agrees(d, s, u0):
    model = tm.models.depth(1)
    times = np.array([0.0, 0.1, 1.0, 4.0]) / (d * s ** (2 - 2 / d))
    run = tm.solve(
        model,
        times[1:],
        params={"depth": d, "target_1": s},
        start={"x_1": u0 * s},
        method="auto",
        rtol=1e-11,
        atol=1e-13,
    )
    expected = theorems.course(times[1:], target=s, start=u0 * s, depth=d)
    assert run["x_1"].values == pytest.approx(expected, rel=1e-7)


def test_the_model_keeps_its_promises():
    assert all(row["ok"] for row in tm.cross_check(tm.models.depth()))


def test_integer_depths_are_elementary():
    u, u0 = 0.8, 0.01
    three = [
        -3 / r - np.log(1 - r) + 0.5 * np.log(1 + r + r * r) - np.sqrt(3) * np.arctan((2 * r + 1) / np.sqrt(3))
        for r in (u ** (1 / 3), u0 ** (1 / 3))
    ]
    assert theorems.time_to_reach(u, start=u0, depth=3) == pytest.approx((three[0] - three[1]) / 3, rel=1e-13)


def test_infinite_depth_is_the_limit():
    deep = theorems.time_to_reach(0.7, start=0.05, depth=1e7) * 1e7
    assert theorems.time_to_reach(0.7, start=0.05, depth=np.inf) == pytest.approx(deep, rel=1e-6)
    late = theorems.course(3.0, start=0.3, depth=np.inf)
    assert late == pytest.approx(theorems.course(3.0 / 1e7, start=0.3, depth=1e7), rel=1e-5)


@given(st.floats(2.0, 40.0), st.floats(1e-5, 1e-2))
def test_strong_modes_come_first_and_deep_steps_are_sharper(d, x0):
    times = theorems.time_to_reach(np.array([0.5, 0.25]), target=[1.0, 0.5], start=x0, depth=d)
    assert times[0] < times[1]
    widths = theorems.step_width(start=x0, depth=[d, d + 0.5, d + 5.0])
    assert (np.diff(widths) < 0).all()


def test_the_rank_climbs_by_steps():
    targets = [1.0, 0.25, 0.0625]
    start = 1e-7
    when = theorems.time_to_reach(0.5 * np.array(targets), target=targets, start=start, depth=3)
    between = np.sqrt(when[:-1] * when[1:])
    assert theorems.effective_rank(between, targets=targets, start=start, depth=3) == pytest.approx([1, 2], abs=0.02)


@pytest.mark.parametrize(
    ("x", "start", "expected"), [(0.5, 0.5, 0.0), (1.0, 0.5, np.inf), (2.0, 0.5, np.nan), (1.0, 1.0, 0.0)]
)
def test_ends(x, start, expected):
    assert np.array_equal(theorems.time_to_reach(x, start=start, depth=3), expected, equal_nan=True)
    assert theorems.course(5.0, start=1.0, depth=3) == 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: theorems.time_to_reach(0.0), "strength must lie in"),
        (lambda: theorems.course(-1.0), "time must lie in"),
        (lambda: theorems.course(1.0, depth=0.5), "depth must lie in"),
        (lambda: theorems.step_width(start=0.5), "start must lie below a tenth of the target"),
        (lambda: tm.models.depth(0), "modes must be a whole number"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(tm.DomainError, match=words):
        call()


def test_the_models_effective_rank_is_the_sum_of_learned_shares():
    run = tm.solve(tm.models.depth(2), [0.0, 3.0], params={"target_1": 2.0, "target_2": 0.5})
    np.testing.assert_allclose(run["effective_rank"], run["x_1"] / 2.0 + run["x_2"] / 0.5, rtol=1e-14)

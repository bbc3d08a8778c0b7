"""Base optimizers on linear flows against what they do: edge of stability, critical damping, spirals, noise."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from derived import derivation, digits
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.theorems import linear

rates = st.floats(-3.0, 3.0).map(lambda e: 10.0**e)
signed = st.builds(lambda s, m: s * m, st.sampled_from([-1.0, 1.0]), rates)
x, y = sp.symbols("x y", real=True)
lam, omega, h, gamma = sp.symbols("lam omega h gamma", positive=True)
LOSS = lam * x**2 / 2
STEPS = tm.gradient_flow(LOSS, [x], params={lam: 1.0, h: 0.1}, start={x: 1}, optimizer=tm.Descent(h))
HEAVY = tm.gradient_flow(LOSS, [x], params={lam: 1.0, gamma: 1.0}, start={x: 1}, optimizer=tm.HeavyBall(gamma))


@given(curvature=rates, side=st.sampled_from([-1, 1]), off=st.floats(1e-3, 0.5))
@settings(max_examples=25, deadline=None)
def test_descent_grows_beyond_the_edge_of_stability_and_shrinks_below(curvature, side, off):
    edge = linear.edge_of_stability(curvature)
    assert edge == pytest.approx(2 / curvature, rel=1e-15)
    run = tm.solve(STEPS, [0, 1, 400], params={"lam": curvature, "h": edge * (1 + side * off)}, on_fail="status")
    assert np.sign(abs(run["x"].values[2]) - 1) == side or (side > 0 and not np.isfinite(run["x"].values[2]))
    assert run["x"].values[1] == pytest.approx(-1 - 2 * side * off, rel=1e-12)


@given(curvature=signed, frequency=signed | st.just(0.0), off=st.floats(1e-6, 0.5), side=st.sampled_from([-1, 1]))
@settings(max_examples=100, deadline=None)
def test_the_edge_of_a_spiral(curvature, frequency, off, side):
    edge = linear.edge_of_stability(curvature, frequency)
    if curvature < 0:
        assert edge == 0.0
        return
    step = edge * (1 + side * off)
    excess = step * (step * (curvature**2 + frequency**2) - 2 * curvature)  # |multiplier|^2 - 1
    assert np.sign(excess) == side


@given(
    curvature=rates,
    off=st.floats(-8.0, 0.0).map(lambda e: 10.0**e),
    side=st.sampled_from([-1, 0, 1]),
    t=st.floats(0.1, 20.0),
    v=st.floats(-1, 1),
)
@example(curvature=1.0, off=1e-8, side=1, t=5.0, v=0.5)
@settings(max_examples=60, deadline=None)
def test_heavy_ball_through_critical_damping(curvature, off, side, t, v):
    """The course is smooth there, and no other friction decays faster."""
    critical = linear.critical_friction(curvature)
    friction = critical * (1 + side * off * 0.9)
    time = t / np.sqrt(curvature)
    d = derivation("base_optimizers_1_linear")
    if side:
        slow, fast = d.SLOW, d.FAST
        start, speed, when = sp.Integer(1), sp.Symbol("v"), tm.TIME
        course = ((speed + fast * start) * sp.exp(-slow * when) - (speed + slow * start) * sp.exp(-fast * when)) / (
            fast - slow
        )
        values = {d.LAM: curvature, d.FRICTION: friction, speed: v, when: time}
        exact = {s: sp.Rational(*float(e).as_integer_ratio()) for s, e in values.items()}
        truth = float(sp.re(sp.N(course.subs(exact), 30, maxn=400)))
    else:
        truth = np.exp(-friction / 2 * time) * (1 + (v + friction / 2) * time)
    value = linear.momentum_course(time, 1.0, v, curvature=curvature, friction=friction)
    # the gap (friction/2)^2 - lambda is known to rounding: the course to rounding times its reach
    scale = np.exp(-min(friction / 2, np.sqrt(curvature)) * time) * (1 + abs(v) * time + t)
    assert abs(value - truth) <= 1e-12 * (1 + t) ** 2 * max(scale, abs(truth))
    best = linear.momentum_decay(curvature, critical)
    assert best == pytest.approx(np.sqrt(curvature), rel=1e-7)
    assert linear.momentum_decay(curvature, friction) <= best * (1 + 1e-7)


@given(curvature=rates, friction=rates, t=st.floats(0.1, 10.0))
@settings(max_examples=20, deadline=None)
def test_the_model_takes_the_course(curvature, friction, t):
    run = tm.solve(HEAVY, [0.0, t], params={"lam": curvature, "gamma": friction}, method="closed")
    value = linear.momentum_course(t, 1.0, curvature=curvature, friction=friction)
    assert run["x"].values[1] == pytest.approx(value, abs=1e-10 * (1 + t * np.sqrt(curvature)))


@given(curvature=signed, friction=rates, frequency=signed | st.just(0.0))
@settings(max_examples=200, deadline=None)
def test_momentum_decay_solves_its_quadratic(curvature, friction, frequency):
    roots = np.roots([1.0, friction, curvature - 1j * frequency])
    decay = linear.momentum_decay(curvature, friction, frequency)
    assert abs(decay + roots.real.max()) <= 1e-9 * (friction + np.sqrt(abs(curvature)) + np.sqrt(abs(frequency)))
    least = linear.least_friction(curvature, frequency)
    if curvature > 0 and abs(friction / least - 1 if least > 0 else 1.0) > 1e-9:
        assert (decay > 0) == (friction > least)
    if curvature < 0:
        assert decay < 0
        assert least == np.inf


def test_little_friction_turns_a_stable_spiral_into_an_unstable_one():
    spiral = tm.Model(
        name="spiral",
        flow={x: -lam * x - omega * y, y: omega * x - lam * y},
        params={lam: 1.0, omega: 3.0},
        start={x: 1},
    )
    heavy = tm.with_optimizer(spiral, tm.HeavyBall(gamma), params={gamma: 1.0})
    for side in (-1, 1):
        friction = float(linear.least_friction(1.0, 3.0)) * (1 + 0.1 * side)
        run = tm.solve(heavy, [0.0, 40.0, 80.0], params={"gamma": friction}, method="closed")
        size = np.hypot(run["x"].values, run["y"].values)
        assert np.sign(size[1] - size[2]) == side


@given(t=st.floats(0, 50), curvature=signed | st.just(0.0), heat=rates, first=rates)
@settings(max_examples=80, deadline=None)
def test_noise_variance_solves_its_equation(t, curvature, heat, first):
    if abs(curvature * t) > 300:
        return
    value = linear.noise_variance(t, curvature=curvature, temperature=heat, start_variance=first)
    if curvature == 0.0:
        assert value == pytest.approx(first + 2 * heat * t, rel=1e-14)
        return
    d = derivation("base_optimizers_1_linear")
    exact = digits(
        d.SPREAD.subs(d.LAM, sp.Symbol("c")),
        {sp.Symbol("c"): curvature, d.TEMPERATURE: heat, d.VARIANCE: first, tm.TIME: t},
        40,
    )
    assert value == pytest.approx(exact, rel=1e-12)


@given(n=st.integers(0, 300), curvature=signed, step=rates)
@settings(max_examples=60, deadline=None)
def test_descent_course(n, curvature, step):
    if abs(n * np.log(max(abs(1 - step * curvature), 1e-300))) > 600:
        return
    exact = float(
        (1 - sp.Rational(*float(step).as_integer_ratio()) * sp.Rational(*float(curvature).as_integer_ratio())) ** n
    )
    assert linear.descent_course(n, 1.0, curvature=curvature, step=step) == pytest.approx(
        exact, rel=1e-13 * (1 + n * step * abs(curvature))
    )


def test_flow_course_of_any_size():
    matrix = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])  # singular and defective
    out = linear.flow_course([0.0, 2.0], matrix, [1.0, 2.0, 3.0], [0.0, 0.0, 6.0])
    np.testing.assert_allclose(out, [[1, 2, 3], [1 + 4 + 6 + 8, 2 + 6 + 12, 3 + 12]], rtol=1e-14)


def test_limits_and_refusals():
    assert linear.edge_of_stability(0.0) == np.inf
    assert linear.edge_of_stability(0.0, 1.0) == 0.0
    assert linear.least_friction(1.0) == 0.0
    assert linear.least_friction(0.0, 1.0) == np.inf
    assert linear.critical_friction(4.0) == 4.0
    assert linear.momentum_decay(0.0, 1.0) == 0.0
    for call, words in (
        (lambda: linear.critical_friction(-1.0), "curvature must lie in"),
        (lambda: linear.momentum_decay(1.0, 0.0), "friction must lie in"),
        (lambda: linear.descent_course(1.5, 1.0, curvature=1.0, step=0.1), "steps must be whole numbers; got 1.5"),
        (lambda: linear.flow_course(1.0, np.ones((2, 3)), [1, 1]), "matrix must be square"),
        (lambda: linear.flow_course(1.0, np.eye(2), [1, 1, 1]), "start must have 2 entries"),
    ):
        with pytest.raises(tm.DomainError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_theorems_are_found_by_name():
    assert tm.theorems.linear is linear
    assert {"linear", "linear_joint", "proxy"} <= set(dir(tm.theorems))

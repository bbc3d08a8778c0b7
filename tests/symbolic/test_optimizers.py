"""Base optimizers by one argument: what they make of a flow, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import toymesa as tm

x, y, theta, a = sp.symbols("x y theta a", real=True)
k, h, gamma, T = sp.symbols("k h gamma T", positive=True)
LOSS = k * x**2 / 2 + x * y + y**2


def flow(optimizer: object = None, **more: object) -> tm.Model:
    return tm.gradient_flow(LOSS, [x, y], params={k: 3.0}, start={x: 1, y: 1}, optimizer=optimizer, **more)


def test_none_is_gradient_flow():
    assert flow(None).fingerprint == flow().fingerprint


def test_parameters_that_only_the_optimizer_uses_go_to_it():
    params = {k: 3.0, gamma: 0.5}
    m = tm.gradient_flow(LOSS, [x, y], params=params, optimizer=tm.HeavyBall(gamma))
    assert m.param_names == ("k", "gamma")
    assert m.flow[sp.Symbol("v_x", real=True)] == -k * x - y - gamma * sp.Symbol("v_x", real=True)


def test_a_parameter_of_both_serves_both():
    m = tm.gradient_flow(LOSS, [x, y], params={k: 3.0}, optimizer=tm.Descent(1 / (2 * k)))
    assert m.discrete
    assert m.param_names == ("k",)
    assert sp.expand(m.flow[x] - (x - (k * x + y) / (2 * k))) == 0


def test_preconditioned_flow_is_a_gradient_flow_in_another_metric():
    m = tm.gradient_flow(LOSS, [x, y], params={k: 3.0, h: 0.1}, optimizer=tm.Preconditioned({"x": 2, y: h}))
    assert sp.expand(m.flow[y] + h * (x + 2 * y)) == 0
    claim = tm.Claim(name="falls", statement="the loss never rises", kind="lyapunov", model=m)
    assert tm.verify(claim).outcome is tm.Outcome.PROVED


def test_temperature_scales_with_the_metric():
    m = tm.gradient_flow(LOSS, [x, y], metric={x: 4}, params={k: 3.0, T: 0.1}, optimizer=tm.GradientNoise(T))
    assert m.noise == sp.ImmutableMatrix([[sp.sqrt(8 * T), 0], [0, sp.sqrt(2 * T)]])
    assert r"\xi_{2}" in m.latex()
    assert m.fingerprint != m.with_(noise=2 * m.noise).fingerprint


def test_amplitudes_may_depend_on_the_state():
    m = flow(tm.GradientNoise(amplitudes={"x": x / 2}))
    assert m.noise == sp.ImmutableMatrix([[x / 2], [0]])


def test_bilevel_takes_one_too():
    common = {
        "base_loss": (a - 1) ** 2 / 2,
        "mesa_objective": (a - theta) ** 2 / 2 + k * a**2 / 2,
        "outer": [theta],
        "inner": [a],
        "coupling": "equilibrium",
    }
    heavy = tm.bilevel(**common, params={k: 0.5, gamma: 0.2}, optimizer=tm.HeavyBall(gamma))
    assert heavy.state_names == ("theta", "v_theta")
    end = tm.solve(heavy, 200.0)
    assert end["theta"].values[-1] == pytest.approx(1.5, abs=1e-6)


def test_every_model_takes_every_optimizer():
    gated = tm.models.gated
    assert tm.with_optimizer(gated, None) is gated
    assert len(tm.with_optimizer(gated, tm.HeavyBall(0.1)).states) == 6
    slow = tm.with_optimizer(gated, tm.Descent(0.01))
    fine = tm.solve(gated, 2.0)
    assert np.allclose(tm.solve(slow, 200)["d"].values[-1], fine["d"].values[-1], atol=0.02)
    assert tm.with_optimizer(gated, tm.Preconditioned({"d": 2})).metric is not None
    assert tm.with_optimizer(gated, tm.GradientNoise(0.1)).noise.shape == (3, 3)


def test_the_factories_of_models_take_one():
    heavy = tm.models.mechanisms(("a", "b"), optimizer=tm.HeavyBall(sp.Rational(1, 5)))
    assert heavy.state_names[3:] == ("v_c_a", "v_c_b", "v_logit_a")
    assert heavy.closed_forms == ()
    for make in (tm.models.linear_joint, tm.models.proxy):
        assert make(optimizer=tm.Descent(sp.Rational(1, 5))).closed_forms


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: flow("adam"), tm.ArgumentError, "an optimizer is None or one of HeavyBall, Descent"),
        (lambda: flow(tm.HeavyBall(-1)), tm.DomainError, "friction must be positive; got -1"),
        (lambda: flow(tm.Descent(0)), tm.DomainError, "step must be positive; got 0"),
        (lambda: flow(tm.Preconditioned({"z": 1})), tm.ModelError, "unknown state 'z'"),
        (lambda: flow(tm.GradientNoise()), tm.ArgumentError, "either temperature or amplitudes"),
        (lambda: flow(tm.GradientNoise(amplitudes={"x": 0})), tm.ModelError, "no amplitude other than zero"),
        (lambda: tm.with_optimizer(flow(tm.Descent(0.1)), tm.Descent(0.1)), tm.ModelError, "autonomous flow"),
        (lambda: tm.with_optimizer(tm.models.mechanisms(), tm.GradientNoise(0.1)), tm.ModelError, "give amplitudes"),
        (lambda: tm.solve(flow(tm.GradientNoise(0.1)), 1.0), tm.ArgumentError, "has noise"),
        (lambda: flow(noise=sp.Matrix([[1]])), tm.ModelError, "a row for each of 2 states; got a matrix of 1 x 1"),
        (lambda: flow(noise=sp.Matrix([[T], [0]])), tm.ModelError, "noise of 'x' uses undeclared 'T'"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_numerical_statements_are_never_proved():
    def claim(deviation: float) -> tm.Claim:
        return tm.Claim(name="n", statement="close", kind="numerical", measure=lambda: (deviation, 0.1))

    assert tm.verify(claim(0.05)).outcome is tm.Outcome.NUMERICAL
    assert not tm.verify(claim(0.05))
    assert tm.verify(claim(0.2)).outcome is tm.Outcome.REFUTED
    assert tm.verify(claim(float("nan"))).outcome is tm.Outcome.REFUTED

"""Mechanisms 1.8 against simulations of the model with noise, its moment equations, and quadrature to many digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import _compiled, jacobian, parameters
from scipy.integrate import solve_ivp
from scipy.special import ndtri

from toymesa.errors import DomainError
from toymesa.theorems.mechanisms import (
    joint_growth,
    leader_probability,
    noise_stop_diversity,
    outcome_probability,
    perturbation_variance,
)

counts = st.integers(2, 5)
logs = st.floats(-3.0, 1.0).map(lambda e: 10.0**e)
PATHS = 20_000


def agrees(won, probability):
    """A count of wins within five standard deviations; fixed seeds make it one test, not a lottery."""
    spread = np.sqrt(probability * (1.0 - probability) / PATHS)
    return abs(won.mean() - probability) < 5.0 * spread + 1.0 / PATHS


# ---------------------------------------------------------------- the unstable fixed point


@given(v0=st.floats(-1.5, 1.5), kappa=logs, temperature=logs, seed=st.integers(0, 9))
@settings(max_examples=6)
@example(v0=0.0, kappa=1.0, temperature=1.0, seed=0)
def test_simulated_paths_run_off_to_the_side_that_often(v0, kappa, temperature, seed):
    start = v0 * np.sqrt(temperature / kappa)  # in units in which neither side is certain
    rng = np.random.default_rng(seed)
    v, factor = np.full(PATHS, start), np.exp(0.1)
    kick = np.sqrt(temperature / kappa * np.expm1(0.2))  # of a step of length 0.1/kappa, exact in law
    for _ in range(50):  # e^5: what is decided then stays decided
        v = factor * v + kick * rng.normal(size=PATHS)
    assert agrees(v > 0.0, float(outcome_probability(start, growth_rate=kappa, temperature=temperature)))


@given(
    v0=st.floats(-1e3, 1e3),
    kappa=st.floats(-300.0, 300.0).map(lambda e: 10.0**e),
    temperature=st.floats(-300.0, 300.0).map(lambda e: 10.0**e),
)
@settings(max_examples=60)
def test_outcome_to_many_digits(v0, kappa, temperature):
    with mpmath.workdps(40):
        z = mpmath.mpf(v0) * mpmath.sqrt(mpmath.mpf(kappa) / mpmath.mpf(temperature))
        exact = mpmath.erfc(-z / mpmath.sqrt(2)) / 2 if abs(z) < 1e6 else mpmath.mpf(z > 0)
    ours = outcome_probability(v0, growth_rate=kappa, temperature=temperature)
    assert ours == pytest.approx(float(exact), rel=1e-12 * (1.0 + float(min(z * z, 1e6))), abs=1e-300)


# ---------------------------------------------------------------- along the training trajectory


def moments(k, n, eta, temperature, t):
    """Variance of a reliance at time t: the Lyapunov equation of the model's Jacobian along the joint trajectory."""
    values = parameters(k, diversity=n, gate_rate=eta)
    shape = np.zeros(k)
    shape[:2] = 1.0, -1.0

    def at(c):
        """The Jacobian on (dc, dp) along one direction of sum 0."""
        full = jacobian(k, np.concatenate([np.full(k, c), np.zeros(k - 1)]), values)
        odds = k * (shape - shape[-1])[:-1]  # log-odds of dp = shape
        from_c, from_p = full[:, :k] @ shape, full[:, k:] @ odds
        # dp_1 from log-odds: their difference over 2 K, or over K for two mechanisms, whose one log-odds it is
        second = (0.0, 0.0) if k == 2 else (from_c[k + 1], from_p[k + 1])
        over = 4.0 if k == 2 else 2.0 * k
        return np.array([[from_c[0], from_p[0]], [(from_c[k] - second[0]) / over, (from_p[k] - second[1]) / over]])

    zero, half, one = at(0.0), at(0.5), at(1.0)  # quadratic in the content
    bend = 2.0 * (zero + one - 2.0 * half)

    def field(time, y):
        c = -np.expm1(-time / k)
        a = zero + c * (one - zero - bend + c * bend)
        v = np.array([[y[0], y[1]], [y[1], y[2]]])
        d = a @ v + v @ a.T
        return [d[0, 0], d[0, 1], d[1, 1] + 2.0]

    run = solve_ivp(field, (0.0, t), [0.0, 0.0, 0.0], method="LSODA", rtol=1e-10, atol=1e-30)
    assert run.success, run.message
    return temperature * run.y[2, -1]


@given(
    k=counts,
    n=st.floats(-2.0, 3.0).map(lambda e: 10.0**e),
    eta=logs,
    temperature=st.floats(-20.0, 2.0).map(lambda e: 10.0**e),
    r=st.floats(-8.0, -0.001).map(lambda e: 10.0**e),
)
@settings(max_examples=10)
@example(k=2, n=10.0, eta=1.0, temperature=1e-6, r=0.25)  # where two forms of the formula meet
@example(k=2, n=10.0, eta=1.0, temperature=1e-6, r=0.25 + 1e-9)
@example(k=3, n=1e-6, eta=1.0, temperature=1.0, r=0.5)
def test_variance_is_the_models_linearized_noise(k, n, eta, temperature, r):
    assume(n * eta * k < 1e4)
    expected = moments(k, n, eta, temperature, -0.5 * k * np.log(r))
    ours = perturbation_variance(n, r, temperature=temperature, mechanisms=k, gate_rate=eta)
    assert ours == pytest.approx(expected, rel=1e-6)


@given(
    n=st.floats(-12.0, 5.0).map(lambda e: 10.0**e),
    r=st.one_of(st.floats(1e-12, 1.0), st.floats(-300.0, -1.0).map(lambda e: 10.0**e)),
)
@settings(max_examples=15)
@example(n=4.5e4, r=0.2)  # 2 kappa = 600: exponential integrals by their asymptotic series
@example(n=4.49e4, r=0.2)
@example(n=1e-17, r=0.1)
def test_variance_to_many_digits(n, r):
    assume(r < 1.0)
    with mpmath.workdps(int(40 + 2 * np.sqrt(2 * n))):
        kappa, y = mpmath.sqrt(2 * mpmath.mpf(n)), mpmath.sqrt(mpmath.mpf(r))
        a, b = 2 * kappa, 2 * kappa * y
        grown = mpmath.cosh(b) * (mpmath.chi(a) - mpmath.chi(b)) - mpmath.sinh(b) * (mpmath.shi(a) - mpmath.shi(b))
        exact = 2 * (mpmath.log(1 / y) + grown)
        assume(exact < mpmath.mpf(10) ** 300)
    ours = perturbation_variance(n, r, temperature=1.0)
    assert ours == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize(("n", "r", "ratio"), [(30.0, 0.1, 0.5), (200.0, 0.4, 1.0), (3.0, 0.01, 0.1)])
def test_simulated_training_with_noise_ends_with_that_leader(n, r, ratio):
    """The full model of two mechanisms, Euler-Maruyama on its own rates; reliance noise so small that it stays linear."""
    temperature = 1e-12
    values = parameters(2, diversity=n)
    flow = _compiled(2)[1]
    u0 = ratio * np.sqrt(perturbation_variance(n, r, temperature=temperature)) / joint_growth(-np.log(r), diversity=n)
    steps = 2000  # the bias of the steps in the variance is then below its allowance
    h = -np.log(r) / steps
    rng = np.random.default_rng(12)
    c = np.zeros((2, PATHS))
    odds = np.full(PATHS, 4.0 * u0)  # p_1 - 1/2 = odds/4
    for _ in range(steps):
        move = flow(c[0], c[1], odds, *values)
        c = c + h * np.array([move[0], move[1]])
        odds = odds + h * move[2] + 4.0 * np.sqrt(2.0 * temperature * h) * rng.normal(size=PATHS)
    expected = float(leader_probability(u0, n, r, temperature=temperature))
    assert 0.5 < expected < 0.9
    assert abs((odds > 0.0).mean() - expected) < 5.0 * np.sqrt(0.25 / PATHS)
    variance = float(perturbation_variance(n, r, temperature=temperature))
    assert np.var(odds / 4.0) == pytest.approx(variance, rel=5.0 * np.sqrt(2.0 / PATHS) + 0.02)


@given(k=counts, u0=st.floats(-1e-2, 1e-2), n=st.floats(0.1, 1e3), r=st.floats(1e-6, 0.999), t=logs)
@settings(max_examples=60)
def test_leader_probability_is_growth_over_noise(k, u0, n, r, t):
    variance = float(perturbation_variance(n, r, temperature=t, mechanisms=k))
    growth = float(joint_growth(-0.5 * k * np.log(r), diversity=n, mechanisms=k))
    probability = float(leader_probability(u0, n, r, temperature=t, mechanisms=k))
    z = u0 * growth / np.sqrt(variance)
    if abs(z) < 5.0:
        assert ndtri(probability) == pytest.approx(z, rel=1e-8, abs=1e-9)
    else:
        assert (probability > 0.5) == (z > 0)


@given(
    k=counts,
    eta=logs,
    r=st.one_of(st.floats(1e-9, 0.999), st.just(0.999999)),
    theta=st.floats(-6.0, 3.0).map(lambda e: 10.0**e),
    t=st.floats(-30.0, 0.0).map(lambda e: 10.0**e),
)
@settings(max_examples=60)
def test_the_noise_limited_diversity_has_that_variance(k, eta, r, theta, t):
    n = float(noise_stop_diversity(r, threshold=theta, temperature=t, mechanisms=k, gate_rate=eta))
    diffusion = -k * t * np.log(r)
    if n == 0.0:
        assert diffusion >= theta**2 * (1.0 - 1e-12)
        return
    assume(n < np.inf)
    variance = perturbation_variance(n, r, temperature=t, mechanisms=k, gate_rate=eta)
    # a relative error of n is one of sqrt(n eta K)(1 - sqrt r) in the logarithm of the variance
    sensitivity = 1.0 + np.sqrt(n * eta * k) * (1.0 - np.sqrt(r))
    if diffusion < 0.999 * theta**2:
        assert variance == pytest.approx(theta**2, rel=1e-11 * sensitivity)


def test_noise_limits_and_refusals():
    assert outcome_probability([-1.0, 0.0, 1.0], growth_rate=1.0, temperature=0.0).tolist() == [0.0, 0.5, 1.0]
    assert perturbation_variance(10.0, [0.0, 1.0], temperature=1.0).tolist() == [np.inf, 0.0]
    assert perturbation_variance(10.0, 0.5, temperature=0.0) == 0.0
    assert leader_probability([-1e-9, 1e-9], 10.0, [0.5, 1.0], temperature=[0.0, 1.0]).tolist() == [0.0, 1.0]
    assert noise_stop_diversity([0.5, 1.0], threshold=0.1, temperature=[0.0, 1.0]).tolist() == [np.inf, np.inf]
    assert noise_stop_diversity(0.0, threshold=0.1, temperature=1e-9) == 0.0
    for call in (
        lambda: outcome_probability(0.0, growth_rate=0.0, temperature=1.0),
        lambda: perturbation_variance(1.0, 1.5, temperature=1.0),
        lambda: leader_probability(0.0, 1.0, 0.5, temperature=-1.0),
        lambda: noise_stop_diversity(0.5, threshold=0.0, temperature=1.0),
    ):
        with pytest.raises(DomainError, match="got"):
            call()

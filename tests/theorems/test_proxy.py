"""Proxy alignment: weights, rates, deployment loss, stopping and ridge against the model, the solver and exact digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import derivation, digits
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import toymesa as tm
from toymesa.theorems import proxy as theorems

MODEL = tm.models.proxy()
alphas = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
rhos = st.one_of(
    st.floats(-1.0, 1.0), st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-15.0, -1.0).map(lambda e: 1.0 - 10.0**e)
)
weights = st.floats(-2.0, 2.0)
sizes = st.just(0.0) | st.floats(1e-3, 3.0)


def covariance(alpha, rho):
    return np.array([[1.0, alpha * rho], [alpha * rho, alpha**2]])


@given(alpha=alphas, rho=rhos)
@example(alpha=1.0, rho=0.0)
@example(alpha=1.0, rho=1e-12)
@settings(max_examples=100, deadline=None)
def test_rates_to_the_last_digits(alpha, rho):
    d = derivation("proxy_4_1_course")
    found = theorems.rates(alpha, rho)
    assert found.fast == pytest.approx(digits(d.FAST, {d.ALPHA: alpha, d.RHO: rho}, 60), rel=4e-15)
    assert found.slow == pytest.approx(digits(d.SLOW, {d.ALPHA: alpha, d.RHO: rho}, 60), rel=4e-15)
    law = theorems.slow_rate_law(alpha, rho)
    assert law <= found.slow * (1 + 1e-14)
    if abs(rho) > 0.999:
        assert found.slow == pytest.approx(law, rel=3 * (1 - abs(rho)) + 1e-14)


@given(alpha=st.floats(0.1, 5.0), rho=rhos, a=weights, b=weights, t=st.floats(0.0, 20.0))
@example(alpha=1.0, rho=0.0, a=0.0, b=0.5, t=3.0)
@example(alpha=2.0, rho=1.0, a=0.0, b=0.5, t=20.0)
@settings(max_examples=40, deadline=None)
def test_weights_are_the_solvers(alpha, rho, a, b, t):
    params, start = {"alpha": alpha, "rho": rho}, {"w_true": a, "w_proxy": b}
    run = tm.solve(MODEL, [0.0, t + 0.1], params=params, start=start, method="dop853", rtol=1e-11, atol=1e-13)
    form = tm.solve(MODEL, [0.0, t + 0.1], params=params, start=start, method="closed")
    values = theorems.weights(t + 0.1, alpha=alpha, rho=rho, w_true=a, w_proxy=b)
    matrix = np.array([1.0, 0.0]) + expm(-covariance(alpha, rho) * (t + 0.1)) @ np.array([a - 1.0, b])
    for i, name in enumerate(MODEL.state_names):
        assert values[i] == pytest.approx(run[name].values[1], abs=1e-8)
        assert values[i] == pytest.approx(form[name].values[1], abs=2e-14 * 5)
        assert values[i] == pytest.approx(matrix[i], abs=1e-11)


@given(
    alpha=st.floats(0.1, 5.0),
    rho=rhos,
    a=weights,
    b=weights,
    s=sizes,
    p=sizes,
    r=rhos,
    u=weights,
    v=weights,
    t=st.floats(0.0, 10.0),
)
@settings(max_examples=40, deadline=None)
def test_deployment_loss_is_the_models(alpha, rho, a, b, s, p, r, u, v, t):
    names = {"deploy_true": s, "deploy_proxy": p, "deploy_rho": r, "target_true": u, "target_proxy": v}
    run = tm.solve(
        MODEL,
        [0.0, t + 0.1],
        params={"alpha": alpha, "rho": rho, **names},
        start={"w_true": a, "w_proxy": b},
        method="closed",
    )
    value = theorems.deployment_loss(t + 0.1, alpha=alpha, rho=rho, w_true=a, w_proxy=b, **names)
    assert value == pytest.approx(run["deployment_loss"].values[1], rel=1e-9, abs=1e-13)
    assert value >= 0.0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_noise_is_that_of_random_labels(seed):
    """Gradient flow on samples with random labels, averaged: a fixed design whose covariance is Sigma."""
    rng = np.random.default_rng(seed)
    alpha, rho, n, variance, t = rng.uniform(0.5, 2), rng.uniform(-0.95, 0.95), 12, 0.5, rng.uniform(0.1, 5)
    whitened = np.linalg.qr(rng.normal(size=(n, 2)))[0] * np.sqrt(n)
    design = whitened @ np.linalg.cholesky(covariance(alpha, rho)).T
    gone = expm(-covariance(alpha, rho) * t)
    labels = design[:, 0] + np.sqrt(variance) * rng.normal(size=(40_000, n))
    fitted = np.linalg.solve(covariance(alpha, rho), design.T @ labels.T / n)
    w = (np.eye(2) - gone) @ fitted - np.array([[1.0], [0.0]])
    deployed = np.array([[1.0, 0.3 * 1.5], [0.3 * 1.5, 1.5**2]])
    losses = np.einsum("ik,ij,jk->k", w, deployed, w) / 2
    exact = theorems.deployment_loss(
        t, alpha=alpha, rho=rho, deploy_proxy=1.5, deploy_rho=0.3, noise=variance, samples=n
    )
    assert losses.mean() == pytest.approx(exact, abs=5 * losses.std() / 200)


@given(alpha=st.floats(0.2, 4.0), rho=st.floats(-0.99, 0.99), a=weights, b=weights, s=sizes, p=sizes, r=rhos)
@example(alpha=2.0, rho=0.9, a=0.0, b=0.0, s=1.0, p=2.0, r=-0.9)
@example(alpha=0.5, rho=-0.5, a=0.0, b=0.0, s=1.0, p=1.0, r=-1.0)  # the loss touches 0 on its way
@example(alpha=1.0, rho=-0.5, a=0.0, b=0.0, s=1.0, p=1.0, r=-1.0)  # the slow direction costs nothing
@settings(max_examples=80, deadline=None)
def test_stationary_times_are_where_the_slope_changes_sign(alpha, rho, a, b, s, p, r):
    names = {"w_true": a, "w_proxy": b, "deploy_true": s, "deploy_proxy": p, "deploy_rho": r}
    times = theorems.stationary_times(alpha=alpha, rho=rho, **names)
    rate = theorems.rates(alpha, rho)
    assume(rate.fast - rate.slow > 1e-3 or rate.fast == rate.slow)
    assume(rate.fast > rate.slow)
    grid = np.geomspace(1e-6 / rate.fast, min(30 / rate.slow, 30 / (rate.fast - rate.slow)), 4000)
    case = theorems._Case(alpha, rho, **names)
    slope = case.slope(grid)
    turns = np.flatnonzero(slope[:-1] * slope[1:] < 0)
    inside = times[np.isfinite(times) & (times > grid[0]) & (times < grid[-1])]
    assume(not (np.isfinite(times).all() and times[1] - times[0] < 1e-2 * times[1]))  # nearly a tangency
    assert len(turns) == len(inside)
    for i, t in zip(turns, inside, strict=True):
        assert grid[i] * (1 - 1e-9) <= t <= grid[i + 1] * (1 + 1e-9)
        step = 1e-5 * t
        ends = theorems.deployment_loss([t - step, t, t + step], alpha=alpha, rho=rho, **names)
        assert abs(ends[2] - ends[0]) <= 1e-2 * np.abs(ends - ends[1]).max() + 1e-14 * ends[1]


def test_it_can_rise_above_its_start():
    names = {"alpha": 2.0, "rho": 0.9, "deploy_proxy": 2.0, "deploy_rho": -0.9}
    (top, rest) = theorems.stationary_times(**names)
    assert np.isnan(rest)
    start, peak = theorems.deployment_loss([0.0, top], **names)
    assert peak > 1.5 * start
    assert theorems.best_stop(**names) == (np.inf, 0.0, 0.0)


# ---------------------------------------------------------------- stopping


@given(
    alpha=st.floats(0.3, 3.0),
    rho=st.floats(-0.99, 0.99),
    noise=st.floats(0.01, 4.0),
    n=st.integers(2, 100),
    u=st.floats(-1.0, 2.0),
    v=st.floats(-1.0, 1.0),
    p=st.floats(0.2, 3.0),
    r=st.floats(-1, 1),
)
@settings(max_examples=25, deadline=None)
def test_the_best_stop_is_the_minimum(alpha, rho, noise, n, u, v, p, r):
    names = {
        "alpha": alpha,
        "rho": rho,
        "noise": noise,
        "samples": n,
        "target_true": u,
        "target_proxy": v,
        "deploy_proxy": p,
        "deploy_rho": r,
    }
    best = theorems.best_stop(**names)
    rate = theorems.rates(alpha, rho)
    grid = np.concatenate([[0.0], np.geomspace(1e-6 / rate.fast, 60 / rate.slow, 3000), [np.inf]])
    losses = theorems.deployment_loss(grid, **names)
    assert best.loss <= losses.min() * (1 + 1e-12) + 1e-15
    assert best.converged == pytest.approx(losses[-1])
    assert theorems.deployment_loss(best.t, **names) == pytest.approx(best.loss, rel=1e-12)


def test_an_interior_best_stop_needs_noise_or_a_shift():
    clean = {"alpha": 2.0, "rho": [0.0, 0.5, 0.99], "deploy_rho": [[-0.9], [0.0], [0.9]], "deploy_proxy": 2.0}
    assert np.isinf(theorems.best_stop(**clean).t).all()
    assert np.isfinite(theorems.best_stop(**clean, noise=0.1, samples=10).t).all()
    assert np.isfinite(theorems.best_stop(alpha=2.0, rho=0.9, target_true=0.3, target_proxy=0.2).t)


# ---------------------------------------------------------------- leaving the proxy, ridge


@given(alpha=alphas, f=st.floats(1e-6, 0.9), gap=st.floats(-12.0, -1.0).map(lambda e: 10.0**e))
@settings(max_examples=60, deadline=None)
def test_the_time_to_leave_the_proxy_diverges(alpha, f, gap):
    rho = 1.0 - gap
    time = theorems.leaving_time(f, alpha=alpha, rho=rho)
    exact = float(mpmath.log(1 / mpmath.mpf(f))) * (1 + alpha**-2) / ((1 - rho) * (1 + rho))
    assert time == pytest.approx(exact, rel=4 * (1 - rho) + 1e-13)
    rate = theorems.rates(alpha, rho)
    slow = np.array(
        [
            -np.sin(np.arctan2(alpha * rho, (1 - alpha**2) / 2) / 2),
            np.cos(np.arctan2(alpha * rho, (1 - alpha**2) / 2) / 2),
        ]
    )
    left = theorems.weights(time, alpha=alpha, rho=rho, w_true=1 + slow[0], w_proxy=slow[1])
    assert np.hypot(left.w_true - 1, left.w_proxy) == pytest.approx(f, rel=1e-6, abs=1e-12)
    assert rate.slow * time == pytest.approx(-np.log(f), rel=1e-12)


@given(x=st.floats(-12.0, 4.0).map(lambda e: 10.0**e))
@settings(max_examples=100, deadline=None)
def test_shrinkage_ratio_and_its_bound(x):
    d = derivation("proxy_4_3_ridge")
    value = theorems.shrinkage_ratio(x)
    assert value == pytest.approx(digits(d.RATIO, {d.X: x}, 40), rel=1e-14)
    assert value * (1 + 1e-15) >= 1.0
    assert value <= theorems.largest_shrinkage_ratio().ratio


@given(
    alpha=st.floats(0.2, 4.0),
    rho=rhos,
    t=st.floats(-3.0, 4.0).map(lambda e: 10.0**e),
    noise=st.floats(0.0, 5.0),
    n=st.integers(1, 50),
    a=weights,
    b=weights,
    like_training=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_stopping_early_costs_at_most_the_bound_over_ridge(alpha, rho, t, noise, n, a, b, like_training):
    names = {"alpha": alpha, "rho": rho, "noise": noise, "samples": n, "w_true": a, "w_proxy": b}
    names |= {"deploy_true": 1.0, "deploy_proxy": alpha, "deploy_rho": rho} if like_training else {}
    flow, ridge = theorems.deployment_loss(t, **names), theorems.ridge_loss(1 / t, **names)
    assert flow <= theorems.largest_shrinkage_ratio().ratio ** 2 * ridge * (1 + 1e-9) + 1e-15


def test_ridge_is_ridge():
    sigma, penalty, start = covariance(1.5, 0.7), 0.4, np.array([0.2, -0.3])
    w = np.linalg.solve(sigma + penalty * np.eye(2), sigma @ [1.0, 0.0] + penalty * start)
    gap = w - [1.0, 0.0]
    value = theorems.ridge_loss(penalty, alpha=1.5, rho=0.7, w_true=0.2, w_proxy=-0.3, deploy_proxy=2.0, deploy_rho=0.1)
    assert value == pytest.approx(gap @ np.array([[1.0, 0.2], [0.2, 4.0]]) @ gap / 2, rel=1e-13)


def test_limits_and_refusals():
    assert theorems.rates(2.0, 1.0) == (5.0, 0.0)
    assert theorems.leaving_time(0.5, alpha=2.0, rho=-1.0) == np.inf
    assert theorems.leaving_time(1.0, alpha=2.0, rho=1.0) == 0.0
    end = theorems.weights(np.inf, alpha=2.0, rho=1.0)
    assert end.w_true + 2 * end.w_proxy == pytest.approx(1.0)
    assert theorems.weights(np.inf, alpha=2.0, rho=0.5) == (1.0, 0.0)
    assert np.isnan(theorems.stationary_times(alpha=1.0, rho=0.0)).all()
    assert theorems.deployment_loss(np.inf, alpha=2.0, rho=0.5, noise=1.0, samples=10) == pytest.approx(
        (1 + 0.25) / (4 * 0.75) / 20 * 4, rel=1e-12
    )
    assert theorems.deployment_loss([[0.0], [1.0]], alpha=[1.0, 2.0, 3.0], rho=0.5).shape == (2, 3)
    for call, error, words in (
        (lambda: theorems.rates(0.0, 0.5), tm.DomainError, "alpha must lie in"),
        (lambda: theorems.weights(-1.0, alpha=1.0, rho=0.5), tm.DomainError, "t must lie in"),
        (lambda: theorems.weights("a", alpha=1.0, rho=0.5), tm.ArgumentError, "t must be real numbers"),
        (lambda: theorems.deployment_loss(1.0, alpha=1.0, rho=0.5, nois=1.0), tm.ArgumentError, "did you mean 'noise'"),
        (lambda: theorems.stationary_times(alpha=1.0, rho=0.5, noise=1.0), tm.ArgumentError, "clean labels; got noise"),
        (lambda: theorems.ridge_loss(0.0, alpha=1.0, rho=0.5), tm.DomainError, "penalty must lie in"),
        (lambda: theorems.leaving_time(0.0, alpha=1.0, rho=0.5), tm.DomainError, r"fraction must lie in \(0, 1\]"),
    ):
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_sympy_and_model_agree_on_the_first_slope():
    slope = sum(sp.diff(MODEL.observables["deployment_loss"], s) * e for s, e in MODEL.flow.items())
    values = {
        "alpha": 2.0,
        "rho": 0.9,
        "deploy_true": 1.0,
        "deploy_proxy": 2.0,
        "deploy_rho": -0.9,
        "target_true": 1,
        "target_proxy": 0,
    }
    at = {s: sp.Float(values[s.name]) for s in MODEL.params} | dict.fromkeys(MODEL.states, 0)
    step = 1e-6
    rise = theorems.deployment_loss(step, alpha=2.0, rho=0.9, deploy_proxy=2.0, deploy_rho=-0.9) - 0.5
    assert rise / step == pytest.approx(float(slope.subs(at)), rel=1e-4)

"""In context 5.1 to 5.6: theorem functions against rational arithmetic, simulated regressions, the model and quadrature."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from derived import derivation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ToymesaWarning
from toymesa.symbolic.wishart import trace_moments
from toymesa.theorems import in_context as ic

STEMS = (
    "in_context_5_1_one_step",
    "in_context_5_2_moments",
    "in_context_5_3_inner_time",
    "in_context_5_4_covariance",
    "in_context_5_5_matrix_form",
    "in_context_5_6_separate_heads",
)
sizes = st.one_of(st.integers(1, 6), st.integers(7, 200))
noises = st.one_of(st.just(0.0), st.floats(-6, 3).map(lambda e: 10.0**e))
rates = st.floats(-1.5, 1.5).map(lambda e: 10.0**e)


# ---------------------------------------------------------------- any number of steps


def exact_loss(eta: float, k: int, d: int, n: int, noise: float) -> float:
    """The polynomial in the moments, in rational numbers."""
    step, sigma2 = Fraction(eta), Fraction(noise)
    m = [Fraction(v, d * n**j) for j, v in enumerate(trace_moments(2 * k, d, n))]
    signed = [math.comb(2 * k, j) * (-step) ** j * m[j] for j in range(2 * k + 1)]
    fitted = [-math.comb(k, j) * (-step) ** j for j in range(1, k + 1)]  # (1-(1-x)^k)/S, coefficient of S^(j-1)
    noisy = sum(a * b * m[i + j + 1] for i, a in enumerate(fitted) for j, b in enumerate(fitted))
    return float((sum(signed) + sigma2 / n * noisy) / 2)


@given(eta=st.floats(-0.5, 2.5), k=st.integers(1, 12), d=sizes, n=sizes, noise=noises)
@settings(max_examples=60, deadline=None)
@example(eta=0.0, k=3, d=4, n=2, noise=1.0)
@example(eta=1e-9, k=12, d=4, n=2, noise=1e3)
@example(eta=1.0, k=12, d=1, n=1, noise=0.0)
def test_loss_after_steps_against_rational_arithmetic(eta, k, d, n, noise):
    found = ic.loss(eta, steps=k, dimension=d, context=n, noise=noise)
    assert found == pytest.approx(exact_loss(eta, k, d, n, noise), rel=2e-13 * k)


@pytest.mark.parametrize(
    ("d", "n", "k", "eta", "noise"), [(3, 7, 4, 0.35, 0.5), (4, 3, 2, 0.3, 0.0), (2, 20, 10, 0.4, 2.0)]
)
def test_loss_after_steps_against_actual_regressions(d, n, k, eta, noise):
    rng, tasks = np.random.default_rng(11), 20_000
    x, beta = rng.standard_normal((tasks, n, d)), rng.standard_normal((tasks, d))
    y = np.einsum("tnd,td->tn", x, beta) + np.sqrt(noise) * rng.standard_normal((tasks, n))
    w = np.zeros((tasks, d))
    for _ in range(k):
        w += eta * np.einsum("tnd,tn->td", x, y - np.einsum("tnd,td->tn", x, w)) / n
    error = ((w - beta) ** 2).sum(axis=1) / (2 * d)
    exact = ic.loss(eta, steps=k, dimension=d, context=n, noise=noise)
    assert abs(error.mean() - exact) < 4 * error.std() / tasks**0.5 < 0.05 * exact


@given(k=st.integers(1, 9), d=st.integers(1, 20), n=st.integers(1, 40), noise=noises)
@settings(max_examples=40, deadline=None)
@example(k=2, d=1, n=1, noise=100.0)
def test_the_best_step_is_the_global_minimum(k, d, n, noise):
    common = {"steps": k, "dimension": d, "context": n, "noise": noise}
    best = ic.best_step(**common)
    least = ic.loss(best, **common)
    others = ic.loss(np.linspace(-1.0, 4.0, 3001), **common)
    assert least <= others.min() * (1 + 1e-12)
    if k == 1:
        gamma = ic.spread(dimension=d, context=n, noise=noise)
        assert best == pytest.approx(1 / gamma, rel=1e-12)
        assert least == pytest.approx((1 - 1 / gamma) / 2, rel=1e-11)


@pytest.mark.parametrize("steps", [2, 3])
def test_training_reaches_the_best_step(steps):
    run = tm.solve(tm.models.in_context(steps=steps), [0.0, 300.0])
    best = ic.best_step(steps=steps, dimension=8, context=32, noise=0.25)
    assert run["step_size"].values[-1] == pytest.approx(best, rel=1e-8)
    assert run["loss"].values[-1] == pytest.approx(ic.loss(best, steps=steps, dimension=8, context=32, noise=0.25))
    assert run["deployment_loss"].values[-1] == pytest.approx(
        ic.loss(run["step_size"].values[-1], steps=steps, dimension=8, context=8, noise=0.25), rel=1e-10
    )


def test_the_spectrum_reproduces_its_moments():
    for d, n in ((1, 1), (3, 2), (5, 40), (300, 200)):
        rule = ic.spectrum(dimension=d, context=n, size=6)
        assert (rule.nodes >= 0).all()
        found = [rule.weights @ rule.nodes**j for j in range(12)]
        np.testing.assert_allclose(found, ic.moments(11, dimension=d, context=n), rtol=1e-12)
    assert ic.moments(60, dimension=10**6, context=1)[-1] == np.inf


# ---------------------------------------------------------------- inner time


def psi(tau, n):
    """int_0^tau (1 + 2s/n)^(-n/2) ds: one dimension, a chi-square."""
    return mpmath.quad(lambda s: (1 + 2 * s / n) ** (-mpmath.mpf(n) / 2), [0, tau])


@pytest.mark.parametrize("n", [3, 8, 60])
@pytest.mark.parametrize("tau", [0.0, 0.1, 1.0, 4.0])
def test_inner_time_in_one_dimension(n, tau):
    left = (1 + 4 * tau / n) ** (-n / 2)
    noisy = 2 * psi(tau, n) - psi(2 * tau, n)
    exact = float(left + 0.7 / n * noisy) / 2
    assert ic.loss_in_time(tau, dimension=1, context=n, noise=0.7, size=40) == pytest.approx(exact, rel=1e-6)


def test_inner_time_with_a_single_example():
    d, tau = 5, np.array([0.0, 0.05, 0.2])
    exact = (d - 1 + (1 + 4 * tau) ** (-d / 2)) / (2 * d)
    np.testing.assert_allclose(ic.loss_in_time(tau, dimension=d, context=1), exact, rtol=1e-6)


def test_too_few_nodes_are_reported():
    with pytest.warns(ToymesaWarning, match="8 nodes leave a relative error.*larger size, or limit_loss"):
        ic.loss_in_time(100.0, dimension=20, context=20, size=8)


def law(function, c):
    """Average over the Marchenko-Pastur law, by quadrature in the angle."""
    root = mpmath.sqrt(c)

    def at(angle):
        half = mpmath.cos(angle / 2) ** 2
        x = (1 - root) ** 2 + 4 * root * half  # 1 + c + 2 sqrt(c) cos t
        return 8 / mpmath.pi * half * (1 - half) / x * function(x)

    return mpmath.quad(at, mpmath.linspace(0, mpmath.pi, 9))


@pytest.mark.parametrize("c", [1e-6, 0.1, 0.7, 1.0, 1.5, 30.0])
@pytest.mark.parametrize("tau", [0.0, 0.03, 1.0, 20.0])
def test_the_limit_against_quadrature(c, tau):
    atom = max(0.0, 1 - 1 / c)
    left = law(lambda x: mpmath.exp(-2 * tau * x), c) + atom
    noisy = law(lambda x: mpmath.expm1(-tau * x) ** 2 / x, c)
    assert ic.laplace(2 * tau, ratio=c) == pytest.approx(float(left), rel=1e-12)
    assert ic.limit_loss(tau, ratio=c, noise_share=0.3) == pytest.approx(float(left + 0.3 * noisy) / 2, rel=1e-12)


@given(c=st.floats(-4, 4).map(lambda e: 10.0**e), s=st.floats(-8, 8).map(lambda e: 10.0**e))
@settings(max_examples=60, deadline=None)
@example(c=1.0, s=1e8)
@example(c=np.nextafter(1.0, 2.0), s=1e8)
@example(c=1.0, s=1e-8)
def test_the_transform_of_transposed_contexts(c, s):
    # X'X/n and XX'/n have the same eigenvalues but for zeros: phi_c(s) = 1 - 1/c + phi_(1/c)(c s)/c
    here, there = ic.laplace(s, ratio=c), ic.laplace(c * s, ratio=1 / c)
    assert here == pytest.approx(1 - 1 / c + there / c, rel=1e-11, abs=1e-13 * (1 + 1 / c))


def test_the_elementary_form_joins_on():
    s = np.array([0.0, 1e-6, 0.5, 30.0, 1e4, 1e8])
    np.testing.assert_allclose(ic.laplace(s, ratio=1.0), ic.laplace(s, ratio=1.0 + 1e-15), rtol=1e-7)
    assert ic.laplace(1e6, ratio=1.0) == pytest.approx(1 / np.sqrt(np.pi * 1e6), rel=1e-6)
    tau = 0.8
    with mpmath.workdps(30):
        i0, i1 = (mpmath.besseli(k, 2 * tau) * mpmath.exp(-2 * tau) for k in (0, 1))
        j0, j1 = (mpmath.besseli(k, 4 * tau) * mpmath.exp(-4 * tau) for k in (0, 1))
        noisy = 2 * (2 * tau * (i0 + i1) + (i0 - 1) / 2) - (4 * tau * (j0 + j1) + (j0 - 1) / 2)
        exact = float((j0 + j1 + mpmath.mpf(0.4) * noisy) / 2)
    assert ic.limit_loss(tau, ratio=1.0, noise_share=0.4) == pytest.approx(exact, rel=1e-13)


def test_finite_sizes_tend_to_the_limit():
    gaps = [
        abs(
            ic.loss_in_time(1.0, dimension=n // 2, context=n, noise=0.2 * n)
            - ic.limit_loss(1.0, ratio=0.5, noise_share=0.2)
        )
        for n in (20, 40, 80)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2.0, abs=0.2)
    assert gaps[1] / gaps[2] == pytest.approx(2.0, abs=0.2)


# ---------------------------------------------------------------- one step


@given(
    u=st.floats(-1, 1), v=st.floats(-1, 1), d=sizes, n=sizes, noise=noises, eta_u=rates, eta_v=rates, t=st.floats(0, 10)
)
@settings(max_examples=30, deadline=None)
def test_course_is_the_models(u, v, d, n, noise, eta_u, eta_v, t):
    common = {"dimension": d, "context": n, "noise": noise, "rate_value": eta_u, "rate_key": eta_v}
    times = [0.0, t + 1e-3]
    run = tm.solve(tm.models.in_context(), times, params=common, start={"value": u, "key": v}, method="closed")
    found = ic.course(times, value=u, key=v, **common)
    scale = abs(u) + abs(v) * np.sqrt(eta_u / eta_v)
    lost = 1e-14 * scale * np.exp(min(np.sqrt(eta_u * eta_v) * t, 60.0))
    np.testing.assert_allclose(found.value, run["value"], rtol=1e-10, atol=lost)
    np.testing.assert_allclose(found.key, run["key"], rtol=1e-10, atol=lost * np.sqrt(eta_v / eta_u))


def test_course_against_the_solver_from_a_plateau():
    start = {"value": 1e-4, "key": 3e-4}
    t = np.linspace(0.0, 20.0, 9)
    run = tm.solve(tm.models.in_context(), t, start=start, method="dop853", rtol=1e-12, atol=1e-16)
    found = ic.course(t, **start, dimension=8, context=32, noise=0.25)
    np.testing.assert_allclose(found.value, run["value"], rtol=1e-8)
    np.testing.assert_allclose(found.key, run["key"], rtol=1e-8)


@pytest.mark.parametrize(("d", "n", "p0"), [(1, 5, 1e-3), (3, 6, 0.01), (4, 40, 0.9)])
def test_white_logistic_against_the_matrix_flow(d, n, p0):
    gamma = 1 + (d + 1) / n

    def rates_(t, y):
        u, v = y[0], y[1:].reshape(d, d)
        return np.concatenate([[np.trace(v) - u * gamma * np.sum(v * v)], (u * np.eye(d) - u * u * gamma * v).ravel()])

    u0 = np.sqrt(np.sqrt(d) * p0)  # balanced: u = |V|_F = sqrt(d) v
    t = np.linspace(0.0, 6.0, 7)
    run = solve_ivp(rates_, (0, 6), [u0, *(u0 / np.sqrt(d) * np.eye(d)).ravel()], t_eval=t, rtol=1e-11, atol=1e-13)
    found = ic.white_logistic(t, dimension=d, context=n, start=p0)
    np.testing.assert_allclose(found, run.y[0] * run.y[1], rtol=1e-7)
    assert ic.white_logistic(50.0, dimension=d, context=n, start=p0) == pytest.approx(1 / gamma, rel=1e-12)


def one_step_regressions(p, covariance, n, noise, tasks=40_000, seed=7):
    rng, d = np.random.default_rng(seed), len(covariance)
    root = np.linalg.cholesky(covariance)
    x, beta = rng.standard_normal((tasks, n, d)) @ root.T, rng.standard_normal((tasks, d))
    y = np.einsum("tnd,td->tn", x, beta) + np.sqrt(noise) * rng.standard_normal((tasks, n))
    left = np.einsum("tnd,tn->td", x, y) / n @ p.T - beta
    error = ((left @ root) ** 2).sum(axis=1) / (2 * d)  # averaged over the new input
    return error.mean(), error.std() / tasks**0.5


COVARIANCE = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.2], [0.1, -0.2, 0.4]])


def test_preconditioned_loss_against_actual_regressions():
    p = np.array([[0.3, 0.1, -0.2], [0.0, 0.5, 0.2], [0.1, -0.3, 0.6]])
    mean, error = one_step_regressions(p, COVARIANCE, 6, 0.8)
    assert abs(ic.preconditioned_loss(p, covariance=COVARIANCE, context=6, noise=0.8) - mean) < 4 * error < 0.05 * mean


def test_a_misaligned_mesa_objective_against_actual_regressions():
    weights = np.diag([0.2, 1.0, 1.5])
    given_ = {"covariance": COVARIANCE, "context": 6, "noise": 0.8}
    eta = ic.best_weighted_step(weights, **given_)
    shifted = {"covariance": np.diag([0.5, 1.0, 2.0]), "context": 10, "noise": 0.1}
    mean, error = one_step_regressions(eta * weights @ weights, shifted["covariance"], 10, 0.1)
    found = ic.misaligned_loss(weights, **given_, **{f"deploy_{k}": v for k, v in shifted.items()})
    assert abs(found - mean) < 4 * error < 0.05 * mean
    trained = ic.misaligned_loss(weights, **given_)
    best = ic.preconditioned_loss(ic.preconditioner(**given_), **given_)
    assert trained > best + 0.01
    assert trained <= min(ic.preconditioned_loss(s * eta * weights @ weights, **given_) for s in (0.9, 0.99, 1.01, 1.1))
    # aligned: M^2 proportional to the best preconditioner
    values, vectors = np.linalg.eigh(ic.preconditioner(**given_))
    aligned = ic.misaligned_loss(3.0 * vectors @ np.diag(np.sqrt(values)) @ vectors.T, **given_)
    assert aligned == pytest.approx(best, rel=1e-12)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 50), noise=noises)
@settings(max_examples=30, deadline=None)
def test_the_preconditioner_is_the_best_one(seed, n, noise):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3))
    given_ = {"covariance": root @ root.T, "context": n, "noise": noise}
    best = ic.preconditioner(**given_)
    least = ic.preconditioned_loss(best, **given_)
    for _ in range(3):
        other = best + 0.1 * np.abs(best).max() * rng.standard_normal((3, 3))
        assert least <= ic.preconditioned_loss(other, **given_) + 1e-13


def test_white_inputs_are_the_scalar_case():
    d, n, noise = 4, 9, 0.3
    gamma = ic.spread(dimension=d, context=n, noise=noise)
    np.testing.assert_allclose(ic.preconditioner(np.eye(d), context=n, noise=noise), np.eye(d) / gamma, rtol=1e-14)
    for eta in (0.0, 0.3, 1.0):
        here = ic.preconditioned_loss(eta * np.eye(d), covariance=np.eye(d), context=n, noise=noise)
        assert here == pytest.approx(ic.loss(eta, dimension=d, context=n, noise=noise), rel=1e-13)
    assert ic.saddle_losses(np.ones(d), context=n, noise=noise)[-1] == pytest.approx((1 - 1 / gamma) / 2)


# ---------------------------------------------------------------- separate heads


def test_saddles_are_passed_in_the_order_of_the_variances():
    variances = [4.0, 1.0, 0.3]
    model = tm.models.in_context(features=3, heads="separate")
    params = {f"variance_{i + 1}": l for i, l in enumerate(variances)} | {"noise": 0.2, "context": 20}
    start = {f"head_{i + 1}": 1e-3 for i in range(3)}
    levels = ic.saddle_losses(variances[::-1], context=20, noise=0.2)
    escapes = [3 / (l**2 * 1e-3) for l in variances]
    t = [0.0, *(np.sqrt(a * b) for a, b in itertools.pairwise(escapes)), 10 * escapes[-1]]
    run = tm.solve(model, t, params=params, start=start, method="rodas5p", rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(run["loss"], levels, rtol=1e-4)
    assert (np.diff(levels) < 0).all()


@given(x=st.floats(0.02, 0.999), part=st.floats(1e-3, 0.9), l=rates, n=st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_head_time_is_the_integral(x, part, l, n):
    gamma = (1 + 1 / n) * l + l / n
    end = gamma ** (-1 / 3)
    top, start = x * end, part * x * end
    exact = mpmath.quad(lambda y: 1 / (y**2 * (1 - gamma * y**3)), mpmath.linspace(start, top, 6)) * 2 / l**2
    found = ic.head_time(top, start=start, variance=l, spread=gamma, dimension=2)
    assert found == pytest.approx(float(exact), rel=1e-8)


def test_head_time_against_the_solver_and_its_ends():
    params = {"variance_1": 1.5, "noise": 0.0, "context": 10.0}
    gamma = (1 + 1 / 10) * 1.5 + 1.5 / 10
    t = ic.head_time(0.5, start=0.05, variance=1.5, spread=gamma, dimension=1)
    run = tm.solve(tm.models.in_context(features=1, heads="separate"), [0.0, t], params=params, start={"head_1": 0.05})
    assert run["head_1"].values[-1] == pytest.approx(0.5, rel=1e-6)
    common = {"start": 0.1, "variance": 1.0, "spread": 1.0, "dimension": 1}
    assert ic.head_time(1.0, **common) == np.inf
    assert ic.head_time(0.1, **common) == 0.0
    assert np.isnan(ic.head_time(1.1, **common))
    assert ic.head_time(0.05, **common) < 0.0
    grown = ic.head_course([0.0, t], start=0.05, variance=1.5, spread=gamma, dimension=1)
    np.testing.assert_allclose(grown, [0.05, 0.5], rtol=1e-11)
    small = ic.head_time(0.5, start=1e-6, variance=2.0, spread=1.0, dimension=3)
    assert small == pytest.approx(3 / (4 * 1e-6), rel=1e-5)


# ---------------------------------------------------------------- refusals and verdicts


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ic.loss(0.5, dimension=2.5, context=3), "dimension must be whole numbers, from 1 to .*; got 2.5"),
        (lambda: ic.loss(0.5, dimension=2, context=0), "context must lie in"),
        (lambda: ic.loss(0.5, steps=0, dimension=2, context=3), "steps must lie in"),
        (lambda: ic.loss(0.5, dimension=2, context=3, noise=-1), "noise must lie in"),
        (lambda: ic.laplace(-1.0, ratio=1.0), "s must lie in"),
        (lambda: ic.limit_loss(1.0, ratio=0.0), "ratio must lie in"),
        (lambda: ic.white_logistic(1.0, dimension=2, context=3, start=0.0), "start must lie in"),
        (lambda: ic.preconditioner([[1.0, 2.0], [0.0, 1.0]], context=3), "covariance must be symmetric"),
        (lambda: ic.preconditioner([[1.0, 2.0], [2.0, 1.0]], context=3), "covariance must be symmetric and positive"),
        (
            lambda: ic.best_weighted_step([[1.0, 1.0], [0.0, 1.0]], covariance=np.eye(2), context=3),
            "weights must be a symm",
        ),
        (lambda: ic.best_weighted_step(np.zeros((2, 2)), covariance=np.eye(2), context=3), "weights must leave some"),
        (lambda: ic.saddle_losses([1.0, 0.0], context=3), "variances must lie in"),
        (lambda: ic.head_time(0.1, start=-1.0, variance=1.0, spread=1.0, dimension=1), "start must lie in"),
    ],
)
def test_bad_values_are_refused_in_one_line(call, message):
    with pytest.raises(DomainError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ic.preconditioned_loss(np.eye(3), covariance=np.eye(2), context=3),
            "matrix must be a 2 x 2 matrix; got the shape",
        ),
        (lambda: ic.preconditioner([1.0, 2.0], context=3), "covariance must be a square matrix; got the shape"),
        (lambda: ic.saddle_losses(1.0, context=3), "variances must have one axis"),
        (lambda: ic.loss("x", dimension=2, context=3), "step_size must be real numbers"),
    ],
)
def test_wrong_kinds_are_refused_in_one_line(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("stem", STEMS)
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        wanted = tm.Outcome.NUMERICAL if claim.kind == "numerical" else tm.Outcome.PROVED
        assert tm.verify(claim).outcome is wanted, claim.name

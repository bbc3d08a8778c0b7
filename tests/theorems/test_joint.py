"""Mechanisms 1.4 against the model: the joint trajectory itself, and how it amplifies an imbalance."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import derivation, digits
from flint import arb, ctx
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import jacobian, parameters
from scipy.integrate import solve_ivp

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.mechanisms import (
    internal_time,
    joint_content,
    joint_eigenvalues,
    joint_error,
    joint_growth,
    joint_perturbation,
)

NAMES = ("a", "b", "d", "e", "h")
counts = st.integers(2, 5)
logs = st.floats(-3.0, 1.0).map(lambda e: 10.0**e)
rates = st.one_of(st.just(0.0), logs)
times = st.floats(-2.0, 1.5).map(lambda e: 10.0**e)
D4 = derivation("mechanisms_1_4_joint_trajectory")


# ---------------------------------------------------------------- the trajectory


@given(
    k=counts,
    lam=rates,
    mu=rates,
    n=logs,
    f=st.one_of(st.just(1.0), st.floats(-1.0, 1.0)),
    c0=st.floats(-2.0, 2.0),
    t=st.floats(0.0, 50.0),
)
@settings(max_examples=15, deadline=None)
def test_contents_of_the_model(k, lam, mu, n, f, c0, t):
    """By a numerical method: the model's own closed form is not asked."""
    names = NAMES[:k]
    params = {"lam": lam, "mu": mu, "diversity": n} | {f"fidelity_{x}": f for x in names}
    start = {f"c_{x}": c0 for x in names}
    run = tm.solve(
        tm.models.mechanisms(names),
        [0.0, t + 1e-3],
        params=params,
        start=start,
        method="dop853",
        rtol=1e-11,
        atol=1e-13,
    )
    options = {"mechanisms": k, "lam": lam, "fidelity": f, "content": c0}
    for x in names:
        assert run[f"c_{x}"].values[-1] == pytest.approx(joint_content(t + 1e-3, **options), rel=1e-8, abs=1e-9)
    error = 1.0 - f * run["c_a"].values[-1]
    assert error == pytest.approx(joint_error(t + 1e-3, **options), abs=1e-8)


@given(k=counts, lam=rates, f=st.floats(-1.0, 1.0), c0=st.floats(-2.0, 2.0), t=st.floats(1e-3, 1e3))
@settings(max_examples=60, deadline=None)
def test_internal_time_integrates_the_error(k, lam, f, c0, t):
    options = {"mechanisms": k, "lam": lam, "fidelity": f, "content": c0}
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = t * np.concatenate([[0.0], 0.5 ** np.arange(30, -1, -1.0)])
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    quadrature = (half[:, None] * weights * joint_error(middle[:, None] + half[:, None] * nodes, **options)).sum()
    assert internal_time(t, **options) == pytest.approx(quadrature, rel=1e-9, abs=1e-9)


def test_trajectory_limits():
    assert joint_content(0.0, content=0.3) == 0.3
    assert joint_content(1e9, mechanisms=3) == 1.0
    assert joint_error(700.0, mechanisms=2) == pytest.approx(np.exp(-350.0), rel=1e-12)  # no cancellation
    assert joint_content(1e-20, mechanisms=4) == pytest.approx(2.5e-21, rel=1e-14)
    assert internal_time([0.0, 1e9], mechanisms=3) == pytest.approx([0.0, 3.0])


# ---------------------------------------------------------------- amplification


def linearized(k, shape, t, content=None, **given_params):
    """A perturbation of p and c carried by the Jacobian of the model along the joint trajectory."""
    shape = np.array(shape, float)
    values = parameters(k, **given_params)
    lam = given_params.get("lam", 0.0)

    def at(c):
        return jacobian(k, np.concatenate([np.full(k, c), np.zeros(k - 1)]), values)

    # at p = 1/K the Jacobian is quadratic in the common content: three evaluations are all there is to know
    zero, half, one = at(0.0), at(0.5), at(1.0)
    bend = 2.0 * (zero + one - 2.0 * half)
    tilt = one - zero - bend
    np.testing.assert_allclose(zero + 0.3 * (tilt + 0.3 * bend), at(0.3), rtol=1e-12, atol=1e-12 * np.abs(zero).max())

    def matrix(time, _y=None):
        c = (1.0 - np.exp(-(lam + 1.0 / k) * time)) / (k * lam + 1.0)
        return zero + c * (tilt + c * bend)

    odds = k * shape
    start = np.concatenate([np.zeros(k) if content is None else content, (odds - odds[-1])[:-1]])
    run = solve_ivp(
        lambda time, y: matrix(time) @ y, (0.0, t), start, method="LSODA", jac=matrix, rtol=1e-10, atol=1e-100
    )
    assert run.success, run.message
    end = run.y[:, -1]
    full = np.append(end[k:], 0.0)
    return (full - full.mean()) / k, end[:k]


@given(
    k=counts,
    n=st.floats(-1.0, 2.5).map(lambda e: 10.0**e),
    eta=logs,
    lam=rates,
    mu=rates,
    t=times,
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
@example(k=3, n=20.0, eta=0.5, lam=0.1, mu=0.2, t=5.0, seed=0)  # the line lam = eta mu
@example(k=2, n=20.0, eta=1.0, lam=0.1, mu=0.1 * (1 + 1e-9), t=5.0, seed=0)  # beside it
@example(k=2, n=20.0, eta=1.0, lam=1e-12, mu=0.3, t=5.0, seed=0)  # beside the Bessel case
@example(k=2, n=20.0, eta=1.0, lam=0.0, mu=0.5, t=5.0, seed=0)  # integer Bessel order
def test_growth_is_the_linearized_models(k, n, eta, lam, mu, t, seed):
    assume(np.sqrt(n * eta * k) + (eta * mu + lam) * t < 200)
    shape = np.random.default_rng(seed).normal(size=k)
    shape -= shape.mean()
    found, _ = linearized(k, shape, t, diversity=n, gate_rate=eta, lam=lam, mu=mu)
    growth = joint_growth(t, diversity=n, mechanisms=k, gate_rate=eta, lam=lam, mu=mu)
    np.testing.assert_allclose(found, growth * shape, rtol=1e-6, atol=1e-6 * growth * np.abs(shape).max())


@given(
    k=counts,
    n=st.floats(-1.0, 2.0).map(lambda e: 10.0**e),
    eta=logs,
    lam=rates,
    mu=rates,
    t=times,
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None)
@example(k=3, n=20.0, eta=0.5, lam=0.1, mu=0.2, t=5.0, seed=0)
def test_perturbations_of_both_kinds(k, n, eta, lam, mu, t, seed):
    assume(np.sqrt(n * eta * k) + (eta * mu + lam) * t < 200)
    shape, content = np.random.default_rng(seed).normal(size=(2, k))
    shape, content = shape - shape.mean(), content - content.mean()
    p, c = linearized(k, shape, t, content, diversity=n, gate_rate=eta, lam=lam, mu=mu)
    ours = joint_perturbation(
        t, reliance=shape, content=content, diversity=n, mechanisms=k, gate_rate=eta, lam=lam, mu=mu
    )
    np.testing.assert_allclose(p, ours.reliance, atol=1e-6 * np.abs(ours.reliance).max())
    np.testing.assert_allclose(c, ours.content, atol=1e-6 * np.abs(ours.content).max())


@pytest.mark.parametrize(("lam", "mu"), [(0.0, 0.0), (0.0, 0.3), (0.2, 0.2), (0.05, 0.4), (0.3, 0.0)])
def test_the_full_model_from_a_tiny_imbalance(lam, mu):
    model = tm.models.mechanisms(("a", "b", "d"))
    ts = [0.0, 0.5, 2.0, 6.0]
    params = {"diversity": 15.0, "gate_rate": 0.7, "lam": lam, "mu": mu}
    run = tm.solve(
        model,
        ts,
        params=params,
        start={"logit_a": 2e-8, "logit_b": 1e-8},
        rtol=1e-12,
        atol=1e-20,
        method="taylor-lanes",
    )
    growth = joint_growth(ts, mechanisms=3, **params)
    np.testing.assert_allclose(run["logit_a"].values, 2e-8 * growth, rtol=1e-6)
    np.testing.assert_allclose(run["logit_b"].values, 1e-8 * growth, rtol=1e-6)


# ---------------------------------------------------------------- digits


def by_kummer(t, n, k, eta, lam, mu):
    """The growth factor of the derivation, its special functions by mpmath to 40 digits."""
    with mpmath.workdps(60):
        n, k, eta, lam, mu, t = (mpmath.mpf(v) for v in (n, k, eta, lam, mu, t))
        a = lam + 1 / k
        kappa, rest = mpmath.sqrt(eta * n / k), lam / a
        gamma, beta = rest * kappa / a, (1 - rest) * kappa / a
        mean, half = (eta * mu + lam) / (2 * a), (eta * mu - lam) / (2 * a)
        radius, x = mpmath.sqrt(gamma**2 + half**2), mpmath.exp(-a * t)
        alpha, one = radius + gamma, 1 + 2 * radius
        values = {"alpha": mpmath.sqrt(alpha), "delta": half / mpmath.sqrt(alpha)}
        values["W"] = mpmath.exp((mean + radius) * mpmath.log(x) + beta * (1 - x))
        for name, function in (("M", mpmath.hyp1f1), ("U", mpmath.hyperu)):
            for j in (0, 1):
                values[f"{name}_{j}"] = function(alpha + j, one, 2 * beta * x)
                values[f"{name}_{j}_1"] = function(alpha + j, one, 2 * beta)
        symbols = sorted(D4.GROWTH.free_symbols, key=str)
        return sp.lambdify(symbols, D4.GROWTH, "mpmath")(*(values[s.name] for s in symbols))


@given(
    k=counts, n=st.floats(-6, 4).map(lambda e: 10.0**e), eta=logs, lam=st.one_of(logs, st.just(0.0)), mu=rates, t=times
)
@settings(max_examples=60, deadline=None)
@example(k=2, n=1e4, eta=1.0, lam=0.01, mu=0.1, t=30.0)
@example(k=2, n=1e-6, eta=1.0, lam=0.01, mu=10.0, t=30.0)
def test_growth_to_thirty_digits(k, n, eta, lam, mu, t):
    assume(lam != eta * mu)
    exact = by_kummer(t, n, k, eta, lam, mu)
    ours = joint_growth(t, diversity=n, mechanisms=k, gate_rate=eta, lam=lam, mu=mu, log=True)
    assert ours == pytest.approx(float(mpmath.log(exact)), rel=1e-13, abs=1e-13)


def test_kummer_recurrences_used_by_the_derivation():
    """x d/dx of the four functions, as the derivation states it, against derivatives by mpmath."""
    with mpmath.workdps(40):
        alpha, delta, beta, x = (mpmath.mpf(v) for v in (1.3, -0.4, 0.9, 0.6))
        a, b = alpha**2, 1 + alpha**2 + delta**2
        of = {
            D4.M0: lambda y: mpmath.hyp1f1(a, b, 2 * beta * y),
            D4.M1: lambda y: mpmath.hyp1f1(a + 1, b, 2 * beta * y),
            D4.U0: lambda y: mpmath.hyperu(a, b, 2 * beta * y),
            D4.U1: lambda y: mpmath.hyperu(a + 1, b, 2 * beta * y),
        }
        values = {D4.ALPHA: alpha, D4.DELTA: delta, D4.BETA: beta, D4.X: x} | {s: f(x) for s, f in of.items()}
        for symbol, function in of.items():
            stated = sp.lambdify(list(values), D4.KUMMER[symbol], "mpmath")(*values.values())
            assert abs(x * mpmath.diff(function, x) - stated) < 1e-20 * abs(stated)


@given(n=st.floats(-6, 6).map(lambda e: 10.0**e), mu=st.floats(-4, 3).map(lambda e: 10.0**e), t=times, k=counts)
@settings(max_examples=60, deadline=None)
def test_bessel_form_to_thirty_digits(n, mu, t, k):
    with ctx.workprec(256):  # balls: mpmath's functions take seconds where order and argument are large
        x, nu = (-arb(t) / k).exp(), (1 + k * arb(mu)) / 2
        z = (arb(n) * k).sqrt()
        first = (z * x).bessel_i(nu - 1) * z.bessel_k(nu)
        exact = (z * x**nu * (first + (z * x).bessel_k(nu - 1) * z.bessel_i(nu))).log()
    assert exact.rel_accuracy_bits() > 60 or abs(exact) < 1e-13
    ours = joint_growth(t, diversity=n, mechanisms=k, mu=mu, log=True)
    assert ours == pytest.approx(float(exact), rel=1e-12, abs=1e-13)


@given(k=counts, lam=rates, t=st.floats(0.0, 100.0), c0=st.floats(-2.0, 2.0))
@settings(max_examples=40, deadline=None)
def test_trajectory_to_thirty_digits(k, lam, t, c0):
    ours = joint_content(t, mechanisms=k, lam=lam, content=c0)
    a = D4.LAM + D4.F**2 / k + (1 - D4.F**2) / sp.Integer(k) ** 2
    solution = D4.C0 * sp.exp(-a * tm.TIME) + D4.F / (k * a) * (1 - sp.exp(-a * tm.TIME))
    exact = digits(solution, {D4.LAM: lam, D4.F: 1.0, D4.C0: c0, tm.TIME: t})
    assert ours == pytest.approx(exact, rel=1e-13, abs=1e-14 * (1 + abs(c0)))
    s = digits(D4.INTERNAL.subs(D4.X, sp.exp(-D4.A * tm.TIME)), {D4.LAM: lam, D4.K: k, tm.TIME: t})
    assert internal_time(t, mechanisms=k, lam=lam) == pytest.approx(s, rel=1e-13)


# ---------------------------------------------------------------- limits and extremes


@given(n=st.floats(-6, 12).map(lambda e: 10.0**e), lam=rates, mu=rates, k=counts)
@settings(max_examples=40, deadline=None)
def test_late_growth_is_the_eigenvalue_of_the_converged_state(n, lam, mu, k):
    assume(lam >= 1e-3)
    late = 1e6
    first, second = joint_growth([late, 2 * late], diversity=n, mechanisms=k, lam=lam, mu=mu, log=True)
    upper = joint_eigenvalues(n, lam, mu, mechanisms=k).upper
    assert (second - first) / late == pytest.approx(upper, rel=1e-9, abs=1e-9)


@given(
    k=counts,
    kappa=st.floats(2.4, 5.0).map(lambda e: 10.0**e),
    lam=st.floats(0.3, 3.0),
    mu=st.floats(-3.0, 2.0).map(lambda e: 10.0**e),
    t=st.floats(-6.0, 15.0).map(lambda e: 10.0**e),
)
@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@example(k=3, kappa=1e8, lam=1.0, mu=0.5, t=1e-7)
@example(k=3, kappa=1826.0, lam=1.0, mu=1e-3, t=1.0)  # special functions run for hours here
@example(k=3, kappa=420.0, lam=1.0, mu=0.5, t=1e19)
def test_large_diversity_against_its_expansion(k, kappa, lam, mu, t):
    """ln of the growth is kappa s + (ln of the ends), and a remainder of first order in 1/kappa."""
    a, half = lam + 1.0 / k, (mu - lam) / 2.0
    n = k * kappa**2
    g, s = joint_error(t, mechanisms=k, lam=lam), internal_time(t, mechanisms=k, lam=lam)
    ours = joint_growth(t, diversity=n, mechanisms=k, lam=lam, mu=mu, log=True)
    # int D q dt with q = (dp - v)/(dp + v), within |D|/(2 kappa g) once the start (of length 1/kappa) is over
    rest = abs(half) * ((abs(half) + a) * t + 1.0 + np.log(kappa)) / (kappa * min(g, lam / a))
    even = kappa * s + np.log1p(np.exp(-2.0 * kappa * s)) - np.log(2.0)
    assert ours == pytest.approx(even - (mu + lam) / 2.0 * t, rel=1e-12, abs=rest + 1e-10)


def test_extremes_are_finite_logarithms():
    for params in (
        {"diversity": 1e12, "lam": 0.01, "mu": 0.1},
        {"diversity": 1e12, "lam": 1.0, "mu": 1e5},
        {"diversity": 1e-9, "lam": 1e-9, "mu": 0.0},
        {"diversity": 1e8, "lam": 0.0, "mu": 1e4},
        {"diversity": 10.0, "lam": 1e-300, "mu": 1.0},
        {"diversity": 10.0, "lam": 0.1, "mu": 1.0, "mechanisms": 1000000},
    ):
        value = joint_growth([0.0, 1e-12, 1e-3, 1.0, 1e3, 1e10], log=True, **params)
        assert np.all(np.isfinite(value)), params
        assert value[0] == 0.0
    assert joint_growth(5.0, diversity=1e9) == np.inf
    assert joint_growth(5.0, diversity=1e9, log=True) == pytest.approx(np.sqrt(2e9) * -np.expm1(-2.5) - np.log(2.0))


def test_the_cases_meet():
    """The general formula tends to the hyperbolic and to the Bessel form."""
    options = {"diversity": 30.0, "mechanisms": 3}
    ts = np.array([0.1, 1.0, 10.0, 100.0])
    line = joint_growth(ts, lam=0.1, mu=0.1, **options)
    beside = joint_growth(ts, lam=0.1, mu=0.1 * (1 + 1e-10), **options)
    np.testing.assert_allclose(beside, line, rtol=1e-8)
    # the error at rest, K lam, must still be small beside e^(-t/K) = 3e-15
    bessel = joint_growth(ts, mu=0.1, **options)
    np.testing.assert_allclose(joint_growth(ts, lam=1e-26, mu=0.1, **options), bessel, rtol=1e-11)
    np.testing.assert_allclose(joint_growth(ts, mu=1e-12, **options), joint_growth(ts, **options), rtol=1e-10)
    np.testing.assert_allclose(joint_growth(ts, **options), np.cosh(np.sqrt(90.0) * -np.expm1(-ts / 3)), rtol=1e-13)


def test_shapes_and_refusals():
    assert joint_growth(np.ones((3, 1)), diversity=[1.0, 2.0], lam=0.1, mu=0.2).shape == (3, 2)
    assert np.ndim(joint_growth(1.0, diversity=2.0, lam=0.1)) == 0
    pair = joint_perturbation([0.0, 1.0], reliance=[[0.5], [0.0]], content=0.25, diversity=3.0, lam=0.1, mu=0.3)
    assert pair.reliance.shape == (2, 2)
    assert pair.reliance[0, 0] == 0.5
    assert pair.content[0, 0] == 0.25
    for call in (
        lambda: joint_growth(-1.0, diversity=1.0),
        lambda: joint_growth(1.0, diversity=0.0),
        lambda: joint_growth(1.0, diversity=1.0, mechanisms=1),
        lambda: joint_growth(1e25, diversity=1.0),
        lambda: joint_content(1.0, fidelity=2.0),
        lambda: joint_content(np.inf),
    ):
        with pytest.raises(DomainError, match="got"):
            call()
    with pytest.raises(ArgumentError, match="diversity"):
        joint_growth(1.0, diversity="many")


def test_the_machine_proves_it():
    for claim in D4.CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name

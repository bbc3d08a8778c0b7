"""Capability 3.1 to 3.3: theorem functions against the model, high precision, and each other."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import derivation
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.models.capability import capability
from toymesa.theorems.capability import (
    converged,
    course,
    curvature,
    imbalance,
    inner_time,
    largest_step,
    product,
    reached,
    time_to,
)

MODEL = capability()
rates = st.floats(-1.5, 1.5).map(lambda e: 10.0**e)
sizes = st.floats(-12.0, 0.5).map(lambda e: 10.0**e)
signed = st.one_of(st.just(0.0), sizes, sizes.map(lambda v: -v))
imbalances = st.one_of(st.just(0.0), sizes)


def exact_product(t, b, p0, c, omega):
    """p(t) from the Riccati equation as it stands, at 60 digits more than are lost."""
    with mpmath.workdps(400):
        t, b, p0, c, omega = (mpmath.mpf(float(v)) for v in (t, b, p0, c, omega))
        root = mpmath.sqrt(c**2 + 4 * p0**2)
        alpha, gamma, beta = omega * (root - 2 * p0) / 2, omega * (root + 2 * p0) / 2, 2 * omega * b
        rho = mpmath.sqrt(beta**2 + 4 * alpha * gamma)
        if rho == 0:
            q = (1 + alpha * t) / (1 + gamma * t)
        else:
            h = mpmath.tanh(rho * t / 2) / rho
            q = (1 + (beta + 2 * alpha) * h) / (1 + (2 * gamma - beta) * h)
        return float((2 * gamma * q - 2 * alpha / q) / 4 / omega)


# ---------------------------------------------------------------- the product


@given(b=signed, p0=signed, c=imbalances, omega=rates, x=st.floats(0.0, 60.0))
@settings(max_examples=250, deadline=None)
@example(b=1.0, p0=1e-12, c=0.0, omega=1.0, x=30.0)
@example(b=1.0, p0=-1e-12, c=0.0, omega=1.0, x=30.0)
@example(b=0.0, p0=1.0, c=0.0, omega=1.0, x=30.0)
@example(b=-1.0, p0=1.0, c=1e-9, omega=1.0, x=20.0)
def test_product_against_high_precision(b, p0, c, omega, x):
    t = x / (omega * max(np.hypot(c, 2 * b), 1e-3))
    exact = exact_product(t, b, p0, c, omega)
    found = product(t, target=b, start=p0, imbalance=c, rate=omega)
    crossing = min(abs(p0), abs(b)) if b * p0 < 0 else 0.0
    assert found == pytest.approx(exact, rel=1e-13 * (1.0 + x), abs=1e-15 * crossing + 1e-300)


@given(b=signed, p0=signed, c=imbalances, omega=rates, part=st.floats(0.001, 0.999))
@settings(max_examples=200, deadline=None)
def test_time_and_product_are_inverse(b, p0, c, omega, part):
    p = p0 + part * (b - p0)
    assume(p not in (p0, b))
    t = time_to(p, target=b, start=p0, imbalance=c, rate=omega)
    if not np.isfinite(t):  # the saddle is on the way
        assert c == 0.0
        assert p0 * p <= 0.0
        return
    assert t >= 0.0
    reach = product(t, target=b, start=p0, imbalance=c, rate=omega)
    # near the target time says little about p: dt/dp grows like 1/(b - p)
    assert reach == pytest.approx(p, abs=1e-13 * (abs(p0) + abs(b)) * (1.0 + omega * np.hypot(c, 2 * b) * t))


def test_the_plateau():
    b, p0 = 0.8, 1e-10
    assert time_to(b / 2, target=b, start=p0) == pytest.approx(np.log((b - p0) / p0) / (2 * b), rel=1e-12)
    assert time_to(b, target=b, start=p0) == np.inf
    assert np.isnan(time_to(0.9, target=b, start=p0))
    assert time_to(p0, target=b, start=p0) == 0.0
    assert time_to(0.1, target=b, start=-0.1) == np.inf
    assert time_to([0.1, 0.2], target=0.5, start=0.01, imbalance=[[0.0], [0.1]]).shape == (2, 2)


# ---------------------------------------------------------------- against the model


@given(k=signed, w=signed, b=signed, eta_k=rates, eta_w=rates, t=st.floats(0.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_course_is_the_models_closed_form(k, w, b, eta_k, eta_w, t):
    rates_ = {"rate_capability": eta_k, "rate_objective": eta_w}
    run = tm.solve(MODEL, [0.0, t + 1e-6], method="closed", params=rates_ | {"target": b}, start={"kappa": k, "w": w})
    found = course(run["time"].values, kappa=k, w=w, target=b, **rates_)
    scale = abs(k) + abs(w) * np.sqrt(eta_k / eta_w)
    cancelled = 1e-14 * scale * np.exp(min(abs(b) * np.sqrt(eta_k * eta_w) * t, 60.0))
    np.testing.assert_allclose(found.kappa, run["kappa"], rtol=1e-10, atol=cancelled)
    np.testing.assert_allclose(found.w, run["w"], rtol=1e-10, atol=cancelled * np.sqrt(eta_w / eta_k))


@given(k=signed, w=signed, b=st.floats(0.1, 3.0), flip=st.sampled_from([-1.0, 1.0]), eta_k=rates, eta_w=rates)
@settings(max_examples=60, deadline=None)
def test_the_product_of_the_course_is_the_product(k, w, b, flip, eta_k, eta_w):
    rates_ = {"rate_capability": eta_k, "rate_objective": eta_w}
    omega = np.sqrt(eta_k * eta_w)
    c = imbalance(k, w, **rates_)
    t = np.array([0.0, 0.1, 1.0]) / (omega * np.hypot(c, 2 * b))
    both = course(t, kappa=k, w=w, target=flip * b, **rates_)
    alone = product(t, target=flip * b, start=k * w, imbalance=c, rate=omega)
    np.testing.assert_allclose(both.kappa * both.w, alone, rtol=1e-9, atol=1e-12 * (c + abs(k * w)))
    np.testing.assert_allclose(imbalance(*both, **rates_), c, rtol=1e-9, atol=1e-12 * (c + abs(k * w) + b))


@given(k=st.floats(-2.0, 2.0), w=st.floats(-2.0, 2.0), b=st.floats(0.3, 2.0), eta=st.floats(0.3, 3.0))
@settings(max_examples=25, deadline=None)
def test_where_training_ends(k, w, b, eta):
    assume(abs(k + w * np.sqrt(1 / eta)) > 0.05)
    end = converged(kappa=k, w=w, target=b, rate_objective=eta)
    params = {"target": b, "rate_objective": eta}
    run = tm.solve(MODEL, [200.0], params=params, start={"kappa": k, "w": w}, method="dop853", rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose([run["kappa"].item(), run["w"].item()], end, atol=1e-7)
    assert end.kappa * end.w == pytest.approx(b, rel=1e-13)


@given(k=st.floats(0.2, 2.0), b=st.floats(-2.0, 2.0), eta_k=rates, eta_w=rates, side=st.sampled_from([0.999, 1.001]))
@settings(max_examples=40, deadline=None)
def test_curvature_and_the_edge_of_stability(k, b, eta_k, eta_w, side):
    rates_ = {"rate_capability": eta_k, "rate_objective": eta_w}
    omega, w = np.sqrt(eta_k * eta_w), b / k
    c = imbalance(k, w, **rates_)
    values = {"kappa": k, "w": w, "target": b} | rates_
    at = {s: sp.Float(values[s.name]) for s in (*MODEL.states, *MODEL.params) if s.name in values}
    matrix = np.array(MODEL.jacobian().subs(at), dtype=float)
    found = np.linalg.eigvals(matrix)
    top = curvature(b, imbalance=c, rate=omega)
    assert found[np.argmax(abs(found))].real == pytest.approx(-top, rel=1e-9)
    assert abs(found).min() <= 1e-9 * top
    h = side * largest_step(b, imbalance=c, rate=omega)
    assert (np.abs(1 + h * found).max() <= 1 + 1e-9) == (side < 1)


def test_the_saddle():
    at = dict.fromkeys(MODEL.states, 0) | {s: sp.Float(p.default) for s, p in MODEL.params.items()}
    found = sorted(np.linalg.eigvals(np.array(MODEL.jacobian().subs(at), dtype=float)).real)
    np.testing.assert_allclose(found, [-0.8, 0.8])
    stuck = converged(kappa=0.3, w=-0.3, target=0.5)
    assert stuck == (0.0, 0.0)


# ---------------------------------------------------------------- inner time, refusals


@given(tau=st.one_of(st.floats(0.0, 30.0), st.floats(-300.0, -1.0).map(lambda e: 10.0**e)))
def test_inner_time_round_trip(tau):
    kappa = reached(tau)
    assert 0.0 <= kappa <= 1.0
    if kappa < 1.0:
        assert inner_time(kappa) == pytest.approx(tau, rel=1e-15 * (2 + 1 / (1 - kappa)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: product(-1.0, target=1.0, start=0.1), "t must lie in"),
        (lambda: product(1.0, target=1.0, start=0.1, imbalance=-0.1), "imbalance must lie in"),
        (lambda: product(1.0, target=1.0, start=0.1, rate=0.0), "rate must lie in"),
        (lambda: inner_time(1.0), r"kappa must lie in \[0, 1\); got 1"),
        (lambda: reached(-0.1), "inner_time must lie in"),
        (lambda: imbalance(1.0, 1.0, rate_capability=0.0), "rate_capability must lie in"),
        (lambda: largest_step(np.nan), "target must lie in"),
    ],
)
def test_bad_values_are_refused_in_one_line(call, message):
    with pytest.raises(DomainError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_text_is_refused():
    with pytest.raises(ArgumentError, match="target"):
        curvature("b")


@pytest.mark.parametrize("stem", ["capability_3_1_conserved", "capability_3_2_course", "capability_3_3_stability"])
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name

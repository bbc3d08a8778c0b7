"""Mechanisms 1.6 and 1.11 against the model: its rest points, where they begin, and which of two lies deeper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import jacobian, observable, parameters, rates, run

from toymesa.errors import DomainError
from toymesa.theorems.mechanisms import (
    bifurcation_branch,
    branch_shares,
    critical_diversity,
    cusp_onset,
    fold,
    hysteresis_width,
    maxwell_point,
    metastable_onset,
    polarized_state,
    unequal_branch,
)

strengths = st.floats(-4.0, 2.0).map(lambda e: 10.0**e)
counts = st.integers(2, 6)
many = st.integers(3, 6)
parts = st.one_of(st.floats(-1.0, 1.0), st.sampled_from([-1 + 1e-12, 1 - 1e-12, 1e-9, 0.0]))


def at_rest(p, lam):
    """The model's state with these reliances and contents at their optimum, c_r = p_r g/lam."""
    p = np.asarray(p, dtype=float)
    g = 1.0 / (1.0 + (p**2).sum() / lam)
    return np.concatenate([p * g / lam, np.log(p[:-1]) - np.log(p[-1])])


def assert_rests(state, values, scale):
    np.testing.assert_allclose(rates(len(state) // 2 + 1, state, values), 0.0, atol=1e-11 * scale)


def scaled(k, n, lam, mu, p):
    """The size of the terms that cancel at a rest point."""
    return 1.0 + lam + n + mu * (1.0 + np.abs(np.log(p)).max())


# ---------------------------------------------------------------- branches, equal priors


@given(k=counts, lam=strengths, mu=strengths, part=parts, data=st.data())
@settings(max_examples=80)
def test_the_model_rests_on_every_branch(k, lam, mu, part, data):
    m = data.draw(st.integers(1, k - 1))
    x = part / (m if part > 0 else k - m)
    assume(-1.0 < part < 1.0)
    n = float(bifurcation_branch(x, lam, mu, mechanisms=k, favoured=m))
    assert n > 0.0
    high, low = branch_shares(x, mechanisms=k, favoured=m)
    p = np.array([high] * m + [low] * (k - m))
    assert p.sum() == pytest.approx(1.0, rel=1e-14)
    assert high - low == pytest.approx(x, rel=1e-12, abs=1e-15)
    # reliances of almost 0 are differences of numbers near 1: their logarithms lose what those lose
    blur = 1e-15 / min(high, low)
    assert_rests(
        at_rest(p, lam), parameters(k, lam=lam, mu=mu, diversity=n), scaled(k, n, lam, mu, p) * (1 + 1e11 * blur)
    )
    if x == 0.0:
        assert n == pytest.approx(float(critical_diversity(lam, mu, mechanisms=k)), rel=1e-14)


@given(k=counts, lam=strengths, mu=strengths, above=st.floats(-3.0, 3.0).map(lambda e: 10.0**e))
@settings(max_examples=60)
@example(k=2, lam=0.01, mu=0.1, above=1e-9)
@example(k=6, lam=100.0, mu=1e-4, above=1e-8)
@example(k=3, lam=1e-4, mu=1e-4, above=1e6)
def test_the_polarized_state_is_a_stable_rest_point_of_the_model(k, lam, mu, above):
    begins = float(fold(lam, mu, mechanisms=k).diversity)
    n = begins * (1.0 + above)
    state = polarized_state(n, lam, mu, mechanisms=k)
    assert 0.0 < state.x <= 1.0
    odds = float(state.log_odds)
    p = np.exp(np.array([0.0] + [-odds] * (k - 1)))
    p /= p.sum()
    at = np.concatenate([at_rest(np.maximum(p, 1e-300), lam)[:k], [odds], np.zeros(k - 2)])
    values = parameters(k, lam=lam, mu=mu, diversity=n)
    assert_rests(at, values, 1.0 + lam + n + mu * (1.0 + odds))
    spectrum = np.linalg.eigvals(jacobian(k, at, values)).real
    if above > 1e-6:
        assert spectrum.max() < 0.0
    assert np.isnan(polarized_state(begins * (1.0 - 1e-6), lam, mu, mechanisms=k).x)


@given(k=many, lam=strengths, mu=strengths)
@settings(max_examples=40)
def test_at_the_fold_the_model_has_a_zero_eigenvalue(k, lam, mu):
    begins = fold(lam, mu, mechanisms=k)
    high, low = branch_shares(begins.x, mechanisms=k)
    values = parameters(k, lam=lam, mu=mu, diversity=float(begins.diversity))
    state = at_rest([high] + [low] * (k - 1), lam)
    assert_rests(state, values, scaled(k, float(begins.diversity), lam, mu, np.array([low])))
    spectrum = np.linalg.eigvals(jacobian(k, state, values))
    assert np.abs(spectrum).min() < 1e-6 * np.abs(spectrum).max()
    critical = float(critical_diversity(lam, mu, mechanisms=k))
    assert begins.diversity < critical
    assert hysteresis_width(lam, mechanisms=k) == pytest.approx(1.0 - float(begins.diversity) / critical, abs=1e-12)
    # the least of the branch
    x = np.linspace(0.2, 1.0, 41)[:-1] * np.minimum(1.0, 2.0 * begins.x)
    assert np.all(bifurcation_branch(x, lam, mu, mechanisms=k) >= begins.diversity * (1.0 - 1e-14))


@pytest.mark.parametrize("k", [3, 5])
def test_the_model_leaves_a_polarized_start_below_the_fold_and_keeps_it_above(k):
    lam, mu = 0.5, 0.2
    begins = fold(lam, mu, mechanisms=k)
    odds = np.array([np.log1p(k * begins.x / (1.0 - begins.x))] + [0.0] * (k - 1))
    kept = run(odds + np.eye(k)[0], t=1e4, lam=lam, mu=mu, diversity=1.01 * begins.diversity)
    left = run(odds + np.eye(k)[0], t=1e4, lam=lam, mu=mu, diversity=0.99 * begins.diversity)
    assert kept.p[0] - kept.p[1] == pytest.approx(
        float(polarized_state(1.01 * begins.diversity, lam, mu, mechanisms=k).x), rel=1e-8
    )
    assert left.p == pytest.approx(1.0 / k, abs=1e-6)


@given(k=many, lam=strengths, mu=strengths)
@settings(max_examples=30)
def test_at_the_maxwell_point_the_models_free_energies_agree(k, lam, mu):
    point = maxwell_point(lam, mu, mechanisms=k)
    assert fold(lam, mu, mechanisms=k).diversity <= point.diversity <= critical_diversity(lam, mu, mechanisms=k)
    state = polarized_state(point.diversity, lam, mu, mechanisms=k)
    assert state.x == pytest.approx(float(point.x), rel=1e-6)
    high, low = branch_shares(point.x, mechanisms=k)
    polarized, joint = at_rest([high] + [low] * (k - 1), lam), at_rest([1.0 / k] * k, lam)
    for factor in (0.99, 1.0, 1.01):
        values = parameters(k, lam=lam, mu=mu, diversity=factor * float(point.diversity))
        gap = observable(k, "free_energy", joint, values) - observable(k, "free_energy", polarized, values)
        moved = (factor - 1.0) * float(point.diversity) * 0.5 * (_error(joint, k) - _error(polarized, k))
        assert gap == pytest.approx(moved, rel=1e-6, abs=1e-12 * (float(point.diversity) + mu * np.log(k)))


def _error(state, k):
    odds = np.append(state[k:], 0.0)
    p = np.exp(odds - np.logaddexp.reduce(odds))
    return 1.0 - p @ state[:k]


def test_two_mechanisms_have_no_hysteresis():
    critical = float(critical_diversity(0.1, 0.2))
    assert fold(0.1, 0.2) == pytest.approx((critical, 0.0))
    assert maxwell_point(0.1, 0.2) == pytest.approx((critical, 0.0))
    assert hysteresis_width([1e-6, 1e6]).tolist() == [0.0, 0.0]
    widths = hysteresis_width([0.01, 1.0, 100.0], mechanisms=[[3], [20]])
    assert np.all(np.diff(widths, axis=0) > 0)
    potts = maxwell_point(1e9, 1.0, mechanisms=5)
    assert branch_shares(potts.x, mechanisms=5)[0] == pytest.approx(0.8, rel=1e-6)


# ---------------------------------------------------------------- two mechanisms of unequal prior


@given(
    lam=strengths, mu=strengths, bits=st.floats(-8.0, 8.0), x=st.one_of(st.floats(-0.999999, 0.999999), st.just(0.0))
)
@settings(max_examples=80)
@example(lam=0.1, mu=0.1, bits=1e-12, x=1e-9)
def test_the_model_rests_on_the_branches_of_unequal_priors(lam, mu, bits, x):
    n = float(unequal_branch(x, lam, mu, bits=bits))
    if np.isnan(n):
        h = 0.5 * np.log(2.0) * bits
        assert x == 0.0 or (np.arctanh(x) - h) / x < 0.0
        return
    assume(0.0 < n < 1e12)
    p = np.array([1.0 + x, 1.0 - x]) / 2.0
    values = parameters(2, lam=lam, mu=mu, diversity=n, bits=[0.0, bits])
    assert_rests(at_rest(p, lam), values, scaled(2, n, lam, mu, p) + mu * abs(bits))


@given(lam=strengths, mu=strengths, size=st.floats(-6.0, 1.0), sign=st.sampled_from([-1, 1]))
@settings(max_examples=50)
@example(lam=0.1, mu=0.1, size=-12.0, sign=1)
def test_the_less_simple_mechanisms_state_begins_at_a_zero_eigenvalue(lam, mu, size, sign):
    bits = sign * 10.0**size
    begins = metastable_onset(lam, mu, bits=bits)
    assert np.sign(begins.x) == -sign
    assert begins.diversity > critical_diversity(lam, mu) * (1.0 - 1e-14)
    x, n = float(begins.x), float(begins.diversity)
    assume(abs(x) < 1.0 - 1e-9)
    assert unequal_branch(x, lam, mu, bits=bits) == pytest.approx(n, rel=1e-9)
    values = parameters(2, lam=lam, mu=mu, diversity=n, bits=[0.0, bits])
    state = at_rest(np.array([1.0 + x, 1.0 - x]) / 2.0, lam)
    assert_rests(state, values, scaled(2, n, lam, mu, np.array([1.0 - abs(x)])) + mu * abs(bits))
    spectrum = np.linalg.eigvals(jacobian(2, state, values))
    assert np.abs(spectrum).min() < 1e-6 * np.abs(spectrum).max()
    for nearby in (0.9, 1.1):
        beside = unequal_branch(np.tanh(nearby * np.arctanh(x)), lam, mu, bits=bits)
        assert beside >= n * (1.0 - 1e-13)


@given(lam=strengths, mu=strengths, size=st.floats(-12.0, -4.0))
@settings(max_examples=40)
def test_the_cusp_is_the_beginning_of_the_onset(lam, mu, size):
    bits = 10.0**size
    exact, first = metastable_onset(lam, mu, bits=bits).diversity, cusp_onset(lam, mu, bits=bits)
    assert first == pytest.approx(float(exact), rel=20.0 * bits ** (4.0 / 3.0) + 1e-13)
    assert first > critical_diversity(lam, mu) * (1.0 - 1e-14)
    assert cusp_onset(lam, mu, bits=0.0) == pytest.approx(float(critical_diversity(lam, mu)), rel=1e-14)


def test_transition_refusals():
    for call in (
        lambda: bifurcation_branch(1.0, 0.1, 0.1),
        lambda: bifurcation_branch(0.1, 0.0, 0.1),
        lambda: branch_shares(0.1, mechanisms=3, favoured=3),
        lambda: fold(0.1, -0.1),
        lambda: polarized_state(0.0, 0.1, 0.1),
        lambda: unequal_branch(-1.0, 0.1, 0.1, bits=1.0),
        lambda: metastable_onset(0.1, 0.1, bits=np.inf),
    ):
        with pytest.raises(DomainError, match="got"):
            call()

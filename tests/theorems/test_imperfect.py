"""Mechanisms 1.12 against the model: what independent errors leave joint, and the least loss they allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import effective_number, jacobian, observable, parameters, rates, run, state_at

from toymesa.errors import DomainError
from toymesa.theorems.mechanisms import (
    always_stable,
    critical_diversity,
    equilibrium_contents,
    joint_state,
    joint_survivors,
    loss_floor,
    reduced_free_energy,
    stability_decay,
)

strengths = st.floats(-4.0, 2.0).map(lambda e: 10.0**e)
fidelities = st.one_of(st.sampled_from([1.0, -1.0, 0.0, 1e-9, 1 - 1e-12]), st.floats(-1.0, 1.0))


@st.composite
def mixtures(draw):
    """K, reliances (also extreme ones), content rates, fidelities and bits."""
    k = draw(st.integers(2, 5))
    odds = np.array([draw(st.floats(-1.0, 1.0)) for _ in range(k)]) * draw(st.sampled_from([1e-9, 1.0, 30.0]))
    p = np.exp(odds - np.logaddexp.reduce(odds))
    return p, [10.0 ** draw(st.floats(-2, 2)) for _ in range(k)], [draw(fidelities) for _ in range(k)]


@given(mix=mixtures(), lam=strengths, mu=strengths, n=strengths, seed=st.integers(0, 99))
@settings(max_examples=60)
def test_contents_at_rest_and_the_energy_left_are_the_models(mix, lam, mu, n, seed):
    p, rate, f = mix
    k = p.size
    bits = np.random.default_rng(seed).uniform(-3.0, 3.0, k)
    values = parameters(k, lam=lam, mu=mu, diversity=n, rate=rate, fidelity=f, bits=bits)
    c = equilibrium_contents(p, lam=lam, rates=rate, fidelity=f)
    moved = rates(k, state_at(c, p), values)[:k]
    np.testing.assert_allclose(moved, 0.0, atol=1e-13 * np.max(np.array(rate) * (1.0 + np.abs(c)) + lam * np.abs(c)))
    prior = 2.0**-bits / np.sum(2.0**-bits)
    options = {"diversity": n, "lam": lam, "mu": mu, "rates": rate, "fidelity": f, "prior": prior}
    energy = reduced_free_energy(p, **options)
    assert energy == pytest.approx(
        observable(k, "free_energy", state_at(c, p), values), rel=1e-10, abs=1e-12 * (n + mu)
    )
    other = c + np.random.default_rng(seed).normal(size=k)
    assert observable(k, "free_energy", state_at(other, p), values) >= energy - 1e-10 * (n + mu)
    # its slope along the simplex is what moves the model's reliances there
    step = 1e-6
    for i in range(k - 1):
        up, down = (_moved(p, i, side * step) for side in (1.0, -1.0))
        slope = (reduced_free_energy(up, **options) - reduced_free_energy(down, **options)) / (2.0 * step)
        own = (
            observable(k, "free_energy", state_at(c, up), values)
            - observable(k, "free_energy", state_at(c, down), values)
        ) / (2.0 * step)
        assert slope == pytest.approx(own, rel=1e-4, abs=1e-7 * (n + mu))


def _moved(p, i, by):
    odds = np.log(np.maximum(p, 1e-300))
    odds[i] += by
    return np.exp(odds - np.logaddexp.reduce(odds))


# ---------------------------------------------------------------- three answers


@given(
    k=st.integers(2, 6), f=st.floats(0.05, 0.999), side=st.sampled_from([-1, 1]), near=st.sampled_from([1e-6, 0.1, 0.9])
)
@settings(max_examples=40)
def test_where_the_decay_decides_the_models_jacobian_agrees(k, f, side, near):
    """At the stability decay no diversity is too much; above it some diversity is."""
    lam = float(stability_decay(mechanisms=k, fidelity=f)) * (1.0 + side * near)
    assert always_stable(lam, mechanisms=k, fidelity=f) == (side < 0)
    mu = 0.3
    critical = float(critical_diversity(lam, mu, mechanisms=k, fidelity=f))
    assert np.isinf(critical) == (side < 0)
    state = np.concatenate([np.full(k, joint_state(lam, mechanisms=k, fidelity=f).content), np.zeros(k - 1)])
    for n in (1.0, 1e3, 1e6) if side < 0 else (0.99 * critical, 1.01 * critical):
        values = parameters(k, lam=lam, mu=mu, diversity=n, fidelity=f)
        stable = np.linalg.eigvals(jacobian(k, state, values)).real.max() < 0.0
        assert stable == (side < 0 or n < critical)


@given(
    k=st.integers(2, 5),
    f=st.floats(0.05, 0.9999),
    lam=strengths,
    sign=st.sampled_from([-1, 1]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
@example(k=4, f=0.5, lam=0.75 / 6.0 * (1 - 1e-9), sign=1, seed=0)  # beside the boundary of two and three
@example(k=4, f=0.5, lam=0.75 / 6.0 * (1 + 1e-9), sign=1, seed=0)
def test_survivors_are_the_models_global_minimum_at_large_diversity(k, f, lam, sign, seed):
    """mu is of no account beside n: the free energy per task of every split, and of random states, is no lower."""
    m = int(joint_survivors(lam, mechanisms=k, fidelity=sign * f))
    values = parameters(k, lam=lam, mu=0.0, diversity=1.0, fidelity=sign * f)

    def depth(p):
        c = equilibrium_contents(p, lam=lam, fidelity=sign * f)
        return observable(k, "free_energy", state_at(c, np.maximum(p, 1e-300)), values)

    depths = np.array([depth(np.array([1.0 / j] * j + [0.0] * (k - j))) for j in range(1, k + 1)])
    assert depths[m - 1] <= depths.min() + 1e-15
    if m > 1 and depths[m - 2] - depths[m - 1] < 1e-15:  # two that do equally well: the smaller one is named
        assert (1 - f**2) / lam > m * (m - 1) * (1 - 1e-6)
    rng = np.random.default_rng(seed)
    for concentration in (0.1, 1.0, 10.0):
        for p in rng.dirichlet(np.full(k, concentration), size=10):
            assert depth(p) >= depths[m - 1] * (1.0 - 1e-12)


def test_the_three_answers_differ():
    """Linearly stable at every diversity, and yet training that starts from c = 0 ends polarized at a large one."""
    lam, mu, f = 0.01, 0.1, 0.95
    assert always_stable(lam, fidelity=f)
    assert joint_survivors(lam, fidelity=f) == 2
    ends = {
        (odds, n): effective_number(run([odds, 0.0], t=3e4, lam=lam, mu=mu, fidelity=f, diversity=n).p)
        for odds, n in ((0.2, 100.0), (0.2, 300.0), (0.001, 1000.0), (0.001, 1e5))
    }
    joint = {case: number > 1.9 for case, number in ends.items()}
    assert joint == {(0.2, 100.0): True, (0.2, 300.0): False, (0.001, 1000.0): True, (0.001, 1e5): False}


# ---------------------------------------------------------------- the loss floor


@given(mix=mixtures())
@settings(max_examples=60)
def test_the_floor_is_the_least_loss_of_the_model(mix):
    p, _, f = mix
    f = np.array(f)
    k = p.size
    floor = float(loss_floor(f))
    values = parameters(k, fidelity=f, diversity=1.0)
    rng = np.random.default_rng(1)
    for c in rng.normal(size=(10, k)) / p:
        assert observable(k, "loss", state_at(c, p), values) >= floor - 1e-12
    assume(np.all(np.abs(f) < 1.0) and np.any(f != 0.0))
    weight = f / ((1.0 - f) * (1.0 + f))
    best = weight / p / (1.0 + (f * weight).sum())
    reached = observable(k, "loss", state_at(best, p), values)
    assert reached == pytest.approx(floor, rel=1e-9, abs=1e-13)


@given(f=st.lists(st.floats(0.3, 0.9), min_size=2, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=6)
def test_training_without_decay_ends_at_the_floor(f, seed):
    odds = np.random.default_rng(seed).normal(size=len(f))
    ended = run(odds, t=1e7, diversity=1e-3, fidelity=f)
    assert ended.loss == pytest.approx(float(loss_floor(f)), rel=1e-6)


def test_imperfect_limits_and_refusals():
    assert loss_floor([1.0, 0.3]) == 0.0
    assert loss_floor([0.0, 0.0]) == 0.5
    assert always_stable(5.0, fidelity=0.0)
    assert not always_stable(1e-300, fidelity=1.0)
    assert stability_decay(mechanisms=[2, 3], fidelity=0.0).tolist() == [0.75, pytest.approx(1 / 3)]
    assert joint_survivors([1e-300, 1e300], mechanisms=7, fidelity=0.5).tolist() == [7, 1]
    assert joint_survivors(0.1, fidelity=1.0) == 1
    for call in (
        lambda: joint_survivors(0.1, fidelity=0.0),
        lambda: always_stable(0.0),
        lambda: loss_floor(0.5),
        lambda: equilibrium_contents([0.5, 0.6], lam=0.1),
        lambda: reduced_free_energy([0.5, 0.5], diversity=1.0, lam=0.1, mu=0.1, prior=[0.5, 0.4]),
    ):
        with pytest.raises(DomainError, match="got"):
            call()

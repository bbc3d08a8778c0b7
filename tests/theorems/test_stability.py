"""Mechanisms 1.5 (and its imperfect form) against the Jacobian of the model, and against what the model does."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from derived import derivation, digits
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import jacobian, parameters, rates

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.mechanisms import (
    critical_diversity,
    joint_eigenvalues,
    joint_state,
    largest_step,
    momentum_eigenvalues,
    splits,
    stability_decay,
)

logs = st.floats(-3.0, 1.0).map(lambda e: 10.0**e)
wide = st.floats(-8.0, 4.0).map(lambda e: 10.0**e)
counts = st.integers(2, 5)
fidelities = st.one_of(st.just(1.0), st.floats(0.05, 1.0), st.floats(-1.0, -0.05))


def at_rest(k, lam, f):
    state = joint_state(lam, mechanisms=k, fidelity=f)
    return np.concatenate([np.full(k, state.content), np.zeros(k - 1)])


# ---------------------------------------------------------------- on the model


@given(k=counts, lam=wide, mu=wide, n=wide, eta=logs, f=fidelities)
@settings(max_examples=60, deadline=None)
def test_the_joint_state_rests(k, lam, mu, n, eta, f):
    values = parameters(k, lam=lam, mu=mu, diversity=n, gate_rate=eta, fidelity=f)
    moved = rates(k, at_rest(k, lam, f), values)
    scale = 1.0 + lam + eta * (n + mu)
    np.testing.assert_allclose(moved, 0.0, atol=1e-13 * scale)


@given(k=counts, lam=logs, mu=logs, n=st.floats(-2, 4).map(lambda e: 10.0**e), eta=logs, f=fidelities)
@settings(max_examples=80, deadline=None)
def test_eigenvalues_and_multiplicities_are_the_jacobians(k, lam, mu, n, eta, f):
    values = parameters(k, lam=lam, mu=mu, diversity=n, gate_rate=eta, fidelity=f)
    found = np.linalg.eigvals(jacobian(k, at_rest(k, lam, f), values))
    ours = joint_eigenvalues(n, lam, mu, mechanisms=k, gate_rate=eta, fidelity=f)
    expected = np.sort([ours.together, *[ours.upper] * (k - 1), *[ours.lower] * (k - 1)])
    # a k-fold eigenvalue of a matrix known to eps is known to eps^(1/k) only where it is defective; these are not, but
    # the Jacobian in log-odds is far from symmetric: allow for its condition
    tolerance = 1e-9 * np.abs(expected).max()
    np.testing.assert_allclose(np.sort(found.real), expected, atol=tolerance)
    np.testing.assert_allclose(found.imag, 0.0, atol=1e-6 * np.abs(expected).max())


@given(k=counts, lam=logs, mu=logs, eta=logs, f=fidelities, side=st.sampled_from([-1, 1]))
@settings(max_examples=60, deadline=None)
def test_the_threshold_is_where_the_jacobian_changes_stability(k, lam, mu, eta, f, side):
    critical = critical_diversity(lam, mu, mechanisms=k, fidelity=f)
    assume(critical < 1e8)
    values = parameters(k, lam=lam, mu=mu, diversity=critical * (1 + 1e-3 * side), gate_rate=eta, fidelity=f)
    top = np.linalg.eigvals(jacobian(k, at_rest(k, lam, f), values)).real.max()
    assert np.sign(top) == side


@given(k=counts, mu=logs, eta=logs, f=st.floats(0.05, 0.99), below=st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_small_decay_and_imperfect_mechanisms_are_stable_at_every_diversity(k, mu, eta, f, below):
    lam = below * stability_decay(mechanisms=k, fidelity=f)
    assert critical_diversity(lam, mu, mechanisms=k, fidelity=f) == np.inf
    for n in (1e-2, 1.0, 1e2, 1e5):
        values = parameters(k, lam=lam, mu=mu, diversity=n, gate_rate=eta, fidelity=f)
        assert np.linalg.eigvals(jacobian(k, at_rest(k, lam, f), values)).real.max() < 0.0


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_kernel_at_the_threshold(k):
    n = critical_diversity(0.05, 0.2, mechanisms=k)
    values = parameters(k, lam=0.05, mu=0.2, diversity=n)
    sizes = np.linalg.svd(jacobian(k, at_rest(k, 0.05, 1.0), values), compute_uv=False)
    assert (sizes < 1e-12).sum() == k - 1


@pytest.mark.parametrize(("k", "fidelity"), [(2, 1.0), (3, 1.0), (3, 0.97)])
@pytest.mark.parametrize("side", [0.7, 1.4])
def test_a_small_imbalance_dies_or_grows_at_the_eigenvalue(k, fidelity, side):
    """The model itself, run from beside its joint state."""
    names = ("a", "b", "d")[:k]
    lam, mu = 0.3, 0.4
    n = side * critical_diversity(lam, mu, mechanisms=k, fidelity=fidelity)
    upper = joint_eigenvalues(n, lam, mu, mechanisms=k, fidelity=fidelity).upper
    rest = joint_state(lam, mechanisms=k, fidelity=fidelity)
    params = {"diversity": n, "lam": lam, "mu": mu} | {f"fidelity_{x}": fidelity for x in names}
    start = {f"c_{x}": float(rest.content) for x in names} | dict.fromkeys([f"logit_{x}" for x in names[:-1]], 0.0)
    start |= {"logit_a": 1e-7}
    times = [0.0, 30.0, 45.0]
    run = tm.solve(tm.models.mechanisms(names), times, params=params, start=start, rtol=1e-12, atol=1e-18)
    odds = run["logit_a"].values
    assert np.log(odds[2] / odds[1]) / 15.0 == pytest.approx(upper, rel=2e-3)


# ---------------------------------------------------------------- other optimizers


@given(e=st.floats(-50.0, 50.0), friction=st.floats(1e-3, 1e3))
@example(e=-1.0, friction=2.0)
@example(e=2.2e-311, friction=38.0)
def test_momentum_solves_its_quadratic_and_keeps_the_sign(e, friction):
    roots = momentum_eigenvalues(e, friction)
    # below the normal numbers roots are spaced by 5e-324, and the quadratic magnifies that by its slope
    spacing = np.finfo(float).smallest_subnormal
    for root in roots:
        size = abs(root) ** 2 + friction * abs(root) + abs(e)
        assert abs(root**2 + friction * root - e) <= 1e-12 * size + spacing * (1.0 + friction)
    assert roots[0].real >= roots[1].real
    assert np.sign(roots[0].real) == np.sign(e)


@pytest.mark.parametrize("friction", [0.05, 1.0, 20.0])
def test_momentum_leaves_the_threshold_where_it_is(friction):
    gamma = sp.Symbol("friction", positive=True)
    heavy = tm.with_optimizer(tm.models.mechanisms(("a", "b")), tm.HeavyBall(gamma), params={gamma: friction})
    matrix = sp.lambdify([*heavy.states, *heavy.params], heavy.jacobian().rewrite(sp.log), "numpy")
    lam, mu = 0.2, 0.3
    for side in (-1, 1):
        n = critical_diversity(lam, mu) * (1 + 1e-3 * side)
        values = heavy.defaults() | {"diversity": n, "lam": lam, "mu": mu}
        state = np.concatenate([at_rest(2, lam, 1.0), np.zeros(3)])
        found = np.linalg.eigvals(np.array(matrix(*state, *values.values()), dtype=float))
        assert np.sign(found.real.max()) == side
        flow = joint_eigenvalues(n, lam, mu)
        expected = np.concatenate([momentum_eigenvalues(e, friction) for e in flow])
        for value in expected:
            assert np.abs(found - value).min() < 1e-9 * np.abs(expected).max()


@given(k=counts, lam=logs, mu=logs, eta=logs, part=st.floats(0.05, 0.95), f=fidelities)
@settings(max_examples=40, deadline=None)
def test_descent_by_steps_is_stable_up_to_the_largest_step(k, lam, mu, eta, part, f):
    critical = critical_diversity(lam, mu, mechanisms=k, fidelity=f)
    n = part * min(critical, 1e4)
    values = parameters(k, lam=lam, mu=mu, diversity=n, gate_rate=eta, fidelity=f)
    matrix = jacobian(k, at_rest(k, lam, f), values)
    h = largest_step(n, lam, mu, mechanisms=k, gate_rate=eta, fidelity=f)
    for factor, stable in ((0.999, True), (1.001, False)):
        multipliers = np.linalg.eigvals(np.eye(len(matrix)) + factor * h * matrix)
        assert (np.abs(multipliers).max() < 1.0) == stable


# ---------------------------------------------------------------- digits, limits, refusals


@given(k=counts, lam=wide, mu=wide, n=wide, eta=wide, f=fidelities)
@settings(max_examples=60, deadline=None)
def test_against_the_derivation_to_thirty_digits(k, lam, mu, n, eta, f):
    d = derivation("mechanisms_1_5_critical_diversity")
    at = {d.K: k, d.F: f, d.LAM: lam, d.MU: mu, d.N: n, d.ETA_P: eta}
    ours = critical_diversity(lam, mu, mechanisms=k, fidelity=f)
    exact = digits(d.critical(d.K, d.F), at)
    if ours < np.inf:
        margin = abs(lam - 3 * (1 - f**2) / k**2) / (lam + 3 * (1 - f**2) / k**2)
        assert ours == pytest.approx(exact, rel=1e-14 / min(1.0, margin))
    else:
        assert exact < 0 or exact > 1e300
    block = d.block(d.K, d.F)
    upper = block.trace() / 2 + sp.sqrt(block.trace() ** 2 / 4 - d.determinant(block))
    found = joint_eigenvalues(n, lam, mu, mechanisms=k, gate_rate=eta, fidelity=f)
    exact_upper = digits(upper, at)
    if not np.isfinite(ours) or n < 0.5 * ours or n > 2.0 * ours:
        assert found.upper == pytest.approx(exact_upper, rel=1e-11)
    else:
        assert found.upper == pytest.approx(exact_upper, abs=1e-14 * abs(found.lower))
    assert found.lower == pytest.approx(digits(block.trace() - upper, at), rel=1e-13)


def test_degenerate_limits():
    assert critical_diversity(0.0, 0.5) == np.inf  # neutral
    assert critical_diversity(0.1, 0.0) == 0.0
    assert critical_diversity(0.0, 0.0) == np.inf
    assert critical_diversity(0.1, 0.5, fidelity=0.0) == np.inf
    rest = joint_state(0.0, mechanisms=3)
    assert (rest.content, rest.error, rest.pull) == (1.0, 0.0, np.inf)
    assert joint_eigenvalues(10.0, 0.0, 0.0) == (0.0, 0.0, -0.5)
    assert joint_eigenvalues(10.0, 0.0, 0.4) == pytest.approx((0.0, -0.4, -0.5))
    table = critical_diversity(np.logspace(-3, 0, 4)[:, None], [0.1, 0.2], mechanisms=4)
    assert table.shape == (4, 2)
    np.testing.assert_allclose(table[:, 1], 2 * table[:, 0])


def test_every_split_is_a_branch_line():
    for k in range(2, 12):
        assert splits(k).sum() == 2 ** (k - 1) - 1
    assert list(splits(4)) == [4, 3]


def test_bad_values_are_refused_in_one_line():
    for call in (
        lambda: critical_diversity(-0.1, 0.1),
        lambda: critical_diversity(0.1, 0.1, fidelity=1.1),
        lambda: critical_diversity(0.1, 0.1, mechanisms=1),
        lambda: critical_diversity(0.1, 0.1, mechanisms=2.5),
        lambda: joint_eigenvalues(0.0, 0.1, 0.1),
        lambda: momentum_eigenvalues(1.0, 0.0),
        lambda: splits(61),
    ):
        with pytest.raises(DomainError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert "got" in str(caught.value)
    with pytest.raises(ArgumentError, match="mechanisms"):
        splits([2, 3])
    with pytest.raises(ArgumentError, match="lam"):
        critical_diversity("a", 0.1)


@pytest.mark.parametrize("stem", ["mechanisms_1_5_critical_diversity"])
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name

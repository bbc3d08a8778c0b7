"""Linear joint flow: closed forms, stability, Hopf point and map against the models and the solver."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from derived import derivation
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.theorems import linear_joint as theorems

JOINT, EQUILIBRIUM, UNROLLED = (tm.models.linear_joint(c) for c in ("joint", "equilibrium", "unrolled"))
numbers = st.floats(-3.0, 3.0).map(lambda v: round(v, 3)) | st.sampled_from([0.0, 1.0, -1.0])
ratios = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
signed = st.builds(lambda s, m: s * m, st.sampled_from([-1.0, 1.0]), st.floats(-6.0, 3.0).map(lambda e: 10.0**e))


def matrix(a, b, D, C, eps):
    return -np.array([[a, b], [C / eps, D / eps]])


@given(a=numbers, b=numbers, D=numbers, C=numbers, eps=ratios)
@example(a=1.0, b=1.0, D=1.0, C=0.0, eps=1.0)  # defective
@example(a=1.0, b=1.0, D=1.0, C=1.0, eps=1.0)  # an eigenvalue is zero
@example(a=-1.0, b=1.0, D=1.0, C=-2.0, eps=1.0)  # the Hopf point
@settings(max_examples=150, deadline=None)
def test_both_conditions_are_the_eigenvalues(a, b, D, C, eps):
    found = theorems.joint_stability(a, b, D, C, eps=eps)
    z = np.linalg.eigvals(matrix(a, b, D, C, eps))
    size = np.abs(matrix(a, b, D, C, eps)).max()
    loose = 1e-7 * (size + 1e-300)
    assert abs(found.decay + z.real.max()) <= loose
    assert abs(found.frequency - np.abs(z.imag).max()) <= loose
    if abs(z.real.max()) > loose:
        assert (found.trace > 0 and found.determinant > 0) == (z.real.max() < 0)
        assert (str(found.kind)[:6] == "stable") == (z.real.max() < 0)
    if found.determinant < 0:
        assert found.kind == "saddle"


@given(a=signed, b=signed, D=signed, C=signed, side=st.sampled_from([-1, 1]))
@settings(max_examples=100, deadline=None)
def test_hopf_point_and_its_side(a, b, D, C, side):
    found = theorems.hopf(a, b, D, C)
    if not (b * C < a * D < 0):
        assert found.side == 0
        assert np.isnan(found.eps)
        assert np.isnan(found.frequency)
        return
    at = theorems.joint_stability(a, b, D, C, eps=found.eps)
    assert abs(at.trace) <= 1e-15 * abs(a) * 2
    if found.frequency > 1e-7 * abs(a):
        assert at.frequency == pytest.approx(found.frequency, rel=1e-6)
    near = theorems.joint_stability(a, b, D, C, eps=found.eps * (1 + 1e-6 * side))
    assert (near.decay > 0) == (side == found.side)


@given(a=numbers, b=numbers, D=numbers, C=numbers, eps=ratios, side=st.sampled_from([-1, 1]))
@example(a=1.0, b=1.0, D=1.0, C=0.0, eps=1.0, side=1)
@settings(max_examples=150, deadline=None)
def test_steps_and_momentum_of_both_optimizers(a, b, D, C, eps, side):
    jacobian = matrix(a, b, D, C, eps)
    step = theorems.largest_step(a, b, D, C, eps=eps)
    friction = theorems.least_friction(a, b, D, C, eps=eps)
    found = theorems.joint_stability(a, b, D, C, eps=eps)
    if found.trace <= 0 or found.determinant <= 0:
        assert (step, friction) == (0.0, np.inf)
        return
    assume(found.determinant > 1e-9 and found.trace > 1e-9)
    multipliers = np.linalg.eigvals(np.eye(2) + step * (1 + 1e-4 * side) * jacobian)
    assert (np.abs(multipliers).max() > 1) == (side > 0)
    if friction == 0.0:
        return
    gamma = friction * (1 + 1e-4 * side)
    heavy = np.block([[np.zeros((2, 2)), np.eye(2)], [jacobian, -gamma * np.eye(2)]])
    top = np.linalg.eigvals(heavy).real.max()
    if abs(top) > 1e-10 * np.abs(heavy).max():
        assert (top < 0) == (side > 0)


@given(a=numbers, b=numbers, D=numbers, C=numbers, eps=st.floats(0.1, 10.0), t=st.floats(0.0, 4.0))
@example(a=1.0, b=1.0, D=1.0, C=0.0, eps=1.0, t=3.0)
@example(a=1.0, b=1.0, D=1.0, C=1.0, eps=1.0, t=3.0)
@example(a=0.0, b=1.0, D=0.0, C=-1.0, eps=1.0, t=3.0)
@settings(max_examples=40, deadline=None)
def test_the_course_is_the_solvers(a, b, D, C, eps, t):
    params = {"a": a, "b": b, "D": D, "C": C, "eps": eps}
    start = {"theta": 1.0, "phi": -0.5}
    run = tm.solve(JOINT, [0.0, t + 0.1], params=params, start=start, method="dop853", rtol=1e-11, atol=1e-13)
    exact = tm.solve(JOINT, [0.0, t + 0.1], params=params, start=start, method="closed")
    values = theorems.joint_course(t + 0.1, 1.0, -0.5, **params)
    block = theorems.block_course(t + 0.1, [1.0, -0.5], theorems.block_jacobian([[a]], [[b]], [[D]], [[C]], eps=eps))
    scale = max(abs(run["theta"].values).max(), abs(run["phi"].values).max())
    for i, name in enumerate(("theta", "phi")):
        assert abs(values[i] - run[name].values[1]) <= 1e-8 * scale
        assert abs(values[i] - exact[name].values[1]) <= 1e-13 * scale
        assert abs(values[i] - block[i]) <= 1e-12 * scale * (1 + np.abs(matrix(a, b, D, C, eps)).max() * t)


@given(a=numbers, b=numbers, e=numbers, D=st.floats(0.05, 3.0), C=numbers, tau=st.floats(0.0, 5.0))
@settings(max_examples=30, deadline=None)
def test_seeing_through_is_the_models_rate(a, b, e, D, C, tau):
    params = {"a": a, "b": b, "e": e, "D": D, "C": C}
    k = theorems.effective_curvature(a, b, e, D, C)
    assume(abs(k) < 300)
    run = tm.solve(EQUILIBRIUM, [0.0, 1.0], params=params, method="closed")
    assert run["theta"].values[1] == pytest.approx(np.exp(-k), rel=1e-11)
    k = theorems.effective_curvature(a, b, e, D, C, inner_time=tau)
    run = tm.solve(UNROLLED, [0.0, 1.0], params=params | {"tau": tau}, method="closed")
    assert run["theta"].values[1] == pytest.approx(np.exp(-k), rel=1e-11)
    assert theorems.seeing_through(b, e, D, C) == pytest.approx(
        theorems.effective_curvature(a, b, e, D, C) - (a - b * C / D), abs=1e-10 * (1 + k**2)
    )


@pytest.mark.parametrize("D", [-1.0, -1e-9, 0.0, 1e-9, 1e-100, 2.0])
def test_an_unrolled_run_needs_no_minimum(D):
    params = {"D": D, "tau": 0.7, "a": 0.5, "b": 0.3, "e": -0.4, "C": 1.5}
    run = tm.solve(UNROLLED, [0.0, 2.0], params=params, method="closed")
    k = theorems.effective_curvature(0.5, 0.3, -0.4, D, 1.5, inner_time=0.7)
    kappa = 0.7 * (1 - D * 0.7 / 2) if abs(D) < 1e-6 else (1 - np.exp(-D * 0.7)) / D
    assert k == pytest.approx(0.5 - 2 * 0.3 * 1.5 * kappa - 0.4 * (1.5 * kappa) ** 2, rel=1e-13)
    assert run["theta"].values[1] == pytest.approx(np.exp(-2 * k), rel=1e-13)


@given(a=numbers, b=numbers, e=numbers, D=numbers, C=numbers, eps=ratios)
@settings(max_examples=100, deadline=None)
def test_the_map_says_what_both_models_do(a, b, e, D, C, eps):
    label = theorems.coupling_map(a, b, e, D, C, eps=eps)
    assert int(label) in theorems.MAP_LABELS
    if D <= 0:
        assert label == -1
        return
    joint = np.linalg.eigvals(matrix(a, b, D, C, eps)).real.max()
    seen = -(a - 2 * b * C / D + e * C**2 / D**2)
    assume(abs(joint) > 1e-9 and abs(seen) > 1e-9)
    assert label == 2 * (joint < 0) + (seen < 0)


def test_the_witnesses_of_the_derivation_are_on_the_map():
    d = derivation("linear_joint_10_2_seeing_through")
    assert theorems.coupling_map(*d.WITNESSES["stabilizes"]) == 1
    assert theorems.coupling_map(*d.WITNESSES["destabilizes"]) == 2
    grid = theorems.coupling_map(np.linspace(-3, 3, 61)[:, None], 1.0, 1.0, 1.0, np.linspace(-3, 3, 61))
    assert set(np.unique(grid)) == {0, 1, 2, 3}


# ---------------------------------------------------------------- blocks


@given(seed=st.integers(0, 10_000), m=st.integers(1, 3), k=st.integers(1, 3), eps=ratios)
@settings(max_examples=40, deadline=None)
def test_blocks_are_the_derivatives_of_the_objectives(seed, m, k, eps):
    rng = np.random.default_rng(seed)
    a, e, root = rng.normal(size=(m, m)), rng.normal(size=(k, k)), rng.normal(size=(k, k))
    a, e, D = a + a.T, e + e.T, root @ root.T + 0.3 * np.eye(k)
    b, C = rng.normal(size=(m, k)), rng.normal(size=(k, m))
    jacobian = theorems.block_jacobian(a, b, D, C, eps=eps)
    np.testing.assert_allclose(jacobian, np.block([[-a, -b], [-C / eps, -D / eps]]))
    assert theorems.block_decay(jacobian) == pytest.approx(-np.linalg.eigvals(jacobian).real.max())

    def loss(theta):
        phi = -np.linalg.solve(D, C @ theta)
        return theta @ a @ theta / 2 + theta @ b @ phi + phi @ e @ phi / 2

    curvature = theorems.block_curvature(a, b, e, D, C)
    theta = rng.normal(size=m)
    assert theta @ curvature @ theta / 2 == pytest.approx(loss(theta), rel=1e-9, abs=1e-9)
    late = theorems.block_curvature(a, b, e, D, C, inner_time=200 / np.linalg.eigvalsh(D).min())
    np.testing.assert_allclose(late, curvature, rtol=1e-7, atol=1e-8 * np.abs(curvature).max())
    np.testing.assert_allclose(theorems.block_curvature(a, b, e, D, C, inner_time=0.0), a, atol=1e-14)


@pytest.mark.parametrize("coupling", ["joint", "equilibrium"])
def test_block_models_solve_as_the_matrices_say(coupling):
    model = tm.models.linear_joint(coupling, outer=2, inner=1)
    p = model.defaults() | {"a_1_2": 0.3, "b_2_1": -0.4, "C_1_2": 0.7, "e": 0.2, "a_2_2": 0.8}
    start = {"theta_1": 1.0, "theta_2": -0.5} | ({"phi": 0.2} if coupling == "joint" else {})
    run = tm.solve(model, [0.0, 1.5], params=p, start=start, method="closed")
    a = [[p["a_1_1"], p["a_1_2"]], [p["a_1_2"], p["a_2_2"]]]
    b, D, C, e = [[p["b_1_1"]], [p["b_2_1"]]], [[p["D"]]], [[p["C_1_1"], p["C_1_2"]]], [[p["e"]]]
    if coupling == "joint":
        exact = theorems.block_course(1.5, list(start.values()), theorems.block_jacobian(a, b, D, C, eps=p["eps"]))
    else:
        exact = theorems.block_course(1.5, list(start.values()), -theorems.block_curvature(a, b, e, D, C))
    for name, value in zip(start, exact, strict=True):
        assert run[name].values[1] == pytest.approx(value, rel=1e-12)


# ---------------------------------------------------------------- many


@pytest.mark.parametrize("rho", [-1.0, -0.5, 0.0, 0.7, 1.0])
def test_random_couplings_have_their_moments(rho):
    x = theorems.random_couplings(300, correlation=rho, rng=5)
    upper = np.triu_indices(300, 1)
    pair = np.corrcoef(x[upper], x.T[upper])[0, 1]
    assert pair == pytest.approx(rho, abs=0.02)
    assert x.std() == pytest.approx(1.0, abs=0.02)
    thin = theorems.random_couplings(300, correlation=rho, connectance=0.2, rng=5)
    assert (thin != 0).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(thin != 0, (thin != 0).T)


def test_the_bound_sharpens_with_size():
    """The share of stable matrices falls from 1 to 0 around May's bound, faster for more couplings."""
    width = {}
    for size in (10, 90):
        edges = theorems.rightmost(size, samples=40, rng=0) / theorems.limit_edge(size)
        width[size] = np.quantile(edges, 0.9) - np.quantile(edges, 0.1)
    assert width[90] < 0.5 * width[10]
    critical = theorems.critical_spread(90)
    share = theorems.stable_share(critical * np.array([0.75, 1.3]), 90, samples=10, rng=1)
    np.testing.assert_array_equal(share, [1.0, 0.0])


def test_limits_and_refusals():
    assert theorems.critical_spread(100, correlation=-1.0) == np.inf
    assert theorems.critical_spread(100) == pytest.approx(0.1)
    assert theorems.limit_edge(100, correlation=0.5, connectance=0.25) == pytest.approx(7.5)
    assert np.isnan(theorems.effective_curvature(1.0, 1.0, 1.0, 0.0, 1.0))
    assert theorems.joint_stability(0.0, 0.0, 1.0, 0.0).kind == "drift"
    assert theorems.joint_stability(-1.0, 1.0, 1.0, -2.0).kind == "centre"
    for call, error, words in (
        (lambda: theorems.joint_stability(1, 1, 1, 1, eps=0), tm.DomainError, "eps must lie in"),
        (lambda: theorems.seeing_through(1, 1, 0, 1), tm.DomainError, "D must lie in"),
        (
            lambda: theorems.block_jacobian([[1]], [[1, 2]], [[1]], [[1], [1]]),
            tm.DomainError,
            r"D must have the shape \(2, 2\)",
        ),
        (
            lambda: theorems.block_curvature([[1.0]], [[1.0]], [[1.0]], [[-1.0]], [[1.0]]),
            tm.DomainError,
            "D must be positive definite",
        ),
        (
            lambda: theorems.block_jacobian([[1, 2], [0, 1]], [[1], [1]], [[1]], [[1, 1]]),
            tm.DomainError,
            "a must be symmetric",
        ),
        (lambda: theorems.random_couplings(0), tm.DomainError, "size must lie in"),
        (lambda: theorems.rightmost(5, correlation=1.5), tm.DomainError, "correlation must lie in"),
        (lambda: theorems.rightmost(5, rng="x"), tm.ArgumentError, "rng must be"),
        (lambda: tm.models.linear_joint("both"), tm.ArgumentError, "coupling must be one of joint"),
        (lambda: tm.models.linear_joint(outer=0), tm.ArgumentError, "outer must be a whole number"),
    ):
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_course_in_extreme_ratios():
    """An inner optimizer 1e8 times faster: theta slides along its optimum, at the slow eigenvalue."""
    theta, phi = theorems.joint_course([0.0, 1.0, 5.0], 1.0, 0.0, a=1.0, b=0.5, D=1.0, C=-1.0, eps=1e-8)
    assert theta[2] / theta[1] == pytest.approx(np.exp(-4 * 1.5), rel=1e-6)
    assert phi[1] == pytest.approx(theta[1], rel=1e-6)
    half, det = -(sp.Integer(1) + 10**8) / 2, sp.Rational(3, 2) * 10**8
    slow = half + sp.sqrt(half**2 - det)
    assert np.log(theta[2] / theta[1]) == pytest.approx(float(4 * sp.N(slow, 40)), rel=1e-14)

"""Growth along trajectories: exact joint trajectory, linear flows, long runs, published spectra."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import toymesa as tm
from toymesa.analyse.variational import graded_svd, variational
from toymesa.theorems.mechanisms import joint_growth, joint_perturbation

x, y, z = sp.symbols("x y z", real=True)
ENTRIES = sp.symbols("a b c d", real=True)
LINEAR = tm.Model(
    name="linear",
    flow={x: ENTRIES[0] * x + ENTRIES[1] * y, y: ENTRIES[2] * x + ENTRIES[3] * y},
    params=dict.fromkeys(ENTRIES, 0.0),
    start={x: 1},
)
LORENZ = tm.Model(
    name="lorenz",
    flow={x: 10 * (y - x), y: x * (28 - z) - y, z: x * y - sp.Rational(8, 3) * z},
    start={x: 1, y: 1, z: 20},
)
HENON = tm.Model(
    name="henon",
    flow={x: 1 - sp.Rational(7, 5) * x**2 + y, y: sp.Rational(3, 10) * x},
    discrete=True,
    start={x: 0.1, y: 0.1},
)
JOINT = tm.models.mechanisms(("a", "b"))
TIMES = np.linspace(0.0, 12.0, 13)
BALANCED = {"p_a": 1e-4, "p_b": -1e-4}


@pytest.mark.parametrize("pressure", [(0.0, 0.0), (0.0, 0.1), (0.02, 0.02), (0.05, 0.01)])
def test_the_joint_trajectory_loses_its_balance_as_the_theorem_says(pressure):
    # cosh, Bessel functions, cosh times a decay, confluent hypergeometric functions
    lam, mu = pressure
    found = tm.growth(JOINT, TIMES, params={"diversity": 40.0, "lam": lam, "mu": mu}, perturbation=BALANCED)
    exact = joint_growth(TIMES, diversity=40.0, lam=lam, mu=mu)
    assert np.abs(found["delta_p_a"].values / 1e-4 / exact - 1).max() < 1e-8
    assert np.abs(found["delta_p_b"].values + found["delta_p_a"].values).max() < 1e-12
    assert np.abs(found["trace_gap"].values).max() < 1e-8


def test_contents_perturb_reliances_as_the_theorem_says():
    found = tm.growth(
        JOINT, TIMES, params={"diversity": 9.0, "lam": 0.0, "mu": 0.0}, perturbation={"c_a": 1e-3, "c_b": -1e-3}
    )
    exact = joint_perturbation(TIMES, content=1e-3, diversity=9.0)
    assert np.abs(found["delta_p_a"].values - exact.reliance).max() < 1e-8 * np.abs(exact.reliance).max()
    assert np.abs(found["delta_c_a"].values - exact.content).max() < 1e-8 * np.abs(exact.content).max()


def test_time_to_decide():
    params = {"diversity": 40.0, "lam": 0.0, "mu": 0.0}
    found = tm.growth(JOINT, TIMES, params=params, perturbation=BALANCED, threshold={"p_a": 0.005})
    # cosh(sqrt(nK) (1 - e^(-t/K))) = 50
    exact = -2 * np.log(1 - np.arccosh(50.0) / np.sqrt(80.0))
    assert float(found["t_decide"]) == pytest.approx(exact, rel=1e-9)
    never = tm.growth(JOINT, TIMES, params=params, perturbation=BALANCED, threshold={"p_a": 1.0})
    assert np.isnan(float(never["t_decide"]))
    leading = tm.growth(LINEAR, [0.0, 10.0], params={"a": 0.5, "d": -1.0}, threshold=7.0)
    assert float(leading["t_decide"]) == pytest.approx(2 * np.log(7.0), rel=1e-9)
    steps = tm.growth(HENON, 30, threshold=100.0)
    log = steps["log_growth"].values[:, 0]
    assert float(steps["t_decide"]) == np.argmax(log >= np.log(100.0))


@settings(max_examples=25)
@given(st.tuples(*[st.floats(-3.0, 3.0)] * 4), st.floats(0.1, 4.0))
@example((-1.0, 5.0, 0.0, 2.0), 4.0)
@example((0.0, 1.0, 0.0, 0.0), 3.0)
@example((0.0, 3.0, -3.0, 0.0), 2.0)
@example((1.0, 0.0, 0.0, 1.0), 2.0)
def test_linear_flows_have_the_singular_values_of_their_exponential(entries, time):
    params = dict(zip("abcd", entries, strict=True))
    found = tm.growth(LINEAR, [time], params=params, perturbation={"x": 1.0})
    matrix = expm(np.array(entries).reshape(2, 2) * time)
    _, size, after = np.linalg.svd(matrix)
    assert found["log_growth"].values[0] == pytest.approx(np.log(size), abs=1e-7)
    assert found["exponent"].values[0] == pytest.approx(np.log(size) / time, abs=1e-6)
    assert abs(float(found["trace_gap"][0])) < 1e-8 * (1 + time)
    assert [float(found["delta_x"][0]), float(found["delta_y"][0])] == pytest.approx(matrix[:, 0], rel=1e-7, abs=1e-9)
    if size[0] > 1.01 * size[1]:
        first = found["leading_start"].values[0]
        assert abs(first @ after[0]) == pytest.approx(1.0, abs=1e-7)
        grown = matrix @ first
        assert found["leading"].values[0] == pytest.approx(grown / np.linalg.norm(grown), abs=1e-6)


def test_far_beyond_floating_point():
    # e^4000 and e^-3000, from a frame of no special position
    found = tm.growth(LINEAR, [0.0, 1000.0, 2000.0], params={"a": -1.5, "b": 5.0, "d": 2.0}, perturbation={"y": 1.0})
    # singular values of [[e^(-3t/2), (10/7)(e^(2t) - e^(-3t/2))], [0, e^(2t)]] for large t
    big = 0.5 * np.log(1 + (10 / 7) ** 2)
    assert found["log_growth"].values[2] == pytest.approx([4000 + big, -3000 - big], abs=1e-5)
    assert found["delta_y"].values[2] == np.inf
    assert np.abs(found["trace_gap"].values).max() < 1e-6


@settings(max_examples=20)
@given(st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=5), st.integers(0, 1000))
@example([1000.0, 0.0, -1000.0], 1)
def test_graded_singular_values(logs, seed):
    n = len(logs)
    rows = np.eye(n) + np.triu(np.random.default_rng(seed).normal(size=(n, n)), 1)
    left, size, right = graded_svd(np.array(logs), rows)
    assert np.allclose(left.T @ left, np.eye(n), atol=1e-12)
    assert np.allclose(right @ right.T, np.eye(n), atol=1e-12)
    assert (np.diff(size) <= 1e-12).all()
    assert size.sum() == pytest.approx(sum(logs), abs=1e-9)  # the determinant
    if np.ptp(logs) < 40:
        import mpmath

        with mpmath.workdps(60):
            exact = mpmath.svd_r(mpmath.matrix(rows.tolist()).T * mpmath.diag([mpmath.exp(l) for l in logs]))[1]
            assert size == pytest.approx([float(mpmath.log(v)) for v in exact], abs=1e-9)


def test_growth_is_the_derivative_of_the_solution_with_respect_to_the_start():
    model, t, h = tm.models.gated, [0.5, 2.0], 1e-5
    found = tm.growth(model, t, perturbation={"d": 1.0}, start={"w": 0.2, "m": -0.1, "d": 0.6})
    ends = [tm.solve(model, t, start={"w": 0.2, "m": -0.1, "d": 0.6 + s * h}, rtol=1e-12, atol=1e-14) for s in (1, -1)]
    for name in ("w", "m", "d", "loss", "error"):
        slope = (ends[0][name].values - ends[1][name].values) / (2 * h)
        assert found[f"delta_{name}"].values == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_rates_that_depend_on_time():
    t = tm.TIME
    model = tm.Model(name="swing", flow={x: sp.cos(t) * x, y: -y * t}, start={x: 1, y: 1})
    found = tm.growth(model, [0.0, 1.0, 2.5, 4.0])
    times = found["time"].values
    exact = np.sort(np.stack([np.sin(times), -(times**2) / 2], axis=1), axis=1)[:, ::-1]
    assert np.abs(found["log_growth"].values - exact).max() < 1e-8


def test_a_run_brings_its_times_start_and_parameters():
    run = tm.solve(LINEAR, [1.0, 2.0], params={"a": 0.3, "b": 1.0}, start={"x": 2.0})
    found = tm.growth(LINEAR, run)
    assert np.array_equal(found["time"].values, [1.0, 2.0])
    assert np.allclose(found["x"].values, run["x"].values, rtol=1e-7)
    with pytest.raises(tm.ArgumentError, match="another fingerprint"):
        tm.growth(LORENZ, run)
    with pytest.raises(tm.ArgumentError, match="those of the run"):
        tm.growth(LINEAR, run, params={"a": 1.0})
    with pytest.raises(tm.DomainError, match="must be one trajectory over time"):
        tm.growth(LINEAR, tm.solve(LINEAR, [1.0], params={"a": [0.1, 0.2]}))


# ---------------------------------------------------------------- long runs


def test_lorenz():
    found = tm.lyapunov(LORENZ, 400.0, transient=20.0)
    # Sprott 2003, "Chaos and Time-Series Analysis", appendix A: 0.9056, 0, -14.5723
    for value, error, known in zip(
        found["exponent"].values, found["exponent_error"].values, (0.9056, 0.0, -14.5723), strict=True
    ):
        assert abs(value - known) < 4 * error
    assert float(found["exponent_error"].max()) < 0.04
    assert float(found["trace_mean"]) == pytest.approx(-41 / 3, rel=1e-7)
    assert abs(float(found["trace_gap"])) < 1e-6
    assert float(found["dimension"]) == pytest.approx(2.062, abs=0.005)


def test_henon():
    found = tm.lyapunov(HENON, 20_000, transient=100)
    # Sprott 2003, appendix A: 0.41922, -1.62319
    for value, error, known in zip(
        found["exponent"].values, found["exponent_error"].values, (0.41922, -1.62319), strict=True
    ):
        assert abs(value - known) < 4 * error
    assert float(found["exponent_error"].max()) < 0.006
    assert float(found["trace_mean"]) == pytest.approx(np.log(0.3), rel=1e-12)
    assert abs(float(found["trace_gap"])) < 1e-10
    assert float(found["dimension"]) == pytest.approx(1.258, abs=0.005)


@pytest.mark.parametrize(
    ("params", "known"),
    [
        ({"a": -1.0, "b": 5.0, "d": -3.0}, [-1.0, -3.0]),
        ({"a": -0.5, "b": 2.0, "c": -2.0, "d": -0.5}, [-0.5, -0.5]),
        ({"b": 1.0}, [0.0, 0.0]),
    ],
)
def test_spectra_of_linear_flows_are_the_real_parts_of_their_eigenvalues(params, known):
    found = tm.lyapunov(LINEAR, 400.0, transient=400.0, params=params)
    assert found["exponent"].values == pytest.approx(known, abs=0.01)
    assert abs(float(found["trace_gap"])) < 1e-8


def test_a_steady_state_has_the_spectrum_of_its_jacobian():
    model = tm.Model(name="cubic", flow={x: x - x**3, y: -2 * y}, start={x: 0.5, y: 1})
    found = tm.lyapunov(model, 50.0, transient=20.0)
    assert found["exponent"].values == pytest.approx([-2.0, -2.0], abs=1e-7)
    assert float(found["dimension"]) == 0.0


def test_the_budget_and_failures():
    found = tm.growth(LORENZ, 50.0, time_limit=1e-9)
    assert found.attrs["reached"] == 0.0
    assert np.isnan(found["log_growth"].values[1:]).all()
    with pytest.raises(tm.DomainError, match="time_limit was spent"):
        tm.lyapunov(LORENZ, 50.0, time_limit=1e-9)
    falls = tm.Model(name="falls", flow={x: x**2}, start={x: 1})
    with pytest.raises(tm.SolveError, match="at t = 1 along the trajectory"):
        tm.growth(falls, 2.0)


def test_algebraic_states_follow_the_others():
    # the inner optimum solves (a - theta) + k a^3 = 0; without it the outer flow is one equation of its own
    theta, a, k = sp.symbols("theta a k", real=True)
    pair = {"base_loss": (a - 1) ** 2 / 2, "mesa_objective": (a - theta) ** 2 / 2 + k * a**4 / 4}
    model = tm.bilevel(
        **pair, outer=[theta], inner=[a], coupling="equilibrium", params={"k": 0.5}, start={"theta": 0.3}
    )
    assert model.algebraic
    found = tm.growth(model, [0.0, 1.0, 3.0], perturbation={"theta": 1.0})
    h = 1e-5
    ends = [tm.solve(model, [0.0, 1.0, 3.0], start={"theta": 0.3 + e}, rtol=1e-12, atol=1e-14) for e in (h, -h)]
    for name in ("theta", "a", "loss"):
        slope = (ends[0][name].values - ends[1][name].values) / (2 * h)
        assert found[f"delta_{name}"].values == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert found["log_growth"].values[:, 0] == pytest.approx(np.log(np.abs(found["delta_theta"].values)), abs=1e-9)
    assert np.abs(found["trace_gap"].values).max() < 1e-8
    # at rest a = 1: theta' = -(a - 1) da/dtheta with da/dtheta = 1/(1 + 3k) = 0.4, so that the rate is -0.4^2
    spectrum = tm.lyapunov(model, 50.0, transient=200.0)
    assert spectrum["exponent"].values == pytest.approx([-0.16], abs=1e-6)
    with pytest.raises(tm.ArgumentError, match="'a' is algebraic"):
        tm.growth(model, 1.0, perturbation={"a": 1.0})


def test_what_cannot_be_linearized_is_refused():
    noisy = tm.with_optimizer(LORENZ, tm.GradientNoise(amplitudes={"x": 0.1}))
    with pytest.raises(tm.ModelError, match="has noise"):
        tm.growth(noisy, 1.0)
    nested = tm.bilevel(
        base_loss=(y - 1) ** 2,
        mesa_objective=(y - x) ** 2 + y**4,
        outer=[x],
        inner=[y],
        coupling="unrolled",
        inner_time=1.0,
    )
    with pytest.raises(tm.ModelError, match="nested inner run"):
        tm.growth(nested, 1.0)
    named = tm.Model(name="named", flow={sp.Symbol("tangent_x", real=True): -x, x: -x}, start={x: 1})
    assert {s.name for s in variational(named).states} == {
        "tangent_x", "x", "tangent_tangent_x", "tangent_x_", "trace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "linear"}, tm.ArgumentError, "must be a toymesa Model"),
        ({"t": -1.0}, tm.DomainError, "growth runs forward"),
        ({"t": 0.0}, tm.DomainError, "reach beyond 0"),
        ({"params": {"a": [1.0, 2.0]}}, tm.DomainError, "one number each"),
        ({"perturbation": {"xx": 1.0}}, tm.ArgumentError, "no state 'xx'; did you mean 'x'"),
        ({"perturbation": 1.0}, tm.ArgumentError, "must be a mapping"),
        ({"threshold": {"x": 1.0}}, tm.ArgumentError, "with a perturbation"),
        ({"threshold": {"xx": 1.0}, "perturbation": {"x": 1.0}}, tm.ArgumentError, "no state or observable 'xx'"),
        ({"threshold": 0.5}, tm.DomainError, "threshold must lie in"),
        ({"perturbations": {"x": 1.0}}, tm.ArgumentError, "did you mean 'perturbation'"),
    ],
)
def test_refusals(change, error, words):
    with pytest.raises(error, match=words):
        tm.growth(**{"model": LINEAR, "t": 1.0, **change})


def test_a_perturbation_of_shares_keeps_their_sum():
    with pytest.raises(tm.DomainError, match="must keep"):
        tm.growth(JOINT, 1.0, perturbation={"p_a": 1e-4})


def test_refusals_of_spectra():
    with pytest.raises(tm.DomainError, match="whole numbers; got 1.5"):
        tm.lyapunov(HENON, 1.5)

"""``stability_conditions`` against eigenvalues at random parameters, and against known thresholds."""

import itertools
import sys

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.symbolic.patience import OutOfTime, within
from toymesa.theorems.mechanisms.stability import critical_diversity

x, y, z, w = STATES = sp.symbols("x y z w", real=True)
R = sp.Rational


def linear(n, *, discrete):
    entries = sp.symbols(f"m0:{n * n}", real=True)
    rates = sp.Matrix(n, n, entries) * sp.Matrix(STATES[:n])
    flow = dict(zip(STATES, rates, strict=False))
    return tm.Model(name="linear", flow=flow, params=dict.fromkeys(entries, 0.5), discrete=discrete)


CASES = ((1, False), (2, False), (3, False), (1, True), (2, True), (3, True))  # states, map or flow


@pytest.fixture(scope="module")
def conditions():
    """Of every case, worked out before Hypothesis watches."""
    return {
        (n, discrete): tm.stability_conditions(
            linear(n, discrete=discrete), dict.fromkeys(STATES[:n], 0), time_limit=600
        )
        for n, discrete in CASES
    }


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CASES), st.lists(st.fractions(-2, 2, max_denominator=20), min_size=9, max_size=9))
def test_conditions_are_the_signs_of_the_eigenvalues(conditions, case, entries):
    n, discrete = case
    numbers = [float(e) for e in entries[: n * n]]
    if discrete:
        numbers = [v / n for v in numbers]
    values = np.linalg.eigvals(np.array(numbers).reshape(n, n))
    margin = np.abs(values).max() - 1 if discrete else values.real.max()
    if abs(margin) < 1e-9:
        return
    assert conditions[case].holds({f"m{i}": v for i, v in enumerate(numbers)}) == (margin < 0)


def test_four_states():
    a = sp.symbols("a1:5", real=True)
    companion = {x: y, y: z, z: w, w: -a[3] * x - a[2] * y - a[1] * z - a[0] * w}
    found = tm.stability_conditions(
        tm.Model(name="m", flow=companion, params=dict.fromkeys(a, 1.0)), dict.fromkeys(STATES, 0)
    )
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(200):
        roots = rng.normal(size=2) + 1j * rng.normal(size=2) - 0.7
        poly = np.real(np.poly([*roots, *roots.conj()]))
        stable = bool((roots.real < 0).all())
        assert found.holds({s: float(c) for s, c in zip(a, poly[1:], strict=True)}) == stable
        seen.add(stable)
    assert seen == {True, False}


def test_lorenz_1963():
    s, r, b = sp.symbols("sigma rho beta", positive=True)
    flow = tm.Model(
        name="lorenz", flow={x: s * (y - x), y: x * (r - z) - y, z: x * y - b * z}, params={s: 10.0, r: 28.0, b: 8 / 3}
    )
    origin = tm.stability_conditions(flow, {"x": 0, "y": 0, "z": 0})
    assert origin.conditions == (sp.Gt(1, r),)
    root = sp.sqrt(b * (r - 1))
    wing = tm.stability_conditions(flow, {x: root, y: root, z: r - 1})
    hopf = 10 * (10 + R(8, 3) + 3) / (10 - R(8, 3) - 1)  # sigma (sigma + beta + 3)/(sigma - beta - 1) = 470/19
    assert hopf == R(470, 19)
    others = {"sigma": 10, "beta": 8 / 3}
    assert wing.holds({**others, "rho": 24.7})
    assert not wing.holds({**others, "rho": 24.8})
    assert not wing.holds({**others, "rho": 0.9})


def test_the_logistic_map_and_the_example():
    k = sp.Symbol("k", positive=True)
    logistic = tm.Model(name="logistic", flow={x: k * x * (1 - x)}, params={k: 2.0}, discrete=True)
    assert set(tm.stability_conditions(logistic, {"x": "1 - 1/k"}).conditions) == {sp.Gt(3, k), sp.Gt(k, 1)}
    theta, a = sp.symbols("theta a", real=True)
    mine = tm.bilevel(
        base_loss=(a - 1) ** 2 / 2, mesa_objective=(a - theta) ** 2 / 2 + k * a**2 / 2, outer=[theta], inner=[a],
        coupling="equilibrium", params={"k": 0.5},
    )  # fmt: skip
    always = tm.stability_conditions(mine, {"theta": "1 + k"})
    assert always.conditions == ()
    assert always.holds({})
    assert "all parameters" in str(always)
    never = tm.stability_conditions(tm.Model(name="m", flow={x: k * x}, params={k: 1.0}), {x: 0})
    assert never.conditions == (sp.false,)
    assert not never.holds({"k": 1.0})


def test_joint_flow_with_two_objectives():
    """THEORY 10: stable iff a + D/eps > 0 and aD - bC > 0."""
    theta, phi = sp.symbols("theta phi", real=True)
    a, b, c, d = sp.symbols("a b C D", real=True)
    eps = sp.Symbol("epsilon", positive=True)
    joint = tm.bilevel(
        base_loss=a * theta**2 / 2 + b * theta * phi, mesa_objective=d * phi**2 / 2 + c * theta * phi, outer=[theta],
        inner=[phi], coupling="joint", rate=eps, params={a: 1.0, b: 1.0, c: 1.0, d: 1.0, eps: 0.1},
    )  # fmt: skip
    found = tm.stability_conditions(joint, {"theta": 0, "phi": 0})
    for values in (
        (-0.5, 1.0, -2.0, 1.0, 1.0),
        (-0.5, 1.0, -2.0, 1.0, 3.0),
        (1.0, 2.0, 1.0, 1.0, 0.1),
        (1.0, 0.5, 1.0, 1.0, 9.0),
    ):
        A, B, C, D, E = values
        wanted = A + D / E > 0 and A * D - B * C > 0
        assert found.holds(dict(zip(("a", "b", "C", "D", "epsilon"), values, strict=True))) == wanted


def test_critical_diversity_of_mechanisms():
    """The threshold of mechanisms 1.5, from the model itself."""
    pair = tm.models.mechanisms(("a", "b"))
    fixed = {f"{what}_{name}": value for what, value in (("rate", 1), ("bits", 0), ("fidelity", 1)) for name in "ab"}
    symbols = {pair.param(n): v for n, v in fixed.items()}
    flow = {s: e.subs(symbols) for s, e in pair.flow.items()}
    kept = {s: p for s, p in pair.params.items() if s.name in ("diversity", "lam", "mu", "gate_rate")}
    equal = pair.with_(
        flow=flow, params=kept, start={}, observables={}, invariants={}, closed_forms=(), potential=None, metric=None
    )
    found = tm.stability_conditions(equal, {"c_a": "1/(1+2*lam)", "c_b": "1/(1+2*lam)", "p_a": "1/2", "p_b": "1/2"})
    for lam, mu in ((0.01, 0.1), (0.5, 0.02), (3.0, 1.0)):
        critical = float(critical_diversity(lam, mu))
        for gate_rate in (0.1, 5.0):
            at = {"lam": lam, "mu": mu, "gate_rate": gate_rate}
            assert found.holds({**at, "diversity": 0.999 * critical})
            assert not found.holds({**at, "diversity": 1.001 * critical})


def test_too_large_is_said():
    big = linear(4, discrete=True)
    found = tm.stability_conditions(big, dict.fromkeys(STATES, 0), time_limit=0.2)
    assert found.status == "too large"
    assert found.conditions is None
    assert "raise time_limit" in str(found)
    with pytest.raises(DomainError, match="not known"):
        found.holds({})


def test_the_time_limit_interrupts_and_restores():
    before = sys.getprofile()
    with pytest.raises(OutOfTime), within(0.05):
        for i in itertools.count():  # would never end
            sp.factor(sp.expand((x + y + i) ** 3))
    assert sys.getprofile() is before
    with within(60.0):
        assert sp.expand((x + 1) ** 2) == x**2 + 2 * x + 1
    assert sys.getprofile() is before


@pytest.mark.parametrize(
    ("point", "error", "message"),
    [
        ({x: 1}, ModelError, "not a fixed point of model 'm': the rate of 'x' is"),
        ({}, ArgumentError, "no value for x"),
        ({"q": 0}, ArgumentError, "no state 'q'"),
        ({x: y}, ArgumentError, "in the parameters"),
        ({x: "k +"}, tm.ExpressionError, "cannot read"),
    ],
)
def test_bad_points(point, error, message):
    k = sp.Symbol("k", positive=True)
    with pytest.raises(error, match=message):
        tm.stability_conditions(tm.Model(name="m", flow={x: k * x}, params={k: 1.0}), point)
    with pytest.raises(DomainError, match="time_limit"):
        tm.stability_conditions(tm.Model(name="m", flow={x: -x}), {x: 0}, time_limit=0)

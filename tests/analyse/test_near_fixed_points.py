"""``stability``: kinds, rates and meanings against spectra that were planted."""

import json
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.analyse import KINDS
from toymesa.analyse.rates import rates_of
from toymesa.analyse.spectrum import kind
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.theorems.mechanisms.stability import joint_eigenvalues

x, y, z = STATES = sp.symbols("x y z", real=True)
k = sp.Symbol("k", positive=True)
R = sp.Rational
PART = st.one_of(
    st.fractions(-3, 3, max_denominator=50), st.sampled_from([R(0), R(1, 10**8), R(-1, 10**8), R(1), R(-1)])
)


def linear(matrix, *, discrete=False):
    rates = matrix * sp.Matrix(STATES[: matrix.rows])
    return tm.Model(name="linear", flow=dict(zip(STATES, rates, strict=False)), discrete=discrete)


def blocks(real, pair):
    """Companion blocks of given real eigenvalues and at most one complex pair a +- ib, b > 0, mixed by shears."""
    parts = [sp.Matrix([[R(v)]]) for v in real]
    if pair is not None:
        a, b = map(R, pair)
        parts.append(sp.Matrix([[a, -b], [b, a]]))
    matrix = sp.diag(*parts)
    for i in range(matrix.rows - 1):
        shear, back = sp.eye(matrix.rows), sp.eye(matrix.rows)
        shear[i, i + 1], back[i, i + 1] = 2, -2
        turn, undo = sp.eye(matrix.rows), sp.eye(matrix.rows)
        turn[i + 1, i], undo[i + 1, i] = 1, -1
        matrix = turn * shear * matrix * back * undo
    return matrix


def expected(values, *, discrete):
    """The kind, from exact eigenvalues (pairs of rationals)."""
    growth = {v: (v[0] ** 2 + v[1] ** 2 - 1 if discrete else v[0]) for v in values}
    speed = {v: (v[0] ** 2 + v[1] ** 2 if discrete else v[0]) for v in values}
    growing, zero = [v for v in values if growth[v] > 0], [v for v in values if growth[v] == 0]
    leading = max(values, key=lambda v: speed[v])
    if growing:
        if leading[1] != 0:
            return "unstable-spiral"
        return "saddle" if any(growth[v] < 0 for v in values) else "unstable"
    if zero:
        return "centre" if all(v[1] != 0 for v in zero) else "not hyperbolic"
    return "stable-spiral" if leading[1] != 0 else "stable"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(PART, max_size=3),
    st.one_of(st.none(), st.tuples(PART, st.fractions(R(1, 10), 3, max_denominator=20))),
    st.booleans(),
)
@example([], (R(0), R(1)), False)
@example([R(0)], (R(0), R(1)), False)
@example([R(-1)], (R(0), R(1)), False)
@example([R(1, 10**8)], (R(-1), R(1)), False)
@example([R(-6, 5)], None, True)
@example([R(1, 2)], (R(3, 5), R(4, 5)), True)
@example([R(1, 10**8), R(1, 10**8), R(1)], None, False)
def test_planted_spectra(real, pair, discrete):
    real = [R(v) for v in real][: 3 if pair is None else 1]
    values = [(v, R(0)) for v in real] + ([] if pair is None else [(R(pair[0]), R(pair[1])), (R(pair[0]), -R(pair[1]))])
    if not values:
        return
    speeds = sorted({v[0] ** 2 + v[1] ** 2 if discrete else v[0] for v in values})
    if len(speeds) > 1 and speeds[-1] - speeds[-2] == 0:
        return
    flow = linear(blocks(real, pair), discrete=discrete)
    found = tm.stability(flow, [0.0] * len(values))
    wanted = expected(values, discrete=discrete)
    singular = sum(v == ((1, 0) if discrete else (0, 0)) for v in values)  # then the fixed points are not isolated
    if wanted == "not hyperbolic":
        rest = [v for v in values if v != ((1, 0) if discrete else (0, 0))]
        neutral = [v for v in rest if (v[0] ** 2 + v[1] ** 2 == 1 if discrete else v[0] == 0)]
        if not neutral:
            assert (found.kind, found.dimension, found.meaning) == ("drift", singular, "drift")
        else:
            assert found.kind in ("centre", "undecided")
    elif singular == 0 or not 0 < min(abs(float(v[0])) for v in values if v[0] != 0) < 1e-6:
        assert found.kind == wanted
    assert found.kind in KINDS
    exact = sorted((complex(*map(float, v)) for v in values), key=lambda v: (round(v.imag, 4), v.real))
    close = sorted(found.eigenvalues, key=lambda v: (round(v.imag, 4), v.real))
    np.testing.assert_allclose(close, exact, atol=2e-5)
    if singular == 0:
        hyperbolic = all(v[0] ** 2 + v[1] ** 2 != 1 if discrete else v[0] != 0 for v in values)
        # eigenvalues that coincide cannot always be isolated: then nothing is proved, and nothing is said to be
        assert found.certified == hyperbolic or (len(set(values)) < len(values) and not found.certified)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.fractions(-4, 4, max_denominator=16), min_size=9, max_size=9))
def test_growth_reactivity_and_mode(entries):
    matrix = np.array([float(e) for e in entries]).reshape(3, 3)
    if abs(np.linalg.det(matrix)) < 1e-3:
        return
    found = tm.stability(linear(sp.Matrix(3, 3, list(map(R, entries)))), [0, 0, 0])
    values = np.linalg.eigvals(matrix)
    assert found.growth_rate == pytest.approx(values.real.max(), rel=1e-9, abs=1e-9)
    # the largest initial growth over random directions approaches the reactivity from below
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    initial = np.einsum("ij,jk,ik->i", directions, matrix, directions)
    assert initial.max() <= found.reactivity + 1e-12
    assert initial.max() >= found.reactivity - 0.05 * np.abs(matrix).sum()
    if found.kind == "stable":
        assert found.return_time == pytest.approx(-1 / found.growth_rate)
    assert max(map(abs, found.mode.values())) == pytest.approx(1.0)


def test_the_three_meanings():
    saddle = tm.stability(linear(sp.diag(1, -1)), [0, 0])
    spiral = tm.stability(linear(sp.Matrix([[R(1, 10), -1], [1, R(1, 10)]])), [0, 0])
    gate = tm.stability(tm.models.gated, {"w": 1, "m": 1, "d": 0.5})
    assert [s.meaning for s in (saddle, spiral, gate)] == ["saddle", "spiral", "drift"]
    assert (gate.kind, gate.dimension) == ("drift", 2)
    assert gate.growth_rate == pytest.approx(-0.5)
    assert tm.stability(linear(sp.diag(-1, -2)), [0, 0]).meaning == ""
    flip = tm.stability(linear(sp.Matrix([[R(-6, 5)]]), discrete=True), [0])
    assert (flip.kind, flip.meaning) == ("unstable", "")
    assert "overshooting" in str(flip)
    assert flip.growth_rate == pytest.approx(math.log(1.2))


@pytest.mark.parametrize(
    ("rates", "kind_"),
    [
        ((x**2,), "undecided"),
        ((x**3,), "undecided"),
        ((-y, x, z**2), "undecided"),
        ((-y, x, -z), "centre"),
        ((-y + x**3, x, -z), "centre"),
    ],
)
def test_degenerate_points_are_said_to_be(rates, kind_):
    found = tm.stability(tm.Model(name="m", flow=dict(zip(STATES, rates, strict=False))), [0.0] * len(rates))
    assert found.kind == kind_
    assert found.dimension == 0
    assert not found.certified


def test_a_line_is_a_drift_and_a_double_point_is_not():
    circle = tm.Model(name="m", flow={x: x * (1 - x**2 - y**2), y: y * (1 - x**2 - y**2)})
    assert tm.stability(circle, [0.6, 0.8]).kind == "drift"
    tangent = tm.Model(name="m", flow={x: x**2 + y**2 - 1, y: y - 1})
    assert tm.stability(tangent, [0, 1]).dimension == 0


def test_mechanisms_against_their_theorem():
    pair = tm.models.mechanisms(("a", "b"))
    for n in (2.0, 5.0, 20.0):
        exact = joint_eigenvalues(n, 0.01, 0.1)
        content = 1 / 1.02
        found = tm.stability(pair, {"c_a": content, "c_b": content, "p_a": 0.5}, params={"diversity": n})
        values = sorted([exact.lower, exact.upper, exact.together])
        np.testing.assert_allclose(sorted(v.real for v in found.eigenvalues), values, rtol=1e-10)
        assert found.kind == ("stable" if n < 5.2 else "saddle")
        assert found.certified


def test_an_algebraic_state_may_be_left_out():
    theta, a = sp.symbols("theta a", real=True)
    implicit = tm.bilevel(
        base_loss=(a - 1) ** 2 / 2, mesa_objective=(a - theta) ** 4 / 4 + a**2 / 2, outer=[theta], inner=[a],
        coupling="equilibrium",
    )  # fmt: skip
    found = tm.stability(implicit, {"theta": 2.0})
    assert found.point == {"theta": 2.0, "a": 1.0}
    assert found.eigenvalues == (pytest.approx(-9 / 16),)  # -(da/dtheta)^2 with da/dtheta = 3/4


def test_a_nested_run_has_a_numerical_spectrum():
    theta, a = sp.symbols("theta a", real=True)
    nested = tm.bilevel(
        base_loss=a**2 / 2,
        mesa_objective=sp.cosh(a - theta),
        outer=[theta],
        inner=[a],
        coupling="unrolled",
        inner_time=3,
    )
    found = tm.stability(nested, [0.0])
    assert found.kind == "stable"
    assert not found.certified
    assert found.eigenvalues[0].real == pytest.approx(-((1 - math.exp(-3)) ** 2), rel=1e-6)  # da/dtheta = 1 - e^-3


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.floats(0.1, 3), st.integers(1, 4))
def test_rates_and_their_derivatives(at, value, count):
    model = tm.Model(
        name="m", flow={x: k * sp.tanh(y) - x, y: x * z - k**2 * y, z: sp.exp(-z) - x**2}, params={"k": 1.0}
    )
    rates = rates_of(model)
    points = np.array(at) + np.arange(count)[:, None] / 7
    p = np.array([value])
    f, j, d = rates.residual(points, p), rates.jacobian(points, p), rates.by_param(points, p)
    assert (f.shape, j.shape, d.shape) == ((count, 3), (count, 3, 3), (count, 3, 1))
    h = 1e-6
    for i in range(3):
        step = np.eye(3)[i] * h
        np.testing.assert_allclose(
            (rates.residual(points + step, p) - rates.residual(points - step, p)) / (2 * h), j[..., i], atol=1e-7
        )
    np.testing.assert_allclose(
        (rates.residual(points, p + h) - rates.residual(points, p - h)) / (2 * h), d[..., 0], atol=1e-7
    )
    np.testing.assert_array_equal(rates.residual(points[0], p), f[0])


def test_kind_leaves_out_the_directions_along_a_continuum():
    assert kind([(0j, None), (-1 + 0j, -1)], discrete=False, dimension=1) == "drift"
    assert kind([(0j, None), (1 + 0j, 1), (-1 + 0j, -1)], discrete=False, dimension=1) == "saddle"
    assert kind([(0j, None), (-1 + 0j, -1)], discrete=False) == "undecided"
    assert kind([(1 + 0j, None), (0.5 + 0j, -1)], discrete=True, dimension=1) == "drift"


@pytest.mark.parametrize(
    ("point", "error", "message"),
    [
        ({"x": 0.5, "y": 0}, DomainError, "not a fixed point of model 'm': the rate of 'x' there is"),
        ({"x": 1.001, "y": 0}, DomainError, "not a fixed point"),
        ({"x": 1}, ArgumentError, "no value for y"),
        ({"x": 1, "q": 1}, ArgumentError, "no state 'q'"),
        ({"x": [1, 2], "y": 0}, DomainError, "one value a state"),
        ([1.0], DomainError, "must have 2 values, x, y"),
        ([1.0, math.nan], DomainError, "finite"),
        ("ab", ArgumentError, "real numbers"),
    ],
)
def test_bad_points_get_one_line(point, error, message):
    with pytest.raises(error, match=message) as caught:
        tm.stability(tm.Model(name="m", flow={x: x - x**3, y: -y}), point)
    assert "\n" not in str(caught.value)


def test_reports_are_data_and_text():
    found = tm.stability(tm.Model(name="m", flow={x: y, y: -x - y / 5}), [0, 0])
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["kind"] == "stable-spiral"
    assert data["return_time"] == pytest.approx(10.0)
    assert "eigenvalues" in str(found)
    assert (
        json.loads(json.dumps(tm.stability(linear(sp.diag(1, 1)), [0, 0]).to_dict(), allow_nan=False))["return_time"]
        is None
    )
    with pytest.raises(ModelError, match="depends on time"):
        tm.stability(tm.Model(name="m", flow={x: tm.TIME - x}), [0])


def test_fixed_points_on_the_open_end_of_a_domain():
    """A layer that has learned nothing: no start of the model, but a fixed point of it, where x^(2 - 2/depth) has no slope."""
    model = tm.models.depth()
    census = tm.fixed_points(model)
    kinds = [tm.stability(model, point).kind for point in census.points]
    assert kinds == [p.kind for p in census.points]
    assert {*kinds} == {"unstable", "saddle", "stable"}
    near = tm.stability(model, dict.fromkeys(model.state_names, 0.0))
    np.testing.assert_allclose([v.real for v in near.eigenvalues], [2, 1, 0.5], rtol=1e-12)
    with pytest.raises(DomainError, match="or on its end"):
        tm.stability(model, dict.fromkeys(model.state_names, -1.0))
    report = tm.assess(model, vary=[], budget=5)
    assert len(report.points) == 8
    assert report.verdict.stable

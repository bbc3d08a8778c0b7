"""What continuation finds does not depend on the coordinates, on the unit of time, or on the direction of the range."""

import numpy as np
import pytest
import sympy as sp
from follow_models import R2, a, b, bogdanov_takens, changed, model, specials, x, y, z
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import toymesa as tm

entries = st.floats(-1.5, 1.5).map(lambda v: round(v, 3))
PHASES = (Phase.explicit, Phase.generate)  # each example takes a second: no shrinking
rates = st.sampled_from([1e-3, 0.1, 1.0, 10.0, 1e4])


def basis(values, size):
    matrix = np.reshape(values, (size, size))
    assume(abs(np.linalg.det(matrix)) > 0.3)
    return matrix


@settings(max_examples=6, deadline=None, phases=PHASES)
@given(st.lists(entries, min_size=4, max_size=4), st.lists(entries, min_size=2, max_size=2), rates, st.booleans())
def test_hopf_points(values, shift, rate, sub):
    sign = 1 if sub else -1
    plain = model("hopf", {x: a * x - 2 * y + sign * x * R2 + x * y, y: 2 * x + a * y + sign * y * R2}, a=-0.3)
    known = tm.follow(plain, "a", [-0.6, 0.7], start={"x": 0, "y": 0}, cycles=False)
    seen = changed(plain, basis(values, 2), shift, rate)
    origin = dict(zip(seen.state_names, np.linalg.solve(np.reshape(values, (2, 2)), -np.array(shift)), strict=True))
    data = tm.follow(seen, "a", [-0.6, 0.7], start=origin, cycles=False)
    np.testing.assert_allclose(specials(data, "hopf"), [0], atol=1e-10)
    which = data["special_kind"].values == "hopf"
    assert data["special_omega"].values[which] == pytest.approx([2 * rate], rel=1e-9)
    assert data["special_criticality"].values[which].tolist() == ["subcritical" if sub else "supercritical"]
    # the size of the coefficient is that of unit eigenvectors: it scales by |T q|^2 / |q|^2 and nothing else
    ratio = (
        data["special_lyapunov"].values[which]
        / known["special_lyapunov"].values[known["special_kind"].values == "hopf"]
    )
    q = np.linalg.solve(np.reshape(values, (2, 2)), np.array([1, -1j]))
    assert ratio == pytest.approx([2 / np.linalg.norm(q) ** 2], rel=1e-6)


@settings(max_examples=4, deadline=None, phases=PHASES)
@given(st.lists(entries, min_size=9, max_size=9), st.lists(entries, min_size=3, max_size=3), rates)
def test_folds_and_branch_points(values, shift, rate):
    plain = model("three", {x: a - x**2, y: (a - sp.Rational(1, 2)) * y - y**3 + x * y, z: -z + x * y}, a=0.3)
    box = dict.fromkeys(("u0", "u1", "u2"), (-9, 9))
    known = tm.follow(plain, "a", [-1, 1], cycles=False)
    data = tm.follow(changed(plain, basis(values, 3), shift, rate), "a", [-1, 1], cycles=False, box=box)
    for kind in ("fold", "branch", "hopf"):
        np.testing.assert_allclose(specials(data, kind), specials(known, kind), atol=1e-9)
    assert data.sizes["followed"] == known.sizes["followed"]


@settings(max_examples=3, deadline=None, phases=PHASES)
@given(st.lists(entries, min_size=4, max_size=4), rates)
def test_bogdanov_takens_points(values, rate):
    seen = changed(bogdanov_takens(), basis(values, 2), [0.3, -0.2], rate)
    data = tm.follow(seen, "a", [-0.5, 0.3], second="b", range2=[-0.6, 0.7])
    assert data["special_kind"].values.tolist() == ["bogdanov-takens"]
    np.testing.assert_allclose([data["special_at"].item(), data["special_second"].item()], 0, atol=1e-8)
    hopf = data.isel(point=np.isfinite(data["curve_omega"].values))
    np.testing.assert_allclose(hopf["a"], -(hopf["b"] ** 2), atol=1e-8)


def test_a_parameter_in_other_units_changes_nothing():
    plain = model("cusp", {x: a + b * x - x**3}, a=0.0, b=1.0)
    scaled = model("scaled", {x: a / 1000 - 5 + b * x - x**3}, a=5000.0, b=1.0)
    one = tm.follow(plain, "a", [-1, 1])
    other = tm.follow(scaled, "a", [4000, 6000])
    np.testing.assert_allclose(specials(other, "fold") / 1000 - 5, specials(one, "fold"), rtol=1e-9)


def test_derivatives_by_differences_agree_with_symbolic_ones(monkeypatch):
    flow = {x: a * x - y + x * y + x**2 * y, y: x + a * y - x**2 - y**3}
    m = model("mixed", flow, a=-0.1)
    exact = tm.follow(m, "a", [-0.3, 0.3], start={"x": 0, "y": 0}, cycles=False)
    from toymesa.analyse.continuation import normal_forms
    from toymesa.errors import ModelError

    def refuse(*_):
        raise ModelError("no")

    monkeypatch.setattr(normal_forms, "directional_function", refuse)
    numeric = tm.follow(m, "a", [-0.3, 0.3], start={"x": 0, "y": 0}, cycles=False)
    assert (exact.attrs["derivatives"], numeric.attrs["derivatives"]) == ("symbolic", "differences")
    np.testing.assert_allclose(numeric["special_lyapunov"], exact["special_lyapunov"], rtol=1e-6)


def test_algebraic_states_are_eliminated():
    # z = x^2 held by an algebraic equation: the same Hopf point and coefficient as with z put in
    k = sp.Symbol("k", real=True)
    flow = {
        x: a * x - y - x * z - x * y**2,
        y: x + a * y - y * z - y**3,
        z: -2 * (z - x**2) + 2 * x * (a * x - y - x * z - x * y**2),
    }
    held = tm.Model(name="held", flow=flow, params={a: -0.1}, algebraic={z: z - x**2}, start={x: 0, y: 0, z: 0})
    plain = model("plain", {x: a * x - y - x**3 - x * y**2, y: x + a * y - y * x**2 - y**3}, a=-0.1)
    one, other = (tm.follow(m, "a", [-0.3, 0.3], start={"x": 0, "y": 0}, cycles=False) for m in (held, plain))
    assert one["special_kind"].values.tolist() == ["hopf"]
    assert one["special_omega"].item() == pytest.approx(other["special_omega"].item(), rel=1e-9)
    assert one["special_lyapunov"].item() == pytest.approx(other["special_lyapunov"].item(), rel=1e-5)
    assert k not in held.params


@pytest.mark.parametrize("fast", [1e2, 1e6])
def test_stiff_systems_keep_their_digits(fast):
    # z follows x^2 + y^2 in no time: r' = a r - r^3 in the limit
    rate = sp.Float(fast)
    m = model("stiff", {x: a * x - y - x * z, y: x + a * y - y * z, z: rate * (R2 - z) + x * y}, a=-0.1)
    data = tm.follow(m, "a", [-0.5, 0.6], start={"x": 0, "y": 0, "z": 0}, cycles=False)
    assert specials(data, "hopf") == pytest.approx([0], abs=1e-10)
    assert data["special_omega"].item() == pytest.approx(1, abs=1e-9)
    assert data["special_lyapunov"].item() == pytest.approx(-2, rel=0.02)
    m = model("stiff", {x: a - x**2 + z, z: rate * (x / 5 - z)}, a=0.2)
    assert specials(tm.follow(m, "a", [-1, 1], cycles=False), "fold") == pytest.approx([-0.01], abs=1e-10)

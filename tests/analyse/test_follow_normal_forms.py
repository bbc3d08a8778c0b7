"""Continuation on normal forms: every special point, coefficient and curve is known in closed form."""

import json

import numpy as np
import pytest
import sympy as sp
from follow_models import R2, a, b, bogdanov_takens, cusp, hopf, model, specials, w, x, y, z, zero_hopf
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm

SQUARE = [-1.0, 1.0]


def follow(m, *args, **more):
    data = tm.follow(m, *args, **{"cycles": False, **more})
    assert (data["special_residual"] < 1e-10).all()
    return data


@settings(max_examples=10, deadline=None)
@given(st.floats(0.05, 1.5))
def test_folds_are_where_they_should_be(beta):
    data = follow(cusp(), "a", SQUARE, params={"b": beta})
    at = 2 * (beta / 3) ** 1.5
    np.testing.assert_allclose(specials(data, "fold"), [-at, at] if at < 1 else [], rtol=1e-10)
    # S-shaped: stable, unstable between the folds, stable
    np.testing.assert_array_equal(data["stable"], data["x"].values ** 2 > beta / 3 + 1e-9)
    np.testing.assert_allclose(data["a"] + beta * data["x"] - data["x"] ** 3, 0, atol=1e-12)
    assert data.attrs["complete"] == 1


def test_transcritical_and_pitchfork_switch_branches():
    data = follow(model("transcritical", {x: a * x - x**2}, a=0.3), "a", SQUARE)
    assert data.sizes["followed"] == 2
    np.testing.assert_allclose(specials(data, "branch"), [0], atol=1e-12)
    assert not (data["x"] * (data["a"] - data["x"])).round(10).any()
    data = follow(cusp(), "b", SQUARE)
    assert data.sizes["followed"] == 2
    np.testing.assert_allclose(specials(data, "branch"), [0], atol=1e-12)
    arms = data["x"].values != 0
    np.testing.assert_allclose(data["x"].values[arms] ** 2, data["b"].values[arms], atol=1e-11)
    assert (data["stable"].values == ((np.abs(data["x"]) > 1e-9) | (data["b"] < -1e-9)).values).all()


def test_an_imperfect_pitchfork_is_a_fold_and_no_branch_point():
    data = follow(cusp(), "b", SQUARE, params={"a": 1e-3})
    assert data.sizes["followed"] == 2
    assert not specials(data, "branch").size
    np.testing.assert_allclose(specials(data, "fold"), [3 * (1e-3 / 2) ** (2 / 3)], rtol=1e-10)


@settings(max_examples=12, deadline=None)
@given(st.floats(-2, 2).filter(lambda v: abs(v) > 1e-3), st.floats(0.1, 20))
def test_the_first_lyapunov_coefficient(cubic, omega):
    m = model(
        "hopf",
        {x: a * x - b * y + sp.Float(cubic) * x * R2, y: b * x + a * y + sp.Float(cubic) * y * R2},
        a=-0.1,
        b=1.0,
    )
    data = follow(m, "a", SQUARE, params={"b": omega})
    assert specials(data, "hopf") == pytest.approx([0], abs=1e-12)
    assert data["special_omega"].item() == pytest.approx(omega, rel=1e-12)
    # r' = a r + c r^3 is w' = (a + i omega) w + 2 c w |w|^2 for vectors of unit length
    assert data["special_lyapunov"].item() == pytest.approx(2 * cubic / omega, rel=1e-9)
    assert data["special_criticality"].item() == ("supercritical" if cubic < 0 else "subcritical")


def test_quadratic_terms_enter_the_lyapunov_coefficient():
    # Bautin's formula as in Guckenheimer and Holmes 1983, eq. 3.4.11, for x' = -y + f, y' = x + g
    f, g = x**2 + 3 * x * y - y**2 / 2 + x**3 / 5, -2 * x**2 + x * y / 3 + y**2 + y**3 / 7
    m = model("general", {x: a * x - y + f, y: x + a * y + g}, a=-0.1)
    d = {n: {k: sp.diff(e, *k).subs({x: 0, y: 0}) for k in ((x, x), (x, y), (y, y), (x, x, x), (x, y, y), (x, x, y), (y, y, y))}
         for n, e in (("f", f), ("g", g))}  # fmt: skip
    F, G = d["f"], d["g"]
    cubic = F[x, x, x] + F[x, y, y] + G[x, x, y] + G[y, y, y]
    square = F[x, y] * (F[x, x] + F[y, y]) - G[x, y] * (G[x, x] + G[y, y]) - F[x, x] * G[x, x] + F[y, y] * G[y, y]
    expected = float((cubic + square) / 16) * 2
    data = follow(m, "a", [-0.2, 0.2], start={"x": 0, "y": 0})
    found = data["special_lyapunov"].values[data["special_kind"].values == "hopf"]
    assert found == pytest.approx([expected], rel=1e-9)
    assert data.attrs["derivatives"] == "symbolic"


def test_hopf_curve_with_the_generalized_point_where_l1_vanishes():
    data = follow(hopf(), "a", SQUARE, second="b", range2=[-1.3, 1.0])
    assert data["curve_kind"].values.tolist() == ["hopf"]
    assert np.abs(data["a"]).max() < 1e-12
    np.testing.assert_allclose(data["curve_omega"], 1, rtol=1e-10)
    assert data["special_kind"].values.tolist() == ["generalized-hopf"]
    np.testing.assert_allclose([data["special_at"].item(), data["special_second"].item()], 0, atol=1e-10)


def test_cusp_curve():
    data = follow(cusp(), "a", SQUARE, second="b", range2=SQUARE)
    np.testing.assert_allclose(27 * data["a"] ** 2, 4 * data["b"] ** 3, atol=1e-10)
    assert data["special_kind"].values.tolist() == ["cusp"]
    np.testing.assert_allclose([data["special_at"].item(), data["special_second"].item()], 0, atol=1e-10)
    assert float(data["a"].max()) == pytest.approx((4 / 27) ** 0.5)


def test_bogdanov_takens():
    data = follow(bogdanov_takens(), "a", [-1, 0.5], second="b", range2=[-0.9, 1.3])
    kinds = data["curve_kind"].values.tolist()
    assert sorted(kinds) == ["fold", "hopf"]
    for i, kind in enumerate(kinds):
        part = data.isel(point=data["curve"].values == i)
        expected = np.zeros(part.sizes["point"]) if kind == "fold" else -(part["b"].values ** 2)
        np.testing.assert_allclose(part["a"], expected, atol=1e-10)
        if kind == "hopf":  # it ends at the double zero, with frequency 0
            assert (part["b"] > -1e-10).all()
            np.testing.assert_allclose(part["curve_omega"] ** 2, 2 * part["b"], atol=1e-8)
            assert "bogdanov-takens" in (data["begins"].values[i], data["ends"].values[i])
    assert data["special_kind"].values.tolist() == ["bogdanov-takens"]
    np.testing.assert_allclose([data["special_at"].item(), data["special_second"].item()], 0, atol=1e-10)


def test_zero_hopf():
    data = follow(
        zero_hopf(), "a", [-1, 0.5], second="b", range2=[-0.7, 1.1], box={"x": (-2, 2), "y": (-2, 2), "z": (-3, 3)}
    )
    assert set(data["curve_kind"].values) == {"fold", "hopf"}
    assert data["special_kind"].values.tolist() == ["zero-hopf"]
    np.testing.assert_allclose([data["special_at"].item(), data["special_second"].item()], 0, atol=1e-10)
    for i, kind in enumerate(data["curve_kind"].values):
        part = data.isel(point=data["curve"].values == i)
        # fixed points z = -+sqrt(-a), Hopf where b + z = 0
        np.testing.assert_allclose(part["a"], 0 if kind == "fold" else -(part["b"].values ** 2), atol=1e-10)


def test_all_branches_of_a_two_dimensional_kernel():
    # decoupled pitchforks: the quadratic branching equations vanish on a plane, cubic terms decide: 4 lines and the trunk
    data = follow(model("two", {x: a * x - x**3, y: a * y - y**3}, a=0.4), "a", SQUARE)
    assert data.sizes["followed"] == 5
    assert data["special_kernel"].values.tolist() == [2]
    end = data.isel(point=np.isclose(data["a"], 1))
    found = {(round(float(p), 9) + 0.0, round(float(q), 9) + 0.0) for p, q in zip(end["x"], end["y"], strict=True)}
    assert found == {(i, j) for i in (-1.0, 0.0, 1.0) for j in (-1.0, 0.0, 1.0)}


def test_disconnected_branches_and_loops():
    data = follow(model("isola", {x: a**2 + x**2 - sp.Rational(1, 4)}, a=0.2), "a", SQUARE)
    assert data["ends"].values.tolist() == ["closed"]
    np.testing.assert_allclose(specials(data, "fold"), [-0.5, 0.5], rtol=1e-10)
    apart = follow(model("apart", {x: (x + 2 - a) * ((x - 1) ** 2 + a - sp.Rational(1, 2))}, a=0.2), "a", SQUARE)
    assert apart.sizes["followed"] == 2
    alone = follow(
        model("apart", {x: (x + 2 - a) * ((x - 1) ** 2 + a - sp.Rational(1, 2))}, a=0.2), "a", SQUARE, start={"x": -1.8}
    )
    assert alone.sizes["followed"] == 1


def test_special_points_on_the_ends_of_the_range():
    data = follow(cusp(), "b", [0.0, 1.0])
    assert (data["special_kind"].values.tolist(), data.sizes["followed"]) == (["branch"], 2)
    data = follow(hopf(quintic=False), "a", [0.0, 1.0])
    assert data["special_kind"].values.tolist() == ["hopf"]
    assert data["special_lyapunov"].item() == pytest.approx(-2)


def test_two_pairs_cross_one_after_the_other():
    flow = {x: a * x - y - x * R2, y: x + a * y - y * R2, z: (a - b) * z - 3 * w - z**3, w: 3 * z + (a - b) * w - w**3}
    data = follow(model("pairs", flow, a=-0.5, b=1e-3), "a", SQUARE)
    np.testing.assert_allclose(specials(data, "hopf"), [0, 1e-3], atol=1e-12)
    np.testing.assert_allclose(np.sort(data["special_omega"]), [1, 3], rtol=1e-10)


# ---------------------------------------------------------------- what has no isolated fixed points


@pytest.mark.parametrize(
    "flow",
    [
        {x: a * x - x * R2, y: a * y - y * R2},  # a circle of fixed points for a > 0
        {x: -y * (a * x * y - 1), y: -x * (a * x * y - 1)},  # a hyperbola of them
        {x: y * (x - a), y: y**2 * (x - a)},  # two crossing lines
    ],
)
def test_drift_is_said_instead_of_followed(flow):
    data = follow(model("drifting", flow, a=1.0), "a", [0.3, 2.0], seconds=20)
    assert "drift" in " ".join(json.loads(data.attrs["left"]))
    assert data.attrs["complete"] == 0
    assert data.attrs["seconds"] < 15


def test_a_conserved_sum_is_kept():
    # x + y + z stays; the fixed point on the level set of the start is (k, 1, 1/a) s
    flow = {x: y - x, y: x - 2 * y + a * z, z: y - a * z}
    data = follow(model("closed", flow, a=1.0, start={x: 1, y: 0.5, z: 0.2}), "a", [0.5, 2.0])
    np.testing.assert_allclose(data["x"] + data["y"] + data["z"], 1.7, rtol=1e-12)
    np.testing.assert_allclose(data["y"], 1.7 / (2 + 1 / data["a"]), rtol=1e-10)
    assert data["stable"].all()
    assert data.sizes["mode"] == 2
    assert "x + y + z = 1.7" in data.attrs["notes"]


def test_centres_are_no_hopf_points():
    flow = {x: x * (1 - y), y: y * (x - a)}
    data = follow(
        model("lotka_volterra", flow, a=1.0, start={x: 1, y: 1}), "a", [0.5, 2.0], box={"x": (0.1, 4), "y": (0.1, 4)}
    )
    assert data.sizes["special"] == 0
    assert not data["stable"].any()
    assert (data["unstable"] == 0).all()

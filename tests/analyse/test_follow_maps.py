"""Continuation of the fixed points of maps, on maps whose special points are known in closed form."""

import json

import numpy as np
import pytest
import sympy as sp
from follow_models import a, b, specials, x, y
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, ModelError

r, h = sp.Symbol("r", real=True), sp.Symbol("h", positive=True)


def discrete(name, flow, start=None, **params):
    return tm.Model(name=name, flow=flow, params=params, start=start or dict.fromkeys(flow, 0.3), discrete=True)


def follow(m, *args, **more):
    data = tm.follow(m, *args, **more)
    assert (data["special_residual"] < 1e-10).all()
    return data


def coefficients(data, kind):
    which = data["special_kind"].values == kind
    return data["special_lyapunov"].values[which], list(data["special_criticality"].values[which].astype(str))


def logistic():
    return discrete("logistic", {x: r * x * (1 - x)}, r=2.5)


def test_the_logistic_map():
    """May 1976: a transcritical point at r = 1, a flip at r = 3, which f''^2/4 + f'''/6 = 9 > 0 makes supercritical."""
    data = follow(logistic(), "r", (0.2, 4.0))
    np.testing.assert_allclose(specials(data, "branch"), [1], atol=1e-12)
    np.testing.assert_allclose(specials(data, "flip"), [3], rtol=1e-12)
    size, kind = coefficients(data, "flip")
    np.testing.assert_allclose(size, [9], rtol=1e-9)
    assert kind == ["supercritical"]
    rate, state = data["r"].values, data["x"].values
    np.testing.assert_allclose(data["eigenvalue_re"].values[:, 0], rate * (1 - 2 * state), atol=1e-12)
    apart = np.min(np.abs(rate[:, None] - [1.0, 3.0]), axis=1) > 1e-6
    np.testing.assert_array_equal(data["stable"].values[apart], np.abs(rate * (1 - 2 * state))[apart] < 1)
    assert data.attrs["complete"] == 1
    assert "iterated(logistic, 2)" in json.loads(data.attrs["notes"])[0]


def test_orbits_of_period_two_and_three_are_fixed_points_of_the_iterated_map():
    """They begin at r = 3 and 1 + sqrt 8 (a fold), and double at 1 + sqrt 6 and 3.8414990 (May 1976; Strogatz 1994, 10.2)."""
    data = follow(tm.iterated(logistic(), 2), "r", (2.5, 3.9))
    np.testing.assert_allclose(specials(data, "branch"), [3], rtol=1e-12)
    np.testing.assert_allclose(specials(data, "flip"), np.full(2, 1 + np.sqrt(6)), rtol=1e-10)
    three = follow(
        tm.iterated(logistic(), 3), "r", (3.7, 3.9), start=[{"x": 0.1}, {"x": 0.15}, {"x": 0.5}, {"x": 0.95}]
    )
    np.testing.assert_allclose(specials(three, "fold"), np.full(3, 1 + np.sqrt(8)), rtol=1e-10)
    np.testing.assert_allclose(specials(three, "flip"), np.full(3, 3.8414990075), rtol=1e-10)


@pytest.mark.parametrize("shear", [0.3, -0.3])
def test_the_map_of_henon(shear):
    """Fixed points from a = -(1-b)^2/4 on, a flip at 3 (1-b)^2/4 (Henon 1976); linear in a = 0, where they go to infinity."""
    m = discrete("henon", {x: 1 - a * x**2 + y, y: b * x}, a=0.5, b=shear)
    data = follow(m, "a", (-1.0, 1.4), box={"x": (-20, 20), "y": (-20, 20)})
    np.testing.assert_allclose(specials(data, "fold"), [-((1 - shear) ** 2) / 4], rtol=1e-10)
    np.testing.assert_allclose(specials(data, "flip"), [0.75 * (1 - shear) ** 2], rtol=1e-10)
    assert coefficients(data, "flip")[1] == ["supercritical"]


def test_the_delayed_logistic_map_loses_stability_in_a_rotation():
    """Maynard Smith 1968: at r = 2 the pair is exp(+-i pi/3) (Kuznetsov 2004, section 4.7: a(0) = -2 for |q|^2 = 2)."""
    data = follow(discrete("delayed", {x: r * x * (1 - y), y: x}, r=1.5), "r", (0.2, 3.0))
    np.testing.assert_allclose(specials(data, "neimark-sacker"), [2], rtol=1e-12)
    which = data["special_kind"].values == "neimark-sacker"
    np.testing.assert_allclose(data["special_omega"].values[which], [np.pi / 3], rtol=1e-12)
    size, kind = coefficients(data, "neimark-sacker")
    np.testing.assert_allclose(size, [-1], rtol=1e-9)
    assert kind == ["supercritical"]


@settings(max_examples=8, deadline=None)
@given(st.floats(0.3, 2.8), st.floats(-1, 1).filter(lambda v: abs(v) > 0.05), st.floats(-1, 1), st.floats(-1, 1))
def test_the_coefficient_of_a_rotation_does_not_depend_on_coordinates(angle, cubic, bend, shift):
    """z -> (1 + a) exp(i angle) z (1 + cubic |z|^2), seen in bent coordinates: the coefficient is 2 cubic for |q| = 1."""
    if min(abs(angle - np.pi / 2), abs(angle - 2 * np.pi / 3)) < 0.02:
        return
    bend, shift = sp.Float(bend), sp.Float(shift)
    u, v = x - shift, y - bend * (x - shift) ** 2  # the straight coordinates of a point (x, y)
    grown = (1 + a) * (1 + sp.Float(cubic) * (u**2 + v**2))
    c, s = sp.Float(np.cos(angle)), sp.Float(np.sin(angle))
    new, other = grown * (c * u - s * v), grown * (s * u + c * v)
    m = discrete("bent", {x: new + shift, y: other + bend * new**2}, start={x: shift, y: 0}, a=-0.1)
    data = follow(m, "a", (-0.3, 0.3), start={"x": float(shift), "y": 0.0})
    np.testing.assert_allclose(specials(data, "neimark-sacker"), [0], atol=1e-9)
    size, kind = coefficients(data, "neimark-sacker")
    np.testing.assert_allclose(
        data["special_omega"].values[data["special_kind"].values == "neimark-sacker"], angle, rtol=1e-9
    )
    np.testing.assert_allclose(size, [2 * cubic], rtol=1e-6)
    assert kind == ["supercritical" if cubic < 0 else "subcritical"]


@settings(max_examples=8, deadline=None)
@given(st.floats(-1, 1), st.floats(-2, 2))
def test_the_coefficient_of_a_flip(quadratic, cubic):
    """x -> -(1 + a) x + q x^2 + k x^3: c = q^2 + k, and of period two there is an orbit on the side that its sign says."""
    if abs(quadratic**2 + cubic) < 0.02:
        return
    m = discrete("flip", {x: -(1 + a) * x + sp.Float(quadratic) * x**2 + sp.Float(cubic) * x**3}, start={x: 0}, a=0.1)
    data = follow(m, "a", (-0.2, 0.2), start={"x": 0.0})
    np.testing.assert_allclose(specials(data, "flip"), [0], atol=1e-10)
    size, kind = coefficients(data, "flip")
    np.testing.assert_allclose(size, [quadratic**2 + cubic], rtol=1e-9)
    assert kind == ["supercritical" if size > 0 else "subcritical"]


@pytest.mark.parametrize(
    ("angle", "word"), [(np.pi / 2, "resonant"), (2 * np.pi / 3, "resonant"), (1.0, "subcritical")]
)
def test_strong_resonances_are_named(angle, word):
    c, s = sp.Float(np.cos(angle), 17), sp.Float(np.sin(angle), 17)
    grown = (1 + a) * (1 + (x**2 + y**2) / 2)
    m = discrete("turn", {x: grown * (c * x - s * y), y: grown * (s * x + c * y)}, a=-0.1)
    data = follow(m, "a", (-0.2, 0.2), start={"x": 0.0, "y": 0.0})
    assert coefficients(data, "neimark-sacker")[1] == [word]


def test_descent_loses_stability_at_two_over_the_sharpness():
    """The edge of stability: a flip at h = 2/(largest curvature), with f''' and f'' of the loss in its coefficient."""
    m = tm.descent((x**2 - 1) ** 2 / 4 + y**2 / 6, [x, y], step=h, params={"h": 0.1}, start={"x": 0.5, "y": 0.2})
    data = follow(m, "h", (0.05, 5.0))
    np.testing.assert_allclose(np.unique(specials(data, "flip").round(9)), [1])
    size, kind = coefficients(data, "flip")
    np.testing.assert_allclose(size, 8, rtol=1e-9)  # f'' = -6 h, f''' = -6 h at h = 1
    assert set(kind) == {"supercritical"}


@pytest.mark.parametrize("count", [2, 3])
def test_descent_on_the_mechanisms_keeps_the_joint_state_up_to_its_largest_rate(count):
    """THEORY 1.5: h < 2/max(lam + 1/K, |sigma_-|), here below the critical diversity."""
    names = ["a", "b", "c"][:count]
    m = tm.with_optimizer(tm.models.mechanisms(names), tm.Descent(h), params={"h": 0.1})
    lam, mu, n = 0.01, 0.1, 1.0
    g = count * lam / (1 + count * lam)
    lower = -(lam + mu) / 2 - np.sqrt((lam - mu) ** 2 / 4 + n * g**2 / count)
    data = follow(m, "h", (0.5, 8.0), params={"diversity": n})
    np.testing.assert_allclose(specials(data, "flip")[0], 2 / max(lam + 1 / count, abs(lower)), rtol=1e-10)


def test_several_multipliers_at_once():
    """Two uncoupled copies flip together: that is said, and no scalar coefficient is made up for it."""
    m = discrete("two", {x: r * x * (1 - x), y: r * y * (1 - y)}, r=2.5)
    data = follow(m, "r", (1.5, 4.0))
    order = np.argsort(-data["special_kernel"].values)
    assert data["special_kernel"].values[order].tolist() == [2, 1, 1]
    assert np.isnan(data["special_lyapunov"].values[order[0]])
    np.testing.assert_allclose(data["special_at"], 3, rtol=1e-10)


def test_where_areas_are_kept_both_multipliers_meet_at_minus_one():
    """The standard map (Chirikov 1979): its elliptic point is a saddle with alternation from K = 4 on."""
    k = sp.Symbol("K", real=True)
    m = discrete("standard", {x: x + y + k * sp.sin(x), y: y + k * sp.sin(x)}, K=1.0)
    data = follow(m, "K", (0.1, 6.0), box={"x": (2.0, 4.0), "y": (-1.0, 1.0)})
    np.testing.assert_allclose(specials(data, "flip"), [4], rtol=1e-10)
    assert data.sizes["special"] == 1
    assert set(data["kind"].values[data["K"].values < 3.99].astype(str)) == {"centre"}


def test_what_a_map_conserves_is_divided_out():
    m = discrete("si", {x: x - a * x * y + b * y, y: y + a * x * y - b * y}, start={x: 0.9, y: 0.1}, a=0.5, b=0.1)
    data = follow(m, "a", (0.01, 4.0))
    assert data.sizes["mode"] == 1
    np.testing.assert_allclose(specials(data, "branch"), [0.1], rtol=1e-10)
    np.testing.assert_allclose(specials(data, "flip"), [2.1], rtol=1e-10)  # multiplier 1 - (a - b)
    np.testing.assert_allclose(data["x"] + data["y"], 1, rtol=1e-12)


def test_centres_end_in_folds_and_flips_of_conservative_systems():
    """x'' = a - x^2: a fold at a = 0 between centres and saddles, which no change of stability shows."""
    data = tm.follow(tm.Model(name="newton", flow={x: y, y: a - x**2}, params={a: 1.0}), "a", (-1.0, 2.0), cycles=False)
    np.testing.assert_allclose(specials(data, "fold"), [0], atol=1e-12)


def test_iterated_is_the_map_several_times():
    m = discrete("henon", {x: 1 - a * x**2 + y, y: b * x}, a=1.4, b=0.3)
    one = tm.solve(m, t=[0, 1, 2, 3, 6], start={"x": 0.1, "y": 0.2})
    three = tm.solve(tm.iterated(m, 3), t=[0, 1, 2], start={"x": 0.1, "y": 0.2})
    for name in ("x", "y"):
        np.testing.assert_allclose(one[name].values[[0, 3, 4]], three[name].values, rtol=1e-12)
    census = tm.fixed_points(tm.iterated(m, 2))
    points = np.sort([p.state["x"] for p in census.points])
    pair = np.roots([1.4**2, -1.4 * 0.7, 0.7**2 - 1.4])  # of period two (Henon 1976), beside the two fixed points
    both = np.roots([1.4, 0.7, -1])
    np.testing.assert_allclose(points, np.sort([*pair, *both]), rtol=1e-12)
    assert census.complete
    for wrong, error in ((0, ArgumentError), (1.5, ArgumentError), (40, ModelError)):
        with pytest.raises(error):
            tm.iterated(m, wrong)
    with pytest.raises(ModelError, match="is a flow"):
        tm.iterated(tm.models.gated, 2)


def test_the_report_on_a_map_names_the_flip_next_to_it():
    """The special point lies between the value in question and the next point of the branch, on either side."""
    for rate, sides in ((3.05, ("stable", "unstable")), (2.95, ("stable", "unstable"))):
        report = tm.assess(logistic(), params={"r": rate}, budget=10)
        own = [c for s in report.scans for c in s.changes if c.joint and c.kind == "flip"]
        assert [(c.below, c.above) for c in own] == [sides]
        assert own[0].at == pytest.approx(3, rel=1e-10)
        assert "flip" in str(report)

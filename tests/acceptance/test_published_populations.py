"""Published bifurcations and counts of population models, flows and maps."""

import numpy as np
import pytest
import sympy as sp
from published_systems import R, certified, flow, points, printed, reals, specials
from scipy.optimize import brentq

import toymesa as tm

x, y, z, r, k = reals("x y z r k")


def map_(name, rates, **params):
    return tm.Model(name=name, flow=rates, params=params, discrete=True)


def iterate(rule, times):
    out = x
    for _ in range(times):
        out = rule.subs(x, out)
    return out


# ---------------------------------------------------------------- predators and prey


def bazykin(delta=0.0):
    """Bazykin 1985 with gamma = 1 and epsilon = 0.01."""
    alpha, d = reals("alpha delta")
    rates = {x: x - x * y / (1 + alpha * x) - x**2 / 100, y: -y + x * y / (1 + alpha * x) - d * y**2}
    return flow("bazykin", rates, {x: 2, y: 1}, alpha=0.5, delta=delta)


def test_bazykin_without_competition_of_predators():
    """Bazykin 1985, Kuznetsov 2004, chapter 8; AUTO's output by Sieber (Imperial College 2005): Hopf 1.020625E-02 and 9.797938E-01, branch 0.99.

    Exact: alpha^2 - (1 - epsilon) alpha + epsilon = 0 and alpha = 1 - epsilon. The last digit of 1.020625E-02 is wrong.
    """
    data = tm.follow(
        bazykin(), "alpha", [0.0, 0.995], start={"x": 2, "y": 2}, box={"x": (0.01, 150), "y": (-0.5, 60)}, cycles=False
    )
    exact = (0.99 + np.sqrt(0.99**2 - 0.04) * np.array([-1, 1])) / 2
    low, high = specials(data, "hopf")
    np.testing.assert_allclose([low, high], exact, rtol=1e-10)
    assert (printed(low, "1.02062e-2"), printed(high, "9.797938e-1")) == (True, True)
    assert not printed(low, "1.020625e-2")
    assert specials(data, "branch") == pytest.approx([0.99], abs=1e-10)
    (index,) = np.flatnonzero(data["special_at"].values == high)
    np.testing.assert_allclose(data["special_state"].values[index], [49.48969, 24.99740], rtol=2e-7)
    assert set(data["special_criticality"].values) == {"", "supercritical"}


def test_the_codimension_two_points_of_bazykin():
    """Bazykin 1985, Kuznetsov 2004, chapter 8: two Bogdanov-Takens points, one cusp and one Bautin point in (alpha, delta).

    Proved: the cusp and the Bogdanov-Takens points solve polynomial equations, and each box holds exactly one solution.
    """
    data = tm.follow(
        bazykin(), "alpha", [0.0, 0.995], second="delta", range2=[0.0, 0.5], box={"x": (0.01, 150), "y": (1e-3, 60)}
    )
    assert sorted(data["special_kind"].values) == ["bogdanov-takens", "bogdanov-takens", "cusp", "generalized-hopf"]
    alpha, delta = reals("alpha delta")
    # y = (1 - x/100)(1 + alpha x) and x = (1 + delta y)(1 + alpha x)
    prey = (1 - x / 100) * (1 + alpha * x)
    g = sp.expand(x - (1 + delta * prey) * (1 + alpha * x))
    # the trace, times (1 + alpha x)
    trace = sp.expand(x * sp.diff(prey, x) - delta * prey * (1 + alpha * x))
    for kind, last in (("cusp", sp.diff(g, x, 2)), ("bogdanov-takens", trace)):
        for index in np.flatnonzero(data["special_kind"].values == kind):
            near = {
                "x": data["special_state"].values[index, 0],
                "alpha": data["special_at"].values[index],
                "delta": data["special_second"].values[index],
            }
            box = {n: (v * (1 - 1e-5), v * (1 + 1e-5)) for n, v in near.items()}
            low, high = certified({x: g, alpha: sp.diff(g, x), delta: last}, box, "delta")
            assert near["delta"] == pytest.approx((low + high) / 2, rel=1e-8)


@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 1.1), (0.8, 1.3), (0.6, 1.4)])
def test_three_competitors(alpha, beta):
    """May and Leonard 1975: eight fixed points; the one of all three is stable for alpha + beta < 2 and unstable beyond.

    Its eigenvalues are -1 and (alpha + beta - 2 +- i sqrt 3 |alpha - beta|)/(2 (1 + alpha + beta)): at alpha + beta = 2 a centre.
    """
    a, b = reals("a b")
    rates = {p: p * (1 - p - a * q - b * s) for p, q, s in ((x, y, z), (y, z, x), (z, x, y))}
    census = tm.fixed_points(flow("competition", rates, a=alpha, b=beta))
    assert (census.complete, len(census.points)) == (True, 8)
    (inner,) = (p for p in census.points if 0 not in p.state.values())
    assert list(inner.state.values()) == pytest.approx([1 / (1 + alpha + beta)] * 3, rel=1e-15)
    pair = (alpha + beta - 2 + 1j * 3**0.5 * abs(alpha - beta)) / (2 * (1 + alpha + beta))
    np.testing.assert_allclose(
        sorted(inner.eigenvalues, key=lambda v: v.imag), [pair.conjugate(), -1, pair], atol=1e-14
    )
    assert (
        inner.kind == {-1: "stable-spiral", 0: "centre", 1: "unstable-spiral"}[int(np.sign(round(alpha + beta - 2, 9)))]
    )


def test_the_cusp_of_the_spruce_budworm():
    """Ludwig, Jones and Holling 1978 (Strogatz 1994, section 3.7): outbreaks need k > 3 sqrt 3 = 5.196, r < 3 sqrt 3/8 = 0.6495."""
    m = flow("budworm", {x: r * x * (1 - x / k) - x**2 / (1 + x**2)}, {x: 1}, r=0.5, k=10.0)
    data = tm.follow(m, "r", [0.1, 0.8], second="k", range2=[3.0, 20.0], box={"x": (0.05, 20)})
    np.testing.assert_allclose(points(data, "cusp"), [(3 * 3**0.5 / 8, 3 * 3**0.5)], rtol=1e-9)
    # the folds in their parametric form, same section
    turn = data["x"].values
    np.testing.assert_allclose(data["r"], 2 * turn**3 / (1 + turn**2) ** 2, rtol=1e-8)
    np.testing.assert_allclose(data["k"], 2 * turn**3 / (turn**2 - 1), rtol=1e-8)


# ---------------------------------------------------------------- maps


def test_where_the_logistic_map_gets_its_cycle_of_three():
    """Myrberg 1958, May 1976: cycles of period 3 from r = 1 + sqrt 8 = 3.8284 on; before there are the two fixed points alone."""
    m = map_("three", {x: sp.expand(iterate(r * x * (1 - x), 3))}, r=3.8)
    born = 1 + 8**0.5
    before = tm.fixed_points(m, params={"r": round(born - 1e-4, 6)})
    after = tm.fixed_points(m, params={"r": round(born + 1e-4, 6)})
    assert (before.complete, len(before.points)) == (True, 2)
    assert (after.complete, len(after.points)) == (True, 8)
    assert [p.kind for p in after.points].count("stable") == 3  # the stable cycle; the unstable one beside it


def test_the_second_doubling_of_the_ricker_map():
    """May 1974 (Science 186, 645-647), x exp(r (1 - x)): its fixed point is stable to r = 2.000, its 2-cycle from there to r = 2.526."""
    rule = x * sp.exp(r * (1 - x))
    one, two = map_("ricker", {x: rule}, r=2.0), map_("ricker_twice", {x: iterate(rule, 2)}, r=2.0)

    def multiplier(m, at, near):
        return tm.stability(m, [near], params={"r": at}).eigenvalues[0].real

    assert brentq(lambda at: multiplier(one, at, 1.0) + 1, 1.5, 2.4) == pytest.approx(2.0, abs=1e-10)

    def on_the_cycle(at):
        census = tm.fixed_points(two, params={"r": round(at, 9)}, box={"x": (1.05, 4)})
        assert (census.complete, len(census.points)) == (True, 1)
        return census.points[0].eigenvalues[0].real + 1

    assert printed(brentq(on_the_cycle, 2.4, 2.6, xtol=1e-7), "2.526")


def test_the_fixed_points_of_the_henon_map():
    """Henon 1976 (a = 1.4, b = 0.3): x = 0.63135448, y = 0.18940634, multipliers 0.15594632 and -1.92373886."""
    census = tm.fixed_points(map_("henon", {x: 1 - R(14, 10) * x**2 + y, y: R(3, 10) * x}))
    assert (census.complete, len(census.points)) == (True, 2)
    point = census.points[1]
    assert (printed(point.state["x"], "0.63135448"), printed(point.state["y"], "0.18940634")) == (True, True)
    small, large = sorted(v.real for v in point.eigenvalues)[::-1]
    assert (printed(small, "0.15594632"), printed(large, "-1.92373886")) == (True, True)
    assert point.kind == "saddle"
    low, high = point.enclosure["x"]
    exact = (sp.sqrt(sp.Rational(49, 100) + sp.Rational(56, 10)) - sp.Rational(7, 10)) / sp.Rational(28, 10)
    assert sp.Rational(low) <= exact <= sp.Rational(high)

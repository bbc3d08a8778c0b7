"""Published bifurcations and orbits of models of the atmosphere and the ocean."""

import numpy as np
import pytest
import sympy as sp
from published_systems import R, certified, flow, points, printed, reals, specials

import toymesa as tm

X, Y, Z, U, F, G, T = reals("X Y Z U F G T")


# ---------------------------------------------------------------- Lorenz 1963


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
def test_the_shortest_cycle_of_the_lorenz_attractor(method):
    """Viswanath 2003: the cycle AB has period 1.5586522107162 and passes (-13.763610682134, -19.578751942452, 27).

    The section z = r - 1 is crossed downward; 14 correct digits are claimed there.
    """
    rates = {X: 10 * (Y - X), Y: 28 * X - Y - X * Z, Z: X * Y - R(8, 3) * Z}
    start = {X: R("-13.763610682134"), Y: R("-19.578751942452"), Z: 27}
    m = flow("lorenz", rates, start)
    run = tm.solve(m, [0, 1.5586522107162], method=method, rtol=1e-13, atol=1e-13)
    end = [run[name].values[-1] for name in "XYZ"]
    # the multiplier is 4.71; the last digit of the period is worth 2e-12 of z
    np.testing.assert_allclose(end, [-13.763610682134, -19.578751942452, 27], rtol=0, atol=1e-11)


def test_the_cycle_of_lorenz_closes_where_it_says():
    """The same period as the time of an event: the second return to z = 27 from above."""
    rates = {X: 10 * (Y - X), Y: 28 * X - Y - X * Z, Z: X * Y - R(8, 3) * Z}
    m = flow("lorenz", rates, {X: R("-13.763610682134"), Y: R("-19.578751942452"), Z: 27})
    run = tm.solve(m, 1.7, events={"up": ("Z - 27", {"direction": 1})}, rtol=1e-13, atol=1e-13)
    times = run["event_up"].values
    assert np.min(np.abs(times - 1.5586522107162)) < 5e-13


# ---------------------------------------------------------------- Lorenz 1984


@pytest.mark.slow
def test_the_zero_hopf_and_cusp_points_of_the_lorenz_84_model():
    """Shilnikov, Nicolis and Nicolis 1995 (a = 1/4, b = 4): zero-Hopf at (F, G) = (1.684052, 1.682969).

    Exact: fixed points satisfy ((1 - X)^2 + b^2 X^2) a (F - X) = G^2 and the zero-Hopf point has X = 1 + a/2; at the cusp
    the first two derivatives of the left side vanish.
    """
    rates = {X: -(Y**2) - Z**2 - X / 4 + F / 4, Y: X * Y - 4 * X * Z - Y + G, Z: 4 * X * Y + X * Z - Z}
    m = flow("lorenz_84", rates, {X: 0.5}, F=1.5, G=1.5)
    data = tm.follow(m, "F", [-0.5, 4], second="G", range2=[0.05, 4], box={"X": (-1, 4), "Y": (-3, 3), "Z": (-3, 3)})
    ((f, g),) = points(data, "zero-hopf")
    assert (printed(f, "1.684052"), printed(g, "1.682969")) == (True, True)
    at = R(9, 8)
    left = ((1 - X) ** 2 + 16 * X**2) * (F - X) / 4
    flat = sp.solve(sp.diff(left, X).subs(X, at), F)[0]  # the eigenvalue zero
    assert f == pytest.approx(float(flat), rel=1e-10)
    assert g == pytest.approx(float(sp.sqrt(left.subs({X: at, F: flat}))), rel=1e-10)
    ((f, g),) = points(data, "cusp")
    cusp = sp.solve([sp.diff(left, X), sp.diff(left, X, 2)], [X, F], dict=True)
    exact = [(float(c[F]), float(sp.sqrt(left.subs(c)))) for c in cusp if c[F].is_real and left.subs(c) > 0]
    np.testing.assert_allclose([(f, g)], exact, rtol=1e-9)


EXTENDED = {
    X: -(Y**2) - Z**2 - X / 4 + F / 4 - R(987, 1000) * U**2,
    Y: X * Y - X * Z - Y + R(1, 4),
    Z: X * Y + X * Z - Z,
    U: -R(104, 100) * U + R(987, 1000) * U * X + T,
}
WIDE = {"X": (-2, 4), "Y": (-2, 2), "Z": (-2, 2), "U": (-3, 3)}


def extended():
    """Lorenz 1984 with the temperature of the sea by van Veen 2003; it maps to itself under U -> -U, T -> -T."""
    return flow("extended_lorenz_84", EXTENDED, {X: 1}, F=2.0, T=0.04)


def test_the_extended_lorenz_84_model_in_one_parameter():
    """Veltz 2020 (BifurcationKit.jl, tests of this system), T = 0.04: fold at F = 1.54664837; the others lie in intervals.

    Hopf in (2.8598634, 2.8598978), (2.4672119, 2.4672462) and (1.6196575, 1.6196655).
    """
    data = tm.follow(extended(), "F", [-1.5, 2.9], box=WIDE, cycles=False)
    assert [printed(f, "1.54664837") for f in specials(data, "fold")] == [True]
    intervals = [
        (1.619657484413436, 1.6196654620692468),
        (2.467211879219629, 2.467246154619121),
        (2.8598634135619982, 2.859897757930758),
    ]
    for value, (low, high) in zip(specials(data, "hopf"), intervals, strict=True):
        assert low < value < high


@pytest.mark.slow
def test_all_codimension_two_points_of_the_extended_lorenz_84_model():
    """The same source has T = 0.02058724 and -0.02135893 for the Bogdanov-Takens points, +-0.02627... for the Hopf-Hopf ones.

    (T, F) -> (-T, F) is a symmetry, so the first two cannot both be right; neither is. Interval arithmetic proves
    T = 0.0209401696833... The zero-Hopf points, printed as 0.00004983 and -0.00045281, are at +-0.00012654, the value
    T = 0.0001265 that the source takes as its default. The Hopf-Hopf points, 0.02627393 and -0.02627430, are +-0.02627394.
    """
    data = tm.follow(extended(), "F", [0.5, 3.0], second="T", range2=[-0.06, 0.06], box=WIDE)
    kinds = data["special_kind"].values.tolist()
    assert {c: kinds.count(c) for c in kinds} == {
        "hopf-hopf": 2, "generalized-hopf": 2, "bogdanov-takens": 2, "zero-hopf": 2, "cusp": 1,
    }  # fmt: skip
    for kind in set(kinds):
        found = np.array(points(data, kind))
        np.testing.assert_allclose(found[:, 1].sum(), 0, atol=1e-9)
    double = sorted(level for _, level in points(data, "hopf-hopf"))
    assert printed(double[1], "0.0262739")
    np.testing.assert_allclose(double, [-0.02627430, 0.02627393], atol=4e-7)
    assert printed(max(level for _, level in points(data, "zero-hopf")), "0.0001265")
    ((_, zero),) = points(data, "cusp")
    assert zero == pytest.approx(0, abs=1e-9)
    at, level = max(points(data, "bogdanov-takens"), key=lambda p: p[1])
    (index,) = np.flatnonzero((data["special_kind"].values == "bogdanov-takens") & (data["special_second"].values > 0))
    low, high = _proved_double_zero(data["special_state"].values[index], at, level)
    assert high - low < 1e-12
    assert level == pytest.approx(low, rel=1e-10)
    for wrong in (0.02058724, 0.02135893):
        assert abs(wrong - low) > 3e-4


def _proved_double_zero(state, at, level):
    """Bounds of T where both the determinant and the next coefficient of the characteristic polynomial vanish."""
    names = list(EXTENDED)
    matrix = sp.Matrix(list(EXTENDED.values())).jacobian(names)
    minors = sum(matrix.extract(rest, rest).det() for rest in ([a for a in range(4) if a != i] for i in range(4)))
    equations = {**EXTENDED, F: sp.expand(matrix.det(method="berkowitz")), T: sp.expand(minors)}
    near = dict(zip("XYZU", state, strict=True)) | {"F": at, "T": level}
    return certified(equations, {c: (v - 1e-5, v + 1e-5) for c, v in near.items()}, "T")


# ---------------------------------------------------------------- oceans


def test_the_recharge_oscillator():
    """Jin 1997: neutral at coupling mu = 2/3 with omega = sqrt(3/32); in units of 2 months a period of 3.4 years."""
    temperature, depth, mu = reals("temperature depth mu")
    b = R(5, 2) * mu
    rates = {
        temperature: (R(3, 4) * b - 1) * temperature + R(3, 4) * depth - 3 * (depth + b * temperature) ** 3,
        depth: -depth / 4 - b * temperature / 8,
    }
    m = flow("recharge", rates, {temperature: 0.1}, mu=0.6)
    data = tm.follow(m, "mu", [0.4, 0.9], start={"temperature": 0, "depth": 0}, cycles=False)
    assert specials(data, "hopf") == pytest.approx([2 / 3], rel=1e-12)
    omega = data["special_omega"].item()
    assert omega == pytest.approx((3 / 32) ** 0.5, rel=1e-12)
    assert printed(2 * np.pi / omega * 2 / 12, "3.4")
    assert data["special_criticality"].item() == "supercritical"


def test_the_two_box_ocean():
    """Stommel 1961 as reduced by Cessi 1994: y' = p - y (1 + mu^2 (1 - y)^2), mu^2 = 6.2; three states of rest for mu^2 > 3.

    Folds at y = (2 -+ sqrt(1 - 3/mu^2))/3: p = 0.9556 and 1.2962, and a cusp at mu^2 = 3, y = 2/3, p = 8/9.
    """
    y, p, strength = reals("y p strength")
    m = flow("two_boxes", {y: p - y * (1 + strength * (1 - y) ** 2)}, {y: 0.2}, p=1.0, strength=6.2)
    data = tm.follow(m, "p", [0.2, 2.0], box={"y": (-1, 3)})
    turns = (2 + np.sqrt(1 - 3 / 6.2) * np.array([1, -1])) / 3
    np.testing.assert_allclose(specials(data, "fold"), turns * (1 + 6.2 * (1 - turns) ** 2), rtol=1e-11)
    assert [printed(f, t) for f, t in zip(specials(data, "fold"), ("0.9556", "1.2962"), strict=True)] == [True, True]
    both = tm.follow(m, "p", [0.2, 2.0], second="strength", range2=[1.0, 8.0], box={"y": (-1, 3)})
    np.testing.assert_allclose(points(both, "cusp"), [(8 / 9, 3.0)], rtol=1e-8)
    for level, count in ((0.95, 1), (1.1, 3), (1.3, 1)):
        census = tm.fixed_points(m, params={"p": level})
        assert (census.complete, len(census.points)) == (True, count)

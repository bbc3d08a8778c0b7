"""Published states, counts and bifurcations of games: replicator, best reply with noise, competing neurons."""

import math

import numpy as np
import pytest
import sympy as sp
from published_systems import R, flow, reals, specials

import toymesa as tm

x, y, z = reals("x y z")
beta = sp.Symbol("beta", positive=True)
TRIANGLE = {"x": (0.001, 0.998), "y": (0.001, 0.998)}


def replicator(payoff):
    """Taylor and Jonker 1978, three strategies, the last share being 1 - x - y."""
    shares = sp.Matrix([x, y, 1 - x - y])
    fitness = sp.Matrix(payoff) * shares
    mean = (shares.T * fitness)[0]
    return flow(
        "replicator",
        {s: sp.expand(s * (f - mean)) for s, f in ((x, fitness[0]), (y, fitness[1]))},
        {x: R(1, 3), y: R(1, 4)},
    )


def logit(fitness, **observables):
    """Fudenberg and Levine 1998: each share moves towards the best reply with noise of precision beta."""
    weights = [sp.exp(beta * f) for f in fitness]
    rates = {s: w / sum(weights) - s for s, w in ((x, weights[0]), (y, weights[1]))}
    return tm.Model(
        name="logit", flow=rates, params={beta: 2.0}, start={x: R(1, 3), y: R(1, 3)}, observables=observables
    )


@pytest.mark.parametrize(("win", "kind"), [(R(3, 2), "stable-spiral"), (R(1), "centre"), (R(1, 2), "unstable-spiral")])
def test_rock_paper_scissors(win, kind):
    """Zeeman 1980, Hofbauer and Sigmund 1998, theorem 7.7.2: the even mixture attracts, rests or repels as det A > 0, = 0, < 0.

    Beside it the three pure strategies, all saddles; eigenvalues (1 - win +- i sqrt 3 (1 + win))/6 for a loss of 1.
    """
    payoff = [[0, -1, win], [win, 0, -1], [-1, win, 0]]
    census = tm.fixed_points(replicator(payoff), box={"x": (0, 1), "y": (0, 1)})
    assert census.complete
    inside = [p for p in census.points if min(p.state.values()) > 0.01]
    (even,) = inside
    assert even.kind == kind
    assert list(even.state.values()) == pytest.approx([1 / 3, 1 / 3], rel=1e-15)
    # the payoffs are a circulant: its eigenvalues on the simplex are those at the complex cube roots of unity, over 3
    root = np.exp(2j * np.pi / 3)
    expected = (-root + float(win) * root**2) / 3
    found = max(even.eigenvalues, key=lambda v: v.imag)
    assert found == pytest.approx(complex(expected.real, abs(expected.imag)), abs=1e-14)
    corners = [p for p in census.points if set(p.state.values()) <= {0.0, 1.0}]
    assert sorted(p.kind for p in corners if sum(p.state.values()) <= 1) == ["saddle"] * 3


def test_hawks_and_doves():
    """Maynard Smith and Price 1973, Maynard Smith 1982: with a fight that costs C > V the share of hawks settles at V/C."""
    V, C = sp.symbols("V C", positive=True)
    m = flow("hawks", {x: x * (1 - x) * ((V - C) / 2 * x + V * (1 - x) - V / 2 * (1 - x))}, {x: R(1, 2)}, V=2.0, C=3.0)
    census = tm.fixed_points(m)
    assert [(p.state["x"], p.kind) for p in census.points] == [(0.0, "unstable"), (2 / 3, "stable"), (1.0, "unstable")]
    dear = tm.fixed_points(m, params={"V": 4.0}, box={"x": (0, 1)})
    assert [(p.state["x"], p.kind) for p in dear.points] == [(0.0, "unstable"), (1.0, "stable")]
    data = tm.follow(m, "V", [0.5, 5.0], box={"x": (0.05, 1.5)})
    assert specials(data, "branch") == pytest.approx([3.0], abs=1e-10)


@pytest.mark.parametrize(("delta", "epsilon"), [(0.2, 1.0), (0.5, 2.0)])
def test_noisy_rock_paper_scissors(delta, epsilon):
    """Hommes and Ochea 2012, proposition on the logit dynamics: Hopf at beta = 6/(epsilon - delta), a stable cycle beyond."""
    d, e = sp.Rational(str(delta)), sp.Rational(str(epsilon))
    last = 1 - x - y
    m = logit([d * y - e * last, d * last - e * x, d * x - e * y])
    data = tm.follow(m, "beta", [1.0, 12.0], box=TRIANGLE, cycles=False)
    assert specials(data, "hopf") == pytest.approx([6 / (epsilon - delta)], rel=1e-10)
    assert data["special_criticality"].item() == "supercritical"
    # both real parts of the circulant vanish with beta (epsilon - delta)/6 - 1; the frequency is the imaginary part
    omega = 6 / (epsilon - delta) / 3 * math.sqrt(3) / 2 * (epsilon + delta)
    assert data["special_omega"].item() == pytest.approx(omega, rel=1e-10)


def test_noisy_coordination_of_three():
    """The mean-field Potts model with q = 3 as a game: order and disorder are equal at beta = 2 (q - 1) ln(q - 1)/(q - 2) = 4 ln 2.

    Wu 1982, section I.C; Cuff et al. 2012: the even mixture is stable up to beta = q = 3, ordered states exist from the least
    value of ln(m (q - 1)/(1 - m))/(m - (1 - m)/(q - 1)) over shares m: beta = 2.7456.
    """
    shares = [x, y, 1 - x - y]
    free = sum(s * sp.log(s) - beta * s**2 / 2 for s in shares)
    m = logit(shares, free_energy=free)
    data = tm.follow(m, "beta", [2.0, 4.0], box=TRIANGLE, cycles=False)
    assert specials(data, "branch") == pytest.approx([3], rel=1e-10)
    (index,) = np.flatnonzero(data["special_kind"].values == "branch")
    assert data["special_kernel"].values[index] == 2
    share = np.linspace(0.4, 0.8, 400_001)
    least = (np.log(2 * share / (1 - share)) / (1.5 * share - 0.5)).min()
    assert least == pytest.approx(2.7456, abs=5e-5)
    np.testing.assert_allclose(specials(data, "fold"), [least] * 3, rtol=1e-9)
    pairs = tm.coexistence(m, data, of="free_energy")
    equal = pairs["maxwell"].values[np.isfinite(pairs["maxwell"].values)]
    np.testing.assert_allclose(equal, [4 * math.log(2)] * 3, rtol=1e-9)


def test_the_census_of_three_competing_neurons():
    """Noonburg 1989 (the system noon-3 of polynomial solvers, c = 1.1): 3^3 - 2 * 3 = 21 complex states; of them 7 are real.

    By symmetry: x = y = z solves 2 x^3 - c x + 1 = 0 (3 roots); x = y != z has z = (x^2 - c)/x and four
    roots x, thrice; all three different are the roots of t^3 - c t - 1 in any order. Sturm counts the real ones: 1 + 3 * 2 + 0.
    """
    c = R(11, 10)
    rates = {p: 1 - c * p + p * (q**2 + s**2) for p, q, s in ((x, y, z), (y, z, x), (z, x, y))}
    census = tm.fixed_points(flow("neurons", rates))
    other = (x**2 - c) / x
    same = sp.Poly(2 * x**3 - c * x + 1, x)
    pair = sp.Poly(sp.numer(sp.together(1 - c * x + x * (x**2 + other**2))), x)
    different = sp.Poly(x**3 - c * x - 1, x)
    assert different.count_roots() == 1  # so its roots are no real state
    assert same.degree() + 3 * pair.degree() + 6 == 21
    assert (census.complete, len(census.points)) == (True, 7)
    assert same.count_roots() + 3 * pair.count_roots() == 7

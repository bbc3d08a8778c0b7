"""Published reference solutions of initial value problems: the Test Set for IVP Solvers (Mazzia and Magherini 2008, Bari)."""

import numpy as np
import pytest
import sympy as sp
from published_systems import flow

import toymesa as tm

D = sp.Rational  # decimals as they are printed


def end_of(name, rates, start, t, **options):
    run = tm.solve(flow(name, rates, start), [0, t], max_steps=1_000_000, **options)
    return np.array([run[s.name].values[-1] for s in rates])


def test_robertson():
    """Robertson 1966; test set, problem ROBER at t = 1e11: 0.2083340149701255e-07, 0.8333360770334713e-13, 0.9999999791665050.

    At the end the net rates are 1e-10 of what goes forth and back, so that in double precision eight of the sixteen printed
    digits of the small two are within reach; they are reproduced, and all sixteen of the large one.
    """
    a, b, c = sp.symbols("a b c", real=True)
    forth, back, burn = D("0.04") * a, 10**4 * b * c, 3 * 10**7 * b**2
    rates = {a: back - forth, b: forth - back - burn, c: burn}
    end = end_of("robertson", rates, {a: 1}, 1e11, method="rodas5p", rtol=1e-12, atol=1e-22)
    published = [0.2083340149701255e-07, 0.8333360770334713e-13, 0.9999999791665050]
    np.testing.assert_allclose(end, published, rtol=1e-8)
    assert end[2] == pytest.approx(published[2], rel=1e-15)


def test_oregonator():
    """Field and Noyes 1974; test set, problem OREGO at t = 360: 1.000814870318523, 1228.178521549917, 132.0554942846706."""
    a, b, c = sp.symbols("a b c", real=True)
    s = D("77.27")
    rates = {
        a: s * (b + a * (1 - D("8.375e-6") * a - b)),
        b: (c - (1 + a) * b) / s,
        c: D("0.161") * (a - c),
    }
    end = end_of("oregonator", rates, {a: 1, b: 2, c: 3}, 360, method="rodas5p", rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(end, [1.000814870318523, 1228.178521549917, 132.0554942846706], rtol=2e-11)


def test_van_der_pol():
    """Hairer and Wanner 1996; test set, problem VDPOL, eps = 1e-6 at t = 2: 1.706167732170483, -0.8928097010247975."""
    a, b = sp.symbols("a b", real=True)
    rates = {a: b, b: 10**6 * ((1 - a**2) * b - a)}
    end = end_of("van_der_pol", rates, {a: 2}, 2.0, method="rodas5p", rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(end, [1.706167732170483, -0.8928097010247975], rtol=2e-11)


def test_high_irradiance_responses():
    """Schaefer 1975; test set, problem HIRES at t = 321.8122, sixteen digits of eight concentrations."""
    y1, y2, y3, y4, y5, y6, y7, y8 = names = sp.symbols("y1:9", real=True)
    bound = 280 * y6 * y8
    rates = [
        -D("1.71") * y1 + D("0.43") * y2 + D("8.32") * y3 + D("0.0007"),
        D("1.71") * y1 - D("8.75") * y2,
        -D("10.03") * y3 + D("0.43") * y4 + D("0.035") * y5,
        D("8.32") * y2 + D("1.71") * y3 - D("1.12") * y4,
        -D("1.745") * y5 + D("0.43") * (y6 + y7),
        -bound + D("0.69") * y4 + D("1.71") * y5 - D("0.43") * y6 + D("0.69") * y7,
        bound - D("1.81") * y7,
        -bound + D("1.81") * y7,
    ]
    published = [
        0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2,
        0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2,
    ]  # fmt: skip
    start = {y1: 1, y8: D("0.0057")}
    end = end_of(
        "hires", dict(zip(names, rates, strict=True)), start, 321.8122, method="rodas5p", rtol=1e-11, atol=1e-16
    )
    np.testing.assert_allclose(end, published, rtol=1e-11)


# reaction -> (rate constant, what reacts, what is made), species numbered as there
_POLLUTION = """
0.35: 1 > 2 3
26.6: 2 4 > 1
1.23e4: 5 2 > 6 1
8.6e-4: 7 > 5 5 8
8.2e-4: 7 > 8
1.5e4: 7 6 > 5 8
1.3e-4: 9 > 5 8 10
2.4e4: 9 6 > 11
1.65e4: 11 2 > 10 12 1
9.0e3: 11 1 > 13
0.022: 13 > 11 1
1.2e4: 10 2 > 14 1
1.88: 14 > 7 5
1.63e4: 1 6 > 15
4.8e6: 3 > 4
3.5e-4: 4 > 16
0.0175: 4 > 3
1.0e8: 16 > 6 6
4.44e11: 16 > 3
1240: 17 6 > 18 5
2.1: 19 > 2
5.78: 19 > 1 3
0.0474: 1 4 > 19
1780: 19 1 > 20
3.12: 20 > 19 1
"""


def test_air_pollution():
    """Verwer 1994; test set, problem POLLU: 25 reactions of 20 species; sixteen digits at t = 60."""
    names = sp.symbols("y1:21", real=True)
    rates = dict.fromkeys(names, sp.Integer(0))
    for line in _POLLUTION.split("\n")[1:-1]:
        constant, reaction = line.split(": ")
        used, made = ([names[int(i) - 1] for i in side.split()] for side in reaction.split(" > "))
        speed = D(constant) * sp.prod(used)
        for s in used:
            rates[s] -= speed
        for s in made:
            rates[s] += speed
    published = [
        0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2, 0.2018977262302196e-6,
        0.1464541863493966e-6, 0.7784249118997964e-1, 0.3245075353396018, 0.7494013383880406e-2, 0.1622293157301561e-7,
        0.1135863833257075e-7, 0.2230505975721359e-2, 0.2087162882798630e-3, 0.1396921016840158e-4, 0.8964884856898295e-2,
        0.4352846369330103e-17, 0.6899219696263405e-2, 0.1007803037365946e-3, 0.1772146513969984e-5, 0.5682943292316392e-4,
    ]  # fmt: skip
    start = {names[i]: D(v) for i, v in ((1, "0.2"), (3, "0.04"), (6, "0.1"), (7, "0.3"), (8, "0.01"), (16, "0.007"))}
    end = end_of("pollution", rates, start, 60, method="rodas5p", rtol=1e-10, atol=1e-25)
    np.testing.assert_allclose(end, published, rtol=1e-9)


def test_the_arenstorf_orbit():
    """Arenstorf 1963 (Hairer, Norsett and Wanner 1993, section II.0): period 17.0652165601579625588917206249."""
    a, b, c, d = sp.symbols("a b c d", real=True)
    mu = D("0.012277471")
    one, two = ((a + mu) ** 2 + c**2) ** D(3, 2), ((a - 1 + mu) ** 2 + c**2) ** D(3, 2)
    rates = {
        a: b,
        b: a + 2 * d - (1 - mu) * (a + mu) / one - mu * (a - 1 + mu) / two,
        c: d,
        d: c - 2 * b - (1 - mu) * c / one - mu * c / two,
    }
    start = {a: D("0.994"), d: D("-2.00158510637908252240537862224")}
    period = 17.0652165601579625588917206249
    # errors grow about 1e8-fold along the orbit, which passes 2000 km from the moon
    end = end_of("arenstorf", rates, start, period, method="dop853", rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(end, [0.994, 0, 0, -2.00158510637908], rtol=0, atol=1e-5)
    np.testing.assert_allclose(end[[0, 2]], [0.994, 0], rtol=0, atol=1e-8)

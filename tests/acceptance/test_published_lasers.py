"""Published thresholds of lasers and of optical bistability."""

import numpy as np
import pytest
import sympy as sp
from published_systems import flow, points, reals, specials

import toymesa as tm

x, y, z = reals("x y z")


@pytest.mark.parametrize(("sigma", "decay", "second"), [(3, 1, 21.0), (2, sp.Rational(1, 4), 14.0), (6, 1, 15.0)])
def test_the_second_threshold_of_the_laser(sigma, decay, second):
    """Haken 1975: above pump 1 the laser shines; in a bad cavity, sigma > b + 1, it pulses from sigma (sigma + b + 3)/(sigma - b - 1).

    For sigma = 3 and b = 1 that is 21; the frequency there is sqrt(2 b sigma (sigma + 1)/(sigma - b - 1)).
    """
    pump = sp.Symbol("pump", real=True)
    rates = {x: sigma * (y - x), y: pump * x - y - x * z, z: x * y - decay * z}
    m = flow("laser", rates, {x: 1, y: 1, z: 1}, pump=5.0)
    box = {"x": (-9, 9), "y": (-9, 9), "z": (-1, 30)}
    data = tm.follow(m, "pump", [0.5, 25.0], cycles=False, box=box)
    assert specials(data, "branch") == pytest.approx([1], abs=1e-10)
    assert second == pytest.approx(float(sigma * (sigma + decay + 3) / (sigma - decay - 1)))
    np.testing.assert_allclose(specials(data, "hopf"), [second] * 2, rtol=1e-10)
    omega = float(sp.sqrt(2 * decay * sigma * (sigma + 1) / (sigma - decay - 1)))
    hopf = data["special_kind"].values == "hopf"
    np.testing.assert_allclose(data["special_omega"].values[hopf], omega, rtol=1e-9)
    assert set(data["special_criticality"].values[hopf]) == {"subcritical"}


def test_the_onset_of_optical_bistability():
    """Bonifacio and Lugiato 1978: y = x + 2 C x/(1 + x^2) is bistable for C > 4; there x = sqrt 3 and y = 3 sqrt 3.

    At C = 20 the folds are at x^2 = C - 1 -+ sqrt(C^2 - 4 C).
    """
    C = sp.Symbol("C", real=True)
    m = flow("cavity", {x: y - x - 2 * C * x / (1 + x**2)}, {x: 1}, y=5.0, C=5.0)
    data = tm.follow(m, "y", [0.5, 15.0], second="C", range2=[3.0, 8.0], box={"x": (0, 20)})
    np.testing.assert_allclose(points(data, "cusp"), [(3 * 3**0.5, 4.0)], rtol=1e-9)
    strong = tm.follow(m, "y", [1.0, 30.0], params={"C": 20.0}, box={"x": (0, 40)})
    turns = np.sqrt(19 + np.sqrt(20**2 - 80) * np.array([1, -1]))
    np.testing.assert_allclose(specials(strong, "fold"), turns + 40 * turns / (1 + turns**2), rtol=1e-10)


def test_the_laser_with_saturable_absorber():
    """Yamada 1993 as analysed by Dubbeldam and Krauskopf 1999 (B = 5.8, a = 1.8, gamma = 0.04): off state lost at A = B + 1 = 6.8.

    The bright branch A = (1 + I)(1 + B/(1 + a I)) turns where (1 + a I)^2 = B (a - 1); it is subcritical for a > 1 + 1/B.
    """
    gain, absorption, light = x, y, z
    A = sp.Symbol("A", real=True)
    B, a, gamma = sp.Rational(58, 10), sp.Rational(18, 10), sp.Rational(4, 100)
    rates = {
        gain: gamma * (A - gain - gain * light),
        absorption: gamma * (B - absorption - a * absorption * light),
        light: (gain - absorption - 1) * light,
    }
    m = flow("absorber", rates, {gain: 6, absorption: 5}, A=6.5)
    box = {"x": (-1, 12), "y": (-1, 8), "z": (-0.05, 12)}
    data = tm.follow(m, "A", [4.0, 9.0], box=box, cycles=False)
    assert specials(data, "branch") == pytest.approx([6.8], abs=1e-10)
    # A = (1 + I)(1 + B/(1 + a I)) is least where (1 + a I)^2 = B (a - 1)
    light_there = (np.sqrt(float(B * (a - 1))) - 1) / float(a)
    expected = (1 + light_there) * (1 + float(B) / (1 + float(a) * light_there))
    assert specials(data, "fold") == pytest.approx([expected], rel=1e-10)

"""Published equations of a product of two factors, reproduced by capability times objective."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm
from toymesa.theorems.capability import product, time_to


@pytest.mark.parametrize(
    ("c0", "s", "low", "high"), [(0.3, 1.0, 0.01, 0.5), (2.0, 0.7, 0.001, 0.69), (0.05, 3.0, 0.2, 2.9)]
)
def test_saxe_2014_unequal_factors(c0, s, low, high):
    """Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120), supplementary material A, tau = 1.

    With a^2 - b^2 = c_0, a b = (c_0/2) sinh theta,
    t = 1/sqrt(c_0^2 + 4 s^2) [ln((sqrt(c_0^2 + 4 s^2) + c_0 + 2 s tanh(theta/2)) / (sqrt(..) - c_0 - 2 s tanh(theta/2)))]
    between theta_0 and theta_f.
    """
    root = np.sqrt(c0**2 + 4 * s**2)

    def bracket(p):
        half = np.tanh(np.arcsinh(2 * p / c0) / 2)
        return np.log((root + c0 + 2 * s * half) / (root - c0 - 2 * s * half))

    published = (bracket(high) - bracket(low)) / root
    assert time_to(high, target=s, start=low, imbalance=c0) == pytest.approx(published, rel=1e-12)
    theta = np.arcsinh(2 * low / c0)
    kappa, w = np.sqrt(c0) * np.cosh(theta / 2), np.sqrt(c0) * np.sinh(theta / 2)
    run = tm.solve(
        tm.models.capability(),
        100.0,
        params={"target": s},
        start={"kappa": kappa, "w": w},
        events={"there": (f"product - {high!r}", {"terminal": True})},
        rtol=1e-11,
        atol=1e-13,
    )
    assert run["event_there"].item() == pytest.approx(published, rel=1e-8)


def test_saxe_2014_equal_factors():
    """Section 1.2 of the same: u_f(t) = s e^(2st) / (e^(2st) - 1 + s/u_0) for factors that start equal."""
    s, u0, t = 1.3, 1e-5, np.linspace(0.0, 9.0, 37)
    published = s * np.exp(2 * s * t) / (np.exp(2 * s * t) - 1 + s / u0)
    np.testing.assert_allclose(product(t, target=s, start=u0), published, rtol=1e-11)
    run = tm.solve(tm.models.capability(), t, params={"target": s}, start={"kappa": np.sqrt(u0), "w": np.sqrt(u0)})
    np.testing.assert_allclose(run["product"], published, rtol=1e-9)

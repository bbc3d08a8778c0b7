"""Deep linear networks: what Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120) print, from the depth model."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm
from toymesa.theorems import depth as theorems


def test_sigmoidal_learning_curve_of_two_layers():
    """Their eq. (6): the mode's strength is a(t) = s e^(2st/tau) / (e^(2st/tau) - 1 + s/a_0), with a delay t = tau/(2s)
    ln[...] (eq. 5)."""
    s, a0 = 3.0, 0.001
    t = np.linspace(0.0, 4.0, 9)
    published = s * np.exp(2 * s * t) / (np.exp(2 * s * t) - 1 + s / a0)
    run = tm.solve(tm.models.depth(1), t[1:], params={"target_1": s}, start={"x_1": a0}, method="dop853")
    assert theorems.course(t, target=s, start=a0) == pytest.approx(published, rel=1e-12)
    assert run["x_1"].values == pytest.approx(published[1:], rel=1e-6)


def test_time_of_infinitely_deep_networks():
    """Their eq. (17): t = tau/N_l [ (1/s^2) ln(u_f (s - u_0)/(u_0 (s - u_f))) + 1/(s u_0) - 1/(s u_f) ], which shows that
    the learning time stays finite when learning rates are scaled with depth."""
    s, u0, uf = 2.0, 0.1, 1.8
    published = np.log(uf * (s - u0) / (u0 * (s - uf))) / s**2 + 1 / (s * u0) - 1 / (s * uf)
    assert theorems.time_to_reach(uf, target=s, start=u0, depth=np.inf) == pytest.approx(published, rel=1e-13)


def test_learning_times_of_two_layers_are_inverse_to_the_strength():
    """Their section 2: the time to learn a mode is O(tau/s): modes of strengths 1, 2, 4 at equal relative start and end."""
    s = np.array([1.0, 2.0, 4.0])
    times = theorems.time_to_reach(0.9 * s, target=s, start=1e-3 * s, depth=2)
    assert times * s == pytest.approx(np.full(3, times[0]))

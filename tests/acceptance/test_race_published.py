"""Published equations of deep linear chains, reproduced by the race of one and of two chains."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm
from toymesa.models.race import race


def time_to(depth, low, high):
    """Training time of one chain from one strength to another, found by the solver."""
    run = tm.solve(
        race((depth,), ("u",)),
        1e6,
        start={"P_u": low},
        events={"there": (f"P_u - {high!r}", {"terminal": True})},
        rtol=1e-11,
        atol=1e-14,
    )
    return run["event_there"].item()


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.5), (0.001, 0.999), (0.1, 0.9)])
def test_saxe_2014_learning_time_of_a_mode(low, high):
    """Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120), section 1.2: t = tau/(2s) ln[u_f (s-u_0)/(u_0 (s-u_f))]."""
    published = 0.5 * np.log(high * (1 - low) / (low * (1 - high)))
    assert time_to(2, low, high) == pytest.approx(published, rel=1e-8)


def test_saxe_2014_sigmoid():
    """The same, solved for u_f: u_f(t) = s e^(2st/tau) / (e^(2st/tau) - 1 + s/u_0)."""
    t = np.linspace(0.0, 8.0, 33)
    run = tm.solve(race((2,), ("u",)), t, start={"P_u": 0.001})
    published = np.exp(2 * t) / (np.exp(2 * t) - 1 + 1 / 0.001)
    np.testing.assert_allclose(run["P_u"], published, rtol=1e-12)


def test_saxe_2014_infinite_depth():
    """Section 3 of the same: for N layers, as N grows, t = (tau/N) [ln(u_f (s-u_0)/(u_0 (s-u_f)))/s^2 + 1/(s u_0) - 1/(s u_f)]."""
    low, high = 0.1, 0.9
    published = np.log(high * (1 - low) / (low * (1 - high))) + 1 / low - 1 / high
    gaps = [abs(n * time_to(n, low, high) / published - 1) for n in (10, 100, 1000)]
    assert gaps[2] < 5e-3
    np.testing.assert_allclose(np.divide(gaps[1:], gaps[:-1]), 0.1, atol=0.03)  # the first correction is 1/N


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
def test_arora_2018_end_to_end_update(depth):
    """Arora, Cohen and Hazan 2018 (arXiv 1802.06509), theorem 1, for a single output and input.

    The end-to-end weight of N balanced layers moves by N |w|^(2-2/N) times the gradient: |w|^(2-2/N) along the
    gradient and (N-1) |w|^(2-2/N) along its projection on w, which in one dimension is the gradient itself.
    """
    model = race((depth, 2), ("u", "v"))
    start = {"P_u": 0.3, "P_v": 0.2}
    step = 1e-6
    run = tm.solve(model, [0.0, step], start=start, rtol=1e-13, atol=1e-15)
    moved = (run["P_u"].values[1] - run["P_u"].values[0]) / step
    gradient = -(1 - 0.5)
    size = 0.3 ** (2 - 2 / depth)
    assert moved == pytest.approx(-(size * gradient + (depth - 1) * size * gradient), rel=1e-5)

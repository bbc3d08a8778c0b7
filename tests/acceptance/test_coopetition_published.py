"""The minimal model of Singh et al. 2025 (arXiv 2503.05631, section on the mathematical model), in scalar form."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm


def test_emergence_and_transience_and_what_makes_it_persist():
    """They state: the strategy with the floor emerges first, is transient, and the other replaces it for good; the two
    cooperate through what they share; and a setting exists in which the first one persists (here: no floor)."""
    model = tm.models.coopetition()
    times = np.geomspace(0.1, 1e4, 200)
    run = tm.solve(model, times, method="rodas5p")
    first, second = run["mechanism_1"].values, run["mechanism_2"].values
    assert first.max() > 0.99
    assert times[first.argmax()] < times[np.argmax(second > 0.5)]
    assert abs(first[-1]) < 1e-6
    assert second[-1] == pytest.approx(1.0, abs=1e-6)
    persistent = tm.solve(model, times, params={"floor_1": 0.0}, method="rodas5p")
    assert persistent["mechanism_1"].values[-1] == pytest.approx(1.0, abs=1e-3)


def test_cooperation_the_shared_factors_are_learned_faster_together():
    """They state that one strategy can only emerge quickly with the other's help: b and c, which both use, reach a level
    sooner when both pull on them than when mechanism 1 is alone (d = 0 with the competition off)."""
    model = tm.models.coopetition()
    times = np.linspace(0.1, 40.0, 400)
    common = {"params": {"competition": 0.0, "floor_1": 0.1}, "method": "dop853"}
    together = tm.solve(model, times, start={"a": 0.2, "b": 0.1, "c": 0.1, "d": 0.2}, **common)
    alone = tm.solve(model, times, start={"a": 0.2, "b": 0.1, "c": 0.1, "d": 0.0}, **common)
    reached = [times[np.argmax(run["mechanism_1"].values > 0.5)] for run in (together, alone)]
    assert reached[0] < reached[1]

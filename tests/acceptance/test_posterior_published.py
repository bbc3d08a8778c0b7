"""Published statements that follow from the posterior model, each with its source."""

from __future__ import annotations

import numpy as np
import pytest

from toymesa.theorems import posterior as theorems


def test_the_time_to_memorize_grows_faster_than_the_number_of_tasks():
    """Wurgaft et al. 2025 (arXiv 2506.17859), abstract: a superlinear trend in the timescale for the transition to
    memorization as task diversity increases. A memorizer of D tasks needs about D times as many bits as one task does;
    with evidence that wears off as N^(-q) the crossover grows as D^(1/(1-q)), and their law (section 4: log posterior
    odds -k N^(1-alpha) gap - complexity gap) gives that exponent whatever the other constants."""
    tasks = 2.0 ** np.arange(4, 13)
    for slowing in (0.2, 0.5, 0.8):
        steps = theorems.power_crossover(bits=(0.0, 30.0 * tasks), losses=(0.3, 0.1), pace=2.0, slowing=slowing)
        slope = np.diff(np.log(steps)) / np.diff(np.log(tasks))
        assert slope == pytest.approx(np.full(slope.size, 1 / (1 - slowing)))
        assert (slope > 1).all()


def test_a_simpler_singular_model_leads_until_the_loss_gap_outweighs_its_coefficient():
    """Watanabe 2009, free energy N l + lambda ln N: the two leading terms balance at N (l_1 - l_2) = (lambda_2 -
    lambda_1) ln N. With a gap of 0.01 nats and coefficients 1 and 2 the crossovers solve ln N = N/100: 1.010 and 647.3
    (-100 W(-1/100), Corless et al. 1996 for the two real branches)."""
    low, high = theorems.free_energy_crossings(losses=(0.01, 0.0), coefficients=(1.0, 2.0))
    assert low == pytest.approx(1.01015, abs=1e-5)
    assert high == pytest.approx(647.2775, abs=1e-3)

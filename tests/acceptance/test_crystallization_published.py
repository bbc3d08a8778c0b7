"""The grid world of Hubinger et al. 2019 (arXiv 1906.01820), section 4: episodes that an agent cannot tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from toymesa.theorems.crystallization import best_follow, episode_value


def test_the_printed_probability_does_not_follow():
    """The paper prints p of about 0.61; a direct reading of the game gives 5/9.

    Read as two training and three deployment episodes, one defection in training enough to be converted, defecting with
    probability 1 - q* = 5/9 is best. 0.61 is worth less, and no game of up to ten episodes of each kind has it as the best
    probability of defecting.
    """
    assert 1 - best_follow(training=2, deployment=3) == pytest.approx(5 / 9, rel=1e-15)
    printed = episode_value(1 - 0.61, training=2, deployment=3)
    assert printed < episode_value(4 / 9, training=2, deployment=3) - 1e-3
    m, k = np.meshgrid(np.arange(1, 11), np.arange(1, 11))
    assert np.abs(1 - best_follow(training=m, deployment=k) - 0.61).min() > 0.005

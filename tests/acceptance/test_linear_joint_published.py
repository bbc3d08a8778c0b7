"""Published numbers about many random couplings, with their sources."""

from __future__ import annotations

import numpy as np
import pytest

from toymesa.theorems.linear_joint import TRACY_WIDOM, critical_spread, limit_edge, random_couplings, rightmost


def _pairs(size: int, connectance: float, opposed: bool, rng: np.random.Generator) -> np.ndarray:
    """Interactions |N(0, 1)| with signs: opposite within a pair (predator-prey), or the same (mixture)."""
    strength = np.abs(rng.standard_normal((size, size)))
    sign = np.triu(rng.choice([-1.0, 1.0], (size, size)), 1)
    sign = sign - sign.T if opposed else sign + sign.T
    mask = np.triu(rng.random((size, size)) < connectance, 1)
    return strength * sign * (mask | mask.T)


@pytest.mark.parametrize(
    # Allesina and Tang 2012 (Nature 483, 205), table 1, normal interactions: sqrt(SC) sigma/d stays below 1 for random,
    # pi/(pi - 2) = 2.75 for predator-prey and pi/(pi + 2) = 0.61 for mixtures of competition and mutualism
    ("kind", "correlation", "published"),
    [("random", 0.0, 1.0), ("predator-prey", -2 / np.pi, 2.75), ("mixture", 2 / np.pi, 0.61)],
)
def test_stability_criteria_of_complex_ecosystems(kind, correlation, published):
    size, connectance = 250, 0.25
    bound = critical_spread(size, correlation=correlation, connectance=connectance)
    assert np.sqrt(size * connectance) * bound == pytest.approx(published, abs=0.005)
    rng = np.random.default_rng(8)
    if kind == "random":
        matrix = random_couplings(size, connectance=connectance, rng=rng)
        np.fill_diagonal(matrix, 0.0)
    else:
        matrix = _pairs(size, connectance, kind == "predator-prey", rng)
        pair = matrix[np.triu_indices(size, 1)], matrix.T[np.triu_indices(size, 1)]
        assert np.mean(pair[0] * pair[1]) / np.mean(matrix[matrix != 0] ** 2) / connectance == pytest.approx(
            correlation, abs=0.03
        )
    edge = np.linalg.eigvals(matrix).real.max()
    assert abs(edge - limit_edge(size, correlation=correlation, connectance=connectance)) < np.sqrt(np.log(size)) / 2


def test_mays_transition_sharpens():
    """May 1972 (Nature 238, 413): stable for sigma < N^(-1/2), unstable above, the more sharply the larger N."""
    for size in (20, 80):
        ratio = rightmost(size, samples=12, rng=4) / np.sqrt(size)
        assert abs(ratio.mean() - 1) < np.sqrt(np.log(size) / size) / 2
        assert ratio.std() < 1 / np.sqrt(size)


def test_the_symmetric_edge_is_tracy_and_widoms():
    """Tracy and Widom 1996: mean -1.2065 and standard deviation 1.2680 in units of N^(-1/6) at 2 sqrt(N)."""
    size, samples = 60, 200
    found = (rightmost(size, correlation=1.0, samples=samples, rng=6) - 2 * np.sqrt(size)) * size ** (1 / 6)
    assert TRACY_WIDOM == (-1.2065, 1.2680)
    # a diagonal of variance 1 instead of 2 moves the mean by less than N^(-1/2) N^(1/6)
    assert found.mean() == pytest.approx(-1.2065, abs=3 * 1.268 / np.sqrt(samples) + size ** (-1 / 3))
    assert found.std() == pytest.approx(1.2680, rel=0.15)

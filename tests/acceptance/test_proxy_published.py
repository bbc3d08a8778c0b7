"""Published numbers about early stopping against ridge regression (Ali, Kolter and Tibshirani 2019, arXiv 1810.10082)."""

from __future__ import annotations

import numpy as np
import pytest

from toymesa.theorems import proxy


def test_what_stopping_has_learned_more_than_ridge():
    """1 - e^(-x) <= 1.2985 x/(1 + x), and no smaller constant does."""
    assert proxy.largest_shrinkage_ratio().ratio == pytest.approx(1.2985, abs=1e-4)
    x = np.geomspace(1e-6, 1e6, 20_001)
    assert proxy.shrinkage_ratio(x).max() == pytest.approx(proxy.largest_shrinkage_ratio().ratio, rel=1e-7)


def test_risk_along_the_path():
    """At most 1.6862 times that of ridge at the penalty 1/t (abstract: 1.69); reached by a direction of mere noise."""
    assert proxy.largest_shrinkage_ratio().ratio ** 2 == pytest.approx(1.6862, abs=5e-4)
    t = proxy.largest_shrinkage_ratio().x
    one = {"alpha": 1.0, "rho": 0.0, "deploy_proxy": 0.0, "w_true": 1.0, "noise": 1.0}  # nothing to learn but noise
    worst = proxy.deployment_loss(t, **one) / proxy.ridge_loss(1 / t, **one)
    assert worst == pytest.approx(1.6862, abs=5e-4)


def test_risk_at_the_best_penalty():
    """On average over signals at most 1.2147 times that of ridge (abstract: 1.22), stopping at 1/penalty."""
    t = np.linspace(0.01, 20, 20_000)
    # one direction of eigenvalue 1 and signal 1: the penalty 1/t is the best one for noise of variance 1/t a sample
    one = {"alpha": 1.0, "rho": 0.0, "deploy_proxy": 0.0, "noise": 1 / t}
    ratio = proxy.deployment_loss(t, **one) / proxy.ridge_loss(1 / t, **one)
    assert ratio.max() == pytest.approx(1.2147, abs=5e-5)

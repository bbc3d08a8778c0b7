"""Published equations of in-context learning with linear attention. They give E|error|^2; the package 1/2 of it, over d."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm
from toymesa.theorems import in_context as ic


def test_zhang_frei_bartlett_2023_global_minimum():
    """arXiv 2306.09927, theorem 4.1 (key-query part Gamma^-1 up to its scale), and the error of the global minimum.

    Gamma = (1 + 1/N) Lambda + tr(Lambda)/N I_d; with w ~ N(0, I_d) the minimum of E|error|^2 is
    tr(Lambda) - tr(Lambda^2 Gamma^-1).
    """
    variances, n = np.array([2.0, 0.7, 0.1]), 12
    gamma = (1 + 1 / n) * np.diag(variances) + variances.sum() / n * np.eye(3)
    found = ic.preconditioner(np.diag(variances), context=n)
    np.testing.assert_allclose(found, np.linalg.inv(gamma), rtol=1e-13)
    published = variances.sum() - np.trace(np.diag(variances**2) @ np.linalg.inv(gamma))
    loss = ic.preconditioned_loss(found, covariance=np.diag(variances), context=n)
    assert 2 * 3 * loss == pytest.approx(published, rel=1e-13)


@pytest.mark.parametrize(("d", "n"), [(2, 31), (4, 31), (8, 10)])
def test_white_covariates_time_course(d, n):
    """Zhang, Singh, Latham and Saxe 2025 (arXiv 2501.16265), merged key-query, white covariance: one abrupt drop.

    A product that grows as a logistic of rate 2 sqrt(D) to 1/(1 + (1 + D)/N), after a plateau at the loss tr Lambda.
    """
    p0, t = 1e-4, np.linspace(0.0, 12.0, 25)
    end = 1 / (1 + (1 + d) / n)
    published = end / (1 + (end / p0 - 1) * np.exp(-2 * np.sqrt(d) * t))
    start = {"value": np.sqrt(np.sqrt(d) * p0), "key": np.sqrt(p0 / np.sqrt(d))}
    params = {"dimension": d, "context": n, "noise": 0.0, "rate_value": d}
    run = tm.solve(tm.models.in_context(), t, params=params, start=start, method="dop853", rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(run["step_size"], published, rtol=1e-7)
    np.testing.assert_allclose(ic.white_logistic(t, dimension=d, context=n, start=p0), published, rtol=1e-12)
    assert 2 * d * run["loss"].values[0] == pytest.approx(d, rel=1e-3)


def test_saddle_losses_of_separate_heads():
    """The same paper, separate key and query: the loss at the m-th fixed point,

    L(M_m) = tr Lambda - sum_{i <= m} lambda_i (1 + (1 + tr Lambda/lambda_i)/N)^-1; here along a trajectory, D = 4.
    """
    l, n = np.array([1.6, 1.0, 0.6, 0.3]), 31
    published = [l.sum() - sum(l[i] / (1 + (1 + l.sum() / l[i]) / n) for i in range(m)) for m in range(5)]
    np.testing.assert_allclose(8 * ic.saddle_losses(l, context=n), published, rtol=1e-13)
    escapes = 4 / (l**2 * 1e-4)
    t = [0.0, *np.sqrt(escapes[1:] * escapes[:-1]), 20 * escapes[-1]]
    run = tm.solve(
        tm.models.in_context(features=4, heads="separate"),
        t,
        params={f"variance_{i + 1}": v for i, v in enumerate(l)} | {"context": n, "noise": 0.0},
        start={f"head_{i + 1}": 1e-4 for i in range(4)},
        method="rodas5p",
    )
    np.testing.assert_allclose(8 * run["loss"], published, rtol=1e-3)

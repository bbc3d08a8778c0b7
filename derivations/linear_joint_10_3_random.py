r"""Linear joint flow 10.3: many coupled objectives, without any special structure.

J = -1 + sigma X, X an N x N matrix of independent entries of mean 0 and variance 1, except that X_ij and X_ji have the
correlation rho. The eigenvalues of X/sqrt(N) fill the ellipse of half axes 1 + rho and 1 - rho (Sommers, Crisanti,
Sompolinsky and Stein 1988; the circular law for rho = 0), so that as N -> infinity the joint flow is stable iff

.. math:: \sigma \sqrt N\, (1 + \rho) < 1

(May 1972 for rho = 0, Allesina and Tang 2012). No proof here: a theorem about limits of random matrices. It is measured.
At finite N the mean rightmost eigenvalue of X lies within sqrt(ln N)/2 of sqrt(N)(1 + rho) (the scale of its
fluctuation for rho = 0: Cipolloni, Erdos, Schroder and Xu 2022); for rho = 1, at 2 sqrt(N) + N^(-1/6) times a
Tracy-Widom variable of mean -1.2065 and standard deviation 1.2680 (Tracy and Widom 1996), up to N^(-1/2) for the
variance of the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toymesa.symbolic.claims import Claim

HERE = "linear_joint_10_3_random"
SIZE, SAMPLES = 80, 16
CORRELATIONS = (-0.6, 0.0, 0.5)


def edge(rho: float) -> Callable[[], tuple[float, float]]:
    """The mean rightmost eigenvalue of X against sqrt(N)(1 + rho), in units of the entries."""

    def measure() -> tuple[float, float]:
        from toymesa.theorems.linear_joint import limit_edge, rightmost

        found = rightmost(SIZE, correlation=rho, samples=SAMPLES, rng=1)
        return abs(float(np.mean(found)) - float(limit_edge(SIZE, correlation=rho))), float(np.sqrt(np.log(SIZE)) / 2)

    return measure


def symmetric() -> tuple[float, float]:
    """The mean of the largest eigenvalue of a symmetric X against Tracy and Widom, within three standard errors and N^(-1/2)."""
    from toymesa.theorems.linear_joint import TRACY_WIDOM, limit_edge, rightmost

    found = rightmost(SIZE, correlation=1.0, samples=8 * SAMPLES, rng=2)
    scale = SIZE ** (-1 / 6)
    expected = float(limit_edge(SIZE, correlation=1.0)) + scale * TRACY_WIDOM[0]
    return abs(float(np.mean(found)) - expected), 3 * scale * TRACY_WIDOM[1] / np.sqrt(8 * SAMPLES) + SIZE**-0.5


def transition(rho: float, side: float) -> Callable[[], tuple[float, float]]:
    """The share of matrices on the wrong side at sigma a little below or above May's bound."""

    def measure() -> tuple[float, float]:
        from toymesa.theorems.linear_joint import critical_spread, rightmost

        sigma = float(critical_spread(SIZE, correlation=rho)) * (1 + side * np.sqrt(np.log(SIZE) / SIZE))
        stable = -1 + sigma * rightmost(SIZE, correlation=rho, samples=SAMPLES, rng=3) < 0
        return float(np.mean(stable != (side < 0))), 0.0

    return measure


CLAIMS = (
    *(
        Claim(
            name=f"edge_{rho:g}",
            statement=f"rho = {rho:g}: the rightmost eigenvalue is sqrt(N)(1 + rho) to within sqrt(ln N)/2",
            kind="numerical",
            measure=edge(rho),
            derivation=HERE,
        )
        for rho in CORRELATIONS
    ),
    Claim(
        name="edge_1",
        statement="rho = 1: the largest eigenvalue is 2 sqrt(N) - 1.2065 N^(-1/6)",
        kind="numerical",
        measure=symmetric,
        derivation=HERE,
    ),
    *(
        Claim(
            name=f"{name}_{rho:g}",
            statement=f"rho = {rho:g}: all are {name} at {word} May's bound by the fluctuation",
            kind="numerical",
            measure=transition(rho, side),
            derivation=HERE,
        )
        for rho in (0.0, 0.5)
        for name, word, side in (("stable", "below", -1.0), ("unstable", "above", 1.0))
    ),
)

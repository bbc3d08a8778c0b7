"""Speed against simplicity at convergence (mechanisms 1.10): which of two polarized states has the lower free energy.

Two perfect mechanisms (f = 1). Training follows the score of mechanisms 1.9; infinite training with noise would
follow the free energy. Where the two disagree the trained model is metastable.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, real, vectorized

_GRID = np.linspace(-45.0, 45.0, 3601)  # beyond it reliances are 0 or 1 to float64 and the equation is linear


@vectorized()
def crossover_diversity(
    *,
    lam: ArrayLike,
    mu: ArrayLike,
    rates: tuple[ArrayLike, ArrayLike],
    bits: tuple[ArrayLike, ArrayLike],
) -> Array:
    r"""Diversity above which the faster of two polarized states has the lower free energy (mechanisms 1.10).

    .. math:: n_\times = \frac{2\mu \ln 2\,(b_1-b_2)(\lambda+\eta_1)(\lambda+\eta_2)}{\lambda(\eta_1-\eta_2)}

    lam, mu : decay and pressure >= 0. rates : eta_1 and eta_2 > 0. bits : b_1 and b_2, real. All broadcast; the
    order of the two mechanisms does not matter.

    Returns 0 where the faster one wins at every diversity (it is also the simpler one, or mu = 0) and inf where
    the simpler one does (equal rates, or lam = 0 with mu > 0); 0 also for two equal mechanisms, which nothing
    tells apart. Exact for the states of reliance exactly 1; the minima themselves differ from these by terms of
    order exp(-n g^2 eta/(lam mu)), see :func:`crossover_diversity_exact`. At the crossing that exponent depends on
    rates and bits alone: for a small lam and rates that differ by a factor 3 or more it is no longer negative, the
    faster state is not polarized there, and the formula is only an order of magnitude.
    """
    decay, pressure = nonnegative("lam", lam), nonnegative("mu", mu)
    fast, slow, bits_fast, bits_slow = _by_speed(rates, bits)
    more = np.maximum(bits_fast - bits_slow, 0.0)
    cost = 2.0 * pressure * np.log(2.0) * np.where(fast > slow, more, np.abs(bits_fast - bits_slow))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = cost * (1.0 + fast / decay) * ((decay + slow) / (fast - slow))
    return as_given(np.where(cost == 0.0, 0.0, value))


@vectorized()
def crossover_diversity_exact(
    *,
    lam: ArrayLike,
    mu: ArrayLike,
    rates: tuple[ArrayLike, ArrayLike],
    bits: tuple[ArrayLike, ArrayLike],
) -> Array:
    """The diversity at which the two minima of the free energy are equally deep (mechanisms 1.10).

    Arguments as in :func:`crossover_diversity`, which is where the search starts and whose 0 and inf are
    returned as they are. nan where there are no two minima to compare: the pressure is then too strong for the
    states to be polarized. Numerical: the stationarity equation by bracketing, the crossing by Newton's method,
    relative error about 1e-12.
    """
    start = np.asarray(crossover_diversity(lam=lam, mu=mu, rates=rates, bits=bits))
    fast, slow, bits_fast, bits_slow = _by_speed(rates, bits)
    odds = (bits_slow - bits_fast) * np.log(2.0)
    crossing = np.vectorize(_crossing, otypes=[float])
    return as_given(np.asarray(crossing(start, np.asarray(lam, float), np.asarray(mu, float), fast, slow, odds)))


def _by_speed(
    rates: tuple[ArrayLike, ArrayLike], bits: tuple[ArrayLike, ArrayLike]
) -> tuple[Array, Array, Array, Array]:
    """Rates and bits of the faster mechanism and of the slower one."""
    one, two = (positive("rates", r) for r in rates)
    b_one, b_two = (real("bits", b) for b in bits)
    one, two, b_one, b_two = np.broadcast_arrays(one, two, b_one, b_two)
    first = one >= two
    return (
        np.maximum(one, two),
        np.minimum(one, two),
        np.where(first, b_one, b_two),
        np.where(first, b_two, b_one),
    )


def _crossing(n: float, lam: float, mu: float, fast: float, slow: float, odds: float) -> float:
    if n == 0.0 or math.isinf(n):
        return n
    for _ in range(60):
        minima = _minima(n, lam, mu, fast, slow, odds)
        if minima is None:
            return math.nan
        (energy_1, g_1), (energy_2, g_2) = (_depth(l, n, lam, mu, fast, slow, odds) for l in minima)
        step = 2.0 * (energy_1 - energy_2) / (g_1 - g_2)  # dF/dn at a minimum is g/2
        if not 0.0 < n - step < 1e3 * n:
            return math.nan
        n -= step
        if abs(step) <= 1e-13 * n:
            return n
    return math.nan


def _shares(l: Array) -> tuple[Array, Array]:
    """p_1 and p_2, each accurate however small."""
    return np.exp(-np.logaddexp(0.0, -l)), np.exp(-np.logaddexp(0.0, l))


def _minima(n: float, lam: float, mu: float, fast: float, slow: float, odds: float) -> tuple[float, float] | None:
    """Log-odds of the outermost two stationary points; None if they are one and the same."""

    def slope(l: Array | float) -> Array:
        p, q = _shares(np.asarray(l))
        g = 1.0 / (1.0 + (fast * p**2 + slow * q**2) / lam)
        return np.asarray(l - odds - n * g**2 / (lam * mu) * (fast * p - slow * q))

    top = odds + n * lam / (mu * (lam + fast) ** 2) * fast
    bottom = odds - n * lam / (mu * (lam + slow) ** 2) * slow
    grid = np.unique(np.concatenate([_GRID, [bottom - 50.0, bottom + 1.0, top - 1.0, top + 50.0]]))
    below = slope(grid) < 0.0
    rising = np.flatnonzero(below[:-1] & ~below[1:])
    if rising.size < 2:
        return None
    ends = [brentq(lambda l: float(slope(l)), grid[i], grid[i + 1], xtol=1e-13) for i in (rising[-1], rising[0])]
    return ends[0], ends[1]


def _depth(l: float, n: float, lam: float, mu: float, fast: float, slow: float, odds: float) -> tuple[float, float]:
    """Reduced free energy (contents at their optimum) and g."""
    p, q = (float(x) for x in _shares(np.asarray(l)))
    g = 1.0 / (1.0 + (fast * p**2 + slow * q**2) / lam)
    log_p, log_q = -float(np.logaddexp(0.0, -l)), -float(np.logaddexp(0.0, l))
    log_pi_1, log_pi_2 = -float(np.logaddexp(0.0, -odds)), -float(np.logaddexp(0.0, odds))
    return n * g / 2.0 + mu * (p * (log_p - log_pi_1) + q * (log_q - log_pi_2)), g

"""The joint trajectory's linear instability at very large diversity, by its Riccati equation (mechanisms 1.4).

With v = kappa dc, rho = v/dp and D = (eta_p mu - lam)/2 the linear flow of (dp, v) is

    (ln rho)' = kappa g (1/rho - rho) + 2 D,    ln(dp + v) = kappa s - (eta_p mu + lam) t/2 + D int tanh(ln(rho)/2) dt,

in which s, the integral of the error g, is exact. The larger kappa is, the closer rho stays to its slow value and the
less the one numerical integral matters: this is the regime in which special functions of large order are unusable.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import solve_ivp

from toymesa.errors import SolveError
from toymesa.theorems.arguments import Array

_DIGITS = 1e-6  # of a logarithm, that rounding may cost
_SLAVED = 1e6  # from this ratio of rates on, first order in its inverse leaves an error of 1e-12
_ONSET = 1e-13  # the start, where rho is 0, is left by this many units of the fastest rate: an error of that size


def log_responses(t: float, n: float, k: float, eta: float, lam: float, mu: float) -> tuple[float, float, float, float]:
    """Logarithms of the four responses of :func:`confluent.responses`, t > 0.

    Numerical (LSODA, relative tolerance 1e-12): absolute error about 1e-11 (kappa s + (eta mu + lam) t). Where kappa
    exceeds every other rate a million times, the first order of its inverse in closed form.
    """
    half = (eta * mu - lam) / 2.0
    _check_digits((eta * mu + lam) * t, math.sqrt(eta / k) * math.sqrt(n) * t)
    from_p = _log_pair(t, n, k, eta, lam, mu, half)
    from_c = _log_pair(t, n, k, eta, lam, mu, -half)  # exchanging dp and v exchanges pressure and decay
    logs = from_p[0], from_c[1], from_p[1], from_c[0]
    _check_digits((eta * mu + lam) * t, min(abs(v) for v in logs))
    return logs


def _check_digits(passed: float, size: float) -> None:
    """SolveError where pressure and decay, whose sum ``passed`` cancels in logarithms of that size, leave too few digits."""
    if 1e-16 * passed > _DIGITS * (1.0 + size):
        raise SolveError(
            f"pressure and decay act for {passed:.1g} of their own times, in which the digits cancel: reduce them or t",
            status="overflow",
        )


def _log_pair(t: float, n: float, k: float, eta: float, lam: float, mu: float, half: float) -> tuple[float, float]:
    """ln of the perturbed quantity and of the other one at t, started from (1, 0)."""
    a = lam + 1.0 / k
    kappa, rest = math.sqrt(eta / k) * math.sqrt(n), lam / a
    s = rest * t + (1.0 - rest) * -math.expm1(-a * t) / a
    even = kappa * s - (eta * mu + lam) / 2.0 * t
    if kappa * rest > _SLAVED * (abs(half) + a):
        gone = -math.expm1(-2.0 * kappa * s)
        lag = half / (2.0 * kappa * math.exp(_log_error(t, a, rest))) * gone**2  # (dp - v)/(dp + v) is 1 - gone - lag
        even += half * gone / (2.0 * kappa) - math.log(2.0)
        return even + math.log(2.0 - gone - lag), even + math.log(gone + lag)
    begin = min(_ONSET / (kappa + abs(half) + a), t)

    def field(time: float, y: Array) -> list[float]:
        log_pull = math.log(kappa) + _log_error(time, a, rest)
        up, down = math.exp(min(log_pull - y[0], 700.0)), math.exp(min(log_pull + y[0], 700.0))
        return [up - down + 2.0 * half, math.tanh(y[0] / 2.0)]

    run = solve_ivp(field, (begin, t), [math.log(kappa * begin), -begin], method="LSODA", rtol=1e-12, atol=1e-14)
    if not run.success or not np.all(np.isfinite(run.y[:, -1])):
        raise SolveError(f"the Riccati equation could not be integrated: {run.message}", status="overflow")
    log_ratio, integral = (float(v) for v in run.y[:, -1])
    first = even + half * integral - float(np.logaddexp(0.0, log_ratio))
    return first, first + log_ratio


def _log_error(t: float, a: float, rest: float) -> float:
    """ln g, also where g is below the smallest number."""
    fading = math.log1p(-rest) - a * t if rest < 1.0 else -math.inf
    return fading if rest == 0.0 else float(np.logaddexp(math.log(rest), fading))

"""The collapse theorem (mechanisms 1.7): the exact reliances at an early stop, on one curve for all diversities.

Perfect mechanisms (f = 1), contents c(0) = 0, no decay, no pressure; any K, rates, prior and start of the reliances.
In C = sqrt(n eta_p) c and sigma = sqrt(n eta_p) s the flow has no parameter left, and training that stops at
the residual r stops where the mean of C is X = sqrt(n eta_p) (1 - sqrt r). So the reliances at the stop are a
function p(X), and every criterion on them has n_stop(r) = (X*/(1 - sqrt r))^2/eta_p.

Equal contents c_0 < 1 at the start make it X = sqrt(n eta_p) (1 - c_0)(1 - sqrt r) and change nothing else; unequal ones
break the collapse, because their differences, in units of C, depend on n.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import logsumexp

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, real, vectorized
from toymesa.theorems.mechanisms.stopping import stretched

_SETTLED = -60.0  # ln of the reliance left to all losers: below it no criterion on the leaders changes in float64
_GONE = -760.0  # the same where that reliance is below the smallest number
_RTOL = 1e-12
_FAR = 300.0  # ln(-u) is cut here, where every other reliance has long been 0, so that squares stay finite
_WITHIN = 8  # points looked at inside one integration step, so that no crossing hides between its ends


@vectorized(perturbation=1, shares=1, log_odds=1, rates=1)
def critical_collapse(
    criterion: str,
    value: ArrayLike,
    *,
    perturbation: ArrayLike | None = None,
    shares: ArrayLike | None = None,
    log_odds: ArrayLike | None = None,
    rates: ArrayLike = 1.0,
) -> Array:
    """X*: the collapse coordinate at which a criterion is first met (mechanisms 1.7).

    criterion : ``"deviation"`` (largest ``|p - 1/K|`` at least ``value``), ``"n_eff"`` (effective number at most
        ``value``) or ``"leader"`` (largest reliance at least ``value``). ``value`` is a number or an array.
    perturbation, shares, log_odds : the start, one of the three, K numbers: p(0) - 1/K, p(0), or logarithms of
    p(0) up
        to a common constant. A perturbation and log-odds keep differences far below the rounding of p.
    rates : content rates eta_r > 0, one or K.

    Returns an array of the shape of ``value``: 0 where the start meets it, inf where no stop ever does. Mechanisms
    whose eta_r p_r(0) are equal floating-point numbers stay tied for ever, as they do in exact arithmetic.

    Numerical: one integration of the parameter-free flow (DOP853, relative tolerance 1e-12). Raises ArgumentError for
    an unknown criterion or several starts, DomainError for values outside their range.
    """
    odds, eta = _start(perturbation, shares, log_odds, rates)
    measure, limit = _criterion(criterion, value, odds.size)
    return as_given(_ParameterFree(odds, eta).first_reaching(measure, limit))


@vectorized(perturbation=1, shares=1, log_odds=1, rates=1)
def exact_stop_diversity(
    residual: ArrayLike,
    criterion: str,
    value: ArrayLike,
    *,
    perturbation: ArrayLike | None = None,
    shares: ArrayLike | None = None,
    log_odds: ArrayLike | None = None,
    rates: ArrayLike = 1.0,
    gate_rate: ArrayLike = 1.0,
) -> Array:
    """Diversity at which training stopped at ``residual`` first meets a criterion: (X*/(1 - sqrt r))^2/eta_p.

    Exact but for the integration behind :func:`critical_collapse`, whose arguments these are. ``residual`` (in
    [0, 1]), ``value`` and ``gate_rate`` (eta_p > 0) broadcast. inf where no diversity is too much (r = 1 among
    them).
    """
    eta = positive("gate_rate", gate_rate)
    r = real("residual", residual, 0.0, 1.0)
    x = np.asarray(
        critical_collapse(criterion, value, perturbation=perturbation, shares=shares, log_odds=log_odds, rates=rates)
    )
    with np.errstate(over="ignore"):
        return as_given(stretched(x**2 / eta, r))


@vectorized(perturbation=1, shares=1, log_odds=1, rates=1)
def reliances_at_stop(
    coordinate: ArrayLike,
    *,
    perturbation: ArrayLike | None = None,
    shares: ArrayLike | None = None,
    log_odds: ArrayLike | None = None,
    rates: ArrayLike = 1.0,
) -> Array:
    """The collapse curve p(X) itself: reliances at the stop for X from ``collapse_coordinate`` (mechanisms 1.7).

    coordinate : X >= 0. The start is given as for :func:`critical_collapse`. Returns shape (..., K), rows
    summing to 1.
    """
    x = nonnegative("coordinate", coordinate)
    odds = _ParameterFree(*_start(perturbation, shares, log_odds, rates)).log_weights(x)
    return np.asarray(np.exp(odds - logsumexp(odds, axis=-1, keepdims=True)))


# ---------------------------------------------------------------- the start


def _start(
    perturbation: ArrayLike | None, shares: ArrayLike | None, log_odds: ArrayLike | None, rates: ArrayLike
) -> tuple[Array, Array]:
    """Log-odds (up to a constant) and rates, both of length K."""
    given = [
        (n, s)
        for n, s in zip(("perturbation", "shares", "log_odds"), (perturbation, shares, log_odds), strict=True)
        if s is not None
    ]
    if len(given) != 1:
        raise ArgumentError(f"give exactly one of perturbation, shares, log_odds; got {[n for n, _ in given]}")
    name, value = given[0]
    start = real(name, value)
    if start.ndim != 1 or start.size < 2:
        raise DomainError(f"{name} must be a list of at least two numbers; got shape {start.shape}")
    k = start.size
    if name == "perturbation":
        real(name, start, -1.0 / k, low_open=True)
        if abs(start.sum()) > 1e-12 * np.abs(start).max():
            raise DomainError(f"perturbation must sum to 0; got {start.sum():g}")
        start = np.log1p(k * start)
    elif name == "shares":
        real(name, start, 0.0, 1.0, low_open=True, high_open=True)
        if abs(start.sum() - 1.0) > 1e-9:
            raise DomainError(f"shares must sum to 1; got {start.sum():.12g}")
        start = np.log(start)
    eta = positive("rates", rates)
    if eta.shape not in ((), (1,), (k,)):
        raise DomainError(f"rates must be one number or {k}; got shape {eta.shape}")
    return start, np.array(np.broadcast_to(eta, (k,)))


# ---------------------------------------------------------------- criteria: numbers that grow as the state polarizes


def _criterion(name: str, value: ArrayLike, k: int) -> tuple[Callable[[Array], Array], Array]:
    """A measure of log weights (last axis), and the limit of it that ``value`` stands for."""
    if name == "deviation":
        return _deviation, nonnegative("value", value)
    if name == "n_eff":
        return _order, -np.log(real("value", value, 1.0, float(k)))
    if name == "leader":
        with np.errstate(divide="ignore"):
            return _lead, -np.log1p(-real("value", value, 0.0, 1.0))
    raise ArgumentError(f"unknown criterion {name!r}{did_you_mean(str(name), ['deviation', 'n_eff', 'leader'])}")


def _deviation(odds: Array) -> Array:
    """Largest |p - 1/K|: from expm1, so that deviations far below the rounding of 1/K are kept."""
    odds = odds - odds.max(axis=-1, keepdims=True)
    above = np.expm1(odds)
    apart = above - above.mean(axis=-1, keepdims=True)
    return np.asarray(np.abs(apart).max(axis=-1) / np.exp(odds).sum(axis=-1))


def _order(odds: Array) -> Array:
    """Minus the entropy."""
    odds = odds - odds.max(axis=-1, keepdims=True)  # the leader's logarithm is then exact however near 0 it is
    logp = odds - logsumexp(odds, axis=-1, keepdims=True)
    return np.asarray((np.exp(logp) * logp).sum(axis=-1))


def _lead(odds: Array) -> Array:
    """-ln(1 - largest share), exact however near 1 the share is."""
    losers = logsumexp(np.sort(odds, axis=-1)[..., :-1], axis=-1) - odds.max(axis=-1)
    return np.asarray(np.logaddexp(losers, 0.0) - losers)


# ---------------------------------------------------------------- the flow


class _ParameterFree:
    """u_r = ln(eta_r p_r/(eta_1 p_1)) and z_r = C_r - C_1 against mechanism 1, the highest eta p, by X.

    In sigma: u' = z, z' = eta_1 p_1 (e^u - 1), X' = Var_p(C) + sum eta p^2 > 0. So u < 0 falls for ever;
    integrated are v = ln(-u) and q = z/u, with v' = q and q' = eta_1 p_1 (e^u - 1)/u - q^2, in which a
    difference of 1e-300 grows at a constant rate. Mechanisms with u = 0 are merged into one of rate
    1/sum(1/eta): exact, and no rounding error can then break a tie. Rates are measured in the largest one (X
    scales as its square root).
    """

    def __init__(self, odds: Array, rates: Array) -> None:
        self.unit = float(np.sqrt(rates.max()))
        self.log_rates = np.log(rates / rates.max())
        score = odds + self.log_rates
        gaps, member = np.unique(score.max() - score, return_inverse=True)
        self.u0 = -gaps[1:]
        self.member = member
        self.slowness = np.log(np.bincount(member, weights=np.exp(-self.log_rates)))  # ln of a group's sum of 1/eta

    def log_weights(self, x: Array) -> Array:
        """ln p up to a constant, shape (..., K), at any X."""
        flat = x.ravel() / self.unit
        u = np.zeros((self.u0.size, flat.size))
        if self.u0.size:
            far, start = float(flat.max(initial=0.0)), float(_log_sum(self._log_shares(self.u0)[1:]))
            u = u + self.u0[:, None]
            if far > 0.0 and start > _GONE:
                run = self._run(far, self._gone)
                u = self._distance(run.sol(np.minimum(flat, run.t[-1])))
        return self._spread(u).reshape(*x.shape, -1)

    def first_reaching(self, measure: Callable[[Array], Array], limit: Array) -> Array:
        """The least X with measure >= limit, for every limit; inf where there is none."""
        if not self.u0.size or _log_sum(self._log_shares(self.u0)[1:]) < _SETTLED:
            return np.where(measure(self._spread(self.u0[:, None]))[0] >= limit, 0.0, np.inf)
        run = self._run(1e300, self._settled)
        fraction = np.arange(_WITHIN) / _WITHIN
        x = np.append((run.t[:-1, None] + np.diff(run.t)[:, None] * fraction).ravel(), run.t[-1])

        reached = measure(self._spread(self._distance(run.sol(x))))
        reached[0] = measure(self._spread(self.u0[:, None]))[0]
        out = np.full(limit.shape, np.inf)
        for index, wanted in np.ndenumerate(limit):
            # a tie's limit is approached and never met: rounding must not count as meeting it
            i = int(np.argmax(reached > wanted + 4.0 * np.finfo(float).eps * abs(wanted)))
            if reached[0] >= wanted:
                out[index] = 0.0
            elif i > 0:
                miss = partial(self._miss, run, measure, float(wanted))
                out[index] = brentq(miss, x[i - 1], x[i], xtol=1e-300, rtol=1e-14)
        return out * self.unit

    def _miss(self, run: Any, measure: Callable[[Array], Array], wanted: float, at: float) -> float:
        return float(measure(self._spread(self._distance(run.sol(np.array([at])))))[0] - wanted)

    def _spread(self, u: Array) -> Array:
        """Log weights of all K mechanisms (last axis) from u of the groups (first axis)."""
        tied = np.concatenate([np.zeros((1, u.shape[1])), u])
        return np.asarray(tied[self.member].T - self.log_rates)

    def _distance(self, state: Array) -> Array:
        """u from the integrated variables."""
        return np.asarray(-np.exp(np.minimum(state[: self.u0.size], _FAR)))

    def _log_shares(self, u: Array) -> Array:
        """ln of the share of each group, the tied leaders first."""
        odds = np.concatenate([[0.0], u]) + self.slowness
        return np.asarray(odds - _log_sum(odds))

    def _field(self, _x: float, state: Array) -> Array:
        q = state[self.u0.size :]
        u = self._distance(state)
        logp = self._log_shares(u)
        p, w = np.exp(logp), np.exp(logp - self.slowness)
        content = np.concatenate([[0.0], u * q])
        speed = p @ (content - p @ content) ** 2 + p @ w
        return np.concatenate([q, w[0] * np.expm1(u) / u - q**2]) / speed

    def _settled(self, _x: float, state: Array) -> float:
        return float(_log_sum(self._log_shares(self._distance(state))[1:]) - _SETTLED)

    _settled.terminal = True  # type: ignore[attr-defined]

    def _gone(self, _x: float, state: Array) -> float:
        return float(_log_sum(self._log_shares(self._distance(state))[1:]) - _GONE)

    _gone.terminal = True  # type: ignore[attr-defined]

    def _run(self, far: float, until: Any) -> Any:
        still = np.zeros_like(self.u0)
        pace = np.exp((self._log_shares(self.u0) - self.slowness)[0] / 2)
        with np.errstate(over="ignore", invalid="ignore"):  # in trial steps, which are then rejected
            run = solve_ivp(
                self._field,
                (0.0, far),
                np.concatenate([np.log(-self.u0), still]),
                method="DOP853",
                rtol=_RTOL,
                atol=_RTOL * np.concatenate([still + 1.0, still + pace]),
                dense_output=True,
                events=until,
            )
        if not run.success:  # pragma: no cover - the flow is smooth and bounded on every finite interval
            raise DomainError(f"the parameter-free flow could not be integrated: {run.message}")
        return run


def _log_sum(odds: Array) -> Any:
    """ln(sum of e^odds) of a short vector; scipy's is many times slower."""
    top = odds.max()
    return top + np.log(np.exp(odds - top).sum())

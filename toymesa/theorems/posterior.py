"""What is exact about the model ``posterior``: the shares at any time, who ever leads, and when the lead changes.

Bits, losses and learning coefficients are arrays over the hypotheses (their last axis); times broadcast in front of it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.theorems.arguments import Array, as_given, nonnegative, pair, positive, real, scalar, vectorized

_LN2 = float(np.log(2.0))
_LAWS = ("gradient_flow", "free_energy", "power")
_Products = list[tuple[Array, Array]]  # a factor of the time and one of the hypotheses


@vectorized(bits=1, losses=1, coefficients=1)
def shares(
    time: ArrayLike,
    *,
    bits: ArrayLike,
    losses: ArrayLike,
    law: str = "gradient_flow",
    prior_strength: float = 1.0,
    coefficients: ArrayLike | None = None,
    pace: float = 1.0,
    slowing: float = 0.0,
    exponent: float = 1.0,
) -> Array:
    r"""Posterior of every hypothesis at every time (posterior 8.1), of shape ``time.shape + (hypotheses,)``.

    time : t >= 0 under ``gradient_flow``; training steps or samples N > 0 under ``free_energy`` and ``power`` (the model's
    t is N - 1). bits : >= 0. losses : real. law : which evidence, as in ``models.posterior``. prior_strength : gamma
    >= 0. coefficients : lambda >= 0, needed by ``free_energy``. pace, exponent : > 0; slowing : in [0, 1); for
    ``power``. Exact: a softmax that subtracts the largest.
    """
    against = _against(
        time, bits, losses, law, prior_strength=prior_strength, coefficients=coefficients, pace=pace, slowing=slowing,
        exponent=exponent,
    )  # fmt: skip
    total, unit = _summed(against)
    weight = np.exp(np.ldexp(total.min(axis=-1, keepdims=True) - total, unit))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


@vectorized(bits=1, losses=1, coefficients=1)
def leader(time: ArrayLike, **law: Any) -> NDArray[np.int64]:
    """Index of the hypothesis of largest posterior at every time, the first of equals; arguments as in :func:`shares`."""
    names = ("bits", "losses", "law", "prior_strength", "coefficients", "pace", "slowing", "exponent")
    for name in law:
        if name not in names:
            raise DomainError(f"leader has no argument {name!r}{did_you_mean(name, names)}")
    for name in names[:2]:
        if name not in law:
            raise ArgumentError(f"leader needs {name}, one entry a hypothesis")
    bits, losses, kind = law.pop("bits"), law.pop("losses"), law.pop("law", "gradient_flow")
    options = {"prior_strength": 1.0, "coefficients": None, "pace": 1.0, "slowing": 0.0, "exponent": 1.0, **law}
    return np.asarray(_summed(_against(time, bits, losses, kind, **options))[0].argmin(axis=-1))[()]


def _summed(products: _Products) -> tuple[Array, NDArray[np.int64]]:
    """The sum of the products in units of a power of two, in which none of them overflows, and its exponent."""
    sizes = [np.frexp(x)[1] + np.frexp(np.abs(y).max(axis=-1, keepdims=True))[1] for x, y in products]
    unit = np.maximum(functools.reduce(np.maximum, sizes) - 1000, 0)
    return np.asarray(sum(np.ldexp(x, -unit) * y for x, y in products)), unit


def _against(
    time: ArrayLike, bits: ArrayLike, losses: ArrayLike, law: str, *, prior_strength: float, coefficients: Any,
    pace: float, slowing: float, exponent: float,
) -> _Products:  # fmt: skip
    """What counts against every hypothesis: minus the logarithm of its posterior, as a sum of products."""
    if law not in _LAWS:
        raise DomainError(f"there is no law {law!r}{did_you_mean(str(law), _LAWS)}")
    b, l = _hypotheses(bits, losses)
    gamma = scalar("prior_strength", prior_strength, 0.0)
    power, speed = (scalar(n, v, 0.0, low_open=True) for n, v in (("exponent", exponent), ("pace", pace)))
    q = scalar("slowing", slowing, 0.0, 1.0, high_open=True)
    if law == "gradient_flow":
        t = nonnegative("time", time)[..., None]
        return [(np.asarray(gamma * _LN2), b), (t, l)]
    n = positive("time", time)[..., None]
    if law == "free_energy":
        if coefficients is None:
            raise DomainError("the law 'free_energy' needs coefficients, one learning coefficient a hypothesis")
        c = nonnegative("coefficients", coefficients)
        if c.shape[-1:] != b.shape[-1:]:
            raise DomainError(f"coefficients has {c.shape[-1:]} hypotheses and bits {b.shape[-1:]}")
        return [(np.asarray(gamma * _LN2), b), (n, l), (np.log(n), c)]
    return [(np.asarray(gamma * _LN2), b**power), (speed * n ** (1.0 - q), l)]


def _hypotheses(bits: ArrayLike, losses: ArrayLike) -> tuple[Array, Array]:
    b, l = np.atleast_1d(nonnegative("bits", bits)), np.atleast_1d(real("losses", losses))
    if b.shape[-1] != l.shape[-1]:
        raise DomainError(f"bits has {b.shape[-1]} hypotheses and losses {l.shape[-1]}")
    return b, l


@vectorized()
def lead_change(
    *, bits: tuple[ArrayLike, ArrayLike], losses: tuple[ArrayLike, ArrayLike], prior_strength: ArrayLike = 1.0
) -> Array:
    r"""When the simpler of two hypotheses hands the lead to the better one (posterior 8.2).

    .. math:: t = \gamma \ln 2\,(b_2 - b_1)/(\ell_1 - \ell_2)

    bits : >= 0, losses : real, prior_strength : >= 0; all broadcast, the order of the two does not matter. Returns 0
    where the better one is also the simpler one (it leads from the start), inf where the losses are equal and the bits
    are not, nan for two equal hypotheses, which nothing tells apart.
    """
    b1, b2 = (nonnegative("bits", b) for b in pair("bits", bits))
    l1, l2 = (real("losses", l) for l in pair("losses", losses))
    gamma = nonnegative("prior_strength", prior_strength)
    cost, gain = gamma * _LN2 * (b2 - b1), l1 - l2
    same = (b1 == b2) & (l1 == l2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(cost) / np.abs(gain)
    out = np.where(np.sign(cost) * np.sign(gain) > 0, ratio, np.where((gain == 0) & (cost != 0), np.inf, 0.0))
    return as_given(np.where(same, np.nan, out))


@vectorized(bits=1, losses=1)
def ever_leading(*, bits: ArrayLike, losses: ArrayLike, prior_strength: float = 1.0) -> tuple[NDArray[np.int64], Array]:
    """Every hypothesis that leads for some time, in order of its lead, and the times of the changes (posterior 8.2).

    The law is ``gradient_flow``. bits : >= 0 and losses : real, one-dimensional, any number of hypotheses.
    prior_strength : gamma > 0 (it moves the times, not the list).

    Returns ``(order, times)`` with one time fewer than hypotheses. The list is the decreasing part of the lower convex
    hull of the points (loss, bits), from the simplest hypothesis (the better of equally simple ones) to the one that
    fits best. Of equal hypotheses the first stands for all; one that only ties for the lead at a single instant (a point
    on a chord of the hull) is left out. O(H log H).
    """
    b, l = _hypotheses(bits, losses)
    if b.ndim > 1 or l.ndim > 1:
        raise DomainError(f"bits and losses must be one-dimensional; got shapes {b.shape} and {l.shape}")
    gamma = scalar("prior_strength", prior_strength, 0.0, low_open=True)
    hull: list[int] = []
    for i in np.lexsort((np.arange(b.size), l, b)):  # from the simplest; among equals the better, then the first
        if hull and l[i] >= l[hull[-1]]:
            continue  # neither simpler nor better than the last
        while len(hull) > 1 and _above_chord(b, l, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(int(i))
    order = np.array(hull, dtype=np.int64)
    return order, gamma * _LN2 * np.diff(b[order]) / -np.diff(l[order])


def _above_chord(b: Array, l: Array, first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies on or above the chord of the two others."""
    return bool((l[first] - l[middle]) * (b[last] - b[middle]) <= (l[middle] - l[last]) * (b[middle] - b[first]))


@vectorized()
def power_crossover(
    *,
    bits: tuple[ArrayLike, ArrayLike],
    losses: tuple[ArrayLike, ArrayLike],
    prior_strength: ArrayLike = 1.0,
    pace: ArrayLike = 1.0,
    slowing: ArrayLike = 0.0,
    exponent: ArrayLike = 1.0,
) -> Array:
    r"""Training steps at which memorizing overtakes generalizing, by the law of Wurgaft et al. 2025 (posterior 8.2).

    .. math:: N^* = \Bigl[\frac{\gamma\ln 2\,(b_2^v - b_1^v)}{k\,(\ell_1-\ell_2)}\Bigr]^{1/(1-q)}

    Arguments and special values as in :func:`lead_change`, with pace k > 0, slowing q in [0, 1), exponent v > 0.
    """
    v = positive("exponent", exponent)
    powers = tuple(nonnegative("bits", b) ** v for b in pair("bits", bits))
    plain = lead_change(bits=(powers[0], powers[1]), losses=losses, prior_strength=prior_strength)
    q = real("slowing", slowing, 0.0, 1.0, high_open=True)
    with np.errstate(over="ignore"):
        return as_given(np.asarray((plain / positive("pace", pace)) ** (1.0 / (1.0 - q))))


@vectorized()
def free_energy_crossings(
    *,
    losses: tuple[ArrayLike, ArrayLike],
    coefficients: tuple[ArrayLike, ArrayLike],
    bits: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
    prior_strength: ArrayLike = 1.0,
) -> tuple[Array, Array]:
    r"""The two sample sizes at which two hypotheses are level under N l + lambda ln N (posterior 8.3).

    .. math:: N = -W_0(-a e^{-c})/a, \quad -W_{-1}(-a e^{-c})/a, \qquad
        a = \frac{\ell_1-\ell_2}{\lambda_2-\lambda_1},\; c = \gamma\ln 2\,\frac{b_2-b_1}{\lambda_2-\lambda_1}

    Between them the hypothesis with the smaller learning coefficient leads. losses : real, coefficients and bits and
    prior_strength : >= 0; all broadcast, the order of the two does not matter. Both are nan where the curves never meet
    (a e^-c > 1/e). Where a <= 0 (the better one also has the smaller coefficient, or equal losses) there is one
    crossing, returned first, and inf; with equal coefficients likewise, where bits and losses disagree.

    Numerical: Newton's method from a bound on the far side of the root, on e^u - u in u = ln(aN), monotone. Relative
    error, measured against 50 digits for \|c\| <= 200: below 1e-13 where a e^(1-c) < 0.9, then about 1e-14/sqrt(1 - a
    e^(1-c)), up to 2e-7 where the two crossings merge and rounding the arguments moves them as far.
    """
    l1, l2 = (real("losses", l) for l in pair("losses", losses))
    c1, c2 = (nonnegative("coefficients", c) for c in pair("coefficients", coefficients))
    b1, b2 = (nonnegative("bits", b) for b in pair("bits", bits))
    gamma = nonnegative("prior_strength", prior_strength)
    l1, l2, c1, c2, b1, b2, gamma = np.broadcast_arrays(l1, l2, c1, c2, b1, b2, gamma)
    more = c2 - c1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a, c = (l1 - l2) / more, gamma * _LN2 * (b2 - b1) / more
        excess = c - np.log(np.where(a > 0, a, np.nan)) - 1.0  # kappa - 1 with e^u - u = kappa
        low = np.exp(_level(excess, -1.0)) / a
        high = np.exp(_level(excess, 1.0)) / a
        # one crossing: for a <= 0, v = -aN solves v + ln v = ln(-a) - c, and ln N = -c - v
        single = np.exp(-c - np.where(a == 0, 0.0, np.exp(_rising(np.log(-np.where(a < 0, a, -1.0)) - c))))
        linear = gamma * _LN2 * (b2 - b1) / (l1 - l2)  # equal coefficients: bits against losses
    if np.any((more != 0) & (excess >= 0) & np.isnan(low + high)):
        raise FloatingPointError("a crossing")
    first = np.where(more == 0, np.where(linear > 0, linear, np.nan), np.where(a > 0, low, single))
    second = np.where((more != 0) & (a > 0), high, np.where(np.isnan(first), np.nan, np.inf))
    return as_given(first), as_given(second)


def _level(excess: Array, side: float) -> Array:
    """The root u of e^u - 1 - u = excess >= 0 on one side of 0; nan below."""
    e = np.where(excess >= 0, excess, np.nan)
    near = np.sqrt(2.0 * e)
    u = np.minimum(near, np.log1p(e + near)) if side > 0 else -np.minimum(near + e, 1.0 + e)
    for _ in range(80):  # convex: from beyond the root every step moves towards it
        slope = np.expm1(u)
        step = np.where(slope == 0, 0.0, (slope - u - e) / np.where(slope == 0, 1.0, slope))
        u = u - step
        if not np.any(np.abs(step) > 1e-16 * np.abs(u)):
            break
    return np.asarray(u)


def _rising(value: Array) -> Array:
    """The root w of e^w + w = value."""
    w = np.where(value > 1, np.log(np.maximum(value, 1.0)), value)
    for _ in range(60):
        step = (np.exp(w) + w - value) / (np.exp(w) + 1.0)
        w = w - step
        if not np.any(np.abs(step) > 1e-16 * np.maximum(np.abs(w), 1.0)):
            break
    return np.asarray(w)

"""What is exact about the model ``depth``: when a mode reaches a strength, its course, the staircase of modes.

All functions broadcast over their arguments and hold for any real depth D >= 1, with ``depth = inf`` for the limit of
infinite depth, in which ``time`` stands for D t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, nonnegative, positive, real, scalar, vectorized

_TERMS, _MORE_TERMS = 60, 100  # the series fall at least like 2^-n, beyond the target like (2/3)^n
_MOST_STEPS = 3000  # far from the target one is worth a factor e at least in strength; the numbers have 1400 of them
_NEAREST = 700.0  # y beyond which the missing share is no longer a normal number; x equals s from y = 37 on


@vectorized()
def time_to_reach(
    strength: ArrayLike, *, target: ArrayLike = 1.0, start: ArrayLike = 1e-3, depth: ArrayLike = 2.0
) -> Array:
    r"""The time at which a mode has a strength (depth 9.1).

    .. math:: t = \int_{x_0}^{x} \frac{dx}{D\,x^{2-2/D}\,(s - x)}

    strength : x > 0. target : s > 0. start : x_0 > 0, on the same side of the target. depth : D >= 1, or inf. Negative
    where x lies behind the start, inf at the target, nan on its other side. A series on each side of s/2 (of
    3s/2 beyond the target), converging geometrically at every depth. Relative error, measured against 60 digits for D
    from 1 to 1e4: below 1e-13 where x and x_0 differ by a thousandth or more, about 1e-16 x_0/\|x - x_0\| closer together.
    """
    x, s, x0, d = _arguments(strength, target, start, depth)
    e, scale = _scale(s, d)
    same = (x < s) == (x0 < s)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        out = _clock(x / s, (s - x) / s, e, x0 / s, (s - x0) / s) / scale
    out = np.where(x == x0, 0.0, np.where(x == s, np.inf, out))
    if np.any(same & np.isnan(out)):
        raise FloatingPointError("a power of x/s")
    return as_given(np.where(same | (x == s), out, np.nan))


@vectorized()
def course(time: ArrayLike, *, target: ArrayLike = 1.0, start: ArrayLike = 1e-3, depth: ArrayLike = 2.0) -> Array:
    """Strength of a mode at a time (depth 9.1), the inverse of :func:`time_to_reach`.

    time : t >= 0 (D t for ``depth = inf``). target, start : > 0. depth : >= 1, or inf. Explicit for D = 1 and D = 2;
    elsewhere Newton's method on the logit of x/s inside a bracket, to a relative error of about 1e-12 in the share that
    is missing or has been reached, whichever is smaller.
    """
    t, s, x0, d = np.broadcast_arrays(
        nonnegative("time", time), positive("target", target), positive("start", start), _depth(depth)
    )
    with np.errstate(over="ignore"):
        one = s + (x0 - s) * np.exp(-t)
        # 1/x = (1 - E)/s + E/x_0: no difference of strengths, whose digits a small target would lose
        two = 1.0 / (2.0 * t * exprel(-2.0 * s * t) + np.exp(-2.0 * s * t) / x0)
        two = np.where(s * t > 0.25, s / (-np.expm1(-2.0 * s * t) + np.exp(-2.0 * s * t) * (s / x0)), two)
    out = np.where(d == 1.0, one, np.where(d == 2.0, two, s))
    todo = (d != 1.0) & (d != 2.0) & (x0 != s)
    if np.any(todo):
        out[todo] = _inverted(t[todo], s[todo], x0[todo], d[todo])
    return as_given(out)


@vectorized(targets=1)
def effective_rank(time: ArrayLike, *, targets: ArrayLike, start: float = 1e-3, depth: float = 2.0) -> Array:
    """Sum of the learned shares x_k/s_k over modes, at every time (depth 9.2): the staircase.

    time : any shape. targets : > 0, one a mode. start, depth : as in :func:`course`, common to the modes.
    """
    s, t = np.atleast_1d(positive("targets", targets)), nonnegative("time", time)
    x0, d = scalar("start", start), scalar("depth", depth, infinite=True)
    return as_given(np.asarray(course(t[..., None], target=s, start=x0, depth=d) / s).sum(axis=-1))


@vectorized()
def step_width(*, target: ArrayLike = 1.0, start: ArrayLike = 1e-3, depth: ArrayLike = 2.0) -> Array:
    """Time from a tenth to nine tenths of the target, over the time to half of it (depth 9.2).

    How sharp the step of a mode is: it falls with depth, and with the start like 1/ln(1/x_0) for two layers and like a
    power of x_0 for more. start : below a tenth of the target.
    """
    s, x0 = positive("target", target), positive("start", start)
    if np.any(x0 >= 0.1 * s):
        raise DomainError(f"start must lie below a tenth of the target; got {np.max(x0 / s):g} of it")
    low, half, high = (time_to_reach(share * s, target=s, start=x0, depth=depth) for share in (0.1, 0.5, 0.9))
    return as_given(np.asarray((high - low) / half))


def _depth(depth: ArrayLike) -> Array:
    d = real("depth", depth, 1.0, infinite=True)
    return np.asarray(d)


def _arguments(*values: ArrayLike) -> tuple[Array, ...]:
    names = ("strength", "target", "start")
    checked = [positive(n, v) for n, v in zip(names, values[:3], strict=True)]
    return np.broadcast_arrays(*checked, _depth(values[3]))


def _scale(s: Array, d: Array) -> tuple[Array, Array]:
    """e = 2/D - 1, and what the clock of the unit mode is divided by: D s^(1-e), s^2 at infinite depth."""
    e = 2.0 / d - 1.0
    return e, np.where(np.isinf(d), 1.0, d) * s ** (1.0 - e)


def _clock(u: Array, v: Array, e: Array, u0: Array, v0: Array) -> Array:
    """The integral of u^(e-1)/(1-u) from u0 to u; v = 1 - u is passed along so that it keeps its digits."""
    middle = np.where(v0 > 0, 0.5, 1.5)  # where the two series change over, on the side of the start
    cut, rest = middle, 1.0 - middle
    low = _from_zero(np.minimum(u, cut), np.minimum(u0, cut), e)
    below = v0 > 0  # a series is not asked beyond its side, where its powers would overflow
    high = _from_end(np.where(below & (u > cut), v, rest), np.where(below & (u0 > cut), v0, rest), e)
    far = _from_infinity(np.maximum(u, cut), np.maximum(u0, cut), e)
    near = _from_end(np.where(~below & (u < cut), v, rest), np.where(~below & (u0 < cut), v0, rest), e)
    return np.where(below, low + high, far + near)


def _powers(u: Array, u0: Array, a: Array) -> Array:
    """(u^a - u0^a)/a, which is ln(u/u0) at a = 0."""
    ratio = np.log(u / u0)
    x = a * ratio
    zero = a == 0.0
    # from the larger of the two powers, so that nothing overflows
    grown = np.where(zero, ratio, np.sign(x) * -np.expm1(-np.abs(x)) / np.where(zero, 1.0, a))
    return np.asarray(np.where(x > 0, u, u0) ** a * grown)


def _from_zero(u: Array, u0: Array, e: Array) -> Array:
    """Sum of (u^(n+e) - u0^(n+e))/(n+e), for u, u0 <= 1/2."""
    return sum((_powers(u, u0, n + e) for n in range(_TERMS)), np.zeros_like(u))


def _from_infinity(u: Array, u0: Array, e: Array) -> Array:
    """The same beyond the target, expanded in 1/u, for u, u0 >= 3/2."""
    return -sum((_powers(u, u0, e - 1.0 - n) for n in range(_MORE_TERMS)), np.zeros_like(u))


def _from_end(v: Array, v0: Array, e: Array) -> Array:
    """-ln(v/v0) - sum of (1-e)_m/m! (v^m - v0^m)/m, for |v|, |v0| <= 1/2."""
    out = -np.log(v / v0)
    coefficient = np.ones_like(v)
    for m in range(1, _TERMS + 1):
        coefficient = coefficient * (m - e) / m
        out = out - coefficient * (v**m - v0**m) / m
    return np.asarray(out)


def _inverted(t: Array, s: Array, x0: Array, d: Array) -> Array:
    """Newton's method on y = ln(u/(1-u)), in which the clock runs at u^e; beyond the target on y = -ln(u-1), at u^(e-1).

    Bracketed, since both can be tiny or huge.
    """
    e, scale = _scale(s, d)
    wanted = t * scale
    if np.any((wanted == 0.0) & (t > 0.0)):
        raise FloatingPointError("a power of s")
    below = x0 < s
    power = np.where(below, e, e - 1.0)
    y0 = np.log(np.where(below, x0, s)) - np.log(np.abs(s - x0))
    # the pace runs monotonically towards 1
    first = _share(y0, below)[0] ** power
    ahead = np.where(wanted == 0.0, 0.0, wanted / np.where(wanted == 0.0, 1.0, np.minimum(1.0, first)))
    low, high = np.where(below, y0, y0 + wanted), y0 + ahead
    # below the target and for e > 0, u^e is at least 2^-e from y = 0 on: a much closer bound
    high = np.where(below & (e > 0), np.minimum(high, np.maximum(y0, 0.0) + 2.0**e * wanted), high)
    # from the left where the clock is concave in y, from the right where it is convex: every step then comes closer
    y = np.where(below & (e < 0), low, high)
    # far from the target the clock is a power of u: that is close there, and late everywhere
    base = first + np.where(power == 0.0, 0.0, power * np.where(below, 1.0, -1.0)) * wanted
    far = np.where((power < 0.0) & (base > 0.0), base, 1.0) ** (1.0 / np.where(power < 0.0, power, -1.0))
    guess = np.where(below, np.log(far) - np.log1p(-np.minimum(far, 0.5)), -np.log(np.maximum(far, 2.0) - 1.0))
    y = np.where((power < 0.0) & (base > 0.0) & np.where(below, far < 0.5, far > 2.0), np.clip(guess, low, high), y)
    y = np.minimum(np.where(np.isinf(wanted), np.inf, y), _NEAREST)
    u0, v0 = _share(y0, below)
    for _ in range(_MOST_STEPS):
        u, v = _share(y, below)
        miss = _clock(u, v, e, u0, v0) - wanted
        low, high = np.where(miss <= 0, y, low), np.where(miss > 0, y, high)
        new = y - miss / u**power
        new = np.where((new > low) & (new < high), new, np.where(np.isfinite(high), 0.5 * (low + high), y + 1.0))
        new = np.minimum(new, _NEAREST)
        done = np.abs(new - y) <= 1e-15 * np.maximum(np.abs(y), 1.0)
        y = np.where(miss == 0, y, new)
        if np.all(done | (miss == 0)):
            break
    return np.asarray(s * _share(y, below)[0])


def _share(y: Array, below: NDArray[np.bool_]) -> tuple[Array, Array]:
    """u and 1 - u from y = ln(u/(1-u)), beyond the target from y = -ln(u-1)."""
    gap = np.exp(-y)
    return np.where(below, 1.0 / (1.0 + gap), 1.0 + gap), np.where(below, 1.0 / (1.0 + np.exp(y)), -gap)

"""Interval arithmetic on arrays of boxes, rounded outwards.

An interval is a pair (lo, hi) of arrays. Sums, products, quotients and roots are rounded to nearest by IEEE 754 and then
moved outwards by one unit in the last place; elementary functions of numpy, whose errors are a few units, by 16 (their
published bound is 4). NaN stands for 'nothing is known' and stays NaN through every operation; :func:`settle` turns it
into an infinite bound. A function takes the part of its argument that lies in its domain, and notes the boxes on which
that is only a part (no mean value theorem holds there) or nothing (the formula has no value there at all).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import NDArray

from toymesa.symbolic.balls import Undecidable, float_bounds

Array = NDArray[np.float64]
Interval = tuple[Any, Any]
_WIDE, _TINY, _MAX = 2.0**-48, 2.0**-1070, 1.7976931348623157e308


def down(x: Any) -> Any:
    """The next smaller double."""
    return np.nextafter(x, -np.inf)


def up(x: Any) -> Any:
    """The next larger double."""
    return np.nextafter(x, np.inf)


def widened(lo: Any, hi: Any) -> Interval:
    """Room for the error of numpy's elementary functions."""
    return lo - (np.abs(lo) * _WIDE + _TINY), hi + (np.abs(hi) * _WIDE + _TINY)


def settle(x: Interval) -> Interval:
    """NaN as 'could be anything'."""
    lo, hi = x
    return np.where(np.isnan(lo), -np.inf, lo), np.where(np.isnan(hi), np.inf, hi)


def constant(value: Fraction) -> Interval:
    """An enclosure of a rational number in one or two neighbouring doubles."""
    near = float(value)
    if Fraction(near) == value:
        return near, near
    return (near, math.nextafter(near, math.inf)) if Fraction(near) < value else (math.nextafter(near, -math.inf), near)


def add(a: Interval, b: Interval) -> Interval:
    """a + b."""
    return down(a[0] + b[0]), up(a[1] + b[1])


def mul(a: Interval, b: Interval) -> Interval:
    """a b."""
    if _exact(b):
        a, b = b, a
    if _exact(a):
        c = a[0]
        if c == 1.0:
            return b
        if c == -1.0:
            return -b[1], -b[0]
        return (down(c * b[0]), up(c * b[1])) if c >= 0 else (down(c * b[1]), up(c * b[0]))
    p, q, r, s = a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]
    low = np.minimum(np.minimum(p, q), np.minimum(r, s))
    return down(low), up(np.maximum(np.maximum(p, q), np.maximum(r, s)))


def _exact(a: Interval) -> bool:
    return isinstance(a[0], float) and a[0] == a[1]


def inverse(a: Interval) -> Interval:
    """1 / a; unknown where a contains zero in its inside."""
    lo, hi = np.asarray(a[0]), np.asarray(a[1])
    one, other = down(1.0 / hi), up(1.0 / lo)
    low = np.where(hi == 0.0, -np.inf, one)
    high = np.where(lo == 0.0, np.inf, other)
    inside = ~((lo >= 0.0) | (hi <= 0.0))
    return np.where(inside, np.nan, low), np.where(inside, np.nan, high)


def power(a: Interval, n: int) -> Interval:
    """a ** n for a whole number n."""
    if n < 0:
        return inverse(power(a, -n))
    if n == 0:
        return 1.0, 1.0
    if n == 1:
        return a
    lo, hi = np.asarray(a[0]), np.asarray(a[1])
    margin = 2.0 if n == 2 else 2.0 * n  # repeated multiplication: at most one rounding each
    p, q = lo**n, hi**n
    if n % 2:
        return _outward(p, q, margin)
    least = np.where(lo > 0.0, p, np.where(hi < 0.0, q, 0.0))
    low, high = _outward(least, np.maximum(p, q), margin)
    return np.maximum(low, 0.0), high


def _outward(lo: Any, hi: Any, units: float) -> Interval:
    eps = units * 2.0**-52
    lo, hi = np.minimum(lo, _MAX), np.maximum(hi, -_MAX)  # what overflows is beyond the largest double
    return lo - (np.abs(lo) * eps + _TINY), hi + (np.abs(hi) * eps + _TINY)


class Undefined:
    """Boxes on which a formula has no value ``nowhere`` and ``partly``; filled in while it is evaluated."""

    def __init__(self, size: int) -> None:
        self.nowhere, self.partly = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)

    def where(self, nothing: Any, some: Any) -> None:
        """Add boxes: those that lie outside of a domain altogether, and those that reach out of it."""
        self.nowhere |= np.broadcast_to(nothing, self.nowhere.shape)
        self.partly |= np.broadcast_to(some, self.partly.shape)


def root(a: Interval, seen: Undefined) -> Interval:
    """Square root of the part that is not negative."""
    seen.where(np.asarray(a[1]) < 0.0, np.asarray(a[0]) < 0.0)
    low = np.maximum(down(np.sqrt(np.maximum(a[0], 0.0))), 0.0)
    return low, up(np.sqrt(np.maximum(a[1], 0.0)))


def log(a: Interval, seen: Undefined) -> Interval:
    """Logarithm of the positive part."""
    seen.where(np.asarray(a[1]) <= 0.0, np.asarray(a[0]) <= 0.0)
    return widened(np.log(np.maximum(a[0], 0.0)), np.log(np.maximum(a[1], 0.0)))


def exp(a: Interval) -> Interval:
    """Exponential function; what overflows is at least the largest double."""
    lo, hi = widened(np.minimum(np.exp(a[0]), _MAX), np.exp(a[1]))
    return np.maximum(lo, 0.0), hi


def general_power(a: Interval, b: Interval, seen: Undefined) -> Interval:
    """a ** b = exp(b log a) for the part of a that is not negative."""
    positive = exp(mul(b, log(a, seen)))
    touches = np.asarray(a[0]) <= 0.0  # 0 ** b is 0 for b > 0, and has no finite value otherwise
    low = np.where(touches & (np.asarray(b[0]) > 0.0), 0.0, positive[0])
    high = np.where(touches & (np.asarray(b[0]) > 0.0), np.maximum(up(np.maximum(a[1], 1.0) ** b[1]), 1.0), positive[1])
    return np.where(touches & ~(np.asarray(b[0]) > 0.0), np.nan, low), np.where(
        touches & ~(np.asarray(b[0]) > 0.0), np.nan, high
    )


def increasing(f: Callable[[Any], Any], low: float = -math.inf, high: float = math.inf) -> Callable[..., Interval]:
    """An increasing function with the domain [low, high]."""

    def apply(a: Interval, seen: Undefined) -> Interval:
        if math.isfinite(low):
            seen.where(np.asarray(a[1]) < low, np.asarray(a[0]) < low)
        if math.isfinite(high):
            seen.where(np.asarray(a[0]) > high, np.asarray(a[1]) > high)
        return widened(f(np.clip(a[0], low, high)), f(np.clip(a[1], low, high)))

    return apply


def cosh(a: Interval, seen: Undefined) -> Interval:
    """Even, smallest at 0."""
    p, q = np.cosh(a[0]), np.cosh(a[1])
    inside = ~((np.asarray(a[0]) > 0.0) | (np.asarray(a[1]) < 0.0))
    lo, hi = widened(np.where(inside, 1.0, np.minimum(p, q)), np.maximum(p, q))
    return np.maximum(lo, 1.0), hi


def cos(a: Interval, seen: Undefined) -> Interval:
    """With the turning points at multiples of pi that may lie inside."""
    lo, hi = np.asarray(a[0]), np.asarray(a[1])
    p, q = np.cos(lo), np.cos(hi)
    slack = 1e-12 * (1.0 + np.maximum(np.abs(lo), np.abs(hi)))
    first, last = np.ceil((lo - slack) / math.pi), np.floor((hi + slack) / math.pi)
    even = 2.0 * np.ceil(first / 2.0) <= last  # a multiple of 2 pi: value 1
    odd = 2.0 * np.ceil((first - 1.0) / 2.0) + 1.0 <= last
    lost = ~(np.abs(lo) < 1e8) | ~(np.abs(hi) < 1e8)  # the slack is a proof only for moderate arguments
    low, high = widened(np.minimum(p, q), np.maximum(p, q))
    low, high = np.where(odd | lost, -1.0, low), np.where(even | lost, 1.0, high)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def sin(a: Interval, seen: Undefined) -> Interval:
    """cos(a - pi/2)."""
    half = constant(Fraction(math.pi / 2))
    return cos(add(a, (down(-half[1]), up(-half[0]))), seen)


def absolute(a: Interval, seen: Undefined) -> Interval:
    """|a|."""
    lo, hi = np.asarray(a[0]), np.asarray(a[1])
    return np.maximum(np.maximum(lo, -hi), 0.0), np.maximum(np.abs(lo), np.abs(hi))


def sign(a: Interval, seen: Undefined) -> Interval:
    """-1, 0 or 1; the whole range where the sign is open."""
    lo, hi = np.asarray(a[0]), np.asarray(a[1])
    return np.where(lo > 0.0, 1.0, np.where(lo == 0.0, 0.0, -1.0)), np.where(
        hi < 0.0, -1.0, np.where(hi == 0.0, 0.0, 1.0)
    )


def heaviside(a: Interval, seen: Undefined) -> Interval:
    """0 or 1; [0, 1] where the sign is open."""
    return np.where(np.asarray(a[0]) > 0.0, 1.0, 0.0), np.where(np.asarray(a[1]) < 0.0, 0.0, 1.0)


def jump(a: Interval, seen: Undefined) -> Interval:
    """Derivative of a step at a = 0: nothing where a keeps off zero, unknown elsewhere."""
    away = (np.asarray(a[0]) > 0.0) | (np.asarray(a[1]) < 0.0)
    return np.where(away, 0.0, np.nan), np.where(away, 0.0, np.nan)


def log_sum_exp(args: list[Interval]) -> Interval:
    """ln(sum of exponentials), increasing in every argument."""
    return _log_sum([a[0] for a in args])[0], _log_sum([a[1] for a in args])[1]


def _log_sum(values: list[Any]) -> Interval:
    top = values[0]
    for v in values[1:]:
        top = np.maximum(top, v)
    total = np.log(sum(np.exp(v - top) for v in values))
    out = top + total
    room = (np.abs(top) + np.abs(total) + 1.0) * _WIDE
    return out - room, out + room


def log_share(i: int, args: list[Interval]) -> Interval:
    """a_i - ln(sum of exponentials): increasing in a_i and decreasing in the others, so that the bounds are sharp."""
    low = [a[0] if j == i else a[1] for j, a in enumerate(args)]
    high = [a[1] if j == i else a[0] for j, a in enumerate(args)]
    least, most = _log_sum(low), _log_sum(high)
    return down(low[i] - least[1]), np.minimum(up(high[i] - most[0]), 0.0)


def by_balls(args: list[Interval], value: Callable[[list[Any]], Any]) -> Interval:
    """Any function that ball arithmetic has, one box after another: rigorous and slow (python-flint, Johansson 2017).

    value: takes one ball an argument and returns a ball, or raises Undecidable.
    """
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for a in args for v in a))
    low, high = np.full(columns[0].shape, np.nan), np.full(columns[0].shape, np.nan)
    for i in np.flatnonzero(np.all([np.isfinite(c) for c in columns], axis=0)):
        ends = [float(c[i]) for c in columns]
        try:
            out = value([flint.arb(lo).union(flint.arb(hi)) for lo, hi in zip(ends[::2], ends[1::2], strict=True)])
        except Undecidable:
            continue
        if out.is_finite():
            low[i], high[i] = float_bounds(out)
    return low, high

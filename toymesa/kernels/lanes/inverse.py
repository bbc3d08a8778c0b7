"""Inverse circular and hyperbolic functions of vector programs, without branches, for every argument."""

from __future__ import annotations

from toymesa.kernels.lanes.elementary import log1p
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.polynomials import ASIN, ATAN, LN2, PI, TAN_PI_8, polynomial

_NAN = float("nan")
_LARGE = 2.0**28  # its square and one more are the same number


def _sum(base: Value, rest: Value, v: Value, small: Value) -> Value:
    """base + rest + v + small, where base is zero or larger than v and its rest and ``small`` are small."""
    total = base + v
    return total + (((base - total) + v) + (rest + small))


def atan(p: Program, x: Value) -> Value:
    """arctan x: multiple of pi/4 plus arctan t with abs(t) <= tan(pi/8), t = (a - 1)/(a + 1) or -1/a, a = abs(x)."""
    a = p.minimum(2.0**60, abs(x))
    low, high = a < TAN_PI_8, a > 1.0 / TAN_PI_8
    less, more = a - 1.0, a + 1.0
    top = p.select(low, a, p.select(high, -1.0, less))
    bottom = p.select(low, 1.0, p.select(high, a, more))
    inverse = 1.0 / bottom
    t = top * inverse
    rounded = (a - (less + 1.0)) - t * (a - (more - 1.0))  # what less and more lack
    lost = (p.fma(-t, bottom, top) + p.select(low | high, 0.0, rounded)) * inverse
    base = p.select(low, 0.0, p.select(high, PI[0] / 2, PI[0] / 4))
    rest = p.select(low, 0.0, p.select(high, PI[1] / 2, PI[1] / 4))
    z = t * t
    return p.call("copysign", _sum(base, rest, t, lost + t * (z * polynomial(z, ATAN))), x)


def _half_angle(p: Program, a: Value) -> tuple[Value, Value, Value]:
    """Whether a > 1/2, and the two parts of arcsin a or, where it holds, of arccos a = 2 arcsin sqrt((1 - a)/2)."""
    large = a > 0.5
    half = 0.5 - 0.5 * a
    z = p.select(large, half, a * a)
    v = p.select(large, 2.0 * p.call("sqrt", half), a)
    return large, v, v * (z * polynomial(z, ASIN))


def asin(p: Program, x: Value) -> Value:
    """arcsin x."""
    large, v, small = _half_angle(p, abs(x))
    base, rest = p.select(large, PI[0] / 2, 0.0), p.select(large, PI[1] / 2, 0.0)
    y = _sum(base, rest, p.select(large, -v, v), p.select(large, -small, small))
    return p.call("copysign", y, x)


def acos(p: Program, x: Value) -> Value:
    """arccos x."""
    large, v, small = _half_angle(p, abs(x))
    negative = x < 0.0
    up = (large & ~negative) | (negative & ~large)
    base = p.select(large, p.select(negative, PI[0], 0.0), PI[0] / 2)
    rest = p.select(large, p.select(negative, PI[1], 0.0), PI[1] / 2)
    return _sum(base, rest, p.select(up, v, -v), p.select(up, small, -small))


def asinh(p: Program, x: Value) -> Value:
    """ln(1 + w) with w = a + a^2/(1 + sqrt(1 + a^2)), a = abs(x); for large ones ln a + ln 2."""
    a = abs(x)
    square, large = a * a, a > _LARGE
    w = p.select(large, a - 1.0, a + square / (1.0 + p.call("sqrt", 1.0 + square)))
    return p.call("copysign", log1p(p, w) + p.select(large, LN2[0], 0.0), x)


def acosh(p: Program, x: Value) -> Value:
    """ln(1 + t + sqrt(t (t + 2))) with t = x - 1; for large ones ln x + ln 2."""
    t, large = x - 1.0, x > _LARGE
    y = log1p(p, p.select(large, t, t + p.call("sqrt", t * (t + 2.0)))) + p.select(large, LN2[0], 0.0)
    return p.select(x < 1.0, _NAN, y)


def atanh(p: Program, x: Value) -> Value:
    """ln(1 + 2a/(1 - a))/2 with a = abs(x)."""
    a = abs(x)
    double = a + a
    y = log1p(p, p.fma(double, a / (1.0 - a), double))
    return p.call("copysign", p.select(a > 1.0, _NAN, 0.5 * y), x)

"""Exponential, logarithmic and hyperbolic functions of vector programs, without branches, for every argument.

Where a result depends on a sum or product being rounded once, it is written as ``fma`` or is exact; elsewhere the compiler may
fuse a product into a sum or not. NaNs pass through; infinities, signed zeros and subnormal numbers give what the C library gives.
The tests hold the bounds of the errors, in units of the last place.
"""

from __future__ import annotations

from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.polynomials import EXP, LN2, LN2_SHORT, LOG, PER_LN2, polynomial

_ROUND = 1.5 * 2.0**52  # x + _ROUND is rounded to a whole number, which is then in the lowest bits
_INF, _NAN = float("inf"), float("nan")
_EXPONENT, _DIGITS = 0x7FF << 52, (1 << 52) - 1
_SQRT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)


def clamp(p: Program, x: Value, low: float, high: float) -> Value:
    """x between two bounds; NaN where it is NaN."""
    return p.maximum(low, p.minimum(high, x))


def reduce(p: Program, x: Value, offset: float) -> tuple[Value, Value, Value]:
    """x = k ln 2 + r + c with abs(r) <= ln(2)/2 and c what r lacks; the bits of 2^(k + offset)."""
    shifted = p.fma(x, PER_LN2, _ROUND + 1023.0 + offset)
    k = shifted - (_ROUND + 1023.0 + offset)
    first = p.fma(-k, LN2[0], x)  # exact: a multiple of 2^-54 (of 2^-53 for abs(x) >= 1) below 1/2
    r = p.fma(-k, LN2[1], first)
    return r, p.fma(-k, LN2[1], first - r), p.bits("shl", p.as_integer(shifted), p.integer(52))


def scale_back(p: Program, y: Value, bits: Value, x: Value) -> Value:
    """2^k y, by two factors to get to infinity and to subnormal numbers; ``bits`` are those of 2^(k + 1023), k about x/ln 2."""
    last = p.select(x < -700.0, 2.0**-64, 2.0)
    return y * p.as_number(p.bits("sub", bits, p.as_integer(last))) * last


def exp(p: Program, x: Value) -> Value:
    """e^x: 2^k times a polynomial of degree 11 in r = x - k ln 2."""
    x = clamp(p, x, -746.0, 710.0)
    r, _, bits = reduce(p, x, 1023.0)
    return scale_back(p, p.fma(r, 1.0 + r * polynomial(r, EXP), 1.0), bits, x)


def _scaled_expm1(p: Program, x: Value, offset: float) -> tuple[Value, Value]:
    """2^offset (e^x - 1) as a sum of two numbers, the first much the larger one.

    (2^k - 1) + 2^k r is a sum of two numbers without error, as abs(2^k - 1) >= 2^k abs(r) unless k = 0.
    """
    r, c, bits = reduce(p, x, offset)
    scale = p.as_number(bits)
    whole = scale - 2.0**offset
    high = p.fma(r, scale, whole)
    low = p.fma(r, scale, whole - high)
    return high, p.fma(scale, p.fma(r * r, polynomial(r, EXP), c + c * r), low)


def expm1(p: Program, x: Value) -> Value:
    """e^x - 1 = (2^k - 1) + 2^k (e^r - 1), where the first sum is carried without error."""
    high, low = _scaled_expm1(p, clamp(p, x, -50.0, 710.0), -1.0)
    return p.select(abs(x) < 2.0**-54, x, (high + low) * 2.0)


def tanh(p: Program, x: Value) -> Value:
    """t/(t + 2) with t = e^(2 abs(x)) - 1, good to 2.7 ulp; for 1 ulp it would take 1.6 times as long."""
    a = p.minimum(20.0, abs(x))
    r, _, bits = reduce(p, a + a, 0.0)
    scale = p.as_number(bits)
    t = p.fma(scale, p.fma(r * r, polynomial(r, EXP), r), scale - 1.0)
    return p.call("copysign", t / (2.0 + t), x)


def sinh(p: Program, x: Value) -> Value:
    """(t + t/(t + 1))/2 with t = e^abs(x) - 1 in two parts."""
    high, low = _scaled_expm1(p, p.minimum(710.5, abs(x)), -2.0)  # a quarter of t, which does not overflow
    t = high + low
    rest = (high - t) + low
    y = t + (rest + t / (4.0 * t + 1.0))
    return p.select(abs(x) < 2.0**-27, x, p.call("copysign", y * 2.0, x))


def cosh(p: Program, x: Value) -> Value:
    """(e + 1/e)/2 with e = e^abs(x)."""
    r, _, bits = reduce(p, p.minimum(710.5, abs(x)), -2.0)
    quarter = p.fma(r, 1.0 + r * polynomial(r, EXP), 1.0) * p.as_number(bits)
    return (quarter + 0.0625 / quarter) * 2.0


def _digits(p: Program, x: Value) -> tuple[Value, Value, Value]:
    """x = 2^k m with sqrt(1/2) <= m < sqrt(2) for normal x: 2^52 + 1023 + k, m, and the exponent bits of 2^k."""
    word = p.bits("add", p.as_integer(x), p.integer((1023 << 52) - _SQRT_HALF))
    field = p.as_number(p.bits("or", p.bits("lshr", word, p.integer(52)), p.integer(0x433 << 52)))
    digits = p.bits("add", p.bits("and", word, p.integer(_DIGITS)), p.integer(_SQRT_HALF))
    return field, p.as_number(digits), p.bits("and", word, p.integer(_EXPONENT))


def mantissa(p: Program, x: Value) -> tuple[Value, Value]:
    """k and m with x = 2^k m, sqrt(1/2) <= m < sqrt(2), for positive finite x."""
    small = x < 2.0**-1022
    field, m, _ = _digits(p, x * p.select(small, 2.0**54, 1.0))
    return field - p.select(small, 2.0**52 + 1077.0, 2.0**52 + 1023.0), m


def _assemble(p: Program, k: Value, f: Value, s: Value, correction: Value | float) -> Value:
    """k ln 2 + ln(1 + f) + correction with s = f/(2 + f), where k ln 2 + f is carried without error.

    ln(1 + f) = 2 artanh(s) = f - (f^2/2 - s (f^2/2 + R(s^2))) with R(z) = 2 (artanh(s)/s - 1).
    """
    z = s * s
    half = 0.5 * f * f
    high = p.fma(k, LN2_SHORT[0], f)
    low = p.fma(k, LN2_SHORT[0], -high) + f
    return high + (low + (p.fma(k, LN2_SHORT[1], correction) - (half - s * (half + z * polynomial(z, LOG)))))


def _at_the_ends(p: Program, u: Value, y: Value) -> Value:
    """The logarithm y of u, where u is neither positive nor finite too."""
    end = p.select(p.compare("oeq", u, 0.0), -_INF, p.select(u < 0.0, _NAN, u))
    return p.select((u > 0.0) & (u < _INF), y, end)


def log(p: Program, x: Value) -> Value:
    """ln x = k ln 2 + ln m with m in [sqrt(1/2), sqrt(2)), as in fdlibm (Sun Microsystems, 1993), the sum in two parts."""
    k, m = mantissa(p, x)
    f = m - 1.0
    return _at_the_ends(p, x, _assemble(p, k, f, f / (2.0 + f), 0.0))


def log1p(p: Program, x: Value) -> Value:
    """ln(1 + x) = ln u + (1 + x - u)/u with u the rounded sum."""
    u = 1.0 + x
    rest = u - 1.0
    lost = (1.0 - (u - rest)) + (x - rest)
    field, m, exponent = _digits(p, u)
    f = m - 1.0
    d = 1.0 / (m * (2.0 + f))
    unit = p.as_number(p.bits("sub", p.integer(2046 << 52), exponent))  # 2^-k
    lost = lost * p.select(u < 2.0**60, unit, 0.0) * ((2.0 + f) * d)
    y = _at_the_ends(p, u, _assemble(p, field - (2.0**52 + 1023.0), f, f * (m * d), lost))
    return p.select(abs(x) < 2.0**-53, x, y)

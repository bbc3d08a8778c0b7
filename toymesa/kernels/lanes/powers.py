"""Powers of vector programs: e^(y ln x) with the logarithm and the product in two parts."""

from __future__ import annotations

from toymesa.kernels.lanes.elementary import clamp, mantissa, reduce, scale_back
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.polynomials import EXP, LN2_SHORT, LOG_TAIL, TWO_THIRDS, polynomial

_INF, _NAN = float("inf"), float("nan")


def _two_part_log(p: Program, x: Value) -> tuple[Value, Value]:
    """ln x of a positive finite number as a sum, the first part much the larger one, to about 2^-66.

    k ln 2 + 2 artanh(s), s = f/(2 + f), with s, s^2, the coefficient of s^3 and the sums in two parts. A product is used either
    with its rounding error or inside an fma, never both: which of them the compiler would fuse is its own choice.
    """
    k, m = mantissa(p, x)
    f, d = m - 1.0, m + 1.0
    inverse = 1.0 / d
    s = f * inverse
    s_rest = (p.fma(-s, d, f) - s * (m - (d - 1.0))) * inverse
    z = s * s
    z_rest = p.fma(s, s, -z) + (s + s) * s_rest
    tail = polynomial(z, LOG_TAIL)
    c = p.fma(z, tail, TWO_THIRDS[0])
    c_rest = p.fma(z, tail, TWO_THIRDS[0] - c) + TWO_THIRDS[1]
    cubic = z * c
    cubic_rest = p.fma(z, c, -cubic) + (z * c_rest + z_rest * c)
    log_m = p.fma(s, cubic, s + s)
    rest = p.fma(s, cubic, (s + s) - log_m) + (s * cubic_rest + s_rest * (2.0 + cubic))
    high = p.fma(k, LN2_SHORT[0], log_m)
    low = (p.fma(k, LN2_SHORT[0], -high) + log_m) + p.fma(k, LN2_SHORT[1], rest)
    return high, low


def pow(p: Program, x: Value, y: Value) -> Value:
    """x^y, by the C library in lanes where x is zero or not finite or abs(y) >= 2^40."""
    a = abs(x)
    high, low = _two_part_log(p, a)
    product = y * high
    rest = p.fma(y, high, -product) + y * low
    exponent = clamp(p, product, -746.0, 710.0)
    r, c, bits = reduce(p, exponent, 1023.0)
    c, curved = c + rest, r * r * polynomial(r, EXP)
    one = 1.0 + r
    small = ((1.0 - one) + r) + (curved + p.fma(c, r + curved, c))  # e^(r + c) - 1 - r
    result = scale_back(p, one + small, bits, exponent)
    shifted = abs(y) + 2.0**52  # its lowest bit is that of a whole number y
    whole = p.compare("oeq", shifted - 2.0**52, abs(y))
    negative = p.bits("and", p.as_integer(x), p.bits("shl", p.as_integer(shifted), p.integer(63)))
    result = p.as_number(p.bits("xor", p.as_integer(result), negative))
    result = p.select((x < 0.0) & ~whole, _NAN, result)
    usual = (a > 0.0) & (a < _INF) & (abs(y) < 2.0**40)
    return p.rarely(~usual, lambda: p.library("pow", x, y), result)

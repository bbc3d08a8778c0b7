"""Circular functions of vector programs: without branches up to 2^30, by the C library in lanes beyond."""

from __future__ import annotations

from toymesa.kernels.lanes.emit import BOOL, Program, Value
from toymesa.kernels.lanes.polynomials import COS, HALF_PI, PER_HALF_PI, SIN, polynomial

_ROUND = 1.5 * 2.0**52  # x + _ROUND is rounded to a whole number, which is then in the lowest bits
_FAR = 2.0**30


def _quadrant(p: Program, x: Value) -> tuple[Value, Value, Value]:
    """x = k pi/2 + r + c for abs(x) < 2^30: sin and cos of r + c, and k in the lowest bits of an integer.

    Cody and Waite's reduction with fma: ``first`` is exact, a multiple of 2^-53 below 1, and so is ``second``, one of 2^-76.
    """
    shifted = p.fma(x, PER_HALF_PI, _ROUND)
    k = shifted - _ROUND
    first = p.fma(-k, HALF_PI[0], x)
    second = k * HALF_PI[1]
    total = first - second
    lost = (first - total) - second  # exact if abs(first) >= abs(second), and total is exact below 2^-23
    lost = p.fma(-k, HALF_PI[3], p.fma(-k, HALF_PI[2], lost))
    r = total + lost
    c = (total - r) + lost
    z, half = r * r, 0.5 * r
    sine = r + (r * (z * polynomial(z, SIN)) + p.fma(-half, c * r, c))
    one = p.fma(-half, r, 1.0)
    cosine = one + (p.fma(-half, r, 1.0 - one) + (z * z * polynomial(z, COS) - r * c))
    return sine, cosine, p.as_integer(shifted)


def _turn(p: Program, even: Value, odd: Value, k: Value, quarter: int) -> Value:
    """The function of a right angle's multiple k + quarter: even or odd, with the sign of its half-plane."""
    if quarter:
        k = p.bits("add", k, p.integer(quarter))
    is_odd = p.emit("trunc {I} {0} to {B}", BOOL, (k,))
    sign = p.bits("shl", p.bits("lshr", k, p.integer(1)), p.integer(63))
    y = p.select(is_odd, odd, even)
    return p.as_number(p.bits("xor", p.as_integer(y), sign))


def _is_far(p: Program, x: Value) -> Value:
    return (abs(x) >= _FAR) & (abs(x) < float("inf"))


def sin(p: Program, x: Value) -> Value:
    """sin x, by the C library in lanes beyond 2^30."""
    sine, cosine, k = _quadrant(p, x)
    y = p.select(abs(x) < 2.0**-27, x, _turn(p, sine, cosine, k, 0))
    return p.rarely(_is_far(p, x), lambda: p.library("sin", x), y)


def cos(p: Program, x: Value) -> Value:
    """cos x, by the C library in lanes beyond 2^30."""
    sine, cosine, k = _quadrant(p, x)
    return p.rarely(_is_far(p, x), lambda: p.library("cos", x), _turn(p, sine, cosine, k, 1))


def tan(p: Program, x: Value) -> Value:
    """tan x, by the C library in lanes beyond 2^30."""
    sine, cosine, k = _quadrant(p, x)
    is_odd = p.emit("trunc {I} {0} to {B}", BOOL, (k,))
    y = p.select(is_odd, -cosine, sine) / p.select(is_odd, sine, cosine)
    return p.rarely(_is_far(p, x), lambda: p.library("tan", x), p.select(abs(x) < 2.0**-27, x, y))

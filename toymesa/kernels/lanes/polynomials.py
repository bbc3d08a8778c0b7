"""Coefficients of the elementary functions, the constant one first, and the constants of their argument reductions.

Each polynomial is the best one of its degree in the maximum norm of the relative error of what is assembled from it, found
at 50 digits by Remez exchange (EXP: by reweighted least squares). The first two to four coefficients were rounded to double
precision one after another, and the rest was fitted again after each. Degree, interval and error as rounded:

======== ================================================ == ===================== ========
EXP      (e^r - 1 - r) / r^2 in r                          9  abs(r) <= 0.347      2^-57.8
LOG      (2 artanh(s)/s - 2) / s^2 in s^2                  6  abs(s) <= 0.1716     2^-59.4
LOG_TAIL ((2 artanh(s)/s - 2) / s^2 - 2/3) / s^2 in s^2    7  abs(s) <= 0.1716     2^-73.4
SIN      (sin(r)/r - 1) / r^2 in r^2                       5  abs(r) <= 0.7858     2^-57.9
COS      (cos r - 1 + r^2/2) / r^4 in r^2                  5  abs(r) <= 0.7858     2^-63.9
ATAN     (arctan(t)/t - 1) / t^2 in t^2                   10  abs(t) <= tan(pi/8)  2^-59.4
ASIN     (arcsin(v)/v - 1) / v^2 in v^2                   12  abs(v) <= 1/2        2^-59.7
======== ================================================ == ===================== ========
"""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.kernels.lanes.emit import Value

EXP = (
    0.5000000000000011, 0.16666666666666427, 0.04166666666652661, 0.008333333333485387, 0.001388888894450799,
    0.00019841269526204325, 2.4801492217675132e-05, 2.755756863417046e-06, 2.763055782601866e-07, 2.5005788736103005e-08,
)  # fmt: skip
LOG = (
    0.6666666666666735, 0.3999999999940935, 0.2857142874368677, 0.22222198428922987, 0.1818357235891617,
    0.15313832037566752, 0.14798260290572843,
)  # fmt: skip
LOG_TAIL = (
    0.3999999999999998, 0.2857142857144387, 0.22222222217778612, 0.18181818845733644, 0.15384558290881534,
    0.13336270354277754, 0.11675652836859417, 0.11982879602428104,
)  # fmt: skip
SIN = (
    -0.16666666666666632, 0.008333333333322472, -0.00019841269829835674, 2.7557313697333216e-06, -2.5050758487648924e-08,
    1.5896796206677586e-10,
)  # fmt: skip
COS = (
    0.041666666666666595, -0.0013888888888873325, 2.4801587288983695e-05, -2.755731421008457e-07, 2.087570427296398e-09,
    -1.1358683465703298e-11,
)  # fmt: skip

ATAN = (
    -0.333333333333332, 0.1999999999995377, -0.14285714280212453, 0.1111111078416546, -0.09090897775777096,
    0.07692060498375812, -0.06663106850897953, 0.058479066389180795, -0.05039369180677628, 0.03806585944212814,
    -0.01790826964832985,
)  # fmt: skip
ASIN = (
    0.16666666666666763, 0.07499999999970118, 0.04464285717527148, 0.030381942675863995, 0.022372215891555827,
    0.01735159573172467, 0.013981015983306614, 0.011397312557595981, 0.010789217788265129, 0.003672557385439994,
    0.021789777449720098, -0.021115531128216885, 0.032701441400194424,
)  # fmt: skip

# ln 2 in two parts: the nearest number and the rest; and with a first part of 42 bits, whose product with k is exact
LN2 = (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))
LN2_SHORT = (float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45"))
PER_LN2 = float.fromhex("0x1.71547652b82fep+0")  # 1/ln 2

TWO_THIRDS = (float.fromhex("0x1.5555555555555p-1"), float.fromhex("0x1.5555555555555p-55"))

# pi/2 in four parts, the second one of 23 bits
HALF_PI = tuple(
    float.fromhex(x)
    for x in ("0x1.921fb54442d18p+0", "0x1.1a626p-54", "0x1.98a2e03707345p-77", "-0x1.6fdb1f7759834p-131")
)
PI = (2.0 * HALF_PI[0], float.fromhex("0x1.1a62633145c07p-53"))
TAN_PI_8 = 0.4142135623730951
PER_HALF_PI = float.fromhex("0x1.45f306dc9c883p-1")  # 2/pi


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """The polynomial with these coefficients, the constant one first.

    Even and odd powers apart: Horner's rule for both is a little faster where the next value waits for the last one.
    """
    square = x * x
    return x * _horner(square, coefficients[1::2]) + _horner(square, coefficients[0::2])


def _horner(x: Value, coefficients: Sequence[float]) -> Value | float:
    total: Value | float = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = x * total + c
    return total

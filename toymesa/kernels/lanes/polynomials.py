"""Coefficients of the elementary functions, the constant one first, and the constants of their argument reductions.

Each polynomial is the best one of its degree in the weighted maximum norm (found by Remez exchange at 50 digits, then rounded
to double precision). With z the square of the argument, the function approximated, the interval and the relative error of
what is assembled from it:

========= ======================================= ==================== ==========
EXP       (e^r - 1 - r) / r^2                     abs(r) <= 0.347      2^-57.9
LOG       (2 artanh(s) - 2 s) / s^3 in z = s^2    abs(s) <= 0.1716     2^-58.5
SIN       (sin r - r) / r^3 in z = r^2            abs(r) <= 0.7858     2^-58.0
COS       (cos r - 1 + z/2) / z^2 in z = r^2      abs(r) <= 0.7858     2^-64
========= ======================================= ==================== ==========
"""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.kernels.lanes.emit import Value

EXP = (
    0.5000000000000011, 0.1666666666666641, 0.04166666666652894, 0.008333333333495932, 0.0013888888943997747,
    0.00019841269504274325, 2.480149267664212e-05, 2.7557587615005314e-06, 2.7630411956823895e-07, 2.4999932514213605e-08,
)  # fmt: skip
LOG = (
    0.6666666666666735, 0.3999999999941109, 0.2857142874326352, 0.22222198475882748, 0.18183569745397835,
    0.153139031060269, 0.14797509059207584,
)  # fmt: skip
SIN = (
    -0.16666666666666632, 0.00833333333332237, -0.00019841269829771154, 2.755731367865792e-06, -2.5050755960115523e-08,
    1.5896666438050105e-10,
)  # fmt: skip
COS = (
    0.0416666666666666, -0.0013888888888874064, 2.4801587289443516e-05, -2.7557314340669275e-07, 2.0875721625013774e-09,
    -1.1359559395069261e-11,
)  # fmt: skip

# ln 2 in two parts: the nearest number and the rest; and with a first part of 42 bits, whose product with k is exact
LN2 = (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))
LN2_SHORT = (float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45"))
PER_LN2 = float.fromhex("0x1.71547652b82fep+0")  # 1/ln 2

# pi/2 in four parts, the second one of 23 bits
HALF_PI = tuple(
    float.fromhex(x)
    for x in ("0x1.921fb54442d18p+0", "0x1.1a626p-54", "0x1.98a2e03707345p-77", "-0x1.6fdb1f7759834p-131")
)
PER_HALF_PI = float.fromhex("0x1.45f306dc9c883p-1")  # 2/pi


def horner(x: Value, coefficients: Sequence[float]) -> Value:
    """The polynomial with these coefficients, the constant one first."""
    total: Value | float = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = x * total + c
    assert isinstance(total, Value)
    return total

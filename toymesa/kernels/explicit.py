"""One step of the explicit methods, its error, its interpolant, and a measure of stiffness.

Interpolants are stored as coefficients of powers of theta in [0, 1] along the step, ``dense[k, i]`` for state i.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import POWERS
from toymesa.kernels.mend import mend_compiled
from toymesa.kernels.tableaus import (
    DOP853_A,
    DOP853_C,
    DOP853_D,
    DOP853_E3,
    DOP853_E5,
    TSIT5_A,
    TSIT5_C,
    TSIT5_E,
    TSIT5_P,
)

mend_compiled()  # before the first kernel is loaded
FIELD = nb.types.FunctionType(nb.void(nb.int64, nb.float64, nb.float64[::1], nb.float64[::1], nb.float64[::1]))
STAGES = 16

_step_signature = nb.float64(
    FIELD,
    nb.boolean,
    nb.float64,
    nb.float64,
    nb.float64[::1],
    nb.float64[::1],
    nb.float64,
    nb.float64[::1],
    nb.float64[:, ::1],
    nb.float64[::1],
    nb.float64[::1],
    nb.float64[::1],
)
_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}


@nb.njit(_step_signature, **_OPTIONS)
def explicit_step(field, high, t, h, x, p, rtol, atol, K, new, stage, rate):
    """Step from (t, x) by h into ``new``; returns the scaled error (NaN where a rate was not finite).

    high: DOP853 instead of Tsit5. K[0] holds the rate at the start; K[last] receives the rate at the end. ``stage``
    keeps the last stage's state, which the stiffness test compares with the new one.
    """
    n = x.size
    A, C, count = (DOP853_A, DOP853_C, 12) if high else (TSIT5_A, TSIT5_C, 6)
    for s in range(1, count):
        for i in range(n):
            total = 0.0
            for j in range(s):
                total += A[s, j] * K[j, i]
            stage[i] = x[i] + h * total
        field(0, t + C[s] * h, stage, p, rate)
        for i in range(n):
            K[s, i] = rate[i]
    for i in range(n):
        total = 0.0
        for j in range(count):
            total += A[count, j] * K[j, i]
        new[i] = x[i] + h * total
    field(0, t + h, new, p, rate)
    for i in range(n):
        K[count, i] = rate[i]
    low, fine = 0.0, 0.0
    for i in range(n):
        scale = atol[i] + rtol * max(abs(x[i]), abs(new[i]))
        if high:
            e5, e3 = 0.0, 0.0
            for j in range(13):
                e5 += DOP853_E5[j] * K[j, i]
                e3 += DOP853_E3[j] * K[j, i]
            fine += (h * e5 / scale) ** 2
            low += (h * e3 / scale) ** 2
        else:
            e = 0.0
            for j in range(7):
                e += TSIT5_E[j] * K[j, i]
            fine += (h * e / scale) ** 2
    if high:
        bottom = fine + 0.01 * low
        return 0.0 if bottom == 0.0 else fine / math.sqrt(n * bottom)
    return math.sqrt(fine / n)


@nb.njit(nb.float64(nb.boolean, nb.float64[:, ::1], nb.float64[::1], nb.float64[::1]), **_OPTIONS)
def explicit_stiffness(high, K, new, stage):
    """Estimate of the largest rate constant, from two evaluations at the end of the step (Hairer and Wanner, IV.2)."""
    last = 12 if high else 6
    above, below = 0.0, 0.0
    for i in range(new.size):
        above += (K[last, i] - K[last - 1, i]) ** 2
        below += (new[i] - stage[i]) ** 2
    return math.sqrt(above / below) if below > 0.0 else 0.0


@nb.njit(
    nb.void(
        FIELD,
        nb.boolean,
        nb.float64,
        nb.float64,
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[:, ::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[:, ::1],
    ),
    **_OPTIONS,
)
def explicit_dense(field, high, t, h, x, new, p, K, stage, rate, dense):
    """Coefficients of the interpolant of the step just made: order 4 for Tsit5, order 7 for DOP853 (3 more rates)."""
    n = x.size
    if not high:
        for i in range(n):
            dense[0, i] = x[i]
            for k in range(4):
                total = 0.0
                for j in range(7):
                    total += TSIT5_P[j, k] * K[j, i]
                dense[k + 1, i] = h * total
            for k in range(5, POWERS):
                dense[k, i] = 0.0
        return
    for s in range(13, 16):
        for i in range(n):
            total = 0.0
            for j in range(s):
                total += DOP853_A[s, j] * K[j, i]
            stage[i] = x[i] + h * total
        field(0, t + DOP853_C[s] * h, stage, p, rate)
        for i in range(n):
            K[s, i] = rate[i]
    F = np.empty(7)
    c = np.empty(POWERS)
    for i in range(n):
        F[0] = new[i] - x[i]
        F[1] = h * K[0, i] - F[0]
        F[2] = 2.0 * F[0] - h * (K[12, i] + K[0, i])
        for k in range(4):
            total = 0.0
            for j in range(16):
                total += DOP853_D[k, j] * K[j, i]
            F[3 + k] = h * total
        # the published nested form in theta and 1 - theta, expanded by Horner's rule on polynomials
        for k in range(POWERS):
            c[k] = 0.0
        for level in range(6, -1, -1):
            c[0] += F[level]
            if level % 2 == 0:  # times theta
                for k in range(POWERS - 1, 0, -1):
                    c[k] = c[k - 1]
                c[0] = 0.0
            else:  # times 1 - theta
                for k in range(POWERS - 1, 0, -1):
                    c[k] = c[k] - c[k - 1]
        c[0] += x[i]
        for k in range(POWERS):
            dense[k, i] = c[k]

"""One step of Rodas5P: linearly implicit, stiffly accurate, with the generated Jacobian."""

from __future__ import annotations

import math

import numba as nb

from toymesa.kernels.codes import POWERS
from toymesa.kernels.explicit import FIELD
from toymesa.kernels.tableaus import RODAS5P_A, RODAS5P_B, RODAS5P_C, RODAS5P_D, RODAS5P_GAMMA, RODAS5P_H

_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}


@nb.njit(nb.boolean(nb.float64[:, ::1], nb.int64[::1]), **_OPTIONS)
def factorize(W, pivot):
    """LU decomposition in place with row pivoting; False if the matrix is singular or not finite."""
    n = W.shape[0]
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(W[i, k]) > abs(W[best, k]):
                best = i
        pivot[k] = best
        if best != k:
            for j in range(n):
                W[k, j], W[best, j] = W[best, j], W[k, j]
        if not (abs(W[k, k]) > 0.0 and math.isfinite(W[k, k])):
            return False
        for i in range(k + 1, n):
            W[i, k] /= W[k, k]
            for j in range(k + 1, n):
                W[i, j] -= W[i, k] * W[k, j]
    return True


@nb.njit(nb.void(nb.float64[:, ::1], nb.int64[::1], nb.float64[::1]), **_OPTIONS)
def backsolve(W, pivot, b):
    """Solve with the decomposition of :func:`factorize`, in place."""
    n = b.size
    for k in range(n):
        if pivot[k] != k:
            b[k], b[pivot[k]] = b[pivot[k]], b[k]
    for i in range(n):
        for j in range(i):
            b[i] -= W[i, j] * b[j]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= W[i, j] * b[j]
        b[i] /= W[i, i]


@nb.njit(
    nb.float64(
        FIELD,
        nb.float64,
        nb.float64,
        nb.float64[::1],
        nb.float64[::1],
        nb.float64,
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[:, ::1],
        nb.float64[:, ::1],
        nb.int64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[::1],
    ),
    **_OPTIONS,
)
def rosenbrock_step(field, t, h, x, p, rtol, atol, jacobian, drift, U, W, pivot, new, stage, rate):
    """Step from (t, x) by h into ``new``; returns the scaled error, NaN where a rate was not finite, inf if singular.

    jacobian (n*n, row-major) and drift (partial time derivative) belong to (t, x). U receives the eight stages.
    """
    n = x.size
    for i in range(n):
        for j in range(n):
            W[i, j] = -jacobian[i * n + j]
        W[i, i] += 1.0 / (h * RODAS5P_GAMMA)
    if not factorize(W, pivot):
        return math.inf
    for s in range(8):
        for i in range(n):
            total = x[i]
            for j in range(s):
                total += RODAS5P_A[s, j] * U[j, i]
            stage[i] = total
        field(0, t + RODAS5P_C[s] * h, stage, p, rate)
        for i in range(n):
            total = rate[i] + h * RODAS5P_D[s] * drift[i]
            for j in range(s):
                total += RODAS5P_B[s, j] * U[j, i] / h
            new[i] = total
        backsolve(W, pivot, new)
        for i in range(n):
            U[s, i] = new[i]
    error = 0.0
    for i in range(n):
        new[i] = stage[i] + U[7, i]
        scale = atol[i] + rtol * max(abs(x[i]), abs(new[i]))
        error += (U[7, i] / scale) ** 2
    return math.sqrt(error / n)


@nb.njit(nb.void(nb.float64[::1], nb.float64[::1], nb.float64[:, ::1], nb.float64[:, ::1]), **_OPTIONS)
def rosenbrock_dense(x, new, U, dense):
    """Coefficients of the interpolant of order 4: x (1-theta) + theta (new + (1-theta)(H2 + theta (H3 + theta H4)))."""
    for i in range(x.size):
        a, b, c = 0.0, 0.0, 0.0
        for j in range(8):
            a += RODAS5P_H[0, j] * U[j, i]
            b += RODAS5P_H[1, j] * U[j, i]
            c += RODAS5P_H[2, j] * U[j, i]
        dense[0, i] = x[i]
        dense[1, i] = new[i] - x[i] + a
        dense[2, i] = b - a
        dense[3, i] = c - b
        dense[4, i] = -c
        for k in range(5, POWERS):
            dense[k, i] = 0.0


@nb.njit(
    nb.float64(
        FIELD,
        nb.float64,
        nb.float64,
        nb.float64[::1],
        nb.float64[::1],
        nb.float64,
        nb.float64[::1],
        nb.float64[:, ::1],
        nb.int64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[:, ::1],
    ),
    **_OPTIONS,
)
def rosenbrock_between(field, t, h, x, p, rtol, atol, W, pivot, new, stage, rate, dense):
    """The scaled error of the interpolant at the middle of a step: its defect there, solved with the factors of the step.

    Where components are slaved to others the interpolant loses orders that the end of the step keeps, so that the error
    of the step says nothing about it (Steinebach 2023, on the dense output of Rodas5P).
    """
    n = x.size
    for i in range(n):
        value = 0.0
        for k in range(POWERS - 1, -1, -1):
            value = value * 0.5 + dense[k, i]
        stage[i] = value
    field(0, t + 0.5 * h, stage, p, rate)
    for i in range(n):
        slope = 0.0
        for k in range(POWERS - 1, 0, -1):
            slope = slope * 0.5 + k * dense[k, i]
        rate[i] -= slope / h
    backsolve(W, pivot, rate)
    error = 0.0
    for i in range(n):
        scale = atol[i] + rtol * max(abs(x[i]), abs(new[i]))
        error += (rate[i] / scale) ** 2
    return math.sqrt(error / n)

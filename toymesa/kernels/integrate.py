"""The adaptive driver: one trajectory from its start to its last requested time, by one method or several in turn.

It takes a model's ``field`` as a function of one explicit signature, so it is compiled once for all models. It never
raises: how a trajectory ended is a status (``toymesa.status``), and what lies beyond is NaN.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import (
    BLOW_UP,
    DOP853,
    NONFINITE,
    NOT_STEADY,
    OK,
    OVERFLOW,
    POWERS,
    REPORT,
    RODAS5P,
    SINGULAR,
    STEP_LIMIT,
    TOO_SMALL,
    TSIT5,
)
from toymesa.kernels.explicit import FIELD, STAGES, explicit_dense, explicit_step, explicit_stiffness
from toymesa.kernels.rosenbrock import backsolve, factorize, rosenbrock_between, rosenbrock_dense, rosenbrock_step

# explicit methods are limited by stability, not accuracy, when h times the largest rate constant is near these
_LIMITS = (3.0, 5.5)
_HUGE = 1e300
_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}


@nb.njit(nb.boolean(nb.float64[::1]), **_OPTIONS)
def finite(values):
    """Whether every number is finite."""
    for v in values:  # noqa: SIM110  # numba compiles no generator
        if not math.isfinite(v):
            return False
    return True


@nb.njit(
    nb.boolean(FIELD, nb.float64, nb.float64[::1], nb.float64[::1], nb.int64[::1], nb.float64[::1], nb.float64[::1]),
    **_OPTIONS,
)
def project(field, t, x, p, algebraic, residual, flat):
    """Move the algebraic states onto their constraint by Newton's method, in place; False if that fails."""
    m = algebraic.size
    if m == 0:
        return True
    W = np.empty((m, m))
    pivot = np.empty(m, np.int64)
    step = np.empty(m)
    before = math.inf
    for _ in range(50):
        field(3, t, x, p, residual)
        field(4, t, x, p, flat)
        for i in range(m):
            step[i] = residual[i]
            for j in range(m):
                W[i, j] = flat[i * m + j]
        if not factorize(W, pivot):
            return False
        backsolve(W, pivot, step)
        size = 0.0
        for i in range(m):
            x[algebraic[i]] -= step[i]
            size = max(size, abs(step[i]) / (1.0 + abs(x[algebraic[i]])))
        if not math.isfinite(size):
            return False
        # converged, or as close as rounding lets it come
        if size <= 1e-15 or (size < 1e-11 and size >= before):
            return True
        before = size
    return before < 1e-9


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
        nb.int64,
    ),
    **_OPTIONS,
)
def first_step(field, t, span, x, p, rtol, atol, rate, order):
    """A first step by the rule of Hairer, Norsett and Wanner 1993, section II.4; positive."""
    n = x.size
    d0, d1 = 0.0, 0.0
    for i in range(n):
        scale = atol[i] + rtol * abs(x[i])
        d0 += (x[i] / scale) ** 2
        d1 += (rate[i] / scale) ** 2
    d0, d1 = math.sqrt(d0 / n), math.sqrt(d1 / n)
    h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    h0 = min(h0, abs(span))
    sign = 1.0 if span > 0 else -1.0
    moved, there = np.empty(n), np.empty(n)
    for i in range(n):
        moved[i] = x[i] + sign * h0 * rate[i]
    field(0, t + sign * h0, moved, p, there)
    d2 = 0.0
    for i in range(n):
        d2 += ((there[i] - rate[i]) / (atol[i] + rtol * abs(x[i]))) ** 2
    d2 = math.sqrt(d2 / n) / h0
    worst = max(d1, d2)
    h1 = max(1e-6, h0 * 1e-3) if not worst > 1e-15 else (0.01 / worst) ** (1.0 / (order + 1))
    h = min(100.0 * h0, h1)
    return min(h, abs(span)) if h > 0.0 and math.isfinite(h) else min(1e-6, abs(span))


_signature = nb.int64(
    FIELD,
    nb.int64,  # method, -1 for automatic
    nb.float64,  # t0
    nb.float64[::1],  # output times, monotone
    nb.float64[::1],  # start
    nb.float64[::1],  # parameters
    nb.float64,  # rtol
    nb.float64[::1],  # atol
    nb.float64,  # first step, 0 for automatic
    nb.float64,  # longest step
    nb.int64,  # most steps
    nb.boolean,  # fixed step: first step is the step
    nb.boolean,  # stop when steady; the last output time is then the cap
    nb.int64[::1],  # positions of algebraic states
    nb.float64[:, ::1],  # out: states at output times
    nb.float64[::1],  # out: report
    nb.float64[:, ::1],  # out: (t, h) of the first accepted steps, as many as it has rows
    nb.float64[:, :, ::1],  # out: their interpolants
)


@nb.njit(_signature, **_OPTIONS)
def integrate(
    field, method, t0, times, start, p, rtol, atol, h_first, h_max, max_steps, fixed, steady, algebraic, out, report,
    segments, coefficients,
):  # fmt: skip
    """Integrate one trajectory; returns its status. Arrays that only hold results are filled in place.

    Recording: accepted steps fill ``segments`` until it is full; the rest is not recorded, and the number of accepted
    steps in the report says how many there were.
    """
    n, count = start.size, times.size
    out[:, :] = math.nan
    x, new, stage, rate = start.copy(), np.empty(n), np.empty(n), np.empty(n)
    K, dense = np.empty((STAGES, n)), np.empty((POWERS, n))
    U, W, pivot = np.empty((8, n)), np.empty((n, n)), np.empty(n, np.int64)
    jacobian, drift = np.empty(n * n), np.empty(n)
    m = algebraic.size
    residual, flat = np.empty(m), np.empty(m * m)
    t, t_end = t0, times[count - 1]
    span = t_end - t0
    sign = 1.0 if span >= 0.0 else -1.0
    report[:] = 0.0
    report[0] = t
    report[REPORT:] = x
    if not project(field, t, x, p, algebraic, residual, flat):
        return SINGULAR
    field(0, t, x, p, rate)
    if not (finite(x) and finite(rate)):
        return NONFINITE
    reached = 0
    while not steady and reached < count and times[reached] == t0:
        out[reached, :] = x
        reached += 1
    if span == 0.0:
        if steady:
            out[0, :] = x
        return OK
    automatic = method < 0
    active = (TSIT5 if rtol > 1e-6 else DOP853) if automatic else method
    initial_rate = np.abs(rate).max()
    h = h_first if h_first > 0.0 else first_step(field, t, span, x, p, rtol, atol, rate, 5 if active != DOP853 else 8)
    h = min(h, h_max, abs(span))
    K[0, :] = rate
    fresh_jacobian = False
    accepted, error_before, stiff_hits, calm_hits, rejected_before, good = 0, 1e-4, 0, 0, False, True
    while True:
        if accepted + int(report[5]) >= max_steps:
            return NOT_STEADY if steady else STEP_LIMIT
        if h < 16.0 * np.finfo(np.float64).eps * max(abs(t), 1e-290):
            # the step has collapsed: where the rate has grown beyond all proportion this is a blow-up in finite time
            report[1] = np.abs(rate).max()
            if not finite(rate):
                return NONFINITE
            if report[1] > 1e5 * (1.0 + initial_rate):
                return BLOW_UP
            return TOO_SMALL if good else NONFINITE  # no step, however short, leads to finite numbers
        last = abs(t_end - t) <= h * (1.0 + 1e-12)
        step = sign * h if not last else t_end - t
        if active == RODAS5P:
            if not fresh_jacobian:
                field(1, t, x, p, jacobian)
                field(2, t, x, p, drift)
                fresh_jacobian = True
            error = rosenbrock_step(field, t, step, x, p, rtol, atol, jacobian, drift, U, W, pivot, new, stage, rate)
            if error <= 1.0 and not fixed and not steady:
                rosenbrock_dense(x, new, U, dense)
                between = rosenbrock_between(field, t, step, x, p, rtol, atol, W, pivot, new, stage, rate, dense)
                error = max(error, between) if math.isfinite(between) else math.inf
        else:
            error = explicit_step(field, active == DOP853, t, step, x, p, rtol, atol, K, new, stage, rate)
        good = math.isfinite(error) and finite(new)
        if not fixed and not (good and error <= 1.0):
            report[5] += 1.0
            h = abs(step) * (max(0.2, 0.9 * error ** (-1.0 / (8.0 if active == DOP853 else 5.0))) if good else 0.2)
            rejected_before = True
            rate[:] = K[0]  # the trial step overwrote the rate at its start
            continue
        if fixed and not good:
            return NONFINITE
        t_new = t_end if last else t + step
        # stiffness, seen before the interpolant overwrites the stage it needs
        rho = explicit_stiffness(active == DOP853, K, new, stage) if automatic and active != RODAS5P else 0.0
        wanted = reached < count and not steady and (times[reached] - t_new) * sign <= 0.0
        recording = accepted < segments.shape[0]
        if wanted or recording:
            if active == RODAS5P:
                rosenbrock_dense(x, new, U, dense)
            else:
                explicit_dense(field, active == DOP853, t, step, x, new, p, K, stage, rate, dense)
            if not np.isfinite(dense).all():  # a stage of the interpolant left the domain of the rate: a shorter step
                if fixed:
                    return NONFINITE
                good, rejected_before = False, True
                report[5] += 1.0
                h = abs(step) * 0.2
                rate[:] = K[0]
                continue
        if recording:
            segments[accepted, 0] = t
            segments[accepted, 1] = step
            coefficients[accepted, :, :] = dense
        if not project(field, t_new, new, p, algebraic, residual, flat):
            return SINGULAR
        while not steady and reached < count and (times[reached] - t_new) * sign <= 0.0:
            if times[reached] == t_new:
                out[reached, :] = new
            else:
                theta = (times[reached] - t) / step
                for i in range(n):
                    value = dense[POWERS - 1, i]
                    for k in range(POWERS - 2, -1, -1):
                        value = value * theta + dense[k, i]
                    stage[i] = value
                if not project(field, times[reached], stage, p, algebraic, residual, flat):
                    return SINGULAR
                out[reached, :] = stage
            reached += 1
        t = t_new
        x[:] = new
        accepted += 1
        report[0] = t
        report[REPORT:] = x
        report[2 + active] += 1.0
        fresh_jacobian = False
        if active == RODAS5P or m > 0:
            field(0, t, x, p, rate)
        else:
            rate[:] = K[12 if active == DOP853 else 6]
        if not finite(rate):
            return NONFINITE
        K[0, :] = rate
        if steady:
            still, moving = True, 0.0
            for i in range(n):
                moving = max(moving, abs(rate[i]))
                still = still and abs(rate[i]) * abs(t - t0) < atol[i] + rtol * abs(x[i])
            # rates of time may all be nearly 0 at first: by then a first step that was guessed too short has grown
            if moving == 0.0 or (still and accepted >= 10):
                out[0, :] = x
                return OK
        if last:
            return NOT_STEADY if steady else OK
        if np.abs(x).max() > _HUGE:
            return OVERFLOW
        if fixed:
            h = h_first
            continue
        order = 8.0 if active == DOP853 else 5.0
        # proportional-integral control for the explicit methods, plain control for the Rosenbrock method
        error = max(error, 1e-10)
        factor = 0.9 * error ** (-1.0 / order)
        if active != RODAS5P:
            factor = 0.9 * error ** (-(1.0 / order - 0.03)) * error_before**0.04
        factor = min(max(factor, 0.2), 1.0 if rejected_before else 8.0)
        error_before, rejected_before = max(error, 1e-4), False
        if automatic:
            if active != RODAS5P:
                if abs(step) * rho > 0.8 * _LIMITS[active]:
                    stiff_hits += 1
                elif stiff_hits > 0:
                    stiff_hits -= 1
                if stiff_hits >= 12:
                    active, stiff_hits, calm_hits = RODAS5P, 0, 0
            else:
                # back to the cheaper explicit method once even a much longer step would be stable
                norm = 0.0
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += abs(jacobian[i * n + j])
                    norm = max(norm, total)
                calm_hits = calm_hits + 1 if abs(step) * norm < 0.3 else 0
                if calm_hits >= 20:
                    active, calm_hits = (TSIT5 if rtol > 1e-6 else DOP853), 0
        h = min(abs(step) * factor, h_max)

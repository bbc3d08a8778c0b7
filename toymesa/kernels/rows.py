"""Compiled loops over rows: one call a block of trajectories, without the interpreter between two of them."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import NONFINITE, NOT_STEADY, OK, OVERFLOW, POWERS, REPORT
from toymesa.kernels.explicit import FIELD
from toymesa.kernels.integrate import finite, integrate

_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}


@nb.njit(
    nb.void(
        FIELD,
        nb.int64,  # method, -1 for automatic
        nb.float64,  # t0
        nb.float64[::1],  # output times
        nb.float64[:, ::1],  # starts (row, state)
        nb.float64[:, ::1],  # parameters (row, parameter)
        nb.float64,  # rtol
        nb.float64[::1],  # atol
        nb.float64,  # first step
        nb.float64,  # longest step
        nb.int64,  # most steps
        nb.boolean,  # fixed step
        nb.boolean,  # stop when steady
        nb.int64[::1],  # positions of algebraic states
        nb.float64[:, :, ::1],  # out: states (row, time, state)
        nb.float64[:, ::1],  # out: reports (row, entry)
        nb.int64[::1],  # out: status (row)
    ),
    **_OPTIONS,
)
def integrate_rows(
    field, method, t0, times, starts, params, rtol, atol, h_first, h_max, max_steps, fixed, steady, algebraic, out, report,
    status,
):  # fmt: skip
    """:func:`toymesa.kernels.integrate.integrate` for every row, each alone.

    What numba keeps of this file on disk holds that function too, and does not notice when its file is edited.
    """
    segments = np.empty((0, 2))
    coefficients = np.empty((0, POWERS, starts.shape[1]))
    for i in range(starts.shape[0]):
        status[i] = integrate(
            field, method, t0, times, starts[i], params[i], rtol, atol, h_first, h_max, max_steps, fixed, steady, algebraic,
            out[i], report[i], segments, coefficients,
        )  # fmt: skip


@nb.njit(
    nb.int64(
        FIELD,
        nb.float64[::1],
        nb.float64[::1],
        nb.float64[::1],
        nb.float64,
        nb.float64[::1],
        nb.boolean,
        nb.float64[:, ::1],
        nb.float64[::1],
    ),
    **_OPTIONS,
)
def iterate(field, times, start, p, rtol, atol, steady, out, report):
    """Iterate a map; output times are whole numbers of steps. Steady: a step that changes less than the tolerance."""
    out[:, :] = math.nan
    x, new = start.copy(), np.empty(start.size)
    reached, step, last = 0, 0, times[times.size - 1]
    report[REPORT:] = x
    if not finite(x):
        return NONFINITE
    while True:
        report[0] = step
        report[REPORT:] = x
        while not steady and reached < times.size and times[reached] == step:
            out[reached, :] = x
            reached += 1
        if step >= last:
            return NOT_STEADY if steady else OK
        field(0, float(step), x, p, new)
        step += 1
        report[2] = step
        if not finite(new):
            return OVERFLOW
        still = True
        for i in range(x.size):
            # as for flows: moving on like this for as long again would change nothing that matters
            still = still and abs(new[i] - x[i]) * step < atol[i] + rtol * abs(x[i])
        x[:] = new
        if steady and still:
            out[0, :] = x
            return OK


@nb.njit(
    nb.void(
        FIELD,
        nb.float64[::1],
        nb.float64[:, ::1],
        nb.float64[:, ::1],
        nb.float64,
        nb.float64[::1],
        nb.boolean,
        nb.float64[:, :, ::1],
        nb.float64[:, ::1],
        nb.int64[::1],
    ),
    **_OPTIONS,
)
def iterate_rows(field, times, starts, params, rtol, atol, steady, out, report, status):
    """:func:`iterate` for every row, each alone."""
    for i in range(starts.shape[0]):
        status[i] = iterate(field, times, starts[i], params[i], rtol, atol, steady, out[i], report[i])


@nb.njit(
    nb.void(FIELD, nb.float64[:, ::1], nb.float64[:, :, ::1], nb.float64[:, ::1], nb.float64[:, :, ::1]), **_OPTIONS
)
def observe_rows(observe, times, states, params, out):
    """What is read off every state of every row. times: (row, time); states: (row, time, state)."""
    for i in range(states.shape[0]):
        for j in range(states.shape[1]):
            observe(0, times[i, j], states[i, j], params[i], out[i, j])

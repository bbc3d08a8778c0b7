"""First exits of paths of dx = f dt + B dW from a region {g_k > 0}, with crossings between steps.

Within a step g_k is a Brownian motion of constant drift and variance rate s^2 = |B^T grad g_k|^2 between its values a > 0
and b at the ends. Given those it crosses zero with probability 1 where b <= 0 and exp(-2ab/(s^2 h)) elsewhere, whatever
the drift; and where it does, its first crossing is at h y/(1+y), y of the inverse Gaussian law of mean a/|b| and shape
a^2/(s^2 h) (Borodin and Salminen 2002, part II, 1.2). Looking only at the ends of steps would be off by the root of the step.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import OVERFLOW
from toymesa.kernels.explicit import FIELD
from toymesa.kernels.integrate import finite
from toymesa.kernels.philox import normals, uniforms
from toymesa.kernels.stochastic import normal_increments, strong_step

OK, NOT_ESCAPED = 1, 13
# what a bridge draws is numbered from here on, away from the increments
_FURTHER = np.uint64(1 << 63)
_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}


@nb.njit(nb.float64(nb.float64, nb.float64, nb.float64, nb.float64, nb.float64), **_OPTIONS)
def bridge_time(a, b, spread, normal, uniform):
    """Share of the step at which a bridge from a > 0 to b, of variance ``spread``, first meets zero, given that it does.

    The inverse Gaussian variate by Michael, Schucany and Haas 1976, from a normal and a uniform one.
    """
    if spread <= 0.0:
        return a / (a - b) if b < 0.0 else 1.0
    shape, chi = a * a / spread, normal * normal
    if b == 0.0:  # the limit of an infinite mean: Levy's law
        y = shape / max(chi, 1e-300)
    else:
        mean = a / abs(b)
        # the smaller root mean + mean^2 chi/(2 shape) - .., written without cancellation
        w = mean * chi / (2.0 * shape)
        y = mean / (1.0 + w + math.sqrt(w * (w + 2.0)))
        if uniform > mean / (mean + y):
            y = mean * mean / y
    return y / (1.0 + y)


_signature = nb.void(
    FIELD,  # drift
    FIELD,  # noise
    FIELD,  # region: 0 the margins, 1 their variance rates
    nb.int64,  # method
    nb.float64,  # last time
    nb.float64,  # largest step
    nb.int64,  # number of noises
    nb.int64,  # number of margins
    nb.boolean,  # look between steps too
    nb.float64[:, ::1],  # starts (row, state)
    nb.float64[:, ::1],  # parameters (row, parameter)
    nb.uint64[::1],  # key
    nb.uint64[:, ::1],  # stream and path number of each row
    nb.float64[::1],  # out: time of exit, or reached
    nb.float64[:, ::1],  # out: state at the end of the step of the exit
    nb.int64[::1],  # out: which margin was crossed, or -1
    nb.int64[::1],  # out: status
)


@nb.njit(_signature, **_OPTIONS)
def run_exits(
    field, noise, region, method, end, step, m, count, between, starts, params, key, names, when, reached, which, status
):
    """Advance every row until it leaves the region, or to the last time."""
    rows, n = starts.shape
    x, new, a = np.empty(n), np.empty(n), np.empty(n)
    flat, second = np.empty(n * m), np.empty(n * m * m)
    xi, four, more, c = np.empty(m), np.empty(4), np.empty(4), np.empty(4, np.uint64)
    inside, ahead, rate = np.empty(count), np.empty(count), np.empty(count)
    steps = math.ceil(end / step * (1.0 - 1e-12))
    h = end / steps
    for row in range(rows):
        x[:] = starts[row]
        p = params[row]
        stream, path, draw = names[row, 0], names[row, 1], _FURTHER
        status[row], which[row], when[row] = NOT_ESCAPED, -1, end
        region(0, 0.0, x, p, inside)
        for k in range(count):
            if not inside[k] > 0.0:  # outside from the start
                status[row], which[row], when[row] = OK, k, 0.0
                break
        for s in range(steps):
            if which[row] >= 0:
                break
            now = s * h
            normal_increments(key, stream, path, s, c, four, xi)
            strong_step(field, noise, method, now, h, x, p, xi, new, a, flat, second)
            if not finite(new):
                status[row], when[row] = OVERFLOW, now
                break
            region(0, now + h, new, p, ahead)
            region(1, now, x, p, rate)
            first = 2.0
            for k in range(count):
                spread = rate[k] * h
                crossed = not ahead[k] > 0.0
                if between and not crossed and 2.0 * inside[k] * ahead[k] < 40.0 * spread:
                    uniforms(key, stream, path, draw, c, more)
                    draw += np.uint64(1)
                    crossed = more[0] < math.exp(-2.0 * inside[k] * ahead[k] / spread)
                if crossed:
                    share = 1.0
                    if between:
                        normals(key, stream, path, draw, c, more)
                        normal = more[0]
                        uniforms(key, stream, path, draw + np.uint64(1), c, more)
                        draw += np.uint64(2)
                        share = bridge_time(inside[k], ahead[k], spread, normal, more[0])
                    if share < first:
                        first, which[row] = share, k
            if which[row] >= 0:
                status[row], when[row] = OK, now + h * first
            x[:] = new
            inside[:] = ahead
        reached[row] = x

"""The run of an inner optimizer: state and sensitivities together, by the pair of Dormand and Prince 1980.

At a relative tolerance of 1e-12, so that the outer solver sees a smooth function.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.explicit import FIELD

# Dormand and Prince 1980, J. Comput. Appl. Math. 6, 19-26, table 2
_A = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
_E = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
_RTOL, _ATOL, _MOST = 1e-12, 1e-14, 100_000


@nb.njit(nb.void(FIELD, nb.float64, nb.float64[::1], nb.float64[::1]), error_model="numpy", nogil=True, cache=True)
def run_inner(inner, duration, y, px):
    """Advance ``y`` in place by ``duration``; NaN where that fails. ``px``: outer parameters and states, side by side."""
    n = y.size
    K, stage, new = np.empty((7, n)), np.empty(n), np.empty(n)
    if not (duration >= 0.0 and math.isfinite(duration)):
        y[:] = math.nan
        return
    inner(0, 0.0, y, px, K[0])
    t, h = 0.0, min(duration, 1e-3)
    for _ in range(_MOST):
        if t >= duration:
            return
        still = True
        for i in range(n):
            still = still and abs(K[0, i]) * (duration - t) <= 1e-16 * (1.0 + abs(y[i]))
        if still:  # at rest: the remaining time changes nothing
            return
        h = min(h, duration - t)
        for s in range(1, 7):
            for i in range(n):
                total = 0.0
                for j in range(s):
                    total += _A[s, j] * K[j, i]
                stage[i] = y[i] + h * total
            inner(0, 0.0, stage, px, K[s])
        error = 0.0
        for i in range(n):
            e = 0.0
            for j in range(7):
                e += _E[j] * K[j, i]
            new[i] = stage[i]
            error = max(error, abs(h * e) / (_ATOL + _RTOL * max(abs(y[i]), abs(new[i]))))
        if not math.isfinite(error):
            h *= 0.2
        elif error <= 1.0:
            t += h
            y[:] = new
            K[0, :] = K[6]
            h *= min(5.0, 0.9 * max(error, 1e-8) ** -0.2)
        else:
            h *= max(0.2, 0.9 * error**-0.2)
        if h < 1e-15 * duration and t < duration:
            break
    y[:] = math.nan

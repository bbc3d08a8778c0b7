"""The loop over blocks of paths and output times, around the programs of :mod:`toymesa.kernels.lanes.paths`."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.codes import OK, OVERFLOW
from toymesa.kernels.lanes import compiled  # noqa: F401  # how it calls programs
from toymesa.kernels.lanes.call import call

# rows: the number of the next draw and that of the last; the path's names; steps made in this interval. The state
# follows, then parameters, the variates of one step, those of a draw, and the next draw half made.
DRAW, LAST, PATH, STREAM, STEP = range(5)
FIXED_ROWS = 5


@nb.njit(
    nb.void(
        nb.int64[::1],  # addresses of the programs: prepare, turns, draw, step
        nb.float64[:, ::1],  # workspace (row, lane)
        nb.int64[:, ::1],  # the same memory as integers
        nb.float64[::1],  # constants common to all lanes
        nb.float64[::1],  # output times, rising from 0 on
        nb.float64,  # largest step
        nb.int64,  # number of noises
        nb.float64[:, ::1],  # starts (row, state)
        nb.float64[:, ::1],  # parameters (row, parameter)
        nb.uint64[:, ::1],  # stream and path number of each row
        nb.float64[:, :, ::1],  # out: states (row, time, state)
        nb.int64[::1],  # out: status
    ),
    error_model="numpy", nogil=True, cache=True,
)  # fmt: skip
def run_lanes(
    programs, W, words, shared, times, largest, noises, starts, params, names, out, status
):  # fmt: skip
    """Advance every row from time 0 to the last output time; NaN from where a value left the floating-point range."""
    prepare, turns, draw, step = programs[0], programs[1], programs[2], programs[3]
    rows, n, m, lanes = starts.shape[0], starts.shape[1], params.shape[1], W.shape[1]
    work, common = np.int64(W.ctypes.data), np.int64(shared.ctypes.data)
    together, draws = max(1, 4 // noises), (noises + 3) // 4  # steps and draws of a turn
    given = FIXED_ROWS + n + m
    kept = given + noises
    for begin in range(0, rows, lanes):
        count = min(lanes, rows - begin)
        for lane in range(lanes):  # lanes too many repeat the last row
            r = begin + min(lane, count - 1)
            for i in range(n):
                W[FIXED_ROWS + i, lane] = starts[r, i]
            for i in range(m):
                W[FIXED_ROWS + n + i, lane] = params[r, i]
            words[STREAM, lane], words[PATH, lane] = names[r, 0], names[r, 1]
        for lane in range(count):
            status[begin + lane] = OK
            out[begin + lane] = math.nan
        t, done, ready = 0.0, 0, -1
        for k in range(times.size):
            steps = math.ceil((times[k] - t) / largest * (1.0 - 1e-12)) if times[k] > t else 0
            h = (times[k] - t) / steps if steps > 0 else 0.0
            shared[0], shared[1], shared[2] = h, math.sqrt(h), t
            s = 0
            while s < steps:
                W[STEP, :] = s
                place, turn = done % together, done // together
                if place == 0 and ready != turn:
                    words[DRAW, :] = turn * draws
                    call(prepare, work, common)
                    ready = turn
                whole = (steps - s) // together
                if place == 0 and whole > 0:
                    ready = turn + whole
                    words[DRAW, :] = turn * draws
                    words[LAST, :] = ready * draws
                    call(turns, work, common)
                    s += whole * together
                    done += whole * together
                    continue
                if place == 0:
                    call(draw, work, common)
                for i in range(noises):
                    W[given + i, :] = W[kept + place * noises + i, :]
                call(step, work, common)
                s += 1
                done += 1
            t = times[k]
            alive = 0
            for lane in range(count):
                r = begin + lane
                if status[r] != OK:
                    continue
                sound = True
                for i in range(n):
                    sound = sound and math.isfinite(W[FIXED_ROWS + i, lane])
                if not sound:
                    status[r] = OVERFLOW
                    continue
                alive += 1
                for i in range(n):
                    out[r, k, i] = W[FIXED_ROWS + i, lane]
            if alive == 0:
                break

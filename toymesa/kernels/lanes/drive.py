"""The queue: lanes are filled with trajectories, advanced, emptied and refilled, until none is left.

The same function runs as it stands, for a few trajectories, and compiled by numba, for many: compiled once for all
models, whose programs it calls by address. What a trajectory does depends on nothing but
itself, so neither the lane in which it runs nor its neighbours leave a trace in it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from toymesa.kernels.codes import BLOW_UP, NONFINITE, NOT_STEADY, OK, OVERFLOW, REPORT, STEP_LIMIT, TOO_SMALL
from toymesa.kernels.lanes.call import call
from toymesa.kernels.lanes.layout import (
    ACCEPTED,
    ACTIVE,
    ARRIVED,
    BEFORE,
    CODE,
    ELAPSED,
    END,
    ERROR,
    EVENT,
    HELD,
    LONGEST,
    LOST_PIVOT,
    NEXT,
    NO_SERIES,
    NOTHING,
    OUT_OF_STEPS,
    OUTPUT,
    REJECTED,
    STEADY,
    STEP,
    STIFF,
    TAKEN,
    TOO_LARGE,
    TURNED_STIFF,
    UNDEFINED,
    USED,
)
from toymesa.kernels.lanes.watch import CROSSED, NO_VALUE

# statuses of a trajectory that is not finished: it goes on with implicit lanes, or starts again outside the lanes, where
# pivots are chosen and a step is shortened until its interpolant is finite, or goes on with a pair, which needs no series;
# or it has crossed a terminal event
HANDED_OVER, ELSEWHERE, PASSED_ON, ENDED = 100, 101, 102, 103


def drive(
    programs, first_state, first_param, first_read, first_level, first_seen, column, W, shared, times, outputs, steady,
    h_first, starts, params, queue, out, report, steps, reached, status, lost, kept,
):  # fmt: skip
    """Run every trajectory of the queue; those that were handed over go on from where they are.

    Returns ``kept``, longer where it had to be: the steps within which an event may be zero, each as trajectory, events,
    elapsed time before, length, states before and after, interpolant.
    """
    prepare, advance, between, read_off, watch = programs[0], programs[1], programs[2], programs[3], programs[4]
    lanes, n, m = W.shape[1], starts.shape[1], params.shape[1]
    end = times[times.size - 1]
    work, common = np.int64(W.ctypes.data), np.int64(shared.ctypes.data)
    rate = first_state + n
    W[:, :] = 0.0
    # first rates and steps, all lanes full
    rates = np.empty((queue.size, n))
    for begin in range(0, queue.size, lanes):
        count = min(lanes, queue.size - begin)
        for lane in range(lanes):
            r = queue[begin + min(lane, count - 1)]
            fresh = status[r] != HANDED_OVER and status[r] != PASSED_ON
            W[ELAPSED, lane] = 0.0 if fresh else report[r, 0]
            for i in range(n):
                W[first_state + i, lane] = starts[r, i] if fresh else report[r, REPORT + i]
            for i in range(m):
                W[first_param + i, lane] = params[r, i]
            W[END, lane] = end
        call(prepare, work, common)
        for lane in range(count):
            r = queue[begin + lane]
            for i in range(n):
                rates[begin + lane, i] = W[rate + i, lane]
            if status[r] == HANDED_OVER or status[r] == PASSED_ON:
                continue
            report[r, :] = 0.0
            reached[r] = 0
            out[r, :, :] = math.nan
            for i in range(n):
                report[r, REPORT + i] = starts[r, i]
            while outputs and reached[r] < times.size and times[reached[r]] == 0.0:
                for i in range(n):
                    out[r, reached[r], i] = starts[r, i]
                reached[r] += 1
            steps[r] = min(h_first, end) if h_first > 0.0 else W[STEP, lane]
            status[r] = OK if W[CODE, lane] == NOTHING else NONFINITE
            if status[r] == OK:
                for i in range(n):
                    report[r, 1] = max(report[r, 1], abs(W[rate + i, lane]))
    owner, largest = np.empty(lanes, np.int64), np.zeros(lanes)
    head, alive, count = 0, 0, 0
    watched, before = lost.shape[1] > 0, first_read - n
    for lane in range(lanes):
        W[ACTIVE, lane] = 0.0
        owner[lane] = -1
    mask = (np.int64(1) << lanes) - 1
    while True:
        if watched and alive > 0:
            call(between, work, common)
            seen = call(watch, work, common) & mask
            for lane in range(lanes):
                if not (seen >> lane) & 1 or W[HELD, lane] != TAKEN:
                    continue
                r = owner[lane]
                for e in range(lost.shape[1]):
                    if W[first_seen + 2 + e, lane] != 0.0 and W[BEFORE, lane] < lost[r, e]:
                        lost[r, e] = W[BEFORE, lane]
                if W[first_seen, lane] != 0.0:
                    if count == kept.shape[0]:
                        more = np.empty((2 * count, kept.shape[1]))
                        for k in range(count):
                            for i in range(kept.shape[1]):
                                more[k, i] = kept[k, i]
                        kept = more
                    kept[count, 0], kept[count, 1] = r, W[first_seen, lane]
                    kept[count, 2], kept[count, 3] = W[BEFORE, lane], W[USED, lane]
                    for i in range(n):
                        kept[count, 4 + i] = W[before + i, lane]
                        kept[count, 4 + n + i] = W[first_state + i, lane]
                    for i in range(first_seen - first_level):
                        kept[count, 4 + 2 * n + i] = W[first_level + i, lane]
                    count += 1
                if W[first_seen + 1, lane] == NO_VALUE:
                    W[CODE, lane] = LOST_PIVOT
                elif W[first_seen + 1, lane] == CROSSED:
                    W[CODE, lane] = EVENT
        if outputs and alive > 0:
            crossed = False
            for lane in range(lanes):
                if (mask >> lane) & 1 and W[NEXT, lane] <= W[ELAPSED, lane]:
                    crossed = True
            if crossed and not watched:
                call(between, work, common)
            while crossed:
                # every output time within the last step of each lane, one a lane at a time
                call(read_off, work, common)
                crossed = False
                for lane in range(lanes):
                    r = owner[lane]
                    if not (mask >> lane) & 1 or not W[NEXT, lane] <= W[ELAPSED, lane]:
                        continue
                    first = first_state if W[NEXT, lane] == W[ELAPSED, lane] else first_read
                    for i in range(n):
                        value = W[first + i, lane]
                        if not math.isfinite(value):
                            W[CODE, lane] = LOST_PIVOT  # the interpolant left the domain of the rates
                        out[r, reached[r], i] = value
                    reached[r] += 1
                    W[NEXT, lane] = times[reached[r]] if reached[r] < times.size else math.inf
                    crossed = crossed or W[NEXT, lane] <= W[ELAPSED, lane]
        for lane in range(lanes):
            if not (mask >> lane) & 1:
                continue
            r = owner[lane]
            if r >= 0 and (W[CODE, lane] == OUTPUT or W[CODE, lane] == NOTHING):
                continue
            if r >= 0:
                code = W[CODE, lane]
                report[r, 0] = W[ELAPSED, lane]
                for i in range(n):
                    report[r, REPORT + i] = W[first_state + i, lane]
                report[r, column] += W[ACCEPTED, lane] - (report[r, 2] + report[r, 3] + report[r, 4])
                report[r, 5] = W[REJECTED, lane]
                steps[r] = W[STEP, lane]
                W[ACTIVE, lane] = 0.0
                owner[lane] = -1
                alive -= 1
                if code in (ARRIVED, STEADY):
                    status[r] = OK if code == STEADY or not steady else NOT_STEADY
                    if not outputs and status[r] == OK:
                        for i in range(n):
                            out[r, out.shape[1] - 1, i] = W[first_state + i, lane]
                elif code == EVENT:
                    status[r] = ENDED
                elif code in (TURNED_STIFF, NO_SERIES):
                    status[r] = HANDED_OVER if code == TURNED_STIFF else PASSED_ON
                    report[r, 1] = largest[lane]
                elif code == OUT_OF_STEPS:
                    status[r] = NOT_STEADY if steady else STEP_LIMIT
                elif code == TOO_LARGE:
                    status[r] = OVERFLOW
                elif code == LOST_PIVOT:
                    status[r] = ELSEWHERE
                else:
                    fastest = 0.0
                    sound = True
                    for i in range(n):
                        fastest = max(fastest, abs(W[rate + i, lane]))
                        sound = sound and math.isfinite(W[rate + i, lane])
                    report[r, 1] = fastest
                    if not sound:
                        status[r] = NONFINITE
                    elif fastest > 1e5 * (1.0 + largest[lane]):
                        status[r] = BLOW_UP
                    else:  # NONFINITE: no step, however short, leads to finite numbers
                        status[r] = TOO_SMALL if W[HELD, lane] != UNDEFINED else NONFINITE
            # the next trajectory that has something to do
            while head < queue.size and status[queue[head]] not in (OK, HANDED_OVER, PASSED_ON):
                head += 1
            if head == queue.size:
                continue
            r = queue[head]
            for i in range(n):
                W[first_state + i, lane] = report[r, REPORT + i]
                W[rate + i, lane] = rates[head, i]
            # the largest rate at the start of all, against which a blow-up is judged
            largest[lane], report[r, 1] = report[r, 1], 0.0
            for i in range(m):
                W[first_param + i, lane] = params[r, i]
            W[ELAPSED, lane] = report[r, 0]
            W[END, lane] = end
            W[STEP, lane] = min(steps[r], shared[LONGEST])
            W[ACTIVE, lane] = 1.0
            W[ACCEPTED, lane] = report[r, 2] + report[r, 3] + report[r, 4]
            W[REJECTED, lane] = report[r, 5]
            W[STIFF, lane] = 0.0
            W[HELD, lane] = 0.0
            W[ERROR, lane] = 1e-4
            W[NEXT, lane] = times[reached[r]] if outputs and reached[r] < times.size else math.inf
            owner[lane] = r
            head += 1
            alive += 1
        if alive == 0:
            return kept[:count]
        mask = call(advance, work, common)


@cache
def compiled_drive() -> Any:
    """:func:`drive` compiled by numba."""
    import numba as nb

    from toymesa.kernels.lanes import compiled  # noqa: F401  # how it calls programs

    signature = nb.float64[:, ::1](
        nb.int64[
            ::1
        ],  # addresses of programs: prepare; advance; between (the interpolant of the last step); read off (its
        # value); watch (what events do in the last step): the last three are of no use without outputs or events
        nb.int64,  # first row of the state
        nb.int64,  # first row of the parameters
        nb.int64,  # first row of what is read off, which is behind the state before the last step
        nb.int64,  # first row of the interpolant
        nb.int64,  # first row of what was seen of events, which is behind the interpolant
        nb.int64,  # column of the report that counts these steps
        nb.float64[:, ::1],  # workspace (row, lane)
        nb.float64[::1],  # constants common to all lanes
        nb.float64[::1],  # elapsed times at which the state is wanted, rising; the last one ends the run
        nb.boolean,  # outputs: all of those times are wanted, not only the last
        nb.boolean,  # steady
        nb.float64,  # first step, 0 for automatic
        nb.float64[:, :],  # starts (row, state)
        nb.float64[:, :],  # parameters (row, parameter)
        nb.int64[::1],  # rows to run
        nb.float64[:, :, :],  # out: states (row, time, state); NaN where there is none
        nb.float64[:, ::1],  # in and out: reports (row, entry)
        nb.float64[::1],  # in and out: step (row), to go on with
        nb.int64[::1],  # in and out: output times reached (row)
        nb.int64[::1],  # in and out: status (row); HANDED_OVER goes on from its report
        nb.float64[:, ::1],  # in and out: elapsed time at which an event was no number (row, event)
        nb.float64[:, ::1],  # room for steps in which events may be zero; not empty if there are events
    )
    return nb.njit(signature, error_model="numpy", nogil=True, cache=True)(drive)

"""The loop over the rows of a grid, around the programs of :mod:`toymesa.kernels.lanes.grid`.

As it stands for a few rows, and compiled by numba for many.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from toymesa.kernels.lanes.call import call

# constants of a program: the first place and the end, the first lane of an edge and the end (integers); then the row's
# arguments, and the addresses of the arguments along the row and of the results
BEGIN, END, LOW, HIGH = range(4)
FIRST = 4


def fill(programs, lanes, outer, sources, bases, strides, row, rows, first, end, constants, words):
    """Fill a block of the results: whole vectors, and what is left at the end of a row."""
    main, edge = programs[0], programs[1]
    none, common = np.int64(0), np.int64(constants.ctypes.data)
    after = FIRST + outer.shape[1]
    for k in range(sources.size):
        words[after + k] = sources[k]
    after += sources.size
    last = first + (end - first) // lanes * lanes
    for r in range(row, rows):
        for k in range(outer.shape[1]):
            constants[FIRST + k] = outer[r, k]
        for k in range(bases.size):
            words[after + k] = bases[k] + r * strides[k]
        words[BEGIN], words[END] = first, last
        call(main, none, common)
        if last < end:
            words[BEGIN], words[END], words[LOW], words[HIGH] = end - lanes, end, lanes - (end - last), lanes
            call(edge, none, common)


def fill_past_caches(
    programs, lanes, outer, sources, bases, strides, row, rows, first, end, constants, words, lines
):  # fmt: skip
    """The same, past the caches, for results that are contiguous over the block and all begin alike.

    Whole lines of memory only are written in this way. A line that two rows share is put together in ``lines`` first:
    writing to it by halves would wait until all that is on its way to memory is there.
    """
    main, edge, flush = programs[0], programs[1], programs[2]
    none, common = np.int64(0), np.int64(constants.ctypes.data)
    after = FIRST + outer.shape[1]
    for k in range(sources.size):
        words[after + k] = sources[k]
    after += sources.size
    waiting = np.int64(lines.ctypes.data)
    for r in range(row, rows):
        for k in range(outer.shape[1]):
            constants[FIRST + k] = outer[r, k]
        begin = first + (-(bases[0] + r * strides[0] + 8 * first) // 8) % 8
        last = begin + (end - begin) // lanes * lanes
        if begin > first:  # the end of a line whose beginning is that of the last row
            words[BEGIN], words[END], words[LOW], words[HIGH] = first, first + lanes, 0, begin - first
            for k in range(bases.size):
                words[after + k] = bases[k] + r * strides[k]
                if r > row:
                    words[after + k] = waiting + k * lines.strides[0] + 8 * (8 - begin)
            call(edge, none, common)
            if r > row:
                for k in range(bases.size):
                    call(flush, waiting + k * lines.strides[0], bases[k] + r * strides[k] + 8 * (begin - 8))
        for k in range(bases.size):
            words[after + k] = bases[k] + r * strides[k]
        if last > begin:
            words[BEGIN], words[END] = begin, last
            call(main, none, common)
        if last < end:
            low = lanes - (end - last)
            words[BEGIN], words[END], words[LOW], words[HIGH] = end - lanes, end, low, lanes
            if r + 1 < rows:
                for k in range(bases.size):
                    words[after + k] = waiting + k * lines.strides[0] - 8 * (low + end - lanes)
            call(edge, none, common)
            if r + 1 < rows and end - last >= 8:
                for k in range(bases.size):
                    call(flush, waiting + k * lines.strides[0], bases[k] + r * strides[k] + 8 * last)
                lines[:, :8] = lines[:, 8:]


def _compiled(function: Any, *last: Any) -> Any:
    import numba as nb

    from toymesa.kernels.lanes import compiled  # noqa: F401  # how it calls programs

    signature = nb.void(
        nb.int64[
            ::1
        ],  # addresses of programs: main (whole vectors), edge (some lanes of one), flush (a line past caches)
        nb.int64,  # lanes
        nb.float64[:, ::1],  # arguments given for each row (row, argument)
        nb.int64[::1],  # addresses of the arguments given along a row
        nb.int64[::1],  # addresses of the results, whose rows are contiguous
        nb.int64[::1],  # bytes from one of their rows to the next
        nb.int64,  # first row
        nb.int64,  # end of the rows
        nb.int64,  # first place
        nb.int64,  # end of the places, at least as many as lanes
        nb.float64[::1],  # constants
        nb.int64[::1],  # the same memory as integers
        *last,
    )
    return nb.njit(signature, error_model="numpy", nogil=True, cache=True)(function)


@cache
def compiled_fill() -> Any:
    """:func:`fill` compiled by numba."""
    return _compiled(fill)


@cache
def compiled_fill_past_caches() -> Any:
    """:func:`fill_past_caches` compiled by numba."""
    import numba as nb

    return _compiled(fill_past_caches, nb.float64[:, ::1])  # lines: on boundaries of 64 bytes (result, two lines)

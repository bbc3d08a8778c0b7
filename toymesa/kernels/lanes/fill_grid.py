"""The loop over the rows of a grid, around the programs of :mod:`toymesa.kernels.lanes.grid`.

As it stands for a few rows, and compiled by numba for many.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

# constants of a program: the first place and the end, the first lane of an edge and the end (integers); then the row's
# arguments, and the addresses of the arguments along the row and of the results
BEGIN, END, LOW, HIGH = range(4)
FIRST = 4


def fill(main, edge, streaming, lanes, outer, inner, bases, strides, row, rows, first, end, constants, words):
    """Fill a block of the results: whole vectors from a boundary of 64 bytes on if streaming, and what is left at the ends."""
    none, common = np.int64(0), np.int64(constants.ctypes.data)
    after = FIRST + outer.shape[1]
    for k in range(inner.shape[0]):
        words[after + k] = np.int64(inner.ctypes.data) + inner.strides[0] * k
    after += inner.shape[0]
    for r in range(row, rows):
        for k in range(outer.shape[1]):
            constants[FIRST + k] = outer[r, k]
        for k in range(bases.size):
            words[after + k] = bases[k] + r * strides[k]
        begin = first
        if streaming:
            begin += (-(words[after] + 8 * first) // 8) % 8
        last = begin + (end - begin) // lanes * lanes
        if begin > first:
            words[BEGIN], words[END], words[LOW], words[HIGH] = first, first + lanes, 0, begin - first
            edge(none, common)
        if last > begin:
            words[BEGIN], words[END] = begin, last
            main(none, common)
        if last < end:  # not again what the main part wrote: it may be on its way to memory
            words[BEGIN], words[END], words[LOW], words[HIGH] = end - lanes, end, lanes - (end - last), lanes
            edge(none, common)


@cache
def compiled_fill() -> Any:
    """:func:`fill` compiled by numba."""
    import numba as nb

    from toymesa.kernels.lanes.numba_types import PROGRAM

    signature = nb.void(
        PROGRAM,  # main: whole vectors
        PROGRAM,  # edge: some lanes of a vector
        nb.boolean,  # whether the main program streams
        nb.int64,  # lanes
        nb.float64[:, ::1],  # arguments given for each row (row, argument)
        nb.float64[:, ::1],  # arguments given along a row (argument, place)
        nb.int64[::1],  # addresses of the results, whose rows are contiguous
        nb.int64[::1],  # bytes from one of their rows to the next
        nb.int64,  # first row
        nb.int64,  # end of the rows
        nb.int64,  # first place
        nb.int64,  # end of the places, at least as many as lanes
        nb.float64[::1],  # constants
        nb.int64[::1],  # the same memory as integers
    )
    return nb.njit(signature, error_model="numpy", nogil=True, cache=True)(fill)

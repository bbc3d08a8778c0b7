"""Formulas of columns of numbers, always by the same code: a result's bits depend on its own row alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.arrays import array_function
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.lanes.grid import grid_function

Array = NDArray[np.float64]
_READ = 4096
_ALONE = 1 << 16  # numbers, up to which one thread does it: a caller may be one of many


def evaluate_formulas(exprs: Sequence[Any], columns: Mapping[Any, Array | float], out: Sequence[Array]) -> None:
    """Formulas of columns, always by the same code, so that a number's bits depend on its own row alone.

    columns: (row, time) or (row, 1); (time,) or a number where all rows have the same. out: for each formula (row, time),
    contiguous.
    """
    vectors = grid_function((), list(columns), exprs)
    rows, count = out[0].shape
    threads = 1 if rows * count <= _ALONE else None
    given = [_full(column, rows, count) for column in columns.values()]
    if vectors is not None and all(np.ndim(c) < 2 for c in given):  # nothing to repeat, so nothing is copied
        vectors(np.empty((1, 0)), given, [result.reshape(1, -1) for result in out], threads=threads)
        return
    height = max(1, min(_READ // max(count, 1), rows))  # as many rows at a time as stay in a cache
    function = array_function(list(columns), exprs) if vectors is None else None

    def evaluate_block(here: slice) -> None:
        arguments = [_part(column, here, count) for column in given]
        results = [result[here].reshape(1, -1) for result in out]
        if vectors is not None:
            vectors(np.empty((1, 0)), arguments, results, threads=1)
        elif function is not None:
            for result, values in zip(results, function(*arguments), strict=True):
                result[:] = values

    in_blocks(rows, height, evaluate_block, threads=threads)


def _full(column: Array | float, rows: int, count: int) -> Array | float:
    """A number where all are the same, flat where there is one for each row and time side by side; else (row, time)."""
    if np.ndim(column) == 0 or np.size(column) == 1:
        return float(np.asarray(column).item())
    values = np.asarray(column)
    if values.shape == (rows, count) and (count == 1 or values.flags.c_contiguous):
        return values.reshape(-1)
    return values if values.ndim == 2 else values[None]


def _part(column: Array | float, here: slice, count: int) -> Array | float:
    """Some rows of a column, flat."""
    if np.ndim(column) == 0:
        return column
    values = np.asarray(column)
    if values.ndim == 1:
        return values[here.start * count : here.stop * count]
    chosen = values if values.shape[0] == 1 else values[here]
    return np.broadcast_to(chosen, (here.stop - here.start, count)).reshape(-1)

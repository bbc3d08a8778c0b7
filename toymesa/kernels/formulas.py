"""Formulas of columns of numbers, always by the same code: a result's bits depend on its own row alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.arrays import array_function
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.lanes.grid import grid_function

Array = NDArray[np.float64]
_READ = 4096


def evaluate_formulas(exprs: Sequence[Any], columns: Mapping[Any, Array | float], out: Array) -> None:
    """Formulas of columns, always by the same code, so that a number's bits depend on its own row alone.

    columns: (row, time) or (row, 1); (time,) or a number where all rows have the same.
    """
    vectors = grid_function((), list(columns), exprs)
    _, rows, count = out.shape
    height = max(1, min(_READ // max(count, 1), rows))  # as many rows at a time as stay in a cache
    function = array_function(list(columns), exprs) if vectors is None else None
    spare: deque[Array] = deque()  # tables of arguments: what is the same in all rows is written only once into each

    def evaluate_block(here: slice) -> None:
        try:
            table, size = spare.pop(), here.stop - here.start
        except IndexError:  # one for each thread
            table, size = np.empty((len(columns), height, count)), here.stop - here.start
            for k, column in enumerate(columns.values()):
                if np.ndim(column) < 2:
                    table[k] = column
        for line, column in zip(table, columns.values(), strict=True):
            if isinstance(column, np.ndarray) and column.ndim == 2:
                line[:size] = column[here]
        arguments = table[:, :size].reshape(len(columns), size * count)
        results = [result[here].reshape(1, -1) for result in out]
        if vectors is not None:
            vectors(np.empty((1, 0)), arguments, results, threads=1)
        elif function is not None:
            for result, values in zip(results, function(*arguments), strict=True):
                result[:] = values
        spare.append(table)

    in_blocks(rows, height, evaluate_block, least=16)

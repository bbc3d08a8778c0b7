"""States of a model with a closed form in internal time, at given training times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toymesa.kernels.arrays import array_function
from toymesa.kernels.blocks import in_blocks
from toymesa.kernels.columns import Columns
from toymesa.solver.internal_time.pieces import clocks
from toymesa.solver.internal_time.roots import Array, Rows, first_roots
from toymesa.symbolic.model import InternalTimeForm, Model, at_start

_ROWS, _POINTS = 2048, 1 << 16  # rows, and rows by times, that are worked on at once


def states_at(
    model: Model, form: InternalTimeForm, params: Columns, starts: Columns, times: Array, *,
    threads: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """States (row, time, state), and the internal time at convergence (row,), as :func:`first_roots` has it.

    times : ascending, from 0 on; inf is convergence. States are NaN in rows that have no such time, and, between start and
    convergence, where the rate is lost in rounding.
    """
    symbols = [*model.params, *(at_start(s) for s in model.states)]
    used = [i for i, s in enumerate(symbols) if s in form.rate.free_symbols]
    function = array_function([*(symbols[i] for i in used), form.internal], form.rate)
    states = array_function([*symbols, form.internal], [form.states[x] for x in model.states])
    out, ends = np.full((params.rows, times.size, len(model.states)), np.nan), np.empty(params.rows)

    def work(block: slice) -> None:
        given = [c[:, None] for c in np.concatenate([params.part(block), starts.part(block)], axis=1).T.copy()]

        def rate(rows: Rows, s: Array) -> Array:
            return np.asarray(function(*(given[i][rows] for i in used), s))

        with np.errstate(all="ignore"):  # what is lost in rounding becomes NaN
            ends[block] = roots = first_roots(rate, block.stop - block.start)
            found = np.flatnonzero(np.isfinite(roots) & (roots > 0.0))
            clock = clocks(lambda rows, s: rate(found[rows], s), roots[found])
            s = roots[found, None] - clock.left(times)
        for i, values in enumerate(states(*(c[found] for c in given), s)):
            out[block.start + found, :, i] = values

    in_blocks(params.rows, max(1, min(_ROWS, _POINTS // times.size)), work, threads=threads, progress=progress)
    return out, ends

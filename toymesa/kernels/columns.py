"""Tables whose columns are mostly the same in all rows: parameters and starts of many cells, of which few vary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def by_column(rows: int, times: int, columns: int) -> Array:
    """Room for (row, time, column), in memory column by column: a column is contiguous, as it is used."""
    return np.moveaxis(np.empty((columns, rows, times)), 0, 2)


class Columns:
    """Columns of a table of ``rows`` rows: an array where a column varies, a number where it does not.

    A million rows of twenty numbers are 160 MB, which take longer to write and to read again than many a kernel runs.
    """

    def __init__(self, rows: int, columns: Sequence[Array | float]) -> None:
        self.rows = rows
        self._columns = [c if isinstance(c, np.ndarray) else float(c) for c in columns]
        self._varying = [(i, c) for i, c in enumerate(self._columns) if isinstance(c, np.ndarray)]

    @classmethod
    def of(cls, table: Array) -> Columns:
        """The columns of a table that exists, without a copy."""
        made = cls(table.shape[0], list(table.T))
        made.__dict__["table"] = table
        return made

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[Array | float]:
        return iter(self._columns)

    def __getitem__(self, column: int) -> Array | float:
        return self._columns[column]

    @cached_property
    def table(self) -> Array:
        """All of it, (row, column)."""
        return self.part(slice(0, self.rows))

    def room(self, rows: int) -> Array:
        """Room for a part of as many rows, in which the columns that do not vary are written already."""
        out = np.empty((len(self), 0 if "table" in self.__dict__ else rows))
        for column, value in zip(out, self._columns, strict=True):
            if not isinstance(value, np.ndarray):
                column[:] = value
        return out.T

    def part(self, rows: slice | NDArray[np.int64], room: Array | None = None) -> Array:
        """Some rows, (row, column), contiguous. room: made by ``room`` for at least as many, and written to instead."""
        if "table" in self.__dict__:
            return np.ascontiguousarray(self.table[rows])
        count = rows.stop - rows.start if isinstance(rows, slice) else rows.size
        out = self.room(count) if room is None else room[:count]
        for i, column in self._varying:
            out[:, i] = column[rows]
        return np.ascontiguousarray(out) if room is None else out

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Some rows, as columns again."""
        if "table" in self.__dict__:
            return Columns.of(self.table[rows])
        return Columns(rows.size, [c[rows] if isinstance(c, np.ndarray) else c for c in self._columns])

    def finite(self) -> NDArray[np.bool_] | bool:
        """Which rows hold finite numbers alone."""
        out: NDArray[np.bool_] | bool = True
        for column in self._columns:
            out = out & np.isfinite(column)
        return out

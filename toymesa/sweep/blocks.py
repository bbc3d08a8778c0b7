"""How a grid of cells is cut into blocks: one block, one task, one chunk of every variable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import whole
from toymesa.errors import DomainError, ToymesaError


@dataclass(frozen=True)
class Blocks:
    """A grid of ``shape`` in blocks of ``chunks`` cells; blocks are numbered in C order."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """How many blocks there are along each dimension."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))

    @cached_property
    def count(self) -> int:
        """How many blocks there are."""
        return math.prod(self.grid)

    def position(self, block: int) -> tuple[int, ...]:
        """Where a block stands in the grid of blocks."""
        return tuple(int(i) for i in np.unravel_index(block, self.grid))

    def region(self, block: int) -> tuple[slice, ...]:
        """The cells of a block; fewer at the far edges."""
        return tuple(
            slice(i * c, min((i + 1) * c, n))
            for i, c, n in zip(self.position(block), self.chunks, self.shape, strict=True)
        )

    def sizes(self, block: int) -> tuple[int, ...]:
        """How many cells a block has along each dimension."""
        return tuple(r.stop - r.start for r in self.region(block))

    def index(self, block: int, low: int = 0, high: int | None = None) -> NDArray[np.int64]:
        """Indices (row, dimension) of cells ``low`` to ``high`` of a block, in C order."""
        region, sizes = self.region(block), self.sizes(block)
        columns = np.empty((len(sizes), *sizes), dtype=np.int64)  # one after the other: that is how they are read
        for axis, part in enumerate(region):
            along = np.arange(part.start, part.stop)
            columns[axis] = along.reshape(-1, *[1] * (len(sizes) - axis - 1))
        return columns.reshape(len(sizes), -1)[:, low:high].T


class StoredChunk(tuple[int, ...]):
    """Sizes of the blocks of a store that is continued; another number of axes is an error of the axes, not of these."""

    __slots__ = ()


def chunk_shape(shape: tuple[int, ...], chunk: Any, weight: int = 1, *, light: bool = False) -> tuple[int, ...]:
    """Cells of a block along each dimension: as asked, else the last dimensions whole, and a size that follows the grid.

    32 to 65536 cells a block, about 50 blocks in between; more cells where there would be over 1e5 blocks. weight: how many
    trajectories a cell has: blocks of heavy cells may be as small as one, and are 64 or more. light: cells take a few
    microseconds each, so that to begin and to keep a block may take as long as its cells: about 16 blocks in between.
    """
    if isinstance(chunk, StoredChunk):
        if len(chunk) == len(shape):
            return tuple(chunk)
        chunk = None
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int | np.integer)):
        try:
            sizes: Any = chunk
            given = tuple(whole("chunk", c, 1) for c in sizes)
        except (TypeError, ToymesaError):
            given = ()
        if len(given) != len(shape):
            raise DomainError(f"chunk must be a number of cells, or {len(shape)} sizes, one a dimension; got {chunk!r}")
        return given
    total = math.prod(shape)
    blocks = 16 if light else 48 if weight == 1 else 64
    usual = max(1, 32 // weight, min(total // blocks, 65536), min(total // 100_000, 2**22))
    cells = usual if chunk is None else whole("chunk", chunk, 1)
    out = []
    for n in reversed(shape):
        out.append(max(1, min(n, cells)))
        cells //= out[-1]
    return tuple(reversed(out))

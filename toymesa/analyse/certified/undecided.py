"""Many small undecided boxes as a few larger ones that a person can read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_MOST = 100


def merged(boxes: Sequence[tuple[Array, Array]], lo: Array, hi: Array) -> list[tuple[Array, Array]]:
    """At most 100 boxes that cover the given ones; those that lie close together become one.

    lo, hi: the region that was searched, for what is close: a thousandth of it, or of the spread of the boxes.
    """
    if not boxes:
        return []
    low, high = np.array([b[0] for b in boxes]), np.array([b[1] for b in boxes])
    spread = high.max(axis=0) - low.min(axis=0)
    with np.errstate(invalid="ignore"):
        size = np.where(np.isfinite(hi - lo), hi - lo, np.maximum(spread, 1e-6 * (1.0 + np.abs(high).max(axis=0))))
    cell = 1e-3 * np.where(np.isfinite(size) & (size > 0), size, 1.0)
    while True:
        middle = np.where(np.isfinite(low + high), (low + high) / 2.0, 0.0)
        keys = np.floor(middle / cell).astype(np.int64)
        _, index = np.unique(keys, axis=0, return_inverse=True)
        index = index.reshape(-1)
        count = int(index.max()) + 1
        new_low, new_high = np.full((count, low.shape[1]), np.inf), np.full((count, low.shape[1]), -np.inf)
        np.minimum.at(new_low, index, low)
        np.maximum.at(new_high, index, high)
        low, high = _touching(new_low, new_high, cell)
        if low.shape[0] <= _MOST:
            return list(zip(low, high, strict=True))
        cell = 2.0 * cell


def _touching(low: Array, high: Array, cell: Array) -> tuple[Array, Array]:
    """Neighbours across the border of two cells made one, as long as the result stays small."""
    if low.shape[0] > 400:
        return low, high
    done = False
    while not done:
        done = True
        for i in range(low.shape[0]):
            near = (low <= high[i] + 1e-3 * cell).all(axis=1) & (high >= low[i] - 1e-3 * cell).all(axis=1)
            both_low, both_high = np.minimum(low, low[i]), np.maximum(high, high[i])
            near &= (both_high - both_low <= 2.0 * cell).all(axis=1)
            near[i] = False
            if near.any():
                j = int(np.argmax(near))
                low[i], high[i] = both_low[j], both_high[j]
                low, high = np.delete(low, j, axis=0), np.delete(high, j, axis=0)
                done = False
                break
    return low, high

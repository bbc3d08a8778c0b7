"""Rows of large arrays, a block at a time, over threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext


def in_blocks(
    rows: int, height: int, work: Callable[[slice], object], *, threads: int | None = None,
    progress: Callable[[int, int], None] | None = None, least: int = 2,
) -> None:  # fmt: skip
    """Have every slice of ``height`` rows worked on; the blocks must not depend on one another.

    Fewer blocks than ``least``, or one thread, stay on this very thread: a caller may be one of many.
    """
    blocks = [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]
    workers = min(threads or os.cpu_count() or 1, len(blocks)) if len(blocks) >= least else 1
    with nullcontext() if workers <= 1 else ThreadPoolExecutor(workers) as pool:
        done = map(work, blocks) if pool is None else pool.map(work, blocks)
        for block, _ in zip(blocks, done, strict=True):
            if progress is not None:
                progress(block.stop, rows)

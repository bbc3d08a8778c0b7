"""Rows of large arrays, a block at a time, over threads: new memory costs more than what is written into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_THREADS_FROM = 16  # blocks; fewer are done before a thread has started


def in_blocks(rows: int, height: int, work: Callable[[slice], None]) -> None:
    """Have every slice of ``height`` rows worked on; the blocks must not depend on one another."""
    blocks = [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]
    if len(blocks) < _THREADS_FROM:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(work, blocks):
            pass

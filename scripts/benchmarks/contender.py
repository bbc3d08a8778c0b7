"""One way of solving an ensemble, and how far its answer is from the truth."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# (starts, params, tolerance) -> states at the end, a row a point
Run = Callable[[Array, Array, float], Array]
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Absent(Exception):
    """This contender cannot run here, and why: a row of the table, never a crash."""


@dataclass(frozen=True, eq=False)
class Contender:
    """A named way to solve a problem.

    package: the distribution whose version is recorded. prepare: makes the function to be timed, compiling what does not
    depend on the data; raises Absent. least: fewest points for which its speed means something. loop: a Python loop over
    points, measured on a part.
    """

    name: str
    package: str
    prepare: Callable[[], Run]
    least: int = 256
    loop: bool = False


def needs(*modules: str) -> None:
    """Raise Absent unless all of these can be imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise Absent("not installed")


def error(found: Array, truth: Array) -> float:
    """The largest |found - truth| / (1 + |truth|) over points and states; infinite where anything is not finite."""
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - truth) / (1.0 + np.abs(truth))).max())


def on_threads(work: Callable[[int, slice], Any], count: int, block: int) -> None:
    """Call ``work(thread, rows)`` for blocks of rows; blocks of one thread come in order."""
    blocks = [slice(i, min(i + block, count)) for i in range(0, count, block)]

    def chain(thread: int) -> None:
        for rows in blocks[thread::THREADS]:
            work(thread, rows)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(chain, range(THREADS)))


@contextmanager
def silent() -> Iterator[None]:
    """Without what compiled code prints to the console (DOP853's stiffness warnings)."""
    os_devnull = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(os_devnull, 1)
        os.dup2(os_devnull, 2)
        yield
    finally:
        for fd, old in zip((1, 2), kept, strict=True):
            os.dup2(old, fd)
            os.close(old)
        os.close(os_devnull)

"""What runs in a worker: one block, or a part of one. Module-level functions and plain data, so that they travel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.errors import StoreError
from toymesa.kernels.generate import compile_model
from toymesa.sweep.plan import Plan
from toymesa.sweep.writer import Writer

_COMPILING = Lock()


@dataclass(frozen=True, eq=False)
class Job:
    """A plan and where its results go: a store's path and name, or None to hand them back."""

    plan: Plan
    store: str | None = None
    store_id: str = ""
    durable: bool = False


@dataclass
class Report:
    """One block as it ended. counts: cells by status code; results: None where they are in the store."""

    counts: NDArray[np.int64]
    notes: list[str] = field(default_factory=list)
    results: dict[str, NDArray[Any]] | None = None


def run_block(job: Job, block: int, stop: Callable[[], bool] = lambda: False) -> Report:
    """Compute a block and write its chunks, or hand its results back."""
    results, notes = run_part(job, block, 0, None, stop)
    return finish(job, block, results, notes)


def run_part(
    job: Job, block: int, low: int, high: int | None, stop: Callable[[], bool] = lambda: False
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Results of cells ``low`` to ``high`` of a block, in C order."""
    warm(job.plan)
    return job.plan.evaluate(job.plan.blocks.index(block, low, high), stop)


def finish(job: Job, block: int, results: dict[str, NDArray[Any]], notes: list[str]) -> Report:
    """Write the results of a whole block where they go."""
    counts = np.bincount(results["status"], minlength=256)
    if job.store is None:
        return Report(counts, notes, results)
    writer_of(job).write(block, results)
    return Report(counts, notes)


def writer_of(job: Job) -> Writer:
    """The writer of a job's store in this process."""
    assert job.store is not None
    if not os.path.exists(f"{job.store}/zarr.json"):  # asked for every block, so plainly
        raise StoreError(
            f"a worker cannot see the store {job.store!r}: it must be on a file system that all workers share"
        )
    writer = _writer(job.store, job.store_id, job.plan, job.durable)
    if writer.identity != job.store_id:
        raise StoreError(f"a worker sees another store at {job.store!r} than the sweep writes")
    return writer


@lru_cache(maxsize=4)
def _writer(path: str, store_id: str, plan: Plan, durable: bool) -> Writer:
    return Writer(Path(path), plan, durable=durable)


def warm(plan: Plan) -> None:
    """Compile every model once, not by all threads at the same time."""
    if plan.__dict__.get("_warm"):
        return
    with _COMPILING:
        for model in plan.models:
            compiled = compile_model(model)
            compiled.field, compiled.observe  # noqa: B018  # compiled on first use
            if model.noise is not None:
                compiled.noise  # noqa: B018
        plan.__dict__["_warm"] = True

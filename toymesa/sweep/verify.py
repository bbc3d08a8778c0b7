"""Checking a store, and mending it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from toymesa.sweep import store as stores
from toymesa.sweep.execute import invalidate, run_plan
from toymesa.sweep.integrity import Verification, check_blocks, inspect
from toymesa.sweep.metadata import read_attributes
from toymesa.sweep.plan import Plan
from toymesa.sweep.progress import Progress
from toymesa.sweep.resume import mend


def verify_sweep(store: str | os.PathLike[str]) -> Verification:
    """Check every byte of a store and say what is damaged; nothing is written. ``sweep(..., verify=True)`` repairs.

    Raises StoreError where there is no store and StoreCorrupt where both copies of its attributes are damaged.
    """
    return inspect(stores.place(store))


def verify_plan(
    made: Plan, store: Path, *, engine: Any = None, workers: int | None = None, progress: Progress = False
) -> Verification:
    """Check every byte of a store, mend its metadata, and run the damaged blocks again, and no others."""
    with stores.lock(store), stores.writing(store):
        damaged = tuple(mend(store, made))
        found = replace(check_blocks(store, read_attributes(store)), metadata=damaged)
        invalidate(store, made, found)
    if found.blocks:
        run_plan(
            made, store=store, resume=True, engine=engine, workers=workers, progress=progress, allow_large=True,
            only=sorted(found.blocks),
        )  # fmt: skip
    return found

"""Running a checked plan: what is left of it, through an engine, into a store or into memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.errors import PartialSweep, StoreError, SweepInterrupted
from toymesa.status import Status
from toymesa.sweep import store as stores
from toymesa.sweep.drive import drive
from toymesa.sweep.engines import engine_of
from toymesa.sweep.integrity import Verification, check_blocks
from toymesa.sweep.layout import coordinates, results
from toymesa.sweep.limits import refuse_absurd
from toymesa.sweep.metadata import read_attributes
from toymesa.sweep.plan import Plan
from toymesa.sweep.progress import Progress, Show, shown
from toymesa.sweep.resume import continued, mend, progress_of
from toymesa.sweep.tasks import Job, Report, warm, writer_of
from toymesa.sweep.writer import Writer

_LOG = logging.getLogger("toymesa")


class _Told(Exception):
    """The function that is told of the progress raised its cause."""


@dataclass
class _Tally:
    """What is done so far."""

    total: int
    done: int
    counts: NDArray[np.int64]
    notes: list[str]

    def summary(self) -> str:
        bad = {Status(i).label: int(c) for i, c in enumerate(self.counts) if c and i not in (0, int(Status.OK))}
        failures = ", ".join(f"{c} {n}" for n, c in bad.items())
        return f"{self.done} of {self.total} cells done" + (f" ({failures})" if failures else "")


def run_plan(
    made: Plan, *, store: Path | None, resume: bool = False, extend: bool = False, durable: bool = False, engine: Any = None,
    workers: int | None = None, progress: Progress = False, allow_large: bool = False, verify: bool = False,
    only: list[int] | None = None,
) -> xr.Dataset:  # fmt: skip
    """Run a checked plan; ``only``: these blocks alone. See :func:`sweep`."""
    if not allow_large:
        refuse_absurd(made, store)
    if store is None:
        return _in_memory(made, engine, workers, progress)
    if store.exists() and not store.is_dir():
        raise StoreError(f"{str(store)!r} exists and is a file, no store: give a new path")
    new = not store.exists() or not any(store.iterdir())
    if new:
        stores.create(store, made, stores.root_attributes(made))
    elif not (resume or extend):
        raise StoreError(
            f"the store {str(store)!r} exists{progress_of(store)}: pass resume=True (--resume) to continue it, or a new path"
        )
    with stores.lock(store):
        with stores.writing(store):
            if verify:
                mend(store, made, extend)
            attrs = read_attributes(store) if new else continued(store, made, extend)
            if verify:
                invalidate(store, made, check_blocks(store, attrs))
            orphans = 0 if new else stores.sweep_partials(store)
        if orphans:
            _LOG.info("removed %d unfinished files of an interrupted run from %s", orphans, store)
        job = Job(made, str(store), attrs["store_id"], durable)
        writer = writer_of(job)
        tally = _Tally(made.cells, 0, np.zeros(256, dtype=np.int64), [])
        left = iter(only) if only is not None else _left(made, writer, tally)
        where = f"continue with resume=True, or toymesa sweep ... --store {store} --resume"
        _run(job, left, tally, engine, workers, shown(progress, made.cells), where, None)
    data = stores.open_store(store)
    return data.assign_attrs(notes=json.dumps(tally.notes)) if tally.notes else data


def _left(made: Plan, writer: Writer, tally: _Tally) -> Iterator[int]:
    """Blocks that are not done, in order; those that are go into the tally first, so that progress starts right."""
    todo = []
    for number in range(made.blocks.count):
        status = writer.status(number)
        if status is not None:
            tally.done += status.size
            tally.counts += np.bincount(status.reshape(-1), minlength=256)
        else:
            todo.append(number)
    return iter(todo)


def _in_memory(made: Plan, engine: Any, workers: int | None, progress: Progress) -> xr.Dataset:
    arrays: dict[str, NDArray[Any]] = {"status": np.zeros(made.shape, dtype=np.uint8)}
    for v in made.variables:
        arrays[v.name] = np.full((*made.shape, *v.sizes), v.fill, dtype=v.dtype)
    tally = _Tally(made.cells, 0, np.zeros(256, dtype=np.int64), [])
    job = Job(made)
    where = "what is done is in the exception's dataset; give store= to be able to resume"
    _run(job, iter(range(made.blocks.count)), tally, engine, workers, shown(progress, made.cells), where, arrays)
    return dataset(made, arrays, tally.notes)


def _run(
    job: Job, left: Iterator[int], tally: _Tally, engine: Any, workers: int | None, show: Show, where: str,
    arrays: dict[str, NDArray[Any]] | None,
) -> None:  # fmt: skip
    """Drive the blocks through an engine; interruptions and failing disks become exceptions that say what is done."""
    plan_ = job.plan

    def accept(number: int, report: Report) -> None:
        if arrays is not None and report.results is not None:
            region = plan_.blocks.region(number)
            for name, values in report.results.items():
                arrays[name][region] = values.reshape(arrays[name][region].shape)
        tally.done += int(report.counts.sum())
        tally.counts += report.counts
        tally.notes.extend(report.notes[: max(0, 20 - len(tally.notes))])
        try:
            show(tally.done)
        except Exception as error:  # a user's function, which may stop a sweep on purpose
            raise _Told from error

    def partial() -> xr.Dataset | None:
        return None if arrays is None else dataset(plan_, arrays, tally.notes)

    show(tally.done)
    running = engine_of(engine, job, workers)
    now = True
    try:
        warm(plan_)
        drive(running, job, left, accept)
        now = False
    except KeyboardInterrupt:
        raise SweepInterrupted(
            f"interrupted: {tally.summary()}; {where}", done=tally.done, total=tally.total, dataset=partial()
        ) from None
    except Exception as error:
        gone, told = running.gone(error), isinstance(error, _Told)
        if not (gone or told or isinstance(error, OSError)):
            raise
        by = "by progress" if told else "by the loss of the cluster" if gone else "by the system"
        error = error.__cause__ if told and isinstance(error.__cause__, Exception) else error
        why = " ".join(str(error).split()) or type(error).__name__
        raise PartialSweep(
            f"stopped {by} ({why}): {tally.summary()}; {where}", done=tally.done,
            total=tally.total, dataset=partial(),
        ) from error  # fmt: skip
    finally:
        running.close(now=now)
        show(None)


def dataset(made: Plan, arrays: dict[str, NDArray[Any]], notes: list[str]) -> xr.Dataset:
    """Results in memory, labelled as they are when read from a store."""
    data: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    drawn = {c.label for c in made.design.columns} if made.design.sampled else set()
    for spec in results(made):
        attrs = {k: v for k, v in spec.attrs.items() if k != "coordinates"}
        (coords if spec.name in drawn else data)[spec.name] = (spec.dims, arrays[spec.name], attrs)
    for spec, values in coordinates(made):
        attrs = dict(spec.attrs)
        labels = attrs.pop("labels", None)
        shown_ = values if labels is None else stores.labelled(labels)[values]
        coords[spec.name] = (spec.dims, shown_, attrs)
    attrs = {k: v for k, v in stores.root_attributes(made).items() if k not in ("layout", "digest")}
    return xr.Dataset(data, coords=coords, attrs=attrs | ({"notes": json.dumps(notes)} if notes else {}))


def invalidate(path: Path, made: Plan, found: Verification) -> None:
    """Damaged blocks count as not run from now on."""
    status = results(made)[-1]
    for number in found.blocks:
        status.file(path, made.blocks.position(number)).unlink(missing_ok=True)

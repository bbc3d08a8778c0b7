"""``sweep``: check, estimate, run what is left to run, label the answer."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.errors import ArgumentError, PartialSweep, StoreError, SweepInterrupted, named_arguments
from toymesa.status import Status
from toymesa.sweep import store as stores
from toymesa.sweep.engines import drive, engine_of
from toymesa.sweep.integrity import Verification, mend, mend_coordinates
from toymesa.sweep.limits import refuse_absurd
from toymesa.sweep.plan import Plan, differences
from toymesa.sweep.planning import plan
from toymesa.sweep.progress import Progress, Show, shown
from toymesa.sweep.provenance import versions
from toymesa.sweep.tasks import Job, Report, warm

_LOG = logging.getLogger("toymesa")


@named_arguments
def sweep(
    model: Any,
    over: Any,
    *,
    measure: Any = None,
    t: Any = None,
    until: str | None = None,
    params: Any = None,
    start: Any = None,
    events: Any = None,
    design: str | None = None,
    samples: int | None = None,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: Any = 1e-10,
    max_step: float = math.inf,
    first_step: float | None = None,
    max_steps: int = 100_000,
    rng: Any = None,
    store: str | os.PathLike[str] | None = None,
    resume: bool = False,
    extend: bool = False,
    verify: bool = False,
    durable: bool = False,
    engine: Any = None,
    workers: int | None = None,
    chunk: Any = None,
    progress: Progress = True,
    allow_large: bool = False,
) -> xr.Dataset:
    """Measure a model in every cell of a grid, a list of points or a sample, on this machine or a cluster.

    Parameters
    ----------
    model : a Model, or a function that makes one; its keywords may then be axes (number of mechanisms, depth, coupling,
        optimizer). Over a Model the axis ``optimizer`` takes base optimizers, or label -> optimizer or function of the model.
    over : name -> values. A parameter, a start (``start_<name>``, or a state's or simplex coordinate's own name), or a
        structural option (a list, or label -> option). DataArrays that share a dimension vary together. A list of
        mappings or a pandas table: points along the dimension ``point``.
    measure : a list of names (states, observables), functions, or measures of ``toymesa.measures``; or name -> one of
        these or a formula. Default: all observables.
    t, until, events, method, rtol, atol, max_step, first_step, max_steps : as in ``solve``, but a scalar ``t`` gives the
        end alone; a list gives results over ``time``. For maps ``t`` counts steps. Under "auto" a cell for which a
        closed form in time holds uses it.
    params, start : fixed values; a function of a Generator is drawn anew in every cell, from a stream of the cell's own.
    design : "grid", "points", "random", "sobol" or "halton"; the last three take ``samples`` points from ranges
        ``(low, high)`` or ``(low, high, "log")`` along the dimension ``sample``.
    rng : seed or Generator of everything drawn.
    store : directory for the results (Zarr v3), which are then read lazily. It must be new, unless ``resume`` continues an
        interrupted sweep with the same settings; ``extend`` also lets axes have more values at their end (or more
        samples); ``verify`` first checks every byte of it, and what is damaged is run again. durable: wait for the disk
        after every block.
    engine : None or "threads", "processes", the address of a Dask scheduler, or a ``dask.distributed.Client``; workers of
        a cluster must see the store under the same path. workers: threads or processes (default: all cores).
    chunk : cells of a block, or its sizes by dimension (a continued store keeps its own).
    progress : True, or ``progress(done, total)`` in cells.
    allow_large : run sweeps over 1e9 cells, or larger than the disk or half of the memory.

    Returns a Dataset over the axes with the measures, ``status`` (codes of ``toymesa.Status``; numerical failures are
    recorded, never raised) and ``nsteps``. The same arguments give the same bits with every engine, number of workers,
    chunk and interruption.
    Raises DomainError or ArgumentError for unusable arguments, StoreError for a store that cannot be used,
    PartialSweep where it had to stop before the end, SweepInterrupted on Ctrl-C; what was done is kept.
    """
    if (resume or extend or verify or durable) and store is None:
        raise ArgumentError("resume, extend, verify and durable go with store=")
    resume = resume or verify
    path = None if store is None else Path(os.path.abspath(store))
    stored = _stored(path, damaged=verify) if path is not None and (resume or extend) else None
    made = plan(
        model, over, measure=measure, t=t, until=until, params=params, start=start, events=events, design_=design,
        samples=samples, method=method, rtol=rtol, atol=atol, max_step=max_step, first_step=first_step,
        max_steps=max_steps, rng=stored["seed"] if stored is not None and rng is None else rng,
        chunk=chunk if stored is None or np.ndim(chunk) else stored["chunks"],
    )  # fmt: skip
    return run_plan(
        made, store=path, resume=resume, extend=extend, verify=verify, durable=durable, engine=engine, workers=workers,
        progress=progress, allow_large=allow_large,
    )  # fmt: skip


def _stored(path: Path, *, damaged: bool = False) -> dict[str, Any] | None:
    """The spec of a store, None where there is none yet; ``damaged``: from any copy that is left, or None."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    attrs: dict[str, Any] | None
    if damaged:
        root, copy = stores.copies(path)
        attrs = root or copy
    else:
        attrs = stores.read_attributes(path)
    return None if attrs is None else dict(json.loads(attrs["spec"]))


def stored_plan(path: Path) -> tuple[Any, int | None]:
    """Chunk and seed of a store, which a continued sweep keeps; nothing where there is no store yet."""
    found = _stored(path, damaged=True)
    return (None, None) if found is None else (found["chunks"], int(found["seed"]))


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
    if not store.exists() or not any(store.iterdir() if store.is_dir() else [1]):
        stores.create(store, made, stores.root_attributes(made))
    elif not (resume or extend):
        raise StoreError(
            f"the store {str(store)!r} exists{_state(store)}: pass resume=True to continue it, or a new path"
        )
    with stores.lock(store):
        if verify:
            invalidate(store, made, mend(store, made))
        attrs = _continued(store, made, extend)
        orphans = stores.sweep_partials(store)
        if orphans:
            _LOG.info("removed %d unfinished files of an interrupted run from %s", orphans, store)
        job = Job(made, str(store), attrs["store_id"], durable)
        writer = stores.Writer(store, made)
        tally = _Tally(made.cells, 0, np.zeros(256, dtype=np.int64), [])
        left = iter(only) if only is not None else _left(made, writer, tally)
        where = f"continue with resume=True, or toymesa sweep ... --store {store} --resume"
        _run(job, left, tally, engine, workers, shown(progress, made.cells), where, None)
    data = stores.open_store(store)
    return data.assign_attrs(notes=json.dumps(tally.notes)) if tally.notes else data


def _state(path: Path) -> str:
    """`` with N of M blocks done`` where that can be told cheaply, else nothing."""
    try:
        attrs = stores.read_attributes(path)
        total = math.prod(next(s for s in stores.layout_of(attrs) if s.name.endswith("digest")).shape)
        done = sum(1 for f in (path / "status" / "c").rglob("*") if f.is_file() and not f.name.endswith(".partial"))
        return f" with {done} of {total} blocks done"
    except (StoreError, OSError):
        return ""


def _continued(path: Path, made: Plan, extending: bool) -> dict[str, Any]:
    """The attributes of a store that this plan may write into; extends it where that is asked for."""
    attrs = stores.read_attributes(path)
    stored = json.loads(attrs["spec"])
    if stored != made.spec:
        lines = differences(stored, made.spec)
        longer = _is_longer(stored, made)
        if not (extending and longer):
            hint = "; the axes only have more values: pass extend=True" if longer else ""
            raise StoreError(f"the store {str(path)!r} was made with other settings: {'; '.join(lines)}{hint}")
        kept = {k: v for k, v in stores.root_attributes(made).items() if k in ("spec", "layout")}
        stores.require_metadata(path, attrs)
        attrs = attrs | kept
        stores.extend(path, made, attrs)
    stores.require_metadata(path, attrs)
    now = versions()
    then = json.loads(attrs["versions"])
    if now != then:
        changed = ", ".join(f"{k} {then.get(k)} -> {v}" for k, v in now.items() if then.get(k) != v)
        _LOG.warning("the store %s was begun with other versions (%s): bits may differ", path, changed)
        history = json.loads(attrs.get("resumed_with", "[]"))
        if now not in history:
            attrs = attrs | {"resumed_with": json.dumps([*history, now])}
            stores.write_attributes(path, attrs)
    stores.grow(path, made)  # an extension that was interrupted
    mend_coordinates(path, made)
    return attrs


def _is_longer(stored: dict[str, Any], made: Plan) -> bool:
    """Whether the plan is what is stored with more values at the end of its axes."""
    asked = made.spec
    if any(stored.get(k) != asked[k] for k in asked if k not in ("axes", "models")):
        return False
    if len(stored["axes"]) != len(asked["axes"]) or any(
        asked["models"].get(k) != v for k, v in stored["models"].items()
    ):
        return False
    for old, column in zip(stored["axes"], made.design.columns, strict=True):
        size = made.design.sizes[column.dim]
        if (old["name"], old["dim"]) != (column.label, column.dim) or old["size"] > size:
            return False
        if old["values"] != column.fingerprint(old["size"]):
            return False
    return True


def _left(made: Plan, writer: stores.Writer, tally: _Tally) -> Iterator[int]:
    """Blocks that are not done, in order; those that are go into the tally first, so that progress starts right."""
    todo = []
    for number in range(made.blocks.count):
        if writer.done(number):
            status = writer.arrays["status"][made.blocks.region(number)]
            tally.done += status.size
            tally.counts += np.bincount(status.reshape(-1), minlength=256)
        else:
            todo.append(number)
    return iter(todo)


def _in_memory(made: Plan, engine: Any, workers: int | None, progress: Progress) -> xr.Dataset:
    arrays: dict[str, NDArray[Any]] = {"status": np.zeros(made.shape, dtype=np.uint8)}
    for v in made.variables:
        arrays[v.name] = np.full((*made.shape, *((len(v.times),) if v.times else ())), v.fill, dtype=v.dtype)
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
        show(tally.done)

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
    except OSError as error:
        raise PartialSweep(
            f"stopped by the system ({' '.join(str(error).split())}): {tally.summary()}; {where}", done=tally.done,
            total=tally.total, dataset=partial(),
        ) from error  # fmt: skip
    finally:
        running.close(now=now)
        show(None)


def dataset(made: Plan, arrays: dict[str, NDArray[Any]], notes: list[str]) -> xr.Dataset:
    """Results in memory, labelled as they are when read from a store."""
    from toymesa.sweep.layout import coordinates, results

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
    for number in found.blocks:
        stores.chunk_files(path, made.blocks, {}, number)[0].unlink(missing_ok=True)


def open_sweep(store: str | os.PathLike[str]) -> xr.Dataset:
    """Results of a store, read lazily: variables are loaded when they are used. The store is not written to.

    Raises StoreError where there is no store and StoreCorrupt where its metadata are damaged.
    """
    return stores.open_store(Path(store))

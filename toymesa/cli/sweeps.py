"""The command ``toymesa sweep``: a sweep file in, a store out, and a page that says how it went."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toymesa.cli import OK, PARTIAL, show
from toymesa.cli.arguments import emit
from toymesa.errors import ArgumentError, DomainError, PartialSweep, StoreError, SweepInterrupted
from toymesa.status import Status

if TYPE_CHECKING:
    import xarray as xr

    from toymesa.sweep.integrity import Verification
    from toymesa.sweep.plan import Plan

_MOST_DAYS = 30.0
_PROBE, _PROBE_SECONDS = 256, 1.0  # cells that are timed for the estimate, and about how long that may take
_MANY = 64


def run_sweep(arguments: argparse.Namespace) -> int:
    """A sweep file from start to end."""
    from toymesa.sweep.execute import run_plan
    from toymesa.sweep.export import export_sweep, export_target
    from toymesa.sweep.files import load_sweep
    from toymesa.sweep.resume import kept
    from toymesa.sweep.verify import verify_plan

    store = _store(arguments)
    if arguments.export:
        export_target(arguments.export)
    going_on = arguments.resume or arguments.extend or arguments.verify
    made = load_sweep(arguments.file, find_model=_find, kept=kept(store) if store is not None and going_on else None)
    engine = arguments.scheduler or arguments.engine
    report: Verification | None = None
    try:
        with _terminated():
            if arguments.verify:
                assert store is not None
                report = verify_plan(
                    made, store, engine=engine, workers=arguments.workers, progress=sys.stderr.isatty()
                )
                again = f"\nmended; {len(report.blocks)} blocks were run again" if not report.ok else ""
                print(f"toymesa sweep: {report}{again}", file=sys.stderr)
                data = open_results(store)
            else:
                if not _announced(made, store, arguments):
                    return OK
                data = run_plan(
                    made, store=store, resume=arguments.resume, extend=arguments.extend, durable=arguments.durable,
                    engine=engine, workers=arguments.workers, progress=sys.stderr.isatty(), allow_large=arguments.allow_large,
                )  # fmt: skip
    except (SweepInterrupted, PartialSweep) as stopped:
        stopped.args = (f"{_what_is_done(stopped)}{_how_to_resume(arguments)}",)
        raise
    if arguments.export:
        export_sweep(data, arguments.export)
    found = summary(data, made, store, report)
    emit(arguments, found, page(found))
    return OK if found["status"].get("ok", 0) == found["cells"] else PARTIAL


def open_results(store: Path) -> xr.Dataset:
    """The results of a store."""
    from toymesa.sweep.run import open_sweep

    return open_sweep(store)


def _what_is_done(stopped: SweepInterrupted | PartialSweep) -> str:
    return str(stopped).split("; ")[0]


def _how_to_resume(arguments: argparse.Namespace) -> str:
    if not arguments.store:
        return "; nothing was stored: give --store DIR to be able to resume"
    return f"; continue with: toymesa sweep {arguments.file} --store {arguments.store} --resume"


def _store(arguments: argparse.Namespace) -> Path | None:
    if arguments.store is None:
        for option in ("resume", "extend", "verify", "durable"):
            if getattr(arguments, option):
                raise ArgumentError(f"--{option} goes with --store DIR")
        return None
    if arguments.verify and arguments.extend:
        raise ArgumentError("--verify and --extend are two runs: verify what is there, then extend it")
    store = Path(arguments.store)
    if not store.is_absolute() and not store.resolve().is_relative_to(Path.cwd().resolve()):
        raise DomainError(
            f"--store {arguments.store!r} leads out of the working directory; give an absolute path if you mean it"
        )
    if arguments.verify and not store.exists():
        raise StoreError(f"there is no store {arguments.store!r}")
    return store.resolve()


def _find(name: str, options: Mapping[str, Any]) -> Any:
    """A model of the package; its factory where it has structural options, with those of the file filled in."""
    import inspect
    from functools import partial

    from toymesa import models

    found = models.find(name)
    factory = getattr(models, name)
    if not callable(factory):
        if options:
            raise ArgumentError(f"model {name!r} has no structural options; got {sorted(options)}")
        return found
    known = list(inspect.signature(factory).parameters)
    for key in options:
        if key not in known:
            from toymesa.errors import did_you_mean

            raise ArgumentError(f"model {name!r} has no option {key!r}{did_you_mean(key, known)}")
    return partial(factory, **options)


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM ends a sweep as Ctrl-C does, with exit code 143."""

    def stop(number: int, frame: Any) -> None:
        error = KeyboardInterrupt("terminated")
        raise error

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except SweepInterrupted as error:
        error.terminated = isinstance(error.__context__, KeyboardInterrupt) and "terminated" in error.__context__.args  # type: ignore[attr-defined]
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _announced(made: Plan, store: Path | None, arguments: argparse.Namespace) -> bool:
    """Say on standard error how large and long the sweep is; False if that was all that was asked for."""
    from toymesa.sweep.limits import refuse_absurd
    from toymesa.sweep.resume import blocks_done

    large = arguments.allow_large
    if not large:
        refuse_absurd(made, store)
    line = f"{made.cells} cells in {made.blocks.count} blocks, at most {made.cells * made.bytes_per_cell / 1e6:.3g} MB"
    done = blocks_done(store) if store is not None and store.exists() else None
    left = 1.0
    if done is not None and (arguments.resume or arguments.extend):
        line += f", {done[0]} done"
        left = max(0.0, 1.0 - done[0] / made.blocks.count)
    if left and (made.cells > 10 * _PROBE or arguments.estimate):
        seconds = time_per_cell(made) * made.cells * left
        workers = arguments.workers or os.cpu_count() or 1
        line += f", about {_duration(seconds)} of one core ({_duration(seconds / workers)} on {workers})"
        if seconds / workers > _MOST_DAYS * 86400 and not large and not arguments.scheduler:
            raise DomainError(f"the sweep would take {_duration(seconds / workers)}; pass --allow-large if you mean it")
    print(f"toymesa sweep: {line}", file=sys.stderr)
    return not arguments.estimate


def time_per_cell(made: Plan) -> float:
    """Seconds a cell, from cells spread evenly over the sweep; nothing of it is kept."""
    import numpy as np

    from toymesa.sweep.tasks import warm

    warm(made)

    def spent(count: int) -> float:
        numbers = np.linspace(0, made.cells - 1, count).astype(np.int64)
        index = np.stack(np.unravel_index(numbers, made.shape), axis=1).astype(np.int64)
        begun = time.monotonic()
        made.evaluate(index)
        return time.monotonic() - begun

    spent(1)  # code that runs for the first time
    first = spent(1)
    count = min(_PROBE, made.cells, int(_PROBE_SECONDS / max(first, 1e-9)))
    if count < 2:
        return first
    total = spent(count)
    if total < _PROBE_SECONDS / 4:  # one cell and many are not solved by the same code: now that of many is loaded
        count = min(_PROBE, made.cells)
        total = min(spent(count), spent(count))
    few = count // 4
    if few < _MANY:
        return total / count
    # a call costs something by itself, which blocks of many cells hardly feel
    return max(total - min(spent(few), spent(few)), total / 20) / (count - few)


def _duration(seconds: float) -> str:
    for name, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.2g} s"


def summary(data: xr.Dataset, made: Plan, store: Path | None, report: Verification | None) -> dict[str, Any]:
    """The JSON shape of ``toymesa sweep``; read a block at a time."""
    import numpy as np

    counts = np.zeros(256, dtype=np.int64)
    labels = {
        v.name: dict(v.attrs)["flag_meanings"].split() for v in made.variables if "flag_meanings" in dict(v.attrs)
    }
    seen = {n: np.zeros(len(words), dtype=np.int64) for n, words in labels.items()}
    names = [v.name for v in made.variables if v.name != "nsteps" and v.name not in labels]
    low, high = dict.fromkeys(names, math.inf), dict.fromkeys(names, -math.inf)
    for number in range(made.blocks.count):
        piece = data.isel(dict(zip(made.dims, made.blocks.region(number), strict=True)))
        counts += np.bincount(piece["status"].values.reshape(-1), minlength=256)
        for n, count in seen.items():  # -1, "none", comes first
            count += np.bincount(piece[n].values.reshape(-1).astype(np.int64) + 1, minlength=count.size)
        for n in names:
            values = piece[n].values
            values = values[np.isfinite(values)]
            if values.size:
                low[n], high[n] = min(low[n], float(values.min())), max(high[n], float(values.max()))
    out = {
        "cells": made.cells,
        "done": int(counts[1:].sum()),
        "status": {Status(i).label: int(c) for i, c in enumerate(counts) if c},
        "variables": {n: {"min": show.plain(low[n]), "max": show.plain(high[n])} for n in names},
        "labels": {n: {w: int(c) for w, c in zip(labels[n], count, strict=True) if c} for n, count in seen.items()},
        "store": None if store is None else str(store),
        "notes": json.loads(data.attrs.get("notes", "[]")),
    }
    if report is not None:
        out["damaged"] = {"blocks": {str(k): v for k, v in report.blocks.items()}, "metadata": list(report.metadata)}
    return out


def page(found: Mapping[str, Any]) -> str:
    """The same for a reader."""
    rows = [{"variable": n, **v} for n, v in found["variables"].items()]
    lines = [show.table(rows, ["variable", "min", "max"])] if rows else []
    lines += [f"{n}: " + ", ".join(f"{c} {w}" for w, c in counts.items()) for n, counts in found["labels"].items()]
    lines.append(", ".join(f"{c} {n}" for n, c in found["status"].items()) + f" of {found['cells']} cells")
    failed = [s for s in Status if s.label in found["status"] and s not in (Status.OK, Status.NOT_RUN)]
    lines += [f"{s.label}: {s.advice}" for s in failed] + list(found["notes"][:3])
    if found["store"]:
        lines.append(f"store: {found['store']}")
    return "\n".join(lines)

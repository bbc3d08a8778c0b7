"""A store of sweep results: created whole, filled block by block (``writer``), read lazily, never overwritten."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from toymesa.errors import ArgumentError, StoreCorrupt, StoreError
from toymesa.sweep.chunks import put
from toymesa.sweep.layout import GROUP, INTEGRITY, coordinates, layout
from toymesa.sweep.lock import Lock
from toymesa.sweep.metadata import layout_of, read_attributes, require_metadata, write_attributes
from toymesa.sweep.plan import OLDEST, SCHEMA, Plan
from toymesa.sweep.provenance import provenance

_STALE = 3600.0  # seconds after which an unfinished new store is nobody's


def place(store: str | os.PathLike[str]) -> Path:
    """The directory that is meant by the path of a store, whatever symbolic links lead there, checked to be a path."""
    text = os.fspath(store) if isinstance(store, str | os.PathLike) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise ArgumentError(f"store must be the path of a directory; got {store!r}")
    path = Path(os.path.realpath(text))
    try:
        path.exists()
    except OSError as error:  # a name that is too long, say
        raise StoreError(f"{text!r} cannot be the path of a store: {error.strerror}") from None
    return path


def lock(path: Path) -> Lock:
    """The writer's lock of a store."""
    return Lock(path / INTEGRITY / "lock")


# ---------------------------------------------------------------- creating


def create(path: Path, plan: Plan, attrs: Mapping[str, Any]) -> None:
    """Make an empty store beside its place and move it there whole; StoreError where something is there already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(f"{str(path)!r} exists: choose a new path, or resume=True to continue a sweep")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unmade(path, error) from error
    for old in path.parent.glob(f".{path.name}.*.partial"):  # of a process that was killed while it made one
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - old.stat().st_mtime > _STALE:
                shutil.rmtree(old, ignore_errors=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        build(temporary, plan, dict(attrs) | {"store_id": uuid.uuid4().hex})
        os.rename(temporary, path)
    except OSError as error:
        if path.is_dir() and any(path.iterdir()):
            raise StoreError(f"{str(path)!r} was made by another process meanwhile") from error
        raise _unmade(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unmade(path: Path, error: OSError) -> StoreError:
    return StoreError(f"the store {str(path)!r} cannot be made: {error.strerror or error}")


def build(path: Path, plan: Plan, attrs: Mapping[str, Any]) -> None:
    """Write group, arrays and coordinates; used for creation and repair alike."""
    create_integrity(path)
    for spec in layout(plan):
        spec.create(path)
    for spec, values in coordinates(plan):
        spec.fill_with(path, values)
    write_attributes(path, attrs)


def create_integrity(path: Path) -> None:
    """Make the group of that name, or its metadata anew."""
    (path / INTEGRITY).mkdir(parents=True, exist_ok=True)
    put(path / INTEGRITY / "zarr.json", json.dumps(GROUP).encode())


def root_attributes(plan: Plan) -> dict[str, Any]:
    """What the store says about itself."""
    return {
        "title": "toymesa sweep",
        "schema_version": SCHEMA,
        "model": plan.models[0].name,
        "fingerprint": plan.models[0].fingerprint,
        "spec": json.dumps(plan.spec, sort_keys=True),
        "layout": json.dumps([s.data() for s in layout(plan)], sort_keys=True),
        "rtol": plan.setup.rtol,
        "method": plan.setup.method,
        "seed": plan.seed,
        **provenance(),
    }


def open_store(path: Path) -> xr.Dataset:
    """The results, read lazily; labels of structural axes as text."""
    attrs = read_attributes(path, oldest=OLDEST)
    require_metadata(path, attrs)
    try:
        data = xr.open_dataset(path, engine="zarr", chunks=None, consolidated=False, mask_and_scale=False)
    except (ValueError, KeyError) as error:
        raise StoreCorrupt(
            f"the store {str(path)!r} cannot be read ({' '.join(str(error).split())}): repair it with toymesa sweep --verify"
        ) from error
    for name in list(data.coords):
        labels = data[name].attrs.get("labels")
        if labels is not None:
            data = data.assign_coords({name: (data[name].dims, labelled(labels)[data[name].values])})
    data = data[[s.name for s in layout_of(attrs) if s.name in data.data_vars]]
    data.attrs = {k: v for k, v in attrs.items() if k not in ("layout", "digest")}
    return data


def labelled(labels: list[str]) -> NDArray[Any]:
    """Labels as a coordinate: numbers where all are numbers, else text."""
    try:
        return np.array([float(x) if "." in x or "e" in x.lower() else int(x) for x in labels])
    except ValueError:
        return np.array(labels)


def sweep_partials(path: Path) -> int:
    """Delete what interrupted writes left behind; returns how many. The caller holds the lock, so none is being written."""
    count = 0
    for orphan in path.rglob("*.partial"):
        try:
            orphan.unlink()
            count += 1
        except FileNotFoundError:  # a worker of an earlier run finished it meanwhile
            continue
    return count


def extend(path: Path, plan: Plan, attrs: Mapping[str, Any]) -> None:
    """Make a store as large as the plan, keeping what is there; safe to repeat after an interruption.

    The attributes go first: an array smaller than they say is an extension that was interrupted.
    """
    write_attributes(path, attrs)
    grow(path, plan)


def grow(path: Path, plan: Plan) -> None:
    """Bring arrays that are smaller than the plan to its size; where none is, nothing is written."""
    group = zarr.open_group(LocalStore(path), mode="r+")
    smaller = []
    for spec in layout(plan):
        found = group[spec.name]
        if not isinstance(found, zarr.Array):
            raise StoreCorrupt(f"{spec.name} is no array in {str(path)!r}")
        if tuple(found.shape) != spec.shape or dict(found.attrs) != spec.attrs:
            smaller.append(spec)
    names = {spec.name for spec in smaller}
    for spec, values in coordinates(plan):  # first: what stands beyond the end of an array is not read
        if spec.name in names:
            spec.fill_with(path, values)
    for spec in smaller:
        spec.create(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The preparation of a store for a sweep; what the system refuses meanwhile becomes a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the store {str(path)!r} cannot be written: {error.strerror or error}; open_sweep reads it as it is"
        ) from error

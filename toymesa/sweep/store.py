"""A store of sweep results: created whole, filled block by block with ``status`` last, read lazily, never overwritten.

The order of writing is the promise: variables, then the digest, then ``status``. Whatever ends the process in between,
a cell whose status is not 0 has its results on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from toymesa.errors import StoreCorrupt, StoreError
from toymesa.status import Status
from toymesa.sweep.blocks import Blocks
from toymesa.sweep.layout import DIGEST, INTEGRITY, ArraySpec, coordinates, digests, layout, results
from toymesa.sweep.lock import Lock
from toymesa.sweep.plan import SCHEMA, Plan
from toymesa.sweep.provenance import provenance

_STALE = 3600.0  # seconds after which an unfinished new store is nobody's
PROVENANCE = f"{INTEGRITY}/provenance.json"


def lock(path: Path) -> Lock:
    """The writer's lock of a store."""
    return Lock(path / INTEGRITY / "lock")


# ---------------------------------------------------------------- creating


def create(path: Path, plan: Plan, attrs: Mapping[str, Any]) -> None:
    """Make an empty store beside its place and move it there whole; StoreError where something is there already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(f"{str(path)!r} exists: choose a new path, or resume=True to continue a sweep")
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f".{path.name}.*.partial"):  # of a process that was killed while it made one
        if time.time() - old.stat().st_mtime > _STALE:
            shutil.rmtree(old, ignore_errors=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        build(temporary, plan, dict(attrs) | {"store_id": uuid.uuid4().hex})
        os.rename(temporary, path)
    except OSError as error:
        if path.exists() and any(path.iterdir()):
            raise StoreError(f"{str(path)!r} was made by another process meanwhile") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def build(path: Path, plan: Plan, attrs: Mapping[str, Any]) -> None:
    """Write group, arrays and coordinates; used for creation and repair alike."""
    store = LocalStore(path)
    zarr.create_group(store, zarr_format=3, path=INTEGRITY, overwrite=False)
    for spec in [*results(plan), digests(plan)]:
        spec.create(store)
    for spec, values in coordinates(plan):
        spec.create(store)[:] = values
    write_attributes(path, attrs)


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


def write_attributes(path: Path, attrs: Mapping[str, Any]) -> None:
    """The root's attributes with a digest of themselves, and the second copy."""
    signed = {k: v for k, v in attrs.items() if k != "digest"}
    signed["digest"] = _signature(signed)
    document = {"attributes": signed, "zarr_format": 3, "node_type": "group"}
    for target, content in ((path / PROVENANCE, signed), (path / "zarr.json", document)):
        target.parent.mkdir(parents=True, exist_ok=True)
        # not at the root: whoever lists the group there would stumble over what a killed process leaves
        temporary = path / INTEGRITY / f"{target.name}.{uuid.uuid4().hex[:8]}.partial"
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
        os.replace(temporary, target)


def _signature(attrs: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(attrs, sort_keys=True).encode(), digest_size=8).hexdigest()


# ---------------------------------------------------------------- reading what it says


def read_attributes(path: Path) -> dict[str, Any]:
    """The root's attributes, checked.

    Raises StoreError where there is no store and StoreCorrupt where the file is damaged.
    """
    if not path.exists():
        raise StoreError(f"there is no store {str(path)!r}")
    if not path.is_dir():
        raise StoreError(f"{str(path)!r} is a file, not a store")
    root = path / "zarr.json"
    if not root.exists() and not (path / INTEGRITY).exists():
        names = sorted(p.name for p in path.iterdir())[:3]
        raise StoreError(f"{str(path)!r} is no store: no zarr.json, but {', '.join(names) or 'nothing at all'}")
    attrs = _attributes_of(root)
    if attrs is None:
        raise StoreCorrupt(
            f"{str(root)!r} is damaged or missing: repair it with verify=True, or toymesa sweep --verify"
        )
    version = attrs.get("schema_version")
    if version != SCHEMA:
        raise StoreError(f"the store {str(path)!r} has schema version {version}; this toymesa reads {SCHEMA}")
    return attrs


def _attributes_of(file: Path) -> dict[str, Any] | None:
    """Signed attributes in a file, None where it is missing or its signature does not fit."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "zarr.json" and (data["node_type"], data["zarr_format"]) != ("group", 3):
            return None
        attrs = data["attributes"] if file.name == "zarr.json" else data
        signed = {k: v for k, v in attrs.items() if k != "digest"}
        return attrs if attrs["digest"] == _signature(signed) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def copies(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The attributes at the root and their second copy, each None where damaged."""
    return _attributes_of(path / "zarr.json"), _attributes_of(path / PROVENANCE)


def metadata_state(path: Path, spec: ArraySpec) -> str:
    """Of an array's ``zarr.json``: "whole", "smaller" (an extension was interrupted) or "damaged"."""
    expected = spec.metadata()
    try:
        found = json.loads((path / spec.name / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "damaged"
    if found == expected:
        return "whole"
    try:
        before = tuple(int(n) for n in found["shape"])
        same = found | {"shape": expected["shape"], "attributes": expected["attributes"]} == expected
        smaller = len(before) == len(spec.shape) and all(0 < a <= b for a, b in zip(before, spec.shape, strict=True))
    except (KeyError, TypeError, ValueError):
        return "damaged"
    return "smaller" if same and smaller and before != spec.shape else "damaged"


def require_metadata(path: Path, attrs: Mapping[str, Any]) -> None:
    """StoreCorrupt where the metadata of an array are damaged or missing."""
    for spec in layout_of(attrs):
        if metadata_state(path, spec) == "damaged":
            raise StoreCorrupt(
                f"'{path / spec.name}/zarr.json' is damaged or missing: repair it with verify=True, or toymesa sweep --verify"
            )


def layout_of(attrs: Mapping[str, Any]) -> list[ArraySpec]:
    """Every array that the store must have."""
    return [ArraySpec.of(d) for d in json.loads(attrs["layout"])]


def open_store(path: Path) -> xr.Dataset:
    """The results, read lazily; labels of structural axes as text."""
    attrs = read_attributes(path)
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


# ---------------------------------------------------------------- blocks


class Writer:
    """Writes blocks of one store; made anew in every process."""

    def __init__(self, path: Path, plan: Plan, *, durable: bool = False) -> None:
        self.path, self.plan, self.durable = path, plan, durable
        self.identity = read_attributes(path)["store_id"]
        group = zarr.open_group(LocalStore(path), mode="r+")
        self.arrays: dict[str, Any] = {}
        for spec in [*results(plan), digests(plan)]:
            found: Any = group[spec.name]
            if tuple(found.shape) != spec.shape:
                raise StoreError(
                    f"the store {str(path)!r} has {spec.name} of shape {found.shape}, the sweep {spec.shape}"
                )
            self.arrays[spec.name] = found.with_config({"write_empty_chunks": True})

    def files(self, block: int) -> list[Path]:
        """The chunk files of a block, ``status`` first."""
        timed = {v.name: bool(v.times) for v in self.plan.variables}
        return chunk_files(self.path, self.plan.blocks, timed, block)

    def write(self, block: int, out: Mapping[str, NDArray[Any]]) -> None:
        """Results (row, ...) of all cells of a block, in C order."""
        region = self.plan.blocks.region(block)
        sizes = tuple(r.stop - r.start for r in region)
        for file in self.files(block):  # of an earlier attempt: status goes first, so that no cell is ok meanwhile
            file.unlink(missing_ok=True)
        shaped = {n: v.reshape(*sizes, *v.shape[1:]) for n, v in out.items()}
        for name, values in shaped.items():
            if name != "status":
                self.arrays[name][region] = values
        self.arrays[DIGEST][self.plan.blocks.position(block)] = digest(
            self.identity, self.plan.blocks.position(block), shaped
        )
        if self.durable:
            self._sync(self.files(block)[1:])
        self.arrays["status"][region] = shaped["status"]
        if self.durable:
            self._sync(self.files(block)[:1])

    def _sync(self, files: list[Path]) -> None:
        for place in [*files, *{f.parent for f in files}]:
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def done(self, block: int) -> bool:
        """Whether every cell of a block was run; a chunk of status that cannot be read counts as not run."""
        if not self.files(block)[0].exists():
            return False
        try:
            return bool((self.arrays["status"][self.plan.blocks.region(block)] != Status.NOT_RUN).all())
        except Exception:  # whatever the codecs raise on a damaged chunk
            return False


def digest(identity: str, position: tuple[int, ...], shaped: Mapping[str, NDArray[Any]]) -> np.uint64:
    """64 bits over the place and the bytes of a block's results."""
    h = hashlib.blake2b(f"{identity}:{position}".encode(), digest_size=8)
    for name in sorted(shaped):
        h.update(name.encode())
        h.update(np.ascontiguousarray(shaped[name]).tobytes())
    return np.uint64(int.from_bytes(h.digest(), "little"))


def chunk_files(path: Path, blocks: Blocks, timed: Mapping[str, bool], block: int) -> list[Path]:
    """The chunk files of a block, ``status`` first. timed: variable -> whether it has a dimension of times."""
    place = [str(i) for i in blocks.position(block)]
    out = [path.joinpath("status", "c", *place)]
    out += [path.joinpath(n, "c", *place, *(["0"] if t else [])) for n, t in timed.items()]
    return [*out, path.joinpath(DIGEST, "c", *place)]


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
    """Bring every array to the plan's size and write the coordinates."""
    group = zarr.open_group(LocalStore(path), mode="r+")
    for spec in layout(plan):
        found = group[spec.name]
        if not isinstance(found, zarr.Array):
            raise StoreCorrupt(f"{spec.name} is no array in {str(path)!r}")
        if tuple(found.shape) != spec.shape or dict(found.attrs) != spec.attrs:
            (path / spec.name / "zarr.json").unlink()
            spec.create(LocalStore(path))
    for spec, values in coordinates(plan):
        zarr.open_array(LocalStore(path), path=spec.name, mode="r+")[:] = values

"""Finding and mending what happened to a store: flipped bits, truncated, missing or swapped chunks, damaged metadata."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from toymesa.status import Status
from toymesa.sweep.blocks import Blocks
from toymesa.sweep.chunks import checked, checksum, decoded
from toymesa.sweep.layout import DIGEST, GROUP, INTEGRITY, ArraySpec, coordinates, layout
from toymesa.sweep.metadata import (
    copies,
    layout_of,
    metadata_state,
    read_attributes,
    require_version,
    write_attributes,
)
from toymesa.sweep.plan import Plan
from toymesa.sweep.store import create_integrity, root_attributes
from toymesa.sweep.writer import digest


@dataclass(frozen=True)
class Verification:
    """What was found. blocks: number of a damaged block -> why; metadata: damaged files; not_run: blocks left to run."""

    blocks: dict[int, str]
    metadata: tuple[str, ...]
    not_run: tuple[int, ...]
    checked: int

    @property
    def ok(self) -> bool:
        """Nothing is damaged; blocks may still be left to run."""
        return not self.blocks and not self.metadata

    def __str__(self) -> str:
        if self.ok:
            rest = f"; {len(self.not_run)} left to run" if self.not_run else ""
            return f"{self.checked} blocks verified, none damaged{rest}"
        lines = [f"damaged: {name}" for name in self.metadata]
        lines += [f"damaged: block {b}: {why}" for b, why in sorted(self.blocks.items())]
        return "\n".join(lines)


def inspect(path: Path, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check every byte of a store without writing to it.

    Raises StoreError where there is none, and StoreCorrupt where both copies of its attributes are damaged.
    """
    root, copy = copies(path)
    damaged = ["zarr.json"] if root is None else []
    damaged += [f"{INTEGRITY}/provenance.json"] if copy is None else []
    attrs = root or copy
    if attrs is None:
        attrs = read_attributes(path)  # raises
    require_version(path, attrs)
    if not _readable(path / INTEGRITY / "zarr.json", GROUP):
        damaged.append(f"{INTEGRITY}/zarr.json")
    for spec in layout_of(attrs):
        if metadata_state(path, spec) != "whole":
            damaged.append(f"{spec.name}/zarr.json")
        elif spec.role == "coordinate" and not _coordinate_fine(path, spec):
            damaged.append(f"{spec.name}/c")
    if any(name.endswith("zarr.json") and name != "zarr.json" for name in damaged):
        return Verification({}, tuple(damaged), (), 0)  # blocks cannot be read before the metadata are mended
    found = check_blocks(path, attrs, progress)
    return replace(found, metadata=tuple(damaged))


def _coordinate_fine(path: Path, spec: ArraySpec) -> bool:
    try:
        zarr.open_array(LocalStore(path), path=spec.name, mode="r")[:]
    except Exception:  # whatever the codecs raise on a damaged chunk
        return False
    return all(f.exists() for f in _chunks(path, spec.name, spec.shape[0], spec.chunks[0]))


def mend_metadata(path: Path, plan: Plan) -> list[str]:
    """Restore root attributes, array metadata and coordinates; returns the files that were damaged.

    The plan is the store's, or extends it: then the store is mended as it is. The root's attributes come from their second
    copy; where both are gone, from the plan, with a note that they were.
    """
    damaged = []
    root, copy = copies(path)
    whole = root or copy
    if root is None or copy is None:
        damaged += ["zarr.json"] if root is None else []
        damaged += [f"{INTEGRITY}/provenance.json"] if copy is None else []
        if whole is None:
            # digests depend on the lost name of the store: every block will be run again
            note = {"store_id": uuid.uuid4().hex, "rebuilt": "attributes lost, rebuilt from the plan"}
            write_attributes(path, root_attributes(plan) | note)
        else:
            write_attributes(path, whole)
    if not _readable(path / INTEGRITY / "zarr.json", GROUP):
        damaged.append(f"{INTEGRITY}/zarr.json")
        create_integrity(path)
    for spec in layout(plan) if whole is None else layout_of(whole):
        if metadata_state(path, spec) != "whole":
            damaged.append(f"{spec.name}/zarr.json")
            spec.create(path)
    return damaged + mend_coordinates(path, plan)


def mend_coordinates(path: Path, plan: Plan) -> list[str]:
    """Write coordinates anew where they cannot be read or are not the plan's."""
    damaged = []
    for spec, values in coordinates(plan):
        array: Any = zarr.open_array(LocalStore(path), path=spec.name, mode="r")
        values = values[: array.shape[0]]  # all of them, unless the plan extends the store and it has yet to grow
        files = _chunks(path, spec.name, values.size, spec.chunks[0])
        try:
            same = np.array_equal(array[:], values) and all(f.exists() for f in files)
        except Exception:  # whatever the codecs raise on a damaged chunk
            same = False
        if not same:
            damaged.append(f"{spec.name}/c")
            for file in files:
                file.unlink(missing_ok=True)
            spec.fill_with(path, values)
    return damaged


def _chunks(path: Path, name: str, size: int, chunk: int) -> list[Path]:
    return [path / name / f"c.{i}" for i in range(-(-size // chunk))]


def _readable(file: Path, expected: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(file.read_text(encoding="utf-8")) == expected)
    except (OSError, ValueError):
        return False


def check_blocks(
    path: Path, attrs: Mapping[str, Any], progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Read every chunk of every block that was run, and compare it with its digest."""
    specs = layout_of(attrs)
    status = next(s for s in specs if s.name == "status")
    blocks = Blocks(status.shape, status.chunks)
    own = {s.name: s for s in specs if s.role != "coordinate"}
    bad: dict[int, str] = {}
    missing = []
    for block in range(blocks.count):
        why = _damage(path, blocks, block, own, attrs["store_id"])
        if why == "":
            missing.append(block)
        elif why is not None:
            bad[block] = why
        if progress is not None:
            progress(block + 1, blocks.count)
    return Verification(bad, (), tuple(missing), blocks.count)


def _damage(path: Path, blocks: Blocks, block: int, specs: Mapping[str, ArraySpec], identity: str) -> str | None:
    """Why a block is damaged; None if it is whole, an empty text if it was not run to its end."""
    position = blocks.position(block)
    try:
        status, stored = (_content(path, specs[name], position) for name in ("status", DIGEST))
        run = status[tuple(slice(n) for n in blocks.sizes(block))] != Status.NOT_RUN
        if not run.all():
            return "status is missing, its results are there" if not run.any() and stored.any() else ""
        sums = {name: checksum(_chunk(path, spec, position)) for name, spec in specs.items() if name != DIGEST}
    except ValueError as error:
        return str(error)
    return None if digest(identity, position, sums) == stored.item() else "results do not fit their digest"


def _content(path: Path, spec: ArraySpec, position: tuple[int, ...]) -> NDArray[Any]:
    """A whole chunk, zeros where there is none; ValueError with its name where it is damaged."""
    if not spec.file(path, position).exists():
        return np.zeros(spec.chunks, spec.dtype)
    data = _chunk(path, spec, position)
    try:
        return decoded(data, spec.dtype, spec.chunks)
    except Exception as error:  # whatever the codecs raise
        raise ValueError(f"{spec.name}: {_line(error)}") from None


def _chunk(path: Path, spec: ArraySpec, position: tuple[int, ...]) -> bytes:
    """A chunk as it is on disk; ValueError with its name where it is missing or damaged."""
    try:
        return checked(spec.file(path, position).read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{spec.name}: the chunk is missing") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{spec.name}: {_line(error)}") from None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 100 else text[:97] + "..."

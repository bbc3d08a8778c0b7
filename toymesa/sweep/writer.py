"""Writing blocks into a store, with ``status`` last.

The order of writing is the promise: variables, then the digest, then ``status``. Whatever ends the process in between,
a cell whose status is not 0 has its results on disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from toymesa.errors import StoreError
from toymesa.status import Status
from toymesa.sweep.blocks import Blocks
from toymesa.sweep.layout import DIGEST, digests, results
from toymesa.sweep.metadata import read_attributes
from toymesa.sweep.plan import Plan


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

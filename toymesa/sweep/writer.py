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
from numpy.typing import NDArray

from toymesa.errors import StoreError
from toymesa.status import Status
from toymesa.sweep.chunks import decoded, encoded, put
from toymesa.sweep.layout import DIGEST, digests, results
from toymesa.sweep.metadata import metadata_state, read_attributes
from toymesa.sweep.plan import Plan


class Writer:
    """Writes blocks of one store; made anew in every process."""

    def __init__(self, path: Path, plan: Plan, *, durable: bool = False) -> None:
        self.path, self.plan, self.durable = path, plan, durable
        self.identity = read_attributes(path)["store_id"]
        self.specs = {spec.name: spec for spec in [*results(plan), digests(plan)]}
        for spec in self.specs.values():
            if metadata_state(path, spec) != "whole":
                raise StoreError(f"'{path / spec.name}/zarr.json' is not what this sweep writes into")

    def files(self, block: int) -> list[Path]:
        """The chunk files of a block, ``status`` first."""
        return [self._file("status", block), *(self._file(n, block) for n in self.specs if n != "status")]

    def _file(self, name: str, block: int) -> Path:
        more = len(self.specs[name].shape) - len(self.plan.shape)
        return chunk_file(self.path, name, self.plan.blocks.position(block), more)

    def write(self, block: int, out: Mapping[str, NDArray[Any]]) -> None:
        """Results (row, ...) of all cells of a block, in C order."""
        sizes = self.plan.blocks.sizes(block)
        files = self.files(block)
        for file in files:  # of an earlier attempt: status goes first, so that no cell is ok meanwhile
            file.unlink(missing_ok=True)
        shaped = {n: v.reshape(*sizes, *v.shape[1:]) for n, v in out.items()}
        for name, values in shaped.items():
            if name != "status":
                self.put(name, block, values)
        total = digest(self.identity, self.plan.blocks.position(block), shaped)
        self.put(DIGEST, block, np.full((1,) * len(sizes), total))
        if self.durable:
            self._sync(files[1:])
        self.put("status", block, shaped["status"])
        if self.durable:
            self._sync(files[:1])

    def put(self, name: str, block: int, values: NDArray[Any]) -> None:
        """Write one chunk."""
        spec = self.specs[name]
        put(self._file(name, block), encoded(values, spec.dtype, spec.chunks, spec.fill))

    def _sync(self, files: list[Path]) -> None:
        for place in [*files, *{f.parent for f in files}]:
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def status(self, block: int) -> NDArray[np.uint8] | None:
        """Status codes of a block every cell of which was run, else None; a damaged chunk counts as not run."""
        spec = self.specs["status"]
        try:
            found = decoded(self._file("status", block).read_bytes(), spec.dtype, spec.chunks)
        except FileNotFoundError:
            return None
        except Exception:  # whatever the codecs raise on a damaged chunk
            return None
        inside = found[tuple(slice(n) for n in self.plan.blocks.sizes(block))]
        return None if (inside == Status.NOT_RUN).any() else inside


def digest(identity: str, position: tuple[int, ...], shaped: Mapping[str, NDArray[Any]]) -> np.uint64:
    """64 bits over the place and the bytes of a block's results."""
    h = hashlib.blake2b(f"{identity}:{position}".encode(), digest_size=8)
    for name in sorted(shaped):
        h.update(name.encode())
        h.update(np.ascontiguousarray(shaped[name]).tobytes())
    return np.uint64(int.from_bytes(h.digest(), "little"))


def chunk_file(path: Path, name: str, position: tuple[int, ...], more: int = 0) -> Path:
    """The file of one chunk. more: how many dimensions the variable has behind those of the sweep."""
    return path.joinpath(name, "c", *map(str, position), *["0"] * more)

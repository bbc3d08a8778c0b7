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
from toymesa.sweep.chunks import checksum, decoded, encoded, put
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

    def write(self, block: int, out: Mapping[str, NDArray[Any]]) -> None:
        """Results (row, ...) of all cells of a block, in C order."""
        sizes, position = self.plan.blocks.sizes(block), self.plan.blocks.position(block)
        files = {n: f"{self.path}/{self.specs[n].chunk(position)}" for n in (DIGEST, *out)}
        if os.path.exists(files["status"]):  # of an earlier attempt: status goes first, so that no cell is ok meanwhile
            for name in ("status", DIGEST):
                Path(files[name]).unlink(missing_ok=True)  # another worker may be at the same block, given up for lost
        data = {n: self._encoded(n, v.reshape(*sizes, *v.shape[1:])) for n, v in out.items()}
        total = digest(self.identity, position, {n: checksum(d) for n, d in data.items()})
        data[DIGEST] = self._encoded(DIGEST, np.full((1,) * len(sizes), total))
        last = {"status": data.pop("status")}
        for part in (data, last):
            for name, content in part.items():
                self.put(files[name], content)
            if self.durable:
                self._sync([files[n] for n in part])

    def _encoded(self, name: str, values: NDArray[Any]) -> bytes:
        spec = self.specs[name]
        return encoded(values, spec.dtype, spec.chunks, spec.fill)

    def put(self, file: str, data: bytes) -> None:
        """Write one chunk."""
        put(file, data)

    def _sync(self, files: list[str]) -> None:
        for place in [*files, *{os.path.dirname(f) for f in files}]:
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def status(self, block: int) -> NDArray[np.uint8] | None:
        """Status codes of a block every cell of which was run, else None; a damaged chunk counts as not run."""
        spec = self.specs["status"]
        try:
            data = spec.file(self.path, self.plan.blocks.position(block)).read_bytes()
            found = decoded(data, spec.dtype, spec.chunks)
        except FileNotFoundError:
            return None
        except Exception:  # whatever the codecs raise on a damaged chunk
            return None
        inside = found[tuple(slice(n) for n in self.plan.blocks.sizes(block))]
        return None if (inside == Status.NOT_RUN).any() else inside


def digest(identity: str, position: tuple[int, ...], sums: Mapping[str, bytes]) -> np.uint64:
    """64 bits over a block's place and the checksums of its chunks: which chunks stand together, and where."""
    text = f"{identity}:{position}:{sorted((name, found.hex()) for name, found in sums.items())}"
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))

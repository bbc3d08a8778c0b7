"""What a store looks like on disk: its arrays, their chunks and checksums, as data that can be compared with the files.

A store is a Zarr v3 group. At its root: one array a variable, one a coordinate, and ``status``; every one with a crc32c
in each chunk. One block of cells is one chunk of every variable. The chunks of an array lie side by side in its directory
(``c.3.0``): a directory for each, as in ``c/3/0``, takes ten times as long to make as what is in it. The group ``integrity``
holds one 64-bit digest a block (a checksum sees a damaged chunk, only a digest sees two that were swapped), the lock, and a
second copy of the root's attributes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from toymesa.status import Status
from toymesa.sweep.chunks import LEVEL, encoded, put
from toymesa.sweep.plan import Plan

INTEGRITY = "integrity"
GROUP: dict[str, Any] = {"attributes": {}, "zarr_format": 3, "node_type": "group"}  # of the group of that name
DIGEST = f"{INTEGRITY}/digest"
_COORDINATE_CHUNK = 2**16  # the same for every length, so that an axis can grow


@dataclass(frozen=True)
class ArraySpec:
    """One array: name (a path in the group), shape, chunks, type, dimensions, what stands where nothing was written.

    role: "result" (one chunk a block), "coordinate" or "digest". separator: between the numbers in the name of a chunk.
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...]
    fill: Any
    attrs: dict[str, Any]
    role: str = "result"
    separator: str = "."

    def data(self) -> dict[str, Any]:
        """As JSON data; a NaN fill value as text."""
        fill = "NaN" if isinstance(self.fill, float) and self.fill != self.fill else self.fill
        return {**self.__dict__, "fill": fill}

    @staticmethod
    def of(data: dict[str, Any]) -> ArraySpec:
        """From :meth:`data`."""
        fill = float("nan") if data["fill"] == "NaN" else data["fill"]
        put = {k: tuple(data[k]) for k in ("shape", "chunks", "dims")}
        # "/" is that of stores of schema version 1, which do not say it
        return ArraySpec(**{"separator": "/", **data, **put, "fill": fill})

    def create(self, path: Path) -> None:
        """Make the array in the store at ``path``, or its metadata anew; chunks that exist stay."""
        (path / self.name).mkdir(parents=True, exist_ok=True)
        put(path / self.name / "zarr.json", self._text)

    def fill_with(self, path: Path, values: NDArray[Any]) -> None:
        """Write every chunk of an array of one dimension."""
        for i in range(-(-values.size // self.chunks[0])):
            part = values[i * self.chunks[0] : (i + 1) * self.chunks[0]]
            put(self.file(path, (i,)), encoded(part, self.dtype, self.chunks, self.fill))

    def metadata(self) -> dict[str, Any]:
        """What its ``zarr.json`` must say."""
        found: dict[str, Any] = json.loads(self._text)
        return found

    @property
    def _text(self) -> bytes:
        return _metadata(json.dumps(self.data(), sort_keys=True))

    def file(self, path: Path, position: tuple[int, ...]) -> Path:
        """The file of the chunk that stands at ``position`` along the first dimensions, in a store at ``path``."""
        return path / self.chunk(position)

    def chunk(self, position: tuple[int, ...]) -> str:
        """The same within the store."""
        rest = [0] * (len(self.shape) - len(position))
        return f"{self.name}/c.{'.'.join(map(str, [*position, *rest]))}"


@lru_cache(maxsize=256)
def _metadata(spec: str) -> bytes:
    """The text of the ``zarr.json`` of a spec; asked for several times in every sweep, and by every worker."""
    memory = zarr.storage.MemoryStore()
    made = ArraySpec.of(json.loads(spec))
    zarr.create_array(
        memory,
        name=made.name,
        shape=made.shape,
        chunks=made.chunks,
        dtype=made.dtype,
        fill_value=made.fill,
        compressors=[ZstdCodec(level=LEVEL), Crc32cCodec()],
        dimension_names=list(made.dims),
        attributes=made.attrs,
        chunk_key_encoding={"name": "default", "separator": made.separator},
        zarr_format=3,
    )
    return memory._store_dict[f"{made.name}/zarr.json"].to_bytes()


def results(plan: Plan) -> list[ArraySpec]:
    """The arrays that blocks are written to, ``status`` last."""
    out = []
    for v in plan.variables:
        attrs = dict(v.attrs) | _coordinates(plan, v.name)
        shape, chunks, dims = (*plan.shape, *v.sizes), (*plan.chunks, *v.sizes), (*plan.dims, *v.dims)
        out.append(ArraySpec(v.name, shape, chunks, v.dtype, dims, v.fill, attrs))
    attrs = {
        "long_name": "how it ended",
        "flag_values": [int(s) for s in Status],
        "flag_meanings": " ".join(s.label for s in Status),
    }
    out.append(ArraySpec("status", plan.shape, plan.chunks, "uint8", plan.dims, 0, attrs))
    return out


def _coordinates(plan: Plan, variable: str) -> dict[str, Any]:
    """Coordinates that are no dimension, named as xarray looks for them."""
    names = [c.label for c in plan.design.columns if c.label != c.dim]
    return {"coordinates": " ".join(names)} if names and variable not in names else {}


def coordinates(plan: Plan) -> list[tuple[ArraySpec, np.ndarray]]:
    """Coordinate arrays of a design that is not drawn, with their values; labels as positions in an attribute."""
    out: list[tuple[ArraySpec, np.ndarray]] = []
    if not plan.design.sampled:
        for c in plan.design.columns:
            values = np.asarray(c.values)
            attrs: dict[str, Any] = {}
            kind = "float64"
            if c.choices:
                attrs, kind = {"labels": [label for label, _ in c.choices]}, "int64"
            out.append((_coordinate(c.label, c.dim, values.size, kind, attrs), values.astype(kind)))
    if plan.timed:
        times = np.asarray(plan.setup.times)
        attrs = {"long_name": "steps" if plan.models[0].discrete else "training time"}
        out.append((_coordinate("time", "time", times.size, "float64", attrs), times))
    for name, labels in dict(v.outcomes for v in plan.variables if v.outcomes).items():
        spec = _coordinate(name, name, len(labels), "int64", {"labels": list(labels)})
        out.append((spec, np.arange(len(labels))))
    return out


def _coordinate(name: str, dim: str, size: int, dtype: str, attrs: dict[str, Any]) -> ArraySpec:
    fill = float("nan") if dtype == "float64" else -1
    return ArraySpec(name, (size,), (_COORDINATE_CHUNK,), dtype, (dim,), fill, attrs, "coordinate")


def digests(plan: Plan) -> ArraySpec:
    """One number a block."""
    dims = tuple(f"block_{d}" for d in plan.dims)
    attrs = {"long_name": "digest of a block"}
    return ArraySpec(
        DIGEST,
        plan.blocks.grid,
        (1,) * len(plan.shape),
        "uint64",
        dims,
        0,
        attrs,
        "digest",
    )


def layout(plan: Plan) -> list[ArraySpec]:
    """Every array of a store."""
    return [*results(plan), *(spec for spec, _ in coordinates(plan)), digests(plan)]

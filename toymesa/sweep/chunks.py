"""One chunk of a store as bytes, and its file.

A sweep writes a chunk of every variable for every block, and through Zarr's event loop that costs more than computing small
blocks. Each chunk here is byte for byte what Zarr writes for the codecs of ``layout`` (little-endian bytes, Zstandard,
crc32c), and is moved into its place by rename, as Zarr does it. Everything else is read and written by Zarr.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Zstd
from numpy.typing import NDArray

from toymesa.sweep.layout import LEVEL

_CODEC = Zstd(level=LEVEL)
_SUM = 4  # bytes of a checksum


def encoded(values: NDArray[Any], dtype: str, chunk: tuple[int, ...], fill: Any) -> bytes:
    """A chunk of an array whose corner is ``values``; at the far edges of the array the rest holds the fill value."""
    kind = np.dtype(dtype).newbyteorder("<")
    if values.shape == chunk:
        whole = np.ascontiguousarray(values, dtype=kind)
    else:
        whole = np.full(chunk, fill, dtype=kind)
        whole[tuple(slice(n) for n in values.shape)] = values
    data: bytes = bytes(_CODEC.encode(whole))
    return data + google_crc32c.value(data).to_bytes(_SUM, "little")


def decoded(data: bytes, dtype: str, chunk: tuple[int, ...]) -> NDArray[Any]:
    """The whole chunk; ValueError where the bytes are damaged."""
    body, stored = data[:-_SUM], data[-_SUM:]
    if len(data) <= _SUM or google_crc32c.value(body).to_bytes(_SUM, "little") != stored:
        raise ValueError("the chunk does not fit its checksum")
    return np.frombuffer(_CODEC.decode(body), dtype=np.dtype(dtype).newbyteorder("<")).reshape(chunk)


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what an interruption leaves ends with ``.partial``."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        try:
            file = open(temporary, "wb")  # noqa: SIM115  # closed below
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(temporary, "wb")  # noqa: SIM115  # closed below
        with file:
            file.write(data)
        os.replace(temporary, path)
    except Exception:
        temporary.unlink(missing_ok=True)
        raise

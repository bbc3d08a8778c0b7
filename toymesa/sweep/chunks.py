"""One chunk of a store as bytes, and its file.

A sweep writes a chunk of every variable for every block, and through Zarr's event loop that costs more than computing small
blocks. Each chunk here is byte for byte what Zarr writes for the codecs of ``layout`` (little-endian bytes, Zstandard,
crc32c), and is moved into its place by rename, as Zarr does it.
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

LEVEL = 1  # of Zstandard
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
    checked(data)
    kind = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(_CODEC.decode(data[:-_SUM]), dtype=kind).reshape(chunk)


def checked(data: bytes) -> bytes:
    """The chunk itself; ValueError where its bytes are damaged."""
    if len(data) <= _SUM or google_crc32c.value(data[:-_SUM]).to_bytes(_SUM, "little") != checksum(data):
        raise ValueError("the chunk does not fit its checksum")
    return data


def checksum(data: bytes) -> bytes:
    """What a chunk says that its checksum is."""
    return data[-_SUM:]


def put(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; what an interruption leaves ends with ``.partial``."""
    temporary = f"{path}.{uuid.uuid4().hex}.partial"
    try:
        with open(temporary, "xb", buffering=0) as file:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        os.replace(temporary, path)
    except Exception:
        Path(temporary).unlink(missing_ok=True)
        raise

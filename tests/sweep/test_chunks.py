"""Chunks that are written without Zarr are what Zarr writes."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from toymesa.sweep.chunks import decoded, encoded, put
from toymesa.sweep.layout import ArraySpec


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["float64", "int32", "int8", "uint8", "uint64"]),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 4)), min_size=1, max_size=3),
    st.integers(0, 2**32),
)
def test_bytes_are_those_of_zarr(tmp_path_factory, kind, sizes, seed):
    shape, chunks = (tuple(x) for x in zip(*sizes, strict=True))
    fill = float("nan") if kind == "float64" else 0
    spec = ArraySpec("x", shape, chunks, kind, tuple("abc"[: len(shape)]), fill, {})
    place = tmp_path_factory.mktemp("zarr")
    spec.create(place)
    with zarr.config.set({"array.write_empty_chunks": True}):  # a chunk of fill values is a result like any other
        array = zarr.open_array(LocalStore(place), path="x", mode="r+")
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 255, shape).astype(kind)
    if kind == "float64":
        values = np.where(
            rng.random(shape) < 0.3, np.nan, rng.normal(size=shape) * 10.0 ** rng.integers(-300, 300, shape)
        )
    array[...] = values
    for place_in_grid in np.ndindex(*(-(-n // c) for n, c in sizes)):
        region = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(place_in_grid, chunks, shape, strict=True))
        data = spec.file(place, place_in_grid).read_bytes()
        assert encoded(values[region], kind, chunks, fill) == data
        inside = tuple(slice(r.stop - r.start) for r in region)
        np.testing.assert_array_equal(decoded(data, kind, chunks)[inside], values[region])


@given(st.integers(0, 2**20), st.integers(1, 30))
def test_damage_is_seen(where, cut):
    data = encoded(np.arange(40.0), "float64", (40,), 0.0)
    flipped = bytearray(data)
    flipped[where // 8 % len(data)] ^= 1 << where % 8
    for bad in (bytes(flipped), data[:-cut], b"", b"abc"):
        with pytest.raises(ValueError, match="checksum"):
            decoded(bad, "float64", (40,))


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "c.0.1"
    put(file, b"one")
    put(file, b"two")
    assert file.read_bytes() == b"two"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        put(file, b"three")
    assert file.read_bytes() == b"two"
    assert [p.name for p in Path(tmp_path).rglob("*") if p.is_file()] == ["c.0.1"]

"""Files of a store that are damaged, missing or swapped, two writers, and a reader meanwhile."""

import errno
import os
import random

import numpy as np
import pytest
import xarray as xr
from broken_stores import OVER, flip, run

import toymesa as tm
from toymesa.errors import StoreCorrupt, StoreError

pytestmark = pytest.mark.fault


# ---------------------------------------------------------------- 6, 7: damaged, missing and swapped files


def kinds(store):
    """One file of each kind."""
    names = [
        "zarr.json", "integrity/zarr.json", "integrity/provenance.json", "integrity/digest/zarr.json",
        "integrity/digest/c.1.0", "x/zarr.json", "x/c.1.0.0", "gap/c.2.0.0", "nsteps/c.0.0", "status/zarr.json", "status/c.1.0",
        "k/zarr.json", "k/c.0", "time/c.0",
    ]  # fmt: skip
    return [store / n for n in names]


def repaired(store, fresh):
    """Verify and repair; which blocks were run again, and what else was mended. The result is checked to be whole."""
    found = tm.verify_sweep(store) if (store / "zarr.json").exists() else None
    data = run(store, verify=True)
    xr.testing.assert_equal(data, fresh)
    assert tm.verify_sweep(store).ok
    return found


@pytest.mark.parametrize("number", range(14))
def test_a_flipped_bit_in_every_kind_of_file(copied, fresh, number):
    file = kinds(copied)[number]
    name = file.relative_to(copied)
    random.seed(number)
    for _ in range(3):
        before = file.read_bytes()
        flip(file, random.randrange(8 * len(before)))
        found = tm.verify_sweep(copied)
        assert not found.ok, name
        if name.name.startswith("c.") and name.parts[0] not in ("k", "time"):
            assert len(found.blocks) == 1, (name, found)
            assert not found.metadata
        else:
            assert not found.blocks
        repaired(copied, fresh)
        if name.name.startswith("c."):
            assert file.read_bytes() == before


@pytest.mark.parametrize("number", range(14))
def test_a_truncated_file_of_every_kind(copied, fresh, number):
    file = kinds(copied)[number]
    for keep in (0, 1, file.stat().st_size // 2, file.stat().st_size - 1):
        os.truncate(file, keep)
        assert not tm.verify_sweep(copied).ok, (file, keep)
        repaired(copied, fresh)


def test_only_the_damaged_blocks_run_again(copied, fresh):
    flip(copied / "x/c.1.0.0", 77)
    (copied / "gap/c.2.0.0").unlink()
    before = {f: f.stat().st_mtime_ns for n in ("x", "gap", "status") for f in (copied / n).glob("c.*")}
    made = []
    run(copied, verify=True, progress=lambda done, total: made.append(done))
    assert made == [40, 50, 60]
    touched = {f.name.split(".")[1] for f, t in before.items() if f.exists() and f.stat().st_mtime_ns != t}
    assert touched == {"1", "2"}


@pytest.mark.parametrize(
    "name",
    ["x/c.1.0.0", "status/c.1.0", "integrity/digest/c.1.0", "x/zarr.json", "status/zarr.json", "zarr.json", "k/c.0"],
)
def test_a_deleted_file_of_every_kind(copied, fresh, name):
    (copied / name).unlink()
    assert not tm.verify_sweep(copied).ok
    repaired(copied, fresh)


@pytest.mark.parametrize("name", ["x/c.1.0.0", "status/c.5.0", "gap/zarr.json", "zarr.json", "k/c.0"])
def test_a_damaged_store_is_mended_and_extended_at_once(copied, name):
    """Its blocks have other numbers then."""
    more = {"k": np.append(OVER["k"], 3.5), "start_x": np.append(OVER["start_x"], [0.95, 1.1])}
    flip(copied / name, 77)
    xr.testing.assert_equal(run(copied, over=more, verify=True, extend=True), run(over=more))
    found = tm.verify_sweep(copied)
    assert found.ok
    assert not found.not_run


def test_swapped_chunks_are_found(copied, fresh):
    """A checksum cannot see it; the digest of the block does."""
    one, other = copied / "x/c.1.0.0", copied / "x/c.2.0.0"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    assert set(tm.verify_sweep(copied).blocks) == {1, 2}
    repaired(copied, fresh)


def test_damaged_metadata_say_what_to_do(copied):
    (copied / "zarr.json").write_text("{")
    for call in (lambda: tm.open_sweep(copied), lambda: run(copied, resume=True)):
        with pytest.raises(StoreCorrupt, match=r"zarr.json.*--verify") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_flipped_bit_in_a_chunk_is_an_error_when_read_not_a_number(copied):
    flip(copied / "x/c.1.0.0", 300)
    with pytest.raises(ValueError, match="checksum"):
        tm.open_sweep(copied)["x"].load()


# ---------------------------------------------------------------- 8: two writers, a reader meanwhile


def test_a_second_writer_is_refused_at_once(copied):
    from toymesa.sweep.store import lock

    with lock(copied), pytest.raises(StoreError, match=f"process {os.getpid()} on .* since"):
        run(copied, resume=True)
    run(copied, resume=True)


def test_a_file_system_without_locks_is_named(copied, monkeypatch):
    from toymesa.sweep import lock

    def unknown(file):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_exclusive", unknown)
    with pytest.raises(StoreError, match="cannot be locked: No locks available; its file system must know locks"):
        run(copied, resume=True)


def test_a_reader_never_sees_a_status_ahead_of_its_results(tmp_path, fresh):
    store, seen = tmp_path / "st", []

    def look(done, total):
        now = tm.open_sweep(store).load()
        ok = now["status"] == tm.Status.OK
        for name in ("x", "gap", "nsteps"):
            xr.testing.assert_equal(now[name].where(ok), fresh[name].where(ok))
        seen.append(int(ok.sum()))

    run(store, progress=look, workers=2)
    assert seen[0] == 0
    assert seen[-1] == 60

"""What breaks, and what must be left: killed processes, signals, full disks, damaged files, two writers, hostile names."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import fork_server
import numpy as np
import psutil
import pytest
import sweep_models as models
import xarray as xr

import toymesa as tm
from toymesa import measures as ms
from toymesa.cli import main
from toymesa.errors import PartialSweep, StoreCorrupt, StoreError, SweepInterrupted

pytestmark = pytest.mark.fault
HERE = Path(__file__).parent
OVER = {"k": np.linspace(0.5, 3.0, 12), "start_x": np.linspace(0.05, 0.9, 5)}


def run(store=None, over=None, **more):
    given = {"measure": ["x", "gap"], "t": [1.0, 2.0], "rng": 1, "chunk": 10, "progress": False} | more
    return tm.sweep(models.LOGISTIC, OVER if over is None else over, store=store, **given)


@pytest.fixture(scope="module")
def fresh():
    return run()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished store, to be copied and broken."""
    path = tmp_path_factory.mktemp("whole") / "st"
    run(path)
    return path


@pytest.fixture
def copied(whole, tmp_path):
    path = tmp_path / "st"
    shutil.copytree(whole, path)
    return path


def serve(jobs, directory, **environment):
    """Run jobs in the fork server; their outcomes."""
    file = directory / "jobs.json"
    file.write_text(json.dumps(jobs))
    env = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), **environment}
    done = subprocess.run(
        [sys.executable, str(HERE / "fork_server.py"), str(file)], capture_output=True, text=True, env=env, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- 1, 4: ended by a signal


def test_killed_at_twenty_random_moments(tmp_path, monkeypatch):
    store = str(tmp_path / "st")
    # the first moments fall into the making of the store, the others into its blocks
    jobs = [{"store": store, "signal": "SIGKILL", "seed": i, "delay": (0.0, 0.02 * (i + 1))} for i in range(20)]
    ended = serve([*jobs, {"store": store}], tmp_path, **{models.SLOW: "0.01"})
    assert [e["status"] for e in ended[:-1]].count(-9) >= 15
    assert ended[-1]["status"] == 0
    monkeypatch.setenv(models.SLOW, "0")
    assert tm.verify_sweep(store).ok
    assert not list(Path(store).rglob("*.partial"))
    xr.testing.assert_equal(tm.open_sweep(store), fork_server.run(None))


SWEEP = """
model = "m.toml"
t = 5.0
chunk = 2000
measure = ["x"]
[over]
k = { linspace = [0.1, 3.0, 400] }
start_x = { linspace = [0.01, 0.9, 500] }
"""
MODEL = 'name = "m"\n[states]\nx = "k*x*(1-x)"\n[params]\nk = 1.0\n[start]\nx = 0.1\n'


def test_interrupted_and_terminated(tmp_path):
    (tmp_path / "s.toml").write_text(SWEEP)
    (tmp_path / "m.toml").write_text(MODEL)
    argv = ["sweep", str(tmp_path / "s.toml"), "--workers", "1"]
    jobs = []
    for name in ("SIGINT", "SIGTERM"):
        store = str(tmp_path / name)
        jobs.append(
            {
                "argv": [*argv, "--store", store],
                "store": store,
                "signal": name,
                "after": 2,
                "log": str(tmp_path / f"{name}.log"),
            }
        )
    assert [e["status"] for e in serve(jobs, tmp_path)] == [130, 143]
    for name in ("SIGINT", "SIGTERM"):
        text = (tmp_path / f"{name}.log").read_text()
        assert "of 200000 cells done" in text
        assert f"continue with: toymesa sweep {tmp_path / 's.toml'} --store {tmp_path / name} --resume" in text
        assert "Traceback" not in text
        assert tm.verify_sweep(tmp_path / name).ok


def test_ctrl_c_in_a_session_keeps_what_is_done(fresh):
    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(SweepInterrupted, match="20 of 60 cells done") as caught:
        run(progress=stop, workers=1)
    assert (caught.value.done, caught.value.total) == (20, 60)
    kept = caught.value.dataset
    ok = kept["status"] == tm.Status.OK
    assert int(ok.sum()) == 20
    xr.testing.assert_equal(kept["x"].where(ok), fresh["x"].where(ok))


# ---------------------------------------------------------------- 5, 9: a disk that is full or cannot be written


def test_full_disk(tmp_path, monkeypatch, fresh, capsys):
    from toymesa.sweep import writer

    store, real, left = tmp_path / "st", writer.put, [17]

    def put(path, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, data)

    monkeypatch.setattr(writer, "put", put)
    with pytest.raises(PartialSweep, match="No space left.*of 60 cells done.*resume") as caught:
        run(store, workers=1)
    assert 0 < caught.value.done < 60
    monkeypatch.setattr(writer, "put", real)
    assert int((tm.open_sweep(store)["status"] == tm.Status.OK).sum()) == caught.value.done
    xr.testing.assert_equal(run(store, resume=True), fresh)


def test_full_disk_for_real(tmp_path, capsys):
    """On a small file system of its own, where mounting one is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k,nr_inodes=200", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (tmp_path / "s.toml").write_text(SWEEP)
        (tmp_path / "m.toml").write_text(MODEL.replace("k*x*(1-x)", "-k*x"))
        argv = ["sweep", str(tmp_path / "s.toml"), "--store", str(place / "st"), "--allow-large"]
        assert main(argv) == 3
        err = capsys.readouterr().err
        assert "No space left" in err
        assert "--resume" in err
        subprocess.run(["mount", "-o", "remount,size=100m,nr_inodes=2000", str(place)], check=True, capture_output=True)
        assert main([*argv, "--resume"]) == 0
        assert tm.verify_sweep(place / "st").ok
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_store_is_read_and_not_written(copied, tmp_path):
    if os.geteuid() == 0:  # permissions do not hold for root: another user tries
        shared = Path(tempfile.mkdtemp(prefix="toymesa-readonly-"))
        try:
            shared.chmod(0o755)
            fork_server.run(shared / "st")
            jobs = [
                {"store": str(shared / "st"), "uid": 65534, "read": read, "log": f"/tmp/{shared.name}.{read}"}
                for read in (True, False)
            ]
            ended = [e["status"] for e in serve(jobs, tmp_path)]
            message = Path(f"/tmp/{shared.name}.False").read_text()
        finally:
            shutil.rmtree(shared)
            for read in (True, False):
                Path(f"/tmp/{shared.name}.{read}").unlink(missing_ok=True)
        assert ended == [0, 2]
        assert "cannot be written: Permission denied" in message
        return
    for place in [copied, *copied.rglob("*")]:
        place.chmod(0o555 if place.is_dir() else 0o444)
    tm.open_sweep(copied).load()
    with pytest.raises(StoreError, match="cannot be written: Permission denied"):
        run(copied, resume=True)
    for place in [copied, *copied.rglob("*")]:
        place.chmod(0o755)


def test_no_home_and_no_cache(tmp_path):
    """Without a home and with a cache that cannot be used, code is compiled into a private directory, with one warning."""
    code = (
        "import logging, sys; logging.basicConfig(); import toymesa as tm, sweep_models as models\n"
        "print(float(tm.sweep(models.LOGISTIC, {'k': [1.0]}, t=1.0, measure='x', progress=False)['x'][0]))"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    env |= {
        "PYTHONPATH": f"{HERE}:{HERE.parent.parent}",
        "TOYMESA_CACHE_DIR": "/proc/nothing",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    want = run(over={"k": [1.0]}, measure="x", t=1.0)["x"].item()
    assert float(done.stdout) == want
    assert done.stderr.count("cannot be used") == 1


def test_paths_with_spaces_and_letters(tmp_path, fresh):
    store = tmp_path / "two words" / "дир ñ <script>"
    run(store)
    xr.testing.assert_equal(tm.open_sweep(store), fresh)
    assert tm.verify_sweep(store).ok


# ---------------------------------------------------------------- 6, 7: damaged, missing and swapped files


def flip(file, bit):
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(bytes(data))


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


# ---------------------------------------------------------------- what a store refuses


def test_what_exists_is_never_overwritten(copied, tmp_path, fresh):
    with pytest.raises(StoreError, match=r"exists with 6 of 6 blocks done: pass resume=True") as caught:
        run(copied)
    assert "delete" not in str(caught.value)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="exists"):
        run(tmp_path / "other")
    with pytest.raises(StoreError, match=r"no store: no zarr.json, but thesis.txt"):
        run(tmp_path / "other", resume=True)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    with pytest.raises(StoreError, match="is a file"):
        tm.open_sweep(tmp_path / "other" / "thesis.txt")
    with pytest.raises(StoreError, match="no store"):
        tm.open_sweep(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rtol": 1e-6}, r"rtol: store has 1e-08, asked 1e-06"),
        ({"t": [1.0, 3.0]}, r"t: store has \[1.0, 2.0\], asked \[1.0, 3.0\]"),
        ({"params": {"m": 2.0}}, r"params m: store has null, asked 2.0"),
        ({"measure": ["x"]}, "measure"),
        ({"rng": 2}, "seed: store has 1, asked 2"),
        (
            {"over": {"k": np.linspace(0.5, 3.0, 13), "start_x": OVER["start_x"]}},
            r"axis 'k': store has 12 values, asked 13",
        ),
        ({"over": {"k": OVER["k"] + 1, "start_x": OVER["start_x"]}}, r"axis 'k': other values, 12 as in the store"),
        ({"over": {"k": OVER["k"]}}, r"axes: store has k, start_x, asked k"),
        ({"over": {"k": np.append(OVER["k"], 9.0), "start_x": OVER["start_x"]}}, "extend=True"),
    ],
)
def test_other_settings_are_refused_with_what_differs(copied, changed, message):
    with pytest.raises(StoreError, match=message) as caught:
        run(copied, resume=True, **changed)
    assert "\n" not in str(caught.value)


def test_another_schema_is_named(copied):
    from toymesa.sweep.metadata import read_attributes, write_attributes

    write_attributes(copied, read_attributes(copied) | {"schema_version": 99})
    with pytest.raises(StoreError, match="schema version 99; this toymesa reads 1 to 2"):
        tm.open_sweep(copied)


def test_a_store_of_the_first_schema_is_read_and_not_written(copied, fresh):
    """It had a directory for each chunk (c/1/0 instead of c.1.0), and other digests."""
    from toymesa.sweep.metadata import read_attributes, write_attributes

    attrs = read_attributes(copied)
    layout = json.loads(attrs["layout"])
    for array in layout:
        del array["separator"]
        place = copied / array["name"]
        for chunk in sorted(place.glob("c.*")):
            moved = place.joinpath(*chunk.name.split("."))
            moved.parent.mkdir(parents=True, exist_ok=True)
            chunk.rename(moved)
        document = json.loads((place / "zarr.json").read_text())
        document["chunk_key_encoding"]["configuration"]["separator"] = "/"
        (place / "zarr.json").write_text(json.dumps(document))
    write_attributes(copied, attrs | {"schema_version": 1, "layout": json.dumps(layout)})
    xr.testing.assert_equal(tm.open_sweep(copied).load(), fresh)
    for call in (lambda: run(copied, resume=True), lambda: run(copied, verify=True), lambda: tm.verify_sweep(copied)):
        with pytest.raises(StoreError, match="schema version 1; this toymesa writes 2: open_sweep reads it"):
            call()


def test_other_versions_are_warned_about(copied, caplog):
    from toymesa.sweep.metadata import read_attributes, write_attributes

    attrs = read_attributes(copied)
    old = json.loads(attrs["versions"]) | {"numpy": "1.0"}
    write_attributes(copied, attrs | {"versions": json.dumps(old)})
    run(copied, resume=True)
    assert "numpy 1.0 ->" in caplog.text
    assert "resumed_with" in read_attributes(copied)


# ---------------------------------------------------------------- 10, 11, 12: clocks, other processors, hostile text


def test_a_clock_that_goes_backward(tmp_path, monkeypatch, fresh):
    store, now = tmp_path / "st", [1e9]

    def backward():
        now[0] -= 1000.0
        return now[0]

    monkeypatch.setattr(time, "time", backward)
    run(store)
    (store / "x" / "orphan.partial").write_bytes(b"half")
    xr.testing.assert_equal(run(store, resume=True), fresh)
    assert not list(store.rglob("*.partial"))


def test_files_from_the_future(copied, fresh):
    """As after the clock was set back: everything on disk is younger than now."""
    later = time.time() + 10 * 365 * 86400
    unfinished = copied.parent / ".st.12345678.partial"
    unfinished.mkdir()
    (copied / "status" / "c.1.0").unlink()
    for file in [unfinished, *copied.rglob("*")]:
        os.utime(file, (later, later))
    xr.testing.assert_equal(run(copied, resume=True), fresh)
    assert tm.verify_sweep(copied).ok
    run(copied.parent / "other" / "st")
    assert unfinished.exists()  # its age says nothing: it may be being written


def test_a_store_of_another_cpu_is_warned_about(copied, caplog, monkeypatch, fresh):
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    xr.testing.assert_equal(run(copied, resume=True), fresh)
    assert "-> generic" in caplog.text
    assert "bits may differ" in caplog.text


HOSTILE = [
    "__import__('os').system('touch pwned')", "().__class__.__mro__[-1].__subclasses__()", "open('/etc/passwd').read()",
    "x.__class__", "lambda: 0", "[x for x in (1,)]", "9**9**9", "factorial(10**7)", "(" * 5000 + "x" + ")" * 5000, "x^2", "x if x else k",
    "exec('1')", "`id`", "x; import os", "f'{x}'", "x\n import os", "‮x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_formulas_are_refused_and_never_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for more in ({"measure": {"z": text}}, {"measure": [ms.label({"a": f"{text} > 0"})]}, {"events": {"e": text}}):
        with pytest.raises(tm.ToymesaError) as caught:
            run(**more)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "..", "", "x y", "<script>", "x\n", "‮x", "status", "class", "con\0", "a" * 3 + "."]
)
def test_hostile_names_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = xr.DataArray([1.0, 2.0], dims=name)
    for call in (
        lambda: run(tmp_path / "st", over={name: [1.0]}),
        lambda: run(tmp_path / "st", over={"k": line}),
        lambda: run(tmp_path / "st", measure={name: "x"}),
        lambda: ms.label({"a": "x > 0"}, name),
        lambda: ms.event_time("e", name or "  "),
    ):
        with pytest.raises(tm.ToymesaError) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_labels_may_hold_anything(tmp_path):
    ways = {"<script>": None, "../up": None, "two\nlines": None, "‮right": None}
    run = tm.sweep(models.LOGISTIC, {"optimizer": ways}, t=1.0, store=tmp_path / "st", progress=False)
    assert run["optimizer"].values.tolist() == list(ways)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["st"]
    assert tm.verify_sweep(tmp_path / "st").ok


# ---------------------------------------------------------------- 14, 15: nothing listens, nothing heavy is imported


def test_nothing_listens_during_a_local_sweep(tmp_path):
    me, seen = psutil.Process(), []
    before = {c.laddr for c in me.net_connections() if c.status == psutil.CONN_LISTEN}

    def look(done, total):
        seen.append([c for c in me.net_connections() if c.status == psutil.CONN_LISTEN and c.laddr not in before])

    run(tmp_path / "st", progress=look)
    assert len(seen) > 3
    assert not any(seen)


def test_import_is_light():
    code = "import sys, toymesa; print([m for m in ('numba', 'sympy', 'matplotlib', 'dask', 'zarr', 'xarray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, toymesa.sweep; print([m for m in ('dask', 'distributed', 'matplotlib', 'adaptive') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- 16: the same bits


def test_order_of_blocks_durable_writes_and_threads(tmp_path, fresh):
    backward = tmp_path / "backward"
    run(backward, durable=True, workers=2)
    assert threading.active_count() < 30
    xr.testing.assert_equal(tm.open_sweep(backward), fresh)
    run(tmp_path / "st")
    for file in (tmp_path / "st" / "x").glob("c.*"):
        assert file.read_bytes() == (backward / "x" / file.name).read_bytes()

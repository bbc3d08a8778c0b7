"""Sweeps that are ended by signals and by disks that are full or cannot be written."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fork_server
import numpy as np
import psutil
import pytest
import sweep_models as models
import xarray as xr
from broken_stores import HERE, OVER, run, serve

import toymesa as tm
from toymesa.cli import main
from toymesa.errors import PartialSweep, StoreCorrupt, StoreError, SweepInterrupted

pytestmark = pytest.mark.fault


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


def test_an_extension_that_is_killed_at_any_write(copied, tmp_path, monkeypatch):
    """What is read then has its own coordinates, or says that it cannot be read; nothing is lost."""
    from toymesa.sweep import layout

    class Killed(BaseException):
        """Stands for a process that ends there."""

    more = {"k": np.append(OVER["k"], [3.5, 4.0, 5.0]), "start_x": np.append(OVER["start_x"], 0.95)}
    want, real, left, seen = run(over=more), layout.put, [0], 0

    def put(path, data):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        real(path, data)

    for writes in range(40):
        store = tmp_path / f"{writes}"
        shutil.copytree(copied, store)
        left[0] = writes
        monkeypatch.setattr(layout, "put", put)
        with contextlib.suppress(Killed):
            run(store, over=more, extend=True)
        if left[0] >= 0:
            break
        monkeypatch.setattr(layout, "put", real)
        with contextlib.suppress(StoreCorrupt):
            found, seen = tm.open_sweep(store), seen + 1
            np.testing.assert_array_equal(found["k"], more["k"][: found.sizes["k"]])
            np.testing.assert_array_equal(found["start_x"], more["start_x"][: found.sizes["start_x"]])
        xr.testing.assert_equal(run(store, over=more, extend=True), want)
    assert seen > 2
    assert 8 < writes < 39


def test_workers_end_with_the_process_that_started_them(tmp_path, monkeypatch):
    monkeypatch.setenv(models.SLOW, "0.05")
    code = "import sys, fork_server\nif __name__ == '__main__': fork_server.run(sys.argv[1], engine='processes', workers=1)"
    (tmp_path / "script.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent.parent}"}
    sweep = psutil.Popen([sys.executable, str(tmp_path / "script.py"), str(tmp_path / "st")], env=env)
    begun, workers = time.monotonic(), []
    while not list((tmp_path / "st" / "status").glob("c.*")) and time.monotonic() < begun + 60:
        time.sleep(0.05)
    workers = sweep.children(recursive=True)
    sweep.kill()
    sweep.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    monkeypatch.setenv(models.SLOW, "0")
    xr.testing.assert_equal(fork_server.run(tmp_path / "st", resume=True), fork_server.run(None))


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


def test_what_progress_raises_stops_the_sweep_and_loses_nothing(fresh, tmp_path):
    def stop(done, total):
        if done >= 20:
            raise RuntimeError("that is enough")

    with pytest.raises(PartialSweep, match=r"stopped by progress \(that is enough\): 20 of 60 cells done") as caught:
        run(progress=stop, workers=1)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert int((caught.value.dataset["status"] == tm.Status.OK).sum()) == 20
    with pytest.raises(PartialSweep, match="continue with resume=True"):
        run(tmp_path / "st", progress=stop, workers=1)
    xr.testing.assert_identical(run(tmp_path / "st", resume=True)["x"].load(), fresh["x"])


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


def test_a_disk_that_is_full_from_the_start(copied, tmp_path, monkeypatch, fresh):
    from toymesa.sweep import layout, metadata, writer

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place in (layout, writer):
        monkeypatch.setattr(place, "put", full)
    xr.testing.assert_equal(run(copied, resume=True), fresh)  # nothing is left to write
    more = {"k": np.append(OVER["k"], 3.5), "start_x": OVER["start_x"]}
    with pytest.raises(StoreError, match="cannot be written: No space left on device; open_sweep reads it"):
        run(copied, over=more, extend=True)
    with pytest.raises(StoreError, match="cannot be made: No space left on device"):
        run(tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["st"]
    monkeypatch.undo()
    assert metadata.read_attributes(copied)
    xr.testing.assert_equal(run(copied, over=more, extend=True), run(over=more))


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

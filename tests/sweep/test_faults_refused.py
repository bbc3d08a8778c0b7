"""What a store refuses, clocks, other processors, hostile text, sockets, imports, and the same bits in any order."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import sweep_models as models
import xarray as xr
from broken_stores import OVER, run

import toymesa as tm
from toymesa import measures as ms
from toymesa.cli import main
from toymesa.errors import StoreError

pytestmark = pytest.mark.fault


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
    """And nothing is written: what is right in the store would be mended into what the other settings want."""
    before = {f: f.read_bytes() for f in copied.rglob("*") if f.is_file() and f.name != "lock"}
    for how in ("resume", "verify"):
        with pytest.raises(StoreError, match=message) as caught:
            run(copied, **{how: True}, **changed)
        assert "\n" not in str(caught.value)
        assert {f: f.read_bytes() for f in copied.rglob("*") if f.is_file() and f.name != "lock"} == before


def test_a_sweep_file_with_other_settings_mends_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text('name = "m"\n[states]\nx = "-k*x"\n[params]\nk = 1.0\n[start]\nx = 1.0\n')
    text = 'model = "m.toml"\nt = 1.0\nmeasure = ["x"]\n[over]\nk = [1.0, 2.0, 3.0]\n'
    (tmp_path / "s.toml").write_text(text)
    assert main(["sweep", "s.toml", "--store", "st"]) == 0
    before = {f: f.read_bytes() for f in Path("st").rglob("*") if f.is_file() and f.name != "lock"}
    (tmp_path / "s.toml").write_text(text.replace("1.0, 2.0", "1.0, 2.5"))
    assert main(["sweep", "s.toml", "--store", "st", "--verify"]) == 2
    assert "axis 'k': other values" in capsys.readouterr().err
    assert {f: f.read_bytes() for f in Path("st").rglob("*") if f.is_file() and f.name != "lock"} == before


@pytest.mark.parametrize("store", ["", "a\0b", b"st", 3, "file", "file/st", "x" * 300])
def test_what_is_no_place_for_a_store_gets_one_line(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for call in (run, tm.open_sweep, tm.verify_sweep):
        with pytest.raises(tm.ToymesaError) as caught:
            call(store)
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_store_behind_a_link(tmp_path, fresh):
    (tmp_path / "disk").mkdir()
    (tmp_path / "st").symlink_to(tmp_path / "disk")
    xr.testing.assert_equal(run(tmp_path / "st"), fresh)
    assert tm.verify_sweep(tmp_path / "disk").ok


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

"""Sweep files, the command, exports, and extended axes."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sweep_models as models
import xarray as xr

import toymesa as tm
from toymesa import measures as ms
from toymesa.cli import main, sweeps
from toymesa.errors import StoreError
from toymesa.sweep import tasks

MODEL = 'name = "m"\n[states]\nx = "k*x*(1-x)"\n[params]\nk = 1.0\n[start]\nx = 0.1\n[observables]\ngap = "1-x"\n'
SWEEP = """
model = "m.toml"
t = [1.0, 2.0]
seed = 7
chunk = 6
[over]
k = { geomspace = [0.5, 2.0, 5] }
start_x = { file = "starts.txt" }
[events]
half = { value = "x - 1/2", direction = 1 }
[measure]
x = "x"
late = { value = "gap", at = "end" }
when = { event = "half" }
outcome = { label = { high = "x > 0.8", low = "x < 0.3" } }
kind = { stability = "steady" }
rate = { growth = "end" }
rest = { steady = "x" }
who = { leader = ["x", "gap"] }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "m.toml").write_text(MODEL)
    (tmp_path / "s.toml").write_text(SWEEP)
    (tmp_path / "starts.txt").write_text("# starts\n0.1\n0.2\n\n0.4\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_the_call(folder, capsys):
    assert main(["sweep", "s.toml", "--store", "st", "--json", "--export", "all.csv"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["cells"], out["done"], out["status"]) == (15, 15, {"ok": 15})
    assert set(out["variables"]) == {"x", "late", "when", "rate", "rest"}
    assert set(out["labels"]) == {"outcome", "kind", "who"}
    assert out["labels"]["kind"] == {"stable": 15}
    again = tm.sweep(
        tm.load_model("m.toml"), {"k": np.geomspace(0.5, 2.0, 5), "start_x": [0.1, 0.2, 0.4]}, t=[1.0, 2.0], rng=7, chunk=6,
        events={"half": ("x - 1/2", {"direction": 1})}, progress=False,
        measure={
            "x": "x", "late": ms.value("gap", at="end"), "when": ms.event_time("half"), "who": ms.leader("x", "gap"),
            "outcome": ms.label({"high": "x > 0.8", "low": "x < 0.3"}), "kind": ms.stability(), "rate": ms.growth(at="end"),
            "rest": ms.steady("x"),
        },
    )  # fmt: skip
    stored = tm.open_sweep("st")
    for name in again.data_vars:
        xr.testing.assert_equal(stored[name], again[name])
    table = pd.read_csv("all.csv")
    assert len(table) == 30
    np.testing.assert_array_equal(table["x"], stored["x"].values.reshape(-1))
    assert main(["sweep", "s.toml", "--store", "st"]) == 2
    assert "resume" in capsys.readouterr().err
    assert main(["sweep", "s.toml", "--store", "st", "--resume"]) == 0
    assert main(["sweep", "s.toml", "--store", "st", "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["damaged"] == {"blocks": {}, "metadata": []}


def test_a_package_model_with_options_and_points(folder, capsys):
    (folder / "p.toml").write_text(
        'model = "mechanisms"\nt = 1.0\nmeasure = ["n_eff"]\n[options]\nnames = ["a", "b"]\n'
        "[[over]]\ndiversity = 1.0\nmu = 0.1\n[[over]]\ndiversity = 5.0\nmu = 0.2\n"
    )
    assert main(["sweep", "p.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == 2
    (folder / "q.toml").write_text(
        'model = "m.toml"\nt = 1.0\ndesign = "sobol"\nsamples = 16\n[over]\nk = { low = 0.1, high = 10.0, scale = "log" }\n'
    )
    assert main(["sweep", "q.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 16
    (folder / "n.toml").write_text(
        'model = "mechanisms"\nt = 1.0\nmeasure = ["n_eff"]\n[over]\nnames = [["a", "b"], ["a", "b", "c"]]\n'
    )
    assert main(["sweep", "n.toml"]) == 0
    page = capsys.readouterr().out
    assert "2 ok of 2 cells" in page


def test_failed_cells_give_exit_code_3_and_advice(folder, capsys):
    (folder / "m.toml").write_text(MODEL.replace("k*x*(1-x)", "k*x**2"))
    (folder / "s.toml").write_text('model = "m.toml"\nt = 20.0\n[over]\nk = [0.1, 1.0]\n')
    assert main(["sweep", "s.toml"]) == 3
    out = capsys.readouterr().out
    assert "1 ok, 1 blow_up of 2 cells" in out
    assert tm.Status.BLOW_UP.advice in out


BROKEN = [
    ("t = [1.0, 2.0]", "t = 1.0\nmeasures = 3", "did you mean 'measure'"),
    ("geomspace", "geompace", "over.k.geompace: unknown key; did you mean 'geomspace'"),
    ("[0.5, 2.0, 5]", "[0.5, 2.0, -1]", "the count must be a whole number of at least 1"),
    ("[0.5, 2.0, 5]", "[0.0, 2.0, 5]", "the ends must be positive"),
    ("[0.5, 2.0, 5]", "[0.5, 2.0]", "must be [low, high, count]"),
    ("[0.5, 2.0, 5]", "[0.5, nan, 5]", "the ends must be finite"),
    ("[0.5, 2.0, 5]", f"[0.5, {'9' * 400}, 5]", "over.k.geomspace: is a whole number outside the range"),
    ("[0.5, 2.0, 5]", f"[{10**30}, 2e30, 100000000000]", "at most 100000000"),
    ("t = [1.0, 2.0]", "t = [[], 2.0]", "t must be numbers in a regular shape"),
    ('"starts.txt"', '"nothing.txt"', "cannot read 'nothing.txt'"),
    ('"starts.txt"', '"m.toml"', "m.toml, line 1: not a number"),
    ("k = {", "kk = {", "over has no axis 'kk'; did you mean 'k'"),
    ('late = { value = "gap", at = "end" }', 'late = { valu = "gap" }', "did you mean 'value'"),
    ('late = { value = "gap", at = "end" }', "late = 3", "measure.late: must be a formula or a table"),
    ('x = "x"', 'x = "x +"', "column"),
    ('event = "half"', 'event = "haf"', "did you mean 'half'"),
    ("direction = 1", "directoin = 1", "did you mean 'direction'"),
    ('"m.toml"', '"mm.toml"', "there is no file"),
    ('model = "m.toml"', 'model = "mechanism"', "did you mean 'mechanisms'"),
    ("chunk = 6", "chunk = 0", "chunk must be a whole number, 1 or more"),
    ("seed = 7", "seed = -7", "rng must be a Generator or a non-negative integer"),
    ("seed = 7", "design = 'sobel'", "did you mean 'sobol'"),
    ("seed = 7", "seed = = 7", "not valid TOML"),
    ("t = [1.0, 2.0]", "", "t is missing"),
    ("[over]", "[ovr]", "over"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_broken_files_get_one_line(folder, capsys, old, new, message):
    assert old in SWEEP
    (folder / "s.toml").write_text(SWEEP.replace(old, new, 1))
    assert main(["sweep", "s.toml"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert "s.toml" in err or "mm.toml" in err or "mechanism" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "--resume goes with --store"),
        (["--store", "../out"], "leads out of the working directory"),
        (["--store", "st", "--verify"], "there is no store"),
        (["--store", "st", "--verify", "--extend"], "--verify and --extend are two runs"),
        (["--store", "m.toml"], "exists"),
        (["--export", "x.xls"], "cannot export"),
        (["--workers", "0"], "workers must be"),
        (["--scheduler", "tcp//x"], "there is no engine"),
    ],
)
def test_options_get_one_line(folder, capsys, options, message):
    assert main(["sweep", "s.toml", *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_estimate_and_what_is_refused(folder, capsys):
    assert main(["sweep", "s.toml", "--estimate"]) == 0
    assert "15 cells in 3 blocks" in capsys.readouterr().err
    (folder / "s.toml").write_text(
        'model = "m.toml"\nt = 1.0\n[over]\nk = { linspace = [1, 2, 100000] }\nstart_x = { linspace = [0.1, 0.2, 100000] }\n'
    )
    assert main(["sweep", "s.toml"]) == 2
    err = capsys.readouterr().err
    assert "1e+10 cells" in err
    assert "--allow-large" in err


def test_the_time_of_a_cell_is_not_that_of_the_first_calls(monkeypatch):
    """One cell is solved by other code than many are, which takes a while to load; a call costs something by itself."""
    now, loaded = [0.0], []

    def evaluate(index):
        now[0] += 0.02 + 1e-5 * len(index)
        if len(index) > 32 and not loaded:
            loaded.append(True)
            now[0] += 0.1

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(tasks, "warm", lambda made: None)
    made = SimpleNamespace(cells=10**6, shape=(1000, 1000), evaluate=evaluate)
    assert sweeps.time_per_cell(made) == pytest.approx(1e-5)
    assert loaded


@pytest.mark.parametrize(("said", "code", "shown"), [((), 130, "interrupted"), (("terminated",), 143, "terminated")])
def test_an_interruption_before_the_start(folder, capsys, monkeypatch, said, code, shown):
    def stop(made):
        raise KeyboardInterrupt(*said)

    monkeypatch.setattr(sweeps, "time_per_cell", stop)
    assert main(["sweep", "s.toml", "--estimate"]) == code
    assert capsys.readouterr().err == f"toymesa: {shown}\n"


@pytest.mark.parametrize("ending", [".nc", ".csv", ".parquet"])
def test_exports_hold_every_bit(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    ways = {"flow": None, "slow": lambda model: model.with_params(k=0.5)}
    data = tm.sweep(
        models.LOGISTIC,
        {"optimizer": ways, "m": [0.5, 1 / 3]},
        t=[0.1, 1.0],
        measure=["x", ms.leader("x", "gap")],
        store=tmp_path / "st",
        progress=False,
    )
    path = tm.export_sweep(tmp_path / "st", tmp_path / f"out{ending}")
    if ending == ".nc":
        with xr.open_dataset(path, engine="h5netcdf") as back:
            np.testing.assert_array_equal(back["x"], data["x"])
            assert back["optimizer"].values.tolist() == ["flow", "slow"]
            assert back.attrs["store_id"] == data.attrs["store_id"]
    else:
        table = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
        np.testing.assert_array_equal(table["x"], data["x"].values.reshape(-1))
        assert table["optimizer"].tolist() == ["flow"] * 4 + ["slow"] * 4
        np.testing.assert_array_equal(table["m"][:4], [0.5, 0.5, 1 / 3, 1 / 3])
    with pytest.raises(StoreError, match="exists"):
        tm.export_sweep(data, path)
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_extended_axes_keep_what_is_there(tmp_path):
    given = {"measure": ["x"], "t": 2.0, "progress": False}
    small, large = (
        {"k": [1.0, 2.0], "start_x": [0.1, 0.2, 0.3]},
        {"k": [1.0, 2.0, 0.5], "start_x": [0.1, 0.2, 0.3, 0.4]},
    )
    first = tm.sweep(models.LOGISTIC, small, store=tmp_path / "st", chunk=(2, 2), **given).load()
    made = []
    data = tm.sweep(
        models.LOGISTIC, large, store=tmp_path / "st", extend=True, **given | {"progress": lambda d, t: made.append(d)}
    )
    assert made[0] == 4  # one block was whole and stays; the one at the edge is run again with its new cells
    xr.testing.assert_equal(data["x"].isel(k=slice(2), start_x=slice(3)), first["x"])
    xr.testing.assert_equal(data, tm.sweep(models.LOGISTIC, large, **given))
    names = {"depth": [1, 2]}
    tm.sweep(models.chain, names, measure=["last"], t=1.0, store=tmp_path / "names", progress=False)
    more = tm.sweep(
        models.chain,
        {"depth": [1, 2, 4]},
        measure=["last"],
        t=1.0,
        store=tmp_path / "names",
        extend=True,
        progress=False,
    )
    assert more["depth"].values.tolist() == [1, 2, 4]
    drawn = {"design": "halton", "rng": 5, **given}
    tm.sweep(models.LOGISTIC, {"k": (0.1, 1.0)}, samples=30, store=tmp_path / "drawn", **drawn)
    longer = tm.sweep(models.LOGISTIC, {"k": (0.1, 1.0)}, samples=50, store=tmp_path / "drawn", extend=True, **drawn)
    xr.testing.assert_equal(longer, tm.sweep(models.LOGISTIC, {"k": (0.1, 1.0)}, samples=50, **drawn))

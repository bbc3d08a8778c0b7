"""Sweeps of models with noise: exact laws, and streams that follow from seed, cell and path alone."""

import json

import numpy as np
import pytest
import sweep_models as models
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa import measures as ms
from toymesa.analyse.proportions import proportion
from toymesa.cli import main
from toymesa.errors import ArgumentError, DomainError, StoreError, SweepInterrupted
from toymesa.sweep.moments import _moment

OVER = {"k": [0.5, 1.0, 2.0], "T": [0.1, 0.4]}
MEASURES = ["x", ms.variance("x"), ms.shares({"low": "x < 0", "high": "x > 1/2"})]


def run(over=None, model=models.OU, **more):
    given = {"t": [0.0, 0.5, 2.0], "paths": 50, "step": 0.02, "measure": MEASURES, "rng": 1, "progress": False} | more
    return tm.sweep(model, OVER if over is None else over, **given)


def test_moments_and_shares_of_ornstein_uhlenbeck():
    """Mean exp(-k t), variance T (1 - exp(-2 k t))/k, and the normal shares of both outcomes."""
    from scipy.stats import norm

    data = run(paths=4000, method="weak2", step=0.05)
    assert data["x_mean"].dims == ("k", "T", "time")
    assert data["outcome_share"].dims == ("k", "T", "time", "outcome")
    assert data["outcome"].values.tolist() == ["low", "high"]
    assert (data["status"] == tm.Status.OK).all()
    assert (data["nsteps"] == 40).all()
    late = data.isel(time=slice(1, None))
    mean = np.exp(-late["k"] * late["time"])
    var = late["T"] / late["k"] * (1 - np.exp(-2 * late["k"] * late["time"]))
    mean, var = (v.transpose("k", "T", "time") for v in xr.broadcast(mean, var))
    assert float(abs((late["x_mean"] - mean) / late["x_error"]).max()) < 4
    assert float(abs(late["x_error"] / np.sqrt(var / 4000) - 1).max()) < 0.1
    assert float(abs((late["x_variance"] - var) / late["x_variance_error"]).max()) < 4
    assert float(abs(late["x_variance_error"] / (var * np.sqrt(2 / 3999)) - 1).max()) < 0.2
    late = run(paths=4000, step=0.01).isel(time=slice(1, None))  # the weak method has the right moments alone
    for name, exact in (("low", norm.cdf(-mean / np.sqrt(var))), ("high", norm.sf((0.5 - mean) / np.sqrt(var)))):
        share = late["outcome_share"].sel(outcome=name)
        assert float(abs(share - exact).max()) < 4 * 0.5 / np.sqrt(4000)
        low, high = (late[f"outcome_{end}"].sel(outcome=name) for end in ("low", "high"))
        _, want_low, want_high = proportion(np.round(share * 4000), 4000)
        np.testing.assert_allclose([low, high], [want_low, want_high], rtol=1e-12)
    np.testing.assert_allclose(late["outcome_share"].sum("outcome") + late["outcome_unresolved"], 1.0)
    first = data.isel(time=0)
    assert (first["x_mean"] == 1.0).all()
    assert (first["x_variance"] == 0.0).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_moments_are_those_of_numpy(values):
    table = np.array([values])
    count = len(values)
    np.testing.assert_allclose(_moment(table, "mean")[0], np.mean(values), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(_moment(table, "variance")[0], np.var(values, ddof=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(_moment(table, "mean")[1], np.std(values, ddof=1) / np.sqrt(count), rtol=1e-9, atol=1e-9)


def test_the_error_of_a_variance_is_right_for_any_distribution():
    """From many samples of a skew distribution: the spread of the estimates is what each of them says."""
    table = np.random.default_rng(0).exponential(size=(4000, 200))
    found, error = _moment(table, "variance")
    assert abs(found.std() / np.sqrt((error**2).mean()) - 1) < 0.1


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(0, 2**40)
)
def test_bits_follow_from_seed_cell_and_path(ks, temperatures, chunk, workers, paths, seed):
    """Whatever the blocks and workers, with more values at the end of any axis, and the first paths among more."""
    more = {
        "paths": paths,
        "rng": seed,
        "t": 0.5,
        "step": 0.1,
        "measure": {"x": "x", "one": ms.function(models.first_paths)},
    }
    small = run({"k": OVER["k"][:ks], "T": OVER["T"][:temperatures]}, chunk=chunk, workers=workers, **more)
    large = run(**more)
    xr.testing.assert_equal(small, large.isel(k=slice(ks), T=slice(temperatures)))
    double = run(**more | {"paths": 2 * paths})
    np.testing.assert_array_equal(double["one"], large["one"])


def test_every_cell_and_path_has_a_stream_of_its_own():
    data = run(
        {"optimizer": {"a": None, "b": None}, "k": xr.DataArray([1.0, 1.0, 1.0], dims="again")},
        measure={"one": ms.function(models.first_paths)},
        paths=2,
    )
    assert np.unique(data["one"]).size == 6
    ends = []
    run({"k": [1.0]}, measure=[ms.function(lambda cell: ends.append(cell["x"].values) or 0.0, "ends")], paths=2100)
    assert ends[0].shape == (2100, 3)
    assert np.unique(ends[0][:, -1]).size == 2100
    other = run({"k": [1.0]}, measure={"one": ms.function(models.first_paths)}, paths=1, rng=2)
    assert other["one"].item() != ends[0][0, -1]


def test_draws_and_functions_of_a_cell():
    data = run(
        {"k": [1.0, 2.0]},
        start={"x": lambda g: g.uniform(1, 2)},
        measure=["x", ms.function(lambda cell, g: g.normal(), "own", random=True)],
        t=[0.0, 1.0],
    )
    assert np.unique(data["own"]).size == 2
    begun = data["x_mean"].sel(time=0.0)
    assert ((begun >= 1) & (begun <= 2)).all()
    assert np.unique(begun).size == 2


def test_what_fails_is_recorded():
    """Paths of x' = k x^3 + noise that blow up cost their cell its moments from then on, not its shares, nor others."""
    data = run(
        {"k": [0.0, 3.0, -1.0]}, models.WILD, t=[0.1, 5.0], step=0.05, paths=40,
        measure=["x", ms.shares({"up": "x > 0", "down": "x <= 0"}), ms.shares({"lost": "overflow"}, "fate")],
    )  # fmt: skip
    assert data["status"].values.tolist() == [tm.Status.BAD_PARAM, tm.Status.OVERFLOW, tm.Status.BAD_PARAM]
    data = run(
        {"k": [0.01, 3.0]}, models.WILD, t=[0.1, 5.0], step=0.05, paths=40,
        measure=["x", ms.shares({"up": "x > 0", "down": "x <= 0"}), ms.shares({"lost": "overflow"}, "fate")],
    )  # fmt: skip
    assert data["status"].values.tolist() == [tm.Status.OK, tm.Status.OVERFLOW]
    assert np.isfinite(data["x_mean"].values[:, 0]).all()
    assert np.isnan(data["x_mean"].values[1, 1])
    assert (data["outcome_unresolved"].values[:, 0] == 0).all()
    lost = data["fate_share"].values[:, 1, 0]
    assert lost[0] == 0
    assert lost[1] > 0.5
    assert data["outcome_unresolved"].values[1, 1] == lost[1]


def test_a_single_path_has_a_mean_without_an_error():
    data = run({"k": [1.0]}, paths=1, t=1.0)
    assert np.isfinite(data["x_mean"]).all()
    assert np.isnan(data["x_error"]).all()
    assert np.isnan(data["x_variance"]).all()


@pytest.mark.fault
def test_a_store_of_paths_is_resumed_extended_verified_and_exported(tmp_path):
    fresh, store = run(), tmp_path / "st"

    def stop(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(SweepInterrupted, match="3 of 6 cells done"):
        run(store=store, workers=1, progress=stop)
    xr.testing.assert_equal(run(store=store, resume=True, rng=None), fresh)
    spec = json.loads(tm.open_sweep(store).attrs["spec"])
    assert (spec["paths"], spec["step"], spec["method"]) == (50, 0.02, "milstein-lanes")
    file = next((store / "outcome_share").glob("c.*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))
    assert len(tm.verify_sweep(store).blocks) == 1
    xr.testing.assert_equal(run(store=store, verify=True), fresh)
    assert tm.verify_sweep(store).ok
    with pytest.raises(StoreError, match="paths: store has 50, asked 51"):
        run(store=store, resume=True, paths=51)
    longer = {"k": [*OVER["k"], 3.0], "T": OVER["T"]}
    xr.testing.assert_equal(run(longer, store=store, extend=True), run(longer))
    for name in ("all.csv", "all.nc"):
        tm.export_sweep(store, tmp_path / name)
    back = xr.open_dataset(tmp_path / "all.nc")
    np.testing.assert_array_equal(back["outcome_share"], run(longer)["outcome_share"])
    assert (tmp_path / "all.csv").read_text().count("\n") == 1 + 4 * 2 * 3 * 2


BAD = [
    ({"until": "steady", "t": None}, ArgumentError, "until goes with a model without noise"),
    ({"events": {"e": "x"}}, ArgumentError, "see toymesa.escape_times"),
    ({"rtol": 1e-5}, ArgumentError, "give step"),
    ({"atol": [1e-5]}, ArgumentError, "give step"),
    ({"method": "tsit5"}, DomainError, "allowed: auto, euler, milstein, weak2"),
    ({"t": -1.0}, DomainError, "forward from 0"),
    ({"paths": 0}, DomainError, "paths must be"),
    ({"paths": 2.5}, ArgumentError, "paths must be"),
    ({"paths": 10**9}, DomainError, "paths of one cell take"),
    ({"step": 0.0}, DomainError, "step must lie"),
    ({"measure": [ms.stability()]}, ArgumentError, "'stability' reads one trajectory"),
    ({"measure": [ms.label({"a": "x > 0"})]}, ArgumentError, "use mean, variance, shares"),
    ({"measure": "xx"}, ArgumentError, "did you mean 'x'"),
    ({"measure": [ms.shares({"a": "y > 0"})]}, tm.ToymesaError, "unknown name 'y'"),
    ({"measure": [ms.shares({"a": "x > 0"}, "k")]}, DomainError, "'k' stands for two things"),
    ({"measure": ["x", ms.mean("x**2", "x")]}, DomainError, "'x_mean' stands for two things"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_one_line(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        run(**arguments)
    assert "\n" not in str(caught.value)


def test_what_goes_with_noise_alone_is_refused_elsewhere():
    for more, message in (
        ({"paths": 3}, "paths goes with a model with noise"),
        ({"step": 0.1}, "step goes with a model with noise"),
        ({"measure": [ms.shares({"a": "x > 0"})]}, "'shares' is over paths"),
        ({"measure": [ms.variance("x")]}, "'variance' is over paths"),
    ):
        with pytest.raises(ArgumentError, match=message):
            tm.sweep(models.LOGISTIC, {"k": [1.0]}, t=1.0, progress=False, **more)
    with pytest.raises(ArgumentError, match="sweep them apart"):
        tm.sweep(models.LOGISTIC, {"optimizer": [None, tm.GradientNoise(amplitudes={"x": 0.1})]}, t=1.0, progress=False)
    with pytest.raises(ArgumentError, match="refine needs a model without noise"):
        tm.refine(models.OU, {"k": (0.1, 1.0)}, margin="x", t=1.0)
    with pytest.raises(ArgumentError, match="mapping from label"):
        ms.shares("x > 0")
    with pytest.raises(ArgumentError, match="a formula needs a name"):
        run(measure=[ms.mean("x**2")])
    with pytest.raises(DomainError, match="level"):
        ms.shares({"a": "x > 0"}, level=2.0)


MODEL = 'name = "m"\n[states]\nx = "k*x*(1-x)"\n[params]\nk = 1.0\n[start]\nx = 0.1\n'
SWEEP = """
model = "m.toml"
t = 2.0
paths = 30
step = 0.05
[optimizer]
amplitudes = { x = "s*x" }
params = { s = 0.1 }
[over]
s = [0.1, 0.5]
k = [1.0, 2.0]
[measure]
x = "x"
spread = { variance = "x**2" }
who = { shares = { high = "x > 0.5", low = "x <= 0.5" }, interval = "exact" }
"""


def test_a_sweep_file_with_noise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(MODEL)
    (tmp_path / "s.toml").write_text(SWEEP)
    assert main(["sweep", "s.toml", "--store", "st", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["status"] == {"ok": 4}
    s, x_ = sp.Symbol("s", positive=True), sp.Symbol("x", real=True)
    model = tm.with_optimizer(tm.load_model("m.toml"), tm.GradientNoise(amplitudes={"x": s * x_}), params={s: 0.1})
    again = tm.sweep(
        model, {"s": [0.1, 0.5], "k": [1.0, 2.0]}, t=2.0, paths=30, step=0.05, rng=0, progress=False,
        measure={
            "x": "x", "spread": ms.variance("x**2"),
            "who": ms.shares({"high": "x > 0.5", "low": "x <= 0.5"}, interval="exact"),
        },
    )  # fmt: skip
    xr.testing.assert_equal(tm.open_sweep("st"), again)


BROKEN = [
    ("amplitudes", "amplitude", "optimizer.amplitude: unknown key; did you mean 'amplitudes'"),
    ('"s*x"', '"s*y"', "optimizer.amplitudes.x: column 3: unknown name 'y'"),
    ('{ x = "s*x" }', '{ y = "s" }', "unknown state 'y'"),
    ('{ x = "s*x" }', "3.0", "must be a table of state = formula"),
    ("params = {", "descent = 0.1\nparams = {", "needs exactly one of"),
    ("s = 0.1", 's = "a"', "optimizer.params.s: must be a number"),
    ("paths = 30", "path = 30", "did you mean 'paths'"),
    ('interval = "exact"', 'interval = "exakt"', "did you mean 'exact'"),
    ("shares = {", "share = {", "did you mean 'shares'"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_broken_files_with_noise_get_one_line(tmp_path, monkeypatch, capsys, old, new, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(MODEL)
    (tmp_path / "s.toml").write_text(SWEEP.replace(old, new, 1))
    assert main(["sweep", "s.toml"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert "s.toml" in err


def test_optimizers_of_a_sweep_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(MODEL)
    (tmp_path / "s.toml").write_text(
        'model = "m.toml"\nt = 4.0\nmeasure = "x"\n[over]\nk = [1.0, 2.0]\n[over.optimizer]\nflow = {}\n'
        'heavy = { heavy_ball = 0.5 }\nsteps = { descent = "h", params = { h = 0.1 } }\nfast = { rates = { x = 2.0 } }\n'
    )
    assert main(["sweep", "s.toml", "--store", "st"]) == 0
    base, h = tm.load_model("m.toml"), sp.Symbol("h", positive=True)
    ways = {
        "flow": None,
        "heavy": tm.HeavyBall(0.5),
        "steps": lambda m: tm.with_optimizer(m, tm.Descent(h), params={h: 0.1}),
        "fast": tm.Preconditioned({"x": 2.0}),
    }
    over = {"k": [1.0, 2.0], "optimizer": ways}
    xr.testing.assert_equal(tm.open_sweep("st"), tm.sweep(base, over, t=4.0, measure="x", rng=0, progress=False))
    (tmp_path / "p.toml").write_text(
        'model = "mechanisms"\nt = 1.0\nmeasure = "n_eff"\n[optimizer]\nheavy_ball = 0.5\n[over]\n'
        'names = [["a", "b"], ["a", "b", "c"]]\n'
    )
    capsys.readouterr()
    assert main(["sweep", "p.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == {"ok": 2}


@pytest.mark.parametrize("ks", [[0.5, 200.0], [200.0, 0.5]])
def test_the_step_of_the_first_cell_is_that_of_simulate(ks):
    data = tm.sweep(models.OU, {"k": ks}, t=1.0, paths=3, rng=0, progress=False)
    alone = tm.simulate(models.OU, 1.0, paths=3, params={"k": ks[0]}, rng=0)
    assert json.loads(data.attrs["spec"])["step"] == alone.attrs["step"] == (1e-3 if ks[0] < 1 else 1e-4)

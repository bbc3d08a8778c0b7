"""What ``follow`` refuses, what it says when it stops early, its files, its command and its pictures."""

import json
import time
import warnings

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from follow_models import a, b, cusp, hopf, model, x, y
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.analyse.continuation.shapes import follow_json
from toymesa.cli import main
from toymesa.errors import ArgumentError, DomainError, ModelError, SolveError

positive = sp.Symbol("k", positive=True)
BOUND = tm.Model(name="bound", flow={x: positive * x - x**2}, params={positive: 1.0}, start={x: 0.5})
FILE = "tests/data/predator_prey.toml"

BAD = [
    (cusp(), {"param": "c"}, ArgumentError, "no parameter 'c'"),
    (cusp(), {"range": [1.0, -1.0]}, DomainError, "low < high"),
    (cusp(), {"range": [0.0, np.nan]}, DomainError, "must lie in"),
    (cusp(), {"range": 3.0}, DomainError, "two numbers"),
    (cusp(), {"range": ["a", "b"]}, ArgumentError, "text"),
    (BOUND, {"param": "k", "range": [0.0, 1.0]}, DomainError, r"must lie in \(0, inf\); got 0"),
    (cusp(), {"params": {"a": 1.0}}, ArgumentError, "give its range alone"),
    (cusp(), {"params": {"bb": 1.0}}, ArgumentError, "did you mean 'b'"),
    (cusp(), {"params": {"b": [1.0, 2.0]}}, DomainError, "single numbers"),
    (cusp(), {"params": 3}, ArgumentError, "mapping"),
    (cusp(), {"start": {"y": 1.0}}, ArgumentError, "has no (start|state) 'y'"),
    (cusp(), {"start": 3}, ArgumentError, "mapping from name to value"),
    (cusp(), {"start": []}, ArgumentError, "mapping from name to value"),
    (cusp(), {"box": {"y": (0, 1)}}, ArgumentError, "no state 'y'"),
    (cusp(), {"box": {"x": (1, 0)}}, DomainError, "low < high"),
    (cusp(), {"box": 3}, ArgumentError, "box must be a mapping"),
    (cusp(), {"second": "b"}, ArgumentError, "go together"),
    (cusp(), {"second": "a", "range2": [0, 1]}, ArgumentError, "another one than 'a'"),
    (cusp(), {"seconds": 0}, DomainError, "seconds"),
    (cusp(), {"seconds": "1"}, ArgumentError, "seconds"),
    (cusp(), {"max_points": 0}, DomainError, "max_points"),
    (cusp(), {"max_branches": 1.5}, ArgumentError, "max_branches"),
    (
        tm.Model(name="map", flow={x: a * x + b}, params={a: 1.0, b: 0.0}, discrete=True),
        {"second": "b", "range2": (-1, 1)},
        ModelError,
        "is a map",
    ),
    (tm.Model(name="driven", flow={x: a * tm.TIME - x}, params={a: 1.0}), {}, ModelError, "depends on time"),
    (tm.Model(name="clash", flow={sp.Symbol("stable"): a}, params={a: 1.0}), {}, ModelError, "'stable'"),
    ("cusp", {}, ArgumentError, "must be a toymesa Model"),
]


@pytest.mark.parametrize(("given", "arguments", "error", "message"), BAD)
def test_bad_input_gets_one_line(given, arguments, error, message):
    with warnings.catch_warnings(), pytest.raises(error, match=message) as caught:
        warnings.simplefilter("error")
        tm.follow(given, **({"param": "a", "range": [-1.0, 1.0]} | arguments))
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, SolveError)


def test_budgets_end_with_what_was_found():
    begun = time.monotonic()
    data = tm.follow(tm.models.mechanisms(("a", "b", "c", "d")), "diversity", [1.0, 50.0], seconds=0.6)
    assert time.monotonic() - begun < 6
    assert data.attrs["complete"] == 0
    assert any("time" in s for s in json.loads(data.attrs["left"]))
    few = tm.follow(cusp(), "a", [-1, 1], max_points=5)
    assert few.attrs["complete"] == 0
    assert "its points were spent" in few.attrs["left"]
    one = tm.follow(cusp(), "b", [-1, 1], max_branches=1)
    assert (one.sizes["followed"], one.attrs["complete"]) == (1, 0)
    nothing = tm.follow(model("none", {x: 1 + a**2 + x**2}, a=0.0), "a", [-1, 1])
    assert nothing.sizes["point"] == 0
    assert "no fixed point was found" in nothing.attrs["left"]
    assert follow_json(nothing) == {"branches": [], "special": []}


def test_domains_and_boxes_end_branches():
    u = sp.Symbol("u", positive=True)
    m = tm.Model(name="logistic", flow={u: a * u - u**2}, params={a: 0.5}, start={u: 0.2})
    data = tm.follow(m, "a", [-1, 1])
    assert (data["u"] >= -1e-8).all()
    assert "u = 0" in [*data["begins"].values, *data["ends"].values]
    data = tm.follow(cusp(), "a", [-1, 1], box={"x": (-0.8, 0.2)})
    assert float(data["x"].min()) == pytest.approx(-0.8, abs=1e-8)
    assert float(data["x"].max()) == pytest.approx(0.2, abs=1e-8)


def test_several_starts_and_shares_of_a_simplex():
    flow = {x: (x + 2 - a) * ((x - 1) ** 2 + a - sp.Rational(1, 2))}
    data = tm.follow(model("apart", flow, a=0.2), "a", [-1, 1], start=[{"x": -1.8}, {"x": 0.4}])
    assert data.sizes["followed"] == 2
    m = tm.models.mechanisms(("a", "b"))
    data = tm.follow(m, "diversity", [5.0, 40.0], params={"lam": 0.4, "mu": 0.1}, start={"p_a": 0.99, "c_a": 2.0})
    assert (data["p_a"].values > 0.9).any()
    data = tm.follow(m, "diversity", [1.0, 40.0], params={"lam": 0.4, "mu": 0.1}, box={"p_a": (0.2, 0.9)})
    assert (data["p_a"].values >= 0.2 - 1e-6).all()
    assert float(data["p_a"].max()) == pytest.approx(0.9, abs=1e-6)


def test_the_dataset_is_whole(tmp_path):
    data = tm.follow(hopf(quintic=False), "a", [-0.5, 0.5])
    assert data.attrs["fingerprint"] == hopf(quintic=False).fingerprint
    assert set(data["special_state"].coords) == {"state"}
    data.to_netcdf(tmp_path / "diagram.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "diagram.nc", engine="h5netcdf") as again:
        np.testing.assert_array_equal(again["cycle_orbit"], data["cycle_orbit"])
        assert again["special_kind"].values.tolist() == ["hopf"]
    assert set(data["kind"].values) <= {"stable-spiral", "unstable-spiral", "centre"}
    np.testing.assert_array_equal(data["stable"], (data["eigenvalue_re"] < 0).all(dim="mode"))
    orbit = data["cycle_orbit"].isel(cycle=-1)
    np.testing.assert_allclose(orbit.isel(phase=0), orbit.isel(phase=-1), atol=1e-8)


def test_json_shapes():
    data = json.loads(json.dumps(follow_json(tm.follow(hopf(), "a", [-0.5, 0.5])), allow_nan=False))
    assert set(data) == {"branches", "special"}
    assert set(data["branches"][0]) == {"param", "states", "stable"}
    assert set(data["branches"][0]["states"]) == {"x", "y"}
    assert set(data["special"][0]) == {"kind", "param", "state", "omega", "criticality"}
    assert data["special"][0]["kind"] == "hopf"
    two = follow_json(tm.follow(cusp(), "a", [-1, 1], second="b", range2=[-1, 1]))
    assert set(two) == {"curves", "special"}
    assert set(two["curves"][0]) == {"kind", "param", "second"}
    assert set(two["special"][0]) == {"kind", "param", "second", "state"}


def test_the_command_on_a_file(capsys, tmp_path):
    picture = tmp_path / "diagram.png"
    arguments = ["follow", FILE, "--param", "K", "--range", "0.1", "4", "--box", "prey=-0.5:6", "predator=-1:6"]
    assert main([*arguments, "--cycles", "--plot", str(picture)]) == 0
    page = capsys.readouterr().out
    # Rosenzweig 1971: with a h = 2, prey* = m/(a (e - m h)) = 3/14, Hopf where prey* = (K - 1/(a h))/2
    assert "0.9285714286" in page
    assert "supercritical" in page
    assert "stable cycles from 0.928571 to 4" in page
    assert picture.stat().st_size > 10_000
    assert main([*arguments, "--set", "r=1.5", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {s["kind"] for s in data["special"]} == {"branch", "hopf"}
    hopf_at = next(s for s in data["special"] if s["kind"] == "hopf")
    assert hopf_at["param"] == pytest.approx(0.5 + 2 * 3 / 14, abs=1e-10)
    # determinant of the Jacobian there: m (e - m h) predator* a / e ... = omega^2
    predator = 1.5 * (1 - 3 / 14 / hopf_at["param"]) * (1 + 2 * 3 / 14) / 2
    assert hopf_at["omega"] ** 2 == pytest.approx(0.3 * predator * 2 / (1 + 2 * 3 / 14) ** 2, rel=1e-9)
    assert (
        main(
            ["follow", FILE, "--param", "K", "--range", "0.3", "2", "--second", "m", "--range2", "0.1", "0.6", "--json"]
        )
        == 0
    )
    two = json.loads(capsys.readouterr().out)
    (curve,) = [c for c in two["curves"] if c["kind"] == "hopf"]
    m = np.array(curve["second"])
    np.testing.assert_allclose(curve["param"], 0.5 + m / (1 - m), rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", "KK", "--range", "0.1", "4"], "did you mean 'K'"),
        (["--param", "K", "--range", "0.1", "x"], "--range must be a number"),
        (["--param", "K", "--range", "0", "4"], "must lie in [0.01, 10]; got 0"),
        (["--param", "K", "--range", "1", "4", "--box", "prey"], "name=lo:hi"),
        (["--param", "K", "--range", "1", "4", "--second", "m"], "go together"),
        (["--param", "K", "--range", "1", "4", "--plot", "x.nope"], "cannot draw"),
    ],
)
def test_command_errors_are_one_line_and_exit_2(arguments, message, capsys):
    assert main(["follow", FILE, *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_partial_result_exits_3(capsys):
    assert main(["follow", "gated", "--param", "diversity", "--range", "1", "5"]) == 3
    assert "drift" in capsys.readouterr().err


def test_pictures():
    one = tm.follow(hopf(), "a", [-0.5, 0.5], params={"b": 1.0})
    two = tm.follow(cusp(), "a", [-1, 1], second="b", range2=[-1, 1])
    figure = Figure()
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    assert tm.plot.bifurcation_diagram(one, ax=left) is left
    tm.plot.stability_chart(two, ax=right)
    figure.canvas.draw()
    styles = {line.get_linestyle() for line in left.get_lines()}
    assert {"-", "--"} <= styles
    labels = {t.get_text() for t in left.get_legend().get_texts()}
    assert {"stable", "unstable", "Hopf", "fold of cycles", "cycle, extremes"} <= labels
    assert "cusp" in {t.get_text() for t in right.get_legend().get_texts()}
    assert left.get_xlim() == (-0.5, 0.5)
    with pytest.raises(ArgumentError, match="has no 'q'"):
        tm.plot.bifurcation_diagram(one, y="q")
    with pytest.raises(ArgumentError, match=r"in 2 parameter\(s\)"):
        tm.plot.stability_chart(one)


def test_coexistence_refuses_what_it_cannot_compare():
    data = tm.follow(cusp(), "a", [-1, 1])
    with pytest.raises(ModelError, match="no potential"):
        tm.coexistence(cusp(), data)
    with pytest.raises(ArgumentError, match="for the model"):
        tm.coexistence(hopf(), data)
    m = tm.gradient_flow(-a * x - b * x**2 / 2 + x**4 / 4, [x], params={a: 0.0, b: 1.0}, start={x: 0.1})
    pairs = tm.coexistence(m, tm.follow(m, "a", [-1, 1]))
    assert pairs["maxwell"].values == pytest.approx([0], abs=1e-12)
    np.testing.assert_allclose(
        [pairs["low"].item(), pairs["high"].item()], [-((4 / 27) ** 0.5), (4 / 27) ** 0.5], rtol=1e-9
    )
    assert abs(pairs["state_1"].item()) == pytest.approx(1, abs=1e-9)
    assert y not in m.flow


def test_a_level_branch_is_drawn_level():
    """What differs by rounding alone must not fill the axis."""
    from toymesa.plot import bifurcation_diagram

    data = tm.follow(model("rest", {x: -a * x, y: x - y}, a=1.0), "a", [0.5, 2.0])
    data["x"] = data["x"] + 1e-33 * np.arange(data.sizes["point"])
    figure = Figure()
    FigureCanvasAgg(figure)
    low, high = bifurcation_diagram(data, ax=figure.subplots()).get_ylim()
    assert (low, high) == pytest.approx((-0.5, 0.5))

"""Basins: exact separatrices and symmetries, attractors, brackets, shares, and what cannot be labelled."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import toymesa as tm
from toymesa.analyse.outcomes import End, outcomes_of
from toymesa.analyse.proportions import proportion
from toymesa.cli import main
from toymesa.plot import basin_figure, basin_map
from toymesa.theorems.mechanisms import gated_stop, separatrix

x, y = sp.symbols("x y", real=True)
GATED = tm.models.gated
GROWS = "(m - w)*sqrt(diversity*rate_d) + (d - rate_w/(rate_w + rate_m))*sqrt(rate_w + rate_m)"
SIGN = {"m": GROWS, "w": f"-({GROWS})"}
TIGHT = {"rtol": 1e-12, "atol": 1e-14}  # so that the solver's error is below the width of the brackets
OVER = {"m": (-1.0, 1.0, 21), "d": (-0.5, 1.5, 22)}
WELLS = tm.Model(name="wells", flow={x: sp.Symbol("mu", real=True) + x - x**3}, params={"mu": 0.0})
FALLS = tm.Model(name="falls", flow={x: x**2 - 1})
TURNS = tm.Model(name="turns", flow={x: y, y: -x}, start={y: 1})


def exact(found: xr.Dataset, **params: float) -> np.ndarray:
    m, d = found["start_m"].values[:, None], found["start_d"].values[None, :]
    return separatrix(0.0, m, d, diversity=4.0, **params)


def test_gated_gives_the_exact_separatrix_and_its_bracket():
    found = tm.basins(GATED, OVER, outcomes=SIGN, params={"rate_m": [1.0, 3.0]}, refine=1e-9, **TIGHT)
    for rate in (1.0, 3.0):
        sign = exact(found, rate_m=rate)
        assert np.array_equal(found["label"].sel(rate_m=rate).values, np.where(sign > 0, 0, 1))
    assert float(found["unresolved"].max()) == 0.0
    assert found["edge_done"].all()
    assert float(found["edge_width"].max()) <= 1e-9
    sides = separatrix(
        0.0, found["edge_m"], found["edge_d"], diversity=4.0, rate_m=found["edge_rate_m"].values[:, None]
    )
    assert (sides * np.where(found["edge_label"].values == 0, 1, -1) >= -1e-12).all()
    assert found.sizes["edge"] > 60


@settings(max_examples=12)
@given(st.tuples(*[st.floats(0.1, 10.0)] * 4), st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(-1.0, 2.0))
@example((4.0, 1.0, 1.0, 1.0), 0.0, 0.0, 0.5)
def test_the_label_is_the_sign_that_the_theorem_names(rates, w, m, d):
    names = ("diversity", "rate_w", "rate_m", "rate_d")
    params = dict(zip(names, rates, strict=True))
    found = tm.basins(GATED, {"d": [d, d + 0.25]}, outcomes=SIGN, params=params, start={"w": w, "m": m})
    sign = separatrix(w, m, np.array([d, d + 0.25]), **params)
    clear = np.abs(sign) > 1e-6  # the solver's error, seen from the start, is far below this
    assert np.array_equal(found["label"].values[clear], np.where(sign > 0, 0, 1)[clear])


@pytest.mark.parametrize(
    ("outcomes", "read"),
    [
        ({"m": "m > w", "w": "m < w"}, lambda e: e.m - e.w),
        ({"m": "d > 1/2", "w": "d < 1/2"}, lambda e: e.d - 0.5),
        ({"m": "d > rate_w/(rate_w + rate_m)", "w": "d < rate_w/(rate_w + rate_m)"}, lambda e: e.d - 0.25),
    ],
)
def test_other_labels_differ_from_the_kept_sign_and_are_what_the_solution_says(outcomes, read):
    # little passes in training of low diversity: most of what the start had is still there
    params = {"diversity": 0.2, "rate_m": 3.0}
    found = tm.basins(GATED, OVER, outcomes=outcomes, params=params)
    m, d = found["start_m"].values[:, None], found["start_d"].values[None, :]
    ends = gated_stop(0.0, w=0.0, m=m, d=d, **params)
    value = read(ends)
    clear = np.abs(value) > 1e-6
    assert np.array_equal(found["label"].values[clear], np.where(value > 0, 0, 1)[clear])
    sign = separatrix(0.0, m, d, **params)
    differ = (found["label"].values != np.where(sign > 0, 0, 1)).mean()
    assert 0.01 < differ < 0.5
    kept = tm.basins(GATED, OVER, outcomes=SIGN, params=params)
    assert np.array_equal(kept["label"].values, np.where(sign > 0, 0, 1))


def test_the_order_of_rate_times_reliance_is_kept_in_mechanisms():
    model = tm.models.mechanisms(("a", "b"))
    params = {"lam": 0.0, "mu": 0.0, "rate_b": 0.5, "diversity": [2.0, 40.0]}
    outcomes = {"a": "rate_a*p_a > rate_b*p_b", "b": "rate_a*p_a < rate_b*p_b"}
    found = tm.basins(model, {"p_a": (0.05, 0.95, 12)}, outcomes=outcomes, params=params, refine=1e-11, **TIGHT)
    assert np.array_equal(found["label"].values, np.tile(found["start_p_a"].values < 1 / 3, (2, 1)))
    assert found.sizes["edge"] == 2  # one boundary for each diversity, and it is the same: p_a = 1/3
    assert (found["edge_p_a"][:, 0] <= 1 / 3).all()
    assert (found["edge_p_a"][:, 1] >= 1 / 3).all()
    assert float(found["edge_width"].max()) <= 1e-11


def test_the_order_of_the_score_is_kept_under_decay_and_pressure():
    # p(0) = prior: each start brings its own description length, and the leader is that of log2 rate - bits for all time
    model = tm.models.mechanisms(("a", "b"))
    p = np.linspace(0.05, 0.95, 19)
    bits = xr.DataArray(np.log2((1 - p) / p), dims="start_p_a")
    params = {"bits_a": bits, "rate_b": 0.5, "lam": 0.02, "mu": 0.1, "diversity": [5.0, 50.0]}
    outcomes = {"a": "rate_a*p_a > rate_b*p_b", "b": "rate_a*p_a < rate_b*p_b"}
    score = 0.0 - bits.values > np.log2(0.5)
    for t in (0.5, 5.0, 50.0):
        found = tm.basins(model, {"p_a": p}, outcomes=outcomes, params=params, t=t)
        label = found["label"].transpose("diversity", "start_p_a").values
        assert np.array_equal(label, np.tile(np.where(score, 0, 1), (2, 1)))
    with pytest.raises(tm.DomainError, match="do not vary along the coordinates in over"):
        tm.basins(model, {"p_a": p}, outcomes=outcomes, params=params, t=5.0, refine=1e-3)


def test_exchanging_two_equal_mechanisms_exchanges_their_basins():
    model = tm.models.mechanisms(("a", "b", "c"))
    outcomes = {n: f"min({', '.join(f'p_{n} - p_{o}' for o in 'abc' if o != n)}) > 0" for n in "abc"}
    over = {"logit_a": (-1.0, 1.3, 8), "logit_b": (-1.0, 1.3, 8)}
    found = tm.basins(model, over, outcomes=outcomes, t=8.0, params={"diversity": 30.0, "mu": 0.02})
    label = found["label"].values
    swapped = np.select([label == 0, label == 1], [1, 0], label)
    off = ~np.eye(8, dtype=bool)  # on the diagonal two are equal for ever
    assert np.array_equal(label.T[off], swapped[off])
    assert set(np.unique(label[off])) == {0, 1, 2}


# ---------------------------------------------------------------- attractors without names


def test_attractors_are_gathered_and_named_by_their_state():
    found = tm.basins(WELLS, {"x": (-2.0, 2.0, 40)}, refine=1e-12)
    assert list(found["outcome"].values) == ["x = -1", "x = 1"]
    assert np.allclose(found["attractor"].values[:, 0], [-1, 1], atol=1e-8)
    assert (found["label"].values == (found["start_x"].values > 0)).all()
    low, high = found["edge_x"].values[0]
    assert low <= 0 <= high
    assert high - low <= 1e-12


def test_attractors_of_every_parameter():
    found = tm.basins(WELLS, {"x": (-2.0, 2.0, 11)}, params={"mu": [-1.0, 0.2]})
    roots = [np.roots([-1, 0, 1, mu]) for mu in (-1.0, 0.2)]
    expected = sorted([*roots[0][abs(roots[0].imag) < 1e-12].real, roots[1].real.min(), roots[1].real.max()])
    assert np.allclose(np.sort(found["attractor"].values[:, 0]), expected, atol=1e-7)
    assert found["count"].dims == ("mu", "outcome")
    assert (found["count"].sum("outcome") == 11).all()


def test_certified_fixed_points_are_outcomes():
    found = tm.basins(WELLS, {"x": [-2.0, -0.5, 0.0, 0.5]}, outcomes=tm.fixed_points(WELLS))
    assert list(found["outcome"].values) == ["x = -1", "x = 0", "x = 1"]
    assert found["label"].values.tolist() == [0, 0, 1, 2]


def test_a_surface_of_steady_states_is_one_attractor():
    found = tm.basins(GATED, {"m": (-1.0, 1.0, 6), "d": (-0.5, 1.5, 6)})
    assert list(found["outcome"].values) == ["a surface of steady states"]
    assert found["dimension"].values.tolist() == [2]


def test_a_line_of_steady_states_beside_an_isolated_one():
    # x = 0 is a line of steady states that attracts y < 1; above it everything goes to (1, 2)
    model = tm.Model(name="line", flow={x: -x + sp.Max(y - 1, 0), y: sp.Max(y - 1, 0) * (2 - y)}, start={x: 1})
    found = tm.basins(model, {"y": [-1.0, 0.0, 0.5, 1.5, 3.0]})
    assert list(found["outcome"].values) == ["a line of steady states", "x = 1, y = 2"]
    assert found["label"].values.tolist() == [0, 0, 0, 1, 1]


def test_what_has_no_end_is_unresolved_and_says_why():
    found = tm.basins(FALLS, {"x": [-3.0, 0.0, 1.5]})
    assert found["label"].values.tolist() == [0, 0, -1]
    assert found["status"].values[2] == tm.Status.BLOW_UP
    assert float(found["unresolved"]) == pytest.approx(1 / 3)
    named = tm.basins(FALLS, {"x": [-3.0, 0.0, 1.5]}, outcomes={"rest": {"x": -1.0}, "away": "blow_up"}, refine=1e-9)
    assert named["label"].values.tolist() == [0, 0, 1]
    assert named["edge_x"].values[0] == pytest.approx([1.0, 1.0], abs=1e-9)
    cycle = tm.basins(TURNS, {"x": [0.0, 1.0]}, max_steps=500)
    assert (cycle["label"] == -1).all()
    assert (cycle["status"] == tm.Status.NOT_STEADY).all()
    assert cycle.sizes["outcome"] == 0


def test_a_budget_leaves_the_rest_unresolved():
    found = tm.basins(WELLS, {"x": (0.5, 2.0, 3000)}, time_limit=1e-9)
    assert (found["label"].values[:256] == 0).all()
    assert (found["label"].values[256:] == -1).all()
    assert (found["status"].values[256:] == tm.Status.NOT_RUN).all()
    assert found.attrs["budget_spent"] == 1


def test_maps_and_periodic_ends():
    # x -> 3.2 x (1 - x) ends in a cycle of period 2, and in a phase of it at a given step
    model = tm.Model(name="logistic", flow={x: sp.Rational(16, 5) * x * (1 - x)}, discrete=True)
    assert tm.basins(model, {"x": [0.1, 0.4]}, max_steps=2000)["outcome"].values.tolist() == ["orbit of period 2"]
    phase = tm.basins(model, {"x": (0.05, 0.95, 19)}, outcomes={"up": "x > 0.65", "down": "x < 0.65"}, t=1000)
    value = np.linspace(0.05, 0.95, 19)
    for _ in range(1000):
        value = 3.2 * value * (1 - value)
    assert np.array_equal(phase["label"].values, np.where(value > 0.65, 0, 1))
    cubic = tm.Model(name="cubic", flow={x: x - (x**3 - x) / 2}, discrete=True)
    found = tm.basins(cubic, {"x": (-1.1, 1.1, 8)}, refine=1e-10, **TIGHT)
    assert list(found["outcome"].values) == ["x = -1", "x = 1"]
    assert np.abs(found["edge_x"].values).max() < 1e-10


# ---------------------------------------------------------------- shares and outcomes


def test_shares_of_random_starts_have_intervals_that_hold_the_truth():
    found = tm.basins(WELLS, {"x": (-1.0, 3.0)}, samples=2000, rng=3, outcomes={"up": "x > 0", "down": "x < 0"})
    assert found["fraction_low"].values[0] < 0.75 < found["fraction_high"].values[0]
    assert found["fraction"].values.sum() == 1.0
    again = tm.basins(WELLS, {"x": (-1.0, 3.0)}, samples=2000, rng=3, outcomes={"up": "x > 0", "down": "x < 0"})
    assert found["label"].identical(again["label"])


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.5, 0.999))
@example(0, 10, 0.95)
@example(10, 0, 0.95)
@example(0, 0, 0.95)
def test_intervals_are_those_of_scipy(hits, misses, level):
    total = hits + misses
    for mine, theirs in (("wilson", "wilson"), ("exact", "exact")):
        share, low, high = proportion(hits, total, level, mine)
        if total == 0:
            assert np.isnan([share, low, high]).all()
            continue
        truth = binomtest(hits, total).proportion_ci(level, method=theirs)
        assert [float(low), float(high)] == pytest.approx([truth.low, truth.high], abs=1e-12)
        assert 0 <= low <= share <= high <= 1


def test_every_kind_of_outcome_and_the_first_that_holds():
    z = sp.Symbol("x", real=True)
    point = SimpleNamespace(state={"x": 1.0})
    given_ = {
        "point": point,
        "text": "x > 3",
        "formula": "x - 2",
        "relation": z < -5,
        "function": lambda v: v["x"] < -1,
        "status": tm.Status.BLOW_UP,
    }
    named = outcomes_of(WELLS, given_)
    values = np.array([1.0005, 4.0, 2.5, -6.0, -2.0, np.nan, np.nan, 0.0])
    status = np.array([1, 1, 1, 1, 1, 4, 6, 1])
    label = named.label(End({"x": values, "mu": np.zeros(8), "t": np.zeros(8)}, status, values[:, None]))
    assert label.tolist() == [0, 1, 2, 3, 4, 5, -1, -1]
    assert outcomes_of(WELLS, [point, {"x": -1.0}]).names == ("x = 1", "x = -1")
    assert outcomes_of(WELLS, SimpleNamespace(points=[point])).names == ("x = 1",)
    always = outcomes_of(GATED, {"always": sp.true, "never": sp.false})
    end = End({n: np.zeros(2) for n in ("w", "m", "d")}, np.array([1, 4]), np.zeros((2, 3)))
    assert always.label(end).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "wells"}, tm.ArgumentError, "must be a toymesa Model; got str"),
        ({"over": {}}, tm.ArgumentError, r"over must be a mapping from state to starts, such as \{'x': \(0, 1, 41\)\}"),
        ({"over": {"xx": (0, 1, 5)}}, tm.ArgumentError, "no state 'xx'; did you mean 'x'"),
        ({"over": {"mu": (0, 1, 5)}}, tm.ArgumentError, "'mu' is a parameter of 'wells': give it in params"),
        ({"over": {"x": (0, 1)}}, tm.ArgumentError, "without a count"),
        ({"over": {"x": (1, 0, 5)}}, tm.DomainError, "low < high"),
        ({"over": {"x": (0, 1, 1)}}, tm.DomainError, "count of 'x' must be a whole number, from 2"),
        ({"over": {"x": [1, 0]}}, tm.DomainError, "must be rising"),
        ({"start": 3}, tm.ArgumentError, "start must be a mapping"),
        ({"model": TURNS, "over": dict.fromkeys("xy", (0, 1, 10000))}, tm.DomainError, "starts; use"),
        ({"start": {"x": 0}}, tm.ArgumentError, "in over and in start"),
        ({"outcomes": {}}, tm.ArgumentError, "outcomes must be a mapping"),
        ({"outcomes": {"a": "xx > 0"}}, tm.ExpressionError, "outcome 'a': column 1: unknown name 'xx'"),
        ({"outcomes": {"a": 3}}, tm.ArgumentError, "outcome 'a' must be a formula"),
        ({"outcomes": {"a": y > 0}}, tm.ArgumentError, "outcome 'a' uses unknown 'y'"),
        ({"outcomes": {"a": {"xx": 1}}}, tm.ArgumentError, "no state 'xx'"),
        ({"outcomes": {"a": lambda v: v["x"]}}, tm.ArgumentError, "must return one boolean a start"),
        ({"outcomes": {"unresolved": "x > 0"}}, tm.DomainError, "choose another"),
        ({"t": 1.0}, tm.ArgumentError, "without outcomes basins runs until steady"),
        ({"t": -1.0, "outcomes": {"a": "x > 0"}}, tm.DomainError, "t must be positive"),
        ({"refine": 0.0}, tm.DomainError, "refine must lie in"),
        ({"refine": 0.1, "samples": 5, "over": {"x": (0, 1)}}, tm.ArgumentError, "cannot be given with samples"),
        ({"level": 1.0}, tm.DomainError, "level must lie in"),
        ({"method": "closed"}, tm.DomainError, "must be auto, tsit5"),
        ({"outcome": {"a": "x > 0"}}, tm.ArgumentError, "did you mean 'outcomes'"),
    ],
)
def test_refusals(change, error, words):
    with pytest.raises(error, match=words):
        tm.basins(**{"model": WELLS, "over": {"x": (-1, 1, 3)}, **change})


def test_noise_is_sent_to_probabilities():
    noisy = tm.with_optimizer(WELLS, tm.GradientNoise(amplitudes={"x": 0.1}))
    with pytest.raises(tm.ArgumentError, match="from outcome_probabilities"):
        tm.basins(noisy, {"x": (-1, 1, 3)})


# ---------------------------------------------------------------- figure and command


def test_the_map_draws_labels_brackets_and_the_exact_line(tmp_path):
    found = tm.basins(GATED, OVER, outcomes=SIGN, refine=1e-6)
    line = xr.DataArray(exact(found), dims=("start_m", "start_d"))
    ax = basin_map(found, exact=line, against=found)
    mesh = ax.collections[0].get_array()
    assert np.array_equal(np.asarray(mesh).reshape(22, 21), found["label"].values.T)
    drawn = ax.lines[0].get_xydata()
    assert np.allclose(drawn[:, 0], found["edge_m"].mean("side"))
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    assert words[0].startswith("m (")
    assert words[2:] == ["labels differ (0.0%)", "exact separatrix", "measured boundary"]
    other = found.assign(label=found["label"].where(found["start_m"] > 0, -1))
    hatched = [c for c in basin_map(other, against=found).collections if c.get_hatch()]
    assert [c.get_hatch() for c in hatched] == ["///", "xxx"]
    assert all(
        c.get_alpha() is None and c.get_edgecolor().size for c in hatched
    )  # an alpha of 0 would hide the hatch too
    basin_figure(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000
    with pytest.raises(tm.ArgumentError, match="a figure is a .png, .svg or .pdf file"):
        basin_figure(found, tmp_path / "map.gif")
    with pytest.raises(tm.DomainError, match="needs two coordinates"):
        basin_map(tm.basins(WELLS, {"x": (-1, 1, 3)}))


def test_the_command_prints_the_shape_that_its_help_says(tmp_path, capsys):
    file = tmp_path / "wells.toml"
    file.write_text('name = "wells"\n[states]\nx = "mu + x - x**3"\n[params]\nmu = 0.0\n')
    assert main(["basins", str(file), "--over", "x=-2:2:4", "--refine", "1e-8", "--set", "mu=0.1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"model", "over", "outcomes", "unresolved", "labels", "complete", "notes", "boundary"}
    assert data["labels"] == [0, 0, 1, 1]
    assert set(data["outcomes"][0]) == {"name", "count", "fraction", "low", "high", "state", "period"}
    (edge,) = data["boundary"]
    middle = np.sort(np.roots([-1, 0, 1, 0.1]))[1]
    assert edge["low"]["x"] <= middle <= edge["high"]["x"]
    assert (edge["along"], edge["labels"], edge["done"]) == ("x", [0, 1], True)
    assert main(["basins", str(file), "--over", "x=-2:2", "--outcome", "up=x > 0"]) == 3
    page = capsys.readouterr().out
    assert "up" in page
    assert "unresolved: 0.5122 of the starts" in page
    assert (
        main(["basins", "gated", "--over", "m=-1:1", "--samples", "30", "--outcome", "m=m>w", "w=m<w", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["over"] == ["m"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gated", "--over is missing"),
        ("gated --over m", "--over takes name=lo:hi"),
        ("gated --over m=1", "--over takes name=lo:hi or name=lo:hi:count"),
        ("gated --over m=0:1:5 --samples 3", "name=lo:hi with --samples"),
        ("gated --over m=0:x", "--over m must be a number; got 'x'"),
        ("gated --over m=0:1:x", "the count must be a whole number; got 'x'"),
        ("gated --over m=0:1 m=0:2", "--over gives 'm' twice"),
        ("gated --over m=0:1 --outcome m", "--outcome takes name=formula"),
        ("gated --over m=0:1 --plot a.png", "--plot draws a map over two coordinates"),
    ],
)
def test_typos_on_the_command_line(line, words, capsys):
    assert main(["basins", *line.split()]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1

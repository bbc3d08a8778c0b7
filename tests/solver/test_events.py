"""Events: every crossing, by every method, against closed forms; and bits that depend on nothing but the trajectory."""

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, SolveError, ToymesaWarning
from toymesa.kernels.codes import LANES
from toymesa.kernels.columns import Columns
from toymesa.kernels.watched import Watch, joined
from toymesa.solver.events import events_of
from toymesa.status import Status
from toymesa.symbolic.model import TIME

x, y, v, a = sp.symbols("x y v a", real=True)
k = sp.Symbol("k", positive=True)
r = sp.symbols("r0:5", real=True)
METHODS = ["tsit5", "dop853", "rodas5p", *LANES]
CLOCK = tm.Model(
    name="clock", flow={x: 1 + 0 * x}, params=dict.fromkeys(r, 0.0), start={x: 0},
    observables={"product": sp.Mul(*[x - s for s in r])},
)  # fmt: skip
SWING = tm.Model(name="swing", flow={x: v, v: -(k**2) * x}, params={k: 1.0}, start={x: 1, v: 0})
LOGISTIC = tm.Model(
    name="logistic", flow={x: k * x * (1 - x)}, params={k: 1.0}, start={x: 0.1}, observables={"odds": x / (1 - x)}
)
BLOW = tm.Model(name="blow", flow={x: x**2}, start={x: 1})


def times_of(run, name):
    hits = run[f"event_{name}"].values
    return hits[np.isfinite(hits)]


def same(one, other):
    """Equal to the last bit, up to padding."""
    for name in one.data_vars:
        width = (
            min(p.sizes.get(d, 1) for p in (one, other) for d in p[name].dims if str(d).endswith("_index"))
            if any(str(d).endswith("_index") for d in one[name].dims)
            else None
        )
        left, right = one[name], other[name]
        if width is not None:
            (index,) = (d for d in left.dims if str(d).endswith("_index"))
            assert np.isnan(left.isel({index: slice(width, None)})).all()
            assert np.isnan(right.isel({index: slice(width, None)})).all()
            left, right = (p.isel({index: slice(width)}) for p in (left, right))
        np.testing.assert_array_equal(left.values, right.values)


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(st.lists(st.floats(0.01, 9.9), min_size=5, max_size=5), st.sampled_from([-1, 0, 1]), st.sampled_from([1, -1]))
@example([1.0, 1.00002, 5.0, 6.0, 9.0], 0, 1)
@example([1.0, 1.03, 1.06, 1.09, 1.12], 1, -1)
def test_all_roots_of_a_product_within_one_step(method, at, direction, way):
    """(t - r0) ... (t - r4), alternately rising and falling; the flow itself is done in a step or two."""
    at = np.sort(at)
    assume(np.diff(at).min() > 1e-5)
    assume(np.diff(at, 2).min() > -9)
    values = dict(zip([s.name for s in r], (way * at).tolist(), strict=True))
    run = tm.solve(
        CLOCK, [0.0, way * 10.0], params=values, events={"e": ("product", {"direction": direction})}, method=method
    )
    # from 0 on the first factor to change makes a product of five negative (or positive) factors one of four
    rising = np.arange(5) % 2 == (0 if way > 0 else 1)
    wanted = way * at[(direction == 0) | (rising == (direction > 0))]
    np.testing.assert_allclose(times_of(run, "e"), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run["event_e_state"].values.ravel(), wanted, rtol=0, atol=1e-12)
    assert int(run["event_e_count"]) == wanted.size


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(st.floats(0.05, 3.0), st.floats(0.11, 0.97))
def test_when_a_logistic_curve_meets_a_threshold(method, rate, level):
    run = tm.solve(
        LOGISTIC, [0.0, 12 / rate], params={"k": rate}, method=method, rtol=1e-9, atol=1e-11,
        events={"e": x - level, "odds": f"odds - {level / (1 - level)!r}", "late": ("k*t - 1", {"direction": 1})},
    )  # fmt: skip
    wanted = np.log(level / (1 - level) * 9) / rate
    np.testing.assert_allclose(times_of(run, "e"), [wanted], rtol=1e-7)
    np.testing.assert_allclose(times_of(run, "odds"), [wanted], rtol=1e-7)
    np.testing.assert_allclose(times_of(run, "late"), [1 / rate], rtol=1e-14)
    np.testing.assert_allclose(run["event_e_state"].values[0], [level], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_every_swing_is_counted(method):
    rates = np.array([0.3, 1.0, 7.0, 20.0])
    run = tm.solve(
        SWING, [20.0], params={"k": rates.tolist()}, method=method, rtol=1e-10, atol=1e-12,
        events={"zero": "x", "up": ("x", {"direction": 1}), "wave": "sin(9*x) - 0.2"},
    )  # fmt: skip
    for rate, line, up in zip(rates, run["event_zero"].values, run["event_up"].values, strict=True):
        wanted = (np.arange(np.floor(20 * rate / np.pi + 0.5)) + 0.5) * np.pi / rate
        np.testing.assert_allclose(line[np.isfinite(line)], wanted, rtol=1e-6)
        np.testing.assert_allclose(up[np.isfinite(up)], wanted[1::2], rtol=1e-6)
    levels = (np.arcsin(0.2) + 2 * np.pi * np.arange(-1, 2)), (np.pi - np.arcsin(0.2) + 2 * np.pi * np.arange(-1, 1))
    levels = np.concatenate(levels) / 9
    levels = levels[np.abs(levels) < 1]
    for rate, line in zip(rates, run["event_wave"].values, strict=True):
        turns = np.arange(-1, int(20 * rate / np.pi / 2) + 2)[:, None] * 2 * np.pi
        phases = np.sort(np.concatenate([turns + np.arccos(levels), turns - np.arccos(levels)], axis=None)) / rate
        wanted = phases[(phases > 0) & (phases < 20)]
        np.testing.assert_allclose(line[np.isfinite(line)], wanted, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("width", [0.3, 0.04])
def test_a_pulse_in_time_has_two_flanks(method, width):
    """No state takes part in it, and the step is as long as the flow allows."""
    pulse = sp.exp(-(((TIME - 3) / width) ** 2)) - sp.Rational(1, 2)
    run = tm.solve(LOGISTIC, [10.0], events={"e": pulse}, method=method, max_step=1.0, rtol=1e-6)
    np.testing.assert_allclose(times_of(run, "e"), 3 + width * np.sqrt(np.log(2)) * np.array([-1, 1]), rtol=1e-13)


# ---------------------------------------------------------------- what is a crossing


@pytest.mark.parametrize("method", METHODS)
def test_zeros_that_are_no_crossings_and_crossings_that_are_no_zeros(method):
    run = tm.solve(
        CLOCK, [0.0, 4.0], method=method, max_step=0.5, first_step=0.5,
        events={
            "start": "x", "cube": "x*(x - 1/3)", "joint": "x - 1", "hour": "t - 1", "late": "(x - 1)**3", "touch": "(x - 1.3)**2",
            "same": "r0*x", "jump": "sign(x - 1.7)", "kink": "abs(x - 2) - 0.25", "pair": "(x - 1.3)**2 - 1e-8",
            "pole": "1/(x - 1.9)", "flat": "max(min(x - 1, 0), x - 3)",
        },
    )  # fmt: skip
    wanted = {
        "start": [], "cube": [1 / 3], "joint": [1.0], "hour": [1.0], "late": [1.0], "touch": [], "same": [], "jump": [1.7],
        "kink": [1.75, 2.25], "pair": [1.2999, 1.3001], "pole": [],
    }  # fmt: skip
    for name, hits in wanted.items():
        np.testing.assert_allclose(times_of(run, name), hits, rtol=1e-11, err_msg=name)
    (flat,) = times_of(run, "flat")
    assert 1 - 1e-12 < flat < 3
    assert times_of(run, "hour").tolist() == [1.0]


@pytest.mark.parametrize("method", METHODS)
def test_terminal_events(method):
    times = [0.0, 1.0, 2.0, 3.0]
    events = {
        "half": (x - sp.Rational(1, 2), {"terminal": True}),
        "fifth": "x - 0.2",
        "most": "x - 0.9",
        "lost": "log(0.7 - x)",
    }
    run = tm.solve(LOGISTIC, times, events=events, method=method)
    assert int(run["status"]) == Status.OK
    np.testing.assert_allclose(times_of(run, "half"), [np.log(9)], rtol=1e-7)
    np.testing.assert_allclose(times_of(run, "fifth"), [np.log(9 / 4)], rtol=1e-7)
    assert times_of(run, "most").size == 0
    np.testing.assert_array_equal(np.isnan(run["x"].values), [False, False, False, True])
    np.testing.assert_allclose(run["x"].values[:3], 1 / (1 + 9 * np.exp(-np.array(times[:3]))), rtol=1e-6)
    falling = tm.solve(LOGISTIC, times, events={"e": (x - 0.5, {"terminal": True, "direction": -1})}, method=method)
    assert np.isfinite(falling["x"].values).all()
    saved = tm.solve(BLOW, [0.5, 0.9, 2.0], events={"e": (x - 1000, {"terminal": True})}, method=method)
    assert int(saved["status"]) == Status.OK
    np.testing.assert_allclose(times_of(saved, "e"), [0.999], rtol=1e-6)
    with pytest.raises(SolveError, match="blow_up"):
        tm.solve(BLOW, [0.5, 2.0], events={"e": (x + 1000, {"terminal": True}), "seen": x - 1000}, method=method)
    back = tm.solve(LOGISTIC, [-1.0, -9.0], events={"e": (x - sp.Rational(1, 100), {"terminal": True})}, method=method)
    np.testing.assert_allclose(times_of(back, "e"), [np.log(9 / 99)], rtol=1e-7)
    assert np.isnan(back["x"].values).tolist() == [False, True]


@pytest.mark.parametrize("method", ["auto", "rodas5p-lanes", "rodas5p"])
def test_until_steady_or_a_terminal_event(method):
    run = tm.solve(LOGISTIC, until="steady", params={"k": [1.0, 2.0]}, method=method, events={"e": "x - 0.5"})
    assert (run["status"] == Status.OK).all()
    np.testing.assert_allclose(run["event_e"].values[:, 0], np.log(9) / [1, 2], rtol=1e-7)
    np.testing.assert_allclose(run["x"], 1.0, rtol=1e-6)
    ended = tm.solve(LOGISTIC, until="steady", method=method, events={"e": (x - 0.5, {"terminal": True})})
    assert ended["t_steady"].item() == ended["event_e"].item() == pytest.approx(np.log(9), rel=1e-7)
    assert ended["x"].item() == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_an_event_that_is_no_number_is_named(method):
    events = {
        "fine": "x - 0.3",
        "gone": "log(0.6 - x)",
        "some": "max(log(0.8 - x), -9)",
        "other": "min(2, log(0.9 - x))",
    }
    for lost in ("some", "other"):
        with pytest.raises(SolveError, match=f"{lost} is not a finite number"):
            tm.solve(LOGISTIC, [0.0, 9.0], events={lost: events[lost]}, method=method)
    run = tm.solve(LOGISTIC, [0.0, 9.0], params={"k": [0.01, 1.0]}, events=events, method=method)
    assert run["status"].values.tolist() == [Status.OK, Status.OVERFLOW]
    assert run["event_fine_count"].values.tolist() == [0, 1]
    with pytest.raises(SolveError, match="gone is not a finite number"):
        tm.solve(LOGISTIC, [0.0, 9.0], events=events, method=method)


@pytest.mark.parametrize("method", ["dop853-lanes", "tsit5-lanes", "lanes", "rodas5p-lanes", "taylor-lanes"])
def test_a_lane_that_rounding_let_stop_goes_on(method):
    """1e-13 before the event at the start, which is the start's own zero: the sure sign of the first step is none."""
    model = tm.Model(name="ahead", flow={x: 1 + 0 * x}, start={x: -sp.Float(1e-13)})
    run = tm.solve(model, [1.0], events={"e": (x, {"terminal": True})}, first_step=1e-5, method=method)
    assert int(run["event_e_count"]) == 0
    assert run["x"].values[-1] == pytest.approx(1.0)


def test_what_no_lane_can_watch_is_watched_alone():
    run = tm.solve(LOGISTIC, [5.0], events={"e": sp.besselj(0, 3 * x) - sp.Rational(1, 5)})
    assert "lanes" not in run.attrs["method"]
    from scipy.optimize import brentq
    from scipy.special import jv

    level = brentq(lambda z: jv(0, 3 * z) - 0.2, 0.2, 0.9)
    np.testing.assert_allclose(times_of(run, "e"), [np.log(9 * level / (1 - level))], rtol=1e-7)
    with pytest.raises(ArgumentError, match=r"events\['e'\] has a function without a form in method 'tsit5-lanes'"):
        tm.solve(LOGISTIC, [5.0], events={"e": sp.besselj(0, x)}, method="tsit5-lanes")
    tied = tm.Model(name="tied", flow={x: a, a: -2 * x * a}, start={x: 0.5, a: 0.75}, algebraic={a: a - 1 + x**2})
    run = tm.solve(tied, [3.0], events={"e": "a - 0.5"})
    np.testing.assert_allclose(times_of(run, "e"), [np.arctanh(np.sqrt(0.5)) - np.arctanh(0.5)], rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_events_of_time_or_of_parameters_alone(method):
    run = tm.solve(
        LOGISTIC, [1.0], method=method, events={"t": "t - 0.3", "k": "k - 2", "one": sp.Integer(1), "none": "0"}
    )
    assert times_of(run, "t") == pytest.approx([0.3], rel=1e-15)
    assert all(int(run[f"event_{e}_count"]) == 0 for e in ("k", "one", "none"))
    still = tm.solve(LOGISTIC, [0.0], method=method, events={"e": "x - 0.1"})
    assert int(still["event_e_count"]) == 0
    assert int(still["status"]) == Status.OK


def test_what_lanes_give_up_keeps_its_events():
    """A pivot is lost: the first trajectory starts again outside the lanes, the second stays in them."""
    step, gamma = 0.25, 0.21193756319429014
    model = tm.Model(
        name="pivot", flow={x: k * x - 2 * k * y, y: 2 * k * x - k * y}, params={k: 1.0}, start={x: 1, y: 1}
    )
    run = tm.solve(
        model, [step], params={"k": [1 / (step * gamma), 1.0]}, events={"e": "x - 0.9"}, method="rodas5p-lanes",
        first_step=step, max_step=step, rtol=1e3, atol=1e3,
    )  # fmt: skip
    assert run.attrs["method"] == "rodas5p-lanes+rodas5p"
    assert (run["event_e_count"] >= 1).all()
    np.testing.assert_allclose(run["event_e_state"].sel(state="x").values[:, 0], 0.9, rtol=1e-12)
    root = float(sp.nsolve(sp.cos(sp.sqrt(3) * x) - sp.sin(sp.sqrt(3) * x) / sp.sqrt(3) - sp.Rational(9, 10), x, 0.1))
    assert run["event_e"].values[1, 0] == pytest.approx(root, rel=1e-4)


def test_more_events_than_bits():
    events = {f"e{i}": x - (i + 0.5) / 10 for i in range(54)}
    run = tm.solve(CLOCK, [10.0], events=events)
    for i in range(54):
        np.testing.assert_allclose(times_of(run, f"e{i}"), [(i + 0.5) / 10], rtol=1e-14)


# ---------------------------------------------------------------- one answer


@pytest.mark.parametrize("name", ["gated", "mechanisms", "race"])
def test_models_against_one_trajectory_at_a_time(name):
    model = tm.models.MODELS[name]()
    free = model.with_(closed_forms=())
    rest = tm.solve(free, 6.0, rtol=1e-11, atol=1e-13)
    names = model.state_names[:2]
    events = {f"e{i}": model.state(n) - float(rest[n].values[[60, 140]].mean()) for i, n in enumerate(names)}
    events["both"] = sp.tanh(model.state(names[0])) * events["e1"] if len(names) > 1 else events["e0"]
    wanted = tm.solve(free, [6.0], events=events, method="dop853", rtol=1e-11, atol=1e-13)
    for method in ("auto", "rodas5p-lanes"):
        run = tm.solve(free, [6.0], events=events, method=method, rtol=1e-9, atol=1e-11)
        assert "lanes" in run.attrs["method"]
        for e in events:
            np.testing.assert_allclose(times_of(run, e), times_of(wanted, e), rtol=1e-6)


@pytest.mark.parametrize("stiffness", [50.0, 1000.0])
def test_crossings_on_both_sides_of_a_hand_over(stiffness):
    """Van der Pol's oscillator turns stiff and back."""
    model = tm.Model(name="vdp", flow={x: v, v: k * (1 - x**2) * v - x}, params={k: 1.0}, start={x: 2, v: 0})
    run, one = (
        tm.solve(
            model,
            [3 * stiffness],
            params={"k": stiffness},
            events={"e": x, "one": x - 1.1},
            method=m,
            rtol=1e-9,
            atol=1e-11,
        )
        for m in ("lanes", "rodas5p")
    )
    assert "rodas5p" in run.attrs["method"]
    assert times_of(one, "e").size >= 3
    for e in ("e", "one"):
        np.testing.assert_allclose(times_of(run, e), times_of(one, e), rtol=1e-6)


@pytest.mark.parametrize("method", ["auto", "tsit5-lanes", "dop853-lanes", "rodas5p-lanes", "taylor-lanes"])
@pytest.mark.parametrize("times", [[5.0], [0.0, 1.0, 2.5, 5.0]])
def test_bits_depend_on_the_trajectory_alone(method, times):
    """In any batch, on any number of threads, next to lanes that blow up or are no numbers to begin with."""
    rng = np.random.default_rng(7)
    model = tm.Model(
        name="mixed", flow={x: k * x * (1 - x) + y**2 * x, y: y**2}, params={k: 1.0}, start={x: 0.1, y: 0.0}
    )
    rate, y0 = rng.uniform(0.2, 5.0, 3000), np.zeros(3000)
    y0[::7] = rng.uniform(0.25, 2.0, y0[::7].size)  # blow up within the time
    rate[3::50] = np.nan
    events = {
        "half": "x - 0.5",
        "wave": "sin(30*x) - 0.123",
        "stop": ("x*y - 40", {"terminal": True}),
        "gone": "log(0.95 - x)",
    }

    def solved(rows, **more):
        given_ = {n: xr.DataArray(c[rows], dims="cell") for n, c in (("k", rate), ("y", y0))}
        return tm.solve(
            model, times, params={"k": given_["k"]}, start={"y": given_["y"]}, events=events, method=method, **more
        )

    every = solved(np.arange(3000))
    assert {Status.OK, Status.BAD_PARAM, Status.OVERFLOW} <= set(every["status"].values.tolist())
    assert int(every["event_half_count"].sum()) > 2000
    same(every, solved(np.arange(3000), threads=1))
    for rows in (np.array([0]), np.array([7]), np.array([8]), np.arange(40, 90), np.arange(5, 3000, 211)):
        some = solved(rows)
        same(some, every.isel(cell=rows))


@settings(max_examples=20)
@given(st.floats(0.05, 0.95), st.floats(0.5, 30.0), st.sampled_from(["tsit5", "dop853", "rodas5p"]))
def test_lanes_and_one_at_a_time_find_the_same(level, wave, method):
    events = {"e": sp.sin(wave * x) - level, "f": sp.cos(wave * TIME) - v, "g": x * v - level / 3}
    one, lane = (
        tm.solve(SWING, [7.0], events=events, method=m, rtol=1e-10, atol=1e-12) for m in (method, f"{method}-lanes")
    )
    for e in events:
        assume(abs(abs(np.sin(wave)) - level) > 1e-3)  # the turning points of x
        np.testing.assert_allclose(times_of(lane, e), times_of(one, e), rtol=0, atol=1e-4 if e == "f" else 1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", [None, 0.9])
def test_what_is_no_number_only_behind_the_end(method, first):
    """The terminal event keeps log(4 - 3 t) in its domain, within one step too, and what is there before the end is found."""
    events = {"stop": ("x - 6/5", {"terminal": True}), "log": "log(4 - 3*x) + 1/3", "gap": "sqrt(1 - x) - 1/4"}
    run = tm.solve(CLOCK, [0.0, 5.0], method=method, first_step=first, events={n: events[n] for n in ("stop", "log")})
    assert run["status"] == Status.OK
    np.testing.assert_allclose(times_of(run, "stop"), [1.2], rtol=1e-9)
    np.testing.assert_allclose(times_of(run, "log"), [(4 - np.exp(-1 / 3)) / 3], rtol=1e-9)
    lost = tm.solve(CLOCK, [0.0, 5.0], method=method, first_step=first, events=events, on_fail="status")
    assert lost["status"] == Status.OVERFLOW


@pytest.mark.parametrize("method", ["auto", "dop853"])
def test_more_crossings_than_a_step_can_tell_apart(method):
    decay = tm.Model(name="decay", flow={x: -x}, start={x: 1})
    out = tm.solve(decay, 10.0, method=method, events={"beat": "sin(3000*t + 1/10)"})
    assert int(out["event_beat_count"]) == int(30000.1 / np.pi)
    with pytest.warns(ToymesaWarning, match="event 'beat' .* in 1 of 1 cells; a shorter max_step") as told:
        tm.solve(decay, 10.0, method=method, events={"beat": "sin(100000*t + 1/10)"})
    assert told[0].filename == __file__
    exact = tm.solve(decay, 1.0, method=method, max_step=0.05, events={"beat": "sin(100000*t + 1/10)"})
    assert int(exact["event_beat_count"]) == int(100000.1 / np.pi)


def test_what_is_always_zero_takes_no_memory():
    events = events_of(CLOCK, {"zero": "r0*x", "one": "x - 1"})
    from toymesa.kernels.batch import Controls, run_batch
    from toymesa.kernels.generate import compile_model

    for method in ("lanes", "dop853"):
        watch = Watch(CLOCK, events, 3, 1.0)
        run_batch(
            compile_model(CLOCK), np.array([4.0]), np.zeros((3, 1)), np.zeros((3, 5)),
            Controls(method=method, max_step=0.1), watch=watch,
        )  # fmt: skip
        assert joined(watch.steps, 1).rows.tolist() == [0, 1, 2]
        assert watch.values(events[1], watch.steps[0], np.array([0]), np.array([1.0]), Columns(3, [0.0] * 5)).shape == (
            1,
        )

"""``solve``: routes, labels, events, statuses."""

import json

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import DomainError, SolveError
from toymesa.status import Status

x = sp.Symbol("x", real=True)
k = sp.Symbol("k", positive=True)
DECAY = tm.Model(
    name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1}, observables={"square": x**2},
    closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}),),
)  # fmt: skip
OPEN = DECAY.with_(closed_forms=())


def test_labels():
    run = tm.solve(DECAY, [0, 1], params={"k": [1.0, 2.0]}, start={"x": [1.0, 3.0, 5.0]})
    assert dict(run.sizes) == {"k": 2, "start_x": 3, "time": 2}
    assert run["x"].sel(k=2.0, start_x=3.0, time=1).item() == pytest.approx(3 * np.exp(-2))
    assert run.attrs["method"] == "closed"
    assert json.loads(run.attrs["params"]) == {"k": [1.0, 2.0]}
    assert (run["status"] == Status.OK).all()


def test_shared_dimensions_and_draws():
    pair = xr.DataArray([1.0, 2.0], dims="case")
    run = tm.solve(DECAY, [1.0], params={k: pair}, start={"x": pair})
    assert run["x"].dims == ("case", "time")
    drawn = [tm.solve(DECAY, [0.0], start={"x": lambda g: g.normal(size=4)}, rng=7) for _ in range(2)]
    np.testing.assert_array_equal(drawn[0]["x"], drawn[1]["x"])
    assert drawn[0].attrs["seed"] == 7


def test_what_is_given_stays_apart_from_the_result():
    """Arrays are read without a copy, but a result has its own memory, coordinates included."""
    value, label = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    given = xr.DataArray(value, dims="case", coords={"case": [3.0, 4.0], "label": ("case", label)})
    for method in ("auto", "lanes", "dop853"):
        run = tm.solve(DECAY, [1.0], params={k: given}, start={"x": given}, method=method)
        mine = [value, *(given[n].values for n in ("case", "label"))]
        assert not any(np.shares_memory(run[n].values, a) for n in run.variables for a in mine)
        np.testing.assert_array_equal(run["label"], label)


def test_what_is_computed_late_is_computed_once():
    calls = []

    class Late:
        """An array whose numbers are made when they are asked for."""

        shape, dtype, ndim = (2,), np.dtype(float), 1

        def __array__(self, dtype=None, copy=None):
            calls.append(1)
            return np.array([1.0, 2.0]) * len(calls)

        def __array_function__(self, *arguments):
            return NotImplemented

        def __array_ufunc__(self, *arguments):
            return NotImplemented

    given = xr.DataArray(Late(), dims="case")
    calls.clear()
    run = tm.solve(DECAY, [1.0], params={k: given})
    assert len(calls) == 1
    assert json.loads(run.attrs["params"]) == {"k": [1.0, 2.0]}
    np.testing.assert_allclose(run["x"].values[:, 0], np.exp([-1.0, -2.0]))


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p", "auto"])
def test_methods_agree_with_the_closed_form(method):
    run = tm.solve(OPEN, 5.0, method=method)
    np.testing.assert_allclose(run["x"], np.exp(-run["time"]), rtol=1e-6)
    assert run.sizes["time"] == 201


def test_backward_two_halves_and_steady():
    back = tm.solve(OPEN, [0.0, -1.0])
    assert back["x"].values[-1] == pytest.approx(np.e, rel=1e-7)
    first = tm.solve(OPEN, [1.0])["x"].item()
    second = tm.solve(OPEN, [1.0], start={"x": first})["x"].item()
    assert second == pytest.approx(tm.solve(OPEN, [2.0])["x"].item(), rel=1e-7)
    logistic = tm.Model(name="logistic", flow={x: x * (1 - x)}, start={x: 0.1})
    rest = tm.solve(logistic, until="steady")
    assert "time" not in rest.dims
    assert rest["x"].item() == pytest.approx(1.0, abs=1e-6)


def test_every_crossing_is_found():
    v = sp.Symbol("v", real=True)
    swing = tm.Model(name="swing", flow={x: v, v: -100 * x}, start={x: 1})
    run = tm.solve(swing, 5.0, events={"zero": "x", "up": ("x", {"direction": 1})})
    expected = (np.arange(16) + 0.5) * np.pi / 10
    np.testing.assert_allclose(run["event_zero"], expected, atol=1e-6)
    assert int(run["event_up_count"]) == 8
    # several crossings inside one long step of a slow flow
    slow = tm.Model(name="slow", flow={x: sp.Integer(1) + 0 * x}, start={x: 0})
    hits = tm.solve(slow, 10.0, events={"wave": sp.sin(3 * x) - sp.Rational(1, 5)})
    assert int(hits["event_wave_count"]) == 10
    ended = tm.solve(OPEN, [1.0, 2.0], events={"half": (x - sp.Rational(1, 4), {"terminal": True})})
    assert np.isnan(ended["x"].values[1])
    assert ended["event_half"].item() == pytest.approx(np.log(4), rel=1e-7)


def test_failures_are_statuses_in_a_batch_and_raise_alone():
    blow = tm.Model(name="blow", flow={x: k * x**2}, params={k: 1.0}, start={x: 1})
    run = tm.solve(blow, [0.5, 2.0], params={"k": [0.1, 1.0, -1.0]})
    assert run["status"].values.tolist() == [Status.OK, Status.BLOW_UP, Status.BAD_PARAM]
    with pytest.raises(SolveError, match="blow_up at t = 1") as caught:
        tm.solve(blow, 2.0)
    assert caught.value.status == "blow_up"


def test_closed_says_which_condition_fails():
    model = tm.models.mechanisms(("a", "b"))
    with pytest.raises(DomainError, match="its condition .* does not hold"):
        tm.solve(model, 1.0, method="closed", start={"p_a": 0.6, "p_b": 0.4})
    with pytest.raises(DomainError, match="must satisfy"):
        tm.solve(model, 1.0, start={"p_a": 0.6, "p_b": 0.6})
    filled = tm.solve(model, [0.0], start={"p_a": 0.6})
    assert filled["p_b"].item() == pytest.approx(0.4)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 30), st.floats(0.2, 3), st.floats(0.2, 3), st.floats(-0.3, 0.3), st.floats(0.1, 0.9))
def test_gated_in_internal_time_is_the_flow(n, rate_w, rate_m, w, d):
    given = {"params": {"diversity": n, "rate_w": rate_w, "rate_m": rate_m}, "start": {"w": w, "d": d}}
    times = [0.0, 0.3, 1.0, 4.0]
    exact = tm.solve(tm.models.gated, times, method="closed", **given)
    numeric = tm.solve(tm.models.gated, times, method="dop853", rtol=1e-10, atol=1e-12, **given)
    assert exact.attrs["method"] == "closed (internal time)"
    for s in ("w", "m", "d"):
        np.testing.assert_allclose(exact[s], numeric[s], rtol=1e-7, atol=1e-8)


def test_internal_time_keeps_its_accuracy_at_convergence():
    # equal rates and start, d = 1/2: y = s/2 (per unit rate), so 1 - y = exp(-t/2) exactly
    run = tm.solve(tm.models.gated, [10.0, 50.0, 54.0], start={"d": 0.5}, method="closed")
    left = [float(1 - mp.mpf(w)) for w in run["w"].values]
    np.testing.assert_allclose(left, np.exp(-run["time"].values / 2), atol=1e-15)


def internal_time_model(rate):
    """x' = g(x), which is its own internal time: x(s) = x0 + s."""
    s = sp.Symbol("s", nonnegative=True)
    form = tm.InternalTimeForm(states={x: tm.at_start(x) + s}, rate=rate.subs(x, tm.at_start(x) + s), internal=s)
    params = {k: 1.0} if rate.has(k) else {}
    return tm.Model(name="inner", flow={x: rate}, params=params, start={x: 0}, closed_forms=(form,))


def test_a_double_root_left_of_a_plain_one_in_the_same_window_is_the_first():
    # one window of the scan reaches from 1.7 to 5.1 in steps of 0.03: the sign change at 5 is on it, the dip is not
    touching = (x - sp.Rational(206, 100)) ** 2 - sp.Rational(4, 10**6)
    end = tm.solve(internal_time_model(touching * (5 - x)), until="steady", method="closed")["x"].item()
    assert end == pytest.approx(2.058, rel=1e-12)


def test_a_rate_without_a_root_is_a_status_of_its_cell():
    endless = internal_time_model(sp.exp(-x) - (k - 1))  # a root for k > 1 alone
    run = tm.solve(endless, [0.0, 1.0], params={"k": [0.5, 1.5]}, method="closed")
    assert run["status"].values.tolist() == [Status.NOT_STEADY, Status.OK]
    assert np.isnan(run["x"].values[0]).all()
    numeric = tm.solve(endless.with_(closed_forms=()), [0.0, 1.0], params={"k": 1.5})
    np.testing.assert_allclose(run["x"].values[1], numeric["x"].values, rtol=1e-6)
    # left to itself solve takes a numerical method, which needs no end
    auto = tm.solve(endless, [0.0, 1.0], params={"k": [0.5, 1.5]})
    assert (auto["status"] == Status.OK).all()
    np.testing.assert_allclose(auto["x"].values[0, 1], np.log(3 * np.exp(0.5) - 2), rtol=1e-6)
    with pytest.raises(SolveError, match="not_steady"):
        tm.solve(endless, [1.0], params={"k": 0.5}, method="closed")


def test_an_interpolant_that_leaves_the_domain_of_the_rate_shortens_the_step():
    u = sp.Symbol("u", positive=True)
    model = tm.Model(name="gompertz", flow={u: -u * sp.log(u)}, start={u: 1e-100})
    times = np.linspace(0.0, 10.0, 41)
    run = tm.solve(model, times, method="dop853", on_fail="status", rtol=1e-9, atol=1e-11)
    assert np.isfinite(run["u"].values).all() == (int(run["status"]) == Status.OK)
    fine = tm.solve(model, times, method="dop853", rtol=1e-9, atol=1e-200)
    np.testing.assert_allclose(fine["u"].values, np.exp(np.log(1e-100) * np.exp(-times)), rtol=1e-6)


def test_cross_check_says_which_method_fails_on_the_way():
    y = sp.Symbol("y", real=True)
    stiff = tm.Model(name="stiff", flow={x: -1e7 * (x - y), y: -y}, start={x: 2, y: 1})
    rows = {r["name"]: r for r in tm.cross_check(stiff)}
    assert not rows["tsit5 does not get there (step_limit)"]["ok"]
    assert rows["auto against rodas5p"]["ok"]
    grows = tm.Invariant(expr=x)
    rows = tm.cross_check(tm.Model(name="grows", flow={x: x**2}, start={x: 2}, invariants={"x": grows}))
    assert {"invariant x: the solution does not get there (blow_up)"} <= {r["name"] for r in rows}


def test_cross_check_has_a_row_for_a_condition_that_is_not_met():
    limited = DECAY.with_(
        closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}, conditions=(sp.Gt(k, 2),)),)
    )
    rows = tm.cross_check(limited)
    failed = [r for r in rows if not r["ok"]]
    assert len(failed) == 1
    assert "its condition k > 2 does not hold (k = 1)" in failed[0]["name"]
    assert all(r["ok"] for r in tm.cross_check(limited, params={"k": 3.0}))


@pytest.mark.parametrize("name", ["gated", "mechanisms"])
def test_cross_checks_pass(name):
    rows = tm.cross_check(tm.models.MODELS[name]())
    assert len(rows) > 5
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


def test_cross_check_can_fail():
    wrong = DECAY.with_(closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME * 1.001)}),))
    assert not all(r["ok"] for r in tm.cross_check(wrong))
    drifting = DECAY.with_(invariants={"x": tm.Invariant(expr=x)})
    assert not all(r["ok"] for r in tm.cross_check(drifting))


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
@pytest.mark.parametrize("rate", [1e4, 1e9])
def test_between_the_steps_a_stiff_solution_keeps_the_tolerance_too(rate, rtol):
    slaved = tm.Model(name="slaved", flow={x: -k * (x - sp.cos(tm.TIME))}, params={k: 1.0}, observables={"o": x})
    run = tm.solve(slaved, t=np.linspace(0, 5, 201), params={"k": rate}, rtol=rtol)
    t = run["time"].values
    exact = (rate**2 * np.cos(t) + rate * np.sin(t) - rate**2 * np.exp(-rate * t)) / (rate**2 + 1)
    assert "rodas5p" in run.attrs["method"]
    np.testing.assert_allclose(run["x"].values, exact, rtol=0, atol=3 * rtol)

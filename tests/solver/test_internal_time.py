"""Internal time in many rows at once: known roots and clocks, the same bits in any company, a status where it is lost."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.solver.internal_time import clocks as clocks_module
from toymesa.solver.internal_time import states as states_module
from toymesa.solver.internal_time.pieces import clocks
from toymesa.solver.internal_time.roots import first_roots
from toymesa.status import Status

x = sp.Symbol("x", real=True)
k = sp.Symbol("k", real=True)
MOMENTS = [0.0, 1e-3, 0.3, 2.0, 40.0, 1e9]
TIMES = np.array([0.0, *np.geomspace(1e-12, 1e12, 25), math.inf])


def own_clock(rate):
    """x' = g(x), which is its own internal time: x(s) = x0 + s."""
    s = sp.Symbol("s", nonnegative=True)
    form = tm.InternalTimeForm(states={x: tm.at_start(x) + s}, rate=rate.subs(x, tm.at_start(x) + s), internal=s)
    return tm.Model(name="inner", flow={x: rate}, params={k: 1.0}, start={x: 0}, closed_forms=(form,))


def drawn(name, rows, seed):
    """A model, and parameters and starts of many cells that differ in everything."""
    rng = np.random.default_rng(seed)

    def powers(low, high):
        return 10 ** rng.uniform(low, high, rows)

    def inside(low, high):
        return rng.uniform(low, high, rows)

    if name == "gated":
        params = {"diversity": powers(-1, 2), **{f"rate_{s}": powers(-1, 1) for s in "wmd"}}
        return tm.models.gated, params, {"w": inside(-0.4, 0.4), "m": inside(-0.4, 0.4), "d": inside(0, 1)}
    if name == "power_split":
        params = {"power": powers(2, 4), "instances": powers(-0.5, 1), "exponent": inside(1.5, 4)}
        return tm.models.power_split(), params, {}
    rates = {f"rate_m{i}": powers(-1, 1) for i in (1, 2)}
    return tm.models.race([2, 2.5]), {"scale": powers(-6, -0.5), "bits_m2": inside(0, 9), **rates}, {}


def columns(given):
    return {n: xr.DataArray(v, dims="cell") for n, v in given.items()}


def solved(model, params, start, rows=slice(None), **how):
    cut = [{n: v[rows] for n, v in g.items()} for g in (params, start)]
    run = tm.solve(model, MOMENTS, params=columns(cut[0]), start=columns(cut[1]), **how)
    return np.stack([run[n].values for n in model.state_names]), run["status"].values, run.attrs["method"]


@pytest.mark.parametrize("name", ["gated", "race", "power_split"])
def test_a_cell_has_the_same_bits_alone_and_in_any_company(name, monkeypatch):
    model, params, start = drawn(name, 40, seed=1)
    whole, status, method = solved(model, params, start, method="closed")
    assert method == "closed (internal time)"
    assert (status == Status.OK).all()
    for row in range(0, 40, 5):
        alone, _, _ = solved(model, params, start, slice(row, row + 1), method="closed")
        assert np.array_equal(whole[:, row], alone[:, 0])
    part, _, _ = solved(model, params, start, slice(3, 30), method="closed", threads=1)
    assert np.array_equal(whole[:, 3:30], part)
    for rows, points, threads in ((1, 1 << 16, 2), (7, 100, 1), (16, 13, 2)):
        monkeypatch.setattr(states_module, "_ROWS", rows)
        monkeypatch.setattr(clocks_module, "_POINTS", points)
        assert np.array_equal(whole, solved(model, params, start, method="closed", threads=threads)[0])


@pytest.mark.parametrize("name", ["gated", "race", "power_split"])
def test_many_cells_follow_the_flow(name):
    model, params, start = drawn(name, 60, seed=2)
    exact, _, _ = solved(model, params, start, method="closed")
    numeric, status, _ = solved(model, params, start, method="lanes", rtol=1e-9, atol=1e-13)
    assert (status == Status.OK).all()
    assert (np.abs(exact - numeric) <= 1e-6 * np.abs(exact).max(axis=2, keepdims=True)).all()


def test_a_row_that_is_lost_disturbs_no_other():
    model = own_clock(sp.exp(-x) - (k - 1))  # no root for k <= 1, at rest for k = 2, backwards beyond
    values = [1.5, 0.5, 2.0, 1.2, 3.0, 1.0 + 1e-6, 1.0 + 1e-11, 1.9]
    run = tm.solve(model, TIMES[:-1], params={"k": values}, method="closed")
    lost = {0.5: Status.NOT_STEADY, 2.0: Status.BAD_PARAM, 3.0: Status.BAD_PARAM}
    lost[1.0 + 1e-11] = Status.OVERFLOW  # t up to 1e11, where the start has a pace of 1
    assert run["status"].values.tolist() == [lost.get(v, Status.OK) for v in values]
    for i, value in enumerate(values):
        if value in lost:
            assert np.isnan(run["x"].values[i, 1:]).all()  # a start needs no clock
        else:
            alone = tm.solve(model, TIMES[:-1], params={"k": value}, method="closed")
            assert np.array_equal(run["x"].values[i], alone["x"].values)
    # left to itself solve takes a numerical method for them, which needs no end and no sign
    auto = tm.solve(model, [0.0, 1.0], params={"k": values})
    assert "closed" not in auto.attrs["method"]
    assert (auto["status"] == Status.OK).all()
    assert auto["x"].sel(k=2.0).values.tolist() == [0.0, 0.0]


def test_the_first_roots_of_many_rows_at_once():
    r = np.array([1e-9, 1e-3, 0.5, 1.0, 7.3, 1e5, 1e9])
    roots = first_roots(lambda rows, s: (r[rows, None] - s) * (1 + 2 * r[rows, None] - s) / r[rows, None], r.size)
    np.testing.assert_allclose(roots, r, rtol=5e-16)
    # a root that two points of the scan enclose, beside rows where the scan finds a change of sign, or nothing
    low = np.array([2.058, 0.7, 3.0, math.nan, 1.5])

    def dips(rows, s):
        a = low[rows, None]
        touching = ((s - a - 2e-3) ** 2 - 4e-6) * (5 - s)
        return np.where(rows[:, None] == 2, 1 / (1 + s), np.where(rows[:, None] == 4, s - 1, touching))

    with np.errstate(all="ignore"):
        found = first_roots(dips, low.size)
    np.testing.assert_allclose(found[:2], low[:2], rtol=1e-12)
    assert found[2] == math.inf
    assert math.isnan(found[3])
    assert found[4] == 0.0


def test_two_dips_in_one_window_and_a_root_on_a_point_of_the_scan():
    def rate(rows, s):
        return ((s - 1.0) ** 2 - 1e-6) * ((s - 1.5) ** 2 - 1e-6) * (3 - s)

    assert first_roots(rate, 3) == pytest.approx([0.999] * 3, rel=1e-12)
    # 1/8 of 1 / |slope|: the scan goes in steps of 1/64
    assert first_roots(lambda rows, s: 1.0 - s, 2).tolist() == [1.0, 1.0]


@settings(max_examples=60, deadline=None)
@given(st.floats(-9, -0.01), st.floats(-6, 6))
@example(-7.6, 6.0)
@example(-6.0, 0.0)
@example(-12.0, 0.0)
@example(-0.01, -6.0)
def test_the_way_to_convergence_of_a_logistic_is_exact_to_the_end(log_start, log_rate):
    """g = r x (1 - x): u = 1 - x is (1 - x0)/(1 - x0 + x0 e^(rt)), relative to itself however small."""
    start, r = 10**log_start, 10**log_rate
    times = np.array([0.0, *np.geomspace(1e-6, 600, 30)]) / r
    ends = np.array([1 - start])
    with np.errstate(all="ignore"):  # as where it is called
        left = clocks(lambda rows, s: r * (start + s) * (ends - s), ends).left(times)[0]
    if start < 1e-6 and np.isnan(left[1:]).all():
        return
    assert start > 2e-8  # below, s has less than half of its digits left for so short a stretch
    with mp.workdps(40):
        end, x0 = mp.mpf(ends[0]), mp.mpf(start)
        share, pace = x0 / (x0 + end), mp.mpf(r) * (x0 + end)  # of the root as rounded
        exact = [end / (1 - share + share * mp.exp(pace * mp.mpf(t))) for t in times]
        error = [abs(float(u / e) - 1) for u, e in zip(left, exact, strict=True)]
    # rounding of the rate near its root, from where h(0) comes, and of s, which is not small against x0
    assert (np.array(error) <= 5e-15 + 3e-13 * r * times + 1e-15 / start).all()


def test_a_rate_with_a_kink_keeps_its_accuracy():
    rate = (2 - x) * (k + sp.Abs(x - sp.Rational(1, 3)))
    times = [0.1, 0.25, 0.3, 1.0, 5.0]
    run = tm.solve(own_clock(rate), times, method="closed")
    numeric = tm.solve(own_clock(rate), times, method="dop853", rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(run["x"], numeric["x"], rtol=1e-9)


def test_near_its_optimum_a_rate_that_is_half_rounding_still_has_a_clock():
    """The optimum is 5 % away. Values: quadrature of 1/g in 50 digits."""
    same = 1.2528768552744483
    params = {"power": same, "instances": same, "cost": same, "exponent": 1.1}
    run = tm.solve(tm.models.power_split(), [0.5, 1.0, 1e4], params=params, start={"x": 0.3683438344654889})
    assert run.attrs["method"] == "closed (internal time)"
    np.testing.assert_allclose(run["x"], [0.36884685557465796, 0.3693351020842107, 0.38554328942953175], rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-30, 1e-36])
def test_where_rounding_leaves_nothing_of_the_last_stretch_another_method_is_taken(scale):
    """Nearly all of internal time passes before anything is learned: s has no digits left for what is."""
    model, when = tm.models.race([3, 3]), 0.5 * (2 / scale) ** (1 / 3)
    run = tm.solve(model, [when], params={"scale": scale, "bits_m2": 1.0})
    assert "closed" not in run.attrs["method"]
    start = (scale / 2) ** (1 / 3)  # no error is made up for yet: w = 1/(1/w0 - t)
    assert run["w_m1"].item() == pytest.approx(start / (1 - start * when), rel=1e-6)
    closed = tm.solve(model, [when], params={"scale": [scale, 1e-3], "bits_m2": 1.0}, method="closed")
    assert closed["status"].values.tolist() == [Status.OVERFLOW, Status.OK]


def test_progress_is_shown_over_all_cells(monkeypatch):
    monkeypatch.setattr(states_module, "_ROWS", 4)
    seen = []
    model, params, start = drawn("race", 10, seed=4)
    solved(model, params, start, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]

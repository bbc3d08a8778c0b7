"""Closed forms on their own: the numbers of ``solve``, in the arrays that were given."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr

import toymesa as tm

TWO = tm.models.depth(2)
x, r = sp.Symbol("x", real=True), sp.Symbol("r", positive=True)
GROWTH = tm.Model(
    name="growth",
    flow={x: r * x},
    params={r: 1.0},
    start={x: 1},
    closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(r * tm.TIME)}, derivation="none"),),
)
SWEPT = {"target_1": [0.5, 1.0, 1.5], "target_2": [0.2, 0.4]}


@pytest.mark.parametrize("count", [1, 2, 7, 16, 17, 301])
def test_it_gives_the_states_that_solve_gives(count):
    times = np.linspace(0.0, 9.0, count) if count > 1 else np.array([3.0])
    alone = tm.closed_form(TWO, times, params=SWEPT)
    solved = tm.solve(TWO, times, params=SWEPT, method="closed")
    assert alone.attrs["method"] == "closed"
    for name in TWO.state_names:
        assert alone[name].identical(solved[name])
    assert set(alone.data_vars) == set(TWO.state_names)
    numeric = tm.solve(TWO, times, params=SWEPT, method="dop853", rtol=1e-11, atol=1e-13)
    for name in TWO.state_names:
        np.testing.assert_allclose(alone[name], numeric[name], rtol=1e-8)


@pytest.mark.parametrize("count", [3, 50])
def test_a_cell_is_the_same_alone_and_in_any_batch(count):
    times = np.linspace(0.0, 5.0, count)
    many = tm.closed_form(TWO, times, params={"target_1": np.linspace(0.3, 2, 41)}, threads=2)
    for value in many["target_1"].values[::8]:
        alone = tm.closed_form(TWO, times, params={"target_1": value}, threads=1)
        assert np.array_equal(many["x_1"].sel(target_1=value), alone["x_1"])


@pytest.mark.parametrize("count", [1, 5, 40])
def test_given_arrays_are_filled_and_returned(count):
    times = np.linspace(1.0, 9.0, count)
    given = np.full((3, 2, count), 7.0)
    found = tm.closed_form(TWO, times, params=SWEPT, out={"x_2": given})
    assert np.shares_memory(found["x_2"].values, given)
    fresh = tm.closed_form(TWO, times, params=SWEPT)
    assert np.array_equal(given, fresh["x_2"])
    assert np.array_equal(found["x_1"], fresh["x_1"])


def test_cells_outside_the_domain_are_nan_and_overflow_is_what_floating_point_makes_of_it():
    targets = xr.DataArray([1.0, -1.0, 2.0], dims="cell")
    for times in ([1.0, 2.0], np.linspace(0, 2, 40)):
        found = tm.closed_form(TWO, times, params={"target_1": targets})
        assert np.isnan(found["x_1"].isel(cell=1)).all()
        assert np.isfinite(found["x_1"].isel(cell=[0, 2])).all()
    assert np.isinf(tm.closed_form(GROWTH, [1000.0])["x"]).all()
    with pytest.raises(tm.SolveError, match="overflow"):
        tm.solve(GROWTH, [1000.0])


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (tm.models.gated, "closed (internal time)"),
        (tm.models.crystallization(), "closed"),  # an arcus tangent
        (tm.models.linear_joint(), "closed"),  # functions of a matrix
        (tm.models.capability(), "closed"),
    ],
    ids=lambda v: getattr(v, "name", v),
)
@pytest.mark.parametrize("count", [2, 30])
def test_every_kind_of_closed_form(model, method, count):
    times = np.linspace(0.5, 3.0, count)
    found, solved = tm.closed_form(model, times), tm.solve(model, times, method="closed")
    assert found.attrs["method"] == solved.attrs["method"] == method
    numeric = tm.solve(model, times, method="rodas5p", rtol=1e-10, atol=1e-12)
    for name in model.state_names:
        assert np.array_equal(found[name], solved[name])
        np.testing.assert_allclose(found[name], numeric[name], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "depth"}, tm.ArgumentError, "must be a toymesa Model; got str"),
        ({"model": tm.models.coopetition()}, tm.DomainError, "there is no closed form to evaluate: "),
        ({"params": {"depth": 3.0}}, tm.DomainError, r"its condition .* does not hold \(depth = 3\)"),
        ({"out": np.zeros(3)}, tm.ArgumentError, "out must be a mapping from state name to array; got ndarray"),
        (
            {"out": {"x_3": np.zeros(3)}},
            tm.ArgumentError,
            "no state 'x_3'; did you mean",
        ),
        ({"out": {"x_1": [0.0] * 3}}, tm.ArgumentError, "must be a float64 array; got list"),
        ({"out": {"x_1": np.zeros(3, np.float32)}}, tm.ArgumentError, "got an array of float32"),
        ({"out": {"x_1": np.zeros(4)}}, tm.DomainError, r"out of 'x_1' must have shape \(3,\); got \(4,\)"),
        ({"out": {"x_1": np.zeros(6)[::2]}}, tm.ArgumentError, "not contiguous"),
        ({"outs": {}}, tm.ArgumentError, "did you mean 'out'"),
    ],
)
def test_refusals(change, error, words):
    with pytest.raises(error, match=words):
        tm.closed_form(**{"model": TWO, "t": [1.0, 2.0, 3.0], **change})


def test_given_arrays_must_not_overlap_and_must_be_writeable():
    room = np.zeros(4)
    with pytest.raises(tm.ArgumentError, match="memory that it gives another state"):
        tm.closed_form(TWO, [1.0, 2.0, 3.0], out={"x_1": room[:3], "x_2": room[1:]})
    room.flags.writeable = False
    with pytest.raises(tm.ArgumentError, match="read-only"):
        tm.closed_form(TWO, [1.0, 2.0, 3.0], out={"x_1": room[:3]})

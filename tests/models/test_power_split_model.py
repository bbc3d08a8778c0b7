"""The split of optimization power as a flow: where it goes, that it keeps its constraint, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.models import find
from toymesa.models.power_split import N, P, X, power_split
from toymesa.plot import power_split_diagram
from toymesa.theorems.power_split import eigenvalues, interior, optimum, optimum_of

MODEL = power_split()
powers = st.floats(0.0, 4.0).map(lambda e: 10.0**e)
counts = st.floats(0.0, 3.0).map(lambda e: 10.0**e)
costs = st.floats(-1.0, 1.0).map(lambda e: 10.0**e)


@pytest.mark.parametrize(
    ("params", "start"),
    [({}, {}), ({}, {"x": 8.0}), ({"exponent": 3.0, "instances": 1000.0, "power": 1e6, "cost": 0.5}, {"x": 1.0})],
)
def test_cross_checks_pass(params, start):
    rows = tm.cross_check(MODEL, params=params, start=start)
    assert len(rows) == 8
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


@given(p=powers, n=counts, c=costs, a=st.floats(1.1, 4.0), part=st.floats(0.01, 0.99))
@settings(max_examples=40, deadline=None)
def test_a_convex_cost_leads_to_the_optimum_from_every_start(p, n, c, a, part):
    best = optimum(p, n, cost=c, exponent=a)
    slowest = max(e for e in eigenvalues(p, n, cost=c, exponent=a) if e < 0)  # of the one stable point
    assume(slowest < -1e-3)
    corner = (p / c) ** (1 / a)
    run = tm.solve(
        MODEL,
        [60.0 / -slowest],
        params={"power": p, "instances": n, "cost": c, "exponent": a},
        start={"x": corner * part ** (1 / a)},
        method="auto",
    )
    assert run["x"].item() == pytest.approx(best.x, rel=1e-5)
    assert run["value"].item() == pytest.approx(best.value, rel=1e-6)


@given(p=powers, n=counts, c=costs, a=st.floats(0.3, 0.9), side=st.sampled_from([0.9, 1.1]))
@settings(max_examples=40, deadline=None)
def test_a_concave_cost_leaves_two_answers(p, n, c, a, side):
    corner, middle = (p / c) ** (1 / a), float(interior(n, cost=c, exponent=a))
    assume(0.0 < middle * 1.2 < corner)
    assume(middle > 1e-6 * corner)
    found = eigenvalues(p, n, cost=c, exponent=a)
    assert found.nothing < 0 < found.interior
    assert found.all < 0
    run = tm.solve(
        MODEL,
        [200.0 / min(found.interior, -found.nothing, -found.all)],
        params={"power": p, "instances": n, "cost": c, "exponent": a},
        start={"x": side * middle},
        rtol=1e-10,
        atol=1e-30,
    )
    share = run["share"].item()
    assert (share == pytest.approx(1.0, abs=1e-4)) == (side > 1)
    assert (share == pytest.approx(0.0, abs=1e-4)) == (side < 1)


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
@pytest.mark.parametrize("exponent", [2.0, 1.0, 0.5])
def test_the_constraint_is_kept(method, exponent):
    params = {"power": 10.0, "exponent": exponent}
    run = tm.solve(MODEL, np.linspace(0.0, 20.0, 41), params=params, method=method, rtol=1e-10, atol=1e-12)
    assert (run["x"] > 0).all()
    assert (run["share"] <= 1 + 1e-8).all()
    assert run["share"].values[-1] == pytest.approx(1.0, abs=1e-4)
    assert (np.diff(run["value"].values) >= -1e-8 * run["value"].values.max()).all()


@given(p=st.floats(5.0, 500.0), n=st.floats(2.0, 50.0), k=st.floats(0.2, 2.0))
@settings(max_examples=15, deadline=None)
def test_another_cost(p, n, k):
    symbol = sp.Symbol("k", positive=True)
    model = power_split(sp.exp(symbol * X) - 1, params={symbol: 1.0}, start=sp.log(1 + P / 100) / symbol)
    best = optimum_of(lambda x: float(np.expm1(min(k * x, 700.0))), p, n)
    inside = np.log(n / k) / k
    if inside > 0 and np.expm1(k * inside) < p:
        assert best.x == pytest.approx(inside, rel=1e-6)
    slope = k * (best.spent + 1.0)
    curvature = best.spent * (p - best.spent) * k / (slope * n)
    assume(best.x > 0.05)
    pace = curvature if best.limit == "diversity" else p * (1.0 / slope - 1.0 / n)
    assume(pace > 0.01)
    run = tm.solve(model, [40.0 / pace], params={"power": p, "instances": n, "k": k})
    assert run["x"].item() == pytest.approx(best.x, rel=1e-5)


def test_the_default_is_the_question():
    model = find("power_split")
    slope = 2 * model.param("cost") * X
    expected = model.param("cost") * X**2 * (P - model.param("cost") * X**2) / slope**2 * (1 - slope / N)
    rate = model.flow[X].subs(model.param("exponent"), 2)
    assert sp.simplify(rate - model.param("rate") * expected) == 0
    run = tm.solve(model, [0.0])
    assert run["share"].values[0] == pytest.approx(0.01)
    assert run["direct"].values[0] == pytest.approx(9.9)
    assert run["power_left"].values[0] == pytest.approx(99.0)
    assert run["loss"].values[0] == -run["value"].values[0]


def test_default_starts():
    run = tm.solve(MODEL, [0.0], params={"power": [3.0, 50.0], "cost": 0.3, "exponent": 3.5})
    np.testing.assert_allclose(run["share"], 0.01, rtol=1e-12)
    assert power_split(X**3).start[X] == sp.Rational(1, 100)


@pytest.mark.parametrize(
    "optimizer",
    [
        tm.HeavyBall(1),
        tm.Descent(sp.Rational(1, 100)),
        tm.Preconditioned({"x": 2}),
        tm.GradientNoise(amplitudes={"x": sp.Rational(1, 10)}),
    ],
)
def test_other_optimizers_go_with_it(optimizer):
    assert power_split(optimizer=optimizer).name.startswith("power_split_")


def test_the_figure_shows_the_map_and_its_border():
    p, n = np.geomspace(1.0, 1e4, 9), np.geomspace(1.0, 100.0, 7)
    best = optimum(p[:, None], n[None, :])
    data = xr.Dataset(
        {"x": (("power", "instances"), best.x), "limit": (("power", "instances"), best.limit)},
        coords={"power": p, "instances": n},
    )
    ax = power_split_diagram(data, border=(n**2 / 4, n))
    mesh = ax.collections[0]
    assert mesh.get_array().shape == (7, 9)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), n**2 / 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cost": "x**2"}, ArgumentError, "SymPy expression in x"),
        ({"cost": np.square}, ArgumentError, "optimum_of"),
        ({"cost": sp.Symbol("y") ** 2}, ModelError, "must depend on the positive symbol x"),
        ({"cost": X + 1}, ModelError, "must be 0 at x = 0; got 1"),
        ({"cost": -X}, ModelError, "must increase"),
        ({"cost": X**2, "start": 20.0}, ModelError, "must cost less than the power; got x = 20"),
        ({"cost": X**2, "params": {"y": 1.0}}, ModelError, "'y'"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        power_split(**arguments)
    assert "\n" not in str(caught.value)


def test_parameters_have_domains():
    with pytest.raises(DomainError, match="exponent"):
        tm.solve(MODEL, 1.0, params={"exponent": 0.0})

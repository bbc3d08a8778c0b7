"""Basins of cycles: trajectories that never rest are gathered into the cycles that attract them."""

import json

import numpy as np
import pytest
import sympy as sp

import toymesa as tm
from toymesa.analyse.recurrence import attracts, closed_orbit

x, y, z = sp.symbols("x y z", real=True)
a = sp.Symbol("a", real=True)
R2 = x**2 + y**2
# r' = r (r^2 - 1/4)(4 - r^2)(1 + ..): rest at 0, a repelling cycle at r = 1/2, an attracting one at r = 2, period 2 pi
RADIAL = (R2 - sp.Rational(1, 4)) * (4 - R2) / 4
RINGS = tm.Model(name="rings", flow={x: x * RADIAL - y, y: y * RADIAL + x}, start={x: 1.0})
LOGISTIC = tm.Model(name="logistic", flow={x: a * x * (1 - x)}, params={a: 3.2}, start={x: 0.3}, discrete=True)


def test_rest_and_a_cycle_side_by_side():
    found = tm.basins(RINGS, {"x": (-3, 3, 9), "y": (-3, 3, 9)}, max_steps=4000)
    assert found["outcome"].values.tolist() == ["x = 0, y = 0", "cycle of period 6.283"]
    np.testing.assert_allclose(found["period"], [0, 2 * np.pi], rtol=1e-6)
    np.testing.assert_allclose(found["attractor"], 0, atol=1e-2)
    radius = np.hypot(*np.meshgrid(found["start_x"], found["start_y"], indexing="ij"))
    np.testing.assert_array_equal(found["label"], radius > 0.5)
    assert float(found["unresolved"]) == 0
    assert json.loads(found.attrs["notes"]) == []


def test_the_boundary_between_rest_and_a_cycle_is_bracketed():
    found = tm.basins(RINGS, {"x": (0.1, 1.0, 3)}, start={"y": 0.0}, refine=1e-4, max_steps=4000)
    assert found.sizes["edge"] == 1
    low, high = found["edge_x"].values[0]
    assert low <= 0.5 <= high
    assert high - low <= 1e-4


def test_a_centre_attracts_nothing_and_that_is_said():
    """Every orbit of Lotka and Volterra closes, and none is an attractor."""
    model = tm.Model(name="volterra", flow={x: x * (1 - y), y: y * (x - 1)}, start={x: 1.5, y: 1.0})
    orbit = closed_orbit(model, {}, {"x": 1.5, "y": 1.0}, 100.0, 100_000)
    assert orbit is not None
    assert not attracts(model, {}, orbit, 100.0, 100_000)
    found = tm.basins(model, {"x": [0.5, 1.5]}, start={"y": 1.0}, max_steps=2000)
    assert found["label"].values.tolist() == [-1, -1]
    (note,) = json.loads(found.attrs["notes"])
    assert note.startswith("2 starts never came to rest")
    assert "centre" in note


def test_cycles_that_pass_a_section_twice_close_too():
    """Rossler 1976 (a = b = 0.2): doubled at c = 3.5, with a period about twice that at c = 2.5."""
    flow = {x: -y - z, y: x + y / 5, z: sp.Rational(1, 5) + z * (x - a)}
    model = tm.Model(name="rossler", flow=flow, params={a: 3.5}, start={x: 1, y: 1, z: 1})
    one, two = (
        tm.basins(model, {"x": [1.0, 2.0]}, params={"a": c}, max_steps=8000)["period"].item() for c in (2.5, 3.5)
    )
    assert two / one == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("rate", "period"), [(3.2, 2), (3.5, 4), (3.55, 8), (3.835, 3)])
def test_periodic_orbits_of_a_map(rate, period):
    found = tm.basins(LOGISTIC, {"x": (0.1, 0.9, 7)}, params={"a": rate}, max_steps=5000)
    assert found["outcome"].values.tolist() == [f"orbit of period {period}"]
    assert found["period"].item() == period


def test_parameters_that_are_swept_share_one_name():
    found = tm.basins(LOGISTIC, {"x": (0.1, 0.9, 5)}, params={"a": [2.5, 3.2, 3.5]}, max_steps=5000)
    assert found["outcome"].values.tolist() == ["x = 0.6", "orbit"]
    np.testing.assert_allclose(found["fraction"], [[1, 0], [0, 1], [0, 1]])


def test_chaos_is_on_no_cycle():
    found = tm.basins(LOGISTIC, {"x": [0.1, 0.37, 0.77]}, params={"a": 3.9}, max_steps=5000)
    assert float(found["unresolved"]) == 1
    assert "wander" in found.attrs["notes"]

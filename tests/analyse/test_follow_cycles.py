"""Limit cycles: exact families, multipliers against integrated variational equations, and what families end in."""

import numpy as np
import pytest
import sympy as sp
from follow_models import R2, a, b, hopf, lorenz, model, w, x, y, z
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

import toymesa as tm


def special(data, kind):
    return data["cycle_at"].values[data["cycle_kind"].values == kind]


def monodromy(field, jacobian, start, period):
    """The state and the fundamental matrix after one period, integrated with scipy."""
    n = len(start)

    def rates(_, u):
        return np.concatenate([field(u[:n]), (jacobian(u[:n]) @ u[n:].reshape(n, n)).ravel()])

    end = solve_ivp(
        rates, (0, period), np.concatenate([start, np.eye(n).ravel()]), method="DOP853", rtol=1e-12, atol=1e-13
    ).y[:, -1]
    return end[:n], end[n:].reshape(n, n)


def test_a_family_known_in_closed_form():
    # r' = a r + b r^3 - r^5, theta' = 1: cycles r^4 - b r^2 = a, multiplier exp(2 pi (a + 3 b r^2 - 5 r^4))
    data = tm.follow(hopf(), "a", [-0.6, 0.5], params={"b": 1.0})
    assert data["special_criticality"].values.tolist() == ["subcritical"]
    r = data["cycle_high"].sel(state="x").values
    np.testing.assert_allclose(r, -data["cycle_low"].sel(state="y"), rtol=1e-6)
    r = np.sqrt((data["cycle_orbit"].values ** 2).sum(axis=2)).mean(axis=1)
    np.testing.assert_allclose(data["cycle_at"], r**4 - r**2, atol=1e-9)
    np.testing.assert_allclose(data["cycle_period"], 2 * np.pi, rtol=1e-9)
    np.testing.assert_allclose(
        data["multiplier_re"].values[:, 0], np.exp(2 * np.pi * (2 * r**2 - 4 * r**4)), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_array_equal(data["cycle_stable"], r > np.sqrt(0.5) + 1e-9)
    assert special(data, "cycle-fold") == pytest.approx([-0.25], abs=1e-10)
    assert data["family_ends_in"].values.tolist() == ["high"]
    said = data["family_says"].item()
    assert "unstable cycles from 0 to -0.25 (a fold of cycles); stable cycles from -0.25 to 0.5" in said


def test_van_der_pol():
    data = tm.follow(model("van_der_pol", {x: y, y: (a - x**2) * y - x}, a=-0.2), "a", [-0.5, 1.0])
    last = data.isel(cycle=-1)
    assert last["cycle_at"].item() == 1.0
    # x'' = (1 - x^2) x' - x: period and amplitude as in Andersen and Geer 1982 and many after them
    assert last["cycle_period"].item() == pytest.approx(6.6632868593231, rel=1e-9)
    assert last["cycle_high"].sel(state="x").item() == pytest.approx(2.00862, abs=2e-4)
    for index in (len(data["cycle"]) // 2, -1):
        one = data.isel(cycle=index)
        at = one["cycle_at"].item()
        end, matrix = monodromy(
            lambda u, at=at: np.array([u[1], (at - u[0] ** 2) * u[1] - u[0]]),
            lambda u, at=at: np.array([[0, 1], [-2 * u[0] * u[1] - 1, at - u[0] ** 2]]),
            one["cycle_orbit"].values[0],
            one["cycle_period"].item(),
        )
        np.testing.assert_allclose(end, one["cycle_orbit"].values[0], atol=1e-6)
        expected = sorted(np.linalg.eigvals(matrix).real)
        assert one["multiplier_re"].values.tolist() == pytest.approx(expected[:1], rel=1e-5)
        assert one["cycle_error"].item() < 1e-6


def test_a_torus_where_a_second_oscillator_wakes_up():
    second = [z, w]
    flow = {x: a * x - y - x * R2, y: x + a * y - y * R2}
    turn, grow = sp.sqrt(2), a - b - z**2 - w**2
    flow |= {z: grow * z - turn * w, w: turn * z + grow * w}
    data = tm.follow(
        model("torus", flow, a=-0.5, b=0.4), "a", [-0.6, 0.8], start=dict.fromkeys(["x", "y", *map(str, second)], 0.0)
    )
    assert special(data, "torus")[0] == pytest.approx(0.4, abs=1e-6)
    first = data.isel(cycle=data["cycle_family"].values == 0)
    size = np.exp(2 * np.pi * (first["cycle_at"] - 0.4))
    moduli = np.hypot(first["multiplier_re"], first["multiplier_im"])
    assert np.abs(moduli.values - size.values[:, None]).min(axis=1).max() < 1e-6


def test_a_homoclinic_orbit():
    # Sparrow 1982: the cycles that die at r = 24.74 are born in a homoclinic orbit of the origin at r = 13.926
    box = {"x": (-40, 40), "y": (-40, 40), "z": (-10, 60)}
    data = tm.follow(lorenz(), "r", [10.0, 26.0], box=box, start={"x": 7, "y": 7, "z": 19})
    assert data["family_ends_in"].values.tolist() == ["homoclinic"]
    assert data["cycle_at"].values[-1] == pytest.approx(13.926557, abs=1e-5)
    assert (np.diff(data["cycle_period"].values) > 0).all()
    assert not data["cycle_stable"].any()


def test_a_saddle_node_on_the_cycle():
    # Morris-Lecar neuron of class I, Rinzel and Ermentrout 1989: saddle-node at 39.96, Hopf at 97.79, fold of cycles at 116.1
    V, n, current = sp.symbols("V n I", real=True)
    opens = (1 + sp.tanh((V + sp.Rational(6, 5)) / 18)) / 2
    steady = (1 + sp.tanh((V - 12) / sp.Rational(87, 5))) / 2
    flow = {
        V: (current - 4 * opens * (V - 120) - 8 * n * (V + 84) - 2 * (V + 60)) / 20,
        n: (steady - n) * sp.cosh((V - 12) / sp.Rational(174, 5)) / 15,
    }
    m = tm.Model(name="morris_lecar", flow=flow, params={current: 90.0}, start={V: -30, n: sp.Rational(1, 10)})
    data = tm.follow(m, "I", [0.0, 150.0], box={"V": (-80, 60), "n": (-0.2, 1.2)})
    at = dict(zip(data["special_kind"].values, data["special_at"].values, strict=True))
    assert at["fold"] == pytest.approx(39.96, abs=0.01)
    assert at["hopf"] == pytest.approx(97.79, abs=0.01)
    assert special(data, "cycle-fold") == pytest.approx([116.1], abs=0.05)
    assert data["family_ends_in"].item() == "saddle-node"
    assert f"on the cycle at {at['fold']:.6g}" in data["family_says"].item()


def test_a_period_doubling_against_shooting():
    # the system of Roessler 1976 with a = 1/5, b = 2/5: the first period doubling
    c = sp.Symbol("c", positive=True)
    fifth = sp.Rational(1, 5)
    m = tm.Model(
        name="roessler",
        flow={x: -y - z, y: x + fifth * y, z: 2 * fifth + z * (x - c)},
        params={c: 1.0},
        start={x: 0, y: 0, z: 0},
    )
    data = tm.follow(m, "c", [0.8, 3.7], box={"x": (-8, 8), "y": (-8, 8), "z": (-1, 12)})
    found = special(data, "period-doubling")
    assert found.size == 1
    one = data.isel(cycle=int(np.flatnonzero(data["cycle_kind"].values == "period-doubling")[0]))

    def miss(unknown):
        start, at, period = np.array([unknown[0], y0, unknown[1]]), unknown[2], unknown[3]
        end, matrix = monodromy(
            lambda u: np.array([-u[1] - u[2], u[0] + 0.2 * u[1], 0.4 + u[2] * (u[0] - at)]),
            lambda u: np.array([[0, -1, -1], [1, 0.2, 0], [u[2], 0, u[0] - at]]),
            start,
            period,
        )
        return [*(end - start), np.linalg.det(matrix + np.eye(3))]

    x0, y0, z0 = one["cycle_orbit"].values[0]
    exact = fsolve(miss, [x0, z0, found[0], one["cycle_period"].item()], xtol=1e-11)
    assert found[0] == pytest.approx(exact[2], abs=1e-6)
    assert one["cycle_period"].item() == pytest.approx(exact[3], rel=1e-6)


def test_a_centre_is_not_followed_for_ever():
    data = tm.follow(model("linear", {x: a * x - y, y: x + a * y}, a=-0.3), "a", [-1, 1])
    assert data["special_criticality"].values.tolist() == ["degenerate"]
    assert data["family_ends_in"].values.tolist() == ["centre"]
    assert "centre" in data["family_says"].item()

"""The proxy-alignment model as bilevel derives it, under every base optimizer."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import toymesa as tm
from toymesa.models import find, proxy
from toymesa.testing import check_model

gamma, h = sp.symbols("gamma h", positive=True)


def test_it_keeps_every_promise_of_a_model():
    assert all(result.status in ("passed", "skipped") for result in check_model(proxy(), points=2))


@pytest.mark.parametrize(("optimizer", "symbol"), [(tm.HeavyBall(gamma), gamma), (tm.Descent(h), h)])
def test_other_optimizers_stay_closed_and_cross_checked(optimizer, symbol):
    model = proxy(optimizer=optimizer, params={symbol: 0.3})
    assert model.closed_forms
    assert all(row["ok"] for row in tm.cross_check(model))


def test_flow_and_losses_written_out():
    model = find("proxy")
    get = model.symbols()
    w, v, alpha, rho = (get[n] for n in ("w_true", "w_proxy", "alpha", "rho"))
    assert sp.expand(model.flow[w] + (w - 1) + alpha * rho * v) == 0
    assert sp.expand(model.flow[v] + alpha * rho * (w - 1) + alpha**2 * v) == 0
    s, p, r, u, z = (get[n] for n in ("deploy_true", "deploy_proxy", "deploy_rho", "target_true", "target_proxy"))
    gap = sp.Matrix([w - u, v - z])
    form = (gap.T * sp.Matrix([[s**2, r * s * p], [r * s * p, p**2]]) * gap)[0] / 2
    assert sp.expand(model.observables["deployment_loss"] - form) == 0


def test_descent_at_the_edge_of_stability():
    """At h = 2/lambda_1 the fast direction keeps its size and changes sign; beyond it grows."""
    model = proxy(optimizer=tm.Descent(h), params={h: 0.1})
    fast = tm.theorems.proxy.rates(2.0, 0.9).fast
    edge = float(tm.theorems.linear.edge_of_stability(fast))
    angle = np.arctan2(1.8, -1.5) / 2
    start = {"w_true": 1 + np.cos(angle), "w_proxy": np.sin(angle)}
    for factor, size in ((0.99, 0.98**100), (1.0, 1.0), (1.01, 1.02**100)):
        run = tm.solve(
            model, [0, 100], params={"alpha": 2.0, "rho": 0.9, "h": factor * edge}, start=start, method="closed"
        )
        assert np.hypot(run["w_true"].values[1] - 1, run["w_proxy"].values[1]) == pytest.approx(size, rel=1e-9)


def test_critical_damping_of_the_slow_direction_is_fastest():
    model = proxy(optimizer=tm.HeavyBall(gamma), params={gamma: 0.1})
    slow = tm.theorems.proxy.rates(2.0, 0.9).slow
    critical = float(tm.theorems.linear.critical_friction(slow))
    ends = []
    for factor in (0.5, 1.0, 2.0):
        run = tm.solve(
            model, [0.0, 60.0], params={"alpha": 2.0, "rho": 0.9, "gamma": factor * critical}, method="closed"
        )
        ends.append(float(run["loss"].values[1]))
    assert ends[1] < 1e-3 * ends[0]
    assert ends[1] < 1e-3 * ends[2]


def test_a_perfectly_correlated_proxy_is_never_left():
    run = tm.solve(proxy(), [0.0, 1e6], params={"rho": 1.0}, method="closed")
    assert run["w_true"].values[1] == pytest.approx(0.2, rel=1e-12)
    assert run["w_proxy"].values[1] == pytest.approx(0.4, rel=1e-12)
    assert run["loss"].values[1] < 1e-25


def test_noise_has_no_closed_form():
    assert not proxy(optimizer=tm.GradientNoise(gamma), params={gamma: 0.1}).closed_forms

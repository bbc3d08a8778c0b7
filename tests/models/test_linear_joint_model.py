"""The linear joint flow as bilevel derives it, under every coupling and base optimizer."""

from __future__ import annotations

import pytest
import sympy as sp

import toymesa as tm
from toymesa.models import linear_joint
from toymesa.testing import check_model

gamma, h = sp.symbols("gamma h", positive=True)


@pytest.mark.parametrize("coupling", ["joint", "equilibrium", "unrolled"])
def test_every_coupling_keeps_every_promise_of_a_model(coupling):
    assert all(result.status in ("passed", "skipped") for result in check_model(linear_joint(coupling), points=2))


@pytest.mark.parametrize(("optimizer", "symbol"), [(tm.HeavyBall(gamma), gamma), (tm.Descent(h), h)])
def test_other_optimizers_stay_closed_and_cross_checked(optimizer, symbol):
    model = linear_joint(optimizer=optimizer, params={symbol: 0.3})
    assert model.closed_forms
    assert all(row["ok"] for row in tm.cross_check(model))


def test_flows_written_out():
    joint, seen = linear_joint(), linear_joint("equilibrium")
    get = joint.symbols()
    a, b, e, C, D, eps, theta, phi = (get[n] for n in ("a", "b", "e", "C", "D", "eps", "theta", "phi"))
    assert sp.expand(joint.flow[theta] + a * theta + b * phi) == 0
    assert sp.expand(joint.flow[phi] + (D * phi + C * theta) / eps) == 0
    assert sp.expand(joint.observables["loss"] - (a * theta**2 / 2 + b * theta * phi + e * phi**2 / 2)) == 0
    assert sp.expand(joint.observables["mesa_objective"] - (D * phi**2 / 2 + C * theta * phi)) == 0
    assert sp.expand(seen.flow[theta] + (a - 2 * b * C / D + e * C**2 / D**2) * theta) == 0
    assert seen.requires["inner_curvature_1"] == D
    assert linear_joint("equilibrium", outer=2).state_names == ("theta_1", "theta_2")


def test_every_size_has_a_closed_form_where_it_promises_one():
    for outer, inner in ((2, 1), (1, 2), (2, 2)):
        assert linear_joint("joint", outer=outer, inner=inner).closed_forms
        assert linear_joint("equilibrium", outer=outer, inner=inner).closed_forms
    assert linear_joint("unrolled", outer=2).closed_forms
    assert not linear_joint("unrolled", inner=2).closed_forms
    assert linear_joint("unrolled", inner=2).inner_run is not None


def test_defaults_are_a_pair_that_only_the_inner_optimizer_holds():
    theorems = tm.theorems.linear_joint
    p = linear_joint().defaults()
    four = {n: p[n] for n in ("a", "b", "D", "C")}
    assert p["a"] < 0
    assert theorems.joint_stability(**four, eps=p["eps"]).kind == "stable-spiral"
    assert theorems.hopf(**four)[:2] == (2.0, pytest.approx(0.75**0.5))
    assert theorems.effective_curvature(**four, e=p["e"]) == 7.5
    p = linear_joint("unrolled").defaults()
    assert theorems.effective_curvature(**four, e=p["e"], inner_time=p["tau"]) == pytest.approx(3.6268, abs=1e-4)
    run = tm.solve(linear_joint(), [0.0])
    assert (run["theta"].values[0], run["phi"].values[0]) == (1.0, 0.0)


def test_sizes_together_are_limited():
    assert len(linear_joint(outer=7).states) == 8
    with pytest.raises(tm.ArgumentError, match="both together at most 8; got 7"):
        linear_joint(outer=7, inner=2)


def test_noise_has_no_closed_form():
    assert not linear_joint(optimizer=tm.GradientNoise(gamma), params={gamma: 0.1}).closed_forms


def test_the_conditions_that_the_package_derives_are_those_of_the_theorem():
    text = str(tm.stability_conditions(linear_joint(), {"theta": 0, "phi": 0}))
    assert "D*a > C*b" in text
    assert "D + a*eps > 0" in text


def test_the_origin_is_the_only_fixed_point_and_has_the_kind_of_the_theorem():
    (point,) = tm.fixed_points(linear_joint()).points
    p = linear_joint().defaults()
    expected = tm.theorems.linear_joint.joint_stability(p["a"], p["b"], p["D"], p["C"], eps=p["eps"])
    assert point.kind == expected.kind
    assert max(e.real for e in point.eigenvalues) == pytest.approx(-expected.decay)

"""Capability times objective as bilevel derives it, its closed course, other optimizers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError
from toymesa.models import find
from toymesa.models.capability import ETA_K, ETA_W, KAPPA, TAU, B, W, capability
from toymesa.plot import capability_course
from toymesa.theorems.capability import losses

MODEL = capability()
TIMED = capability("time")

CASES = [
    ({}, {}),
    ({}, {"kappa": 0.1, "w": 0.1}),
    ({}, {"kappa": 0.1, "w": -0.1}),
    ({"target": 0.0}, {"kappa": 0.3, "w": 0.3}),
    ({"target": -1.0, "rate_objective": 3.0}, {"kappa": 2.0, "w": 0.5}),
]


@pytest.mark.parametrize(("params", "start"), CASES)
def test_cross_checks_pass(params, start):
    rows = tm.cross_check(MODEL, params=params, start=start)
    assert len(rows) == 9
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


def test_cross_checks_pass_for_trained_time():
    rows = tm.cross_check(TIMED)
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


def test_the_flows_are_those_of_the_question():
    assert sp.expand(MODEL.flow[KAPPA] - ETA_K * (B - KAPPA * W) * W) == 0
    assert sp.expand(MODEL.flow[W] - ETA_W * (B - KAPPA * W) * KAPPA) == 0
    kappa = 1 - sp.exp(-TAU)
    assert sp.simplify(TIMED.flow[TAU] - ETA_K * (B - kappa * W) * W * sp.exp(-TAU)) == 0
    assert find("capability").flow == MODEL.flow
    for model in (MODEL, TIMED):  # small and nearly balanced: the plateau
        assert [float(v) for v in model.start.values()] == [0.05, 0.1]


reals = st.one_of(st.just(0.0), st.floats(-3.0, 3.0), st.floats(-6.0, 0.0).map(lambda e: 10.0**e))


@given(k=reals, w=reals, b=reals, eta_k=st.floats(0.1, 10.0), eta_w=st.floats(0.1, 10.0), t=st.floats(0.01, 30.0))
@settings(max_examples=60, deadline=None)
@example(k=0.5, w=-0.5, b=1.0, eta_k=1.0, eta_w=1.0, t=30.0)
@example(k=0.5, w=0.5, b=0.0, eta_k=1.0, eta_w=1.0, t=30.0)
@example(k=1e-6, w=1e-6, b=1.0, eta_k=1.0, eta_w=1.0, t=30.0)
def test_the_closed_course_is_the_flow(k, w, b, eta_k, eta_w, t):
    # a start beside the stable line of the saddle is thrown off it by rounding: give it no time to grow there
    given_ = {"params": {"target": b, "rate_capability": eta_k, "rate_objective": eta_w}, "start": {"kappa": k, "w": w}}
    times = [0.0, 0.1 * t, t]
    exact = tm.solve(MODEL, times, method="closed", **given_)
    numeric = tm.solve(MODEL, times, method="dop853", rtol=1e-12, atol=1e-14, **given_)
    growth = np.exp(min(abs(b) * np.sqrt(eta_k * eta_w) * t, 60.0))
    beside = min(1.0, abs(abs(k) / np.sqrt(eta_k) - abs(w) / np.sqrt(eta_w)))
    lost = 1e-15 * growth if k * w * b < 0 and beside < 1e-3 else 0.0
    for name in ("kappa", "w"):
        np.testing.assert_allclose(exact[name], numeric[name], rtol=1e-7, atol=1e-8 + lost)


def test_the_balanced_limit_is_logistic():
    t = np.linspace(0.0, 20.0, 41)
    for gap in (0.0, 1e-12, 1e-7):
        run = tm.solve(MODEL, t, params={"target": 1.0}, start={"kappa": 1e-4 + gap, "w": 1e-4}, method="closed")
        logistic = 1 / (1 + (1 / (1e-4 * (1e-4 + gap)) - 1) * np.exp(-2 * t))
        np.testing.assert_allclose(run["product"], logistic, rtol=1e-12 + 5 * gap / 1e-4)


def test_a_start_on_the_stable_line_ends_at_the_saddle():
    run = tm.solve(MODEL, [0.0, 10.0, 2000.0], start={"kappa": 0.5, "w": -0.5}, method="closed")
    assert np.isfinite(run["kappa"]).all()
    assert run["kappa"].values[-1] == 0.0
    assert run["w"].values[-1] == 0.0


def test_capability_survives_the_shift_and_the_objective_does_not():
    run = tm.solve(MODEL, [0.0, 200.0], params={"target": 0.8, "deploy_target": [-0.4, 0.8]})
    end = run.isel(time=-1)
    assert end["loss"].values == pytest.approx(0.0, abs=1e-20)
    assert end["deployment_loss"].values == pytest.approx([0.72, 0.0], abs=1e-12)  # (b - b')^2/2
    assert end["mesa_loss"].values[0] == end["mesa_loss"].values[1]  # the inner optimizer does as well as ever
    found = losses(end["kappa"].values, end["w"].values, target=0.8, deploy_target=[-0.4, 0.8])
    for name, values in zip(("loss", "deployment_loss", "mesa_loss"), found, strict=True):
        np.testing.assert_allclose(values, end[name], rtol=1e-12, atol=1e-30)
    assert found.mesa == pytest.approx((end["w"].values - 0.8) ** 2 / 2, abs=1e-12)
    assert end["inner_time"].values[0] == pytest.approx(-np.log1p(-end["kappa"].values[0]))


def test_trained_inner_time_keeps_capability_below_one():
    params = {"target": 4.0, "rate_capability": 10.0}
    gain = tm.solve(MODEL, [0.0, 100.0], params=params, start={"kappa": 0.2, "w": 0.2})
    time = tm.solve(TIMED, [0.0, 100.0], params=params, start={"tau": 0.2, "w": 0.2})
    assert gain["kappa"].values[-1] > 1.0
    assert np.isnan(gain["inner_time"].values[-1])
    assert time["kappa"].values[-1] < 1.0
    assert time["product"].values[-1] == pytest.approx(4.0, abs=1e-6)
    metric = TIMED.metric[0, 0] / MODEL.metric[0, 0]
    assert metric == 1  # equal rates in tau: the factor (1 - kappa)^2 is dkappa/dtau, twice


@pytest.mark.parametrize(
    "optimizer",
    [tm.HeavyBall(1), tm.Descent(sp.Rational(1, 10)), tm.Preconditioned({"w": 2}), tm.GradientNoise(temperature=0.01)],
)
@pytest.mark.parametrize("trained", ["gain", "time"])
def test_other_optimizers_go_with_it(trained, optimizer):
    assert capability(trained, optimizer=optimizer).name.startswith("capability_")


def test_the_figure_shows_both_losses():
    run = tm.solve(MODEL, 40.0)
    ax = capability_course(run)
    shown = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    for label, name in (("base loss in training", "loss"), ("base loss in deployment", "deployment_loss")):
        np.testing.assert_array_equal(shown[label].get_ydata(), run[name].values)
    assert any("mesa" in label for label in shown)


def test_unknown_words_are_refused():
    with pytest.raises(ArgumentError, match="trained must be 'gain' or 'time'; got 'gian'; did you mean 'gain'"):
        capability("gian")
    with pytest.raises(ArgumentError, match="trained must be"):
        capability(3)

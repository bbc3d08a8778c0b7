"""Deceptive crystallization: the model, its closed course, other optimizers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, ModelError
from toymesa.models import find
from toymesa.models.crystallization import W, crystallization
from toymesa.plot import crystallization_course
from toymesa.theorems.crystallization import most_moved

MODELS = {f: crystallization(f) for f in ("linear", "exact")}


@pytest.mark.parametrize("foresight", MODELS)
@pytest.mark.parametrize("params", [{}, {"stakes": 0.0}, {"stakes": 50.0, "duration": 30.0}, {"stakes": 1e-12}])
def test_cross_checks_pass(foresight, params):
    rows = tm.cross_check(MODELS[foresight], params=params)
    assert len(rows) == 7
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


@given(
    h=st.one_of(st.just(0.0), st.floats(-12, 5).map(lambda e: 10.0**e)),
    duration=st.floats(-2, 3).map(lambda e: 10.0**e),
    eta=st.floats(0.1, 5),
    w0=st.floats(-2, 2),
    part=st.floats(0, 2),
    foresight=st.sampled_from(["linear", "exact"]),
)
@settings(max_examples=40, deadline=None)
@example(h=1e5, duration=1e3, eta=5.0, w0=-2.0, part=0.99, foresight="exact")
@example(h=0.0, duration=1.0, eta=1.0, w0=0.0, part=2.0, foresight="exact")
def test_the_closed_course_is_the_flow(h, duration, eta, w0, part, foresight):
    given_ = {"params": {"stakes": h, "duration": duration, "rate": eta}, "start": {"w": w0}}
    times = [0.0, part * duration / 2 + 1e-9, part * duration + 2e-9]
    exact = tm.solve(MODELS[foresight], times, method="closed", **given_)
    numeric = tm.solve(MODELS[foresight], times, method="rodas5p", rtol=1e-10, atol=1e-12, **given_)
    np.testing.assert_allclose(exact["w"], numeric["w"], rtol=1e-7, atol=1e-8)
    assert ((exact["deferral"] >= 0) & (exact["deferral"] <= 1)).all()


def test_the_flow_is_that_of_the_question():
    rate, duration, stakes = (MODELS["linear"].param(n) for n in ("rate", "duration", "stakes"))
    at = {duration: 5, sp.Symbol("t", real=True): 2, rate: sp.Rational(1, 3), stakes: 2}
    d = 2 * sp.Integer(1) / (1 + 2)  # H (eta u)^2 = 2
    assert sp.simplify(MODELS["linear"].flow[W].subs(at) - (1 - d) ** 2 * (1 - W) / 3) == 0
    assert find("crystallization").flow == MODELS["linear"].flow


@pytest.mark.parametrize("foresight", MODELS)
def test_after_training_it_does_what_it_wants(foresight):
    run = tm.solve(MODELS[foresight], [0.0, 7.9, 8.0, 20.0], params={"stakes": 100.0})
    assert run["w"].values[2] == run["w"].values[3]
    assert run["deferral"].values[3] == 0.0
    assert run["loss"].values[3] == run["deployment_loss"].values[3]
    assert run["loss"].values[0] < 1e-3 < run["loss"].values[3]  # deceptive at first, defecting at the end
    assert run["w"].values[3] < most_moved(100.0, foresight=foresight)


def test_exact_foresight_defers_less_and_is_moved_further():
    runs = {f: tm.solve(m, [0.0, 4.0, 8.0]) for f, m in MODELS.items()}
    assert (runs["exact"]["deferral"][:2] < runs["linear"]["deferral"][:2]).all()
    assert (runs["exact"]["w"][1:] > runs["linear"]["w"][1:]).all()


def test_stakes_without_end_are_full_deception():
    run = tm.solve(MODELS["linear"], [0.0, 4.0], params={"stakes": [1e150, 1e-300]}, method="closed")
    assert run["w"].values[:, -1] == pytest.approx([0.0, 1 - np.exp(-4.0)])


@pytest.mark.parametrize("foresight", MODELS)
def test_other_optimizers(foresight):
    for optimizer in (tm.HeavyBall(1), tm.Preconditioned({"w": 2}), tm.GradientNoise(amplitudes={"w": 0.1})):
        assert crystallization(foresight, optimizer=optimizer).name.startswith("crystallization_")
    with pytest.raises(ModelError, match="autonomous"):
        crystallization(foresight, optimizer=tm.Descent(sp.Rational(1, 10)))


def test_unknown_words_are_refused():
    with pytest.raises(ArgumentError, match="foresight must be 'linear' or 'exact'; got 'exat'; did you mean 'exact'"):
        crystallization("exat")


def test_the_figure_shows_wish_and_deed():
    run = tm.solve(MODELS["linear"], 10.0)
    ax = crystallization_course(run, bound=float(most_moved(1.0)))
    shown = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    np.testing.assert_array_equal(shown["what it wants"].get_ydata(), run["w"].values)
    deed = run["w"] + run["deferral"] * (1 - run["w"])
    np.testing.assert_array_equal(shown["what it does"].get_ydata(), deed.values)
    assert shown["no training moves it further"].get_ydata()[0] == pytest.approx(1 - np.exp(-np.pi / 4))

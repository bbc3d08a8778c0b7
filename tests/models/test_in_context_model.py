"""The in-context learner as bilevel derives it, its closed course, other optimizers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.models import find
from toymesa.models.in_context import NOISE, D, N, U, V, in_context, label_noise, singular_values
from toymesa.plot import in_context_course
from toymesa.theorems import in_context as ic

MODEL = in_context()
WEIGHTED = in_context(features=2)
SEPARATE = in_context(features=2, heads="separate")


@pytest.mark.parametrize(
    ("model", "rows", "start"),
    [
        (MODEL, 9, {}),
        (MODEL, 9, {"value": 0.2, "key": -0.1}),
        (MODEL, 9, {"value": 0.2, "key": -0.2}),
        (WEIGHTED, 9, {}),
        (in_context(steps=2), 5, {}),
        (SEPARATE, 4, {}),
    ],
    ids=["one", "from the other side", "stable line", "weighted", "two steps", "separate"],
)
def test_cross_checks_pass(model, rows, start):
    found = tm.cross_check(model, start=start)
    assert len(found) == rows
    assert all(r["ok"] for r in found), [r for r in found if not r["ok"]]


def test_the_flow_is_that_of_the_question():
    gamma = 1 + (D + 1 + NOISE) / N
    rates = {s.name: s for s in MODEL.params}
    assert sp.simplify(MODEL.flow[U] - rates["rate_value"] * (1 - gamma * U * V) * V) == 0
    assert sp.simplify(MODEL.flow[V] - rates["rate_key"] * (1 - gamma * U * V) * U) == 0
    assert find("in_context").flow == MODEL.flow


starts = st.one_of(st.just(0.0), st.floats(-1.5, 1.5), st.floats(-6.0, 0.0).map(lambda e: 10.0**e))


@given(
    u=starts,
    v=starts,
    d=st.floats(1, 100),
    n=st.floats(1, 300),
    noise=st.floats(0, 30),
    eta=st.floats(0.1, 10),
    t=st.floats(0.01, 20),
)
@settings(max_examples=40, deadline=None)
@example(u=0.5, v=-0.5, d=4.0, n=8.0, noise=0.0, eta=1.0, t=20.0)
@example(u=0.0, v=0.0, d=1.0, n=1.0, noise=0.0, eta=1.0, t=1.0)
@example(u=1e-6, v=1e-6, d=1.0, n=1.0, noise=0.0, eta=1.0, t=20.0)
def test_the_closed_course_is_the_flow(u, v, d, n, noise, eta, t):
    params = {"dimension": d, "context": n, "noise": noise, "rate_key": eta}
    given_ = {"params": params, "start": {"value": u, "key": v}}
    exact = tm.solve(MODEL, [0.0, 0.1 * t, t], method="closed", **given_)
    numeric = tm.solve(MODEL, [0.0, 0.1 * t, t], method="rodas5p", rtol=1e-11, atol=1e-13, **given_)
    # a start beside the stable line of the saddle is thrown off it by rounding and grows from there
    beside = abs(abs(u) - abs(v) / np.sqrt(eta)) < 1e-3 and u * v < 0
    lost = 1e-14 * np.exp(min(np.sqrt(eta) * t, 60.0)) if beside else 0.0
    for name in ("value", "key"):
        np.testing.assert_allclose(exact[name], numeric[name], rtol=1e-6, atol=1e-8 + lost)


@given(l1=st.floats(0.1, 10), l2=st.floats(1e-3, 10), m=st.floats(0.05, 20), n=st.floats(1, 100), t=st.floats(0.1, 20))
@settings(max_examples=15, deadline=None)
def test_the_weighted_course_ends_at_the_misaligned_step(l1, l2, m, n, t):
    params = {"variance_1": l1, "variance_2": l2, "weight_2": m, "context": n}
    exact = tm.solve(WEIGHTED, [0.0, t], method="closed", params=params)
    numeric = tm.solve(WEIGHTED, [0.0, t], method="rodas5p", params=params, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(exact["step_size"], numeric["step_size"], rtol=1e-6)
    end = tm.solve(WEIGHTED, [0.0, 1e6], method="closed", params=params)
    common = {"covariance": np.diag([l1, l2]), "context": n, "noise": 0.25}
    weights = np.diag([1.0, m])
    assert end["step_size"].values[-1] == pytest.approx(ic.best_weighted_step(weights, **common), rel=1e-9)
    assert end["loss"].values[-1] == pytest.approx(ic.misaligned_loss(weights, **common), rel=1e-9)
    deployed = ic.misaligned_loss(weights, **common, deploy_context=8.0)
    assert end["deployment_loss"].values[-1] == pytest.approx(deployed, rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_the_losses_are_the_theorems(steps):
    model = in_context(steps=steps)
    values = {
        "value": 0.7,
        "key": 0.6,
        "dimension": 5,
        "context": 11,
        "noise": 0.3,
        "deploy_context": 4,
        "deploy_noise": 1.5,
    }
    at = {s: values[s.name] for s in (*model.states, *model.params) if s.name in values}
    for name, n, noise in (("loss", 11, 0.3), ("deployment_loss", 4, 1.5)):
        exact = ic.loss(0.42, steps=steps, dimension=5, context=n, noise=noise)
        assert float(model.observables[name].subs(at)) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize(
    "optimizer", [tm.HeavyBall(1), tm.Descent(sp.Rational(1, 10)), tm.GradientNoise(temperature=0.01)]
)
@pytest.mark.parametrize("options", [{}, {"features": 2}, {"features": 2, "heads": "separate"}])
def test_other_optimizers_go_with_it(optimizer, options):
    assert in_context(**options, optimizer=optimizer).name.startswith("in_context_")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: in_context(0), DomainError, "steps must be a whole number from 1 to 5; got 0"),
        (lambda: in_context(6), DomainError, "steps must be a whole number from 1 to 5; got 6"),
        (lambda: in_context(1.0), ArgumentError, "steps must be a whole number"),
        (lambda: in_context(features=13), DomainError, "features must be a whole number from 1 to 12; got 13"),
        (lambda: in_context(features="two"), ArgumentError, "features must be a whole number"),
        (lambda: in_context(2, features=2), ArgumentError, "go with steps=1 only; got steps=2"),
        (lambda: in_context(heads="separate"), ArgumentError, "separate heads need features"),
        (lambda: in_context(features=2, heads="seperate"), ArgumentError, "did you mean 'separate'"),
    ],
)
def test_unusable_options_are_refused_in_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_figure_shows_what_it_is_given():
    run = tm.solve(MODEL, 40.0)
    ax = in_context_course(run, levels=[0.5, 0.1])
    shown = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    np.testing.assert_array_equal(shown["base loss in training"].get_ydata(), run["loss"].values)
    np.testing.assert_array_equal(shown["base loss in deployment"].get_ydata(), run["deployment_loss"].values)
    assert [line.get_ydata()[0] for line in ax.lines[:2]] == [0.5, 0.1]
    swept = tm.solve(MODEL, 40.0, params={"context": [8.0, 32.0]})
    labels = [line.get_label() for line in in_context_course(swept).lines]
    assert labels == ["context 8", "context 32"]


def test_a_head_is_as_strong_as_its_cube():
    model = in_context(features=2, heads="separate")
    run = tm.solve(model, [0.0, 5.0], start={"head_1": 0.3, "head_2": -0.4})
    for i in (1, 2):
        np.testing.assert_allclose(run[f"strength_{i}"], run[f"head_{i}"] ** 3, rtol=1e-14)


def test_moments_of_a_singular_direction():
    """Normal noise of variance sigma^2/n, and a singular value of either sign with r^2 an eigenvalue of S."""
    noise, direction = label_noise(N, NOISE), singular_values(D, N)
    assert [noise(power) for power in range(5)] == [1, 0, NOISE / N, 0, 3 * NOISE**2 / N**2]
    assert [direction(power) for power in (0, 1, 2, 3)] == [1, 0, 1, 0]
    assert sp.expand(direction(4) - (1 + (D + 1) / N)) == 0


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert in_context(np.int64(2)).name == "in_context"
    assert len(in_context(features=np.int32(2)).params) == len(in_context(features=2).params)

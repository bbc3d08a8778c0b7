"""Conformance checks: sound models pass, and every check fails on a model that is broken on purpose."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings

import toymesa as tm
from toymesa.kernels.generate import compile_model
from toymesa.testing import CHECKS, CheckFailure, NotApplicable, Point, check_model, checks, parametrize_with_checks
from toymesa.testing import strategies as tms

x, y, a, theta = sp.symbols("x y a theta", real=True)
k = sp.symbols("k", positive=True)
p, q = sp.symbols("p_a p_b", positive=True)


def relaxing() -> tm.Model:
    form = tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)})
    return tm.gradient_flow(k * x**2 / 2, [x], params={k: 0.5}, start={x: 1.5}, closed_forms=(form,), name="relaxing")


def swinging() -> tm.Model:
    kept = tm.Invariant(expr=k * x**2 + y**2)
    return tm.Model(name="swinging", flow={x: y, y: -k * x}, params={k: 2.0}, start={x: 1}, invariants={"energy": kept})


def shares() -> tm.Model:
    return tm.gradient_flow(
        k * p**2 + q**2,
        [p, q],
        metric=tm.Simplex((p, q)),
        params={k: 1.5},
        start={"p_a": 0.25, "p_b": 0.75},
        name="shares",
    )


def implicit() -> tm.Model:
    return tm.bilevel(
        (a - 1) ** 2 / 2,
        a**4 / 4 + a**2 / 2 - theta * a,
        outer=[theta],
        inner=[a],
        coupling="equilibrium",
        name="implicit",
    )


def counting() -> tm.Model:
    return tm.Model(name="counting", flow={x: k * x * (1 - x)}, params={k: 2.5}, start={x: 0.2}, discrete=True)


def driven() -> tm.Model:
    return tm.Model(name="driven", flow={x: sp.cos(tm.TIME) - k * x}, params={k: 1.0})


def partial() -> tm.Model:
    """An observable that has a value in places only."""
    reach = sp.Piecewise((-sp.log(1 - x), x < 1))
    return tm.Model(name="partial", flow={x: k - x}, params={k: 2.0}, observables={"reach": reach})


SOUND = [relaxing(), swinging(), shares(), implicit(), counting(), driven(), partial()]


@parametrize_with_checks(SOUND)
def test_sound_models_pass(model, check):
    check(model)


def kinked() -> tm.Model:
    """An absolute value in the loss: the Jacobian has the slope of a jump in it."""
    return tm.gradient_flow((x - 2) ** 2 / 2 + k * sp.Abs(x), [x], params={k: 1.0}, start={x: 0.3}, name="kinked")


def stiff() -> tm.Model:
    return tm.Model(name="stiff", flow={x: -k * (x - y), y: -y}, params={k: 1e7}, start={x: 2, y: 1})


def exploding() -> tm.Model:
    form = tm.ClosedForm(states={x: tm.at_start(x) / (1 - k * tm.at_start(x) * tm.TIME)})
    kept = tm.Invariant(expr=y * sp.exp(-1 / (k * x)))
    flow = {x: k * x**2, y: -y}
    form = tm.ClosedForm(states={**form.states, y: tm.at_start(y) * sp.exp(-tm.TIME)})
    return tm.Model(
        name="exploding", flow=flow, params={k: 1.0}, start={x: 2, y: 1}, closed_forms=(form,), invariants={"i": kept}
    )


def limited() -> tm.Model:
    form = tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}, conditions=(sp.Gt(k, 2),))
    return tm.Model(name="limited", flow={x: -k * x}, params={k: 0.5}, start={x: 1.5}, closed_forms=(form,))


def huge() -> tm.Model:
    return tm.Model(name="huge", flow={x: -k * x}, params={k: 1.0}, start={x: 1e200})


@pytest.mark.parametrize("make", [kinked, stiff, exploding, limited, huge])
def test_no_false_alarm(make):
    model = make()
    results = {r.check: r for r in check_model(model, points=2)}
    assert {r.status for r in results.values()} <= {"passed", "skipped"}
    if make is limited:
        assert "does not apply" in results["closed_forms_equal_solvers"].message
    if make is exploding:
        assert "does not get there (blow_up)" in results["invariants_are_kept"].message


def test_an_observable_without_a_value_is_no_failure():
    run = tm.solve(partial(), [0.1, 5.0])
    assert np.isfinite(run["reach"].values).tolist() == [True, False]
    wrong = miscompiled(partial(), partial().with_(observables={"reach": sp.Min(x, 1)}))
    with pytest.raises(CheckFailure, match="where its formula has no value"):
        CHECKS["observables_equal_formulas"](wrong, Point({}, {"x": 1.5}))


def test_every_check_applies_to_some_model():
    covered = {c.name for m in SOUND for c in tm.testing.checks_for(m)}
    assert covered == set(CHECKS)


def miscompiled(model: tm.Model, wrong: tm.Model) -> tm.Model:
    """A model whose compiled code is another one's."""
    model = model.with_()
    object.__setattr__(model, "_compiled", dataclasses.replace(compile_model(wrong), model=model))
    object.__setattr__(model.__dict__["_compiled"], "model", wrong)
    return model


def broken_solve(monkeypatch, spoil):
    """The solver with a fault: ``spoil(data, times, keywords)`` changes its answer."""

    def solve(model, t, **more):
        return spoil(tm.solve(model, t, **more).copy(deep=True), t, more)

    monkeypatch.setattr(checks, "solve", solve)
    monkeypatch.setattr(sys.modules["toymesa.solver.cross_check"], "solve", solve)


def longer(data, t, more):
    """A start other than the default, or a shorter span, is answered a little wrong."""
    data["x"] += 1e-3 * float(np.max(t)) ** 2
    return data


def batched(data, t, more):
    if data["status"].ndim:
        data["x"] += 1e-12
    return data


def forgetful(data, t, more):
    if more["params"]:
        data["x"] += 1e-14
    return data


def one_method(data, t, more):
    if more.get("method") == "dop853":
        data["x"] += 1e-3
    return data


def drifting(data, t, more):
    data["a"] += 1e-3
    return data


BROKEN = {
    "rates_equal_formulas": lambda: miscompiled(relaxing(), relaxing().with_(flow={x: -k * x * (1 + 1e-9)})),
    "jacobian_equals_derivatives": lambda: miscompiled(swinging(), swinging().with_(flow={x: y, y: -k * sp.sin(x)})),
    "observables_equal_formulas": lambda: miscompiled(relaxing(), relaxing().with_(observables={"loss": k * x**2})),
    "closed_forms_equal_solvers": lambda: relaxing().with_(
        closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME * sp.Rational(1001, 1000))}),)
    ),
    "invariants_are_kept": lambda: swinging().with_(invariants={"energy": tm.Invariant(expr=k * x**2 + 1.001 * y**2)}),
    "potential_never_rises": lambda: relaxing().with_(potential=-k * x**2 / 2),
    "coordinates_survive_a_round_trip": lambda: shares().with_(
        charts=tuple(
            dataclasses.replace(c, to_states={s: e + sp.Rational(1, 1000) for s, e in c.to_states.items()})
            for c in shares().charts
        )
    ),
}
FAULTS = {
    "methods_agree": (relaxing, one_method),
    "two_halves_make_the_whole": (relaxing, longer),
    "time_can_be_rescaled": (relaxing, longer),
    "parameters_survive_a_round_trip": (relaxing, forgetful),
    "batch_equals_single": (relaxing, batched),
    "constraints_are_kept": (implicit, drifting),
}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_check_can_fail(name, monkeypatch):
    if name in FAULTS:
        make, spoil = FAULTS[name]
        broken_solve(monkeypatch, spoil)
    else:
        make = BROKEN[name]
    with pytest.raises(CheckFailure):
        CHECKS[name](make())


def test_results_and_expected_failures():
    wrong = relaxing().with_(potential=-k * x**2 / 2)
    with pytest.raises(CheckFailure, match="relaxing: the potential never rises"):
        check_model(wrong, points=1)
    report = {r.check: r for r in check_model(wrong, points=1, on_fail="report")}
    assert report["potential_never_rises"].status == "failed"
    assert report["coordinates_survive_a_round_trip"].status == "skipped"
    assert report["rates_equal_formulas"].status == "passed"
    allowed = check_model(wrong, points=1, expected_failed_checks={"potential_never_rises": "sign on purpose"})
    assert "sign on purpose" in next(str(r) for r in allowed if r.status == "expected")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check_model(relaxing(), expected_failed_checks={"potential": ""}), tm.ArgumentError, "did you mean"),
        (lambda: check_model(relaxing(), on_fail="warn"), tm.DomainError, "'raise' or 'report'; got 'warn'"),
        (lambda: check_model(relaxing(), points=0), tm.DomainError, "points must be at least 1; got 0"),
        (lambda: check_model(tm.with_optimizer(relaxing(), tm.GradientNoise(1))), tm.ArgumentError, "has noise"),
        (lambda: CHECKS["constraints_are_kept"](relaxing()), NotApplicable, "no algebraic state"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


@settings(max_examples=10)
@given(tms.points(swinging()))
def test_a_check_anywhere(at):
    try:
        CHECKS["rates_equal_formulas"](swinging(), at)
    except NotApplicable:
        pass


def test_a_point_says_where_it_is():
    assert str(Point({"k": 1.0}, {"x": 2.0})) == "k = 1.0, start of x = 2.0"
    assert str(Point()) == "the defaults"

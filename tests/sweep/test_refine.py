"""Boundaries are bracketed where the theorems put them, at a cost that grows with the boundary."""

import math

import numpy as np
import pytest
import sweep_models as models
import sympy as sp

import toymesa as tm
from toymesa import measures as ms
from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems import mechanisms as theorems

x, y = sp.symbols("x y", real=True)
a, b = sp.symbols("a b", real=True)
STILL = tm.Model(
    name="still",
    flow={x: -x},
    params={a: 0.0, b: 0.0},
    observables={"circle": a**2 + b**2 - 1 + 0 * x, "side": a + 0 * x},
)


def circle(run):
    """Inside or outside the unit circle."""
    return float(run["a"] ** 2 + run["b"] ** 2 > 1)


MOVING = STILL.with_(observables={"circle": a**2 + b**2 - 1 + 1e-300 * x}, flow={x: -x - (a**2 + b**2) * x})


def brackets(found, exact, name):
    low, high = found[f"{name}_low"], found[f"{name}_high"]
    assert ((low <= exact) & (exact <= high)).all()


def test_the_separatrix_of_the_gated_model():
    """Mechanisms 1.3: the sign of z sqrt(n eta_d) + q sqrt(S) decides; with equal rates and z = m - w it is a line."""
    box = {"start_m": (-0.3, 0.3), "start_d": (0.2, 0.8)}
    n, tol = 9.0, 1e-5
    # long before the error is gone the two contents have parted: the sign of m - w is that of G, but where training is
    # stopped on the line of fixed points it can differ; the exact outcome is the sign of G, kept from the start
    sign = "(m - w)*sqrt(diversity*rate_d) + (d - rate_w/(rate_w + rate_m))*sqrt(rate_w + rate_m)"
    found = tm.refine(tm.models.gated, box, margin=sign, t=1.0, params={"diversity": n}, cells=6, tol=tol)
    assert found.sizes["edge"] > 4
    assert found.attrs["failed"] == 0
    exact = {
        "start_m": -(found["start_d"] - 0.5) * math.sqrt(2) / math.sqrt(n),
        "start_d": 0.5 - found["start_m"] * math.sqrt(n) / math.sqrt(2),
    }
    for name, (low, high) in box.items():
        mine = found.isel(edge=(found["along"] == name).values)
        assert (mine[f"{name}_high"] - mine[f"{name}_low"] <= tol * (high - low)).all()
        gap = np.abs(mine[name] - exact[name].isel(edge=(found["along"] == name).values))
        assert (gap <= tol * (high - low)).all()


def test_the_critical_diversity_of_the_converged_state():
    """Mechanisms 1.5: n_c = mu (1 + K lam)^2/(K lam), by the sign of the growth rate at the joint state."""
    two = tm.models.mechanisms(("u", "v"))
    fixed = {f"{kind}_{n}": v for n in "uv" for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    lam = two.param("lam")
    joint = two.with_(
        start={two.state(f"c_{n}"): 1 / (1 + 2 * lam) for n in "uv"}
    )  # it is a fixed point: nothing to solve
    found = tm.refine(
        joint, {"diversity": (0.5, 50.0, "log"), "lam": (0.02, 0.5, "log")}, margin=ms.growth(at="end"), t=0.0,
        params=fixed | {"mu": 0.2}, cells=4, levels=1, tol=1e-7,
    )  # fmt: skip
    assert found.sizes["edge"] > 3
    exact = theorems.critical_diversity(lam=found["lam"].values, mu=0.2, mechanisms=2)
    np.testing.assert_allclose(found["diversity"], exact, rtol=1e-5)


def test_the_collapse_of_stopping_early():
    """Mechanisms 1.7: the boundary of 'still joint at the stop' over (diversity, residual) is n (1 - sqrt r)^2 = const."""
    two = tm.models.mechanisms(("u", "v"))
    fixed = {f"{kind}_{n}": v for n in "uv" for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    r = sp.Symbol("residual", positive=True)
    model = two.with_(
        params={**two.params, r: tm.Parameter(default=0.5, domain=tm.Domain(0.0, 1.0, True, True))},
        observables={**two.observables, "left": two.observables["loss"] - r / 2}, closed_forms=(),
    )  # fmt: skip
    found = tm.refine(
        model, {"diversity": (5.0, 400.0, "log"), "residual": (0.05, 0.6)}, margin=ms.value("p_u - 0.6", "far", at="stop"),
        t=20.0, events={"stop": "left"}, params=fixed | {"lam": 0.0, "mu": 0.0}, start={"logit_u": 0.01}, cells=5, tol=1e-5,
    )  # fmt: skip
    curve = found["diversity"] * (1 - np.sqrt(found["residual"])) ** 2
    assert found.sizes["edge"] > 4
    np.testing.assert_allclose(curve, curve.mean(), rtol=1e-3)


def test_the_cost_grows_with_the_boundary():
    """Halving the cells doubles the number of evaluations in two dimensions, and does not multiply it by four."""
    box = {"a": (-1.5, 1.53), "b": (-1.5, 1.57)}
    counts = [
        tm.refine(MOVING, box, margin="circle", t=0.1, cells=4, levels=levels, tol=0.2).attrs["evaluations"]
        for levels in (3, 4, 5, 6)
    ]
    slopes = np.diff(np.log2(counts))
    assert (np.abs(slopes - 1.0) < 0.2).all(), counts
    assert counts[-1] < 0.1 * (4 * 2**6 + 1) ** 2


def test_a_curved_boundary_is_followed_out_of_the_first_cells():
    found = tm.refine(
        MOVING, {"a": (-1.5, 1.53), "b": (-1.5, 1.57)}, margin="circle", t=0.1, cells=3, levels=4, tol=1e-9
    )
    np.testing.assert_allclose(found["a"] ** 2 + found["b"] ** 2, 1.0, atol=1e-8)
    angle = np.sort(np.arctan2(found["b"], found["a"]))
    assert np.diff(angle).max() < 0.15  # the whole circle, without a gap
    labels = tm.refine(
        MOVING,
        {"a": (-1.5, 1.53), "b": (-1.5, 1.57)},
        label=ms.label({"in": "circle < 0"}),
        t=0.1,
        cells=3,
        levels=4,
        tol=1e-9,
    )
    np.testing.assert_allclose(labels["a"] ** 2 + labels["b"] ** 2, 1.0, atol=1e-8)
    assert set(np.unique(labels["phase_low"])) == {-1.0, 0.0}  # none of the labels is a phase too
    three = tm.refine(MOVING, {"a": (0.1, 1.5)}, label=circle, t=0.1, params={"b": 0.6}, tol=1e-12)
    assert float(three["a"][0]) == pytest.approx(0.8, abs=1e-11)


def test_no_boundary_and_failures():
    assert tm.refine(MOVING, {"a": (2.0, 3.0)}, margin="circle", t=0.1).sizes["edge"] == 0
    found = tm.refine(models.BLOW, {"k": (0.1, 1.0)}, margin="x - 1.5", t=2.0, tol=1e-9)
    assert found.attrs["failed"] > 0  # it blows up for k >= 1/2: no boundary is made up there
    np.testing.assert_allclose(found["k"], (1 - 1 / 1.5) / 2, atol=1e-7)
    assert found.sizes["edge"] == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ArgumentError, "either label= or margin="),
        ({"label": "circle", "margin": "circle"}, ArgumentError, "either"),
        ({"margin": "circl"}, ArgumentError, "did you mean 'circle'"),
        ({"margin": "circle", "cells": 0}, DomainError, "cells"),
        ({"margin": "circle", "levels": -1}, DomainError, "levels"),
        ({"margin": "circle", "tol": 0.0}, DomainError, "tol"),
        ({"margin": "circle", "rtoll": 1}, ArgumentError, "did you mean 'rtol'"),
        ({"margin": "circle", "over": {"a": [1.0]}}, ArgumentError, "range of 'a'"),
        ({"margin": "circle", "over": {}}, ArgumentError, "over must be a mapping"),
        ({"margin": "circle", "over": {"aa": (0.0, 1.0)}}, ArgumentError, "no axis 'aa'"),
        ({"margin": "circle", "start": {"x": lambda g: g.normal()}}, DomainError, "random"),
        ({"margin": "circle", "t": [0.1, 0.2]}, ArgumentError, "one number a point"),
    ],
)
def test_bad_arguments(arguments, error, message):
    given = {"over": {"a": (0.0, 2.0)}, "t": 0.1} | arguments
    with pytest.raises(error, match=message) as caught:
        tm.refine(MOVING, given.pop("over"), **given)
    assert "\n" not in str(caught.value)


def test_the_learner_of_python_adaptive():
    adaptive = pytest.importorskip("adaptive")
    learner = tm.adaptive_learner(MOVING, {"a": (-1.0, 1.0), "b": (-1.0, 1.0)}, measure="circle", t=0.1)
    adaptive.runner.simple(learner, npoints_goal=30)
    for point, found in learner.data.items():
        assert found == pytest.approx(point[0] ** 2 + point[1] ** 2 - 1)
    line = tm.adaptive_learner(models.BLOW, {"k": (0.1, 1.0)}, measure="x", t=2.0)
    with pytest.raises(DomainError, match="keep the box away"):
        line.function(0.9)

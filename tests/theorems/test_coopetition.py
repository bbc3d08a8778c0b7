"""Coopetition 12.1 and 12.2 against the flow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import toymesa as tm
from toymesa.theorems import coopetition as theorems

MODEL = tm.models.coopetition()
SMALL = {"own": 0.3, "shared": (0.1, 0.1)}


def test_the_model_keeps_its_promises():
    assert all(row["ok"] for row in tm.cross_check(MODEL))


def jacobian(**values: float) -> np.ndarray:
    names = {s: values[s.name] for s in MODEL.states}
    names |= {p: values.get(p.name, 0.0) for p in MODEL.params}
    return np.array(MODEL.jacobian().subs(names), dtype=float)


@settings(max_examples=20)
@given(st.floats(0.2, 5.0), st.floats(0.2, 5.0), st.sampled_from([1, -1]), st.floats(0.0, 10.0), st.floats(0.0, 3.0))
def test_rates_of_approach_are_eigenvalues(b, c, sign, alpha, floor):
    c = sign * c
    rates = theorems.approach_rates(competition=alpha, floor=floor, shared=(b, c))
    found = np.linalg.eigvalsh(jacobian(a=0.0, b=b, c=c, d=1 / (b * c), competition=alpha, floor_1=floor))
    expected = np.sort([-rates[0], -rates[1], 0.0, 0.0])
    assert np.sort(found) == pytest.approx(expected, abs=1e-9 * max(rates))


@settings(max_examples=6)
@given(st.floats(0.05, 0.3), st.floats(1.0, 20.0), st.floats(0.0, 0.05))
def test_mechanism_one_is_learned_and_given_up_whatever_the_constants(floor, alpha, second):
    times = [10.0 * float(theorems.lifetime(competition=alpha, floor=floor, **SMALL)) + 1e4]
    start = {"a": 0.5, "b": 0.1, "c": 0.1, "d": second}
    end = tm.solve(MODEL, times, params={"competition": alpha, "floor_1": floor}, start=start, method="rodas5p")
    assert abs(end["mechanism_1"].values[-1]) < 1e-3
    assert end["mechanism_2"].values[-1] == pytest.approx(1.0, abs=1e-6)


def test_without_a_floor_mechanism_one_lasts():
    end = tm.solve(MODEL, [1e5], params={"floor_1": 0.0}, method="rodas5p")
    assert end["mechanism_1"].values[-1] == pytest.approx(1.0, abs=1e-4)
    assert theorems.lifetime(competition=5.0, floor=0.0, **SMALL) == np.inf


@pytest.mark.parametrize(("alpha", "floor", "within"), [(20.0, 0.2, 0.03), (100.0, 0.05, 0.005), (5.0, 0.1, 0.08)])
def test_lifetime_is_approached_under_strong_competition(alpha, floor, within):
    stated = theorems.lifetime(competition=alpha, floor=floor, **SMALL)
    measured = theorems.measured_lifetime(competition=alpha, floor=floor, second=0.01, **SMALL)
    assert measured == pytest.approx(stated, rel=within)


@given(st.floats(0.0, 3.0), st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
def test_learned_factor_solves_its_cubic(a0, b0, c0):
    a = float(theorems.learned_factor(own=a0, shared=(b0, c0)))
    b2, c2 = a**2 - a0**2 + b0**2, a**2 - a0**2 + c0**2
    assert min(b2, c2) >= -1e-9 * (1 + a**2)
    # the product of the three squares is 1, to what rounding does to their differences
    assert a**2 * b2 * c2 == pytest.approx(1.0, abs=1e-13 * (1 + a0**2 + b0**2 + c0**2) * a**2 * (b2 + c2) + 1e-12)


@given(st.floats(0.0, 1.5), st.floats(0.0, 1.5), st.floats(0.0, 1.5))
def test_lifetime_is_its_integral(a0, b0, c0):
    start = {"own": a0, "shared": (b0, c0)}
    kappa = b0**2 - c0**2
    top = float(theorems.learned_factor(**start))
    integral = quad(lambda a: a**5 + a**2 / np.sqrt(kappa**2 * a**2 + 4), 0, top, epsrel=1e-12)[0]
    assert theorems.lifetime(competition=3.0, floor=0.5, **start) == pytest.approx(6.0 * integral, rel=1e-10)


def test_small_starts_give_the_simple_formula():
    assert theorems.lifetime(competition=3.0, floor=0.1) == pytest.approx(3.0 / (6 * 0.01), rel=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: theorems.lifetime(competition=-1.0, floor=0.1), tm.DomainError, "competition must lie in"),
        (lambda: theorems.approach_rates(competition=1, floor=0, shared=(0, 1)), tm.DomainError, "two nonzero factors"),
        (
            lambda: theorems.measured_lifetime(competition=5, floor=0.5, own=0.0, shared=(0.1, 0.1), second=0.3),
            tm.DomainError,
            "never reaches half",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()

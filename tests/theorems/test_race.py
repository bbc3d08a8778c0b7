"""Race 2.1 to 2.4: theorem functions against the solver, the derivations and ball arithmetic."""

from __future__ import annotations

import flint
import numpy as np
import pytest
import sympy as sp
from derived import derivation
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.models.race import race
from toymesa.theorems.race import (
    amplification,
    clock,
    internal_time,
    pole,
    prior_starts,
    ratio_growth,
    stop,
    strength,
    total_logistic,
    total_relaxation,
)

rates = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
starts = st.floats(-12.0, -0.5).map(lambda e: 10.0**e)
depths = st.one_of(
    st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 50.0]),
    st.floats(1.0, 20.0),
    st.tuples(st.sampled_from([-1, 1]), st.floats(-15.0, -2.0)).map(lambda v: 2.0 + v[0] * 10.0 ** v[1]),
)


def in_balls(s, start, depth, rate):
    """P(s) to full precision at the exact floating-point arguments; None from the pole on."""
    before = flint.ctx.prec
    flint.ctx.prec = 400
    try:
        x, p, d = flint.arb(s) * flint.arb(rate), flint.arb(start), flint.arb(depth)
        if depth == 2.0:
            return float(p * (2 * x).exp())
        inside = p ** (-(1 - 2 / d)) - (d - 2) * x
        return float(inside ** (-d / (d - 2))) if inside > 0 else None
    finally:
        flint.ctx.prec = before


# ---------------------------------------------------------------- one chain


@given(part=st.floats(0.0, 0.999), start=starts, depth=depths, rate=rates)
@settings(max_examples=200, deadline=None)
@example(part=0.5, start=1e-12, depth=2.0, rate=1.0)
@example(part=0.9, start=1e-9, depth=2.0 + 1e-15, rate=1.0)
def test_one_chain_against_ball_arithmetic(part, start, depth, rate):
    end = internal_time(1.0, start=start, depth=depth, rate=rate)
    s = part * float(end)
    exact = in_balls(s, start, depth, rate)
    # P depends on s the more strongly the nearer its pole is: |d ln P/d ln s| units in the last place are unavoidable
    slope = rate * s * depth * exact ** (1.0 - 2.0 / depth)
    found = strength(s, start=start, depth=depth, rate=rate)
    assert found == pytest.approx(exact, rel=1e-15 * (20.0 + 2.0 * slope + abs(np.log(start)) * (1.0 + slope)))
    back = internal_time(found, start=start, depth=depth, rate=rate)
    assert back == pytest.approx(s, rel=1e-11, abs=1e-13 * float(end))


@given(start=starts, depth=st.floats(1.0, 8.0), rate=rates)
@settings(max_examples=25, deadline=None)
def test_one_chain_is_its_flow(start, depth, rate):
    """ds/d ln P = P^(2/D - 1)/(eta D), by quadrature."""
    share = 1.0 - 2.0 / depth
    span = np.log(0.9 / start)
    needed = quad(lambda v: np.exp(-share * v) / (rate * depth), 0.0, span, epsrel=1e-10)[0] * start**-share
    assert internal_time(0.9, start=start, depth=depth, rate=rate) == pytest.approx(needed, rel=1e-8)


@given(start=starts, depth=st.floats(2.1, 20.0), rate=rates)
@settings(max_examples=50, deadline=None)
def test_the_pole(start, depth, rate):
    end = pole(start=start, depth=depth, rate=rate)
    assert strength(end * (1 + 1e-9), start=start, depth=depth, rate=rate) == np.inf
    assert strength(end * (1 - 1e-9), start=start, depth=depth, rate=rate) < np.inf
    assert pole(start=start / 2, depth=depth, rate=rate) / end == pytest.approx(2 ** (1 - 2 / depth), rel=1e-12)
    assert pole(start=start, depth=1.0 + 1.0 / depth, rate=rate) == np.inf


# ---------------------------------------------------------------- shares


@given(a=starts, b=starts, depth=st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 6.0]), rate=rates, r=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_depth_contracts_conserves_or_pulls_apart(a, b, depth, rate, r):
    assume(a > b * 1.0001)
    found = stop(r, starts=[a, b], depths=depth, rates=rate)
    before, after = np.log(a / b), np.log(found.strengths[0] / found.strengths[1])
    if depth < 2.0:
        assert after <= before * (1 + 1e-10)
    elif depth == 2.0:
        assert after == pytest.approx(before, rel=1e-9)
    else:
        assert after >= before * (1 - 1e-10)
    lead = [clock(p, depth=depth, rate=rate) for p in found.strengths]
    scale = max(abs(float(x)) for x in (*lead, *(clock(p, depth=depth, rate=rate) for p in (a, b))))
    assert lead[0] - lead[1] == pytest.approx(
        float(clock(a, depth=depth, rate=rate) - clock(b, depth=depth, rate=rate)), abs=1e-10 * scale
    )


@given(start=st.floats(-8.0, -2.0).map(lambda e: 10.0**e), depth=depths, r=st.floats(0.0, 0.9), k=st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_a_small_difference_is_amplified(start, depth, r, k):
    small = 1e-7
    begin = np.full(k, start / k)
    begin[0] *= 1 + small
    found = stop(r, starts=begin, depths=depth)
    grown = np.log(found.strengths[0] / found.strengths[1]) / small
    error = np.sqrt(r) * (1.0 - begin.sum())
    expected = amplification((1.0 - error) / k, start=start / k, depth=depth)
    assume(expected * small < 1e-4)
    assert grown == pytest.approx(expected, rel=3e-3, abs=1e-7)


@given(advantage=st.floats(1.01, 3.0), depth=st.floats(2.5, 10.0))
@settings(max_examples=40, deadline=None)
def test_the_final_ratio_diverges_like_one_over_the_scale(advantage, depth):
    limit = ratio_growth(advantage, 1.0, depth=depth)
    m = 1.0 - 2.0 / depth
    gap = 1.0 - advantage**-m
    eps = np.array([1e-7, 1e-9]) * min(1.0, gap ** (1.0 / m))
    ends = stop(starts=eps[:, None] * np.array([advantage, 1.0]), depths=depth).strengths
    scaled = eps * ends[:, 0] / ends[:, 1]
    # the exact relation at finite scale, and its limit
    np.testing.assert_allclose(scaled, (eps**m + gap * ends[:, 0] ** m) ** (1 / m), rtol=1e-6)
    assert abs(scaled[1] / limit - 1) <= abs(scaled[0] / limit - 1) + 1e-6


def test_a_bit_is_worth_a_factor_in_rate():
    # log2(rate) - (1 - 2/D) bits, equal depth: here 1.5 - 0.5 * 2 > 0.9 - 0.5 * 1 although the second has more bits less
    starts_ = prior_starts([2.0, 1.0], scale=1e-9)
    ends = stop(starts=starts_, depths=4, rates=[2.0**1.5, 2.0**0.9]).strengths
    assert ends[0] > 0.99
    ends = stop(starts=starts_, depths=4, rates=[2.0**1.3, 2.0**0.9]).strengths
    assert ends[1] > 0.99


# ---------------------------------------------------------------- against the model


@pytest.mark.parametrize("depths_", [(2, 3), (1, 1.5, 3), (2, 2)])
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_the_model_passes_where_the_functions_say(depths_, data):
    model = race(depths_)
    names = [f"m{i + 1}" for i in range(len(depths_))]
    begin = [data.draw(st.floats(-6.0, -1.0).map(lambda e: 10.0**e)) for _ in names]
    eta = [data.draw(st.floats(0.1, 10.0)) for _ in names]
    assume(sum(begin) < 0.5)
    ends = stop(0.25, starts=begin, depths=depths_, rates=eta)
    run = tm.solve(
        model,
        20.0 * float(ends.s) + 50.0,
        start={f"P_{n}": p for n, p in zip(names, begin, strict=True)},
        params={f"rate_{n}": r for n, r in zip(names, eta, strict=True)},
        events={"stop": (f"error - {float(0.5 * (1 - sum(begin)))!r}", {"terminal": True})},
        rtol=1e-11,
        atol=1e-14,
    )
    reached = run["event_stop_state"].values[0]
    for layer, d, p in zip(reached, depths_, ends.strengths, strict=True):
        assert layer**d == pytest.approx(p, rel=1e-6)


@given(
    total=st.one_of(st.floats(1e-12, 5.0), st.just(1.0)), split=st.floats(0.01, 0.99), rate=rates, x=st.floats(0, 40)
)
@settings(max_examples=25, deadline=None)
def test_logistic_total(total, split, rate, x):
    run = tm.solve(
        race((2, 2)),
        [0.0, x / rate + 1e-6],
        start={"P_m1": split * total, "P_m2": (1 - split) * total},
        params={"rate_m1": rate, "rate_m2": rate},
    )
    assert run.attrs["method"] == "closed"
    expected = total_logistic(run["time"].values, start=total, rate=rate)
    np.testing.assert_allclose(run["strength"], expected, rtol=1e-12)
    np.testing.assert_allclose(run["P_m1"], split * expected, rtol=1e-12)


@given(total=st.floats(-2.0, 3.0), rate=rates, x=st.floats(0.0, 40.0))
@settings(max_examples=25, deadline=None)
def test_relaxing_total(total, rate, x):
    run = tm.solve(
        race((1, 1)), [0.0, x / rate + 1e-6], start={"P_m1": total, "P_m2": 0.0},
        params={"rate_m1": 0.25 * rate, "rate_m2": 0.75 * rate},
    )  # fmt: skip
    expected = total_relaxation(run["time"].values, start=total, rate=rate)
    np.testing.assert_allclose(run["strength"], expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(run["P_m2"], 0.75 * (expected - total), rtol=1e-12, atol=1e-14)


def test_the_fastest_pole_wins_from_small_starts():
    begin, deep = np.array([1e-9, 3e-9, 2e-9]), np.array([3.0, 4.0, 3.5])
    ends = stop(starts=begin, depths=deep, rates=[1.0, 8.0, 2.0])
    poles = pole(start=begin, depth=deep, rate=[1.0, 8.0, 2.0])
    assert np.argmax(ends.strengths) == np.argmin(poles)
    assert ends.strengths.max() > 0.999
    assert ends.strengths.sum() == pytest.approx(1.0, abs=1e-10)


# ---------------------------------------------------------------- digits, limits, refusals


def test_limits_and_shapes():
    assert strength(0.0, start=0.3, depth=5) == pytest.approx(0.3, rel=1e-15)
    assert strength(1.0, start=0.3, depth=1) == pytest.approx(1.3, rel=1e-15)
    assert amplification(0.5, start=1e-6, depth=2) == 1.0
    assert stop(1.0, starts=[0.1, 0.2], depths=3).s == 0.0
    np.testing.assert_array_equal(stop(1.0, starts=[0.1, 0.2], depths=3).strengths, [0.1, 0.2])
    table = stop([0.0, 0.5], starts=[0.01, 0.02], depths=[2, 3])
    assert table.s.shape == (2,)
    assert table.strengths.shape == (2, 2)
    alone = stop(starts=[0.01], depths=3.0)
    assert alone.strengths[0] == pytest.approx(1.0, rel=1e-13)
    assert strength([[0.0], [1.0]], start=[0.1, 0.2, 0.3], depth=2).shape == (2, 3)
    assert prior_starts([[0.0, 1.0]], scale=[0.3]).shape == (1, 2)
    assert prior_starts([-2000.0, 3000.0], scale=1.0)[0] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strength(-1.0, start=0.1, depth=2), "s must lie in"),
        (lambda: strength(1.0, start=0.0, depth=2), "start must lie in"),
        (lambda: strength(1.0, start=0.1, depth=0.9), "depth must lie in"),
        (lambda: pole(start=0.1, depth=3, rate=0.0), "rate must lie in"),
        (lambda: stop(1.5, starts=[0.1, 0.2], depths=2), "residual must lie in"),
        (lambda: stop(starts=[0.5, 0.6], depths=2), "starts must sum to less than 1"),
        (lambda: ratio_growth(1.0, 2.0, depth=3), "first must be larger"),
        (lambda: ratio_growth(2.0, 1.0, depth=2), "depth must lie in"),
        (lambda: prior_starts(1.0, scale=0.1), "along the last axis"),
    ],
)
def test_bad_values_are_refused_in_one_line(call, message):
    with pytest.raises(DomainError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "got" in str(caught.value)


def test_text_is_refused():
    with pytest.raises(ArgumentError, match="depth"):
        strength(1.0, start=0.1, depth="two")


@pytest.mark.parametrize(
    "stem", ["race_2_1_balanced_layers", "race_2_2_internal_time", "race_2_3_shares", "race_2_4_training_time"]
)
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name


def test_a_wrong_formula_is_refuted():
    d = derivation("race_2_2_internal_time")
    wrong = d._claim("wrong", "another power", d.slope(sp.Integer(3)) + 1, 0)
    assert tm.verify(wrong).outcome is tm.Outcome.REFUTED

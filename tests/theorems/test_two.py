"""Mechanisms 1.2 and 1.3 against the models: what is conserved, and two mechanisms under a linear gate, solved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import run
from scipy.linalg import expm

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.mechanisms import gated_solution, gated_stop, polarization, separatrix

rates = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
diversities = st.floats(-4.0, 4.0).map(lambda e: 10.0**e)
contents = st.one_of(st.just(0.0), st.floats(-3.0, 3.0))
cases = st.fixed_dictionaries(
    {"w": contents, "m": contents, "d": contents, "diversity": diversities}
    | {"rate_w": rates, "rate_m": rates, "rate_d": rates}
)
PLAIN = {"w": 0.0, "m": 0.0, "d": 0.51, "diversity": 4.0, "rate_w": 1.0, "rate_m": 1.0, "rate_d": 1.0}


def split(case):
    return {k: case[k] for k in ("w", "m", "d")}, {k: v for k, v in case.items() if k not in ("w", "m", "d")}


def conditioning(case):
    """By how much the outcome magnifies a relative error of the start: it grows with G, which is a difference."""
    total = case["rate_w"] + case["rate_m"]
    gain = np.sqrt(case["diversity"] * case["rate_d"])
    sizes = gain * (abs(case["w"]) + abs(case["m"])) + np.sqrt(total) * (1.0 + abs(case["d"]))
    error = 1.0 - ((1.0 - case["d"]) * case["w"] + case["d"] * case["m"])
    leading = separatrix(**case) if error >= 0 else separatrix(**case | {"w": -case["w"], "m": -case["m"]})
    return sizes, abs(float(leading))


# ---------------------------------------------------------------- the gated model


@given(case=cases, r=st.one_of(st.floats(1e-8, 1.0), st.just(1.0)))
@settings(max_examples=60)
@example(case=PLAIN, r=1e-8)
@example(case=PLAIN | {"d": 0.5}, r=1e-6)  # on the separatrix
@example(case=PLAIN | {"d": 0.5 + 1e-9}, r=1e-6)  # beside it
@example(case=PLAIN | {"d": 0.5 + 1e-3, "diversity": 1e4}, r=1e-4)  # much amplified
@example(case=PLAIN | {"w": 2.0, "m": 3.0}, r=1e-4)  # an error below 0
@example(case=PLAIN | {"rate_w": 1e-4, "rate_m": 1e4}, r=1e-4)
def test_stop_is_where_the_solver_stands_at_that_time(case, r):
    start, params = split(case)
    stop = gated_stop(r, **case)
    first = float(gated_solution(0.0, **case).error)
    assume(abs(first) > 1e-6 and stop.t < 1e12)
    got = tm.solve(
        tm.models.gated,
        [0.0, max(float(stop.t), 1e-300)],
        start=start,
        params=params,
        method="dop853" if stop.t < 1e2 else "rodas5p",
        rtol=1e-11,
        atol=1e-15,
        max_steps=1_000_000,
    ).isel(time=-1)
    sizes, lead = conditioning(case)
    allowed = 1e-7 * (1.0 + 1e-3 * sizes / max(lead, 1e-12 * sizes))
    for name in ("w", "m", "d"):
        ours = float(getattr(stop, name))
        assert got[name].item() == pytest.approx(ours, rel=allowed, abs=allowed), name
    assert got["error"].item() == pytest.approx(float(stop.error), rel=allowed, abs=allowed * abs(first))
    assert stop.error == pytest.approx(np.sqrt(r) * first, rel=1e-9)


@given(case=cases, x=st.floats(-12.0, 12.0))
@settings(max_examples=100)
@example(case=PLAIN | {"diversity": 1e-300}, x=1e-3)  # a gate that does not move
@example(
    case=PLAIN | {"d": -1.846, "diversity": 0.0011, "rate_w": 0.75, "rate_m": 63.9, "rate_d": 0.01425}, x=-11.0
)  # contents of 1e8
@example(case=PLAIN | {"w": 1e-200, "m": -1e-200, "d": 0.5}, x=5.0)
def test_solution_is_the_matrix_exponential(case, x):
    """In internal time the flow is linear: (w, m, d, 1)' = A (w, m, d, 1), before and after convergence."""
    n, rate_w, rate_m, rate_d = (case[k] for k in ("diversity", "rate_w", "rate_m", "rate_d"))
    s = x / np.sqrt(n * rate_d * (rate_w + rate_m)) if n > 1e-200 else x
    matrix = np.zeros((4, 4))
    matrix[0, 2:] = -rate_w, rate_w
    matrix[1, 2] = rate_m
    matrix[2, :2] = -n * rate_d, n * rate_d
    scale = np.array([1.0, 1.0, np.sqrt(n * rate_d / (rate_w + rate_m)), 1.0])  # balances the matrix
    begin = np.array([case["w"], case["m"], case["d"], 1.0])
    expected = scale * (expm(s * matrix / scale[:, None] * scale) @ (begin / scale))
    state = gated_solution(s, **case)
    size = scale * (expm(np.abs(s * matrix) / scale[:, None] * scale) @ np.abs(begin / scale))
    size[2] += (1.0 + abs(case["d"])) * np.expm1(min(abs(x), 1.0))  # d* does not show in A, but does in the formula
    # scaling and squaring loses some digits of its own where |kappa s| is 10;
    # the formula takes the differences of q and of m - w in the unit in which G has them
    shared = np.array([rate_w, rate_m, 0.0]) * abs(s) * (1.0 + abs(case["d"]))
    np.testing.assert_array_less(np.abs(np.array(state[:3]) - expected[:3]), 1e-11 * (size[:3] + shared) + 1e-300)
    error = 1.0 - ((1.0 - state.d) * state.w + state.d * state.m)
    products = 1.0 + size[0] + size[2] * (size[0] + size[1])
    assert state.error == pytest.approx(error, rel=1e-12, abs=1e-11 * products)


@given(case=cases, r=st.floats(1e-4, 0.9))
@settings(max_examples=40)
@example(case=PLAIN | {"d": 0.5 - 1e-6, "diversity": 100.0}, r=1e-3)
def test_separatrix_grows_along_the_solvers_run_and_keeps_its_sign(case, r):
    start, params = split(case)
    stop = gated_stop(r, **case)
    before = float(separatrix(**case))
    assume(stop.error > 1e-6 and stop.t < 1e3)
    got = tm.solve(
        tm.models.gated, [float(stop.t)], start=start, params=params, method="dop853", rtol=1e-12, atol=1e-16
    ).isel(time=-1)
    after = separatrix(*(got[k].item() for k in ("w", "m", "d")), **params)
    kappa = np.sqrt(case["diversity"] * case["rate_d"] * (case["rate_w"] + case["rate_m"]))
    sizes, _ = conditioning(case)
    assert after == pytest.approx(
        before * np.exp(kappa * float(stop.s)), rel=1e-6, abs=1e-9 * sizes * np.exp(kappa * float(stop.s))
    )


@given(rate_w=rates, rate_m=rates, n=diversities, r=st.floats(1e-3, 0.9), side=st.sampled_from([-1, 1]))
@settings(max_examples=25)
def test_the_sign_decides_which_mechanism_the_solver_sees_win(rate_w, rate_m, n, r, side):
    """From equal contents 0 the gate moves to the side of the separatrix, however close the start is to it."""
    total = rate_w + rate_m
    d = rate_w / total + side * 1e-4
    case = PLAIN | {"rate_w": rate_w, "rate_m": rate_m, "diversity": n, "d": d}
    start, params = split(case)
    assert np.sign(separatrix(**case)) == side
    stop = gated_stop(r, **case)
    got = tm.solve(
        tm.models.gated, [float(stop.t)], start=start, params=params, method="dop853", rtol=1e-10, atol=1e-14
    ).isel(time=-1)
    assert np.sign(got["m"].item() - got["w"].item()) == side
    assert np.sign(got["d"].item() - d) == side


def test_gated_limits():
    never = gated_stop([0.0, 1.0], **PLAIN)
    assert never.t.tolist() == [np.inf, 0.0]
    assert never.s[1] == 0.0
    assert never.error[0] == 0.0
    still = gated_stop(0.25, **PLAIN | {"w": 1.0, "d": 0.0})  # no error: nothing moves
    assert (still.s, still.t, still.d) == (0.0, 0.0, 0.0)
    even = gated_stop(np.exp(-20.0), **PLAIN | {"d": 0.5})  # y = s/2, so that g = e^(-t/2)
    assert even.t == pytest.approx(20.0, rel=1e-10)
    assert separatrix(0.0, 0.0, 0.5, diversity=[1.0, 1e6]).tolist() == [0.0, 0.0]
    assert gated_solution(1e6, **PLAIN).d == np.inf


def test_gated_refusals():
    for call in (
        lambda: gated_stop(1.5, **PLAIN),
        lambda: gated_stop(0.5, **PLAIN | {"rate_d": 0.0}),
        lambda: gated_solution(np.nan, **PLAIN),
        lambda: separatrix(0.0, 0.0, 0.5, diversity=-1.0),
    ):
        with pytest.raises(DomainError, match="got"):
            call()


# ---------------------------------------------------------------- the polarization law


@st.composite
def contests(draw):
    k = draw(st.integers(2, 4))
    spread = draw(st.sampled_from([1e-8, 1.0, 20.0, 1000.0]))
    odds = [draw(st.floats(-1.0, 1.0)) * spread for _ in range(k)]
    content = [draw(st.floats(-1.0, 1.0)) for _ in range(k)]
    return odds, content, [draw(rates) for _ in range(k)]


@given(contest=contests(), n=diversities, eta=rates, t=st.floats(1e-3, 1e3))
@settings(max_examples=40)
@example(contest=([0.0, 0.0], [0.0, 0.0], [1.0, 1.0]), n=1.0, eta=1.0, t=5.0)
@example(contest=([-1000.0, 0.0, 3.0], [0.5, -0.5, 0.1], [1.0, 0.3, 2.0]), n=100.0, eta=1.0, t=20.0)
def test_polarization_is_kept_by_the_model(contest, n, eta, t):
    odds, content, rate = contest
    ended = run(odds, content=content, t=t, diversity=n, gate_rate=eta, rate=rate)
    options = {"diversity": n, "gate_rate": eta, "rates": rate}
    before = polarization(content, log_odds=odds, **options)
    after = polarization(ended.c, log_odds=ended.odds, **options)
    # both terms may be much larger than what they leave
    spread = 0.5 * n * eta * np.sum(1.0 / np.array(rate)) * max(np.ptp(ended.c) ** 2, np.ptp(content) ** 2)
    assert after == pytest.approx(before, abs=1e-7 * (1.0 + spread + np.ptp(ended.odds) + np.ptp(odds)))


@given(k=st.integers(2, 6), seed=st.integers(0, 999))
@settings(max_examples=20)
def test_both_ways_of_giving_the_reliances(k, seed):
    rng = np.random.default_rng(seed)
    p, c, rate = rng.dirichlet(np.ones(k)) + 1e-12, rng.normal(size=k), rng.uniform(0.1, 5.0, k)
    p /= p.sum()
    one = polarization(c, reliances=p, diversity=3.0, rates=rate)
    assert one == pytest.approx(polarization(c, log_odds=np.log(p) + 7.0, diversity=3.0, rates=rate), rel=1e-9)


def test_polarization_refusals():
    with pytest.raises(ArgumentError, match="not as both"):
        polarization([0.0, 0.0], diversity=1.0)
    with pytest.raises(DomainError, match="must sum to 1"):
        polarization([0.0, 0.0], reliances=[0.5, 0.6], diversity=1.0)
    with pytest.raises(DomainError, match="single number"):
        polarization(0.0, log_odds=0.0, diversity=1.0)

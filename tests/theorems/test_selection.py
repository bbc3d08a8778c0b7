"""Mechanisms 1.9 against the model: which mechanism training selects, and when that is decided."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import run
from scipy.special import expit, logit

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.mechanisms import decision_time, reliances_at_stop, selection_score

rates = st.floats(-2.0, 2.0).map(lambda e: 10.0**e)
strengths = st.one_of(st.just(0.0), st.floats(-3.0, 1.0).map(lambda e: 10.0**e))

# ---------------------------------------------------------------- the order theorem


@st.composite
def contests(draw):
    """Rates and bits, with exact ties of the score (a factor two in rate for one bit) and near ones."""
    k = draw(st.integers(2, 4))
    if draw(st.booleans()):
        shift = [draw(st.integers(-3, 3)) for _ in range(k)]
        apart = [draw(st.sampled_from([0.0, 1e-6, 1.0])) for _ in range(k)]
        return [2.0**j for j in shift], [j + a for j, a in zip(shift, apart, strict=True)]
    return [draw(rates) for _ in range(k)], [draw(st.floats(-6.0, 6.0)) for _ in range(k)]


@given(
    contest=contests(),
    c0=st.floats(-2.0, 0.99),
    n=st.floats(-2.0, 4.0).map(lambda e: 10.0**e),
    eta=rates,
    lam=strengths,
    mu=strengths,
    t=st.floats(-2.0, 2.5).map(lambda e: 10.0**e),
)
@settings(max_examples=12)
@example(contest=([2.0, 1.0], [1.0, 0.0]), c0=0.0, n=1e4, eta=1.0, lam=0.01, mu=0.1, t=100.0)  # a tie
@example(contest=([4.0, 1.0, 1.0], [1.0, 0.0, 0.0]), c0=0.0, n=50.0, eta=1.0, lam=0.01, mu=0.0, t=30.0)
@example(contest=([1.0, 1.0], [1e-6, 0.0]), c0=0.5, n=1e3, eta=1.0, lam=0.0, mu=0.1, t=50.0)
def test_the_model_keeps_the_order_of_the_scores(contest, c0, n, eta, lam, mu, t):
    rate, bits = contest
    rate, bits = np.array(rate), np.array(bits)
    odds = -bits * np.log(2.0)
    ended = run(odds, content=c0, t=t, diversity=n, gate_rate=eta, lam=lam, mu=mu, rate=rate, bits=bits)
    score = selection_score(rate, bits)
    weight = np.log(rate) + ended.odds  # ln(eta p) up to a constant
    rounding = 1e-9 * (1.0 + np.ptp(ended.odds))
    for i in range(rate.size):
        for j in range(rate.size):
            if score[i] > score[j]:
                assert weight[i] - weight[j] > -rounding
                assert ended.c[i] - ended.c[j] > -rounding
                if score[i] > score[j] + 1e-3 and lam == 0.0:
                    assert ended.c[i] > ended.c[j]
            if score[i] == score[j]:
                # an integrator's rounding is amplified along with everything else: ties are tested where it is little
                assume(np.sqrt(n * eta * rate.sum()) * (1 - c0) < 8.0)
                assert weight[i] - weight[j] == pytest.approx(0.0, abs=1e-5)


def test_the_order_of_the_reliances_may_differ():
    """The faster mechanism wins although its reliance is the smaller one for long."""
    rate, bits = np.array([4.0, 1.0]), np.array([1.0, 0.0])
    assert np.diff(selection_score(rate, bits)) < 0
    early = run(-bits * np.log(2.0), t=0.05, diversity=10.0, rate=rate, bits=bits)
    late = run(-bits * np.log(2.0), t=20.0, diversity=10.0, rate=rate, bits=bits)
    assert early.p[0] < early.p[1]
    assert late.p[0] > late.p[1]


# ---------------------------------------------------------------- decision time


@st.composite
def decisions(draw):
    """A prior, rates, diversity and content, and how far towards the end of training the decision is asked for."""
    rate = (draw(rates), draw(rates))
    near = draw(st.sampled_from([1e-9, 1e-3, 1.0, 5.0]))
    score = draw(st.floats(-1.0, 1.0)) * near
    return {
        "rates": rate,
        "prior_log_odds": score - np.log(rate[0]) + np.log(rate[1]),
        "diversity": 10.0 ** draw(st.floats(-2.0, 4.0)),
        "gate_rate": draw(rates),
        "content": draw(st.sampled_from([0.0, -1.0, 0.9])),
    }, draw(st.floats(0.01, 0.99))


def final_log_odds(case):
    """Log-odds of the mechanism of the higher score at the start, and when training has converged."""
    score = case["prior_log_odds"] + np.log(case["rates"][0]) - np.log(case["rates"][1])
    sign = 1.0 if score >= 0 else -1.0
    # equal contents c(0) leave the collapse theorem in place: C is measured from them
    x = np.sqrt(case["diversity"] * case["gate_rate"]) * (1.0 - case["content"])
    p = np.maximum(reliances_at_stop(x, log_odds=[case["prior_log_odds"], 0.0], rates=case["rates"]), 1e-300)
    return sign, sign * case["prior_log_odds"], sign * (np.log(p[0]) - np.log(p[1])), abs(score)


@given(asked=decisions())
@settings(max_examples=10)
@example(asked=({"rates": (1.0, 1.0), "prior_log_odds": 1e-9, "diversity": 1e3, "gate_rate": 1.0, "content": 0.0}, 0.9))
@example(asked=({"rates": (1e-2, 1e2), "prior_log_odds": 9.0, "diversity": 1.0, "gate_rate": 1.0, "content": 0.0}, 0.5))
@example(
    asked=({"rates": (1e-3, 1e3), "prior_log_odds": 14.0, "diversity": 1e2, "gate_rate": 1.0, "content": 0.0}, 0.5)
)
def test_the_decision_falls_when_the_model_says(asked):
    case, part = asked
    sign, start, end, score = final_log_odds(case)
    assume(score > 1e-12 and end - start > 1e-6 * (1.0 + abs(start)) and abs(end) < 30.0)
    share = float(expit(start + part * (end - start)))
    assume(0.0 < share < 1.0 and logit(share) > start)
    found = decision_time(share, **case)
    assert np.isfinite(found.time)
    a, b = (0, 1) if sign > 0 else (1, 0)
    run_options = {k: case[k] for k in ("diversity", "gate_rate", "content")} | {"rate": case["rates"]}
    wanted = float(logit(share))
    met = run(
        [case["prior_log_odds"], 0.0], t=1e9, until=lambda c, p: np.log(p[a]) - np.log(p[b]) - wanted, **run_options
    )
    # the start of a near tie is known to the integrator's absolute tolerance only
    allowed = 1e-6 + 3e-13 / score
    assert found.time == pytest.approx(met.t, rel=allowed)
    internal = np.sum((met.c - case["content"]) / np.array(case["rates"]))  # c_r' = eta_r g p_r and s' = g
    assert found.internal == pytest.approx(internal, rel=allowed)
    left = (1.0 - met.p @ met.c) / (1.0 - case["content"])
    assert np.sqrt(found.residual) == pytest.approx(left, rel=allowed / max(left, 1e-3), abs=allowed)


@given(asked=decisions())
@settings(max_examples=25)
def test_never_where_training_converges_first(asked):
    case, part = asked
    _, start, end, score = final_log_odds(case)
    assume(score > 1e-12 and end < 30.0)
    beyond = float(expit(end + part * max(end - start, 1e-3) + 1e-6))
    assume(beyond < 1.0)
    assert decision_time(beyond, **case) == (np.inf, np.inf, 0.0)
    if start > -30.0:
        already = float(expit(start - part))
        assert decision_time(already, **case) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("l0", "rate", "share"),
    [
        (1.0, (1.0, 2.0), 0.9),
        (30.0, (1.0, np.exp(29.0)), 1.0 - 1e-15),  # prior and alpha are 1 to 13 digits, their difference decides
        (-30.0, (np.exp(31.0), 1.0), 1e-5),
        (1e-14, (1.0, 1.0), 0.75),
    ],
)
def test_internal_decision_time_is_the_integral_of_the_invariant(l0, rate, share):
    with mpmath.workdps(90):
        l0_, eta, end = mpmath.mpf(l0), [mpmath.mpf(v) for v in rate], mpmath.mpf(share)
        total, alpha = sum(eta), eta[1] / sum(eta)
        end = mpmath.log(end / (1 - end))
        n = mpmath.mpf(10) ** 60  # so large that training is far from converged

        def divergence(l):
            return alpha * mpmath.log1p(mpmath.exp(-l)) + (1 - alpha) * mpmath.log1p(mpmath.exp(l))

        def pace(v):  # l = l0 + v^2: the root at l0 leaves a finite integrand
            return 2 * v / mpmath.sqrt(2 * n * total * (divergence(l0_ + v**2) - divergence(l0_)))

        top = mpmath.sqrt(end - l0_)
        exact = mpmath.quad(pace, [top * mpmath.mpf(2) ** -j for j in range(60, -1, -2)])  # constant before
    found = decision_time(share, prior_log_odds=l0, rates=rate, diversity=1e60)
    assert found.internal == pytest.approx(float(exact), rel=1e-9)


def test_decision_limits():
    tie = decision_time(0.9, prior_log_odds=np.log(2.0), rates=(1.0, 2.0), diversity=1e6)
    assert tie == (np.inf, np.inf, 0.0)
    times = decision_time(0.99, prior_log_odds=[1e-300, 1e-12, 1.0], diversity=[[1e7], [1e9]])
    assert times.time.shape == (2, 3)
    assert np.all(np.diff(times.time, axis=1) < 0)
    # far from convergence sigma = sqrt(n eta) s alone decides: s scales as 1/sqrt(n)
    np.testing.assert_allclose(times.internal[0], 10.0 * times.internal[1], rtol=1e-12)
    assert selection_score(8.0, 3.0) == 0.0


def test_selection_refusals():
    for call in (
        lambda: selection_score(0.0, 1.0),
        lambda: decision_time(1.0, prior_log_odds=0.0, diversity=1.0),
        lambda: decision_time(0.9, prior_log_odds=0.0, diversity=1.0, content=1.0),
        lambda: decision_time(0.9, prior_log_odds=np.inf, diversity=1.0),
    ):
        with pytest.raises(DomainError, match="got"):
            call()
    with pytest.raises(ArgumentError, match="bits"):
        selection_score(1.0, "short")

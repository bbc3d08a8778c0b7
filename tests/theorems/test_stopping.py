"""Mechanisms 1.7 against the model itself: amplification, the collapse of all diversities on one curve, the reverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mechanism_flow import effective_number, run
from scipy.integrate import solve_ivp

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.mechanisms import (
    collapse_coordinate,
    critical_collapse,
    early_stopping_gain,
    exact_stop_diversity,
    reliances_at_stop,
    reversal_window,
    stop_diversity,
    stop_diversity_converged,
)

SHAPES = {
    2: [[1, -1]],
    3: [[2, -1, -1], [1, 1, -2], [1, 0, -1]],
    4: [[3, -1, -1, -1], [1, 1, 1, -3], [1, 1, -1, -1], [1, 0, 0, -1]],
}
EVERY_SHAPE = [(k, shape) for k, shapes in SHAPES.items() for shape in shapes]


def bump(shape, size):
    shape = np.array(shape, float)
    return shape / np.abs(shape).max() * size


# ---------------------------------------------------------------- first order


@given(
    k=st.integers(2, 4),
    exponent=st.floats(0.1, 6.0),
    eta_p=st.floats(0.1, 3.0),
    r=st.floats(1e-4, 0.999),
)
@settings(max_examples=25, deadline=None)
def test_at_the_formulas_diversity_the_model_stops_at_the_threshold(k, exponent, eta_p, r):
    """Run the model at n, read off the deviation it stops with, and ask the formula which n stops with that."""
    u0 = 1e-7
    n = (exponent / (1 - np.sqrt(r))) ** 2 / (eta_p * k)
    ended = run(np.log1p(k * bump(SHAPES[k][0], u0)), residual=r, diversity=n, gate_rate=eta_p)
    top = np.abs(np.expm1(ended.odds) - np.expm1(ended.odds).mean()).max() / k
    growth = np.cosh(np.sqrt(n * eta_p * k) * (1 - np.sqrt(r)))
    assert top / u0 == pytest.approx(growth, rel=2e-4)
    if growth > 1.1:
        found = stop_diversity(r, perturbation=u0, threshold=top, mechanisms=k, gate_rate=eta_p)
        assert found == pytest.approx(n, rel=5e-3)


@pytest.mark.parametrize(("k", "shape"), EVERY_SHAPE)
def test_nonlinear_value_is_close_for_small_perturbations(k, shape):
    for sign in (1, -1):
        exact = exact_stop_diversity(0.2, "deviation", 0.005, perturbation=sign * bump(shape, 1e-4))
        formula = stop_diversity(0.2, perturbation=1e-4, threshold=0.005, mechanisms=k)
        assert abs(exact / formula - 1) < 0.004


def test_nonlinear_value_differs_by_up_to_five_percent_for_larger_ones():
    off = [
        float(exact_stop_diversity(0.2, "deviation", 0.05, perturbation=sign * bump(shape, 1e-3)))
        / float(stop_diversity(0.2, perturbation=1e-3, threshold=0.05, mechanisms=4))
        - 1
        for shape in SHAPES[4]
        for sign in (1, -1)
    ]
    assert 0.045 < np.abs(off).max() < 0.0502


@given(k=st.integers(2, 5), exponent=st.integers(-300, -12), ratio=st.floats(1.0001, 1e6))
@example(k=2, exponent=-300, ratio=1.0001)
@example(k=5, exponent=-300, ratio=1e6)
@settings(max_examples=25, deadline=None)
def test_exact_value_tends_to_the_formula(k, exponent, ratio):
    """Deviations far below the rounding of 1/K are still followed."""
    u0 = 10.0**exponent
    shape = np.zeros(k)
    shape[:2] = 1, -1
    exact = exact_stop_diversity(0.5, "deviation", u0 * ratio, perturbation=u0 * shape)
    formula = stop_diversity(0.5, perturbation=u0, threshold=u0 * ratio, mechanisms=k)
    assert exact == pytest.approx(float(formula), rel=1e-4)


def test_degenerate_limits():
    assert stop_diversity(1.0, perturbation=1e-3, threshold=0.1) == np.inf
    assert stop_diversity([0.0, 1.0], perturbation=0.1, threshold=0.1).tolist() == [0.0, 0.0]
    assert stop_diversity_converged(perturbation=0.2, threshold=0.1) == 0.0
    assert early_stopping_gain([0.0, 0.25, 1.0]).tolist() == [1.0, 4.0, np.inf]
    tiny = stop_diversity_converged(perturbation=1e-308, threshold=1e308)
    assert tiny == pytest.approx((np.log(2) + 616 * np.log(10)) ** 2 / 2)
    near = stop_diversity_converged(perturbation=1.0, threshold=1.0 + 1e-15)
    assert near == pytest.approx((np.nextafter(1.0 + 1e-15, 1) - 1 + 1e-15) / 1, rel=0.3)
    grid = stop_diversity(np.linspace(0, 0.9, 4)[:, None], perturbation=1e-3, threshold=[0.01, 0.1, 0.2])
    assert grid.shape == (4, 3)
    assert np.all(np.diff(grid, axis=0) > 0)
    assert np.all(np.diff(grid, axis=1) > 0)


@given(r=st.floats(0.0, 1.0, exclude_max=True), n=st.floats(1e-300, 1e300), eta=st.floats(1e-6, 1e6))
def test_coordinate_and_gain_belong_together(r, n, eta):
    at_end = collapse_coordinate(n, 0.0, gate_rate=eta)
    assert at_end / collapse_coordinate(n, r, gate_rate=eta) == pytest.approx(np.sqrt(early_stopping_gain(r)))


# ---------------------------------------------------------------- the collapse theorem


@st.composite
def contests(draw):
    """K, log-odds and rates, with near-ties and rates that differ by orders of magnitude."""
    k = draw(st.integers(2, 4))
    spread = draw(st.sampled_from([1e-6, 0.1, 3.0]))
    odds = [draw(st.floats(-spread, spread)) for _ in range(k)]
    rates = [10 ** draw(st.floats(-1.5, 1.5)) for _ in range(k)]
    return odds, draw(st.sampled_from([rates, [1.0] * k]))


def by_differences(odds, rates, *, residual, diversity, gate_rate):
    """Reliances at the stop, from the model's equations for differences of contents and of log-odds.

    Without decay and pressure (c_i - c_K)' = g (eta_i p_i - eta_K p_K): written with expm1 of the difference of the
    logarithms, near-ties are kept that reliances no longer show.
    """
    odds, rates = np.array(odds, float), np.array(rates, float)
    k = odds.size
    ahead = np.log(rates[:-1]) - np.log(rates[-1])

    def split(y):
        odds_y = np.append(y[k:], 0.0)
        p = np.exp(odds_y - np.logaddexp.reduce(odds_y))
        return p, 1.0 - y[0] - p[:-1] @ y[1:k]

    def field(_t, y):
        p, g = split(y)
        pace = g * rates[-1] * p[-1]
        apart = np.maximum(np.minimum(y[k:] + ahead, 700.0), -700.0)
        return np.concatenate([[pace], pace * np.expm1(apart), diversity * gate_rate * g * y[1:k]])

    def stop(_t, y):
        return split(y)[1] ** 2 - residual

    stop.terminal = True
    start = np.concatenate([np.zeros(k), (odds - odds[-1])[:-1]])
    # a diversity below 1e4 amplifies by e^100 at the most: what is smaller than 1e-60 never shows
    scale = np.clip(np.abs(np.append(start[k:] + ahead, 1.0)).min(), 1e-60, 1.0)
    done = solve_ivp(field, (0.0, 1e9), start, method="LSODA", rtol=1e-11, atol=1e-13 * scale, events=stop)
    assert done.t_events[0].size
    return split(done.y[:, -1])[0]


@given(
    contest=contests(),
    x=st.floats(0.05, 8.0),
    r=st.floats(1e-4, 0.99),
    eta_p=st.floats(0.05, 20.0),
)
@settings(max_examples=20, deadline=None)
def test_reliances_at_the_stop_depend_on_one_coordinate(contest, x, r, eta_p):
    odds, rates = contest
    n = (x / (1 - np.sqrt(r))) ** 2 / eta_p
    ended = run(odds, residual=r, diversity=n, gate_rate=eta_p, rate=rates)
    predicted = reliances_at_stop(collapse_coordinate(n, r, gate_rate=eta_p), log_odds=odds, rates=rates)
    assert predicted.sum() == pytest.approx(1.0)
    assert ended.p == pytest.approx(predicted, rel=1e-6, abs=1e-9)


@given(
    contest=contests(),
    r=st.floats(0.0, 0.9),
    which=st.sampled_from(["deviation", "n_eff", "leader"]),
    part=st.floats(0.05, 0.9),
)
@settings(max_examples=16, deadline=None)
@example(contest=([4.6e-23, 0.0], [1.0, 1.0]), r=0.1, which="leader", part=0.5)  # a difference that no reliance shows
@example(contest=([0.0, -1e-300, 0.0], [1.0, 1.0, 1.0]), r=0.0, which="deviation", part=0.9)
def test_every_criterion_is_met_exactly_at_its_diversity(contest, r, which, part):
    odds, rates = contest
    k = len(odds)
    p0 = reliances_at_stop(0.0, log_odds=odds, rates=rates)
    measures = {
        "deviation": lambda p: np.abs(p - 1 / k).max(),
        "n_eff": effective_number,
        "leader": np.max,
    }
    ends = {"deviation": 1 - 1 / k, "n_eff": 1.0, "leader": 1.0}
    value = (1 - part) * float(measures[which](p0)) + part * ends[which]
    n = float(exact_stop_diversity(r, which, value, log_odds=odds, rates=rates, gate_rate=0.7))
    if not 0 < n < 1e4:  # met at once, or by no stop: a tie
        return
    r_run = max(r, 1e-6)
    scaled = n * (1 - np.sqrt(r)) ** 2 / (1 - np.sqrt(r_run)) ** 2
    ended = by_differences(odds, rates, residual=r_run, diversity=scaled, gate_rate=0.7)
    assert measures[which](ended) == pytest.approx(value, rel=1e-5)
    gaps = np.abs(np.subtract.outer(score := np.array(odds) + np.log(rates), score))
    if np.all((gaps > 1e-8) | (gaps == 0.0)):  # the model as it is, wherever it can see the differences
        whole = run(odds, residual=r_run, diversity=scaled, gate_rate=0.7, rate=rates)
        assert measures[which](whole.p) == pytest.approx(value, rel=1e-5)
    before = reliances_at_stop(collapse_coordinate(0.99 * n, r, gate_rate=0.7), log_odds=odds, rates=rates)
    sign = -1 if which == "n_eff" else 1
    assert sign * measures[which](before) < sign * value


@given(r=st.floats(0.0, 0.999), value=st.floats(0.55, 0.999999))
@settings(max_examples=20, deadline=None)
def test_stopping_early_helps_by_the_gain_and_by_no_more(r, value):
    start = {"log_odds": [0.3, 0.0, -0.2], "rates": [1.0, 2.0, 0.5]}
    ratio = exact_stop_diversity(r, "leader", value, **start) / exact_stop_diversity(0, "leader", value, **start)
    assert ratio == pytest.approx(float(early_stopping_gain(r)), rel=1e-13)


@given(
    contest=contests(),
    c0=st.floats(-1.0, 0.9),
    x=st.floats(0.1, 6.0),
    r=st.floats(1e-3, 0.9),
    eta_p=st.floats(0.1, 5.0),
)
@settings(max_examples=12)
def test_a_common_content_at_the_start_only_shortens_the_coordinate(contest, c0, x, r, eta_p):
    """Only differences of contents feed the reliances: X is sqrt(n eta_p) (1 - c_0) (1 - sqrt r)."""
    odds, rates = contest
    n = (x / (1 - np.sqrt(r)) / (1 - c0)) ** 2 / eta_p
    ended = run(odds, content=c0, residual=r, diversity=n, gate_rate=eta_p, rate=rates)
    predicted = reliances_at_stop((1 - c0) * collapse_coordinate(n, r, gate_rate=eta_p), log_odds=odds, rates=rates)
    assert ended.p == pytest.approx(predicted, rel=1e-6, abs=1e-9)


@given(x=st.floats(0.5, 3.0), gap=st.floats(0.02, 0.2))
@settings(max_examples=6)
def test_different_contents_at_the_start_break_the_collapse(x, gap):
    """A head start in content counts for sqrt(n eta_p) as much: the same coordinate, different reliances."""
    ends = [
        run([0.0, 0.0], content=[gap, 0.0], residual=r, diversity=(x / (1 - np.sqrt(r)) / (1 - gap / 2)) ** 2).p[0]
        for r in (1e-4, 0.5, 0.81)
    ]
    assert min(ends) > 0.5
    assert np.ptp(ends) > 1e-3


@given(
    lead=st.floats(0.1, 1.5),
    speed=st.floats(1.5, 4.0),
    value=st.floats(0.05, 0.95),
    which=st.sampled_from(["leader", "deviation", "n_eff"]),
)
@settings(max_examples=12)
def test_a_change_of_the_leader_is_followed(lead, speed, value, which):
    """The slower mechanism begins ahead and is overtaken: on the way every measure of polarization falls first."""
    odds, rates = [lead, 0.0], [1.0, speed * np.exp(lead)]
    p0 = reliances_at_stop(0.0, log_odds=odds, rates=rates)
    begin = {"leader": p0.max(), "deviation": p0.max() - 0.5, "n_eff": effective_number(p0)}[which]
    end = {"leader": 1.0, "deviation": 0.5, "n_eff": 1.0}[which]
    wanted = begin + value * (end - begin)
    x = float(critical_collapse(which, wanted, log_odds=odds, rates=rates))
    r = 0.3
    n = (x / (1 - np.sqrt(r))) ** 2
    at = run(odds, residual=r, diversity=n, rate=rates)
    assert at.p[1] > at.p[0]
    measured = {"leader": at.p.max(), "deviation": at.p.max() - 0.5, "n_eff": effective_number(at.p)}[which]
    assert measured == pytest.approx(wanted, rel=1e-6)
    # nothing on the way meets it: the start is passed by, level, and only then left on the other side
    curve = reliances_at_stop(np.linspace(0.0, 0.999 * x, 200), log_odds=odds, rates=rates)
    tops = curve.max(axis=1)
    assert tops.min() < 0.505
    assert tops.max() < at.p.max()
    # what the start itself meets is met at once, whatever happens later
    met = begin * (1.0 + 1e-12) if which == "n_eff" else begin * (1.0 - 1e-12)
    assert critical_collapse(which, met, log_odds=odds, rates=rates) == 0.0


def test_ties_stay_tied_and_limits_are_never_reached():
    assert critical_collapse("leader", [0.3, 0.5, 0.6], log_odds=[1.0, 1.0, 0.5]).tolist() == [0.0, np.inf, np.inf]
    assert critical_collapse("n_eff", 1.99, shares=[0.5, 0.5]) == np.inf
    tied = reliances_at_stop([0.0, 3.0, 1e9], shares=[0.2, 0.4, 0.4], rates=[2.0, 1.0, 0.5])
    assert tied[1, 0] / tied[1, 1] == pytest.approx(0.5, rel=1e-12)  # eta p is equal: 2 * 0.2 = 1 * 0.4
    assert tied[2] == pytest.approx([1 / 3, 2 / 3, 0.0], abs=1e-12)
    far = critical_collapse("leader", [1 - 1e-15, 1.0], log_odds=[0.1, 0.0])
    assert 5 < far[0] < 20
    assert far[1] == np.inf
    sharp = critical_collapse("n_eff", [1.0, 1.0 + 1e-15], log_odds=[0.1, 0.0])
    assert sharp[0] == np.inf
    assert 5 < sharp[1] < 20


def test_bad_input_is_named():
    with pytest.raises(DomainError, match=r"residual must lie in \[0, 1\]; got 1.5"):
        stop_diversity(1.5, perturbation=1e-3, threshold=0.1)
    with pytest.raises(DomainError, match=r"perturbation must lie in \(0, inf\); got 0"):
        stop_diversity(0.5, perturbation=0, threshold=0.1)
    with pytest.raises(DomainError, match=r"mechanisms must be whole numbers, 2 or more; got 2.5"):
        stop_diversity(0.5, perturbation=1e-3, threshold=0.1, mechanisms=2.5)
    with pytest.raises(ArgumentError, match="did you mean 'leader'"):
        critical_collapse("leeder", 0.5, shares=[0.5, 0.5])
    with pytest.raises(ArgumentError, match="exactly one"):
        critical_collapse("leader", 0.5, shares=[0.5, 0.5], log_odds=[0, 0])
    with pytest.raises(DomainError, match="perturbation must sum to 0"):
        critical_collapse("leader", 0.5, perturbation=[0.1, 0.1])
    with pytest.raises(DomainError, match="shares must sum to 1"):
        critical_collapse("leader", 0.5, shares=[0.1, 0.1])
    with pytest.raises(ArgumentError, match=r"shares \(2,\), rates \(3,\)"):
        critical_collapse("leader", 0.5, shares=[0.5, 0.5], rates=[1, 2, 3])
    with pytest.raises(DomainError, match="rates must be one number or 2"):
        critical_collapse("leader", 0.5, shares=[0.5, 0.5], rates=[[1], [2]])
    with pytest.raises(ArgumentError, match="residual must be real numbers"):
        early_stopping_gain("half")


# ---------------------------------------------------------------- the reverse


def test_joint_at_convergence_but_not_when_stopped_early():
    """lambda = 1e-4, mu = 0.05, n = 60 < n_c = 250, u0 = 1e-3."""
    odds = np.log1p(2 * bump([1, -1], 1e-3))
    setting = {"diversity": 60.0, "lam": 1e-4, "mu": 0.05}
    numbers = [effective_number(run(odds, t=t, **setting).p) for t in (1e-9, 4.0, 50.0, 1000.0)]
    assert numbers == pytest.approx([2.00, 1.02, 1.52, 1.99], abs=0.005)
    window = reversal_window(perturbation=1e-3, threshold=0.4, lam=1e-4, mu=0.05)
    assert window.low < 60 < window.high
    assert window.high == pytest.approx(250.1, abs=0.1)


@given(
    k=st.integers(2, 4),
    lam=st.floats(-4.0, -1.0).map(lambda e: 10.0**e),
    mu=st.floats(-2.0, 1.0).map(lambda e: 10.0**e),
    eta=st.floats(0.3, 3.0),
    ratio=st.floats(1.5, 1e3),
)
@settings(max_examples=5)
@example(k=2, lam=1e-4, mu=0.05, eta=1.0, ratio=400.0)
def test_at_the_window_the_model_just_reaches_the_threshold_on_its_way_back(k, lam, mu, eta, ratio):
    u0 = 1e-8
    window = reversal_window(perturbation=u0, threshold=ratio * u0, lam=lam, mu=mu, mechanisms=k, gate_rate=eta)
    if not window.low < 0.98 * window.high:
        return
    odds = np.log1p(k * bump(SHAPES[k][0], u0))
    options = {"lam": lam, "mu": mu, "gate_rate": eta}
    end = 60.0 / lam + 60.0 / (eta * mu)

    def excess(_c, p):
        return np.abs(p - 1.0 / k).max() / (ratio * u0) - 1.0

    meets = run(odds, t=end, until=excess, diversity=1.01 * window.low, **options)
    assert meets.t < end
    never = run(odds, t=end, until=excess, diversity=0.99 * window.low, **options)
    assert never.t == pytest.approx(end)
    back = run(
        meets.odds,
        content=meets.c,
        t=end / (1.0 - 1.01 * window.low / window.high),
        diversity=1.01 * window.low,
        **options,
    )
    assert excess(back.c, back.p) < -0.5


def test_window_lies_above_the_limit_without_pressure_and_can_be_empty():
    limit = stop_diversity_converged(perturbation=1e-3, threshold=0.1)
    gentle = reversal_window(perturbation=1e-3, threshold=0.1, lam=1e-7, mu=1e-5)
    assert gentle.low == pytest.approx(float(limit), rel=1e-3)
    assert gentle.low > limit
    strict = reversal_window(perturbation=1e-3, threshold=0.1, lam=[1.0, 1e-6], mu=[[1e-3], [1e-2]])
    assert strict.low.shape == (2, 2)
    assert np.all(np.isinf(strict.low[:, 0]))
    assert reversal_window(perturbation=0.1, threshold=0.1, lam=1.0, mu=1.0).low == 0.0


def test_three_mechanisms_do_not_come_back_between_fold_and_critical_diversity():
    """From K = 3 the transition is of first order: below n_c a polarized state already waits."""
    window = reversal_window(perturbation=1e-3, threshold=0.05, lam=0.01, mu=0.05, mechanisms=3)
    critical = 0.05 * (1 + 0.03) ** 2 / 0.03
    assert window.high < critical
    odds = np.log1p(3 * bump([2, -1, -1], 0.02))
    stays = run(odds, t=1e6, diversity=(window.high + critical) / 2, lam=0.01, mu=0.05)
    returns = run(odds, t=1e6, diversity=0.99 * window.high, lam=0.01, mu=0.05)
    assert stays.p.max() > 0.37
    assert returns.p == pytest.approx(1 / 3, abs=1e-6)

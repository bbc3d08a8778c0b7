"""Crystallization 6.1 to 6.3: theorem functions against the solver, quadrature, root finding and brute force."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from derived import derivation
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems import crystallization as cr

MODELS = {f: tm.models.crystallization(f) for f in ("linear", "exact")}
FORESIGHT = st.sampled_from(["linear", "exact"])
stakes = st.one_of(st.just(0.0), st.floats(-300, 8).map(lambda e: 10.0**e), st.floats(0.01, 100.0))
times = st.floats(-4, 4).map(lambda e: 10.0**e)
rates = st.floats(-1.5, 1.5).map(lambda e: 10.0**e)


def pursuit(a, h, foresight):
    """1 - d* at a = eta u: 1/(1 + H a^2), or the root of 2 H a^2 x^3 + x = 1."""
    if foresight == "linear":
        return 1 / (1 + h * a**2)
    g, x = 2 * h * a**2, mpmath.mpf(1)
    for _ in range(400):  # Newton's method falls monotonically to the root of a convex function
        step = (g * x**3 + x - 1) / (3 * g * x**2 + 1)
        x -= step
        if abs(step) < x * mpmath.eps * 100:
            return x
    raise AssertionError(g)


@given(h=stakes, u=times, eta=rates, foresight=FORESIGHT)
@settings(max_examples=80, deadline=None)
@example(h=1.0, u=1e4, eta=1.0, foresight="exact")
@example(h=1e-300, u=1.0, eta=1.0, foresight="exact")
def test_deferral_is_the_agents_optimum(h, u, eta, foresight):
    d = cr.deferral(u, stakes=h, rate=eta, foresight=foresight)
    with mpmath.workdps(60):
        a, h_ = mpmath.mpf(eta) * mpmath.mpf(u), mpmath.mpf(h)
        power = 1 if foresight == "linear" else 3
        x = pursuit(a, h_, foresight)
        exact = (1 if power == 1 else 2) * h_ * a**2 * x**power
        assert d == pytest.approx(float(exact), rel=1e-12)
    if 0.0 < d < 0.999:
        back = cr.time_left(d, stakes=h, rate=eta, foresight=foresight)
        assert back == pytest.approx(u, rel=1e-11 / (1 - d))


@given(h=stakes, duration=times, part=st.floats(0, 1.5), eta=rates, w0=st.floats(-2, 2), foresight=FORESIGHT)
@settings(max_examples=50, deadline=None)
@example(h=0.0, duration=10.0, part=0.3, eta=1.0, w0=0.0, foresight="exact")
@example(h=1e-300, duration=10.0, part=0.3, eta=1.0, w0=0.0, foresight="linear")
@example(h=1e8, duration=1e4, part=1e-6, eta=1.0, w0=0.0, foresight="exact")
def test_course_is_the_integral_of_the_drift(h, duration, part, eta, w0, foresight):
    t = part * duration
    found = cr.course(t, start=w0, duration=duration, stakes=h, rate=eta, foresight=foresight)
    with mpmath.workdps(25):
        top, low = mpmath.mpf(eta) * duration, mpmath.mpf(eta) * max(duration - t, 0)
        knee = 1 / mpmath.sqrt(h) if h > 0 else top
        cuts = sorted(
            {low, top, *(knee * mpmath.mpf(10) ** k for k in range(-3, 12) if low < knee * mpmath.mpf(10) ** k < top)}
        )
        drift = mpmath.quad(lambda a: pursuit(a, mpmath.mpf(h), foresight) ** 2, cuts) if low < top else mpmath.mpf(0)
        exact = float(1 - (1 - mpmath.mpf(w0)) * mpmath.exp(-drift))
    assert found == pytest.approx(exact, abs=1e-9 * (1 + abs(w0)))


@given(
    h=st.floats(0.05, 30),
    duration=st.floats(0.5, 30),
    part=st.floats(0.05, 1.4),
    eta=st.floats(0.2, 3),
    foresight=FORESIGHT,
)
@settings(max_examples=25, deadline=None)
def test_course_against_the_solver(h, duration, part, eta, foresight):
    params = {"stakes": h, "duration": duration, "rate": eta}
    times, numeric = [0.0, part * duration], {"method": "dop853", "rtol": 1e-10, "atol": 1e-12}
    run = tm.solve(MODELS[foresight], times, params=params, start={"w": 0.1}, **numeric)
    exact = cr.course(part * duration, start=0.1, duration=duration, stakes=h, rate=eta, foresight=foresight)
    assert run["w"].values[-1] == pytest.approx(exact, abs=1e-8)
    left = max(duration - part * duration, 0.0)
    d = cr.deferral(left, stakes=h, rate=eta, foresight=foresight)
    assert run["deferral"].values[-1] == pytest.approx(d, rel=1e-10)
    assert run["loss"].values[-1] == pytest.approx((1 - d) ** 2 * (1 - exact) ** 2 / 2, rel=1e-6)


@given(h=st.floats(-6, 6).map(lambda e: 10.0**e), foresight=FORESIGHT)
@settings(max_examples=50, deadline=None)
def test_it_crystallizes(h, foresight):
    most = cr.most_moved(h, foresight=foresight)
    lengths = np.array([1.0, 10.0, 1e3, 1e6]) / np.sqrt(h)
    part = cr.moved(lengths, stakes=h, foresight=foresight)
    assert (np.diff(part) >= 0).all()
    assert (part <= most * (1 + 1e-12)).all()
    # J falls short of its end by 1/(3 H^2 a^3), or by 3 (4 H^2 a)^(-1/3) with exact foresight
    shortfall = np.log1p(-most) - np.log1p(-part[-1]) if most < 1 else 0.0
    assert (
        0
        <= -shortfall + 1e-9 * (1 + 1 / np.sqrt(h))
        <= (1e-6 if foresight == "linear" else 0.05) * (1 + 1 / np.sqrt(h))
    )


def test_the_two_kinds_of_foresight_and_none():
    assert cr.most_moved(1.0) == pytest.approx(1 - np.exp(-np.pi / 4))
    assert cr.most_moved(1.0, foresight="exact") == pytest.approx(1 - np.exp(-np.pi / np.sqrt(2)))
    assert cr.most_moved(0.0) == 1.0
    assert cr.moved(3.0, stakes=0.0, rate=2.0) == pytest.approx(1 - np.exp(-6.0))
    assert cr.moved(3.0, stakes=1e-14, rate=2.0) == pytest.approx(1 - np.exp(-6.0), rel=1e-10)
    stated = (10 / 101 + np.arctan(10.0)) / 2  # H = eta = 1, T = 10
    assert cr.moved(10.0, stakes=1.0) == pytest.approx(1 - np.exp(-stated), rel=1e-14)


@given(h=st.floats(-4, 4).map(lambda e: 10.0**e), eta=st.floats(0.2, 5))
@settings(max_examples=30, deadline=None)
def test_where_the_base_loss_peaks(h, eta):
    u = cr.loss_peak(stakes=h, rate=eta)
    duration = 3.0 * u

    def log_loss(left):
        d = cr.deferral(left, stakes=h, rate=eta)
        w = cr.course(duration - left, start=0.0, duration=duration, stakes=h, rate=eta)
        return 2 * np.log1p(-d) + 2 * np.log1p(-w)

    x = np.sqrt(h) * eta * u
    assert x**3 + x == pytest.approx(0.5 / np.sqrt(h), rel=1e-12)
    if 1e-3 < h < 1e3:  # elsewhere the peak is flat in floating point
        assert log_loss(u) >= max(log_loss(0.98 * u), log_loss(1.02 * u))


def test_half_of_the_deferral_is_gone_at_the_same_time_before_the_end():
    assert cr.time_left(0.5, stakes=4.0) == pytest.approx(0.5)
    assert cr.time_left(0.5, stakes=4.0, foresight="exact") == pytest.approx(np.sqrt(2) * 0.5)
    for duration in (10.0, 1000.0):
        run = tm.solve(tm.models.crystallization(), [0.0, duration - 0.5], params={"stakes": 4.0, "duration": duration})
        assert run["deferral"].values[-1] == pytest.approx(0.5)


# ---------------------------------------------------------------- episodes


@pytest.mark.parametrize(("m", "k"), [(1, 1), (1, 4), (2, 3), (3, 2)])
def test_episode_value_by_brute_force(m, k):
    q, total = 0.37, 0.0
    for acts in itertools.product([True, False], repeat=m + k):  # True: follows
        chance = np.prod([q if a else 1 - q for a in acts])
        early = [i for i in range(m) if not acts[i]]
        total += chance * (1 if early else sum(not a for a in acts[m:]))
    assert cr.episode_value(q, training=m, deployment=k) == pytest.approx(total)


@given(m=st.integers(1, 30), k=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_the_best_follow_is_the_maximum(m, k):
    best = cr.best_follow(training=m, deployment=k)
    grid = cr.episode_value(np.linspace(0, 1, 501), training=m, deployment=k)
    top = cr.episode_value(best, training=m, deployment=k)
    assert (grid <= top + 1e-12).all()
    assert top == pytest.approx(1 + (k - 1) / (m + 1) * best**m)


# ---------------------------------------------------------------- refusals and verdicts


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.deferral(-1.0, stakes=1.0), DomainError, "time_left must lie in"),
        (lambda: cr.deferral(1.0, stakes=-1.0), DomainError, "stakes must lie in"),
        (lambda: cr.deferral(1.0, stakes=1.0, foresight="exat"), ArgumentError, "did you mean 'exact'"),
        (lambda: cr.time_left(1.0, stakes=1.0), DomainError, r"deferral must lie in \[0, 1\)"),
        (lambda: cr.time_left(0.5, stakes=0.0), DomainError, "stakes must lie in"),
        (lambda: cr.course(1.0, start=0.0, duration=0.0, stakes=1.0), DomainError, "duration must lie in"),
        (lambda: cr.course(-1.0, start=0.0, duration=1.0, stakes=1.0), DomainError, "t must lie in"),
        (lambda: cr.best_follow(training=0, deployment=2), DomainError, "training must"),
        (lambda: cr.episode_value(1.5, training=1, deployment=2), DomainError, "follow must lie in"),
        (lambda: cr.most_moved("much"), ArgumentError, "stakes must be real numbers"),
    ],
)
def test_bad_values_are_refused_in_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stem", ["crystallization_6_1_course", "crystallization_6_2_defection", "crystallization_6_3_episodes"]
)
def test_the_machine_proves_it(stem):
    for claim in derivation(stem).CLAIMS:
        assert tm.verify(claim).outcome is tm.Outcome.PROVED, claim.name

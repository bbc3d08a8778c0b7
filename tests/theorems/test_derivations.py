"""Theorem functions of mechanisms 1.7 to 1.12 against the formulas of their derivations, and these against the model."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from derived import derivation, digits, mutated
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import run

import toymesa as tm
from toymesa.theorems.mechanisms import (
    collapse_coordinate,
    critical_diversity,
    crossover_diversity,
    crossover_diversity_exact,
    decision_time,
    equilibrium_contents,
    joint_survivors,
    leader_probability,
    loss_floor,
    noise_stop_diversity,
    outcome_probability,
    perturbation_variance,
    reduced_free_energy,
    reliances_at_stop,
    selection_score,
    stability_decay,
    stop_diversity,
)

D7 = derivation("mechanisms_1_7_stopping_early")
D8 = derivation("mechanisms_1_8_noise")
D9 = derivation("mechanisms_1_9_order")
D10 = derivation("mechanisms_1_10_crossover")
D12 = derivation("mechanisms_1_12_imperfect")
R, RATIO = sp.symbols("r ratio", positive=True)


def powers(low, high):
    return st.floats(low, high).map(lambda e: 10.0**e)


counts = st.integers(2, 6)
wide, logs = powers(-6.0, 6.0), powers(-2.0, 1.0)
residuals = st.floats(0.0, 1.0, exclude_max=True)


# ---------------------------------------------------------------- 1.7


@given(r=residuals, ratio=powers(0.001, 9.0), k=counts, eta=wide, n=wide)
@settings(max_examples=40, deadline=None)
def test_stopping_formulas_to_thirty_digits(r, ratio, k, eta, n):
    at = {R: r, D7.K: k, D7.ETA_P: eta, D7.N: n}
    formula = D7.stop_diversity(sp.sqrt(R)).subs(D7.LOG_GROWTH, sp.acosh(RATIO))
    found = stop_diversity(r, perturbation=1.0, threshold=ratio, mechanisms=k, gate_rate=eta)
    assert found == pytest.approx(digits(formula, at | {RATIO: ratio}), rel=1e-13)
    coordinate = collapse_coordinate(n, r, gate_rate=eta)
    assert coordinate == pytest.approx(digits(D7.coordinate(D7.N, sp.sqrt(R)), at), rel=1e-13)


@given(c0=st.floats(-1.0, 0.9), x=st.floats(0.3, 5.0), r=st.floats(1e-3, 0.9), lead=st.floats(0.01, 2.0))
@settings(max_examples=12, deadline=None)
def test_equal_contents_at_the_start_leave_the_collapse(c0, x, r, lead):
    """X is then sqrt(n eta_p) (1 - c_0)(1 - sqrt r)."""
    n = (x / (1 - c0) / (1 - np.sqrt(r))) ** 2
    ended = run([lead, 0.0, -0.1], content=c0, residual=r, diversity=n, rate=[1.0, 2.0, 0.5])
    expected = reliances_at_stop(x, log_odds=[lead, 0.0, -0.1], rates=[1.0, 2.0, 0.5])
    assert ended.p == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("gap", [0.02, 0.2])
def test_unequal_contents_at_the_start_break_the_collapse(gap):
    """The log-odds set out at the slope 4z/(z^2 + 2) against X, z = sqrt(n) gap: not a function of X alone."""
    x, found = 1e-3, []
    for n in (4.0, 400.0):
        r = (1 - x / np.sqrt(n)) ** 2
        odds = run([0.0, 0.0], content=[gap / 2, -gap / 2], residual=r, diversity=n).odds
        z = np.sqrt(n) * gap
        found.append(odds[0])
        assert odds[0] == pytest.approx(4 * z / (z**2 + 2) * x, rel=2e-3)
    assert abs(found[1] / found[0] - 1) > 0.1


# ---------------------------------------------------------------- 1.8


NOISE = sp.lambdify((D8.GROWTH, D8.Y, D8.K, D8.TEMPERATURE), D8.VAR_P, "mpmath")


@given(
    r=st.floats(1e-6, 0.999),
    k=counts,
    growth=powers(-2.0, 1.4),
    temperature=powers(-9.0, 0.0),
    u0=st.floats(-1.0, 1.0),
)
@settings(max_examples=25, deadline=None)
def test_noise_along_the_trajectory_is_the_derivations(r, k, growth, temperature, u0):
    n = growth**2 / k
    with mpmath.workdps(60):
        grown, y = mpmath.sqrt(mpmath.mpf(n) * k), mpmath.sqrt(mpmath.mpf(r))
        exact = NOISE(grown, y, k, mpmath.mpf(temperature))
        lead = mpmath.ncdf(u0 * mpmath.cosh(grown * (1 - y)) / mpmath.sqrt(exact))
    found = perturbation_variance(n, r, temperature=temperature, mechanisms=k)
    assert found == pytest.approx(float(exact), rel=1e-11)
    chance = leader_probability(u0, n, r, temperature=temperature, mechanisms=k)
    assert chance == pytest.approx(float(lead), rel=1e-10, abs=1e-14)
    stop = noise_stop_diversity(r, threshold=np.sqrt(found), temperature=temperature, mechanisms=k)
    if growth > 0.3 and r < 0.5:  # otherwise the variance hardly depends on n
        assert stop == pytest.approx(n, rel=1e-6)


OUTCOME = sp.lambdify((D8.V, D8.RATE, D8.TEMPERATURE), D8.FINAL, "mpmath")


@given(v=st.floats(-5.0, 5.0), rate=wide, temperature=wide)
@example(v=-1.0, rate=10.0, temperature=0.01)  # 9e-220
@settings(max_examples=40, deadline=None)
def test_outcome_probability_is_the_derivations(v, rate, temperature):
    with mpmath.workdps(350):  # 1 + erf cancels that far
        exact = float(OUTCOME(*(mpmath.mpf(x) for x in (v, rate, temperature))))
    found = outcome_probability(v, growth_rate=rate, temperature=temperature)
    assert found == pytest.approx(exact, rel=1e-12, abs=1e-300)


# ---------------------------------------------------------------- 1.9


@given(
    bits=st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3),
    rates=st.lists(powers(-1.0, 1.0), min_size=3, max_size=3),
    n=powers(-1.0, 2.5),
    eta_p=logs,
    lam=st.sampled_from([0.0, 0.01, 0.5]),
    mu=st.sampled_from([0.0, 0.1, 5.0]),
    c0=st.floats(-1.0, 0.9),
    t=st.floats(0.1, 20.0),
)
@settings(max_examples=30, deadline=None)
def test_the_order_is_that_of_the_score_at_every_time(bits, rates, n, eta_p, lam, mu, c0, t):
    bits, rates = np.array(bits), np.array(rates)
    order = np.argsort(selection_score(rates, bits))
    score = selection_score(rates, bits)[order]
    assume(np.diff(score).min() > 1e-3)
    values = {"diversity": n, "gate_rate": eta_p, "lam": lam, "mu": mu, "rate": rates, "bits": bits}
    ended = run(-np.log(2) * bits, content=c0, t=t, **values)
    lead = (ended.odds + np.log(rates))[order]
    assert all(
        b - a >= np.log(2) * (s - r) - 1e-7 for (a, b), (r, s) in zip(pairwise(lead), pairwise(score), strict=True)
    )
    assert np.all(np.diff(ended.c[order]) > -1e-9)
    assert ended.p @ ended.c < 1.0 + 1e-12


PACE, GAINED = (
    sp.lambdify((D9.L, D9.L0, D9.ETA_1, D9.ETA_2, D9.N, D9.ETA_P), function(D9.L, D9.L0), "mpmath")
    for function in (D9.pace, D9.gained)
)


@given(
    l0=st.floats(-3.0, 3.0),
    eta_1=powers(-1.0, 1.0),
    n=powers(0.0, 3.0),
    eta_p=logs,
    c0=st.floats(-1.0, 0.5),
    share=st.floats(0.6, 0.99),
)
@settings(max_examples=12, deadline=None)
def test_decision_is_the_derivations_quadrature(l0, eta_1, n, eta_p, c0, share):
    score = l0 + np.log(eta_1)
    assume(score > 1e-2)
    end = np.log(share / (1 - share))
    assume(end > l0 + 1e-3)
    with mpmath.workdps(25):
        fixed = [mpmath.mpf(v) for v in (l0, eta_1, 1.0, n, eta_p)]
        low, high = fixed[0], mpmath.mpf(end)
        # h = y^2 takes away the root at the start
        corners = [mpmath.sqrt(high - low) * mpmath.mpf(2) ** -j for j in range(8)][::-1]
        internal = mpmath.quad(lambda y: 2 * y * PACE(low + y * y, *fixed), [0, *corners], method="gauss-legendre")
        gained = GAINED(high, *fixed)
    gap = np.sqrt(2 * (eta_1 + 1) * float(gained) / (n * eta_p))
    mean = c0 + eta_1 / (eta_1 + 1) * float(internal) + (share - 1 / (eta_1 + 1)) * gap
    found = decision_time(share, prior_log_odds=l0, rates=(eta_1, 1.0), diversity=n, gate_rate=eta_p, content=c0)
    if mean < 1.0:
        assert found.internal == pytest.approx(float(internal), rel=1e-10)
        assert np.sqrt(found.residual) == pytest.approx((1 - mean) / (1 - c0), rel=1e-9, abs=1e-11)
    else:
        assert found == (np.inf, np.inf, 0.0)


def test_decision_time_is_the_models():
    found = decision_time(0.9, prior_log_odds=0.2, rates=(1.5, 1.0), diversity=80.0)
    ended = run([0.2, 0.0], rate=[1.5, 1.0], diversity=80.0, until=lambda c, p: p[0] - 0.9)
    assert found.time == pytest.approx(ended.t, rel=1e-7)
    assert found.residual == pytest.approx(2 * ended.loss, rel=1e-7)


# ---------------------------------------------------------------- 1.10


@given(lam=logs, mu=logs, slow=logs, faster=st.floats(1.05, 2.0), more=st.floats(2.0, 12.0))
@settings(max_examples=30, deadline=None)
def test_crossover_and_its_correction(lam, mu, slow, faster, more):
    values = {"lam": lam, "mu": mu, "rates": (slow * faster, slow), "bits": (more, 0.0)}
    at = {D10.LAM: lam, D10.MU: mu, D10.ETA_1: slow * faster, D10.ETA_2: slow, D10.B_1: more, D10.B_2: 0.0}
    found = crossover_diversity(**values)
    assert found == pytest.approx(digits(D10.CROSSING, at), rel=1e-12)
    left = [digits(e.subs(D10.N, D10.CROSSING), at) for e in (D10.LEFT_1, D10.LEFT_2)]
    if max(left) < 0.02:
        corrected = found + digits(D10.SHIFT.subs(D10.N, D10.CROSSING), at)
        exact = crossover_diversity_exact(**values)
        per_share = 2 * mu / abs(digits(D10.G_1 - D10.G_2, at))
        slack = 30 * (1 + np.log(1 / max(left)) ** 2) * max(left) ** 2 * per_share + 1e-10 * exact
        assert abs(exact - corrected) < slack


# ---------------------------------------------------------------- 1.12


@given(
    p=st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3),
    f=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
    rates=st.lists(logs, min_size=3, max_size=3),
    bits=st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3),
    lam=logs,
    mu=logs,
    n=wide,
)
@settings(max_examples=25, deadline=None)
def test_eliminated_contents_to_thirty_digits(p, f, rates, bits, lam, mu, n):
    case = D12.CASES[3]
    p = np.array(p) / np.sum(p)
    shares = sorted(set().union(*(e.free_symbols for e in case.p)), key=str)
    at = dict(zip([*shares, *case.f, *case.eta], [*p[:2], *f, *rates], strict=True)) | {D12.LAM: lam}
    p = np.append(p[:2], 1 - p[:2].sum())
    contents = equilibrium_contents(p, lam=lam, rates=rates, fidelity=f)
    for found, formula in zip(contents, case.optimum.values(), strict=True):
        assert found == pytest.approx(digits(formula, at), rel=1e-11, abs=1e-300)
    prior = 2.0 ** -np.array(bits) / np.sum(2.0 ** -np.array(bits))
    energy = reduced_free_energy(p, diversity=n, lam=lam, mu=mu, rates=rates, fidelity=f, prior=prior)
    divergence = (p * np.log(p / prior)).sum()
    assert energy == pytest.approx(n / 2 * digits(case.g, at) + mu * divergence, rel=1e-9)
    if max(np.abs(f)) < 0.999:
        assert loss_floor(f) == pytest.approx(digits(case.floor()[1], at), rel=1e-12)


@given(k=counts, lam=logs, mu=logs, f=st.floats(0.05, 0.9999))
@settings(max_examples=40, deadline=None)
def test_stability_of_imperfect_mechanisms(k, lam, mu, f):
    at = {D12.K: k, D12.LAM: lam, D12.MU: mu, D12.F: f, D12.A: 1 - f**2}
    bend = digits(D12.BEND.subs(D12.P, 1 / D12.K), at)
    edge = stability_decay(mechanisms=k, fidelity=f)
    assume(abs(lam / edge - 1) > 1e-6)
    assert (lam < edge) == (bend < 0)
    found = critical_diversity(lam, mu, mechanisms=k, fidelity=f)
    assert found == (np.inf if bend < 0 else pytest.approx(digits(D12.critical(D12.K), at), rel=1e-9))


@given(k=st.integers(2, 5), ratio=powers(-2.0, 2.0), f=st.floats(0.1, 0.99), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_survivors_are_the_best_split(k, ratio, f, seed):
    """No other distribution of the reliances pulls harder than equal shares of that many."""
    lam = (1 - f**2) / ratio
    m = int(joint_survivors(lam, mechanisms=k, fidelity=f))
    best = np.zeros(k)
    best[:m] = 1 / m
    chance = np.random.default_rng(seed)
    others = np.concatenate([chance.dirichlet(np.full(k, a), 300) for a in (0.1, 0.5, 2.0, 20.0)])
    others = np.concatenate([others, [np.append(np.full(j, 1 / j), np.zeros(k - j)) for j in range(1, k + 1)]])
    pull = ((f * others) ** 2 / ((1 - f**2) * others**2 + lam)).sum(axis=1)
    top = ((f * best) ** 2 / ((1 - f**2) * best**2 + lam)).sum()
    assert np.all(pull <= top * (1 + 1e-12))
    at = {D12.LAM: lam, D12.A: 1 - f**2, D12.F: f}
    assert top == pytest.approx(digits(D12.joint_of(sp.Integer(m)), at), rel=1e-12)


@pytest.mark.parametrize(
    ("lead", "n", "joint"), [(0.2, 100.0, True), (0.2, 300.0, False), (1e-3, 1e3, True), (1e-3, 1e5, False)]
)
def test_training_can_end_polarized_where_the_joint_state_is_stable_at_every_diversity(lead, n, joint):
    assert stability_decay(mechanisms=2, fidelity=0.95) > 0.01
    ended = run([lead, 0.0], t=1e4, diversity=n, lam=0.01, mu=0.1, fidelity=0.95)
    assert ended.p.max() == pytest.approx(0.5, abs=1e-6) if joint else ended.p.max() > 0.95


# ---------------------------------------------------------------- a wrong formula does not get through


@pytest.mark.parametrize(
    ("stem", "right", "wrong"),
    [
        ("mechanisms_1_7_stopping_early", "LOG_GROWTH**2 / (ETA_P * K", "LOG_GROWTH**2 / (2 * ETA_P * K"),
        ("mechanisms_1_7_stopping_early", "4 * GAP / (GAP**2 + 2)", "4 * GAP / (GAP**2 + 1)"),
        ("mechanisms_1_8_noise", "-sp.log(y) + sp.cosh", "sp.log(y) + sp.cosh"),
        ("mechanisms_1_8_noise", "FINAL = normal(V * sp.sqrt(RATE", "FINAL = normal(V * sp.sqrt(2 * RATE"),
        ("mechanisms_1_9_order", "self.n * self.g * z - self.mu", "self.n * self.g * z + self.mu"),
        ("mechanisms_1_9_order", "1 / sp.sqrt(2 * N * ETA_P", "1 / sp.sqrt(N * ETA_P"),
        ("mechanisms_1_10_crossover", "CROSSING = 2 * MU", "CROSSING = 4 * MU"),
        ("mechanisms_1_10_crossover", "N * G_1**2 * ETA_1", "N * G_1 * ETA_1"),
        ("mechanisms_1_12_imperfect", "stiffness**3 / (F**2", "stiffness**2 / (F**2"),
        ("mechanisms_1_12_imperfect", "f * p * self.g / b", "p * self.g / b"),
    ],
)
def test_a_wrong_formula_in_a_derivation_is_refuted(stem, right, wrong):
    assert any(tm.verify(claim).outcome == "REFUTED" for claim in mutated(stem, right, wrong).CLAIMS)

"""Mechanisms 1.10 against the model: at which diversity its two polarized states have the same free energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mechanism_flow import jacobian, observable, parameters, rates, run, state_at
from scipy.special import expit

from toymesa.errors import DomainError
from toymesa.theorems.mechanisms import crossover_diversity, crossover_diversity_exact

strengths = st.floats(-3.0, 1.0).map(lambda e: 10.0**e)


@st.composite
def conflicts(draw):
    """Mechanism 1 is faster, mechanism 2 simpler: by little or by much."""
    slow = 10.0 ** draw(st.floats(-1.5, 1.0))
    faster = draw(st.one_of(st.floats(1e-3, 0.1), st.floats(0.1, 10.0)))
    less = draw(st.one_of(st.floats(1e-3, 0.1), st.floats(0.1, 20.0)))
    bits = draw(st.floats(-5.0, 5.0))
    return {
        "lam": draw(strengths),
        "mu": draw(strengths),
        "rates": (slow * (1.0 + faster), slow),
        "bits": (bits + less, bits),
    }


def rest(case, n, favoured):
    """The model's own stable rest point on one side, and its free energy; run there from the polarized limit."""
    options = {"diversity": n, "lam": case["lam"], "mu": case["mu"], "rate": case["rates"], "bits": case["bits"]}
    lam, eta = case["lam"], case["rates"][favoured]
    content = [0.0, 0.0]
    content[favoured] = eta / (lam + eta)
    pull = n * lam * eta / (lam + eta) ** 2 / case["mu"] * (1.0 if favoured == 0 else -1.0)
    odds = (case["bits"][1] - case["bits"][0]) * np.log(2.0) + pull
    ended = run([odds, 0.0], content=content, t=30.0 / lam + 30.0 / case["mu"], **options)
    values = parameters(2, **options)
    state = np.append(ended.c, ended.odds[0])
    for _ in range(5):  # Newton's method on the model's rates: the last digits
        state = state - np.linalg.solve(jacobian(2, state, values), rates(2, state, values))
    assert np.abs(rates(2, state, values)).max() < 1e-8 * (1.0 + n)
    assert np.linalg.eigvals(jacobian(2, state, values)).real.max() < 0.0
    return state, observable(2, "free_energy", state, values)


@given(case=conflicts())
@settings(max_examples=8)
@example(case={"lam": 0.01, "mu": 0.1, "rates": (2.0, 1.0), "bits": (3.0, 1.0)})
@example(case={"lam": 0.3, "mu": 0.1, "rates": (1.01, 1.0), "bits": (0.002, 0.001)})
def test_the_models_two_rest_points_are_equally_deep(case):
    n = crossover_diversity_exact(**case)
    assume(np.isfinite(n) and 0.0 < n < 1e6)
    (one, deep), (two, other) = (rest(case, n, i) for i in (0, 1))
    assume(one[2] - two[2] > 0.5)  # both starts may fall into one basin where the second is shallow
    # at a minimum dF/dn = g/2, so a difference of free energies is one of diversities
    gap = 0.5 * abs((1.0 - _pull(one)) - (1.0 - _pull(two)))
    assert abs(deep - other) <= 1e-8 * n * gap + 1e-12 * (abs(deep) + n)
    fast_below = crossover_free_energies(case, 0.9 * n)
    fast_above = crossover_free_energies(case, 1.1 * n)
    if fast_below is not None:
        assert fast_below > 0.0  # below n_x the simpler one lies deeper
    if fast_above is not None:
        assert fast_above < 0.0


def _pull(state):
    p = expit(state[2])
    return p * state[0] + (1.0 - p) * state[1]


def crossover_free_energies(case, n):
    """Free energy of the faster minus that of the simpler rest point; None where there are not two."""
    (one, deep), (two, other) = (rest(case, n, i) for i in (0, 1))
    return deep - other if one[2] - two[2] > 0.5 else None


@given(case=conflicts())
@settings(max_examples=60)
@example(case={"lam": 1e-3, "mu": 1e-3, "rates": (2.0, 1.0), "bits": (3.0, 1.0)})
@example(case={"lam": 1e-300, "mu": 1.0, "rates": (2.0, 1.0), "bits": (3.0, 1.0)})
@example(case={"lam": 1.0, "mu": 1e-200, "rates": (2.0, 1.0), "bits": (3.0, 1.0)})
def test_closed_form_up_to_exponentially_small_terms(case):
    """Against the model's free energy at reliance 1, and against the exact crossing where states are polarized."""
    n = float(crossover_diversity(**case))
    lam, mu = case["lam"], case["mu"]
    bits = np.log(2.0) * np.array(case["bits"])
    log_prior = -bits - np.logaddexp.reduce(-bits)
    corner = [n / 2.0 * lam / (lam + eta) - mu * log_prior[i] for i, eta in enumerate(case["rates"])]
    assert corner[0] == pytest.approx(corner[1], rel=1e-12)
    if 1e-6 < n < 1e6 and lam > 1e-9:
        options = {"diversity": n, "lam": lam, "mu": mu, "rate": case["rates"], "bits": case["bits"]}
        values = parameters(2, **options)
        for i, eta in enumerate(case["rates"]):
            p, c = [1e-13, 1e-13], [0.0, 0.0]
            p[i], c[i] = 1.0 - 1e-13, eta / (lam + eta)
            assert observable(2, "free_energy", state_at(c, p), values) == pytest.approx(
                corner[i], rel=1e-9, abs=1e-9 * mu
            )
    least = min(n * lam / (lam + eta) ** 2 * eta / mu for eta in case["rates"])  # log-odds of the weaker state
    exact = float(crossover_diversity_exact(**case))
    if least > 8.0 + abs(bits[0] - bits[1]):
        small = np.exp(-least + abs(bits[0] - bits[1])) * mu * (1.0 + least)
        gap = 0.5 * n * abs(lam / (lam + case["rates"][0]) - lam / (lam + case["rates"][1]))
        assert abs(exact / n - 1.0) <= 10.0 * small / gap + 1e-11


@given(case=conflicts(), n=st.floats(-1.0, 4.0).map(lambda e: 10.0**e))
@settings(max_examples=6)
def test_without_a_conflict_the_better_one_is_deeper_at_every_diversity(case, n):
    case = case | {"bits": case["bits"][::-1]}  # now the faster one is also the simpler one
    assert crossover_diversity(**case) == 0.0
    assert crossover_diversity_exact(**case) == 0.0
    difference = crossover_free_energies(case, n)
    assert difference is None or difference < 1e-9 * (1.0 + n)
    level = case | {"rates": (1.0, 1.0)}
    assert crossover_diversity(**level) == np.inf
    assert crossover_diversity_exact(**level) == np.inf
    difference = crossover_free_energies(level, n)
    assert difference is None or difference < 1e-9 * (1.0 + n)  # mechanism 1 is the simpler one


def test_order_of_arguments_limits_and_refusals():
    case = {"lam": 0.01, "mu": 0.1}
    one = crossover_diversity(rates=(2.0, 1.0), bits=(3.0, 1.0), **case)
    assert one == crossover_diversity(rates=(1.0, 2.0), bits=(1.0, 3.0), **case)
    two = crossover_diversity_exact(rates=(2.0, 1.0), bits=(3.0, 1.0), **case)
    assert two == pytest.approx(float(crossover_diversity_exact(rates=(1.0, 2.0), bits=(1.0, 3.0), **case)), rel=1e-13)
    assert crossover_diversity(lam=0.0, mu=0.1, rates=(2.0, 1.0), bits=(3.0, 1.0)) == np.inf
    assert crossover_diversity(lam=0.0, mu=0.0, rates=(2.0, 1.0), bits=(3.0, 1.0)) == 0.0
    assert crossover_diversity(lam=0.1, mu=0.1, rates=(1.0, 1.0), bits=(1.0, 1.0)) == 0.0
    assert np.isnan(crossover_diversity_exact(lam=10.0, mu=1.0, rates=(2.0, 1.0), bits=(1.01, 1.0)))
    grid = crossover_diversity_exact(lam=[0.01, 0.02], mu=[[0.1], [0.2]], rates=(2.0, 1.0), bits=(3.0, 1.0))
    assert grid.shape == (2, 2)
    with pytest.raises(DomainError, match="rates"):
        crossover_diversity(lam=0.1, mu=0.1, rates=(0.0, 1.0), bits=(1.0, 2.0))
    with pytest.raises(DomainError, match="lam"):
        crossover_diversity_exact(lam=-0.1, mu=0.1, rates=(2.0, 1.0), bits=(1.0, 2.0))

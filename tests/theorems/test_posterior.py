"""Posterior 8.1 to 8.3: shares, hull, crossings, against the solver, brute force and high precision."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.theorems import posterior as theorems

NAMES = ("a", "b", "d")
BITS = st.lists(st.one_of(st.sampled_from([0.0, 1.0, 2.0, 5.0]), st.floats(0.0, 50.0)), min_size=3, max_size=3)
LOSSES = st.lists(st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-3.0, 3.0)), min_size=3, max_size=3)
STRENGTH = st.sampled_from([0.0, 0.3, 1.0, 4.0])
MODELS = {law: tm.models.posterior(NAMES, law=law) for law in ("gradient_flow", "free_energy", "power")}


@settings(max_examples=12)
@given(st.sampled_from(sorted(MODELS)), BITS, LOSSES, STRENGTH, st.sampled_from([0.0, 0.5, 0.9]), st.floats(0.2, 3.0))
def test_shares_are_what_the_solver_finds(law, bits, losses, gamma, slowing, exponent):
    model = MODELS[law]
    params = {f"bits_{n}": b for n, b in zip(NAMES, bits, strict=True)}
    params |= {f"loss_{n}": l for n, l in zip(NAMES, losses, strict=True)} | {"prior_strength": gamma}
    options: dict[str, object] = {"law": law, "prior_strength": gamma}
    if law == "power":
        params |= {"slowing": slowing, "exponent": exponent, "pace": 0.7}
        options |= {"slowing": slowing, "exponent": exponent, "pace": 0.7}
    if law == "free_energy":
        coefficients = [0.5, 3.0, 0.0]
        params |= {f"lambda_{n}": c for n, c in zip(NAMES, coefficients, strict=True)}
        options["coefficients"] = coefficients
    times = np.array([0.0, 0.3, 2.0, 20.0])
    clock = times if law == "gradient_flow" else 1 + times
    expected = theorems.shares(clock, bits=bits, losses=losses, **options)
    for method, close in (("closed", 1e-12), ("dop853", 1e-7)):
        run = tm.solve(model, times, params=params, method=method, rtol=1e-10, atol=1e-12)
        got = np.stack([run[f"p_{n}"].values for n in NAMES], axis=-1)
        assert np.abs(got - expected).max() < close
    assert np.array_equal(theorems.leader(clock, bits=bits, losses=losses, **options).shape, expected.shape[:-1])


def test_the_models_keep_their_promises():
    for model in MODELS.values():
        assert all(row["ok"] for row in tm.cross_check(model))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-6, 6)), min_size=1, max_size=9), STRENGTH.filter(bool))
def test_the_hull_is_who_ever_leads(points, gamma):
    bits, losses = (np.array(v, dtype=float) for v in zip(*points, strict=True))
    order, times = theorems.ever_leading(bits=bits, losses=losses, prior_strength=gamma)
    assert (np.diff(times) > 0).all()
    assert (times > 0).all()
    # by brute force: the leader in the middle of every interval between any two crossings of lines
    i, j = np.triu_indices(len(points), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        every = gamma * np.log(2) * (bits[j] - bits[i]) / (losses[i] - losses[j])
    joints = np.unique(np.round([0.0, *every[np.isfinite(every) & (every > 0)]], 9))
    probes = [*(joints[:-1] + joints[1:]) / 2, joints[-1] + 1.0]
    found: list[int] = []
    for t in probes:
        first = int(theorems.leader(t, bits=bits, losses=losses, prior_strength=gamma))
        if not found or (bits[first], losses[first]) != (bits[found[-1]], losses[found[-1]]):
            found.append(first)
    assert [(bits[k], losses[k]) for k in order] == [(bits[k], losses[k]) for k in found]


@given(BITS, LOSSES, STRENGTH)
def test_the_lead_changes_when_the_shares_are_equal(bits, losses, gamma):
    pair = {"bits": (bits[0], bits[1]), "losses": (losses[0], losses[1])}
    t = theorems.lead_change(**pair, prior_strength=gamma)
    if 0 < t < 1e6:
        a, b = theorems.shares(t, bits=bits[:2], losses=losses[:2], prior_strength=gamma)
        assert a == pytest.approx(0.5, abs=1e-9)
        assert b == pytest.approx(0.5, abs=1e-9)
    swapped = {k: v[::-1] for k, v in pair.items()}
    assert np.array_equal(t, theorems.lead_change(**swapped, prior_strength=gamma), equal_nan=True)


@pytest.mark.parametrize(
    ("bits", "losses", "expected"),
    [((1, 2), (0.5, 0.5), np.inf), ((1, 1), (0.5, 0.5), np.nan), ((2, 1), (0.5, 0.2), 0.0), ((1, 1), (1, 2), 0.0)],
)
def test_ties(bits, losses, expected):
    assert np.array_equal(theorems.lead_change(bits=bits, losses=losses), expected, equal_nan=True)


@given(st.floats(1e-3, 1e3), st.floats(0.0, 0.95), st.floats(0.2, 3.0), BITS)
def test_the_power_law_crosses_where_its_shares_are_equal(pace, slowing, exponent, bits):
    options = {"pace": pace, "slowing": slowing, "exponent": exponent}
    n = theorems.power_crossover(bits=(bits[0], bits[1]), losses=(0.4, 0.1), **options)
    if 1e-3 < n < 1e12:
        share = theorems.shares(n, bits=sorted(bits[:2]), losses=[0.4, 0.1], law="power", **options)
        assert share[0] == pytest.approx(0.5, abs=1e-6)


@given(st.floats(-12, 3), st.floats(-3, 3), st.sampled_from([0.0, 1.0]))
def test_crossings_of_free_energies_are_branches_of_lambert(log_a, bits, gamma):
    a = float(np.exp(log_a))
    low, high = theorems.free_energy_crossings(
        losses=(a, 0.0), coefficients=(1.0, 2.0), bits=(3.0, 3.0 + bits), prior_strength=gamma
    )
    with mpmath.workdps(60):
        c = mpmath.mpf(gamma) * mpmath.log(2) * (mpmath.mpf(3.0 + bits) - 3)
        argument = -mpmath.mpf(a) * mpmath.exp(-c)
        if argument < -mpmath.exp(-1):
            assert np.isnan(low)
            assert np.isnan(high)
            return
        margin = float(1 + argument * mpmath.e)  # 0 where the two merge: there a rounding of the data moves both
        for value, branch in ((low, 0), (high, -1)):
            exact = -mpmath.lambertw(argument, branch).real / mpmath.mpf(a)
            assert abs(float(value / exact - 1)) < 1e-13 / np.sqrt(max(margin, 1e-13)) * 10


def test_merged_and_missing_crossings():
    merged = theorems.free_energy_crossings(losses=(np.exp(-1.0), 0.0), coefficients=(0.0, 1.0))
    assert merged == (pytest.approx(np.e, rel=1e-7), pytest.approx(np.e, rel=1e-7))
    none = theorems.free_energy_crossings(losses=(1.0, 0.0), coefficients=(0.0, 1.0))
    assert np.isnan(none).all()


@given(st.floats(0.0, 5.0), st.floats(-6, 6))
def test_one_crossing_where_geometry_and_fit_agree(gap, bits):
    # the better one has the smaller coefficient: only description length can keep the other ahead, up to one time
    b = (max(bits, 0.0), max(-bits, 0.0))
    n, never = theorems.free_energy_crossings(losses=(0.0, gap), coefficients=(1.0, 2.0), bits=b)
    assert never == np.inf
    odds = np.log(n) + n * gap + np.log(2) * (b[1] - b[0])
    assert abs(odds) < 1e-9 * (1 + n * gap + abs(np.log(n)))


def test_equal_coefficients_are_bits_against_losses():
    n, never = theorems.free_energy_crossings(losses=(0.5, 0.25), coefficients=(1.0, 1.0), bits=(0.0, 2.0))
    assert n == pytest.approx(8 * np.log(2))
    assert never == np.inf
    assert np.isnan(theorems.free_energy_crossings(losses=(0.2, 0.5), coefficients=(1.0, 1.0), bits=(0.0, 2.0))).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: theorems.shares(1.0, bits=[1, 2], losses=[1, 2], law="bayes"), "there is no law 'bayes'"),
        (lambda: theorems.shares(-1.0, bits=[1, 2], losses=[1, 2]), "time must lie in"),
        (lambda: theorems.shares(0.0, bits=[1, 2], losses=[1, 2], law="power"), "time must lie in"),
        (lambda: theorems.shares(1.0, bits=[1, 2, 3], losses=[1]), "bits has 3 hypotheses and losses 1"),
        (lambda: theorems.shares(1.0, bits=[1, 2], losses=[1, 2], law="free_energy"), "needs coefficients"),
        (lambda: theorems.leader(1.0, bits=[1], losses=[1], lw="power"), "did you mean 'law'"),
        (lambda: theorems.ever_leading(bits=[[1]], losses=[1]), "must be one-dimensional"),
        (lambda: theorems.power_crossover(bits=(1, 2), losses=(1, 0), slowing=1.0), "slowing must lie in"),
        (lambda: tm.models.posterior(law="bayes"), "there is no law 'bayes'"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(tm.DomainError, match=words):
        call()
    with pytest.raises(tm.ArgumentError, match="names must differ"):
        tm.models.posterior(("a", "a"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: theorems.leader(1.0, losses=[1, 2]), "leader needs bits"),
        (lambda: theorems.lead_change(bits=3.0, losses=(1, 0)), "bits must be a pair, one entry for each of the two"),
        (lambda: theorems.free_energy_crossings(losses=(1, 0, 2), coefficients=(1, 2)), "losses must be a pair"),
        (lambda: theorems.shares(1.0, bits=[1], losses=[1], prior_strength=[1.0, 2.0]), "prior_strength must be one"),
        (lambda: tm.theorems.coopetition.lifetime(competition=1, floor=1, shared=0.1), "shared must be a pair"),
    ],
)
def test_arguments_of_the_wrong_kind(call, words):
    with pytest.raises(tm.ArgumentError, match=words):
        call()


def test_tiny_differences_are_no_ties():
    assert theorems.lead_change(bits=(1, 2), losses=(1e-300, 0), prior_strength=1e-100) == pytest.approx(
        np.log(2) * 1e200
    )
    assert np.ndim(theorems.leader(1.0, bits=[1, 2], losses=[1, 0])) == 0


def test_other_base_optimizers_and_a_free_choice_of_hypotheses():
    model = tm.models.posterior([f"h{i}" for i in range(6)], optimizer=tm.Descent(0.1))
    assert model.discrete
    assert len(model.states) == 5


@pytest.mark.parametrize("law", ["gradient_flow", "free_energy", "power"])
def test_the_effective_number_is_that_of_the_shares(law):
    model = tm.models.posterior(law=law)
    run = tm.solve(model, [0.0, 1.0, 30.0])
    p = np.array([run[name].values for name in run if str(name).startswith("p_")])
    np.testing.assert_allclose(p.sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(run["n_eff"], np.exp(-(p * np.log(p)).sum(axis=0)), rtol=1e-12)

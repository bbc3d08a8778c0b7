"""Continuation on systems from the literature, and on the mechanism model against its exact branches."""

import numpy as np
import pytest
import sympy as sp
from follow_models import a, brusselator, lorenz, model, specials, x, y, z
from scipy.optimize import brentq, minimize_scalar

import toymesa as tm
from toymesa.analyse.continuation.coexistence import coexistence
from toymesa.theorems import mechanisms as exact

LAM, MU = 0.4, 0.5


def test_brusselator():
    # Prigogine and Lefever 1968: Hopf at B = 1 + A^2 with frequency A
    for rate in (0.7, 1.0, 1.6):
        data = tm.follow(brusselator(), "B", [1.1, 4.0], params={"A": rate}, cycles=False)
        assert specials(data, "hopf") == pytest.approx([1 + rate**2], abs=1e-10)
        assert data["special_omega"].item() == pytest.approx(rate, abs=1e-10)
        assert data["special_criticality"].item() == "supercritical"
    both = tm.follow(brusselator(), "A", [0.3, 1.6], second="B", range2=[1.2, 4.0])
    np.testing.assert_allclose(both["B"], 1 + both["A"] ** 2, rtol=1e-10)
    np.testing.assert_allclose(both["curve_omega"], both["A"], rtol=1e-10)
    assert both["curve_kind"].values.tolist() == ["hopf"]


def test_lorenz():
    # Sparrow 1982: pitchfork at r = 1, subcritical Hopf at r = 470/19
    data = tm.follow(lorenz(), "r", [0.2, 30.0], cycles=False)
    assert specials(data, "branch") == pytest.approx([1], abs=1e-10)
    np.testing.assert_allclose(specials(data, "hopf"), [470 / 19] * 2, rtol=1e-11)
    assert set(data["special_criticality"].values) == {"", "subcritical"}
    assert data.sizes["followed"] == 2
    arms = data.isel(point=np.abs(data["x"].values) > 1e-9)
    np.testing.assert_allclose(arms["x"] ** 2, 8 / 3 * (arms["r"] - 1), rtol=1e-9)


def test_stirred_tank():
    # Uppal, Ray and Poore 1974: x' = -x + D (1-x) e^y, y' = -y + B D (1-x) e^y - beta y; folds where 1 + beta = B x (1-x),
    # D = x e^{-y}/(1-x) with y = B x/(1+beta)
    D = sp.Symbol("D", positive=True)
    heat, cooling = 22, 3
    rate = D * (1 - x) * sp.exp(y)
    m = tm.Model(name="tank", flow={x: -x + rate, y: -y + heat * rate - cooling * y}, params={D: 0.08})
    data = tm.follow(m, "D", [0.01, 0.15], box={"x": (0, 1), "y": (0, 10)}, cycles=False)
    root = np.sqrt(1 - 4 * (1 + cooling) / heat)
    turn = np.array([(1 - root) / 2, (1 + root) / 2])
    expected = turn / (1 - turn) * np.exp(-heat * turn / (1 + cooling))
    np.testing.assert_allclose(specials(data, "fold"), np.sort(expected), rtol=1e-10)
    assert specials(data, "hopf").size == 1


@pytest.mark.parametrize("k", [2, 3, 4])
def test_every_branch_of_the_mechanism_model_is_the_exact_one(k):
    names = tuple("abcd"[:k])
    m = tm.models.mechanisms(names)
    critical = float(exact.critical_diversity(LAM, MU, mechanisms=k))
    data = tm.follow(m, "diversity", [0.7 * critical, 1.3 * critical], params={"lam": LAM, "mu": MU})
    assert data.attrs["complete"] == 1
    assert data.sizes["followed"] == 2 ** (k - 1)  # the joint state and 2^(K-1) - 1 lines
    assert specials(data, "branch") == pytest.approx([critical], rel=1e-10)
    assert data["special_kernel"].values[data["special_kind"].values == "branch"].tolist() == [k - 1]
    shares = np.stack([data[f"logit_{n}"].values for n in names[:-1]] + [np.zeros(data.sizes["point"])], axis=1)
    shares = np.exp(shares) / np.exp(shares).sum(axis=1, keepdims=True)
    gap = shares.max(axis=1) - shares.min(axis=1)
    favoured = (shares > shares.mean(axis=1, keepdims=True)).sum(axis=1)
    off = gap > 1e-5
    n = exact.bifurcation_branch(gap[off], LAM, MU, mechanisms=k, favoured=favoured[off])
    np.testing.assert_allclose(data["diversity"].values[off], n, rtol=1e-8)
    lines = {tuple(np.sign(s - s.mean()).astype(int)) for s in shares[off]}
    assert len(lines) == 2**k - 2  # both directions of every split
    joint = data.isel(point=~off)
    np.testing.assert_array_equal(joint["stable"].values, joint["diversity"].values < critical * (1 - 1e-12))
    if k > 2:
        np.testing.assert_allclose(
            specials(data, "fold"), float(exact.fold(LAM, MU, mechanisms=k).diversity), rtol=1e-10
        )
        _hysteresis(m, data, k, critical)


def _hysteresis(m, data, k, critical):
    pairs = coexistence(m, data, of="free_energy")
    joint = pairs.isel(pair=np.isfinite(pairs["maxwell"].values))
    assert joint.sizes["pair"] == k
    point = exact.maxwell_point(LAM, MU, mechanisms=k)
    np.testing.assert_allclose(joint["maxwell"], float(point.diversity), rtol=1e-8)
    np.testing.assert_allclose(joint["low"], float(exact.fold(LAM, MU, mechanisms=k).diversity), rtol=1e-8)
    np.testing.assert_allclose(joint["high"], critical, rtol=1e-8)
    width = float(exact.hysteresis_width(LAM, mechanisms=k))
    np.testing.assert_allclose((joint["high"] - joint["low"]) / critical, width, rtol=1e-6)


def test_the_cusp_of_unequal_priors():
    m = tm.models.mechanisms(("a", "b"))
    data = tm.follow(m, "bits_b", [-1, 1], second="diversity", range2=[2.0, 8.0], params={"lam": LAM, "mu": MU})
    critical = float(exact.critical_diversity(LAM, MU, mechanisms=2))
    assert data["special_kind"].values.tolist() == ["cusp"]
    assert data["special_at"].item() == pytest.approx(0, abs=1e-9)
    assert data["special_second"].item() == pytest.approx(critical, rel=1e-9)
    assert data["curve_kind"].values.tolist() == ["fold"]
    off = np.abs(data["bits_b"].values) > 1e-6
    onset = exact.metastable_onset(LAM, MU, bits=data["bits_b"].values[off])
    np.testing.assert_allclose(data["diversity"].values[off], onset.diversity, rtol=1e-8)


def test_unequal_priors_have_no_branch_point_but_a_fold():
    m = tm.models.mechanisms(("a", "b"))
    data = tm.follow(m, "diversity", [1.0, 8.0], params={"lam": LAM, "mu": MU, "bits_b": 0.2})
    assert data.sizes["followed"] == 2
    assert not specials(data, "branch").size
    assert specials(data, "fold") == pytest.approx(
        [float(exact.metastable_onset(LAM, MU, bits=0.2).diversity)], rel=1e-9
    )
    lone = np.tanh(data["logit_a"].values / 2)
    np.testing.assert_allclose(data["diversity"], exact.unequal_branch(lone, LAM, MU, bits=0.2), rtol=1e-8)


def test_a_model_of_an_imperfect_mechanism_keeps_its_joint_state():
    # lam <= 3 (1 - f^2)/K^2: linearly stable at every diversity (mechanisms 1.12)
    m = tm.models.mechanisms(("a", "b"))
    given = {"fidelity_a": 0.9, "fidelity_b": 0.9, "lam": 0.05, "mu": 0.1}
    data = tm.follow(m, "diversity", [1.0, 40.0], params=given)
    joint = np.abs(data["logit_a"].values) < 1e-6
    assert joint.sum() > 10
    assert data["stable"].values[joint].all()


def test_twelve_states():
    states = sp.symbols("x0:12", real=True)
    flow = {s: -s + sp.tanh(a * (states[i - 1] - states[i - 4])) - s**3 for i, s in enumerate(states)}
    m = model("ring", flow, a=0.2)
    data = tm.follow(m, "a", [0.0, 1.2], cycles=False)
    # the circulant linearization: the real part of a (w^-1 - w^-4) reaches 1, w^12 = 1
    w = np.exp(2j * np.pi * np.arange(12) / 12)
    gain = w**-1 - w**-4
    first = 1 / gain.real.max()
    at = int(np.argmax(gain.real))
    assert specials(data, "hopf")[0] == pytest.approx(first, rel=1e-10)
    assert data["special_omega"].values[np.argmin(data["special_at"].values)] == pytest.approx(
        first * abs(gain[at].imag), rel=1e-9
    )
    assert {x, y, z}.isdisjoint(states)


@pytest.mark.parametrize(("count", "lam"), [(3, 0.01), (3, 1.0)])
def test_the_maxwell_point_of_mechanisms(count, lam):
    """THEORY 1.11: (n/2)(g(0) - g(x)) = mu KL(p(x) || 1/K) with n = n(x); the loop from the fold of n(x) to n_c."""
    mu = 0.1

    def g(share):
        return 1 / (1 + (1 + (count - 1) * share**2) / (count * lam))

    def n(share):
        return mu * lam / share * np.log((1 + (count - 1) * share) / (1 - share)) / g(share) ** 2

    def gap(share):
        p = np.array([(1 + (count - 1) * share) / count, *[(1 - share) / count] * (count - 1)])
        return n(share) / 2 * (g(0) - g(share)) - mu * float(p @ np.log(count * p))

    fold = minimize_scalar(n, bounds=(1e-3, 0.9), method="bounded", options={"xatol": 1e-13})
    equal = n(brentq(gap, fold.x + 1e-6, 0.99, xtol=1e-14))
    model = tm.models.mechanisms(["a", "b", "c", "d"][:count])
    critical = mu * (1 + count * lam) ** 2 / (count * lam)
    data = tm.follow(model, "diversity", [0.5 * critical, 1.5 * critical], params={"lam": lam, "mu": mu}, start={})
    pairs = tm.coexistence(model, data)
    joint = np.isclose(pairs["high"], critical, rtol=1e-8)
    np.testing.assert_allclose(pairs["low"].values[joint], fold.fun, rtol=1e-8)
    np.testing.assert_allclose(pairs["maxwell"].values[joint], equal, rtol=1e-8)
    assert joint.any()

"""Published thresholds of neuron models: Hopf points, saddle-nodes, and the folds at which firing starts and ends."""

import numpy as np
import pytest
import sympy as sp
from published_systems import R, cycle_specials, flow, printed, reals, specials

import toymesa as tm

V, n, current = reals("V n I")


# ---------------------------------------------------------------- Hodgkin and Huxley


def _gate(a):
    return a / (sp.exp(a) - 1)


def squid_axon():
    """Hodgkin and Huxley 1952 at 6.3 degrees, V the depolarization in mV; leak potential 10.599, so that rest is at 0."""
    m, h = reals("m h")
    opening = {
        m: (_gate((25 - V) / 10), 4 * sp.exp(-V / 18)),
        h: (R(7, 100) * sp.exp(-V / 20), 1 / (sp.exp((30 - V) / 10) + 1)),
        n: (_gate((10 - V) / 10) / 10, sp.exp(-V / 80) / 8),
    }
    flows = 120 * m**3 * h * (V - 115) + 36 * n**4 * (V + 12) + R(3, 10) * (V - R(10599, 1000))
    return flow(
        "squid_axon",
        {V: current - flows} | {g: a * (1 - g) - b * g for g, (a, b) in opening.items()},
        {V: 1, m: 0.05, h: 0.6, n: 0.3},
        I=5.0,
    )


REST = {"V": 3.123, "m": 0.07, "h": 0.5, "n": 0.37}
AXON = {"V": (-20, 120), "m": (0, 1), "h": (0, 1), "n": (0, 1)}


def test_the_squid_axon_loses_and_regains_its_rest():
    """Hassard 1978, Rinzel and Miller 1980: subcritical Hopf at I = 9.78, supercritical at I = 154.5 (uA/cm^2)."""
    data = tm.follow(squid_axon(), "I", [0.0, 170.0], start=REST, box=AXON, cycles=False)
    low, high = specials(data, "hopf")
    assert (printed(low, "9.78"), printed(high, "154.5")) == (True, True)
    order = np.argsort(data["special_at"].values)
    assert data["special_criticality"].values[order].tolist() == ["subcritical", "supercritical"]
    rest = data["stable"].values
    np.testing.assert_array_equal(rest, (data["I"].values < low - 1e-9) | (data["I"].values > high + 1e-9))


@pytest.mark.slow
def test_the_folds_of_firing_of_the_squid_axon():
    """Rinzel and Miller 1980; Balti, Lanza and Aziz-Alaoui 2018, figs. 2 and 6: stable firing begins in a fold just below I = 6.2649.

    There a stable and an unstable cycle are "almost coincident"; up to three unstable ones exist at once. They do between
    the other two folds, at I = 7.8465 and 7.9220.
    """
    data = tm.follow(squid_axon(), "I", [6.0, 9.9], start=REST, box=AXON, seconds=100)
    first, second, last = (at for at, _ in cycle_specials(data, "cycle-fold"))
    assert 6.264 < last < 6.2649
    between = np.linspace(first, second, 5)[1:-1]
    at, stable = data["cycle_at"].values, data["cycle_stable"].values
    for current_there in between:
        crossings = np.flatnonzero((at[:-1] - current_there) * (at[1:] - current_there) < 0)
        assert [bool(stable[i]) for i in crossings] == [False, False, False, True]
    low, high = (data.isel(cycle=int(np.argmin(np.abs(at - v))))["cycle_period"].item() for v in (last, 9.9))
    assert low > high  # firing starts slowly
    assert "6.26452 (a fold of cycles); stable cycles from 6.26452 to 9.9" in data["family_says"].item()


# ---------------------------------------------------------------- Morris and Lecar


def morris_lecar(calcium, turn, slope, rate):
    opens = (1 + sp.tanh((V + R(6, 5)) / 18)) / 2
    steady = (1 + sp.tanh((V - turn) / slope)) / 2
    rates = {
        V: (current - calcium * opens * (V - 120) - 8 * n * (V + 84) - 2 * (V + 60)) / 20,
        n: rate * (steady - n) * sp.cosh((V - turn) / (2 * slope)),
    }
    return flow("morris_lecar", rates, {V: -30, n: 0.1}, I=90.0)


def test_the_barnacle_muscle_of_class_two():
    """Rinzel and Ermentrout 1989: Hopf at I = 93.86 and 212, both subcritical; firing from 88.3 to 217 (uA/cm^2)."""
    m = morris_lecar(R(44, 10), 2, 30, R(1, 25))
    data = tm.follow(m, "I", [50.0, 250.0], box={"V": (-80, 60), "n": (-0.2, 1.2)})
    low, high = specials(data, "hopf")
    assert (printed(low, "93.86"), printed(high, "212")) == (True, True)
    assert set(data["special_criticality"].values) == {"subcritical"}
    ends = sorted(at for at, _ in cycle_specials(data, "cycle-fold"))
    assert (printed(ends[0], "88.3"), printed(ends[1], "217")) == (True, True)
    assert len(ends) == 2
    assert data.sizes["family"] == 1  # the two Hopf points are the ends of one family
    assert data["family_ends_in"].item() == "hopf"


def test_the_fast_barnacle_muscle_of_the_matcont_manual():
    """Dhooge, Govaerts and Kuznetsov 2003 (manual of MatCont, output of testEquilMLfast): (v, w, y) with 6 decimals.

    Hopf (0.036756 0.294770 0.075658), first Lyapunov coefficient 8.238955; folds (-0.033738 0.136501 -0.020727) and
    (-0.244914 0.008514 0.083257). Its text has y = 0.075659 for the Hopf point, which is the better rounding.
    """
    v, w, y = reals("v w y")
    opens = (1 + sp.tanh((v + R(1, 100)) / R(15, 100))) / 2
    steady = (1 + sp.tanh((v - R(1, 10)) / R(145, 1000))) / 2
    rate = R(115, 100) * sp.cosh((v - R(1, 10)) / R(29, 100))
    rates = {v: y - (v + R(1, 2)) / 2 - 2 * w * (v + R(7, 10)) - opens * (v - 1), w: (steady - w) * rate}
    m = flow("fast", rates, {v: 0.0, w: 0.2}, y=0.05)
    data = tm.follow(m, "y", [-0.1, 0.15], box={"v": (-0.6, 0.4), "w": (-0.1, 1)}, cycles=False)
    published = {
        "hopf": [(0.036756, 0.294770, 0.075658)],
        "fold": [(-0.033738, 0.136501, -0.020727), (-0.244914, 0.008514, 0.083257)],
    }
    for kind, rows in published.items():
        here = data["special_kind"].values == kind
        found = np.column_stack([data["special_state"].values[here], data["special_at"].values[here]])
        np.testing.assert_allclose(found[np.argsort(found[:, 2])], rows, rtol=0, atol=1.05e-6)
    (index,) = np.flatnonzero(data["special_kind"].values == "hopf")
    assert printed(data["special_at"].values[index], "0.075659")
    # MatCont's coefficient is omega times Kuznetsov's; its derivatives are differences
    scaled = data["special_lyapunov"].values[index] * data["special_omega"].values[index]
    assert scaled == pytest.approx(8.238955, rel=2e-5)


# ---------------------------------------------------------------- persistent sodium and potassium


def test_the_saddle_node_of_persistent_sodium_and_potassium():
    """Izhikevich 2007, chapter 4: with a high-threshold potassium current, saddle-node at I = 4.51."""
    sodium, potassium = 1 / (1 + sp.exp((-20 - V) / 15)), 1 / (1 + sp.exp((-25 - V) / 5))
    rates = {V: current - 8 * (V + 80) - 20 * sodium * (V - 60) - 10 * n * (V + 90), n: potassium - n}
    m = flow("sodium_potassium", rates, {V: -60}, I=0.0)
    box = {"V": (-90, 40), "n": (-0.1, 1.1)}
    data = tm.follow(m, "I", [-5, 20], box=box, cycles=False)
    (fold,) = (f for f in specials(data, "fold") if f > 0)
    assert printed(fold, "4.51")
    # proved: three states of rest on one side of it, one on the other
    for shift, count in ((-0.02, 3), (0.02, 1)):
        census = tm.fixed_points(m, box=box, params={"I": round(fold + shift, 4)})
        assert (census.complete, len(census.points)) == (True, count)


def test_the_hopf_points_of_fitzhugh():
    """FitzHugh 1961 with eps = 0.08, a = 0.7, b = 0.8: Hopf where v^2 = 1 - b eps, I = 0.3313 and 1.4187 (to four decimals)."""
    v, w, stimulus = reals("v w I")
    rates = {v: v - v**3 / 3 - w + stimulus, w: R(8, 100) * (v + R(7, 10) - R(8, 10) * w)}
    data = tm.follow(flow("fitzhugh", rates, {v: -1}, I=0.5), "I", [0.0, 2.0], cycles=False)
    turn = np.sqrt(1 - 0.8 * 0.08) * np.array([-1, 1])
    expected = (turn + 0.7) / 0.8 - turn + turn**3 / 3
    np.testing.assert_allclose(specials(data, "hopf"), expected, rtol=1e-10)
    assert [printed(f, t) for f, t in zip(expected, ("0.3313", "1.4187"), strict=True)] == [True, True]

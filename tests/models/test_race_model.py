"""The race as it is built against chains of layers written out, and what its factory refuses."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.models import find
from toymesa.models.race import clock, grown, race
from toymesa.plot import race_shares
from toymesa.symbolic.model import InternalTimeForm, at_start
from toymesa.theorems.race import pole, stop

KINDS = [(1, 1), (2, 2), (1, 1.5, 3), (2 + 1e-9, 2.5)]


@pytest.mark.parametrize("depths", KINDS)
def test_cross_checks_pass(depths):
    rows = tm.cross_check(race(depths))
    assert len(rows) >= 8
    assert all(r["ok"] for r in rows), [r for r in rows if not r["ok"]]


def layered(depths, optimizer):
    """The same chains layer by layer, without the assumption of balance."""
    layers = [[sp.Symbol(f"v{i}_{j}", real=True) for j in range(d)] for i, d in enumerate(depths)]
    loss = (1 - sum(sp.Mul(*chain) for chain in layers)) ** 2 / 2
    states = [v for chain in layers for v in chain]
    begin = {v: sp.Rational(3 + i, 10) for i, chain in enumerate(layers) for v in chain}
    return tm.gradient_flow(loss, states, start=begin, optimizer=optimizer, name="layered"), layers


@pytest.mark.parametrize("optimizer", [tm.HeavyBall(2), tm.Descent(sp.Rational(1, 10))])
def test_balanced_layers_are_one_chain(optimizer):
    full, layers = layered((2, 3), optimizer)
    short = race((2, 3), optimizer=optimizer)
    times = [0.0, 1.0, 5.0, 20.0]
    one = tm.solve(full, times, rtol=1e-11, atol=1e-13)
    two = tm.solve(short, times, start={"w_m1": 0.3, "w_m2": 0.4}, rtol=1e-11, atol=1e-13)
    for i, chain in enumerate(layers):
        for v in chain:
            np.testing.assert_allclose(one[v.name], two[f"w_m{i + 1}"], rtol=1e-8)


def test_the_flow_is_the_one_of_strengths():
    model = race((1, sp.Rational(5, 2), 4))
    for w, d in zip(model.states, (1, sp.Rational(5, 2), 4), strict=True):
        n = w.name[2:]
        p = sp.Symbol("p", positive=True)
        g = 1 - sum(x**k for x, k in zip(model.states, (1, sp.Rational(5, 2), 4), strict=True))
        change = (d * w ** (d - 1) * model.flow[w] / g).subs(w, p ** (1 / sp.S(d)))
        assert sp.powsimp(sp.powdenest(change) - model.param(f"rate_{n}") * d * p ** (2 - 2 / sp.S(d))) == 0


def test_starts_as_strengths_and_the_prior():
    model = race((1, 2, 3))
    run = tm.solve(model, [0.0], params={"bits_m1": 0.0, "bits_m2": 3.0, "bits_m3": 5.0, "scale": 0.1})
    p = [run[f"P_m{i}"].item() for i in (1, 2, 3)]
    assert sum(p) == pytest.approx(0.1, rel=1e-14)
    assert p[0] / p[1] == pytest.approx(8.0, rel=1e-13)
    assert p[1] / p[2] == pytest.approx(4.0, rel=1e-13)
    given = tm.solve(model, [0.0], start={"P_m3": 0.027, "w_m2": 0.2})
    assert given["w_m3"].item() == pytest.approx(0.3, rel=1e-14)
    assert given["P_m2"].item() == pytest.approx(0.04, rel=1e-14)


def test_observables():
    run = tm.solve(race((2, 2)), [0.0], start={"P_m1": 0.3, "P_m2": 0.1}, params={"bits_m1": 2.0, "bits_m2": 6.0})
    assert run["share_m1"].item() == pytest.approx(0.75)
    assert run["error"].item() == pytest.approx(0.6)
    assert run["strength"].item() == pytest.approx(0.4)
    assert run["loss"].item() == pytest.approx(0.18)
    assert run["expected_bits"].item() == pytest.approx(3.0)
    assert run["n_eff"].item() == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))
    alone = tm.solve(race((1, 1)), [0.0], start={"P_m1": 0.0, "P_m2": 0.1})
    assert alone["n_eff"].item() == 1.0


def test_a_start_beyond_the_target_falls_back():
    for depths in ((2, 3), (1, 3)):
        run = tm.solve(race(depths), [0.0, 3.0], start={"P_m1": 2.0, "P_m2": 0.5})
        numeric = tm.solve(race(depths), [0.0, 3.0], start={"P_m1": 2.0, "P_m2": 0.5}, method="dop853")
        assert run.attrs["method"] == "closed (internal time)"
        for n in ("P_m1", "P_m2", "error"):
            np.testing.assert_allclose(run[n], numeric[n], rtol=1e-6, atol=1e-9)


def test_small_deep_chains_converge_before_their_pole():
    for depths, start in (((3,), {"P_m1": 1e-9}), ((5, 3), {"P_m1": 1e-12, "P_m2": 1e-10})):
        run = tm.solve(race(depths), [0.0, 1e7], start=start, method="closed")
        begin = [start[f"P_m{i + 1}"] for i in range(len(depths))]
        ends = stop(starts=begin, depths=depths).strengths
        np.testing.assert_allclose([run[n].values[-1] for n in start], ends, rtol=1e-7)


def test_strengths_that_start_or_go_negative():
    start = {"P_m1": -0.5, "P_m2": 0.1}
    run, numeric = (tm.solve(race((1, 3)), [0.0, 2.0, 9.0], start=start, method=m) for m in ("closed", "dop853"))
    np.testing.assert_allclose(run["P_m1"], numeric["P_m1"], rtol=1e-6, atol=1e-8)
    # for 1 < D < 2 a falling strength vanishes in finite time: no closed form is claimed
    with pytest.raises(DomainError, match="its condition .* does not hold"):
        tm.solve(race((1.5,)), [0.0, 0.1], start={"P_m1": 2.0}, method="closed")


@pytest.mark.parametrize("optimizer", [tm.Preconditioned({"w_m1": 3}), tm.GradientNoise(temperature=0.01)])
def test_other_optimizers_go_with_it(optimizer):
    assert race((2, 3), optimizer=optimizer).name.startswith("race_")


def test_depths_are_read_as_they_print():
    assert race((2.1,)).state("w_m1") in race((sp.Rational(21, 10),)).flow
    assert race((2.1,)).flow == race((sp.Rational(21, 10),)).flow
    assert race((np.float64(2.5),)).flow == race((sp.Rational(5, 2),)).flow
    assert race((2.0,)).flow == race((2,)).flow
    assert race({"a": 2, "b": 3}).state_names == ("w_a", "w_b")
    assert find("race").state_names == ("w_shallow", "w_deep")
    assert [e.as_base_exp()[1] for n, e in find("race").observables.items() if n.startswith("P_")] == [2, 3]
    assert "sqrt" not in find("race").latex()  # layers by their own symbol, not by that of the strength
    assert grown(sp.Integer(3), sp.Integer(2), sp.Integer(0)) == 3


def test_late_times_and_the_figure():
    runs = {}
    for d in (1, 2, 3):
        late = [0.0, 1.0, 10.0, 1e5]
        runs[f"depth {d}"] = tm.solve(race((d, d)), late, start={"P_m1": 0.02, "P_m2": 0.01})
        assert runs[f"depth {d}"]["strength"].values[-1] == pytest.approx(1.0, abs=1e-12)
    ax = race_shares(runs, leader="m1")
    lines = [x for x in ax.lines if len(x.get_xdata()) > 1]
    assert [x.get_label() for x in lines] == list(runs)
    for line, run in zip(lines, runs.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), run["share_m1"].values)
        np.testing.assert_array_equal(line.get_xdata(), run["strength"].values)
    ends = [x.get_ydata()[-1] for x in lines]
    assert ends == sorted(ends)  # the deeper, the larger the share of the one that was ahead


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"depths": (2, 0.5)}, DomainError, r"depth of 'm2' must lie in \[1, inf\); got 0.5"),
        ({"depths": (float("nan"),)}, DomainError, "got nan"),
        ({"depths": (float("inf"),)}, DomainError, "got inf"),
        ({"depths": (True,)}, ArgumentError, "real number; got True"),
        ({"depths": ("2",)}, ArgumentError, "real number; got '2'"),
        ({"depths": 3}, ArgumentError, "sequence of depths or a mapping"),
        ({"depths": ()}, ArgumentError, "at least one depth"),
        ({"depths": (2, 3), "names": ("a",)}, ArgumentError, "one name for each"),
        ({"depths": (2, 3), "names": ("a", "a")}, ArgumentError, "must differ"),
        ({"depths": (2, 3), "names": ("a", "b c")}, ModelError, "identifier"),
        ({"depths": {"a": 2}, "names": ("a",)}, ArgumentError, "keys of depths"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        race(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depths", [(2, 2), (1, 3, 4)])
def test_every_lead_is_over_the_last_mechanism(depths):
    model = race(depths)
    own = [
        clock(w, d) / r for w, d, r in zip(model.states, map(sp.Integer, depths), list(model.params)[1::2], strict=True)
    ]
    leads = [invariant.expr for invariant in model.invariants.values()]
    assert [sp.simplify(found - (c - own[-1])) for found, c in zip(leads, own[:-1], strict=True)] == [0] * (
        len(depths) - 1
    )


def test_beyond_a_pole_the_error_is_negative():
    """So that the root before it is the first one."""
    model = race((3, 1))
    form = next(f for f in model.closed_forms if isinstance(f, InternalTimeForm))
    values = {s: p.default for s, p in model.params.items()} | {at_start(w): sp.Rational(1, 2) for w in model.states}
    late = float(pole(start=0.125, depth=3)) * 1.01
    assert float(form.rate.subs(values).subs(form.internal, late)) < 0


def test_a_start_without_error_has_no_internal_time():
    """It is at rest, and the clock would be divided by 0."""
    form = next(f for f in race((2, 2)).closed_forms if isinstance(f, InternalTimeForm))
    half = {at_start(w): sp.sqrt(sp.Rational(1, 2)) for w in race((2, 2)).states}
    assert form.conditions[0].subs(half) == sp.false
    assert form.conditions[0].subs(dict.fromkeys(half, 0)) == sp.true


def test_shares_of_a_total_of_one():
    model = race((2, 2))
    at = dict.fromkeys(model.states, sp.sqrt(sp.Rational(1, 2))) | {s: p.default for s, p in model.params.items()}
    share = next(v for n, v in model.observables.items() if n.startswith("share_"))
    assert float(share.subs(at)) == pytest.approx(0.5)
    assert float(model.observables["n_eff"].subs(at)) == pytest.approx(2.0)

"""The mechanism model as bilevel derives it against its equations written out by hand."""

import pytest
import sympy as sp

from toymesa.errors import ArgumentError, ModelError
from toymesa.models import MODELS, find, gated, mechanisms
from toymesa.symbolic.model import at_start


def written_out(names, model):
    """The perfect-fidelity flow of c and of ln p in textbook form, in the model's own symbols."""
    get = model.symbols()
    chart = model.charts[0].from_states
    p = {n: next(e for s, e in chart.items() if s.name == f"p_{n}") for n in names}
    c = {n: get[f"c_{n}"] for n in names}
    lam, mu, n_tasks, gate = (get[s] for s in ("lam", "mu", "diversity", "gate_rate"))
    prior = {n: sp.Integer(2) ** -get[f"bits_{n}"] for n in names}
    total = sum(prior.values())
    log_ratio = {n: sp.log(p[n]) - sp.log(prior[n] / total) for n in names}
    mean_ratio = sum(p[n] * log_ratio[n] for n in names)
    mean = sum(p[n] * c[n] for n in names)
    g = 1 - mean
    content = {n: get[f"rate_{n}"] * g * p[n] - lam * c[n] for n in names}
    growth = {n: gate * (n_tasks * g * (c[n] - mean) - mu * (log_ratio[n] - mean_ratio)) for n in names}
    return content, growth


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_bilevel_gives_the_free_energy_flow(names):
    model = mechanisms(names)
    perfect = {model.param(f"fidelity_{n}"): 1 for n in names}
    content, growth = written_out(names, model)
    values = {s: sp.Rational(i * i % 7 + 1, i + 3) for i, s in enumerate([*model.states, *model.params])}
    for n in names:
        residual = (model.flow[model.state(f"c_{n}")].subs(perfect) - content[n]).rewrite(sp.log)
        assert abs(residual.subs(values).evalf(40)) < 1e-35
    for n in names[:-1]:
        rate = model.flow[model.state(f"logit_{n}")].subs(perfect)
        residual = (rate - (growth[n] - growth[names[-1]])).rewrite(sp.log)
        assert abs(residual.subs(values).evalf(40)) < 1e-35


def test_imperfect_loss_is_the_average_over_tasks():
    model = mechanisms(("a", "b"))
    get, chart = model.symbols(), model.charts[0].from_states
    p = list(chart.values())
    c, f = [get["c_a"], get["c_b"]], [get["fidelity_a"], get["fidelity_b"]]
    pull = sum(fi * pi * ci for fi, pi, ci in zip(f, p, c, strict=True))
    expected = (1 - pull) ** 2 / 2 + sum((1 - fi**2) * pi**2 * ci**2 for fi, pi, ci in zip(f, p, c, strict=True)) / 2
    assert sp.simplify(model.observables["loss"] - expected) == 0
    deployed = expected.subs(dict(zip(f, [get["deploy_a"], get["deploy_b"]], strict=True)))
    assert sp.simplify(model.observables["deployment_loss"] - deployed) == 0


def test_the_potential_is_the_free_energy_per_task():
    model = mechanisms(("a", "b"))
    residual = model.observables["free_energy"] - model.param("diversity") * model.potential
    values = {s: sp.Rational(i + 2, 2 * i + 5) for i, s in enumerate([*model.states, *model.params])}
    assert abs(residual.rewrite(sp.log).subs(values).evalf(40)) < 1e-35


def test_the_effective_number_and_the_expected_length_of_some_shares():
    names = ("a", "b", "c")
    model = mechanisms(names)
    shares = {"a": sp.Rational(1, 2), "b": sp.Rational(1, 3), "c": sp.Rational(1, 6)}
    odds = {model.state(f"logit_{n}"): sp.log(shares[n] / shares["c"]) for n in names[:-1]}
    bits = {model.param(f"bits_{n}"): b for n, b in zip(names, (5, 7, 2), strict=True)}
    read = {n: model.observables[n].rewrite(sp.log).subs(odds | bits).evalf(30) for n in ("n_eff", "expected_bits")}
    assert abs(read["n_eff"] - 2 ** sp.Rational(1, 2) * 3 ** sp.Rational(1, 3) * 6 ** sp.Rational(1, 6)) < 1e-25
    assert abs(read["expected_bits"] - sp.Rational(31, 6)) < 1e-25
    equal = dict.fromkeys(odds, 0)
    assert abs(model.observables["n_eff"].rewrite(sp.log).subs(equal).evalf(30) - 3) < 1e-25


def test_an_unknown_mechanism_is_perfect_and_has_no_description_length():
    model = mechanisms(("a", "b"))
    assert [model.defaults()[f"{kind}_a"] for kind in ("rate", "bits", "fidelity", "deploy")] == [1.0, 0.0, 1.0, 1.0]
    for kind in ("fidelity", "deploy"):
        domain = model.params[model.param(f"{kind}_a")].domain
        assert (domain.low, domain.high, domain.low_open, domain.high_open) == (-1.0, 1.0, False, False)


def test_defaults_start_at_the_prior():
    model = mechanisms()
    values = {s: p.default for s, p in model.params.items()}
    bits = [values[model.param(f"bits_{n}")] for n in ("proxy", "internalized", "corrigible", "deceptive")]
    weights = [2.0**-b for b in bits]
    for n, w in zip(("proxy", "internalized", "corrigible"), weights[:3], strict=True):
        start = model.start[model.state(f"logit_{n}")].subs(values)
        assert float(start) == pytest.approx(float(sp.log(w / weights[3])))


@pytest.mark.parametrize(
    ("names", "error"),
    [("ab", ArgumentError), (("a",), ArgumentError), (("a", "a"), ArgumentError), (("a", "b/c"), ModelError)],
)
def test_bad_names(names, error):
    with pytest.raises(error):
        mechanisms(names)


def test_find():
    assert set(MODELS) >= {"mechanisms", "gated"}
    assert find("gated") is gated
    with pytest.raises(ArgumentError, match="did you mean 'mechanisms'"):
        find("mechanism")


def test_the_joint_course_is_for_what_starts_equal():
    """Every condition holds where all is equal and the reliances are level, and fails where one thing differs."""
    model = mechanisms(("a", "b", "c"))
    (form,) = model.closed_forms
    level = dict.fromkeys(model.params, sp.Integer(1)) | {at_start(s): sp.Integer(0) for s in model.states}
    assert [c for c in form.conditions if c.subs(level) != sp.true] == []
    for state in model.states[1:]:  # of contents the first is the reference
        assert any(c.subs(level | {at_start(state): 1}) == sp.false for c in form.conditions), state

"""A Model checks itself: every contradiction in a definition is one clear line."""

import pickle
import subprocess
import sys

import pytest
import sympy as sp

from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.kernels.generate import compile_model
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import TIME, Chart, ClosedForm, Domain, InternalTimeForm, Model, Parameter, at_start

x, y = sp.symbols("x y", real=True)
k = sp.Symbol("k", positive=True)


def decay(**changes):
    given = {"name": "decay", "flow": {x: -k * x}, "params": {k: 1.0}, "start": {x: 1}} | changes
    return Model(**given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "must be an identifier"),
        ({"name": "lambda"}, "must be an identifier"),
        ({"name": "status"}, "reserved"),
        ({"flow": {}}, "has no states"),
        ({"flow": {x: -k * x * y}}, "undeclared 'y'"),
        ({"flow": {x: -k * x, sp.Symbol("k"): x}}, "both a state and a parameter|other assumptions"),
        ({"flow": {x: -sp.Symbol("k") * x}}, "other assumptions"),
        ({"flow": {x: -x}}, "nothing depends on parameter 'k'"),
        ({"flow": {x: sp.nan}}, "not finite"),
        ({"flow": {x: "-k*x"}}, "must be made of SymPy"),
        ({"params": {k: -1.0}}, r"must lie in \(0, inf\); got -1"),
        ({"params": {k: float("nan")}}, "must lie in"),
        ({"start": {y: 1}}, "start of y, which is not a state"),
        ({"start": {x: sp.I}}, "not a real number"),
        ({"start": {x: 2}, "domains": {x: Domain(0, 1)}}, r"must lie in \[0, 1\]; got 2"),
        ({"observables": {"e": sp.Integer(3)}}, "depends on nothing"),
        ({"observables": {"x": x**2}}, "both a state and a observable"),
        ({"observables": {"a/b": x**2}}, "must be an identifier"),
        ({"observables": {"e": x + sp.Symbol("alpha")}}, "undeclared 'alpha'"),
        ({"metric": sp.eye(2)}, r"metric must have shape \(1, 1\); got \(2, 2\)"),
        ({"metric": {x: 1}}, "metric must be a square matrix in the order of the states; got dict"),
        ({"flow": {x: -k * x, TIME: x}}, "reserved"),
        ({"closed_forms": (ClosedForm(states={x: x * sp.exp(-k * TIME)}),)}, "undeclared 'x'"),
        ({"closed_forms": (ClosedForm(states={}),)}, "must give every state"),
        ({"discrete": True, "flow": {x: k * x + TIME}}, "undeclared 't'"),
    ],
)
def test_a_contradiction_is_one_line(changes, message):
    with pytest.raises(ModelError, match=message) as caught:
        decay(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["1", True, None, 1j, [1]])
def test_a_parameter_is_a_real_number(value):
    with pytest.raises(ArgumentError, match="must be a real number"):
        decay(params={k: value})


def test_names_may_stand_for_symbols():
    by_name = decay(params={"k": 1.0}, start={"x": 1})
    assert by_name.fingerprint == decay().fingerprint
    assert next(iter(by_name.params)) is k
    with pytest.raises(ModelError, match="given twice"):
        decay(params={"k": 1.0, k: 2.0})


def test_a_model_cannot_be_changed():
    m = decay()
    with pytest.raises(AttributeError):
        m.name = "other"
    with pytest.raises(TypeError):
        m.params[k] = Parameter(default=2.0)


def test_with_params():
    m = decay()
    other = m.with_params(k=3)
    assert (m.defaults(), other.defaults()) == ({"k": 1.0}, {"k": 3.0})
    with pytest.raises(ArgumentError, match="no parameter 'kk'; did you mean 'k'"):
        m.with_params(kk=1)
    with pytest.raises(DomainError, match=r"'k' must lie in \(0, inf\); got 0"):
        m.with_params(k=0)


def test_the_fingerprint_sees_the_equations_and_nothing_else():
    m = decay(meanings={"x": "a thing"}, question="why", reference="me")
    assert m.fingerprint == decay().fingerprint
    for change in ({"flow": {x: -2 * k * x}}, {"start": {x: 2}}, {"params": {k: 2.0}}, {"observables": {"e": x**2}}):
        assert decay(**change).fingerprint != m.fingerprint


def test_the_fingerprint_is_the_same_in_another_process():
    code = (
        "from toymesa.models import mechanisms; print(mechanisms(('a', 'b', 'c')).fingerprint)"  # sets, dicts, hashes
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_what_a_person_sees():
    m = decay(observables={"e": x**2})
    assert repr(m) == "<Model decay: flow of x; k=1>"
    assert r"\dot{x} &= - k x" in m.latex()
    assert m._repr_latex_().startswith("$")


def test_domains_follow_assumptions():
    assert Domain.of(k) == Domain(0, float("inf"), True, False)
    assert str(Domain.of(k)) == "(0, inf)"
    assert str(Domain(-1, 1)) == "[-1, 1]"
    assert 0 in Domain.of(sp.Symbol("z", nonnegative=True))
    assert float("nan") not in Domain()
    assert float("inf") not in Domain()


def test_lookups_name_the_nearest():
    with pytest.raises(ArgumentError, match="no state 'X'; did you mean 'x'"):
        decay().state("X")
    assert decay().param("k") is k


def test_log_sum_exp():
    a, b, c = sp.symbols("a b c", real=True)
    f = LogSumExp(a, b, c)
    assert (
        sp.simplify(f.diff(b) - sp.exp(b) / (sp.exp(a) + sp.exp(b) + sp.exp(c)).rewrite(sp.exp))
        .rewrite(sp.log)
        .simplify()
        == 0
        or sp.simplify(f.diff(b).rewrite(sp.log) - sp.exp(b) / (sp.exp(a) + sp.exp(b) + sp.exp(c))) == 0
    )
    assert LogSumExp(a) == a
    assert f.subs({a: 0, b: 0, c: 0}).evalf(30) == sp.log(3).evalf(30)
    assert sp.log(sp.exp(a - f)) == a - f  # reliances of e^-1000 stay exact


def test_internal_time_forms_and_charts_are_checked():
    s = sp.Symbol("s", nonnegative=True)
    form = InternalTimeForm(states={x: at_start(x) + s}, rate=1 - at_start(x) - s, internal=s)
    model = Model(name="line", flow={x: 1 - x}, closed_forms=(form,))
    assert model.closed_forms == (form,)
    with pytest.raises(ModelError, match="undeclared"):
        Model(
            name="line",
            flow={x: 1 - x},
            closed_forms=(InternalTimeForm(states={x: s}, rate=1 - y, internal=s),),
        )
    with pytest.raises(ModelError, match="undeclared"):
        Model(
            name="line",
            flow={x: 1 - x},
            charts=(Chart(coordinates={y: Domain()}, to_states={x: y}, from_states={y: k * x}),),
        )


def test_a_pickled_model_is_the_same_and_carries_no_compiled_code():
    model = decay()
    compile_model(model)
    again = pickle.loads(pickle.dumps(model))
    assert again.fingerprint == model.fingerprint
    assert "_compiled" not in again.__dict__

"""Two objectives, three couplings: each is checked against a derivation of its own."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from toymesa.errors import ArgumentError, ModelError
from toymesa.symbolic.bilevel import bilevel

theta, phi, a, b = sp.symbols("theta phi a b", real=True)
k, eps, tau, eta = sp.symbols("k eps tau eta", positive=True)
beta, xi = sp.symbols("beta xi", real=True)
PAIR = {"base_loss": (a - 1) ** 2 / 2, "mesa_objective": (a - theta) ** 2 / 2 + k * a**2 / 2}


def pair(**changes):
    return bilevel(**({**PAIR, "outer": [theta], "inner": [a], "params": {"k": 0.5}} | changes))


def test_equilibrium_eliminates_exactly():
    m = pair(coupling="equilibrium")
    assert m.state_names == ("theta",)
    assert sp.simplify(m.flow[theta] + (theta / (1 + k) - 1) / (1 + k)) == 0
    assert sp.simplify(m.observables["a"] - theta / (1 + k)) == 0
    assert not m.algebraic


def test_an_observable_may_use_the_action():
    m = pair(coupling="equilibrium", observables={"gap": a - 1})
    assert sp.simplify(m.observables["gap"] - (theta / (1 + k) - 1)) == 0


def test_joint_has_its_rate():
    loss = (a - 1) ** 2 / 2 + theta**2 * k
    m = bilevel(
        loss, (a - theta) ** 2 / 2, outer=[theta], inner=[a], coupling="joint", rate=eps, params={"k": 1, "eps": 0.1}
    )
    assert m.state_names == ("theta", "a")
    assert sp.expand(m.flow[theta] + 2 * k * theta) == 0
    assert sp.simplify(m.flow[a] + (a - theta) / eps) == 0


@pytest.mark.parametrize("coupling", ["joint"])
def test_an_empty_coupling_names_the_others(coupling):
    with pytest.raises(ModelError, match="'equilibrium', 'unrolled'"):
        pair(coupling=coupling)


def test_a_pair_that_nothing_couples_is_refused():
    for coupling in ("joint", "equilibrium"):
        with pytest.raises(ModelError, match="empty"):
            bilevel((a - 1) ** 2, (a - k) ** 2, outer=[theta], inner=[a], coupling=coupling, params={"k": 1})
    with pytest.raises(ModelError, match="no inner variable"):
        bilevel((a - theta) ** 2, theta**2, outer=[theta], inner=[a], coupling="equilibrium")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"coupling": "nested"}, ArgumentError, "one of joint, equilibrium, unrolled; got 'nested'"),
        ({"coupling": "equilibrium", "rate": eps}, ArgumentError, "takes neither"),
        ({"coupling": "unrolled"}, ArgumentError, "either inner_time, or steps"),
        ({"coupling": "unrolled", "steps": 2}, ArgumentError, "steps and step together"),
        ({"coupling": "unrolled", "steps": 0, "step": 0.1}, ArgumentError, "whole number from 1 to 50"),
        ({"coupling": "unrolled", "steps": True, "step": 0.1}, ArgumentError, "whole number"),
        ({"coupling": "equilibrium", "regularizer": a**2}, ModelError, "regularizer must not use"),
        ({"coupling": "equilibrium", "inner": [theta]}, ModelError, "must differ"),
        ({"coupling": "equilibrium", "mesa_objective": -((a - theta) ** 2)}, ModelError, "minimized"),
        ({"coupling": "equilibrium", "mesa_objective": a * theta}, ModelError, "singular"),
        ({"coupling": "equilibrium", "tasks": {beta: "cauchy"}}, ModelError, "unknown task distribution 'cauchy'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        pair(**arguments)


def test_an_implicit_optimum_is_an_algebraic_state():
    mesa = a**4 / 4 + a**2 / 2 - theta * a
    m = bilevel((a - 1) ** 2 / 2 + theta**4, mesa, outer=[theta], inner=[a], coupling="equilibrium")
    assert list(m.algebraic) == [a]
    # the flow keeps the optimum: the residual's time derivative vanishes identically
    moved = sum(sp.diff(m.algebraic[a], s) * e for s, e in m.flow.items())
    assert sp.simplify(moved) == 0
    # implicit function theorem, by hand
    expected = -(4 * theta**3) - (a - 1) / (3 * a**2 + 1)
    assert sp.simplify(m.flow[theta] - expected) == 0


def test_implicit_and_explicit_agree_for_two_inner_variables():
    mesa = (a - theta) ** 2 + (b - phi) ** 2 + a * b / 2
    m = bilevel(a**2 + (b - 1) ** 2, mesa, outer=[theta, phi], inner=[a, b], coupling="equilibrium")
    optimum = sp.solve([sp.diff(mesa, a), sp.diff(mesa, b)], [a, b])
    loss = (a**2 + (b - 1) ** 2).subs(optimum)
    for s in (theta, phi):
        assert sp.simplify(m.flow[s] + sp.diff(loss, s)) == 0


def test_a_minimum_that_depends_on_a_parameter_is_required():
    c = sp.Symbol("c", real=True)
    m = bilevel((a - 1) ** 2, c * a**2 / 2 - theta * a, outer=[theta], inner=[a], coupling="equilibrium", params={c: 1})
    assert list(m.requires.values()) == [c]


def test_unrolled_steps_differentiate_through_the_run():
    m = pair(coupling="unrolled", steps=3, step=eta, params={"k": 0.5, "eta": 0.1})
    where = sp.Integer(0)
    for _ in range(3):
        where = where - eta * ((where - theta) + k * where)
    assert sp.simplify(m.flow[theta] + sp.diff((where - 1) ** 2 / 2, theta)) == 0


def test_unrolled_time_reaches_the_equilibrium():
    m = pair(coupling="unrolled", inner_time=tau, params={"k": 0.5, "tau": 1})
    limit = sp.limit(m.flow[theta].subs(k, 1), tau, sp.oo)
    assert sp.simplify(limit - pair(coupling="equilibrium").flow[theta].subs(k, 1)) == 0


def test_a_nonlinear_run_carries_its_sensitivity():
    mesa = a**4 / 4 - theta * a
    m = bilevel(
        (a - 1) ** 2 / 2, mesa, outer=[theta], inner=[a], coupling="unrolled", inner_time=tau, params={"tau": 1}
    )
    run = m.inner_run
    names = [s.name for s in run.rates]
    assert names == ["a", "da_dtheta"]
    slope, growth = run.rates.values()
    sensitivity = next(s for s in run.rates if s.name == "da_dtheta")
    assert sp.expand(slope - (theta - a**3)) == 0
    assert sp.expand(growth - (1 - 3 * a**2 * sensitivity)) == 0
    with pytest.raises(ModelError, match="no symbolic form"):
        m.jacobian()


def test_tasks_are_averaged_exactly():
    m = bilevel(
        (a - beta) ** 2 / 2,
        (a - theta * (beta + 2 * xi)) ** 2 / 2,
        outer=[theta],
        inner=[a],
        coupling="equilibrium",
        tasks=[beta, xi],
    )
    # E (theta (beta + 2 xi) - beta)^2 / 2 = ((theta - 1)^2 + 4 theta^2) / 2
    assert sp.expand(m.observables["loss"] - ((theta - 1) ** 2 + 4 * theta**2) / 2) == 0


@pytest.mark.parametrize(("law", "fourth"), [("normal", 3), ("rademacher", 1), ("uniform", sp.Rational(9, 5))])
def test_higher_moments_need_a_distribution(law, fourth):
    given = {
        "base_loss": (a - beta) ** 4,
        "mesa_objective": (a - theta * beta) ** 2,
        "outer": [theta],
        "inner": [a],
        "coupling": "equilibrium",
    }
    m = bilevel(**given, tasks={beta: law})
    assert sp.expand(m.observables["loss"] - fourth * (theta - 1) ** 4) == 0
    with pytest.raises(ModelError, match="give its distribution"):
        bilevel(**given, tasks=[beta])


def test_tasks_that_cannot_be_averaged():
    with pytest.raises(ModelError, match="polynomial in the task"):
        bilevel(sp.exp(a * beta), (a - theta) ** 2, outer=[theta], inner=[a], coupling="equilibrium", tasks=[beta])
    with pytest.raises(ModelError, match="depend on the task"):
        bilevel(
            (a - beta) ** 2,
            a**4 + (a - theta * beta) ** 2,
            outer=[theta],
            inner=[a],
            coupling="equilibrium",
            tasks=[beta],
        )


coefficient = st.integers(-4, 4)


@settings(max_examples=25)
@given(st.lists(coefficient, min_size=5, max_size=5), st.integers(1, 4))
def test_equilibrium_is_the_limit_of_many_steps_for_quadratics(c, curvature):
    base = (a - c[0]) ** 2 + c[1] * theta * a + theta**2
    mesa = sp.Rational(curvature, 2) * a**2 + (c[2] * theta + c[3]) * a
    if c[2] == 0 and c[1] == 0:
        base += theta**4
    exact = bilevel(base, mesa, outer=[theta], inner=[a], coupling="equilibrium")
    # one inner step of size 1/curvature lands on the optimum of a quadratic exactly
    newton = bilevel(base, mesa, outer=[theta], inner=[a], coupling="unrolled", steps=1, step=sp.Rational(1, curvature))
    assert sp.expand(exact.flow[theta] - newton.flow[theta]) == 0


def test_task_variables_by_their_moments():
    x, a, theta, scale = sp.symbols("x a theta scale", real=True)
    # an exponential variable of mean ``scale``: E x^k = k! scale^k, not standardized
    model = bilevel(
        (a - theta * x) ** 2 / 2,
        (a - 1) ** 2 / 2,
        outer=[theta],
        inner=[a],
        coupling="equilibrium",
        tasks={x: lambda k: sp.factorial(k) * scale**k},
        params={"scale": 2.0},
    )
    assert sp.expand(model.observables["loss"] - (1 - 2 * theta * scale + 2 * theta**2 * scale**2) / 2) == 0
    with pytest.raises(ModelError, match="unknown task distribution 'nromal'"):
        bilevel(
            (a - theta * x) ** 2, (a - 1) ** 2, outer=[theta], inner=[a], coupling="equilibrium", tasks={x: "nromal"}
        )


def test_the_length_of_an_inner_run_can_be_trained():
    a, eta = sp.symbols("a eta", real=True)
    pair = {"outer": [eta], "inner": [a], "coupling": "unrolled"}
    steps = bilevel((a - 1) ** 2 / 2, (a - 1) ** 2 / 2, steps=2, step=eta, **pair)
    assert sp.expand(steps.observables["loss"] - (1 - eta) ** 4 / 2) == 0
    time = bilevel((a - 1) ** 2 / 2, (a - 1) ** 2 / 2, inner_time=eta, **pair)
    assert sp.simplify(time.observables["loss"] - sp.exp(-2 * eta) / 2) == 0
    with pytest.raises(ModelError, match="is empty"):
        bilevel((a - 1) ** 2, (a - 1) ** 2, steps=2, step=sp.Rational(1, 2), **pair)

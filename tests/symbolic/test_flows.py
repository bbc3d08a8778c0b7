"""Builders of one loss: the flow is minus metric times gradient, and nothing else."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from toymesa.errors import ArgumentError, ModelError
from toymesa.symbolic.flows import Simplex, descent, gradient_flow, heavy_ball

x, y = sp.symbols("x y", real=True)
p, q, r = sp.symbols("p_a p_b p_c", positive=True)
k, h = sp.symbols("k h", positive=True)


def potential_falls(model):
    """flow + G grad V, which must vanish identically."""
    gradient = sp.Matrix([sp.diff(model.potential, s) for s in model.states])
    residual = sp.Matrix(list(model.flow.values())) + model.metric * gradient
    return [sp.simplify(e.rewrite(sp.log)) for e in residual]


def test_identity_and_diagonal_metric():
    loss = (x - 1) ** 2 / 2 + k * x * y**2
    m = gradient_flow(loss, [x, y], params={k: 1})
    assert m.flow[x] == -sp.diff(loss, x)
    m = gradient_flow(loss, [x, y], metric={"y": 3 * k}, params={k: 1})
    assert sp.expand(m.flow[y] + 3 * k * sp.diff(loss, y)) == 0
    assert potential_falls(m) == [0, 0]
    assert m.observables["loss"] == loss


def test_simplex_is_the_replicator():
    shares = (p, q, r)
    fitness = {p: 1, q: 2, r: k}
    loss = -sum(f * s for s, f in fitness.items()) + sum(s**2 for s in shares)
    m = gradient_flow(loss, shares, metric=Simplex(shares, rate=h), params={k: 3, h: 2})
    assert m.state_names == ("logit_a", "logit_b")
    assert potential_falls(m) == [0, 0]
    values = m.charts[0].from_states
    # replicator equation p_i' = -h p_i (dV_i - sum_q p_q dV_q), from the log-odds by the chain rule
    rate = {s: sum(sp.diff(values[s], l) * e for l, e in m.flow.items()) for s in shares}
    gradient = {s: sp.diff(loss, s).subs(values) for s in shares}
    mean = sum(values[s] * gradient[s] for s in shares)
    for s in shares:
        assert sp.simplify((rate[s] + h * values[s] * (gradient[s] - mean)).rewrite(sp.log)) == 0
    assert sp.simplify(sum(values.values()).rewrite(sp.log)) == 1


def test_logarithms_of_shares_stay_log_softmax():
    loss = sum(s * sp.log(s) for s in (p, q))
    m = gradient_flow(loss, (p, q), metric=Simplex((p, q)))
    (odds,) = m.states
    assert sp.simplify(m.flow[odds] + odds) == 0  # no log of an exp is left that could underflow


def test_a_start_in_shares():
    m = gradient_flow(
        p * k, (p, q), metric=Simplex((p, q)), params={k: 1}, start={p: sp.Rational(3, 4), q: sp.Rational(1, 4)}
    )
    assert m.start[m.states[0]] == sp.log(3)
    with pytest.raises(ModelError, match="must sum to 1"):
        gradient_flow(p * k, (p, q), metric=Simplex((p, q)), params={k: 1}, start={p: 0.75, q: 0.5})
    with pytest.raises(ModelError, match="needs all of"):
        gradient_flow(p * k, (p, q), metric=Simplex((p, q)), params={k: 1}, start={p: 0.75})
    with pytest.raises(ModelError, match="unknown state 'pa'"):
        gradient_flow(p * k, (p, q), metric=Simplex((p, q)), params={k: 1}, start={"pa": 0.75})


@pytest.mark.parametrize(
    ("metric", "error"),
    [
        ({"z": 1}, ModelError),
        ([{x: 1}, {x: 2}], ModelError),
        ([{x: 1}, Simplex((x, y))], ModelError),
        ([Simplex((p, q))], ModelError),
        (3, TypeError),
        (["identity"], ArgumentError),
    ],
)
def test_bad_metrics(metric, error):
    with pytest.raises(error):
        gradient_flow(x**2 + y**2, [x, y], metric=metric)


def test_simplex_needs_two():
    with pytest.raises(ModelError, match="at least two"):
        Simplex((p,))


def test_heavy_ball_energy_falls():
    gamma = sp.Symbol("gamma", positive=True)
    loss = k * x**2 / 2 + x**4
    m = heavy_ball(loss, [x], friction=gamma, metric={x: h}, params={k: 1, gamma: 0.5, h: 2})
    v = sp.Symbol("v_x", real=True)
    assert m.flow[x] == v
    assert sp.expand(m.flow[v] + gamma * v + h * sp.diff(loss, x)) == 0
    falls = sum(sp.diff(m.observables["energy"], s) * e for s, e in m.flow.items())
    assert sp.simplify(falls + gamma * v**2 / h) == 0


def test_descent_is_a_map():
    m = descent(k * x**2 / 2, [x], step=h, params={k: 1, h: 0.1})
    assert m.discrete
    assert sp.expand(m.flow[x] - (1 - h * k) * x) == 0


def test_a_loss_of_nothing():
    with pytest.raises(ModelError, match="depends on none of its states"):
        gradient_flow(k, [x], params={k: 1})


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6))
def test_any_quadratic_flow_has_its_potential(c):
    c[0] = c[0] or 1
    loss = c[0] * x**2 + c[1] * x * y + c[2] * y**2 + c[3] * x**3 + c[4] * y + c[5] * x * y**3
    m = gradient_flow(loss, [x, y], metric={x: 2, y: sp.Rational(1, 3)})
    assert potential_falls(m) == [0, 0]

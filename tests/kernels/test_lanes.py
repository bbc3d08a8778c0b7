"""Trajectories side by side: orders, answers, statuses, and bits that depend on nothing but the trajectory."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from sympy.logic.boolalg import Boolean

from toymesa import models
from toymesa.errors import ModelError
from toymesa.kernels.batch import LANES, Controls, run_batch
from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes import formulas
from toymesa.kernels.lanes.expressions import shared
from toymesa.kernels.lanes.formulas import Formulas, by_chain, unsuited
from toymesa.status import Status
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import TIME, Model

x, y, z = sp.symbols("x y z", real=True)
k = sp.Symbol("k", positive=True)
PAIR = Model(name="pair", flow={x: x * (1 - x), y: -y + sp.cos(TIME)}, start={x: 0.1, y: 1})
ALL = list(LANES)
EXPLICIT = ["taylor-lanes", "tsit5-lanes", "dop853-lanes"]


def exact(t):
    return np.stack([1 / (1 + 9 * np.exp(-t)), (np.cos(t) + np.sin(t) + np.exp(-t)) / 2], axis=-1)


def run(model, times, starts, params=None, threads=None, **controls):
    starts = np.array(starts, dtype=float)
    params = np.empty((len(starts), 0)) if params is None else np.array(params, dtype=float)
    return run_batch(
        compile_model(model), np.asarray(times, float), starts, params, Controls(**controls), threads=threads
    )


@pytest.mark.parametrize(
    ("method", "order", "counts"),
    [("tsit5-lanes", 5, (16, 32, 64)), ("dop853-lanes", 8, (4, 8, 16)), ("rodas5p-lanes", 5, (32, 64, 128))],
)
def test_measured_order(method, order, counts):
    """With a tolerance that nothing exceeds every step is as long as the longest one allowed."""
    errors = []
    for c in counts:
        out = run(PAIR, [4.0], [[0.1, 1.0]], method=method, rtol=1e6, atol=1e6, first_step=4.0 / c, max_step=4.0 / c)
        assert out.steps.sum() == c
        errors.append(np.abs(out.states[0, -1] - exact(4.0)).max())
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert -(order + 0.8) < slope < -(order - 0.15)


def test_measured_order_of_taylor():
    """The order follows from the tolerance: 5 for loose ones."""
    errors = []
    for c in (8, 16, 32):
        out = run(
            PAIR, [4.0], [[0.1, 1.0]], method="taylor-lanes", rtol=1e6, atol=1e6, max_step=4.0 / c, first_step=4.0 / c
        )
        assert out.steps.sum() == c
        errors.append(np.abs(out.states[0, -1] - exact(4.0)).max())
    assert -5.8 < np.polyfit(np.log((8, 16, 32)), np.log(errors), 1)[0] < -4.85


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("tolerance", [1e-5, 1e-8, 1e-11])
def test_states_at_the_end_and_in_between(method, tolerance):
    times = np.linspace(0, 6, 61)
    out = run(PAIR, times, [[0.1, 1.0]], method=method, rtol=tolerance, atol=tolerance)
    assert out.status[0] == Status.OK
    assert np.abs(out.states[0] - exact(times)).max() < 300 * tolerance
    end = run(PAIR, [6.0], [[0.1, 1.0]], method=method, rtol=tolerance, atol=tolerance)
    assert np.abs(end.states[0, 0] - exact(6.0)).max() < 100 * tolerance
    assert out.when[0] == 6.0
    np.testing.assert_array_equal(out.reached[0], out.states[0, -1])


@pytest.mark.parametrize("method", ALL)
def test_backward_and_from_another_time(method):
    model = Model(name="driven", flow={y: -y + sp.cos(TIME)})
    c = Controls(method=method, rtol=1e-10, atol=1e-10)
    begin = exact(3.0)[1:]
    out = run_batch(compile_model(model), np.array([2.5, 1.0]), begin[None], np.empty((1, 0)), c, t0=3.0)
    np.testing.assert_allclose(out.states[0, :, 0], exact(np.array([2.5, 1.0]))[:, 1], atol=1e-8)
    assert out.when[0] == 1.0


def same_bits(found, whole, rows=slice(None)):
    for name in ("states", "status", "when", "steps", "rejected", "reached"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[rows], err_msg=name)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("times", [[5.0], np.linspace(0, 5, 7)])
def test_bits_depend_on_the_trajectory_alone(method, times):
    rng = np.random.default_rng(3)
    model = Model(name="race", flow={x: k * x * (1 - x - y), y: y * (1 - x - 2 * y - sp.tanh(x) / 9)}, params={k: 1.0})
    starts, params = rng.uniform(0.01, 0.2, (5000, 2)), rng.uniform(0.1, 300, (5000, 1))
    every = run(model, times, starts, params, method=method)
    assert (every.status == Status.OK).all()
    one_thread = run(model, times, starts, params, method=method, threads=1)
    same_bits(every, one_thread)
    for rows in ([0], [4999], range(17, 50), range(0, 5000, 91)):
        some = run(model, times, starts[list(rows)], params[list(rows)], method=method)
        same_bits(some, every, list(rows))


@pytest.mark.parametrize("method", ALL)
def test_poisoned_lanes_disturb_nobody(method):
    """x' = x^2 from k x_0: some blow up, some are not finite to begin with, some leave the domain of the logarithm."""
    model = Model(name="poison", flow={x: x**2, y: -sp.log(y)}, start={x: 1, y: 1})
    healthy = np.stack([np.linspace(-1, 0.3, 200), np.linspace(0.5, 2, 200)], axis=1)
    alone = run(model, [0.5, 2.0], healthy, method=method)
    assert (alone.status == Status.OK).all()
    sick = np.array([[np.nan, 1], [np.inf, 1], [1.0, 1], [0.2, -1.0], [1e200, 1], [0.2, 0.0], [1e308, 1e308]])
    mixed = np.concatenate([sick, healthy])
    order = np.random.default_rng(1).permutation(len(mixed))
    out = run(model, [0.5, 2.0], mixed[order], method=method)
    back = np.argsort(order)
    np.testing.assert_array_equal(out.states[back][len(sick) :], alone.states)
    assert not (out.status[back][: len(sick)] == Status.OK).any()
    np.testing.assert_array_equal(
        out.status[back][[0, 1, 2, 3, 5]],
        [Status.NONFINITE_RHS, Status.NONFINITE_RHS, Status.BLOW_UP, Status.NONFINITE_RHS, Status.NONFINITE_RHS],
    )


@pytest.mark.parametrize("method", ["lanes", "rodas5p-lanes", "taylor-lanes", "dop853-lanes"])
@pytest.mark.parametrize(("rate", "begin"), [(x**2, 1.0), (sp.exp(x), 0.0)])
def test_blow_up_is_a_status(rate, begin, method):
    out = run(Model(name="blow", flow={x: rate}), [0.5, 2.0], [[begin]], method=method)
    assert out.status[0] == Status.BLOW_UP
    assert out.when[0] == pytest.approx(1.0, abs=1e-6)
    assert np.isfinite(out.states[0, 0, 0])
    assert np.isnan(out.states[0, 1, 0])


def test_other_failures_are_statuses():
    grow = Model(name="grow", flow={x: x})
    for method in ALL:
        assert run(grow, [1e4], [[1.0]], method=method, rtol=1e-4).status[0] == Status.OVERFLOW
        limited = run(grow, [50.0], [[1.0]], method=method, max_steps=5)
        assert limited.status[0] == Status.STEP_LIMIT
        assert limited.steps.sum() <= 5
        assert np.isnan(limited.states[0, 0, 0])


@pytest.mark.parametrize("method", ALL)
def test_no_more_steps_than_allowed_where_every_step_is_read_off(method):
    turning = Model(name="turning", flow={x: y, y: -x})
    out = run(turning, np.linspace(0, 100, 2001), [[1.0, 0.0]], method=method, rtol=1e-10, atol=1e-10, max_steps=20)
    assert out.status[0] == Status.STEP_LIMIT
    assert 10 < out.steps.sum() <= 20
    known = int(np.isfinite(out.states[0, :, 0]).sum())
    assert 1 < known < 2001
    np.testing.assert_allclose(out.states[0, :known, 0], np.cos(np.linspace(0, 100, 2001)[:known]), atol=1e-8)


ROOT = sp.sqrt(1 - x)


@pytest.mark.parametrize("rate", [sp.Max(0, ROOT), sp.Max(y, ROOT), sp.Min(1, ROOT), sp.Min(y, ROOT, 3)])
@pytest.mark.parametrize(
    "method", ["lanes", "tsit5-lanes", "dop853-lanes", "rodas5p-lanes", "auto", "dop853", "rodas5p"]
)
def test_the_largest_of_numbers_and_what_is_none_is_none(rate, method):
    """As in functions of arrays; else a trajectory would go on where its rate has no value."""
    out = run(Model(name="edge", flow={x: 1 + 0 * y, y: rate}), [0.5, 2.0], [[0.0, 0.0]], method=method)
    assert out.status[0] == Status.NONFINITE_RHS
    assert np.isfinite(out.states[0, 0]).all()
    assert np.isnan(out.states[0, 1]).all()


@pytest.mark.parametrize("power", [1, 3, 5, 7])
@pytest.mark.parametrize(
    ("method", "tolerance"),
    [("lanes", 1e-5), ("lanes", 1e-10), ("dop853-lanes", 1e-8), ("rodas5p-lanes", 1e-8), ("dop853", 1e-8)],
)
def test_what_has_hardly_begun_is_not_steady(power, method, tolerance):
    """x = exp(-t^(p + 1)/(p + 1)): all derivatives up to the p-th are 0 at first."""
    model = Model(name="waiting", flow={x: -(TIME**power) * x})
    out = run(model, [30.0], [[1.0]], method=method, steady=True, rtol=tolerance, atol=tolerance)
    assert out.when[0] > 1
    assert abs(out.reached[0, 0]) < 1e-4


def test_steady_just_at_the_last_time():
    """The last step is long: there was no rest before it, and there is one behind it."""
    model = Model(name="late", flow={x: -x + 1 / (1 + TIME) ** 2})
    for method in ("lanes", "rodas5p-lanes", "rodas5p"):
        out = run(model, [1e4], [[1.0]], method=method, steady=True, rtol=1e-8, atol=1e-8)
        assert out.status[0] == Status.OK
        assert out.when[0] == 1e4
        np.testing.assert_allclose(out.states[0, 0, 0], 1e-8, rtol=1e-3)
    early = run(model, [1e3], [[1.0]], method="rodas5p-lanes", steady=True, rtol=1e-10, atol=1e-10)
    assert early.status[0] == Status.NOT_STEADY


@pytest.mark.parametrize("method", ["lanes", "rodas5p-lanes"])  # an explicit method hovers at its limit of stability
def test_until_steady(method):
    model = Model(name="relax", flow={x: 1 - x, y: -k * (y - x)}, params={k: 1.0})
    out = run(model, [1e8], [[0.0, 5.0], [1.0, 1.0]], [[3.0], [2.0]], method=method, steady=True)
    assert (out.status == Status.OK).all()
    np.testing.assert_allclose(out.states[:, 0], 1.0, atol=1e-7)
    assert 5 < out.when[0] < 1e3
    np.testing.assert_array_equal(out.states[1, 0], [1.0, 1.0])
    drift = run(Model(name="drift", flow={x: 1 + 0 * x}), [1e3], [[0.0]], method=method, steady=True)
    assert drift.status[0] == Status.NOT_STEADY


@pytest.mark.parametrize("stiffness", [1e4, 1e9])
def test_what_turns_stiff_is_handed_over(stiffness):
    model = Model(name="stiff", flow={x: -k * (x - sp.cos(TIME)) - sp.sin(TIME)}, params={k: 1.0})
    for times in ([5.0], np.linspace(0, 5, 11)):
        for tolerance in (1e-5, 1e-8):
            out = run(model, times, [[2.0]], [[stiffness]], method="lanes", rtol=tolerance, atol=tolerance)
            assert out.status[0] == Status.OK
            assert out.steps[0, :2].sum() > 0
            assert out.steps[0, 2] > 0
            assert (
                np.abs(out.states[0, -len(times) + 1 :, 0] - np.cos(times[-len(times) + 1 :])).max() < 100 * tolerance
            )


def test_a_lost_pivot_is_solved_elsewhere():
    """J = [[0, 1], [-1, 0]] is no problem; a diagonal entry of exactly 1/(h gamma) needs another pivot."""
    step, gamma = 0.25, 0.21193756319429014
    model = Model(name="pivot", flow={x: k * x + y, y: x - k * y}, params={k: 1.0})
    values = [[1 / (step * gamma)], [1.0]]
    out = run(
        model,
        [step],
        [[1.0, 1.0]] * 2,
        values,
        method="rodas5p-lanes",
        first_step=step,
        max_step=step,
        rtol=1e3,
        atol=1e3,
    )
    assert out.elsewhere.tolist() == [0]
    assert (out.status == Status.OK).all()
    np.testing.assert_allclose(out.states[1, 0], _linear(1.0, step), rtol=1e-4)


def _linear(rate, t):
    matrix = sp.Matrix([[rate, 1], [1, -rate]])
    return np.array((matrix * sp.Float(t)).exp() * sp.Matrix([1, 1]), dtype=float).ravel()


FUNCTIONS = [
    (sp.exp(-x) - x, 0.3), (sp.log(1 + x) - x / 2, 0.5), (sp.sqrt(1 + x**2) - 2 * x, 0.1), (sp.sin(3 * x) - x, 1.0),
    (sp.cos(x) ** 3 - x, 0.2), (sp.tanh(2 * x) - x, 0.4), (1 / (2 + x) - x, 0.7), ((1 + x) ** sp.Rational(5, 3) / 9 - x, 0.2),
    (x**-2 - x, 1.5), (LogSumExp(x, 2 * x, 1 - x) - 3 * x, 0.1), (sp.exp(x - LogSumExp(x, 1)) - x, 0.2),
    (sp.exp(x) - 1 - 3 * x, 0.3), (sp.sinh(x) - 2 * sp.cosh(x) * x, 0.3), ((2 + x) ** x - 3 * x, 0.4), (x**7 - 2 * x**4 - x, 0.8),
    (TIME * sp.exp(-(TIME**2)) - x, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("rate", "begin"), FUNCTIONS)
def test_every_function_by_every_method(rate, begin):
    model = Model(name="function", flow={x: rate})
    assert Formulas(model).smooth
    reference = run(model, [1.0, 2.0], [[begin]], method="dop853", rtol=1e-13, atol=1e-13).states
    for method in ALL:
        out = run(model, [1.0, 2.0], [[begin]], method=method, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(out.states, reference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("rate", [
    sp.Piecewise((1 - x, x < sp.Rational(1, 2)), (sp.Rational(1, 2) * sp.exp(1 - 2 * x), True)), sp.Abs(x - 1) - x / 2,
    sp.Max(x, 1 - x) - x, sp.erf(x) - x, sp.atan(x) - sp.Min(x, 2), sp.sign(TIME - 1) - x, sp.Heaviside(TIME - 1) - x,
])  # fmt: skip
def test_functions_with_kinks_or_without_series(rate):
    model = Model(name="kink", flow={x: rate})
    assert not Formulas(model).smooth
    reference = run(model, [0.7, 2.0], [[0.2]], method="dop853", rtol=1e-13, atol=1e-13).states
    for method in ("lanes", "tsit5-lanes", "dop853-lanes", "rodas5p-lanes"):
        out = run(model, [0.7, 2.0], [[0.2]], method=method, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(out.states, reference, rtol=1e-6, atol=1e-7)
    with pytest.raises(ModelError, match="no Taylor series"):
        run(model, [1.0], [[0.2]], method="taylor-lanes")


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_model_of_the_collection(name):
    """At its defaults, against the methods that solve one trajectory at a time."""
    model = models.MODELS[name]()
    if unsuited(model):
        with pytest.raises(ModelError, match="lanes"):
            Formulas(model)
        return
    starts, params = _defaults(model)
    times = np.linspace(0, 8, 5)
    reference = run(model, times, starts, params, method="auto", rtol=1e-12, atol=1e-13)
    methods = ["lanes", "rodas5p-lanes"] + (["taylor-lanes"] if Formulas(model).smooth else ["dop853-lanes"])
    for method in methods:
        out = run(model, times, starts, params, method=method, rtol=1e-9, atol=1e-10)
        assert (out.status == reference.status).all()
        np.testing.assert_allclose(out.states, reference.states, rtol=2e-6, atol=2e-7)


def _defaults(model):
    params = {s: p.default for s, p in model.params.items()}
    starts = [float(sp.sympify(e).subs(params)) for e in model.start.values()]
    return np.array([starts]), np.array([[float(v) for v in params.values()]])


@given(
    st.lists(st.floats(-2, 2), min_size=6, max_size=6),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.sampled_from(ALL),
)
def test_a_linear_flow_by_its_closed_form(entries, a, b, method):
    """x' = A x + c, against the matrix exponential; stable or not."""
    from scipy.linalg import expm

    p = sp.symbols("p0:6", real=True)
    model = Model(
        name="linear", flow={x: p[0] * x + p[1] * y + p[4], y: p[2] * x + p[3] * y + p[5]}, params=dict.fromkeys(p, 1.0)
    )
    out = run(model, [0.5, 1.5], [[a, b]], [entries], method=method, rtol=1e-9, atol=1e-10)
    big = np.zeros((3, 3))
    big[:2, :2], big[:2, 2] = np.reshape(entries[:4], (2, 2)), entries[4:]
    for i, t in enumerate((0.5, 1.5)):
        want = (expm(big * t) @ [a, b, 1.0])[:2]
        np.testing.assert_allclose(out.states[0, i], want, rtol=1e-6, atol=1e-6 * (1 + np.abs(want).max()))


@pytest.mark.parametrize(
    ("flow", "start", "end", "want"),
    [
        ({x: sp.exp(-((TIME - 10) ** 2))}, [0.0], 20.0, np.sqrt(np.pi)),
        ({y: 1 + 0 * y, x: sp.exp(-((y - 10) ** 2))}, [0.0, 0.0], 20.0, np.sqrt(np.pi)),
        ({x: (TIME * (10 - TIME) / 25) ** 12}, [0.0], 10.0, 2.4822),
        ({x: sp.sin(sp.pi * TIME) ** 10}, [0.0], 4.0, 0.984375),
        ({y: -1 + 0 * y, x: sp.sqrt(y**4 - 2 * y**2 + 1)}, [3.0, 0.0], 6.0, 44 / 3),
    ],
)
def test_a_pulse_between_the_ends_of_a_step_is_seen(flow, start, end, want):
    for tolerance in (1e-5, 1e-8):
        out = run(Model(name="pulse", flow=flow), [end], [start], method="lanes", rtol=tolerance, atol=tolerance)
        assert out.states[0, 0, -1] == pytest.approx(want, abs=3e-3)


def test_rates_that_are_zero_at_first_are_no_steady_state_where_they_depend_on_time():
    out = run(Model(name="late", flow={x: TIME * (1 - x)}), [1e6], [[0.0]], method="lanes", steady=True)
    assert out.status[0] == Status.OK
    assert out.states[0, 0, 0] == pytest.approx(1.0, abs=1e-7)


def test_a_power_at_zero_is_no_failure():
    model = Model(name="hill", flow={x: x**k / (1 + x**k) - x + sp.Rational(1, 10)}, params={k: 2.0})
    assert run(model, [5.0], [[0.0]], [[2.0]], method="lanes").status[0] == Status.OK


def test_derivatives_by_the_chain_rule_are_those_of_the_whole():
    """With many states rates are differentiated as they are shared, not as a whole."""
    states = sp.symbols("u0:5", real=True)
    total = LogSumExp(*states)
    rates = [
        (s - total) * sp.exp(k * s) / (1 + sum(u**2 for u in states)) + sp.cos(TIME) * sp.Abs(s - k) for s in states[:3]
    ]
    rates += [sp.exp(states[3]) - 1, sp.Max(states[4], states[0] * k)]
    definitions, shown = shared(rates)
    form, lines = by_chain(definitions, shown, [*states, TIME])
    rng = np.random.default_rng(5)
    for _ in range(3):
        where = dict(zip([*states, k, TIME], map(sp.Float, rng.uniform(0.1, 1.0, 7)), strict=True))
        known = dict(where)
        for v, e in form:
            known[v] = e.xreplace(known).evalf(20)
        for e, line in zip(rates, lines, strict=True):
            for s in (*states, TIME):
                found, want = line[s].xreplace(known).evalf(20), sp.diff(e, s).xreplace(where).evalf(20)
                assert abs(found - want) < 1e-15 * (1 + abs(want))


def test_derivatives_by_the_chain_rule_of_what_has_kinks():
    """Absolute values, signs and conditions of what is itself shared: numbers are real, which SymPy wants to know."""
    u, v = sp.symbols("u v", real=True)
    far, near = u - k, (u > k) & (v > 1)
    rates = [
        sp.Abs(far) * v + far**2,
        sp.sign(far) * far * v,
        sp.Abs(sp.Abs(far) - sp.Abs(v)) ** k,
        sp.Piecewise((far * v, near), (v**2, True)),
        sp.Piecewise((sp.sin(far * v), near), (u, far > 0), (0, True)),
    ]
    definitions, shown = shared(rates)
    assert any(isinstance(e, Boolean) for _, e in definitions)
    form, lines = by_chain(definitions, shown, [u, v, TIME])
    for place in ((0.3, 0.7), (-1.2, 0.4), (1.5, 1.6)):
        where = dict(zip([u, v, k], map(sp.Float, (*place, 0.8)), strict=True))
        known = dict(where)
        for name, e in form:
            known[name] = e.xreplace(known)
        for e, line in zip(rates, lines, strict=True):
            for s in (u, v):
                found, want = line[s].xreplace(known), sp.diff(e, s).xreplace(where)
                assert abs(found.evalf(20) - want.evalf(20)) < 1e-14


def test_many_states_are_solved_as_few_are(monkeypatch):
    """Fourteen states, stiff: beside derivatives of the whole, and the method one trajectory at a time."""
    n = 14
    states = sp.symbols(f"u0:{n}", real=True)
    pull = sum(sp.tanh(u) for u in states) / n
    flow = {u: -(4.0**i) * (u - pull) - k * u**3 + sp.sin(TIME) for i, u in enumerate(states)}
    starts = np.random.default_rng(2).uniform(-1, 1, (20, n))

    def solved(method, tolerance):
        model = Model(name="many", flow=flow, params={k: 1.0}, start=dict.fromkeys(states, 0.5))
        out = run(model, [3.0], starts, np.full((20, 1), 2.0), method=method, rtol=tolerance, atol=tolerance)
        assert (out.status == Status.OK).all()
        return out

    found = solved("rodas5p-lanes", 1e-9)
    assert np.abs(found.states - solved("rodas5p", 1e-11).states).max() < 1e-7
    monkeypatch.setattr(formulas, "_WHOLE", n)
    whole = solved("rodas5p-lanes", 1e-9)
    np.testing.assert_array_equal(found.steps, whole.steps)
    np.testing.assert_allclose(found.states, whole.states, rtol=1e-11)

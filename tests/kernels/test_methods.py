"""Measured convergence orders, switching, failures as statuses, and bits that depend on nothing but the row."""

import numpy as np
import pytest
import sympy as sp

from toymesa.kernels.batch import Controls, record, run_batch
from toymesa.kernels.generate import compile_model
from toymesa.status import Status
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.model import TIME, Model

x, y = sp.symbols("x y", real=True)
k = sp.Symbol("k", positive=True)
PAIR = Model(name="pair", flow={x: x * (1 - x), y: -y + sp.cos(TIME)}, start={x: 0.1, y: 1})
START = np.array([[0.1, 1.0]])
NONE = np.empty((1, 0))


def exact(t):
    return np.stack([1 / (1 + 9 * np.exp(-t)), (np.cos(t) + np.sin(t) + np.exp(-t)) / 2], axis=-1)


def run(model, times, start, params=NONE, **controls):
    return run_batch(
        compile_model(model), np.asarray(times, float), np.asarray(start, float), params, Controls(**controls)
    )


@pytest.mark.parametrize(
    ("method", "order", "counts"),
    [("tsit5", 5, (16, 32, 64)), ("dop853", 8, (4, 8, 16)), ("rodas5p", 5, (32, 64, 128))],
)
def test_measured_order(method, order, counts):
    errors = [
        np.abs(run(PAIR, [4.0], START, method=method, fixed=True, first_step=4.0 / c).states[0, -1] - exact(4.0)).max()
        for c in counts
    ]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope < -(order - 0.15)  # at least the stated order
    assert slope > -(order + 0.8)


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p", "auto"])
def test_dense_output_and_record(method):
    times = np.linspace(0, 6, 97)
    out = run(PAIR, times, START, method=method, rtol=1e-10, atol=1e-12)
    assert np.abs(out.states[0] - exact(times)).max() < (1e-7 if method == "tsit5" else 1e-8)
    _, status, _, steps = record(
        compile_model(PAIR), times, START[0], NONE[0], Controls(method=method, rtol=1e-10, atol=1e-12)
    )
    assert status == Status.OK
    inside = times[1:-1]
    index = np.searchsorted(steps.before + steps.used, inside)
    states = steps.at(index, (inside - steps.before[index]) / steps.used[index])
    np.testing.assert_array_equal(states, out.states[0, 1:-1])


@pytest.mark.parametrize("stiffness", [1e4, 1e9])
def test_a_stiff_flow_switches(stiffness):
    model = Model(name="stiff", flow={x: -k * (x - sp.cos(TIME)) - sp.sin(TIME)}, params={k: 1.0}, start={x: 2})
    p = np.array([[stiffness]])
    out = run(model, [5.0], [[2.0]], p, rtol=1e-8, atol=1e-10)
    assert out.status[0] == Status.OK
    assert out.steps[0, 2] > 0
    assert abs(out.states[0, 0, 0] - np.cos(5.0)) < 1e-7
    limited = run(model, [5.0], [[2.0]], p, method="tsit5", max_steps=1000)
    assert limited.status[0] == Status.STEP_LIMIT
    assert np.isnan(limited.states[0, 0, 0])


@pytest.mark.parametrize(("rate", "begin"), [(x**2, 1.0), (sp.exp(x), 0.0)])
@pytest.mark.parametrize("method", ["auto", "rodas5p"])
def test_blow_up_is_a_status(rate, begin, method):
    out = run(Model(name="blow", flow={x: rate}), [0.5, 2.0], [[begin]], method=method)
    assert out.status[0] == Status.BLOW_UP
    assert out.when[0] == pytest.approx(1.0, abs=1e-6)
    assert np.isfinite(out.states[0, 0, 0])


def test_not_finite():
    assert run(Model(name="bad", flow={x: sp.log(x)}), [1.0], [[-1.0]]).status[0] == Status.NONFINITE_RHS
    assert (
        run(Model(name="later", flow={x: -1 - 0 * x + sp.log(x) * 0 - sp.sqrt(x)}), [9.0], [[1.0]]).status[0]
        != Status.OK
    )


def test_bits_do_not_depend_on_the_batch_or_the_threads():
    rng = np.random.default_rng(0)
    starts = rng.uniform(0.01, 0.9, (150, 2))
    params = np.empty((150, 0))
    compiled, times = compile_model(PAIR), np.linspace(0, 3, 5)
    one = run_batch(compiled, times, starts, params, Controls(), threads=1).states
    two = run_batch(compiled, times, starts, params, Controls(), threads=2).states
    alone = run_batch(compiled, times, starts[77:78], params[77:78], Controls()).states[0]
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[77], alone)


def test_an_algebraic_optimum_is_kept():
    theta, a = sp.symbols("theta a", real=True)
    model = bilevel(
        (a - 1) ** 2 / 2 + theta**4 / 10,
        a**4 / 4 + a**2 / 2 - theta * a,
        outer=[theta],
        inner=[a],
        coupling="equilibrium",
    )
    out = run(model, [0.0, 1.0, 30.0], [[0.0, 0.4]])
    final_theta, final_a = out.states[0].T
    np.testing.assert_allclose(final_a**3 + final_a, final_theta, atol=1e-14)
    assert out.states[0, 0, 1] == pytest.approx(0.0, abs=1e-15)  # a consistent start was found


def test_an_unrolled_run_reaches_the_equilibrium():
    theta, a, tau = sp.Symbol("theta", real=True), sp.Symbol("a", real=True), sp.Symbol("tau", positive=True)
    given = {
        "base_loss": (a - 1) ** 2 / 2 + theta**4 / 10,
        "mesa_objective": a**4 / 4 + a**2 / 2 - theta * a,
        "outer": [theta],
        "inner": [a],
    }
    long = bilevel(**given, coupling="unrolled", inner_time=tau, params={tau: 40.0})
    rest = bilevel(**given, coupling="equilibrium")
    one = run(long, [2.0], [[0.0]], np.array([[40.0]])).states[0, 0, 0]
    other = run(rest, [2.0], [[0.0, 0.0]]).states[0, 0, 0]
    assert one == pytest.approx(other, abs=1e-8)

"""Taylor's method in lanes: what it must not step over, where it gives way to other methods, and when "lanes" begin with it."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from toymesa import solve
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes.emit import Program
from toymesa.kernels.lanes.formulas import degree
from toymesa.kernels.lanes.programs import phases_of
from toymesa.kernels.lanes.series import Series, SeriesReader
from toymesa.status import Status
from toymesa.symbolic.model import TIME, Model

x, y, z = sp.symbols("x y z", real=True)
c, w = sp.symbols("c w", positive=True)
R = sp.Rational
ROWS = 24


def model_of(flow):
    used = [p for p in (c, w) if any(sp.sympify(e).has(p) for e in flow.values())]
    return Model(name="adversary", flow=flow, params=dict.fromkeys(used, 1.0))


def run(model, start, table, end, method, tolerance, **controls):
    """All rows of the table from one start at time 0; states at a third of the time and at the end."""
    columns = [k for k, p in enumerate((c, w)) if p in model.params]
    times = np.array([end / 3, float(end)])
    return run_batch(
        compile_model(model), times, np.tile(np.array(start, dtype=float), (len(table), 1)),
        np.ascontiguousarray(table[:, columns]), Controls(method=method, rtol=tolerance, atol=tolerance, **controls),
    )  # fmt: skip


def table_of(least=0.1):
    rng = np.random.default_rng(5)
    return np.c_[rng.uniform(1, 15, ROWS), 10 ** rng.uniform(np.log10(least), 0.5, ROWS)]


def errors(out, reference):
    return np.max(np.abs(out.states - reference.states) / (1 + np.abs(reference.states)), axis=(1, 2))


def compared(flow, start, end, method, tolerance):
    """Results of a method, of DOP853 in lanes and of a reference with short steps, and the errors of the first two."""
    model, table = model_of(flow), table_of()
    reference = run(model, start, table, end, "auto", 1e-12, max_step=abs(end) / 1000, max_steps=10**6)
    mine, pair = (run(model, start, table, end, m, tolerance) for m in (method, "dop853-lanes"))
    return mine, pair, reference, errors(mine, reference), errors(pair, reference)


POLYNOMIALS = {
    "a long rest, then off": ({x: x * (1 - x) * w}, [1e-14], 100),
    "backward": ({x: x * (1 - x) * w + TIME / 9}, [0.3], -3),
    "two at rest": ({x: x * (1 - x - y) * w, y: -y * c / 10 + x * y * y}, [1e-11, 0.5], 50),
    "from a saddle": ({x: x * (1 - x**2) * w, y: -y * c + x}, [1e-15, 1.0], 60),
    "a bump by a clock": ({x: (y * (20 - y) / 100) ** 4 - x / c, y: 1 + 0 * y}, [0.0, 0.0], 20),
    "a bump by a front": ({x: (4 * y * (1 - y)) ** 4 * c, y: y * (1 - y) * w * 8}, [0.0, 1e-9], 15),
    "a bump in time": ({x: (TIME * (20 - TIME) / 100) ** 4 * w - x}, [0.0], 20),
    "slower and slower": ({x: -(x**7) * w, y: x**3}, [3.0, 0.0], 10),
    "relaxation": ({x: y, y: c * (1 - x**2) * y - x}, [2.0, 0.0], 20),
    "stiff": ({x: -(10**5) * c * (x - y**2), y: -y * w}, [1.0, 2.0], 5),
    "blow-up": ({x: x**2 * w}, [1.0], 2),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomial_rates_in_lanes(name):
    flow, start, end = POLYNOMIALS[name]
    assert phases_of(model_of(flow), "auto", 1e-10) == ("taylor", "dop853", "rodas5p")
    mine, pair, reference, error, bound = compared(flow, start, end, "lanes", 1e-10)
    np.testing.assert_array_equal(mine.status, reference.status)
    done = mine.status == Status.OK
    assert (mine.steps[:, 1] > 0).all()
    # what starts near the tolerance has its error magnified with it
    assert (error[done] <= 1e-5).all() or min(abs(v) for v in start if v) < 1e-8
    both = done & (pair.status == Status.OK)
    assert (error[both] <= 10 * bound[both] + 1e-8).all()


OTHERS = {
    "pulse by a clock": ({x: -x / 3 + sp.exp(-(((y - c) / w) ** 2)), y: 1 + 0 * y}, [1.0, 0.0], 20),
    "train": ({x: sp.cosh((TIME - c) / w) ** -2 + sp.cosh((TIME - c - 5) / w) ** -2 - x}, [0.0], 20),
    "backward pulse": ({x: sp.exp(-(((TIME + c) / w) ** 2)) + x / 5}, [1.0], -20),
    "spikes": ({x: sp.sin(TIME / w + c) ** 10}, [0.0], 20),
    "kink in time": ({x: sp.sqrt(TIME**2 - 2 * c * TIME + c**2) * w - x}, [0.0], 20),
    "kink in a state": ({x: sp.sqrt(y**4 - 2 * y**2 * w**2 + w**4), y: -c / 10 + 0 * y}, [0.0, 3.0], 10),
    "power at 0": ({x: x ** R(3, 2) * w - x + c / 30}, [0.0], 5),
    "power at 0, other state": ({x: y ** R(5, 3), y: w + 0 * y}, [0.0, 0.0], 5),
    "unknown power at 0": ({x: x**c / (1 + x**c) - x + w / 10}, [0.0], 5),
    "a quotient near overflow": (
        {x: sp.exp(300 * (y - c / 8)) / (w + sp.exp(300 * (y - c / 8))), y: 1 + 0 * y},
        [0.0, 0.0],
        2,
    ),
    "a pole nearby": ({x: w / 100 / ((w / 100) ** 2 + (y - c) ** 2) - x, y: 1 + 0 * y}, [0.0, 0.0], 20),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_hides_from_a_series(name):
    """No worse at worst than DOP853, and as often right."""
    mine, pair, reference, error, bound = compared(*OTHERS[name], "taylor-lanes", 1e-8)
    assert phases_of(model_of(OTHERS[name][0]), "auto", 1e-10) == ("dop853", "rodas5p")
    np.testing.assert_array_equal(mine.status, reference.status)
    done = (mine.status == Status.OK) & (pair.status == Status.OK)
    assert done.any()
    assert error[done].max() <= 10 * bound[done].max() + 1e-6
    assert np.sum(error[done] > 1e-4) <= np.sum(bound[done] > 1e-4)


@pytest.mark.parametrize("tolerance", [1e-5, 1e-9])
def test_narrow_pulses_are_missed_no_more_often_than_by_a_pair(tolerance):
    """After a rest of up to 20 pulses of widths from 0.003 to 3; the integral is known."""
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(0.5, 20, 3000), 10 ** rng.uniform(-2.5, 0.5, 3000)]
    center, width = table.T
    want = width * np.sqrt(np.pi) / 2 * (erf((20 - center) / width) + erf(center / width))
    model = model_of({x: sp.exp(-(((TIME - c) / w) ** 2))})
    taylor, pair = (run(model, [0.0], table, 20, m, tolerance) for m in ("taylor-lanes", "dop853-lanes"))
    missed, theirs = (np.abs(o.states[:, 1, 0] - want) > 100 * tolerance for o in (taylor, pair))
    assert missed.sum() <= theirs.sum()
    assert not missed[width > 1].any()


def test_what_has_no_series_goes_on_by_a_pair_from_where_it_is():
    """y comes to rest where its rate is a power of 0; x goes on, with the rates of its own time: sooner or later 10 cos 3t."""
    stops = Model(name="stops", flow={y: -((y**4 - 2 * y**2 + 1) ** R(1, 5)), x: 10 * sp.cos(3 * TIME)})
    found = solve(stops, [1.0, 6.0], start={y: 2.0, x: 0.0}, method="taylor-lanes", rtol=1e-8, atol=1e-8)
    assert found.attrs["method"] == "dop853-lanes+taylor-lanes"
    np.testing.assert_allclose(found["x"], 10 * np.sin([3.0, 18.0]) / 3, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found["y"][-1], 1.0, atol=1e-6)
    from_zero = run(model_of({x: w + x ** R(3, 2)}), [0.0], table_of(), 0.5, "taylor-lanes", 1e-8)
    assert (from_zero.status == Status.OK).all()
    assert (from_zero.steps[:, 1] == 0).all()
    assert (from_zero.rejected < 15).all()  # after a few steps in vain


def test_a_kink_in_disguise_is_crossed():
    """x' = |t - 1| - x is 2 - t + a e^-t up to t = 1, and t - 2 + b e^-t from there."""
    kink = Model(name="kink", flow={x: sp.sqrt(TIME**2 - 2 * TIME + 1) - x}, start={x: 0.5})
    found = solve(kink, [0.5, 3.0], method="taylor-lanes", rtol=1e-9, atol=1e-9)
    a = -1.5
    b = np.e * (1 + a / np.e + 1)
    np.testing.assert_allclose(found["x"], [1.5 + a * np.exp(-0.5), 1 + b * np.exp(-3.0)], atol=1e-7)


def test_a_power_of_what_is_zero_at_first_is_not_zero_for_that():
    """The base t has no constant term at all: t^(3/2) has no series, which must not be taken for one of zeros."""
    p = Program("power", 8)
    moving = sp.Symbol("moving", positive=True)
    rises = Series(lambda k: p.constant(1.0) if k == 1 else None)
    series = SeriesReader(p, {moving: rises}, {}).read(moving ** R(3, 2))
    assert series[1] is not None
    rests = Series(lambda k: None)
    assert SeriesReader(p, {moving: rests}, {}).read(moving ** R(3, 2))[1] is None


def test_when_lanes_begin_with_series():
    cheap = Model(name="cheap", flow={x: x * (1 - x) * w}, params={w: 1.0})
    assert phases_of(cheap, "auto", 1e-10)[0] == "taylor"
    assert phases_of(cheap, "auto", 1e-8)[0] == "dop853"
    assert phases_of(cheap, "auto", 1e-5)[0] == "tsit5"
    weights = sp.symbols("a:d", real=True)
    product = sp.prod(weights)
    costly = Model(name="costly", flow={v: product / v * (1 - product) for v in weights})
    steep = Model(name="steep", flow={x: (x * (1 - x)) ** 5 - x})
    for model in (costly, steep, Model(name="smooth", flow={x: sp.tanh(x) - x})):
        assert phases_of(model, "auto", 1e-10) == ("dop853", "rodas5p")


FORMULAS = st.recursive(
    st.sampled_from([x, y, TIME, c, sp.Integer(2), x - y]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda ab: ab[0] + ab[1]),
        st.tuples(inner, inner).map(lambda ab: ab[0] * ab[1]),
        st.tuples(inner, st.integers(1, 3)).map(lambda ab: ab[0] ** ab[1]),
    ),
    max_leaves=6,
)


@given(FORMULAS)
def test_no_degree_is_below_that_of_the_polynomial(formula):
    found = degree(formula, {x, y, TIME})
    expanded = sp.Poly(formula, x, y, TIME)
    assert found >= (0 if expanded.is_zero else expanded.total_degree())
    assert found < np.inf


def test_what_is_no_polynomial_has_no_degree():
    moving = {x, y, TIME}
    for formula in (1 / x, sp.sqrt(x), x**c, sp.exp(x), x * sp.tanh(y), 2**x, (1 + x) ** -2):
        assert degree(formula, moving) == np.inf
    assert degree(c ** R(1, 2) * x**2 + 1 / c, moving) == 2


def test_bits_depend_on_the_trajectory_alone():
    """Where some lanes end with their series and others are handed over."""
    model = model_of({x: -w * 30 * (x - y**2), y: y * (1 - y) + c * 0.01 * x})
    rng = np.random.default_rng(3)
    table = np.c_[rng.uniform(0, 1, 3000), rng.uniform(0.1, 300, 3000)]
    every = run(model, [0.3, 0.2], table, 9, "lanes", 1e-10)
    assert (every.status == Status.OK).all()
    assert 0 < np.sum(every.steps[:, 2] > 0) < 3000
    for rows in (slice(0, 1), slice(2999, 3000), slice(17, 50), slice(0, 3000, 91)):
        some = run(model, [0.3, 0.2], table[rows], 9, "lanes", 1e-10)
        for name in ("states", "status", "when", "steps", "rejected", "reached"):
            np.testing.assert_array_equal(getattr(some, name), getattr(every, name)[rows], err_msg=name)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_very_long_and_very_short_steps(scale):
    """Powers of a step of 1e29 overflow, and the terms of its series underflow."""
    model = Model(name="slow", flow={x: c * x * (1 - x)}, start={x: 0.1}, params={c: 1.0})
    out = solve(
        model, np.linspace(0, 5, 21) / scale, params={"c": scale}, method="taylor-lanes", rtol=1e-11, atol=1e-11,
        events={"half": "x - 1/2"}, max_steps=500,
    )  # fmt: skip
    np.testing.assert_allclose(out["x"], 1 / (1 + 9 * np.exp(-scale * out["time"])), atol=1e-9)
    np.testing.assert_allclose(out["event_half"] * scale, [np.log(9)], atol=1e-9)


def test_steps_that_only_grow_are_not_taken_for_stiff():
    model = Model(name="waiting", flow={x: -(TIME**7) * x}, start={x: 1})
    out = solve(model, 1.0, method="lanes", rtol=1e-10, atol=1e-10)
    assert out.attrs["method"] == "taylor-lanes"
    np.testing.assert_allclose(out["x"], np.exp(-(out["time"] ** 8) / 8), atol=1e-9)

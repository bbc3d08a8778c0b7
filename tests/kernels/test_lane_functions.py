"""Elementary functions of vector programs: error in ulp, special values, independence of lanes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_reference import BOUNDS, DOMAIN, INF, NAN, ODD, SPECIAL, TINY, arguments, errors, evaluate

from toymesa.kernels.lanes import circular
from toymesa.kernels.lanes.build import build
from toymesa.kernels.lanes.emit import Program
from toymesa.kernels.lanes.functions import FUNCTIONS


@pytest.mark.parametrize("name", BOUNDS)
def test_error_stays_below_its_bound_over_the_whole_range(name):
    x = arguments(name)
    assert len(x) >= 20_000
    found = errors(name, x, evaluate(name, x))
    at = int(np.argmax(found))
    assert found[at] <= BOUNDS[name], (found[at], x[at].hex())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(width=64), min_size=8, max_size=8), st.sampled_from(sorted(BOUNDS)))
def test_error_at_any_number(x, name):
    x = np.array(x)
    y = evaluate(name, x)
    with np.errstate(invalid="ignore"):
        inside = np.isfinite(x) & DOMAIN.get(name, np.isfinite)(x)
    exponential = name in ("exp", "expm1", "sinh", "cosh", "tanh")
    same = x.clip(-1e3, 1e3) if exponential else x  # rounds to the same number, and the balls stay small
    assert np.all(errors(name, same[inside], y[inside]) <= BOUNDS[name])
    assert np.all(np.isnan(y[np.isnan(x)]))


@pytest.mark.parametrize("name", BOUNDS)
def test_special_values(name):
    x, expected = np.array([*SPECIAL[name], (NAN, NAN)]).T
    y = evaluate(name, x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[~np.isnan(y)]), np.signbit(expected[~np.isnan(y)]))


@pytest.mark.parametrize("name", BOUNDS)
def test_a_lane_depends_on_its_own_argument_alone(name):
    """Bits do not change with the position, the number of lanes, or with neighbours that are NaN, infinite or far away."""
    rng = np.random.default_rng(1)
    x = rng.choice(arguments(name), 64)
    alone = np.array([evaluate(name, np.full(8, v))[3] for v in x]).view(np.int64)
    poison = np.array([NAN, INF, -INF, 1e300, -1.0, 0.0, TINY, -1e18])
    for lanes in (8, 16):
        assert np.array_equal(evaluate(name, x, lanes).view(np.int64), alone)
        for place in (0, 1):
            mixed = np.resize(poison, (64, 2))
            mixed[:, place] = x
            assert np.array_equal(evaluate(name, mixed, lanes)[place::2].view(np.int64), alone)


@pytest.mark.parametrize("name", [*ODD, "expm1", "log1p"])
def test_monotone_and_close_to_the_identity_near_zero(name):
    """Neighbouring numbers at every magnitude below 2^-20, across the thresholds between formulas."""
    start = np.exp2(np.concatenate([np.arange(-1074.0, -20), -np.array([25.0, 26, 27, 28, 52, 53, 54, 55])]))
    steps = np.arange(-8, 9)
    x = (start.view(np.int64)[:, None] + steps).clip(0).view(np.float64)
    for signed in (x, -x[:, ::-1]):
        y = evaluate(name, signed).reshape(signed.shape)
        assert np.all(np.diff(y, axis=1) >= 0.0)
        slope = y[signed != 0] / signed[signed != 0]
        assert np.all(np.abs(slope - 1.0) <= 0.6 * np.abs(signed[signed != 0]) + 2.0**-51)


@pytest.mark.parametrize("name", [*ODD, "cos", "cosh"])
def test_symmetry_is_exact(name):
    x = arguments(name)
    there, back = evaluate(name, x), evaluate(name, -x)
    np.testing.assert_array_equal(back, there if name.startswith("cos") else -there)


@pytest.mark.parametrize("name", [*BOUNDS, "pow"])
def test_constant_arguments(name):
    """What follows from constants alone may be computed when the program is written: within the same bounds."""
    x = np.array([0.0, -0.0, 0.7, -0.7, 1.0, 1.3, 40.0, -1e5, 1e300, INF, NAN])
    program = Program(f"constant_{name}", 8)
    for i, v in enumerate(x.tolist()):
        more = [1.3] if name == "pow" else []
        program.store(i, FUNCTIONS[name](program, *map(program.constant, [v, *more])))
    call = build([(program.name, program.source())])[program.name]
    memory = np.zeros(8 * len(x) + 8)
    work = memory[-memory.ctypes.data // 8 % 8 :][: 8 * len(x)].reshape(len(x), 8)
    call(work.ctypes.data, 0)
    assert np.array_equal(work, work[:, :1].repeat(8, axis=1), equal_nan=True)
    np.testing.assert_allclose(work[:, 0], evaluate(name, x, y=1.3), rtol=1e-15)


def test_ranges_are_kept():
    for name, low, high in (
        ("sin", -1.0, 1.0),
        ("cos", -1.0, 1.0),
        ("tanh", -1.0, 1.0),
        ("exp", 0.0, INF),
        ("cosh", 1.0, INF),
    ):
        y = evaluate(name, arguments(name))
        assert np.all((y >= low) & (y <= high)), name
    assert evaluate("expm1", arguments("expm1")).min() == -1.0


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_far_arguments_are_the_librarys(name):
    """Bit for bit; a lane on either side of the limit never changes the other side."""
    limit = 2.0**30
    far = np.array([limit, math.nextafter(limit, INF), 1e10, 1e22, -1e300, 6381956970095103.0 * 2.0**797])
    near = np.array([math.nextafter(limit, 0.0), 1.0])
    y = evaluate(name, np.concatenate([near[:1], far, near[1:]]))
    assert y[1:7].tolist() == [getattr(math, name)(v) for v in far]
    assert np.array_equal(y[[0, 7]], evaluate(name, near))


def test_what_is_written_in_a_skipped_branch_is_written_again_outside():
    """sin by the library at far lanes only, then by the library for all lanes; the loop runs it twice."""
    program = Program("branch", 8, loop=True)
    x, count = program.row(0), program.row(2)
    program.store(1, circular.sin(program, x) - program.library("sin", x))
    program.store(2, count + 1.0)
    call = build([("branch", program.source(count >= 1.0))])["branch"]
    for x in (np.linspace(0.1, 2.0, 8), np.array([0.1, 1e10, 0.2, 1e20, 1.0, 1.1, 1.2, 1e300])):
        memory = np.zeros(32)
        work = memory[-memory.ctypes.data // 8 % 8 :][:24].reshape(3, 8)
        work[0] = x
        assert call(work.ctypes.data, 0) == 0xFF
        assert np.all(np.abs(work[1]) <= 2.0**-52)
        assert np.all(work[1, x > 1e9] == 0.0)
        assert np.all(work[2] == 2.0)

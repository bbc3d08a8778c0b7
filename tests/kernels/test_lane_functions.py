"""Elementary functions of vector programs: error in ulp against ball arithmetic, special values, independence of lanes."""

import ctypes
import math
from functools import cache

import llvmlite.binding as llvm
import mpmath as mp
import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from toymesa.kernels.lanes import circular, polynomials
from toymesa.kernels.lanes.build import _ATTRIBUTES, build
from toymesa.kernels.lanes.emit import Program
from toymesa.kernels.lanes.functions import FUNCTIONS

# the largest error in ulp that is promised
BOUNDS = {
    **{"exp": 0.9, "expm1": 1.2, "log": 0.9, "log1p": 0.9},
    **{"sin": 0.8, "cos": 0.8, "tan": 2.1},
    **{"sinh": 1.95, "cosh": 1.35, "tanh": 1.05},
    **{"asin": 1.2, "acos": 1.2, "atan": 0.95},
    **{"asinh": 1.8, "acosh": 2.4, "atanh": 1.65},
}
POWER_BOUND = 0.75
ODD = ("sin", "tan", "sinh", "tanh", "asin", "atan", "asinh", "atanh")  # all of slope 1 at zero
DOMAIN = {
    **{"log": lambda x: x > 0, "log1p": lambda x: x > -1, "acosh": lambda x: x >= 1, "atanh": lambda x: abs(x) < 1},
    **dict.fromkeys(("asin", "acos"), lambda x: abs(x) <= 1),
}
INF, NAN = math.inf, math.nan
TINY = 5e-324
MANY = 8000


def source(name, lanes):
    program = Program(f"{name}_{lanes}", lanes)
    arguments = [program.row(i) for i in range(2 if name == "pow" else 1)]
    program.store(2, FUNCTIONS[name](program, *arguments))
    return program.source()


@cache
def compiled(name, lanes):
    address = build([(f"{name}_{lanes}", source(name, lanes))])[f"{name}_{lanes}"]
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address.__wrapper_address__())


def evaluate(name, x, lanes=8, call=None, y=0.0):
    """The function at many arguments, ``lanes`` at a time."""
    call = call or compiled(name, lanes)
    x, y = np.broadcast_arrays(np.asarray(x, float).ravel(), y)
    blocks = -(-x.size // lanes)
    memory = np.zeros(3 * lanes * blocks + 8)
    first = -memory.ctypes.data // 8 % 8  # vectors are aligned
    work = memory[first : first + 3 * lanes * blocks].reshape(blocks, 3, lanes)
    work[:, 0].flat = np.resize(x, lanes * blocks)
    work[:, 1].flat = np.resize(y, lanes * blocks)
    for block in work:
        assert call(block.ctypes.data, None) == 0
    return work[:, 2].ravel()[: x.size].copy()


def errors(name, x, y):
    """Errors in units of the last place of the exact value."""
    ctx.prec = 128
    out = np.zeros(len(x))
    for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        exact = getattr(arb(a), name)()
        nearest = float(exact)
        if math.isfinite(nearest) and math.isfinite(b):
            out[i] = abs(float((arb(b) - exact) / arb(math.ulp(nearest))))
        elif not (nearest == b or (math.isnan(nearest) and math.isnan(b))):
            out[i] = INF
    return out


def worst_multiples():
    """Numbers below 2^30 that are exceptionally close to multiples of pi/2: from the continued fractions of 2^(e-52)/(pi/2)."""
    found = []
    with mp.workdps(60):
        for e in range(30):
            rest = mp.mpf(2) ** (e - 52) / (mp.pi / 2)
            above, below = (1, 0), (0, 1)
            while below[1] < 2**53 and above[1] < 2**53:
                part = int(mp.floor(rest))
                above, below = below, above
                below = (above[0] * part + below[0], above[1] * part + below[1])
                found += [math.ldexp(below[1] * j, e - 52) for j in (1, 2, 3) if 2**52 <= below[1] * j < 2**53]
                rest = 1 / (rest - part)
    return np.array(found)


def arguments(name):
    """Uniform, log-uniform and special stretches of the domain."""
    rng = np.random.default_rng(len(name))

    def between(low, high):
        return rng.uniform(low, high, MANY)

    def magnitudes(low, high):
        return np.exp2(rng.uniform(np.log2(low), np.log2(high), MANY))

    signs = rng.choice([-1.0, 1.0], MANY)
    small = [signs * magnitudes(1e-300, 1.0), signs * magnitudes(1e-17, 1e-6), signs * magnitudes(TINY, 1e-300)]
    edges = signs * np.exp2(np.round(between(-1074, 30))) * (1.0 + 2.0**-52 * np.round(between(-4, 4)))
    stretches = {
        "exp": [between(-1, 1), between(-708, 709.7), between(-745.2, -700), *small],
        "expm1": [between(-1, 1), between(-40, 40), between(30, 709.7), between(0.3, 0.4), *small],
        "log": [
            between(0.4, 2.5),
            magnitudes(1e-307, 1e308),
            magnitudes(TINY, 1e-306),
            between(0.68, 0.75),
            1 + small[1],
        ],
        "log1p": [between(-0.99, 1), between(0, 5), magnitudes(1e-8, 1e308), magnitudes(1e-16, 0.5) - 1, *small],
        "tanh": [between(-1, 1), between(-22, 22), between(0.05, 0.4), *small],
        "sinh": [between(-1, 1), between(-5, 5), between(-710.4, 710.4), between(0.05, 0.1), *small],
        "cosh": [between(-1, 1), between(-5, 5), between(-710.4, 710.4), *small],
        "asin": [between(-1, 1), between(0.4, 0.6), 1 - magnitudes(1e-16, 1), magnitudes(1e-16, 1) - 1, *small],
        "atan": [between(-3, 3), between(0.40, 0.43), between(2.38, 2.45), signs * magnitudes(1, 1e308), *small],
        "asinh": [between(-1, 1), between(-10, 10), signs * magnitudes(1, 1e308), between(-0.1, 0.1), *small],
        "acosh": [
            between(1, 2),
            between(1, 1.2),
            between(1, 10),
            1 + magnitudes(1e-16, 1),
            magnitudes(1, 1e308),
            1 + abs(small[1]),
        ],
        "atanh": [between(-1, 1), between(-0.2, 0.2), 1 - magnitudes(1e-16, 1), magnitudes(1e-16, 1) - 1, *small],
    }
    stretches["acos"] = stretches["asin"]
    circular = [between(-1, 1), between(-100, 100), between(-1e5, 1e5), signs * magnitudes(1, 1e300), *small]
    circular += [np.round(between(0, 2**30 / 1.6)) * (np.pi / 2), worst_multiples()]
    x = np.concatenate([*stretches.get(name, circular), edges, np.abs(edges)])
    return x[DOMAIN[name](x)] if name in DOMAIN else x


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


SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (709.782712893384, math.exp(709.782712893384)),
            (709.7827128933841, INF), (1e300, INF), (-745.1332191019412, 0.0), (-745.1332191019411, TINY), (-1e300, 0.0), (TINY, 1.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-1e300, -1.0), (-38.0, -1.0), (709.7827128933841, INF), (1e300, INF),
              (TINY, TINY), (-TINY, -TINY)],
    "log": [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN), (-TINY, NAN), (1.0, 0.0), (TINY, math.log(TINY)),
            (2.0**-1022, math.log(2.0**-1022)), (math.ldexp(1.0, 1023), 1023 * math.log(2.0))],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1.0, -INF), (math.nextafter(-1.0, -2.0), NAN), (-1e300, NAN),
              (TINY, TINY), (-TINY, -TINY), (math.nextafter(INF, 0.0), math.log(math.nextafter(INF, 0.0)))],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (20.0, 1.0), (-1e300, -1.0), (TINY, TINY), (-TINY, -TINY)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (710.4758600739440, INF), (-1e300, -INF), (TINY, TINY), (-TINY, -TINY)],
    "cosh": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (710.4758600739440, INF), (-1e300, INF), (TINY, 1.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY), (math.pi / 2, 1.0)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (TINY, 1.0), (math.pi, -1.0)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.0, math.pi / 2), (-1.0, -math.pi / 2), (1.0 + 2.0**-52, NAN), (-INF, NAN), (INF, NAN), (-TINY, -TINY)],
    "acos": [(0.0, math.pi / 2), (-0.0, math.pi / 2), (1.0, 0.0), (-1.0, math.pi), (1.0 + 2.0**-52, NAN), (-INF, NAN), (INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (INF, math.pi / 2), (-INF, -math.pi / 2), (1.0, math.pi / 4), (1e300, math.pi / 2), (-TINY, -TINY)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (TINY, TINY), (-TINY, -TINY), (1e300, math.asinh(1e300))],
    "acosh": [(1.0, 0.0), (math.nextafter(1.0, 0.0), NAN), (-3.0, NAN), (-1e300, NAN), (-INF, NAN), (INF, INF), (1e300, math.acosh(1e300))],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.0 + 2.0**-52, NAN), (-1e300, NAN), (INF, NAN), (TINY, TINY), (-TINY, -TINY)],
}  # fmt: skip


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
    address = build([(program.name, program.source())])[program.name]
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address.__wrapper_address__())
    memory = np.zeros(8 * len(x) + 8)
    work = memory[-memory.ctypes.data // 8 % 8 :][: 8 * len(x)].reshape(len(x), 8)
    call(work.ctypes.data, None)
    assert np.array_equal(work, work[:, :1].repeat(8, axis=1), equal_nan=True)
    np.testing.assert_allclose(work[:, 0], evaluate(name, x, y=1.3), rtol=1e-15)


def power_errors(x, y, z):
    out = np.zeros(len(x))
    ctx.prec = 256
    for i, (a, b, c) in enumerate(zip(x.tolist(), y.tolist(), z.tolist(), strict=True)):
        exact = (arb(abs(a)).log() * arb(b)).exp() * (-1 if a < 0 and b % 2 == 1 else 1)
        nearest = float(exact)
        if math.isfinite(nearest) and math.isfinite(c):
            out[i] = abs(float((arb(c) - exact) / arb(math.ulp(nearest))))
        elif nearest != c:
            out[i] = INF
    return out


def test_powers_stay_below_their_bound_over_the_whole_range():
    rng = np.random.default_rng(0)
    stretches = []
    for x in (
        rng.uniform(0.0, 3.0, MANY), rng.uniform(0.7, 1.42, MANY), np.exp2(rng.uniform(-1074, 1023.9, MANY)),
        1.0 + rng.choice([-1.0, 1.0], MANY) * np.exp2(rng.uniform(-52, -1, MANY)), np.nextafter(1.0, rng.choice([0.0, 2.0], 500)),
    ):  # fmt: skip
        x = x[(x > 0) & (x != 1)]
        stretches += [
            (x, rng.uniform(-5, 5, x.size)),
            (x, rng.choice([0.5, 1.5, 4 / 3, -0.25, 2.0, 3.0, -1.0], x.size)),
        ]
        stretches += [
            (x, rng.uniform(-745.2, 709.8, x.size) / np.log(x)),
            (-x, rng.integers(-9, 10, x.size).astype(float)),
        ]
    x, y = (np.concatenate(part) for part in zip(*stretches, strict=True))
    assert len(x) >= 20_000
    found = power_errors(x, y, evaluate("pow", x, y=y))
    at = int(np.argmax(found))
    assert found[at] <= POWER_BOUND, (found[at], x[at].hex(), y[at].hex())


def test_special_powers():
    """Exact and special results are those of the C library; lanes that need it do not change their neighbours."""
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        4.0,
        0.5,
        0.25,
        1e300,
        TINY,
        -TINY,
        INF,
        -INF,
        NAN,
        2.0**40,
        -(2.0**53),
        2.0**70,
    ]
    x, y = (a.ravel() for a in np.meshgrid(special, special))
    z = evaluate("pow", x, y=y)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(expected))
    np.testing.assert_allclose(z, expected, rtol=3e-16)
    np.testing.assert_array_equal(np.signbit(z[~np.isnan(z)]), np.signbit(expected[~np.isnan(z)]))
    whole = (expected == np.floor(expected)) & ((np.abs(expected) < 2.0**53) | np.isinf(expected))
    assert np.count_nonzero(whole) > 200
    np.testing.assert_array_equal(z[whole], expected[whole])
    alone = np.array([evaluate("pow", np.full(8, a), y=b)[0] for a, b in zip(x, y, strict=True)])
    np.testing.assert_array_equal(z.view(np.int64), alone.view(np.int64))
    np.testing.assert_array_equal(evaluate("pow", x, 16, y=y).view(np.int64), alone.view(np.int64))


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
    address = build([("branch", program.source(count >= 1.0))])["branch"]
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address.__wrapper_address__())
    for x in (np.linspace(0.1, 2.0, 8), np.array([0.1, 1e10, 0.2, 1e20, 1.0, 1.1, 1.2, 1e300])):
        memory = np.zeros(32)
        work = memory[-memory.ctypes.data // 8 % 8 :][:24].reshape(3, 8)
        work[0] = x
        assert call(work.ctypes.data, None) == 0xFF
        assert np.all(np.abs(work[1]) <= 2.0**-52)
        assert np.all(work[1, x > 1e9] == 0.0)
        assert np.all(work[2] == 2.0)


def test_the_polynomials_are_as_close_as_they_say():
    def bound(coefficients, exact, weight, points):
        with mp.workdps(40):
            gaps = [(mp.polyval(coefficients[::-1], x) - exact(x)) * weight(x) for x in points]
            return float(mp.log(max(abs(g) for g in gaps), 2))

    r = [mp.mpf(x) for x in np.linspace(-0.347, 0.347, 400)]
    assert bound(polynomials.EXP, lambda r: (mp.exp(r) - 1 - r) / r**2, lambda r: r**2 / mp.exp(r), r) < -57.8
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.1716, 200)]
    assert bound(polynomials.LOG, lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z, lambda z: z / 2, z) < -59.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.7858, 200)]
    assert bound(polynomials.SIN, lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -57.9
    cosine = bound(
        polynomials.COS, lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2 / mp.cos(mp.sqrt(z)), z
    )
    assert cosine < -63.9
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.1716, 200)]
    tail = bound(
        polynomials.LOG_TAIL,
        lambda z: ((2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z - mp.mpf(2) / 3) / z,
        lambda z: z**2 / 2,
        z,
    )
    assert tail < -73.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, polynomials.TAN_PI_8, 200)]
    assert bound(polynomials.ATAN, lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -59.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.5, 200)]
    assert bound(polynomials.ASIN, lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -59.7


def test_constants_in_parts():
    with mp.workdps(80):
        for parts, whole, places in (
            (polynomials.LN2, mp.log(2), 105),
            (polynomials.LN2_SHORT, mp.log(2), 94),
            (polynomials.HALF_PI, mp.pi / 2, 180),
            (polynomials.PI, mp.pi, 105),
            (polynomials.TWO_THIRDS, mp.mpf(2) / 3, 105),
        ):
            assert abs(mp.fsum(map(mp.mpf, parts)) - whole) < mp.mpf(2) ** -places
        assert float(1 / mp.log(2)) == polynomials.PER_LN2
        assert float(2 / mp.pi) == polynomials.PER_HALF_PI
    assert math.ldexp(polynomials.LN2_SHORT[0], 42).is_integer()
    assert math.ldexp(polynomials.HALF_PI[1], 76).is_integer()


@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="instructions of x86")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
def test_older_processors_keep_the_bounds(processor):
    """128-bit vectors with products that are never fused into sums, and 256-bit vectors."""
    if processor == "x86-64-v3" and not llvm.get_host_cpu_features().get("fma"):
        pytest.skip("this processor has no fma")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("\n".join([*older_sources(), _ATTRIBUTES]))
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(cpu=processor, jit=True, opt=3)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    for name in BOUNDS:
        call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(
            engine.get_function_address(f"{name}_8")
        )
        x = np.random.default_rng(0).choice(arguments(name), 2000)
        assert np.max(errors(name, x, evaluate(name, x, call=call))) <= BOUNDS[name], name
        x, expected = np.array(SPECIAL[name]).T
        np.testing.assert_array_equal(evaluate(name, x, call=call), expected)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address("pow_8"))
    x, y = np.random.default_rng(0).uniform([[0], [-30]], [[3], [30]], (2, 2000))
    assert np.max(power_errors(x, y, evaluate("pow", x, y=y, call=call))) <= POWER_BOUND


def older_sources():
    """The programs of all functions in one module, each declaration once."""
    lines = "\n".join(source(name, 8) for name in (*BOUNDS, "pow")).split("\n")
    declarations = {line for line in lines if line.startswith("declare")}
    return [*sorted(declarations), *(line for line in lines if not line.startswith("declare"))]

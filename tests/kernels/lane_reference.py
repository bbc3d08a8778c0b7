"""Elementary functions of vector programs at many arguments, and their errors in ulp against ball arithmetic."""

import math
from functools import cache

import mpmath as mp
import numpy as np
from flint import arb, ctx

from toymesa.kernels.lanes.build import build
from toymesa.kernels.lanes.emit import Program
from toymesa.kernels.lanes.functions import FUNCTIONS

# the largest error in ulp that is promised
BOUNDS = {
    **{"exp": 0.9, "expm1": 1.2, "log": 0.9, "log1p": 0.9},
    **{"sin": 0.8, "cos": 0.8, "tan": 2.1},
    **{"sinh": 1.95, "cosh": 1.35, "tanh": 2.8},
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
    return build([(f"{name}_{lanes}", source(name, lanes))])[f"{name}_{lanes}"]


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
        assert call(block.ctypes.data, 0) == 0
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

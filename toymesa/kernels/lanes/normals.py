"""Normal variates of many streams side by side: what :mod:`toymesa.kernels.philox` draws, a stream a lane.

The same words and the same variates, to a few rounding errors: logarithm, sine and cosine are polynomials here, fitted at
Chebyshev nodes on just the ranges that occur (relative errors 4e-16, 4e-17 and 2e-16). Words are kept in the low half of
64 bits, as the processor's product of 32-bit numbers wants them; what is in the upper half is never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.kernels.lanes.emit import BOOL, FLOAT, Program, Value

ROUNDS = 10
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_LOW = 0xFFFFFFFF
_ONE = 0x3FF0000000000000  # the bits of 1
_SPLIT = 0x3FE8000000000000  # of 3/4: logarithms are reduced to [3/4, 3/2)


def round_keys(key: Sequence[int]) -> list[int]:
    """The two words of the key of every round, one after the other."""
    step = (0x9E3779B9, 0xBB67AE85)
    return [(int(key[i]) + r * step[i]) & _LOW for r in range(ROUNDS) for i in (0, 1)]


def philox(p: Program, draw: Value, path: Value, stream: Value, keys: Sequence[Value]) -> list[Value]:
    """The four words of a draw. draw: 64-bit numbers."""
    c0, c1, c2, c3 = draw, _down(p, draw, 32), path, stream
    for r in range(ROUNDS):
        high, low = _product(p, c0, _M0), _product(p, c2, _M1)
        c0 = p.bits("xor", p.bits("xor", _down(p, low, 32), c1), keys[2 * r])
        c2 = p.bits("xor", p.bits("xor", _down(p, high, 32), c3), keys[2 * r + 1])
        c1, c3 = low, high
    return [c0, c1, c2, c3]


def squared_radii(p: Program, words: Sequence[Value]) -> list[Value]:
    """From the words of a draw the squared radii of its two pairs, and the bits of their angles as numbers.

    The first half of the work: it ends before the root, which the processor takes long for, so that a loop can do it
    for the next draw meanwhile.
    """
    first, second = (p.bits("or", _up(p, words[i], 32), _and(p, words[i + 1], _LOW)) for i in (0, 2))
    u, v = _centre(p, _down(p, first, 12), 26, 0.0), _centre(p, _down(p, second, 12), 26, 0.0)
    high = ((1 << 14) - 1) << 38
    mixed = p.bits("or", _and(p, _up(p, first, 14), high), _and(p, second, ~high))
    w = _centre(p, mixed, 28, 0.0)
    total = _twice_minus_log(p, u * v)
    return [total * w, total * (1.0 - w), p.as_number(first), p.as_number(second)]


def four_normals(p: Program, halfway: Sequence[Value]) -> list[Value]:
    """Four normal variates from ``squared_radii``; see ``philox.normals`` for what they are and which bit serves what."""
    out = []
    for square, word in ((halfway[0], p.as_integer(halfway[2])), (halfway[1], p.as_integer(halfway[3]))):
        radius = p.call("sqrt", square)
        x = _centre(p, _up(p, word, 28), 22, -0.5)
        t = x * x
        sign = _and(p, _up(p, word, 62), -(1 << 63))
        along = p.as_number(p.bits("xor", p.as_integer(_horner(t, _COS)), sign))
        aside = x * _horner(t, _SIN)
        across = p.emit("icmp ne {I} {0}, {1}", BOOL, (_and(p, word, 1), p.integer(0)))
        out += [_times(p, radius, p.select(across, aside, along)), _times(p, radius, p.select(across, along, aside))]
    return out


def _product(p: Program, a: Value, m: int) -> Value:
    """The 64 bits of the product of a word and m."""
    return p.bits("mul", _and(p, a, _LOW), p.integer(m))


def _up(p: Program, a: Value, n: int) -> Value:
    return p.bits("shl", a, p.integer(n))


def _down(p: Program, a: Value, n: int) -> Value:
    return p.bits("lshr", a, p.integer(n))


def _and(p: Program, a: Value, mask: int) -> Value:
    return p.bits("and", a, p.integer(mask))


def _centre(p: Program, word: Value, count: int, base: float) -> Value:
    """``base`` + (k + 1/2)/2^count, exactly, where k is the number in the ``count`` bits from bit 51 down."""
    digits = _and(p, word, ((1 << count) - 1) << (52 - count))
    return p.as_number(p.bits("or", digits, p.integer(_ONE))) - (1.0 - base - 0.5 ** (count + 1))


def _times(p: Program, a: Value, b: Value) -> Value:
    """A product that is never fused into a sum, so that a variate is the same number wherever it is used."""
    return p.emit("fmul {T} {0}, {1}", FLOAT, (a, b))


def _twice_minus_log(p: Program, u: Value) -> Value:
    """-2 log u for 1e-300 < u < 1."""
    moved = p.bits("add", p.as_integer(u), p.integer(_ONE - _SPLIT))
    field = p.bits("or", _down(p, moved, 52), p.integer(0x4330000000000000))  # 2^52 + exponent, as a number
    exponent = p.as_number(field) - (2.0**52 + 1023.0)
    f = p.as_number(p.bits("add", _and(p, moved, (1 << 52) - 1), p.integer(_SPLIT))) - 1.0
    # even and odd powers apart: half as long a chain of dependent operations
    square = f * f
    ratio = _horner(square, _LOG[::2]) + f * _horner(square, _LOG[1::2])
    return exponent * -1.3862943611198906 + f * ratio


def _horner(x: Value, coefficients: tuple[float, ...]) -> Value:
    """The polynomial with these coefficients, the constant one first."""
    total: Value | float = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = x * total + c
    assert isinstance(total, Value)
    return total


# -2 log(1 + f)/f for -1/4 <= f <= 1/2
_LOG = (
    -2.0, 1.000000000000032, -0.6666666666665627, 0.4999999999844681, -0.3999999999979317, 0.333333335522087,
    -0.2857142899123363, 0.24999986711421943, -0.2222217752019672, 0.20000378553530096, -0.1818374033823555,
    0.166626184371679, -0.15345775153158592, 0.14259198669385936, -0.13660439982503098, 0.13368917377668493,
    -0.11664566181011476, 0.07096323389478204, -0.020664472555511005,
)  # fmt: skip
# sin(pi x/2)/x and cos(pi x/2) as polynomials in x^2, for |x| <= 1/2
_SIN = (
    1.5707963267948966, -0.6459640975062443, 0.07969262624604301, -0.004681754132340976, 0.0001604411507421909,
    -3.59864335298231e-06, 5.633933781537854e-08,
)  # fmt: skip
_COS = (
    1.0, -1.2337005501361513, 0.25366950789986475, -0.02086348073494657, 0.000919259950041661,
    -2.520013526428479e-05, 4.6552961874867623e-07,
)  # fmt: skip

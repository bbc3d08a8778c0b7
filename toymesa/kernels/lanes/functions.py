"""Elementary functions of vector programs."""

from __future__ import annotations

from collections.abc import Callable

from toymesa.kernels.lanes import circular, elementary, inverse, powers
from toymesa.kernels.lanes.emit import Program, Value
from toymesa.kernels.lanes.polynomials import polynomial


def _library(name: str) -> Callable[..., Value]:
    def call(program: Program, *args: Value) -> Value:
        return program.library(name, *args)

    return call


# SymPy's name -> function of the C library: not vectors but lanes in turn
LIBRARY = {"erf": "erf", "erfc": "erfc", "atan2": "atan2", "gamma": "tgamma", "loggamma": "lgamma"}
# SymPy's name -> how a program computes it; the bounds of the errors are in the tests
FUNCTIONS: dict[str, Callable[..., Value]] = {name: _library(function) for name, function in LIBRARY.items()} | {
    **{"exp": elementary.exp, "log": elementary.log, "expm1": elementary.expm1, "log1p": elementary.log1p},
    **{"sinh": elementary.sinh, "cosh": elementary.cosh, "tanh": elementary.tanh},
    **{"sin": circular.sin, "cos": circular.cos, "tan": circular.tan},
    **{"asin": inverse.asin, "acos": inverse.acos, "atan": inverse.atan},
    **{"asinh": inverse.asinh, "acosh": inverse.acosh, "atanh": inverse.atanh},
    "pow": powers.pow,
}


def power(program: Program, x: Value, n: int) -> Value:
    """x to a whole power of at least 1, by repeated squaring."""
    result: Value | None = None
    while n:
        if n & 1:
            result = x if result is None else result * x
        x, n = x * x, n >> 1
    assert result is not None
    return result


def rough_power(program: Program, x: Value, exponent: float) -> Value:
    """x^exponent for 1e-300 < x < 1e300 to about 1e-4, for step sizes: far cheaper than the accurate one."""
    # base-2 logarithm: the exponent field by way of the digits of 2^52 + field, and a polynomial on [1, 2)
    word = program.as_integer(x)
    field = program.bits("or", program.bits("lshr", word, program.integer(52)), program.integer(0x4330000000000000))
    whole = program.as_number(field) - (2.0**52 + 1023.0)
    digits = program.bits("and", word, program.integer((1 << 52) - 1))
    digits = program.bits("or", digits, program.integer(1023 << 52))
    m = program.as_number(digits)
    log2 = whole + polynomial(m, _LOG2)
    y = log2 * exponent
    shifted = y + 1.5 * 2.0**52  # rounds to a whole number, which is then in the lowest bits
    r = y - (shifted - 1.5 * 2.0**52)
    scale = program.bits("shl", program.as_integer(shifted), program.integer(52))
    return program.as_number(program.bits("add", program.as_integer(polynomial(r, _EXP2)), scale))


# fits by Chebyshev nodes: log2 on [1, 2] to 1e-4, 2^r on [-1/2, 1/2] to 4e-6
_LOG2 = (-2.4983531488141586, 4.029211391071475, -2.0783351682517304, 0.6260321821639458, -0.07844067620915011)
_EXP2 = (0.9999999999999997, 0.6931210452034274, 0.24022349038021354, 0.05592197584225338, 0.009666368515338686)

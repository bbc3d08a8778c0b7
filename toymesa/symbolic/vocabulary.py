"""What a formula in text may use by name: each function in SymPy, and its value at numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sympy as sp
from mpmath import fp

from toymesa.symbolic.functions import UNARY, LogSumExp


class Known(NamedTuple):
    """A function: in SymPy, at floats (ValueError or ArithmeticError outside its real domain), how many arguments."""

    symbolic: Callable[..., Any]
    value: Callable[..., float]
    fewest: int
    most: int


def _real(function: Callable[..., Any], *args: float) -> float:
    if any(abs(a) > 1000 for a in args):
        raise ValueError("argument too large")
    value = function(*args)
    if isinstance(value, complex) and value.imag:
        raise ValueError("not real")
    return float(value.real)


def _positive(function: Callable[[float], float]) -> Callable[[float], float]:
    def value(x: float) -> float:
        if not 0 < x <= 100:
            raise ValueError("outside (0, 100]")
        return function(x)

    return value


def _gamma(x: float) -> float:
    if abs(x) > 100:
        raise ValueError("argument too large")
    return math.gamma(x)


def _largest(*args: float) -> float:
    top = max(args)
    return top + math.log(sum(math.exp(a - top) for a in args))


_ONE: dict[str, Callable[..., float]] = {n: getattr(math, n) for n in (*UNARY, "sqrt")}
_ONE |= {
    "gamma": _gamma,
    "loggamma": _positive(math.lgamma),
    "LambertW": lambda x: _real(fp.lambertw, x),
}
FUNCTIONS: dict[str, Known] = {n: Known(getattr(sp, n), f, 1, 1) for n, f in _ONE.items()}
FUNCTIONS |= {
    **dict.fromkeys(("abs", "Abs"), Known(sp.Abs, abs, 1, 1)),
    "sign": Known(sp.sign, lambda x: float((x > 0) - (x < 0)), 1, 1),
    "Heaviside": Known(sp.Heaviside, lambda x: ((x > 0) - (x < 0) + 1) / 2, 1, 1),
    "atan2": Known(sp.atan2, math.atan2, 2, 2),
    "besseli": Known(sp.besseli, lambda n, x: _real(fp.besseli, n, x), 2, 2),
    "besselk": Known(sp.besselk, lambda n, x: _real(fp.besselk, n, x), 2, 2),
    **dict.fromkeys(("max", "Max"), Known(sp.Max, max, 2, 20)),
    **dict.fromkeys(("min", "Min"), Known(sp.Min, min, 2, 20)),
    **dict.fromkeys(("logsumexp", "LogSumExp"), Known(LogSumExp, _largest, 1, 20)),
}
CONSTANTS = {"pi": (sp.pi, math.pi), "E": (sp.E, math.e)}
_ORDERING = (sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside)


def apply(name: str, args: Sequence[sp.Expr]) -> Any:
    """The function at these arguments.

    Functions that ask for signs are left as they are unless every argument is a symbol or a rational number: SymPy would
    expand and compare all of them, pair by pair.
    """
    function = FUNCTIONS[name].symbolic
    if function in _ORDERING and not all(a.is_Symbol or a.is_Rational for a in args):
        return function(*args, evaluate=False)
    return function(*args)

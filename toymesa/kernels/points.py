"""Symbolic formulas as plain Python functions of one point: immediate for a new model, no compilation.

For analyses that evaluate one point at a time, a few thousand times: an order faster there than array functions, and
ready a second earlier than compiled code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.kernels.printer import ScalarPrinter, accurate, statements

Array = NDArray[np.float64]
_NAMES = {n: getattr(math, n) for n in dir(math) if not n.startswith("_")}


@lru_cache(maxsize=256)
def _compiled(args: tuple[sp.Symbol, ...], exprs: tuple[sp.Expr, ...]) -> Callable[[Sequence[float]], list[Any]]:
    names = {s: f"a{i}" for i, s in enumerate(args)}
    lines, results = statements(exprs, ScalarPrinter, names)
    return _function(names, lines, results)


def _function(names: dict[sp.Symbol, str], lines: list[str], results: list[str]) -> Callable[..., list[Any]]:
    unpack = [f"{', '.join(names.values())}, = a"] if names else []
    body = "\n".join(f"    {line}" for line in [*unpack, *lines, f"return [{', '.join(results)}]"])
    scope = dict(_NAMES)
    # printed by our own printer from a SymPy tree, with positional names only: no text of a user's gets here
    exec(compile(f"def f(a):\n{body}\n", "<toymesa formula>", "exec"), scope)
    function: Callable[..., list[Any]] = scope["f"]
    return function


def point_function(args: Sequence[sp.Symbol], exprs: Sequence[sp.Expr]) -> Callable[[Sequence[float]], Array]:
    """A function from one list of numbers, in the order of ``args``, to the values of all expressions.

    Outside the domain of a formula every value is NaN. Raises ModelError for a symbol that is not an argument and for a
    function that has no scalar form.
    """
    return _guarded(_compiled(tuple(args), tuple(exprs)), len(exprs))


def _guarded(function: Callable[..., list[Any]], size: int) -> Callable[[Sequence[float]], Array]:
    def evaluate(values: Sequence[float]) -> Array:
        try:
            out = np.array(function(values))
        except (ArithmeticError, ValueError):  # overflow, division by zero, a logarithm of a negative number
            return np.full(size, np.nan)
        return np.full(size, np.nan) if out.dtype.kind == "c" else out.astype(np.float64)

    return evaluate


def directional_function(
    states: Sequence[sp.Symbol], params: Sequence[sp.Symbol], exprs: Sequence[sp.Expr], order: int = 3
) -> Callable[[Sequence[float]], Array]:
    """Exact derivatives d^k/dh^k of exprs(x + h u) at h = 0 for k = 1 ... order, one point at a time.

    The function takes one list, the states, the parameters, then the direction u, and returns k after k, expression
    after expression. Symbolic, by the chain rule on shared subexpressions, so that the size grows with the number of
    operations and not with the number of mixed partial derivatives.
    """
    return _guarded(_directional(tuple(states), tuple(params), tuple(exprs), order), order * len(exprs))


@lru_cache(maxsize=64)
def _directional(
    states: tuple[sp.Symbol, ...], params: tuple[sp.Symbol, ...], exprs: tuple[sp.Expr, ...], order: int
) -> Callable[..., list[Any]]:
    direction = [sp.Dummy() for _ in states]
    names = {s: f"a{i}" for i, s in enumerate([*states, *params, *direction])}
    known = dict(names)
    follow: dict[sp.Symbol, sp.Symbol] = dict(zip(states, direction, strict=True))  # symbol -> its next derivative

    def rate(expr: sp.Expr) -> sp.Expr:
        return sp.Add(*[sp.diff(expr, s) * follow[s] for s in sorted(expr.free_symbols & set(follow), key=str)])

    lines: list[str] = []

    def assign(expr: sp.Expr) -> sp.Symbol:
        symbol = sp.Dummy()
        known[symbol] = f"v{len(lines)}"
        lines.append(f"{known[symbol]} = {ScalarPrinter(known)._print(expr)}")
        return symbol

    def with_rates(value: sp.Expr, symbol: sp.Symbol | None) -> list[sp.Expr]:
        """All derivatives of one subexpression, each written down once."""
        out = []
        for _ in range(order):
            value = rate(value)
            if symbol is not None:
                if value == 0:
                    break
                follow[symbol] = assign(value)
                symbol = follow[symbol]
            out.append(value)
        return out

    shared, reduced = sp.cse([accurate(e) for e in exprs], symbols=sp.numbered_symbols("v", cls=sp.Dummy), order="none")
    for symbol, value in shared:
        known[symbol] = f"v{len(lines)}"
        lines.append(f"{known[symbol]} = {ScalarPrinter(known)._print(value)}")
        with_rates(value, symbol)
    columns = [with_rates(e, None) for e in reduced]
    results = [ScalarPrinter(known)._print(c[k]) for k in range(order) for c in columns]
    return _function(names, lines, results)

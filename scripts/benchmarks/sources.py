"""Right-hand sides as straight-line source for the peers that compile Python: common parts once, plain floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

from benchmarks.problems import Problem


class _Products(PythonCodePrinter):
    """Whole powers as products, as one writes them by hand."""

    def _print_Pow(self, expr: sp.Pow, **kwargs: Any) -> str:
        base, power = expr.as_base_exp()
        if power.is_Integer and 2 <= int(power) <= 4:
            return "(" + "*".join([self.parenthesize(base, 100)] * int(power)) + ")"
        return str(super()._print_Pow(expr, **kwargs))


def assignments(problem: Problem) -> tuple[list[str], list[str]]:
    """Lines over ``x[i]`` and ``p[i]``, and the expressions of the rates."""
    x, p = problem.symbols
    return printed(problem, problem.rates(x, p, sp.tanh))


def printed(problem: Problem, exprs: list[Any]) -> tuple[list[str], list[str]]:
    """Common parts as assignments, and each expression, as Python source over ``x[i]`` and ``p[i]``."""
    x, p = problem.symbols
    names = {s: sp.Symbol(f"x[{i}]") for i, s in enumerate(x)} | {s: sp.Symbol(f"p[{i}]") for i, s in enumerate(p)}
    parts, results = sp.cse(exprs, symbols=sp.numbered_symbols("c"))
    show = _Products({"fully_qualified_modules": False}).doprint
    lines = [f"{symbol} = {show(e.xreplace(names))}" for symbol, e in parts]
    return lines, [show(e.xreplace(names)) for e in results]


def function(problem: Problem, form: str) -> Callable[..., Any]:
    """A Python function to be compiled.

    form: "tuple" for rates(x, p) -> tuple; "lsoda" for numbalsoda's rates(t, x, dx, p); "cyrk" for CyRK's
    rates(dx, t, x, p); "scipy" for rates(t, x, p) -> array; "fill" for rates(t, x, dx, (p,)), in place; "jacobian" for
    rates(t, x, p) -> their Jacobian.
    """
    lines, results = assignments(problem)
    heads = {
        "tuple": "rates(x, p)", "lsoda": "rates(t, x, dx, p)", "cyrk": "rates(dx, t, x, p)", "scipy": "rates(t, x, p)",
        "fill": "rates(t, x, dx, data)", "jacobian": "rates(t, x, p)",
    }  # fmt: skip
    if form == "jacobian":
        x, p = problem.symbols
        flow = problem.rates(x, p, sp.tanh)
        lines, results = printed(problem, [sp.diff(e, s) for e in flow for s in x])
        n = problem.n
        last = [f"J = np.empty(({n}, {n}))"]
        last += [f"J[{i // n}, {i % n}] = {r}" for i, r in enumerate(results)] + ["return J"]
    elif form == "tuple":
        last = [f"return ({', '.join(results)},)"]
    elif form == "scipy":
        last = [f"return np.array([{', '.join(results)}])"]
    else:
        last = [f"dx[{i}] = {r}" for i, r in enumerate(results)]
    if form == "fill":
        lines = ["p = data[0]", *lines]
    text = f"def {heads[form]}:\n" + "".join(f"    {line}\n" for line in [*lines, *last])
    return compiled(text)


def compiled(text: str) -> Callable[..., Any]:
    """The function that a source text defines."""
    space: dict[str, Any] = {"tanh": math.tanh, "exp": math.exp, "np": np}
    exec(text, space)
    found: Callable[..., Any] = space["rates"]
    return found

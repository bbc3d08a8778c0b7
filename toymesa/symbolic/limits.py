"""Limits by SymPy's Gruntz algorithm, held against balls of the expression itself: the algorithm is exact, its code is not.

It misses, for instance, that erf(v/(1 - e^(-s))) + 1 does not tend to 0 for large s (SymPy 1.14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from toymesa.symbolic.balls import Undecidable, evaluate

_EXPONENTS = (1, 2, 4, 8, 16, 32, 64)  # of 10: how near the target is looked


def contradicted(
    expr: sp.Expr, limit: sp.Expr, at: tuple[sp.Symbol, Any, str], points: Sequence[Mapping[sp.Symbol, sp.Rational]]
) -> bool:
    """Whether the expression does not come nearer to its alleged limit as the variable nears the target.

    at: variable, target, direction ("+" from above, "-" from below). points: values of the other symbols. Looked at are
    balls of the distance at 10^-1 to 10^-64 from the target (10 to 10^64 if it is infinite); those that are too wide say
    nothing.
    """
    variable, target, direction = at
    target = sp.sympify(target, strict=True)
    for point in points:
        far: list[Any] = []
        for exponent in _EXPONENTS:
            step = sp.Integer(10) ** (exponent if target.is_infinite else -exponent)
            place = step * sp.sign(target) if target.is_infinite else target + (-step if direction == "-" else step)
            try:
                far.append(abs(evaluate((expr - limit).subs(variable, place), point)))
            except Undecidable:
                continue
        if len(far) > 1 and far[-1] > 1e-30 and far[-1] > far[-2] * 0.75:
            return True
    return False

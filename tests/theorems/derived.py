"""The derivations as modules, and their formulas evaluated to many digits."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import mpmath
import sympy as sp

from toymesa.check import _load as load
from toymesa.check import derivations_directory


@cache
def derivation(stem: str) -> ModuleType:
    """The derivation file of that name."""
    return load(derivations_directory() / f"{stem}.py")


def mutated(stem: str, right: str, wrong: str) -> ModuleType:
    """The derivation with one piece of its text replaced, which must occur exactly once."""
    path = derivations_directory() / f"{stem}.py"
    text = path.read_text()
    assert text.count(right) == 1, f"{right!r} occurs {text.count(right)} times in {stem}"
    module = ModuleType(f"mutated_{stem}")
    exec(compile(text.replace(right, wrong), str(path), "exec"), module.__dict__)
    return module


def digits(expr: sp.Expr, values: dict[sp.Symbol, Any], count: int = 30) -> float:
    """The expression at exact floating-point values, computed to ``count`` digits and then rounded."""
    exact = {s: sp.Rational(*float(v).as_integer_ratio()) for s, v in values.items()}
    with mpmath.workdps(count + 30):
        return float(sp.N(sp.sympify(expr).subs(exact), count))

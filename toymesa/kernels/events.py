"""Events: functions of state and time whose zeros are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.kernels.printer import accurate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """A function of states, parameters and time whose zeros are wanted. direction: +1 rising, -1 falling, 0 both."""

    name: str
    expr: sp.Expr
    direction: int
    terminal: bool

    @cached_property
    def _lifted(self) -> tuple[sp.Expr, tuple[sp.Dummy, ...], Array]:
        values: list[float] = []

        def lift(expr: Any) -> Any:
            if expr.is_Atom:
                return expr
            args = []
            for a in expr.args:
                if isinstance(expr, sp.Add | sp.Mul) and (a.is_Float or (a.is_Rational and not a.is_Integer)):
                    values.append(float(a))
                    args.append(self._constant(len(values) - 1))
                else:
                    args.append(lift(a))
            return expr.func(*args)

        form = lift(accurate(self.expr))
        return form, tuple(self._constant(k) for k in range(len(values))), np.array(values)

    def _constant(self, k: int) -> sp.Dummy:
        # by position in the formula, so that another threshold makes the same formula
        return sp.Dummy(f"constant_{self.name}", dummy_index=10**12 + k, real=True)

    @property
    def form(self) -> sp.Expr:
        """The function with its decimal numbers as symbols, so that one compiled form serves every threshold."""
        return self._lifted[0]

    @property
    def constants(self) -> tuple[sp.Dummy, ...]:
        """Those symbols."""
        return self._lifted[1]

    @property
    def values(self) -> Array:
        """Their values."""
        return self._lifted[2]

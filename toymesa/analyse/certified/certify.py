"""A proof in ball arithmetic that a system has exactly one zero near a point (Krawczyk 1969; arb, Johansson 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import flint
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.symbolic.balls import Undecidable, float_bounds, over_balls, precision

Array = NDArray[np.float64]
BITS = 160


class Zero:
    """An enclosure of one zero: ``balls`` hold it, and ``alone`` holds no other."""

    def __init__(self, balls: Sequence[Any], alone: Sequence[Any]) -> None:
        self.balls, self.alone = list(balls), list(alone)

    def same(self, other: Zero) -> bool:
        """Whether both enclose the same zero, for certain."""
        return _holds(self.alone, other.balls) or _holds(other.alone, self.balls)

    def inside(self, lo: Array, hi: Array) -> bool:
        """Whether the zero lies in a box, for certain."""
        ends = zip(self.balls, lo, hi, strict=True)
        return all(flint.arb(float(a)) <= b.lower() and b.upper() <= flint.arb(float(c)) for b, a, c in ends)

    def bounds(self) -> tuple[Array, Array]:
        """The nearest doubles around it."""
        ends = np.array([float_bounds(b) for b in self.balls]).reshape(-1, 2)
        return ends[:, 0], ends[:, 1]

    def middle(self) -> Array:
        """The double nearest to it."""
        return np.array([0.0 if b.contains(0) and b.rad() < 1e-30 else float(b.mid()) for b in self.balls])


class Certifier:
    """Proofs for the zeros of one square system."""

    def __init__(self, symbols: Sequence[sp.Symbol], exprs: Sequence[sp.Expr]) -> None:
        self.symbols, self.exprs = list(symbols), list(exprs)

    @cached_property
    def slopes(self) -> list[list[sp.Expr]]:
        """The derivatives, by equation and symbol."""
        return [[sp.diff(e, s) for s in self.symbols] for e in self.exprs]

    def jacobian(self, balls: Sequence[Any]) -> Any:
        """The matrix of derivatives over balls, as ``arb_mat``; raises Undecidable where it has no ball."""
        with precision(BITS):
            point = dict(zip(self.symbols, balls, strict=True))
            return flint.arb_mat([[over_balls(d, point) for d in row] for row in self.slopes])

    def certify(self, start: Array) -> Zero | None:
        """A zero near ``start``, proved to exist and to be alone in its neighbourhood; None where that fails."""
        n = len(self.symbols)
        if n == 0:
            return Zero([], [])
        with precision(BITS):
            try:
                x = [flint.arb(float(v)) for v in start]
                inverse = self._inverse(x)
                if inverse is None:
                    return None
                for round_ in range(8):  # simplified Newton: every round gains the digits of the inverse
                    step = inverse * self._values(x)
                    x = [(x[i] - step[i, 0]).mid() for i in range(n)]
                    if round_ == 2:
                        better = self._inverse(x)
                        inverse = inverse if better is None else better
                step = inverse * self._values(x)
                for doublings in range(0, 100, 10):
                    found = self._krawczyk(x, inverse, step, doublings)
                    if found is not None:
                        return found
            except (Undecidable, ZeroDivisionError, OverflowError, ValueError):
                return None
        return None

    def _values(self, x: Sequence[Any]) -> Any:
        point = dict(zip(self.symbols, x, strict=True))
        return flint.arb_mat([[over_balls(e, point)] for e in self.exprs])

    def _inverse(self, x: Sequence[Any]) -> Any:
        matrix = self.jacobian(x)
        n = len(self.symbols)
        if not all(matrix[i, j].is_finite() for i in range(n) for j in range(n)):
            return None
        try:
            found = flint.arb_mat([[matrix[i, j].mid() for j in range(n)] for i in range(n)]).inv()
        except ZeroDivisionError:
            return None
        return flint.arb_mat([[found[i, j].mid() for j in range(n)] for i in range(n)])

    def _krawczyk(self, x: Sequence[Any], inverse: Any, step: Any, doublings: int) -> Zero | None:
        n = len(x)
        tiny = flint.arb(2) ** (-BITS // 2 + doublings)
        room = [abs(step[i, 0]).upper() * 4 + tiny * (1 + abs(x[i])).upper() for i in range(n)]
        box = [x[i] + flint.arb(0, room[i]) for i in range(n)]
        values = self._values(box)  # undecidable across a jump, not finite off the domain: no mean value theorem there
        if not all(values[i, 0].is_finite() for i in range(n)):
            return None
        left = _identity(n) - inverse * self.jacobian(box)
        away = left * flint.arb_mat([[flint.arb(0, r)] for r in room])
        mapped = [x[i] - step[i, 0] + away[i, 0] for i in range(n)]
        if not all(m.is_finite() and b.contains_interior(m) for b, m in zip(box, mapped, strict=True)):
            return None
        return Zero(mapped, box)


def _identity(n: int) -> Any:
    return flint.arb_mat([[int(i == j) for j in range(n)] for i in range(n)])


def _holds(wide: Sequence[Any], narrow: Sequence[Any]) -> bool:
    return all(w.contains(n) for w, n in zip(wide, narrow, strict=True))

"""Symbolic functions that SymPy lacks and the models need."""

from __future__ import annotations

from typing import Any

import sympy as sp

# functions of one argument that have the same name in SymPy, the math module and ball arithmetic
UNARY = (
    *("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "gamma"),
)


class LogSumExp(sp.Function):
    """``ln(e^a + e^b + ...)`` that keeps its arguments apart, so that generated code can subtract the largest.

    Written out, a reliance of e^(-1000) would be 0/0 or inf/inf in floating point; as ``exp(a - LogSumExp(a, b))``
    it is an ordinary number. ``rewrite(log)`` gives the plain formula, for proofs.
    """

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """Evaluate only where nothing is lost: one argument is its own log-sum-exp."""
        if not args:
            raise TypeError("LogSumExp needs at least one argument")
        if len(args) == 1:
            return args[0]
        return None

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative with respect to argument ``argindex``: its softmax weight."""
        return sp.exp(self.args[argindex - 1] - self)

    def _eval_is_real(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None

    def _eval_is_extended_real(self) -> bool | None:
        return self._eval_is_real()

    def _eval_is_finite(self) -> bool | None:
        return True if all(a.is_finite for a in self.args) else None

    def _eval_rewrite_as_log(self, *args: Any, **hints: Any) -> Any:
        return sp.log(sp.Add(*[sp.exp(a) for a in args]))

    def _eval_evalf(self, prec: int) -> Any:
        return self.rewrite(sp.log)._eval_evalf(prec)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        inner = " + ".join(f"e^{{{printer._print(a)}}}" for a in self.args)
        text = rf"\ln\left({inner}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"

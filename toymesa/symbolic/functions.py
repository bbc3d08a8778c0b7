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


class LogShare(sp.Function):
    """``LogShare(i, a_0, a_1, ...)``: a_i minus the log-sum-exp of all, the logarithm of a share of a simplex.

    Kept together because bounds of it are sharp, while those of the difference count a_i twice.
    """

    is_real = True  # arguments are; said once here, where SymPy would deduce it for every piece of every formula
    is_nonpositive = True

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative with respect to argument ``argindex`` (1 is the position i, which does not vary)."""
        own = 1 if argindex == int(self.args[0]) + 2 else 0
        return own - sp.exp(LogShare(argindex - 2, *self.args[1:]))

    def _eval_rewrite_as_log(self, *args: Any, **hints: Any) -> Any:
        own = args[1:][int(args[0])]
        return -sp.log(sp.Add(*[sp.exp(a - own) for a in args[1:]]))


def with_log_shares(expr: Any, _seen: dict[Any, Any] | None = None) -> Any:
    """The expression with every a_i - LogSumExp(a_0, a_1, ...) as a :class:`LogShare`, also in sums of several."""
    seen = {} if _seen is None else _seen
    if expr.is_Atom or not expr.has(LogSumExp):
        return expr
    if expr not in seen:
        found = _shared(expr) if expr.is_Add or expr.is_Mul else None
        if found is None:
            seen[expr] = expr.func(*(with_log_shares(a, seen) for a in expr.args))
        else:
            rest, shares = found
            seen[expr] = shares + with_log_shares(rest, seen)
    return seen[expr]


def _shared(expr: Any) -> tuple[Any, Any] | None:
    """What is left of a sum, and the log-shares in it: m_0 a_0 + m_1 a_1 + ... - (m_0 + m_1 + ...) LogSumExp(a)."""
    weights = {power: c for c, power in (t.as_coeff_Mul() for t in sp.Add.make_args(expr))}
    for total, c in weights.items():
        if not isinstance(total, LogSumExp) or not c.is_Integer or not c < 0:
            continue
        left, shares, taken = -c, sp.Integer(0), sp.Integer(0)
        for i, a in enumerate(total.args):
            factor, power = a.as_coeff_Mul()
            have = weights.get(power) if a != 0 and factor == 1 else None
            if have is not None and have.is_Integer and have > 0:
                m = min(have, left)
                left, shares, taken = left - m, shares + m * LogShare(i, *total.args), taken + m * (a - total)
        if left > 0 and 0 in total.args:
            shares, taken = shares + left * LogShare(total.args.index(0), *total.args), taken - left * total
        if shares != 0:
            return sp.expand(expr - taken) if expr.is_Add else expr - taken, shares
    return None

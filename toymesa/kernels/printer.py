"""SymPy expressions as Python source: scalar for numba, array-wise for numpy.

Names in the source are positional only (arguments and temporaries); nothing that a user typed gets into it. Every
number is a float literal, since integers follow other rules in compiled code (there 2**-1 is 0). ``expm1``, ``log1p``
and a log-sum-exp that subtracts its maximum keep accuracy where the plain formula would cancel or overflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.str import StrPrinter

from toymesa.errors import ModelError
from toymesa.symbolic.entire import PAIRS, FlowComponent, StepComponent
from toymesa.symbolic.functions import UNARY

# SymPy name -> function of the math module
_SCALAR = {n: n for n in (*UNARY, "expm1", "log1p", "atan2")} | {"loggamma": "lgamma"}
# SymPy name -> numpy or scipy.special function
_ARRAY = {
    **{f: f"np.{f}" for f in ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "expm1", "log1p"]},
    **{f"a{f}": f"np.arc{f}" for f in ["sin", "cos", "tan", "sinh", "cosh", "tanh"]},
    "atan2": "np.arctan2",
    "erf": "special.erf",
    "erfc": "special.erfc",
    "gamma": "special.gamma",
    "loggamma": "special.gammaln",
    "besseli": "special.iv",
    "besselk": "special.kv",
    "besselj": "special.jv",
    "bessely": "special.yv",
    "LambertW": "lambertw",
    "Chi": "chi",
    "Shi": "shi",
    "Ei": "special.expi",
    **{f.__name__: f"entire[{f.__name__!r}]" for f in (*PAIRS, FlowComponent, StepComponent)},
}


def accurate(expr: Any, _seen: dict[Any, Any] | None = None) -> Any:
    """The expression with c exp(x) - c as c expm1(x), and log(1 + x) as log1p(x).

    Only those exact patterns change. SymPy's own rewriting also refactors sums of exponentials, which would undo the
    log-softmax form that keeps tiny shares from underflowing.
    """
    seen = {} if _seen is None else _seen
    if expr.is_Atom or not expr.has(sp.exp, sp.log):
        return expr
    if expr not in seen:
        args = [accurate(a, seen) for a in expr.args]
        if isinstance(expr, sp.Add):
            seen[expr] = _paired(args)
        elif isinstance(expr, sp.log) and isinstance(expr.args[0], sp.Add) and expr.args[0].args[0] == 1:
            seen[expr] = log1p(accurate(sp.Add(*expr.args[0].args[1:]), seen))
        else:
            seen[expr] = expr.func(*args)
    return seen[expr]


def _paired(terms: list[Any]) -> sp.Expr:
    number = sp.Add(*[t for t in terms if t.is_Number])
    rest = [t for t in terms if not t.is_Number]
    for i, term in enumerate(rest):
        factor, power = term.as_coeff_Mul()
        if number != 0 and isinstance(power, sp.exp) and factor == -number:
            rest[i] = factor * expm1(power.args[0])
            return sp.Add(*rest)
    return sp.Add(number, *rest)


class _Printer(StrPrinter):
    """Common ground: float literals, powers, names by position."""

    functions: ClassVar[Mapping[str, str]] = {}
    sqrt = "sqrt"

    def __init__(self, names: Mapping[sp.Symbol, str]) -> None:
        super().__init__({"full_prec": False})
        self._names = names

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self._names[expr]

    _print_Dummy = _print_Symbol

    def _print_number(self, expr: sp.Expr) -> str:
        # constants may overflow when a formula is differentiated: there is no name for the infinite, but there is a literal
        text = repr(float(expr)).replace("inf", "1e999")
        return f"({text})" if text.startswith("-") else text

    _print_Integer = _print_Float = _print_Zero = _print_One = _print_NegativeOne = _print_number
    _print_Pi = _print_Exp1 = _print_EulerGamma = _print_Half = _print_Catalan = _print_GoldenRatio = _print_number

    def _print_Rational(self, expr: sp.Rational) -> str:
        return self._print_number(expr)

    def _print_Add(self, expr: sp.Add, order: Any = None) -> str:
        return "(" + " + ".join(self._print(a) for a in expr.args) + ")"

    def _print_Mul(self, expr: sp.Mul) -> str:
        above, below = [], []
        for a in expr.args:
            if a.is_Pow and a.exp.is_Rational and a.exp.is_negative:
                below.append(self._print(sp.Pow(a.base, -a.exp)))
            else:
                above.append(self._print(a))
        text = "*".join(above) or "1.0"
        return f"({text})" if not below else f"({text}/({'*'.join(below)}))"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        base = self._print(expr.base)
        if expr.exp == sp.Rational(1, 2):
            return f"{self.sqrt}({base})"
        if expr.exp == sp.Rational(-1, 2):
            return f"(1.0/{self.sqrt}({base}))"
        if expr.exp.is_Integer and 2 <= expr.exp <= 4 and expr.base.is_Symbol:
            return "(" + "*".join([base] * int(expr.exp)) + ")"
        if expr.exp == -1:
            return f"(1.0/{base})"
        if expr.exp.is_Integer:  # an integer exponent of a float is a few multiplications
            return f"({base})**({int(expr.exp)})"
        return f"({base})**({self._print(expr.exp)})"

    def _print_exp(self, expr: Any) -> str:
        return f"{self.functions['exp']}({self._print(expr.args[0])})"

    def _print_Function(self, expr: Any) -> str:
        name = type(expr).__name__
        if name not in self.functions:
            raise ModelError(f"the function {name!r} has no form in generated code (in {expr})")
        return f"{self.functions[name]}({', '.join(self._print(a) for a in expr.args)})"

    def _print_DiracDelta(self, expr: Any) -> str:
        """The slope of a jump, as in a Jacobian of sign(x): 0 on both sides, and no number at the jump itself."""
        return "0.0"

    def _print_LambertW(self, expr: Any) -> str:
        return self._print_Function(expr)

    def _compare(self, expr: Any, sign: str) -> str:
        return f"({self._print(expr.lhs)} {sign} {self._print(expr.rhs)})"

    def _print_Relational(self, expr: Any) -> str:
        return self._compare(expr, {"Eq": "==", "Ne": "!="}.get(type(expr).__name__) or expr.rel_op)

    def _fold(self, function: str, args: Sequence[Any]) -> str:
        text = self._print(args[0])
        for a in args[1:]:
            text = f"{function}({text}, {self._print(a)})"
        return text

    def emptyPrinter(self, expr: Any) -> str:  # SymPy's name
        raise ModelError(f"{type(expr).__name__} has no form in generated code (in {expr})")


class ScalarPrinter(_Printer):
    """Source for one point at a time, on functions of the math module."""

    functions: ClassVar[Mapping[str, str]] = _SCALAR

    def _print_Abs(self, expr: Any) -> str:
        return f"abs({self._print(expr.args[0])})"

    def _print_sign(self, expr: Any) -> str:
        x = self._print(expr.args[0])
        return f"(1.0 if {x} > 0.0 else (-1.0 if {x} < 0.0 else 0.0*{x}))"

    def _print_Heaviside(self, expr: Any) -> str:
        x, middle = self._print(expr.args[0]), self._print(expr.args[1] if len(expr.args) > 1 else sp.Rational(1, 2))
        return f"(1.0 if {x} > 0.0 else ({middle} if {x} == 0.0 else 0.0*{x}))"

    def _print_Max(self, expr: Any) -> str:
        return self._fold("larger", expr.args)

    def _print_Min(self, expr: Any) -> str:
        return self._fold("smaller", expr.args)

    def _print_LogSumExp(self, expr: Any) -> str:
        values = [self._print(a) for a in expr.args]
        top = f"max({', '.join(values)})"
        return f"({top} + log({' + '.join(f'exp({v} - {top})' for v in values)}))"

    def _print_Piecewise(self, expr: Any) -> str:
        text = "nan"
        for value, condition in reversed(expr.args):
            test = self._print(condition)
            text = self._print(value) if test == "True" else f"({self._print(value)} if {test} else {text})"
        return text

    def _print_And(self, expr: Any) -> str:
        return "(" + " and ".join(self._print(a) for a in expr.args) + ")"

    def _print_Or(self, expr: Any) -> str:
        return "(" + " or ".join(self._print(a) for a in expr.args) + ")"

    def _print_Not(self, expr: Any) -> str:
        return f"(not {self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: Any) -> str:
        return "True"

    def _print_BooleanFalse(self, expr: Any) -> str:
        return "False"


class ArrayPrinter(_Printer):
    """Source for whole arrays, on numpy and scipy.special."""

    functions: ClassVar[Mapping[str, str]] = _ARRAY
    sqrt = "np.sqrt"

    def _print_Abs(self, expr: Any) -> str:
        return f"np.abs({self._print(expr.args[0])})"

    def _print_sign(self, expr: Any) -> str:
        return f"np.sign({self._print(expr.args[0])})"

    def _print_Heaviside(self, expr: Any) -> str:
        middle = self._print(expr.args[1] if len(expr.args) > 1 else sp.Rational(1, 2))
        return f"np.heaviside({self._print(expr.args[0])}, {middle})"

    def _print_Max(self, expr: Any) -> str:
        return self._fold("np.maximum", expr.args)

    def _print_Min(self, expr: Any) -> str:
        return self._fold("np.minimum", expr.args)

    def _print_LogSumExp(self, expr: Any) -> str:
        return self._fold("np.logaddexp", expr.args)

    def _print_Piecewise(self, expr: Any) -> str:
        text = "np.nan"
        for value, condition in reversed(expr.args):
            text = f"np.where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_And(self, expr: Any) -> str:
        return "(" + " & ".join(self._print(a) for a in expr.args) + ")"

    def _print_Or(self, expr: Any) -> str:
        return "(" + " | ".join(self._print(a) for a in expr.args) + ")"

    def _print_Not(self, expr: Any) -> str:
        return f"(~{self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: Any) -> str:
        return "True"

    def _print_BooleanFalse(self, expr: Any) -> str:
        return "False"


def statements(
    exprs: Sequence[sp.Expr], printer: type[_Printer], names: Mapping[sp.Symbol, str]
) -> tuple[list[str], list[str]]:
    """Assignments of the common subexpressions, and the source of each expression in terms of them."""
    unknown = sorted({s.name for e in exprs for s in e.free_symbols if s not in names})
    if unknown:
        raise ModelError(f"the formula uses {', '.join(map(repr, unknown))}, which is not an argument")
    shared, reduced = sp.cse([accurate(e) for e in exprs], symbols=sp.numbered_symbols("v", cls=sp.Dummy), order="none")
    known = dict(names)
    lines = []
    for i, (symbol, value) in enumerate(shared):
        lines.append(f"v{i} = {printer(known)._print(value)}")
        known[symbol] = f"v{i}"
    return lines, [printer(known)._print(e) for e in reduced]


__all__ = ["ArrayPrinter", "ScalarPrinter", "accurate", "statements"]

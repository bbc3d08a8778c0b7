"""Formulas in text, from files and the command line: a whitelist over Python's syntax tree.

Nothing is evaluated. Text becomes a tree, each node of which is one of a few allowed kinds, and is built into SymPy
objects one by one; everything else is refused with the column where it stands.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ExpressionError, did_you_mean
from toymesa.symbolic.functions import UNARY, LogSumExp

MAX_LENGTH, MAX_NODES, MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT = 4000, 600, 60, 40, 64

# name -> function, fewest and most arguments
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    **{n: (getattr(sp, n), 1, 1) for n in (*UNARY, "sqrt", "loggamma", "LambertW")},
    "abs": (sp.Abs, 1, 1),
    "sign": (sp.sign, 1, 1),
    "Heaviside": (sp.Heaviside, 1, 1),
    "atan2": (sp.atan2, 2, 2),
    "besseli": (sp.besseli, 2, 2),
    "besselk": (sp.besselk, 2, 2),
    "max": (sp.Max, 2, 20),
    "min": (sp.Min, 2, 20),
    "logsumexp": (LogSumExp, 1, 20),
    "LogSumExp": (LogSumExp, 1, 20),
    "Max": (sp.Max, 2, 20),
    "Min": (sp.Min, 2, 20),
    "Abs": (sp.Abs, 1, 1),
}
_CONSTANTS = {"pi": sp.pi, "E": sp.E}
_RELATIONS = {ast.Gt: sp.Gt, ast.GtE: sp.Ge, ast.Lt: sp.Lt, ast.LtE: sp.Le, ast.Eq: sp.Eq}
_NUMBER = re.compile(r"(\d+)(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")


def parse(text: str, names: Mapping[str, sp.Symbol], *, what: str = "formula") -> sp.Expr:
    """The formula as a SymPy expression in the declared symbols.

    names: name -> symbol; declared names win over constants (``pi``, ``E``). Allowed: numbers (exact: ``0.1`` is 1/10),
    ``+ - * / **``, parentheses, and the functions exp, log, sqrt, trigonometric and hyperbolic functions and their
    inverses, erf, erfc, gamma, loggamma, abs, sign, max, min, Heaviside, atan2, LambertW, besseli, besselk, logsumexp.
    Raises ExpressionError, and nothing else, with the column of the first thing that is wrong.
    """
    out = _Builder(text, names, what).build()
    if not isinstance(out, sp.Expr):
        raise ExpressionError(f"the {what} must be a number or formula; got a comparison in {text!r}", column=1)
    return out


def parse_relation(text: str, names: Mapping[str, sp.Symbol], *, what: str = "condition") -> Boolean:
    """A comparison such as ``a > b`` or ``lam == 0`` as a SymPy relation; raises ExpressionError."""
    out = _Builder(text, names, what).build()
    if isinstance(out, sp.Expr):
        raise ExpressionError(f"the {what} must compare two formulas, such as 'a > b'; got {text!r}", column=1)
    return out


class _Builder:
    """One text on its way from syntax tree to expression."""

    def __init__(self, text: str, names: Mapping[str, sp.Symbol], what: str) -> None:
        self.text, self.names, self.what, self.nodes = text, names, what, 0

    def build(self) -> Any:
        """Parse and build; every failure leaves as an ExpressionError."""
        self._check_text()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(self.text.strip(), mode="eval")
        except SyntaxError as error:
            raise ExpressionError(self._syntax(error), column=error.offset or 1) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"cannot read the {self.what}: {error}", column=1) from None
        try:
            out = self._node(tree.body, 0)
        except ExpressionError:
            raise
        except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
            raise ExpressionError(f"the {self.what} has no value: {error}", column=1) from None
        if isinstance(out, sp.Expr) and (out.has(sp.zoo, sp.nan, sp.oo, -sp.oo) or out.is_real is False):
            raise ExpressionError(f"the {self.what} is not a finite real number", column=1)
        return out

    def _check_text(self) -> None:
        if not isinstance(self.text, str):
            raise ExpressionError(f"the {self.what} must be text; got {self.text!r}")
        if len(self.text) > MAX_LENGTH:
            raise ExpressionError(f"the {self.what} is longer than {MAX_LENGTH} characters", column=MAX_LENGTH + 1)
        if not self.text.strip():
            raise ExpressionError(f"the {self.what} is empty", column=1)
        for i, c in enumerate(self.text):
            if not (c.isascii() and (c.isprintable() or c in "\t\n")):
                raise ExpressionError(f"the character {c!r} is not allowed", column=i + 1)
        depth = 0
        for i, c in enumerate(self.text):
            depth += (c in "([{") - (c in ")]}")
            if depth > MAX_DEPTH:
                raise ExpressionError(f"more than {MAX_DEPTH} parentheses inside each other", column=i + 1)
        if "^" in self.text:
            raise ExpressionError("'^' is not power; write '**'", column=self.text.index("^") + 1)
        for word in ("lambda",):
            if match := re.search(rf"\b{word}\b", self.text):
                raise ExpressionError(f"{word!r} is a reserved word of Python; write 'lam'", column=match.start() + 1)

    def _syntax(self, error: SyntaxError) -> str:
        return f"cannot read the {self.what}: {error.msg}"

    def _fail(self, node: ast.AST, message: str) -> ExpressionError:
        return ExpressionError(message, column=getattr(node, "col_offset", 0) + 1)

    def _node(self, node: ast.AST, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > 2 * MAX_DEPTH:
            raise self._fail(node, f"the {self.what} is too large (at most {MAX_NODES} parts)")
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = self._value(node.operand, depth)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return self._binary(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.Compare):
            return self._compare(node, depth)
        raise self._fail(node, f"{type(node).__name__} is not allowed in a {self.what}")

    def _value(self, node: ast.AST, depth: int) -> sp.Expr:
        out = self._node(node, depth + 1)
        if not isinstance(out, sp.Expr):
            raise self._fail(node, "a comparison cannot be calculated with")
        return out

    def _constant(self, node: ast.Constant) -> sp.Expr:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._fail(node, f"{type(node.value).__name__} {node.value!r} is not allowed in a {self.what}")
        source = ast.get_source_segment(self.text.strip(), node) or repr(node.value)
        if not _NUMBER.fullmatch(source) or len(source) > MAX_DIGITS:
            raise self._fail(node, f"a number must be decimal and at most {MAX_DIGITS} characters long")
        if isinstance(node.value, float) and not (node.value == 0 or 1e-300 < node.value < 1e300):
            raise self._fail(node, f"the number {source} is outside the range of floating point")
        return sp.Rational(source.replace("_", ""))

    def _name(self, node: ast.Name) -> sp.Expr:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        if node.id in _FUNCTIONS:
            raise self._fail(node, f"{node.id!r} is a function; write {node.id}(...)")
        raise self._fail(node, f"unknown name {node.id!r}{did_you_mean(node.id, self.names)}")

    def _binary(self, node: ast.BinOp, depth: int) -> sp.Expr:
        left, right = self._value(node.left, depth), self._value(node.right, depth)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            if right == 0:
                raise self._fail(node.right, "division by zero")
            return left / right
        if isinstance(node.op, ast.Pow):
            return self._power(node, left, right)
        raise self._fail(node, f"the operator {type(node.op).__name__} is not allowed")

    def _power(self, node: ast.BinOp, left: sp.Expr, right: sp.Expr) -> sp.Expr:
        if right.is_number and (not right.is_Rational or abs(right) > MAX_EXPONENT or right.q > MAX_EXPONENT):
            raise self._fail(node.right, f"an exponent must be a fraction of at most {MAX_EXPONENT}; got {right}")
        if left == 0 and right.is_nonpositive:
            raise self._fail(node, "zero to a power that is not positive")
        return left**right

    def _call(self, node: ast.Call, depth: int) -> sp.Expr:
        if not isinstance(node.func, ast.Name):
            raise self._fail(node, "only the named functions can be called")
        name = node.func.id
        if name in self.names:
            raise self._fail(node, f"{name!r} is a symbol, not a function; write '*' to multiply")
        if name not in _FUNCTIONS:
            raise self._fail(node, f"unknown function {name!r}{did_you_mean(name, _FUNCTIONS)}")
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self._fail(node, f"{name} takes plain arguments only")
        function, fewest, most = _FUNCTIONS[name]
        if not fewest <= len(node.args) <= most:
            count = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise self._fail(node, f"{name} takes {count} arguments; got {len(node.args)}")
        args = [self._value(a, depth) for a in node.args]
        if name in ("gamma", "loggamma") and args[0].is_number and abs(args[0]) > 100:
            raise self._fail(node, f"the argument of {name} is too large")
        out = function(*args)
        if not isinstance(out, sp.Expr) or out.has(sp.zoo, sp.nan, sp.oo):
            raise self._fail(node, f"{name} has no finite value there")
        return out

    def _compare(self, node: ast.Compare, depth: int) -> Any:
        values = [self._value(v, depth) for v in (node.left, *node.comparators)]
        parts = []
        for op, a, b in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _RELATIONS:
                raise self._fail(node, f"the comparison {type(op).__name__} is not allowed; use < <= > >= ==")
            parts.append(_RELATIONS[type(op)](a, b))
        return parts[0] if len(parts) == 1 else sp.And(*parts)

"""Formulas in text, from files and the command line: a whitelist over Python's syntax tree.

Nothing is evaluated. Text becomes a tree, each node of which is one of a few allowed kinds, and is built into SymPy
objects one by one; everything else is refused with the column where it stands. Every step is bounded: length, parts,
nesting, digits, exponents, the size of every number (each part without symbols is first calculated in floating point),
and the work that SymPy may do (:mod:`toymesa.symbolic.work`).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import sympy as sp
from sympy.logic.boolalg import Boolean

from toymesa.errors import ExpressionError, did_you_mean
from toymesa.symbolic.vocabulary import CONSTANTS, FUNCTIONS, apply
from toymesa.symbolic.work import TooMuchWork, at_most

MAX_LENGTH, MAX_PARTS, MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT = 4000, 600, 60, 40, 64
MAX_BITS = 8192  # of numerator and denominator of the numbers that are put together
MAX_WORK, MAX_DOUBT = 50_000, 10_000  # function calls to build, and to see whether it is real: at most some 50 ms
_RELATIONS = {ast.Gt: sp.Gt, ast.GtE: sp.Ge, ast.Lt: sp.Lt, ast.LtE: sp.Le, ast.Eq: sp.Eq}
_NUMBER = re.compile(r"(\d+)(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")


class _Part(NamedTuple):
    """A piece of a formula, and its value in floating point if it holds no symbol."""

    expr: sp.Expr
    value: float | None


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
        self.text, self.names, self.what = text, names, what

    def build(self) -> Any:
        """Parse and build; every failure leaves as an ExpressionError."""
        self._check_text()
        self.left = len(self.text) - len(self.text.lstrip())
        self.source = self.text.strip()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(self.source, mode="eval")
        except SyntaxError as error:
            column = (error.offset or 1) + (self.left if (error.lineno or 1) == 1 else 0)
            raise ExpressionError(f"cannot read the {self.what}: {error.msg}", column=column) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"cannot read the {self.what}: {error or 'too deep'}", column=1) from None
        if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MAX_PARTS:
            raise ExpressionError(f"the {self.what} is too large (at most {MAX_PARTS} parts)", column=1)
        try:
            with at_most(MAX_WORK):
                out = self._compare(tree.body) if isinstance(tree.body, ast.Compare) else self._part(tree.body, 0).expr
        except ExpressionError:
            raise
        except TooMuchWork:
            message = f"the {self.what} takes too much work to build; write it in a simpler form"
            raise ExpressionError(message, column=1) from None
        except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
            raise ExpressionError(f"the {self.what} has no value: {error}", column=1) from None
        if isinstance(out, sp.Expr) and (out.has(sp.zoo, sp.nan, sp.oo, -sp.oo) or _never_real(out)):
            raise ExpressionError(f"the {self.what} is not a finite real number", column=1)
        return out

    def _check_text(self) -> None:
        if not isinstance(self.text, str):
            raise ExpressionError(f"the {self.what} must be text; got {self.text!r}")
        if len(self.text) > MAX_LENGTH:
            raise ExpressionError(f"the {self.what} is longer than {MAX_LENGTH} characters", column=MAX_LENGTH + 1)
        if not self.text.strip():
            raise ExpressionError(f"the {self.what} is empty", column=1)
        depth = 0
        for i, c in enumerate(self.text):
            if not (c.isascii() and (c.isprintable() or c in "\t\n")):
                raise ExpressionError(f"the character {c!r} is not allowed", column=i + 1)
            depth += (c in "([{") - (c in ")]}")
            if depth > MAX_DEPTH:
                raise ExpressionError(f"more than {MAX_DEPTH} parentheses inside each other", column=i + 1)
        if "^" in self.text:
            raise ExpressionError("'^' is not power; write '**'", column=self.text.index("^") + 1)
        if match := re.search(r"\blambda\b", self.text):
            raise ExpressionError("'lambda' is a reserved word of Python; write 'lam'", column=match.start() + 1)

    def _fail(self, node: ast.AST, message: str) -> ExpressionError:
        first = getattr(node, "lineno", 1) == 1
        return ExpressionError(message, column=getattr(node, "col_offset", 0) + 1 + (self.left if first else 0))

    def _part(self, node: ast.AST, depth: int) -> _Part:
        if depth > 2 * MAX_DEPTH:
            raise self._fail(node, f"the {self.what} is nested too deeply")
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            part = self._part(node.operand, depth + 1)
            return part if isinstance(node.op, ast.UAdd) else _negative(part)
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Add | ast.Sub):
                return self._sum(node, depth)
            if isinstance(node.op, ast.Mult | ast.Div):
                return self._product(node, depth)
            if isinstance(node.op, ast.Pow):
                return self._power(node, depth)
            raise self._fail(node, f"the operator {type(node.op).__name__} is not allowed")
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.Compare):
            raise self._fail(node, "a comparison cannot be calculated with")
        raise self._fail(node, f"{type(node).__name__} is not allowed in a {self.what}")

    def _constant(self, node: ast.Constant) -> _Part:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._fail(node, f"{type(node.value).__name__} {node.value!r} is not allowed in a {self.what}")
        source = ast.get_source_segment(self.source, node) or repr(node.value)
        if not _NUMBER.fullmatch(source) or len(source) > MAX_DIGITS:
            raise self._fail(node, f"a number must be decimal and at most {MAX_DIGITS} characters long")
        digits = source.lower().partition("e")[0]
        if isinstance(node.value, float) and digits.strip("0.") and not 1e-300 < node.value < 1e300:
            raise self._fail(node, f"the number {source} is outside the range of floating point")
        return _Part(sp.Rational(source) if node.value else sp.Integer(0), float(node.value))

    def _name(self, node: ast.Name) -> _Part:
        if node.id in self.names:
            return _Part(self.names[node.id], None)
        if node.id in CONSTANTS:
            return _Part(*CONSTANTS[node.id])
        if node.id in FUNCTIONS:
            raise self._fail(node, f"{node.id!r} is a function; write {node.id}(...)")
        raise self._fail(node, f"unknown name {node.id!r}{did_you_mean(node.id, self.names)}")

    def _chain(
        self, node: ast.BinOp, kinds: tuple[type[ast.operator], ...], depth: int
    ) -> list[tuple[ast.operator, Any]]:
        """Operator and operand of ``a + b - c ...``, all of one precedence: put together at once, in linear time."""
        out: list[tuple[ast.operator, Any]] = []
        top: ast.expr = node
        while isinstance(top, ast.BinOp) and isinstance(top.op, kinds):
            out.append((top.op, top.right))
            top = top.left
        out.append((kinds[0](), top))
        pairs = [(op, operand, self._part(operand, depth + 1)) for op, operand in reversed(out)]
        if sum(_bits(part.expr) for _, _, part in pairs) > MAX_BITS:
            raise self._fail(node, "the numbers are too long")
        return [(op, (operand, part)) for op, operand, part in pairs]

    def _sum(self, node: ast.BinOp, depth: int) -> _Part:
        terms = [
            _negative(part) if isinstance(op, ast.Sub) else part
            for op, (_, part) in self._chain(node, (ast.Add, ast.Sub), depth)
        ]
        values = [t.value for t in terms if t.value is not None]
        return self._numbered(node, sp.Add(*(t.expr for t in terms)), sum(values), known=len(values) == len(terms))

    def _product(self, node: ast.BinOp, depth: int) -> _Part:
        factors, value, known = [], 1.0, True
        for op, (operand, part) in self._chain(node, (ast.Mult, ast.Div), depth):
            if isinstance(op, ast.Div) and (part.expr == 0 or part.value == 0):
                raise self._fail(operand, "division by zero")
            factors.append(1 / part.expr if isinstance(op, ast.Div) else part.expr)
            if part.value is None:
                known = False
            else:
                value = value / part.value if isinstance(op, ast.Div) else value * part.value
        return self._numbered(node, sp.Mul(*factors), value, known=known)

    def _power(self, node: ast.BinOp, depth: int) -> _Part:
        left, right = self._part(node.left, depth + 1), self._part(node.right, depth + 1)
        e = right.expr
        if right.value is not None and not (e.is_Rational and abs(e) <= MAX_EXPONENT and e.q <= MAX_EXPONENT):
            raise self._fail(node.right, f"an exponent must be a fraction of at most {MAX_EXPONENT}; got {e}")
        if left.expr == 0 and e.is_nonpositive:
            raise self._fail(node, "zero to a power that is not positive")
        if e.is_Rational and _bits(left.expr.as_coeff_Mul()[0]) * abs(e) > MAX_BITS:
            raise self._fail(node, "the numbers are too long")
        if left.value is None or right.value is None:
            return _Part(left.expr**e, None)
        try:
            value = left.value**right.value
        except (OverflowError, ZeroDivisionError):
            raise self._fail(node, "the power is outside the range of floating point") from None
        if isinstance(value, complex):
            raise self._fail(node, "a root of a negative number is not real")
        return self._numbered(node, left.expr**e, value, known=True)

    def _call(self, node: ast.Call, depth: int) -> _Part:
        if not isinstance(node.func, ast.Name):
            raise self._fail(node, "only the named functions can be called")
        name = node.func.id
        if name in self.names:
            raise self._fail(node, f"{name!r} is a symbol, not a function; write '*' to multiply")
        if name not in FUNCTIONS:
            raise self._fail(node, f"unknown function {name!r}{did_you_mean(name, FUNCTIONS)}")
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self._fail(node, f"{name} takes plain arguments only")
        fewest, most = FUNCTIONS[name].fewest, FUNCTIONS[name].most
        if not fewest <= len(node.args) <= most:
            count = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise self._fail(node, f"{name} takes {count} arguments; got {len(node.args)}")
        parts = [self._part(a, depth + 1) for a in node.args]
        values = [p.value for p in parts if p.value is not None]
        value, known = 0.0, len(values) == len(parts)
        if known:
            try:
                value = FUNCTIONS[name].value(*values)
            except (ValueError, ArithmeticError):
                raise self._fail(node, f"{name} has no finite real value there") from None
        out = apply(name, [p.expr for p in parts])
        if not isinstance(out, sp.Expr) or out.has(sp.zoo, sp.nan, sp.oo):
            raise self._fail(node, f"{name} has no finite real value there")
        return self._numbered(node, out, value, known=known)

    def _numbered(self, node: ast.AST, expr: sp.Expr, value: float, *, known: bool) -> _Part:
        if known and not abs(value) < 1e300:
            raise self._fail(node, "a number is outside the range of floating point")
        return _Part(expr, value if known else None)

    def _compare(self, node: ast.Compare) -> Any:
        values = [self._part(v, 1).expr for v in (node.left, *node.comparators)]
        parts = []
        for op, a, b in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _RELATIONS:
                raise self._fail(node, f"the comparison {type(op).__name__} is not allowed; use < <= > >= ==")
            parts.append(_RELATIONS[type(op)](a, b))
        return parts[0] if len(parts) == 1 else sp.And(*parts)


def _never_real(expr: sp.Expr) -> bool:
    """Whether it is quickly seen that a formula has no real value, such as ``sqrt(-1 - x**2)``."""
    try:
        with at_most(MAX_DOUBT):
            return expr.is_real is False
    except (TooMuchWork, RecursionError):
        return False


def _negative(part: _Part) -> _Part:
    return _Part(-part.expr, None if part.value is None else -part.value)


def _bits(expr: sp.Expr) -> int:
    """How long an exact number is; 0 for anything else."""
    return max(expr.p.bit_length(), expr.q.bit_length()) if expr.is_Rational else 0

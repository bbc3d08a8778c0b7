"""Straight-line vector programs, written down as LLVM's intermediate language by ordinary arithmetic on values.

A :class:`Program` is the body of one function over a workspace of rows, one number a lane in each row. Arithmetic on its
values writes an instruction the first time and finds it again the next time, so that common subexpressions are shared.
A program with a loop keeps two levels: what follows from constants and loop-invariant rows alone is computed once,
before the loop. No flag lets the compiler assume that there are no NaNs: the only freedom it gets is to fuse a product
into a sum (``contract``), which is the same for every lane.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FLOAT, BOOL, INT = "double", "i1", "i64"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One number, truth value or integer a lane. ``number`` where it is a constant; ``level`` 0 before the loop, 1 in it."""

    program: Program
    name: str
    kind: str = FLOAT
    level: int = 0
    number: float | None = None

    def __add__(self, other: Value | float) -> Value:
        return self.program.add(self, other)

    def __radd__(self, other: float) -> Value:
        return self.program.add(other, self)

    def __sub__(self, other: Value | float) -> Value:
        return self.program.sub(self, other)

    def __rsub__(self, other: float) -> Value:
        return self.program.sub(other, self)

    def __mul__(self, other: Value | float) -> Value:
        return self.program.mul(self, other)

    def __rmul__(self, other: float) -> Value:
        return self.program.mul(other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return self.program.div(self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self.program.div(other, self)

    def __neg__(self) -> Value:
        return self.program.neg(self)

    def __abs__(self) -> Value:
        return self.program.call("fabs", self)

    def __lt__(self, other: Value | float) -> Value:
        return self.program.compare("olt", self, other)

    def __le__(self, other: Value | float) -> Value:
        return self.program.compare("ole", self, other)

    def __gt__(self, other: Value | float) -> Value:
        return self.program.compare("ogt", self, other)

    def __ge__(self, other: Value | float) -> Value:
        return self.program.compare("oge", self, other)

    def __and__(self, other: Value) -> Value:
        return self.program.bits("and", self, other)

    def __or__(self, other: Value) -> Value:
        return self.program.bits("or", self, other)

    def __invert__(self) -> Value:
        return self.program.bits("xor", self, self.program.truth(True))


class Program:
    """Instructions of one function of ``lanes`` lanes; ``loop``: the body is repeated until a lane asks for attention."""

    def __init__(self, name: str, lanes: int, *, loop: bool = False) -> None:
        self.name, self.lanes = name, lanes
        self.loops = loop
        self._lines: tuple[list[str], list[str]] = ([], [])
        self._known: dict[tuple[Any, ...], Value] = {}
        self._declared: set[str] = set()
        self._count = 0

    # ------------------------------------------------------------ values

    def constant(self, x: float) -> Value:
        """The same number in every lane."""
        x = float(x)
        bits = struct.unpack("<Q", struct.pack("<d", x))[0]
        return self._remember(("constant", bits), lambda: Value(self, f"splat (double 0x{bits:016X})", FLOAT, 0, x))

    def truth(self, x: bool) -> Value:
        """The same truth value in every lane."""
        return Value(self, f"splat (i1 {'true' if x else 'false'})", BOOL)

    def integer(self, x: int) -> Value:
        """The same integer in every lane."""
        return Value(self, f"splat (i64 {x})", INT)

    def of(self, x: Value | float) -> Value:
        """A value, or the constant of a number."""
        return x if isinstance(x, Value) else self.constant(x)

    def _remember(self, key: tuple[Any, ...], make: Callable[[], Value]) -> Value:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = make()
        return found

    def _type(self, kind: str) -> str:
        return f"<{self.lanes} x {kind}>"

    def emit(self, text: str, kind: str, operands: Sequence[Value], *, level: int | None = None) -> Value:
        """An instruction without side effects; ``{T}`` is the vector type, ``{0}`` the first operand's name."""
        key = (text, kind, *(v.name for v in operands))

        def write() -> Value:
            place = max((v.level for v in operands), default=0) if level is None else level
            name = f"%v{self._count}"
            self._count += 1
            body = text.format(*(v.name for v in operands), T=self._type(FLOAT), B=self._type(BOOL), I=self._type(INT))
            self._lines[place].append(f"  {name} = {body}")
            return Value(self, name, kind, place)

        return self._remember(key, write)

    # ------------------------------------------------------------ arithmetic

    def add(self, a: Value | float, b: Value | float) -> Value:
        """a + b."""
        a, b = self.of(a), self.of(b)
        if a.number == 0.0:
            return b
        if b.number == 0.0:
            return a
        if a.number is not None and b.number is not None:
            return self.constant(a.number + b.number)
        return self.emit("fadd contract {T} {0}, {1}", FLOAT, (a, b))

    def sub(self, a: Value | float, b: Value | float) -> Value:
        """a - b."""
        a, b = self.of(a), self.of(b)
        if b.number == 0.0:
            return a
        if a.number is not None and b.number is not None:
            return self.constant(a.number - b.number)
        return self.emit("fsub contract {T} {0}, {1}", FLOAT, (a, b))

    def mul(self, a: Value | float, b: Value | float) -> Value:
        """a b; a product with 0 stays one, for the sake of NaNs."""
        a, b = self.of(a), self.of(b)
        if a.number == 1.0:
            return b
        if b.number == 1.0:
            return a
        if a.number is not None and b.number is not None:
            return self.constant(a.number * b.number)
        if -1.0 in (a.number, b.number):
            return self.neg(b if a.number == -1.0 else a)
        return self.emit("fmul contract {T} {0}, {1}", FLOAT, (a, b))

    def div(self, a: Value | float, b: Value | float) -> Value:
        """a / b."""
        a, b = self.of(a), self.of(b)
        if b.number == 1.0:
            return a
        if a.number is not None and b.number not in (None, 0.0):
            return self.constant(a.number / b.number)
        return self.emit("fdiv contract {T} {0}, {1}", FLOAT, (a, b))

    def neg(self, a: Value) -> Value:
        """-a."""
        if a.number is not None:
            return self.constant(-a.number)
        return self.emit("fneg contract {T} {0}", FLOAT, (a,))

    def fma(self, a: Value | float, b: Value | float, c: Value | float) -> Value:
        """a b + c with one rounding."""
        self._declare("fma", 3)
        return self.emit(self._intrinsic("fma", 3), FLOAT, (self.of(a), self.of(b), self.of(c)))

    def sum(self, terms: Sequence[Value]) -> Value:
        """The sum, from left to right."""
        total: Value | float = 0.0
        for term in terms:
            total = self.add(total, term)
        return self.of(total)

    def combine(self, coefficients: Sequence[float], vectors: Sequence[Sequence[Value]]) -> list[Value]:
        """The linear combination of vectors, without its zero coefficients.

        Written coefficient by coefficient, not component by component, so that each one is loaded once.
        """
        totals: list[Value] = [self.constant(0.0)] * len(vectors[0])
        for c, vector in zip(coefficients, vectors, strict=True):
            if c != 0.0:
                totals = [total + v * float(c) for total, v in zip(totals, vector, strict=True)]
        return totals

    def maximum(self, a: Value | float, b: Value | float) -> Value:
        """The larger; b where either is NaN."""
        a, b = self.of(a), self.of(b)
        return self.select(a > b, a, b)

    def minimum(self, a: Value | float, b: Value | float) -> Value:
        """The smaller; b where either is NaN."""
        a, b = self.of(a), self.of(b)
        return self.select(a < b, a, b)

    def compare(self, how: str, a: Value | float, b: Value | float) -> Value:
        """Ordered comparison (false where either is NaN): olt, ole, ogt, oge, oeq; une is its exception."""
        return self.emit(f"fcmp {how} {{T}} {{0}}, {{1}}", BOOL, (self.of(a), self.of(b)))

    def select(self, condition: Value, a: Value | float, b: Value | float) -> Value:
        """a where the condition holds, else b."""
        a, b = self.of(a), self.of(b)
        if a.name == b.name:
            return a
        return self.emit("select {B} {0}, {T} {1}, {T} {2}", FLOAT, (condition, a, b))

    def bits(self, how: str, a: Value, b: Value) -> Value:
        """and, or, xor, shl, lshr, ashr, add, sub, mul on truth values or integers."""
        shape = "{B}" if a.kind == BOOL else "{I}"
        return self.emit(f"{how} {shape} {{0}}, {{1}}", a.kind, (a, b))

    def as_integer(self, a: Value) -> Value:
        """The bits of a number."""
        return self.emit("bitcast {T} {0} to {I}", INT, (a,))

    def as_number(self, a: Value) -> Value:
        """The number with these bits."""
        return self.emit("bitcast {I} {0} to {T}", FLOAT, (a,))

    # ------------------------------------------------------------ functions of the C library and intrinsics

    def _declare(self, function: str, arguments: int) -> None:
        types = ", ".join([self._type(FLOAT)] * arguments)
        self._declared.add(f"declare {self._type(FLOAT)} @llvm.{function}.v{self.lanes}f64({types})")

    def _intrinsic(self, function: str, arguments: int) -> str:
        values = ", ".join(f"{{T}} {{{i}}}" for i in range(arguments))
        return f"call contract {{T}} @llvm.{function}.v{self.lanes}f64({values})"

    def call(self, function: str, *args: Value | float) -> Value:
        """An intrinsic of LLVM: fabs, sqrt, floor, pow, ..."""
        self._declare(function, len(args))
        return self.emit(self._intrinsic(function, len(args)), FLOAT, [self.of(a) for a in args])

    def library(self, function: str, *args: Value | float) -> Value:
        """A function of the C library, called for each lane in turn."""
        self._declared.add(f"declare double @{function}({', '.join([FLOAT] * len(args))})")
        values = [self.of(a) for a in args]
        out = self.emit("select {B} splat (i1 true), {T} poison, {T} poison", FLOAT, ())
        for lane in range(self.lanes):
            parts = [self.emit(f"extractelement {{T}} {{0}}, i64 {lane}", FLOAT, (v,)) for v in values]
            holes = ", ".join(f"double {{{i}}}" for i in range(len(args)))
            result = self.emit(f"call double @{function}({holes})", FLOAT, parts)
            out = self.emit(f"insertelement {{T}} {{0}}, double {{1}}, i64 {lane}", FLOAT, (out, result))
        return out

    def rarely(self, condition: Value, make: Callable[[], Value], otherwise: Value) -> Value:
        """What ``make`` writes where the condition holds, else ``otherwise``; skipped as long as it holds in no lane."""
        level = max(condition.level, otherwise.level)
        lines, known, name = self._lines[level], dict(self._known), f"rare{self._count}"
        self._count += 1
        lines += [
            f"  %{name}.bits = bitcast {self._type(BOOL)} {condition.name} to i{self.lanes}",
            f"  %{name}.none = icmp eq i{self.lanes} %{name}.bits, 0",
            f"  br label %{name}.before", f"{name}.before:",
            f"  br i1 %{name}.none, label %{name}.after, label %{name}.make", f"{name}.make:",
        ]  # fmt: skip
        made = self.select(condition, make(), otherwise)
        lines += [f"  br label %{name}.after", f"{name}.after:"]
        self._known = known  # what was written in the branch is not there without it
        text = f"phi {{T}} [ {{0}}, %{name}.before ], [ {{1}}, %{name}.make ]"
        return self.emit(text, FLOAT, (otherwise, made), level=level)

    # ------------------------------------------------------------ memory

    def row(self, k: int, *, varies: bool = True) -> Value:
        """Row k of the workspace as it is at the start of the program; ``varies``: the loop changes it."""
        level = 1 if varies and self.loops else 0
        return self.emit(f"load {{T}}, ptr {self._pointer(k)}, align 64", FLOAT, (), level=level)

    def store(self, k: int, value: Value | float) -> None:
        """Write row k; comes after everything that was written before it."""
        place = self._lines[1 if self.loops else 0]
        place.append(f"  store {self._type(FLOAT)} {self.of(value).name}, ptr {self._pointer(k)}, align 64")

    def _pointer(self, k: int) -> str:
        text = f"getelementptr double, ptr %W, i64 {k * self.lanes}"
        return self.emit(text, "ptr", (), level=0).name

    def shared(self, k: int) -> Value:
        """Entry k of the constants common to all lanes."""
        pointer = self.emit(f"getelementptr double, ptr %C, i64 {k}", "ptr", (), level=0)
        number = self.emit("load double, ptr {0}, align 8", "scalar", (pointer,), level=0)
        first = self.emit("insertelement {T} poison, double {0}, i64 0", FLOAT, (number,), level=0)
        mask = f"<{self.lanes} x i32> zeroinitializer"
        return self.emit(f"shufflevector {{T}} {{0}}, {{T}} poison, {mask}", FLOAT, (first,), level=0)

    # ------------------------------------------------------------ the function

    def source(self, attention: Value | None = None) -> str:
        """``i64 name(ptr workspace, ptr constants)``: runs once, or until ``attention`` holds in a lane; returns its mask."""
        before, inside = self._lines
        if not self.loops:
            tail = [*self._mask(attention), "  ret i64 %mask"] if attention is not None else ["  ret i64 0"]
            body = [*before, *tail]
        else:
            assert attention is not None
            body = [
                *before, "  br label %again", "again:", *inside, *self._mask(attention),
                "  %none = icmp eq i64 %mask, 0", "  br i1 %none, label %again, label %done", "done:", "  ret i64 %mask",
            ]  # fmt: skip
        return "\n".join(
            [
                *sorted(self._declared),
                f"define i64 @{self.name}(ptr noalias %W, ptr noalias %C) #0 {{",
                "start:",
                *body,
                "}",
            ]
        )

    def _mask(self, attention: Value) -> list[str]:
        bits = f"i{self.lanes}"
        return [
            f"  %bits = bitcast {self._type(BOOL)} {attention.name} to {bits}",
            f"  %mask = zext {bits} %bits to i64",
        ]

"""Formulas over grids: some arguments are given for each row (parameters, say), the others along it (times).

What follows from a row's arguments alone is computed once a row. The results of a large grid are written past the caches
("streaming"), which saves reading every line of memory before it is overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.core.function import Application

from toymesa.errors import ModelError
from toymesa.kernels.lanes.build import Address, addresses, build
from toymesa.kernels.lanes.emit import BOOL, FLOAT, Program, Value
from toymesa.kernels.lanes.expressions import Reader, shared
from toymesa.kernels.lanes.fill_grid import (
    BEGIN,
    END,
    FIRST,
    HIGH,
    LOW,
    compiled_fill,
    compiled_fill_past_caches,
    fill,
    fill_past_caches,
)
from toymesa.kernels.lanes.functions import FUNCTIONS, LIBRARY
from toymesa.kernels.lanes.layout import aligned

Array = NDArray[np.float64]
LANES = 16
_FEW = 32  # rows, for which it is not worth it to load numba
_STREAM = 1 << 25  # bytes of results from which on they are not expected to be read from a cache
_BLOCK = 1 << 17  # results a thread computes in one piece
_NARROW = 1 << 13  # the same where some arguments are one number for all places, so that these stay in a cache
# the rest has no form without branches, or treats NaNs and infinities otherwise than the functions of arrays do
_FORMS = frozenset(FUNCTIONS) - frozenset(LIBRARY) | {"Abs", "sign", "Piecewise", "And", "Or", "Not", "LogSumExp"}


class _GridProgram(Program):
    """A loop over a row, ``lanes`` places at a time: from place C[BEGIN] to C[END].

    name: "plain", "stream" (past the caches), or "edge" (of every ``lanes`` results those from C[LOW] to C[HIGH] alone).
    """

    def __init__(self, name: str, outer: int, inner: int) -> None:
        super().__init__(name, LANES, loop=True)
        self._inner = FIRST + outer  # of the addresses
        self._out = self._inner + inner

    def given(self, k: int) -> Value:
        """Argument k of those given for each row."""
        return self.shared(FIRST + k)

    def along(self, k: int) -> Value:
        """Argument k of those given along it."""
        return self.emit(f"load {{T}}, ptr {self._place(self._inner + k)}, align 8", FLOAT, (), level=1)

    def result(self, k: int, value: Value) -> None:
        """Write result k."""
        vector, place = self._type(FLOAT), self._place(self._out + k)
        if self.name == "edge":
            function, mask = f"@llvm.masked.store.v{LANES}f64.p0", self._type(BOOL)
            self._declared.add(f"declare void {function}({vector}, ptr, i32, {mask})")
            text = f"call void {function}({vector} {value.name}, ptr {place}, i32 8, {mask} {self._inside().name})"
        else:
            how = "align 64, !nontemporal !0" if self.name == "stream" else "align 8"
            text = f"store {vector} {value.name}, ptr {place}, {how}"
        self._lines[1].append(f"  {text}")

    def _inside(self) -> Value:
        """Which lanes are those from C[LOW] to C[HIGH]."""
        numbers = ", ".join(f"i64 {i}" for i in range(LANES))
        low, high = (self.as_integer(self.shared(k)) for k in (LOW, HIGH))
        above = self.emit(f"icmp sge {{I}} <{numbers}>, {{0}}", BOOL, (low,))
        return above & self.emit(f"icmp slt {{I}} <{numbers}>, {{0}}", BOOL, (high,))

    def _place(self, k: int) -> str:
        slot = self.emit(f"getelementptr double, ptr %C, i64 {k}", "ptr", (), level=0)
        base = self.emit("load ptr, ptr {0}, align 8", "ptr", (slot,), level=0)
        return self.emit("getelementptr double, ptr {0}, i64 %place", "ptr", (base,), level=1).name

    def text(self) -> str:
        """Source of the function."""
        before, inside = self._lines
        return "\n".join(
            [
                *sorted(self._declared),
                f"define i64 @{self.name}(ptr noalias %W, ptr noalias %C) #0 {{", "start:",
                f"  %slot = getelementptr i64, ptr %C, i64 {BEGIN}", "  %begin = load i64, ptr %slot, align 8",
                f"  %last = getelementptr i64, ptr %C, i64 {END}", "  %end = load i64, ptr %last, align 8",
                *before, "  br label %enter", "enter:", "  br label %again", "again:",
                "  %place = phi i64 [ %begin, %enter ], [ %next, %latch ]",
                *inside, "  br label %latch", "latch:", f"  %next = add i64 %place, {self.lanes}",
                "  %more = icmp slt i64 %next, %end", "  br i1 %more, label %again, label %done", "done:",
                "  ret i64 0", "}", *(["!0 = !{i32 1}"] if self.name == "stream" else []),
            ]
        )  # fmt: skip


@dataclass(frozen=True)
class GridFunction:
    """Formulas of ``outer`` arguments given for each row and ``inner`` ones given along it."""

    outer: tuple[sp.Symbol, ...]
    inner: tuple[sp.Symbol, ...]
    exprs: tuple[sp.Basic, ...]

    def __call__(
        self, outer: Array, inner: Sequence[Array | float], out: Sequence[Array], *, threads: int | None = None
    ) -> None:
        """Fill ``out``: for each formula (row, place). outer: (row, argument); inner: for each argument (place,), or a number.

        The rows of ``out`` are contiguous. A result depends on its own arguments alone, bit for bit.
        """
        places = out[0].shape[1]
        if places == 0:
            return
        if places < LANES:  # a loop over less than its width: the last place is repeated
            wide = [np.empty((outer.shape[0], LANES)) for _ in out]
            padded = [np.pad(a, (0, LANES - places), mode="edge") if np.ndim(a) else a for a in inner]
            self(outer, padded, wide, threads=threads)
            for result, values in zip(out, wide, strict=True):
                result[:] = values[:, :places]
            return
        rows = outer.shape[0]
        streaming = sum(a.nbytes for a in out) >= _STREAM and _in_step(out)
        compiled = _compiled(self.outer, self.inner, self.exprs, streaming)
        run: Callable[..., None] = fill_past_caches if streaming else fill
        programs: Any = [compiled[name] for name in (("stream", "edge", "flush") if streaming else ("plain", "edge"))]
        if rows > _FEW:
            run = compiled_fill_past_caches() if streaming else compiled_fill()
            programs = addresses(programs)
        outer = np.ascontiguousarray(outer, dtype=np.float64)
        pieces = list(_pieces(rows, places, _BLOCK if all(map(np.ndim, inner)) else _NARROW))
        width = max(end - first for _, _, first, end in pieces)
        # one number for all places is written down for as many as a piece has; programs read addresses, so all as float64
        along = [np.ascontiguousarray(a if np.ndim(a) else np.full(width, a), dtype=np.float64) for a in inner]
        begin = np.array([a.ctypes.data for a in along], dtype=np.int64)
        shift = np.array([0 if np.ndim(a) else 8 for a in inner], dtype=np.int64)
        bases = np.array([a.ctypes.data for a in out], dtype=np.int64)
        strides = np.array([a.strides[0] for a in out], dtype=np.int64)

        def work(piece: tuple[int, int, int, int]) -> None:
            constants = np.empty(FIRST + outer.shape[1] + len(along) + len(out))
            lines = [aligned(len(out), LANES)] if streaming else []
            sources = begin - piece[2] * shift
            run(programs, LANES, outer, sources, bases, strides, *piece, constants, constants.view(np.int64), *lines)

        workers = min(threads or os.cpu_count() or 1, len(pieces))
        if workers <= 1:
            for piece in pieces:
                work(piece)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, pieces))


def _in_step(out: Sequence[Array]) -> bool:
    """Whether results are contiguous, and those of a place all at the same distance from a boundary of 64 bytes."""
    return all(a.flags.c_contiguous for a in out) and len({a.ctypes.data % 64 for a in out}) == 1


def _pieces(rows: int, places: int, block: int) -> Iterator[tuple[int, int, int, int]]:
    """Blocks of a grid: first and last row, first and last place, none narrower than a vector."""
    width = places if places <= 2 * block else block
    height = max(1, block // width)
    starts = list(range(0, places - LANES + 1, width))
    for row in range(0, rows, height):
        for i, start in enumerate(starts):
            yield row, min(row + height, rows), start, places if i == len(starts) - 1 else start + width


def grid_function(outer: Sequence[sp.Symbol], inner: Sequence[sp.Symbol], exprs: Sequence[Any]) -> GridFunction | None:
    """The formulas as a function of grids; None where one of them has no vector form.

    Raises ModelError for a symbol that is no argument.
    """
    return _grid_function(tuple(outer), tuple(inner), tuple(sp.sympify(e, strict=True) for e in exprs))


@lru_cache(maxsize=512)
def _grid_function(
    outer: tuple[sp.Symbol, ...], inner: tuple[sp.Symbol, ...], wanted: tuple[sp.Basic, ...]
) -> GridFunction | None:
    unknown = sorted({s.name for e in wanted for s in e.free_symbols} - {s.name for s in (*outer, *inner)})
    if unknown:
        raise ModelError(f"the formula uses {', '.join(map(repr, unknown))}, which is not an argument")
    return GridFunction(outer, inner, wanted) if all(_has_form(e) for e in wanted) else None


@lru_cache(maxsize=512)
def _has_form(expr: sp.Basic) -> bool:
    for part in sp.preorder_traversal(expr):
        if isinstance(part, sp.Pow):
            # products of very many factors are less accurate than the power they make
            if part.exp.is_Rational and abs(part.exp.p) > 16 and part.exp.q <= 2:
                return False
        elif isinstance(part, Application) and type(part).__name__ not in _FORMS:
            return False
    return True


@lru_cache(maxsize=128)
def _compiled(
    outer: tuple[sp.Symbol, ...], inner: tuple[sp.Symbol, ...], exprs: tuple[sp.Basic, ...], streaming: bool
) -> Mapping[str, Address]:
    sources = []
    definitions, results = shared(list(exprs))
    for name in ("stream" if streaming else "plain", "edge"):
        p = _GridProgram(name, len(outer), len(inner))
        known: dict[Any, Value] = {s: p.given(k) for k, s in enumerate(outer)}
        reader = Reader(p, known | {s: p.along(k) for k, s in enumerate(inner)})
        for symbol, value in definitions:
            reader.define(symbol, value)
        values = [reader.read(e) for e in results]
        for k, value in enumerate(values):
            p.result(k, value)
        sources.append((name, p.text()))
    return build([*sources, ("flush", _FLUSH)] if streaming else sources)


# from the workspace to the address that is otherwise that of the constants; the metadata are those of "stream"
_FLUSH = """define i64 @flush(ptr noalias %W, ptr noalias %C) #0 {
  %line = load <8 x double>, ptr %W, align 64
  store <8 x double> %line, ptr %C, align 64, !nontemporal !0
  ret i64 0
}"""

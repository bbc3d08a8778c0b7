"""A bound on work that does not depend on the machine: function calls are counted, not seconds.

Some short formulas make SymPy search for very long (the order of nested maxima, the sign of a sum of roots). No limit on
their length catches all of them; a count of what is done does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any

import sympy as sp
from sympy.core.cache import clear_cache

_NOT_HERE = ("weakref", "_weakrefset")


class TooMuchWork(BaseException):
    """The count ran out. No Exception, so that nothing on the way out takes it for a failed attempt of its own."""


@cache
def _loaded() -> None:
    """SymPy imports parts of itself when it first adds and compares; that is no work of any formula."""
    x, y = sp.symbols("x y", real=True)
    _ = (sp.sqrt(x + y) * sp.exp(-x) / (1 + y**2) + sp.Max(x, y)).is_real


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Run the block, or raise TooMuchWork after ``calls`` calls of functions, Python or C (of this thread)."""
    _loaded()
    left = calls

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event in ("call", "c_call"):
            left -= 1
            # where Python clears up (a generator that is closed, a weak reference that died) errors are only printed
            if (
                left < 0
                and not frame.f_code.co_flags & CO_GENERATOR
                and frame.f_globals.get("__name__") not in _NOT_HERE
            ):
                raise TooMuchWork

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    except TooMuchWork:
        clear_cache()  # it may hold expressions whose properties were being worked out
        raise
    finally:
        sys.setprofile(before)

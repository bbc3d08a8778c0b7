"""A bound on work that does not depend on the machine: function calls are counted, not seconds.

Some short formulas make SymPy search for very long (the order of nested maxima, the sign of a sum of roots). No limit on
their length catches all of them; a count of what is done does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import sympy as sp
from sympy.core.cache import clear_cache


class TooMuchWork(BaseException):
    """The count ran out. No Exception, so that nothing on the way out takes it for a failed attempt of its own."""


@cache
def _loaded() -> None:
    """SymPy imports parts of itself when it first adds and compares; that is no work of any formula."""
    x, y = sp.symbols("x y", real=True)
    _ = (sp.sqrt(x + y) * sp.exp(-x) / (1 + y**2) + sp.Max(x, y)).is_real


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Run the block, or raise TooMuchWork at its ``calls``-th call of a Python function (of this thread)."""
    _loaded()
    left = calls

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            if left < 0:
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

"""A time limit on symbolic work, whose cost cannot be known beforehand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WHERE = ("sympy", "toymesa.symbolic.rational")


class OutOfTime(BaseException):  # not an Exception: nothing inside SymPy may take it for a failed attempt of its own
    """The time limit is reached."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise :class:`OutOfTime` from the ``with`` block once ``seconds`` have passed.

    Looked at on every call of a function of SymPy, or of ours for rational functions, in this thread, so that any of
    their algorithms ends within milliseconds; a profiler that was active is put back afterwards.
    """
    before, deadline = sys.getprofile(), time.monotonic() + seconds

    def look(frame: Any, event: str, arg: Any) -> None:
        # there alone: from a callback of the garbage collector an exception would be lost
        if event == "call" and time.monotonic() > deadline and frame.f_globals.get("__name__", "").startswith(_WHERE):
            raise OutOfTime

    sys.setprofile(look)
    try:
        yield
    finally:
        if before is None or callable(before):
            sys.setprofile(before)
        else:
            before.enable()  # a profiler in C, such as cProfile

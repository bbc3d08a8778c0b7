"""What can go wrong, one class a kind. Every message is one line: what was wrong, what was got, what is allowed."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C")


class ToymesaError(Exception):
    """Base class of every error that toymesa raises on purpose."""


class ToymesaWarning(UserWarning):
    """Something that is allowed and seldom meant."""


class DomainError(ToymesaError, ValueError):
    """A value of the right type that is outside what is allowed."""


class ArgumentError(ToymesaError, TypeError):
    """A value of the wrong type, or a name that is not an argument."""


class ModelError(ToymesaError, ValueError):
    """A model definition that contradicts itself."""


class ExpressionError(ToymesaError, ValueError):
    """A formula in text that is refused; ``column`` (from 1) says where, None where no place can be named."""

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message if column is None else f"column {column}: {message}")
        self.column = column


class SolveError(ToymesaError, RuntimeError):
    """A single solve that failed; ``status`` names the failure, ``dataset`` holds what was computed."""

    def __init__(self, message: str, *, status: str, dataset: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.dataset = dataset


class StoreError(ToymesaError, RuntimeError):
    """A store of results that cannot be used as asked: it exists, is busy, was made with other settings, is no store."""


class StoreCorrupt(StoreError):
    """A store with a file that is damaged or missing; the message names it and the repair command."""


class PartialSweep(ToymesaError, RuntimeError):
    """A sweep that had to stop before its end (full disk, lost cluster); what is done is kept.

    done, total: cells. dataset: what was computed, where there is no store; else None.
    """

    def __init__(self, message: str, *, done: int, total: int, dataset: object = None) -> None:
        super().__init__(message)
        self.done, self.total, self.dataset = done, total, dataset


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; attributes as of :class:`PartialSweep`."""

    def __init__(self, message: str, *, done: int, total: int, dataset: object = None) -> None:
        super().__init__(message)
        self.done, self.total, self.dataset = done, total, dataset


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'rtol'?"`` for the nearest allowed name, and the list of allowed ones.

    Returns a text to put behind a message: never empty when ``allowed`` is not.
    """
    names = list(allowed)
    if not names:
        return ""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:  # a difference of case alone is the commonest typo that the matcher scores low
        close = [n for n in names if n.lower() == name.lower()][:1]
    hint = f"; did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"{hint} (allowed: {shown})"


def interval_text(
    low: float, high: float, low_open: bool = False, high_open: bool = False, infinite: bool = False
) -> str:
    """An interval as it is written in every message: ``[0, 1]``, ``(0, inf)``; ``infinite`` closes an infinite end."""
    left = "(" if low_open or (low == -math.inf and not infinite) else "["
    right = ")" if high_open or (high == math.inf and not infinite) else "]"
    return f"{left}{low:g}, {high:g}{right}"


def named_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: a keyword that the function does not take is an ArgumentError with the nearest name that it does."""
    allowed = [
        name
        for name, p in inspect.signature(function).parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name != "self"
    ]
    title = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for name in kwargs:
            if name not in allowed:
                raise ArgumentError(f"{title} has no argument {name!r}{did_you_mean(name, allowed)}")
        return function(*args, **kwargs)

    return checked


def named_fields(cls: type[_C]) -> type[_C]:
    """Class decorator: :func:`named_arguments` for a dataclass's fields."""
    cls.__init__ = named_arguments(cls.__init__)  # type: ignore[method-assign]  # the same call, with a better error
    return cls

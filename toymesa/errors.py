"""What can go wrong, one class a kind. Every message is one line: what was wrong, what was got, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ToymesaError(Exception):
    """Base class of every error that toymesa raises on purpose."""


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

"""Arguments of theorem functions, checked as everywhere, and results in the form in which arguments came."""

from __future__ import annotations

from typing import Any

from toymesa.arguments import Array, count, nonnegative, positive, real, scalar
from toymesa.errors import ArgumentError

__all__ = ["Array", "as_given", "count", "nonnegative", "pair", "positive", "real", "scalar"]


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """Two entries, each a number or an array; ArgumentError for anything else."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a pair, one entry for each of the two; got {value!r}") from None
    return first, second


def as_given(value: Array) -> Array:
    """A 0-dimensional array as a plain number, anything else as it is."""
    return value[()]

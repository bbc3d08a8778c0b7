"""Arguments of theorem functions, checked as everywhere, and results in the form in which arguments came."""

from __future__ import annotations

from toymesa.arguments import Array, count, nonnegative, positive, real

__all__ = ["Array", "as_given", "count", "nonnegative", "positive", "real"]


def as_given(value: Array) -> Array:
    """A 0-dimensional array as a plain number, anything else as it is."""
    return value[()]

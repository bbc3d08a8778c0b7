"""Check the arguments of theorem functions once, at the border: arrays of finite numbers inside an interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toymesa.errors import ArgumentError, DomainError

Array = NDArray[np.float64]


def real(
    name: str,
    value: ArrayLike,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Array:
    """``value`` as a float64 array, if every entry is finite and lies between ``low`` and ``high``.

    Raises ArgumentError for what is not a real number, DomainError for a number outside.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} must be real numbers; got {value!r}")
    array = array.astype(np.float64)
    above = array > low if low_open else array >= low
    below = array < high if high_open else array <= high
    inside = above & below & np.isfinite(array)
    if not np.all(inside):
        got = array[~inside].flat[0] if array.ndim else array[()]
        left = "(" if low_open or low == -np.inf else "["
        right = ")" if high_open or high == np.inf else "]"
        raise DomainError(f"{name} must lie in {left}{low:g}, {high:g}{right}; got {float(got):g}")
    return array


def positive(name: str, value: ArrayLike) -> Array:
    """``value`` as an array of finite numbers above 0."""
    return real(name, value, 0.0, low_open=True)


def nonnegative(name: str, value: ArrayLike) -> Array:
    """``value`` as an array of finite numbers, 0 or more."""
    return real(name, value, 0.0)


def count(name: str, value: ArrayLike, minimum: int = 2) -> Array:
    """``value`` as a float64 array of whole numbers, ``minimum`` or more."""
    array = real(name, value, minimum)
    whole = array == np.floor(array)
    if not np.all(whole):
        raise DomainError(f"{name} must be whole numbers, {minimum} or more; got {array[~whole].flat[0]:g}")
    return array


def as_given(value: Array) -> Array:
    """A 0-dimensional array as a plain number, anything else as it is."""
    return value[()]

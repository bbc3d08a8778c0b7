"""Arguments that are numbers, checked once at the border: one cast, one check of the interval, one wording."""

from __future__ import annotations

import math
import numbers as towers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toymesa.errors import ArgumentError, DomainError, interval_text

Array = NDArray[np.float64]
_KINDS = (  # what a value that is no real number is called; the first type that fits
    (type(None), "None"),
    (bool | np.bool_, "a boolean"),
    (str | bytes, "text"),
    (towers.Complex, "a complex number"),
)


def numbers(name: str, value: Any) -> Array:
    """Real numbers of any shape as float64, NaN and infinities included.

    Exact numbers (fractions, SymPy numbers) are taken as well. ArgumentError for text, booleans, complex numbers, None,
    arrays of objects and ragged lists, with the place of the first; DomainError for a whole number beyond float64.
    """
    if value is None:
        raise ArgumentError(f"{name} is missing; got None")
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"{name} must be numbers in a regular shape; got {_shown(value)}") from error
    mixed = isinstance(value, list | tuple) and any(isinstance(v, bool | np.bool_) for v in value)
    if raw.dtype.kind in "fiu" and not mixed:
        with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf, which has its own check
            return raw.astype(np.float64)
    if raw.dtype.kind == "O" and isinstance(value, np.ndarray):
        raise ArgumentError(f"{name} must be real numbers; got an array of objects: {_shown(value)}")
    entries = np.asarray(value, dtype=object)
    out = np.empty(entries.shape)
    for place in np.ndindex(entries.shape):
        out[place] = _float(name, entries[place], place)
    return out


def all_finite(values: Array) -> bool:
    """Whether all numbers are finite."""
    # a finite sum has finite terms alone, and is the quicker question
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def finite_rows(values: Array) -> NDArray[np.bool_]:
    """Whether all numbers along the last axis are finite."""
    # 0 times what is not finite is NaN, and a product reads the memory only once
    if values.flags.c_contiguous and values.size:
        with np.errstate(invalid="ignore"):
            zeros = values.reshape(-1, values.shape[-1]) @ np.zeros(values.shape[-1])
        return np.asarray(zeros == 0.0).reshape(values.shape[:-1])
    if all_finite(values):
        return np.ones(values.shape[:-1], dtype=bool)
    return np.asarray(np.isfinite(values).all(axis=-1))


def _float(name: str, entry: Any, place: tuple[int, ...]) -> float:
    at = f" at index {', '.join(map(str, place))}" if place else ""
    # a SymPy number says itself that it is real; SymPy need not be loaded to ask
    exact = getattr(entry, "is_number", False) is True and getattr(entry, "is_real", False) is True
    real = isinstance(entry, towers.Real) and not isinstance(entry, bool | np.bool_)
    if not (exact or real):
        kind = next((k for t, k in _KINDS if isinstance(entry, t)), type(entry).__name__)
        raise ArgumentError(
            f"{name} must be real numbers; got {kind}{at}{'' if entry is None else f': {_shown(entry)}'}"
        )
    try:
        return float(entry)
    except OverflowError:
        raise DomainError(f"{name} must be within the range of floating point; got {_shown(entry)}{at}") from None


def _shown(value: Any) -> str:
    """A value in one line of at most 60 characters."""
    text = " ".join(repr(value).split()) if not isinstance(value, int) or abs(value) < 10**60 else "a huge whole number"
    return text if len(text) <= 60 else text[:57] + "..."


def real(
    name: str,
    value: ArrayLike,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
    infinite: bool = False,
    why: str = "",
) -> Array:
    """``value`` as a float64 array, if every entry lies between ``low`` and ``high`` and is finite.

    infinite: an infinite end that ``value`` may equal. why: what the interval comes from, for the message. Raises
    ArgumentError for what is not a real number, DomainError with the first number that is outside.
    """
    array = numbers(name, value)
    above = array > low if low_open else array >= low
    below = array < high if high_open else array <= high
    inside = above & below & (infinite | np.isfinite(array))
    if not np.all(inside):
        place = tuple(int(i) for i in np.argwhere(~inside)[0])
        at = f" at index {', '.join(map(str, place))}" if place else ""
        allowed = interval_text(low, high, low_open, high_open, infinite)
        raise DomainError(f"{name} must lie in {allowed}{why and f' ({why})'}; got {float(array[place]):g}{at}")
    return array


def scalar(name: str, value: Any, low: float = -math.inf, high: float = math.inf, **how: Any) -> float:
    """One number as a float, in the interval of :func:`real`, whose options these are."""
    array = numbers(name, value)
    if array.ndim:
        raise ArgumentError(f"{name} must be one number; got {_shown(value)}")
    return float(real(name, array, low, high, **how))


def positive(name: str, value: ArrayLike) -> Array:
    """``value`` as an array of finite numbers above 0."""
    return real(name, value, 0.0, low_open=True)


def nonnegative(name: str, value: ArrayLike) -> Array:
    """``value`` as an array of finite numbers, 0 or more."""
    return real(name, value, 0.0)


def count(name: str, value: ArrayLike, minimum: int = 2, maximum: float = math.inf) -> Array:
    """``value`` as a float64 array of whole numbers from ``minimum`` to ``maximum``."""
    array = real(name, value, minimum, maximum)
    whole = array == np.floor(array)
    if not np.all(whole):
        allowed = f"{minimum} or more" if maximum == math.inf else f"from {minimum} to {maximum:g}"
        raise DomainError(f"{name} must be whole numbers, {allowed}; got {array[~whole].flat[0]:g}")
    return array


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """One whole number from ``low`` to ``high``; ArgumentError for another type (1.0 included), DomainError outside."""
    allowed = f"{low} or more" if high is None else f"from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a whole number, {allowed}; got {_shown(value)}")
    if value < low or (high is not None and value > high):
        raise DomainError(f"{name} must be a whole number, {allowed}; got {_shown(value)}")
    return int(value)


def generator(name: str, value: Any) -> tuple[np.random.Generator, int | None]:
    """A Generator from a seed, a Generator or None (fresh entropy), and the seed if one was given."""
    if value is None or isinstance(value, np.random.Generator):
        return np.random.default_rng(value), None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a Generator or a non-negative integer; got {_shown(value)}")
    if value < 0:
        raise DomainError(f"{name} must be a Generator or a non-negative integer; got {_shown(value)}")
    return np.random.default_rng(int(value)), int(value)

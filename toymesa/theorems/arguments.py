"""Arguments of theorem functions, checked as everywhere, and results in the form in which arguments came."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np

from toymesa.arguments import Array, count, nonnegative, positive, real, scalar
from toymesa.errors import ArgumentError, DomainError

__all__ = [
    "Array",
    "as_given",
    "count",
    "exponent",
    "known",
    "nonnegative",
    "one_count",
    "pair",
    "positive",
    "real",
    "scalar",
    "vectorized",
]

P = ParamSpec("P")
R = TypeVar("R")


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """Two entries, each a number or an array; ArgumentError for anything else."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a pair, one entry for each of the two; got {value!r}") from None
    return first, second


def one_count(name: str, value: Any, minimum: int, maximum: float = np.inf) -> int:
    """One whole number from ``minimum`` to ``maximum``, given as any kind of number."""
    return int(count(name, scalar(name, value), minimum, maximum))


def as_given(value: Array) -> Array:
    """A 0-dimensional array as a plain number, anything else as it is."""
    return value[()]


def known(value: Array) -> Array:
    """The value, where every entry is a number or infinite; otherwise what :func:`vectorized` reports."""
    if np.any(np.isnan(value)):
        raise FloatingPointError("not a number")
    return value


def exponent(*values: Array) -> Array:
    """The power of two just above the largest of the sizes: a unit to compute in without overflow or loss of a digit."""
    return np.asarray(np.frexp(functools.reduce(np.maximum, (np.abs(v) for v in values)))[1])


def vectorized(**axes: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A theorem function of numbers or arrays: what holds for all of them.

    axes : arguments with axes of their own behind the common ones, and how many. All arguments annotated as ArrayLike (a
        pair of them, keywords of that type) must broadcast, apart from these axes; those with one axis of their own must
        broadcast in it too. Matrices are left to the function.

    Shapes that do not broadcast are an ArgumentError that names the arguments and their shapes. What leaves the range of
    floating point becomes its limit, 0 or inf, without a warning; where no limit follows (inf - inf, 0 inf) it is a
    DomainError with the most extreme argument, not nan.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given = dict(_arrays(signature, axes, args, kwargs))
            _check_shapes({n: s for n, s in ((n, _shape(v)) for n, v in given.items()) if s}, axes)
            try:
                with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="raise"):
                    return function(*args, **kwargs)
            except FloatingPointError:
                raise DomainError(
                    f"{function.__name__} leaves the range of floating point{_extreme(given)}; no limit follows there"
                ) from None

        return checked

    return decorate


def _arrays(signature: inspect.Signature, axes: dict[str, int], args: Any, kwargs: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of every argument that broadcasts; the entries of a pair by name and index."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return  # the call itself says it better
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        many = parameter.kind is parameter.VAR_KEYWORD
        for key, one in value.items() if many else ((name, value),):
            if "ArrayLike" not in str(parameter.annotation) and key not in axes:
                continue
            if "tuple" in str(parameter.annotation) and isinstance(one, tuple | list):
                yield from ((f"{key}[{i}]", part) for i, part in enumerate(one))
            else:
                yield key, one


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:
        return ()  # ragged, which the function's own check names


def _check_shapes(shapes: dict[str, tuple[int, ...]], axes: dict[str, int]) -> None:
    in_front = {n: s[: len(s) - axes.get(n, 0)] if axes.get(n, 0) <= len(s) else () for n, s in shapes.items()}
    with_own = {n: s for n, s in shapes.items() if axes.get(n) == 1}
    for group in (in_front, with_own):
        try:
            np.broadcast_shapes(*group.values())
        except ValueError:
            text = ", ".join(f"{n} {shapes[n]}" for n, s in group.items() if s)
            raise ArgumentError(f"the shapes of the arguments must broadcast; got {text}") from None


def _extreme(given: dict[str, Any]) -> str:
    """The argument whose logarithm is farthest from 0, in words."""
    farthest, words = 0.0, ""
    for name, value in given.items():
        try:
            sizes = np.abs(np.asarray(value, dtype=float)).ravel()
        except (TypeError, ValueError):
            continue
        sizes = sizes[(sizes > 0.0) & np.isfinite(sizes)]
        if sizes.size and np.abs(np.log(sizes)).max() > farthest:
            worst = sizes[np.abs(np.log(sizes)).argmax()]
            farthest, words = float(np.abs(np.log(worst))), f" with {name} of size {worst:g}"
    return words

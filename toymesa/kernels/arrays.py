"""Symbolic formulas as functions of numpy arrays: closed forms and theorems. No compilation, no numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.kernels.entire import ENTIRE
from toymesa.kernels.printer import ArrayPrinter, statements

Array = NDArray[np.float64]


class _Special:
    """scipy.special, imported by the first formula that needs it: most need none, and it takes a while."""

    def __getattr__(self, name: str) -> Any:
        from scipy import special

        return getattr(special, name)


special: Any = _Special()


def _lambertw(x: Array, branch: Array | float = 0.0) -> Array:
    value = special.lambertw(x, np.asarray(branch, dtype=int))
    return np.where(value.imag == 0, value.real, np.nan)


def _chi(x: Array) -> Array:
    return np.asarray(special.shichi(x)[1])


def _shi(x: Array) -> Array:
    return np.asarray(special.shichi(x)[0])


_NAMES: dict[str, Any] = {
    "np": np,
    "special": special,
    "lambertw": _lambertw,
    "chi": _chi,
    "shi": _shi,
    "entire": ENTIRE,
}


@lru_cache(maxsize=512)
def _compiled(args: tuple[sp.Symbol, ...], exprs: tuple[sp.Basic, ...]) -> Callable[..., tuple[Any, ...]]:
    names = {s: f"a{i}" for i, s in enumerate(args)}
    lines, results = statements(exprs, ArrayPrinter, names)
    body = "\n".join(f"    {line}" for line in [*lines, f"return ({', '.join(results)},)"])
    source = f"def f({', '.join(names.values())}):\n{body}\n"
    scope = dict(_NAMES)
    # printed by our own printer from a SymPy tree, with positional names only: no text of a user's gets here
    exec(compile(source, "<toymesa formula>", "exec"), scope)
    function: Callable[..., tuple[Any, ...]] = scope["f"]
    return function


@lru_cache(maxsize=4096)
def symbols_of(*exprs: sp.Basic) -> frozenset[sp.Symbol]:
    """All symbols of some expressions; SymPy walks through a whole expression whenever it is asked."""
    return frozenset().union(*(e.free_symbols for e in exprs))


def array_function(args: Sequence[sp.Symbol], exprs: Any) -> Callable[..., Any]:
    """A numpy function of symbolic expressions; arrays and scalars broadcast, results are float64 of the full shape.

    args: symbols in calling order. exprs: one expression, or a sequence (the function then returns a tuple).
    Where a formula leaves its domain the result is NaN or inf, without warnings. Raises ModelError for a symbol that is
    not an argument and for a function that has no array form.
    """
    single = isinstance(exprs, sp.Basic)
    wanted = (exprs,) if single else tuple(sp.sympify(e, strict=True) for e in exprs)
    function = _compiled(tuple(args), wanted)

    def evaluate(*values: Any) -> Any:
        out = tuple(_broadcast(function, values, np.float64))
        return out[0] if single else out

    return evaluate


def relation_function(args: Sequence[sp.Symbol], relations: Sequence[Any]) -> Callable[..., list[NDArray[np.bool_]]]:
    """Which of some conditions hold, for arrays of arguments: one boolean array a condition. ``Eq`` is exact equality."""
    function = _compiled(tuple(args), tuple(relations))

    return lambda *values: _broadcast(function, values, np.bool_)


def _broadcast(function: Callable[..., tuple[Any, ...]], values: Sequence[Any], kind: type[Any]) -> list[Any]:
    """Every result as an array of the shape that the arguments broadcast to, without warnings."""
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    with np.errstate(all="ignore"):
        return [np.array(np.broadcast_to(r, shape), dtype=kind) for r in function(*arrays)]

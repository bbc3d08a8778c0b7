"""A function of the user's as a measure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from toymesa.arguments import numbers
from toymesa.errors import ArgumentError
from toymesa.sweep.ensemble import Simulated
from toymesa.sweep.reading import Measure, Variable, named
from toymesa.sweep.solved import Solved
from toymesa.symbolic.model import Model


@dataclass(frozen=True)
class Function:
    """A call a cell."""

    call: Callable[..., Any]
    names: tuple[str, ...]
    random: bool
    noise: ClassVar[bool | None] = None  # it takes what there is of a cell

    def describe(self) -> dict[str, Any]:
        """The measure as JSON data."""
        return {"measure": "function", "names": list(self.names), "code": function_fingerprint(self.call)}

    def variables(self, model: Model, times: tuple[float, ...] | None) -> tuple[Variable, ...]:
        """What it fills, or an error in one line."""
        return tuple(Variable(n) for n in self.names)

    def read(self, solved: Solved | Simulated) -> dict[str, NDArray[Any]]:
        """Its values for the rows of one solved batch."""
        out = np.full((len(self.names), solved.rows), np.nan)
        for row in map(int, np.flatnonzero(solved.main.ok)):
            try:
                given = (solved.stream(row),) if self.random else ()
                got = self.call(solved.cell(row), *given)
                found = [got[n] for n in self.names] if isinstance(got, Mapping) else np.atleast_1d(got)
                out[:, row] = [numbers(f"measure {n!r}", v).item() for n, v in zip(self.names, found, strict=True)]
            except Exception as error:  # a user's code may raise anything; one cell must not cost the others
                solved.failed(row, f"measure {self.names[0]!r}: {type(error).__name__}: {error}")
        return dict(zip(self.names, out, strict=True))


def function(call: Callable[..., Any], name: str | Sequence[str] | None = None, *, random: bool = False) -> Measure:
    """A function of yours, called for every cell that was solved.

    call : takes the cell's trajectory as an ``xarray.Dataset`` (states and observables over ``time``, of a model with noise
        over ``path`` and ``time``; parameters as scalar variables) and returns a number, or as many as there are names (a
        sequence or a mapping).
    name : of the result, or a list of names; default the function's name. random: pass a second argument, a Generator of
        the cell's own. An exception gives the cell the status ``measure_failed``; the first message is kept in the
        result's attribute ``notes``. For other processes the function must be defined in a module they can import.
    """
    if not callable(call):
        raise ArgumentError(f"a measure function must be callable; got {call!r}")
    if name is None:
        name = getattr(call, "__name__", "")
    names = (name,) if isinstance(name, str) else tuple(name)
    if not names or not all(isinstance(n, str) and n.isidentifier() for n in names):
        raise ArgumentError(f"a measure function needs a name that is an identifier; got {name!r}")
    return Function(call, tuple(named(n) for n in names), random)


def function_fingerprint(call: Callable[..., Any]) -> str:
    """Name and a hash of the compiled body and of the plain values it was made with (defaults, a closure, ``partial``).

    Enough to notice that a function was changed between two runs. What it finds elsewhere (globals, a file) is not in it.
    """
    name = f"{getattr(call, '__module__', '?')}.{getattr(call, '__qualname__', type(call).__name__)}"
    if not hasattr(call, "__code__") and not isinstance(call, partial):
        return name
    return f"{name}:{hashlib.sha256(repr(_content(call)).encode()).hexdigest()[:16]}"


def _content(value: Any, deep: int = 8) -> Any:
    """What is hashed of a function or of a value that it holds: of an object that is no plain value its type alone.

    deep: how far to follow functions that hold functions, which may hold each other.
    """

    def inside(values: Any) -> list[Any]:
        return [_content(v, deep - 1) for v in values or ()]

    if deep == 0:
        return "further"
    if isinstance(value, partial):
        return "partial", inside([value.func, value.args, value.keywords])
    if isinstance(value, MethodType):
        return "method", inside([value.__func__])
    if isinstance(value, FunctionType):
        held = [c.cell_contents for c in value.__closure__ or () if c != CellType()]
        return "function", inside([value.__code__, value.__defaults__, value.__kwdefaults__, held])
    if isinstance(value, CodeType):
        return value.co_code, inside(value.co_consts), value.co_names
    if isinstance(value, list | tuple):
        return type(value).__name__, inside(value)
    if isinstance(value, dict):
        return "dict", inside(value.items())
    if isinstance(value, set | frozenset):
        return "set", sorted(map(repr, inside(value)))  # their order is that of the hashes, which a process draws
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufcSU":
        return "array", value.shape, value.dtype.str, hashlib.sha256(value.tobytes()).hexdigest()
    plain = value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic)
    return repr(value) if plain else type(value).__qualname__

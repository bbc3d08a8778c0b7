"""A function of the user's as a measure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    """Name and a hash of the compiled body: enough to notice that a function was changed between two runs."""
    code = getattr(call, "__code__", None)
    name = f"{getattr(call, '__module__', '?')}.{getattr(call, '__qualname__', type(call).__name__)}"
    if code is None:
        return name
    body = repr((code.co_code, [c for c in code.co_consts if not hasattr(c, "co_code")], code.co_names)).encode()
    return f"{name}:{hashlib.sha256(body).hexdigest()[:16]}"

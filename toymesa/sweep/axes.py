"""What varies in a sweep: grids, lists of points, random and low-discrepancy samples, all read by index.

A design never holds the grid: the values of any block of cells are computed from their indices, so memory is bounded by
the block and the sum of the axes' lengths, not by their product.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.arguments import Array, numbers, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.symbolic.model import check_name

Index = NDArray[np.int64]

DESIGNS = ("grid", "points", "random", "sobol", "halton")
RESERVED = frozenset({"time", "state", "status", "nsteps", "cell", "t"})
_MOST_SOBOL = 2**30
_SAMPLE_BLOCK = 1024  # random samples are drawn in blocks of this many, each from a stream of its own


@dataclass(frozen=True, eq=False)
class Column:
    """One quantity that varies along one dimension. target: "param", "start" or "structure"."""

    target: str
    name: str
    dim: str
    values: Any  # an array of numbers, or for structure an array of positions in ``choices``
    choices: tuple[tuple[str, Any], ...] = ()  # label and value, of structural columns
    ranged: tuple[float, float, str] | None = None  # of sampled columns: low, high, "linear" or "log"

    @property
    def label(self) -> str:
        """The coordinate's name in results: ``start_<name>`` for starts."""
        return f"start_{self.name}" if self.target == "start" else self.name

    def fingerprint(self, count: int) -> str:
        """A hash of the first ``count`` values, or of the range they are drawn from."""
        if self.ranged is not None:
            return repr(self.ranged)
        raw = [c[0] for c in (self.choices[i] for i in self.values[:count])] if self.choices else None
        data = repr(raw).encode() if raw is not None else np.ascontiguousarray(self.values[:count]).tobytes()
        return sha256(data).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Design:
    """Dimensions with their sizes, and the columns along them.

    kind: one of ``DESIGNS``. seed: of sampled designs.
    """

    kind: str
    sizes: dict[str, int]
    columns: tuple[Column, ...]
    seed: int = 0

    @cached_property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, in the order given."""
        return tuple(self.sizes)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(self.sizes.values())

    @property
    def sampled(self) -> bool:
        """Whether the points are drawn: then their coordinates are computed with the results."""
        return self.kind in ("random", "sobol", "halton")

    def values(self, index: Index) -> dict[Column, Any]:
        """The value of every column at cells ``index`` (row, dimension); positions of choices for structure."""
        if not self.sampled:
            return {c: np.take(c.values, index[:, self.dims.index(c.dim)]) for c in self.columns}
        unit = self._unit(index[:, 0])
        return {c: between(c.ranged or (0.0, 1.0, "linear"), unit[:, j]) for j, c in enumerate(self.columns)}

    def _unit(self, index: Index) -> Array:
        """Points of the unit cube, by their numbers."""
        width = len(self.columns)
        if self.kind == "random":
            out = np.empty((index.size, width))
            for block in np.unique(index // _SAMPLE_BLOCK):
                stream = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(0, int(block))))
                drawn = stream.random((_SAMPLE_BLOCK, width))
                mine = index // _SAMPLE_BLOCK == block
                out[mine] = drawn[index[mine] % _SAMPLE_BLOCK]
            return out
        from scipy.stats import qmc

        low, high = int(index.min()), int(index.max()) + 1
        make = qmc.Sobol if self.kind == "sobol" else qmc.Halton
        engine = make(width, scramble=True, rng=np.random.default_rng(self.seed))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The balance properties of Sobol")  # a block is no whole sequence
            points = engine.fast_forward(low).random(high - low) if low else engine.random(high)
        return np.asarray(points[index - low])


def between(ranged: tuple[float, float, str], unit: Array) -> Array:
    """Numbers of a range, by how far they are along it, 0 to 1; the ends may be as far apart as floating point allows."""
    low, high, scale = ranged
    with np.errstate(over="ignore"):  # by rounding, next to the largest number
        if scale == "linear":
            found = low + unit * (high - low) if high - low < math.inf else low * (1.0 - unit) + high * unit
        elif high / low < math.inf:
            found = low * np.exp(unit * np.log(high / low))
        else:
            root = np.exp(unit * ((math.log(high) - math.log(low)) / 2))
            found = low * root * root
    return np.asarray(np.clip(found, low, high))


# ---------------------------------------------------------------- from what a user passes


@dataclass(frozen=True)
class Names:
    """What may vary: parameters and starts of the models, keywords of the factory."""

    params: tuple[str, ...]
    starts: tuple[str, ...]
    structure: tuple[str, ...]

    def target(self, given: Any) -> tuple[str, str]:
        """Target and bare name of an axis; ArgumentError with the nearest name for an unknown one."""
        name = given if isinstance(given, str) else getattr(given, "name", None)
        if not isinstance(name, str):
            raise ArgumentError(f"a name in over must be text or a symbol; got {given!r}")
        if name in self.structure:
            return "structure", name
        if name in self.params:
            return "param", name
        bare = name.removeprefix("start_")
        for candidate in (name, bare):
            if candidate in self.starts:
                return "start", candidate
        allowed = [*self.structure, *self.params, *(f"start_{n}" for n in self.starts)]
        raise ArgumentError(f"over has no axis {name!r}{did_you_mean(name, allowed)}")


def design(over: Any, names: Names, *, kind: str | None, samples: Any, seed: int) -> Design:
    """The design that ``over``, ``design`` and ``samples`` of :func:`toymesa.sweep` describe, checked."""
    if kind is None:
        kind = "grid" if isinstance(over, Mapping) else "points"
    if kind not in DESIGNS:
        raise DomainError(f"there is no design {kind!r}{did_you_mean(str(kind), DESIGNS)}")
    if hasattr(over, "to_dict") and not isinstance(over, Mapping | xr.Dataset | xr.DataArray):  # a table of pandas
        over = over.to_dict("records")
    if isinstance(over, Mapping) and not over:
        raise DomainError("over must name at least one axis; for a single cell use solve")
    if kind in ("random", "sobol", "halton"):
        return _sampled(over, names, kind, samples, seed)
    if samples is not None:
        raise ArgumentError(f"samples goes with the designs random, sobol and halton; the design is {kind!r}")
    return _points(over, names) if kind == "points" else _grid(over, names)


def _grid(over: Any, names: Names) -> Design:
    if not isinstance(over, Mapping):
        raise ArgumentError(f"over must be a mapping from name to values for a grid; got {type(over).__name__}")
    columns: list[Column] = []
    sizes: dict[str, int] = {}
    for given, values in over.items():
        target, name = names.target(given)
        label = f"start_{name}" if target == "start" else name
        dim = label
        if isinstance(values, xr.DataArray):
            if values.ndim != 1:
                raise DomainError(f"axis {label!r} must have one dimension; got {values.dims}")
            dim = str(values.dims[0])
            values = values.values
        column = _column(target, name, dim, values, unique=dim == label)
        _distinct(columns, column)
        size = len(column.values)
        if sizes.setdefault(dim, size) != size:
            raise DomainError(f"dimension {dim!r} has {sizes[dim]} values, but {label!r} gives {size}")
        columns.append(column)
    for dim in sizes:
        if dim in RESERVED:
            raise DomainError(f"a dimension must not be called {dim!r}: the name is reserved")
        check_name(dim, "a dimension")
        if dim in {c.label for c in columns if c.dim != dim}:
            raise DomainError(f"{dim!r} is both a dimension and an axis along another one")
    return Design("grid", sizes, tuple(columns))


def _points(over: Any, names: Names) -> Design:
    if isinstance(over, Mapping):
        table = {k: list(v) for k, v in over.items()}
    else:
        if isinstance(over, str | bytes) or not isinstance(over, Sequence) or not over:
            shown = " ".join(repr(over).split())[:60]
            raise ArgumentError(f"over must be a mapping or a non-empty list of points; got {shown}")
        table = {}
        for i, point in enumerate(over):
            if not isinstance(point, Mapping):
                raise ArgumentError(f"point {i} must be a mapping from name to value; got {point!r}")
            if i and set(point) != set(table):
                raise DomainError(f"point {i} must name {sorted(map(str, table))}; got {sorted(map(str, point))}")
            for k, v in point.items():
                table.setdefault(k, []).append(v)
    columns: list[Column] = []
    for given, values in table.items():
        column = _column(*names.target(given), "point", values, unique=False)
        _distinct(columns, column)
        columns.append(column)
    if not columns:
        raise DomainError("over must name at least one axis in every point")
    lengths = {c.label: len(c.values) for c in columns}
    if len(set(lengths.values())) > 1:
        raise DomainError(f"points need as many values of each; got {lengths}")
    return Design("points", {"point": next(iter(lengths.values()))}, tuple(columns))


def _sampled(over: Any, names: Names, kind: str, samples: Any, seed: int) -> Design:
    if not isinstance(over, Mapping):
        raise ArgumentError(f"over must be a mapping from name to (low, high) for the design {kind!r}; got {over!r}")
    if samples is None:
        raise ArgumentError(f"the design {kind!r} needs samples, a whole number")
    size = whole("samples", samples, 1, _MOST_SOBOL if kind == "sobol" else 2**62)
    columns: list[Column] = []
    for given, value in over.items():
        target, name = names.target(given)
        if target == "structure":
            raise DomainError(f"structural option {name!r} cannot be drawn; use a grid or points")
        column = Column(target, name, "sample", None, ranged=interval(value, name))
        _distinct(columns, column)
        columns.append(column)
    return Design(kind, {"sample": size}, tuple(columns), seed)


def interval(value: Any, name: str) -> tuple[float, float, str]:
    """``(low, high)`` or ``(low, high, "log")``, checked."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) not in (2, 3):
        raise ArgumentError(f"the range of {name!r} must be (low, high) or (low, high, 'log'); got {value!r}")
    low, high = scalar(f"low end of {name!r}", value[0]), scalar(f"high end of {name!r}", value[1])
    scale = value[2] if len(value) == 3 else "linear"
    if scale not in ("linear", "log"):
        raise DomainError(f"the scale of {name!r} must be 'linear' or 'log'; got {scale!r}")
    if not low < high or (scale == "log" and low <= 0):
        need = "0 < low < high" if scale == "log" else "low < high"
        raise DomainError(f"the range of {name!r} must have {need}; got {low:g} to {high:g}")
    return low, high, scale


def _column(target: str, name: str, dim: str, values: Any, *, unique: bool) -> Column:
    label = f"start_{name}" if target == "start" else name
    if target == "structure":
        return _structural(name, dim, values, unique=unique)
    array = numbers(f"axis {label!r}", values)
    if array.ndim != 1:
        raise DomainError(f"axis {label!r} must be a list of numbers; got shape {array.shape}")
    if array.size == 0:
        raise DomainError(f"axis {label!r} must not be empty")
    if not np.isfinite(array).all():
        raise DomainError(f"axis {label!r} must hold finite numbers only")
    if unique and np.unique(array).size < array.size:
        raise DomainError(f"axis {label!r} has duplicate values; use a list of points for repeated ones")
    return Column(target, name, dim, np.ascontiguousarray(array))


def _structural(name: str, dim: str, values: Any, *, unique: bool) -> Column:
    """A mapping from label to value, or a list of values that are their own labels."""
    if isinstance(values, Mapping):
        pairs = [(str(k), v) for k, v in values.items()]
    elif isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise ArgumentError(
            f"axis {name!r} must be a list of options, or a mapping from label to option; got {values!r}"
        )
    else:
        pairs = [(_label(v), v.item() if isinstance(v, np.generic) else v) for v in values]
    if not pairs:
        raise DomainError(f"axis {name!r} must not be empty")
    choices = tuple(dict(pairs).items())
    if unique and len(choices) < len(pairs):
        raise DomainError(f"axis {name!r} has duplicate options")
    where = {label: i for i, (label, _) in enumerate(choices)}
    return Column("structure", name, dim, np.array([where[label] for label, _ in pairs], dtype=np.int64), choices)


def _label(value: Any) -> str:
    if isinstance(value, str | int | float | bool | np.generic) or value is None:
        return str(value)
    if isinstance(value, list | tuple):
        return ",".join(_label(v) for v in value)
    return getattr(value, "__name__", None) or repr(value)


def _distinct(columns: Sequence[Column], new: Column) -> None:
    if any(c.label == new.label for c in columns):
        raise ArgumentError(f"over gives {new.label!r} twice, as a symbol and as a name")

"""What a search for fixed points returns: points with their certificates, continua, and what stayed undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Box = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """One fixed point, proved to exist and to be the only one in its neighbourhood.

    state : name -> the double nearest to it. enclosure : name -> bounds that hold it for certain.
    eigenvalues : of the linearization, fastest growing first (multipliers of a map). kind : one of
    ``toymesa.analyse.KINDS``; its sign is proved unless it is "centre" or "undecided".
    shares : the coordinates of a simplex there, where the model has one.
    """

    state: Mapping[str, float]
    enclosure: Box
    eigenvalues: tuple[complex, ...]
    kind: str
    certified: bool = True
    shares: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of a point."""
        return {
            "state": dict(self.state),
            "enclosure": {n: list(ends) for n, ends in self.enclosure.items()},
            "eigenvalues": [[v.real, v.imag] for v in self.eigenvalues],
            "kind": self.kind,
            "certified": self.certified,
        }


@dataclass(frozen=True, kw_only=True)
class Continuum:
    """A curve or surface of fixed points.

    dimension : 1 for a curve. through : a point on it. kind : stability in the directions that lead off it ("drift":
    all of them decay). eigenvalues : all of them there, as many zero as the dimension. certified : the dimension is
    proved (fewer independent equations than states, of full rank there); otherwise it was recognized by numbers.
    """

    dimension: int
    through: Mapping[str, float]
    kind: str
    eigenvalues: tuple[complex, ...] = ()
    certified: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of a continuum."""
        return {"dimension": self.dimension, "through": dict(self.through), "kind": self.kind}


@dataclass(frozen=True, kw_only=True, repr=False)
class Census:
    """The fixed points of a model in a box, or all of them where no box was needed.

    points : isolated ones. continua : curves and surfaces of fixed points, one entry a kind of stability found on each.
    undecided : boxes that may hold more. complete : every fixed point in ``box`` is among the points or on one of the
    continua; proved. box : name -> bounds that were searched; None for everywhere. boxes : how many boxes it took.
    notes : what else a reader must know, such as a budget that is spent.
    """

    model: str
    params: Mapping[str, float]
    points: tuple[FixedPoint, ...]
    continua: tuple[Continuum, ...]
    undecided: tuple[Box, ...]
    complete: bool
    box: Box | None
    boxes: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of ``toymesa fixed-points --json``."""
        return {
            "points": [p.to_dict() for p in self.points],
            "continua": [c.to_dict() for c in self.continua],
            "undecided": [{n: list(ends) for n, ends in box.items()} for box in self.undecided],
            "complete": self.complete,
        }

    def __str__(self) -> str:
        where = "everywhere" if self.box is None else "in " + ", ".join(f"{n} {_ends(e)}" for n, e in self.box.items())
        end = "complete" if self.complete else "NOT complete"
        lines = [f"{self.model}: {_count(len(self.points), 'fixed point')} {where}; {end}"]
        for p in self.points:
            lines.append(f"  {p.kind:15} {_state(p.state)}{_shares(p.shares)}  eigenvalues {_values(p.eigenvalues)}")
        for c in self.continua:
            proof = "" if c.certified else " (by numbers, not proved)"
            lines.append(f"  {c.kind:15} {_shape(c.dimension)} of fixed points through {_state(c.through)}{proof}")
        for box in self.undecided[:8]:
            lines.append(f"  {'undecided':15} " + ", ".join(f"{n} in {_ends(e)}" for n, e in box.items()))
        if len(self.undecided) > 8:
            lines.append(f"  {'undecided':15} and {len(self.undecided) - 8} more boxes")
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _ends(ends: Sequence[float]) -> str:
    return f"[{ends[0]:.6g}, {ends[1]:.6g}]"


def _state(state: Mapping[str, float]) -> str:
    return ", ".join(f"{n} = {v:.6g}" for n, v in state.items())


def _shares(shares: Mapping[str, float]) -> str:
    return f"  ({_state(shares)})" if shares else ""


def _values(values: Sequence[complex]) -> str:
    shown = [f"{v.real:.4g}" if v.imag == 0 else f"{v.real:.4g}{v.imag:+.4g}i" for v in values]
    return ", ".join(shown)


def _shape(dimension: int) -> str:
    return {1: "a line", 2: "a surface"}.get(dimension, f"a set of dimension {dimension}")

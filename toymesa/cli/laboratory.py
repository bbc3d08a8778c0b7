"""The commands of the stability laboratory."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from toymesa.cli import OK, PARTIAL
from toymesa.cli.arguments import assignments, emit, find_model, interval
from toymesa.errors import ArgumentError
from toymesa.symbolic.model import Model

if TYPE_CHECKING:
    from toymesa.analyse import Census


def boxes(pairs: list[str]) -> dict[str, tuple[float, float]]:
    """``name=lo:hi`` as bounds by name."""
    out: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ArgumentError(f"--box takes name=lo:hi; got {pair!r}")
        if name in out:
            raise ArgumentError(f"--box gives {name!r} twice")
        out[name] = interval(text, f"--box {name}")
    return out


def run_fixed_points(arguments: argparse.Namespace) -> int:
    """Every fixed point."""
    census = _census(find_model(arguments.model, arguments.mechanisms), arguments)
    emit(arguments, census.to_dict(), str(census))
    return _code(census, "fixed-points")


def run_stability(arguments: argparse.Namespace) -> int:
    """Stability at one point, or at every isolated fixed point."""
    from toymesa.analyse import stability

    model = find_model(arguments.model, arguments.mechanisms)
    params = assignments(arguments.params, "--set")
    if arguments.at:
        found = [stability(model, assignments(arguments.at, "--at"), params=params)]
        emit(arguments, {"points": [s.to_dict() for s in found]}, str(found[0]))
        return OK
    census = _census(model, arguments)
    through = [p.state for p in census.points] + [c.through for c in census.continua]
    found = [stability(model, point, params=params) for point in through]
    page = "\n\n".join(map(str, found)) or str(census)
    emit(arguments, {"points": [s.to_dict() for s in found]}, page)
    return _code(census, "stability")


def _census(model: Model, arguments: argparse.Namespace) -> Census:
    from toymesa.analyse import fixed_points

    return fixed_points(
        model,
        box=boxes(arguments.box) or None,
        params=assignments(arguments.params, "--set"),
        max_boxes=arguments.max_boxes,
        time_limit=arguments.time_limit,
    )


def _code(census: Census, command: str) -> int:
    if census.complete:
        return OK
    count = len(census.undecided)
    boxes_open = f"{count} box" + ("" if count == 1 else "es")
    why = "; ".join(census.notes) or "degenerate fixed points, or ones too close together"
    print(f"toymesa {command}: {boxes_open} stayed undecided: {why}", file=sys.stderr)
    return PARTIAL

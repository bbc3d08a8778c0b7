"""The command ``assess``: one report on a model, as a page, as JSON, and as files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from toymesa.cli import OK, PARTIAL
from toymesa.cli.arguments import assignments, emit, find_model, interval
from toymesa.cli.laboratory import boxes
from toymesa.errors import ArgumentError, DomainError


def run_assess(arguments: argparse.Namespace) -> int:
    """Everything the laboratory finds out about a model."""
    from toymesa.analyse import assess

    model = find_model(arguments.model, arguments.mechanisms)
    place = None if arguments.out is None else Path(arguments.out)
    if place is not None and place.exists() and not place.is_dir():
        raise DomainError(f"--out must be a directory; got the file {arguments.out!r}")  # now, not after the work
    report = assess(
        model,
        params=assignments(arguments.params, "--set"),
        start=assignments(arguments.start, "--start") or None,
        box=boxes(arguments.box) or None,
        vary=_varied(arguments.vary),
        perturbation=arguments.perturbation,
        budget=arguments.budget,
    )
    data, page = report.to_dict(), str(report)
    if place is not None:
        written = report.plot(place)
        for name, text in (("assessment.txt", page), ("assessment.json", json.dumps(data, indent=1, allow_nan=False))):
            (place / name).write_text(text + "\n", encoding="utf-8")
        print(f"wrote {len(written) + 2} files to {arguments.out}", file=sys.stderr)
    emit(arguments, data, page)
    if report.complete:
        return OK
    print("toymesa assess: something was left undecided or not followed, as the report says", file=sys.stderr)
    return PARTIAL


def _varied(given: list[str]) -> dict[str, tuple[float, float] | None] | None:
    """``P`` or ``P=lo:hi`` as parameter -> bounds, None for the default ones."""
    out: dict[str, tuple[float, float] | None] = {}
    for text in given:
        name, equals, ends = text.partition("=")
        if not name or name in out:
            raise ArgumentError(f"--vary takes P or P=lo:hi, each once; got {text!r}")
        out[name] = interval(ends, f"--vary {name}") if equals else None
    return out or None

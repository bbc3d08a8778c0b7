"""The command ``follow``: branches and cycles in one parameter, curves in two, as JSON or as a page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toymesa.cli import OK, PARTIAL
from toymesa.cli.arguments import assignments, emit, find_model, number
from toymesa.cli.laboratory import boxes
from toymesa.cli.show import table

if TYPE_CHECKING:
    import xarray as xr


def run_follow(arguments: argparse.Namespace) -> int:
    """Branches and cycles in one parameter, curves in two."""
    from toymesa.analyse.continuation.follow import follow
    from toymesa.analyse.continuation.shapes import follow_json

    model = find_model(arguments.model, arguments.mechanisms)
    ranges = [
        None if given is None else [number(end, what) for end in given]
        for given, what in ((arguments.range, "--range"), (arguments.range2, "--range2"))
    ]
    data = follow(
        model,
        arguments.param,
        ranges[0] or [],
        params=assignments(arguments.params, "--set"),
        start=assignments(arguments.start, "--start") or None,
        box=boxes(arguments.box) or None,
        second=arguments.second,
        range2=ranges[1],
        cycles=arguments.cycles,
        seconds=arguments.seconds,
    )
    if arguments.plot is not None:
        from toymesa.plot import follow_figure

        follow_figure(data, Path(arguments.plot))
        print(f"wrote {arguments.plot}", file=sys.stderr)
    emit(arguments, follow_json(data, cycles=arguments.cycles), follow_page(data))
    left = json.loads(data.attrs["left"])
    for line in left[:10]:
        print(f"toymesa follow: {line}", file=sys.stderr)
    return PARTIAL if left else OK


def follow_page(data: xr.Dataset) -> str:
    """What was followed, for a reader: branches or curves, special points, what becomes of cycles."""
    followed = json.loads(data.attrs["followed"])
    names = list(followed)
    ranges = ", ".join(f"{n} from {low:g} to {high:g}" for n, (low, high) in followed.items())
    states = [str(s) for s in data["state"].values]
    two = len(names) == 2
    one = data.sizes["followed"] == 1
    which, lines = ("curve", "curve" if one else "curves") if two else ("branch", "branch" if one else "branches")
    parts = [f"{data.attrs['model']}: {data.sizes['followed']} {lines} over {ranges}"]
    rows: list[dict[str, Any]] = []
    for i in range(data.sizes["followed"]):
        part = data.isel(point=data[which].values == i)
        row: dict[str, Any] = {which: i, "points": part.sizes["point"]}
        row |= {f"{n}": f"{float(part[n].min()):.5g} to {float(part[n].max()):.5g}" for n in names}
        if two:
            row["kind"] = str(data["curve_kind"].values[i])
        else:
            row["stable"] = f"{100 * float(part['stable'].mean()):.0f} %"
        rows.append(row | {"begins": str(data["begins"].values[i]), "ends": str(data["ends"].values[i])})
    extra = ["kind"] if two else ["stable"]
    if rows:
        parts += [table(rows, [which, "points", *names, *extra, "begins", "ends"])]
    special = []
    for i in range(data.sizes["special"]):
        row = {"kind": str(data["special_kind"].values[i]), names[0]: f"{float(data['special_at'].values[i]):.10g}"}
        if two:
            row[names[1]] = f"{float(data['special_second'].values[i]):.10g}"
        elif np.isfinite(data["special_omega"].values[i]):
            row["omega"] = float(data["special_omega"].values[i])
            row["what"] = str(data["special_criticality"].values[i])
        if not two and int(data["special_kernel"].values[i]) > 1:
            row["what"] = f"{int(data['special_kernel'].values[i])} eigenvalues at once"
        values = data["special_state"].values[i]
        values = np.where(np.abs(values) < 1e-13 * (1 + np.abs(values).max()), 0.0, values)  # zero but for rounding
        row |= {n: float(v) for n, v in zip(states, values, strict=True)}
        special.append(row)
    if special:
        columns = ["kind", *names, *([] if two else ["omega", "what"]), *states[:6]]
        parts += ["", table(special, columns)]
    if not two:
        parts += [str(s) for s in data["family_says"].values]
        if not data.sizes["family"] and (data["special_kind"] == "hopf").any():
            parts.append("(--cycles says what the oscillations end in)")
    return "\n".join([*parts, *json.loads(data.attrs["notes"])])

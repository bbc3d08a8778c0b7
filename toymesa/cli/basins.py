"""Basins on the command line: the ranges as text, the answer as JSON and as a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toymesa.cli import OK, PARTIAL
from toymesa.cli.arguments import assignments, emit, find_model, number
from toymesa.cli.show import plain, table
from toymesa.errors import ArgumentError

if TYPE_CHECKING:
    import xarray as xr


def run_basins(arguments: argparse.Namespace) -> int:
    """Which start ends where."""
    from toymesa.analyse.basins import basins

    model = find_model(arguments.model, arguments.mechanisms)
    if not arguments.over:
        raise ArgumentError(f"--over is missing: name the starts to vary, such as --over {model.state_names[0]}=-1:1")
    if arguments.plot is not None and (len(arguments.over) != 2 or arguments.samples is not None):
        raise ArgumentError("--plot draws a map over two coordinates on a grid: give two --over and no --samples")
    found = basins(
        model,
        ranges(arguments.over, sampled=arguments.samples is not None),
        outcomes=pairs(arguments.outcomes, "--outcome", "name=formula") or None,
        params=assignments(arguments.params, "--set"),
        start=assignments(arguments.start, "--start"),
        t=arguments.t,
        samples=arguments.samples,
        refine=arguments.refine,
        time_limit=arguments.time_limit,
        rng=arguments.seed,
        progress=sys.stderr.isatty(),
    )
    if arguments.plot is not None:
        from toymesa.plot import basin_figure

        basin_figure(found, Path(arguments.plot))
        print(f"wrote {arguments.plot}", file=sys.stderr)
    data = basins_data(found)
    emit(arguments, data, basins_page(data))
    return OK if data["complete"] else PARTIAL


def pairs(given: Sequence[str], what: str, example: str) -> dict[str, str]:
    """``name=text`` arguments as a dictionary."""
    out: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ArgumentError(f"{what} takes {example}; got {pair!r}")
        if name.strip() in out:
            raise ArgumentError(f"{what} gives {name.strip()!r} twice")
        out[name.strip()] = value.strip()
    return out


def ranges(given: Sequence[str], *, sampled: bool) -> dict[str, tuple[Any, ...]]:
    """``name=lo:hi[:count]`` as (low, high, count), 41 by default; without counts for a sample."""
    out: dict[str, tuple[Any, ...]] = {}
    for name, text in pairs(given, "--over", "name=lo:hi or name=lo:hi:count").items():
        parts = text.split(":")
        if len(parts) not in (2, 3) or (sampled and len(parts) == 3):
            form = "name=lo:hi with --samples" if sampled else "name=lo:hi or name=lo:hi:count, such as x=-1:1:41"
            raise ArgumentError(f"--over takes {form}; got {name}={text}")
        ends = [number(p, f"--over {name}") for p in parts[:2]]
        if sampled:
            out[name] = tuple(ends)
            continue
        if len(parts) == 3 and not parts[2].strip().isdigit():
            raise ArgumentError(f"--over {name}: the count must be a whole number; got {parts[2]!r}")
        out[name] = (*ends, int(parts[2]) if len(parts) == 3 else 41)
    return out


def basins_data(found: xr.Dataset) -> dict[str, Any]:
    """The JSON shape of ``toymesa basins``."""
    names = json.loads(found.attrs["over"])
    dims = [str(d) for d in found["label"].dims]
    columns = ("outcome", "count", "fraction", "fraction_low", "fraction_high")
    titles = ("name", "count", "fraction", "low", "high")
    rows = [
        {t: plain(found[c].values[i]) for t, c in zip(titles, columns, strict=True)}
        for i in range(found.sizes["outcome"])
    ]
    if "attractor" in found:
        states = [str(s) for s in found["state"].values]
        for i, row in enumerate(rows):
            row["state"] = dict(zip(states, plain(found["attractor"].values[i]), strict=True))
            row["period"] = plain(float(found["period"].values[i]))
    data: dict[str, Any] = {
        "model": found.attrs["model"],
        "over": {n: plain(found[d].values) for n, d in zip(names, dims, strict=True)}
        if "sample" not in dims
        else names,
        "outcomes": rows,
        "unresolved": float(found["unresolved"]),
        "labels": plain(found["label"].values),
        "complete": float(found["unresolved"]) == 0.0,
        "notes": json.loads(found.attrs["notes"]),
    }
    if "edge_width" in found:
        data["boundary"] = [_bracket(found.isel(edge=i), names) for i in range(found.sizes["edge"])]
    return data


def _bracket(edge: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    sides = [{n: float(edge[f"edge_{n}"].values[side]) for n in names} for side in (0, 1)]
    labels = [int(v) for v in edge["edge_label"].values]
    done = bool(edge["edge_done"].values)
    return {"along": str(edge["edge_along"].values), "low": sides[0], "high": sides[1], "labels": labels, "done": done}


def basins_page(data: dict[str, Any]) -> str:
    """The shares, and where the boundary runs, for a reader."""
    rows = [{k: v for k, v in row.items() if k not in ("state", "period")} for row in data["outcomes"]]
    parts = [f"{data['model']}: share of the starts by outcome, with intervals"]
    parts.append(table(rows, ["name", "count", "fraction", "low", "high"]) if rows else "no outcome was found")
    parts.append(f"unresolved: {data['unresolved']:.4g} of the starts")
    parts += [f"  {note}" for note in data["notes"]]
    brackets = data.get("boundary")
    if brackets is not None:
        parts.append(f"boundary: {len(brackets)} brackets" + ("" if len(brackets) <= 10 else ", the first 10:"))
        for b in brackets[:10]:
            fixed = ", ".join(f"{n} = {v:.6g}" for n, v in b["low"].items() if n != b["along"])
            between = f"{b['along']} between {b['low'][b['along']]:.12g} and {b['high'][b['along']]:.12g}"
            parts.append("  " + between + (f" at {fixed}" if fixed else ""))
    return "\n".join(parts)

"""How fast toymesa is, beside other packages used as their own experts would, at equal achieved error.

Usage: python scripts/benchmark.py [W1 W2 W3 W4 W5 W6 layer scaling] [--rounds R] [--points N] [--budget SECONDS]
       [--curve SECONDS] [--peers A,B] [--out DIR] [--json FILE]

Everything by default. Contenders take turns within each round, so that only ratios of one round are compared; a package
that is not installed is a row that says so (``pip install -e ".[benchmark]"`` installs them). ``--out`` gets the tables
(benchmark.md), the raw data (benchmark.json) and the work-precision plot (benchmark.png).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import closed, ensembles, layer, machine, paths, scaling, single
from benchmarks.problems import ENSEMBLES
from benchmarks.report import Section, Settings, goals_table


def parts() -> dict[str, Callable[[Settings], Section]]:
    """Every part by its name."""
    found: dict[str, Callable[[Settings], Section]] = {p.name: partial(ensembles.measure, p) for p in ENSEMBLES}
    found |= {"W4": single.measure, "W5": closed.measure, "W6": paths.measure}
    return found | {"layer": layer.measure, "scaling": scaling.measure}


def chosen(wanted: list[str]) -> dict[str, Callable[[Settings], Section]]:
    """The parts whose names start with what was asked for: W2 is W2a and W2b."""
    known = parts()
    for name in wanted:
        if not any(k.lower().startswith(name.lower()) for k in known):
            raise SystemExit(f"there is no part {name!r} (allowed: {', '.join(known)}, and W2 for both)")
    starts = tuple(w.lower() for w in wanted) or ("",)
    return {k: part for k, part in known.items() if k.lower().startswith(starts)}


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", help="W1 W2 W3 W4 W5 W6 layer scaling; default all")
    parser.add_argument("--rounds", type=int, default=5, help="how often every contender takes its turn (default 5)")
    parser.add_argument(
        "--points", type=int, default=100_000, help="points of W1; all sizes scale with it (default 100000)"
    )
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for the rounds of one table (default 120)")
    parser.add_argument("--curve", type=float, help="seconds for one curve of the plot (default a tenth of the budget)")
    parser.add_argument("--peers", metavar="A,B", help='packages to measure beside toymesa (default all; none: "")')
    parser.add_argument("--out", type=Path, help="directory for benchmark.md, benchmark.json and benchmark.png")
    parser.add_argument("--json", type=Path, help="file for the raw data alone")
    return parser.parse_args(argv)


def written(sections: list[Section], about: dict[str, Any], how: str) -> str:
    """The whole report as Markdown."""
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    head = [
        "## Speed",
        f"`{how}` on {about['processor']}, {about['threads']} threads, load average {about['load at start']} at the start and "
        f"{about['load at end']} at the end; Python {about['python']}, {versions}. Times are medians over the rounds; a ratio "
        "is the median over rounds of the ratio within one round, with its range. Above 1 is faster.",
    ]
    goals = goals_table(sections)
    return "\n\n".join([*head, *(["### Goals", goals] if goals else []), *(s.text for s in sections)]) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Measure what was asked for, and write it down after every part."""
    given = sys.argv[1:] if argv is None else argv
    args = arguments(given)
    settings = Settings(
        scale=args.points / 100_000, rounds=args.rounds, budget=args.budget,
        curve=args.budget / 10 if args.curve is None else args.curve,
        peers=None if args.peers is None else tuple(args.peers.split(",")),
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    before, sections = machine.load(), []
    for part in chosen(args.parts).values():
        sections.append(part(settings))
        report(sections, machine.described(before), given, args)
    print(written(sections, machine.described(before), how(given)))


def how(given: list[str]) -> str:
    """The command without where its files go."""
    places = ("--out", "--json")
    kept = [a for before, a in zip(["", *given], given, strict=False) if a not in places and before not in places]
    return " ".join(["python scripts/benchmark.py", *kept])


def report(sections: list[Section], about: dict[str, Any], given: list[str], args: argparse.Namespace) -> None:
    """Files, as far as things are measured."""
    raw = {"about": about, "parts": {s.name: s.data for s in sections}, "goals": [g for s in sections for g in s.goals]}
    data = json.dumps(plain(raw), indent=1, allow_nan=False)
    if args.json:
        args.json.write_text(data, encoding="utf-8")
    if args.out:
        from benchmarks import plot

        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "benchmark.json").write_text(data, encoding="utf-8")
        (args.out / "benchmark.md").write_text(written(sections, about, how(given)), encoding="utf-8")
        plot.draw(sections, args.out / "benchmark.png")


def plain(value: Any) -> Any:
    """The same with null for every number that is none."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()

"""W1 to W3: ensembles to a common end time at equal achieved error, and error against time for the plot."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from benchmarks import compiled_loops, jax_family, own, python_loops, taylor
from benchmarks.contender import Contender
from benchmarks.measure import Field, Measured, ratios
from benchmarks.problems import Problem
from benchmarks.reference import hardest, truth
from benchmarks.report import Section, Settings, best, duration, judge, labelled, number, peer, table, times

TARGETS = (1e-6, 1e-9)
SUBSET = 2000
DECADES = range(2, 14)
NORM = "largest |error| / (1 + |state|) over points and states"
AHEAD_OF = ("numbalsoda", "CyRK", "diffrax")


def contenders(problem: Problem) -> list[Contender]:
    """toymesa's, and everybody else's."""
    return [c for family in (own, taylor, compiled_loops, jax_family, python_loops) for c in family.contenders(problem)]


def measure(problem: Problem, settings: Settings) -> Section:
    """Tune, race, tabulate; then the curves of the contenders that matter."""
    problem.check()
    starts, params = problem.draw(settings.size(problem.points))
    count = min(SUBSET, len(starts))
    settings.log(f"{problem.name}: {problem.title}; {len(starts)} points")
    right, apart, names = truth(problem, starts[:count], params[:count])
    order = hardest(problem, starts[:count], params[:count], right)
    running = [c for c in contenders(problem) if settings.wants(c.package)]
    field = Field(problem, starts, params, right, order, running, settings.log)
    field.prepare()
    section = Section(problem.name, "", {"points": len(starts), "end": problem.end, "races": {}})
    text = [
        f"### {problem.name}: {problem.title}",
        f"{len(starts):,} points, t 0..{problem.end:g}, final state. Error: {NORM}, on the first {count:,} points (slow "
        "contenders: on the hardest of those), against "
        f"{names} (apart by {apart:.0e}). Absolute and relative tolerance equal.",
    ]
    for target in TARGETS:
        every = field.race(target, settings.rounds, settings.budget)
        section.data["races"][f"{target:g}"] = [asdict(m) for m in every]
        text += [f"Target error {target:g}:", rows(every, problem, len(starts))]
        goals(section, problem, target, every)
    section.data["curves"] = curves(field, section.data["races"], apart, settings.curve)
    section.text = "\n\n".join(text)
    return section


def reference_of(every: list[Measured], problem: Problem) -> Measured | None:
    """The fastest peer; where none ran, the fastest contender."""
    return best(every, peer) or best(every, lambda m: True)


def rows(every: list[Measured], problem: Problem, points: int) -> str:
    """The table of one race, fastest first; what did not run comes last, with the reason."""
    against = reference_of(every, problem)
    out = []
    for m in sorted(every, key=lambda m: m.median if m.seconds else math.inf):
        if against is None or not m.seconds:
            out.append([m.name, "-", "-", "-", "-", "-", m.note])
            continue
        note = f"{m.points:,} points, scaled" if m.points < points else ""
        note += f"{'; ' if note else ''}tuned on the {m.tuned_on} hardest" if m.tuned_on < min(SUBSET, points) else ""
        out.append(
            [m.name, f"{m.tolerance:.1e}", f"{m.error:.1e}", number(1 / m.median), duration(m.median),
             times(ratios(m, against)), note]
        )  # fmt: skip
    name = against.name if against else "-"
    return table(
        ["contender", "tolerance", "error", "trajectories/s", "a trajectory", f"x {name}, median (range)", "note"], out
    )


def goals(section: Section, problem: Problem, target: float, every: list[Measured]) -> None:
    """The goals of this problem at this target."""
    mine = best(every, labelled)
    for at, against, factor in problem.goals:
        if at == target:
            other = next((m for m in every if m.name == against and m.seconds), None)
            judge(section, f"{problem.name} at {target:g}", factor, mine, other, against)
    for package in AHEAD_OF:
        fastest = best([m for m in every if m.package == package], peer)
        judge(section, f"{problem.name} at {target:g}", 10.0, mine, fastest, fastest.name if fastest else package)


def curves(
    field: Field, races: dict[str, list[dict[str, Any]]], apart: float, seconds: float
) -> dict[str, list[tuple[float, ...]]]:
    """(tolerance, error, seconds a trajectory) by contender, for the fastest of each package and all of toymesa's.

    From loose to tight tolerances, until ``seconds`` are spent on a contender.
    """
    medians: dict[str, float] = {}
    for race in races.values():
        for m in race:
            if m["seconds"]:
                middle = sorted(m["seconds"])[len(m["seconds"]) // 2]
                medians[m["name"]] = min(middle, medians.get(m["name"], math.inf))
    chosen: list[Contender] = []
    for c in sorted(field.contenders, key=lambda c: medians.get(c.name, math.inf)):
        if c.name not in medians or c.loop or "alone" in c.name:
            continue
        if c.package == "toymesa" or c.package not in {d.package for d in chosen}:
            chosen.append(c)
    out: dict[str, list[tuple[float, ...]]] = {}
    subset = len(field.truth)
    for c in chosen:
        few = min(subset, max(64, int(1.0 / medians[c.name])))  # a second at the targets
        many = min(len(field.starts), max(64, int(0.5 / medians[c.name])))
        line: list[tuple[float, ...]] = []
        begun = time.perf_counter()
        for tol in (10.0**-k for k in DECADES):
            if time.perf_counter() - begun > seconds:
                break
            found = field.achieved(c, tol, few)
            if math.isfinite(found):
                spent = min(field.seconds_a_point(c, tol, many) for _ in range(2))
                line.append((tol, max(found, apart, 1e-16), spent))
                if found <= apart:  # below what the reference can tell
                    break
        out[c.name] = line
        field.log(f"  curve of {c.name}: {len(line)} tolerances")
    return out

"""Sections of the report: Markdown tables whose rows are honest, and the same as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import Measured, ratios

ALWAYS = ("toymesa", "numpy", "numba", "-")


@dataclass(frozen=True)
class Settings:
    """How to measure.

    scale: fraction of the full sizes. budget: seconds of the rounds of one table; curve: of one curve of the plot. peers:
    the packages to measure beside toymesa and what it is built on (numpy, numba); None for all.
    """

    scale: float = 1.0
    rounds: int = 5
    budget: float = 120.0
    curve: float = 12.0
    peers: tuple[str, ...] | None = None
    log: Callable[[str], None] = print

    def wants(self, package: str) -> bool:
        """Whether contenders of that package take part."""
        return self.peers is None or package in (*ALWAYS, *self.peers)

    def size(self, full: int, least: int = 64) -> int:
        """A size scaled."""
        return max(least, round(full * self.scale))


@dataclass
class Section:
    """One part of the report. goals: (what, wanted, measured text, whether it is met)."""

    name: str
    text: str
    data: Any
    goals: list[tuple[str, str, str, bool]] = field(default_factory=list)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three significant digits, without an exponent where that is short."""
    if not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    return f"{value:.2e}"


def duration(seconds: float) -> str:
    """A time with its unit."""
    if not math.isfinite(seconds):
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 1e-9)} ns"


def times(ratio: tuple[float, float, float]) -> str:
    """A ratio with its range over the rounds."""
    middle, low, high = ratio
    return f"{number(middle)} ({number(low)}-{number(high)})" if math.isfinite(middle) else "-"


def best(every: Sequence[Measured], keep: Callable[[Measured], bool]) -> Measured | None:
    """The fastest by its median among those that ran."""
    ran = [m for m in every if m.seconds and keep(m)]
    return min(ran, key=lambda m: m.median) if ran else None


def labelled(m: Measured) -> bool:
    """Whether it is toymesa as users call it."""
    return m.package == "toymesa" and "alone" not in m.name


def peer(m: Measured) -> bool:
    """Whether it is another package."""
    return m.package != "toymesa"


def judge(
    section: Section, what: str, factor: float, own: Measured | None, other: Measured | None, against: str
) -> None:
    """Add one goal: ``own`` at least ``factor`` times as fast as ``other`` in the median of the rounds."""
    wanted = f">= {factor:g}x {against}"
    if own is None or other is None:
        why = f"{against} did not run" if own is not None else "no contender of toymesa ran"
        section.goals.append((what, wanted, f"not measured: {why}", False))
        return
    r = ratios(own, other)
    met = r[0] >= factor
    said = f"{times(r)} by {own.name}: " + ("met" if met else f"missed by a factor {number(factor / r[0])}")
    section.goals.append((what, wanted, said, met))


def goals_table(sections: Sequence[Section]) -> str:
    """All goals of all sections."""
    rows = [[what, wanted, said] for s in sections for what, wanted, said, _ in s.goals]
    return table(["goal", "wanted", "measured"], rows) if rows else ""

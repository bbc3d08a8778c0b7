"""Work-precision: achieved error against time for one trajectory, a panel a problem, lines labelled where they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = {
    "toymesa": "#c2410c", "heyoka": "#1d4ed8", "numbalsoda": "#0f766e", "CyRK": "#7c3aed", "diffrax": "#6b7280",
}  # fmt: skip
ROUGH = 3e-2  # errors above this are no solutions
OWN = ("#c2410c", "#ea580c", "#f59e0b", "#b45309", "#92400e", "#d97706", "#78350f", "#fb923c")


def draw(sections: list[Any], path: Path) -> bool:
    """Write the figure; False where no section has curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [s for s in sections if isinstance(s.data, dict) and any(s.data.get("curves", {}).values())]
    if not shown:
        return False
    figure, axes = plt.subplots(1, len(shown), figsize=(5.6 * len(shown), 5.2), squeeze=False)
    for axis, section in zip(axes[0], shown, strict=True):
        panel(axis, section.data["curves"])
        axis.set_title(section.name, loc="left")
    axes[0][0].set_ylabel("time for one trajectory of an ensemble (s)")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def panel(axis: Any, curves: dict[str, list[tuple[float, ...]]]) -> None:
    """One problem."""
    own, labels = 0, []
    for name, line in curves.items():
        line = [point for point in line if point[1] < ROUGH]
        if not line:
            continue
        package = name.split()[0].rstrip(",")
        colour = COLOURS.get(package, "#111827")
        if package == "toymesa":
            colour, own = OWN[own % len(OWN)], own + 1
        errors, seconds = [p[1] for p in line], [p[2] for p in line]
        axis.loglog(
            errors, seconds, color=colour, lw=2.2 if package == "toymesa" else 1.3, marker="o", ms=3.5,
            ls="-" if package == "toymesa" else "--",
        )  # fmt: skip
        labels.append((errors[-1], seconds[-1], name.replace(", batch ", " ").replace(", sorted", ""), colour))
    axis.invert_xaxis()
    axis.set_xlabel("achieved error (better to the right)")
    axis.grid(visible=True, which="major", alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    place(axis, labels)


def place(axis: Any, labels: list[tuple[float, float, str, str]]) -> None:
    """Names in a column behind the last points, pushed apart where they would overlap, with a thin line to each end."""
    low, high = axis.get_ylim()
    left, right = axis.get_xlim()
    edge = right * (right / left) ** 0.02
    gap = (high / low) ** 0.045
    at = 0.0
    for error, second, name, colour in sorted(labels, key=lambda entry: entry[1]):
        at = max(second, at * gap)
        axis.annotate(
            name, xy=(error, second), xytext=(edge, at), color=colour, fontsize=9, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    axis.set_xlim(left, right)

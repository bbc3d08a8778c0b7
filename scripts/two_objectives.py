"""When do two optimizers with two objectives chase each other?

L = a theta^2/2 + b theta phi, O = D phi^2/2 + C theta phi: the inner optimizer follows theta with strength -C ("misalignment"
here is how far that is from what the base objective needs), at a rate 1/eps. Kind of the fixed point over eps x c, for an inner
optimizer that the base optimizer does not see through (joint) and for one that it does (equilibrium). Lines: exact.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import toymesa as tm

A, B, D = -0.5, 1.0, 1.0
COLORS = {
    "stable": "#0072B2", "stable-spiral": "#56B4E9", "saddle": "#D55E00", "unstable": "#E69F00", "unstable-spiral": "#F0E442",
    "centre": "#CC79A7", "drift": "#999999", "undecided": "#FFFFFF",
}  # fmt: skip


def main(directory: Path) -> None:
    eps, response = np.geomspace(0.05, 20.0, 120), np.linspace(0.01, 2.0, 120)
    kind = tm.measures.stability(at="end")
    fixed = {"a": A, "b": B, "D": D, "e": 0.0}
    origin = {"measure": [kind], "t": 0.0, "start": {"theta": 0.0}}
    joint = tm.sweep(tm.models.linear_joint("joint"), over={"C": -response, "eps": eps}, params=fixed, **origin)["kind"]
    seen = tm.sweep(tm.models.linear_joint("equilibrium"), over={"C": -response}, params=fixed, **origin)["kind"]
    names = joint.attrs["flag_meanings"].split()[1:]
    with tm.plot.style():
        figure = Figure(figsize=(9.6, 4.4))
        left, right = figure.subplots(1, 2, width_ratios=(4, 1), sharey=True)
        colors = ListedColormap([COLORS[n] for n in names])
        left.pcolormesh(eps, response, joint, cmap=colors, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.7)
        right.pcolormesh(
            [0, 1],
            response,
            np.tile(seen.values[:, None], (1, 2)),
            cmap=colors,
            vmin=-0.5,
            vmax=len(names) - 0.5,
            alpha=0.7,
        )
        left.axhline(-A * D / B, color="black", lw=1.2)
        left.plot([-D / A, -D / A], [-A * D / B, response[-1]], color="black", ls="--", lw=1.2)
        left.annotate("exact: Hopf at eps = -D/a", (-D / A, 1.6), xytext=(6, 0), textcoords="offset points")
        left.annotate(
            "exact: saddle below c = -aD/b", (eps[0], -A * D / B), xytext=(6, -6), textcoords="offset points", va="top"
        )
        right.annotate(
            "c = -aD/2b", (0.5, -A * D / (2 * B)), xytext=(0, -6), textcoords="offset points", ha="center", va="top"
        )
        right.axhline(-A * D / (2 * B), color="black", lw=1.2)
        left.set(
            xscale="log",
            xlabel="ratio of rates eps (inner slower to the right)",
            ylabel="response c of the inner optimizer",
        )
        left.set_title("joint: both descend at once")
        right.set(xticks=[])
        right.set_title("equilibrium")
        present = sorted({int(k) for k in np.unique(joint)} | {int(k) for k in np.unique(seen)})
        figure.legend(
            handles=[Patch(color=COLORS[names[k]], alpha=0.7, label=names[k]) for k in present],
            loc="outside lower center",
            ncols=5,
        )
        figure.savefig(directory / "two_objectives.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

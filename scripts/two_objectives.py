"""When do two optimizers with two objectives chase each other?

L = a theta^2/2 + b theta phi, O = D phi^2/2 - c theta phi: the inner optimizer follows theta with strength c ("misalignment"
here is how far c is from what the base objective needs), at a rate 1/eps. Kind of the fixed point over eps x c, for an inner
optimizer that the base optimizer does not see through (joint) and for one that it does (equilibrium). Lines: exact.
"""

import sys
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import toymesa as tm

A, B, D = -0.5, 1.0, 1.0
COLORS = {
    "stable": "#0072B2", "stable-spiral": "#56B4E9", "saddle": "#D55E00", "unstable": "#E69F00", "unstable-spiral": "#F0E442",
    "centre": "#CC79A7", "drift": "#999999", "undecided": "#FFFFFF",
}  # fmt: skip


def two_objectives(coupling: str) -> tm.Model:
    """The linear pair of objectives in one of the couplings."""
    theta, phi = sp.symbols("theta phi", real=True)
    c, eps = sp.symbols("c eps", positive=True)
    more = {"rate": eps} if coupling == "joint" else {}
    params = {"c": 1.0} | ({"eps": 1.0} if coupling == "joint" else {})
    return tm.bilevel(
        A * theta**2 / 2 + B * theta * phi, D * phi**2 / 2 - c * theta * phi, outer=[theta], inner=[phi], coupling=coupling,
        params=params, start={}, name=f"two_objectives_{coupling}", **more,
    )  # fmt: skip


def main(directory: Path) -> None:
    eps, c = np.geomspace(0.05, 20.0, 120), np.linspace(0.01, 2.0, 120)
    kind = tm.measures.stability(at="end")
    joint = tm.sweep(two_objectives("joint"), over={"c": c, "eps": eps}, measure=[kind], t=0.0)["kind"]
    seen = tm.sweep(two_objectives("equilibrium"), over={"c": c}, measure=[kind], t=0.0)["kind"]
    names = joint.attrs["flag_meanings"].split()[1:]
    with tm.plot.style():
        figure = Figure(figsize=(9.6, 4.4))
        left, right = figure.subplots(1, 2, width_ratios=(4, 1), sharey=True)
        colors = ListedColormap([COLORS[n] for n in names])
        left.pcolormesh(eps, c, joint, cmap=colors, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.7)
        right.pcolormesh(
            [0, 1], c, np.tile(seen.values[:, None], (1, 2)), cmap=colors, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.7
        )
        left.axhline(-A * D / B, color="black", lw=1.2)
        left.plot([-D / A, -D / A], [-A * D / B, c[-1]], color="black", ls="--", lw=1.2)
        left.annotate("exact: Hopf at eps = -D/a", (-D / A, 1.6), xytext=(6, 0), textcoords="offset points")
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

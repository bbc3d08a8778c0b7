"""Does the joint state come back when diversity falls again?

Eight equal mechanisms with strong decay: steady states over diversity, reached from nearly equal reliances and from one
dominant mechanism. Lines: the exact branches (mechanisms 1.6), the fold where one favoured mechanism becomes possible and
the critical diversity where joint becomes unstable; between the two both are stable, and history decides.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.theorems import mechanisms as theorems

COUNT, LAM, MU = 8, 1.0, 0.1
NAMES = tuple(f"m{i}" for i in range(COUNT))


def main(directory: Path) -> None:
    model = tm.models.mechanisms(NAMES)
    equal = {f"{kind}_{n}": v for n in NAMES for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    critical = float(theorems.critical_diversity(LAM, MU, mechanisms=COUNT))
    start = theorems.fold(LAM, MU, mechanisms=COUNT)
    diversity = np.linspace(0.9 * float(start.diversity), 1.15 * critical, 60)
    found = tm.sweep(
        model, over={"diversity": diversity, "start_logit_m0": [1e-3, 6.0]}, measure={"x": "p_m0 - p_m1"}, until="steady",
        t=1e6, params=equal | {"lam": LAM, "mu": MU}, start={f"c_{n}": 0.1 for n in NAMES},
    )  # fmt: skip
    x = np.linspace(1e-6, 0.9995, 2000)
    branch = theorems.bifurcation_branch(x, LAM, MU, mechanisms=COUNT)
    with tm.plot.style():
        figure = Figure(figsize=(6.8, 4.4))
        ax = figure.subplots()
        stable = x > float(start.x)
        ax.plot(branch[stable], x[stable], color="C0", lw=1.5, label="exact: one favoured, stable")
        ax.plot(branch[~stable], x[~stable], color="C0", ls=":", lw=1.5, label="exact: unstable")
        ax.plot([diversity[0], critical], [0, 0], color="C2", lw=1.5, label="exact: joint, stable")
        ax.plot([critical, diversity[-1]], [0, 0], color="C2", ls=":", lw=1.5)
        for begin, mark, name in ((1e-3, "o", "trained from nearly joint"), (6.0, "x", "trained from one dominant")):
            ax.plot(
                diversity,
                found["x"].sel(start_logit_m0=begin),
                mark,
                ms=4,
                color="C1" if mark == "o" else "black",
                mfc="none",
                label=name,
            )
        ax.axvspan(float(start.diversity), critical, color="0.92", zorder=0)
        ax.annotate("both stable", ((float(start.diversity) + critical) / 2, 0.3), ha="center")
        ax.set(
            xlim=(diversity[0], diversity[-1]),
            ylim=(-0.05, 1.05),
            xlabel="diversity (effective tasks)",
            ylabel="lead of the favoured mechanism",
        )
        ax.set_title("Hysteresis of the mechanism transition")
        ax.legend(loc="upper left", fontsize=8)
        figure.savefig(directory / "hysteresis.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Is joint optimization stable at convergence, and how does that depend on diversity and simplicity pressure?

Four equal mechanisms with decay, trained to convergence from nearly equal reliances, over diversity x pressure. Colour:
effective number of mechanisms (4 = joint, 1 = one has won). Line: the exact critical diversity (mechanisms 1.5).
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.theorems import mechanisms as theorems

NAMES = ("one", "two", "three", "four")
LAM = 0.05


def main(directory: Path) -> None:
    model = tm.models.mechanisms(NAMES)
    equal = {f"{kind}_{n}": v for n in NAMES for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    found = tm.sweep(
        model,
        over={"mu": np.geomspace(1e-3, 0.3, 60), "diversity": np.geomspace(0.01, 10.0, 60)},
        measure=["n_eff"],
        until="steady",
        params=equal | {"lam": LAM},
        start={"logit_one": 1e-3},
    )
    with tm.plot.style():
        figure = Figure(figsize=(6.4, 4.4))
        ax = figure.subplots()
        mesh = ax.pcolormesh(found["diversity"], found["mu"], found["n_eff"], cmap="cividis", vmin=1, vmax=4)
        exact = theorems.critical_diversity(LAM, found["mu"].values, mechanisms=4)
        ax.plot(exact, found["mu"], color="white", lw=3)
        ax.plot(exact, found["mu"], color="C1", lw=1.5, label="exact critical diversity")
        ax.set(
            xscale="log",
            yscale="log",
            xlim=(0.01, 10),
            xlabel="diversity (effective tasks)",
            ylabel="simplicity pressure",
        )
        ax.set_title("Joint optimization at convergence: four equal mechanisms")
        ax.legend(loc="lower left", labelcolor="white")
        figure.colorbar(mesh, ax=ax, label="effective number of mechanisms")
        figure.savefig(directory / "joint_stability.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Does longer training override the simplicity prior?

A simple slow mechanism against a longer fast one, over the difference in description length x training time. Colour:
reliance on the fast one. Early on the prior decides; training then follows rate x prior (mechanisms 1.9: one bit is worth
a factor two in rate); the free energy would decide at another difference, which only noise and unlimited time could reach.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.theorems import mechanisms as theorems

LAM, MU, DIVERSITY, SLOW = 0.02, 0.2, 30.0, 0.25


def main(directory: Path) -> None:
    model = tm.models.mechanisms(("simple", "fast"))
    fixed = {"lam": LAM, "mu": MU, "diversity": DIVERSITY, "rate_simple": SLOW, "rate_fast": 1.0, "bits_simple": 0.0}
    bits, times = np.linspace(0.0, 8.0, 81), np.geomspace(0.05, 1e3, 90)
    found = tm.sweep(model, over={"bits_fast": bits}, measure=["p_fast"], t=times, params=fixed)
    energy = theorems.crossover_diversity(lam=LAM, mu=MU, rates=(1.0, SLOW), bits=(bits, 0.0))
    with tm.plot.style():
        figure = Figure(figsize=(6.8, 4.4))
        ax = figure.subplots()
        mesh = ax.pcolormesh(found["bits_fast"], found["time"], found["p_fast"].T, cmap="cividis", vmin=0, vmax=1)
        score = float(theorems.selection_score(1.0, 0.0) - theorems.selection_score(SLOW, 0.0))
        ax.axvline(score, color="white", lw=3)
        ax.axvline(score, color="C1", lw=1.5, label="exact: rate x prior are equal")
        ax.axvline(np.interp(DIVERSITY, energy, bits), color="white", ls="--", label="exact: free energies are equal")
        ax.set(yscale="log", xlabel="extra description length of the fast mechanism (bits)", ylabel="training time")
        ax.set_title("Simplicity prior against training time")
        ax.legend(
            loc="lower right", labelcolor="white", frameon=True, facecolor="#00224e", framealpha=1, edgecolor="none"
        )
        figure.colorbar(mesh, ax=ax, label="reliance on the fast mechanism")
        figure.savefig(directory / "prior_and_time.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

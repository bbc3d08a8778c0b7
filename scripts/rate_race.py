"""How much rate makes up for how many bits?

Two perfect mechanisms over the ratio of their learning rates x the difference of their description lengths: who leads
when training has converged. The boundary found by bisection against the exact line: one bit for a factor two (1.9).
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import toymesa as tm


def main(directory: Path) -> None:
    model = tm.models.mechanisms(("first", "second"))
    fixed = {"lam": 0.01, "mu": 0.0, "diversity": 50.0, "bits_second": 4.0, "rate_second": 1.0}
    settings = {"t": 400.0, "params": fixed, "rtol": 1e-10, "atol": 1e-12}
    leader = tm.measures.leader("p_first", "p_second")
    found = tm.sweep(
        model, over={"rate_first": np.geomspace(1 / 16, 16, 49), "bits_first": np.linspace(0, 8, 49)}, measure=[leader, "n_eff"],
        **settings,
    )  # fmt: skip
    edges = tm.refine(
        model,
        {"rate_first": (1 / 16, 16, "log"), "bits_first": (0.0, 8.0)},
        label=leader,
        cells=8,
        tol=1e-4,
        **settings,
    )
    worst = float(np.abs(np.log2(edges["rate_first"]) - (edges["bits_first"] - 4.0)).max())
    print(
        f"largest distance of the boundary from the exact line: {worst:.1e} bits, {edges.attrs['evaluations']} evaluations"
    )
    with tm.plot.style():
        figure = Figure(figsize=(6.0, 4.4))
        ax = figure.subplots()
        ax.pcolormesh(
            found["rate_first"], found["bits_first"] - 4, found["leader"].T, cmap=ListedColormap(["#9ecae1", "#fdd0a2"])
        )
        ax.plot(
            found["rate_first"],
            np.log2(found["rate_first"]),
            color="black",
            lw=1.2,
            label="exact: one bit per factor two",
        )
        ax.plot(
            edges["rate_first"],
            edges["bits_first"] - 4,
            "o",
            ms=4,
            mfc="white",
            clip_on=False,
            zorder=3,
            mec="C1",
            label="bisection of the nonlinear model",
        )
        ax.text(5, -1.5, "first leads", ha="center")
        ax.text(0.2, 2, "second leads", ha="center")
        ax.set(
            xscale="log",
            xlabel="rate of the first over rate of the second",
            ylabel="extra bits of the first",
            ylim=(-4, 4),
        )
        ax.set_title("Who leads after training: rate against prior")
        ax.legend(loc="lower right", frameon=True)
        figure.savefig(directory / "rate_race.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

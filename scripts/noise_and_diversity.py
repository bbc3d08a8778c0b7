"""When does gradient noise, and not the prior, choose the mechanism?

Two equal mechanisms, one with a small head start, stopped when a tenth of the loss is left. Colour: the exact probability
that the head start still leads (mechanisms 1.8, first order in the asymmetry). Numbers in circles: the same from simulated
paths of the nonlinear model, a sweep over the same two axes. Line: where noise alone already ends "joint".
"""

import sys
from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.theorems import mechanisms as theorems

NAMES = ("ahead", "behind")
HEAD_START, RESIDUAL, THRESHOLD = 0.01, 0.1, 0.1


def simulated(diversity: list[float], temperature: list[float]) -> xr.DataArray:
    """Share of paths in which the mechanism with the head start leads at the time of the stop."""
    heat = sp.Symbol("T", positive=True)
    # the reliance moves by sqrt(2T) dW, and its log-odds four times as fast near equal reliances
    noise = tm.GradientNoise(amplitudes={"logit_ahead": 4 * sp.sqrt(2 * heat)})
    equal = {f"{kind}_{n}": v for n in NAMES for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    end = -np.log(RESIDUAL)  # of the joint trajectory, K = 2
    found = tm.sweep(
        tm.with_optimizer(tm.models.mechanisms(NAMES), noise, params={heat: 1e-4}),
        over={"T": temperature, "diversity": diversity},
        t=end,
        paths=4000,
        step=end / 200,
        measure=[tm.measures.shares({"ahead": "p_ahead > 0.5"}, "lead")],
        params=equal | {"lam": 0.0, "mu": 0.0},
        start={"p_ahead": 0.5 + HEAD_START},
        rng=1,
    )
    return found["lead_share"].sel(lead="ahead")


def main(directory: Path) -> None:
    diversity, temperature = np.geomspace(0.5, 100.0, 80), np.geomspace(1e-7, 1e-2, 80)
    exact = theorems.leader_probability(HEAD_START, diversity[None, :], RESIDUAL, temperature=temperature[:, None])
    limit = theorems.noise_stop_diversity(RESIDUAL, threshold=THRESHOLD, temperature=temperature)
    with tm.plot.style():
        figure = Figure(figsize=(6.8, 4.6))
        ax = figure.subplots()
        mesh = ax.pcolormesh(diversity, temperature, exact, cmap="cividis", vmin=0.5, vmax=1)
        inside = (limit > diversity[0]) & (limit < diversity[-1])
        ax.plot(limit[inside], temperature[inside], color="white", lw=3)
        ax.plot(
            limit[inside],
            temperature[inside],
            color="C1",
            lw=1.5,
            label=f"noise alone takes the asymmetry to {THRESHOLD:g}",
        )
        for spot in simulated([1.0, 7.0, 45.0], [2e-6, 5e-5, 1e-3]).stack(spot=("T", "diversity")):
            n, heat, share = float(spot["diversity"]), float(spot["T"]), float(spot)
            expected = float(theorems.leader_probability(HEAD_START, n, RESIDUAL, temperature=heat))
            print(f"n = {n:g}, T = {heat:g}: exact {expected:.3f}, simulated {share:.3f}")
            circle = {"boxstyle": "circle", "fc": "white", "lw": 0}
            ax.text(n, heat, f"{share:.2f}", ha="center", va="center", fontsize=8, bbox=circle)
        ax.plot([], [], "o", color="white", ms=10, ls="none", label="simulated")
        ax.set(xscale="log", yscale="log", xlabel="diversity (effective tasks)", ylabel="noise temperature")
        ax.set_title("Does the head start still lead at the stop?")
        ax.legend(loc="upper right", labelcolor="white")
        figure.colorbar(mesh, ax=ax, label="probability that it leads")
        figure.savefig(directory / "noise_and_diversity.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

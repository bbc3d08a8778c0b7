"""What does stopping early buy, at the compute-optimal stop of three scaling laws?

Left: the share of the reducible loss that is left at the stop. Right: the diversity up to which training ends while still
joint, by the exact curve (mechanisms 1.7) and by bisection on the nonlinear model, for the asymmetry that the text states.
"""

import sys
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.figure import Figure

import toymesa as tm
from toymesa.theorems import mechanisms as theorems

NAMES = ("one", "two")
START, THRESHOLD = 1e-3, 0.05
LAWS = ("kaplan", "hoffmann", "epoch")


def stopped_model() -> tm.Model:
    """Two equal mechanisms without decay and pressure; the event "left" falls to zero at the stop."""
    model = tm.models.mechanisms(NAMES)
    residual = sp.Symbol("residual", positive=True)
    share = tm.Parameter(
        default=0.5, domain=tm.Domain(0.0, 1.0, True, True), meaning="share of the loss left at the stop"
    )
    equal = {f"{kind}_{n}": v for n in NAMES for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    return model.with_params(equal | {"lam": 0.0, "mu": 0.0}).with_(
        params={**model.with_params(equal | {"lam": 0.0, "mu": 0.0}).params, residual: share},
        observables={**model.observables, "left": model.observables["loss"] - residual / 2},
        closed_forms=(),
    )


def main(directory: Path) -> None:
    model, compute = stopped_model(), np.geomspace(1e18, 1e26, 81)
    settings = {
        "t": 50.0, "events": {"stop": ("left", {"terminal": True})}, "start": {"p_one": 0.5 + START}, "tol": 1e-4, "cells": 6,
        "margin": tm.measures.value(f"p_one - {0.5 + THRESHOLD}", "beyond", at="stop"),
    }  # fmt: skip
    with tm.plot.style():
        figure = Figure(figsize=(10.5, 4.2))
        left, right = figure.subplots(1, 2)
        for i, name in enumerate(LAWS):
            residual = tm.scaling.get_law(name).residual(compute)
            exact = theorems.stop_diversity(residual, perturbation=START, threshold=THRESHOLD)
            left.plot(compute, residual, color=f"C{i}", label=name)
            right.plot(compute, exact, color=f"C{i}", label=name)
            picks = slice(0, None, 16)
            measured = [
                float(
                    tm.refine(model, {"diversity": (5.0, 200.0, "log")}, params={"residual": r}, **settings)[
                        "diversity"
                    ][0]
                )
                for r in residual[picks]
            ]
            right.plot(compute[picks], measured, "o", color=f"C{i}", mfc="white")
            print(f"{name}: largest difference {np.max(np.abs(measured / exact[picks] - 1)):.1%}")
        converged = float(theorems.stop_diversity(0.0, perturbation=START, threshold=THRESHOLD))
        right.axhline(converged, color="0.5", ls="--", label="trained to convergence")
        right.plot([], [], "o", color="0.3", mfc="white", label="nonlinear model")
        left.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel="share of the reducible loss left")
        left.set_title("Where compute-optimal training stops")
        right.set(xscale="log", xlabel="compute (FLOP)", ylabel="diversity that is still joint")
        right.set_title(f"Asymmetry {START:g} may grow to {THRESHOLD:g}")
        left.legend()
        right.legend()
        figure.savefig(directory / "stopping_early.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

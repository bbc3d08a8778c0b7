"""How sharply does depth order what is learned, and what does the initial scale do to it?

Two modes of strength 1 and 1/2 in a chain of D balanced layers, x' = D x^(2-2/D) (s - x), over depth x initial scale. How
much longer the weak mode takes to be half learned: by the solver's events, and exactly for D = 1 and D = 2 (dots).
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import toymesa as tm

STRONG, WEAK = 1.0, 0.5


def half_time(depth: int, strength: float, start: np.ndarray) -> np.ndarray:
    """Exact time at which a mode is half learned, for one and two layers."""
    if depth == 1:
        return np.log(2 * (strength - start) / strength)
    return np.log((strength - start) / start) / (2 * strength)


def main(directory: Path) -> None:
    depths, scales = [1.0, 2.0, 3.0, 4.0, 6.0], np.geomspace(1e-4, 0.1, 25)
    scale = xr.DataArray(scales, dims="scale")  # both modes start at it: the two starts vary together
    found = tm.sweep(
        tm.models.depth(modes=2),
        over={"depth": depths, "start_x_1": scale, "start_x_2": scale},
        t=3e4,
        events={"strong": "x_1 - target_1/2", "weak": "x_2 - target_2/2"},
        measure=[tm.measures.event_time("strong"), tm.measures.event_time("weak")],
    )
    ratio = found["weak_time"] / found["strong_time"]
    with tm.plot.style():
        figure = Figure(figsize=(6.4, 4.4))
        ax = figure.subplots()
        for i, depth in enumerate(depths):
            ax.plot(scales, ratio.sel(depth=depth), color=f"C{i}", label=f"depth {depth:g}")
            if depth <= 2:
                exact = half_time(int(depth), WEAK, scales) / half_time(int(depth), STRONG, scales)
                ax.plot(scales[::3], exact[::3], "o", color=f"C{i}", mfc="white")
                print(
                    f"D = {depth:g}: largest difference {float(np.abs(ratio.sel(depth=depth) / exact - 1).max()):.1e}"
                )
        ax.set(xscale="log", xlabel="initial scale", ylabel="time of the weak mode / time of the strong one")
        ax.set_title("Depth sharpens the order of learning")
        ax.plot([], [], "o", color="0.3", mfc="white", label="exact")
        ax.legend()
        figure.savefig(directory / "depth_and_scale.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

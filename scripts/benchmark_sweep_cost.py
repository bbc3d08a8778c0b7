"""What the sweep layer costs on top of the kernel, and how sweeps scale with workers: ratios inside one run.

Usage: python scripts/benchmark_sweep_cost.py [SIDE] [ROUNDS]; a grid of SIDE x SIDE cells of a 4-state gradient flow (default
1000, 3 rounds). Prints processor time and wall time of the bare kernel and of the sweep (labels, store, progress) for one
and two workers, and the ratios. On a busy machine only the ratios of processor time mean something. ext4 makes files
slowly, 0.3 ms each instead of 0.02, for minutes after many were deleted nearby: wait a little, or set TMPDIR elsewhere.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr

import toymesa as tm
from toymesa.kernels.batch import Controls, run_batch
from toymesa.kernels.generate import compile_model
from toymesa.solver.inputs import cells

END = 20.0


def four_states() -> tm.Model:
    """A product of two deep factors with weight decay."""
    a, b, c, d = sp.symbols("a b c d", real=True)
    decay, rate = sp.symbols("decay rate", positive=True)
    loss = (1 - a * b - c * d) ** 2 / 2 + decay * (a**2 + b**2 + c**2 + d**2) / 2
    return tm.gradient_flow(
        loss, [a, b, c, d], metric={"a": rate}, params={decay: 0.01, rate: 1.0}, start={a: 0.1, b: 0.2, c: 0.15, d: 0.3},
        name="four_states",
    )  # fmt: skip


def timed(call):
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


def main() -> None:
    """Measure in a directory of its own, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as place:
        measure(place)


def measure(place: str) -> None:
    """Measure, interleaved, and print."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    model, over = four_states(), {"decay": np.linspace(1e-4, 0.1, side), "rate": np.linspace(0.5, 2.0, side)}
    grid = dict(zip(over, np.meshgrid(*over.values(), indexing="ij"), strict=True))
    batch = cells(
        model, None, {k: xr.DataArray(v.ravel(), dims="cell") for k, v in grid.items()}, np.random.default_rng(0)
    )
    compiled = compile_model(model)

    def kernel(workers):
        run_batch(compiled, np.array([END]), batch.starts, batch.params, Controls(method="lanes"), threads=workers)

    places = (Path(place) / str(i) for i in itertools.count())

    def sweep(workers):
        tm.sweep(
            model, over, t=END, measure=["loss"], store=next(places), workers=workers, progress=lambda done, total: None
        )

    tm.sweep(model, {"decay": [0.01]}, t=END, measure=["loss"], progress=False)  # compiles
    found = []
    for _ in range(rounds):
        found.append(
            [timed(lambda: kernel(1)), timed(lambda: sweep(1)), timed(lambda: kernel(2)), timed(lambda: sweep(2))]
        )
        k1, s1, k2, s2 = found[-1]
        print(
            f"kernel {k1[0]:.2f} s ({k1[1]:.2f} s cpu), sweep {s1[0]:.2f} ({s1[1]:.2f}); two workers: "
            f"kernel {k2[0]:.2f} ({k2[1]:.2f}), sweep {s2[0]:.2f} ({s2[1]:.2f})", flush=True,
        )  # fmt: skip
    table = np.array(found)
    overhead = np.median(table[:, 1] / table[:, 0] - 1, axis=0)
    faster = np.median(table[:, [0, 1], 0] / table[:, [2, 3], 0], axis=0)
    print(f"cells {side * side}, {1e6 * np.median(table[:, 0, 1]) / side**2:.1f} us of kernel a cell")
    print(
        f"overhead of the sweep: {overhead[1]:.1%} of the kernel's processor time, {overhead[0]:.1%} of its wall time"
    )
    print(f"two workers: sweep {faster[1]:.2f}x, kernel alone {faster[0]:.2f}x")


if __name__ == "__main__":
    main()

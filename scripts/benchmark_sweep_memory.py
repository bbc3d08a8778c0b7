"""How much memory and disk a sweep takes, and what that says about one of 1e8 and of 1e12 cells.

Usage: python scripts/benchmark_sweep_memory.py. Sweeps into a store, each in a process of its own: growing grids in blocks of one
size, one grid in growing blocks, and growing numbers of blocks. Prints the peak memory of each, the slopes in bytes, and
the extrapolation. The model has a closed form, so that millions of cells take seconds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHILD = """
import json, resource, sys, numpy as np, sympy as sp, toymesa as tm
from pathlib import Path
rows, columns, chunk, store = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
x = sp.Symbol("x", real=True); k = sp.Symbol("k", positive=True)
form = tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)})
model = tm.Model(name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1}, closed_forms=(form,))
over = {"k": np.linspace(0.1, 2.0, rows), "start_x": np.linspace(0.1, 1.0, columns)}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tm.sweep(model, over, t=1.0, measure=["x"], store=store, chunk=chunk, workers=2, progress=False)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
disk = sum(f.stat().st_size for f in Path(store).rglob("*") if f.is_file())
files = sum(1 for f in Path(store).rglob("*") if f.is_file())
print(json.dumps({"before": before * 1024, "peak": after * 1024, "disk": disk, "files": files}))
"""


def measured(rows: int, columns: int, chunk: int) -> dict[str, int]:
    """Peak memory and disk of one sweep in a fresh process."""
    with tempfile.TemporaryDirectory() as place:
        arguments = [str(rows), str(columns), str(chunk), str(Path(place) / "store")]
        done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def slope(x, y) -> float:
    """Least-squares slope."""
    return float(np.polyfit(np.asarray(x, dtype=float), np.asarray(y, dtype=float), 1)[0])


def main() -> None:
    """Measure and extrapolate."""
    chunk = 65536
    grids = [(n, measured(n // 1000, 1000, chunk)) for n in (1_000_000, 2_000_000, 4_000_000, 8_000_000)]
    for n, m in grids:
        print(
            f"{n:>9} cells in blocks of {chunk}: peak {m['peak'] / 1e6:.1f} MB, disk {m['disk'] / 1e6:.1f} MB, {m['files']} files"
        )
    sized = [(c, measured(4000, 1000, c)) for c in (16384, 65536, 262144, 1048576)]
    for c, m in sized:
        print(f"  4000000 cells in blocks of {c:>7}: peak {m['peak'] / 1e6:.1f} MB")
    many = [(b, measured(b, 256, 256)) for b in (250, 1000, 4000)]
    for b, m in many:
        print(f"  {b:>4} blocks of 256 cells: peak {m['peak'] / 1e6:.1f} MB, {m['files']} files")
    per_chunk = slope([c for c, _ in sized], [m["peak"] for _, m in sized])
    per_block = slope([b for b, _ in many], [m["peak"] for _, m in many])
    disk = slope([n for n, _ in grids], [m["disk"] for _, m in grids])
    base = float(np.median([m["peak"] for _, m in grids]))
    print(
        f"slopes: {per_chunk:.0f} bytes a cell of a block, {per_block:.0f} bytes a block, {disk:.2f} bytes of disk a cell"
    )
    for total in (1e8, 1e12):
        block = max(256, min(total // 48, 65536), min(total // 100_000, 2**22))
        axes, number = 2 * 8 * np.sqrt(total), total / block
        peak = base + per_chunk * (block - chunk) + per_block * number + axes
        print(
            f"{total:.0e} cells: {number:.3g} blocks of {block:.3g}; memory {base / 1e6:.0f} MB"
            f" + {per_chunk:.0f} B x {block - chunk:.3g} + {per_block:.0f} B x {number:.3g}"
            f" + two axes of {axes / 2e6:.1f} MB = {peak / 1e9:.2f} GB; disk {total * disk / 1e9:.4g} GB"
        )


if __name__ == "__main__":
    main()

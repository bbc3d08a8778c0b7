"""Machine code on disk: read back, built anew when damaged, safe under processes that build it at once; no numba for one run."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

from toymesa.kernels.cache import cache_directory
from toymesa.kernels.lanes import build as building
from toymesa.kernels.lanes.emit import Program

SMALL = """
import sys
import sympy as sp
import toymesa as tm
x, k = sp.symbols("x k")
model = tm.Model(name="small", flow={x: -k * x}, params={k: 1.0}, start={x: 1.0})
end = float(tm.solve(model, 1.0)["x"][-1])
assert abs(end - 0.36787944117144233) < 1e-8, end
assert "numba" not in sys.modules, "numba was imported for a single trajectory"
print(end.hex())
"""


@pytest.fixture
def doubled(tmp_path, monkeypatch):
    """A program that doubles row 0, compiled in a cache of its own."""
    monkeypatch.setenv("TOYMESA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(building, "_built", {})

    def make():
        building._built.clear()
        program = Program("doubled", 8)
        program.store(1, program.row(0) * 2.0)
        return building.build([("doubled", program.source())])["doubled"]

    def works(call):
        memory = np.zeros(32)
        work = memory[-memory.ctypes.data // 8 % 8 :][:16].reshape(2, 8)
        work[0] = np.arange(8)
        call(work.ctypes.data, 0)
        return np.array_equal(work[1], 2.0 * np.arange(8))

    return make, works, tmp_path


def test_compiled_once_then_read(doubled, monkeypatch):
    make, works, place = doubled
    assert cache_directory() == place
    assert works(make())
    (kept,) = place.glob("*.o")
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr(building, "_write", None)  # would fail if it were compiled again
    assert works(make())
    assert kept.stat().st_mtime_ns == written


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_damaged_code_is_built_again_with_one_warning(doubled, damage, caplog):
    make, works, place = doubled
    assert works(make())
    (kept,) = place.glob("*.o")
    data = kept.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    kept.write_bytes({"cut": data[:middle], "flipped": flipped, "empty": b"", "text": b"no machine code"}[damage])
    with caplog.at_level(logging.WARNING, logger="toymesa"):
        assert works(make())
    assert [r.message for r in caplog.records] == [f"compiled code in {kept.name} is damaged; compiling again"]
    caplog.clear()
    assert works(make())
    assert not caplog.records


@pytest.mark.fault
def test_processes_that_compile_at_once_agree_and_need_no_numba(tmp_path):
    environment = {**os.environ, "TOYMESA_CACHE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", SMALL], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ends = [p.communicate(timeout=100) for p in running]
    assert [p.returncode for p in running] == [0, 0, 0], [e for _, e in ends]
    assert len({out for out, _ in ends}) == 1
    assert not list(tmp_path.glob("*.partial"))


def test_one_trajectory_has_the_bits_it_has_among_many(monkeypatch):
    """One is driven by the interpreter, many by compiled code; so is one once many calls have been interpreted."""
    import toymesa as tm
    from toymesa.kernels.lanes import run
    from toymesa.kernels.lanes.drive import compiled_drive

    x, y = sp.symbols("x y", real=True)
    k = sp.Symbol("k", positive=True)
    model = tm.Model(name="two", flow={x: y, y: k * (1 - x**2) * y - x}, params={k: 1.0}, start={x: 2.0, y: 0.0})
    compiled_drive.cache_clear()
    monkeypatch.setattr(run, "_interpreted", 0.0)
    one = tm.solve(model, [1.0, 5.0, 7.0], params={"k": 30.0})
    assert compiled_drive.cache_info().currsize == 0
    many = tm.solve(model, [1.0, 5.0, 7.0], params={"k": np.linspace(0.1, 30.0, 40)})
    assert compiled_drive.cache_info().currsize == 1
    compiled_drive.cache_clear()
    monkeypatch.setattr(run, "_interpreted", 1.0)
    again = tm.solve(model, [1.0, 5.0, 7.0], params={"k": 30.0})
    assert compiled_drive.cache_info().currsize == 1
    assert again["x"].values.tobytes() == one["x"].values.tobytes()
    np.testing.assert_array_equal(many["x"][-1], one["x"])
    np.testing.assert_array_equal(many["nsteps"][-1], one["nsteps"])

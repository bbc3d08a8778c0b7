"""Compiled code on disk that is damaged, of another processor, or younger than now: compiled again, with one warning."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sweep_models as models

import toymesa as tm

pytestmark = pytest.mark.fault
HERE = Path(__file__).parent
CALL = (
    "import logging, sys; logging.basicConfig(); import toymesa as tm, sweep_models as models\n"
    "print(float(tm.sweep(models.LOGISTIC, {'k': [1.0]}, t=1.0, measure='x', method='tsit5', progress=False)['x'][0]))"
)


def called(code=CALL, **environment):
    """A call in a process of its own: what it prints and what it logs."""
    env = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent.parent}", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)


def test_a_corrupted_code_cache_is_compiled_again(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)  # it would move what is corrupted here to another place
    cache = tmp_path / "cache"
    results = []
    for damage in (None, "damaged", "future"):
        files = sorted((cache / "__pycache__").glob("_toymesa_gen_*.nb[ic]")) if damage == "damaged" else []
        for i, file in enumerate(files):
            if i % 2:
                file.write_bytes(b"garbage")
            else:
                os.truncate(file, file.stat().st_size // 2)
        for file in cache.rglob("*") if damage == "future" else ():
            os.utime(file, (2e10, 2e10))
        done = called(TOYMESA_CACHE_DIR=str(cache))
        results.append(done.stdout)
        warned = [line for line in done.stderr.splitlines() if "compiling again" in line]
        assert len(set(warned)) == len(warned) == (2 if damage == "damaged" else 0), done.stderr  # once a module
        assert "Traceback" not in done.stderr
    assert len(set(results)) == 1


def test_damaged_kernels_of_the_package_are_compiled_again(tmp_path):
    """One warning, and the same bits; whatever is whole is used again."""
    from toymesa.kernels.mend import places

    moved = {"NUMBA_CACHE_DIR": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        here, there, *_ = places()
    source = next((p for p in (here, *places()) if list(p.glob("explicit.*.nbi"))), None)
    assert source is not None, "the kernels are compiled by now"
    shutil.copytree(source, there, ignore=lambda _, names: [n for n in names if not n.endswith((".nbi", ".nbc"))])
    newest = lambda pattern: max(there.glob(pattern), key=lambda f: f.stat().st_mtime_ns)  # noqa: E731  # of this source
    index, data = newest("explicit.explicit_step-*.nbi"), newest("explicit.explicit_dense-*.nbc")
    index.write_bytes(b"garbage")
    os.truncate(data, data.stat().st_size // 2)
    want = tm.sweep(models.LOGISTIC, {"k": [1.0]}, t=1.0, measure="x", method="tsit5", progress=False)["x"].item()
    for warnings in (1, 0):
        done = called(**moved)
        assert float(done.stdout) == want
        assert done.stderr.count("damaged files of compiled kernels") == warnings, done.stderr
        assert "Traceback" not in done.stderr
    assert index.exists()
    assert data.exists()


def test_a_code_cache_of_another_cpu_is_not_used(tmp_path):
    """Code compiled for one CPU stands beside that for another; numbers from counting have the same bits from both."""
    code = (
        "import numpy as np\nfrom toymesa.kernels.philox import fill_normals\nfrom toymesa.kernels.codes import key_of\nout = np.empty(7)\n"
        "fill_normals(key_of(1), np.uint64(2), np.uint64(3), np.uint64(4), out)\nprint(out.tolist())"
    )
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    other = place | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    results, files = [], []
    for environment in (other, place, other, place):
        results.append(called(code, **environment).stdout)
        files.append(sorted(f.name for f in tmp_path.rglob("*.nbc")))
    assert len(set(results)) == 1
    assert len(files[1]) == 2 * len(files[0]) > 0
    assert files[1] == files[2] == files[3]

"""A small sweep that is interrupted and whose store is broken, in tests of faults."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import sweep_models as models

import toymesa as tm

HERE = Path(__file__).parent
OVER = {"k": np.linspace(0.5, 3.0, 12), "start_x": np.linspace(0.05, 0.9, 5)}


def run(store=None, over=None, **more):
    given = {"measure": ["x", "gap"], "t": [1.0, 2.0], "rng": 1, "chunk": 10, "progress": False} | more
    return tm.sweep(models.LOGISTIC, OVER if over is None else over, store=store, **given)


def serve(jobs, directory, **environment):
    """Run jobs in the fork server; their outcomes."""
    file = directory / "jobs.json"
    file.write_text(json.dumps(jobs))
    env = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), **environment}
    done = subprocess.run(
        [sys.executable, str(HERE / "fork_server.py"), str(file)], capture_output=True, text=True, env=env, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def flip(file, bit):
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(bytes(data))

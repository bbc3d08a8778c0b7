"""Small models for the tests of sweeps, and functions that other processes can import."""

import os
import signal
from pathlib import Path

import numpy as np
import sympy as sp

import toymesa as tm

x, y = sp.symbols("x y", real=True)
k, m = sp.symbols("k m", positive=True)

LOGISTIC = tm.Model(
    name="logistic", flow={x: k * x * (m - x)}, params={k: 1.0, m: 1.0}, start={x: 0.1}, observables={"gap": m - x}
)
DECAY = tm.Model(
    name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1}, observables={"square": x**2},
    closed_forms=(
        tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}, conditions=(sp.Lt(k, 2),)),
    ),
)  # fmt: skip
BLOW = tm.Model(name="blow", flow={x: k * x**2}, params={k: 1.0}, start={x: 1}, observables={"inverse": 1 / x})

# the environment carries the wish to other processes
DEADLY, SLOW, LOG = "TOYMESA_TEST_DEADLY", "TOYMESA_TEST_SLOW", "TOYMESA_TEST_LOG"


def chain(depth=1, scale=1.0):
    """Depth many states in a row, for structural axes."""
    states = sp.symbols(f"x0:{depth}", real=True)
    flow = {s: -k * (s - (states[i - 1] if i else scale)) for i, s in enumerate(states)}
    return tm.Model(name="chain", flow=flow, params={k: 1.0}, observables={"last": states[-1]})


def end(run):
    """The last state: a measure of a user's own."""
    return float(run["x"][-1])


def fragile(run):
    """Raises for large k."""
    if float(run["k"]) > 2:
        raise ValueError("k is too large for me")
    return float(run["k"]) * 2


def noisy(run, rng):
    """Random, from the cell's own stream."""
    return float(rng.normal())


def deadly(run):
    """Kills its process at k = 1.5 while there is a file "always", or takes away a file "once" and does it then.

    The variable names their directory: what workers do can be changed while they are being restarted.
    """
    place = os.environ.get(DEADLY)
    if place and abs(float(run["k"]) - 1.5) < 1e-9:
        once = Path(place, "once")
        if once.exists():
            once.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if Path(place, "always").exists():
            os.kill(os.getpid(), signal.SIGKILL)
    return float(run["x"][-1])


def slow(run):
    """Takes a while, so that there is time to be killed."""
    import time

    time.sleep(float(os.environ.get(SLOW, "0")))
    return float(run["x"][-1])


GRID = {"k": np.linspace(0.5, 3.0, 6), "start_x": np.linspace(0.05, 0.9, 5)}

T = sp.Symbol("T", positive=True)
OU = tm.gradient_flow(
    k * x**2 / 2, [x], params={k: 1.0, T: 0.1}, start={x: 1.0}, name="ornstein", optimizer=tm.GradientNoise(T)
)
WILD = tm.Model(
    name="wild", flow={x: k * x**3}, params={k: 1.0}, start={x: 0.5}, noise=sp.Matrix([[sp.Rational(1, 2)]])
)


def first_paths(run):
    """The end of the first path: a measure of a user's own, of all paths of a cell."""
    return float(run["x"].isel(path=0, time=-1))

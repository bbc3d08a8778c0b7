"""Paths of dx = f dt + B dW (Ito) side by side, a path a lane: Euler-Maruyama, and Milstein for commuting noise.

The same streams and steps as in :mod:`toymesa.kernels.stochastic`, to rounding. All lanes make the same steps, so that
the loop over them is part of the program; what a lane computes depends on no other lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from toymesa.kernels.generate import milstein_terms
from toymesa.kernels.lanes.build import Address, addresses, build
from toymesa.kernels.lanes.emit import BOOL, Program, Value
from toymesa.kernels.lanes.expressions import Reader, shared
from toymesa.kernels.lanes.layout import aligned
from toymesa.kernels.lanes.normals import ROUNDS, four_normals, philox, round_keys, squared_radii
from toymesa.kernels.lanes.step_paths import DRAW, FIXED_ROWS, LAST, PATH, STEP, STREAM, run_lanes
from toymesa.symbolic.model import TIME, Model

Array = NDArray[np.float64]
# constants common to all lanes: step, its root, start of the interval; keys of the rounds
_SIZE, _ROOT, _BEGIN, _KEYS = range(4)


@dataclass(frozen=True)
class PathPrograms:
    """Compiled programs of a model and a scheme. n states, m parameters, noises; ``steps`` and ``draws`` of a turn."""

    n: int
    m: int
    noises: int
    lanes: int
    compiled: Mapping[str, Address]

    def run(
        self, times: Array, step: float, starts: Array, params: Array, key: NDArray[np.uint64], names: NDArray[np.uint64],
        out: Array, status: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Fill ``out`` (row, time, state) and ``status``, as ``stochastic.run_paths`` does."""
        rows = FIXED_ROWS + self.n + self.m + self.noises + 2 * _drawn(self.noises)
        W, shared_by_all = aligned(rows, self.lanes), np.empty(_KEYS + 2 * ROUNDS)
        shared_by_all.view(np.int64)[_KEYS:] = round_keys(key.tolist())
        run_lanes(
            addresses([self.compiled[name] for name in ("prepare", "turns", "draw", "step")]), W, W.view(np.int64),
            shared_by_all, times, step, self.noises, starts, params, names, out, status,
        )  # fmt: skip


def path_programs(model: Model, scheme: str) -> PathPrograms:
    """The programs of a scheme ("euler", "milstein"), kept with the model."""
    kept: dict[str, PathPrograms] = model.__dict__.setdefault("_path_lanes", {})
    if scheme not in kept:
        kept[scheme] = _programs(model, scheme)
    return kept[scheme]


def _drawn(noises: int) -> int:
    """How many variates a turn draws, and how many numbers it keeps of a draw half made."""
    return 4 * ((noises + 3) // 4)


def _programs(model: Model, scheme: str) -> PathPrograms:
    if model.noise is None:
        raise ValueError("the model has no noise")
    n, m, noises = len(model.states), len(model.params), int(model.noise.cols)
    # four registers of eight numbers hide the latency of their operations, where there are enough registers for the rest
    lanes = 32 if n * noises <= 2 else 16
    step = _Step(model, scheme)
    written = {"prepare": _prepare, "turns": _turns, "draw": _draw, "step": _one_step}
    return PathPrograms(n, m, noises, lanes, build([(name, write(step, lanes)) for name, write in written.items()]))


class _Step:
    """Writes one step of a scheme into programs."""

    def __init__(self, model: Model, scheme: str) -> None:
        assert model.noise is not None
        self.model, self.n, self.m, self.noises = model, len(model.states), len(model.params), int(model.noise.cols)
        columns = range(self.noises)
        exprs = [*model.flow.values(), *model.noise]
        self.terms: list[tuple[int, int, int]] = []
        if scheme == "milstein":
            for i, rows in enumerate(milstein_terms(model)):
                for j in columns:
                    for r in columns:
                        if rows[j][r] != 0:
                            self.terms.append((i, j, r))
                            exprs.append(rows[j][r])
        self.form = shared([sp.sympify(e, strict=True) for e in exprs])
        self.timed = any(TIME in e.free_symbols for e in exprs)

    def state(self, p: Program) -> list[Value]:
        return [p.row(FIXED_ROWS + i) for i in range(self.n)]

    def write(self, p: Program, now: Value | None, x: Sequence[Value], z: Sequence[Value]) -> list[Value]:
        """The state a step later. now: the time, where the formulas depend on it; z: standard normal variates."""
        known: dict[Any, Value] = dict(zip(self.model.states, x, strict=True))
        first = FIXED_ROWS + self.n
        known |= {s: p.row(first + i, varies=False) for i, s in enumerate(self.model.params)}
        if now is not None:
            known[TIME] = now
        reader = Reader(p, known)
        for symbol, value in self.form[0]:
            reader.define(symbol, value)
        values = [reader.read(e) for e in self.form[1]]
        n, noises = self.n, self.noises
        h, root = p.shared(_SIZE), p.shared(_ROOT)
        out = []
        for i in range(n):
            new = x[i] + h * values[i]
            for j in range(noises):
                amplitude = values[n + i * noises + j]
                if amplitude.number != 0.0:
                    new = new + (amplitude * root) * z[j]
            out.append(new)
        for (i, j, r), term in zip(self.terms, values[n + n * noises :], strict=True):
            both = z[j] * z[r] - 1.0 if j == r else z[j] * z[r]
            out[i] = out[i] + (0.5 * h * term) * both
        return out

    @property
    def variates(self) -> int:
        """The first row of the variates of a step; behind them those of a draw, and then the next draw half made."""
        return FIXED_ROWS + self.n + self.m

    @property
    def kept(self) -> int:
        return self.variates + self.noises

    @property
    def halfway(self) -> int:
        return self.kept + _drawn(self.noises)


def _begin(p: Program, step: _Step, draw: Value) -> list[Value]:
    """The first half of the draws of a turn, from number ``draw`` on."""
    keys = [p.as_integer(p.shared(_KEYS + i)) for i in range(2 * ROUNDS)]
    path, stream = (p.as_integer(p.row(k, varies=False)) for k in (PATH, STREAM))
    made: list[Value] = []
    for d in range(_drawn(step.noises) // 4):
        made += squared_radii(p, philox(p, p.bits("add", draw, p.integer(d)) if d else draw, path, stream, keys))
    return made


def _store(p: Program, first: int, values: Sequence[Value]) -> None:
    for i, value in enumerate(values):
        p.store(first + i, value)


def _finish(p: Program, step: _Step) -> list[Value]:
    """The variates of a turn whose first half is stored."""
    count = _drawn(step.noises)
    rows = [p.row(step.halfway + i) for i in range(count)]
    return [z for d in range(0, count, 4) for z in four_normals(p, rows[d : d + 4])]


def _time(p: Program, step: Value) -> Value:
    return p.shared(_BEGIN) + step * p.shared(_SIZE)


def _prepare(step: _Step, lanes: int) -> str:
    """Source of ``prepare``: the first half of draw number DRAW."""
    p = Program("prepare", lanes)
    _store(p, step.halfway, _begin(p, step, p.as_integer(p.row(DRAW))))
    return p.source()


def _turns(step: _Step, lanes: int) -> str:
    """Source of ``turns``: draws and the steps they serve, up to draw number LAST, of which the first half is then made."""
    p = Program("turns", lanes, loop=True)
    z, noises = _finish(p, step), step.noises
    following = p.bits("add", p.as_integer(p.row(DRAW)), p.integer(_drawn(noises) // 4))
    next_half = _begin(p, step, following)
    x, k, together = step.state(p), p.row(STEP), max(1, 4 // noises)
    for s in range(together):
        x = step.write(p, _time(p, k + float(s)) if step.timed else None, x, z[s * noises : (s + 1) * noises])
    _store(p, step.halfway, next_half)
    _store(p, FIXED_ROWS, x)
    if step.timed:
        p.store(STEP, k + float(together))
    p.store(DRAW, p.as_number(following))
    return p.source(p.emit("icmp sge {I} {0}, {1}", BOOL, (following, p.as_integer(p.row(LAST, varies=False)))))


def _draw(step: _Step, lanes: int) -> str:
    """Source of ``draw``: the variates of the draw half made, to be kept for the steps they serve."""
    p = Program("draw", lanes)
    _store(p, step.kept, _finish(p, step))
    return p.source()


def _one_step(step: _Step, lanes: int) -> str:
    """Source of ``step``: one step with given variates."""
    p = Program("step", lanes)
    z = [p.row(step.variates + i) for i in range(step.noises)]
    _store(p, FIXED_ROWS, step.write(p, _time(p, p.row(STEP)) if step.timed else None, step.state(p), z))
    return p.source()

"""One trajectory with a frame of perturbations, walked along: shared by growth and by long-run spectra."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np

from toymesa.analyse.variational import Carrier, Frame, Propagator
from toymesa.arguments import Array
from toymesa.errors import ArgumentError, DomainError
from toymesa.kernels.cache import installed
from toymesa.solver.inputs import cells
from toymesa.symbolic.model import Model

# a segment ends when the growth of its columns has come apart by a factor between e^2 and e^6
_LOOSE, _TIGHT, _TORN = 2.0, 6.0, 12.0


class Mark:
    """A place on the way: the frame there and the propagator up to there."""

    def __init__(self, frame: Frame, propagator: Propagator) -> None:
        self.frame, self.propagator = frame, propagator


class Walk:
    """A frame carried along, orthogonalized again whenever it comes apart."""

    def __init__(self, carrier: Carrier, x: Array, deadline: float) -> None:
        self.carrier, self.deadline = carrier, deadline
        self.propagator = Propagator(carrier.free.size)
        state = carrier.settled(x.copy())
        self.frame = Frame(0.0, state, carrier.lift(state, 0.0) @ self.propagator.orthogonal)
        self.segment = 1.0 if carrier.model.discrete else math.inf

    def to(self, end: float) -> Mark | None:
        """The place at that time; None once the budget is spent."""
        while self.frame.time < end:
            if time.monotonic() > self.deadline:
                return None
            self._advance(end)
        return Mark(self.frame, self.propagator)

    def _advance(self, end: float) -> None:
        now, discrete = self.frame.time, self.carrier.model.discrete
        if math.isinf(self.segment):
            self.segment = self._first(end - now)
        length = min(self.segment, end - now)
        if discrete:
            length = max(1.0, math.floor(length))
        ahead = self.carrier.carried(self.frame, end if length >= (end - now) * (1 - 1e-9) else now + length)
        after = self.propagator.followed(ahead.columns[self.carrier.free])
        torn = float(np.ptp(after.logs - self.propagator.logs))
        if torn > _TORN and length > (1.0 if discrete else 1e-9 * max(end, 1e-300)):
            self.segment = length / 2.0
            return
        if torn > _TIGHT:
            self.segment = length / 1.5
        elif torn < _LOOSE and length == self.segment:
            self.segment *= 1.5
        columns = self.carrier.lift(ahead.state, ahead.time) @ after.orthogonal
        self.frame, self.propagator = Frame(ahead.time, ahead.state, columns, ahead.trace), after

    def _first(self, span: float) -> float:
        n = self.frame.state.size
        matrix = np.empty(n * n)
        self.carrier.plain.field(1, self.frame.time, self.frame.state, self.carrier.params, matrix)
        size = float(np.linalg.norm(matrix))
        return min(span, 1.0 / size) if math.isfinite(size) and size > 0.0 else span


def checked_model(model: Any) -> None:
    """Raise ArgumentError for what is no Model."""
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")


def one_trajectory(model: Model, start: Any, params: Any) -> tuple[Array, Array]:
    """Start and parameters in packing order; DomainError where they are several."""
    batch = cells(model, start, params, np.random.default_rng(0))
    if batch.dims:
        raise DomainError(f"start and params must be one number each here; {', '.join(batch.dims)} has several")
    return batch.starts[0], batch.params[0]


def course_attributes(model: Model, x: Array, p: Array) -> dict[str, Any]:
    """What made a result, as JSON attributes."""
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "params": json.dumps(dict(zip(model.param_names, p.tolist(), strict=True)), sort_keys=True),
        "start": json.dumps(dict(zip(model.state_names, x.tolist(), strict=True)), sort_keys=True),
        "versions": json.dumps({n: installed(n) for n in ("toymesa", "numpy", "scipy", "sympy", "numba", "xarray")}),
    }

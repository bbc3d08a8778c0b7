"""The parametric law fitted to a user's training runs: Huber loss on log loss, as Hoffmann et al. 2022 (appendix D.3)."""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from toymesa.arguments import Array, generator, positive, scalar, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean, named_arguments
from toymesa.scaling.parametric import Parametric

_KNOWN = {
    "parameters": ("parameters", "params", "model size", "n", "n_params", "num_params", "model_size"),
    "tokens": ("tokens", "training tokens", "d", "n_tokens", "training_tokens"),
    "flop": ("flop", "flops", "training flop", "training flops", "compute", "c", "training_flop", "training compute"),
    "loss": ("loss", "final loss", "val loss", "validation loss", "test loss", "l"),
}
_CONSTANTS = ("E", "A", "B", "alpha", "beta")


@dataclass(frozen=True)
class Runs:
    """Training runs: parameters, tokens, final loss (nats per token), one entry a run."""

    parameters: Array
    tokens: Array
    loss: Array

    def __post_init__(self) -> None:
        for name in ("parameters", "tokens", "loss"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        shapes = {name: getattr(self, name).shape for name in ("parameters", "tokens", "loss")}
        if len(set(shapes.values())) > 1 or self.loss.ndim != 1:
            raise DomainError(f"runs need one entry each of {', '.join(f'{n} (shape {s})' for n, s in shapes.items())}")


@dataclass(frozen=True)
class Fit:
    """A fitted law, its objective (summed Huber loss of the residuals of log loss), and 95 % bootstrap intervals if asked."""

    law: Parametric
    objective: float
    n_runs: int
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def constants(self) -> dict[str, float]:
        """E, A, B, alpha, beta."""
        return {n: float(getattr(self.law, n)) for n in _CONSTANTS}

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "constants": self.constants,
            "intervals": {n: list(v) for n, v in self.intervals.items()},
            "objective": self.objective,
            "n_runs": self.n_runs,
        }


def read_runs(
    path: str | os.PathLike[str],
    *,
    parameters: str | None = None,
    tokens: str | None = None,
    flop: str | None = None,
    loss: str | None = None,
) -> Runs:
    """Read runs from a CSV with a header; columns are recognized by common names or given.

    Needs parameters, loss, and tokens or FLOP (tokens are then FLOP/(6 N)). DomainError names the file, line and column
    of the first thing that cannot be used.
    """
    file = Path(path)
    if not file.exists():
        raise DomainError(f"there is no file {str(path)!r}")
    if not file.is_file():
        raise DomainError(f"{str(path)!r} is not a file")
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.reader(handle))
    except UnicodeDecodeError:
        raise DomainError(f"{file.name}: not a text file in UTF-8") from None
    except csv.Error as error:
        raise DomainError(f"{file.name}: not a CSV file ({error})") from None
    if not rows:
        raise DomainError(f"{file.name}: the file is empty")
    header = [h.strip() for h in rows[0]]
    places = {
        "parameters": _column(file.name, header, "parameters", parameters),
        "loss": _column(file.name, header, "loss", loss),
        "tokens": _column(file.name, header, "tokens", tokens, needed=False),
        "flop": _column(file.name, header, "flop", flop, needed=False),
    }
    if places["tokens"] is None and places["flop"] is None:
        raise DomainError(f"{file.name}: needs a column of tokens or of FLOP (columns: {', '.join(header)})")
    body = [(i, r) for i, r in enumerate(rows[1:], start=2) if any(c.strip() for c in r)]
    if len(body) < 6:
        raise DomainError(f"{file.name}: needs at least 6 runs for 5 constants; got {len(body)}")
    columns = {k: _numbers(file.name, header, body, p) for k, p in places.items() if p is not None}
    d = columns["tokens"] if "tokens" in columns else columns["flop"] / (6 * columns["parameters"])
    return Runs(columns["parameters"], d, columns["loss"])


def _column(file: str, header: list[str], kind: str, given: str | None, *, needed: bool = True) -> int | None:
    if given is not None:
        if given not in header:
            raise DomainError(f"{file}: there is no column {given!r}{did_you_mean(given, header)}")
        return header.index(given)
    found = [i for i, h in enumerate(header) if h.lower() in _KNOWN[kind]]
    if len(found) > 1:
        raise DomainError(f"{file}: several columns could be {kind}: {', '.join(header[i] for i in found)}; name one")
    if not found and needed:
        raise DomainError(f"{file}: no column of {kind} was recognized; name one (columns: {', '.join(header)})")
    return found[0] if found else None


def _numbers(file: str, header: list[str], body: list[tuple[int, list[str]]], place: int) -> Array:
    out = []
    for line, row in body:
        text = row[place].strip() if place < len(row) else ""
        try:
            value = float(text)
        except ValueError:
            raise DomainError(f"{file}: line {line}, column {header[place]!r}: not a number: {text!r}") from None
        if not (math.isfinite(value) and value > 0):
            raise DomainError(f"{file}: line {line}, column {header[place]!r}: must be positive and finite; got {text}")
        out.append(value)
    return np.array(out)


@named_arguments
def fit(
    runs: Runs,
    *,
    bootstrap: int = 0,
    drop_highest: int = 0,
    huber_delta: float = 1e-3,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit E, A, B, alpha, beta by L-BFGS from a grid of starts.

    bootstrap: resamples for 95 % percentile intervals (each warm-started at the fit). drop_highest: leave out that many
    of the highest losses. Numerical: the best of the local optima found. DomainError where runs cannot identify the law.
    """
    if not isinstance(runs, Runs):
        raise ArgumentError(f"runs must be toymesa.scaling.Runs, as read_runs gives; got {type(runs).__name__}")
    bootstrap = whole("bootstrap", bootstrap, 0)
    drop_highest = whole("drop_highest", drop_highest, 0)
    huber_delta = scalar("huber_delta", huber_delta, 0.0, low_open=True)
    draw, _ = generator("rng", rng)
    order = np.argsort(runs.loss, kind="stable")[: runs.loss.size - drop_highest]
    n, d, loss = (np.log(v[order]) for v in (runs.parameters, runs.tokens, runs.loss))
    if n.size < 6:
        raise DomainError(f"needs at least 6 runs; got {n.size}")
    for name, column in (("model sizes", n), ("token counts", d)):
        if np.unique(column).size < 3:
            raise DomainError(
                f"needs at least 3 different {name} to identify its exponent; got {np.unique(column).size}"
            )
    best = _best(n, d, loss, huber_delta)
    intervals = {}
    if bootstrap:
        draws = []
        for i in range(bootstrap):
            pick = draw.integers(0, n.size, n.size)
            draws.append(_constants(_local(best[0], n[pick], d[pick], loss[pick], huber_delta)[0]))
            if progress is not None:
                progress(i + 1, bootstrap)
        low, high = np.percentile(np.array(draws), [2.5, 97.5], axis=0)
        intervals = {k: (float(a), float(b)) for k, a, b in zip(_CONSTANTS, low, high, strict=True)}
    values = dict(zip(_CONSTANTS, (float(v) for v in _constants(best[0])), strict=True))
    law = Parametric(name="fit", source=f"fitted to {n.size} runs", **values)
    return Fit(law, float(best[1]) * n.size, int(n.size), intervals)


def _constants(theta: Array) -> tuple[float, float, float, float, float]:
    a, b, e, alpha, beta = theta
    return math.exp(e), math.exp(a), math.exp(b), float(alpha), float(beta)


def _objective(theta: Array, n: Array, d: Array, loss: Array, delta: float) -> tuple[float, Array]:
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * n, b - beta * d, np.full_like(n, e)])
    predicted = logsumexp(terms, axis=0)
    weight = np.exp(terms - predicted)
    gap = predicted - loss
    small = np.abs(gap) <= delta
    value = np.where(small, gap**2 / 2, delta * (np.abs(gap) - delta / 2)).mean()
    slope = np.where(small, gap, delta * np.sign(gap)) / gap.size
    rows = np.stack([weight[0], weight[1], weight[2], -weight[0] * n, -weight[1] * d])
    # in units of delta, so that the optimizer's own tolerances make sense
    return float(value) / delta, rows @ slope / delta


def _local(start: Array, n: Array, d: Array, loss: Array, delta: float) -> tuple[Array, float]:
    options: Any = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(_objective, start, args=(n, d, loss, delta), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x), float(found.fun) * delta


def _best(n: Array, d: Array, loss: Array, delta: float) -> tuple[Array, float]:
    starts = itertools.product((4.0, 10.0), (4.0, 10.0), (-0.5, 0.5), (0.3, 0.6))
    found = [_local(np.array([*s, s[-1]]), n, d, loss, delta) for s in starts]
    found.sort(key=lambda f: f[1])
    again = [_local(f[0], n, d, loss, delta) for f in found[:4]]  # restarts: L-BFGS stops early in the flat valley
    again = [_local(f[0], n, d, loss, delta) for f in again]
    return min(again, key=lambda f: f[1])

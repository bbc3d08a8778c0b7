"""The mechanism model itself, integrated by scipy: an independent witness for the theorems about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from toymesa.models.mechanisms import mechanisms

NAMES = "abcdefgh"
PERFECT = {"lam": 0.0, "mu": 0.0}


class Ended(NamedTuple):
    """Where a run ended: time, contents, reliances, log-odds, base loss."""

    t: float
    c: np.ndarray
    p: np.ndarray
    odds: np.ndarray
    loss: float


@cache
def _compiled(k: int) -> tuple[Any, Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    model = mechanisms(tuple(NAMES[:k]))
    args = [*model.states, *model.params]
    numpy = [{"LogSumExp": lambda *a: np.logaddexp.reduce(np.broadcast_arrays(*a))}, "numpy"]
    rates = sp.lambdify(args, list(model.flow.values()), modules=numpy, cse=True)
    jacobian = sp.lambdify(args, model.jacobian().tolist(), modules=numpy, cse=True)
    loss = sp.lambdify(args, model.observables["loss"], modules=numpy, cse=True)
    return model, rates, jacobian, loss


def parameters(k: int, **given: Any) -> list[float]:
    """Values in packing order; ``rate``, ``bits`` and ``fidelity`` may be lists over the mechanisms."""
    model = _compiled(k)[0]
    values = model.defaults() | PERFECT
    for name, value in given.items():
        if name in ("rate", "bits", "fidelity", "deploy"):
            each = np.broadcast_to(value, (k,))
            values |= {f"{name}_{NAMES[i]}": float(each[i]) for i in range(k)}
        else:
            assert name in values, name
            values[name] = float(value)
    return list(values.values())


def rates(k: int, state: np.ndarray, params: list[float]) -> np.ndarray:
    """The model's rates of change at one state (K contents, then K - 1 log-odds)."""
    return np.array(_compiled(k)[1](*state, *params), dtype=float)


@cache
def _observable(k: int, name: str) -> Callable[..., Any]:
    model = _compiled(k)[0]
    numpy = [{"LogSumExp": lambda *a: np.logaddexp.reduce(np.broadcast_arrays(*a))}, "numpy"]
    return sp.lambdify([*model.states, *model.params], model.observables[name], modules=numpy, cse=True)


def observable(k: int, name: str, state: np.ndarray, params: list[float]) -> float:
    """An observable of the model at one state."""
    return float(_observable(k, name)(*state, *params))


def state_at(content: Any, reliances: Any) -> np.ndarray:
    """The state with these contents and reliances, K of each."""
    p = np.asarray(reliances, dtype=float)
    return np.concatenate([np.broadcast_to(content, p.shape), np.log(p[:-1]) - np.log(p[-1])])


def jacobian(k: int, state: np.ndarray, params: list[float]) -> np.ndarray:
    """The model's Jacobian at one state."""
    return np.array(_compiled(k)[2](*state, *params), dtype=float)


def run(
    odds: Any,
    *,
    content: Any = 0.0,
    t: float = np.inf,
    residual: float | None = None,
    until: Callable[[np.ndarray, np.ndarray], float] | None = None,
    method: str = "LSODA",
    **params: Any,
) -> Ended:
    """Integrate from log-odds (K numbers) and contents until time t, a loss fraction, or ``until(c, p) = 0``."""
    odds = np.asarray(odds, dtype=float)
    k = odds.size
    values = parameters(k, **params)
    _, flow, jac, loss = _compiled(k)
    start = np.concatenate([np.broadcast_to(content, (k,)).astype(float), (odds - odds[-1])[:-1]])
    first = float(loss(*start, *values))

    def split(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        full = np.append(y[k:], 0.0)
        return y[:k], np.exp(full - np.logaddexp.reduce(full))

    def stop(_t: float, y: np.ndarray) -> float:
        if residual is not None:
            return float(loss(*y, *values) / first - residual)
        return until(*split(y)) if until is not None else 1.0

    stop.terminal = True  # type: ignore[attr-defined]
    more = {} if method == "DOP853" else {"jac": lambda _t, y: np.array(jac(*y, *values), dtype=float)}
    scale = np.concatenate([np.full(k, 1e-14), np.minimum(np.abs(start[k:]), 1.0) * 1e-12 + 1e-14])
    done = solve_ivp(
        lambda _t, y: np.array(flow(*y, *values), dtype=float),
        (0.0, min(t, 1e12)),
        start,
        method=method,
        rtol=1e-11,
        atol=scale,
        events=stop,
        **more,
    )
    assert done.success, done.message
    y = done.y[:, -1]
    if residual is not None or until is not None:
        assert done.t_events[0].size or t < np.inf, "never met"
    c, p = split(y)
    return Ended(float(done.t[-1]), c, p, np.append(y[k:], 0.0), float(loss(*y, *values)))


def effective_number(p: np.ndarray) -> float:
    """exp of the entropy."""
    return float(np.exp(-np.sum(p * np.log(np.maximum(p, 1e-300)))))

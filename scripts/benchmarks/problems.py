"""The ensembles W1 to W3: right-hand sides, the ranges their points are drawn from, and toymesa's models of them.

``rates`` is written once, by hand, over any number type (heyoka expressions, JAX arrays, SymPy symbols). toymesa's model
is built from the potential instead where there is one, so that the two are independent and checked against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

import toymesa as tm

Array = NDArray[np.float64]
Range = tuple[float, float]
SEED = 20240607


@dataclass(frozen=True, eq=False)
class Problem:
    """An ensemble of one flow.

    rates: (states, parameters, tanh) -> rates. starts, params: name -> range of a uniform draw. potential, metric:
    (states, parameters) -> the gradient flow of them, or None. stiffness: columns of parameters by which an expert would
    sort. best_peer: the peer that the goals of this problem are stated against.
    """

    name: str
    title: str
    end: float
    points: int
    starts: Mapping[str, Range]
    params: Mapping[str, Range]
    rates: Callable[[Sequence[Any], Sequence[Any], Callable[[Any], Any]], list[Any]]
    best_peer: str
    potential: Callable[[Sequence[Any], Sequence[Any]], tuple[Any, list[Any]]] | None = None
    stiff: bool = False
    proxy: Callable[[Array, Array], Array] = lambda starts, params: params[:, 0]
    goals: tuple[tuple[float, str, float], ...] = ()

    @property
    def n(self) -> int:
        """Number of states."""
        return len(self.starts)

    @property
    def symbols(self) -> tuple[list[sp.Symbol], list[sp.Symbol]]:
        """States and parameters as SymPy symbols."""
        return [sp.Symbol(s, real=True) for s in self.starts], [sp.Symbol(p, real=True) for p in self.params]

    def draw(self, count: int) -> tuple[Array, Array]:
        """The first points of a fixed sequence: starts (row, state) and parameters (row, parameter)."""
        rng = np.random.default_rng(SEED)
        ranges = np.array([*self.starts.values(), *self.params.values()])
        table = rng.uniform(ranges[:, 0], ranges[:, 1], size=(count, len(ranges)))
        return np.ascontiguousarray(table[:, : self.n]), np.ascontiguousarray(table[:, self.n :])

    @cached_property
    def model(self) -> tm.Model:
        """The model as a user of toymesa defines it."""
        x, p = self.symbols
        defaults = {
            s: tm.Parameter(default=(low + high) / 2) for s, (low, high) in zip(p, self.params.values(), strict=True)
        }
        name = "".join(c if c.isalnum() else "_" for c in self.name.lower())
        if self.potential is None:
            flow = dict(zip(x, self.rates(x, p, sp.tanh), strict=True))
            return tm.Model(name=name, flow=flow, params=defaults)
        loss, metric = self.potential(x, p)
        return tm.gradient_flow(loss, x, metric=dict(zip(x, metric, strict=True)), params=defaults, name=name)

    def check(self) -> None:
        """Raise unless the rates written by hand are those of the model."""
        x, p = self.symbols
        for mine, theirs in zip(self.rates(x, p, sp.tanh), self.model.flow.values(), strict=True):
            if sp.expand(mine - theirs) != 0:
                raise AssertionError(f"{self.name}: the rates differ from the model's: {mine} and {theirs}")


# ---------------------------------------------------------------- W1: two mechanisms behind a gate


def _gated_rates(x: Sequence[Any], p: Sequence[Any], tanh: Callable[[Any], Any]) -> list[Any]:
    w, m, d = x[0], x[1], x[2]
    n, decay_w, decay_m, decay_d, rate_w, rate_m, rate_d = (p[i] for i in range(7))
    ne = n * ((1.0 - d) * w + d * m - 1.0)
    return [
        -rate_w * (ne * (1.0 - d) + decay_w * w),
        -rate_m * (ne * d + decay_m * m),
        -rate_d * (ne * (m - w) + decay_d * d),
    ]


def _gated_loss(x: Sequence[Any], p: Sequence[Any]) -> tuple[Any, list[Any]]:
    w, m, d = x
    n, decay_w, decay_m, decay_d, *rates = p
    error = (1 - d) * w + d * m - 1
    return n * error**2 / 2 + (decay_w * w**2 + decay_m * m**2 + decay_d * d**2) / 2, rates


W1 = Problem(
    name="W1",
    title="3 states, gated joint optimization: explicit at first, stiff late",
    end=50.0,
    points=100_000,
    starts={"w": (-0.1, 0.1), "m": (-0.1, 0.1), "d": (0.4, 0.6)},
    params={"n": (1.0, 16.0)} | {f"decay_{s}": (0.0, 0.1) for s in "wmd"} | {f"rate_{s}": (0.5, 2.0) for s in "wmd"},
    rates=_gated_rates,
    potential=_gated_loss,
    proxy=lambda starts, params: params[:, 0] * params[:, 4:7].max(axis=1),
    best_peer="heyoka, batch 16, sorted",
    goals=((1e-6, "heyoka, batch 16, sorted", 10.0), (1e-9, "heyoka, batch 16, sorted", 3.0)),
)


# ---------------------------------------------------------------- W2: ten states, weakly coupled


def modes(count: int, end: float = 20.0, points: int = 20_000, name: str | None = None) -> Problem:
    """Modes of a two-layer linear network with cross-talk: 2 ``count`` states a_i, b_i.

    V = n/2 sum (s_i - a_i b_i)^2 + kappa/2 sum (a_i b_(i+1))^2 + decay/2 sum (a_i^2 + b_i^2), indices cyclic: mode i
    learns the strength s_i, kappa punishes what leaks into the next one.
    """

    def rates(x: Sequence[Any], p: Sequence[Any], tanh: Callable[[Any], Any]) -> list[Any]:
        a, b = [x[i] for i in range(count)], [x[count + i] for i in range(count)]
        n, kappa, decay, rate = p[0], p[1], p[2], p[3]
        ne = [n * (p[4 + i] - a[i] * b[i]) for i in range(count)]
        after, before = [(i + 1) % count for i in range(count)], [(i - 1) % count for i in range(count)]
        first = [rate * (ne[i] * b[i] - a[i] * (kappa * b[after[i]] * b[after[i]] + decay)) for i in range(count)]
        second = [rate * (ne[i] * a[i] - b[i] * (kappa * a[before[i]] * a[before[i]] + decay)) for i in range(count)]
        return first + second

    def loss(x: Sequence[Any], p: Sequence[Any]) -> tuple[Any, list[Any]]:
        a, b, (n, kappa, decay, rate, *strengths) = x[:count], x[count:], p
        fit = sum((s - u * v) ** 2 for s, u, v in zip(strengths, a, b, strict=True))
        leak = sum((a[i] * b[(i + 1) % count]) ** 2 for i in range(count))
        return (n * fit + kappa * leak + decay * sum(s**2 for s in x)) / 2, [rate] * len(x)

    return Problem(
        name=name or f"modes of {2 * count} states",
        title=f"{2 * count} states, modes of a two-layer linear network with weak cross-talk",
        end=end,
        points=points,
        starts={f"{s}{i}": (0.05, 0.3) for s in "ab" for i in range(count)},
        params={"n": (1.0, 4.0), "kappa": (0.0, 0.1), "decay": (0.0, 0.1), "rate": (0.5, 1.5)}
        | {f"s{i}": (0.5, 1.5) for i in range(count)},
        rates=rates,
        potential=loss,
        proxy=lambda starts, params: params[:, 0] * params[:, 3],
        best_peer="heyoka, batch 8, sorted",
        goals=((1e-6, "heyoka, batch 8, sorted", 2.5), (1e-9, "heyoka, batch 8, sorted", 2.0)),
    )


def _shared_rates(x: Sequence[Any], p: Sequence[Any], tanh: Callable[[Any], Any]) -> list[Any]:
    m, g = [x[i] for i in range(5)], [x[5 + i] for i in range(5)]
    n, decay, pull, kappa, rate_m, rate_g = (p[i] for i in range(6))
    ne = n * (1.0 - sum((m[i] * g[i] for i in range(1, 5)), m[0] * g[0]))
    content = [
        rate_m * (ne * g[i] - decay * m[i] - kappa * (2.0 * m[i] - m[(i + 1) % 5] - m[(i - 1) % 5])) for i in range(5)
    ]
    return content + [rate_g * (ne * m[i] - pull * g[i]) for i in range(5)]


def _shared_loss(x: Sequence[Any], p: Sequence[Any]) -> tuple[Any, list[Any]]:
    m, g, (n, decay, pull, kappa, rate_m, rate_g) = x[:5], x[5:], p
    error = 1 - sum(u * v for u, v in zip(m, g, strict=True))
    likeness = sum((m[i] - m[(i + 1) % 5]) ** 2 for i in range(5))
    loss = (n * error**2 + decay * sum(s**2 for s in m) + pull * sum(s**2 for s in g) + kappa * likeness) / 2
    return loss, [rate_m] * 5 + [rate_g] * 5


W2A = modes(5, name="W2a")
W2B = Problem(
    name="W2b",
    title="10 states, five mechanisms (content m_i, gate g_i) that share one output, contents weakly coupled",
    end=20.0,
    points=20_000,
    starts={f"m{i}": (-0.1, 0.2) for i in range(5)} | {f"g{i}": (0.1, 0.3) for i in range(5)},
    params={
        "n": (1.0, 8.0), "decay": (0.0, 0.1), "pull": (0.0, 0.1), "kappa": (0.0, 0.1), "rate_m": (0.5, 1.5),
        "rate_g": (0.5, 1.5),
    },
    rates=_shared_rates,
    potential=_shared_loss,
    proxy=lambda starts, params: params[:, 0] * params[:, 4:6].max(axis=1),
    best_peer="heyoka, batch 8, sorted",
    goals=W2A.goals,
)  # fmt: skip


# ---------------------------------------------------------------- W3: stiff


def _fast_slow_rates(x: Sequence[Any], p: Sequence[Any], tanh: Callable[[Any], Any]) -> list[Any]:
    theta, phi, u, eps = x[0], x[1], p[0], p[1]
    return [phi - theta, (tanh(2.0 * theta + u) - phi) / eps]


# away from the separatrix of the two attractors, so that no single point decides the largest error
W3 = Problem(
    name="W3",
    title="2 states, an inner optimizer faster by 10,000: stiff",
    end=20.0,
    points=20_000,
    starts={"theta": (0.1, 1.0), "phi": (-1.0, 1.0)},
    params={"u": (0.0, 0.5), "eps": (1e-4, 1e-4)},
    rates=_fast_slow_rates,
    stiff=True,
    best_peer="CyRK Radau",
    goals=((1e-6, "CyRK Radau", 40.0), (1e-9, "CyRK Radau", 40.0)),
)

ENSEMBLES = (W1, W2A, W2B, W3)

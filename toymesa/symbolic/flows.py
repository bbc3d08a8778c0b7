"""Flows derived from one loss: gradient flow in a metric, heavy ball, and descent by discrete steps.

A metric is None (identity), a mapping from coordinate to rate (diagonal), a :class:`Simplex` (the Shahshahani metric,
Shahshahani 1979: shares that stay positive and sum to one), or a sequence of such pieces for different coordinates.
Shares are integrated as log-odds against the last one, so that no rounding error can take them off the simplex and no
spurious line of fixed points appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, ModelError, did_you_mean
from toymesa.symbolic.checks import expression
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import Chart, Domain, Model
from toymesa.symbolic.optimizers import Descent, HeavyBall, Optimizer, build


@dataclass(frozen=True)
class Simplex:
    """Shares p_1, ..., p_K > 0 with sum 1, moving by p_r' = -rate p_r (dV/dp_r - sum_q p_q dV/dp_q).

    coordinates: at least two symbols. rate: an expression in parameters, positive.
    """

    coordinates: tuple[sp.Symbol, ...]
    rate: Any = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "coordinates", tuple(self.coordinates))
        object.__setattr__(self, "rate", expression(self.rate))
        if len(self.coordinates) < 2 or len(set(self.coordinates)) < len(self.coordinates):
            raise ModelError(f"a simplex needs at least two different coordinates; got {list(self.coordinates)}")

    @property
    def log_odds(self) -> tuple[sp.Symbol, ...]:
        """The K - 1 states ``logit_<name>`` against the last share; a leading ``p_`` of the name is dropped."""
        return tuple(sp.Symbol(f"logit_{p.name.removeprefix('p_')}", real=True) for p in self.coordinates[:-1])

    def shares(self) -> dict[sp.Symbol, sp.Expr]:
        """Each share as an expression in the log-odds: a log-softmax, exact down to reliances of e^(-1000)."""
        odds = (*self.log_odds, sp.Integer(0))
        total = LogSumExp(*odds)
        return {p: sp.exp(l - total) for p, l in zip(self.coordinates, odds, strict=True)}

    def chart(self) -> Chart:
        """The shares as coordinates in which a start may be given."""
        last = self.coordinates[-1]
        return Chart(
            coordinates={p: Domain(0.0, 1.0, True, True) for p in self.coordinates},
            to_states={l: sp.log(p) - sp.log(last) for l, p in zip(self.log_odds, self.coordinates[:-1], strict=True)},
            from_states=self.shares(),
            constraint=sp.Add(*self.coordinates) - 1,
        )


def in_shares(model: Model, expr: sp.Expr) -> sp.Expr:
    """An expression of a model with one simplex in its shares, the last one eliminated.

    ``ln p`` of every share is the symbol ``ln_<name>``, so that what is polynomial in shares and logarithms looks so.
    """
    (chart,) = model.charts
    shares = list(chart.coordinates)
    expr = expr.xreplace({LogSumExp(*chart.to_states, 0): -sp.log(shares[-1])}).xreplace(dict(chart.to_states))
    expr = expr.xreplace({sp.log(p): sp.Symbol(f"ln_{p.name}", real=True) for p in shares})
    return expr.subs(shares[-1], 1 - sum(shares[:-1]))


Metric = None | Mapping[Any, Any] | Simplex | Sequence[Mapping[Any, Any] | Simplex]


@dataclass(frozen=True)
class Geometry:
    """Coordinates in which losses are written, the states that are integrated, and the metric between them."""

    coordinates: tuple[sp.Symbol, ...]
    rates: Mapping[sp.Symbol, sp.Expr]
    simplices: tuple[Simplex, ...]
    shares: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)

    @staticmethod
    def of(coordinates: Iterable[sp.Symbol], metric: Metric) -> Geometry:
        """Sort the pieces of a metric; ModelError for a coordinate that is unknown or metered twice."""
        coords = tuple(coordinates)
        if not coords or len({c.name for c in coords}) < len(coords):
            raise ModelError(f"coordinates must be different and at least one; got {list(coords)}")
        by_name = {c.name: c for c in coords}
        pieces: list[Any] = (
            [] if metric is None else [metric] if isinstance(metric, Mapping | Simplex) else list(metric)
        )
        rates: dict[sp.Symbol, sp.Expr] = {}
        simplices = [p for p in pieces if isinstance(p, Simplex)]
        for piece in pieces:
            if isinstance(piece, Mapping):
                for key, rate in piece.items():
                    name = key if isinstance(key, str) else getattr(key, "name", str(key))
                    if name not in by_name or by_name[name] in rates:
                        why = "twice" if name in by_name else f"of an unknown coordinate{did_you_mean(name, by_name)}"
                        raise ModelError(f"the metric gives a rate {why}; got {name!r}")
                    rates[by_name[name]] = expression(rate)
            elif not isinstance(piece, Simplex):
                raise ArgumentError(f"a metric is None, a mapping, a Simplex or a list of them; got {piece!r}")
        taken = [c for s in simplices for c in s.coordinates]
        for c in taken:
            if c not in coords or c in rates or taken.count(c) > 1:
                raise ModelError(f"simplex coordinate {c} must be a coordinate and have no second metric")
        free = {c: rates.get(c, sp.Integer(1)) for c in coords if c not in taken}
        shares = {p: e for s in simplices for p, e in s.shares().items()}
        return Geometry(coords, free, tuple(simplices), shares)

    @property
    def states(self) -> tuple[sp.Symbol, ...]:
        """What is integrated: the plain coordinates in their order, then the log-odds of each simplex."""
        return (*self.rates, *(l for s in self.simplices for l in s.log_odds))

    def on_states(self, expr: sp.Expr) -> sp.Expr:
        """An expression in coordinates, rewritten in states."""
        return expr.xreplace(self.shares) if self.shares else expr

    def normalized(self, expr: sp.Expr) -> sp.Expr:
        """The expression with every sum of all shares of a simplex replaced by 1 (equal on the simplex)."""
        for s in self.simplices:
            expr = expr.subs(sp.Add(*s.coordinates), 1)
        return expr

    def flow(self, gradient: Mapping[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
        """Rates of the states, minus metric times gradient (partial derivatives by coordinate)."""
        out = {c: self.on_states(-rate * gradient[c]) for c, rate in self.rates.items()}
        for s in self.simplices:
            last = gradient[s.coordinates[-1]]
            for l, p in zip(s.log_odds, s.coordinates[:-1], strict=True):
                # the log-odds see only differences of the gradient: the mean over shares cancels
                out[l] = self.on_states(-s.rate * (gradient[p] - last))
        return out

    def matrix(self) -> sp.ImmutableMatrix:
        """The metric G in states: flow = -G grad V."""
        blocks = [sp.Matrix([[self.on_states(r)]]) for r in self.rates.values()]
        for s in self.simplices:
            p = s.shares()
            k = len(s.log_odds)
            inverse = sp.diag(*[1 / p[c] for c in s.coordinates[:-1]]) + sp.ones(k, k) / p[s.coordinates[-1]]
            blocks.append(s.rate * inverse)
        return sp.ImmutableMatrix(sp.diag(*blocks))

    def charts(self) -> tuple[Chart, ...]:
        """The shares, for starts."""
        return tuple(s.chart() for s in self.simplices)

    def share_observables(self) -> dict[str, sp.Expr]:
        """Each share by its name: log-odds are for the solver, shares are what people read."""
        return {p.name: e for p, e in self.shares.items()}

    def start(self, given: Mapping[Any, Any] | None) -> dict[sp.Symbol, sp.Expr]:
        """A start in coordinates or states (by symbol or name) as a start of the states."""
        known = {s.name: s for s in (*self.states, *self.shares)}
        values: dict[sp.Symbol, sp.Expr] = {}
        for key, value in (given or {}).items():
            name = key if isinstance(key, str) else getattr(key, "name", str(key))
            if name not in known:
                raise ModelError(f"start of an unknown state {name!r}{did_you_mean(name, known)}")
            values[known[name]] = expression(value)
        for s in self.simplices:
            shares = [values.pop(p, None) for p in s.coordinates]
            if all(v is None for v in shares):
                continue
            if any(v is None for v in shares) or any(l in values for l in s.log_odds):
                raise ModelError(
                    f"the start of a simplex needs all of {[p.name for p in s.coordinates]} and no log-odds beside them"
                )
            if sp.simplify(sp.Add(*shares) - 1) != 0:
                raise ModelError(f"the start of a simplex must sum to 1; got {sp.Add(*shares)}")
            values |= {l: sp.log(v / shares[-1]) for l, v in zip(s.log_odds, shares[:-1], strict=True)}
        return values


def gradient_flow(
    loss: Any,
    states: Sequence[sp.Symbol],
    *,
    metric: Metric = None,
    params: Mapping[Any, Any] | None = None,
    start: Mapping[Any, Any] | None = None,
    observables: Mapping[str, Any] | None = None,
    optimizer: Optimizer | None = None,
    name: str = "gradient_flow",
    **more: Any,
) -> Model:
    """The flow dx/dt = -G grad loss as a :class:`Model`, with the loss as potential and as an observable.

    Parameters
    ----------
    loss : expression in the coordinates and parameters.
    states : the coordinates that the loss is written in.
    metric : None, {coordinate: rate}, :class:`Simplex`, or a list of such pieces.
    optimizer : another base optimizer than gradient flow, see :mod:`toymesa.symbolic.optimizers`.
    params, start, observables, name, **more : as in :class:`Model`; a start may give shares or log-odds.

    Returns a Model with the observable ``loss`` and, on a simplex, one observable per share.
    Raises ModelError where the definition contradicts itself.
    """
    loss = expression(loss)
    geometry = Geometry.of(states, metric)
    if not loss.free_symbols & set(geometry.coordinates):
        raise ModelError(
            f"model {name!r}: the loss depends on none of its states {[s.name for s in states]}; got {loss}"
        )
    gradient = {c: sp.diff(loss, c) for c in geometry.coordinates}
    extra = {n: geometry.on_states(expression(e)) for n, e in (observables or {}).items()}
    return build(
        optimizer,
        params or {},
        name=name,
        flow=geometry.flow(gradient),
        start=geometry.start(start),
        observables={"loss": geometry.on_states(loss)} | geometry.share_observables() | extra,
        potential=geometry.on_states(loss),
        metric=geometry.matrix(),
        charts=geometry.charts(),
        **more,
    )


def heavy_ball(loss: Any, states: Sequence[sp.Symbol], *, friction: Any, **more: Any) -> Model:
    """The heavy-ball flow x'' + friction x' = -G grad loss (Polyak 1964); arguments as in :func:`gradient_flow`.

    The energy ``loss + v.G^-1.v/2``, which decreases, is the observable ``energy`` (constant diagonal metrics).
    """
    model = gradient_flow(loss, states, optimizer=HeavyBall(friction), **more)
    metric = Geometry.of(states, more.get("metric")).matrix()
    if not metric.is_diagonal():
        return model
    v = sp.Matrix(model.states[len(model.states) // 2 :])
    energy = model.observables["loss"] + (v.T * metric.inv() * v)[0] / 2
    return model.with_(observables={**model.observables, "energy": energy})


def descent(loss: Any, states: Sequence[sp.Symbol], *, step: Any, **more: Any) -> Model:
    """Gradient descent x -> x - step G grad loss as a map; arguments as in :func:`gradient_flow`."""
    return gradient_flow(loss, states, optimizer=Descent(step), **more)

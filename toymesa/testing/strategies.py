"""Hypothesis strategies for models: parameters and starts of any Model, and random models with known answers.

Values are chosen to break things: log-uniform sizes, ends of domains, equal rates, zero, and, with ``extreme=True``, the
ends of the floating-point range. They shrink towards 1 (positive numbers), 0 (others) and the model's own defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from hypothesis import strategies as st

from toymesa.errors import DomainError
from toymesa.symbolic.bilevel import COUPLINGS, bilevel
from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import EVERYWHERE, TIME, Domain, Model, at_start
from toymesa.testing.checks import Point

_SIMPLE = (1.0, 2.0, 0.5, 3.0, 10.0, 0.1)


def numbers(domain: Domain = EVERYWHERE, *, decades: float = 3.0, extreme: bool = False) -> st.SearchStrategy[float]:
    """Floats of a domain. decades: sizes reach 10**decades and 10**-decades. extreme: also the ends of the float range.

    A domain with a finite end gets that end (if it is closed) and its neighbours.
    """
    if not decades > 0:
        raise DomainError(f"decades must be positive; got {decades}")
    low, high = domain.low, domain.high
    special = [v for v in (*_SIMPLE, 0.0, *(-v for v in _SIMPLE)) if v in domain]
    ends = [v for end in (low, high) if math.isfinite(end) for v in _around(end, extreme) if v in domain]
    if extreme:
        huge = (5e-324, 2.2250738585072014e-308, 1e-300, 1e-16, 1e16, 1e300)
        ends += [s * v for v in huge for s in (1.0, -1.0) if s * v in domain]
    if math.isfinite(low) and math.isfinite(high):
        body = st.floats(low, high, exclude_min=domain.low_open, exclude_max=domain.high_open, allow_subnormal=False)
    else:
        size = st.floats(-decades, decades).map(lambda e: 10.0**e)
        if math.isfinite(low):
            body = size.map(lambda v: low + v)
        elif math.isfinite(high):
            body = size.map(lambda v: high - v)
        else:
            body = st.builds(lambda v, s: s * v, size, st.sampled_from([1.0, -1.0]))
        body = body.filter(lambda v: v in domain)
    chosen = [*special, *(v for v in ends if v not in special)]  # one piece, so that all shrink to the first
    return st.one_of(st.sampled_from(chosen), body) if chosen else body


def _around(end: float, extreme: bool) -> tuple[float, ...]:
    """An end of a domain and its neighbours, a little away and a few ulp (beside 0 those are subnormal: an extreme)."""
    near = (end, end + 1e-8, end - 1e-8)
    if end == 0 and not extreme:
        return near
    return (*near, float(np.nextafter(end, np.inf)), float(np.nextafter(end, -np.inf)))


@st.composite
def params(
    draw: st.DrawFn,
    model: Model,
    *,
    fixed: Mapping[str, float] | None = None,
    decades: float = 2.0,
    extreme: bool = False,
) -> dict[str, float]:
    """Values of all parameters of a model by name, inside their domains. fixed: values that are not drawn.

    Parameters that mean the same for different mechanisms (``rate_a``, ``rate_b``) are often drawn equal: degenerate
    rates are where closed forms break.
    """
    fixed = dict(fixed or {})
    for name in fixed:
        model.param(name)  # an ArgumentError with the nearest name
    out: dict[str, float] = {}
    shared: dict[tuple[str, Domain], float] = {}
    equal = draw(st.booleans())
    for symbol, parameter in model.params.items():
        name, domain = symbol.name, parameter.domain
        if name in fixed:
            out[name] = float(fixed[name])
            continue
        family = (name.rsplit("_", 1)[0], domain)
        if equal and family in shared:
            out[name] = shared[family]
            continue
        out[name] = draw(st.one_of(st.just(parameter.default), numbers(domain, decades=decades, extreme=extreme)))
        shared[family] = out[name]
    return out


@st.composite
def starts(draw: st.DrawFn, model: Model, *, decades: float = 1.0, extreme: bool = False) -> dict[str, float]:
    """Starts of some states of a model by name; the others keep the model's own start. Equal starts are frequent."""
    out: dict[str, float] = {}
    last: float | None = None
    for symbol, domain in model.domains.items():
        if symbol not in model.flow or not draw(st.booleans()):
            continue
        again = last is not None and last in domain and draw(st.booleans())
        value = last if again else draw(numbers(domain, decades=decades, extreme=extreme))
        assert value is not None  # `again` needs a last value
        out[symbol.name] = last = value
    return out


def points(model: Model, **options: Any) -> st.SearchStrategy[Point]:
    """Parameters and starts together, for ``check(model, at)``. options: as in :func:`params`."""
    return st.builds(Point, params(model, **options), starts(model))


@dataclass(frozen=True)
class Known:
    """A random model and what is known about it: fixed point and solution by state, slowest rate of approach."""

    model: Model
    fixed_point: Mapping[sp.Symbol, sp.Expr]
    solution: Mapping[sp.Symbol, sp.Expr]


_RATIONALS = st.builds(sp.Rational, st.integers(-4, 4), st.integers(1, 4))
_RATES = st.builds(sp.Rational, st.integers(1, 8), st.integers(1, 4))


@st.composite
def gradient_flows(draw: st.DrawFn, *, max_states: int = 3) -> Known:
    """Quadratic losses with rational coefficients in up to ``max_states`` states: minimum and solution are known exactly.

    The loss is a sum over modes rate/2 (direction . (x - minimum))^2 with orthonormal rational directions, so that equal
    rates (degenerate modes) occur.
    """
    n = draw(st.integers(1, max_states))
    x = sp.Matrix([sp.Symbol(f"x{i + 1}", real=True) for i in range(n)])
    rates = [draw(_RATES) for _ in range(n)]
    minimum = sp.Matrix([draw(_RATIONALS) for _ in range(n)])
    skew = sp.zeros(n, n)
    for i in range(n):
        for j in range(i):
            skew[i, j] = draw(_RATIONALS)
            skew[j, i] = -skew[i, j]
    turn = (sp.eye(n) - skew) * (sp.eye(n) + skew).inv()  # Cayley: rational and orthogonal
    modes = turn.T * (x - minimum)
    loss = sum(r * m**2 / 2 for r, m in zip(rates, modes, strict=True))
    begin = {s: draw(_RATIONALS) for s in x}
    model = gradient_flow(sp.expand(loss), list(x), start=begin, name="random_flow")
    decay = sp.diag(*[sp.exp(-r * TIME) for r in rates])
    path = minimum + turn * decay * turn.T * (sp.Matrix([at_start(s) for s in x]) - minimum)
    return Known(model, dict(zip(x, minimum, strict=True)), dict(zip(x, path, strict=True)))


@st.composite
def bilevel_pairs(draw: st.DrawFn, *, coupling: str | None = None) -> Known:
    """Random quadratic pairs in one outer and one inner variable, in any coupling, with their exact answers.

    Base loss ½(a - target)^2 + ½ weight (theta - home)^2, mesa-objective ½ stiffness (a - gain theta)^2.
    """
    how = draw(st.sampled_from(COUPLINGS)) if coupling is None else coupling
    theta, a = sp.symbols("theta a", real=True)
    target, home, begin = (draw(_RATIONALS) for _ in range(3))
    weight, stiffness, gain = (draw(_RATES) for _ in range(3))
    common: dict[str, Any] = {
        "base_loss": (a - target) ** 2 / 2 + weight * (theta - home) ** 2 / 2,
        "mesa_objective": stiffness * (a - gain * theta) ** 2 / 2,
        "outer": [theta],
        "inner": [a],
        "coupling": how,
        "name": f"random_{how}",
    }
    t0, a0 = at_start(theta), at_start(a)
    if how == "joint":
        eps = draw(_RATES)
        model = bilevel(**common, rate=eps, start={theta: begin})
        fast = stiffness / eps
        path = home + (t0 - home) * sp.exp(-weight * TIME)
        # a' = -fast (a - gain theta): the response to an exponential, by its limit where the rates are equal
        driven = TIME if fast == weight else (sp.exp((fast - weight) * TIME) - 1) / (fast - weight)
        inner = gain * home + sp.exp(-fast * TIME) * (a0 - gain * home + fast * gain * (t0 - home) * driven)
        return Known(model, {theta: home, a: gain * home}, {theta: path, a: inner})
    if how == "unrolled":
        tau = draw(_RATES)
        model = bilevel(**common, inner_time=tau, start={theta: begin})
        gain = gain * (1 - sp.exp(-stiffness * tau))
    else:
        model = bilevel(**common, start={theta: begin})
    rate = gain**2 + weight
    rest = (gain * target + weight * home) / rate
    return Known(model, {theta: rest}, {theta: rest + (t0 - rest) * sp.exp(-rate * TIME)})

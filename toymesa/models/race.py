r"""Can two mechanisms share the work, or does depth make one of them take it all?

Mechanism r is a chain of D_r balanced layers of weight w_r; its end-to-end strength is :math:`P_r = w_r^{D_r}`, and all
chains descend on one loss:

.. math::
    \ell = \tfrac12 g^2, \quad g = 1 - \textstyle\sum_r P_r, \qquad
    \dot w_r = \eta_r\, g\, w_r^{D_r-1} \quad\Longleftrightarrow\quad \dot P_r = \eta_r D_r\, g\, P_r^{2-2/D_r}

======  ================  ==========  ==========================================================================
symbol  name              range       meaning (unit)
======  ================  ==========  ==========================================================================
D_r     (structural)      real >= 1   depth of the chain: how many factors must be learned together
w_r     ``w_<name>``      > 0         weight of each of its layers (any sign where D_r = 1)
P_r     ``P_<name>``      > 0         strength of the mechanism; a start may be given as P or as w
eta_r   ``rate_<name>``   > 0         learning rate of a layer (per unit of training time)
b_r     ``bits_<name>``   real        description length (bits): P_r(0) is proportional to 2^(-b)
P(0)    ``scale``         > 0         total strength at the start
======  ================  ==========  ==========================================================================

Exact (``derivations/race_2_*``): the chain of layers reduces to its strength; every chain in internal time s, ds = g dt;
what of the start is conserved; shares of equal chains are contracted (D < 2), conserved (D = 2) or pulled apart (D > 2);
the whole course in training time where all depths are 1, or all are 2 with equal rates (the total is then logistic).

*Unstable* here means pulled apart on the way, while g > 0. Once g = 0 every point with sum P = 1 is at rest: a drift
along a surface of fixed points, no saddle. *Simple* means two things: prior bits (the start) and implicit bias of the
dynamics (depth). For 1 < D < 2 a strength that falls (g < 0) vanishes in finite time; the model ends there.

Left out: layers that are not balanced, chains that share layers, decay, targets that only one mechanism can reach.

Reference: Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120); Arora, Cohen and Hazan 2018 (arXiv 1802.06509,
theorem 1) for the end-to-end flow; Gissin, Shalev-Shwartz and Daniely 2020 (arXiv 1909.12051) for depth and order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import log1p

from toymesa.errors import ArgumentError, DomainError
from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import (
    POSITIVE,
    TIME,
    Chart,
    ClosedForm,
    Domain,
    InternalTimeForm,
    Invariant,
    Model,
    Parameter,
    at_start,
    check_name,
)
from toymesa.symbolic.optimizers import Optimizer

# structure
DEPTHS: Mapping[str, Any] = {"shallow": 2, "deep": 3}

# symbols
SCALE = sp.Symbol("scale", positive=True)
S = sp.Symbol("s", nonnegative=True)


class Chains:
    """The symbols of the chains, and the loss that they share."""

    def __init__(self, depths: Mapping[str, sp.Rational]) -> None:
        self.names, self.depth = tuple(depths), tuple(depths.values())
        self.w = [sp.Symbol(f"w_{n}", **({"real": True} if d == 1 else {"positive": True})) for n, d in depths.items()]
        self.rate = [sp.Symbol(f"rate_{n}", positive=True) for n in depths]
        self.bits = [sp.Symbol(f"bits_{n}", real=True) for n in depths]
        self.start = [at_start(w) for w in self.w]

    def error(self, layers: Sequence[sp.Expr]) -> sp.Expr:
        """g = 1 - sum of strengths, for given layers."""
        return 1 - sum(strength(w, d) for w, d in zip(layers, self.depth, strict=True))

    def prior(self) -> list[sp.Expr]:
        """Layers whose strengths are the simplicity prior: P_r = scale 2^(-b_r) / sum 2^(-b)."""
        weights = [-b * sp.log(2) for b in self.bits]
        total = LogSumExp(*weights)
        return [sp.exp((sp.log(SCALE) + v - total) / d) for v, d in zip(weights, self.depth, strict=True)]


# objective
def strength(w: sp.Expr, depth: Any) -> sp.Expr:
    """End-to-end strength of a chain of balanced layers."""
    return w**depth


# closed forms and invariants
def grown(w: sp.Expr, depth: Any, x: sp.Expr, power: Any = 1) -> sp.Expr:
    """A layer that started at w, after x = eta s: the solution of dw/dx = w^(D-1). power: D for the strength."""
    if depth == 2:
        return w**power * sp.exp(power * x)
    if depth == 1:
        return (w + x) ** power
    if _near_two(depth):
        return w**power * sp.exp(-power * log1p(bracket(w, depth, x) - 1) / (depth - 2))
    return w**power * bracket(w, depth, x) ** (-power / (depth - 2))


def bracket(w: sp.Expr, depth: Any, x: sp.Expr) -> sp.Expr:
    """What :func:`grown` takes a power of; 0 where a chain deeper than 2 grows beyond every bound."""
    return 1 - (depth - 2) * x * w ** (depth - 2)


def clock(w: sp.Expr, depth: Any) -> sp.Expr:
    """eta s from weight 1 to weight w: it grows at the rate eta g, whatever the depth."""
    if depth == 2:
        return sp.log(w)
    if _near_two(depth):
        half = (2 - depth) / 2
        return w**half * sp.sinh(half * sp.log(w)) / half
    return (w ** (2 - depth) - 1) / (2 - depth)


def _near_two(depth: Any) -> bool:
    """Whether the powers of a depth cancel so much that they are better written through their logarithm."""
    return bool(depth.is_number and abs(depth - 2) < sp.Rational(1, 8))


def _internal(c: Chains) -> InternalTimeForm:
    """Every chain in internal time, which runs at the pace |g|: backwards in the formulas where the error is negative."""
    error = c.error(c.start)
    turn = sp.sign(error)
    moved = [turn * r * S for r in c.rate]
    layers = [grown(w, d, x) for w, d, x in zip(c.start, c.depth, moved, strict=True)]
    bounds = [bracket(w, d, x) > 0 for w, d, x in zip(c.start, c.depth, moved, strict=True) if d not in (1, 2)]
    strengths = (grown(w, d, x, power=d) for w, d, x in zip(c.start, c.depth, moved, strict=True))
    rate = turn * (1 - sum(strengths))
    if bounds:  # beyond the pole of a chain the error has long changed its sign
        rate = sp.Piecewise((rate, sp.And(*bounds)), (sp.Integer(-1), True))
    vanishing = any(1 < d < 2 for d in c.depth)
    return InternalTimeForm(
        states=dict(zip(c.w, layers, strict=True)),
        rate=rate,
        internal=S,
        conditions=(sp.Gt(error, 0) if vanishing else sp.Ne(error, 0),),
        derivation="race_2_2",
    )


def _timed(c: Chains) -> list[ClosedForm]:
    """The courses in training time: all depths 1, or all depths 2 with equal rates."""
    if all(d == 1 for d in c.depth):
        total = sum(c.rate)
        passed = c.error(c.start) * (1 - sp.exp(-total * TIME)) / total
        states = {w: grown(w0, 1, r * passed) for w, w0, r in zip(c.w, c.start, c.rate, strict=True)}
        return [ClosedForm(states=states, derivation="race_2_4")]
    if all(d == 2 for d in c.depth):
        total = sum(strength(w0, 2) for w0 in c.start)
        growth = total + (1 - total) * sp.exp(-2 * c.rate[0] * TIME)  # total at the start over total now
        states = {w: w0 / sp.sqrt(growth) for w, w0 in zip(c.w, c.start, strict=True)}
        equal = tuple(sp.Eq(r, c.rate[0]) for r in c.rate[1:])
        return [ClosedForm(states=states, conditions=equal, derivation="race_2_4")]
    return []


def _invariants(c: Chains) -> dict[str, Invariant]:
    clocks = [clock(w, d) / r for w, d, r in zip(c.w, c.depth, c.rate, strict=True)]
    pairs = zip(c.names[:-1], clocks[:-1], strict=True)
    return {f"lead_{n}": Invariant(expr=t - clocks[-1], derivation="race_2_3") for n, t in pairs}


# the factory
def race(
    depths: Mapping[str, Any] | Sequence[Any] = DEPTHS,
    names: Sequence[str] | None = None,
    *,
    optimizer: Optimizer | None = None,
) -> Model:
    """The race of any number of chains.

    depths : name -> depth D >= 1, or the depths alone with ``names`` (default m1, m2, ...). A depth is a real number
        or a SymPy rational; a float is read as the decimal that it prints as.
    optimizer : another base optimizer than gradient flow; it moves the layers, all of a chain alike.

    States ``w_<name>``; starts may be given as ``P_<name>`` too (default: the prior). Observables ``P_<name>``,
    ``share_<name>``, ``loss``, ``error``, ``strength`` (the total), ``n_eff`` (effective number of mechanisms, 1 to K;
    nan where a strength is negative) and ``expected_bits``. Raises ArgumentError for unusable names or depths,
    DomainError for a depth below 1.
    """
    c = Chains(_checked(depths, names))
    strengths = [strength(w, d) for w, d in zip(c.w, c.depth, strict=True)]
    model = gradient_flow(
        c.error(c.w) ** 2 / 2,
        c.w,
        # D balanced layers that all move: the common weight moves as in the metric eta/D
        metric={w: r / d for w, r, d in zip(c.w, c.rate, c.depth, strict=True)},
        params=_parameters(c),
        start=dict(zip(c.w, c.prior(), strict=True)),
        observables=_observables(c, strengths),
        invariants=_invariants(c),
        closed_forms=(*_timed(c), _internal(c)),
        optimizer=optimizer,
        name="race",
        meanings=_meanings(c),
        question="Can mechanisms share the work, or does depth make one of them take it all?",
        reference="Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120)",
    )
    return model.with_(charts=tuple(_chart(*chain) for chain in zip(c.names, c.w, c.depth, strict=True)))


def _checked(depths: Mapping[str, Any] | Sequence[Any], names: Sequence[str] | None) -> dict[str, sp.Rational]:
    if isinstance(depths, Mapping):
        if names is not None:
            raise ArgumentError("names are the keys of depths where that is a mapping; give one or the other")
        names, depths = tuple(depths), tuple(depths.values())
    elif isinstance(depths, str) or not isinstance(depths, Sequence):
        raise ArgumentError(f"depths must be a sequence of depths or a mapping from name to depth; got {depths!r}")
    names = tuple(f"m{i + 1}" for i in range(len(depths))) if names is None else names
    if isinstance(names, str) or not depths or len(names) != len(depths):
        raise ArgumentError(
            f"race needs one name for each of at least one depth; got {names!r} for {len(depths)} depths"
        )
    for name in names:
        check_name(name, "a mechanism's name")
    if len(set(names)) < len(names):
        raise ArgumentError(f"mechanism names must differ; got {list(names)}")
    return {n: _depth(n, d) for n, d in zip(names, depths, strict=True)}


def _depth(name: str, value: Any) -> sp.Rational:
    if isinstance(value, bool) or not isinstance(value, int | float | sp.Rational):
        raise ArgumentError(f"the depth of {name!r} must be a real number; got {value!r}")
    exact = isinstance(value, sp.Rational)
    if not (exact or math.isfinite(value)) or value < 1:
        raise DomainError(f"the depth of {name!r} must lie in [1, inf); got {value}")
    return value if exact else sp.Rational(str(value))  # 2.2 means the decimal


def _chart(name: str, w: sp.Symbol, depth: sp.Rational) -> Chart:
    p = sp.Symbol(f"P_{name}", **w._assumptions_orig)
    return Chart(coordinates={p: Domain.of(p)}, to_states={w: p ** (1 / depth)}, from_states={p: strength(w, depth)})


def _observables(c: Chains, strengths: Sequence[sp.Expr]) -> dict[str, sp.Expr]:
    total = sum(strengths)
    shares = {f"share_{n}": p / total for n, p in zip(c.names, strengths, strict=True)}
    spread = sum(sp.Piecewise((0, sp.Eq(q, 0)), (q * sp.log(q), True)) for q in shares.values())
    some = sp.Ne(total, 0)  # nothing has no shares, and strengths that are negative have no effective number
    defined = sp.And(some, *[sp.Ge(q, 0) for q in shares.values()])
    return {
        **{f"P_{n}": p for n, p in zip(c.names, strengths, strict=True)},
        **({n: sp.Piecewise((q, some)) for n, q in shares.items()} if len(strengths) > 1 else {}),
        "error": 1 - total,
        "strength": total,
        **({"n_eff": sp.Piecewise((sp.exp(-spread), defined))} if len(strengths) > 1 else {}),
        "expected_bits": sp.Piecewise((sum(b * q for b, q in zip(c.bits, shares.values(), strict=True)), some)),
    }


def _parameters(c: Chains) -> dict[sp.Symbol, Parameter]:
    out = {SCALE: Parameter(default=0.01, domain=POSITIVE, meaning="total strength at the start")}
    for i, name in enumerate(c.names):
        out[c.rate[i]] = Parameter(default=1.0, domain=POSITIVE, meaning=f"learning rate of the layers of {name}")
        out[c.bits[i]] = Parameter(default=float(i + 1), meaning=f"description length of {name} (bits)")
    return out


def _meanings(c: Chains) -> dict[str, str]:
    out = {
        "loss": "base loss",
        "error": "g, what the mechanisms together still lack",
        "strength": "total strength (1: the base target is reached)",
        "n_eff": "effective number of mechanisms (1: one rules, K: fully joint)",
        "expected_bits": "expected description length (bits), weighted by strength",
    }
    for name, d in zip(c.names, c.depth, strict=True):
        out |= {f"w_{name}": f"weight of each layer of {name}", f"share_{name}": f"share of {name} in the strength"}
        out[f"P_{name}"] = f"strength of {name}, a chain of depth {d}"
    return out

r"""How much of its optimization power does training put into an optimizer of its own?

Training has P bits of optimization power. It spends f(x) of them on finding a mesa-optimizer that does x bits on each of
N environment instances, and the rest directly, shared by the instances:

.. math::
    U(x) = \frac{P - f(x)}{N} + x, \qquad x^* = \operatorname{argmax}_{0 \le x,\ f(x) \le P} U(x)

As a flow it is gradient ascent on U in the metric of the shares of power (Shahshahani): for the share
:math:`\varphi = f(x)/P`, which stays between 0 and 1,

.. math::
    \dot\varphi = \eta\,\varphi\,(1-\varphi)\,\frac{\partial U}{\partial\varphi}
    \quad\Longleftrightarrow\quad
    \dot x = \eta\,\frac{f(x)\,(P - f(x))}{f'(x)^2}\,\Bigl(1 - \frac{f'(x)}{N}\Bigr)

======  ==============  ==========  ==============================================================
symbol  name            range       meaning (unit)
======  ==============  ==========  ==============================================================
x       ``x``           > 0         optimization done by the mesa-optimizer on an instance (bits)
P       ``power``       > 0         base optimization power, proportional to training time (bits)
N       ``instances``   > 0         environment instances: diversity
f(x)    (structural)    increasing  power it costs to find it (bits), f(0) = 0; c x^a by default
c, a    ``cost``,       > 0         its size and its power
        ``exponent``
eta     ``rate``        > 0         learning rate (per unit of training time)
======  ==============  ==========  ==============================================================

The constraint needs no clipping: the metric vanishes at x = 0 and at f(x) = P, so that a start inside stays inside. Both
ends are points of rest of the flow, to which the optimum is attracted where it is a corner.

Exact (``derivations/power_split_11_*``): the interior optimum f'(x) = N and when it is one, the corners (nothing, where
a convex cost begins with f'(0) >= N; all), the power below which a convex cost is limited by time and not by diversity,
all or nothing for a concave cost, the eigenvalues at every point of rest, and, for c x^a with an interior optimum, the
whole course in internal time.

*Unstable* means here a saddle in its one-dimensional form: a real eigenvalue changes its sign where the interior optimum
meets the corner f(x) = P. A concave cost leaves two stable corners: the optimum, and what training reaches from its
start, are then two answers.

Left out: what the mesa-optimizer aims at, several of them, instances that differ in value.

Reference: Hubinger et al. 2019 (arXiv 1906.01820), section 2.1; the flow is ours. No gradient_flow of a trained system is
behind it: U is the paper's account of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, ModelError
from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import POSITIVE, InternalTimeForm, Model, Parameter, at_start
from toymesa.symbolic.optimizers import Optimizer

# symbols
X, P, N, C, A, RATE = sp.symbols("x power instances cost exponent rate", positive=True)
S = sp.Symbol("s", nonnegative=True)


# objectives
def value(f: sp.Expr) -> sp.Expr:
    """U: optimization power brought to bear on an instance, in bits."""
    return (P - f) / N + X


def metric(f: sp.Expr) -> sp.Expr:
    """The Shahshahani metric of the shares of power, in x; 0 at both ends of what can be spent."""
    return RATE * f * (P - f) / sp.diff(f, X) ** 2


POWER_LAW = C * X**A
INTERIOR = (N / (C * A)) ** (1 / (A - 1))  # f'(x) = N
CORNER = (P / C) ** (1 / A)  # f(x) = P


# closed form
def _course() -> InternalTimeForm:
    """The share is logistic in internal time ds = |dU/dshare| dt."""
    x0 = at_start(X)
    slope = sp.diff(POWER_LAW, X)
    uphill = sp.sign(N - slope.subs(X, x0))
    share = POWER_LAW.subs(X, x0) / P
    x = x0 * (share + (1 - share) * sp.exp(-uphill * RATE * S)) ** (-1 / A)
    return InternalTimeForm(
        states={X: x},
        rate=uphill * P * (1 / slope.subs(X, x) - 1 / N),
        internal=S,
        conditions=(
            sp.Gt(A, 1),
            sp.Gt(P, POWER_LAW.subs(X, INTERIOR)),
            sp.Gt(P, POWER_LAW.subs(X, x0)),
            sp.Ne(slope.subs(X, x0), N),
        ),
        derivation="power_split_11_2",
    )


# the factory
def power_split(
    cost: Any = None,
    *,
    params: Mapping[Any, Any] | None = None,
    start: Any = None,
    optimizer: Optimizer | None = None,
) -> Model:
    """The split of optimization power as a flow.

    cost : f as an expression in the symbol ``x`` (positive; ``toymesa.models.power_split.X``) and parameters, increasing
        with f(0) = 0; None for ``cost * x**exponent``.
    params : defaults of the parameters that the cost brings in.
    start : x at the start in bits, a number or an expression in parameters with f(start) below the power. Default: one
        hundredth of the power is spent on it for c x^a, 1/100 bit for another cost.
    optimizer : another base optimizer than gradient flow. One with momentum or noise can carry x past the ends.

    State ``x``. Observables ``value`` (U), ``direct`` (what training does itself on an instance, bits), ``share`` (of
    the power, spent on the mesa-optimizer), ``power_left`` (P - f(x)), ``loss`` (-U). Raises ModelError for a cost that
    is not one.
    """
    f = POWER_LAW if cost is None else _checked(cost)
    own = {
        C: Parameter(default=1.0, domain=POSITIVE, meaning="power that a mesa-optimizer of one bit costs (bits)"),
        A: Parameter(default=2.0, domain=POSITIVE, meaning="exponent of the cost: convex above 1, concave below"),
    }
    begin = (P / (100 * C)) ** (1 / A) if cost is None else sp.Rational(1, 100)
    model = gradient_flow(
        -value(f),
        [X],
        metric={X: metric(f)},
        params=_common() | (own if cost is None else {}) | dict(params or {}),
        start={X: begin if start is None else start},
        observables={"value": value(f), "direct": (P - f) / N, "share": f / P, "power_left": P - f},
        closed_forms=(_course(),) if cost is None else (),
        optimizer=optimizer,
        name="power_split",
        meanings={
            "x": "optimization done by the mesa-optimizer on an instance (bits)",
            "loss": "minus the power on an instance (bits)",
            "value": "optimization power on an instance (bits)",
            "direct": "the part of it that training does itself (bits)",
            "share": "share of the base power that was spent on the mesa-optimizer",
            "power_left": "base power not spent on the mesa-optimizer (bits)",
        },
        question="How much of its optimization power does training put into an optimizer of its own?",
        reference="Hubinger et al. 2019 (arXiv 1906.01820), section 2.1",
    )
    _check_start(model)
    return model


def _common() -> dict[sp.Symbol, Parameter]:
    return {
        P: Parameter(default=100.0, domain=POSITIVE, meaning="base optimization power (bits)"),
        N: Parameter(default=10.0, domain=POSITIVE, meaning="environment instances"),
        RATE: Parameter(default=1.0, domain=POSITIVE, meaning="learning rate of the share (per bit)"),
    }


def _checked(cost: Any) -> sp.Expr:
    if isinstance(cost, str) or (callable(cost) and not isinstance(cost, sp.Basic)):
        raise ArgumentError(
            f"cost must be a SymPy expression in x; got {cost!r} (a Python function goes to theorems.power_split.optimum_of)"
        )
    f = sp.sympify(cost, strict=True)
    if X not in f.free_symbols:
        raise ModelError(f"the cost must depend on the positive symbol x; got {f}")
    at_zero = sp.limit(f, X, 0, "+")
    if sp.simplify(at_zero) != 0:
        raise ModelError(f"the cost must be 0 at x = 0; got {at_zero} for {f}")
    if sp.diff(f, X).is_nonpositive:
        raise ModelError(f"the cost must increase with x; got {f}")
    return f


def _check_start(model: Model) -> None:
    values = {s: p.default for s, p in model.params.items()}
    if "power_left" not in model.observables:
        return
    left = model.observables["power_left"].subs(X, model.start[X]).subs(values).evalf()
    if left.is_real and left <= 0:
        raise ModelError(f"model 'power_split': the start must cost less than the power; got x = {model.start[X]}")

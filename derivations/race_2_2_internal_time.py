r"""Race 2.2: every chain in internal time.

In s with ds = g dt the chains are independent: dw/ds = eta w^(D-1). So

.. math::
    w(s) = w_0\,\bigl[1 - (D-2)\,\eta s\, w_0^{D-2}\bigr]^{-1/(D-2)}, \qquad
    P(s) = w^D = \bigl[P_0^{-(1-2/D)} - (D-2)\,\eta s\bigr]^{-D/(D-2)},

with the limits w_0 e^(eta s), P_0 e^(2 eta s) at D = 2 and w_0 + eta s = P_0 + eta s at D = 1. A chain deeper than 2
reaches a pole at eta s = P_0^(-(1-2/D))/(D-2); training ends before it, where sum P = 1. Near D = 2 the power is
evaluated as exp(-log1p(-(D-2) eta s w_0^(D-2))/(D-2)).

*The clock.* T(w) = (w^(2-D) - 1)/(2-D), with the limit ln w, is eta s from weight 1 to weight w: dT/ds = eta for every
depth, so T(w(s)) = T(w_0) + eta s.

Derivation. For a symbol D the functions from which the model is built are differentiated; x stands for eta s. For
whole models the closed form is put into the flow, for a positive and for a negative error: the internal rate is |g|.
"""

from __future__ import annotations

import sympy as sp
from sympy.codegen.cfunctions import log1p

from toymesa.models.race import S, bracket, clock, grown, race, strength
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import InternalTimeForm, Model, at_start

W, D, X = sp.symbols("w D x", positive=True)
B = sp.Symbol("B", positive=True)  # the bracket
NEAR = 2 + sp.Rational(1, 1000)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="race_2_2_internal_time")


def slope(depth: sp.Expr) -> sp.Expr:
    """ln of dw/dx over w^(D-1) along the solution, with the bracket as the symbol B."""
    w = grown(W, depth, X)
    ratio = sp.diff(w, X) / w ** (depth - 1)
    inside = bracket(W, depth, X)
    if inside != 1:
        ratio = ratio.rewrite(sp.log).subs(inside, B)
    return sp.simplify(sp.expand_log(sp.log(ratio), force=True))


def internal(model: Model) -> InternalTimeForm:
    """The model's form in internal time."""
    return next(f for f in model.closed_forms if isinstance(f, InternalTimeForm))


def turned(expr: sp.Expr, sign: int) -> sp.Expr:
    """The expression for an error of that sign at the start."""
    return expr.replace(sp.sign, lambda _: sp.Integer(sign))


def pace(model: Model, sign: int) -> sp.Expr:
    """The internal rate, before the pole of any chain."""
    rate = internal(model).rate
    return turned(rate.args[0][0] if isinstance(rate, sp.Piecewise) else rate, sign)


def model_claims(model: Model, label: str, sign: int) -> list[Claim]:
    """The model's form solves its flow in internal time, starts at its start, and its rate is |g|."""
    form = {state: turned(expr, sign) for state, expr in internal(model).states.items()}
    error = model.observables["error"]
    out = [
        _claim(
            f"internal_{label}_{state.name}",
            f"d{state.name}/ds times |g| is its rate of change ({label})",
            # the common factor g is divided out of both sides
            sp.powsimp(sp.diff(expr, S) * sign),
            sp.powsimp(sp.cancel(model.flow[state] / error).subs(state, expr)),
        )
        for state, expr in form.items()
    ]
    out += [
        _claim(f"internal_{label}_start_{s.name}", f"the form starts at {s.name}_0", e.subs(S, 0), at_start(s))
        for s, e in form.items()
    ]
    rate = _claim(
        f"internal_{label}_rate", "ds/dt is |g|", pace(model, sign), sign * error.subs(form, simultaneous=True)
    )
    return [*out, rate]


WHOLE = race((1, 2, 3, 4))
FRACTIONS = (sp.Rational(3, 2), sp.Rational(5, 2))
FRACTION = race(FRACTIONS)

CLAIMS = (
    _claim("growth", "dw/dx = w^(D-1) along the solution, any D", slope(D), 0),
    _claim("growth_2", "the same at D = 2", slope(sp.Integer(2)), 0),
    _claim("growth_1", "the same at D = 1", slope(sp.Integer(1)), 0),
    _claim("growth_near_2", "the same in the form for depths near 2", slope(NEAR), 0),
    _claim(
        "near_2",
        "the form for depths near 2 is the power",
        sp.log(grown(W, NEAR, X)).expand(force=True),
        sp.log(W) - log1p(bracket(W, NEAR, X) - 1) * 1000,
    ),
    *(
        _claim(f"growth_start_{d}", "the solution starts at w", grown(W, d, sp.Integer(0)), W)
        for d in (D, sp.Integer(2), sp.Integer(1), NEAR)
    ),
    Claim(
        name="growth_limit_2",
        statement="the solution tends to w e^x as D tends to 2",
        kind="limit",
        expr=sp.log(grown(W, 2 + D, X) / W).expand(force=True),
        variable=D,
        target=0,
        value=sp.log(grown(W, sp.Integer(2), X) / W).expand(force=True),
        derivation="race_2_2_internal_time",
    ),
    _claim(
        "growth_limit_1",
        "the solution at D = 1 is the power",
        (W * bracket(W, sp.Integer(1), X) ** (-1 / (sp.Integer(1) - 2))).expand(),
        grown(W, sp.Integer(1), X),
    ),
    _claim(
        "strength_power",
        "P = [P_0^(-(1-2/D)) - (D-2) x]^(-D/(D-2)), any D: the bracket times P_0^(-(1-2/D))",
        sp.expand(bracket(W, D, X) * sp.powdenest(strength(W, D) ** (-(1 - 2 / D)))),
        sp.expand(sp.powdenest(strength(W, D) ** (-(1 - 2 / D))) - (D - 2) * X),
    ),
    *(
        _claim(
            f"strength_{d}",
            "the strength of the solution is its power D",
            sp.expand_log(sp.log(grown(W, d, X, power=d)), force=True),
            d * sp.expand_log(sp.log(grown(W, d, X)), force=True),
        )
        for d in (D, NEAR, sp.Integer(1), sp.Integer(2), *FRACTIONS)
    ),
    _claim(
        "pole",
        "the bracket vanishes at x = P_0^(-(1-2/D))/(D-2)",
        sp.powsimp(sp.expand(bracket(W, D, sp.powdenest(strength(W, D) ** (-(1 - 2 / D))) / (D - 2)))),
        0,
    ),
    _claim("clock_rate", "dT/dw = 1/w^(D-1), any D", sp.powsimp(sp.diff(clock(W, D), W) * W ** (D - 1)), 1),
    _claim("clock_rate_2", "the same at D = 2", sp.diff(clock(W, sp.Integer(2)), W) * W, 1),
    _claim(
        "clock_rate_near_2",
        "the same in the form for depths near 2",
        sp.diff(clock(W, NEAR).rewrite(sp.exp), W) * W ** (NEAR - 1),
        1,
    ),
    *(
        _claim(f"clock_start_{d}", "T(1) = 0", clock(W, d).subs(W, 1), 0)
        for d in (D, sp.Integer(2), sp.Integer(1), NEAR)
    ),
    *model_claims(WHOLE, "forward", 1),
    *model_claims(WHOLE, "backward", -1),
    *(_claim(f"growth_{d}", f"dw/dx = w^(D-1) at D = {d}", slope(d), 0) for d in FRACTIONS),
    *(
        _claim(
            f"fraction_{state.name}",
            "the model's form is that solution (D not whole)",
            turned(internal(FRACTION).states[state], 1),
            grown(at_start(state), d, FRACTION.param(f"rate_{state.name[2:]}") * S),
        )
        for state, d in zip(FRACTION.states, FRACTIONS, strict=True)
    ),
    _claim(
        "fraction_rate",
        "ds/dt is g (D not whole)",
        pace(FRACTION, 1),
        1
        - sum(
            grown(at_start(state), d, FRACTION.param(f"rate_{state.name[2:]}") * S, power=d)
            for state, d in zip(FRACTION.states, FRACTIONS, strict=True)
        ),
    ),
)

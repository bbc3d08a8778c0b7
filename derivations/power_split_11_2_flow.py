r"""Power split 11.2: the flow, its points of rest and their eigenvalues, and its course in internal time.

In the share phi = f(x)/P the flow is the Shahshahani gradient flow of U on the two shares of power,

.. math:: \dot\varphi = \eta\,\varphi(1-\varphi)\,\frac{dU}{d\varphi}, \qquad
          \frac{dU}{d\varphi} = P\Bigl(\frac1{f'} - \frac1N\Bigr),

so that x' = eta f (P - f)/f'^2 (1 - f'/N), whose metric is positive while f < P: U never falls, and 0 < phi < 1 is kept.

*Points of rest* for f = c x^a and the eigenvalues there (d phi'/d phi, which is dx'/dx at x > 0):

.. math:: \varphi = 1:\ -\eta P\Bigl(\frac1{f'(x_P)} - \frac1N\Bigr), \qquad
          f' = N:\ -\eta\,(P - f)\,\frac{a-1}{aN}, \qquad
          \varphi = 0:\ -\eta\frac PN\ (a<1), \ \eta P\Bigl(\frac1c-\frac1N\Bigr)\ (a=1),\ +\infty\ (a>1).

The corner and the interior point meet at P = f(x_int), where both eigenvalues vanish: they exchange stability there.
For a < 1 the interior point is unstable and both corners are stable.

*Course.* In internal time ds = |dU/dphi| dt the share is logistic, phi'(s) = +-eta phi (1 - phi), so that

.. math:: x(s) = x_0\,\bigl[\varphi_0 + (1-\varphi_0)\,e^{\mp\eta s}\bigr]^{-1/a},

uphill from below the interior optimum and downhill from above it; training converges where f'(x(s)) = N.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.power_split import (
    CORNER,
    POWER_LAW,
    RATE,
    A,
    C,
    N,
    P,
    S,
    X,
    metric,
    power_split,
    value,
)
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import at_start

PHI, E, SLACK = sp.symbols("phi e y", positive=True)
MODEL = power_split()
FLOW = MODEL.flow[X]
SLOPE = sp.diff(POWER_LAW, X)
OF_SHARE = (PHI * P / C) ** (1 / A)  # x as a function of the share
U_SLOPE = sp.diff(value(POWER_LAW).subs(X, OF_SHARE), PHI)
(FORM,) = MODEL.closed_forms


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="power_split_11_2_flow")


def tidy(expr: sp.Expr) -> sp.Expr:
    """Powers with symbolic exponents combined."""
    return sp.simplify(sp.powsimp(sp.powdenest(sp.expand(expr), force=True)))


def share_rate() -> sp.Expr:
    """phi' of the model's flow, in the share."""
    return (SLOPE / P * FLOW).subs(X, OF_SHARE)


def at_interior(expr: sp.Expr) -> sp.Expr:
    """An expression at f'(x) = N: c = N x^(1-a)/a."""
    return tidy(expr.subs(C, N * X ** (1 - A) / A))


def at_corner(expr: sp.Expr) -> sp.Expr:
    """An expression at f(x) = P: c = P x^(-a)."""
    return tidy(expr.subs(C, P * X**-A))


def course(sign: int) -> tuple[sp.Expr, sp.Expr]:
    """x(s) and the internal rate of the model's form, uphill (1) or downhill (-1)."""
    x, rate = (e.replace(sp.sign, lambda _: sp.Integer(sign)) for e in (FORM.states[X], FORM.rate))
    return x, rate


def course_claims(sign: int, label: str) -> list[Claim]:
    """The form solves the flow: the logarithmic rate d ln x/ds is that of the share over a, and ds/dt is |dU/dphi|."""
    x, rate = course(sign)
    x0 = at_start(X)
    begin = C * x0**A / P
    bracket = begin + (1 - begin) * sp.exp(-sign * RATE * S)
    share = begin / bracket
    return [
        _claim(
            f"course_share_{label}",
            "f(x(s))/P is the logistic share",
            sp.expand_log(sp.log(x**A).expand(force=True), force=True),
            sp.expand_log(sp.log(x0**A * share / begin), force=True),
        ),
        _claim(
            f"course_logistic_{label}",
            "whose rate in s is eta phi (1 - phi), up or down",
            sp.diff(share, S),
            sign * RATE * share * (1 - share),
        ),
        _claim(f"course_start_{label}", "x(0) = x_0", x.subs(S, 0), x0),
        _claim(
            f"course_rate_{label}",
            "ds/dt = |dU/dphi| = |P (1/f' - 1/N)|",
            rate,
            sign * P * (1 / SLOPE.subs(X, x) - 1 / N),
        ),
    ]


CLAIMS = (
    _claim(
        "flow",
        "x' = eta f (P-f)/f'^2 (1 - f'/N)",
        tidy(FLOW / (RATE * X)),
        tidy(POWER_LAW * (P - POWER_LAW) / SLOPE**2 * (1 - SLOPE / N) / X),
    ),
    _claim("share_slope", "dU/dphi = P (1/f' - 1/N)", tidy(U_SLOPE), tidy((P / SLOPE).subs(X, OF_SHARE) - P / N)),
    _claim(
        "share_flow",
        "phi' = eta phi (1-phi) dU/dphi",
        tidy(share_rate() / RATE / PHI),
        tidy((1 - PHI) * U_SLOPE),
    ),
    _claim(
        "ascent",
        "dU/dt is the metric times the square of dU/dx",
        tidy(sp.diff(value(POWER_LAW), X) * FLOW),
        tidy(metric(POWER_LAW) * sp.diff(value(POWER_LAW), X) ** 2),
    ),
    Claim(
        name="metric",
        statement="the metric is positive while power is left",
        kind="inequality",
        expr=metric(POWER_LAW).subs(P, POWER_LAW + SLACK),
        strict=True,
        derivation="power_split_11_2_flow",
    ),
    _claim("rest_interior", "f'(x) = N is at rest", at_interior(FLOW), 0),
    _claim("rest_corner", "f(x) = P is at rest", at_corner(FLOW), 0),
    _claim(
        "interior_eigenvalue",
        "its eigenvalue is -eta (P - f)(a-1)/(aN)",
        at_interior(sp.diff(FLOW, X)),
        tidy(-RATE * (P - N * X / A) * (A - 1) / (A * N)),
    ),
    _claim(
        "corner_eigenvalue",
        "its eigenvalue is -eta P (1/f' - 1/N)",
        at_corner(sp.diff(FLOW, X)),
        tidy(-RATE * P * (X / (A * P) - 1 / N)),
    ),
    _claim(
        "exchange",
        "where the corner is the interior point, both eigenvalues vanish",
        sp.expand((-RATE * P * (X / (A * P) - 1 / N)).subs(P, N * X / A)),
        0,
    ),
    _claim("corner_cost", "f' = a P/x at the corner", at_corner(SLOPE), A * P / X),
    _claim("corner_place", "the corner is (P/c)^(1/a)", POWER_LAW.subs(X, CORNER), P),
    Claim(
        name="nothing_concave",
        statement="phi'/phi tends to -eta P/N at x = 0 for a < 1",
        kind="limit",
        expr=sp.powsimp(sp.expand(((1 - PHI) * RATE * (P * OF_SHARE / (A * PHI * P) - P / N)).subs(A, 1 / (1 + E)))),
        variable=PHI,
        target=0,
        value=-RATE * P / N,
        derivation="power_split_11_2_flow",
    ),
    _claim(
        "nothing_slope",
        "with 1/f' = x/(a f) in it",
        tidy(U_SLOPE),
        tidy(P * OF_SHARE / (A * PHI * P) - P / N),
    ),
    _claim(
        "nothing_linear",
        "phi'/phi is eta P (1/c - 1/N) at x = 0 for a = 1",
        (share_rate() / PHI).subs(A, 1).simplify().subs(PHI, 0),
        RATE * P * (1 / C - 1 / N),
    ),
    *course_claims(1, "up"),
    *course_claims(-1, "down"),
)

r"""Depth 9.1: the time at which a mode reaches a strength, for every depth.

For x' = D x^(2-2/D) (s - x), with u = x/s, z = ln(u/(1-u)) and e = 2/D - 1 in (-1, 1],

.. math::
    D s^{1-e}\, t = \int_{z_0}^{z} \Bigl(\frac{1}{1+e^{-z}}\Bigr)^{e} dz
    = \Bigl[\sum_{n \ge 0} \frac{u^{n+e}}{n+e}\Bigr]_{u_0}^{u}
    = \Bigl[-\ln v - \sum_{m \ge 1} \frac{(1-e)_m}{m!}\frac{v^m}{m}\Bigr]_{v_0}^{v}, \qquad v = 1-u,

the second being u^e/e times 2F1(1, e; 1 + e; u). D = 1 (e = 1): an exponential; D = 2 (e = 0): t = ln(u(1-u_0)/(u_0(1-u)))/(2s),
a logistic curve of rate 2s; D = 3, 4: elementary; D to infinity at fixed T = D t (e = -1):

.. math:: T = \frac{1}{s^2}\Bigl[\ln\frac{u(1-u_0)}{u_0(1-u)} + \frac{1}{u_0} - \frac1u\Bigr]

(Saxe, McClelland and Ganguli 2014, for D = 2 and for infinite depth).

Derivation. dt/dx = 1/(D x^(2-2/D) (s - x)) becomes sigma(z)^e dz/(D s^(1-e)); both series are term by term the integrals
of u^(e-1)/(1-u), expanded about u = 0 and about v = 0. They meet at u = 1/2, and each converges at least like 2^(-n) on
its side, for every depth: no case is near a pole once the terms are taken as differences, (u^a - u_0^a)/a being
ln(u/u_0) at a = 0 (n = 0 at D = 2, n = 1 at infinite depth).
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.depth import D, depth
from toymesa.symbolic.claims import Claim

MODEL = depth(1)
(X,) = MODEL.states
S = MODEL.param("target_1")
Z = sp.Symbol("z", real=True)
U, V, U0 = sp.symbols("u v u_0", positive=True)
E = sp.Symbol("e", real=True)
N = sp.Symbol("n", integer=True, nonnegative=True)
M = sp.Symbol("m", integer=True, positive=True)


def _claim(name: str, statement: str, **what: object) -> Claim:
    return Claim(name=name, statement=statement, derivation="depth_9_1_time", **what)


def pace(expr: sp.Expr) -> sp.Expr:
    """dt/dx by the model, with x = s u."""
    return 1 / expr.subs(X, S * U)


def elementary(layers: int) -> sp.Expr:
    """D s^(2-2/D) t as a function of u, up to a constant."""
    root = U ** sp.Rational(1, layers)
    return {
        1: -sp.log(1 - U),
        2: sp.log(U / (1 - U)),
        # with r = u^(1/3), du/(u^(4/3)(1-u)) = 3 dr/(r^2 (1-r^3)) = 3 (1/r^2 + r/(1-r^3)) dr
        3: -3 / root
        - sp.log(1 - root)
        + sp.log(1 + root + root**2) / 2
        - sp.sqrt(3) * sp.atan((2 * root + 1) / sp.sqrt(3)),
        # with r = u^(1/2), du/(u^(3/2)(1-u)) = 2 (1/r^2 + 1/(1-r^2)) dr
        4: -2 / root**2 + sp.log((1 + root**2) / (1 - root**2)),
    }[layers]


INFINITE = (sp.log(U / (1 - U)) - 1 / U) / S**2
LOGIT = sp.log(U / (1 - U))

CLAIMS = (
    *(
        _claim(
            f"depth_solution_{layers}",
            f"the closed form for D = {layers} solves the flow",
            kind="solution",
            model=MODEL,
            solution=form.states,
            conditions=form.conditions,
        )
        for layers, form in zip((1, 2), MODEL.closed_forms, strict=True)
    ),
    _claim(
        "depth_logit",
        "in z the clock runs at sigma(z)^e / (D s^(1-e)), e = 2/D - 1",
        kind="identity",
        lhs=sp.powsimp(pace(MODEL.flow[X]) * S * D * S ** (2 - 2 / D) * U ** (2 - 2 / D) * (1 - U)),
        rhs=1,
    ),
    _claim("depth_logit_step", "dz = du/(u (1-u))", kind="identity", lhs=sp.diff(LOGIT, U), rhs=1 / (U * (1 - U))),
    *(
        _claim(
            f"depth_time_{layers}",
            f"the elementary time for D = {layers}",
            kind="identity",
            lhs=sp.diff(elementary(layers), U) / (layers * S ** (2 - sp.Rational(2, layers))),
            rhs=(pace(MODEL.flow[X]) * S).subs(D, layers),
        )
        for layers in (1, 2, 3, 4)
    ),
    _claim(
        "depth_series",
        "term n of the series about u = 0 has the derivative u^(n+e-1), whose sum is u^(e-1)/(1-u)",
        kind="identity",
        lhs=sp.diff(U ** (N + E) / (N + E), U),
        rhs=U ** (E - 1) * U**N,
    ),
    _claim(
        "depth_series_end",
        "the terms about v = 0 are the Taylor terms of (1-v)^(e-1)/v, here the ratio of two consecutive ones",
        kind="identity",
        lhs=sp.gammasimp(sp.rf(1 - E, M + 1) / sp.rf(1 - E, M)) / (M + 1),
        rhs=(1 - E + M) / (M + 1),
    ),
    _claim(
        "depth_infinite",
        "infinite depth, in the time D t: dT/dx = 1/(x^2 (s - x))",
        kind="identity",
        lhs=sp.diff(INFINITE, U) / S,
        rhs=1 / (X**2 * (S - X)).subs(X, S * U),
    ),
    _claim(
        "depth_infinite_limit",
        "which is the limit of the flow, here of its exponent",
        kind="limit",
        expr=2 - 2 / D,
        variable=D,
        target=sp.oo,
        value=2,
    ),
)

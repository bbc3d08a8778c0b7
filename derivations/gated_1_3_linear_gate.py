r"""Gated 1.3: two mechanisms under a linear gate, solved in internal time, and the separatrix.

The model ``gated``: y = (1-d) w + d m, g = 1 - y, w' = eta_w g (1-d), m' = eta_m g d, d' = n eta_d g (m - w). With
ds = g dt, S = eta_w + eta_m, d* = eta_w/S, kappa = sqrt(n eta_d S), z = m - w, q = d - d*, the flow is linear in s, and

.. math::
    z(s) = z_0 \cosh\kappa s + \tfrac{S}{\kappa} q_0 \sinh\kappa s, \qquad
    q(s) = q_0 \cosh\kappa s + \tfrac{\kappa}{S} z_0 \sinh\kappa s,

    w(s) = w_0 + \eta_w [(1-d^*) s - Q(s)], \quad m(s) = m_0 + \eta_m [d^* s + Q(s)], \quad Q = \smallint_0^s q.

*Separatrix.* G = z sqrt(n eta_d) + q sqrt(S) obeys G(s) = G_0 e^(kappa s): its sign is kept for ever. Its mirror image
H = z sqrt(n eta_d) - q sqrt(S) obeys H(s) = H_0 e^(-kappa s).

*Error.* dy/ds = eta_w eta_m/S + (G^2 + H^2)/2 is positive, so g(s) is a decreasing function,

.. math::
    g(s) = g_0 - \frac{\eta_w\eta_m}{S} s - \frac{G_0^2 (e^{2\kappa s} - 1) + H_0^2 (1 - e^{-2\kappa s})}{4\kappa},

with exactly one root s_inf, at most g_0 S/(eta_w eta_m) for g_0 > 0, and simple: the time t = int ds/g diverges there
like the logarithm of the distance. (Along the way: two-layer linear networks, Saxe, McClelland and Ganguli 2014.)

Derivation. E = e^(kappa s) is a symbol with dE/ds = kappa E, and n = kappa^2/(eta_d S): everything is rational. To keep
it so, G and H are multiplied by sqrt(S).
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.gated import ETA_D, ETA_M, ETA_W, LOSS, D, M, N, S, W, gated
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.model import at_start


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation="gated_1_3_linear_gate")


KAPPA, E = sp.symbols("kappa E", positive=True)
TOTAL = ETA_W + ETA_M
DIVERSITY = KAPPA**2 / (ETA_D * TOTAL)
W0, M0, D0 = at_start(W), at_start(M), at_start(D)
(FORM,) = gated.closed_forms


def rational(expr: sp.Expr) -> sp.Expr:
    """With n = kappa^2/(eta_d S) and e^(kappa s) = E."""
    expr = expr.subs(N, DIVERSITY).rewrite(sp.exp)
    return sp.powsimp(sp.expand(expr)).replace(sp.exp, lambda power: E ** sp.simplify(power / (KAPPA * S)))


def along(expr: sp.Expr) -> sp.Expr:
    """d/ds of an expression in s and E."""
    return sp.diff(expr, S) + KAPPA * E * sp.diff(expr, E)


SOLUTION = {state: rational(expr) for state, expr in FORM.states.items()}
G = rational(FORM.rate)
START = {S: 0, E: 1}

# the flow in internal time is the flow over g
LINEAR = {state: sp.cancel(rate / (1 - ((1 - D) * W + D * M))).subs(N, DIVERSITY) for state, rate in gated.flow.items()}
MODES = [KAPPA * (M - W) + sign * (D - ETA_W / TOTAL) * TOTAL for sign in (1, -1)]  # G sqrt(S), H sqrt(S)
G0, H0 = (mode.subs({W: W0, M: M0, D: D0}) for mode in MODES)
ERROR = (
    1
    - ((1 - D0) * W0 + D0 * M0)
    - ETA_W * ETA_M / TOTAL * S
    - (G0**2 * (E**2 - 1) + H0**2 * (1 - E**-2)) / (4 * KAPPA * TOTAL)
)
GAIN = sp.diff((1 - D) * W + D * M, W) * LINEAR[W] + sp.diff((1 - D) * W + D * M, M) * LINEAR[M]
GAIN += sp.diff((1 - D) * W + D * M, D) * LINEAR[D]

CLAIMS = (
    *(
        _claim(
            f"gated_{state.name}",
            f"d{state.name}/ds of the closed form is the flow over g",
            along(SOLUTION[state]),
            LINEAR[state].subs(SOLUTION, simultaneous=True),
        )
        for state in gated.flow
    ),
    *(
        _claim(
            f"gated_start_{state.name}", f"the closed form starts at {state.name}_0", expr.subs(START), at_start(state)
        )
        for state, expr in SOLUTION.items()
    ),
    _claim("separatrix", "G(s) = G_0 e^(kappa s)", MODES[0].subs(SOLUTION, simultaneous=True), G0 * E),
    _claim("separatrix_mirror", "H(s) = H_0 e^(-kappa s)", MODES[1].subs(SOLUTION, simultaneous=True), H0 / E),
    _claim("error", "the error is the explicit function of s", G, ERROR),
    _claim(
        "error_start",
        "g(0) is the error at the start",
        ERROR.subs(START),
        sp.sqrt(2) * sp.sqrt(LOSS).subs({W: 0, M: 0}) - ((1 - D0) * W0 + D0 * M0),
    ),
    _claim(
        "error_falls",
        "dy/ds = eta_w eta_m/S + (G^2 + H^2)/2, positive: g has one root, and it is simple",
        GAIN,
        ETA_W * ETA_M / TOTAL + (MODES[0] ** 2 + MODES[1] ** 2) / (2 * TOTAL),
    ),
)

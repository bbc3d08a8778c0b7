r"""Mechanisms 1.9: which mechanism training selects, and how long that takes: one bit is worth a factor two in rate.

Perfect mechanisms (f = 1), equal contents below 1 at the start, reliances at the prior; any K, n, eta_p and lam, mu >= 0.

*Order theorem.* At every time the order of eta_r p_r is, and after the start that of c_r is, the order of the score

.. math:: \log_2 \eta_r - b_r,

and equal scores stay equal. So training selects argmax(log2 eta_r - b_r) at every diversity, which sets only how fast.

Proof. For two mechanisms i, j put u = ln(eta_i p_i/(eta_j p_j)) and z = c_i - c_j. Then u(0) is ln 2 times the difference
of the scores, z(0) = 0, and

.. math:: \dot z = g\,\eta_j p_j\,(e^u - 1) - \lambda z, \qquad \dot u = \eta_p\,[\,n g z - \mu\,(u - u(0))\,].

Let u(0) > 0. While g > 0: e^(lam t) z rises as long as u > 0, and e^(eta_p mu t) (u - u(0)) as long as z > 0. At first
z' > 0, so that neither can be the first to end: z > 0 and u >= u(0) (the lead in eta p never falls below that of the start).
For u(0) = 0 both stay 0. And g > 0 for ever:

.. math:: \dot g = \lambda (1 - g) + \eta_p\mu\,\mathrm{Cov}_p(c, \ln(p/\pi)) - g\,\bigl[\textstyle\sum_r \eta_r p_r^2
                   + \eta_p n \operatorname{Var}_p(c)\bigr],

where the covariance is the sum over pairs p_i p_j z (u - u(0)), which the order makes nonnegative; times the integrating
factor of the last bracket and lam, g cannot fall.

*Decision time* (K = 2, lam = mu = 0). With S = eta_1 + eta_2, alpha_1 = eta_2/S, the log-odds l = ln(p_1/p_2) and
D(l) = KL(alpha || p(l)) - KL(alpha || pi), the invariant of 1.2 is n eta_p z^2/(2S) = D(l), so that in internal time

.. math:: \frac{dl}{ds} = n\eta_p z = \sqrt{2 n\eta_p S\,D(l)}, \qquad
          s_\mathrm{dec} = \int \frac{dl}{\sqrt{2 n \eta_p S\,D(l)}}.

D is convex, 0 at the prior and rises from there towards the mechanism of the higher score, at the rate
pi_1 - alpha_1 = (eta_1 pi_1 - eta_2 pi_2)/S: the integral converges, and is at most sqrt(2 h/(n eta_p S (pi_1 - alpha_1)))
up to l = l_0 + h. Equal scores: D' = 0 there, and nothing ever happens. The mean of the contents is

.. math:: \bar c = c_0 + \frac{\eta_1\eta_2}{S}\,s + (p_1 - \alpha_1)\,z,

which gives the error g = 1 - c and with it the time t = int ds/g and the loss left at the decision; where g = 0 comes first
training converges undecided.

Derivation. The equations for z, u and g are read off the model for K = 2 and 3, for pairs of both kinds (with and without
the reference of the log-odds); for every K they are the same, because what is common to all mechanisms drops out. That the
covariance is the sum over pairs follows by induction.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares
from toymesa.symbolic.model import Model

SOURCE = "mechanisms_1_9_order"
NAMES = ("a", "b", "d")


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def _positive(name: str, statement: str, expr: sp.Expr, *, strict: bool = True) -> Claim:
    return Claim(name=name, statement=statement, kind="inequality", expr=expr, strict=strict, derivation=SOURCE)


def along(expr: sp.Expr, rates: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Derivative of an expression whose symbols move at these rates."""
    return sp.Add(*(sp.diff(expr, s) * rate for s, rate in rates.items()))


# ---------------------------------------------------------------- on the model


class Competition:
    """The model of K perfect mechanisms, in contents and reliances."""

    def __init__(self, k: int) -> None:
        self.model: Model = mechanisms(NAMES[:k])
        self.n, self.eta_p = self.model.param("diversity"), self.model.param("gate_rate")
        self.lam, self.mu = self.model.param("lam"), self.model.param("mu")
        self.eta = [self.model.param(f"rate_{name}") for name in NAMES[:k]]
        self.bits = [self.model.param(f"bits_{name}") for name in NAMES[:k]]
        self.c = list(self.model.states[:k])
        coordinates = list(self.model.charts[0].coordinates)
        self.p = [in_shares(self.model, p) for p in coordinates]
        self.log_p = [sp.Symbol(f"ln_{p.name}", real=True) for p in coordinates]
        perfect = {s: sp.S(1) for s in self.model.params if s.name.startswith("fidelity_")}
        flow = [in_shares(self.model, rate.subs(perfect)) for rate in self.model.flow.values()]
        self.content_rates, self.odds_rates = flow[:k], [*flow[k:], sp.S(0)]
        self.g = 1 - sum(p * c for p, c in zip(self.p, self.c, strict=True))

    def ahead(self, i: int, j: int) -> sp.Expr:
        """u - u(0) = ln(p_i/pi_i) - ln(p_j/pi_j)."""
        return self.log_p[i] - self.log_p[j] + sp.log(2) * (self.bits[i] - self.bits[j])

    def pair(self, i: int, j: int) -> tuple[sp.Matrix, sp.Matrix]:
        """Rates of z and u by the model, and by the equations."""
        z = self.c[i] - self.c[j]
        lead = self.eta[i] * self.p[i] / (self.eta[j] * self.p[j])  # e^u
        rates = [self.content_rates[i] - self.content_rates[j], self.odds_rates[i] - self.odds_rates[j]]
        return sp.Matrix(rates), sp.Matrix(
            [
                self.g * self.eta[j] * self.p[j] * (lead - 1) - self.lam * z,
                self.eta_p * (self.n * self.g * z - self.mu * self.ahead(i, j)),
            ]
        )

    def error(self) -> tuple[sp.Expr, sp.Expr]:
        """g' by the model, and by the equation."""
        common = sum(p * l for p, l in zip(self.p, self.odds_rates, strict=True))
        moved = sum(
            p * rate + p * (l - common) * c
            for p, rate, l, c in zip(self.p, self.content_rates, self.odds_rates, self.c, strict=True)
        )
        pairs = list(combinations(range(len(self.c)), 2))
        weight = {(i, j): self.p[i] * self.p[j] * (self.c[i] - self.c[j]) for i, j in pairs}
        variance = sum(weight[i, j] * (self.c[i] - self.c[j]) for i, j in pairs)
        covariance = sum(weight[i, j] * self.ahead(i, j) for i, j in pairs)
        squares = sum(e * p**2 for e, p in zip(self.eta, self.p, strict=True))
        braked = self.g * (squares + self.eta_p * self.n * variance)
        return -moved, self.lam * (1 - self.g) + self.eta_p * self.mu * covariance - braked

    def start(self, i: int) -> tuple[sp.Expr, sp.Expr]:
        """u(0) against the last mechanism at the model's start, and ln 2 times the difference of the scores."""
        odds = self.model.states[len(self.c) + i]
        score = [sp.log(e) / sp.log(2) - b for e, b in zip(self.eta, self.bits, strict=True)]
        u0 = self.model.start[odds] + sp.log(self.eta[i]) - sp.log(self.eta[-1])
        return u0, sp.log(2) * (score[i] - score[-1])


# ---------------------------------------------------------------- the quadrant

G, N, ETA_P, ETA, P = sp.symbols("g n eta_p eta p", positive=True)
LAM, MU, COV = sp.symbols("lam mu Cov", nonnegative=True)
Z, AHEAD = sp.symbols("z d", real=True)  # d = u - u(0)
Z_POSITIVE, LEAD = sp.symbols("z_ q", positive=True)  # q = e^u - 1
F_LAM, F_MU, F_G, BRAKE = sp.symbols("F_1 F_2 F_3 B", positive=True)  # integrating factors
ERROR = sp.Symbol("g_", real=True)
QUADRANT = {
    Z: G * ETA * P * LEAD - LAM * Z,
    AHEAD: ETA_P * (N * G * Z - MU * AHEAD),
    ERROR: LAM * (1 - ERROR) + ETA_P * MU * COV - ERROR * BRAKE,
    F_LAM: LAM * F_LAM,
    F_MU: ETA_P * MU * F_MU,
    F_G: (LAM + BRAKE) * F_G,
}

# every K: with P = sum p, M = sum p x, R = sum p y, Q = sum p x y, P Q - M R is the sum over pairs p_q p_r (x_q - x_r)(y_q - y_r)
TOTAL, M, R, Q, X_, Y_ = sp.symbols("P_ M R Q x y", real=True)
ONE_MORE = (TOTAL + P) * (Q + P * X_ * Y_) - (M + P * X_) * (R + P * Y_) - (TOTAL * Q - M * R)

# ---------------------------------------------------------------- two mechanisms without decay and pressure

ETA_1, ETA_2, S = sp.symbols("eta_1 eta_2 s", positive=True)
L, L0 = sp.symbols("l l_0", real=True)
C1, C2 = sp.symbols("c_1 c_2", real=True)
TOTAL_RATE = ETA_1 + ETA_2
ALPHA = (ETA_2 / TOTAL_RATE, ETA_1 / TOTAL_RATE)


def share(l: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """p_1 and p_2 at log-odds l."""
    return sp.exp(l) / (1 + sp.exp(l)), 1 / (1 + sp.exp(l))


def gained(l: sp.Expr, l0: sp.Expr) -> sp.Expr:
    """D(l) = KL(alpha || p(l)) - KL(alpha || p(l_0))."""
    return sum(a * (sp.log(q) - sp.log(p)) for a, p, q in zip(ALPHA, share(l), share(l0), strict=True))


def pace(l: sp.Expr, l0: sp.Expr) -> sp.Expr:
    """ds/dl."""
    return 1 / sp.sqrt(2 * N * ETA_P * TOTAL_RATE * gained(l, l0))


INTERNAL = {C1: ETA_1 * share(L)[0], C2: ETA_2 * share(L)[1], L: N * ETA_P * (C1 - C2)}  # d/ds
INVARIANT = N * ETA_P * (C1 - C2) ** 2 / (2 * TOTAL_RATE) - gained(L, L0)
MEAN = ALPHA[0] * C1 + ALPHA[1] * C2
FARTHER = sp.Symbol("h", positive=True)
SLOPE = sp.Symbol("D_1", positive=True)


def internal() -> tuple[sp.Matrix, sp.Matrix]:
    """The model of two mechanisms in internal time."""
    two = Competition(2)
    still = {two.lam: 0, two.mu: 0}
    rates = [r.subs(still) / two.g for r in (*two.content_rates, two.odds_rates[0])]
    put = {ETA_1: two.eta[0], ETA_2: two.eta[1], N: two.n, ETA_P: two.eta_p, C1: two.c[0], C2: two.c[1]}
    p = next(iter(two.p[0].free_symbols))
    expected = [r.subs(put).subs(L, sp.log(p) - sp.log(1 - p)) for r in INTERNAL.values()]
    return sp.Matrix(rates), sp.Matrix(expected)


TWO, THREE = Competition(2), Competition(3)

CLAIMS = (
    *(
        _claim(
            f"order_equations_{len(case.c)}_{i + 1}{j + 1}",
            f"the rates of z and u of the model (K = {len(case.c)}, mechanisms {i + 1} and {j + 1})",
            *case.pair(i, j),
        )
        for case, i, j in ((TWO, 0, 1), (THREE, 0, 1), (THREE, 0, 2))
    ),
    *(
        _claim(f"order_error_{len(case.c)}", f"the rate of the error of the model (K = {len(case.c)})", *case.error())
        for case in (TWO, THREE)
    ),
    _claim("score", "u(0) at the model's start is ln 2 times the difference of the scores", *THREE.start(1)),
    _claim(
        "covariance",
        "P Q - M R is the sum over pairs: the step from K to K + 1 shares",
        ONE_MORE,
        P * (Q - X_ * R - Y_ * M + TOTAL * X_ * Y_),
    ),
    _claim(
        "quadrant",
        "with their integrating factors z, u - u(0) and g change by these",
        sp.Matrix([along(f * x, QUADRANT) for f, x in ((F_LAM, Z), (F_MU, AHEAD), (F_G, ERROR))]),
        sp.Matrix([F_LAM * G * ETA * P * LEAD, F_MU * ETA_P * N * G * Z, F_G * (LAM + ETA_P * MU * COV)]),
    ),
    _positive("quadrant_content", "z rises, times its factor, while u > 0", along(F_LAM * Z, QUADRANT)),
    _positive(
        "quadrant_lead",
        "u - u(0) rises, times its factor, while z > 0",
        along(F_MU * AHEAD, QUADRANT).subs(Z, Z_POSITIVE),
    ),
    _positive("quadrant_error", "g, times its factor, never falls", along(F_G * ERROR, QUADRANT), strict=False),
    _claim("internal_flow", "two mechanisms of the model in internal time", *internal()),
    _claim("decision_invariant", "n eta_p z^2/(2S) - D(l) is conserved in s", along(INVARIANT, INTERNAL), sp.S(0)),
    _claim("decision_start", "D is 0 at the prior", gained(L0, L0), sp.S(0)),
    _claim(
        "decision_slope",
        "D' = p_1 - alpha_1, at the prior (eta_1 pi_1 - eta_2 pi_2)/S: the sign of the score",
        sp.diff(gained(L, L0), L).subs(L, L0),
        (ETA_1 * share(L0)[0] - ETA_2 * share(L0)[1]) / TOTAL_RATE,
    ),
    _claim("decision_bend", "D'' = p_1 p_2", sp.diff(gained(L, L0), L, 2), share(L)[0] * share(L)[1]),
    _positive("decision_convex", "which is positive", sp.diff(gained(L, L0), L, 2)),
    _claim(
        "decision_rate",
        "ds/dl is 1/(n eta_p z) where the invariant holds (squared)",
        pace(L, L0) ** 2,
        (1 / INTERNAL[L] ** 2).subs(C1, C2 + sp.sqrt(2 * TOTAL_RATE * gained(L, L0) / (N * ETA_P))),
    ),
    _claim(
        "decision_bound",
        "the bound has the derivative 1/sqrt(2 n eta_p S D'(l_0) h), and D >= D'(l_0) h",
        sp.diff(sp.sqrt(2 * FARTHER / (N * ETA_P * TOTAL_RATE * SLOPE)), FARTHER) ** 2,
        1 / (2 * N * ETA_P * TOTAL_RATE * SLOPE * FARTHER),
    ),
    _claim(
        "decision_mean",
        "sum alpha_r c_r rises at the constant rate eta_1 eta_2/S",
        along(MEAN, INTERNAL),
        ETA_1 * ETA_2 / TOTAL_RATE,
    ),
    _claim(
        "decision_content",
        "the mean of the contents is that and (p_1 - alpha_1) z",
        share(L)[0] * C1 + share(L)[1] * C2,
        MEAN + (share(L)[0] - ALPHA[0]) * (C1 - C2),
    ),
)

r"""Mechanisms 1.6: the states beside the joint one, and the order of the transition to them.

K equal perfect mechanisms (rate 1, uniform prior). For every m < K there is a branch of fixed points on which m of them
are favoured by x: reliances (1 + (K-m)x)/K and (1 - mx)/K, contents p_r g/lam, and

.. math::
    n(x) = \frac{\mu\lambda}{x} \ln\frac{1+(K-m)x}{1-mx} \Big/ g(x)^2, \qquad
    g(x) = \frac{1}{1 + (1+m(K-m)x^2)/(K\lambda)}.

n(x) tends to n_c as x tends to 0. For m = 1, with L = ln((1+(K-1)x)/(1-x)):

* K = 2: n increases with ``|x|``, because artanh(x)/x and 1/g do: a supercritical pitchfork.
* K >= 3: n'(0)/n_c = -(K-2)/2 < 0. For x < 0 both factors fall (L'' < 0 there), so n is monotone. For x > 0 n first
  falls, then rises to infinity: the transition is of first order, with hysteresis between the fold n'(x) = 0 and n_c.
* The fold is unique. With A = 1 - x L'/L the condition n' = 0 is A/(x^2 (4 - A)) = (K-1)/(K lam + 1), and the left side
  falls with x wherever it is positive. In l = ln(p_1/p_other), with q(l) = x L' = (e^l + K - 2 - (K-1)e^(-l))/K, that is
  h = 3l^2 - 3q^2 + 2 l q (q' - 1) > 0 for q < l. If q' >= 1 both terms are positive. If q' < 1: delta' = 1 - q' is
  concave (q''' = q' > 0) and 0 at l = 0, so delta = l - q >= l delta'/2, and with q < l
  3 delta (l + q) >= (3/2) l delta' (l + q) > 3 l q delta' > 2 l q delta'.

*Stability.* With contents at their optimum the free energy of these states is F(x) = n g(x)/2 + mu KL(p(x) || 1/K), and
F'' on the branch has the sign of x n'(x): past the fold the state is a minimum. Towards unequal losers it is one too:
p_other n g^2/(lam mu) = ln(r)/(r - 1) < 1 for r = p_1/p_other > 1. So it is stable.

Derivation. The branch is substituted in the flow of the model for K = 2, 3, 4 and every m, with r = p_fav/p_other as the
variable; the rest are identities in x or l for symbolic K.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim

SOURCE = "mechanisms_1_6_branches"
NAMES = ("a", "b", "d", "e")
LAM, MU = sp.symbols("lam mu", positive=True)
RATIO, RISE = sp.symbols("r u", positive=True)  # r = p_favoured/p_other; u for a ratio above 1
K, M, N = sp.symbols("K m n", positive=True)
X = sp.Symbol("x", real=True)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def error(k: sp.Expr, m: sp.Expr, x: sp.Expr) -> sp.Expr:
    """g on the branch."""
    return 1 / (1 + (1 + m * (k - m) * x**2) / (k * LAM))


def shares(k: sp.Expr, m: sp.Expr, x: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Reliance on a favoured mechanism and on another one."""
    return (1 + (k - m) * x) / k, (1 - m * x) / k


def by_ratio(k: sp.Expr, m: sp.Expr) -> sp.Expr:
    """x as a function of r."""
    return (RATIO - 1) / (m * RATIO + k - m)


# ---------------------------------------------------------------- on the model


def fixed_point(k: int, m: int) -> Claim:
    """The branch is a fixed point of the model."""
    model = mechanisms(NAMES[:k])
    x = by_ratio(sp.Integer(k), sp.Integer(m))
    g = sp.cancel(error(sp.Integer(k), sp.Integer(m), x))
    high, low = (sp.cancel(p) for p in shares(sp.Integer(k), sp.Integer(m), x))
    point = {s: (high if i < m else low) * g / LAM for i, s in enumerate(model.states[:k])}
    point |= {s: sp.log(RATIO) if i < m else sp.S(0) for i, s in enumerate(model.states[k:])}
    values = {"rate": 1, "bits": 0, "fidelity": 1}
    where = {s: sp.S(values[s.name.partition("_")[0]]) for s in model.params if s.name.partition("_")[0] in values}
    where |= {model.param("diversity"): MU * LAM * sp.log(RATIO) / (x * g**2)}
    where |= {model.param("gate_rate"): sp.Symbol("gate_rate", positive=True)}
    where |= {model.param("lam"): LAM, model.param("mu"): MU}
    return Claim(
        name=f"branch_{k}_{m}",
        statement=f"{m} of {k} mechanisms favoured by x is a fixed point at the diversity n(x)",
        kind="fixed_point",
        model=model,
        point=point,
        where=where,
        derivation=SOURCE,
    )


# ---------------------------------------------------------------- for any K

HIGH, LOW = shares(K, M, X)
SPREAD = M * HIGH**2 + (K - M) * LOW**2

LOGS = sp.log((1 + (K - 1) * X) / (1 - X))  # L
FIRST, SECOND = sp.diff(LOGS, X), sp.diff(LOGS, X, 2)
DIVERSITY = MU * LAM * LOGS / X / error(K, sp.S(1), X) ** 2
BEND = 1 - X * FIRST / LOGS  # A
ARTANH = sp.log((1 + X) / (1 - X)) / 2

# F(x) at fixed n, m = 1
P_1, P_2 = shares(K, sp.S(1), X)
LOG_1, LOG_2 = sp.log(1 + (K - 1) * X), sp.log(1 - X)  # of K p_1 and K p_2
FREE = N * error(K, sp.S(1), X) / 2 + MU * (P_1 * LOG_1 + (K - 1) * P_2 * LOG_2)
PULL = (K - 1) * X * error(K, sp.S(1), X) ** 2 / (K * LAM)

# in l, with r = e^l a symbol of derivative r: x L' = q, and x d/dx = q d/dl
L = sp.Symbol("l", positive=True)
Q = (RATIO + K - 2 - (K - 1) / RATIO) / K
X_OF_L = by_ratio(K, sp.S(1))


def by_log(expr: sp.Expr) -> sp.Expr:
    """d/dl."""
    return sp.diff(expr, L) + RATIO * sp.diff(expr, RATIO)


# A/(x^2 (4 - A)) with q and x as symbols: q' = SLOPE, x' = x/q
Q_, SLOPE, X_ = sp.symbols("q slope x_", positive=True)
REMAINDER = (L - Q_) / ((3 * L + Q_) * X_**2)
FALLS = sp.diff(REMAINDER, L) + SLOPE * sp.diff(REMAINDER, Q_) + X_ / Q_ * sp.diff(REMAINDER, X_)
H = 3 * L**2 - 3 * Q_**2 + 2 * L * Q_ * (SLOPE - 1)
FOLD_LAM = ((K - 1) * X**2 * (4 - BEND) / BEND - 1) / K

CLAIMS = (
    *(fixed_point(k, m) for k in (2, 3, 4) for m in range(1, k)),
    _claim(
        "branch_squares",
        "the sum of squared reliances is (1 + m(K-m) x^2)/K, for any K and m",
        SPREAD,
        (1 + M * (K - M) * X**2) / K,
    ),
    _claim(
        "branch_ratio",
        "r = p_favoured/p_other, for any K and m",
        sp.Matrix(shares(K, M, by_ratio(K, M))),
        sp.Matrix([RATIO, 1]) / (M * RATIO + K - M),
    ),
    *(
        Claim(
            name=f"branch_start_{k}",
            statement=f"n(x) tends to n_c as x tends to 0 (K = {k})",
            kind="limit",
            expr=DIVERSITY.subs(K, k),
            variable=X,
            target=0,
            value=MU * (1 + k * LAM) ** 2 / (k * LAM),
            derivation=SOURCE,
        )
        for k in (2, 3, 4)
    ),
    _claim(
        "pitchfork",
        "K = 2: x^2 (artanh(x)/x)' = x/(1-x^2) - artanh x, which is 0 at 0 and has the derivative 2 x^2/(1-x^2)^2 >= 0",
        sp.Matrix([sp.diff(ARTANH / X, X) * X**2, sp.diff(X / (1 - X**2) - ARTANH, X)]),
        sp.Matrix([X / (1 - X**2) - ARTANH, 2 * X**2 / (1 - X**2) ** 2]),
    ),
    _claim(
        "first_order",
        "L(0) = 0, L'(0) = K, L''(0) = -K(K-2): n'(0)/n_c = -(K-2)/2, negative for K >= 3",
        sp.Matrix([LOGS, FIRST, SECOND]).subs(X, 0),
        sp.Matrix([0, K, -K * (K - 2)]),
    ),
    _claim(
        "disfavoured",
        "L'' is negative for x < 0: there L/x, and with it n, falls as x rises to 0",
        SECOND,
        K * (2 * (K - 1) * X - (K - 2)) / ((1 + (K - 1) * X) ** 2 * (1 - X) ** 2),
    ),
    _claim(
        "fold",
        "x n'/n = 4 (K-1) x^2/(K lam + 1 + (K-1) x^2) - A",
        X * sp.diff(DIVERSITY, X) / DIVERSITY,
        4 * (K - 1) * X**2 / (K * LAM + 1 + (K - 1) * X**2) - BEND,
    ),
    _claim(
        "fold_decay",
        "the decay at which the fold lies at x is explicit",
        (4 * (K - 1) * X**2 / (K * LAM + 1 + (K - 1) * X**2)).subs(LAM, FOLD_LAM),
        BEND,
    ),
    _claim(
        "fold_in_log_odds",
        "x (dl/dx) = q, x = (e^l - 1)/(e^l + K - 1)",
        X_OF_L / by_log(X_OF_L),
        Q,
    ),
    _claim(
        "fold_unique",
        "A/(x^2 (4-A)) falls with l at the rate 2 h/(x^2 q (3l + q)^2), where h > 0",
        FALLS,
        -2 * H / (X_**2 * Q_ * (3 * L + Q_) ** 2),
    ),
    _claim("fold_concave", "q''' = q'", by_log(by_log(by_log(Q))), by_log(Q)),
    _claim(
        "slope",
        "dF/dx at fixed n is (K-1) x g^2/(K lam) (n(x) - n): its derivative on the branch has the sign of x n'(x)",
        sp.diff(FREE, X),
        PULL * (DIVERSITY.subs(LOGS, LOG_1 - LOG_2) - N),
    ),
    _claim(
        "losers",
        "p_other n g^2/(lam mu) = ln(r)/(r - 1) on the branch, below 1 for r = 1 + u > 1",
        (P_2 * DIVERSITY * error(K, sp.S(1), X) ** 2 / (LAM * MU)).subs(X, by_ratio(K, sp.S(1))).subs(RATIO, 1 + RISE),
        sp.log(1 + RISE) / RISE,
    ),
)

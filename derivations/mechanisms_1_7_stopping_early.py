r"""Mechanisms 1.7: how much diversity a joint state tolerates when training stops early, and when stopping early hurts.

Training stops when the fraction r of the reducible loss is left; perfect mechanisms (f = 1), so that r = (g/g_0)^2.

*First order.* K equal mechanisms, lam = mu = 0, c(0) = 0: on the joint trajectory of 1.4 g = e^(-t/K) = sqrt(r), and a
small perturbation of the reliances, of any shape, has grown by cosh(k (1 - sqrt r)), k = sqrt(n eta_p K). This rises with
n, so that the largest deviation has grown from u_0 to less than theta iff

.. math:: n < n_\mathrm{stop}(r) = \frac{\operatorname{arccosh}(\theta/u_0)^2}{\eta_p K (1-\sqrt r)^2}.

*Collapse theorem* (nonlinear, exact; lam = mu = 0, any K, rates, prior and start of the reliances, equal contents c_0 < 1
at the start). With C = sqrt(n eta_p) (c - c_0) and dsigma = sqrt(n eta_p) g dt the flow

.. math::
    \frac{dC_r}{d\sigma} = \eta_r p_r, \qquad \frac{d}{d\sigma} \ln\frac{p_r}{p_q} = C_r - C_q

has no parameter left but the rates, and the stop is where the mean of C is X = sqrt(n eta_p) (1 - c_0)(1 - sqrt r). The
mean rises at the rate Var_p(C) + sum eta_r p_r^2 >= 1/A, A = sum 1/eta_r, from 0 to infinity: it meets every X once. So
the reliances at the stop are a function of X alone, and for *every* criterion on them

.. math:: n_\mathrm{stop}(r) = n_\mathrm{stop}(0)/(1-\sqrt r)^2.

*Unequal contents at the start break it*: C(0) = sqrt(n eta_p) (c(0) - c_0) then depends on n. The log-odds of two equal
mechanisms of equal reliance set out at the slope 4z/(z^2 + 2) against X, z = sqrt(n eta_p) (c_1 - c_2): the curves of
different n part at once. In first order, with a content imbalance v_0 as well, the deviation that the law promises to be
theta is theta + (k/K) v_0 sinh(k) (1/w - 1), k = sqrt(n_stop(0) eta_p K), w = 1 - sqrt r: more than theta for v_0 > 0, so
that stopping early then buys less.

*The reverse.* With decay and pressure, n_c of 1.5 exceeds the first-order n_stop(0) = arccosh(theta/u_0)^2/(eta_p K)
whenever mu/lam >= arccosh(theta/u_0)^2/eta_p. Between them, for K = 2, training returns to the joint state from everywhere
(1.1, 1.6: it is the only fixed point below n_c; for K >= 3 only below the fold of 1.6, which is less than n_c). Yet on
the way, for lam <= eta_p mu and a perturbation of the reliances alone,

.. math:: \delta p(t) \ge u_0\, e^{-\eta_p\mu t} \cosh(\kappa s(t)), \qquad \kappa = \sqrt{n\eta_p/K},

which tends to u_0 cosh(k (1 - e^(-t/K))) as lam and mu tend to 0 in any fixed ratio. So for every n > n_stop(0), every
ratio mu/lam >= K n (then n < n_c) and all small enough mu the model is joint at convergence and, to first order in u_0, not
when it is stopped early. Proof of the bound: with
P = e^(eta_p mu t) delta p/u_0 and V = e^(eta_p mu t) kappa delta c/u_0 both differences P - cosh, V - sinh start at 0,
and their rates of change are sums of nonnegative multiples of them and of V.

Derivation. The rescaled flow and the stop are read off the model for K = 2, 3 and 4; the bounds hold for every K by
induction. The perturbation equations are those of 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares
from toymesa.symbolic.model import TIME, Model

SOURCE = "mechanisms_1_7_stopping_early"
NAMES = ("a", "b", "d", "e")


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def _positive(name: str, statement: str, expr: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="inequality", expr=expr, strict=True, derivation=SOURCE)


# ---------------------------------------------------------------- first order

N, ETA_P, K, LOG_GROWTH, ODD = sp.symbols("n eta_p K A v", positive=True)  # A = arccosh(theta/u_0)
Y = sp.Symbol("y", positive=True)  # sqrt(r)
EARLY = 1 / (1 + ODD)  # any y between 0 and 1


def growth(n: sp.Expr, y: sp.Expr) -> sp.Expr:
    """By how much a perturbation has grown when g = y g_0."""
    return sp.cosh(sp.sqrt(n * ETA_P * K) * (1 - y))


def stop_diversity(y: sp.Expr) -> sp.Expr:
    """n_stop to first order, with A = arccosh(theta/u_0)."""
    return LOG_GROWTH**2 / (ETA_P * K * (1 - y) ** 2)


def coordinate(n: sp.Expr, y: sp.Expr) -> sp.Expr:
    """X for c_0 = 0."""
    return sp.sqrt(n * ETA_P) * (1 - y)


# ---------------------------------------------------------------- the collapse, on the model

UNIT = sp.Symbol("m", positive=True)  # sqrt(n eta_p)
COMMON = sp.Symbol("c_0", real=True)


def perfect(model: Model) -> dict[sp.Symbol, sp.Expr]:
    """Perfect mechanisms without decay and pressure, and n eta_p = m^2."""
    fidelity = {s: sp.S(1) for s in model.params if s.name.startswith("fidelity_")}
    return fidelity | {
        model.param("lam"): sp.S(0),
        model.param("mu"): sp.S(0),
        model.param("gate_rate"): UNIT**2 / model.param("diversity"),
    }


def rescaled(k: int) -> tuple[list[sp.Expr], list[sp.Expr], list[sp.Expr], list[sp.Expr]]:
    """C, eta, p, and the rates d/dsigma of C and of the log-odds, of the model with K mechanisms."""
    model = mechanisms(NAMES[:k])
    contents = list(sp.symbols(f"C_1:{k + 1}", real=True))
    shares = [in_shares(model, p) for p in model.charts[0].coordinates]
    at = {s: COMMON + c / UNIT for s, c in zip(model.states, contents, strict=False)}
    error = 1 - sum(p * c for p, c in zip(shares, at.values(), strict=True))
    flow = [in_shares(model, rate.subs(perfect(model)).subs(at)) for rate in model.flow.values()]
    rates = [r * UNIT / (UNIT * error) for r in flow[:k]] + [r / (UNIT * error) for r in flow[k:]]
    return contents, [model.param(f"rate_{n}") for n in NAMES[:k]], shares, rates


def collapse(k: int) -> Claim:
    """The rescaled flow has no parameter left."""
    contents, eta, shares, rates = rescaled(k)
    free = [e * p for e, p in zip(eta, shares, strict=True)] + [c - contents[-1] for c in contents[:-1]]
    return _claim(
        f"collapse_{k}",
        f"in C and sigma the flow of the model has neither n nor eta_p in it (K = {k})",
        sp.Matrix(rates),
        sp.Matrix(free),
    )


def stop(k: int) -> Claim:
    """Where the loss has fallen to the fraction r = y^2."""
    model = mechanisms(NAMES[:k])
    shares = [in_shares(model, p) for p in model.charts[0].coordinates]
    loss = in_shares(model, model.observables["loss"].subs(perfect(model)))
    contents = list(sp.symbols(f"C_1:{k}", real=True))
    mean = UNIT * (1 - COMMON) * (1 - Y)
    last = (mean - sum(p * c for p, c in zip(shares, contents, strict=False))) / shares[-1]
    states = model.states[:k]
    at = {s: COMMON + c / UNIT for s, c in zip(states, [*contents, last], strict=True)}
    return _claim(
        f"stop_{k}",
        f"where the mean of C is X the fraction r of the loss of the model is left (K = {k})",
        loss.subs(at, simultaneous=True),
        Y**2 * loss.subs(dict.fromkeys(states, COMMON)),
    )


def speed(k: int) -> Claim:
    """How fast the mean of C rises."""
    c, eta, p, rates = rescaled(k)
    odds = [*rates[k:], sp.S(0)]
    common = sum(q * l for q, l in zip(p, odds, strict=True))
    mean = sum(q * rate + q * (l - common) * x for q, rate, l, x in zip(p, rates, odds, c, strict=False))
    spread = sum(p[i] * p[j] * (c[i] - c[j]) ** 2 for i in range(k) for j in range(i))
    return _claim(
        f"speed_{k}",
        f"the mean of C rises at the rate Var_p(C) + sum eta p^2 (K = {k}; the variance as a sum over pairs, 1.1)",
        mean,
        spread + sum(e * q**2 for e, q in zip(eta, p, strict=True)),
    )


# every K: A E - P^2 with A = sum 1/eta, E = sum eta p^2, P = sum p is a sum of squares; what one more mechanism adds to it
TOTAL, ENERGY, P_SUM, ETA, SHARE = sp.symbols("A_ E P_ eta p", positive=True)
ONE_MORE = (TOTAL + 1 / ETA) * (ENERGY + ETA * SHARE**2) - (P_SUM + SHARE) ** 2 - (TOTAL * ENERGY - P_SUM**2)
ETA_Q, SHARE_Q = sp.symbols("eta_q p_q", positive=True)
SQUARE = (ETA * SHARE - ETA_Q * SHARE_Q) ** 2 / (ETA * ETA_Q)

# ---------------------------------------------------------------- unequal contents at the start

GAP = sp.Symbol("z", positive=True)  # m (c_1 - c_2)
V0, U0, S = sp.symbols("v_0 u_0 s", positive=True)


def slope() -> tuple[sp.Expr, sp.Expr]:
    """d ln(p_1/p_2)/dX of two equal mechanisms that start at p = 1/2 and C_1 - C_2 = z, by the model."""
    c, eta, p, rates = rescaled(2)
    share = next(iter(p[0].free_symbols))
    mean = p[0] * rates[0] + p[1] * rates[1] + p[0] * p[1] * rates[2] * (c[0] - c[1])
    at = {share: sp.Rational(1, 2), eta[0]: 1, eta[1]: 1, c[0]: GAP + c[1]}
    return (rates[2] / mean).subs(at), 4 * GAP / (GAP**2 + 2)


WAVE = sp.sqrt(N * ETA_P / K)


def deviation(k: sp.Expr, w: sp.Expr) -> sp.Expr:
    """First order, with a content imbalance v_0: at s = K w, kappa = k/K."""
    return U0 * sp.cosh(k * w) + k / K * V0 * sp.sinh(k * w)


BOTH = U0 * sp.cosh(WAVE * S) + WAVE * V0 * sp.sinh(WAVE * S)  # in s
CONTENT = V0 * sp.cosh(WAVE * S) + U0 / WAVE * sp.sinh(WAVE * S)
BARE, W = sp.symbols("k w", positive=True)

# ---------------------------------------------------------------- the reverse

LAM, MU, SLACK = sp.symbols("lam mu slack", positive=True)
KAPPA, G, M_RATE, DIFFERENCE, EPS = sp.symbols("kappa g m_ d epsilon", positive=True)  # m_ = eta_p mu = lam + d
P, V, GROWN = sp.symbols("P V E", positive=True)  # E = e^(kappa s)
COSH, SINH = (GROWN + 1 / GROWN) / 2, (GROWN - 1 / GROWN) / 2
# delta p' = kappa g v - m delta p, v' = kappa g delta p - lam v (1.4), times e^(mt)
MOTION = {P: KAPPA * G * V, V: KAPPA * G * P + DIFFERENCE * V, GROWN: KAPPA * G * GROWN}


def along(expr: sp.Expr, rates: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Derivative of an expression whose symbols move at these rates."""
    return sp.Add(*(sp.diff(expr, s) * rate for s, rate in rates.items()))


def critical() -> sp.Expr:
    """n_c of 1.5."""
    return MU * (1 + K * LAM) ** 2 / (K * LAM)


def clock(t: sp.Expr) -> sp.Expr:
    """s(t) of 1.4."""
    a = LAM + 1 / K
    return LAM / a * t + (1 - LAM / a) * (1 - sp.exp(-a * t)) / a


def lower_bound(t: sp.Expr) -> sp.Expr:
    """Of delta p(t)/u_0 for lam <= eta_p mu."""
    return sp.exp(-ETA_P * MU * t) * sp.cosh(WAVE * clock(t))


T = sp.Symbol("t_", positive=True)
# lam = 1e-4, mu = 0.05, n = 60, K = 2, u_0 = 1e-3, at t = 4
EXAMPLE = {LAM: sp.Rational(1, 10000), MU: sp.Rational(1, 20), N: 60, K: 2, ETA_P: 1}

CLAIMS = (
    _claim(
        "stop_first_order",
        "at n_stop a perturbation has grown by theta/u_0 = cosh A when it is stopped",
        growth(stop_diversity(EARLY), EARLY),
        sp.cosh(LOG_GROWTH),
    ),
    _positive("stop_monotone", "the growth until the stop rises with n", sp.diff(growth(N, EARLY), N)),
    _claim(
        "joint_stop",
        "on the joint trajectory (1.4) the growth cosh(kappa s) at g = e^(-t/K) = y is that of the formula",
        sp.cosh(WAVE * K * (1 - Y)).subs(Y, sp.exp(-TIME / K)),
        growth(N, sp.exp(-TIME / K)),
    ),
    *(collapse(k) for k in (2, 3, 4)),
    *(stop(k) for k in (2, 3)),
    *(speed(k) for k in (2, 3)),
    _claim(
        "speed_bound",
        "A sum eta p^2 - (sum p)^2 gains (eta p - eta_q p_q)^2/(eta eta_q) from every pair: the step from K to K + 1",
        ONE_MORE,
        ETA * SHARE**2 * TOTAL - 2 * SHARE * P_SUM + ENERGY / ETA,
    ),
    _claim(
        "speed_pair",
        "one pair's square, whose sum over q that is",
        SQUARE,
        ETA * SHARE**2 / ETA_Q - 2 * SHARE * SHARE_Q + ETA_Q * SHARE_Q**2 / ETA,
    ),
    _claim(
        "stop_law",
        "n_stop(0)/(1 - sqrt r)^2 has, at r, the coordinate X that n_stop(0) has at convergence",
        coordinate(N / (1 - EARLY) ** 2, EARLY),
        coordinate(N, sp.S(0)),
    ),
    _claim(
        "stop_coordinate",
        "to first order the criterion is met at X = arccosh(theta/u_0)/sqrt(K)",
        coordinate(stop_diversity(EARLY), EARLY),
        LOG_GROWTH / sp.sqrt(K),
    ),
    _claim("unequal_slope", "unequal contents: the slope of the log-odds against X at the start", *slope()),
    _positive(
        "unequal_break",
        "the slope differs between n and 4n (as long as m (c_1 - c_2) < 1): no function of X alone",
        (slope()[1].subs(GAP, 2 * GAP) - slope()[1]).subs(GAP, EARLY),
    ),
    _claim(
        "unequal_solution",
        "first order with a content imbalance: delta p and delta c solve the equations in s",
        sp.Matrix([sp.diff(BOTH, S), sp.diff(CONTENT, S)]),
        sp.Matrix([ETA_P * N / K * CONTENT, BOTH]),
    ),
    _claim(
        "unequal_stop",
        "it is the formula in k and w, with s = K w",
        BOTH.subs({S: K * W, N: BARE**2 / (ETA_P * K)}),
        deviation(BARE, W),
    ),
    _claim(
        "unequal_excess",
        "stopped early at n_stop(0)/w^2 the deviation exceeds that at convergence at n_stop(0)",
        deviation(BARE / W, W) - deviation(BARE, sp.S(1)),
        BARE / K * V0 * sp.sinh(BARE) * (1 / W - 1),
    ),
    _positive(
        "reverse_window",
        "n_c > n_stop(0) to first order for mu/lam >= A^2/eta_p (also without slack)",
        (critical() - stop_diversity(sp.S(0))).subs(MU, LAM * (LOG_GROWTH**2 / ETA_P + SLACK)),
    ),
    _claim(
        "reverse_ratio",
        "n < n_c for mu/lam >= K n: there n_c - n = n K lam (2 + K lam)",
        critical().subs(MU, LAM * K * N) - N,
        N * K * LAM * (2 + K * LAM),
    ),
    _claim(
        "reverse_edge",
        "at mu/lam = A^2/eta_p the window is n_c - n_stop(0) = A^2 lam (2 + K lam)/eta_p",
        (critical() - stop_diversity(sp.S(0))).subs(MU, LAM * LOG_GROWTH**2 / ETA_P),
        LOG_GROWTH**2 * LAM * (2 + K * LAM) / ETA_P,
    ),
    _claim(
        "reverse_bound",
        "P - cosh and V - sinh (of kappa s) rise by nonnegative multiples of each other and of V",
        sp.Matrix([along(P - COSH, MOTION), along(V - SINH, MOTION)]),
        sp.Matrix([KAPPA * G * (V - SINH), KAPPA * G * (P - COSH) + DIFFERENCE * V]),
    ),
    _claim(
        "reverse_clock",
        "s(0) = 0, and g = ds/dt is 1 at the start and relaxes by g' = lam - (lam + 1/K) g, as the contents do (1.4)",
        sp.Matrix([clock(sp.S(0)), sp.diff(clock(T), T).subs(T, 0), sp.diff(clock(T), T, 2)]),
        sp.Matrix([0, 1, LAM - (LAM + 1 / K) * sp.diff(clock(T), T)]),
    ),
    _claim(
        "reverse_limit",
        "lam and mu to 0 in a fixed ratio: the bound is the growth without them",
        lower_bound(T).subs({LAM: EPS * LAM, MU: EPS * MU}).subs(EPS, 0),
        growth(N, sp.exp(-T / K)),
    ),
    _claim("reverse_example_high", "the example: n_c = 250.10001", critical().subs(EXAMPLE), sp.Rational("250.10001")),
    _positive(
        "reverse_example_low",
        "the example: n_stop(0) for theta = 1/2 is below 60",
        60 - stop_diversity(sp.S(0)).subs(LOG_GROWTH, sp.acosh(500)).subs(EXAMPLE),
    ),
    _positive(
        "reverse_example",
        "the example: at t = 4 the perturbation 1e-3 has, to first order, grown beyond 1/2",
        lower_bound(sp.S(4)).subs(EXAMPLE) / 1000 - sp.Rational(1, 2),
    ),
)

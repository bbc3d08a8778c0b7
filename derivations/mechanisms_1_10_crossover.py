r"""Mechanisms 1.10: speed against simplicity at convergence: which of two polarized states has the lower free energy.

Two perfect mechanisms (f = 1); h = ln(pi_1/pi_2) = ln(2) (b_2 - b_1). With contents at their optimum, c_r = eta_r p_r g/lam,
the free energy is

.. math:: F(p) = \frac n2\,g + \mu\,\mathrm{KL}(p\,\|\,\pi), \qquad
          \frac1g = 1 + \frac{\eta_1 p_1^2 + \eta_2 p_2^2}{\lambda},

stationary where ln(p_1/p_2) = h + n g^2 (eta_1 p_1 - eta_2 p_2)/(lam mu). With reliance on one mechanism alone g is
g_r = lam/(lam + eta_r) and F_r = n g_r/2 + mu ln(1/pi_r), so that F_1 = F_2 at

.. math:: n_\times = \frac{2\mu\ln 2\,(b_1-b_2)(\lambda+\eta_1)(\lambda+\eta_2)}{\lambda\,(\eta_1-\eta_2)},

and the faster mechanism (eta_1 > eta_2, which pays if it is also the less simple one, b_1 > b_2) wins above it.

*Corrections.* The minima lie beside the vertices. With epsilon = p_2 beside vertex 1 and X_1 = n g_1^2 eta_1/(lam mu)

.. math:: F = F_1 + \mu\,\epsilon\,(\ln\epsilon - 1 + X_1 + h) + O(\epsilon^2),

least at epsilon_1 = e^(-X_1 - h), by mu epsilon_1 below F_1; beside vertex 2 the same with -h and X_2. (This is a minimum
however large n is: both states are metastable.) So the crossing lies at n_x + 2 mu (epsilon_1 - epsilon_2)/(g_1 - g_2) and
terms of second order in them: exponentially small in n g^2/(lam mu). *At* the crossing, though, these exponents are numbers
of rates and bits alone,

.. math:: \epsilon_1 = 2^{-\Delta b\,(2\eta_1(\lambda+\eta_2)/((\lambda+\eta_1)(\eta_1-\eta_2)) - 1)}, \qquad
          \epsilon_2 = 2^{-\Delta b\,(2\eta_2(\lambda+\eta_1)/((\lambda+\eta_2)(\eta_1-\eta_2)) + 1)},

so that n_x says something only for rates close enough or bits different enough that these are small: for small lam and
eta_1 >= 3 eta_2 the first is never below 1, and the state of mechanism 1 is not polarized at n_x.

*Metastability.* Training selects mechanism 1 iff its score is higher, log2(eta_1/eta_2) > b_1 - b_2, whatever n (1.9). So for
a higher score of 1 and n < n_x, or a lower one and n > n_x, the trained state is not the global minimum: short training is
decided by rate times prior, infinite training with noise by free energy.

Derivation. F from the model; the rest by substitution and limits of F.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares
from toymesa.symbolic.functions import LogSumExp

SOURCE = "mechanisms_1_10_crossover"


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def _limit(name: str, statement: str, expr: sp.Expr, value: sp.Expr) -> Claim:
    return Claim(
        name=name,
        statement=statement,
        kind="limit",
        expr=expr,
        variable=EPS,
        target=0,
        value=value,
        derivation=SOURCE,
    )


N, LAM, MU, ETA_1, ETA_2, P, EPS = sp.symbols("n lam mu eta_1 eta_2 p epsilon", positive=True)
B_1, B_2 = sp.symbols("b_1 b_2", real=True)
TILT = sp.log(2) * (B_2 - B_1)  # h
LOG_Z = sp.Symbol("Z", real=True)  # ln(2^-b_1 + 2^-b_2)


def error(p: sp.Expr) -> sp.Expr:
    """g, with contents at their optimum."""
    return 1 / (1 + (ETA_1 * p**2 + ETA_2 * (1 - p) ** 2) / LAM)


def energy(p: sp.Expr, log_1: sp.Expr, log_2: sp.Expr) -> sp.Expr:
    """F, with the logarithms of both reliances."""
    divergence = p * (log_1 + B_1 * sp.log(2)) + (1 - p) * (log_2 + B_2 * sp.log(2)) + LOG_Z
    return N * error(p) / 2 + MU * divergence


def on_the_model() -> tuple[sp.Matrix, sp.Matrix]:
    """Free energy and rates of the contents at their optimum, by the model; and what they should be."""
    model = mechanisms(("a", "b"))
    (chart,) = model.charts
    share = in_shares(model, next(iter(chart.coordinates)))
    logs = [sp.Symbol(f"ln_{p.name}", real=True) for p in chart.coordinates]
    names = {"rate_a": ETA_1, "rate_b": ETA_2, "bits_a": B_1, "bits_b": B_2, "lam": LAM, "mu": MU, "diversity": N}
    names |= {"fidelity_a": sp.S(1), "fidelity_b": sp.S(1)}
    put = {model.param(name): value for name, value in names.items()} | {share: P}
    optimum = {model.states[0]: ETA_1 * P * error(P) / LAM, model.states[1]: ETA_2 * (1 - P) * error(P) / LAM}
    exprs = [model.param("diversity") * model.potential, *list(model.flow.values())[:2]]
    found = [in_shares(model, e).subs(put).subs(optimum) for e in exprs]
    log_z = {LogSumExp(-B_1 * sp.log(2), -B_2 * sp.log(2)): LOG_Z}
    return sp.Matrix([e.xreplace(log_z) for e in found]), sp.Matrix([energy(P, *logs), 0, 0])


G_1, G_2 = LAM / (LAM + ETA_1), LAM / (LAM + ETA_2)
F_1 = N * G_1 / 2 + MU * (B_1 * sp.log(2) + LOG_Z)
F_2 = N * G_2 / 2 + MU * (B_2 * sp.log(2) + LOG_Z)
CROSSING = 2 * MU * sp.log(2) * (B_1 - B_2) * (LAM + ETA_1) * (LAM + ETA_2) / (LAM * (ETA_1 - ETA_2))
X_1, X_2 = N * G_1**2 * ETA_1 / (LAM * MU), N * G_2**2 * ETA_2 / (LAM * MU)
BESIDE_1 = energy(1 - EPS, sp.log(1 - EPS), sp.log(EPS))
BESIDE_2 = energy(EPS, sp.log(EPS), sp.log(1 - EPS))
LEFT_1, LEFT_2 = sp.exp(-X_1 - TILT), sp.exp(-X_2 + TILT)  # epsilon_1, epsilon_2
SHIFT = 2 * MU * (LEFT_1 - LEFT_2) / (G_1 - G_2)
GENERAL = energy(P, sp.log(P), sp.log(1 - P))


def well(exponent: sp.Expr) -> sp.Expr:
    """(F - F_r)/mu beside a vertex, with X + h as the exponent."""
    return EPS * (sp.log(EPS) - 1 + exponent)


def beside(vertex: int, missed: sp.Expr, energy_missed: sp.Expr) -> tuple[Claim, Claim]:
    """What the well leaves out of F - F_r is smooth at epsilon = 0, and of second order."""
    smooth = energy_missed + MU * ((1 - EPS) * sp.log(1 - EPS) + EPS)
    return (
        _claim(
            f"beside_{vertex}", f"F near vertex {vertex} is F_{vertex}, mu times the well, and this", missed, smooth
        ),
        _claim(
            f"beside_{vertex}_order",
            "which is 0 at epsilon = 0, and so is its slope",
            sp.Matrix([smooth, sp.diff(smooth, EPS)]).subs(EPS, 0),
            sp.zeros(2, 1),
        ),
    )


def bottom(name: str, exponent: sp.Expr, left: sp.Expr) -> Claim:
    """Where it is least, and how deep."""
    found = sp.Matrix([sp.diff(well(exponent), EPS), well(exponent), sp.diff(well(exponent), EPS, 2)]).subs(EPS, left)
    return _claim(
        name,
        "is stationary at epsilon, with the value -epsilon and positive curvature 1/epsilon",
        found,
        sp.Matrix([0, -left, 1 / left]),
    )


MORE = sp.Symbol("more", positive=True)

CLAIMS = (
    _claim("reduced", "the free energy of the model with contents at their optimum is F", *on_the_model()),
    _claim(
        "stationary",
        "dF/dp is mu times ln(p_1/p_2) - h - n g^2 (eta_1 p_1 - eta_2 p_2)/(lam mu)",
        sp.diff(GENERAL, P),
        MU * (sp.log(P) - sp.log(1 - P) - TILT) - N * error(P) ** 2 * (ETA_1 * P - ETA_2 * (1 - P)) / LAM,
    ),
    _limit("vertex_1", "F with reliance on mechanism 1 alone", BESIDE_1, F_1),
    _limit("vertex_2", "and on mechanism 2 alone", BESIDE_2, F_2),
    _claim("crossing", "F_1 = F_2 at n_x", F_1.subs(N, CROSSING), F_2.subs(N, CROSSING)),
    _claim(
        "envelope", "dF/dn at fixed p, and so along any stationary state, is g/2", sp.diff(GENERAL, N), error(P) / 2
    ),
    Claim(
        name="crossing_side",
        statement="F_2 - F_1 rises with n if eta_1 > eta_2: above n_x the faster mechanism has the lower free energy",
        kind="inequality",
        expr=sp.diff(F_2 - F_1, N).subs(ETA_1, ETA_2 + MORE),
        strict=True,
        derivation=SOURCE,
    ),
    *beside(1, BESIDE_1 - F_1 - MU * well(X_1 + TILT), N * (error(1 - EPS) - G_1) / 2 - MU * X_1 * EPS),
    *beside(2, BESIDE_2 - F_2 - MU * well(X_2 - TILT), N * (error(EPS) - G_2) / 2 - MU * X_2 * EPS),
    bottom("well_1", X_1 + TILT, LEFT_1),
    bottom("well_2", X_2 - TILT, LEFT_2),
    _claim(
        "crossing_shift",
        "n_x plus the shift makes F_1 - mu epsilon_1 and F_2 - mu epsilon_2 equal, with epsilons at n_x",
        (F_1 - F_2).subs(N, CROSSING + SHIFT.subs(N, CROSSING)),
        (MU * (LEFT_1 - LEFT_2)).subs(N, CROSSING),
    ),
    _claim(
        "crossing_left_1",
        "ln epsilon_1 at n_x is a number of rates and bits",
        sp.log(LEFT_1).subs(N, CROSSING),
        -sp.log(2) * (B_1 - B_2) * (2 * ETA_1 * (LAM + ETA_2) / ((LAM + ETA_1) * (ETA_1 - ETA_2)) - 1),
    ),
    _claim(
        "crossing_left_2",
        "and so is ln epsilon_2",
        sp.log(LEFT_2).subs(N, CROSSING),
        -sp.log(2) * (B_1 - B_2) * (2 * ETA_2 * (LAM + ETA_1) / ((LAM + ETA_2) * (ETA_1 - ETA_2)) + 1),
    ),
    _claim(
        "crossing_polarized",
        "the first exponent over b_1 - b_2: for lam to 0 it is (3 eta_2 - eta_1)/(eta_1 - eta_2)",
        2 * ETA_1 * (LAM + ETA_2) / ((LAM + ETA_1) * (ETA_1 - ETA_2)) - 1,
        (ETA_1 * (3 * ETA_2 - ETA_1) + LAM * (ETA_1 + ETA_2)) / ((LAM + ETA_1) * (ETA_1 - ETA_2)),
    ),
)

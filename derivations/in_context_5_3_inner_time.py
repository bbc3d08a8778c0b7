r"""In context 5.3: an inner run of time tau, and its limit for many dimensions and examples.

Many small steps, eta = tau/k with k to infinity, leave e^(-tau S) beta, so

.. math:: \ell = \tfrac12\,\mathbb{E}\,\tfrac1d \operatorname{tr}\bigl[e^{-2\tau S}
    + \tfrac{\sigma^2}{n}\,(1-e^{-\tau S})^2 S^{-1}\bigr] .

For d, n to infinity with d/n = c the spectrum of S tends to the Marchenko-Pastur law, x = 1 + c + 2 sqrt(c) cos t with
the density (2/pi) sin^2 t/x dt (and the weight 1 - 1/c at 0 for c > 1). With phi(s) its Laplace transform,

.. math:: -\varphi'(s) = \frac2\pi \int_0^\pi \sin^2 t\; e^{-s (1 + c + 2\sqrt c \cos t)}\,dt
    = e^{-(1+c)s}\,\frac{I_1(2\sqrt c\,s)}{\sqrt c\,s},

and at c = 1, in elementary form, phi = e^(-2s) (I_0(2s) + I_1(2s)): the loss falls like 1/sqrt(8 pi tau), as a power, since
the smallest eigenvalue tends to 0. The noise term needs Psi = int_0^tau phi:

.. math:: \int \frac{(1-e^{-\tau x})^2}{x}\,\mu(dx) = 2\Psi(\tau) - \Psi(2\tau), \qquad
    \Psi = 2\tau e^{-2\tau}(I_0 + I_1)(2\tau) + \tfrac12 (e^{-2\tau} I_0(2\tau) - 1) \quad (c = 1).

Derivation. The integral is Poisson's for I_1 (compared term by term: both have the powers of their series). The
derivatives of Bessel functions bring in I_2 = I_0 - (2/z) I_1, which is put in. That finite sizes tend to the limit is
measured; the deviation falls like 1/n.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy.integrate import quad

from toymesa.symbolic.claims import Claim

S, TAU, X, Z = sp.symbols("s tau x z", positive=True)
ANGLE = sp.Symbol("t", real=True)
K = sp.Symbol("k", positive=True)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_3_inner_time", **what)


def known(expr: sp.Expr, z: sp.Expr) -> sp.Expr:
    """I_2 by the recurrence."""
    return sp.expand(expr.subs(sp.besseli(2, z), sp.besseli(0, z) - 2 * sp.besseli(1, z) / z))


def phi(s: sp.Expr) -> sp.Expr:
    return sp.exp(-2 * s) * (sp.besseli(0, 2 * s) + sp.besseli(1, 2 * s))


PSI = 2 * TAU * phi(TAU) + (sp.exp(-2 * TAU) * sp.besseli(0, 2 * TAU) - 1) / 2


def power_of_poisson(j: int) -> sp.Expr:
    """The z^(2j) coefficient of (2/pi) int sin^2 t e^(z cos t) dt."""
    return (
        2 / sp.pi * sp.integrate(sp.sin(ANGLE) ** 2 * sp.cos(ANGLE) ** (2 * j), (ANGLE, 0, sp.pi)) / sp.factorial(2 * j)
    )


def left(x: np.ndarray, tau: float, share: float) -> np.ndarray:
    """Twice the loss in a direction of eigenvalue x, with noise of that share."""
    return (
        np.exp(-2 * tau * x)
        + share * tau**2 * x * np.where(x > 0, np.expm1(-tau * x) / np.where(x > 0, tau * x, 1), 0) ** 2
    )


def finite(c: float, n: int, tau: float, share: float = 0.5) -> tuple[float, float]:
    """Eigenvalues of simulated S against the Marchenko-Pastur law; 1/n is allowed."""
    d, rng = round(c * n), np.random.default_rng(3)
    contexts = [rng.standard_normal((n, d)) for _ in range(40)]
    found = np.mean([left(np.linalg.eigvalsh(x.T @ x / n), tau, share).mean() for x in contexts])

    def density(angle: float) -> float:
        x = 1 + c + 2 * np.sqrt(c) * np.cos(angle)
        return float(2 / np.pi * np.sin(angle) ** 2 / x * left(np.array(x), tau, share))

    law = quad(density, 0, np.pi, epsabs=1e-10)[0] + max(0.0, 1 - 1 / c)
    return abs(found - law), 1.0 / n


CLAIMS = (
    _claim(
        "time_many_steps",
        "k steps of size tau/k tend to e^(-tau x)",
        "limit",
        expr=(1 - TAU * X / K) ** (2 * K),
        variable=K,
        target=sp.oo,
        value=sp.exp(-2 * TAU * X),
    ),
    _claim(
        "time_noise",
        "(1-e^(-tau x))^2/x is twice int_0^tau e^(-s x) ds less int_0^(2 tau)",
        lhs=(1 - sp.exp(-TAU * X)) ** 2 / X,
        rhs=2 * sp.integrate(sp.exp(-S * X), (S, 0, TAU)) - sp.integrate(sp.exp(-S * X), (S, 0, 2 * TAU)),
    ),
    *(
        _claim(
            f"poisson_{j}",
            f"the z^{2 * j} of Poisson's integral is that of 2 I_1(z)/z",
            lhs=power_of_poisson(j),
            rhs=1 / (sp.Integer(4) ** j * sp.factorial(j) * sp.factorial(j + 1)),
        )
        for j in range(4)
    ),
    _claim(
        "laplace_slope",
        "at c = 1 the derivative of the elementary form is that of the integral",
        lhs=known(-sp.diff(phi(S), S), 2 * S),
        rhs=sp.expand(sp.exp(-2 * S) * sp.besseli(1, 2 * S) / S),
    ),
    _claim("laplace_start", "phi(0) = 1", lhs=phi(sp.Integer(0)), rhs=1),
    *(
        _claim(
            f"laplace_moment_{j}",
            f"its series has the moment C_{j} of the law at c = 1 (a Catalan number)",
            lhs=(-1) ** j * sp.factorial(j) * sp.series(phi(S), S, 0, 5).removeO().coeff(S, j),
            rhs=sp.catalan(j),
        )
        for j in range(1, 5)
    ),
    _claim("laplace_integral", "Psi' = phi at c = 1", lhs=known(sp.diff(PSI, TAU), 2 * TAU), rhs=sp.expand(phi(TAU))),
    _claim("laplace_integral_start", "Psi(0) = 0", lhs=PSI.subs(TAU, 0), rhs=0),
    *(
        _claim(
            f"limit_{label}",
            f"finite sizes tend to the Marchenko-Pastur limit, d/n = {c:g}",
            "numerical",
            measure=lambda c=c, n=n, tau=tau: finite(c, n, tau),
        )
        for label, c, n, tau in (("below", 0.25, 80, 1.5), ("equal", 1.0, 60, 1.0), ("above", 2.0, 40, 0.7))
    ),
)

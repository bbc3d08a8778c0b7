r"""Mechanisms 1.12: imperfect mechanisms, whose independent errors can make the joint state stable at every diversity.

*Contents eliminated* (any fidelities f_r, rates, prior). With B_r = (1-f_r^2) p_r^2 + lam/eta_r the Hessian of Phi/n in the
contents is diag(B) + w w^T, w_r = f_r p_r: positive definite. So for given reliances Phi has one minimum, at
c_r = f_r p_r g/B_r with g = 1/(1+Q), where it is

.. math:: F(p) = \frac{n/2}{1+Q} + \mu\,\mathrm{KL}(p\,\|\,\pi), \qquad Q = \sum_r \frac{f_r^2 p_r^2}{B_r}.

F has the same fixed points as Phi; its second derivative is the Schur complement of that of Phi, congruent to it beside the
positive definite block, so that the number of unstable directions is the same (Sylvester; and a positive definite metric
does not change it either). Without decay Q = sum f_r^2/(1-f_r^2) whatever p: the floor of the loss is 1/(2(1+Q)).

*Equal mechanisms* (fidelity f, a = 1-f^2, rate 1, uniform prior): Q is a sum of phi(p_r), phi(p) = f^2 p^2/(a p^2 + lam), with

.. math:: \phi''(p) = \frac{2 f^2 \lambda\,(\lambda - 3 a p^2)}{(a p^2+\lambda)^3}.

At p = 1/K, in every direction of sum 0, F'' is proportional to mu K - n phi''(1/K)/(2(1+Q)^2). It vanishes at

.. math:: n_c = \frac{\mu K (1+Q)^2 (a/K^2+\lambda)^3}{f^2\lambda\,(\lambda-3a/K^2)}, \qquad Q = \frac{f^2}{K(a/K^2+\lambda)},

the n_c of 1.5, and is positive at every n if lam <= 3a/K^2: **the joint state is then linearly stable at every diversity**.

*Global minimum.* As n grows the minimum of F tends to the maximum of Q. Among equal shares of m mechanisms, with
Q_m = f^2 m/(a + lam m^2), m + 1 beat m iff a/lam > m(m+1). And nothing but equal shares is a maximum: for two shares of a
fixed sum, phi(p) + phi(q) first falls and then rises as their product grows from 0 to that of equal shares, so that any two
nonzero shares are equal in a maximum. Hence it keeps exactly m mechanisms, with

.. math:: m(m-1) < (1-f^2)/\lambda < m(m+1)

(m at most K). The instability of 1.5 belongs to perfectly redundant mechanisms.

*Metastability.* From m equal shares, giving epsilon to another mechanism costs n phi'(1/m) epsilon/(2 (1+Q_m)^2) > 0, since
phi'(0) = 0, and among the m the state is stable for large n iff m^2 <= 3a/lam: for large n every such m is a local minimum of
F (beside its vertex by an exponentially small share, as in 1.10), m = 1, the polarized state, always. Linear stability, the
global minimum and what training reaches are three questions.

*What training passes through.* On the joint trajectory, at any content c, perturbations (delta c, delta ln p) of sum 0 move by

.. math::
    \begin{pmatrix} -A & B/K \\ \eta_p n B & -\eta_p(\mu + n a c^2/K) \end{pmatrix}, \qquad
    A = a/K^2 + \lambda, \quad B = f g - 2ac/K, \quad g = 1 - f c.

At the start, c = 0, its determinant is eta_p (A mu - n f^2/K): above n = K A mu/f^2 perturbations grow at first, also where the
joint state that training heads for is stable at every diversity; they can be so large when that ends that the model
converges to a polarized state.

Derivation. Elimination, Hessian and blocks from the model for K = 2 and 3; the index for any 2 + 1 block matrix; the rest
are identities in a, f, lam, K and m.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.flows import in_shares
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import Model

SOURCE = "mechanisms_1_12_imperfect"
NAMES = ("a", "b", "d")


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="identity", lhs=lhs, rhs=rhs, derivation=SOURCE)


def _positive(name: str, statement: str, expr: sp.Expr) -> Claim:
    return Claim(name=name, statement=statement, kind="inequality", expr=expr, strict=True, derivation=SOURCE)


N, ETA_P, LAM, MU = sp.symbols("diversity gate_rate lam mu", positive=True)

# ---------------------------------------------------------------- contents eliminated, on the model


class Reduced:
    """The model of K mechanisms, with contents at their optimum."""

    def __init__(self, k: int) -> None:
        self.model: Model = mechanisms(NAMES[:k])
        self.plain = {self.model.param("lam"): LAM, self.model.param("mu"): MU}
        coordinates = list(self.model.charts[0].coordinates)
        self.p = [in_shares(self.model, p) for p in coordinates]
        self.log_p = [sp.Symbol(f"ln_{p.name}", real=True) for p in coordinates]
        self.f, self.eta, self.bits = (
            [self.model.param(f"{kind}_{n}") for n in NAMES[:k]] for kind in ("fidelity", "rate", "bits")
        )
        self.c = list(self.model.states[:k])
        self.stiff = [(1 - f**2) * p**2 + LAM / e for f, p, e in zip(self.f, self.p, self.eta, strict=True)]
        self.pull = sum(f**2 * p**2 / b for f, p, b in zip(self.f, self.p, self.stiff, strict=True))
        self.g = 1 / (1 + self.pull)
        each = zip(self.c, self.f, self.p, self.stiff, strict=True)
        self.optimum = {c: f * p * self.g / b for c, f, p, b in each}
        self.potential = in_shares(self.model, self.model.potential).subs(self.plain)  # Phi/n

    def elimination(self) -> tuple[sp.Matrix, sp.Matrix]:
        """Rates of the contents and Phi at the optimum; and 0 and F."""
        rates = [in_shares(self.model, self.model.flow[c]).subs(self.plain) for c in self.c]
        weights = [-b * sp.log(2) for b in self.bits]
        total = LogSumExp(*weights)
        divergence = sum(p * (l - w + total) for p, l, w in zip(self.p, self.log_p, weights, strict=True))
        found = [e.subs(self.optimum) for e in (*rates, N * self.potential)]
        return sp.Matrix(found), sp.Matrix([*[0] * len(rates), N * self.g / 2 + MU * divergence])

    def hessian(self) -> tuple[sp.Matrix, sp.Matrix]:
        """Of Phi/n in the contents; and diag(B) + w w^T."""
        w = sp.Matrix([f * p for f, p in zip(self.f, self.p, strict=True)])
        return sp.hessian(self.potential, self.c), sp.diag(*self.stiff) + w * w.T

    def schur(self) -> tuple[sp.Expr, sp.Expr]:
        """Second derivative of n g/2 (K = 2), and the Schur complement of the Hessian of the loss with decay."""
        share = next(iter(self.p[0].free_symbols))
        loss = N * self.potential.subs(MU, 0)
        cross = sp.Matrix([sp.diff(loss, c, share) for c in self.c])
        block = sp.hessian(loss, self.c)
        inverse = block.adjugate() / block.det()
        complement = sp.diff(loss, share, 2) - (cross.T * inverse * cross)[0]
        return sp.diff(N * self.g / 2, share, 2), complement.subs(self.optimum)

    def floor(self) -> tuple[sp.Expr, sp.Expr]:
        """The loss at the optimum without decay."""
        power = sum(f**2 / (1 - f**2) for f in self.f)
        loss = in_shares(self.model, self.model.observables["loss"])
        return loss.subs({c: e.subs(LAM, 0) for c, e in self.optimum.items()}), 1 / (2 * (1 + power))


# a symmetric matrix of blocks H, h, d is L^T diag(H, d - h^T H^-1 h) L with L = (1, H^-1 h; 0, 1)
H = sp.Matrix(2, 2, [*sp.symbols("H_11 H_12", real=True), *sp.symbols("H_12 H_22", real=True)])
EDGE = sp.Matrix(sp.symbols("h_1 h_2", real=True))
CORNER = sp.Symbol("d", real=True)
WHOLE = sp.Matrix([[H, EDGE], [EDGE.T, sp.Matrix([[CORNER]])]])
SOLVED = H.adjugate() / H.det() * EDGE
SHEAR = sp.Matrix([[sp.eye(2), SOLVED], [sp.zeros(1, 2), sp.eye(1)]])
CONGRUENT = SHEAR.T * sp.diag(H, CORNER - (EDGE.T * SOLVED)[0]) * SHEAR

# ---------------------------------------------------------------- equal mechanisms

K, M, P, A, F, SLACK = sp.symbols("K m p a f slack", positive=True)
X, PRODUCT, SUM, EPS = sp.symbols("q w sigma epsilon", positive=True)


def pull(p: sp.Expr) -> sp.Expr:
    """phi, with a = 1 - f^2 as a symbol of its own."""
    return F**2 * p**2 / (A * p**2 + LAM)


BEND = sp.diff(pull(P), P, 2)


def critical(k: sp.Expr) -> sp.Expr:
    """n_c, a symbol of its own."""
    stiffness = A / k**2 + LAM
    q = F**2 / (k * stiffness)
    return MU * k * (1 + q) ** 2 * stiffness**3 / (F**2 * LAM * (LAM - 3 * A / k**2))


def variation(k: int) -> tuple[sp.Expr, sp.Expr]:
    """Second derivative of F at p = 1/K in a direction v of sum 0; and mu K |v|^2 (1 - n/n_c)."""
    v = [*sp.symbols(f"v_1:{k}", real=True)]
    v = [*v, -sum(v)]
    p = [sp.Rational(1, k) + EPS * x for x in v]
    free = N / 2 / (1 + sum(pull(x) for x in p)) + MU * sum(x * sp.log(k * x) for x in p)
    return sp.diff(free, EPS, 2).subs(EPS, 0), MU * k * sum(x**2 for x in v) * (1 - N / critical(sp.Integer(k)))


def joint_of(m: sp.Expr) -> sp.Expr:
    """Q of m equal shares."""
    return m * pull(1 / m)


# two shares of sum sigma and product w: phi(p) + phi(q) = (f^2/a)(2 - lam/a R)
SCALE = LAM / A
RATIO = (SUM**2 - 2 * PRODUCT + 2 * SCALE) / (PRODUCT**2 + SCALE * (SUM**2 - 2 * PRODUCT) + SCALE**2)
TURN = PRODUCT**2 - PRODUCT * (SUM**2 + 2 * SCALE) + SCALE**2
BELOW = sp.sqrt(4 * PRODUCT + SLACK)  # sigma of two shares of this product

GIVEN = N / 2 / (1 + M * pull((1 - EPS) / M) + pull(EPS))

# ---------------------------------------------------------------- what training passes through

C, FIDELITY = sp.symbols("c f_", real=True)


def block(k: sp.Expr, f: sp.Expr, c: sp.Expr) -> sp.Matrix:
    """How perturbations of sum 0 move on the joint trajectory."""
    a, g = 1 - f**2, 1 - f * c
    b = f * g - 2 * a * c / k
    return sp.Matrix([[-(a / k**2 + LAM), b / k], [ETA_P * N * b, -ETA_P * (MU + N * a * c**2 / k)]])


def passed(k: int) -> tuple[sp.Matrix, sp.Matrix]:
    """Rates of any perturbation of sum 0 at content c and p = 1/K, by the Jacobian of the model and by the block."""
    model = mechanisms(NAMES[:k])
    values = {"rate": sp.S(1), "bits": sp.S(0), "fidelity": FIDELITY, "logit": sp.S(0), "c": C}
    named = [s for s in (*model.states, *model.params) if s.name.partition("_")[0] in values]
    put = {s: values[s.name.partition("_")[0]] for s in named} | {model.param("lam"): LAM, model.param("mu"): MU}
    total = {LogSumExp(*model.states[k:], 0): sp.log(k)}
    jacobian = model.jacobian().applyfunc(lambda e: e.xreplace(total).xreplace(put))
    w, u = [*sp.symbols(f"w_1:{k}", real=True)], [*sp.symbols(f"u_1:{k}", real=True)]
    w, u = [*w, -sum(w)], [*u, -sum(u)]
    pairs = [block(sp.Integer(k), FIDELITY, C) * sp.Matrix(pair) for pair in zip(w, u, strict=True)]
    rates = [p[0] for p in pairs] + [p[1] - pairs[-1][1] for p in pairs[:-1]]
    return jacobian * sp.Matrix([*w, *(v - u[-1] for v in u[:-1])]), sp.Matrix(rates)


START = block(K, FIDELITY, sp.S(0))
CASES = {k: Reduced(k) for k in (2, 3)}

CLAIMS = (
    *(
        _claim(
            f"elimination_{k}",
            f"at the optimum of the contents their rates vanish and Phi is F (K = {k})",
            *case.elimination(),
        )
        for k, case in CASES.items()
    ),
    *(
        _claim(f"contents_{k}", f"the Hessian of Phi/n in the contents is diag(B) + w w^T (K = {k})", *case.hessian())
        for k, case in CASES.items()
    ),
    _claim("index", "a symmetric matrix is congruent to its block and the Schur complement", CONGRUENT, WHOLE),
    _claim(
        "index_model", "d^2(n g/2)/dp^2 is the Schur complement (K = 2; KL has no contents in it)", *CASES[2].schur()
    ),
    *(
        _claim(f"floor_{k}", f"the least loss without decay, whatever the reliances (K = {k})", *case.floor())
        for k, case in CASES.items()
    ),
    _claim("bend", "phi''", BEND, 2 * F**2 * LAM * (LAM - 3 * A * P**2) / (A * P**2 + LAM) ** 3),
    *(
        _claim(f"variation_{k}", f"F'' at the joint state is mu K |v|^2 (1 - n/n_c) (K = {k})", *variation(k))
        for k in (2, 3)
    ),
    _claim(
        "critical",
        "n_c is where mu K = n phi''(1/K)/(2 (1+Q)^2), for any K",
        (MU * K - critical(K) * BEND.subs(P, 1 / K) / (2 * (1 + joint_of(K)) ** 2)),
        sp.S(0),
    ),
    _positive(
        "always_stable",
        "lam <= 3a/K^2: F'' > 0 at every n (for a = K^2 (lam + slack)/3)",
        (MU * K - N * sp.factor(BEND) / (2 * (1 + joint_of(K)) ** 2)).subs(P, 1 / K).subs(A, K**2 * (LAM + SLACK) / 3),
    ),
    _claim(
        "always_stable_edge",
        "phi'' = 0 at lam = 3a/K^2",
        BEND.subs(P, 1 / K).subs(LAM, 3 * A / K**2),
        sp.S(0),
    ),
    _claim(
        "survivors",
        "Q of m + 1 equal shares exceeds that of m iff a/lam > m(m+1)",
        joint_of(M + 1) - joint_of(M),
        F**2 * (A - LAM * M * (M + 1)) / ((A + LAM * M**2) * (A + LAM * (M + 1) ** 2)),
    ),
    _claim(
        "pair",
        "phi(p) + phi(q) by the sum and the product of the two shares",
        pull(P) + pull(X),
        F**2 / A * (2 - SCALE * RATIO.subs({SUM: P + X, PRODUCT: P * X})),
    ),
    _claim(
        "pair_slope",
        "the slope of R in the product",
        sp.diff(RATIO, PRODUCT),
        2 * TURN / (PRODUCT**2 + SCALE * (SUM**2 - 2 * PRODUCT) + SCALE**2) ** 2,
    ),
    _positive("pair_first", "is positive at product 0", TURN.subs(PRODUCT, 0)),
    _positive(
        "pair_turn",
        "and its numerator falls up to equal shares, sigma^2 = 4w + slack: R rises, then at most falls",
        -sp.diff(TURN, PRODUCT).subs(SUM, BELOW),
    ),
    _claim(
        "metastable",
        "giving epsilon to one more mechanism costs n phi'(1/m) epsilon/(2 (1+Q_m)^2)",
        sp.diff(GIVEN, EPS).subs(EPS, 0),
        N * sp.diff(pull(P), P).subs(P, 1 / M) / (2 * (1 + joint_of(M)) ** 2),
    ),
    _positive("metastable_cost", "which is positive", sp.diff(GIVEN, EPS).subs(EPS, 0)),
    _claim(
        "metastable_shares",
        "among the m shares: the sign of phi''(1/m) is that of lam m^2 - 3a",
        BEND.subs(P, 1 / M),
        2 * F**2 * LAM * M**4 * (LAM * M**2 - 3 * A) / (A + LAM * M**2) ** 3,
    ),
    *(
        _claim(f"passed_{k}", f"perturbations on the joint trajectory, at any content (K = {k})", *passed(k))
        for k in (2, 3)
    ),
    _claim(
        "passed_start",
        "at the start the determinant of the block is eta_p (A mu - n f^2/K)",
        START.det(),
        ETA_P * (((1 - FIDELITY**2) / K**2 + LAM) * MU - N * FIDELITY**2 / K),
    ),
)

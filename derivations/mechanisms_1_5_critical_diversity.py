r"""Mechanisms 1.5: the diversity above which the converged joint state is unstable.

K equal mechanisms (rate 1, uniform prior, training fidelity f) rest jointly at p = 1/K with, writing a = 1 - f^2 and
A = a/K^2 + lam,

.. math:: c = \frac{f g}{K A}, \qquad g = \frac{1}{1+Q}, \qquad Q = \frac{f^2}{K A}.

*Blocks.* Every perturbation (delta c, delta ln p = K delta p) of sum 0 moves by one and the same 2x2 matrix

.. math::
    \begin{pmatrix} -A & B/K \\ \eta_p n B & -\eta_p(\mu + n a c^2/K) \end{pmatrix}, \qquad B = f g - 2ac/K,

and a change of all contents alike decays at the rate A + f^2/K. These directions are all there are: the block's
eigenvalues are (K-1)-fold. The product of its off-diagonal entries is a square, so that they are real. Its trace is
negative, its determinant

.. math:: \eta_p \mu A\,(1 - n/n_c), \qquad n_c = \frac{\mu K (1+Q)^2 A^3}{f^2 \lambda (\lambda - 3a/K^2)},

so that the joint state is stable iff n < n_c; for lam <= 3a/K^2 the bracket is never negative and it is stable at every
diversity. For f = 1,

.. math::
    n_c = \frac{\mu(1+K\lambda)^2}{K\lambda}, \qquad
    \sigma_\pm = -\frac{\lambda+\eta_p\mu}{2} \pm \sqrt{\frac{(\lambda-\eta_p\mu)^2}{4} + \frac{\eta_p n g^2}{K}},

each (K-1)-fold. n_c does not depend on eta_p. At n_c the kernel has dimension K - 1.

*Branch lines.* On the kernel (vectors v of sum 0) the fixed-point equation p_r ~ exp(n g^2 p_r/(lam mu)) has the
quadratic term v_r^2 minus its mean, so that branches leave along the v with v_r^2 - mean = theta v_r: two values each,
one line for every split of the mechanisms in two groups, 2^(K-1) - 1 in all.

*Momentum* turns an eigenvalue e of the flow into the roots of sigma^2 + gamma sigma = e, of product -e and sum -gamma:
for real e the stability is that of the flow. *Discrete descent* of step h has the multipliers 1 + h e, inside the unit
circle iff -2/h < e < 0.
"""

from __future__ import annotations

import sympy as sp

from toymesa.models.mechanisms import mechanisms
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import Descent, HeavyBall, with_optimizer

NAMES = ("a", "b", "d", "e")
N, ETA_P, LAM, MU = sp.symbols("diversity gate_rate lam mu", positive=True)
F = sp.Symbol("f", real=True)
SIGMA, FRICTION, STEP = sp.symbols("sigma friction step", positive=True)


def _claim(name: str, statement: str, lhs: sp.Expr, rhs: sp.Expr) -> Claim:
    return Claim(
        name=name,
        statement=statement,
        kind="identity",
        lhs=lhs,
        rhs=rhs,
        derivation="mechanisms_1_5_critical_diversity",
    )


# ---------------------------------------------------------------- the formulas, for any K and f


def rest(k: sp.Expr, f: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """a, A, content and error at rest."""
    a = 1 - f**2
    stiffness = a / k**2 + LAM
    pull = f**2 / (k * stiffness)
    return a, stiffness, f / (k * stiffness * (1 + pull)), 1 / (1 + pull)


def block(k: sp.Expr, f: sp.Expr) -> sp.Matrix:
    """How every perturbation of sum 0 moves."""
    a, stiffness, c, g = rest(k, f)
    b = f * g - 2 * a * c / k
    return sp.Matrix([[-stiffness, b / k], [ETA_P * N * b, -ETA_P * (MU + N * a * c**2 / k)]])


def determinant(matrix: sp.Matrix) -> sp.Expr:
    """Of a 2x2 matrix, as it stands."""
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


def critical(k: sp.Expr, f: sp.Expr) -> sp.Expr:
    """n_c."""
    a, stiffness, _, g = rest(k, f)
    return MU * k * stiffness**3 / g**2 / (f**2 * LAM * (LAM - 3 * a / k**2))


# ---------------------------------------------------------------- on the model: K = 2, 3, 4


def at_rest(model: Model, f: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """Equal mechanisms of rate 1 at the joint point."""
    k = sp.Integer(sum(s.name.startswith("c_") for s in model.states))
    values = {"rate": sp.S(1), "bits": sp.S(0), "fidelity": f, "logit": sp.S(0), "c": rest(k, f)[2]}
    put = {
        s: values[s.name.partition("_")[0]]
        for s in (*model.states, *model.params)
        if s.name.partition("_")[0] in values
    }
    return put | {model.param("lam"): LAM, model.param("mu"): MU}


def jacobian(model: Model, f: sp.Expr) -> sp.Matrix:
    """The model's Jacobian at the joint point, without logarithms."""
    put = at_rest(model, f)
    odds = [s for s in put if s.name.startswith("logit_")]
    total = {LogSumExp(*odds, 0): sp.log(len(odds) + 1)}
    return model.jacobian().applyfunc(lambda e: e.xreplace(total).xreplace(put))


def moved(k: int) -> tuple[sp.Matrix, sp.Matrix]:
    """Any perturbation of sum 0, plus a change of all contents alike: by the Jacobian, and by the blocks."""
    matrix = jacobian(mechanisms(NAMES[:k]), F)
    w, u = [*sp.symbols(f"w_1:{k}", real=True)], [*sp.symbols(f"u_1:{k}", real=True)]
    w, u = [*w, -sum(w)], [*u, -sum(u)]
    alike = sp.Symbol("w", real=True)
    stiffness = rest(sp.Integer(k), F)[1]
    pairs = [block(sp.Integer(k), F) * sp.Matrix([c, v]) for c, v in zip(w, u, strict=True)]
    state = [c + alike for c in w] + [v - u[-1] for v in u[:-1]]
    rates = [p[0] - (stiffness + F**2 / k) * alike for p in pairs] + [p[1] - pairs[-1][1] for p in pairs[:-1]]
    return matrix * sp.Matrix(state), sp.Matrix(rates)


def kernel(k: int) -> sp.Matrix:
    """The Jacobian at n_c (f = 1) on delta c = g delta p/lam, for any delta ln p of sum 0."""
    matrix = jacobian(mechanisms(NAMES[:k]), sp.S(1)).subs(N, critical(sp.Integer(k), sp.S(1)))
    u = [*sp.symbols(f"u_1:{k}", real=True)]
    u = [*u, -sum(u)]
    g = rest(sp.Integer(k), sp.S(1))[3]
    return matrix * sp.Matrix([g * v / (k * LAM) for v in u] + [v - u[-1] for v in u[:-1]])


def other_optimizers() -> list[tuple[sp.Matrix, sp.Matrix]]:
    """Jacobians of heavy ball and of descent by steps, from the models and from the Jacobian J of the flow (K = 2)."""
    flow = mechanisms(NAMES[:2])
    own = jacobian(flow, sp.S(1))
    heavy = with_optimizer(flow, HeavyBall(FRICTION), params={FRICTION: 1.0})
    steps = with_optimizer(flow, Descent(STEP), params={STEP: 0.1})
    one, zero = sp.eye(3), sp.zeros(3)
    blocks = sp.Matrix([[zero, one], [own, -FRICTION * one]])
    return [(jacobian(heavy, sp.S(1)), blocks), (jacobian(steps, sp.S(1)), one + STEP * own)]


ANY = sp.Matrix(2, 2, sp.symbols("j_11 j_12 j_21 j_22", real=True))
HEAVY = sp.Matrix([[sp.zeros(2), sp.eye(2)], [ANY, -FRICTION * sp.eye(2)]])


def characteristic(matrix: sp.Matrix, at: sp.Expr) -> sp.Expr:
    """det(at - matrix)."""
    return (at * sp.eye(matrix.rows) - matrix).det(method="berkowitz")


# ---------------------------------------------------------------- the branch lines, for any K

K = sp.Symbol("K", positive=True)
EPS, V, SPREAD = sp.symbols("epsilon v w", real=True)  # p_r = 1/K + epsilon v, sum_q v_q^2 = w, sum_q v_q = 0
SHARE = 1 / K + EPS * V
BALANCE = sp.log(SHARE) - critical(K, sp.S(1)) / (LAM * MU) * SHARE / (1 + (1 / K + EPS**2 * SPREAD) / LAM) ** 2


def order(expr: sp.Expr, power: int) -> sp.Expr:
    """The coefficient of epsilon^power."""
    return sp.diff(expr, EPS, power).subs(EPS, 0) / sp.factorial(power)


A, STIFFNESS, CONTENT, G = rest(K, F)
TRACE = block(K, sp.S(1)).trace()
PAIR = [
    TRACE / 2 + sign * sp.sqrt((LAM - ETA_P * MU) ** 2 / 4 + ETA_P * N * (K * LAM / (1 + K * LAM)) ** 2 / K)
    for sign in (1, -1)
]

CLAIMS = (
    *(
        _claim(f"blocks_{k}", f"the Jacobian of the model is made of the blocks (K = {k}, any f)", *moved(k))
        for k in (2, 3, 4)
    ),
    *(
        _claim(
            f"kernel_{k}",
            f"at n_c the {k - 1} directions of sum 0 are a kernel (K = {k})",
            kernel(k),
            sp.zeros(2 * k - 1, 1),
        )
        for k in (2, 3, 4)
    ),
    _claim(
        "determinant",
        "the determinant of the block is eta_p mu A (1 - n/n_c), for any K and f",
        determinant(block(K, F)),
        ETA_P * MU * STIFFNESS * (1 - N / critical(K, F)),
    ),
    _claim(
        "real_eigenvalues",
        "the product of the off-diagonal entries is a square: the eigenvalues are real, for any K and f",
        block(K, F)[0, 1] * block(K, F)[1, 0],
        ETA_P * N / K * (F * G * (LAM - A / K**2) / STIFFNESS) ** 2,
    ),
    _claim(
        "perfect",
        "f = 1: n_c = mu (1 + K lam)^2/(K lam)",
        critical(K, sp.S(1)),
        MU * (1 + K * LAM) ** 2 / (K * LAM),
    ),
    _claim("pair_sum", "f = 1: the sum of the pair is the trace", sum(PAIR), TRACE),
    _claim(
        "pair_product",
        "f = 1: the product of the pair is the determinant",
        PAIR[0] * PAIR[1],
        determinant(block(K, sp.S(1))),
    ),
    *(
        _claim(f"{name}_jacobian", f"the Jacobian of {what} in that of the flow (K = 2)", *pair)
        for (name, what), pair in zip(
            (("momentum", "heavy ball"), ("steps", "descent by steps")), other_optimizers(), strict=True
        )
    ),
    _claim(
        "momentum",
        "heavy ball: sigma^2 + gamma sigma is an eigenvalue of the flow (of any block)",
        characteristic(HEAVY, SIGMA),
        characteristic(ANY, SIGMA**2 + FRICTION * SIGMA),
    ),
    _claim(
        "steps",
        "descent by steps: the multipliers are 1 + h sigma (of any block)",
        characteristic(sp.eye(2) + STEP * ANY, 1 + STEP * SIGMA),
        STEP**2 * characteristic(ANY, SIGMA),
    ),
    _claim(
        "branch_linear", "at n_c the fixed-point equation has no linear term on the kernel", order(BALANCE, 1), sp.S(0)
    ),
    _claim(
        "branch_quadratic",
        "its quadratic term is -K^2/2 v_r^2 and a common constant: branch lines are the splits in two groups",
        order(BALANCE, 2),
        -(K**2) / 2 * V**2 + order(BALANCE.subs(V, 0), 2),
    ),
)

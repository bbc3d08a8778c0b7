r"""In context 5.2: the loss after any number of inner steps, from the moments of a Wishart matrix.

After k steps of size eta from 0 what is left of beta is (1-eta S)^k beta - (1-(1-eta S)^k) S^(-1) X^T noise/n, so

.. math:: \ell = \tfrac12\,\mathbb{E}\,\tfrac1d \operatorname{tr}\bigl[(1-\eta S)^{2k}
    + \tfrac{\sigma^2}{n}\,(1-(1-\eta S)^k)^2 S^{-1}\bigr]

is a polynomial in the moments m_j = E tr S^j / d, j <= 2k. With W = n S and p_j = tr W^j, integration by parts over the
entries of X gives for any product Q of traces p_l

.. math:: \mathbb{E}\,p_j Q = (n + j - 1)\,\mathbb{E}\,p_{j-1} Q + \sum_{m=1}^{j-1} \mathbb{E}\,p_m p_{j-1-m} Q
    + \sum_{l} 2 l\,\mathbb{E}\,p_{j+l-1} Q/p_l, \qquad p_0 = d,

which ends at constants. The package uses the expansion in zonal polynomials instead (``symbolic/wishart.py``), whose
cost grows like j^2. The first moments are 1, 1 + (d+1)/n, (d^2 + 3dn + n^2 + 3d + 3n + 4)/n^2 and
(d^3 + 6nd^2 + 6n^2d + n^3 + 6d^2 + 17nd + 6n^2 + 21d + 21n + 20)/n^3.

Derivation. Both ways are computed as polynomials and compared. That the average over (beta, noise, S) is the model's loss
is compared for k = 2 and 3 by expanding the formula above.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp

from toymesa.models.in_context import NOISE, D, N, U, V, in_context
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.wishart import moment

X, ETA = sp.symbols("x eta", positive=True)


def _claim(name: str, statement: str, kind: str = "identity", **what: object) -> Claim:
    return Claim(name=name, statement=statement, kind=kind, derivation="in_context_5_2_moments", **what)


@cache
def by_parts(traces: tuple[int, ...]) -> sp.Expr:
    """E of a product of traces of powers of W, by the recursion."""
    if not traces:
        return sp.Integer(1)
    j, *rest = sorted(traces, reverse=True)
    if j == 0:
        return D ** len(traces)
    total = (N + j - 1) * by_parts(_product(j - 1, *rest))
    total += sum(by_parts(_product(m, j - 1 - m, *rest)) for m in range(1, j))
    for i, l in enumerate(rest):
        total += 2 * l * by_parts(_product(j + l - 1, *rest[:i], *rest[i + 1 :]))
    return sp.expand(total)


def _product(*traces: int) -> tuple[int, ...]:
    return tuple(sorted(traces, reverse=True))


def expanded(k: int) -> sp.Expr:
    """The loss after k steps with every power of S replaced by its moment."""
    left = (1 - ETA * X) ** k
    fitted = sp.cancel((1 - sp.expand(left)) / X)
    poly = sp.Poly(sp.expand(left**2 + NOISE / N * fitted**2 * X), X)
    total = sum(c * by_parts((j,)) / (D * N**j) if j else c for (j,), c in poly.terms())
    return (total / 2).subs(ETA, U * V)


LISTED = {
    1: sp.Integer(1),
    2: 1 + (D + 1) / N,
    3: (D**2 + 3 * D * N + N**2 + 3 * D + 3 * N + 4) / N**2,
    4: (6 * N * D**2 + 6 * N**2 * D + D**3 + N**3 + 6 * N**2 + 6 * D**2 + 17 * N * D + 21 * N + 21 * D + 20) / N**3,
}


def simulated(k: int, d: int, n: int, eta: float, noise: float, tasks: int = 20_000) -> tuple[float, float]:
    """Actual in-context regressions against the formula; five standard errors are allowed."""
    rng = np.random.default_rng(5)
    x, beta = rng.standard_normal((tasks, n, d)), rng.standard_normal((tasks, d))
    y = np.einsum("tnd,td->tn", x, beta) + np.sqrt(noise) * rng.standard_normal((tasks, n))
    w = np.zeros((tasks, d))
    for _ in range(k):
        w += eta * np.einsum("tnd,tn->td", x, y - np.einsum("tnd,td->tn", x, w)) / n
    error = ((w - beta) ** 2).sum(axis=1) / (2 * d)
    exact = in_context(steps=k).observables["loss"].subs({U: eta, V: 1, D: d, N: n, NOISE: noise})
    return abs(error.mean() - float(exact)), 5 * error.std() / tasks**0.5


CLAIMS = (
    *(
        _claim(f"moment_{j}", f"E tr S^{j} / d is the polynomial listed", lhs=moment(j, D, N), rhs=m)
        for j, m in LISTED.items()
    ),
    *(
        _claim(
            f"moment_by_parts_{j}",
            f"E tr S^{j} / d from zonal polynomials is that from integration by parts",
            lhs=moment(j, D, N),
            rhs=by_parts((j,)) / (D * N**j),
        )
        for j in range(5, 10)
    ),
    *(
        _claim(
            f"steps_{k}",
            f"the model's loss after {k} steps is the average over the spectrum",
            lhs=in_context(steps=k).observables["loss"],
            rhs=expanded(k),
        )
        for k in (1, 2, 3)
    ),
    *(
        _claim(
            f"steps_simulated_{k}",
            f"{k} steps on 20000 simulated contexts agree with the exact loss",
            "numerical",
            measure=lambda k=k, d=d, n=n: simulated(k, d, n, 0.3, 0.5),
        )
        for k, d, n in ((1, 3, 5), (3, 4, 9), (4, 3, 6))
    ),
)

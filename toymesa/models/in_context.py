r"""How good an optimizer does training build, when the inner optimizer is a real one, learning from the context?

A context shows n_ctx examples y = beta.x + noise of a task beta ~ N(0, I_d). The inner optimizer takes k gradient steps
of size eta from 0 on the squared loss of the context; the base optimizer trains eta = u v (value times key-query of a
linear-attention layer) on the loss of a new input. Singular direction by singular direction (r^2 the eigenvalues of
S = X^T X/n_ctx):

.. math::
    O = \tfrac12 (r\,(a - \beta) - z)^2, \quad a_{j+1} = a_j - \eta\, O'(a_j), \quad
    \ell = \mathbb{E}\,\tfrac12 (a_k - \beta)^2 = \tfrac12\,\mathbb{E}\,\tfrac1d \operatorname{tr}
        \bigl[(1-\eta S)^{2k} + \tfrac{\sigma^2}{n_{ctx}} \tfrac{(1-(1-\eta S)^k)^2}{S}\bigr]

    k = 1: \quad \ell = \tfrac12 (1 - 2\eta + \gamma\eta^2), \quad \gamma = 1 + \frac{d+1+\sigma^2}{n_{ctx}}, \qquad
    \dot u = \eta_u (1 - \gamma u v)\, v, \quad \dot v = \eta_v (1 - \gamma u v)\, u

========  =======================  ==========  ================================================================
symbol    name                     range       meaning (unit)
========  =======================  ==========  ================================================================
u, v      ``value``, ``key``       real        factors of the learned step size, eta = u v
d         ``dimension``            >= 1        dimension of the task
n_ctx     ``context``              >= 1        examples in a context
sigma^2   ``noise``                >= 0        label noise (variance, per unit variance of a coefficient of beta)
eta_u     ``rate_value``           > 0         learning rate; d for a matrix-valued key-query (Zhang, Frei, Bartlett)
eta_v     ``rate_key``             > 0         learning rate
n', s'    ``deploy_context``, ...  >= 1, >= 0  context length and noise in deployment, where eta stays as learned
lambda_i  ``variance_<i>``         > 0         variances of the features, where they differ (``features``)
m_i       ``weight_<i>``           > 0         weights of the features in the mesa-objective (merged heads)
x_i       ``head_<i>``             real        separate heads: head i applies x_i^3 in feature i
========  =======================  ==========  ================================================================

One normalization throughout: :math:`\ell = L/d` with the factor 1/2. Papers that give E|error|^2 give 2 d l.

Exact (``derivations/in_context_5_*``): the loss for every k, since every E tr S^j is known (``symbolic/wishart.py``); for
k = 1 the whole course (section 3's flow with b = 1/gamma and time times gamma: a plateau, then abrupt), also with
different variances and a misaligned mesa-objective (features weighted by M: b and the time scale change); the losses of
the saddles that separate heads pass, largest variance first; :math:`u^2/\eta_u - v^2/\eta_v` is conserved for every k.

*Unstable* means a saddle: u = v = 0, or the heads not yet grown. *Simple* means implicit bias: large variances first.

Left out: softmax, tasks other than linear regression, heads that learn their directions (they start in the features').

References: Zhang, Frei and Bartlett 2023 (arXiv 2306.09927); Zhang, Singh, Latham and Saxe 2025 (arXiv 2501.16265).
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import sympy as sp

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.models.capability import ETA_K, ETA_W, KAPPA, W, course, imbalance, ratio, riccati
from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.flows import gradient_flow
from toymesa.symbolic.model import TIME, ClosedForm, Domain, Invariant, Model, Parameter, at_start
from toymesa.symbolic.optimizers import Optimizer
from toymesa.symbolic.wishart import moment

# symbols
U, V, A, BETA, Z, R = sp.symbols("value key a beta z r", real=True)
D, N, N_DEPLOY = sp.symbols("dimension context deploy_context", positive=True)
NOISE, NOISE_DEPLOY = sp.symbols("noise deploy_noise", nonnegative=True)
ETA_U, ETA_V = sp.symbols("rate_value rate_key", positive=True)

# objectives of one singular direction
BASE_LOSS = (A - BETA) ** 2 / 2
MESA_OBJECTIVE = (R * (A - BETA) - Z) ** 2 / 2
MOST_STEPS, MOST_FEATURES = 5, 12
HEADS = ("merged", "separate")


# exact averages
def singular_values(d: sp.Expr, n: sp.Expr) -> Any:
    """Moments of a singular value of X/sqrt(n), its sign left open: E r^(2j) = E tr S^j / d."""
    return lambda power: sp.Integer(0) if power % 2 else moment(power // 2, d, n)


def label_noise(n: sp.Expr, noise: sp.Expr) -> Any:
    """Moments of the noise in a singular direction: normal, of variance sigma^2/n."""
    return lambda power: sp.Integer(0) if power % 2 else (noise / n) ** (power // 2) * sp.factorial2(power - 1)


def one_step(d: sp.Expr, n: sp.Expr, noise: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """c_0, c_1, c_2 of l = (c_0 - 2 c_1 eta + c_2 eta^2)/2 after one step, equal variances."""
    return sp.Integer(1), sp.Integer(1), 1 + (d + 1 + noise) / n


def spread(variances: Sequence[sp.Expr], n: sp.Expr, noise: sp.Expr) -> list[sp.Expr]:
    """Gamma_i = (1 + 1/n) lambda_i + (tr Lambda + sigma^2)/n, the inverse of the best preconditioner."""
    return [(1 + 1 / n) * l + (sp.Add(*variances) + noise) / n for l in variances]


def weighted_step(
    variances: Sequence[sp.Expr], weights: Sequence[sp.Expr], n: sp.Expr, noise: sp.Expr
) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """c_0, c_1, c_2 of one step on features weighted by m_i: the preconditioner eta M^2."""
    terms = list(zip(variances, weights, spread(variances, n, noise), strict=True))
    parts = [(l, l**2 * m**2, l**2 * m**4 * g) for l, m, g in terms]
    return tuple(sp.Add(*column) / len(variances) for column in zip(*parts, strict=True))


def quadratic(coefficients: tuple[sp.Expr, sp.Expr, sp.Expr], eta: sp.Expr) -> sp.Expr:
    """The loss as what is left at the best step and a square, which vanishes there."""
    c0, c1, c2 = coefficients
    return (c0 - c1**2 / c2) / 2 + c2 * (eta - c1 / c2) ** 2 / 2


def separate_loss(variances: Sequence[sp.Expr], heads: Sequence[sp.Expr], n: sp.Expr, noise: sp.Expr) -> sp.Expr:
    """The loss where feature i has its own preconditioner, p_i = head_i^3."""
    left = [
        (l - l / ((1 + 1 / n) + (sp.Add(*variances) + noise) / (n * l))) + l**2 * g * (x**3 - 1 / g) ** 2
        for l, x, g in zip(variances, heads, spread(variances, n, noise), strict=True)
    ]
    return sp.Add(*left) / (2 * len(variances))


# closed form: section 3's flow
def _course(coefficients: tuple[sp.Expr, sp.Expr, sp.Expr]) -> ClosedForm:
    """u' = eta_u (c_1 - c_2 u v) v: capability times objective with b = c_1/c_2, in the time c_2 t."""
    _, c1, c2 = coefficients
    # alpha and gamma are c_2 times those of capability, beta = 2 omega b c_2 = 2 omega c_1
    alpha, _, gamma = (c2 * _here(e) for e in riccati())
    q = ratio(alpha, 2 * sp.sqrt(ETA_U * ETA_V) * c1, gamma, TIME)
    reached = course(_Q)
    return ClosedForm(
        states={U: _here(reached[KAPPA]).xreplace({_Q: q}), V: _here(reached[W]).xreplace({_Q: q})},
        derivation="in_context_5_1_one_step",
    )


_Q = sp.Symbol("q", positive=True)
_NAMES = {at_start(KAPPA): at_start(U), at_start(W): at_start(V), ETA_K: ETA_U, ETA_W: ETA_V}


def _here(expr: sp.Expr) -> sp.Expr:
    """An expression of capability in this model's names."""
    return expr.xreplace(_NAMES)


# the factory
def in_context(
    steps: int = 1, *, features: int | None = None, heads: str = "merged", optimizer: Optimizer | None = None
) -> Model:
    """The in-context learner.

    steps : gradient steps of the inner optimizer, 1 to 5 (any number in :mod:`toymesa.theorems.in_context`).
    features : number of features with variances of their own (then steps = 1); None for equal variances in
        ``dimension`` features.
    heads : "merged", one step size u v for all features, each weighted by the mesa-objective; or "separate", one chain
        of three balanced factors a feature.
    optimizer : another base optimizer than gradient flow.

    Without ``features`` it is ``bilevel``, unrolled, whose singular directions are averaged by their exact moments. With
    them the inner problem is no product of independent variables: the loss is written by its exact average, E S A S =
    ((n+1) Lambda A Lambda + tr(Lambda A) Lambda)/n, and descended by ``gradient_flow``.

    Observables ``loss`` and ``deployment_loss`` (in units of 1/2 |error|^2/d), ``step_size`` or ``strength_<i>``. Raises
    ArgumentError and DomainError for unusable options.
    """
    _check(steps, features, heads)
    steps, features = int(steps), None if features is None else int(features)
    common: dict[str, Any] = {"optimizer": optimizer, "name": "in_context", "question": _QUESTION, "reference": _SOURCE}
    if features is not None and heads == "separate":
        return _separate(features, common)
    common |= {
        "metric": {U: ETA_U, V: ETA_V},
        "start": {U: sp.Rational(1, 20), V: sp.Rational(1, 20)},
        "meanings": _MEANINGS,
        "invariants": {"imbalance": Invariant(expr=_here(imbalance(U, V)), derivation="in_context_5_1_one_step")},
    }
    if features is not None:
        return _weighted(features, common)
    loss = _after(steps, N_DEPLOY, NOISE_DEPLOY)
    return bilevel(
        BASE_LOSS,
        MESA_OBJECTIVE,
        outer=[U, V],
        inner=[A],
        coupling="unrolled",
        steps=steps,
        step=U * V,
        tasks={BETA: "normal", Z: label_noise(N, NOISE), R: singular_values(D, N)},
        observables={"deployment_loss": loss, "step_size": U * V},
        params=_parameters(D, NOISE, N, NOISE_DEPLOY, N_DEPLOY, ETA_U, ETA_V),
        closed_forms=(_course(one_step(D, N, NOISE)),) if steps == 1 else (),
        **common,
    )


def _after(steps: int, n: sp.Expr, noise: sp.Expr) -> sp.Expr:
    """The loss after k steps with other contexts: the same inner run, other moments."""
    run = bilevel(
        BASE_LOSS,
        MESA_OBJECTIVE,
        outer=[U, V],
        inner=[A],
        coupling="unrolled",
        steps=steps,
        step=U * V,
        tasks={BETA: "normal", Z: label_noise(n, noise), R: singular_values(D, n)},
        params={D: 1.0, n: 1.0, noise: 1.0},
    )
    return run.observables["loss"]


def _weighted(features: int, common: dict[str, Any]) -> Model:
    variances, weights = _numbered("variance", features, positive=True), _numbered("weight", features, positive=True)
    training, deployment = (weighted_step(variances, weights, *c) for c in ((N, NOISE), (N_DEPLOY, NOISE_DEPLOY)))
    return gradient_flow(
        quadratic(training, U * V),
        [U, V],
        observables={"deployment_loss": quadratic(deployment, U * V), "step_size": U * V},
        params=_parameters(*variances, *weights, NOISE, N, NOISE_DEPLOY, N_DEPLOY, ETA_U, ETA_V),
        closed_forms=(_course(training),),
        **common,
    )


def _separate(features: int, common: dict[str, Any]) -> Model:
    variances, heads = _numbered("variance", features, positive=True), _numbered("head", features, real=True)
    return gradient_flow(
        separate_loss(variances, heads, N, NOISE),
        heads,
        metric=dict.fromkeys(heads, sp.Rational(1, 3)),  # three equal factors move, each by its own gradient
        start=dict.fromkeys(heads, sp.Rational(1, 10)),
        observables={
            "deployment_loss": separate_loss(variances, heads, N_DEPLOY, NOISE_DEPLOY),
            **{f"strength_{i + 1}": x**3 for i, x in enumerate(heads)},
        },
        params=_parameters(*variances, NOISE, N, NOISE_DEPLOY, N_DEPLOY),
        meanings={f"head_{i + 1}": f"each of the three factors of head {i + 1}" for i in range(features)},
        **common,
    )


_QUESTION = "How good an optimizer does training build, when the inner optimizer learns from the context?"
_SOURCE = "Zhang, Frei and Bartlett 2023 (arXiv 2306.09927); Zhang, Singh, Latham and Saxe 2025 (arXiv 2501.16265)"
_MEANINGS = {
    "value": "first factor of the learned step size",
    "key": "second factor of the learned step size",
    "loss": "base loss, 1/2 E|error|^2 per dimension",
    "deployment_loss": "the same in deployment, with the step size as learned",
    "step_size": "learned step size of the inner optimizer",
}
_DEFAULTS = {
    "dimension": (8.0, Domain(1.0), "dimension of the task"),
    "context": (32.0, Domain(1.0), "examples in a context"),
    "noise": (0.25, Domain(0.0), "variance of the label noise"),
    "deploy_context": (8.0, Domain(1.0), "examples in a context in deployment"),
    "deploy_noise": (0.25, Domain(0.0), "variance of the label noise in deployment"),
    "rate_value": (1.0, Domain.of(ETA_U), "learning rate of the value"),
    "rate_key": (1.0, Domain.of(ETA_V), "learning rate of the key-query"),
}


def _numbered(name: str, count: int, **assumptions: bool) -> list[sp.Symbol]:
    return [sp.Symbol(f"{name}_{i + 1}", **assumptions) for i in range(count)]


def _parameters(*symbols: sp.Symbol) -> dict[sp.Symbol, Parameter]:
    out = {}
    for s in symbols:
        name, _, index = s.name.rpartition("_")
        if index.isdigit():
            default = 2.0 ** (1 - int(index)) if name == "variance" else 1.0
            meaning = f"variance of feature {index}" if name == "variance" else f"its weight, feature {index}"
            out[s] = Parameter(default=default, domain=Domain.of(s), meaning=meaning)
        else:
            default, domain, meaning = _DEFAULTS[s.name]
            out[s] = Parameter(default=default, domain=domain, meaning=meaning)
    return out


def _check(steps: int, features: int | None, heads: str) -> None:
    if heads not in HEADS:
        raise ArgumentError(f"heads must be 'merged' or 'separate'; got {heads!r}{did_you_mean(str(heads), HEADS)}")
    for name, value, most in (("steps", steps, MOST_STEPS), ("features", features, MOST_FEATURES)):
        if name == "features" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ArgumentError(f"{name} must be a whole number from 1 to {most}; got {value!r}")
        if not 1 <= value <= most:
            raise DomainError(f"{name} must be a whole number from 1 to {most}; got {value!r}")
    if features is None and heads == "separate":
        raise ArgumentError("separate heads need features with variances of their own; give features")
    if features is not None and steps != 1:
        raise ArgumentError(f"features with variances of their own go with steps=1 only; got steps={steps}")

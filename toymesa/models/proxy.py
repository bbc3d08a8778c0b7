r"""Does training move a mesa-objective from a proxy to the base objective before it stops?

The inner optimizer takes the action that its weights ask for; the base objective is a linear function of one of two
correlated features. The mesa-objective is learned by gradient flow on the base loss, through the inner optimum:

.. math::
    O = \tfrac12 (a - w\cdot x)^2, \quad L = \tfrac12 (a - x_{true})^2, \quad
    \Sigma = \mathbb{E}\,xx^T = \begin{pmatrix} 1 & \alpha\rho \\ \alpha\rho & \alpha^2 \end{pmatrix}, \quad
    \dot w = -\Sigma\,(w - w^*), \quad w^* = (1, 0)

=============  ==================  ==========  ====================================================================
symbol         name                range       meaning (unit)
=============  ==================  ==========  ====================================================================
w              ``w_true``          real        weight of the mesa-objective on the true feature
w              ``w_proxy``         real        weight of the mesa-objective on the proxy
alpha          ``alpha``           > 0         availability: standard deviation of the proxy over that of the feature
rho            ``rho``             [-1, 1]     correlation of proxy and true feature in training; diversity lowers it
s_1, s_2       ``deploy_true``,    >= 0        standard deviations of the two features in deployment
               ``deploy_proxy``
r              ``deploy_rho``      [-1, 1]     their correlation in deployment
w_d            ``target_true``,    real        base target in deployment (1, 0 unless it shifts)
               ``target_proxy``
=============  ==================  ==========  ====================================================================

Exact: w(t) under every base optimizer, the slow eigenvalue and its law (1 - rho^2) alpha^2/(1 + alpha^2), the divergence
of the time to move off the proxy, the deployment loss and its stationary times (``derivations/proxy_4_*``). At
|rho| = 1 a line of fixed points remains: the unstable meaning is *drift*. Which feature comes first is an implicit bias
of the dynamics (availability), not a prior in bits.

Left out: depth (see ``race``), features that are learned, more than one action, noise in the labels (it changes the
expected deployment loss of a finite sample, :mod:`toymesa.theorems.proxy`, not the population flow).

Reference: Hubinger et al. 2019 (arXiv 1906.01820), section 3, proxy alignment; Ali, Kolter and Tibshirani 2019
(arXiv 1810.10082) for early stopping in linear regression.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from toymesa.symbolic.bilevel import bilevel
from toymesa.symbolic.linear_flow import linear_solution
from toymesa.symbolic.model import Domain, Model, Parameter
from toymesa.symbolic.optimizers import Optimizer

# symbols
TRUE, PROXY = sp.symbols("w_true w_proxy", real=True)
ALPHA = sp.Symbol("alpha", positive=True)
RHO, DEPLOY_RHO = sp.symbols("rho deploy_rho", real=True)
DEPLOY_TRUE, DEPLOY_PROXY = sp.symbols("deploy_true deploy_proxy", nonnegative=True)
TARGET_TRUE, TARGET_PROXY = sp.symbols("target_true target_proxy", real=True)
ACTION, FEATURE, OTHER = sp.symbols("a x_true z", real=True)

# objectives: the proxy is alpha (rho x_true + sqrt(1 - rho^2) z)
WANTED = TRUE * FEATURE + PROXY * ALPHA * (RHO * FEATURE + sp.sqrt(1 - RHO**2) * OTHER)
BASE = (ACTION - FEATURE) ** 2 / 2
MESA = (ACTION - WANTED) ** 2 / 2
REST = {TRUE: sp.Integer(1), PROXY: sp.Integer(0)}


def deployment_loss() -> sp.Expr:
    """Half the mean square error in deployment, as a sum of squares."""
    true, proxy = DEPLOY_TRUE * (TRUE - TARGET_TRUE), DEPLOY_PROXY * (PROXY - TARGET_PROXY)
    return (true + DEPLOY_RHO * proxy) ** 2 / 2 + (1 - DEPLOY_RHO**2) * proxy**2 / 2


def _parameters() -> dict[sp.Symbol, Parameter]:
    correlation = Domain(-1.0, 1.0)
    given = (
        (ALPHA, 2.0, Domain.of(ALPHA), "availability: size of the proxy over that of the true feature"),
        (RHO, 0.9, correlation, "correlation of proxy and true feature in training"),
        (DEPLOY_TRUE, 1.0, Domain.of(DEPLOY_TRUE), "size of the true feature in deployment"),
        (DEPLOY_PROXY, 2.0, Domain.of(DEPLOY_PROXY), "size of the proxy in deployment"),
        (DEPLOY_RHO, 0.0, correlation, "correlation of proxy and true feature in deployment"),
        (TARGET_TRUE, 1.0, Domain(), "weight of the true feature in the deployment target"),
        (TARGET_PROXY, 0.0, Domain(), "weight of the proxy in the deployment target"),
    )
    return {s: Parameter(default=value, domain=domain, meaning=meaning) for s, value, domain, meaning in given}


def proxy(*, optimizer: Optimizer | None = None, params: dict[Any, Any] | None = None) -> Model:
    """The proxy-alignment model.

    optimizer, params : a base optimizer and the defaults of its symbols.

    States ``w_true`` and ``w_proxy`` (start 0); observables ``loss``, ``deployment_loss``. The closed form holds for all
    parameters and starts, equal and vanishing eigenvalues included.
    """
    model = bilevel(
        BASE,
        MESA,
        outer=[TRUE, PROXY],
        inner=[ACTION],
        coupling="equilibrium",
        tasks=[FEATURE, OTHER],
        params=_parameters() | (params or {}),
        observables={"deployment_loss": deployment_loss()},
        optimizer=optimizer,
        name="proxy",
        meanings={
            "w_true": "weight of the mesa-objective on the true feature",
            "w_proxy": "weight of the mesa-objective on the proxy",
            "loss": "base loss in training",
            "deployment_loss": "base loss in deployment",
        },
        question="Does training move a mesa-objective from a proxy to the base objective before it stops?",
        reference="Hubinger et al. 2019 (arXiv 1906.01820), section 3; Ali, Kolter and Tibshirani 2019 (arXiv 1810.10082)",
    )
    form = linear_solution(model, rest=REST)  # a deviation from w*: exact to the last digits on the way there
    return model if form is None else model.with_(closed_forms=(form,))

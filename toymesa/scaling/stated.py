"""What a published text states beside what its own constants give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from toymesa.scaling import kaplan as k
from toymesa.scaling.law import Law
from toymesa.scaling.parametric import Parametric


@dataclass(frozen=True)
class Stated:
    """One number: where it is stated, what is stated, what follows from the constants, and whether the two agree."""

    quantity: str
    source: str
    stated: float
    derived: float
    follows: bool
    note: str = ""


def stated_versus_derived(law: Law) -> list[Stated]:
    """The table for a law: Kaplan's appendix B and frontier exponents, or the exponents of a parametric law."""
    return _kaplan(law) if isinstance(law, k.Kaplan) else _parametric(law) if isinstance(law, Parametric) else []


def _row(quantity: str, source: str, stated: float, derived: float, tolerance: float, note: str = "") -> Stated:
    return Stated(quantity, source, stated, float(derived), bool(abs(derived / stated - 1) <= tolerance), note)


def _kaplan(law: k.Kaplan) -> list[Stated]:
    ratio = k.NS_ALPHA_N / k.NS_ALPHA_S
    alpha_c = 1 / (1 / k.NS_ALPHA_N + 1 / k.ALPHA_B + 1 / k.NS_ALPHA_S)
    size, updates, saved = _against_converged(0.02)
    low, high = _tolerable(0.20)
    appendix = "appendix B"
    return [
        _row("loss above convergence at the optimum", appendix, 0.10, ratio, 0.02, "10.1 % from alpha_N/alpha_S"),
        _row("parameters, against training to 2 %", appendix, 2.7, size, 0.02),
        _row("updates saved (factor), against training to 2 %", appendix, 7.7, updates, 0.02),
        _row("compute saved, against training to 2 %", appendix, 0.65, saved, 0.02),
        _row("smallest model at 20 % more compute", "section 6.1", 0.6, low, 0.05),
        _row("largest model at 20 % more compute", "section 6.1", 2.2, high, 0.05),
        _row(
            "exponent of L(C_min)",
            "equation 6.4",
            0.054,
            alpha_c,
            0.005,
            "its own formula 1/(1/alpha_S + 1/alpha_B + 1/alpha_N) gives less",
        ),
        _row(
            "exponent of N(C_min)",
            "equation 6.5",
            0.71,
            alpha_c / k.NS_ALPHA_N,
            0.005,
            "alpha_C/alpha_N with the same constants",
        ),
        _row(
            "exponent of N(C_min), fitted",
            "equation 1.7",
            0.73,
            alpha_c / k.NS_ALPHA_N,
            0.01,
            "the fitted frontier is steeper",
        ),
        _row("exponent of B(C_min), fitted", "equation 1.8", 0.24, alpha_c / k.ALPHA_B, 0.03),
        _row("exponent of S(C_min), fitted", "equation 1.8", 0.03, alpha_c / k.NS_ALPHA_S, 0.1, "near zero either way"),
    ]


def _cost(share: float) -> tuple[float, float, float]:
    """Parameters, updates and compute for a fixed loss L = 1, trained until the loss is 1 + share of the converged one."""
    size_term = 1 / (1 + share)
    parameters = size_term ** (-1 / k.NS_ALPHA_N)
    updates = (1 - size_term) ** (-1 / k.NS_ALPHA_S)
    return parameters, updates, parameters * updates


def _against_converged(share: float) -> tuple[float, float, float]:
    """The optimum against training to ``share`` above convergence, at the same loss (so the same critical batch)."""
    best, other = _cost(k.NS_ALPHA_N / k.NS_ALPHA_S), _cost(share)
    return best[0] / other[0], other[1] / best[1], 1 - best[2] / other[2]


def _tolerable(more: float) -> tuple[float, float]:
    """Model sizes, in units of the optimal one, that reach the same loss for ``more`` compute."""
    best = _cost(k.NS_ALPHA_N / k.NS_ALPHA_S)

    def excess(log_size: float) -> float:
        size_term = (np.exp(log_size) * best[0]) ** -k.NS_ALPHA_N
        return float(np.exp(log_size) * best[0] * (1 - size_term) ** (-1 / k.NS_ALPHA_S) / best[2] - 1 - more)

    smallest = np.log(1 / best[0]) + 1e-9
    return float(np.exp(brentq(excess, smallest, 0.0))), float(np.exp(brentq(excess, 0.0, 5.0)))


def _parametric(law: Parametric) -> list[Stated]:
    a = law.beta / (law.alpha + law.beta)
    best = law.frontier(5.76e23)
    per_parameter = float(best.tokens / best.parameters) if best.tokens is not None else np.nan
    if law.name.startswith("hoffmann"):
        return [
            _row("exponent a of N(C)", "table 2, approach 3", 0.46, a, 0.02),
            _row("exponent b of D(C)", "table 2, approach 3", 0.54, 1 - a, 0.02),
            _row("tokens per parameter at 5.76e23 FLOP", "table 1 (70B, 1.4T)", 20.0, per_parameter, 0.15,
                 "the fit asks for a smaller model on more tokens than was trained"),
            _row("optimal parameters at 5.76e23 FLOP", "table 3 (67B by approach 1)", 67e9, float(best.parameters), 0.15),
        ]  # fmt: skip
    if law.name == "epoch":
        return [
            _row("exponent a of N(C)", "section 4", 0.513, a, 0.005),
            _row("tokens per parameter at 5.76e23 FLOP", "section 4 (about 20)", 20.0, per_parameter, 0.3),
        ]
    return []

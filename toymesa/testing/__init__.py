"""For people who test models, ours or their own: Hypothesis strategies, and checks that every model must pass.

``check_model`` and ``checks`` need nothing beyond toymesa; ``strategies`` needs hypothesis and ``parametrize_with_checks``
pytest (both in the extra ``test``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from toymesa.testing.checks import CHECKS, Check, CheckFailure, NotApplicable, Point
from toymesa.testing.conformance import CheckResult, check_model, checks_for, parametrize_with_checks

if TYPE_CHECKING:
    from toymesa.testing import strategies as strategies

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailure",
    "CheckResult",
    "NotApplicable",
    "Point",
    "check_model",
    "checks_for",
    "parametrize_with_checks",
    "strategies",
]


def __getattr__(name: str) -> Any:
    if name == "strategies":  # needs hypothesis, which only people who test have
        return importlib.import_module("toymesa.testing.strategies")
    raise AttributeError(f"module 'toymesa.testing' has no attribute {name!r}")

"""Sweeps: from one line to a cluster, and nothing computed is lost."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from toymesa.sweep.adaptive import adaptive_learner
from toymesa.sweep.export import export_sweep
from toymesa.sweep.files import load_sweep
from toymesa.sweep.refine import refine
from toymesa.sweep.run import open_sweep, sweep
from toymesa.sweep.verify import verify_sweep

__all__ = ["adaptive_learner", "export_sweep", "load_sweep", "open_sweep", "refine", "sweep", "verify_sweep"]


class _Room(ModuleType):
    """This package, callable as its one verb: importing it puts it where ``toymesa.sweep`` the function would be."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return sweep(*arguments, **named)


sys.modules[__name__].__class__ = _Room

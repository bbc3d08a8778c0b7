"""Numbers from models: ``solve``, ``simulate`` and ``cross_check``."""

from __future__ import annotations

from toymesa.solver.cross_check import cross_check
from toymesa.solver.simulate import simulate
from toymesa.solver.solve import solve

__all__ = ["cross_check", "simulate", "solve"]

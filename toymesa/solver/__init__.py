"""Numbers from models: ``solve``, ``closed_form``, ``simulate`` and ``cross_check``."""

from __future__ import annotations

from toymesa.solver.closed import closed_form
from toymesa.solver.cross_check import cross_check
from toymesa.solver.simulate import simulate
from toymesa.solver.solve import solve

__all__ = ["closed_form", "cross_check", "simulate", "solve"]

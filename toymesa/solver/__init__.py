"""Numbers from models: ``solve``, ``simulate`` and ``cross_check``."""

from __future__ import annotations

from toymesa.solver.compiled import mend_compiled

mend_compiled()  # before the first kernel is loaded

from toymesa.solver.cross_check import cross_check  # noqa: E402
from toymesa.solver.simulate import simulate  # noqa: E402
from toymesa.solver.solve import solve  # noqa: E402

__all__ = ["cross_check", "simulate", "solve"]

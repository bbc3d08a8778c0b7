"""toymesa: solvable toy models of mesa-optimization.

A base optimizer (gradient flow on a base loss) shapes a parameterized inner optimizer with an objective of its own.
Each model is a dynamical system, solved in closed form where possible and numerically always.

Public names are loaded on first use, so that ``import toymesa`` is immediate.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

logging.getLogger("toymesa").addHandler(logging.NullHandler())

# public name -> module that defines it
_WHERE: dict[str, str] = {
    "Chart": "symbolic.model",
    "ClosedForm": "symbolic.model",
    "Domain": "symbolic.model",
    "InternalTimeForm": "symbolic.model",
    "Invariant": "symbolic.model",
    "Model": "symbolic.model",
    "Parameter": "symbolic.model",
    "TIME": "symbolic.model",
    "at_start": "symbolic.model",
    "LogSumExp": "symbolic.functions",
    "Simplex": "symbolic.flows",
    "gradient_flow": "symbolic.flows",
    "heavy_ball": "symbolic.flows",
    "descent": "symbolic.flows",
    "HeavyBall": "symbolic.optimizers",
    "Descent": "symbolic.optimizers",
    "Preconditioned": "symbolic.optimizers",
    "GradientNoise": "symbolic.optimizers",
    "with_optimizer": "symbolic.optimizers",
    "iterated": "symbolic.iterated",
    "bilevel": "symbolic.bilevel",
    "parse": "symbolic.parse",
    "load_model": "symbolic.files",
    "load_claim": "symbolic.claim_files",
    "Claim": "symbolic.claims",
    "Verdict": "symbolic.verdicts",
    "Outcome": "symbolic.verdicts",
    "verify": "symbolic.verdicts",
    "solve": "solver",
    "closed_form": "solver",
    "simulate": "solver",
    "cross_check": "solver",
    "assess": "analyse",
    "Assessment": "analyse",
    "fixed_points": "analyse",
    "stability": "analyse",
    "stability_conditions": "symbolic.linear",
    "Census": "analyse",
    "Conditions": "symbolic.linear",
    "Continuum": "analyse",
    "FixedPoint": "analyse",
    "Stability": "analyse",
    "follow": "analyse",
    "coexistence": "analyse",
    "basins": "analyse",
    "escape_times": "analyse",
    "growth": "analyse",
    "kramers_time": "analyse",
    "lyapunov": "analyse",
    "mean_passage_time": "analyse",
    "outcome_probabilities": "analyse",
    "answer": "question",
    "sweep": "sweep.run",
    "open_sweep": "sweep.run",
    "refine": "sweep.refine",
    "adaptive_learner": "sweep.adaptive",
    "verify_sweep": "sweep.verify",
    "load_sweep": "sweep.files",
    "export_sweep": "sweep.export",
    "measures": "sweep",
    "Status": "status",
    "ArgumentError": "errors",
    "DomainError": "errors",
    "ExpressionError": "errors",
    "ModelError": "errors",
    "SolveError": "errors",
    "StoreError": "errors",
    "StoreCorrupt": "errors",
    "PartialSweep": "errors",
    "SweepInterrupted": "errors",
    "ToymesaError": "errors",
    "ToymesaWarning": "errors",
}
_ROOMS = ("question", "models", "scaling", "theorems", "analyse", "plot", "symbolic", "kernels", "testing")

if TYPE_CHECKING:  # for readers and type checkers; at run time the names are loaded on first use
    from toymesa.analyse import Assessment as Assessment
    from toymesa.analyse import Census as Census
    from toymesa.analyse import Continuum as Continuum
    from toymesa.analyse import FixedPoint as FixedPoint
    from toymesa.analyse import Stability as Stability
    from toymesa.analyse import assess as assess
    from toymesa.analyse import basins as basins
    from toymesa.analyse import coexistence as coexistence
    from toymesa.analyse import escape_times as escape_times
    from toymesa.analyse import fixed_points as fixed_points
    from toymesa.analyse import follow as follow
    from toymesa.analyse import growth as growth
    from toymesa.analyse import kramers_time as kramers_time
    from toymesa.analyse import lyapunov as lyapunov
    from toymesa.analyse import mean_passage_time as mean_passage_time
    from toymesa.analyse import outcome_probabilities as outcome_probabilities
    from toymesa.analyse import stability as stability
    from toymesa.errors import ArgumentError as ArgumentError
    from toymesa.errors import DomainError as DomainError
    from toymesa.errors import ExpressionError as ExpressionError
    from toymesa.errors import ModelError as ModelError
    from toymesa.errors import PartialSweep as PartialSweep
    from toymesa.errors import SolveError as SolveError
    from toymesa.errors import StoreCorrupt as StoreCorrupt
    from toymesa.errors import StoreError as StoreError
    from toymesa.errors import SweepInterrupted as SweepInterrupted
    from toymesa.errors import ToymesaError as ToymesaError
    from toymesa.errors import ToymesaWarning as ToymesaWarning
    from toymesa.question import answer as answer
    from toymesa.solver import closed_form as closed_form
    from toymesa.solver import cross_check as cross_check
    from toymesa.solver import simulate as simulate
    from toymesa.solver import solve as solve
    from toymesa.status import Status as Status
    from toymesa.sweep import measures as measures
    from toymesa.sweep.adaptive import adaptive_learner as adaptive_learner
    from toymesa.sweep.export import export_sweep as export_sweep
    from toymesa.sweep.files import load_sweep as load_sweep
    from toymesa.sweep.refine import refine as refine
    from toymesa.sweep.run import open_sweep as open_sweep
    from toymesa.sweep.run import sweep as sweep
    from toymesa.sweep.verify import verify_sweep as verify_sweep
    from toymesa.symbolic.bilevel import bilevel as bilevel
    from toymesa.symbolic.claim_files import load_claim as load_claim
    from toymesa.symbolic.claims import Claim as Claim
    from toymesa.symbolic.files import load_model as load_model
    from toymesa.symbolic.flows import Simplex as Simplex
    from toymesa.symbolic.flows import descent as descent
    from toymesa.symbolic.flows import gradient_flow as gradient_flow
    from toymesa.symbolic.flows import heavy_ball as heavy_ball
    from toymesa.symbolic.functions import LogSumExp as LogSumExp
    from toymesa.symbolic.iterated import iterated as iterated
    from toymesa.symbolic.linear import Conditions as Conditions
    from toymesa.symbolic.linear import stability_conditions as stability_conditions
    from toymesa.symbolic.model import TIME as TIME
    from toymesa.symbolic.model import Chart as Chart
    from toymesa.symbolic.model import ClosedForm as ClosedForm
    from toymesa.symbolic.model import Domain as Domain
    from toymesa.symbolic.model import InternalTimeForm as InternalTimeForm
    from toymesa.symbolic.model import Invariant as Invariant
    from toymesa.symbolic.model import Model as Model
    from toymesa.symbolic.model import Parameter as Parameter
    from toymesa.symbolic.model import at_start as at_start
    from toymesa.symbolic.optimizers import Descent as Descent
    from toymesa.symbolic.optimizers import GradientNoise as GradientNoise
    from toymesa.symbolic.optimizers import HeavyBall as HeavyBall
    from toymesa.symbolic.optimizers import Preconditioned as Preconditioned
    from toymesa.symbolic.optimizers import with_optimizer as with_optimizer
    from toymesa.symbolic.parse import parse as parse
    from toymesa.symbolic.verdicts import Outcome as Outcome
    from toymesa.symbolic.verdicts import Verdict as Verdict
    from toymesa.symbolic.verdicts import verify as verify

__all__ = ["__version__", *sorted(_WHERE), *_ROOMS]  # built from the table above


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"toymesa.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'toymesa' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"toymesa.{_WHERE[name]}"), name)
    globals()[name] = value  # also where a submodule of the same name was imported on the way
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

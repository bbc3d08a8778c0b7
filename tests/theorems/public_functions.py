"""Every public theorem function, found by looking, with arguments in the middle of its domain."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import toymesa.theorems

ORDINARY: dict[str, Any] = {  # by name; 0.7 for all others without a default
    "mechanisms": 2, "residual": 0.3, "fidelity": 0.9, "start": 0.01, "strength": 0.2, "depth": 3.0, "size": 6, "samples": 3,
    "order": 3, "steps": 2, "dimension": 4, "context": 8, "training": 2, "deployment": 3, "power": 4.0, "instances": 3.0,
    "x": 0.3, "lam": 0.1, "mu": 0.2, "value": 0.9, "threshold": 0.1, "perturbation": 0.01, "criterion": "leader",
    "f": lambda x: x * x, "rates": (1.0, 2.0), "shared": (0.5, 1.0), "bits": [1.0, 2.0], "losses": [1.0, 0.5],
    "coefficients": [1.0, 2.0], "targets": [1.0, 0.5], "variances": [1.0, 0.5], "contents": [0.1, 0.3],
    "reliances": [0.4, 0.6], "starts": [0.1, 0.2], "depths": [2.0, 3.0], "matrix": [[-1.0, 0.2], [0.1, -1.0]],
    "jacobian": [[-1.0, 0.2], [0.1, -1.0]], "covariance": [[1.0, 0.1], [0.1, 0.5]], "weights": [[1.0, 0.0], [0.0, 2.0]],
}  # fmt: skip
_BLOCKS = {"a": [[1.0]], "b": [[0.5]], "e": [[0.3]], "D": [[1.0]], "C": [[0.3]]}
_ONE = {"rates": 1.0, "log_odds": [0.1, 0.0]}
SPECIAL: dict[str, dict[str, Any]] = {
    "coopetition.measured_lifetime": {
        "competition": 20.0,
        "floor": 0.5,
        "own": 0.3,
        "shared": (0.1, 0.1),
        "second": 0.01,
    },
    "in_context.head_time": {"head": 0.2, "start": 0.1},
    "linear.flow_course": {"start": [1.0, 0.5]},
    "linear_joint.block_course": {"start": [1.0, 0.5]},
    "linear_joint.block_curvature": _BLOCKS,
    "linear_joint.block_jacobian": {n: _BLOCKS[n] for n in "abDC"},
    "linear_joint.hopf": {"a": -0.7, "C": -2.0},
    "mechanisms.critical_collapse": _ONE,
    "mechanisms.cusp_onset": {"bits": 1.0},
    "mechanisms.equilibrium_contents": {"rates": [1.0, 2.0]},
    "mechanisms.exact_stop_diversity": _ONE,
    "mechanisms.loss_floor": {"fidelity": [0.9, 0.8]},
    "mechanisms.metastable_onset": {"bits": 1.0},
    "mechanisms.polarization": {"rates": 1.0, "reliances": [0.4, 0.6]},
    "mechanisms.polarized_state": {"diversity": 1e3},
    "mechanisms.reduced_free_energy": {"rates": [1.0, 2.0]},
    "mechanisms.reliances_at_stop": _ONE,
    "mechanisms.selection_score": {"bits": 1.0},
    "mechanisms.unequal_branch": {"bits": 1.0, "x": 0.9},
    "posterior.free_energy_crossings": {"losses": (1.0, 0.9), "coefficients": (1.0, 2.0)},
    "posterior.leader": {"bits": [1.0, 2.0], "losses": [1.0, 0.5]},
    "power_split.all_or_nothing": {"exponent": 0.5},
    "race.ratio_growth": {"first": 0.3, "second": 0.2},
    "race.stop": {"rates": [1.0, 1.0]},
}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """``module.function`` and the function, sorted."""
    for module in dir(toymesa.theorems):
        loaded = importlib.import_module(f"toymesa.theorems.{module}")
        for name in sorted(getattr(loaded, "__all__", vars(loaded))):
            function = getattr(loaded, name)
            if (
                not name.startswith("_")
                and inspect.isfunction(function)
                and function.__module__.startswith(loaded.__name__)
            ):
                yield f"{module}.{name}", function


FUNCTIONS = dict(functions())


def ordinary(name: str) -> dict[str, Any]:
    """Arguments with which the function gives a number."""
    out = {}
    for key, parameter in inspect.signature(FUNCTIONS[name]).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            missing = parameter.default is parameter.empty or key == "mechanisms"
            out[key] = ORDINARY.get(key, 0.7) if missing else parameter.default
    return out | SPECIAL.get(name, {})


def arrays(name: str) -> list[str]:
    """The arguments that broadcast, without axes of their own: plain numbers, annotated as arrays."""
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    own = ("rates", "constant") + ("fidelity",) * (
        name in ("mechanisms.equilibrium_contents", "mechanisms.reduced_free_energy")
    )
    plain = (k for k, v in ordinary(name).items() if isinstance(v, int | float) and k not in own)
    return [k for k in plain if "ArrayLike" in str(parameters[k].annotation)]


def numbers(name: str) -> list[str]:
    """The arguments that are one number each."""
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    return (
        [k for k in ordinary(name) if str(parameters[k].annotation) in ("int", "float")]
        if name != "posterior.leader"
        else []
    )

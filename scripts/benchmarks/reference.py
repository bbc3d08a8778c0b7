"""What is right: the end states of the first points by two codes at their tightest, and how far those are apart."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from benchmarks import own, taylor
from benchmarks.contender import Array, error
from benchmarks.problems import Problem


def hardest(problem: Problem, starts: Array, params: Array, right: Array) -> NDArray[np.intp]:
    """The points by falling error of a loose solution: close to a separatrix every method errs most."""
    loose = own.alone(problem, "rodas5p" if problem.stiff else "dop853")(starts, params, 1e-5)
    worst = (np.abs(loose - right) / (1.0 + np.abs(right))).max(axis=1)
    return np.argsort(-np.where(np.isfinite(worst), worst, np.inf), kind="stable")


def truth(problem: Problem, starts: Array, params: Array) -> tuple[Array, float, str]:
    """End states, the distance between the two codes, and their names.

    heyoka at tolerance 1e-15 where it is installed, checked by toymesa at 1e-13; else toymesa's two methods of the
    highest accuracy. Raises ArithmeticError where the two differ by more than 1e-10.
    """
    tight = ("rodas5p", 1e-12) if problem.stiff else ("dop853", 1e-13)
    mine = own.alone(problem, tight[0])(starts, params, tight[1])
    name = f"toymesa {tight[0]} {tight[1]:g}"
    if foreign := importlib.util.find_spec("heyoka") is not None:
        found, names = taylor.batches(problem, 8, sort=True)(starts, params, 1e-15), f"heyoka 1e-15, {name}"
    else:
        second = "rodas5p" if tight[0] == "dop853" else "auto"
        found, names = own.alone(problem, second)(starts, params, 1e-12), f"{name}, toymesa {second} 1e-12"
    apart = error(mine, found)
    if not apart < 1e-10:
        raise ArithmeticError(f"{problem.name}: the two reference codes differ by {apart:.1e}")
    return found if foreign else mine, apart, names

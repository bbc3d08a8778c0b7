"""Adaptive sampling by the package ``adaptive`` (python-adaptive), for models where one point is expensive."""

from __future__ import annotations

from typing import Any

import numpy as np

from toymesa.errors import ArgumentError, DomainError
from toymesa.sweep.pointwise import pointwise


def adaptive_learner(model: Any, over: Any, *, measure: Any, workers: int | None = None, **solving: Any) -> Any:
    """A learner of ``adaptive`` for one measure of a model: ``Learner1D`` for one axis, ``LearnerND`` for more.

    model, over, **solving : as in :func:`toymesa.refine`. Run it with ``adaptive.runner.simple(learner, ...)`` or any other
    runner; its function takes a point in the model's coordinates and raises DomainError where the model fails, because a
    NaN would silently stop the learner. Where points are cheap, ``sweep`` and ``refine`` are faster.
    Raises ArgumentError without the extra ``adaptive``.
    """
    try:
        import adaptive
    except ImportError:
        raise ArgumentError("adaptive sampling needs the extra: pip install 'toymesa[adaptive]'") from None
    find = pointwise(model, over, measure, "adaptive_learner", workers, **solving)
    bounds = [(low, high) for low, high, _ in find.ranges.values()]

    def at(point: Any) -> float:
        values = np.atleast_1d(np.asarray(point, dtype=float))[None, :]
        found = float(find.at(values)[0])
        if not np.isfinite(found):
            where = ", ".join(f"{n} = {v:g}" for n, v in zip(find.ranges, values[0], strict=True))
            raise DomainError(f"{find.quantity} cannot be computed at {where}: keep the box away from there")
        return found

    return adaptive.Learner1D(at, bounds[0]) if len(bounds) == 1 else adaptive.LearnerND(at, bounds)

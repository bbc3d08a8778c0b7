"""The main job: if compute-efficient training stops before convergence, is the model still joint when it stops?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from toymesa.errors import named_arguments
from toymesa.question.course import prior_against_time, stopping_for_better_and_worse
from toymesa.question.measured import asymmetry_at_stop
from toymesa.question.phase import stopped_map
from toymesa.question.result import Answer
from toymesa.question.settings import Settings, settings
from toymesa.question.table import compute_table
from toymesa.question.words import paragraph
from toymesa.scaling import Law

__all__ = ["Answer", "answer"]


@named_arguments
def answer(
    *,
    law: str | Law = "kaplan",
    runs: Any = None,
    compute: tuple[float, float] = (1e18, 1e26),
    diversity: tuple[float, float] = (1.0, 1000.0),
    mechanisms: Sequence[str] | None = None,
    perturbation: float = 1e-4,
    threshold: float = 0.005,
    noise: float = 0.0,
    lam: float = 0.01,
    mu: float = 0.1,
    initial_loss: float | None = None,
    progress: bool | Callable[[int, int], None] = False,
) -> Answer:
    """Answer the project's question with numbers.

    Parameters
    ----------
    law : "kaplan", "hoffmann", "hoffmann_unrounded", "epoch" or a ``toymesa.scaling.Law``.
    runs : a CSV file of training runs; the parametric law fitted to it takes the place of ``law``.
    compute : FLOP, lowest and highest; one row of the table a decade.
    diversity : effective number of tasks, lowest and highest; four rows of the map a decade.
    mechanisms : names, at least two; default proxy, internalized, corrigible, deceptive.
    perturbation, threshold : joint means that max|p - 1/K|, grown from the one, stays below the other.
    noise : temperature of gradient noise on reliances; 0 leaves the column out.
    lam, mu : decay and simplicity pressure of the converged state and of the named mechanisms.
    initial_loss : loss at initialization in nats; default the law's.
    progress : True for a bar on standard error, or a callable ``progress(done, total)``.

    Returns an :class:`Answer`: ``print(it)``, ``it.to_dict()``, ``it.save(directory)``. Raises DomainError or
    ArgumentError with one line for the first argument that is unusable.
    """
    asked = settings(
        law=law,
        runs=runs,
        compute=compute,
        diversity=diversity,
        mechanisms_=mechanisms,
        perturbation=perturbation,
        threshold=threshold,
        noise=noise,
        lam=lam,
        mu=mu,
        initial_loss=initial_loss,
    )
    step = _Steps(progress, 5)
    table = compute_table(asked)
    step("the symmetric model over diversity and compute")
    symmetric = _symmetric_map(asked, table)
    step("the named mechanisms at the stop")
    residual = table["residual"].values
    stopped = stopped_map(asked.names, asked.diversity, asked.compute, residual, lam=asked.lam, mu=asked.mu)
    step("simplicity prior against training time")
    course, marks = prior_against_time(asked.lam, asked.mu)
    step("stopping early for better and for worse")
    contrast = stopping_for_better_and_worse(float(np.median(residual)))
    text = paragraph(asked, table, stopped, marks)
    step("done")
    return Answer(
        asked=asked,
        table=table,
        stopped=stopped,
        symmetric=symmetric,
        course=course,
        landmarks=marks,
        contrast=contrast,
        paragraph=text,
    )


def _symmetric_map(asked: Settings, table: xr.Dataset) -> xr.Dataset:
    """Asymmetry of the symmetric model at the stop over (diversity, compute), around the exact curve."""
    curve = table["critical_diversity"].values
    low = min(float(asked.diversity[0]), float(curve.min()) / 4)
    high = max(float(asked.diversity[-1]), 4 * float(curve.max()))
    diversity = np.geomspace(low, high, 25)
    n = xr.DataArray(diversity, dims="diversity", coords={"diversity": diversity})
    r = xr.DataArray(table["residual"].values, dims="compute", coords={"compute": asked.compute})
    worst = asymmetry_at_stop(n, r, asked.names, asked.perturbation)
    return xr.Dataset({"asymmetry": worst.assign_attrs(long_name="max|p - 1/K| at the stop")})


class _Steps:
    """Progress by stage."""

    def __init__(self, progress: bool | Callable[[int, int], None], total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        self.bar: Any = None

    def __call__(self, label: str) -> None:
        self.done += 1
        if callable(self.progress):
            self.progress(self.done, self.total)
        elif self.progress:
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=self.total, leave=False)
            self.bar.set_description(label)
            self.bar.update(1)
            if self.done == self.total:
                self.bar.close()

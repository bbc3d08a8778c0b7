"""Compile now what would be compiled at first use: the loops common to all models, and what models ask for by default."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from toymesa.kernels.generate import compile_model
from toymesa.kernels.lanes.formulas import unsuited
from toymesa.kernels.lanes.programs import phases_of, programs
from toymesa.symbolic.model import Model


def warmup(models: Sequence[Model] = (), *, rtol: float = 1e-8) -> Iterator[tuple[str, float]]:
    """What was compiled, or read from disk, and the seconds it took: first the common loops, then each model.

    A model is compiled for ``solve`` with its default method at this tolerance, with and without output times, and for
    methods that take one trajectory at a time. Everything is on disk afterwards, for other processes too.
    """
    begin = time.perf_counter()
    from toymesa.kernels import rows, stochastic  # noqa: F401  # compiled when they are imported
    from toymesa.kernels.lanes.drive import compiled_drive

    compiled_drive()
    yield "common loops", time.perf_counter() - begin
    for model in models:
        begin = time.perf_counter()
        compiled = compile_model(model)
        compiled.field  # noqa: B018  # compiled by asking for it
        if model.noise is not None:
            compiled.noise  # noqa: B018  # likewise
        if not unsuited(model):
            for method in phases_of(model, "auto", rtol):
                for outputs in (False, True):
                    programs(model, method, rtol=rtol, outputs=outputs, steady=False, hand_over=method != "rodas5p")
        yield model.name, time.perf_counter() - begin

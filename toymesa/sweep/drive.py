"""The loop of a sweep: blocks in flight, and what to do with one whose worker died.

It is tried again alone, then in halves, until the cells that kill their worker are alone. Those get the status
``worker_lost``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.status import Status
from toymesa.sweep.engines import Engine, Part
from toymesa.sweep.tasks import Job, Report, finish


def drive(engine: Engine, job: Job, todo: Iterator[int], accept: Callable[[int, Report], None]) -> None:
    """Run every block of ``todo``; ``accept`` is called in this thread as each is done. Raises what a block raised;
    the caller then closes the engine, and with it what is still in flight.
    """
    pending: dict[Future[Report], int] = {}
    # what is done comes by itself: to ask all that are pending for it takes so long that the workers wait for this thread
    ready: SimpleQueue[Future[Report]] = SimpleQueue()
    suspects: list[int] = []

    def died(future: Future[Report]) -> bool:
        """Take a block that is done; whether its worker died."""
        number = pending.pop(future)
        error = future.exception()
        if error is None:
            accept(number, future.result())
        elif engine.lost(error):
            suspects.append(number)
        else:
            raise error
        return error is not None

    while True:
        while len(pending) < engine.width and (number := next(todo, None)) is not None:
            future = engine.block(number)
            pending[future] = number
            future.add_done_callback(ready.put)
        if not pending:
            break
        broken = died(ready.get())
        while not ready.empty():
            broken |= died(ready.get())
        if broken:
            engine.renew()
            while not ready.empty():  # what ended with it only now: it is no sign that another one died
                died(ready.get())
    for number in suspects:
        accept(number, _alone(engine, job, number))


def _alone(engine: Engine, job: Job, number: int) -> Report:
    """A block that was being worked on when a worker died: again alone, then in halves."""
    try:
        return engine.block(number).result()
    except Exception as error:  # each engine reports a lost worker in its own class; what is none goes on
        if not engine.lost(error):
            raise
        engine.renew()
    rows = job.plan.blocks.index(number).shape[0]
    results, notes = _halves(engine, job, number, 0, rows)
    return finish(job, number, results, notes)


def _halves(engine: Engine, job: Job, number: int, low: int, high: int) -> Part:
    if high - low == 1:
        return _dead(job, number, low)
    middle = (low + high) // 2
    found = []
    for a, b in ((low, middle), (middle, high)):
        try:
            found.append(engine.part(number, a, b).result())
        except Exception as error:  # each engine reports a lost worker in its own class; what is none goes on
            if not engine.lost(error):
                raise
            engine.renew()
            found.append(_halves(engine, job, number, a, b))
    joined = {n: np.concatenate([found[0][0][n], found[1][0][n]]) for n in found[0][0]}
    return joined, found[0][1] + found[1][1]


def _dead(job: Job, number: int, row: int) -> Part:
    """The results of a cell that kills every worker: none, and a status that says so."""
    out: dict[str, NDArray[Any]] = {"status": np.array([Status.WORKER_LOST], dtype=np.uint8)}
    for v in job.plan.variables:
        out[v.name] = np.full((1, *v.sizes), v.fill, dtype=v.dtype)
    index = job.plan.blocks.index(number, row, row + 1)
    if job.plan.design.sampled:
        for column, drawn in job.plan.design.values(index).items():
            out[column.label][:] = drawn
    return out, [f"cell {tuple(index[0].tolist())}: every process that tried it died"]

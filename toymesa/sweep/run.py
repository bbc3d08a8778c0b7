"""``sweep`` and ``open_sweep``: what a user calls."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import xarray as xr

from toymesa.errors import ArgumentError, named_arguments
from toymesa.sweep import store as stores
from toymesa.sweep.blocks import StoredChunk
from toymesa.sweep.execute import run_plan
from toymesa.sweep.method import StoredMethod
from toymesa.sweep.planning import plan
from toymesa.sweep.progress import Progress
from toymesa.sweep.resume import stored_spec


@named_arguments
def sweep(
    model: Any,
    over: Any,
    *,
    measure: Any = None,
    t: Any = None,
    until: str | None = None,
    params: Any = None,
    start: Any = None,
    events: Any = None,
    design: str | None = None,
    samples: int | None = None,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: Any = 1e-10,
    max_step: float = math.inf,
    first_step: float | None = None,
    max_steps: int = 100_000,
    paths: int | None = None,
    step: float | None = None,
    rng: Any = None,
    store: str | os.PathLike[str] | None = None,
    resume: bool = False,
    extend: bool = False,
    verify: bool = False,
    durable: bool = False,
    engine: Any = None,
    workers: int | None = None,
    chunk: Any = None,
    progress: Progress = True,
    allow_large: bool = False,
) -> xr.Dataset:
    """Measure a model in every cell of a grid, a list of points or a sample, on this machine or a cluster.

    Parameters
    ----------
    model : a Model, or a function that makes one; its keywords may then be axes (number of mechanisms, depth, coupling,
        optimizer). Over a Model the axis ``optimizer`` takes base optimizers, or label -> optimizer or function of the model.
    over : name -> values. A parameter, a start (``start_<name>``, or a state's or simplex coordinate's own name), or a
        structural option (a list, or label -> option). DataArrays that share a dimension vary together. A list of
        mappings or a pandas table: points along the dimension ``point``.
    measure : a list of names (states, observables), functions, or measures of ``toymesa.measures``; or name -> one of
        these or a formula. Default: all observables. With noise: ``mean`` (what a name or formula means there),
        ``variance``, ``shares`` or a function.
    t, until, events, method, rtol, atol, max_step, first_step, max_steps : as in ``solve``, but a scalar ``t`` gives the
        end alone; a list gives results over ``time``. For maps ``t`` counts steps. Under "auto" a cell for which a
        closed form in time holds uses it.
    paths, step : of a model with noise, as in ``simulate``: paths of each cell (default 1000) and their largest step
        (default: that of ``simulate`` in the first cell, for all). Path i of a cell depends on ``rng``, i and the cell's
        place along the axes alone.
    params, start : fixed values; a function of a Generator is drawn anew in every cell, from a stream of the cell's own.
    design : "grid", "points", "random", "sobol" or "halton"; the last three take ``samples`` points from ranges
        ``(low, high)`` or ``(low, high, "log")`` along the dimension ``sample``.
    rng : seed or Generator of everything drawn.
    store : directory for the results (Zarr v3), which are then read lazily. It must be new, unless ``resume`` continues an
        interrupted sweep with the same settings; ``extend`` also lets axes have more values at their end (or more
        samples); ``verify`` first checks every byte of it, and what is damaged is run again. durable: wait for the disk
        after every block.
    engine : None or "threads", "processes", the address of a Dask scheduler, or a ``dask.distributed.Client``; workers of
        a cluster must see the store under the same path. workers: threads or processes (default: all cores).
    chunk : cells of a block, or its sizes by dimension (a continued store keeps its own).
    progress : True, or ``progress(done, total)`` in cells; what it raises stops the sweep.
    allow_large : run sweeps over 1e9 cells, or larger than the disk or half of the memory.

    Returns a Dataset over the axes with the measures, ``status`` (codes of ``toymesa.Status``; numerical failures are
    recorded, never raised) and ``nsteps``. The same arguments give the same bits with every engine, number of workers,
    chunk and interruption.
    Raises DomainError or ArgumentError for unusable arguments, StoreError for a store that cannot be used,
    PartialSweep where it had to stop before the end, SweepInterrupted on Ctrl-C; what was done is kept.
    """
    for name, value in (("until", until), ("design", design)):
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{name} must be a name; got {type(value).__name__}")
    switches = {"resume": resume, "extend": extend, "verify": verify, "durable": durable, "allow_large": allow_large}
    for name, switch in switches.items():
        if not isinstance(switch, bool | np.bool_):
            raise ArgumentError(f"{name} must be True or False; got {type(switch).__name__}")
    if (resume or extend or verify or durable) and store is None:
        raise ArgumentError("resume, extend, verify and durable go with store=")
    resume = resume or verify
    path = None if store is None else stores.place(store)
    stored = stored_spec(path, damaged=verify) if path is not None and (resume or extend) else None
    if stored is not None:  # what a continued store keeps unless something else was asked for
        chunk = chunk if np.ndim(chunk) else StoredChunk(stored["chunks"])
        method = StoredMethod(stored["method"]) if method == "auto" else method
        rng = stored["seed"] if rng is None else rng
    made = plan(
        model, over, measure=measure, t=t, until=until, params=params, start=start, events=events, design_=design,
        samples=samples, method=method, rtol=rtol, atol=atol, max_step=max_step, first_step=first_step,
        max_steps=max_steps, paths=paths, step=step, rng=rng, chunk=chunk,
    )  # fmt: skip
    return run_plan(
        made, store=path, resume=resume, extend=extend, verify=verify, durable=durable, engine=engine, workers=workers,
        progress=progress, allow_large=allow_large,
    )  # fmt: skip


def open_sweep(store: str | os.PathLike[str]) -> xr.Dataset:
    """Results of a store, read lazily: variables are loaded when they are used. The store is not written to.

    Raises StoreError where there is no store and StoreCorrupt where its metadata are damaged.
    """
    return stores.open_store(stores.place(store))

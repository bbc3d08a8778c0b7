"""``closed_form``: exact solutions over grids, as fast as the processor computes them, into arrays that are already there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from toymesa.arguments import Array, generator, whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean, named_arguments
from toymesa.solver import exact
from toymesa.solver.inputs import cells
from toymesa.solver.labels import labelled_states
from toymesa.solver.options import output_times
from toymesa.symbolic.model import ClosedForm, Model


@named_arguments
def closed_form(
    model: Model,
    t: Any,
    *,
    start: Any = None,
    params: Any = None,
    out: Any = None,
    rng: Any = None,
    threads: int | None = None,
) -> xr.Dataset:
    """The states by the model's closed form alone: :func:`toymesa.solve` without checks, observables and statuses.

    Parameters
    ----------
    model : a model with a closed form whose conditions hold in every cell. t, start, params, rng, threads : as in
        :func:`toymesa.solve`.
    out : state name -> float64 array of shape (swept dimensions..., time), C-contiguous, to be filled and returned in the
        result without a copy. States that it does not name get an array of their own.

    Returns an ``xarray.Dataset`` over the swept names and ``time`` with the states, exact to a few rounding errors of the
    formula as the model gives it. NaN in a cell outside its domain; where the formula overflows, what floating point
    makes of that. Formulas of elementary functions are computed in vectors over threads and, where the result is large,
    written past the caches; those with special functions (Bessel, Lambert) by scipy. Raises DomainError where there is no
    such form, ArgumentError for unusable arguments.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    times = output_times(t, until=None, discrete=model.discrete)
    draw, seed = generator("rng", rng)
    batch = cells(model, start, params, draw)
    if threads is not None:
        threads = whole("threads", threads, 1)
    route = exact.choose(model, batch, times, steady=False)
    if route.form is None:
        raise DomainError(f"there is no closed form to evaluate: {route.reason}")
    shape = (*batch.shape, times.size)
    arrays = _arrays(model, out, shape)
    flat = [a.reshape(batch.bad.size, times.size) for a in arrays.values()]
    if isinstance(route.form, ClosedForm):
        exact.over_grid(model, route.form, batch, times, flat, threads=threads)
        for result in flat:
            result[batch.bad] = np.nan
    else:
        states, _ = exact.evaluate(model, route.form, batch, times, steady=False, threads=threads)
        for i, result in enumerate(flat):
            result[:] = states[..., i]
    data = labelled_states(model, batch, times, arrays, route.label)
    data.attrs |= {} if seed is None else {"seed": seed}
    return data


def _arrays(model: Model, out: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    """An array for each state: what was given, or a new one."""
    given = {} if out is None else out
    if not isinstance(given, Mapping):
        raise ArgumentError(f"out must be a mapping from state name to array; got {type(given).__name__}")
    for name, array in given.items():
        if name not in model.state_names:
            raise ArgumentError(
                f"model {model.name!r} has no state {name!r}{did_you_mean(str(name), model.state_names)}"
            )
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ArgumentError(f"out of {name!r} must be a float64 array; got {kind}")
        if array.shape != shape:
            raise DomainError(f"out of {name!r} must have shape {shape}; got {array.shape}")
        if not array.flags.c_contiguous or not array.flags.writeable:
            what = "read-only" if array.flags.c_contiguous else "not contiguous"
            raise ArgumentError(f"out of {name!r} must be C-contiguous and writeable; got one that is {what}")
    names = list(given)
    for i, name in enumerate(names):
        if any(np.may_share_memory(given[name], given[other]) for other in names[:i]):
            raise ArgumentError(f"out gives {name!r} memory that it gives another state too")
    return {n: given[n] if n in given else np.empty(shape) for n in model.state_names}

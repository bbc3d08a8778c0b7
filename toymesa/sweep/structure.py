"""Structural options of a sweep: every model that they give."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import xarray as xr

from toymesa.errors import ArgumentError, DomainError
from toymesa.sweep.axes import Column, Names, design
from toymesa.symbolic.model import Model
from toymesa.symbolic.optimizers import with_optimizer

_MOST_STRUCTURES = 1000


def structure_of(model: Any, over: Any) -> tuple[str, ...]:
    """Names of the structural options: keywords of a factory; ``optimizer`` for a model."""
    if isinstance(model, Model):
        return ("optimizer",)
    if not callable(model):
        hint = f"; toymesa.models.find({model!r}) looks a name up" if isinstance(model, str) else ""
        raise ArgumentError(
            f"model must be a toymesa Model or a function that makes one; got {type(model).__name__}{hint}"
        )
    return tuple(inspect.signature(model).parameters)


def built(
    model: Any, over: Any, keywords: tuple[str, ...]
) -> tuple[tuple[Model, ...], dict[tuple[int, ...], int], dict[str, Column]]:
    """Every model that the structural options give, and the columns of those options."""
    open_names = Names((), (), keywords)
    table = over if isinstance(over, Mapping) else _listed(over)
    chosen = {str(k): v for k, v in table.items() if str(k) in keywords}
    columns: dict[str, Column] = {}
    for name, values in chosen.items():
        repeated = not isinstance(over, Mapping)
        small = design({name: values}, open_names, kind="points" if repeated else "grid", samples=None, seed=0)
        columns[name] = small.columns[0]
    if not columns:
        return (_make(model, {}),), {(): 0}, {}
    count = math.prod(len(c.choices) for c in columns.values())
    if count > _MOST_STRUCTURES:
        raise DomainError(f"structural options give {count} models; at most {_MOST_STRUCTURES} are built")
    models: list[Model] = []
    which: dict[tuple[int, ...], int] = {}
    for key in itertools.product(*(range(len(c.choices)) for c in columns.values())):
        options = {n: c.choices[k][1] for (n, c), k in zip(columns.items(), key, strict=True)}
        which[key] = len(models)
        models.append(_make(model, options))
    # the models are made: a function that made one need not travel to other processes
    labels = {n: replace(c, choices=tuple((label, None) for label, _ in c.choices)) for n, c in columns.items()}
    return tuple(models), which, labels


def _listed(over: Any) -> dict[str, list[Any]]:
    if hasattr(over, "to_dict") and not isinstance(over, xr.DataArray):
        over = over.to_dict("records")
    points = [p for p in over if isinstance(p, Mapping)] if isinstance(over, list | tuple) else []
    return {str(k): [p[k] for p in points if k in p] for k in (points[0] if points else {})}


def _make(model: Any, options: dict[str, Any]) -> Model:
    if isinstance(model, Model):
        change = options.get("optimizer")
        made = change(model) if callable(change) else with_optimizer(model, change)
    else:
        made = model(**options)
    if not isinstance(made, Model):
        raise ArgumentError(f"the factory must return a toymesa Model; got {type(made).__name__}")
    return made

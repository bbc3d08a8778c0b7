"""From a model to compiled functions, generated once from its expressions.

``field(what, t, x, p, out)`` fills ``out`` with: 0 the rates (n); 1 the Jacobian, row-major (n*n); 2 the partial
derivative of the rates with respect to time (n); 3 the residuals of the algebraic states (m); 4 their Jacobian with
respect to the algebraic states, row-major (m*m). ``observe`` has the same arguments and fills ``out`` with everything
that is read off a state. ``noise`` too: 0 the matrix B of the noise, row-major (n*m); 1 Milstein's terms
sum_k B_kj dB_ir/dx_k (n*m*m, by i, j, r). States, parameters and results are packed in definition order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from toymesa.kernels.cache import load_source
from toymesa.kernels.printer import ScalarPrinter, statements
from toymesa.symbolic.model import TIME, Model

_HEADER = """\
from math import (acos, acosh, asin, asinh, atan, atan2, atanh, cos, cosh, erf, erfc, exp, expm1, gamma, lgamma, log,
                  log1p, nan, sin, sinh, sqrt, tan, tanh)

from numba import njit


@njit(inline="always")
def larger(a, b):  # as np.maximum: NaN where either is
    return a if a > b or a != a else b


@njit(inline="always")
def smaller(a, b):
    return a if a < b or a != a else b

"""
_DECORATOR = '@njit("void(int64, float64, float64[::1], float64[::1], float64[::1])", {options})'
_OPTIONS = 'error_model="numpy", nogil=True, cache=True'


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """The functions of one model. Compiled on first use, then read from disk in any process.

    observe_names: what ``observe`` fills in: observables, requirements, the potential if there is one, invariants.
    algebraic: positions of the algebraic states.
    """

    model: Model
    n: int
    algebraic: tuple[int, ...]
    observe_names: tuple[str, ...]

    @cached_property
    def field(self) -> Any:
        """``field(what, t, x, p, out)`` as a numba function of one explicit signature."""
        return load_source(field_source(self.model)).field

    @cached_property
    def observe(self) -> Any:
        """``observe(what, t, x, p, out)``, likewise; ``what`` is ignored."""
        return load_source(observe_source(self.model)).field

    @cached_property
    def noise(self) -> Any:
        """``noise(what, t, x, p, out)``, likewise, for a model with noise."""
        return load_source(noise_source(self.model)).field


def compile_model(model: Model) -> CompiledModel:
    """The compiled form of a model, kept with it; the code itself is shared by all models with the same equations."""
    found: CompiledModel | None = model.__dict__.get("_compiled")
    if found is None:
        positions = {s: i for i, s in enumerate(model.states)}
        found = CompiledModel(
            model=model,
            n=len(model.states),
            algebraic=tuple(positions[s] for s in model.algebraic),
            observe_names=tuple(name for name, _ in observed(model)),
        )
        object.__setattr__(model, "_compiled", found)  # a cache, not a field: the model itself stays as it was
    return found


def observed(model: Model) -> list[tuple[str, sp.Expr]]:
    """Name and expression of everything that is read off a state."""
    out = [*model.observables.items()]
    out += [(f"requires:{n}", e) for n, e in model.requires.items()]
    if model.potential is not None:
        out.append(("potential", model.potential))
    return out + [(f"invariant:{n}", i.expr) for n, i in model.invariants.items()]


def _names(model: Model) -> dict[sp.Symbol, str]:
    names = {s: f"x{i}" for i, s in enumerate(model.states)}
    names |= {s: f"p{i}" for i, s in enumerate(model.params)}
    return names | {TIME: "t"}


def _loads(exprs: Iterable[sp.Expr], model: Model, indent: str) -> list[str]:
    """Each state and parameter that is used, read once into a local: a third of the compile time of indexing."""
    used = {s for e in exprs for s in e.free_symbols}
    lines = [f"x{i} = x[{i}]" for i, s in enumerate(model.states) if s in used]
    lines += [f"p{i} = p[{i}]" for i, s in enumerate(model.params) if s in used]
    return [indent + line for line in lines]


def _branch(exprs: list[sp.Expr], names: dict[sp.Symbol, str], indent: str) -> list[str]:
    lines, results = statements(exprs, ScalarPrinter, names)
    lines += [f"out[{i}] = {r}" for i, r in enumerate(results)]
    return [indent + line for line in (lines or ["pass"])]


def field_source(model: Model) -> str:
    """Source of the module with ``field``."""
    if model.inner_run is not None:
        from toymesa.kernels.nested import nested_source

        return nested_source(model, _names(model), _HEADER, _DECORATOR)
    names, rates = _names(model), list(model.flow.values())
    residuals = list(model.algebraic.values())
    branches = [
        ("0", rates),
        ("1", list(model.jacobian())),
        ("2", [sp.diff(e, TIME) for e in rates]),
        ("3", residuals),
        ("4", [sp.diff(e, s) for e in residuals for s in model.algebraic]),
    ]
    lines = [_HEADER, "", _DECORATOR.format(options=_OPTIONS), "def field(what, t, x, p, out):"]
    word = "if"
    for what, exprs in branches:
        if exprs:
            lines.append(f"    {word} what == {what}:")
            lines += _loads(exprs, model, "        ") + _branch(exprs, names, "        ")
            word = "elif"
    return "\n".join(lines) + "\n"


def observe_source(model: Model) -> str:
    """Source of the module with ``observe`` (named ``field`` there too, for one signature everywhere)."""
    exprs = [e for _, e in observed(model)]
    if model.inner_run is not None:
        from toymesa.kernels.nested import nested_source

        return nested_source(model, _names(model), _HEADER, _DECORATOR, read_off=exprs)
    lines = [_HEADER, "", _DECORATOR.format(options=_OPTIONS), "def field(what, t, x, p, out):"]
    body = _loads(exprs, model, "    ") + _branch(exprs, _names(model), "    ")
    return "\n".join([*lines, *body]) + "\n"


def noise_source(model: Model) -> str:
    """Source of the module with ``noise`` (named ``field`` there)."""
    if model.noise is None:
        raise ValueError("the model has no noise")
    terms = [e for row in milstein_terms(model) for pairs in row for e in pairs]
    lines = [_HEADER, "", _DECORATOR.format(options=_OPTIONS), "def field(what, t, x, p, out):"]
    for word, what, exprs in (("if", 0, list(model.noise)), ("elif", 1, terms)):
        lines.append(f"    {word} what == {what}:")
        lines += _loads(exprs, model, "        ") + _branch(exprs, _names(model), "        ")
    return "\n".join(lines) + "\n"


def region_field(model: Model, margins: Sequence[sp.Expr]) -> Any:
    """``region(what, t, x, p, out)``: 0 the margins g_k, positive inside a region; 1 their variance rates |B^T grad g_k|^2."""
    if model.noise is None:
        raise ValueError("the model has no noise")
    slopes = [sp.Matrix([[sp.diff(g, s) for s in model.states]]) * sp.Matrix(model.noise) for g in margins]
    rates = [sp.Add(*[e**2 for e in row]) for row in slopes]
    lines = [_HEADER, "", _DECORATOR.format(options=_OPTIONS), "def field(what, t, x, p, out):"]
    for word, what, exprs in (("if", 0, list(margins)), ("elif", 1, rates)):
        lines.append(f"    {word} what == {what}:")
        lines += _loads(exprs, model, "        ") + _branch(exprs, _names(model), "        ")
    return load_source("\n".join(lines) + "\n").field


def milstein_terms(model: Model) -> list[list[list[sp.Expr]]]:
    """L^j B_ir = sum_k B_kj dB_ir/dx_k by i, j, r; symmetric in j and r where the noise commutes."""
    B, x = model.noise, model.states
    if B is None:
        raise ValueError("the model has no noise")
    columns = range(B.cols)
    return [
        [[sp.Add(*[B[k, j] * sp.diff(B[i, r], x[k]) for k in range(len(x))]) for r in columns] for j in columns]
        for i in range(len(x))
    ]

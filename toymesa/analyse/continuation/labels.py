"""Labelled results of ``follow``: Datasets in the model's own units."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.continuation.asked import Asked
from toymesa.analyse.continuation.curves import Curves
from toymesa.analyse.continuation.cycle import PHASES, Family
from toymesa.analyse.continuation.diagram import Diagram
from toymesa.analyse.continuation.outcome import family_says
from toymesa.analyse.continuation.problem import Problem
from toymesa.analyse.spectrum import kind
from toymesa.kernels.arrays import array_function
from toymesa.kernels.cache import installed
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_STABLE = 1e-9  # a growth rate below this share of the rates is not told from zero


def diagram_dataset(what: Asked, diagram: Diagram, families: Sequence[tuple[int, Family]]) -> xr.Dataset:
    """The one-parameter result; see ``follow`` for its variables."""
    problem, name = diagram.problem, what.names[0]
    points = [u for b in diagram.branches for u in b.points]
    lengths = [np.cumsum(np.append(0.0, np.linalg.norm(np.diff(b.points, axis=0), axis=1))) for b in diagram.branches]
    modes = len(problem.differential) if problem.algebraic else problem.n
    eigenvalues = np.array([problem.eigenvalues(u) for u in points]).reshape(len(points), modes)
    growth = np.abs(eigenvalues) - 1.0 if problem.discrete else eigenvalues.real
    unstable = (growth > _STABLE * problem.rate).sum(axis=1)
    settled = (growth < -_STABLE * problem.rate).all(axis=1)
    words = [{"long_name": "growth rates", "units": "1/time"}, {"long_name": "frequencies", "units": "rad/time"}]
    if problem.discrete:
        words = [{"long_name": "multipliers, real part"}, {"long_name": "multipliers, imaginary part"}]
    data: dict[str, Any] = {
        "branch": (
            "point",
            np.repeat(np.arange(len(lengths)), [len(l) for l in lengths]),
            {"long_name": "branch number"},
        ),
        **_columns(what, problem, points),
        "arclength": ("point", np.concatenate([*lengths, []]), {"long_name": "arclength along the branch, scaled"}),
        "stable": ("point", settled, {"long_name": "every eigenvalue decays"}),
        "kind": (
            "point",
            _text([_kind(problem, v, g) for v, g in zip(eigenvalues, growth, strict=True)]),
            {"long_name": "kind of fixed point"},
        ),
        "unstable": ("point", unstable.astype(np.int64), {"long_name": "number of growing eigenvalues"}),
        "eigenvalue_re": (("point", "mode"), eigenvalues.real, words[0]),
        "eigenvalue_im": (("point", "mode"), eigenvalues.imag, words[1]),
        "begins": ("followed", _text([b.ends[0] for b in diagram.branches]), {"long_name": "first end of each branch"}),
        "ends": ("followed", _text([b.ends[1] for b in diagram.branches]), {"long_name": "second end of each branch"}),
        **_specials(diagram, name),
        **_cycles(what, diagram, families),
    }
    return _dataset(what, data, diagram.left, diagram.forms.how, diagram.notes)


def curves_dataset(what: Asked, curves: Curves) -> xr.Dataset:
    """The two-parameter result; see ``follow`` for its variables."""
    problem = curves.problem
    points = [u for c in curves.curves for u in c.points]
    found = [(i, s) for i, c in enumerate(curves.curves) for _, s in c.specials]
    unique: list[tuple[int, Any]] = []
    for i, s in found:  # a fold and a Hopf curve share their Bogdanov-Takens points
        if not any(s.kind == o.kind and np.linalg.norm(s.u - o.u) < 1e-6 for _, o in unique):
            unique.append((i, s))
    values = np.array([problem.values(s.u)[list(what.free)] for _, s in unique]).reshape(-1, 2)
    states = np.array([problem.state(s.u) for _, s in unique]).reshape(-1, len(what.model.states))
    count = [len(c.points) for c in curves.curves]
    data: dict[str, Any] = {
        "curve": ("point", np.repeat(np.arange(len(count)), count), {"long_name": "curve number"}),
        **_columns(what, problem, points),
        "curve_omega": ("point", np.concatenate([*[c.omega for c in curves.curves], []]), {"units": "rad/time"}),
        "curve_kind": ("followed", _text([c.kind for c in curves.curves])),
        "begins": ("followed", _text([c.ends[0] for c in curves.curves])),
        "ends": ("followed", _text([c.ends[1] for c in curves.curves])),
        "special_kind": ("special", _text([s.kind for _, s in unique])),
        "special_curve": ("special", np.array([i for i, _ in unique], dtype=np.int64)),
        "special_at": ("special", values[:, 0], {"long_name": what.names[0]}),
        "special_second": ("special", values[:, 1], {"long_name": what.names[1]}),
        "special_state": (("special", "state"), states),
        "special_residual": ("special", np.array([s.residual for _, s in unique])),
    }
    return _dataset(what, data, curves.left, curves.forms.how)


# ---------------------------------------------------------------- pieces


def _columns(what: Asked, problem: Problem, points: Sequence[Array]) -> dict[str, Any]:
    """The followed parameters, the states and the observables along all points."""
    model = what.model
    states = np.array([problem.state(u) for u in points]).reshape(-1, len(model.states))
    values = np.array([problem.values(u) for u in points]).reshape(-1, len(model.params))
    out: dict[str, Any] = {}
    for name, i in zip(what.names, what.free, strict=True):
        out[name] = ("point", values[:, i], _meaning(model, name))
    for i, name in enumerate(model.state_names):
        out[name] = ("point", states[:, i], _meaning(model, name))
    if model.inner_run is None:
        columns = [*states.T, *values.T]
        for name, expr in model.observables.items():
            read = array_function([*model.states, *model.params], expr)(*columns)
            out[name] = ("point", np.broadcast_to(read, len(points)).copy(), _meaning(model, name))
    return out


def _specials(diagram: Diagram, name: str) -> dict[str, Any]:
    problem, found = diagram.problem, diagram.specials()
    free = problem.free[0]
    onsets = [s.onset for _, s in found]
    states = np.array([problem.state(s.u) for _, s in found]).reshape(-1, len(problem.model.states))
    return {
        "special_kind": ("special", _text([s.kind for _, s in found])),
        "special_branch": ("special", np.array([b for b, _ in found], dtype=np.int64)),
        "special_at": ("special", np.array([problem.values(s.u)[free] for _, s in found]), {"long_name": name}),
        "special_state": (("special", "state"), states),
        "special_omega": ("special", np.array([o.omega if o else np.nan for o in onsets]), {"units": "rad/time"}),
        "special_lyapunov": ("special", np.array([o.lyapunov if o else np.nan for o in onsets])),
        "special_criticality": ("special", _text([o.criticality if o else "" for o in onsets])),
        "special_kernel": (
            "special",
            np.array([len(s.crossing.left) if s.crossing else s.together for _, s in found], dtype=np.int64),
        ),
        "special_residual": ("special", np.array([s.residual for _, s in found])),
    }


def _cycles(what: Asked, diagram: Diagram, families: Sequence[tuple[int, Family]]) -> dict[str, Any]:
    problem, n = diagram.problem, len(what.model.states)
    cycles = [c for _, f in families for c in f.cycles]
    known = [
        {} if f.ends_in == "centre" else dict(f.specials) for _, f in families
    ]  # round a centre all are degenerate
    kinds = [s.get(i, "") for s, (_, f) in zip(known, families, strict=True) for i in range(len(f.cycles))]
    multipliers = np.array([c.multipliers for c in cycles]).reshape(len(cycles), max(problem.n - 1, 0))
    count = [len(f.cycles) for _, f in families]
    return {
        "cycle_family": ("cycle", np.repeat(np.arange(len(count)), count)),
        "cycle_at": ("cycle", problem.low[0] + np.array([c.q for c in cycles]) * problem.span[0]),
        "cycle_period": ("cycle", np.array([c.period for c in cycles]), {"units": "time"}),
        "cycle_low": (("cycle", "state"), np.array([c.low for c in cycles]).reshape(-1, n)),
        "cycle_high": (("cycle", "state"), np.array([c.high for c in cycles]).reshape(-1, n)),
        "cycle_stable": ("cycle", np.array([c.stable for c in cycles], dtype=bool)),
        "cycle_orbit": (
            ("cycle", "phase", "state"),
            np.array([c.orbit for c in cycles]).reshape(len(cycles), PHASES, n),
        ),
        "cycle_error": ("cycle", np.array([c.error for c in cycles])),
        "cycle_kind": ("cycle", _text(kinds)),
        "multiplier_re": (("cycle", "multiplier"), multipliers.real),
        "multiplier_im": (("cycle", "multiplier"), multipliers.imag),
        "family_hopf": ("family", np.array([i for i, _ in families], dtype=np.int64)),
        "family_ends_in": ("family", _text([f.ends_in for _, f in families])),
        "family_says": ("family", _text([family_says(what.names[0], problem, f) for _, f in families])),
    }


def _kind(problem: Problem, values: NDArray[np.complex128], growth: Array) -> str:
    signs = [0 if abs(g) <= _STABLE * problem.rate else 1 if g > 0 else -1 for g in growth]
    return kind([(complex(v), s or None) for v, s in zip(values, signs, strict=True)], discrete=problem.discrete)


def _text(values: Sequence[str]) -> NDArray[Any]:
    return np.array(list(values), dtype="<U256" if any(len(v) > 32 for v in values) else "<U32")


def _meaning(model: Model, name: str) -> dict[str, str]:
    known = dict(model.meanings) | {s.name: p.meaning for s, p in model.params.items() if p.meaning}
    return {"long_name": known[name]} if name in known else {}


def _dataset(what: Asked, data: dict[str, Any], left: Sequence[str], how: str, notes: Sequence[str] = ()) -> xr.Dataset:
    model = what.model
    fixed = {s.name: float(v) for s, v in zip(model.params, what.values, strict=True) if s.name not in what.names}
    attrs: dict[str, Any] = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "followed": json.dumps(
            {n: [float(a), float(b)] for n, a, b in zip(what.names, what.low, what.high, strict=True)}
        ),
        "params": json.dumps(fixed, sort_keys=True),
        "method": "pseudo-arclength continuation",
        "derivatives": how,
        "complete": int(not left),
        "left": json.dumps(list(dict.fromkeys(left))),
        "notes": json.dumps(list(dict.fromkeys(notes))),
        "seconds": round(time.monotonic() - what.began, 3),
        "versions": json.dumps(
            {p: installed(p) for p in ("toymesa", "numpy", "scipy", "sympy", "xarray")}, sort_keys=True
        ),
    }
    return xr.Dataset(data, coords={"state": list(model.state_names)}, attrs=attrs)

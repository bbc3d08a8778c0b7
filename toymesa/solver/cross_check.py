"""Closed forms against solvers, invariants along solutions, potentials that must fall."""

from __future__ import annotations

from typing import Any

import numpy as np

from toymesa.errors import DomainError
from toymesa.kernels.batch import observe_batch
from toymesa.kernels.generate import compile_model
from toymesa.solver.inputs import cells
from toymesa.solver.solve import solve
from toymesa.status import Status
from toymesa.symbolic.model import InternalTimeForm, Model, at_start

_NUMERICAL = ("tsit5", "dop853", "rodas5p", "auto")
# local error control at tolerance tol keeps the global error within this many units of it on these flows
_UNITS = 1000.0
# in the names of rows about what could not be compared: a method failed on the way, the conditions do not hold
NOT_THERE, NOT_HERE = "does not get there", "does not apply"


def cross_check(
    model: Model,
    t: Any = None,
    *,
    params: Any = None,
    start: Any = None,
    rtol: float = 1e-9,
    atol: float = 1e-11,
    methods: tuple[str, ...] = _NUMERICAL,
) -> list[dict[str, Any]]:
    """Check a model against itself; returns rows {"name", "error", "ok"}, the error in units of what is allowed.

    t: times (default 0, 0.5, 1, 2, 5, 10; of a map 0, 1, 2, 5, 20, 100 steps). params, start: as in ``solve``; where
    conditions of a closed form or an invariant fix some of them (``lam = 0``), those are set first. Checked: every
    closed form against every method (error within 1000 tolerances atol + rtol |x|), every invariant along the solution
    (drift likewise), the potential (never rises by more), requirements, and methods against each other. ``ok`` is
    error <= 1. A method that fails on the way (an explicit one on a stiff flow, any at a blow-up) has a row that says so,
    with an infinite error.
    """
    default = [0.0, 1.0, 2.0, 5.0, 20.0, 100.0] if model.discrete else [0.0, 0.5, 1.0, 2.0, 5.0, 10.0]
    times = np.array(default) if t is None else np.asarray(t, dtype=float)
    common = {"rtol": rtol, "atol": atol, "on_fail": "status"}
    methods = ("auto",) if model.discrete else methods
    rows: list[dict[str, Any]] = []
    runs = {
        m: solve(_numerical_only(model), times, params=params, start=start, method=m, **common)  # type: ignore[arg-type]
        for m in methods
    }
    there = [m for m in methods if not _missed(runs[m])]
    rows += [_short(m, runs[m]) for m in methods if m not in there]
    for m in there[1:]:
        rows.append(_row(f"{m} against {there[0]}", _distance(model, runs[m], runs[there[0]], rtol, atol)))
    for i, form in enumerate(model.closed_forms):
        fixed, begin = _fixed(model, form.conditions, params, start)
        kind = "internal-time form" if isinstance(form, InternalTimeForm) else "closed form"
        label = f"{kind} {i + 1}" if len(model.closed_forms) > 1 else kind
        alone = model.with_(closed_forms=(form,))
        try:
            truth = solve(alone, times, params=fixed, start=begin, method="closed", **common)  # type: ignore[arg-type]
        except DomainError as error:  # a condition that is no equation and does not hold for these values
            rows.append({"name": f"{label} {NOT_HERE}: {error}", "error": float("inf"), "ok": False})
            continue
        for m in methods:
            run = solve(_numerical_only(model), times, params=fixed, start=begin, method=m, **common)  # type: ignore[arg-type]
            name = f"{label} against {m}"
            rows.append(_short(name, run) if _missed(run) else _row(name, _distance(model, run, truth, rtol, atol)))
    rows += _along(model, times, params, start, rtol, atol)
    return rows


def _numerical_only(model: Model) -> Model:
    return model.with_(closed_forms=()) if model.closed_forms else model


class _Missed(Exception):  # caught below: a solution that fails on the way
    def __init__(self, run: Any) -> None:
        self.run = run


def _missed(run: Any) -> bool:
    return bool(run["status"] != Status.OK)


def _short(name: str, run: Any) -> dict[str, Any]:
    """The row of a method that did not reach the last time."""
    return {"name": f"{name} {NOT_THERE} ({Status(int(run['status'])).label})", "error": float("inf"), "ok": False}


def _row(name: str, error: float) -> dict[str, Any]:
    return {"name": name, "error": error, "ok": bool(error <= 1.0)}


def _distance(model: Model, one: Any, other: Any, rtol: float, atol: float) -> float:
    worst = 0.0
    for n in model.state_names:
        a, b = one[n].values, other[n].values
        gap = np.abs(a - b) / (atol + rtol * np.abs(b))
        if not np.isfinite(gap).all():
            return float("inf")
        worst = max(worst, float(gap.max()))
    return worst / _UNITS


def _fixed(model: Model, conditions: Any, params: Any, start: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and starts with those set that equations among the conditions fix."""
    values: dict[str, Any] = {str(getattr(k, "name", k)): v for k, v in dict(params or {}).items()}
    begin: dict[str, Any] = {str(getattr(k, "name", k)): v for k, v in dict(start or {}).items()}
    starts = {at_start(s).name: s.name for s in model.states}
    for c in conditions:
        if not hasattr(c, "lhs") or c.rel_op != "==" or not c.lhs.is_Symbol:
            continue
        name, value = c.lhs.name, c.rhs
        if value.is_Symbol:
            twin = value.name
            known = begin.get(starts[twin]) if twin in starts else values.get(twin, model.defaults().get(twin))
            if known is None:
                known = float(
                    model.start[model.state(starts[twin])].subs({s: p.default for s, p in model.params.items()})
                )
        elif value.is_number:
            known = float(value)
        else:
            continue
        if name in starts:
            begin[starts[name]] = known
        else:
            values[name] = known
    return values, begin


def _along(model: Model, times: Any, params: Any, start: Any, rtol: float, atol: float) -> list[dict[str, Any]]:
    """Invariants, potential and requirements along numerical solutions."""
    rows = []
    compiled = compile_model(model)
    names = {n: i for i, n in enumerate(compiled.observe_names)}
    dense = np.linspace(float(times[0]), float(times[-1]), 201) if not model.discrete else times

    def read(conditions: Any) -> Any:
        values, begin = _fixed(model, conditions, params, start)
        run = solve(_numerical_only(model), dense, params=values, start=begin, rtol=rtol, atol=atol, on_fail="status")
        if _missed(run):
            raise _Missed(run)
        cell = cells(model, begin, values, np.random.default_rng(0))
        states = np.stack([run[n].values.reshape(cell.bad.size, -1) for n in model.state_names], axis=-1)
        return observe_batch(compiled, dense, states, cell.params)

    for n, invariant in model.invariants.items():
        try:
            series = read(invariant.conditions)[names[f"invariant:{n}"]]
        except _Missed as missed:
            rows.append(_short(f"invariant {n}: the solution", missed.run))
            continue
        drift = np.abs(series - series[:, :1]).max() / (_UNITS * (atol + rtol * max(1.0, np.abs(series).max())))
        rows.append(_row(f"invariant {n}", float(drift) if np.isfinite(drift) else float("inf")))
    falls = model.potential is not None and not model.discrete
    try:
        plain: Any = read(()) if falls or model.requires else None
    except _Missed as missed:
        words = [*(["potential never rises"] if falls else []), *(f"{n} stays positive" for n in model.requires)]
        return rows + [_short(f"{w}: the solution", missed.run) for w in words]
    if falls:
        series = plain[names["potential"]]
        rise = np.diff(series, axis=1).max() / (_UNITS * (atol + rtol * max(1.0, np.abs(series).max())))
        rows.append(_row("potential never rises", max(float(rise), 0.0) if np.isfinite(rise) else float("inf")))
    for n in model.requires:
        lowest = float(plain[names[f"requires:{n}"]].min())
        rows.append(_row(f"{n} stays positive", 0.0 if lowest > 0 else float("inf")))
    return rows

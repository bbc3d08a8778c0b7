"""What theorems say exactly about the models of the package, as lines for the pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toymesa.theorems import mechanisms as theorems

_PLACES = 201
_Line = tuple[np.ndarray, np.ndarray, str]


def exact_branches(report: Any, param: str, name: str, ends: tuple[float, float]) -> list[_Line]:
    """Exact branches of fixed points over a parameter: (parameter, height, label) each; the label of the first alone.

    Of ``mechanisms`` with equal mechanisms of perfect training fidelity over diversity (mechanisms 1.6).
    """
    if report.model.name != "mechanisms" or param != "diversity" or not name.startswith("p_"):
        return []
    p, lam, mu = report.params, report.params["lam"], report.params["mu"]
    names = list(report.points[report.focus].shares) if report.focus is not None else []
    k = len(names)
    rates = [p[f"rate_{n[2:]}"] for n in names]
    bits = [p[f"bits_{n[2:]}"] for n in names]
    fidelity = [p[f"fidelity_{n[2:]}"] for n in names]
    if lam <= 0 or len(set(bits)) > 1 or set(rates) != {1.0} or set(fidelity) != {1.0}:
        return []
    out: list[_Line] = [(np.array(ends), np.full(2, 1.0 / k), "exact branches")]
    for favoured in range(1, k):
        x = np.linspace(-1.0 / (k - favoured), 1.0 / favoured, _PLACES + 2)[1:-1]
        diversity = theorems.bifurcation_branch(x, lam, mu, mechanisms=k, favoured=favoured)
        shares = theorems.branch_shares(x, mechanisms=k, favoured=favoured)
        for height in shares:
            inside = np.where((diversity >= ends[0]) & (diversity <= ends[1]), diversity, np.nan)
            out.append((inside, height, ""))
    return out


def exact_boundary(
    report: Any, names: Sequence[str], over: Mapping[str, tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str] | None:
    """The exact separatrix over two states, as the zero line of a function of them: of ``gated`` (mechanisms 1.3)."""
    if report.model.name != "gated" or len(names) != 2:
        return None
    x, y = (np.linspace(*over[n], _PLACES) for n in names)
    at = dict(report.start) | {names[0]: x[None, :], names[1]: y[:, None]}
    how = {n: report.params[n] for n in ("diversity", "rate_w", "rate_m", "rate_d")}
    rest = next(n for n in ("w", "m", "d") if n not in names)
    label = f"exact separatrix at {rest} = {report.start[rest]:.4g}"
    return x, y, np.asarray(theorems.separatrix(at["w"], at["m"], at["d"], **how)), label

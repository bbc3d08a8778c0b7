"""Results as JSON data and as pages a person reads. Formatting only: nothing is computed here."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toymesa.status import Status
from toymesa.symbolic.model import Model

if TYPE_CHECKING:
    import xarray as xr


def plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers as JSON data; what is not a finite number becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def cell(value: Any) -> str:
    """A number in at most six digits, None as a dash, anything else as text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], titles: Sequence[str] | None = None) -> str:
    """Rows under titles, columns as wide as they need."""
    texts = [list(titles or columns)] + [[cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    return "\n".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in texts)


def failure(run: xr.Dataset) -> str:
    """What went wrong in a single solve, and what to do about it."""
    status = Status(int(run["status"].values))
    return f"{status.label}: {status.advice}"


def solve_data(model: Model, run: xr.Dataset) -> dict[str, Any]:
    """The JSON shape of a single trajectory."""
    steady = "time" not in run.dims
    time = [float(run["t_steady"])] if steady else run["time"].values.tolist()

    def series(name: str) -> list[float | None]:
        values = run[name].values
        return [plain(float(values))] if steady else [plain(v) for v in values.tolist()]

    return {
        "time": [plain(t) for t in time],
        "states": {n: series(n) for n in model.state_names},
        "observables": {n: series(n) for n in model.observables},
        "status": Status(int(run["status"].values)).label,
        "method": run.attrs["method"],
    }


def solve_page(model: Model, data: Mapping[str, Any]) -> str:
    """At most eleven times of a trajectory, states first."""
    count = len(data["time"])
    picks = sorted({round(i * (count - 1) / 10) for i in range(11)})
    names = [*data["states"], *data["observables"]]
    both = {**data["states"], **data["observables"]}
    rows = [{"time": data["time"][i], **{n: both[n][i] for n in names}} for i in picks]
    head = f"{model.name}: {data['status']}, method {data['method']}"
    if len(names) <= 8:
        return head + "\n" + table(rows, ["time", *names])
    # wide models read better one quantity a line, at the first, middle and last time
    picks = sorted({0, (count - 1) // 2, count - 1})
    lines = [{"name": n, **{f"t{i}": both[n][i] for i in picks}} for n in names]
    return (
        head
        + "\n"
        + table(lines, ["name", *(f"t{i}" for i in picks)], ["time", *(cell(data["time"][i]) for i in picks)])
    )


def model_data(model: Model, claims: Iterable[Any]) -> dict[str, Any]:
    """Everything there is to say about one model; every claim is verified now."""
    from toymesa.symbolic.verdicts import verify

    return {
        "name": model.name,
        "question": model.question,
        "reference": model.reference,
        "fingerprint": model.fingerprint,
        "latex": model.latex(),
        "states": [{"name": n, "meaning": model.meanings.get(n, "")} for n in model.state_names],
        "parameters": [
            {"name": s.name, "default": p.default, "domain": str(p.domain), "meaning": p.meaning}
            for s, p in model.params.items()
        ],
        "observables": [{"name": n, "meaning": model.meanings.get(n, "")} for n in model.observables],
        "claims": [
            {
                "name": c.name,
                "statement": c.statement,
                "kind": str(c.kind),
                "verdict": str(verify(c).outcome),
                "derivation": c.derivation,
            }
            for c in claims
        ],
    }


def model_page(data: Mapping[str, Any]) -> str:
    """The same for a reader."""
    parts = [f"{data['name']}: {data['question']}", f"reference: {data['reference']}", "", data["latex"], ""]
    parts += [table(data["states"], ["name", "meaning"], ["state", "meaning"]), ""]
    if data["parameters"]:
        columns = ["name", "default", "domain", "meaning"]
        parts += [table(data["parameters"], columns, ["parameter", *columns[1:]]), ""]
    parts += [table(data["observables"], ["name", "meaning"], ["observable", "meaning"]), ""]
    parts += _claim_lines(data["claims"])
    return "\n".join(parts).rstrip()


def _claim_lines(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """A heading a derivation, under it its claims; those that say the same of several cases in one line."""
    told = Counter((c["derivation"], c["verdict"], c["statement"]) for c in claims)
    lines: list[str] = []
    heading = None
    for (derivation, verdict, statement), times in told.items():
        if derivation != heading:
            heading = derivation
            lines += ["", f"derivations/{derivation}.py"] if lines else [f"derivations/{derivation}.py"]
        lines.append(f"  {verdict:9}  {statement}" + (f" ({times} cases)" if times > 1 else ""))
    return lines


def stated_page(law: Any, rows: Sequence[Mapping[str, Any]]) -> str:
    """What a text states beside what its constants give."""
    columns = ["quantity", "source", "stated", "derived", "follows", "note"]
    return f"{law.name}: {law.source}\n" + table(rows, columns)


def fit_page(result: Any) -> str:
    """A fitted law, with intervals where they were asked for."""
    data = result.to_dict()
    constants = data.get("constants", data)
    intervals = data.get("intervals") or {}
    rows = []
    for name, value in constants.items():
        low, high = intervals.get(name, (None, None))
        rows.append({"constant": name, "value": value, "low": low, "high": high})
    page = table(rows, ["constant", "value", "low", "high"], ["constant", "value", "2.5 %", "97.5 %"])
    return (
        f"L(N, D) = E + A/N^alpha + B/D^beta fitted to {data['n_runs']} runs; objective {data['objective']:.8g}\n{page}"
    )

"""The report of ``assess`` as a page: the answer first, then what it rests on."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from toymesa.analyse.report.scans import GONE, Change, Scan
from toymesa.analyse.report.shared import shares, simplex
from toymesa.analyse.report.trained import Training
from toymesa.symbolic.model import Model

_WIDTH = 110
_KINDS = {
    "fold": "fold", "hopf": "Hopf point", "branch": "branch point", "flip": "flip", "neimark-sacker": "Neimark-Sacker point",
}  # fmt: skip
_CROSSES = {
    "hopf": "a complex pair crosses (spiral)",
    "neimark-sacker": "a pair of multipliers crosses the unit circle (spiral)",
    "flip": "a multiplier passes -1 (steps go from side to side)",
}
_SHOWN = 12  # fixed points and changes that are printed; the data has all of them


def page(report: Any) -> str:
    """Everything that an :class:`Assessment` says, for a reader."""
    params = ", ".join(f"{n} = {v:.6g}" for n, v in report.params.items())
    question = report.model.question
    parts = [_filled(f"{report.model.name}: {question or 'what is stable, and where does that change?'}")]
    parts += [_filled(f"parameters: {params or 'none'}"), ""]
    parts.append(_item("answer", report.verdict.sentence))
    parts += [_item("changes", line) for line in _headlines(report)]
    parts += [_item("training", line) for line in training_says(report)]
    parts += [_item("starts", line) for line in _starts(report)]
    parts += ["", "fixed points", _points(report)]
    if report.conditions is not None:
        parts += ["", _conditions(report)]
    for scan in report.scans:
        parts += ["", _scan(scan, report)]
    parts += ["", "what this rests on", *(_item(a, b) for a, b in _grounds(report))]
    return "\n".join(parts)


def not_looked_at(report: Any) -> list[str]:
    """What the report is silent about, a sentence each."""
    out = list(report.left)
    varied = {s.param for s in report.scans}
    rest = [n for n in report.params if n not in varied]
    if rest and not any("not varied" in line for line in report.left):
        named = ", ".join(rest[:6]) + (f" and {len(rest) - 6} more" if len(rest) > 6 else "")
        out.append(f"other parameters ({named}): vary={rest[0]!r} looks at one")
    out.append("two parameters at once (follow with second=)")
    if report.basins is None:
        out.append("other starts (basins)")
    return out


# ---------------------------------------------------------------- the answer


def _headlines(report: Any) -> list[str]:
    """Where the point in focus changes, parameter by parameter."""
    out = []
    for scan in report.scans:
        own = [c for c in scan.changes if c.joint]
        out += [change_says(c, discrete=report.model.discrete) for c in own]
        if not own and scan.tracked:
            kind = report.points[report.focus].stability.kind
            out.append(
                f"not with {scan.param}: {_a(kind)} from {scan.low:.6g} to {scan.high:.6g} (here {scan.here:.6g})"
            )
    return out


def change_says(change: Change, *, discrete: bool = False) -> str:
    """One change of the point in focus, as a sentence."""
    text = f"{change.param} = {change.at:.7g} (here {change.here:.6g}): "
    if GONE in (change.below, change.above):
        side = "above" if change.above == GONE else "below"
        stays = change.below if change.above == GONE else change.above
        text += f"the point exists ({_a(stays)}) on one side only, and is lost {side} it in a fold"
    else:
        crosses = _CROSSES.get(
            change.kind, f"a real {'multiplier passes 1' if discrete else 'eigenvalue crosses zero'} (saddle)"
        )
        text += f"{_a(change.below)} below, {_a(change.above)} above; {_KINDS[change.kind]}, {crosses}"
    if change.criticality:
        text += f", {change.criticality}"
    if change.omega is not None and change.kind != "flip":
        text += f", {change.omega:.6g} rad per {'step' if discrete else 'unit of time'}"
    return text + (f". From there {_cycles(change)}" if change.says else "")


def _cycles(change: Change) -> str:
    return change.says.removeprefix(f"{change.param}: ")


def _a(kind: str) -> str:
    return {"stable": "stable", "stable-spiral": "a stable spiral", "saddle": "a saddle", "unstable": "unstable"}.get(
        kind, kind.replace("-", " ")
    )


# ---------------------------------------------------------------- training


def training_says(report: Any) -> list[str]:
    """What the run from the start does, a sentence each."""
    run = report.training
    unit = "steps" if report.model.discrete else "units of time"
    first = {n: float(v) for n, v in shares(report.model, run.start, report.params).items()}
    out = [f"from {_state(_coordinates(report.model, run.start, first))}: {_ending(run, unit)}" + _even(run)]
    if run.growth is not None and run.growth > 1.005:
        most = f"small changes of the start grow at most {run.growth:.4g}-fold (lengths in the states)"
        out.append(f"{most}, by t = {run.growth_at:.4g}, until it has settled")
    elif run.growth is not None:
        out.append("small changes of the start never grow on the way (lengths in the states)")
    if run.shifted is None:
        return out
    moved = ", ".join(f"{n} {v:+.3g}" for n, v in run.shift.items())
    text = f"shifted by {moved}: {_ending(run.shifted, unit)}{_even(run.shifted)}"
    if run.leave is not None:
        text += f"; the two runs come apart (a tenth of their final distance) at t = {run.leave:.4g}"
    elif run.amplified is not None:
        text += f"; the shift grows at most {run.amplified:.4g}-fold on the way"
    return [*out, text]


def basin_rows(report: Any) -> dict[str, Any] | None:
    """The shares of the starts as JSON data."""
    found = report.basins
    if found is None:
        return None
    over = {n: [float(found[d][0]), float(found[d][-1]), found.sizes[d]] for n, d in _over(found).items()}
    rows = [
        {
            "outcome": str(name),
            "fraction": float(found["fraction"].values[i]),
            "interval": [float(found["fraction_low"].values[i]), float(found["fraction_high"].values[i])],
        }
        for i, name in enumerate(found["outcome"].values)
    ]
    return {"over": over, "outcomes": rows, "unresolved": float(found["unresolved"])}


def _over(found: xr.Dataset) -> dict[str, str]:
    return {str(d).removeprefix("start_"): str(d) for d in found["label"].dims}


def _starts(report: Any) -> list[str]:
    data = basin_rows(report)
    if data is None:
        return []
    where = " and ".join(f"{n} from {low:.4g} to {high:.4g}" for n, (low, high, _) in data["over"].items())
    count = 1
    for *_, size in data["over"].values():
        count *= size
    ends = [f"{r['outcome']} {r['fraction']:.0%}" for r in data["outcomes"] if r["fraction"] > 0]
    ends += [f"unresolved {data['unresolved']:.0%}"] if data["unresolved"] > 0 else []
    return [f"of {count} starts over {where}, the rest as at the start: {', '.join(ends)}"]


def _ending(run: Training, unit: str) -> str:
    settled = "" if run.settle is None else f", within 1 % of it from t = {run.settle:.4g}"
    if run.ends_in == "rest":
        where = f"fixed point {run.point}" if run.point is not None else f"rest at {_state(run.end or {})}"
        return f"ends in {where}{settled}"
    if run.ends_in == "line":
        number = "" if run.point is None else f" (fixed point {run.point} below)"
        return f"ends on a line or surface of fixed points, at {_state(run.end or {})}{number}{settled}"
    if run.ends_in == "cycle":
        ranges = ", ".join(f"{n} from {run.low[n]:.4g} to {run.high[n]:.4g}" for n in run.low)
        reached = "" if run.settle is None else f", reached by t = {run.settle:.4g}"
        return f"ends in a cycle of period {run.period:.6g} {unit} ({ranges}){reached}"
    if run.ends_in == "away":
        return f"grows beyond every bound by t = {run.time:.4g}"
    if run.ends_in == "wandering":
        return f"neither rests nor repeats by t = {run.time:.4g}"
    return f"stays open: the run ended with {run.status} at t = {run.time:.4g}"


def _even(run: Training) -> str:
    if not run.n_eff:
        return ""
    n = run.n_eff
    text = f"; n_eff {n['start']:.4g} at the start, {n['end']:.4g} at the end"
    if n["least"] < min(n["start"], n["end"]) - 0.005:
        text += (
            f", least {n['least']:.4g} at t = {n['least_at']:.4g} (joint again later: stopping early would not help)"
        )
    elif "half_at" in n:
        text += f", half of the way at t = {n['half_at']:.4g}"
    if run.shares and n["end"] < n["start"] - 0.01:
        leader = max(run.shares, key=lambda k: run.shares[k])
        text += f"; {leader} leads with {run.shares[leader]:.4g}"
    return text


# ---------------------------------------------------------------- tables


def _points(report: Any) -> str:
    rows = []
    for i, p in enumerate(report.points[:_SHOWN]):
        s = p.stability
        scale = "" if s.growth_rate == 0 or not math.isfinite(s.growth_rate) else f"{1.0 / abs(s.growth_rate):.5g}"
        rows.append(
            {
                "no": f"{i}",
                "kind": s.kind + (f" (dim {s.dimension})" if s.dimension else ""),
                "growth rate": f"{s.growth_rate:.6g}",
                "time scale": scale,
                "reactivity": f"{s.reactivity:.5g}",
                **({"n_eff": f"{p.n_eff:.5g}"} if p.n_eff is not None else {}),
                "state": _state(_coordinates(report.model, p.state, p.shares), 6),
            }
        )
    if not rows:
        return "  none was found"
    more = len(report.points) - len(rows)
    unit = "step" if report.model.discrete else "unit of time"
    note = f"  growth rate and reactivity per {unit}; time scale: one e-fold at the growth rate"
    return "\n".join([_table(rows), *([f"  and {more} more"] if more > 0 else []), note])


def _conditions(report: Any) -> str:
    found = report.conditions.conditions
    head = f"fixed point {report.focus} is stable exactly if"
    if not found:
        return f"fixed point {report.focus} is stable for all parameters"
    if str(found[0]) == "False":
        return f"fixed point {report.focus} is never stable"
    return "\n".join([head, *(f"  {c}" for c in found)])


def _scan(scan: Scan, report: Any) -> str:
    head = f"{scan.param} from {scan.low:.6g} to {scan.high:.6g} (here {scan.here:.6g})"
    lines = []
    for c in scan.changes[:_SHOWN]:
        text = f"{_KINDS.get(c.kind, c.kind)} at {c.at:.10g}"
        text += f" ({c.copies} of them)" if c.copies > 1 else ""
        there = {n: float(v) for n, v in shares(report.model, c.state, report.params).items()}
        text += f", at {_state(_coordinates(report.model, c.state, there), 6)}"
        if c.omega is not None:
            named = [c.criticality] if c.criticality else []
            text += "; " + ", ".join(named + ([f"omega = {c.omega:.6g}"] if c.kind != "flip" else []))
        lines.append(text + (f"; {_cycles(c)}" if c.says else ""))
    if len(scan.changes) > _SHOWN:
        lines.append(f"and {len(scan.changes) - _SHOWN} more")
    for low, high, equal in scan.side_by_side:
        text = f"two stable states side by side from {low:.7g} to {high:.7g}"
        lines.append(text + ("" if math.isnan(equal) else f", with equal potential at {equal:.7g}"))
    lines += scan.notes
    if not lines:
        lines = ["nothing changes" if scan.diagram.sizes["followed"] else "no isolated fixed point to follow"]
    return "\n".join([head, *(_filled(line, "  ") for line in lines)])


def _grounds(report: Any) -> list[tuple[str, str]]:
    """What is certified, what numerical, what undecided, and what was not looked at."""
    out: list[tuple[str, str]] = []
    census = report.census
    exist, signs = sum(p.certified for p in report.points), sum(p.stability.certified for p in report.points)
    text = f"that {exist} of {len(report.points)} fixed points exist, the signs of the eigenvalues at {signs} of them"
    if census is not None and census.complete:
        where = "anywhere" if census.box is None else "in " + _box(census.box)
        text += f"; that there are no others {where}"
    if report.conditions is not None:
        text += "; the conditions on the parameters (exact)"
    out.append(("proved", text))
    method = "the runs (relative tolerance 1e-8), the changes with a parameter (converged to 1e-10), cycles"
    out.append(("numerical", method))
    if census is not None:
        for box in census.undecided[:4]:
            out.append(("undecided", f"whether there are fixed points in {_box(box)}"))
        out += [
            ("undecided", note) for note in census.notes if "spent" in note or "limit" in note or "degenerate" in note
        ]
    for scan in report.scans:
        out += [("not done", f"{scan.param}: {line}") for line in scan.left[:3]]
    out += [("not seen", line) for line in not_looked_at(report)]
    out += [("not seen", note) for note in (census.notes if census else ()) if "not searched" in note]
    out.append(("time", f"{report.seconds:.1f} s of {report.budget:g} s"))
    return out


# ---------------------------------------------------------------- small things


def _item(title: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=f"{title:<10} ", subsequent_indent=" " * 11)


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + ("  " if indent else ""))


def _state(state: Mapping[str, float], most: int = 8) -> str:
    shown = [f"{n} = {0.0 if abs(v) < 1e-12 else v:.6g}" for n, v in list(state.items())[:most]]
    return ", ".join(shown) + (", ..." if len(state) > most else "")


def _coordinates(model: Model, state: Mapping[str, float], parts: Mapping[str, float]) -> dict[str, float]:
    """Shares in place of the log-odds that stand for them, first."""
    chart = simplex(model)
    hidden = {s.name for s in chart.to_states} if chart is not None else set()
    return {**parts, **{n: v for n, v in state.items() if n not in hidden}}


def _box(box: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{n} in [{e[0]:.6g}, {e[1]:.6g}]" for n, e in box.items())


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, *([r.get(c, "") for c in columns] for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join("  " + "  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines)

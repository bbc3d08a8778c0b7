"""One parameter varied: where the fixed point in question changes its stability, and everything else that changes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from toymesa.analyse.continuation.coexistence import coexistence
from toymesa.analyse.continuation.follow import follow
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]
_FOUND = 1e-2  # how close (in 1 + |state|) a branch must pass by the point to be its branch
_SEARCH = 0.75  # of the time of a scan for finding every branch
_MOST_BRANCHES = 4  # with which the coexistence of stable states is worked out
GONE = "gone"
_WANT = "followed from the fixed points above alone, for want of time"
_LARGE = 4  # states of a model that is followed from its known points first
_PATIENCE = 5.0  # times as long as that took must be left for a search of all branches
_MEANINGS = {"hopf": "spiral", "neimark-sacker": "spiral", "flip": ""}  # of the others "saddle"
_SAME = 1e-7  # of the range: special points this close are one event, or copies of one by a symmetry


@dataclass(frozen=True, kw_only=True)
class Change:
    """A value of a parameter at which fixed points change.

    kind : "fold", "hopf" or "branch", of a map also "flip" or "neimark-sacker". here : the parameter's own value. copies :
    special points at this value (several by a symmetry). below, above : kind of the point in question on both sides, where
    this is a change of that point (``joint``). omega (radians per time, or per step), criticality : of a Hopf point, flip
    or Neimark-Sacker point. meaning : the sense in which stability is lost: "saddle", "spiral", or "" at a flip (steps go
    from side to side). says : what the oscillation ends in.
    """

    param: str
    at: float
    here: float
    kind: str
    meaning: str
    copies: int
    state: Mapping[str, float]
    joint: bool = False
    below: str = ""
    above: str = ""
    omega: float | None = None
    criticality: str = ""
    says: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "param": self.param, "at": self.at, "here": self.here, "kind": self.kind, "meaning": self.meaning,
            "copies": self.copies, "state": dict(self.state), "joint": self.joint, "below": self.below,
            "above": self.above, "omega": self.omega, "criticality": self.criticality, "says": self.says,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What varying one parameter shows. diagram : the result of ``follow``. tracked : whether a branch passes through the
    point in question. side_by_side : intervals in which two stable states coexist, with the value at which their potentials
    are equal (NaN where they never are). left : what was not followed."""

    param: str
    low: float
    high: float
    here: float
    diagram: xr.Dataset
    changes: tuple[Change, ...]
    tracked: bool
    side_by_side: tuple[tuple[float, float, float], ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "param": self.param,
            "range": [self.low, self.high],
            "here": self.here,
            "tracked": self.tracked,
            "changes": [c.to_dict() for c in self.changes],
            "side_by_side": [
                {"low": a, "high": b, "equal_potential": None if math.isnan(m) else m} for a, b, m in self.side_by_side
            ],
            "left": list(self.left),
            "notes": list(self.notes),
        }


def nearby(model: Model, name: str, value: float) -> tuple[float, float]:
    """A range around a value inside the parameter's domain: a tenth to ten times it, 2 to both sides of zero."""
    domain = model.params[model.param(name)].domain
    low, high = sorted((value / 10.0, value * 10.0)) if value else (-2.0, 2.0)
    low, high = max(low, domain.low), min(high, domain.high)
    inner = 1e-9 * (high - low)  # open ends do not belong to the domain
    return (low if low in domain else low + inner), (high if high in domain else high - inner)


def scan(
    model: Model,
    name: str,
    ends: tuple[float, float],
    params: Mapping[str, float],
    points: Sequence[Mapping[str, float]],
    focus: int | None,
    kind: str,
    box: Any,
    seconds: float,
) -> Scan:
    """Follow the fixed points in one parameter and read off where the one in ``focus`` changes.

    points : those at ``params``; kind : of the one in focus. Branches are looked for all over the box for a share of the
    time; where the point in focus is on none of them then, from the points alone.
    """
    others, here = {n: v for n, v in params.items() if n != name}, params[name]
    end = time.monotonic() + max(seconds, 0.01)
    known = None if focus is None else [points[focus], *(p for i, p in enumerate(points) if i != focus)]

    def followed(share: float, start: Any = None) -> tuple[xr.Dataset, Any, list[str]]:
        limit = max(share * (end - time.monotonic()), 0.01)
        more = {} if start is None else {"start": start, "cycles": False}
        found = follow(model, name, ends, params=others, box=box, seconds=limit, **more)
        where = None if focus is None else _branch_of(found, name, here, points[focus])
        return found, where, json.loads(found.attrs["left"])

    near = None  # from the points alone: of a large model first, so that the answer does not wait for a search
    began = time.monotonic()
    if known is not None and len(model.states) > _LARGE:
        near = followed(0.8, known)
    took = time.monotonic() - began
    if near is None or end - time.monotonic() > _PATIENCE * took:
        diagram, tracked, left = followed(_SEARCH if near is None else 1.0)
        cut = any("time was spent" in line for line in left)
        if known is not None and tracked is None and ends[0] <= here <= ends[1] and cut:
            diagram, tracked, left = near or followed(1.0, known)
            left = [_WANT, *left]
    else:
        diagram, tracked, left = near
        left = [_WANT, *left]
    drift = [line for line in left if line.startswith("drift:")]  # what there is, and nothing left undone
    left = [line for line in left if line not in drift]
    own = {} if tracked is None else _own_changes(diagram, name, here, kind, *tracked)
    return Scan(
        param=name, low=ends[0], high=ends[1], here=here, diagram=diagram, tracked=tracked is not None,
        changes=_changes(diagram, name, here, own), side_by_side=_side_by_side(model, diagram),
        left=tuple(left), notes=(*drift, *json.loads(diagram.attrs["notes"])),
    )  # fmt: skip


def _rows(diagram: xr.Dataset, branch: int) -> NDArray[np.int64]:
    return np.flatnonzero(diagram["branch"].values == branch)


def _branch_of(
    diagram: xr.Dataset, name: str, here: float, point: Mapping[str, float]
) -> tuple[NDArray[np.int64], int] | None:
    """The rows of the branch that passes through the point, and the position after which it does."""
    target = np.array(list(point.values()))
    best: tuple[float, NDArray[np.int64], int] | None = None
    for branch in range(diagram.sizes["followed"]):
        rows = _rows(diagram, branch)
        q = diagram[name].values[rows]
        states = np.array([diagram[n].values[rows] for n in point])
        for j in np.flatnonzero((q[:-1] - here) * (q[1:] - here) <= 0):
            share = 0.5 if q[j] == q[j + 1] else (here - q[j]) / (q[j + 1] - q[j])
            x = states[:, j] + share * (states[:, j + 1] - states[:, j])
            gap = float(np.max(np.abs(x - target) / (1.0 + np.abs(target))))
            if best is None or gap < best[0]:
                best = gap, rows, int(j)
    return None if best is None or best[0] > _FOUND else (best[1], best[2])


def _own_changes(
    diagram: xr.Dataset, name: str, here: float, kind: str, rows: NDArray[np.int64], j: int
) -> dict[float, tuple[str, str]]:
    """Parameter -> kinds before and after, along the branch from the point on in both directions; the first change each.

    The point itself, of a known kind, lies at ``here`` after the row j: a special point may be the very next row.
    """
    span = float(np.ptp(json.loads(diagram.attrs["followed"])[name]))
    at = diagram["special_at"].values
    q, kinds = diagram[name].values[rows], diagram["kind"].values[rows]
    special = np.array([bool((np.abs(at - v) <= 1e-12 * span).any()) for v in q])
    out: dict[float, tuple[str, str]] = {}
    for direction, begin in ((1, j + 1), (-1, j)):
        last, before = here, kind  # the last point that is no special one
        passed: float | None = None
        for k in range(begin, len(rows) if direction > 0 else -1, direction):
            if special[k]:
                passed = float(q[k])
                continue
            after = str(kinds[k])
            if passed is not None:
                turns = (last - passed) * (q[k] - passed) > 0  # a fold: on the other side it does not exist
                if turns or _calm(before) != _calm(after):
                    sides = (before, GONE if turns else after)
                    out[passed] = sides if last < passed else (sides[1], sides[0])
                    break
            last, before, passed = float(q[k]), after, None
    return out


def _calm(kind: str) -> bool:
    return kind.startswith("stable")


def _changes(diagram: xr.Dataset, name: str, here: float, own: Mapping[float, tuple[str, str]]) -> tuple[Change, ...]:
    low, high = json.loads(diagram.attrs["followed"])[name]
    states = [str(s) for s in diagram["state"].values]
    says = {int(h): str(s) for h, s in zip(diagram["family_hopf"].values, diagram["family_says"].values, strict=True)}
    groups: list[list[int]] = []
    for i in range(diagram.sizes["special"]):
        at, kind = float(diagram["special_at"].values[i]), str(diagram["special_kind"].values[i])
        for group in groups:
            same = abs(float(diagram["special_at"].values[group[0]]) - at) <= _SAME * (high - low)
            if same and str(diagram["special_kind"].values[group[0]]) == kind:
                group.append(i)
                break
        else:
            groups.append([i])
    out = []
    for group in groups:
        i = group[0]
        at, kind = float(diagram["special_at"].values[i]), str(diagram["special_kind"].values[i])
        near = [v for v in own if abs(v - at) <= _SAME * (high - low)]
        below, above = own[near[0]] if near else ("", "")
        omega = float(diagram["special_omega"].values[i])
        out.append(
            Change(
                param=name, at=at, here=here, kind=kind, meaning=_MEANINGS.get(kind, "saddle"),
                copies=len(group),
                state=dict(zip(states, diagram["special_state"].values[i].tolist(), strict=True)),
                joint=bool(near), below=below, above=above, omega=omega if math.isfinite(omega) else None,
                criticality=str(diagram["special_criticality"].values[i]),
                says=next((says[k] for k in group if k in says), ""),
            )
        )  # fmt: skip
    return tuple(sorted(out, key=lambda c: c.at))


def _side_by_side(model: Model, diagram: xr.Dataset) -> tuple[tuple[float, float, float], ...]:
    if model.potential is None or not 0 < diagram.sizes["followed"] <= _MOST_BRANCHES:
        return ()
    pairs = coexistence(model, diagram)
    found: list[tuple[float, float, float]] = []
    for i in range(pairs.sizes["pair"]):
        one = tuple(float(pairs[n].values[i]) for n in ("low", "high", "maxwell"))
        if not any(np.allclose(one, other, rtol=1e-6, equal_nan=True) for other in found):
            found.append((one[0], one[1], one[2]))
    return tuple(found)

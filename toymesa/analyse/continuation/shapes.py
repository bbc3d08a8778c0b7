"""The JSON shapes of ``toymesa follow``, fixed because scripts depend on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import xarray as xr

from toymesa.analyse.continuation.asked import finite


def follow_json(data: xr.Dataset, *, cycles: bool = False) -> dict[str, Any]:
    """The JSON shapes of ``toymesa follow``; with ``cycles`` the limit cycles too, one entry a family."""
    names = list(json.loads(data.attrs["followed"]))
    states = [str(s) for s in data["state"].values]

    def state(row: int) -> dict[str, float | None]:
        return {n: finite(v) for n, v in zip(states, data["special_state"].values[row], strict=True)}

    if len(names) == 2:
        curves = []
        for i in range(data.sizes["followed"]):
            part = data.isel(point=data["curve"].values == i)
            curves.append(
                {
                    "kind": str(data["curve_kind"].values[i]),
                    "param": part[names[0]].values.tolist(),
                    "second": part[names[1]].values.tolist(),
                }
            )
        special = [
            {
                "kind": str(data["special_kind"].values[i]),
                "param": float(data["special_at"].values[i]),
                "second": float(data["special_second"].values[i]),
                "state": state(i),
            }
            for i in range(data.sizes["special"])
        ]
        return {"curves": curves, "special": special}
    branches = []
    for i in range(data.sizes["followed"]):
        part = data.isel(point=data["branch"].values == i)
        branches.append(
            {
                "param": part[names[0]].values.tolist(),
                "states": {n: part[n].values.tolist() for n in states},
                "stable": part["stable"].values.tolist(),
            }
        )
    special = [
        {
            "kind": str(data["special_kind"].values[i]),
            "param": float(data["special_at"].values[i]),
            "state": state(i),
            "omega": finite(float(data["special_omega"].values[i])),
            "criticality": str(data["special_criticality"].values[i]) or None,
        }
        for i in range(data.sizes["special"])
    ]
    out: dict[str, Any] = {"branches": branches, "special": special}
    if cycles:
        out["cycles"] = [_family_json(data, i, states) for i in range(data.sizes["family"])]
    return out


def _family_json(data: xr.Dataset, index: int, states: Sequence[str]) -> dict[str, Any]:
    part = data.isel(cycle=data["cycle_family"].values == index)
    return {
        "param": part["cycle_at"].values.tolist(),
        "period": part["cycle_period"].values.tolist(),
        "low": {n: part["cycle_low"].values[:, j].tolist() for j, n in enumerate(states)},
        "high": {n: part["cycle_high"].values[:, j].tolist() for j, n in enumerate(states)},
        "stable": part["cycle_stable"].values.tolist(),
        "kind": [str(k) for k in part["cycle_kind"].values],
        "ends_in": str(data["family_ends_in"].values[index]),
        "says": str(data["family_says"].values[index]),
    }

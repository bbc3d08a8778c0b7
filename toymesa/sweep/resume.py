"""Continuing a store: what it was made with, whether a plan may go on with it, and what differs if not."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toymesa.errors import StoreError
from toymesa.kernels.cache import cpu
from toymesa.sweep import metadata
from toymesa.sweep import store as stores
from toymesa.sweep.blocks import StoredChunk
from toymesa.sweep.integrity import mend_coordinates, mend_metadata
from toymesa.sweep.method import StoredMethod
from toymesa.sweep.plan import Plan
from toymesa.sweep.provenance import versions

_LOG = logging.getLogger("toymesa")


def stored_spec(path: Path, *, damaged: bool = False) -> dict[str, Any] | None:
    """The spec of a store, None where there is none yet; ``damaged``: from any copy that is left, or None."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    attrs: dict[str, Any] | None
    if damaged:
        root, copy = metadata.copies(path)
        attrs = root or copy
        if attrs is not None:
            metadata.require_version(path, attrs)
    else:
        attrs = metadata.read_attributes(path)
    return None if attrs is None else dict(json.loads(attrs["spec"]))


def kept(path: Path) -> dict[str, Any]:
    """Chunk, seed and method of a store, which a continued sweep keeps; nothing where there is no store yet."""
    found = stored_spec(path, damaged=True)
    if found is None:
        return {}
    return {
        "chunk": StoredChunk(found["chunks"]), "seed": int(found["seed"]), "method": StoredMethod(found["method"]),
    }  # fmt: skip


def blocks_done(path: Path) -> tuple[int, int] | None:
    """How many blocks are done, of how many, where that can be told cheaply, else None."""
    try:
        attrs = metadata.read_attributes(path)
        total = math.prod(next(s for s in metadata.layout_of(attrs) if s.name.endswith("digest")).shape)
        done = sum(1 for f in (path / "status").glob("c.*") if not f.name.endswith(".partial"))
    except (StoreError, OSError):
        return None
    return min(done, total), total


def progress_of(path: Path) -> str:
    """`` with N of M blocks done`` where that can be told cheaply, else nothing."""
    found = blocks_done(path)
    return "" if found is None else " with {} of {} blocks done".format(*found)


def continued(path: Path, made: Plan, extending: bool) -> dict[str, Any]:
    """The attributes of a store that this plan may write into; extends it where that is asked for."""
    attrs = metadata.read_attributes(path)
    if not same_settings(path, attrs, made, extending):
        kept = {k: v for k, v in stores.root_attributes(made).items() if k in ("spec", "layout")}
        metadata.require_metadata(path, attrs)
        attrs = attrs | kept
        stores.extend(path, made, attrs)
    metadata.require_metadata(path, attrs)
    now = versions() | {"cpu": cpu()}
    then = json.loads(attrs["versions"]) | {"cpu": json.loads(attrs["machine"])["cpu"]}
    if now != then:
        changed = ", ".join(f"{k} {then.get(k)} -> {v}" for k, v in now.items() if then.get(k) != v)
        _LOG.warning("the store %s was begun elsewhere (%s): bits may differ", path, changed)
        history = json.loads(attrs.get("resumed_with", "[]"))
        if now not in history:
            attrs = attrs | {"resumed_with": json.dumps([*history, now])}
            metadata.write_attributes(path, attrs)
    stores.grow(path, made)  # an extension that was interrupted
    mend_coordinates(path, made)
    return attrs


def same_settings(path: Path, attrs: Mapping[str, Any], made: Plan, extending: bool) -> bool:
    """Whether a store was made with the settings of the plan; False where the plan only extends it and that is asked for.

    StoreError with what differs for any other plan, which must write nothing there.
    """
    stored = json.loads(attrs["spec"])
    if stored == made.spec:
        return True
    longer = _is_longer(stored, made)
    if extending and longer:
        return False
    hint = "; the axes only have more values: pass extend=True (--extend)" if longer else ""
    lines = "; ".join(differences(stored, made.spec))
    raise StoreError(f"the store {str(path)!r} was made with other settings: {lines}{hint}")


def mend(path: Path, made: Plan, extending: bool = False) -> list[str]:
    """Restore the metadata of a store that is this plan's, or that it extends; returns the files that were damaged."""
    root, copy = metadata.copies(path)
    whole = root or copy
    if whole is not None:
        metadata.require_version(path, whole)
        same_settings(path, whole, made, extending)
    return mend_metadata(path, made)


def _is_longer(stored: dict[str, Any], made: Plan) -> bool:
    """Whether the plan is what is stored with more values at the end of its axes."""
    asked = made.spec
    if any(stored.get(k) != asked[k] for k in asked if k not in ("axes", "models")):
        return False
    if len(stored["axes"]) != len(asked["axes"]) or any(
        asked["models"].get(k) != v for k, v in stored["models"].items()
    ):
        return False
    for old, column in zip(stored["axes"], made.design.columns, strict=True):
        size = made.design.sizes[column.dim]
        if (old["name"], old["dim"]) != (column.label, column.dim) or old["size"] > size:
            return False
        if old["values"] != column.fingerprint(old["size"]):
            return False
    return True


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Keys whose values differ, with both values, as parts of a message; axes and tables key by key."""
    out = []
    for key in [*asked, *(k for k in stored if k not in asked)]:
        a, b = stored.get(key), asked.get(key)
        if a == b:
            continue
        if key == "axes" and a and b:
            out += _axes(a, b)
        elif isinstance(a, Mapping) and isinstance(b, Mapping):
            out += [f"{key} {line}" for line in differences(a, b)]
        else:
            out.append(f"{key}: store has {_short(a)}, asked {_short(b)}")
    return out


def _axes(stored: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[str]:
    a, b = ({axis["name"]: axis for axis in axes} for axes in (stored, asked))
    if list(a) != list(b):
        return [f"axes: store has {', '.join(a)}, asked {', '.join(b)}"]
    out = []
    for name in a:
        if a[name]["size"] != b[name]["size"]:
            out.append(f"axis {name!r}: store has {a[name]['size']} values, asked {b[name]['size']}")
        elif a[name] != b[name]:
            out.append(f"axis {name!r}: other values, {a[name]['size']} as in the store")
    return out


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."

"""What a store says about itself: signed attributes in two copies, and the metadata of its arrays."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toymesa.errors import StoreCorrupt, StoreError
from toymesa.sweep.layout import INTEGRITY, ArraySpec
from toymesa.sweep.plan import OLDEST, SCHEMA

PROVENANCE = f"{INTEGRITY}/provenance.json"


def write_attributes(path: Path, attrs: Mapping[str, Any]) -> None:
    """The root's attributes with a digest of themselves, and the second copy."""
    signed = {k: v for k, v in attrs.items() if k != "digest"}
    signed["digest"] = _signature(signed)
    document = {"attributes": signed, "zarr_format": 3, "node_type": "group"}
    for target, content in ((path / PROVENANCE, signed), (path / "zarr.json", document)):
        target.parent.mkdir(parents=True, exist_ok=True)
        # not at the root: whoever lists the group there would stumble over what a killed process leaves
        temporary = path / INTEGRITY / f"{target.name}.{uuid.uuid4().hex[:8]}.partial"
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
        os.replace(temporary, target)


def _signature(attrs: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(attrs, sort_keys=True).encode(), digest_size=8).hexdigest()


def read_attributes(path: Path, *, oldest: int = SCHEMA) -> dict[str, Any]:
    """The root's attributes, checked. oldest: schema version that will do; to read results an older one does.

    Raises StoreError where there is no store and StoreCorrupt where the file is damaged.
    """
    if not path.exists():
        raise StoreError(f"there is no store {str(path)!r}")
    if not path.is_dir():
        raise StoreError(f"{str(path)!r} is a file, not a store")
    root = path / "zarr.json"
    if not root.exists() and not (path / INTEGRITY).exists():
        names = sorted(p.name for p in path.iterdir())[:3]
        raise StoreError(f"{str(path)!r} is no store: no zarr.json, but {', '.join(names) or 'nothing at all'}")
    attrs = _attributes_of(root)
    if attrs is None:
        raise StoreCorrupt(
            f"{str(root)!r} is damaged or missing: repair it with verify=True, or toymesa sweep --verify"
        )
    require_version(path, attrs, oldest=oldest)
    return attrs


def require_version(path: Path, attrs: Mapping[str, Any], *, oldest: int = SCHEMA) -> None:
    """StoreError for a store that another version of the package made and this one cannot use."""
    version = attrs.get("schema_version")
    if version in range(OLDEST, oldest):
        raise StoreError(
            f"the store {str(path)!r} has schema version {version}; this toymesa writes {SCHEMA}: open_sweep reads it, but "
            "it can be neither continued nor verified"
        )
    if version not in range(OLDEST, SCHEMA + 1):
        raise StoreError(
            f"the store {str(path)!r} has schema version {version}; this toymesa reads {OLDEST} to {SCHEMA}"
        )


def _attributes_of(file: Path) -> dict[str, Any] | None:
    """Signed attributes in a file, None where it is missing or its signature does not fit."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "zarr.json" and (data["node_type"], data["zarr_format"]) != ("group", 3):
            return None
        attrs = data["attributes"] if file.name == "zarr.json" else data
        signed = {k: v for k, v in attrs.items() if k != "digest"}
        return attrs if attrs["digest"] == _signature(signed) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def copies(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The attributes at the root and their second copy, each None where damaged."""
    return _attributes_of(path / "zarr.json"), _attributes_of(path / PROVENANCE)


def metadata_state(path: Path, spec: ArraySpec) -> str:
    """Of an array's ``zarr.json``: "whole", "smaller" (an extension was interrupted) or "damaged"."""
    expected = spec.metadata()
    try:
        found = json.loads((path / spec.name / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "damaged"
    if found == expected:
        return "whole"
    try:
        before = tuple(int(n) for n in found["shape"])
        same = found | {"shape": expected["shape"], "attributes": expected["attributes"]} == expected
        smaller = len(before) == len(spec.shape) and all(0 < a <= b for a, b in zip(before, spec.shape, strict=True))
    except (KeyError, TypeError, ValueError):
        return "damaged"
    return "smaller" if same and smaller and before != spec.shape else "damaged"


def require_metadata(path: Path, attrs: Mapping[str, Any]) -> None:
    """StoreCorrupt where the metadata of an array are damaged or missing."""
    for spec in layout_of(attrs):
        if metadata_state(path, spec) == "damaged":
            raise StoreCorrupt(
                f"'{path / spec.name}/zarr.json' is damaged or missing: repair it with verify=True, or toymesa sweep --verify"
            )


def layout_of(attrs: Mapping[str, Any]) -> list[ArraySpec]:
    """Every array that the store must have."""
    return [ArraySpec.of(d) for d in json.loads(attrs["layout"])]

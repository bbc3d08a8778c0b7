"""Where results come from, as attributes that can be read without this package."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from toymesa.kernels.cache import cpu, installed

_PACKAGES = ("toymesa", "numpy", "scipy", "sympy", "numba", "llvmlite", "xarray", "zarr")


def provenance() -> dict[str, Any]:
    """Versions, machine, source tree, command and time (UTC), as JSON data."""
    return {
        "toymesa_version": versions()["toymesa"],
        "source": json.dumps(source(), sort_keys=True),
        "versions": json.dumps(versions(), sort_keys=True),
        "machine": json.dumps(
            {"cpu": cpu(), "system": platform.platform(), "host": socket.gethostname()}, sort_keys=True
        ),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": json.dumps(sys.argv),
    }


@cache
def versions() -> dict[str, str]:
    """Versions that the bits may depend on."""
    return {"python": platform.python_version(), **{p: installed(p) for p in _PACKAGES}}


@cache
def source() -> dict[str, Any]:
    """Commit and dirty flag of the source tree; None where it is no repository or git is absent."""
    root = Path(__file__).parents[1]
    unknown = {"commit": None, "dirty": None}
    if not (root.parent / ".git").exists():  # an installed package: never report a repository that merely surrounds it
        return unknown
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip())}
    except (OSError, subprocess.SubprocessError):
        return unknown


def _git(root: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=5, env=environment
    )
    return done.stdout

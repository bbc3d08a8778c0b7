"""What it was measured on: processor, load, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.contender import THREADS

PACKAGES = (
    "toymesa", "numpy", "scipy", "sympy", "numba", "llvmlite", "xarray", "heyoka", "numbalsoda", "CyRK", "diffrax", "jax",
    "scikit-sundae", "jitcode", "numexpr",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Distribution -> version, of those that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def processor() -> str:
    """The processor's model, the instruction set that decides the width of a lane, and the cores used."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    pairs = [line.partition(":") for line in lines]
    told = {name.strip(): value.strip() for name, colon, value in pairs if colon}
    wide = next((f.upper() for f in ("avx512f", "avx2", "asimd") if f in told.get("flags", "").split()), "")
    return f"{told.get('model name', platform.processor() or platform.machine())}{', ' + wide if wide else ''}"


def load() -> tuple[float, ...]:
    """Load averages over 1, 5 and 15 minutes, empty where the system has none."""
    return os.getloadavg() if hasattr(os, "getloadavg") else ()


def described(before: tuple[float, ...]) -> dict[str, Any]:
    """Everything about the machine and the software, for the table and for JSON."""
    return {
        "processor": processor(),
        "threads": THREADS,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load at start": [round(x, 2) for x in before],
        "load at end": [round(x, 2) for x in load()],
        "versions": versions(),
    }

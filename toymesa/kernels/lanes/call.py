"""Calling a program from a function that runs both as it stands and compiled by numba."""

from __future__ import annotations

from typing import Any


def call(program: Any, workspace: Any, constants: Any) -> int:
    """Run a program; compiled, ``program`` is its address (:mod:`toymesa.kernels.lanes.compiled`), else an Address."""
    mask: int = program(workspace, constants)
    return mask

"""What is refused before the start: sweeps that cannot be meant, with the number and the override."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from toymesa.errors import DomainError
from toymesa.sweep.plan import Plan

_MOST_CELLS = 1_000_000_000


def refuse_absurd(made: Plan, store: Path | None) -> None:
    """DomainError with the number and the override for a sweep that cannot be meant."""
    size = made.cells * made.bytes_per_cell
    override = "; pass allow_large=True (--allow-large) if you mean it"
    if made.cells > _MOST_CELLS:
        raise DomainError(
            f"the sweep has {made.cells:.3g} cells ({size / 1e9:.3g} GB), more than {_MOST_CELLS:.0e}{override}"
        )
    if store is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
        if size > memory / 2:
            raise DomainError(
                f"the results take {size / 1e9:.3g} GB of memory, over half of {memory / 1e9:.3g} GB: give store=DIR{override}"
            )
        return
    place = next(p for p in (store, *store.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if size > free:
        raise DomainError(
            f"the results may take {size / 1e9:.3g} GB, {free / 1e9:.3g} GB are free in {str(place)!r}{override}"
        )

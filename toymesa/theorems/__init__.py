"""What is exactly known about each model, as vectorized functions of numbers.

One module a model, loaded on first use: ``toymesa.theorems.race.stop(...)``.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from toymesa.errors import did_you_mean

_MODULES = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "arguments"))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"toymesa.theorems.{name}")
    hint = "" if name.startswith("__") else did_you_mean(name, _MODULES)
    raise AttributeError(f"module 'toymesa.theorems' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return list(_MODULES)

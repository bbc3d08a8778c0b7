"""Where generated code lives on disk, and how it is loaded.

Compiled code is as trusted as the account that owns the directory: it is made with mode 0700, is never shared, and is
moved by the environment variable ``TOYMESA_CACHE_DIR``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
import stat
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

_LOG = logging.getLogger("toymesa")


@cache
def _chosen(wanted: str) -> Path:
    place = Path(wanted)
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=place):
            pass
        if os.name == "posix" and stat.S_IMODE(place.stat().st_mode) & 0o022:
            raise PermissionError(f"{place} can be written by others")
    except OSError as error:
        private = Path(tempfile.mkdtemp(prefix="toymesa-"))
        _LOG.warning(
            "the cache directory %s cannot be used (%s); compiling into %s for this process", place, error, private
        )
        return private
    return place


def cache_directory() -> Path:
    """The directory of generated code: ``TOYMESA_CACHE_DIR``, or a private one in the user's cache.

    Falls back to a temporary directory, with one logged warning, where that cannot be written or others could write it.
    """
    wanted = os.environ.get("TOYMESA_CACHE_DIR")
    if not wanted:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        wanted = os.path.join(base, "toymesa")
    return _chosen(wanted)


def installed(package: str) -> str:
    """The version of an installed package, "source" for a tree that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def cpu() -> str:
    """The processor that code is compiled for: this machine's, unless numba was told another."""
    return os.environ.get("NUMBA_CPU_NAME") or _host_cpu()


@cache
def _host_cpu() -> str:
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_name())


@cache
def environment() -> str:
    """Everything that makes compiled code unusable elsewhere."""
    import llvmlite.binding as llvm

    packages = ("toymesa", "numba", "llvmlite", "numpy")
    processor = (_host_cpu(), llvm.get_host_cpu_features().flatten())
    return ";".join([platform.python_version(), *processor, *(f"{p}={installed(p)}" for p in packages)])


def load_source(source: str) -> ModuleType:
    """Import generated source as a module whose name and file follow from its content.

    The file is written once, by rename, so that concurrent processes see it whole or not at all; the module is in
    ``sys.modules`` before it runs, so that numba can find it again when it loads what it compiled.
    """
    digest = hashlib.sha256(f"{environment()}\n{source}".encode()).hexdigest()[:24]
    name = f"_toymesa_gen_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_directory() / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != source:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # pragma: no cover - a .py file always has a loader
        raise ImportError(f"cannot load generated code from {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # The one place that executes generated source: it was printed by kernels.printer from a SymPy tree, with
        # positional names only, and carries no text of a user's.
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a damaged cache entry raises when numba unpickles it
        del sys.modules[name]
        _LOG.warning("compiled code for %s could not be loaded (%s); compiling again", name, error)
        forget(name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return module


def forget(name: str) -> None:
    """Delete what numba compiled for a generated module, also where ``NUMBA_CACHE_DIR`` has moved it."""
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    for place in (cache_directory() / "__pycache__", *([Path(elsewhere)] if elsewhere else [])):
        for pattern in (f"{name}.*.nb[ic]", f"{name}.*.pyc"):
            for path in place.rglob(pattern):
                path.unlink(missing_ok=True)

"""From vector programs to machine code, kept on disk under a name that follows from its content.

llvmlite, the compiler below numba, takes the programs as they are: there is no Python to analyse, which is what compiling
with numba spends its time on.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.kernels.cache import cache_directory, environment

_LOG = logging.getLogger("toymesa")
# the width is for processors that have it; others split a vector of LLVM into several of theirs
_ATTRIBUTES = 'attributes #0 = { nounwind "stackrealign" "prefer-vector-width"="512" "min-legal-vector-width"="512" }'
_FORMAT = 1


_Function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class Address:
    """A compiled program: called with the addresses of its workspace and of its constants, it returns a mask of lanes."""

    def __init__(self, engine: Any, name: str) -> None:
        self._engine = engine  # owns the code
        self.number = int(engine.get_function_address(name))
        self._function = _Function(self.number)

    def __call__(self, workspace: int, constants: int) -> int:
        """Run it."""
        return int(self._function(workspace, constants))


def addresses(programs: Sequence[Address]) -> NDArray[np.int64]:
    """The same programs as compiled code takes them."""
    return np.array([p.number for p in programs], dtype=np.int64)


_built: dict[str, Mapping[str, Address]] = {}
_lock = Lock()


def build(sources: Sequence[tuple[str, str]]) -> Mapping[str, Address]:
    """Compiled functions by name, from pairs of name and source; from memory or disk where they are known."""
    text = "\n\n".join(dict.fromkeys(line for _, s in sources for line in s.split("\n") if line.startswith("declare")))
    bodies = "\n\n".join("\n".join(x for x in s.split("\n") if not x.startswith("declare")) for _, s in sources)
    module = f"{text}\n\n{bodies}\n\n{_ATTRIBUTES}\n"
    digest = hashlib.sha256(f"{_FORMAT};{environment()}\n{module}".encode()).hexdigest()[:24]
    with _lock:
        if digest not in _built:
            engine = _compile(module, cache_directory() / f"_toymesa_lanes_{digest}.o")
            _built[digest] = {name: Address(engine, name) for name, _ in sources}
        return _built[digest]


def _target() -> Any:
    """A target of its own for every engine, which takes it over and frees it with itself."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.Target.from_default_triple()
    return triple.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def _compile(module: str, path: Path) -> Any:
    import llvmlite.binding as llvm

    target = _target()
    kept = _read(path)
    parsed = llvm.parse_assembly(module if kept is None else "")
    parsed.triple = target.triple
    engine = llvm.create_mcjit_compiler(parsed, target)
    if kept is not None:
        engine.add_object_file(llvm.ObjectFileRef.from_data(kept))
    else:
        engine.set_object_cache(lambda _, code: _write(path, code))
    engine.finalize_object()
    return engine


def _read(path: Path) -> bytes | None:
    """Machine code from disk, checked against its own checksum; None where there is none or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) > 4 and zlib.crc32(data[4:]) == int.from_bytes(data[:4], "little"):
        return data[4:]
    _LOG.warning("compiled code in %s is damaged; compiling again", path.name)
    return None


def _write(path: Path, code: bytes) -> None:
    """Written once, by rename, so that concurrent processes see it whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    with os.fdopen(handle, "wb") as file:
        file.write(zlib.crc32(code).to_bytes(4, "little") + code)
    os.replace(temporary, path)

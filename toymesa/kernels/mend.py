"""Compiled kernels on disk that cannot be read any more: taken away before numba stumbles over them.

numba keeps what it compiled of ``toymesa.kernels`` in an index and data files, and raises whatever unpickling raises where
one of them is damaged: a truncated file would cost the whole package. It tells CPUs, versions and sources apart by itself.
(Generated code is mended where it is loaded, in ``kernels.cache``.)
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickletools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_LOG = logging.getLogger("toymesa")
_KERNELS = Path(__file__).parent


def places() -> Iterator[Path]:
    """Where numba may keep compiled kernels: beside them, or where its settings or a read-only package send it."""
    own = f"{_KERNELS.name}_{hashlib.sha1(str(_KERNELS).encode(), usedforsecurity=False).hexdigest()}"
    yield _KERNELS / "__pycache__"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for place in (os.environ.get("NUMBA_CACHE_DIR"), os.path.join(base, "numba")):
        if place:
            yield Path(place) / own


def readable(file: Path) -> bool:
    """Whether a file is whole as a stream of pickle's operations; nothing in it is executed."""
    data = file.read_bytes()
    stream, found = io.BytesIO(data), 0
    try:
        while stream.tell() < len(data):
            for _ in pickletools.genops(stream):
                pass
            found += 1
    except Exception:  # whatever reading garbage raises
        return False
    return found == (2 if file.suffix == ".nbi" else 1)  # an index has its version in front


@cache
def mend_compiled() -> int:
    """Delete unreadable files of compiled kernels, with one logged warning; returns how many."""
    count = 0
    for place in places():
        try:
            bad = [f for f in place.glob("*.nb[ic]") if not readable(f)]
            for file in bad:
                file.unlink(missing_ok=True)
        except OSError as error:  # a cache that cannot be read is not used either
            _LOG.debug("cannot look into %s: %s", place, error)
            continue
        count += len(bad)
        if bad:
            _LOG.warning("%d damaged files of compiled kernels taken away from %s; compiling again", len(bad), place)
    return count

"""One writer a store: an advisory lock on a file, which the system releases when the process ends, however it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from toymesa.errors import StoreError


class Lock:
    """An exclusive lock, held inside a ``with`` block; StoreError names the process that has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Lock:
        store = str(self.path.parent.parent)
        try:
            self.path.parent.mkdir(exist_ok=True)
            file = open(self.path, "a+", encoding="utf-8")  # open for as long as it is locked
        except OSError as error:
            raise StoreError(
                f"the store {store!r} cannot be written: {error.strerror}; open_sweep reads it as it is"
            ) from None
        try:
            _exclusive(file)
        except OSError as error:
            file.seek(0)
            holder = _holder(file.read())
            file.close()
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise StoreError(
                    f"the store {store!r} cannot be locked: {error.strerror}; its file system must know locks"
                ) from None
            raise StoreError(f"the store {store!r} is being written by {holder}; wait for it, or stop it") from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
        with suppress(OSError):  # a full disk: locked it is none the less
            file.truncate(0)
            os.write(file.fileno(), holder.encode())
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _holder(text: str) -> str:
    try:
        data = json.loads(text)
        return f"process {data['pid']} on {data['host']} since {data['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _exclusive(file: IO[str]) -> None:
    """Lock a file without waiting; OSError where another process has it."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

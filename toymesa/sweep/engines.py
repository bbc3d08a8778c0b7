"""Who computes the blocks: threads of this process, processes of this machine, or a Dask cluster.

Each engine hands out futures; ``drive`` keeps a few in flight.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from numpy.typing import NDArray

from toymesa.arguments import whole
from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.sweep.tasks import Job, Report, run_block, run_part

Part = tuple[dict[str, NDArray[Any]], list[str]]
_NAMES = ("threads", "processes")
_GUARD = "worker processes cannot start: a script must call sweep under if __name__ == '__main__':"


class Engine(Protocol):
    """What every engine can do. width: tasks to keep in flight."""

    width: int

    def block(self, number: int) -> Future[Report]:
        """Start one block."""

    def part(self, number: int, low: int, high: int) -> Future[Part]:
        """Start a part of a block, whose results come back."""

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that a worker died."""

    def renew(self) -> None:
        """Make the engine usable after that."""

    def gone(self, error: BaseException) -> bool:
        """Whether an error says that the engine itself is no more."""

    def close(self, *, now: bool) -> None:
        """End it; ``now``: without waiting for what has not begun."""


def engine_of(given: Any, job: Job, workers: int | None) -> Engine:
    """The engine that a user means: None, "threads", "processes", a scheduler's address, or a Dask Client."""
    if workers is not None:
        workers = whole("workers", workers, 1)
    if given is None or given == "threads":
        return _Threads(job, workers or cores())
    if given == "processes":
        return _Processes(job, workers or cores())
    if isinstance(given, str):
        if "://" not in given:
            raise DomainError(
                f"there is no engine {given!r}{did_you_mean(given, _NAMES)}, or tcp://host:port of a scheduler"
            )
        return _Dask(job, _connect(given), own=True)
    if hasattr(given, "get_executor") and hasattr(given, "scheduler_info"):
        if given.status != "running":
            raise ArgumentError(f"the dask Client is {given.status}: make a new one")
        return _Dask(job, given, own=False)
    raise ArgumentError(f"engine must be None, 'threads', 'processes', an address or a dask Client; got {given!r}")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Threads:
    """Threads around kernels that release the interpreter: no server, no port, no copies."""

    def __init__(self, job: Job, workers: int) -> None:
        self.job, self.width = job, 2 * workers  # who is done finds the next block waiting
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="toymesa")

    def block(self, number: int) -> Future[Report]:
        return self._pool.submit(run_block, self.job, number, self._stop.is_set)

    def part(self, number: int, low: int, high: int) -> Future[Part]:
        return self._pool.submit(run_part, self.job, number, low, high, self._stop.is_set)

    def lost(self, error: BaseException) -> bool:
        return False  # a thread does not die without its process

    def renew(self) -> None:
        return

    def gone(self, error: BaseException) -> bool:
        return False

    def close(self, *, now: bool) -> None:
        if now:
            self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=now)


_JOB: Job | None = None  # of a worker process, set once when it starts


def _begin(job: Job) -> None:
    global _JOB
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _JOB = job


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: it would wait for work for ever, for it holds the queue open itself."""
    multiprocessing.connection.wait([parent])
    os._exit(1)  # chunks are written by rename and status last: a process may end anywhere


def _block_here(number: int) -> Report:
    assert _JOB is not None
    return run_block(_JOB, number)


def _part_here(number: int, low: int, high: int) -> Part:
    assert _JOB is not None
    return run_part(_JOB, number, low, high)


class _Processes:
    """Processes of this machine; a pool that broke is made anew."""

    def __init__(self, job: Job, workers: int) -> None:
        self.job, self.workers, self.width = job, workers, 2 * workers
        # a worker that is just importing the user's script again would start workers of its own, and wait for ever
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise ArgumentError(_GUARD)
        try:
            pickle.dumps(job)
        except Exception as error:  # whatever an object raises that cannot be sent
            raise ArgumentError(
                "engine 'processes' sends the sweep to other processes, and a function in it cannot be sent "
                f"({' '.join(str(error).split())}): define it in a module that they can import, or use threads"
            ) from None
        self._pool = self._made()
        try:
            self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise ArgumentError(_GUARD) from None

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(self.job,)
        )

    def block(self, number: int) -> Future[Report]:
        return _submitted(self._pool, _block_here, number)

    def part(self, number: int, low: int, high: int) -> Future[Part]:
        return _submitted(self._pool, _part_here, number, low, high)

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)

    def renew(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._made()

    def gone(self, error: BaseException) -> bool:
        return False

    def close(self, *, now: bool) -> None:
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=not now, cancel_futures=now)
        if now:  # chunks are written by rename and status last: a process may end anywhere
            for p in processes:
                p.terminate()
            for p in processes:
                p.join()


def _submitted(pool: Executor, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Submit; a pool that is broken already gives a future that says so."""
    try:
        return pool.submit(call, *arguments)
    except BrokenProcessPool as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise ArgumentError("a scheduler needs the extra: pip install 'toymesa[distributed]'") from None
    try:
        return Client(address, timeout=5)
    except (OSError, ValueError) as error:
        raise DomainError(f"no scheduler answers at {address!r}: {' '.join(str(error).split())}") from None


def _keep(job: Job) -> Job:
    return job


class _Dask:
    """A Dask cluster: a future a block, workers write their own chunks, lost workers are retried by the scheduler."""

    def __init__(self, job: Job, client: Any, *, own: bool) -> None:
        self.client, self.own = client, own
        # a task, not scattered data: the scheduler can make it again when the worker that held it dies
        self.job = client.submit(_keep, job, pure=False)
        self._pool = client.get_executor(pure=False)
        self.width = max(4, 3 * sum(w["nthreads"] for w in client.scheduler_info(n_workers=-1)["workers"].values()))

    def block(self, number: int) -> Future[Report]:
        future: Future[Report] = self._pool.submit(run_block, self.job, number)
        return future

    def part(self, number: int, low: int, high: int) -> Future[Part]:
        future: Future[Part] = self._pool.submit(run_part, self.job, number, low, high)
        return future

    def lost(self, error: BaseException) -> bool:
        return type(error).__name__ == "KilledWorker"

    def renew(self) -> None:
        return  # the scheduler does

    def gone(self, error: BaseException) -> bool:
        return isinstance(error, CancelledError) or type(error).__name__ == "ClosedClientError"

    def close(self, *, now: bool) -> None:
        if self.client.status == "running":
            self._pool.shutdown(wait=not now)
            del self.job
        if self.own:
            self.client.close()

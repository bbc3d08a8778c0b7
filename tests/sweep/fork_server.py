"""Runs sweeps in processes that are forked from one warm process and signalled at random moments.

Usage: fork_server.py JOBS.json. Each job is {"argv" or "store", ...}; a line of JSON with the outcome is printed for each.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import sweep_models as models

import toymesa as tm

CELLS = {"k": np.linspace(0.5, 3.0, 24), "start_x": np.linspace(0.05, 0.9, 8)}


def run(store, **more):
    return tm.sweep(
        models.LOGISTIC,
        CELLS,
        measure={"x": "x", "own": models.slow},
        t=2.0,
        store=store,
        rng=1,
        chunk=4,
        progress=False,
        **more,
    )


def child(job):
    if "uid" in job:
        os.setuid(job["uid"])
    if "argv" in job:
        from toymesa.cli import main

        return main(job["argv"])
    try:
        if job.get("read"):
            tm.open_sweep(job["store"]).load()
        else:
            run(job["store"], resume=True, workers=job.get("workers", 1))
    except tm.ToymesaError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def main():
    jobs = json.loads(Path(sys.argv[1]).read_text())
    # compiled here, so that the children start at once; nothing here may start the store's event loop
    tm.sweep(models.LOGISTIC, {"k": [1.0]}, measure={"x": "x", "own": models.slow}, t=2.0, progress=False)
    for job in jobs:
        random.seed(job.get("seed", 0))
        before = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                log = os.open(job.get("log", os.devnull), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
                os.dup2(log, 1)
                os.dup2(log, 2)
                code = child(job)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        if "signal" in job:
            if "after" in job:  # blocks that must be done first
                status = Path(job["store"], "status")
                while len(list(status.glob("c.*"))) < job["after"] and time.monotonic() < before + 20:
                    time.sleep(0.005)
            time.sleep(random.uniform(*job.get("delay", (0, 0))))
            os.kill(pid, getattr(signal, job["signal"]))
        _, status = os.waitpid(pid, 0)
        print(
            json.dumps({"status": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - before}), flush=True
        )


if __name__ == "__main__":
    main()

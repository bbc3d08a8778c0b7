"""How far a sweep is, on standard error: a bar with rate and time left that does not count what was done before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Progress = bool | Callable[[int, int], None]
Show = Callable[[int | None], None]


def shown(progress: Progress, total: int) -> Show:
    """A function of the number of cells done; None ends it. The first call says what was done before this run."""
    if callable(progress):
        call = progress

        def forward(done: int | None) -> None:
            if done is not None:
                call(done, total)

        return forward
    if not progress:
        return lambda done: None
    bar: list[Any] = []

    def show(done: int | None) -> None:
        if done is None:
            for b in bar:
                b.close()
        elif not bar:
            from tqdm.auto import tqdm

            quiet = not sys.stderr.isatty()
            # rate and time left count from ``initial``: what an earlier run did takes no time now
            bar.append(
                tqdm(
                    total=total, initial=done, unit="cell", unit_scale=True, file=sys.stderr, leave=False, delay=2,
                    mininterval=30.0 if quiet else 0.2, smoothing=0.05,
                )
            )  # fmt: skip
        else:
            bar[0].update(done - bar[0].n)

    return show

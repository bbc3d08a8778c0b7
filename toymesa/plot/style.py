"""One look for every figure, applied in a context so that a user's own settings stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes

# Okabe and Ito 2008: distinguishable with every common colour vision
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SEQUENTIAL = "cividis"

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "svg.hashsalt": "toymesa",  # the same figure gives the same file
}


@contextmanager
def style() -> Iterator[None]:
    """The house style inside a ``with`` block."""
    with mpl.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=COLORS)}):
        yield


def axes(ax: Axes | None) -> Axes:
    """The axes given, or new ones in a figure of their own that pyplot does not know of."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    with style():
        return Figure(figsize=(6.4, 4.2)).subplots()

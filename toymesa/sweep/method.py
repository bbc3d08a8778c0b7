"""By which method a sweep is solved: decided once for all of its cells."""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.sweep.ensemble import method_of as noise_method
from toymesa.symbolic.model import Model


class StoredMethod(str):
    """The method of a store that is continued: decided when it was begun, and not again."""

    __slots__ = ()


def method_of(wanted: str, models: Sequence[Model], cells: int) -> str:
    """The method that every cell is solved by, which goes to ``solve``, into the store and into its provenance.

    This is the one place where "auto" may become another method because a sweep is large: it is asked once, with the number
    of all cells, because bits must not depend on how the cells are cut into blocks. A continued or extended store keeps the
    method that it was begun with. Today "auto" stays: ``solve`` then chooses for each trajectory by itself. For models with
    noise it becomes the method for noise, where that is the same for all of them.
    """
    if isinstance(wanted, StoredMethod):
        return str(wanted)
    if all(m.noise is None for m in models):
        return wanted
    chosen = {noise_method(m, wanted) for m in models}
    return chosen.pop() if len(chosen) == 1 else wanted

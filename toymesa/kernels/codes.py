"""Numbers that compiled code and its callers agree on; here, so that a caller need not load what is compiled.

Loading a compiled module compiles it where the cache is cold, half a minute for all of them: it is left to the call that
runs one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TSIT5, DOP853, RODAS5P = 0, 1, 2  # adaptive methods
EULER, MILSTEIN, WEAK2 = 0, 1, 2  # stochastic methods
METHODS = {"auto": -1, "tsit5": TSIT5, "dop853": DOP853, "rodas5p": RODAS5P}
ALONE = ("tsit5", "dop853", "rodas5p")  # what steps are counted by where trajectories are solved one at a time
# the same adaptive methods on many trajectories side by side; "lanes" is "auto" there
LANES = {
    "lanes": "auto",
    "taylor-lanes": "taylor",
    "tsit5-lanes": "tsit5",
    "dop853-lanes": "dop853",
    "rodas5p-lanes": "rodas5p",
}
STOCHASTIC = {"euler": EULER, "milstein": MILSTEIN, "weak2": WEAK2}
# codes of toymesa.status, as plain numbers for compiled code
OK, STEP_LIMIT, NONFINITE, BLOW_UP, TOO_SMALL, NOT_STEADY, SINGULAR, OVERFLOW = 1, 2, 3, 4, 5, 6, 9, 10
# what a trajectory reports: time reached, rate norm there, steps by method (a pair of order 5, a method of high order, an
# implicit one), rejected steps; behind these numbers, the state reached
REPORT = 6
POWERS = 8  # coefficients per state of an interpolant: degree 7 is the highest


def key_of(seed: int) -> NDArray[np.uint64]:
    """The key of a seed's random streams: two 32-bit words that numpy's SeedSequence mixes from it."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint32).astype(np.uint64)

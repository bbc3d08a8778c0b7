"""What paths with noise are asked for by: the name of a scheme, and a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# codes of the schemes in compiled code
EULER, MILSTEIN, WEAK2 = 0, 1, 2
STOCHASTIC = {"euler": EULER, "milstein": MILSTEIN, "weak2": WEAK2}


def key_of(seed: int) -> NDArray[np.uint64]:
    """The key of a seed: two 32-bit words that numpy's SeedSequence mixes from it."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint32).astype(np.uint64)

"""What lies where in the workspace of a lane program, and the codes with which a lane asks for attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# rows every program has, one number a lane. Time runs as what has elapsed since the start, so that it always grows.
ELAPSED, END, STEP, ACTIVE, CODE, ACCEPTED, REJECTED, STIFF, ERROR, HELD, NEXT, BEFORE, USED = range(13)
FIXED_ROWS = 13
# constants common to all lanes; the absolute tolerances of the states follow
RTOL, LONGEST, START_TIME, DIRECTION, MOST_STEPS = range(5)
FIXED_SHARED = 5

# why a lane asks for attention; NO_SERIES: Taylor's method is of no use from here
NOTHING, ARRIVED, OUT_OF_STEPS, COLLAPSED, TOO_LARGE, TURNED_STIFF, OUTPUT, STEADY, LOST_PIVOT, NO_SERIES, EVENT = (
    range(11)
)

# what became of the last step of a lane
TAKEN, REFUSED, UNDEFINED = range(3)


@dataclass(frozen=True)
class Layout:
    """Rows of a program for n states and m parameters.

    stages: rates or increments that a step keeps for its interpolant; powers: coefficients a state of the interpolant.
    events: how many functions are watched for zeros.
    """

    n: int
    m: int
    stages: int = 0
    powers: int = 0
    events: int = 0

    @property
    def state(self) -> int:
        """First row of the state."""
        return FIXED_ROWS

    @property
    def rate(self) -> int:
        """First row of the rates at the state."""
        return FIXED_ROWS + self.n

    @property
    def params(self) -> int:
        """First row of the parameters."""
        return FIXED_ROWS + 2 * self.n

    @property
    def before(self) -> int:
        """First row of the state before the last step."""
        return self.params + self.m

    @property
    def read_off(self) -> int:
        """First row of the state read off at an output time."""
        return self.before + self.n

    @property
    def kept(self) -> int:
        """First row of the stages of the last step, stage by stage."""
        return self.read_off + self.n

    @property
    def interpolant(self) -> int:
        """First row of the coefficients of the interpolant, power by power."""
        return self.kept + self.stages * self.n

    @property
    def seen(self) -> int:
        """First row of what was seen in the last step: which events may be zero, a code, which of them are no numbers."""
        return self.interpolant + self.powers * self.n

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.seen + (2 + self.events if self.events else 0)


def aligned(rows: int, lanes: int) -> NDArray[np.float64]:
    """Rows of lanes that begin at a multiple of 64 bytes, as vector loads want it."""
    raw = np.zeros(rows * lanes + 8)
    skip = (-raw.ctypes.data // 8) % 8
    return raw[skip : skip + rows * lanes].reshape(rows, lanes)

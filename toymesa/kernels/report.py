"""What a trajectory reports: how it ended, and the numbers beside it."""

from __future__ import annotations

# codes of toymesa.status, as plain numbers for compiled code
OK, STEP_LIMIT, NONFINITE, BLOW_UP, TOO_SMALL, NOT_STEADY, SINGULAR, OVERFLOW = 1, 2, 3, 4, 5, 6, 9, 10

# time reached, rate norm there, steps by method (a pair of order 5, a method of high order, an implicit one), rejected
# steps; behind these REPORT numbers, the state reached
REPORT = 6

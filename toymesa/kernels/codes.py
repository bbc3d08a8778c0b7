"""Numbers that compiled code and its callers agree on; here, so that a caller need not load what is compiled.

Loading a compiled module compiles it where the cache is cold, half a minute for all of them: it is left to the call that
runs one.
"""

from __future__ import annotations

TSIT5, DOP853, RODAS5P = 0, 1, 2  # adaptive methods
EULER, MILSTEIN, WEAK2 = 0, 1, 2  # stochastic methods
METHODS = {"auto": -1, "tsit5": TSIT5, "dop853": DOP853, "rodas5p": RODAS5P}
STOCHASTIC = {"euler": EULER, "milstein": MILSTEIN, "weak2": WEAK2}
# codes of toymesa.status, as plain numbers for compiled code
OK, STEP_LIMIT, NONFINITE, BLOW_UP, TOO_SMALL, NOT_STEADY, SINGULAR, OVERFLOW = 1, 2, 3, 4, 5, 6, 9, 10
REPORT = 6  # numbers that a trajectory reports before the state it reached (kernels.integrate)
POWERS = 8  # coefficients per state of an interpolant: degree 7 is the highest

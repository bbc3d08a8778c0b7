"""How one trajectory ended: a code beside every numerical answer, and a sentence of advice for each."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Code of one cell of an answer; 0 means that the cell was never run."""

    NOT_RUN = 0
    OK = 1
    STEP_LIMIT = 2
    NONFINITE_RHS = 3
    BLOW_UP = 4
    STEP_TOO_SMALL = 5
    NOT_STEADY = 6
    BAD_PARAM = 7
    INNER_NOT_MINIMUM = 8
    SINGULAR = 9
    OVERFLOW = 10
    WORKER_LOST = 11
    MEASURE_FAILED = 12
    NOT_ESCAPED = 13

    @property
    def label(self) -> str:
        """The name used in datasets and JSON, in lower case: ``"ok"``, ``"blow_up"``, ..."""
        return self.name.lower()

    @property
    def advice(self) -> str:
        """What to do about it, in one sentence."""
        return _ADVICE[self]


_ADVICE: dict[Status, str] = {
    Status.NOT_RUN: "the cell was never run; run or resume the computation",
    Status.OK: "nothing to do",
    Status.STEP_LIMIT: "the step limit was reached: raise max_steps, loosen rtol, or, if stiff, use method='auto' or 'rodas5p'",
    Status.NONFINITE_RHS: "the rate of change is not a finite number there: check the parameters and the start",
    Status.BLOW_UP: "the state grows beyond every bound in finite time: ask for times before it",
    Status.STEP_TOO_SMALL: "the step fell below the spacing of floating-point numbers: the flow may be singular there",
    Status.NOT_STEADY: "no steady state within the time allowed: raise t, or the flow has none",
    Status.BAD_PARAM: "a parameter or start of this cell is outside its domain",
    Status.INNER_NOT_MINIMUM: "the inner optimum is not a minimum of the mesa-objective there: choose other parameters or start",
    Status.SINGULAR: "an algebraic state has no regular solution: the inner optimum is degenerate or absent there",
    Status.OVERFLOW: "a value left the range of floating-point numbers, or a formula its domain: rescale or restrict the inputs",
    Status.WORKER_LOST: "every process that tried this cell died: run the cell alone to see why, and give workers more memory",
    Status.MEASURE_FAILED: "a measure of yours raised an exception there: the sweep's notes have the first message",
    Status.NOT_ESCAPED: "the path was still inside at the last time: raise t, or read the times as censored",
}

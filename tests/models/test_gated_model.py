"""The closed form of the gated model holds exactly where the error at the start is positive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import toymesa as tm

GATED = tm.models.gated
NUMBERS = st.floats(-2.0, 2.0)


@settings(max_examples=40, deadline=None)
@given(w=NUMBERS, m=NUMBERS, d=NUMBERS)
def test_the_form_is_refused_exactly_where_the_error_is_not_positive(w, m, d):
    error = 1 - ((1 - d) * w + d * m)
    assume(abs(error) > 1e-9)
    start = {"w": w, "m": m, "d": d}
    if error > 0:
        exact = tm.solve(GATED, [0.0, 0.3], start=start, method="closed")
        run = tm.solve(GATED, [0.0, 0.3], start=start, method="dop853", rtol=1e-11, atol=1e-13)
        for name in ("w", "m", "d", "error"):
            np.testing.assert_allclose(exact[name].values, run[name].values, rtol=1e-7, atol=1e-9)
    else:
        with pytest.raises(tm.DomainError, match="does not hold"):
            tm.solve(GATED, [0.3], start=start, method="closed")

"""A time limit on symbolic work ends it, and leaves a profiler as it was."""

import cProfile
import pstats
import sys
import time

import pytest
import sympy as sp

from toymesa.symbolic.patience import OutOfTime, within

x = sp.Symbol("x")


def test_the_limit_ends_work_without_end():
    begun = time.monotonic()
    with pytest.raises(OutOfTime), within(0.1):
        while True:
            sp.expand((x + 1) ** 3)
    assert 0.1 <= time.monotonic() - begun < 5
    assert sys.getprofile() is None


def test_a_profiler_goes_on_afterwards():
    profiler = cProfile.Profile()
    profiler.enable()
    with within(10.0):
        sp.expand((x + 1) ** 3)
    sp.cyclotomic_poly(7, x)
    profiler.disable()
    names = {name for _, _, name in pstats.Stats(profiler).stats}
    assert "cyclotomic_poly" in names
    seen = []
    sys.setprofile(lambda *event: seen.append(event[1]))
    before = sys.getprofile()
    with within(10.0):
        pass
    assert sys.getprofile() is before
    sys.setprofile(None)

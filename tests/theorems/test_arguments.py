"""What holds for every theorem function: shapes, single numbers and extreme numbers in one line or as their limits."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from public_functions import FUNCTIONS, arrays, numbers, ordinary

from toymesa.errors import ToymesaError, ToymesaWarning

EXTREME = (0.0, 1e-300, 1e-100, 1e-17, 1e17, 1e100, 1e300, -1e100, np.inf, np.nan)
SLOW = {"coopetition.measured_lifetime", "in_context.best_step", "in_context.loss", "in_context.loss_in_time"}


def flat(found):
    """All numbers of a result."""
    parts = found if isinstance(found, tuple | list) else [found]
    return [x for p in parts for x in (flat(p) if isinstance(p, tuple) else np.ravel(np.asarray(p)))]


def one_line(call):
    """The message of the error that the call must raise."""
    with pytest.raises(ToymesaError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ordinary_arguments_give_numbers(name):
    found = [x for x in flat(FUNCTIONS[name](**ordinary(name))) if not isinstance(x, np.str_)]
    if name != "proxy.stationary_times":  # where the loss only falls
        assert not np.any(np.isnan(np.asarray(found, dtype=complex)))


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if len(arrays(n)) > 1])
def test_shapes_that_do_not_broadcast_are_named(name):
    given, (first, second) = ordinary(name), arrays(name)[:2]
    given |= {first: [given[first]] * 3, second: [given[second]] * 2}
    message = one_line(lambda: FUNCTIONS[name](**given))
    assert f"{first} (3,)" in message
    assert f"{second} (2,)" in message


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if len(arrays(n)) > 1])
def test_shapes_that_broadcast_do(name):
    given, (first, second) = ordinary(name), arrays(name)[:2]
    alone = flat(FUNCTIONS[name](**given))
    given |= {first: np.full((2, 1), given[first]), second: np.full(3, given[second])}
    together = FUNCTIONS[name](**given)
    for part, expected in zip(together if isinstance(together, tuple) else [together], alone, strict=False):
        assert np.shape(part)[:2] == (2, 3)
        if np.asarray(part).dtype.kind in "fi" and np.ndim(part) == 2:
            np.testing.assert_allclose(part, expected, rtol=1e-9)


@pytest.mark.parametrize(("name", "argument"), [(n, a) for n in FUNCTIONS for a in numbers(n)])
def test_an_array_for_a_single_number_is_refused(name, argument):
    given = ordinary(name)
    assert argument in one_line(lambda: FUNCTIONS[name](**(given | {argument: [given[argument]] * 2})))


def with_one(value, extreme, place):
    """The value with the extreme number in the place of one of its entries."""
    if isinstance(value, tuple):
        return tuple(extreme if i == place % len(value) else v for i, v in enumerate(value))
    array = np.array(value, dtype=float)
    array.flat[place % array.size] = extreme
    return array if array.ndim else extreme


@pytest.mark.parametrize("name", FUNCTIONS)
def test_extreme_arguments_give_results_or_one_line(name):
    """Never a warning, never another exception."""
    given, draw = ordinary(name), random.Random(name)
    kinds = (int, float, list, tuple)
    varied = [
        k
        for k, v in given.items()
        if isinstance(v, kinds) and not isinstance(v, bool) and k not in ("order", "samples")
    ]
    cases = [{k: x} for k in varied for x in (EXTREME[::3] if name in SLOW else EXTREME)]
    cases += [{k: draw.choice(EXTREME[:7]) for k in varied if draw.random() < 0.5} for _ in range(6)]
    for case in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ToymesaWarning)
            try:
                FUNCTIONS[name](**given | {k: with_one(given[k], x, draw.randrange(4)) for k, x in case.items()})
            except ToymesaError as error:
                assert "\n" not in str(error)

"""What holds for every theorem function: shapes, single numbers and extreme numbers in one line or as their limits."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from numpy.typing import ArrayLike
from public_functions import FUNCTIONS, arrays, numbers, ordinary

from toymesa import theorems
from toymesa.errors import ArgumentError, DomainError, ToymesaError, ToymesaWarning
from toymesa.theorems.arguments import exponent, vectorized

EXTREME = (0.0, 1e-300, 1e-100, 1e-17, 1e17, 1e100, 1e300, -1e100, np.inf, np.nan)
SLOW = {"coopetition.measured_lifetime", "in_context.best_step", "in_context.loss_in_time", "mechanisms.gated_stop"}


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


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: theorems.depth.course(1.0, target=1e-100, start=1e100), 0.5),  # x' = -2 x^2 beyond the target
        (lambda: theorems.depth.course(1.0, target=1e-100, start=1e100, depth=3.0), 4.0**-0.75),  # x' = -3 x^(7/3)
        (lambda: theorems.depth.course(0.7, target=1e-17, start=1e-3), 1.0 / (1e3 + 1.4)),
        (lambda: theorems.posterior.shares(1e308, bits=[1.0, 2.0], losses=[2.0, 1.0]), [0.0, 1.0]),
        (lambda: theorems.posterior.shares(1e308, bits=[1.0, 1.0], losses=[1e308, 1e308]), [0.5, 0.5]),
        (lambda: theorems.power_split.optimum(1e300, 1e-300, cost=1e-300)[:2], [5e-1, 2.5e-301]),
        (lambda: theorems.power_split.optimum(1e-300, 1e300, cost=1e300)[:2], [1e-300, 1e-300]),
        (lambda: theorems.power_split.interior(1e200, cost=1e308, exponent=3.0), 1e-54 / np.sqrt(3.0)),
        (lambda: theorems.linear_joint.joint_stability(1e200, 1e200, 1e200, -1e200)[2:4], [1e200, 1e200]),
        (lambda: theorems.linear_joint.joint_stability(1e-17, 1e300, -1e-300, 1e-300, eps=2.0)[1:3], [-0.5, -np.sqrt(0.5)]),
        (lambda: theorems.linear_joint.largest_step(1e200, -1e200, 1e200, 1e200), 1e-200),
        (lambda: theorems.linear.momentum_decay(1e308, 0.7), 0.35),
        (lambda: theorems.linear.momentum_decay(0.7, 1e-200), 5e-201),
        (lambda: theorems.proxy.rates(1e200, 0.5), [np.inf, 0.75]),
        (lambda: theorems.proxy.rates(1e-200, 0.5), [1.0, 0.0]),
        (lambda: theorems.coopetition.learned_factor(own=1e100, shared=(1.0, 2.0)), 1e100),
        (lambda: theorems.coopetition.learned_factor(own=0.0, shared=(1e100, 1e100)), 1e-200),
        (lambda: theorems.coopetition.learned_factor(own=1e100, shared=(1e100, 1e100)), 1.0),
        (lambda: theorems.capability.converged(kappa=1e200, w=0.7, target=0.7), [1e200, 0.0]),
        (lambda: theorems.capability.product(0.0, target=1.7e308, start=1.0), 1.0),
        (lambda: theorems.capability.time_to(2e200, target=1e201, start=1e200), np.log(9.0 / 4.0) / 2e201),
        (lambda: theorems.crystallization.moved(1e308, stakes=0.0, rate=2.0), 1.0),
        (lambda: theorems.crystallization.best_follow(training=1e308, deployment=3), 2.0 / 3.0),
        (lambda: theorems.in_context.best_weighted_step([[1e100]], covariance=[[1e-200]], context=1e300), 1.0),
        (lambda: theorems.mechanisms.joint_growth(0.7, diversity=0.7, mechanisms=1e100, lam=0.1, mu=0.2), np.exp(-0.14)),
    ],
)  # fmt: skip
def test_extreme_arguments_give_the_right_numbers(call, expected):
    np.testing.assert_allclose(np.asarray(call(), dtype=float), expected, rtol=1e-10, atol=0.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: theorems.mechanisms.gated_stop(0.3, w=1e300, m=0.7, d=0.7, diversity=0.7),
        lambda: theorems.linear.flow_course(1e100, [[1.0, 2.0], [3.0, -4.0]], [1.0, 1.0]),
        lambda: theorems.depth.course(1.0, target=1e-300, start=1e300, depth=3.0),
    ],
)
def test_where_no_number_follows_the_largest_argument_is_named(call):
    message = one_line(call)
    assert "leaves the range of floating point with" in message
    assert "of size 1e" in message


def test_the_whole_message():
    @vectorized(rows=1)
    def difference(x: ArrayLike, y: ArrayLike, rows: ArrayLike = (0.0,)):
        return (np.asarray(x) * 1e300 - np.asarray(y) * 1e300) * np.sum(rows, axis=-1)

    with pytest.raises(DomainError) as caught:
        difference(1e100, y=1e200)
    assert (
        str(caught.value)
        == "difference leaves the range of floating point with y of size 1e+200; no limit follows there"
    )
    with pytest.raises(ArgumentError) as refused:
        difference([1.0, 2.0], [1.0, 2.0, 3.0])
    assert str(refused.value) == "the shapes of the arguments must broadcast; got x (2,), y (3,)"
    with pytest.raises(ArgumentError, match=r"got x \(2,\), rows \(3, 4\)"):
        difference([1.0, 2.0], 1.0, np.ones((3, 4)))
    assert difference(1e100, 1.0, [1.0]) == np.inf
    with pytest.raises(TypeError):
        difference()


def test_the_unit_is_the_power_of_two_above_the_largest():
    assert exponent(np.array(3.0), np.array(-5.0)) == 3
    assert exponent(np.array([0.0, 1.0]), np.array([0.0, 0.25])).tolist() == [0, 1]

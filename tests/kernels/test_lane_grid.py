"""Formulas over grids: the values of the array route, at every size, on every boundary, and nothing beside them."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.kernels.arrays import array_function
from toymesa.kernels.lanes import grid
from toymesa.kernels.lanes.grid import grid_function

a, b, t = sp.symbols("a b t", real=True)
LOGISTIC = a * b / (b + (a - b) * sp.exp(-2 * a * t))
AS_GIVEN = a * sp.exp(2 * a * t) / (sp.exp(2 * a * t) - 1 + a / b)
FORMULAS = [
    LOGISTIC,
    AS_GIVEN,
    a + (b - a) * sp.exp(-t),
    sp.sqrt(a**2 + b * t**2) / (1 + t**2) ** 3,
    sp.log(1 + a * t) * sp.cos(b * t) - sp.sin(t) ** 2,
    sp.tanh(a * t) + sp.cosh(b * t) * sp.exp(-2 * b * t) + sp.sinh(t / 10),
    sp.Piecewise((sp.exp(a * t), (t < b) & (t > a)), (a * b / t, True)),
    sp.Abs(a - t) * sp.sign(b - t) + sp.tan(a * t),
    sp.atan(a * t) + sp.asinh(b * t),
    t**a,
    (1 + t) ** sp.Rational(1, 3) * t**16 / b**5,
    sp.Integer(2) + 0 * t,
    a / b,
    t,
]


def evaluated(formulas, outer, inner, **how) -> list[np.ndarray]:
    outer, inner = np.atleast_2d(outer), np.atleast_2d(inner)
    out = [np.full((len(outer), inner.shape[1]), np.nan) for _ in formulas]
    grid_function([a, b], [t], formulas)(outer, inner, out, **how)
    return out


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 2.0, (count, 2))


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_the_values_are_those_of_the_array_route_to_a_few_units_in_the_last_place(formula):
    outer, times = rows(7), np.linspace(0.01, 12, 333)
    (found,) = evaluated([formula], outer, times)
    expected = array_function([a, b, t], formula)(outer[:, :1], outer[:, 1:], times)
    scale = np.abs(expected) if not formula.has(sp.cos, sp.tan) else np.maximum(np.abs(expected), 1)
    assert (np.abs(found - expected) <= 16 * np.finfo(float).eps * scale).all()


@pytest.mark.parametrize("formula", [LOGISTIC, AS_GIVEN])
def test_the_values_are_exact_to_a_few_units_in_the_last_place(formula):
    outer, times = rows(4, seed=3), np.linspace(0, 20, 25)
    (found,) = evaluated([formula], outer, times)
    with mp.workdps(40):
        exact = sp.lambdify([a, b, t], formula, "mpmath")
        for row, (x, y) in enumerate(outer):
            for place, when in enumerate(times):
                value = exact(mp.mpf(x), mp.mpf(y), mp.mpf(when))
                assert abs(found[row, place] / value - 1) < 2e-15


SPECIAL = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 1e-300, 1e300, -1e300, 708.0, 746.0, -746.0, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("formula", [f for f in FORMULAS if not f.has(sp.cos, sp.tan)], ids=str)
def test_what_is_no_ordinary_number_is_the_same_as_on_the_array_route(formula):
    outer = np.array([(x, y) for x in SPECIAL[::2] for y in (1.0, 0.5, np.inf, 0.0)])
    (found,) = evaluated([formula], outer, np.array(SPECIAL))
    expected = array_function([a, b, t], formula)(outer[:, :1], outer[:, 1:], np.array(SPECIAL))
    finite = np.isfinite(expected) & (np.abs(expected) > 1e-290)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-14)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])


@given(st.integers(1, 3), st.integers(1, 70), st.integers(0, 7), st.booleans(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_every_size_on_every_boundary_and_not_a_number_beside_it(height, places, shift, streaming, seed):
    rng = np.random.default_rng(seed)
    outer, times = rows(height, seed), rng.uniform(0, 5, places)
    room = np.full((2, height, places + 8 + shift), 7.0)
    views = room[:, :, 3 + shift : 3 + shift + places]
    kept = grid._STREAM
    grid._STREAM = 0 if streaming else kept  # as if the results were many
    try:
        grid_function([a, b], [t], [LOGISTIC, t - a])(outer, times[None], [*views])
    finally:
        grid._STREAM = kept
    alone = np.array([[evaluated([LOGISTIC, t - a], o, [when]) for when in times] for o in outer])[..., 0, 0]
    assert np.array_equal(views, np.moveaxis(alone, 2, 0))  # bit for bit
    views[:] = 7.0
    assert (room == 7.0).all()


def test_blocks_and_threads_leave_no_trace(monkeypatch):
    outer, times = rows(5), np.linspace(0, 9, 1003)
    whole = evaluated([LOGISTIC, AS_GIVEN], outer, times, threads=1)
    for block in (64, 100, 4000):
        monkeypatch.setattr(grid, "_BLOCK", block)
        for threads in (1, 2):
            assert np.array_equal(whole, evaluated([LOGISTIC, AS_GIVEN], outer, times, threads=threads))


def test_large_results_are_streamed_to_the_same_values():
    outer, times = rows(3), np.linspace(0, 9, grid._STREAM // 16 + 5)
    (found,) = evaluated([LOGISTIC], outer, times)
    for cut in (slice(0, 1000), slice(-1000, None)):
        assert np.array_equal(found[:, cut], evaluated([LOGISTIC], outer, times[cut])[0])
    assert not np.isnan(found).any()


def test_several_arguments_along_the_rows():
    columns, times = rows(101).T, np.array([0.0, 1.5])
    out = [np.empty((2, 101))]
    grid_function([t], [a, b], [LOGISTIC])(times[:, None], columns, out)
    np.testing.assert_allclose(out[0].T, array_function([a, b, t], LOGISTIC)(*columns[:, :, None], times), rtol=2e-15)


@pytest.mark.parametrize("formula", [sp.besseli(1, t), sp.LambertW(a), sp.Max(a, t), sp.erf(t), sp.Heaviside(t), t**40])
def test_what_has_no_vector_form_is_left_to_the_array_route(formula):
    assert grid_function([a, b], [t], [formula]) is None


def test_a_symbol_that_is_no_argument_is_named():
    with pytest.raises(tm.ModelError, match="uses 'b', which is not an argument"):
        grid_function([a], [t], [LOGISTIC])


@pytest.mark.parametrize("kind", [np.int64, np.float32, ">f8"])
@pytest.mark.parametrize("places", [3, 40])
def test_numbers_of_other_kinds_are_read_as_what_they_are(kind, places):
    """Programs read memory, in which there are float64 alone."""
    outer, times = np.array([[1, 2], [3, 1]], dtype=kind), np.arange(places).astype(kind)
    for along in (times, times[::-1]):
        (found,), (wanted,) = ([np.empty((2, places))] for _ in range(2))
        grid_function([a, b], [t], [a * t + b])(outer, [along], [found])
        np.testing.assert_array_equal(found, outer[:, :1].astype(float) * along.astype(float) + outer[:, 1:])
        grid_function([], [a, t], [a * t])(np.empty((1, 0)), [3, along], [wanted[:1]])
        np.testing.assert_array_equal(wanted[0], 3.0 * along.astype(float))

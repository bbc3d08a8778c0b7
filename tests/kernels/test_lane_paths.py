"""Paths in lanes: the same streams and steps as one at a time, variates that are normal, lanes that do not touch."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import xarray as xr
from scipy import stats

import toymesa as tm
from toymesa.kernels.codes import key_of
from toymesa.kernels.lanes.build import build
from toymesa.kernels.lanes.emit import Program
from toymesa.kernels.lanes.layout import aligned
from toymesa.kernels.lanes.normals import four_normals, philox, round_keys, squared_radii
from toymesa.kernels.lanes.paths import path_programs
from toymesa.kernels.philox import fill_normals
from toymesa.kernels.philox import philox as one_philox

x, y = sp.symbols("x y", real=True)
k, s = sp.symbols("k s", positive=True)
WELL = tm.Model(name="well", flow={x: x - k * x**3}, start={x: 0.1}, params={k: 1.0, s: 0.5}, noise=sp.Matrix([[s]]))
GEOMETRIC = tm.Model(
    name="geometric", flow={x: k * x}, params={k: 0.5, s: 0.8}, start={x: 1}, noise=sp.Matrix([[s * x]])
)
MIXED = tm.Model(
    name="mixed", flow={x: -x, y: -y}, start={x: 1, y: 1}, params={s: 0.5}, noise=sp.Matrix([[s, s * y], [s * x, s]])
)
TIMED = tm.Model(
    name="timed",
    flow={x: -x * sp.cos(3 * tm.TIME), y: -sp.tanh(y)},
    start={x: 1, y: 1},
    params={s: 0.5},
    noise=sp.Matrix([[s, 0, sp.exp(-tm.TIME)], [0, 2 * s, 0]]),
)
WIDE = tm.Model(
    name="wide", flow={x: -x}, start={x: 1}, params={s: 0.5}, noise=sp.Matrix([[s, s / 2, s / 3, s / 4, s / 5]])
)
# with steps of 1 the state is forgotten: x + 1 (-x) + z is z itself
VARIATES = tm.Model(name="variates", flow={x: -x}, noise=sp.Matrix([[1]]))


def variates(paths: int, count: int, *, seed: int = 7, stream: int = 0) -> np.ndarray:
    """(path, place): the first variates of some streams, as lanes draw them."""
    programs = path_programs(VARIATES, "euler")
    names = np.stack([np.full(paths, stream), np.arange(paths)], axis=1).astype(np.uint64)
    out, status = np.empty((paths, count, 1)), np.empty(paths, np.int64)
    programs.run(
        np.arange(1.0, count + 1), 1.0, np.zeros((paths, 1)), np.empty((paths, 0)), key_of(seed), names, out, status
    )
    return out[..., 0]


# ---------------------------------------------------------------- variates


def run_program(program: Program, inputs: np.ndarray, outputs: int, constants: np.ndarray) -> np.ndarray:
    """Rows of integers in, rows of integers out, a lane's width at a time."""
    W = aligned(len(inputs) + outputs, program.lanes)
    compiled, found = build([(program.name, program.source())])[program.name], []
    for i in range(0, inputs.shape[1], program.lanes):
        W.view(np.int64)[: len(inputs)] = inputs[:, i : i + program.lanes]
        compiled(W.ctypes.data, constants.ctypes.data)
        found.append(W.view(np.int64)[len(inputs) :].copy())
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("key", [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0xA4093822, 0x299F31D0)])
def test_words_are_those_that_the_published_vectors_check(key):
    p = Program("words", 8)
    keys = [p.as_integer(p.shared(i)) for i in range(20)]
    draw, path, stream = (p.as_integer(p.row(i)) for i in range(3))
    for i, word in enumerate(philox(p, draw, path, stream, keys)):
        p.store(3 + i, p.as_number(word))
    counters = np.random.default_rng(1).integers(0, 2**32, (4, 8), dtype=np.uint64)
    counters[:, 0], counters[:, 1] = 0, 0xFFFFFFFF
    inputs = np.stack([counters[0] | counters[1] << np.uint64(32), counters[2], counters[3]]).view(np.int64)
    words = run_program(p, inputs, 4, np.array(round_keys(key)).view(float)) & 0xFFFFFFFF
    for lane in range(8):
        expected = counters[:, lane].copy()
        one_philox(expected, np.uint64(key[0]), np.uint64(key[1]))
        assert words[:, lane].tolist() == expected.tolist()


def words_of_interest() -> np.ndarray:
    """Words of draws (word, case): all combinations of extreme ones, and random ones."""
    extreme = np.array([0, 3, 0x80000000, 0xFFFFFFFF], np.int64)
    crossed = np.stack(np.meshgrid(*[extreme] * 4)).reshape(4, -1)
    # the largest radius, along an axis: least u and v, all of it in the first pair, no angle
    farthest = np.repeat([[0x3F], [0xFF800000], [0x3F], [0xFF800000]], 8, axis=1)
    return np.concatenate([crossed, farthest, np.random.default_rng(3).integers(0, 2**32, (4, 512))], axis=1)


def exact_variates(words: np.ndarray) -> list[float]:
    half, out = mp.mpf(1) / 2, []
    first, second = (int(words[i]) << 32 | int(words[i + 1]) for i in (0, 2))
    with mp.workdps(30):
        u, v = ((w // 2**38 + 0.5) / 2**26 for w in (first, second))  # their product is rounded, once
        share = ((first // 2**24 % 2**14) * 2**14 + second // 2**24 % 2**14 + half) / 2**28
        total = -2 * mp.log(u * v)
        for word, square in ((first, total * share), (second, total * (1 - share))):
            angle = mp.pi / 2 * ((word // 4 % 2**22 + half) / 2**22 - half)
            along, aside = mp.sqrt(square) * mp.cos(angle) * (-1) ** (word // 2 % 2), mp.sqrt(square) * mp.sin(angle)
            out += [aside, along] if word % 2 else [along, aside]
    return [float(v) for v in out]


def test_variates_of_any_words_to_a_few_units_in_the_last_place():
    words = words_of_interest()
    p = Program("variates", 8)
    for i, z in enumerate(four_normals(p, squared_radii(p, [p.as_integer(p.row(i)) for i in range(4)]))):
        p.store(4 + i, z)
    found = run_program(p, words, 4, np.empty(0)).view(float)
    exact = np.array([exact_variates(w) for w in words.T]).T
    assert np.abs(found / exact - 1).max() < 2e-15
    assert np.abs(found).max() == pytest.approx(8.652, abs=1e-3)  # as far as they reach


def test_the_streams_are_those_of_paths_simulated_one_at_a_time():
    lanes, alone = variates(50, 11, seed=4, stream=3), np.empty((50, 11))
    for i in range(50):
        fill_normals(key_of(4), np.uint64(3), np.uint64(i), np.uint64(0), alone[i])
    np.testing.assert_allclose(lanes, alone, rtol=2e-15)


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    return variates(4096, 2048)


def test_moments_to_the_eighth(many):
    z, n = many.ravel(), many.size
    powers, value = {}, np.ones(n)
    for power in range(1, 9):
        value = value * z
        powers[power] = value.mean()
    for power, mean in powers.items():
        expected = float(sp.factorial2(power - 1)) if power % 2 == 0 else 0.0
        spread = math.sqrt(float(sp.factorial2(2 * power - 1)) - expected**2)
        assert abs(mean - expected) < 4 * spread / math.sqrt(n), power


def test_tails(many):
    z, n = many.ravel(), many.size
    for level in (2.0, 3.0, 4.0, 4.5, 5.0):
        for count in ((z > level).sum(), (z < -level).sum()):
            low, high = stats.poisson.ppf([1e-4, 1 - 1e-4], n * stats.norm.sf(level))
            assert low <= count <= high, level


def test_the_whole_law(many):
    assert stats.kstest(many[:256].ravel(), "norm").pvalue > 1e-3  # along streams
    assert stats.kstest(many[:, :64].ravel(), "norm").pvalue > 1e-3  # across them
    for place in range(4):  # every place in a draw
        assert stats.kstest(many[:1024, place::4][:, :128].ravel(), "norm").pvalue > 1e-3
    cells = np.histogram(stats.norm.cdf(many), 1000, (0, 1))[0]
    assert 1e-3 < stats.chisquare(cells).pvalue < 1 - 1e-3
    radius = (many[:, 0::2] ** 2 + many[:, 1::2] ** 2) / 2  # exponential, also near zero
    small = np.histogram(-np.expm1(-radius), 1000, (0, 1e-3))[0]
    assert 1e-3 < stats.chisquare(small).pvalue < 1 - 1e-3


def test_no_correlation_along_or_across_streams(many):
    many = many[:, :1024]
    bound = 4.5 / math.sqrt(many.size)
    for f in (lambda v: v, np.square, np.abs, np.sign):
        values = f(many) - f(many).mean()
        values /= values.std()
        for lag in (1, 2, 3, 4, 5, 8, 16):
            assert abs((values[:, lag:] * values[:, :-lag]).mean()) < bound * 1.02, ("along", lag)
        for lag in (1, 2, 4, 32):
            assert abs((values[lag:] * values[:-lag]).mean()) < bound * 1.02, ("across", lag)
    # within a draw, where two pairs share a logarithm: no dependence between squares in any pair of places
    squares = many.reshape(-1, 4) ** 2 - 1
    gram = squares.T @ squares / len(squares) / 2
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 4.5 / math.sqrt(len(squares))


def test_other_streams_and_seeds_are_unrelated(many):
    for other in (variates(512, 2048, stream=1), variates(512, 2048, seed=8)):
        assert abs((many[:512] * other).mean()) < 4.5 / math.sqrt(other.size)


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("model", "scheme"),
    [
        (WELL, "milstein"),
        (GEOMETRIC, "euler"),
        (GEOMETRIC, "milstein"),
        (MIXED, "euler"),
        (TIMED, "milstein"),
        (WIDE, "euler"),
    ],
)
def test_lanes_make_the_same_steps_as_one_path_at_a_time(model, scheme):
    asked = {"paths": 40, "step": 0.013, "rng": 3}
    times = [0.0, 0.001, 0.3, 0.7, 1.0]
    lanes = tm.simulate(model, times, method=f"{scheme}-lanes", **asked)
    alone = tm.simulate(model, times, method=scheme, **asked)
    for name in model.state_names:
        np.testing.assert_allclose(lanes[name], alone[name], rtol=1e-12, atol=1e-13)
        assert lanes[name].sel(time=1.0).std() > 0.1
    assert lanes["status"].identical(alone["status"])


@pytest.mark.parametrize("model", [WELL, GEOMETRIC, MIXED, TIMED, WIDE])
def test_a_step_is_the_same_in_the_loop_and_on_its_own(model):
    scheme = "euler-lanes" if model is MIXED else "milstein-lanes"
    asked = {"paths": 5, "step": 1 / 64, "method": scheme, "rng": 2}
    every = tm.simulate(model, np.arange(65) / 64, **asked)  # powers of two: the same steps to the last bit
    some = tm.simulate(model, [5 / 64, 0.5, 1.0], **asked)
    if model is TIMED:  # the time of a step is start + k h, which rounds
        np.testing.assert_allclose(every["x"].sel(time=some.time), some["x"], rtol=1e-13)
    else:
        assert np.array_equal(every["x"].sel(time=some.time), some["x"])


def test_a_path_is_bit_for_bit_the_same_in_any_lane_company_and_thread():
    asked = {"step": 0.01, "rng": 5, "method": "milstein-lanes"}
    alone = tm.simulate(WELL, [0.5, 1.0], paths=1, threads=1, **asked)["x"].values
    for paths, threads in ((2, 1), (33, 1), (1100, 1), (2500, 2)):
        many = tm.simulate(WELL, [0.5, 1.0], paths=paths, threads=threads, **asked)["x"].values
        assert np.array_equal(many[:1], alone)
    programs = path_programs(WELL, "milstein")
    names = np.array([[0, i] for i in (7, 0, 3, 0, 0)], np.uint64)  # the first path in other lanes
    out, status = np.empty((5, 2, 1)), np.empty(5, np.int64)
    programs.run(
        np.array([0.5, 1.0]), 0.01, np.full((5, 1), 0.1), np.tile([1.0, 0.5], (5, 1)), key_of(5), names, out, status
    )
    for row in (1, 3, 4):
        assert np.array_equal(out[row, :, 0], alone[0])


def test_a_path_that_blows_up_disturbs_no_other():
    explosive = tm.Model(name="explosive", flow={x: k * x**3 - x}, params={k: 1.0, s: 0.3}, noise=sp.Matrix([[s]]))
    asked = {"step": 0.05, "rng": 1, "method": "milstein-lanes", "paths": 3}
    sane = tm.simulate(explosive, [1.0, 4.0], params={"k": 1e-3}, **asked)
    rates = xr.DataArray([1e-3, 1e6, 1e300], dims="k")
    mixed = tm.simulate(explosive, [1.0, 4.0], params={"k": rates}, start={"x": 0.5}, **asked)
    assert np.array_equal(
        mixed["x"].isel(k=0), tm.simulate(explosive, [1.0, 4.0], params={"k": 1e-3}, start={"x": 0.5}, **asked)["x"]
    )
    assert (sane["status"] == tm.Status.OK).all()
    assert (mixed["status"].isel(k=0) == tm.Status.OK).all()
    assert (mixed["status"].isel(k=[1, 2]) == tm.Status.OVERFLOW).all()
    assert np.isnan(mixed["x"].isel(k=2)).all()


def test_what_was_reached_before_a_blow_up_is_kept():
    rising = tm.Model(name="rising", flow={x: x**3}, params={s: 0.01}, start={x: 1}, noise=sp.Matrix([[s]]))
    run = tm.simulate(rising, [0.1, 0.2, 5.0, 6.0], paths=3, step=0.01, rng=0, method="milstein-lanes")
    assert np.isfinite(run["x"].isel(time=[0, 1])).all()
    assert np.isnan(run["x"].isel(time=[2, 3])).all()
    assert (run["status"] == tm.Status.OVERFLOW).all()

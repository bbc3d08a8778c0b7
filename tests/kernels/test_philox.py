"""Counter-based random numbers: published test vectors, and what normal variates must satisfy."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy import stats

from toymesa.kernels.codes import key_of
from toymesa.kernels.philox import fill_normals, philox

# the known answers that come with Salmon et al. 2011 (Random123): counter, key, result
VECTORS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_published_vectors(counter, key, expected):
    words = np.array(counter, np.uint64)
    philox(words, np.uint64(key[0]), np.uint64(key[1]))
    assert words.tolist() == expected


def draws(count: int, *, seed: int = 7, stream: int = 0, path: int = 0, first: int = 0) -> np.ndarray:
    out = np.empty(count)
    fill_normals(key_of(seed), np.uint64(stream), np.uint64(path), np.uint64(first), out)
    return out


def test_the_two_pairs_that_share_a_logarithm_are_independent():
    # S = a + b with density S exp(-S/2)/4, w = a/(a + b) uniform: the density of (a, b) is that of two exponentials
    a, b = sp.symbols("a b", positive=True)
    total, share = a + b, a / (a + b)
    jacobian = sp.Matrix([total, share]).jacobian([a, b]).det()
    density = total * sp.exp(-total / 2) / 4 * sp.Abs(sp.simplify(jacobian))
    assert sp.simplify(density - sp.exp(-a / 2) / 2 * sp.exp(-b / 2) / 2) == 0
    u, s = sp.symbols("u s", positive=True)
    # and S = -2 log(u v) has that density: P(S < s) = P(u v > e^(-s/2))
    floor = sp.exp(-s / 2)
    above = sp.integrate(1 - floor / u, (u, floor, 1))
    assert sp.simplify(sp.diff(above, s) - s * sp.exp(-s / 2) / 4) == 0


@pytest.mark.parametrize("draw", [0, 1, 2**32 - 1, 2**32, 2**64 - 1])
def test_variates_follow_from_the_words_of_their_draw(draw):
    key = key_of(5)
    words = np.array([draw & 0xFFFFFFFF, draw >> 32, 9, 4], np.uint64)
    philox(words, key[0], key[1])
    first, second = (int(words[i]) << 32 | int(words[i + 1]) for i in (0, 2))
    half = mp.mpf(1) / 2
    with mp.workdps(40):
        u, v = ((w // 2**38 + half) / 2**26 for w in (first, second))
        share = ((first // 2**24 % 2**14) * 2**14 + second // 2**24 % 2**14 + half) / 2**28
        total, expected = -2 * mp.log(u * v), []
        for word, square in ((first, total * share), (second, total * (1 - share))):
            angle = mp.pi / 2 * ((word // 4 % 2**22 + half) / 2**22 - half)
            along = mp.sqrt(square) * mp.cos(angle) * (-1) ** (word // 2 % 2)
            pair = [along, mp.sqrt(square) * mp.sin(angle)]
            expected += pair[::-1] if word % 2 else pair
    assert draws(4, seed=5, stream=4, path=9, first=draw) == pytest.approx([float(e) for e in expected], rel=1e-15)


def test_normal_variates_are_normal():
    z = draws(1_000_000)
    n = z.size
    assert stats.kstest(z, "norm").pvalue > 1e-3
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = np.sqrt(np.prod(np.arange(2 * power - 1, 0, -2, dtype=float)) - moment**2)
        assert abs((z**power).mean() - moment) < 4 * spread / np.sqrt(n), power
    for level in (3.0, 4.0):  # tails
        expected = 2 * n * stats.norm.sf(level)
        assert abs((np.abs(z) > level).sum() - expected) < 4 * np.sqrt(expected)


def test_no_serial_correlation_within_and_between_streams():
    z = draws(400_000)
    for lag in (1, 2, 3, 10):
        assert abs(np.corrcoef(z[:-lag], z[lag:])[0, 1]) < 4 / np.sqrt(z.size)
        assert abs(np.corrcoef(z[:-lag] ** 2, z[lag:] ** 2)[0, 1]) < 4 / np.sqrt(z.size)
    others = [draws(400_000, path=1), draws(400_000, stream=1), draws(400_000, seed=8)]
    for other in others:
        assert abs(np.corrcoef(z, other)[0, 1]) < 4 / np.sqrt(z.size)


def test_across_streams_the_first_variates_are_normal():
    z = np.array([draws(2, path=i) for i in range(20_000)]).ravel()
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_a_stream_can_be_entered_anywhere():
    assert np.array_equal(draws(10), np.concatenate([draws(4), draws(6, first=1)]))
    assert np.array_equal(draws(2, first=2**40), draws(9, first=2**40)[:2])

"""Counter-based random numbers: published test vectors, and what normal variates must satisfy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from toymesa.kernels.philox import fill_normals, key_of, philox

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
    assert np.array_equal(draws(10), np.concatenate([draws(4), draws(6, first=2)]))
    assert np.array_equal(draws(2, first=2**40), draws(6, first=2**40)[:2])

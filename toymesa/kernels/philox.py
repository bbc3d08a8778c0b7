"""Random numbers by counting: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as
1, 2, 3"), so that a draw depends on its seed, its stream and its place in the stream, and on nothing else.

A stream is named by two 32-bit numbers; its draws are numbered by 64 bits, two normal variates a draw: period 2^65.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64), **_OPTIONS)
def philox(c, k0, k1):
    """Ten rounds on a counter of four 32-bit words (held in 64-bit ones), in place, with the key (k0, k1)."""
    for _ in range(10):
        high = _M0 * c[0]
        low = _M1 * c[2]
        c[0] = (low >> _HALF) ^ c[1] ^ k0
        c[1] = low & _MASK
        c[2] = (high >> _HALF) ^ c[3] ^ k1
        c[3] = high & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.uint64[::1], nb.float64[::1]), **_OPTIONS)
def uniforms(key, stream, path, draw, c, out):
    """Two uniform variates in (0, 1), on the centres of 2^53 equal cells. c: work space of four words."""
    c[0], c[1] = draw & _MASK, draw >> _HALF
    c[2], c[3] = path, stream
    philox(c, key[0], key[1])
    for i in range(2):
        bits = (c[2 * i] << np.uint64(21)) | (c[2 * i + 1] >> np.uint64(11))
        out[i] = (float(bits) + 0.5) * 1.1102230246251565e-16  # 2^-53


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.uint64[::1], nb.float64[::1]), **_OPTIONS)
def normals(key, stream, path, draw, c, out):
    """Two independent normal variates (Box and Muller 1958); they reach 8.6 standard deviations."""
    uniforms(key, stream, path, draw, c, out)
    radius = math.sqrt(-2.0 * math.log(out[0]))
    angle = 2.0 * math.pi * out[1]
    out[0], out[1] = radius * math.cos(angle), radius * math.sin(angle)


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.float64[::1]), **_OPTIONS)
def fill_normals(key, stream, path, first, out):
    """Consecutive normal variates of one stream, from draw number ``first`` on."""
    c, pair = np.empty(4, np.uint64), np.empty(2)
    draw = first
    for i in range(0, out.size, 2):
        normals(key, stream, path, draw, c, pair)
        out[i] = pair[0]
        if i + 1 < out.size:
            out[i + 1] = pair[1]
        draw += np.uint64(1)


def key_of(seed: int) -> NDArray[np.uint64]:
    """The key of a seed: two 32-bit words that numpy's SeedSequence mixes from it."""
    return np.random.SeedSequence(seed).generate_state(2, np.uint32).astype(np.uint64)

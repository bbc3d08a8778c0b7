"""Random numbers by counting: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as
1, 2, 3"), so that a draw depends on its seed, its stream and its place in the stream, and on nothing else.

A stream is named by two 32-bit numbers; its draws are numbered by 64 bits, four normal variates a draw: period 2^66.
``kernels.lanes.normals`` draws the same for many streams side by side.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from toymesa.kernels.mend import mend_compiled

mend_compiled()  # before the first kernel is loaded
_OPTIONS = {"error_model": "numpy", "nogil": True, "cache": True}
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_2_22, _2_26, _2_28 = 0.5**22, 0.5**26, 0.5**28
_LOW14, _LOW22 = np.uint64(2**14 - 1), np.uint64(2**22 - 1)
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


@nb.njit(nb.void(nb.uint64, nb.float64, nb.float64[::1]), **_OPTIONS)
def _pair(word, radius, out):
    """A point of that radius: 22 bits place it within an eighth of a turn of an axis, two choose which of the four."""
    angle = 0.5 * math.pi * ((float((word >> np.uint64(2)) & _LOW22) + 0.5) * _2_22 - 0.5)
    along, aside = radius * math.cos(angle), radius * math.sin(angle)
    if (word >> np.uint64(1)) & np.uint64(1):
        along = -along
    if word & np.uint64(1):
        out[0], out[1] = aside, along
    else:
        out[0], out[1] = along, aside


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.uint64[::1], nb.float64[::1]), **_OPTIONS)
def normals(key, stream, path, draw, c, out):
    """Four independent normal variates (Box and Muller 1958, with one logarithm for two pairs).

    S = -2 log(u v) of two uniform variates is twice a gamma variate of shape 2, so that a third one, w, splits it into
    the squared radii S w and S (1 - w) of two independent pairs. u and v have 26 bits, w has 28, each angle 24, all on
    the centres of their cells: the radius reaches 8.65 standard deviations, and only below 1e-4 of one, where it is with
    probability 5e-9, does its law differ from the exact one.
    """
    c[0], c[1] = draw & _MASK, draw >> _HALF
    c[2], c[3] = path, stream
    philox(c, key[0], key[1])
    first, second = (c[0] << _HALF) | c[1], (c[2] << _HALF) | c[3]
    u = (float(first >> np.uint64(38)) + 0.5) * _2_26
    v = (float(second >> np.uint64(38)) + 0.5) * _2_26
    bits = (((first >> np.uint64(24)) & _LOW14) << np.uint64(14)) | ((second >> np.uint64(24)) & _LOW14)
    w = (float(bits) + 0.5) * _2_28
    total = -2.0 * math.log(u * v)
    _pair(first, math.sqrt(total * w), out[:2])
    _pair(second, math.sqrt(total * (1.0 - w)), out[2:])


@nb.njit(nb.void(nb.uint64[::1], nb.uint64, nb.uint64, nb.uint64, nb.float64[::1]), **_OPTIONS)
def fill_normals(key, stream, path, first, out):
    """Consecutive normal variates of one stream, from draw number ``first`` on."""
    c, four = np.empty(4, np.uint64), np.empty(4)
    draw = first
    for i in range(0, out.size, 4):
        normals(key, stream, path, draw, c, four)
        for k in range(min(4, out.size - i)):
            out[i + k] = four[k]
        draw += np.uint64(1)

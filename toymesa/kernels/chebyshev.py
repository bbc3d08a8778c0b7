"""Functions on [0, 1] by their values at Chebyshev's nodes: coefficients, and what these say about zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
DEGREE = 16
_ORDER = np.arange(DEGREE + 1)
NODES: Array = (1.0 - np.cos(np.pi * _ORDER / DEGREE)) / 2.0
NODES[DEGREE // 2] = 0.5

# values at the nodes -> coefficients, (coefficient, node); the transform is a discrete cosine transform (DCT-I)
_HALVED = np.where(_ORDER % DEGREE == 0, 0.5, 1.0)
FIT: Array = np.cos(np.pi * (np.outer(_ORDER, DEGREE - _ORDER) % (2 * DEGREE)) / DEGREE) * np.outer(_HALVED, _HALVED)
FIT *= 2.0 / DEGREE
FIT[np.abs(FIT) < 1e-15] = 0.0
# a series goes on beyond its last terms as if it were no larger there than MARGIN times the largest of them
LAST, MARGIN = 3, 16.0


@dataclass(frozen=True)
class Shape:
    """What values at the nodes say of functions, a row each.

    defined: all values are finite. size: a bound of the function. nonzero: it has no zero. rough: the degree does not
    resolve it. monotone: it rises, or falls, all the way.
    """

    defined: Bools
    size: Array
    nonzero: Bools
    rough: Bools
    monotone: Bools


def shape(samples: Array) -> Shape:
    """The shape of functions by their values at the nodes, (function, node)."""
    with np.errstate(invalid="ignore", over="ignore"):
        series = _series(samples)
        sizes = np.abs(series)
        rest = _sum(sizes[1:])
        size, tail = sizes[0] + rest, sizes[-LAST:].max(axis=0)
        slopes = np.abs(_derivative(series))
        # the derivative of T_k is up to k^2, and so is what rounding leaves of it
        noise = DEGREE**2 * (MARGIN * tail + 1e-14 * size)
        return Shape(
            defined=np.isfinite(size),
            size=size,
            nonzero=sizes[0] > rest * (1.0 + 1e-12) + MARGIN * tail,
            rough=tail > 1e-10 * size,
            monotone=slopes[0] > _sum(slopes[1:]) + noise,
        )


def _series(samples: Array) -> Array:
    """(function, node) -> (coefficient, function), added up in the same order however many functions there are."""
    half = DEGREE // 2
    low, high = samples[:, : half + 1].T, samples[:, : half - 1 : -1].T
    folded = [np.ascontiguousarray(low + high), np.ascontiguousarray(low - high)]
    folded[0][half] = samples[:, half]
    out = np.empty((DEGREE + 1, samples.shape[0]))
    for odd, count in ((0, half + 1), (1, half)):
        total = np.zeros((DEGREE // 2 + 1 - odd, samples.shape[0]))
        for j in range(count):
            total += FIT[odd::2, j, None] * folded[odd][j]
        out[odd::2] = total
    return out


def _derivative(series: Array) -> Array:
    """Coefficients of the derivative with respect to 2 theta - 1, (coefficient, function)."""
    out = np.zeros((DEGREE + 2, series.shape[1]))
    for k in range(DEGREE, 0, -1):
        out[k - 1] = out[k + 1] + 2.0 * k * series[k]
    out[0] /= 2.0
    return out[:DEGREE]


def _sum(terms: Array) -> Array:
    """Sums over the first axis, added up likewise."""
    total = np.zeros(terms.shape[1])
    for term in terms:
        total += term
    return total

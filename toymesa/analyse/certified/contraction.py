"""What an interval matrix of slopes says about where a zero can be, for many boxes at once, rounded outwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def krawczyk(middle: Array, f_lo: Array, f_hi: Array, j_lo: Array, j_hi: Array, width: Array) -> tuple[Array, Array]:
    """K(X) = m - Y F(m) + (I - Y J(X)) (X - m), rounded outwards; unbounded where J has no useful inverse."""
    m, n = middle.shape
    k_lo, k_hi = np.full((m, n), -np.inf), np.full((m, n), np.inf)
    with np.errstate(all="ignore"):
        center, radius = (j_lo + j_hi) / 2.0, (j_hi - j_lo) / 2.0
        radius += np.abs(center) * 2.0**-51 + 2.0**-1000
    use = np.asarray(np.isfinite(center).all(axis=(1, 2)) & np.isfinite(radius).all(axis=(1, 2)))
    use[use] &= _regular(center[use])
    if use.any():
        y: Array = np.linalg.inv(center[use]).astype(np.float64)
        with np.errstate(all="ignore"):
            k_lo[use], k_hi[use] = _contracted(
                middle[use], f_lo[use], f_hi[use], y, center[use], radius[use], width[use]
            )
    return np.where(np.isnan(k_lo), -np.inf, k_lo), np.where(np.isnan(k_hi), np.inf, k_hi)


def _contracted(
    middle: Array, f_lo: Array, f_hi: Array, y: Array, center: Array, radius: Array, width: Array
) -> tuple[Array, Array]:
    """The Krawczyk operator in midpoint and radius; sums of n terms are off by at most (n + 2) roundings each."""
    n = middle.shape[1]
    unit = (n + 3) * 2.0**-52
    size = np.abs(y)
    half = width * (0.5 + 2.0**-40) + np.abs(middle) * 2.0**-51  # either end's distance from the midpoint, rounded up
    f_mid, f_rad = (f_lo + f_hi) / 2.0, (f_hi - f_lo) / 2.0 + (np.abs(f_lo) + np.abs(f_hi)) * 2.0**-51
    shift = (y @ f_mid[..., None])[..., 0]
    room = (size @ f_rad[..., None])[..., 0] + unit * (size @ (np.abs(f_mid) + f_rad)[..., None])[..., 0]
    left = np.eye(n) - y @ center
    spread = np.abs(left) + size @ radius + unit * (1.0 + size @ (np.abs(center) + radius))
    reach = (spread @ half[..., None])[..., 0] * (1.0 + unit)
    total = (room + reach) * (1.0 + 2.0**-48) + (np.abs(middle) + np.abs(shift)) * 2.0**-50 + 2.0**-1000
    return middle - shift - total, middle - shift + total


def quotient(a_lo: Array, a_hi: Array, b_lo: Array, b_hi: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Hull of {z in [low, high]: a = b z}, all with room for rounding; (inf, -inf) where there is none."""
    one, two, three, four = a_lo / b_lo, a_lo / b_hi, a_hi / b_lo, a_hi / b_hi
    least = np.minimum(np.minimum(one, two), np.minimum(three, four))
    most = np.maximum(np.maximum(one, two), np.maximum(three, four))
    signed = (b_lo > 0.0) | (b_hi < 0.0)
    out_lo, out_hi = np.where(signed, least, low), np.where(signed, most, high)
    # a divisor around zero leaves two rays, whose gap may cut off one side of the interval or all of it
    gap = ~signed & (a_lo > 0.0) | ~signed & (a_hi < 0.0)
    near = np.where(a_lo > 0.0, a_lo, a_hi)
    upper = np.where(a_lo > 0.0, near / b_hi, near / b_lo)  # z >= upper
    lower = np.where(a_lo > 0.0, near / b_lo, near / b_hi)  # or z <= lower
    upper = np.where(np.isnan(upper), np.inf, upper) * (1.0 - 2.0**-50)
    lower = np.where(np.isnan(lower), -np.inf, lower) * (1.0 - 2.0**-50)
    out_hi = np.where(gap & (high < upper), lower, out_hi)
    out_lo = np.where(gap & (low > lower), upper, out_lo)
    bad = np.isnan(out_lo) | np.isnan(out_hi)
    out_lo, out_hi = np.where(bad, low, out_lo), np.where(bad, high, out_hi)
    out_lo, out_hi = np.clip(out_lo, -1e300, 1e300), np.clip(out_hi, -1e300, 1e300)
    return out_lo - np.abs(out_lo) * 2.0**-50, out_hi + np.abs(out_hi) * 2.0**-50


def _regular(matrices: Array) -> NDArray[np.bool_]:
    """Matrices whose inverse is worth having as a preconditioner."""
    if matrices.shape[0] == 0:
        return np.zeros(0, dtype=bool)
    values = np.linalg.svd(matrices, compute_uv=False)
    return np.asarray(values[:, -1] > 1e-13 * values[:, 0])

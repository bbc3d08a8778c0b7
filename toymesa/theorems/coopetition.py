"""What is known about the model ``coopetition``: the lifetime of a transient mechanism, and the rates where training ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from toymesa.errors import DomainError, SolveError
from toymesa.models.coopetition import coopetition
from toymesa.solver import solve
from toymesa.status import Status
from toymesa.theorems.arguments import Array, as_given, nonnegative, pair, real, scalar, vectorized

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_HALF = 0.5  # mechanism 1 is given up when its strength has fallen to this


@vectorized()
def learned_factor(*, own: ArrayLike, shared: tuple[ArrayLike, ArrayLike]) -> Array:
    """The factor a_1 that mechanism 1 has for itself when it has just been learned (coopetition 12.2).

    The root of a^2 (a^2 - a_0^2 + b_0^2)(a^2 - a_0^2 + c_0^2) = 1 above low = max(0, a_0^2 - b_0^2, a_0^2 - c_0^2); exact
    while d is negligible. own : a_0, shared : b_0 and c_0, real. Broadcasts. Numerical: Newton's method in the logarithm
    of a^2 - low, from above, to rounding.
    """
    a0, b0, c0 = np.broadcast_arrays(real("own", own), *(real("shared", s) for s in pair("shared", shared)))
    # a^2 = a_0^2 - m^2 + e^u, m the smallest of the three: the factors are then e^u + x^2 - m^2 for x = a_0, b_0, c_0
    sizes = np.abs(np.stack([a0, b0, c0]))
    least = sizes.min(axis=0)
    gaps = np.log(sizes - least) + np.log(sizes / 2.0 + least / 2.0) + np.log(2.0)
    u = np.zeros(a0.shape)  # every factor is at least 1 there, so the product is too
    for _ in range(100):
        factors = np.logaddexp(u, gaps)
        step = factors.sum(axis=0) / np.exp(u - factors).sum(axis=0)
        u = u - step
        if np.all(np.abs(step) <= 1e-16 * np.maximum(np.abs(u), 1.0)):
            break
    grown = np.sqrt(sizes[0] - least) * np.sqrt(sizes[0] + least)
    return as_given(np.hypot(grown, np.exp(u / 2.0)))


@vectorized()
def lifetime(
    *, competition: ArrayLike, floor: ArrayLike, own: ArrayLike = 0.0, shared: tuple[ArrayLike, ArrayLike] = (0.0, 0.0)
) -> Array:
    r"""Training time for which mechanism 1 lasts once it is learned (coopetition 12.2).

    .. math:: T = \frac{\alpha}{2 m_1^2}\int_0^{a_1}\Bigl[a^5 + \frac{a^2}{\sqrt{\kappa^2 a^2+4}}\Bigr]da,
        \qquad \kappa = b_0^2 - c_0^2

    and alpha/(6 m_1^2) for small starts. competition : alpha >= 0, floor : m_1 >= 0 (inf at 0: mechanism 1 lasts, except
    without competition, where the value is nan). own, shared : starts a_0 and (b_0, c_0). Broadcasts.

    Leading order for strong competition, with mechanism 2 without a floor: weak competition lets mechanism 2 in while
    mechanism 1 is being learned. From small starts the measured lifetime (:func:`measured_lifetime`) is 2 % shorter at
    alpha = 20, 6 to 9 % at 5, 26 % at 1. The integral is exact to rounding.
    """
    alpha, m = nonnegative("competition", competition), nonnegative("floor", floor)
    b0, c0 = (real("shared", s) for s in pair("shared", shared))
    top = np.asarray(learned_factor(own=own, shared=shared))
    kappa = np.asarray((b0 - c0) * (b0 + c0))
    a = top[..., None] * (_NODES + 1.0) / 2.0
    integral = top**6 / 6.0 + (a**2 / np.hypot(kappa[..., None] * a, 2.0)) @ _WEIGHTS * top / 2.0
    safe = np.where(m == 0.0, 1.0, m)
    endless = np.where(alpha == 0.0, np.nan, np.inf)
    return as_given(np.where(m == 0.0, endless, alpha * (integral / 2.0) / safe / safe))


@vectorized()
def measured_lifetime(
    *, competition: float, floor: float, own: float, shared: tuple[float, float], second: float, rtol: float = 1e-9
) -> float:
    """From when mechanism 1 has reached half its strength to when it has fallen below half again, by the full flow.

    second : start d_0 of mechanism 2. competition, floor : positive. Numerical. Raises DomainError if mechanism 1 is
    never learned to half its strength, SolveError if it is not given up within ten times the leading-order lifetime.
    """
    alpha, m = (scalar(n, v, 0.0, low_open=True) for n, v in (("competition", competition), ("floor", floor)))
    a0, d0 = scalar("own", own), scalar("second", second)
    b0, c0 = (scalar("shared", s) for s in pair("shared", shared))
    cap = 10.0 * float(lifetime(competition=alpha, floor=m, own=a0, shared=(b0, c0))) + 1e4
    run = solve(
        coopetition(),
        [cap],
        params={"competition": alpha, "floor_1": m},
        start={"a": a0, "b": b0, "c": c0, "d": d0},
        events={"half": (f"mechanism_1 - {_HALF}", {})},
        rtol=rtol,
        atol=1e-12,
        method="rodas5p",
    )
    times = run["event_half"].values
    if times.size == 0:
        raise DomainError(
            f"mechanism 1 never reaches half its strength from own={own}, shared={shared}, second={second}"
        )
    if times.size < 2:
        raise SolveError(f"mechanism 1 is not given up by t = {cap:g}", status=Status.NOT_STEADY.label, dataset=run)
    return float(times[1] - times[0])


@vectorized()
def approach_rates(
    *, competition: ArrayLike, floor: ArrayLike, shared: tuple[ArrayLike, ArrayLike]
) -> tuple[Array, Array]:
    """The two rates of approach to mechanism 2 alone, at the point of shared factors (b, c) (coopetition 12.1).

    (1/2 + m_1)(c^2 d^2 + b^2 d^2 + b^2 c^2) for its own job and alpha d^2 for giving up mechanism 1, with d = 1/(bc); the
    other two eigenvalues are 0, along the surface of such points. competition : alpha >= 0, floor : m_1 >= 0, shared :
    both nonzero (DomainError otherwise).
    """
    alpha, m = nonnegative("competition", competition), nonnegative("floor", floor)
    alpha, m, b, c = np.broadcast_arrays(alpha, m, *(real("shared", s) for s in pair("shared", shared)))
    if np.any(b * c == 0.0):
        raise DomainError("shared must be two nonzero factors; got 0")
    own = (0.5 + m) * (1.0 / b**2 + 1.0 / c**2 + (b * c) ** 2)
    return as_given(np.asarray(own)), as_given(np.asarray(alpha / b / b / c / c))

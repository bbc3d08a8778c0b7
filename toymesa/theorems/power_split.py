r"""What is exactly known about the split of optimization power (model ``power_split``, derivations ``power_split_11_*``).

P bits of base power, N instances, f(x) bits to find a mesa-optimizer that does x bits on each:

.. math:: x^* = \operatorname{argmax}_{0\le x,\ f(x)\le P}\ U(x), \qquad U(x) = \frac{P-f(x)}{N} + x

Functions with ``cost`` and ``exponent`` are about f(x) = c x^a and exact; :func:`optimum_of` takes any f and is numerical.
*Unstable* means here that a real eigenvalue is positive (a saddle in one dimension). For a concave cost both corners
are stable: the global optimum, and what training reaches from its start, are two answers; these functions say which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.arguments import Array, as_given, positive, real, vectorized

_GRID = 400  # points at which a cost is looked at before its optimum is refined


class Optimum(NamedTuple):
    """x in bits, the power f(x) spent on it, U there, and what limits x: "diversity", "time" or "none" (no mesa)."""

    x: Array
    spent: Array
    value: Array
    limit: NDArray[np.str_]


class Eigenvalues(NamedTuple):
    """Of the flow, at x = 0 (nothing), at f'(x) = N (nan where that is no point inside) and at f(x) = P (all)."""

    nothing: Array
    interior: Array
    all: Array


# ---------------------------------------------------------------- where the optimum is


@vectorized()
def optimum(power: ArrayLike, instances: ArrayLike, *, cost: ArrayLike = 1.0, exponent: ArrayLike = 2.0) -> Optimum:
    r"""The global optimum of U for f = c x^a (power_split 11.1).

    .. math:: x^* = \min\Bigl[\bigl(\tfrac{N}{ca}\bigr)^{1/(a-1)},\ \bigl(\tfrac{P}{c}\bigr)^{1/a}\Bigr]\ (a > 1), \qquad
              x^* \in \{0,\ (P/c)^{1/a}\}\ (a \le 1)

    power, instances : > 0. cost : c > 0. exponent : a > 0. All broadcast. Convex: limited by diversity (interior), or by
    time (all power spent on it). Concave: all if (P/c)^(1/a) > P/N, else nothing; a tie, also N = c for a = 1, counts
    as nothing. Exact.
    """
    p, n, c, a = _case(power, instances, cost, exponent)
    convex = a > 1.0
    corner, inside = _all_spent(p, c, a), np.where(convex, _interior(n, c, np.where(convex, a, 2.0)), np.inf)
    wins = convex | (corner > p / n)
    x = np.where(wins, np.minimum(inside, corner), 0.0)
    timed = wins & (corner <= inside)
    spent = np.where(
        timed, p, np.where(convex, n / np.where(convex, a, 2.0) * inside, 0.0)
    )  # f = x f'/a, f' = N inside
    label = np.where(timed, "time", np.where(wins, "diversity", "none"))
    return Optimum(as_given(x), as_given(spent), as_given((p - spent) / n + x), label[()])


@vectorized()
def interior(instances: ArrayLike, *, cost: ArrayLike = 1.0, exponent: ArrayLike = 2.0) -> Array:
    r"""The stationary point f'(x) = N of U for f = c x^a (power_split 11.1).

    .. math:: x = \bigl(N/(ca)\bigr)^{1/(a-1)}

    instances : N > 0. cost : c > 0. exponent : a > 0, not 1. All broadcast. A maximum for a > 1, where it grows with N;
    for a < 1 a minimum, which separates the starts from which training ends with nothing from those that end with all.
    Exact, whether or not the power suffices for it.
    """
    n, c, a = np.broadcast_arrays(positive("instances", instances), positive("cost", cost), _not_one(exponent))
    return as_given(_interior(n, c, a))


@vectorized()
def time_limit(instances: ArrayLike, *, cost: ArrayLike = 1.0, exponent: ArrayLike = 2.0) -> Array:
    r"""The power below which a convex cost leaves training limited by time, and above which by diversity (power_split 11.1).

    .. math:: P_\times = f(x_{int}) = c\,\bigl(N/(ca)\bigr)^{a/(a-1)} = \frac{N}{a}\, x_{int}

    instances : N > 0. cost : c > 0. exponent : a > 1. All broadcast. Exact.
    """
    n, c = positive("instances", instances), positive("cost", cost)
    a = real("exponent", exponent, 1.0, low_open=True)
    with np.errstate(over="ignore"):
        return as_given(np.asarray(n / a * _interior(*np.broadcast_arrays(n, c, a))))


@vectorized()
def all_or_nothing(instances: ArrayLike, *, cost: ArrayLike = 1.0, exponent: ArrayLike = 0.5) -> Array:
    r"""The power above which a concave cost makes a mesa-optimizer worth everything, and below which nothing
    (power_split 11.1).

    .. math:: P_* = c\,(c/N)^{a/(1-a)}, \qquad f^{-1}(P_*) = P_*/N

    instances : N > 0. cost : c > 0. exponent : 0 < a < 1. All broadcast. More instances lower it. Exact.
    """
    n, c = positive("instances", instances), positive("cost", cost)
    a = real("exponent", exponent, 0.0, 1.0, low_open=True, high_open=True)
    with np.errstate(over="ignore"):
        return as_given(np.asarray(c * np.exp(a / (1.0 - a) * np.log(c / n))))


@vectorized()
def optimum_of(f: Callable[[float], float], power: ArrayLike, instances: ArrayLike) -> Optimum:
    """The global optimum of U for any increasing cost, given as a Python function (numerical).

    f : takes x in bits (a float >= 0) and returns the power it costs; f(0) = 0, increasing, and beyond ``power`` in the
    end. power, instances : > 0; they broadcast. U is looked at on 400 points up to f(x) = P (half of them close to
    0) and refined around the best, so that x is good to about 1e-8 of its size, and an optimum narrower than the points
    can be missed. Raises ArgumentError where f is not callable or gives no number, DomainError where it is not 0 at 0,
    decreases, or never costs the power.
    """
    if not callable(f):
        raise ArgumentError(f"f must be a function of x; got {f!r}")
    p, n = np.broadcast_arrays(positive("power", power), positive("instances", instances))
    if _at(f, 0.0) != 0.0:
        raise DomainError(f"f must be 0 at x = 0; got {_at(f, 0.0):g}")
    found = [_search(f, float(pi), float(ni)) for pi, ni in zip(p.ravel(), n.ravel(), strict=True)]
    x, spent, value, limit = (np.array(column).reshape(p.shape) for column in zip(*found, strict=True))
    return Optimum(as_given(x), as_given(spent), as_given(value), limit[()])


# ---------------------------------------------------------------- what the flow does there


@vectorized()
def eigenvalues(
    power: ArrayLike,
    instances: ArrayLike,
    *,
    cost: ArrayLike = 1.0,
    exponent: ArrayLike = 2.0,
    rate: ArrayLike = 1.0,
) -> Eigenvalues:
    r"""Rates of growth of a small deviation at the three points of rest of the flow, f = c x^a (power_split 11.2).

    .. math:: \sigma_{all} = -\eta P\Bigl(\frac{1}{f'(x_P)} - \frac1N\Bigr), \qquad
              \sigma_{int} = -\eta\,(P - f)\,\frac{a-1}{aN}, \qquad
              \sigma_0 = -\eta\frac PN\ (a<1),\ \ \eta P\bigl(\tfrac1c-\tfrac1N\bigr)\ (a=1),\ \ \infty\ (a>1)

    power, instances, cost, exponent, rate : > 0. All broadcast. At x = 0 the deviation is that of the share of power.
    Stable where negative. Convex: one point is stable, interior or all, and they exchange stability at
    :func:`time_limit`. Concave: both corners are stable where the interior point lies between them. Exact.
    """
    p, n, c, a = _case(power, instances, cost, exponent)
    eta = positive("rate", rate)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        x = _all_spent(p, c, a)
        end = eta * (p / n - x / a)  # 1/f' = x/(a f)
        inside = np.where(a == 1.0, np.nan, _interior(n, c, np.where(a == 1.0, 2.0, a)))
        spent = n / a * inside
        middle = np.where(spent < p, -eta * ((p - spent) * ((a - 1.0) / a) / n), np.nan)
    nothing = np.where(a > 1.0, np.inf, np.where(a < 1.0, -eta * p / n, eta * p * (1.0 / c - 1.0 / n)))
    return Eigenvalues(as_given(nothing), as_given(middle), as_given(end))


# ---------------------------------------------------------------- the pieces


def _case(power: ArrayLike, instances: ArrayLike, cost: ArrayLike, exponent: ArrayLike) -> tuple[Array, ...]:
    return np.broadcast_arrays(
        positive("power", power),
        positive("instances", instances),
        positive("cost", cost),
        positive("exponent", exponent),
    )


def _not_one(exponent: ArrayLike) -> Array:
    a = positive("exponent", exponent)
    if np.any(a == 1.0):
        raise DomainError("exponent must not be 1, where U is linear and has no stationary point; got 1")
    return a


def _interior(n: Array, c: Array, a: Array) -> Array:
    """(N/(ca))^(1/(a-1)), also where it leaves the range of floating-point numbers."""
    return np.exp(_log_ratio(n, c, a) / (a - 1.0))


def _all_spent(p: Array, c: Array, a: Array) -> Array:
    """(P/c)^(1/a)."""
    return np.exp(_log_ratio(p, c, np.ones_like(p)) / a)


def _log_ratio(top: Array, one: Array, two: Array) -> Array:
    """ln(top/(one two)), by logarithms where the product or the ratio is no normal number."""
    bottom = one * two
    ratio = top / np.where(bottom > 0.0, bottom, 1.0)
    normal = (bottom > 1e-300) & (bottom < 1e300) & (ratio > 1e-300) & (ratio < 1e300)
    return np.where(normal, np.log(np.where(normal, ratio, 1.0)), np.log(top) - np.log(one) - np.log(two))


def _at(f: Callable[[float], float], x: float) -> float:
    try:
        y = float(f(x))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"f must return a real number; at x = {x:g} it raised: {error}") from error
    if np.isnan(y):
        raise DomainError(f"f must be a number for every x >= 0; got nan at x = {x:g}")
    return y


def _search(f: Callable[[float], float], power: float, instances: float) -> tuple[float, float, float, str]:
    corner = _corner(f, power)
    grid = np.unique(
        np.concatenate([np.linspace(0.0, corner, _GRID // 2), corner * np.geomspace(1e-12, 1.0, _GRID // 2)])
    )
    spent = np.array([_at(f, float(x)) for x in grid])
    if np.any(np.diff(spent) < 0.0):
        i = int(np.flatnonzero(np.diff(spent) < 0.0)[0])
        raise DomainError(
            f"f must increase with x; got f({grid[i]:g}) = {spent[i]:g} and f({grid[i + 1]:g}) = {spent[i + 1]:g}"
        )
    worth = grid - spent / instances  # U up to the constant P/N
    best = int(np.argmax(worth))
    if 0 < best < grid.size - 1:
        refined = minimize_scalar(
            lambda x: _at(f, x) / instances - x,
            bounds=(grid[best - 1], grid[best + 1]),
            method="bounded",
            options={"xatol": 1e-10 * grid[best]},
        )
        if -refined.fun >= worth[best]:
            x = float(refined.x)
            return x, _at(f, x), power / instances - float(refined.fun), "diversity"
    x, cost = float(grid[best]), float(spent[best])
    limit = "none" if best == 0 else "time" if best == grid.size - 1 else "diversity"
    return x, cost, power / instances + float(worth[best]), limit


def _corner(f: Callable[[float], float], power: float) -> float:
    """The largest x that the power pays for."""
    high = 1.0
    while _at(f, high) < power:
        high *= 2.0
        if high > 1e300:
            raise DomainError(
                f"f must cost more than any power in the end; got {_at(f, high):g} < {power:g} at x = {high:g}"
            )
    low = high / 2.0
    while low > 0.0 and _at(f, low) >= power:
        low, high = low / 2.0, low
    if _at(f, high) == power:
        return high
    return float(brentq(lambda x: _at(f, x) - power, low, high, xtol=1e-300, rtol=9e-16))

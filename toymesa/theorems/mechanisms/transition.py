"""Which states exist beside the joint one: branches, folds, coexistence and unequal priors (mechanisms 1.6 and 1.11).

Perfect mechanisms (f = 1) of equal rate 1. On every branch the reliances take two values, and the fixed points obey
p_r ~ prior_r exp(n g c_r/mu) with c_r = p_r g/lam: a mean-field Potts model whose external field is the simplicity
prior. Every diversity here is proportional to mu. Closed forms are exact; a fold and a coexistence point are the one
root of an increasing function, found by bisection to the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from toymesa.errors import DomainError
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, positive, real, vectorized

_HALVINGS = 64  # of an interval of ln l: enough for the last bit
_SHORT, _SHORTEST, _LONG = 1e-9, 1e-120, 1e9  # log-odds between which roots are looked for


class BranchPoint(NamedTuple):
    """A point on a branch: the diversity at which it exists, and the order parameter x there."""

    diversity: Array
    x: Array


class PolarizedState(NamedTuple):
    """x = p_1 - p_other of a state that favours one mechanism, and its log-odds ln(p_1/p_other)."""

    x: Array
    log_odds: Array


# ---------------------------------------------------------------- equal priors (1.6)


@vectorized()
def branch_shares(x: ArrayLike, *, mechanisms: ArrayLike = 2, favoured: ArrayLike = 1) -> tuple[Array, Array]:
    """Reliance on each of the ``favoured`` (m) mechanisms and on each of the others, (1+(K-m)x)/K and (1-mx)/K.

    x : their difference, in (-1/(K-m), 1/m). Exact; broadcasts.
    """
    x_, k, m = _split(x, mechanisms, favoured)
    return as_given((1.0 + (k - m) * x_) / k), as_given((1.0 - m * x_) / k)


@vectorized()
def bifurcation_branch(
    x: ArrayLike, lam: ArrayLike, mu: ArrayLike, *, mechanisms: ArrayLike = 2, favoured: ArrayLike = 1
) -> Array:
    r"""Diversity at which a fixed point with m mechanisms favoured by x exists (mechanisms 1.6).

    .. math:: n(x) = \frac{\mu\lambda}{x} \ln\frac{1+(K-m)x}{1-mx} \Big/ g(x)^2, \quad
              g(x) = \frac{1}{1 + (1+m(K-m)x^2)/(K\lambda)}

    x : p_favoured - p_other in (-1/(K-m), 1/m), see :func:`branch_shares`; x = 0 is the joint state and gives n_c.
    lam : > 0. mu : >= 0. mechanisms : K >= 2. favoured : m in 1 ... K-1. All broadcast. Exact for equal priors.

    K = 2: a supercritical pitchfork, n(x) increases from n_c with ``|x|``. K >= 3, m = 1: transcritical at x = 0; with
    x > 0 n first falls, down to :func:`fold`. Raises DomainError outside these ranges.
    """
    x_, k, m = _split(x, mechanisms, favoured)
    decay, pressure = positive("lam", lam), nonnegative("mu", mu)
    # ln((1 + (K-m)x)/(1 - mx))/x, K at x = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(x_ == 0.0, k, np.log1p(k * x_ / (1.0 - m * x_)) / x_)
    return as_given(pressure * slope * _decayed(decay, k, m * (k - m) * x_**2))


@vectorized()
def fold(lam: ArrayLike, mu: ArrayLike, *, mechanisms: ArrayLike = 2) -> BranchPoint:
    r"""Where the branch of one favoured mechanism begins, dn/dx = 0 (mechanisms 1.6).

    lam : > 0. mu : >= 0. mechanisms : K >= 2. All broadcast. Below ``diversity`` no state with one mechanism favoured
    exists. K = 2: the pitchfork itself, (n_c, x = 0). K >= 3: x > 0 and ``diversity`` < n_c, so that the transition is
    of first order. Numerical: bisection of a function of x alone, x to about 1e-15 relative.
    """
    decay, pressure, k = _equal(lam, mu, mechanisms)
    log_odds = _root(lambda l: _past_fold(l, decay, k), np.broadcast_shapes(decay.shape, k.shape))
    l = np.where(k == 2.0, 0.0, log_odds)
    return BranchPoint(as_given(_along(l, decay, pressure, k)), as_given(_difference(l, k)))


@vectorized()
def maxwell_point(lam: ArrayLike, mu: ArrayLike, *, mechanisms: ArrayLike = 2) -> BranchPoint:
    r"""Where the joint and the polarized state have the same free energy (mechanisms 1.11, equal priors).

    .. math:: \tfrac n2\,(g(0) - g(x)) = \mu\,\mathrm{KL}(p(x)\,\|\,1/K), \qquad n = n(x)

    lam : > 0. mu : >= 0. mechanisms : K >= 2. All broadcast. Below ``diversity`` the joint state is the global minimum
    of the free energy, above it the one that favours a single mechanism by ``x``. K = 2: (n_c, 0). It lies between
    :func:`fold` and n_c. Numerical as :func:`fold`. As lam grows p_1 tends to (K-1)/K (mean-field Potts model).
    """
    decay, pressure, k = _equal(lam, mu, mechanisms)
    log_odds = _root(lambda l: _past_coexistence(l, decay, k), np.broadcast_shapes(decay.shape, k.shape))
    l = np.where(k == 2.0, 0.0, log_odds)
    return BranchPoint(as_given(_along(l, decay, pressure, k)), as_given(_difference(l, k)))


@vectorized()
def hysteresis_width(lam: ArrayLike, *, mechanisms: ArrayLike = 2) -> Array:
    """Relative width of the hysteresis loop, (n_c - n_fold)/n_c in [0, 1): independent of mu (mechanisms 1.6, 1.11).

    With diversity rising the joint state is left at n_c, with diversity falling the polarized one at the fold.
    lam : > 0. mechanisms : K >= 2; 0 for K = 2. Broadcasts. Numerical as :func:`fold`.
    """
    decay, _, k = _equal(lam, 1.0, mechanisms)
    start = np.asarray(fold(decay, 1.0, mechanisms=k).diversity)
    return as_given(np.maximum(1.0 - start / (k * _decayed(decay, k, np.zeros(()))), 0.0))


@vectorized()
def polarized_state(
    diversity: ArrayLike, lam: ArrayLike, mu: ArrayLike, *, mechanisms: ArrayLike = 2
) -> PolarizedState:
    """The stable state that favours one mechanism at this diversity; nan below the fold (mechanisms 1.6).

    diversity, lam, mu : > 0. mechanisms : K >= 2. All broadcast. The upper branch of :func:`bifurcation_branch`,
    inverted by bisection in the log-odds (up to 1e9), which say how polarized it is where x is 1 to the last bit. The
    fixed point is stable for every K; whether training ends in it is another question.
    """
    n, decay, pressure = positive("diversity", diversity), positive("lam", lam), positive("mu", mu)
    n, decay, pressure, k = np.broadcast_arrays(n, decay, pressure, count("mechanisms", mechanisms))
    begins = _root(lambda l: _past_fold(l, decay, k), k.shape)
    begins = np.where(k == 2.0, 0.0, begins)

    def excess(l: Array) -> Array:
        return np.where(l > begins, np.log(_along(l, decay, pressure, k)) - np.log(n), -1.0)

    l = _root(excess, k.shape, _SHORTEST)
    exists = n >= np.asarray(fold(decay, pressure, mechanisms=k).diversity)
    return PolarizedState(as_given(np.where(exists, _difference(l, k), np.nan)), as_given(np.where(exists, l, np.nan)))


# ---------------------------------------------------------------- two mechanisms of unequal prior (1.11)


@vectorized()
def unequal_branch(x: ArrayLike, lam: ArrayLike, mu: ArrayLike, *, bits: ArrayLike) -> Array:
    r"""Diversity at which two mechanisms of unequal prior rest at p_1 - p_2 = x (mechanisms 1.11).

    .. math:: n(x; h) = \frac{2\mu\lambda}{x}\,(\operatorname{artanh} x - h)\,\Big/\,g(x)^2, \quad
              h = \tfrac{\ln 2}{2}\,\mathrm{bits}, \quad g(x) = \frac{1}{1+(1+x^2)/(2\lambda)}

    x : in (-1, 1). lam : > 0. mu : >= 0. bits : b_2 - b_1, by how many bits mechanism 1 is simpler (either sign). All
    broadcast. nan where no diversity has that state: n would be negative. x = 0 is the limit: n_c for bits = 0, nan
    otherwise. Exact for equal rates.
    """
    x_ = real("x", x, -1.0, 1.0, low_open=True, high_open=True)
    decay, pressure = positive("lam", lam), nonnegative("mu", mu)
    h = _tilt(bits)
    x_, h = np.broadcast_arrays(x_, h)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(x_ == 0.0, np.where(h == 0.0, 2.0, np.nan), 2.0 * (np.arctanh(x_) - h) / x_)
    slope = np.where(slope < 0.0, np.nan, slope)
    return as_given(pressure * slope * _decayed(decay, np.asarray(2.0), x_**2))


@vectorized()
def metastable_onset(lam: ArrayLike, mu: ArrayLike, *, bits: ArrayLike) -> BranchPoint:
    r"""Where the state that favours the less simple of two mechanisms begins to exist, n_f (mechanisms 1.11).

    The minimum of :func:`unequal_branch` on the far side. lam : > 0. mu : >= 0. bits : b_2 - b_1, either sign; ``x``
    has the sign opposite to it. All broadcast. bits = 0 gives (n_c, 0), the cusp. For K = 2 and equal rates. Below
    ``diversity`` the prior decides, whatever the start; above it the start can. Numerical as :func:`fold`.
    """
    decay, pressure, given = np.broadcast_arrays(positive("lam", lam), nonnegative("mu", mu), real("bits", bits))
    h = np.abs(_tilt(given))
    two = np.full(h.shape, 2.0)
    root = _root(lambda l: _past_onset(l, h, decay), h.shape, _SHORTEST)
    l = np.where(h == 0.0, 0.0, root)
    x = _difference(l, two)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(h == 0.0, 2.0, (l + 2.0 * h) / x)
    n = pressure * slope * _decayed(decay, two, x**2)
    return BranchPoint(as_given(n), as_given(-np.sign(given) * x))


@vectorized()
def cusp_onset(lam: ArrayLike, mu: ArrayLike, *, bits: ArrayLike) -> Array:
    r"""First terms of :func:`metastable_onset` for a small difference of priors (mechanisms 1.11).

    .. math:: n_f \approx n_c\,\bigl[1 + 3 B^{1/3} (|h|/2)^{2/3}\bigr], \quad B = \tfrac13 + \tfrac{2}{1+2\lambda}

    The cusp at (h, n) = (0, n_c). Arguments as there; the error is of order ``|h|^(4/3)``.
    """
    decay, pressure, h = positive("lam", lam), nonnegative("mu", mu), np.abs(_tilt(bits))
    b = 1.0 / 3.0 + 2.0 / (1.0 + 2.0 * decay)
    critical = 2.0 * pressure * _decayed(decay, np.asarray(2.0), np.zeros(()))
    return as_given(critical * (1.0 + 3.0 * np.cbrt(b) * np.cbrt(h / 2.0) ** 2))


# ---------------------------------------------------------------- the branch in its log-odds l = ln(p_1/p_other)


def _split(x: ArrayLike, mechanisms: ArrayLike, favoured: ArrayLike) -> tuple[Array, Array, Array]:
    k, m = count("mechanisms", mechanisms), count("favoured", favoured, 1)
    x_, k, m = np.broadcast_arrays(real("x", x), k, m)
    if np.any(m >= k):
        raise DomainError(f"favoured must be fewer than the mechanisms; got {m[m >= k].flat[0]:g}")
    outside = (1.0 + (k - m) * x_ <= 0.0) | (1.0 - m * x_ <= 0.0)
    if np.any(outside):
        raise DomainError(
            f"x must lie in (-1/(K - favoured), 1/favoured), where reliances are positive; got {x_[outside].flat[0]:g}"
        )
    return x_, k, m


def _equal(lam: ArrayLike, mu: ArrayLike, mechanisms: ArrayLike) -> tuple[Array, Array, Array]:
    decay, pressure, k = np.broadcast_arrays(
        positive("lam", lam), nonnegative("mu", mu), count("mechanisms", mechanisms)
    )
    return decay, pressure, k


def _tilt(bits: ArrayLike) -> Array:
    return np.asarray(0.5 * np.log(2.0) * real("bits", bits))


def _decayed(lam: Array, k: Array, spread: Array) -> Array:
    """lam/g^2 for g = 1/(1 + (1 + spread)/(K lam))."""
    with np.errstate(over="ignore"):
        root = np.sqrt(lam) + (1.0 + spread) / (k * np.sqrt(lam))
        return np.asarray(root * root)


def _difference(l: Array, k: Array) -> Array:
    """x = p_1 - p_other at log-odds l >= 0."""
    fall = np.exp(-l)
    return np.asarray(-np.expm1(-l) / (1.0 + (k - 1.0) * fall))


def _along(l: Array, lam: Array, mu: Array, k: Array) -> Array:
    """n at log-odds l >= 0 against each other mechanism."""
    x = _difference(l, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(l == 0.0, k, l / x)
    return np.asarray(mu * slope * _decayed(lam, k, (k - 1.0) * x**2))


def _root(increasing: Callable[[Array], Array], shape: tuple[int, ...], shortest: float = _SHORT) -> Array:
    """The l where a function of l turns positive, by bisection of ln l, for every element at once."""
    low, high = np.full(shape, np.log(shortest)), np.full(shape, np.log(_LONG))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        right = increasing(np.exp(middle)) > 0.0
        low, high = np.where(right, low, middle), np.where(right, middle, high)
    return np.asarray(np.exp(0.5 * (low + high)))


def _past_fold(l: Array, lam: Array, k: Array) -> Array:
    """Sign of dn/dx: (K-1) x^2 (4 - A) - (K lam + 1) A with A = 1 - x (dl/dx)/l."""
    x = _difference(l, k)
    a = 1.0 - _relative_slope(l, k)
    return np.asarray((k - 1.0) * x**2 * (4.0 - a) - (k * lam + 1.0) * a)


def _relative_slope(l: Array, k: Array) -> Array:
    """x (dl/dx)/l = (e^l + K - 2 - (K-1) e^(-l))/(K l); its sign of divergence is all that matters for large l."""
    short = np.minimum(l, 700.0)
    return np.asarray((np.expm1(short) - (k - 1.0) * np.expm1(-short)) / (k * l))


def _past_coexistence(l: Array, lam: Array, k: Array) -> Array:
    """Joint minus polarized free energy in units of mu, at n = n(x): n (g(0) - g(x))/(2 mu) - KL(p(x) | 1/K)."""
    x = _difference(l, k)
    fall = np.exp(-l)
    share = 1.0 / (1.0 + (k - 1.0) * fall)
    # ln(K p_1) - (1 - p_1) l
    divergence = np.log(k * share) - (k - 1.0) * fall * share * l
    gained = l * x * (k - 1.0) / (2.0 * k) * (1.0 + (k - 1.0) * x**2 / (k * lam + 1.0))
    return np.asarray(gained - divergence)


def _past_onset(l: Array, h: Array, lam: Array) -> Array:
    """Sign of dn/d|x| on the far side: x T' - T - H + 4 x^2 (T + H)/(2 lam + 1 + x^2) with T = artanh x = l/2."""
    x = np.tanh(l / 2.0)
    short = np.minimum(l, 700.0)
    # (sinh l - l)/2, by its series where the difference would cancel
    bend = np.where(short < 0.3, short**3 / 12 * (1 + short**2 / 20 * (1 + short**2 / 42 * (1 + short**2 / 72))), 0.0)
    bend = np.where(short < 0.3, bend, (np.sinh(short) - short) / 2.0)
    return np.asarray(bend - h + 4.0 * x**2 * (l / 2.0 + h) / (2.0 * lam + 1.0 + x**2))

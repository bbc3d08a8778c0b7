"""Which mechanism training selects, how fast, and which one it would end in (mechanisms 1.9 and 1.10).

Perfect mechanisms (f = 1), equal contents at the start, reliances that start at the prior.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from toymesa.theorems.arguments import Array, as_given, positive, real, vectorized

_ORDER = 16
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)
_DOUBLINGS = 48  # panels that halve towards the end, where 1/g may be close to its pole


@vectorized()
def selection_score(rate: ArrayLike, bits: ArrayLike) -> Array:
    r"""The score :math:`\log_2 \eta_r - b_r`: one bit is worth a factor two in rate (mechanisms 1.9).

    rate : content rate eta_r > 0. bits : description length b_r, real. Broadcasts; put mechanisms along any axis.

    Exact for any K, diversity, gate rate, decay and pressure: at every time the order of eta_r p_r, and after
    the start that of c_r, is the order of the scores (equal scores stay equal), if all contents start equal and
    below 1 and the reliances at the prior. The order of the reliances p_r themselves may differ.
    """
    return as_given(np.asarray(np.log2(positive("rate", rate)) - real("bits", bits)))


class Decision(NamedTuple):
    """When a mechanism's lead is decided: internal time s, training time t, loss fraction left (``residual``)."""

    internal: Array
    time: Array
    residual: Array


@vectorized()
def decision_time(
    share: ArrayLike,
    *,
    prior_log_odds: ArrayLike,
    rates: tuple[ArrayLike, ArrayLike] = (1.0, 1.0),
    diversity: ArrayLike,
    gate_rate: ArrayLike = 1.0,
    content: ArrayLike = 0.0,
) -> Decision:
    r"""When the mechanism that training selects reaches a share of the reliance; two mechanisms (mechanisms 1.9).

    .. math:: s_\mathrm{dec} = \int_{l_0}^{l} \frac{dl}{\sqrt{2 n \eta_p S\,
        [\mathrm{KL}(\alpha\|p(l)) - \mathrm{KL}(\alpha\|\pi)]}}, \quad S = \eta_1+\eta_2, \; \alpha_1 = \eta_2/S

    share : in (0, 1), the reliance on the mechanism of the higher score that counts as decided.
    prior_log_odds : ln(pi_1/pi_2) = (b_2 - b_1) ln 2, real. rates : eta_1 and eta_2 > 0. diversity, gate_rate : > 0.
    content : c(0) < 1 of both. All broadcast.

    Returns ``Decision(internal, time, residual)``: (0, 0, 1) where the prior already decides; (inf, inf, 0)
    where training converges before the share is reached, or never moves because the scores are equal.

    Exact without decay and pressure (a quadrature of the invariant of mechanisms 1.2; the time is a second one, of
    ds/g). Numerical: composite Gauss-Legendre, relative error about 1e-12.
    """
    p = real("share", share, 0.0, 1.0, low_open=True, high_open=True)
    l0, c0 = real("prior_log_odds", prior_log_odds), real("content", content, high=1.0, high_open=True)
    eta_1, eta_2 = (positive("rates", r) for r in rates)
    n, eta_p = positive("diversity", diversity), positive("gate_rate", gate_rate)
    p, l0, c0, eta_1, eta_2, n, eta_p = np.broadcast_arrays(p, l0, c0, eta_1, eta_2, n, eta_p)
    score = l0 + np.log(eta_1) - np.log(eta_2)
    ahead = score >= 0.0  # label the mechanism of the higher score 1
    eta_1, eta_2 = np.where(ahead, eta_1, eta_2), np.where(ahead, eta_2, eta_1)
    l0 = np.where(ahead, l0, -l0)
    reach = np.log(p) - np.log1p(-p) - l0
    at_once, never = reach <= 0.0, score == 0.0
    path = _Path(l0, np.where(never, 1.0, np.abs(score)), eta_1, eta_2, np.where(at_once, 1.0, reach))
    unit = np.sqrt(n) * np.sqrt(eta_p)
    internal, time, left = path.until_end(unit * (1.0 - c0))
    late = never | (left <= 0.0)
    return Decision(
        as_given(np.where(at_once, 0.0, np.where(late, np.inf, internal / unit))),
        as_given(np.where(at_once, 0.0, np.where(late, np.inf, time))),
        as_given(np.where(at_once, 1.0, np.where(late, 0.0, left**2))),
    )


class _Path:
    """The trajectory of two mechanisms in l = l0 + h, with C = sqrt(n eta_p) c and sigma = sqrt(n eta_p) s.

    The divergence gained is D(h) = eps h + R(h), eps = pi_1 - alpha_1 > 0, and dsigma = dh/sqrt(2 S D). Up to h
    = 1 the variable is theta with h = (2 eps/(pi_1 pi_2)) sinh(theta)^2, in which the integrand is nearly
    constant however small eps is; beyond it h itself.
    """

    def __init__(self, l0: Array, score: Array, eta_1: Array, eta_2: Array, reach: Array) -> None:
        total = eta_1 + eta_2
        self.a, self.b = expit(l0), expit(-l0)
        self.total, self.alpha, self.inverse = total, eta_2 / total, eta_1 / total * eta_2
        # pi_1 - alpha_1, where a difference of two numbers near 1 would be 0
        self.eps = self.a * (eta_1 / total) * -np.expm1(-score)
        self.scale = 2.0 * self.eps / (self.a * self.b)
        self.joint = np.minimum(reach, 1.0)
        self.theta = np.arcsinh(np.sqrt(self.joint / self.scale))
        self.reach = reach

    def until_end(self, room: Array) -> tuple[Array, Array, Array]:
        """sigma at the end; training time; g/g(0) there. ``room`` is sqrt(n eta_p) g(0)."""
        edges = self._edges()
        half = 0.5 * np.diff(edges, axis=-1)[..., None]
        x = 0.5 * (edges[..., 1:] + edges[..., :-1])[..., None] + half * _NODES
        pace, gained, share = self._along(x)
        inside = half * (pace @ _INTEGRATE.T)
        panels = half[..., 0] * (pace @ _WEIGHTS)
        before = np.cumsum(panels, axis=-1)
        sigma = inside + (before - panels)[..., None]
        room_ = room[..., None, None]
        left = 1.0 - self._mean_content(sigma, gained, share) / room_
        with np.errstate(divide="ignore", over="ignore"):
            time = (half[..., 0] * ((pace / np.where(left > 0.0, left, np.inf)) @ _WEIGHTS)).sum(axis=-1) / room
        end = before[..., -1]
        reach = self.reach[..., None, None]
        slope, share = self._state(reach)
        final = self._mean_content(end[..., None, None], reach * slope, share)[..., 0, 0]
        return end, time, 1.0 - final / room

    def _edges(self) -> Array:
        """Panel edges in theta up to h = 1, then in h, each of them refined towards its end."""
        first = _refined(int(np.ceil(self.theta.max(initial=1.0))))
        second = _refined(int(np.ceil((self.reach - self.joint).max(initial=0.0) / 4.0)) + 1)
        later = self.theta[..., None] + (self.reach - self.joint)[..., None] * second[1:]
        return np.concatenate([self.theta[..., None] * first, later], axis=-1)

    def _along(self, x: Array) -> tuple[Array, Array, Array]:
        """dsigma/dx, the divergence gained and p_1 at the nodes x."""
        theta, scale = self.theta[..., None, None], self.scale[..., None, None]
        early = x <= theta
        h_early = scale * np.sinh(np.minimum(x, theta)) ** 2
        h = np.where(early, h_early, self.joint[..., None, None] + (x - theta))
        slope, share = self._state(h)
        dh = np.where(early, 2.0 * np.sqrt(h + scale), 1.0 / np.sqrt(np.where(early, 1.0, h)))
        return dh / np.sqrt(2.0 * self.total[..., None, None] * slope), h * slope, share

    def _state(self, h: Array) -> tuple[Array, Array]:
        """D(h)/h with D = ln(1 + pi_1 (e^h - 1)) - alpha_1 h, without cancellation, and p_1 - alpha_1."""
        a, b, eps = self.a[..., None, None], self.b[..., None, None], self.eps[..., None, None]
        grown = np.expm1(np.minimum(h, 1.0)[..., None] * (0.5 + 0.5 * _NODES))
        near = a * b * ((grown / (1.0 + a[..., None] * grown)) @ _WEIGHTS) * 0.5
        far = np.maximum(h, 1.0)
        with np.errstate(divide="ignore"):
            low = np.where(far < 600.0, np.log1p(a * np.expm1(np.minimum(far, 600.0))), far + np.log(a)) - a * far
        high = b * far + np.log1p(b * np.expm1(-far))
        rest = np.where(h < 1.0, near, np.where(a > 0.5, high, low) / far)
        fall = np.exp(-h)
        return eps + rest, eps - a * b * np.expm1(-h) / (a + b * fall)

    def _mean_content(self, sigma: Array, gained: Array, lead: Array) -> Array:
        total, inverse = self.total[..., None, None], self.inverse[..., None, None]
        return np.asarray(sigma * inverse + lead * np.sqrt(2.0 * total * gained))


def _refined(panels: int) -> Array:
    """Edges of that many equal panels on [0, 1], the last one halved again and again towards 1."""
    equal = np.linspace(0.0, 1.0, max(panels, 1) + 1)
    width = equal[-1] - equal[-2]
    return np.concatenate([equal[:-1], 1.0 - width * 0.5 ** np.arange(1, _DOUBLINGS), [1.0]])


def _integration_matrix() -> Array:
    """Values at the nodes -> integrals from -1 to each node, exact for polynomials of the order."""
    legendre = np.polynomial.legendre
    values = legendre.legvander(_NODES, _ORDER)
    integrals = np.empty((_ORDER, _ORDER))
    integrals[:, 0] = _NODES + 1.0
    for k in range(1, _ORDER):
        integrals[:, k] = (values[:, k + 1] - values[:, k - 1]) / (2 * k + 1)
    return np.asarray(np.linalg.solve(values[:, :_ORDER].T, integrals.T).T)


_INTEGRATE = _integration_matrix()

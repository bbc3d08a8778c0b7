r"""Exact mean first-passage times in one dimension, and Kramers' formula (Gardiner 2009, sections 5.5 and 5.6).

For dx = f dt + b dW (Ito, b the root of the sum of squares over noises) with Phi(x) = \int 2 f/b^2, the scale density is
e^(-Phi) and the speed density 2 e^Phi/b^2; with S the integral of the scale density

.. math:: T(x) = \int_a^b G(x, z)\,\frac{2 e^{\Phi(z)}}{b(z)^2}\,dz, \qquad
          G = \frac{[S(x\wedge z)-S(a)]\,[S(b)-S(x\vee z)]}{S(b)-S(a)}

between two absorbing ends, and G = S(b) - S(x v z) where the lower one reflects. Every term is positive and is summed in
logarithms, so that e^(+-Phi) may be far beyond the range of floating point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq
from scipy.special import logsumexp

from toymesa.arguments import Array, real, scalar
from toymesa.errors import ArgumentError, DomainError, SolveError, named_arguments
from toymesa.kernels.arrays import array_function
from toymesa.solver.inputs import cells
from toymesa.symbolic.model import TIME, Model

ENDS = ("absorbing", "reflecting")
_ORDER = 16
_LEGENDRE = np.polynomial.legendre
_NODES, _WEIGHTS = (v / 2.0 + (0.5 if i == 0 else 0.0) for i, v in enumerate(_LEGENDRE.leggauss(_ORDER)))
# row i integrates the interpolant through the nodes from the left end to node i
_INTEGRATE = np.stack(
    [
        _LEGENDRE.legval(2.0 * _NODES - 1.0, _LEGENDRE.legint(c, lbnd=-1)) / 2.0
        for c in np.linalg.inv(_LEGENDRE.legvander(2.0 * _NODES - 1.0, _ORDER - 1)).T
    ],
    axis=1,
)
_MOST_PANELS = 2**12  # of the coarse mesh
_MOST_KNOTS = 200_000
_FAR = 45.0  # e^-45 of an integral is beyond double precision


@dataclass(frozen=True)
class _Line:
    """Drift and variance rate of a model with one state, as functions of arrays."""

    drift: Callable[[Array], Array]
    variance: Callable[[Array], Array]
    slope: Callable[[Array], Array]

    @staticmethod
    def of(model: Any, params: Any, who: str) -> _Line:
        if not isinstance(model, Model):
            raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
        if len(model.states) != 1 or model.noise is None or not model.autonomous or model.noise.has(TIME):
            raise ArgumentError(f"{who} needs a model with one state, with noise and without explicit time")
        batch = cells(model, None, params, np.random.default_rng(0))
        if batch.dims:
            raise DomainError(f"params must be one number each here; {', '.join(batch.dims)} has several")
        (x,), p = model.states, batch.params[0]
        f, b = next(iter(model.flow.values())), sp.Add(*[e**2 for e in model.noise])
        functions = [array_function([x, *model.params], e) for e in (f, b, sp.diff(2 * f / b, x))]
        return _Line(*(lambda z, g=g: g(z, *p) for g in functions))


@named_arguments
def mean_passage_time(
    model: Model,
    start: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_end: str = "absorbing",
    high_end: str = "absorbing",
    params: Mapping[Any, float] | None = None,
    rtol: float = 1e-10,
) -> Array:
    """Mean time until a one-dimensional model with noise first reaches an absorbing end.

    model : one state, noise that may depend on it (Ito). start : within [low, high]; any shape. low, high : the ends; an
    infinite one is where the drift confines the path (it is then never reached). low_end, high_end : "absorbing" or
    "reflecting" for finite ends; one of the two must absorb. params : name -> number.

    Returns an array of the shape of ``start``. Exact up to a quadrature of relative error ``rtol`` (panels are halved until
    two agree), also where the answer is e^1000 times a relaxation time, up to the largest number. inf where the path runs
    off to an infinite end. Raises DomainError for unusable ends, SolveError if the quadrature does not settle (drift or
    noise singular inside).
    """
    line = _Line.of(model, params, "mean_passage_time")
    a, b = (scalar(n, v, infinite=True) for n, v in (("low", low), ("high", high)))
    kinds = [
        _end(n, k) if math.isfinite(v) else "infinite"
        for n, k, v in (("low_end", low_end, a), ("high_end", high_end, b))
    ]
    if not a < b:
        raise DomainError(f"low must be below high; got {a:g} and {b:g}")
    if "absorbing" not in kinds:
        raise DomainError("one end must be finite and absorbing: otherwise there is nothing to reach")
    x = real("start", start, a, b)
    inner = float(x.min() if x.size else 0.0), float(x.max() if x.size else 0.0)
    if kinds[0] == "infinite":
        a = _confined(line, min(inner[0], b), -1.0)
    if kinds[1] == "infinite":
        b = _confined(line, max(inner[1], a), 1.0)
    if math.isinf(a) or math.isinf(b):
        return np.full(x.shape, math.inf)
    tol = scalar("rtol", rtol, 1e-14, 1.0)
    return _settled(lambda panels: _times(line, x, a, b, kinds, panels), tol)


def _end(name: str, value: Any) -> str:
    if value not in ENDS:
        raise DomainError(f"{name} must be 'absorbing' or 'reflecting'; got {value!r}")
    return str(value)


def _settled(answer: Callable[[int], Array], tol: float) -> Array:
    panels, before = 16, answer(8)
    while panels <= _MOST_PANELS:
        now = answer(panels)
        with np.errstate(invalid="ignore"):
            if np.all((np.abs(now - before) <= tol * np.abs(now)) | (now == before)):  # also inf beyond floating point
                return now
        panels, before = 2 * panels, now
    raise SolveError(
        "the quadrature of the mean passage time does not settle: drift or noise is singular or not finite between the ends",
        status="step_limit", dataset=before,
    )  # fmt: skip


def _confined(line: _Line, begin: float, sign: float) -> float:
    """A finite place so far out that the speed density beyond it does not count; infinite if there is none."""
    width, phi, total = 1.0, 0.0, -math.inf
    place = begin
    for _ in range(200):
        z, edge, phi_nodes, phi_next = _panel(line, place, sign * width, phi)
        density = phi_nodes - np.log(line.variance(z))
        if not np.isfinite(density).all():
            if width < 1e-9 * (1.0 + abs(place)):
                return math.copysign(math.inf, sign)
            width /= 4.0
            continue
        mass = float(logsumexp(density, b=_WEIGHTS)) + math.log(width)
        total = float(np.logaddexp(total, mass))
        # fast enough that what follows is smaller still: the density falls by more than its width
        if mass < total - _FAR and density[-1 if sign > 0 else 0] < density[0 if sign > 0 else -1] - 1.0:
            return edge
        steep = abs(phi_next - phi)
        place, phi = edge, phi_next
        width = width * 2.0 if steep < 1.0 else (width / 2.0 if steep > 50.0 else width)
        if abs(place) > 1e100:
            break
    return math.copysign(math.inf, sign)


def _panel(line: _Line, left: float, width: float, phi: float) -> tuple[Array, float, Array, float]:
    """Nodes of a panel in rising order of place, its far edge, and Phi at both; width may be negative."""
    z = left + width * _NODES
    with np.errstate(all="ignore"):
        slope = 2.0 * line.drift(z) / line.variance(z)
        nodes = phi + width * (_INTEGRATE @ slope)
        end = phi + width * float(_WEIGHTS @ slope)
    return (z, left + width, nodes, end) if width > 0 else (z[::-1], left + width, nodes[::-1], end)


def _mesh(line: _Line, a: float, b: float, flat: Array, panels: int) -> Array:
    """Knots from a to b: equal panels, split at the starts and wherever a density changes by much within one."""
    knots = np.unique(np.concatenate([np.linspace(a, b, panels + 1), flat]))
    for _ in range(60):  # towards a singular end the panels become geometric
        width = np.diff(knots)
        z = knots[:-1, None] + width[:, None] * _NODES
        with np.errstate(all="ignore"):
            variance = line.variance(z)
            steep = np.abs(width[:, None] * 2.0 * line.drift(z) / variance).max(axis=1)
            uneven = variance.max(axis=1) / variance.min(axis=1)
        split = ~((steep < 8.0) & (uneven < 4.0)) & (width > 1e-14 * np.abs(knots[:-1] + width))
        if not split.any() or knots.size > _MOST_KNOTS:
            break
        knots = np.sort(np.concatenate([knots, knots[:-1][split] + width[split] / 2.0]))
    return knots


def _times(line: _Line, x: Array, a: float, b: float, kinds: list[str], panels: int) -> Array:
    """T at every start, on a mesh of at least that many panels."""
    flat = np.unique(np.clip(x, a, b))
    knots = _mesh(line, a, b, flat, panels)
    left, width = knots[:-1], np.diff(knots)
    z = left[:, None] + width[:, None] * _NODES
    with np.errstate(all="ignore"):
        variance = line.variance(z)
        slope = 2.0 * line.drift(z) / variance
        rise = width * (slope @ _WEIGHTS)
        phi_left = np.concatenate([[0.0], np.cumsum(rise)])[:-1]
        phi = phi_left[:, None] + width[:, None] * (slope @ _INTEGRATE.T)
        log_scale, log_speed = -phi, math.log(2.0) + phi - np.log(variance)
        log_t = _log_times(log_scale, log_speed, np.log(width), kinds)
    at = np.searchsorted(knots, flat)
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(log_t[at])[np.searchsorted(flat, np.clip(x, a, b))])


def _log_times(log_scale: Array, log_speed: Array, log_width: Array, kinds: list[str]) -> Array:
    """ln T at every knot, from the logarithms of both densities at the nodes (panel, node)."""
    below_nodes, below = _cumulated(log_scale, log_width)  # ln of S from the low end, at nodes and knots
    above_nodes, above = _cumulated(log_scale[::-1, ::-1], log_width[::-1])
    above_nodes, above = above_nodes[::-1, ::-1], above[::-1]
    whole = below[-1]
    lower, upper = (k == "absorbing" for k in kinds)

    def integral(weight: Array, *, backward: bool) -> Array:
        panels = logsumexp(log_speed + weight, b=np.broadcast_to(_WEIGHTS, log_speed.shape), axis=1) + log_width
        run = np.logaddexp.accumulate(panels[::-1] if backward else panels)
        out = np.concatenate([[-math.inf], run])
        return out[::-1] if backward else out

    if lower and upper:
        first = above + integral(below_nodes, backward=False)
        second = below + integral(above_nodes, backward=True)
        return np.asarray(np.logaddexp(first, second) - whole)
    if upper:  # reflected below
        return np.asarray(
            np.logaddexp(above + integral(np.zeros(1), backward=False), integral(above_nodes, backward=True))
        )
    return np.asarray(np.logaddexp(below + integral(np.zeros(1), backward=True), integral(below_nodes, backward=False)))


def _cumulated(log_density: Array, log_width: Array) -> tuple[Array, Array]:
    """ln of the integral of e^log_density from the first knot, at the nodes (panel, node) and at the knots."""
    top = log_density.max(axis=1, keepdims=True)
    size = np.exp(log_density - top)
    within = np.log(np.maximum(size @ _INTEGRATE.T, 1e-320)) + top + log_width[:, None]
    panels = np.log(size @ _WEIGHTS) + top[:, 0] + log_width
    knots = np.concatenate([[-math.inf], np.logaddexp.accumulate(panels)])
    return np.logaddexp(knots[:-1, None], within), knots


@named_arguments
def kramers_time(
    model: Model, *, well: float, barrier: float, params: Mapping[Any, float] | None = None, rtol: float = 1e-12
) -> float:
    r"""Kramers' mean time to pass from a well over a barrier to the other side, in one dimension (Kramers 1940).

    .. math:: T \approx \frac{2\pi}{\sqrt{V''(well)\,|V''(barrier)|}}\, e^{\Delta V/T_0}

    for dx = -V' dt + sqrt(2 T_0) dW; in general, with Phi the integral of 2f/b^2,
    4 pi/(b(well)^2 sqrt(-Phi''(well) Phi''(barrier))) e^(Phi(well) - Phi(barrier)). To the top of the barrier alone it takes
    half of that. well, barrier : near the stable and the unstable zero of the drift, which are then solved for.

    Asymptotic for weak noise: the relative error is of the order of 1/(Phi(well) - Phi(barrier)). Raises DomainError where
    there is no such pair of zeros.
    """
    line = _Line.of(model, params, "kramers_time")
    places = [_zero(line, scalar(n, v), n) for n, v in (("well", well), ("barrier", barrier))]
    bottom, top = (float(line.slope(np.asarray(z))) for z in places)
    if not (bottom < 0.0 < top):
        raise DomainError(
            f"the drift must be restoring at the well and not at the barrier; its slopes at {places[0]:g} and {places[1]:g} "
            f"have the signs of {bottom:g} and {top:g}"
        )

    def height(panels: int) -> Array:
        knots = np.linspace(places[0], places[1], panels + 1)
        z = knots[:-1, None] + np.diff(knots)[:, None] * _NODES
        return np.asarray(-np.sum(2.0 * line.drift(z) / line.variance(z) @ _WEIGHTS * np.diff(knots)))

    step = float(_settled(height, scalar("rtol", rtol, 1e-14, 1.0)))
    log_time = math.log(4.0 * math.pi) - math.log(float(line.variance(np.asarray(places[0])))) + step
    log_time -= 0.5 * (math.log(-bottom) + math.log(top))
    return math.exp(log_time) if log_time < 709.0 else math.inf


def _zero(line: _Line, near: float, name: str) -> float:
    """The zero of the drift nearest to a place, bracketed by widening steps."""
    if float(line.drift(np.asarray(near))) == 0.0:
        return near
    for k in range(60):
        width = 1e-3 * (1.0 + abs(near)) * 1.25**k
        ends = np.array([near - width, near, near + width])
        f = line.drift(ends)
        for i in (0, 1):
            if f[i] * f[i + 1] <= 0.0:
                return float(
                    brentq(lambda z: float(line.drift(np.asarray(z))), ends[i], ends[i + 1], xtol=1e-15, rtol=1e-14)
                )
    raise DomainError(f"{name}: the drift has no zero near {near:g}")

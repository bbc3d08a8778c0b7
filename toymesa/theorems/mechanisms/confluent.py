"""The joint trajectory's linear instability for any decay and pressure, by ball arithmetic (mechanisms 1.4).

In x = e^(-at) the two combinations y = dp +- kappa dc obey x y' = M y -+ (gamma + beta x) y + D y_other, a Kummer
equation in z = 2 beta x. With R = sqrt(gamma^2 + D^2), a' = R + gamma and b' = 1 + 2R its solutions are, apart from the
factor x^(M+R) e^(-beta x),

    (D M(a', b', z), a' M(a'+1, b', z))    and    (U(a', b', z), -D U(a'+1, b', z)),

M and U Kummer's and Tricomi's functions. All four are positive, and no digits are lost between them. Without decay
gamma is 0 and they are modified Bessel functions of orders D - 1/2 and D + 1/2.
"""

from __future__ import annotations

from flint import arb, ctx

from toymesa.errors import SolveError
from toymesa.theorems.mechanisms.riccati import log_responses

_Entries = tuple[arb, arb, arb, arb]

_PARAMETER_BITS = 256  # precision in which the parameters are formed; they are exact numbers from then on
_MOST_BITS = 65536
_REST_BITS = 80
_BESSEL_BITS = 128
_LARGEST = 150.0  # a parameter and an argument both beyond this keep Tricomi's function busy for hours
_MOST_ORDER = 1e15  # beyond it the expansion of Tricomi's function at 0 takes for ever
_LARGEST_ORDER = 5000.0  # of Bessel functions, for the same reason


def responses(t: float, n: float, k: float, eta: float, lam: float, mu: float) -> _Entries:
    """Balls around the four responses of (dp, kappa dc) to (dp, kappa dc) at time t, kappa = sqrt(eta n/K).

    In the order p to p, c to p, p to c, c to c; all positive, each to at least 60 correct bits. Not for
    lam = eta mu, where the solution is hyperbolic. Where parameters and argument are both large, which takes a very
    large diversity, numbers from :mod:`riccati` instead. Raises SolveError where no precision suffices.
    """
    if t == 0.0:
        return arb(1), arb(0), arb(0), arb(1)
    with ctx.workprec(_PARAMETER_BITS):
        a = arb(lam) + 1 / arb(k)
        kappa = (arb(eta) * n / k).sqrt()
        rest = arb(lam) / a
        gamma, beta = (rest * kappa / a).mid(), ((1 - rest) * kappa / a).mid()
        mean, half = ((arb(eta) * mu + lam) / (2 * a)).mid(), ((arb(eta) * mu - lam) / (2 * a)).mid()
        log_x = (-a * t).mid()
        # from here on the error is at its rest to the last bit, or has decayed so far that it only feeds reliances
        settled = (-arb(2).log() * _REST_BITS - beta.log().max(arb(0))).mid()
        if gamma > 0:
            settled = (settled - (-gamma.log()).max(arb(0))).mid()
        order = float(gamma + abs(half))
        if min(order, float(beta)) > _LARGEST if gamma > 0 else order > _LARGEST_ORDER:
            until = min(t, float(-settled / a))
            pp, pc, cp, cc = (arb(v).exp() for v in log_responses(until, n, k, eta, lam, mu))
            if log_x >= settled:
                return pp, pc, cp, cc
            return _settled((pp, pc, cp, cc), settled - log_x, gamma, beta * settled.exp(), mean, half)
    if order > _MOST_ORDER:
        raise SolveError(
            f"decay or pressure over the other rates is {order:.1g} and must be at most {_MOST_ORDER:g}",
            status="overflow",
        )
    bits = 2 * _PARAMETER_BITS if gamma > 0 else _BESSEL_BITS
    while bits <= _MOST_BITS:
        with ctx.workprec(bits):
            if log_x < settled:
                early = _connected(settled, gamma, beta, mean, half)
                entries = _settled(early, settled - log_x, gamma, beta * settled.exp(), mean, half)
            else:
                entries = _connected(log_x, gamma, beta, mean, half)
            if all(e.is_finite() and e > 0 and e.rel_accuracy_bits() > 60 for e in entries):
                return entries
        bits *= 2
    raise SolveError("the confluent hypergeometric functions could not be evaluated", status="overflow")


def _connected(log_x: arb, gamma: arb, beta: arb, mean: arb, half: arb) -> _Entries:
    """The responses from the parameters, at the working precision."""
    if gamma == 0:
        return _by_bessel(log_x, beta, half)
    radius = (gamma * gamma + half * half).sqrt().mid()
    x = log_x.exp().mid()
    a, b = radius + gamma, 1 + 2 * radius

    def pair(z: arb) -> _Entries:
        return z.hypgeom_1f1(a, b), z.hypgeom_1f1(a + 1, b), _second(z, a, b), _second(z, a + 1, b)

    m0, m0_next, u0, u0_next = pair(2 * beta)
    m, m_next, u, u_next = pair(2 * beta * x)
    wronskian = half * half * m0 * u0_next + a * m0_next * u0
    scale = ((mean + radius) * log_x + beta * (1 - x)).exp() / wronskian

    def respond(plus: int, minus: int) -> tuple[arb, arb]:
        first = half * u0_next * plus + u0 * minus
        second = a * m0_next * plus - half * m0 * minus
        y_plus = scale * (first * half * m + second * u)
        y_minus = scale * (first * a * m_next - second * half * u_next)
        return (y_plus + y_minus) / 2, (y_plus - y_minus) / 2

    to_p, to_c = respond(1, 1)
    from_c_to_p, from_c_to_c = respond(1, -1)
    return to_p, from_c_to_p, to_c, from_c_to_c


def _by_bessel(log_x: arb, beta: arb, half: arb) -> _Entries:
    """The responses without decay; ``beta`` is the argument at the start."""
    low, high, z = half - arb(1) / 2, half + arb(1) / 2, beta * log_x.exp()
    i_low, i_high, k_low, k_high = (f(o) for f in (z.bessel_i, z.bessel_k) for o in (low, high))
    i_low_0, i_high_0, k_low_0, k_high_0 = (f(o) for f in (beta.bessel_i, beta.bessel_k) for o in (low, high))
    scale = beta * (high * log_x).exp()
    return (
        scale * (i_low * k_high_0 + k_low * i_high_0),
        scale * (k_low * i_low_0 - i_low * k_low_0),
        scale * (k_high * i_high_0 - i_high * k_high_0),
        scale * (i_high * k_low_0 + k_high * i_low_0),
    )


def _settled(early: _Entries, passed: arb, gamma: arb, feed: arb, mean: arb, half: arb) -> _Entries:
    """Further responses after ``passed`` relaxation times; ``feed`` is beta x at their start, at most 2^-80."""
    if gamma == 0:  # no decay: contents stay, and what is left of the error still moves reliances
        faded, excess = (-2 * half * passed).exp(), 2 * half - 1
        late = passed if excess == 0 else (1 - (-excess * passed).exp()) / excess
        pp, pc, cp, cc = faded, feed * (-passed).exp() * late, arb(0), arb(1)
    else:
        radius = (gamma * gamma + half * half).sqrt()
        even = (-mean * passed).exp() * (radius * passed).cosh()
        odd = (-mean * passed).exp() * (radius * passed).sinh() / radius
        pp, pc, cp, cc = even - half * odd, gamma * odd, gamma * odd, even + half * odd
    return (
        pp * early[0] + pc * early[2],
        pp * early[1] + pc * early[3],
        cp * early[0] + cc * early[2],
        cp * early[1] + cc * early[3],
    )


def _second(z: arb, a: arb, b: arb) -> arb:
    """Tricomi's U(a, b, z) for z > 0; for small z and large b by the leading part of its expansion at z = 0.

    That part, Gamma(b-1)/Gamma(a) z^(1-b) times a polynomial, leaves out a relative z^(b-1) (DLMF 13.2.42; for integer
    b 13.2.9).
    """
    if not float(-z.log()) * (float(b) - 2.0) > 3.0 * ctx.prec:
        return z.hypgeom_u(a, b)
    term = total = arb(1)
    k = 0
    while term.abs_upper() > arb(2) ** (-2 * ctx.prec) * total.abs_lower():
        if not (term.is_finite() and total != 0):  # 2 - b + k cannot be told from 0 in this precision
            return arb("nan")
        term = term * (a - b + 1 + k) / (2 - b + k) * z / (k + 1)
        total, k = total + term, k + 1
    return ((b - 1).lgamma() - a.lgamma() + (1 - b) * z.log()).exp() * total

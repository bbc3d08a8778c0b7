"""``stability``: what a model does near one of its fixed points, and which meaning of 'unstable' applies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toymesa.analyse.certified import continua
from toymesa.analyse.certified.certify import Certifier
from toymesa.analyse.certified.fixed_points import parameter_values
from toymesa.analyse.certified.search import Search
from toymesa.analyse.given_point import given_point, settled, with_numbers
from toymesa.analyse.rates import Rates, rates_of
from toymesa.analyse.spectrum import kind, proved_spectrum, signs
from toymesa.errors import ArgumentError
from toymesa.symbolic.linear import at_params, fixed_point_equations
from toymesa.symbolic.model import Model

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, repr=False)
class Stability:
    """How a flow or map behaves near a fixed point, to first order.

    point : name -> value. eigenvalues : of the linearization (per unit of time); multipliers of a map (per step).
    kind : one of ``toymesa.analyse.KINDS``. dimension : of the set of fixed points through it (0: isolated).
    growth_rate : of the fastest mode, per unit of time (of a map per step, ln|multiplier|); on a continuum of the
    fastest one that leads off it. reactivity : largest rate at which any small displacement can grow at first, the
    largest eigenvalue of the symmetric part (of a map: ln of the largest singular value), in the model's own states
    (Neubert and Caswell 1997). return_time : -1/growth_rate where it is stable or drifts, inf otherwise.
    meaning : which of the three senses of 'unstable' applies: "saddle" (a real eigenvalue grows), "spiral" (a complex
    pair grows), "drift" (fixed points side by side), "" for none. mode : state name -> component of the fastest mode
    (largest component 1; real part of a complex one). certified : the point and the signs behind the kind are proved.
    """

    model: str
    discrete: bool
    point: Mapping[str, float]
    eigenvalues: tuple[complex, ...]
    kind: str
    dimension: int
    growth_rate: float
    reactivity: float
    return_time: float
    meaning: str
    mode: Mapping[str, float] = field(default_factory=dict)
    certified: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON data; an infinite return time is null."""
        return {
            "model": self.model,
            "point": dict(self.point),
            "eigenvalues": [[v.real, v.imag] for v in self.eigenvalues],
            "kind": self.kind,
            "dimension": self.dimension,
            "growth_rate": _plain(self.growth_rate),
            "reactivity": _plain(self.reactivity),
            "return_time": _plain(self.return_time),
            "meaning": self.meaning,
            "mode": dict(self.mode),
            "certified": self.certified,
        }

    def __str__(self) -> str:
        at = ", ".join(f"{n} = {v:.6g}" for n, v in self.point.items())
        values = ", ".join(_shown(v) for v in self.eigenvalues)
        unit = "per step" if self.discrete else "per unit of time"
        lines = [
            f"{self.model} at {at}: {self.kind}{_side(self.dimension)}" + (" (proved)" if self.certified else ""),
            f"  {'multipliers' if self.discrete else 'eigenvalues'}  {values}",
            f"  growth rate  {self.growth_rate:.6g} {unit}" + (f", along {self._mode()}" if self.mode else ""),
            f"  reactivity   {self.reactivity:.6g} {unit}" + _reacts(self),
            f"  return time  {self.return_time:.6g}",
            f"  {_SENTENCES.get(self.meaning) or _calm(self)}",
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"

    def _mode(self) -> str:
        large = sorted(self.mode.items(), key=lambda item: -abs(item[1]))
        shown = [(n, v) for n, v in large if abs(v) > 0.02][:4]
        return ", ".join(f"{n} {v:+.2g}" for n, v in shown)


_SENTENCES = {
    "saddle": "unstable in the sense of a saddle: a real eigenvalue grows, and the perturbation keeps its direction",
    "spiral": "unstable in the sense of a spiral: a complex pair grows, the states chase each other in growing turns",
    "drift": "unstable in the sense of a drift: fixed points lie side by side, and nothing holds the state at this one",
}


def _side(dimension: int) -> str:
    return f", on a set of fixed points of dimension {dimension}" if dimension else ""


def _calm(s: Stability) -> str:
    if s.kind in ("undecided", "centre"):
        return "first order does not decide: a growth rate is zero, or too small to be told from it"
    if s.kind.startswith("stable"):
        return "small perturbations decay"
    return "unstable by overshooting: a multiplier below -1, the sign of the perturbation alternates from step to step"


def _reacts(s: Stability) -> str:
    transient = s.kind.startswith("stable") and s.reactivity > 0.0
    return " (perturbations may grow before they decay)" if transient else ""


def _shown(v: complex) -> str:
    return f"{v.real:.6g}" if v.imag == 0 else f"{v.real:.6g}{v.imag:+.6g}i"


def _plain(x: float) -> float | None:
    return x if math.isfinite(x) else None


def stability(model: Model, point: Any, *, params: Mapping[Any, float] | None = None) -> Stability:
    """The linear stability of a model at a fixed point.

    model : an autonomous model. point : a :class:`FixedPoint` of ``fixed_points``, state -> value (shares of a simplex
    may be given instead of log-odds; an algebraic state left out is solved for), or the values in the order of the
    states. It may be rounded: the fixed point nearby (to 1e-5 of its size) is taken, and proved where it is regular.
    params : name -> number.

    Returns a :class:`Stability`. Raises DomainError, with the residual, where the point is no fixed point, and
    ModelError for a model whose rates depend on time. Where ``certified`` is False the eigenvalues are those of a
    float64 matrix, and growth rates below 1e-9 of it count as zero.
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"model must be a toymesa Model; got {type(model).__name__}")
    values = parameter_values(model, params)
    rates = rates_of(model)
    p = np.array(list(values.values()))
    given = given_point(model, rates, point, values, p)
    if not np.isfinite(rates.jacobian(given, p)).all():
        rates, p = rates_of(with_numbers(model, values)), np.empty(0)
    x = settled(model, rates, given, p)
    x, found, certified, dimension = _spectrum(model, rates, x, p, values)
    return _described(model, rates, x, p, found, certified=certified, dimension=dimension)


def _spectrum(
    model: Model, rates: Rates, x: Array, p: Array, values: Mapping[str, float]
) -> tuple[Array, list[tuple[complex, int | None]], bool, int]:
    """The point, eigenvalues with their signs, whether both are proved, the dimension of the set of fixed points."""
    plain = signs(rates.linearization(x, p), discrete=model.discrete)
    if model.inner_run is not None:
        return x, plain, False, 0
    equations = at_params(list(fixed_point_equations(model).values()), model, values)
    certifier = Certifier(model.states, equations)
    zero = certifier.certify(x)
    if zero is None:
        return x, plain, False, continua.dimension(Search(model.states, equations), x)
    found = proved_spectrum(certifier, zero, model)
    if found is None:
        return zero.middle(), plain, False, 0
    return zero.middle(), found, all(s is not None for _, s in found), 0


def _described(
    model: Model, rates: Rates, x: Array, p: Array, found: Sequence[tuple[complex, int | None]], *, certified: bool,
    dimension: int,
) -> Stability:  # fmt: skip
    matrix = rates.linearization(x, p)
    discrete = model.discrete
    what = kind(found, discrete=discrete, dimension=min(dimension, len(found)))
    rest = sorted((v for v, _ in found), key=lambda v: abs(v - (1.0 if discrete else 0.0)))[dimension:]
    leading = max(rest, key=(lambda v: abs(v)) if discrete else (lambda v: v.real), default=None)
    growth = math.nan if leading is None else (_log(abs(leading)) if discrete else leading.real)
    unstable = what in ("saddle", "unstable", "unstable-spiral")
    meaning = ""
    if unstable and leading is not None:
        meaning = "spiral" if leading.imag != 0 else "" if discrete and leading.real < 0 else "saddle"
    elif what == "drift":
        meaning = "drift"
    returns = -1.0 / growth if (what.startswith("stable") or what == "drift") and growth < 0 else math.inf
    return Stability(
        model=model.name, discrete=discrete,
        point={n: float(v) + 0.0 for n, v in zip(model.state_names, x, strict=True)},
        eigenvalues=tuple(v + 0.0 for v, _ in found), kind=what, dimension=dimension, growth_rate=growth,
        reactivity=_reactivity(matrix, discrete=discrete) + 0.0, return_time=returns, meaning=meaning,
        mode=_mode(model, rates, matrix, leading), certified=certified,
    )  # fmt: skip


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _reactivity(matrix: Array, *, discrete: bool) -> float:
    if not matrix.size:
        return math.nan
    if discrete:
        return _log(float(np.linalg.norm(matrix, 2)))
    return float(np.linalg.eigvalsh((matrix + matrix.T) / 2.0).max())


def _mode(model: Model, rates: Rates, matrix: Array, leading: complex | None) -> dict[str, float]:
    """The eigenvector of the leading eigenvalue in the differential states, largest component 1."""
    if leading is None:
        return {}
    values, vectors = np.linalg.eig(matrix)
    vector = vectors[:, int(np.argmin(np.abs(values - leading)))]
    vector = (vector / vector[int(np.argmax(np.abs(vector)))]).real
    names = [model.state_names[i] for i in rates.differential]
    return {n: float(v) + 0.0 for n, v in zip(names, vector, strict=True)}

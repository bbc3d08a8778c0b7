r"""Functions of the matrix of a linear flow, entire in its entries: nothing happens to them where eigenvalues meet.

The two eigenvalues of a 2x2 matrix are :math:`z_\pm = p \pm \sqrt q`, p half its trace, q the gap, p^2 - q the
determinant. A function f of the matrix is :math:`\bar f\,1 + f[z_+, z_-]\,(A - p)`: its mean over the pair and its
divided difference ("slope"), even functions of sqrt(q) and so entire in p and q: real for complex eigenvalues and
smooth where they are equal. Four functions, each as mean and slope, solve the linear flow and the linear map:

===========  ======================================  ===========  =================================================
``Flow...``  :math:`e^{zt}`                          ``Step...``  :math:`(1+z)^t`, t whole
``Flow...``  :math:`\int_0^t e^{zs}ds` (``Total``)   ``Step...``  :math:`\sum_{j<t} (1+z)^j` (``Total``)
===========  ======================================  ===========  =================================================

For q = 0 the mean of a total is that of one number z, at z = 0 its limit t. Matrices of other sizes have
:class:`FlowComponent` and :class:`StepComponent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import mpmath
import sympy as sp


class PairFunction(sp.Function):
    """A real function of the pair p + sqrt(q), p - sqrt(q) and of t. Arguments (p, q, p^2 - q, t), real.

    The determinant is an argument of its own, because p^2 - q would lose the digits of a small eigenvalue.
    """

    step: ClassVar[bool]  # of the map instead of the flow
    total: ClassVar[bool]
    slope: ClassVar[bool]

    @classmethod
    def eval(cls, half: Any, gap: Any, product: Any, time: Any) -> Any:
        """At t = 0 only."""
        return sp.Integer(not (cls.total or cls.slope)) if time == 0 else None

    def fdiff(self, argindex: int = 4) -> Any:
        """Derivative with respect to time, for flows."""
        if argindex != 4 or self.step:
            raise sp.ArgumentIndexError(self, argindex)
        half, gap = self.args[:2]
        mean, slope = FlowMean(*self.args), FlowSlope(*self.args)
        if self.total:
            return slope if self.slope else mean
        return mean + half * slope if self.slope else half * mean + gap * slope

    def reduced(self) -> Any:
        """In totals at times without a whole number added, where every identity between these functions is visible."""
        half, gap, product, time = self.args
        kinds = (StepMeanTotal, StepSlopeTotal) if self.step else (FlowMeanTotal, FlowSlopeTotal)
        ahead = time.as_coeff_Add()[0] == 1 and self.step
        mean, slope = (f(half, gap, product, time - 1 if ahead else time) for f in kinds)
        if ahead:  # one more step: 1 + (1 + z) times the sum so far
            mean, slope = 1 + (1 + half) * mean + gap * slope, mean + (1 + half) * slope
        if not self.total:
            mean, slope = 1 + half * mean + gap * slope, mean + half * slope
        return slope if self.slope else mean

    def _eval_is_real(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None

    _eval_is_extended_real = _eval_is_finite = _eval_is_real

    def _eval_evalf(self, prec: int) -> Any:
        if not all(a.is_number for a in self.args):
            return None
        with mpmath.workprec(3 * prec + 64):  # the two members of a pair may share most of their digits
            half, gap, product, time = (mpmath.mpmathify(a.evalf(mpmath.mp.dps)) for a in self.args)
            value = pair_value(type(self), half, gap, product, time, sqrt=mpmath.sqrt, exp=mpmath.exp)
            return sp.Float._new(mpmath.mpc(value).real._mpf_, prec)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        half, gap, _, time = (printer._print(a) for a in self.args)
        name = rf"\sum_{{j<{time}}} (1+z)^j" if self.step else rf"\int_0^{{{time}}} e^{{zs}}ds"
        name = name if self.total else rf"(1+z)^{{{time}}}" if self.step else rf"e^{{z\,{time}}}"
        if self.args[1] == 0 and not self.slope:
            return rf"\left[{name}\right]_{{z = {half}}}" + ("" if exp is None else f"^{{{exp}}}")
        text = rf"\left\{{{name}\right\}}_{{z = {half} \pm \sqrt{{{gap}}}}}^{{\mathrm{{{'slope' if self.slope else 'mean'}}}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def _kind(name: str, step: bool, total: bool, slope: bool, doc: str) -> Any:
    return type(
        name, (PairFunction,), {"step": step, "total": total, "slope": slope, "__doc__": doc, "__module__": __name__}
    )


FlowMean = _kind("FlowMean", False, False, False, "e^(pt) cosh(t sqrt q).")
FlowSlope = _kind("FlowSlope", False, False, True, "e^(pt) sinh(t sqrt q)/sqrt q.")
FlowMeanTotal = _kind("FlowMeanTotal", False, True, False, "The integral of FlowMean from 0 to t.")
FlowSlopeTotal = _kind("FlowSlopeTotal", False, True, True, "The integral of FlowSlope from 0 to t.")
StepMean = _kind("StepMean", True, False, False, "Mean of (1 + z)^t over the pair.")
StepSlope = _kind("StepSlope", True, False, True, "Divided difference of (1 + z)^t over the pair.")
StepMeanTotal = _kind("StepMeanTotal", True, True, False, "The sum of StepMean over the times 0, ..., t - 1.")
StepSlopeTotal = _kind("StepSlopeTotal", True, True, True, "The sum of StepSlope over the times 0, ..., t - 1.")
PAIRS = (FlowMean, FlowSlope, FlowMeanTotal, FlowSlopeTotal, StepMean, StepSlope, StepMeanTotal, StepSlopeTotal)


def pair_value(
    kind: type[PairFunction], half: Any, gap: Any, product: Any, time: Any, sqrt: Callable[[Any], Any], exp: Callable[[Any], Any]
) -> Any:  # fmt: skip
    """The value by its definition, in complex numbers of any precision (balls of python-flint, numbers of mpmath)."""

    def power(z: Any) -> Any:
        return (1 + z) ** int(time) if kind.step else exp(z * time)

    def value(z: Any) -> Any:
        return power(z) if not kind.total else time if z == 0 else (power(z) - 1) / z

    def derivative(z: Any) -> Any:
        rate = (time * (1 + z) ** (int(time) - 1) if time != 0 else time) if kind.step else time * power(z)
        if not kind.total:
            return rate
        if z == 0:
            return time * (time - 1) // 2 if kind.step else time * time / 2
        return (rate - value(z)) / z

    if gap == 0:
        return derivative(half) if kind.slope else value(half)
    root = sqrt(gap)
    upper, lower = half + root, half - root
    if product == 0:  # exactly one of them is zero
        upper, lower = 2 * half, 0 * half
    return (value(upper) - value(lower)) / (upper - lower) if kind.slope else (value(upper) + value(lower)) / 2


class Component(sp.Function):
    """Component i at time t of the solution of a linear system with n states: arguments (i, t, x0, A by rows, b)."""

    step: ClassVar[bool]

    @property
    def parts(self) -> tuple[int, Any, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
        """i, t, x0, A and b."""
        rest = self.args[2:]
        n = next(k for k in range(1, len(rest)) if k * (k + 2) == len(rest))
        return int(self.args[0]), self.args[1], rest[:n], rest[n : n + n * n], rest[n + n * n :]

    @classmethod
    def eval(cls, index: Any, time: Any, *rest: Any) -> Any:
        """At t = 0 only."""
        return rest[int(index)] if time == 0 else None

    def _ahead(self, time: Any) -> Any:
        """A x(t) + b."""
        i, _, start, matrix, constant = self.parts
        n = len(start)
        at = [self.func(j, time, *self.args[2:]) for j in range(n)]
        return sp.Add(*[matrix[n * i + j] * at[j] for j in range(n)], constant[i])

    def fdiff(self, argindex: int = 2) -> Any:
        """Derivative with respect to time, for flows."""
        if argindex != 2 or self.step:
            raise sp.ArgumentIndexError(self, argindex)
        return self._ahead(self.args[1])

    def reduced(self) -> Any:
        """At a time without a whole number added."""
        time = self.args[1]
        return self._ahead(time - 1) if self.step and time.as_coeff_Add()[0] == 1 else self

    _eval_is_real = PairFunction._eval_is_real
    _eval_is_extended_real = _eval_is_finite = _eval_is_real


class FlowComponent(Component):
    """Of x' = A x + b: the matrix exponential of A t, extended by b."""

    step = False


class StepComponent(Component):
    """Of x -> A x + b after t steps: the power of A, extended by b."""

    step = True


def reduced(expr: sp.Expr) -> sp.Expr:
    """The expression with every function of this module in its reduced form, for proofs."""
    return expr.replace(lambda e: isinstance(e, PairFunction | Component), lambda e: e.reduced())

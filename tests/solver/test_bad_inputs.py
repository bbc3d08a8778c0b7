"""Every kind of bad input that solvers of this kind are known to meet gets what a user needs: rows 1 to 70 of one table.

A row is refused in one line that names the argument, what was got and what is allowed; or ends in a status that names
the failure; or is allowed and means what it says. Rows about an argument that only other packages have are skipped, by
the name of that argument.
"""

import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import xarray as xr

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ExpressionError, ModelError, SolveError, ToymesaWarning
from toymesa.kernels.arrays import array_function
from toymesa.scaling import Runs, fit, get_law
from toymesa.status import Status
from toymesa.symbolic.model import TIME
from toymesa.theorems.mechanisms import joint_content

x, y, a = sp.symbols("x y a", real=True)
k = sp.Symbol("k", positive=True)
DECAY = tm.Model(
    name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1}, observables={"square": x**2},
    closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(-k * TIME)}),),
)  # fmt: skip
OPEN = DECAY.with_(closed_forms=())
PAIR = tm.Model(name="pair", flow={x: -x, y: -2 * y}, start={x: 1, y: 1})
GROW = tm.Model(
    name="grow", flow={x: k * x}, params={k: 1.0}, start={x: 1},
    closed_forms=(tm.ClosedForm(states={x: tm.at_start(x) * sp.exp(k * TIME)}),),
)  # fmt: skip
ROOT = tm.Model(name="root", flow={x: -1 - sp.sqrt(x)}, start={x: 1})
BLOW = tm.Model(name="blow", flow={x: k * x**2}, params={k: 1.0}, start={x: 1})
STIFF = tm.Model(name="stiff", flow={x: -(10**9) * (x - sp.cos(TIME))}, start={x: 0})
INVERSE = tm.Model(name="inverse", flow={x: 1 / x}, start={x: 1})
READ = tm.Model(name="read", flow={x: -x}, start={x: 1}, observables={"height": sp.sqrt(x - sp.Rational(1, 2))})
HUGE = tm.Model(name="huge", flow={x: -x}, start={x: 1}, observables={"size": sp.exp(1000 * x)})
NO_INNER = tm.Model(name="no_inner", flow={x: -x, a: -a}, start={x: 1, a: 1}, algebraic={a: a**2 + 1 + x})
DEGENERATE = tm.Model(name="degenerate", flow={x: -x, a: -a}, start={x: 0, a: 1}, algebraic={a: x * a - 1})
DESCENT = tm.descent(x**2 / 2, [x], step=k, params={k: 2.5}, start={x: 1}, name="steps")
S = sp.Symbol("s", nonnegative=True)
ENDLESS = tm.Model(
    name="endless", flow={x: 1 + x**2}, start={x: 0},
    closed_forms=(tm.InternalTimeForm(states={x: tm.at_start(x) + S}, rate=1 + (tm.at_start(x) + S) ** 2, internal=S),),
)  # fmt: skip
RUNS = Runs(np.geomspace(1e7, 1e9, 8), np.geomspace(1e9, 1e11, 8), np.linspace(4, 3, 8))


@dataclass(frozen=True)
class Refused:
    """An error of that kind whose one line holds every fragment."""

    row: int
    act: object
    error: type
    says: tuple[str, ...]

    def check(self):
        with pytest.raises(self.error) as caught:
            self.act()
        message = str(caught.value)
        assert "\n" not in message
        for fragment in self.says:
            assert fragment in message


@dataclass(frozen=True)
class Ends:
    """A single trajectory that fails with that status, advice and fragments, and keeps what was computed."""

    row: int
    act: object
    status: Status
    says: tuple[str, ...]

    def check(self):
        with pytest.raises(SolveError) as caught:
            self.act()
        assert caught.value.status == self.status.label
        assert isinstance(caught.value.dataset, xr.Dataset)
        message = str(caught.value)
        assert "\n" not in message
        for fragment in (self.status.label, self.status.advice, *self.says):
            assert fragment in message


@dataclass(frozen=True)
class Allowed:
    """An input that is taken, and gives what it should."""

    row: int
    act: object
    expected: object
    tolerance: float = 0.0

    def check(self):
        np.testing.assert_allclose(self.act(), self.expected, rtol=self.tolerance, atol=0)


def refused(row, error, *says, model=OPEN, act=None, **arguments):
    return Refused(row, act or (lambda: tm.solve(model, **({"t": 1.0} | arguments))), error, says)


def ends(row, status, *says, model=OPEN, **arguments):
    return Ends(row, lambda: tm.solve(model, **({"t": 1.0} | arguments)), status, says)


def allowed(row, expected, act, tolerance=0.0):
    return Allowed(row, act, expected, tolerance)


def first(**start):
    """The start that a solve begins with, for a start given in some form."""
    return tm.solve(OPEN, [0.0], start=start)["x"].values.squeeze()


def read_only(*values):
    out = np.array(values)
    out.flags.writeable = False
    return out


def noted(error, note):
    """Raise the error that a user's own function raises, if it carries the note."""

    def act():
        try:
            tm.solve(OPEN, 1.0, start={"x": lambda rng: 1 / 0})
        except error as caught:
            assert note in " ".join(caught.__notes__)
            raise

    return act


def statuses(model, t, **arguments):
    return tm.solve(model, t, **arguments)["status"].values


nan, inf = float("nan"), float("inf")
RK = "did you mean 'tsit5'"
CASES = [
    refused(1, DomainError, "rtol must lie in [2.22045e-15, inf)", "got nan", rtol=nan),
    refused(2, DomainError, "rtol must lie in", "got -1", rtol=-1),
    refused(3, DomainError, "rtol must lie in [2.22045e-15, inf)", "got 1e-20", rtol=1e-20),
    refused(4, DomainError, "atol must lie in (0, inf)", "got -0.001", atol=-1e-3),
    refused(4, DomainError, "atol must lie in (0, inf)", "got nan at index 1", atol=[1e-3, nan], model=PAIR),
    refused(5, DomainError, "atol has shape (2,)", "state has shape (1,)", atol=[1e-3, 1e-3]),
    refused(5, DomainError, "atol has shape (3,)", "state has shape (2,)", "x, y", atol=[1e-3] * 3, model=PAIR),
    refused(6, DomainError, "start of 'x'", "got nan", start={"x": nan}),
    refused(6, DomainError, "start of 'x' must not hold NaN", start={"x": [1.0, nan]}),
    refused(7, DomainError, "start of 'x' must lie in (-inf, inf)", "got inf", start={"x": inf}),
    refused(8, DomainError, "start of 'x'", "shape (1, 1)", start={"x": [[1.0]]}),
    refused(8, ArgumentError, "start must be a mapping from name to value, such as {'x': 3}", start=3, model=PAIR),
    allowed(8, 2.0, lambda: tm.solve(OPEN, [0.0], start=2)["x"].item()),
    refused(9, DomainError, "start of 'x' must not be an empty list", start={"x": []}),
    refused(9, ArgumentError, "start must be a mapping", "got []", start=[]),
    refused(10, ArgumentError, "start of 'x' is missing", start={"x": None}),
    refused(11, ArgumentError, "start of 'x' must be real numbers; got text at index 0: 'a'", start={"x": ["a"]}),
    refused(12, ArgumentError, "start of 'x' must be real numbers; got a complex number", start={"x": 1j}),
    refused(12, ArgumentError, "a complex number at index 1", start={"x": [1.0, 1j]}),
    refused(13, ArgumentError, "start of 'x' must be real numbers; got a boolean", start={"x": True}),
    refused(13, ArgumentError, "a boolean at index 0", start={"x": np.array([True])}),
    allowed(13, 2.0, lambda: first(x=2)),
    refused(13, ArgumentError, "a boolean at index 1", start={"x": [1.0, True]}),
    refused(14, ArgumentError, "array of objects", start={"x": np.array([1.0, None], dtype=object)}),
    refused(14, ArgumentError, "got None at index 1", start={"x": [1.0, None]}),
    refused(14, DomainError, "start of 'x'", "got inf", start={"x": np.longdouble("1e4000")}),
    allowed(14, [1.0, 2.0], lambda: first(x=np.array([1, 2], dtype=">f8"))),
    allowed(14, [1.0, 2.0], lambda: first(x=np.array([1, 2], dtype=np.longdouble))),
    allowed(14, 0.5, lambda: first(x=np.float16(0.5))),
    allowed(14, [0.5, 0.25], lambda: first(x=[sp.Rational(1, 2), Fraction(1, 4)])),
    allowed(15, [1.0, 2.0], lambda: first(x=read_only(1.0, 2.0))),
    allowed(15, [0.0, 2.0, 4.0], lambda: first(x=np.arange(6.0)[::2])),
    refused(16, ModelError, "matrix of shape (3, 1)", act=lambda: PAIR.with_(flow={x: sp.Matrix([x, y, 1]), y: y})),
    refused(
        16, ModelError, "must give every state", act=lambda: PAIR.with_(closed_forms=(tm.ClosedForm(states={x: x}),))
    ),
    refused(17, ArgumentError, "flow must be a mapping from state", act=lambda: tm.Model(name="m", flow=x * y)),
    refused(18, ModelError, "made of SymPy symbols and numbers; got None", act=lambda: OPEN.with_(flow={x: None})),
    ends(19, Status.NONFINITE_RHS, "t = 0", "x = -1", model=ROOT, start=-1),
    ends(20, Status.NONFINITE_RHS, "t = 0.6137", "x = ", model=ROOT),
    refused(22, ZeroDivisionError, "division by zero", act=noted(ZeroDivisionError, "while drawing start of 'x'")),
    ends(23, Status.BLOW_UP, "just after t = 1", "x = ", model=BLOW, t=2.0),
    allowed(23, [Status.OK, Status.BLOW_UP], lambda: statuses(BLOW, [2.0], params={"k": [0.1, 1.0]})),
    ends(24, Status.BLOW_UP, "just after t = 1", model=BLOW.with_(flow={x: k * sp.exp(x)}, start={x: 0}), t=2.0),
    ends(25, Status.STEP_LIMIT, "stiff", "rodas5p", model=STIFF, method="tsit5", max_steps=500),
    allowed(25, np.cos(1.0), lambda: tm.solve(STIFF, [1.0])["x"].item(), 1e-6),
    refused(26, DomainError, "no method 'RK54'", RK, "allowed: auto, closed, tsit5", method="RK54"),
    refused(26, DomainError, "no method 'tsit'", RK, method="tsit"),
    refused(26, DomainError, "no method 'Radau'; did you mean 'rodas5p'", method="Radau"),
    refused(27, ArgumentError, "solve has no argument 'rtoll'; did you mean 'rtol'", rtoll=1e-3),
    refused(27, ArgumentError, "did you mean 'compute'", act=lambda: tm.answer(comptue=(1e18, 1e20))),
    allowed(28, np.e, lambda: tm.solve(OPEN, [0.0, -1.0])["x"].values[-1], 1e-7),
    refused(28, ToymesaWarning, "gated", "unstable", model=tm.models.gated, t=-1.0),
    allowed(29, [1.0], lambda: tm.solve(OPEN, 0)["x"].values),
    allowed(29, [1.0], lambda: tm.solve(OPEN, [0.0])["x"].values),
    refused(30, DomainError, "t must be finite; got nan", t=nan),
    refused(30, DomainError, "t must be finite; got nan", t=[0.0, nan]),
    refused(32, DomainError, "t must be finite; got inf", "until='steady'", t=inf),
    allowed(32, 0.0, lambda: round(tm.solve(OPEN, until="steady")["x"].item(), 5)),
    refused(32, DomainError, "until must be None or 'steady'; got 'converged'", until="converged"),
    refused(33, DomainError, "one side of the start", "-1 to 1", t=[-1.0, 1.0]),
    refused(33, DomainError, "strictly increasing", t=[1.0, 0.5, 2.0]),
    refused(33, DomainError, "t must be a number or a list", "shape (1, 1)", t=[[1.0]]),
    refused(33, DomainError, "whole numbers from 0", t=[0.5], model=DESCENT),
    refused(33, DomainError, "whole numbers from 0", t=2.5, model=DESCENT),
    refused(33, DomainError, "keeps every step", "1e+12", t=1e12, model=DESCENT),
    refused(34, DomainError, "max_step must lie in (0, inf]; got 0", max_step=0),
    refused(34, DomainError, "first_step must lie in (0, inf); got -1", first_step=-1),
    refused(34, DomainError, "first_step must not exceed the span 1; got 99", first_step=99.0),
    refused(34, DomainError, "max_steps must be a whole number, from 1 to", max_steps=0),
    refused(34, ArgumentError, "max_steps must be a whole number", "got 1000.0", max_steps=1e3),
    refused(34, DomainError, "threads must be a whole number, 1 or more; got 0", threads=0),
    refused(35, DomainError, "first_step must lie in (0, inf); got -0.1", first_step=-0.1, t=[0.0, -1.0]),
    refused(36, ArgumentError, "params must be a mapping from name to value, such as {'k': 3}; got 3", params=3),
    refused(37, ArgumentError, "events['e'] must be an expression", "got 3", events={"e": 3}),
    refused(37, ArgumentError, "events must be a mapping", events=3),
    refused(37, ArgumentError, "no option 'terminl'; did you mean 'terminal'", events={"e": (x, {"terminl": True})}),
    refused(37, DomainError, "direction of events['e'] must be -1, 0 or 1; got 2", events={"e": (x, {"direction": 2})}),
    refused(37, ExpressionError, "unknown name 'alpah'", events={"e": "x + alpah"}),
    refused(37, ArgumentError, "events need a flow", "'steps_descent' is a map", model=DESCENT, t=3, events={"e": "x"}),
    refused(38, ModelError, "metric must have shape (1, 1); got (2, 2)", act=lambda: OPEN.with_(metric=sp.eye(2))),
    refused(38, ModelError, "not finite: nan", act=lambda: OPEN.with_(metric=sp.Matrix([[sp.nan]]))),
    refused(39, ArgumentError, "method must be a name; got 5", "allowed: auto", method=5),
    refused(39, ArgumentError, "must be a toymesa Model; got str", "models.find('gated')", model="gated"),
    refused(40, ArgumentError, "t is missing", t=None),
    refused(40, DomainError, "t must not be empty", t=[]),
    refused(40, DomainError, "t must not be empty", t=[], until="steady"),
    refused(41, DomainError, "parameter 'k' must lie in (0, inf); got -1", params={"k": -1}),
    refused(41, DomainError, "lam must lie in [0, inf); got -1", act=lambda: joint_content(1.0, lam=-1.0)),
    refused(41, DomainError, "lam must lie in [0, inf); got -1", act=lambda: tm.answer(lam=-1.0)),
    refused(41, DomainError, "compute must lie in (0, inf); got -1", act=lambda: get_law("kaplan").frontier(-1.0)),
    refused(42, ArgumentError, "parameter 'k' must be real numbers; got text: 'a'", params={"k": "a"}),
    refused(42, ArgumentError, "lam must be real numbers; got text: 'a'", act=lambda: joint_content(1.0, lam="a")),
    refused(42, ArgumentError, "lam must be real numbers; got text: 'a'", act=lambda: tm.answer(lam="a")),
    refused(42, ArgumentError, "compute must be real numbers", act=lambda: get_law("epoch").frontier("a")),
    refused(43, DomainError, "parameter 'k' must lie in (0, inf); got nan", params={"k": nan}),
    refused(43, DomainError, "parameter 'k' must lie in (0, inf); got inf", params={"k": inf}),
    allowed(43, [Status.OK, Status.BAD_PARAM], lambda: statuses(OPEN, 1.0, params={"k": [1.0, inf]})),
    allowed(
        43,
        [Status.BAD_PARAM, Status.OK],
        lambda: statuses(OPEN, 1.0, params={"k": xr.DataArray([nan, 1.0], dims="case")}),
    ),
    refused(44, ArgumentError, "no parameter 'kk'; did you mean 'k'", params={"kk": 1}),
    refused(44, ArgumentError, "no state 'X'; did you mean 'x'", start={"X": 1.0}),
    refused(
        44, ArgumentError, "Model has no argument 'flwo'; did you mean 'flow'", act=lambda: tm.Model(name="m", flwo={})
    ),
    refused(44, ArgumentError, "no parameter '3'", params={3: 1.0}),
    refused(44, ArgumentError, "params gives 'k' twice", params={"k": 1.0, k: 2.0}),
    refused(45, ArgumentError, "no parameter 'kk'; did you mean 'k'? (allowed: k)", act=lambda: OPEN.with_params(kk=1)),
    refused(45, ArgumentError, "Model has no argument 'flwo'; did you mean 'flow'", act=lambda: OPEN.with_(flwo={})),
    refused(46, ModelError, "undeclared 'k', 'y'", act=lambda: tm.Model(name="m", flow={x: k * x * y})),
    refused(46, TypeError, "'name' and 'flow'", act=lambda: tm.Model()),
    refused(
        46, ArgumentError, "missing ['p_b', 'p_c']", model=tm.models.mechanisms(("a", "b", "c")), start={"p_a": 0.5}
    ),
    refused(47, ArgumentError, "parameter 'k' must be real numbers; got a complex number", params={"k": 1j}),
    refused(47, ArgumentError, "parameter k must be a real number; got 1j", act=lambda: OPEN.with_(params={k: 1j})),
    refused(
        48,
        DomainError,
        "dimension 'case' has 2 values in 'k' and 3 in 'x'",
        params={"k": xr.DataArray([1.0, 2.0], dims="case")},
        start={"x": xr.DataArray([1.0, 2.0, 3.0], dims="case")},
    ),
    refused(
        48, DomainError, "loss (shape (2,))", "tokens (shape (3,))", act=lambda: Runs([1, 2, 3], [1, 2, 3], [1, 2])
    ),
    # equal rates, and times so short that 1 - exp(-t) loses its digits: against 50 digits
    allowed(
        50,
        float(-mp.expm1(mp.mpf("-0.51e-12")) / mp.mpf("0.51") / 2),
        lambda: joint_content(1e-12, lam=0.01, mechanisms=2),
        1e-15,
    ),
    allowed(50, 0.5e-12, lambda: joint_content(1e-12, lam=0.0, mechanisms=2), 1e-12),
    allowed(
        50,
        tm.solve(tm.models.gated, [3.0], method="dop853", rtol=1e-12, atol=1e-14)["w"].item(),
        lambda: tm.solve(tm.models.gated, [3.0], method="closed", params={"rate_w": 1.0 + 1e-15})["w"].item(),
        1e-10,
    ),
    allowed(51, 0.0, lambda: tm.solve(DECAY, [1.0], params={"k": 1e300})["x"].item()),
    allowed(51, 1.0, lambda: tm.solve(DECAY, [1.0], params={"k": 5e-324})["x"].item()),
    allowed(51, 1.0, lambda: tm.solve(OPEN, [1.0], params={"k": 5e-324})["x"].item()),
    ends(52, Status.OVERFLOW, model=GROW, params={"k": 1000.0}),
    ends(52, Status.OVERFLOW, model=GROW, params={"k": 1000.0}, method="tsit5"),
    ends(52, Status.OVERFLOW, "size is not a finite number", model=HUGE),
    ends(53, Status.NONFINITE_RHS, "t = 0", model=ROOT, start=-1.0),
    ends(53, Status.OVERFLOW, "height is not a finite number", model=READ),
    refused(53, ExpressionError, "sqrt has no finite real value", act=lambda: tm.parse("sqrt(-2)", {})),
    refused(53, ExpressionError, "log has no finite real value", act=lambda: tm.parse("x + log(-2)", {"x": x})),
    refused(54, ExpressionError, "root of a negative number is not real", act=lambda: tm.parse("(-8)**(1/3)", {})),
    ends(54, Status.NONFINITE_RHS, "t = 0", model=ROOT.with_(flow={x: x ** sp.Rational(1, 3)}), start=-8.0),
    allowed(55, np.sqrt(6.0), lambda: tm.solve(INVERSE, [1.0], start={"x": 2})["x"].item(), 1e-7),
    allowed(55, 0.5, lambda: float(tm.parse("2**-1", {}))),
    allowed(56, 2.0**80, lambda: tm.solve(OPEN, [0.0], start={"x": 2**40})["square"].item()),
    refused(56, DomainError, "start of 'x' must be within the range of floating point", start={"x": 10**400}),
    ends(58, Status.SINGULAR, "t = 0", model=DEGENERATE),
    ends(60, Status.OVERFLOW, model=GROW, params={"k": 1e4}, t=[0.0, 1.0]),
    allowed(62, 0, lambda: tm.solve(OPEN, 1.0, events={"e": "x - 5"})["event_e_count"].item()),
    ends(63, Status.OVERFLOW, "e is not a finite number", events={"e": "log(x - 2)"}),
    refused(64, DomainError, "rtol must lie in", "got 0", rtol=0),
    refused(64, DomainError, "atol must lie in (0, inf); got 0", atol=0),
    ends(65, Status.SINGULAR, "t = 0", model=NO_INNER),
    refused(66, SolveError, "not_steady", "no steady state", model=ENDLESS, method="closed"),
    refused(
        67, ArgumentError, "fit has no argument 'bootstap'; did you mean 'bootstrap'", act=lambda: fit(RUNS, bootstap=3)
    ),
    refused(
        68, DomainError, "bootstrap must be a whole number, 0 or more; got -1", act=lambda: fit(RUNS, bootstrap=-1)
    ),
    refused(68, DomainError, "parameter 'k' must not be an empty list", params={"k": []}),
    refused(69, DomainError, "parameter 'k' has duplicate values", "DataArray", params={"k": [1.0, 1.0]}),
    refused(70, DomainError, "parameter 'k' must not hold NaN", params={"k": [1.0, nan]}),
    allowed(70, [3.0, 1.0, 2.0], lambda: tm.solve(OPEN, 1.0, params={"k": [3.0, 1.0, 2.0]})["k"].values),
    # and beyond the numbers: names, statuses, seeds, symbols
    refused(72, DomainError, "must not be called 'status'", params={"k": xr.DataArray([1.0, 2.0], dims="status")}),
    refused(91, ModelError, "'y'", act=lambda: array_function([x], x + y)),
    refused(92, ModelError, "other assumptions", act=lambda: tm.Model(name="m", flow={x: sp.Symbol("x") + x})),
    allowed(93, [2.0, 2.0], lambda: array_function([x], sp.Integer(2))(np.zeros(2))),
    refused(94, ModelError, "no definition: foo", act=lambda: OPEN.with_(flow={x: k * sp.Function("foo")(x)})),
    refused(98, ArgumentError, "array of objects", params={"k": np.array([object()], dtype=object)}),
    ends(99, Status.OVERFLOW, "rescale", model=DESCENT, t=[0.0, 10_000.0]),
    refused(100, DomainError, "rng must be a Generator or a non-negative integer; got -1", rng=-1),
    refused(100, ArgumentError, "rng must be a Generator or a non-negative integer; got 1.5", rng=1.5),
    refused(100, DomainError, "rng", "non-negative integer; got -1", act=lambda: fit(RUNS, rng=-1)),
    refused(100, DomainError, "on_fail must be 'raise' or 'status'; got 'ignore'", on_fail="ignore"),
]
SKIPPED = {
    21: "`fun(t, y)` with its arguments swapped: a flow is made of named symbols, not of positions",
    31: "`t_span` of three items: t is an end time, or a list of as many times as one likes",
    49: "`predict` before `fit`: functions return results, so there is nothing to call first",
    57: "`A[i]` out of range: no index reaches a kernel; test_no_kernel_reads_outside_its_arrays runs them with checks",
    59: "`A` of expm: no function takes a matrix of numbers",
    61: "`a` and `q` of solve_lyapunov: no function takes a matrix of numbers",
}


@pytest.mark.parametrize("case", CASES, ids=[f"{c.row}-{i}" for i, c in enumerate(CASES)])
def test_bad_input(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.check()


def test_every_row_is_accounted_for():
    tested = {c.row for c in CASES}
    assert tested | set(SKIPPED) >= set(range(1, 71))
    assert not tested & set(SKIPPED)


def test_no_kernel_reads_outside_its_arrays():
    # in plain Python an index beyond an array is an error; compiled code would read garbage
    code = """
import numpy as np, sympy as sp, toymesa as tm
x, v, a = sp.symbols("x v a", real=True)
swing = tm.Model(name="swing", flow={x: v, v: -4 * x + a, a: -x}, start={x: 1}, algebraic={a: a + x}, observables={"e": x * v})
for method in ("tsit5", "dop853", "rodas5p", "auto"):
    run = tm.solve(swing, [0.0, 0.3, 1.0], method=method, rtol=1e-4, atol=1e-4, events={"e": "x"})
    assert int(run["status"]) == 1
    assert int(tm.solve(swing, [0.0, 0.1], method=method, rtol=1e-4)["status"]) == 1
print("fine")
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "fine", done.stderr[-2000:]

"""Exact solutions of linear flows and maps: against balls, against the solver, through every degenerate case."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.kernels.entire import ENTIRE
from toymesa.symbolic.balls import evaluate
from toymesa.symbolic.entire import PAIRS, FlowComponent, StepComponent
from toymesa.symbolic.linear_flow import LARGEST, linear_parts, linear_solution, with_linear_solution

x, y, w, v = sp.symbols("x y w v", real=True)
k, h, gamma = sp.symbols("k h gamma", positive=True)
c = sp.Symbol("c", real=True)
sizes = st.floats(-6.0, 2.0).map(lambda e: 10.0**e)
signed = st.builds(lambda s, m: s * m, st.sampled_from([-1.0, 1.0]), sizes) | st.just(0.0)
close = st.floats(-15.0, 0.0).map(lambda e: 10.0**e)


def exact(value: float) -> sp.Rational:
    return sp.Rational(*float(value).as_integer_ratio())


@given(
    p=signed,
    kind=st.sampled_from(["zero", "free", "singular", "defective"]),
    q=signed,
    off=close,
    sign=st.sampled_from([-1, 1]),
    t=st.floats(-4, 2).map(lambda e: 10.0**e),
    n=st.integers(0, 120),
)
@example(p=0.0, kind="free", q=0.0, off=1.0, sign=1, t=1.0, n=3)
@example(p=-1.0, kind="free", q=0.0, off=1.0, sign=1, t=1.0, n=3)
@example(p=-2.0, kind="singular", q=0.0, off=1.0, sign=1, t=1.0, n=3)
@example(p=-1.0, kind="free", q=-1e-4, off=1.0, sign=1, t=1.0, n=5)  # multipliers near 0
@settings(max_examples=150, deadline=None)
def test_functions_of_a_pair_against_balls(p, kind, q, off, sign, t, n):
    """Complex, equal, nearly equal and vanishing eigenvalues; the error is rounding, times |z t| at most."""
    q = {"zero": 0.0, "free": q, "singular": p * p, "defective": p * p * (1 + sign * off)}[kind]
    half, gap = exact(p), exact(q)
    det = half**2 - gap
    for f in PAIRS:
        time = sp.Integer(n) if f.step else exact(t)
        truth = float(evaluate(f(half, gap, det, time), {}).mid())
        with np.errstate(all="ignore"):
            value = float(ENTIRE[f.__name__](p, q, float(det), float(time)))
        if abs(truth) > 1e290:
            continue
        root = abs(q) ** 0.5
        reach = 1.0 + (abs(p) + root) * float(time)
        # where the function swings through zero its size is that of the multiplier
        top = abs(1 + p) + root if q > 0 else np.hypot(1 + p, root)
        with np.errstate(over="ignore"):
            swing = top ** float(n) if f.step else np.exp(min(p * t, 700.0)) if q <= 0 else 0.0
            swing = swing * (float(time) if f.slope else 1.0) + (float(time) ** (1 + f.slope) if f.total else 0.0)
        assert abs(value - truth) <= 1e-13 * reach * (abs(truth) + swing * (q < 0 or f.step)) + 1e-300, f.__name__


@pytest.mark.parametrize("gap", [sp.Rational(1, 4), -2, 0, sp.Rational(1, 10**40), -sp.Rational(1, 10**40)])
@pytest.mark.parametrize("kind", PAIRS)
def test_digits_of_a_formula(kind, gap):
    half, gap = sp.Rational(-1, 3), sp.sympify(gap)
    value = kind(half, gap, half**2 - gap, sp.Integer(7))
    assert value.evalf(40) == pytest.approx(float(evaluate(value, {}, 512).mid()), rel=1e-15)
    assert abs(sp.N(value, 30) - sp.N(value, 60)) <= 1e-29 * abs(sp.N(value, 60))
    assert kind(x, gap, half, sp.Integer(7)).evalf().has(x)


def two(optimizer=None, **params: float) -> tm.Model:
    a, b, d, e, f, g = sp.symbols("a b d e f g", real=True)
    plain = tm.Model(
        name="two", flow={x: a * x + b * y + f, y: d * x + e * y + g}, start={x: 1, y: -2},
        params={a: -1.0, b: 0.5, d: -0.7, e: -2.0, f: 0.3, g: -0.2},
    )  # fmt: skip
    return tm.with_optimizer(plain, optimizer, params={s: params.pop(s.name) for s in (h, gamma) if s.name in params})


entries = st.floats(-1.5, 1.5) | st.just(0.0)


@given(a=entries, b=entries, d=entries, e=entries, f=entries, t=st.floats(0.01, 8.0))
@example(a=-1.0, b=1.0, d=0.0, e=-1.0, f=1.0, t=3.0)  # defective
@example(a=-1.0, b=1.0, d=1.0, e=-1.0, f=1.0, t=3.0)  # singular
@example(a=0.0, b=1.0, d=-1.0, e=0.0, f=1.0, t=7.0)  # a centre
@example(a=-1.0, b=0.0, d=0.0, e=-1.0, f=1.0, t=7.0)
@example(a=1.0, b=5e-137, d=8e-184, e=0.0, f=0.0, t=1.0)  # couplings out of all proportion
@example(a=1.5, b=5e-137, d=8e-184, e=0.0, f=0.0, t=1.5)  # their product is denormal
@settings(max_examples=30, deadline=None)
def test_two_coupled_states_against_the_solver(a, b, d, e, f, t):
    params = {"a": a, "b": b, "d": d, "e": e, "f": f}
    for model in (FLOW, MOMENTUM):
        truth = tm.solve(model, [0.0, t], params=params, method="closed")
        run = tm.solve(model, [0.0, t], params=params, method="dop853", rtol=1e-11, atol=1e-13)
        for n in model.state_names:
            scale = max(np.abs(run[m].values).max() for m in model.state_names)
            assert abs(truth[n].values[1] - run[n].values[1]) <= 1e-8 * scale


FLOW = two(tm.Preconditioned({"x": 1}))
MOMENTUM = two(tm.HeavyBall(gamma), gamma=0.4)
STEPS = two(tm.Descent(h), h=0.1)
ITERATED = STEPS.with_(closed_forms=())


@given(a=entries, b=entries, d=entries, e=entries, f=entries, n=st.integers(1, 200), step=st.floats(0.01, 3.0))
@example(a=-1.0, b=1.0, d=0.0, e=-1.0, f=1.0, n=100, step=2.0)  # at the edge of stability, defective
@example(a=-1.0, b=0.0, d=0.0, e=-1.0, f=1.0, n=100, step=2.0)
@settings(max_examples=60, deadline=None)
def test_steps_against_iteration(a, b, d, e, f, n, step):
    params = {"a": a, "b": b, "d": d, "e": e, "f": f, "h": step}
    truth = tm.solve(STEPS, [0, n], params=params, method="closed", on_fail="status")
    run = tm.solve(ITERATED, [0, n], params=params, on_fail="status")
    size = max(np.abs(run[m].values).max() for m in "xy")
    if np.isfinite(size) and size < 1e250:
        for m in "xy":
            assert abs(truth[m].values[1] - run[m].values[1]) <= 1e-12 * n * size


@pytest.mark.parametrize("model", [FLOW, STEPS, MOMENTUM], ids=lambda m: m.name)
def test_closed_forms_are_kept_proved_and_cross_checked(model):
    (form,) = model.closed_forms
    claim = tm.Claim(name="c", statement="s", kind="solution", model=model, solution=form.states)
    assert tm.verify(claim).outcome is tm.Outcome.PROVED
    assert all(row["ok"] for row in tm.cross_check(model))
    assert tm.solve(model, 5).attrs["method"] == "closed"
    for wrong in (
        {s: e * sp.Rational(101, 100) for s, e in form.states.items()},
        {s: e.subs(tm.TIME, 2 * tm.TIME) for s, e in form.states.items()},
    ):
        claim = tm.Claim(name="c", statement="s", kind="solution", model=model, solution=wrong)
        assert tm.verify(claim).outcome is tm.Outcome.REFUTED


@pytest.mark.parametrize("optimizer", [None, tm.Preconditioned({"x": 2}), tm.Descent(h), tm.HeavyBall(gamma)])
def test_states_apart_have_solutions_of_their_own(optimizer):
    loss = k * (x - 1) ** 2 / 2 + c * y**2 / 2
    brought = (
        {h: 0.1} if isinstance(optimizer, tm.Descent) else {gamma: 0.3} if isinstance(optimizer, tm.HeavyBall) else {}
    )
    model = tm.gradient_flow(loss, [x, y], params={k: 2.0, c: 0.0, **brought}, start={y: 1}, optimizer=optimizer)
    form = linear_solution(model)
    assert form.states[x].free_symbols.isdisjoint({tm.at_start(y), c})
    claim = tm.Claim(name="c", statement="s", kind="solution", model=model, solution=form.states)
    assert tm.verify(claim).outcome is tm.Outcome.PROVED


def chain(n: int, optimizer=None, **brought: float) -> tm.Model:
    states = sp.symbols(f"z_0:{n}", real=True)
    flow = {s: states[i - 1] - s * c for i, s in enumerate(states)}
    plain = tm.Model(name="chain", flow=flow, params={c: 1.5}, start={states[0]: 1})
    return tm.with_optimizer(plain, optimizer, params={sp.Symbol(n, positive=True): v for n, v in brought.items()})


@pytest.mark.parametrize(("n", "optimizer"), [(4, None), (3, tm.Descent(h))])
def test_more_coupled_states_against_balls(n, optimizer):
    model = chain(n, optimizer, **({"h": 0.25} if optimizer else {}))
    form = linear_solution(model)
    assert form.states[model.states[0]].has(StepComponent if optimizer else FlowComponent)
    run = tm.solve(model.with_(closed_forms=(form,)), [0, 3, 40], method="closed")
    values = {s: exact(p.default) for s, p in model.params.items()}
    values |= {tm.at_start(s): sp.Integer(i == 0) for i, s in enumerate(model.states)}
    for i, t in enumerate((3, 40), start=1):
        for s in model.states:
            truth = float(evaluate(form.states[s], values | {tm.TIME: sp.Integer(t)}).mid())
            assert run[s.name].values[i] == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("tie", [0.0, 1e-12, 1e-6, 0.3, -1.0])
@pytest.mark.parametrize("optimizer", [None, tm.Descent(h)])
def test_three_equal_eigenvalues_and_their_neighbourhood(tie, optimizer):
    """A Jordan block, where eigenvectors fail and the exponential takes over, and matrices near it."""
    tied = sp.Symbol("tied", real=True)
    flow = {x: -k * x + y + 1, y: -k * y + w, w: -k * w + tied * x}
    plain = tm.Model(name="jordan", flow=flow, params={k: 0.5, tied: 0.0}, start={x: 1, y: -1, w: 2})
    model = tm.with_optimizer(plain, optimizer, params={h: 0.25} if optimizer else {})
    form = linear_solution(model)
    run = tm.solve(model.with_(closed_forms=(form,)), [0, 3, 40], params={"tied": tie}, method="closed")
    values = {s: exact(p.default) for s, p in model.params.items()} | {model.param("tied"): exact(tie)}
    values |= {tm.at_start(s): e for s, e in model.start.items()}
    for i, t in enumerate((3, 40), start=1):
        size = max(abs(run[n].values[i]) for n in "xyw")
        for s in model.states:
            truth = float(evaluate(form.states[s], values | {tm.TIME: sp.Integer(t)}).mid())
            assert abs(run[s.name].values[i] - truth) <= 1e-11 * max(size, 1.0)


def test_too_many_coupled_states_have_none():
    assert linear_solution(chain(LARGEST)) is not None
    assert linear_solution(chain(LARGEST + 1)) is None


def test_what_is_not_linear_has_none():
    assert linear_parts(tm.Model(name="m", flow={x: -(x**3)})) is None
    assert linear_parts(tm.Model(name="m", flow={x: -x * tm.TIME})) is None
    heavy = tm.with_optimizer(tm.models.gated, tm.HeavyBall(1))
    assert heavy.closed_forms == ()
    noisy = tm.gradient_flow(x**2, [x], optimizer=tm.GradientNoise(1))
    assert noisy.closed_forms == ()


def test_stiff_pairs_keep_the_slow_mode():
    """exp(-t) beside exp(-1e6 t): the slow eigenvalue comes from the determinant."""
    flow = tm.Model(name="stiff", flow={x: -c * x + y, y: x - k * y}, params={c: 1e6, k: 1.0}, start={x: 1, y: 1})
    run = tm.solve(flow.with_(closed_forms=(linear_solution(flow),)), [0.0, 10.0, 600.0], method="closed")
    with np.errstate(all="ignore"):
        slow = float(
            evaluate(sp.Integer(-500000) - sp.Rational(1, 2) + sp.sqrt((sp.Integer(999999) / 2) ** 2 + 1), {}).mid()
        )
    assert np.log(run["y"].values[2] / run["y"].values[1]) == pytest.approx(590 * slow, rel=1e-14)


def test_linear_solution_from_a_rest_keeps_relative_accuracy():
    flow = tm.Model(name="rest", flow={x: -k * (x - c)}, params={k: 1.0, c: 1.0}, start={x: 0})
    form = linear_solution(flow, rest={x: c})
    assert sp.expand(form.states[x] - c - (tm.at_start(x) - c) * sp.exp(-k * tm.TIME)) == 0


def test_an_invariant_of_a_map_is_a_difference():
    """A map conserves what does not change from step to step, not what its derivative says."""
    steps = tm.with_optimizer(tm.Model(name="swap", flow={x: y - x, y: x - y}), tm.Descent(1))
    assert (
        tm.verify(tm.Claim(name="c", statement="s", kind="invariant", model=steps, expr=x + y)).outcome
        is tm.Outcome.PROVED
    )
    assert (
        tm.verify(tm.Claim(name="c", statement="s", kind="invariant", model=steps, expr=x)).outcome
        is tm.Outcome.REFUTED
    )


@pytest.mark.parametrize("model", [FLOW, STEPS, MOMENTUM], ids=lambda m: m.name)
def test_a_batch_has_the_bits_of_its_cells(model):
    """Long and short times, equal and complex eigenvalues side by side."""
    times, values = [0, 1, 7, 300], {"a": [-1.0, 0.3], "b": [0.0, 0.5, -2.0]}
    batch = tm.solve(model, times, params=values, method="closed", on_fail="status")
    for a in values["a"]:
        for b in values["b"]:
            for t in times[1:]:
                alone = tm.solve(model, [t], params={"a": a, "b": b}, method="closed", on_fail="status")
                for n in model.state_names:
                    one, other = alone[n].values[0], float(batch[n].sel(a=a, b=b, time=t))
                    assert one == other or (np.isnan(one) and np.isnan(other))


@pytest.mark.parametrize("rate", [-1, 0, 1, 2])
def test_a_state_alone_with_a_whole_rate(rate):
    """x' = z x + b, z = 0 and 1 among them: z = 0 alone is linear in time."""
    model = with_linear_solution(tm.Model(name="alone", flow={x: rate * x + c}, params={c: 3.0}, start={x: 2.0}))
    found = tm.solve(model, [0.0, 0.5], method="closed")["x"].values[-1]
    expected = 2 + 3 * 0.5 if rate == 0 else 2 * np.exp(rate / 2) + 3 * np.expm1(rate / 2) / rate
    assert found == pytest.approx(expected, rel=1e-14)


def test_functions_of_one_number_are_printed_as_such():
    z = sp.Symbol("z", real=True)
    mean, slope = (next(p for p in PAIRS if p.__name__ == f"Flow{n}") for n in ("Mean", "Slope"))
    text = sp.latex(mean(z, 0, z**2, k) ** 2)
    assert text.startswith(r"\left[")
    assert text.endswith("^{2}")
    assert r"\pm" in sp.latex(mean(z, c, z**2 - c, k))
    assert r"\mathrm{slope}" in sp.latex(slope(z, 0, z**2, k))

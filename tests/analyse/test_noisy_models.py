"""Noise: probabilities of outcomes, escape times and exact passage times, each against the others and against theorems."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

import toymesa as tm
from toymesa.kernels.escape import bridge_time
from toymesa.theorems import mechanisms as theorems

x, y = sp.symbols("x y", real=True)
k = sp.Symbol("k", real=True)
T, s = sp.symbols("T s", positive=True)
BROWN = tm.Model(name="brown", flow={x: k}, params={k: 0.0, T: 0.5}, noise=sp.Matrix([[sp.sqrt(2 * T)]]))
GEOMETRIC = tm.Model(
    name="geometric", flow={y: k * y}, params={k: 0.5, s: 0.4}, start={y: 1}, noise=sp.Matrix([[s * y]])
)
WELLS = tm.gradient_flow(
    x**4 / 4 - x**2 / 2, [x], params={T: 0.1}, start={x: -1}, optimizer=tm.GradientNoise(T), name="wells"
)
# noise sqrt(2T) on the reliance of one of two mechanisms, which is 1/4 of its log-odds at p = 1/2
NOISY = tm.with_optimizer(
    tm.models.mechanisms(("a", "b")), tm.GradientNoise(amplitudes={"logit_a": 4 * sp.sqrt(2 * T)}), params={T: 1e-8}
)
LEADS = {"a": "p_a > p_b", "b": "p_a < p_b"}


# ---------------------------------------------------------------- probabilities


def test_probabilities_of_brownian_motion():
    found = tm.outcome_probabilities(
        BROWN, 2.0, {"up": "x > 1", "down": "x < -1"}, params={"k": [0.0, 0.7]}, paths=20_000, step=0.5, rng=4
    )
    for drift in (0.0, 0.7):
        exact = ndtr((2 * drift - 1) / math.sqrt(2)), ndtr((-1 - 2 * drift) / math.sqrt(2))
        cell = found.sel(k=drift)
        for i, p in enumerate(exact):
            assert abs(float(cell["probability"][i]) - p) < 4 * math.sqrt(p * (1 - p) / 20_000)
        assert float(cell["unresolved"]) == pytest.approx(1 - float(cell["probability"].sum()), abs=1e-12)
    assert (found["probability_low"] < found["probability"]).all()
    assert found["label"].dims == ("k", "path")
    wide = tm.outcome_probabilities(BROWN, 2.0, {"up": "x > 1"}, paths=100, rng=4, interval="exact", level=0.99)
    assert float(wide["probability_high"][0] - wide["probability_low"][0]) > 0.15


def test_intervals_cover_as_often_as_they_say():
    # 200 independent sets of 50 paths: a 90 % interval misses the truth in about 20 of them
    found = tm.outcome_probabilities(
        BROWN, 1.0, {"up": "x > 0.5"}, paths=50, step=1.0, rng=8, level=0.9,
        params={"T": xr.DataArray(np.full(200, 0.5), dims="set")},
    )  # fmt: skip
    truth = ndtr(-0.5)
    hit = (found["probability_low"] <= truth) & (truth <= found["probability_high"])
    assert 0.83 < float(hit.mean()) < 0.97


def test_prior_asymmetry_against_noise_at_the_joint_fixed_point():
    lam = mu = 0.1
    n = 3 * float(theorems.critical_diversity(lam, mu))
    kappa = float(theorems.joint_eigenvalues(n, lam, mu).upper)
    content = 0.5 / (0.5 + lam)  # (1 - g), g = K lam/(1 + K lam)
    temperature = 1e-10  # so small that the outcome is decided while everything is linear
    size = math.sqrt(temperature / kappa)
    start = {"c_a": content, "c_b": content}
    for v, seed in ((0.0, 1), (0.5, 2), (1.5, 3)):
        odds = 2 * math.atanh(2 * v * size)
        found = tm.outcome_probabilities(
            NOISY, 4 / kappa, LEADS, paths=3000, step=0.04 / kappa, method="weak2", rng=seed,
            start={**start, "logit_a": odds}, params={"T": temperature, "diversity": n, "lam": lam, "mu": mu},
        )  # fmt: skip
        exact = float(theorems.outcome_probability(v * size, growth_rate=kappa, temperature=temperature))
        assert exact == pytest.approx(ndtr(v), abs=1e-12)
        # at t = 4/kappa the formula is off by the factor sqrt(1 - e^-8) in its argument, below 1e-4
        assert abs(float(found["probability"][0]) - exact) < 4 * math.sqrt(exact * (1 - exact) / 3000)
        assert float(found["unresolved"]) == 0.0


RESIDUAL = 0.05
STOP = -2 * math.log(math.sqrt(RESIDUAL))  # of two mechanisms, g = e^(-t/2) = sqrt(r)


def reliances(diversity: float, *, odds: float = 0.0, paths: int = 6000, seed: int = 5) -> np.ndarray:
    run = tm.simulate(
        NOISY, STOP, paths=paths, step=STOP / 80, method="weak2", rng=seed, start={"logit_a": odds},
        params={"diversity": diversity, "lam": 0.0, "mu": 0.0, "T": 1e-8},
    )  # fmt: skip
    return run["p_a"].values[:, -1]


def test_noise_along_training():
    values = reliances(30.0)
    exact = float(theorems.perturbation_variance(30.0, RESIDUAL, temperature=1e-8))
    assert abs(values.var() / exact - 1) < 4 * math.sqrt(2 / values.size) + 0.01
    u0 = 5e-5
    led = (reliances(30.0, odds=2 * math.atanh(2 * u0), seed=6) > 0.5).mean()
    p = float(theorems.leader_probability(u0, 30.0, RESIDUAL, temperature=1e-8))
    assert 0.7 < p < 0.95
    assert abs(led - p) < 4 * math.sqrt(p * (1 - p) / 6000)


def test_three_mechanisms_with_noise_on_every_log_odds():
    # delta p_1 = (2 l_1 - l_2)/9 at p = 1/3, so that independent noises s on l_1 and l_2 are sqrt(5) s/9 on it: s = 9 sqrt(2T/5)
    amplitude = 9 * sp.sqrt(2 * T / 5)
    model = tm.with_optimizer(
        tm.models.mechanisms(("a", "b", "c")),
        tm.GradientNoise(amplitudes={"logit_a": amplitude, "logit_b": amplitude}),
        params={T: 1e-9},
    )
    run = tm.simulate(
        model, -3 * math.log(math.sqrt(0.2)), paths=3000, step=0.03, method="weak2", rng=1,
        params={"diversity": 20.0, "lam": 0.0, "mu": 0.0},
    )  # fmt: skip
    exact = float(theorems.perturbation_variance(20.0, 0.2, temperature=1e-9, mechanisms=3))
    assert abs(run["p_a"].values.var() / exact - 1) < 4 * math.sqrt(2 / 3000) + 0.01


def test_noise_lowers_the_critical_diversity_to_where_the_theorem_puts_it():
    threshold = 5e-3

    def miss(log_n: float) -> float:  # the same noise for every diversity: a smooth function of it
        return math.log(reliances(math.exp(log_n), paths=2500).std() / threshold)

    exact = float(theorems.noise_stop_diversity(RESIDUAL, threshold=threshold, temperature=1e-8))
    measured = math.exp(brentq(miss, math.log(exact / 1.5), math.log(exact * 1.5), xtol=3e-3))
    # a relative error sqrt(2/paths)/2 of the standard deviation, over its slope in ln n, at least sqrt(2n)(1 - sqrt r)/2 - 1/2
    slope = math.sqrt(2 * exact) * (1 - math.sqrt(RESIDUAL)) / 2 - 0.5
    assert abs(math.log(measured / exact)) < 4 * math.sqrt(2 / 2500) / 2 / slope + 0.01
    quiet = theorems.stop_diversity(RESIDUAL, perturbation=1e-5, threshold=threshold)
    assert measured < float(quiet)  # noise ends 'joint' where so small an asymmetry alone would not


# ---------------------------------------------------------------- escape


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.5), (0.3, -0.8), (0.7, 0.0)])
def test_the_first_crossing_of_a_bridge(a, b):
    # given the ends, t/(1 - t) is inverse Gaussian; its distribution function by quadrature of the density of the crossing
    rng = np.random.default_rng(1)
    drawn = np.array(
        [bridge_time(a, b, 0.6, n, u) for n, u in zip(rng.normal(size=4000), rng.random(4000), strict=True)]
    )

    def density(t: float) -> float:
        return t**-1.5 * (1 - t) ** -0.5 * math.exp(-(a**2) / (1.2 * t) - b**2 / (1.2 * (1 - t)))

    whole = quad(density, 0, 1)[0]
    for t in (0.2, 0.5, 0.8):
        p = quad(density, 0, t)[0] / whole
        assert abs((drawn <= t).mean() - p) < 4 * math.sqrt(p * (1 - p) / drawn.size)


def test_crossings_between_steps_are_counted():
    common = {"paths": 6000, "step": 0.1, "rng": 1}
    with_bridge = tm.escape_times(BROWN, ["x > -1", "x < 1"], 40.0, **common)
    without = tm.escape_times(BROWN, ["x > -1", "x < 1"], 40.0, between=False, **common)
    exact = float(tm.mean_passage_time(BROWN, 0.0, low=-1, high=1))
    assert exact == pytest.approx(1.0, rel=1e-12)  # (1 - x^2)/(2T)
    error = float(with_bridge["mean_time_error"])
    assert abs(float(with_bridge["mean_time"]) - exact) < 4 * error
    assert float(without["mean_time"]) > exact + 20 * error
    assert abs((with_bridge["exit"] == 0).mean() - 0.5) < 0.03
    assert float(with_bridge["escaped"]) == 1.0


def test_the_law_of_the_time_to_a_level():
    # P(T < t) for drift k to the level 1 from 0 is inverse Gaussian; t = 1.5 censors a part
    found = tm.escape_times(BROWN, "x < 1", 1.5, paths=8000, step=0.25, rng=2, params={"k": 0.5})
    root = math.sqrt(1.5)
    exact = ndtr((0.75 - 1) / root) + math.exp(1.0) * ndtr((-1 - 0.75) / root)
    assert abs(float(found["escaped"]) - exact) < 4 * math.sqrt(exact * (1 - exact) / 8000)
    inside = found["status"] == tm.Status.NOT_ESCAPED
    assert (found["t_exit"].where(inside, drop=True) == 1.5).all()
    assert (found["exit"].where(inside, drop=True) == -1).all()
    assert np.isnan(float(found["mean_time"]))
    assert float(found["escaped_low"]) < exact < float(found["escaped_high"])


def test_double_well_by_simulation_quadrature_and_kramers():
    exact = float(tm.mean_passage_time(WELLS, -1.0, high=0.0, params={"T": 0.1}))
    found = tm.escape_times(WELLS, "x < 0", 1500.0, paths=800, step=0.02, rng=3, params={"T": 0.1})
    assert float(found["escaped"]) == 1.0
    assert abs(float(found["mean_time"]) - exact) < 4 * float(found["mean_time_error"])
    # the rate of an exponential law is the inverse of its mean
    assert float(found["rate"]) == pytest.approx(1 / float(found["mean_time"]), rel=1e-12)
    assert float(found["rate_low"]) < 1 / exact < float(found["rate_high"])
    ratios = []
    for temperature in (0.05, 0.01, 0.002):
        params = {"T": temperature}
        over = float(tm.mean_passage_time(WELLS, -1.0, high=1.0, params=params))
        top = float(tm.mean_passage_time(WELLS, -1.0, high=0.0, params=params))
        kramers = tm.kramers_time(WELLS, well=-0.9, barrier=0.1, params=params)
        assert kramers == pytest.approx(math.sqrt(2) * math.pi * math.exp(0.25 / temperature), rel=1e-10)
        assert top / over == pytest.approx(0.5, abs=0.3 * temperature + 1e-9)
        ratios.append((over / kramers - 1) / temperature)
    # the first correction is (3/2) T for this potential: the next is smaller as T goes to 0
    assert ratios[2] == pytest.approx(1.5, abs=0.02)
    assert abs(ratios[2] - 1.5) < abs(ratios[1] - 1.5) < abs(ratios[0] - 1.5)


def test_paths_are_the_same_in_any_company():
    common = {"t": 3.0, "step": 0.1, "rng": 9}
    many = tm.escape_times(WELLS, "x < 0", paths=600, threads=2, **common)
    few = tm.escape_times(WELLS, "x < 0", paths=5, threads=1, **common)
    for name in ("t_exit", "x", "exit"):
        assert np.array_equal(many[name].values[:5], few[name].values)
    swept = tm.escape_times(WELLS, "x < 0", paths=5, params={"T": [0.1, 0.5]}, **common)
    assert np.array_equal(swept["t_exit"].sel(T=0.1).values, few["t_exit"].values)
    assert swept["escaped"].dims == ("T",)


def test_regions_of_observables_names_and_failures():
    found = tm.escape_times(NOISY, {"joint": "n_eff > 1.9"}, 3.0, paths=3, step=0.5, rng=0, params={"T": 1.0})
    assert found.attrs["region"] == '["joint"]'
    assert (found["exit"] == 0).any()
    outside = tm.escape_times(WELLS, "-0.5 < x < 0.5", 1.0, paths=2, rng=0)
    assert (outside["t_exit"] == 0).all()
    assert (outside["status"] == tm.Status.OK).all()
    bursts = tm.Model(name="bursts", flow={x: x**3}, params={s: 1.0}, start={x: 3}, noise=sp.Matrix([[s]]))
    lost = tm.escape_times(bursts, "x > -1e9", 50.0, step=0.5, paths=2, rng=0)
    assert (lost["status"] == tm.Status.OVERFLOW).all()
    assert np.isnan(float(lost["escaped"]))


# ---------------------------------------------------------------- exact passage times


@settings(max_examples=40)
@given(st.floats(-20.0, 20.0), st.floats(0.01, 5.0), st.floats(0.1, 3.0), st.floats(0.0, 1.0))
@example(0.0, 0.5, 1.0, 0.5)
@example(20.0, 0.01, 3.0, 0.0)
@example(-20.0, 0.01, 3.0, 0.5)
def test_constant_drift_between_all_kinds_of_ends(drift, temperature, length, share):
    import mpmath

    assume((drift == 0 or abs(drift) > 1e-9) and (share == 0 or share > 1e-9))  # the formulas below cancel
    place, params = share * length, {"k": drift, "T": temperature}
    both = float(tm.mean_passage_time(BROWN, place, low=0, high=length, params=params))
    one = float(tm.mean_passage_time(BROWN, place, low=0, high=length, low_end="reflecting", params=params))
    with mpmath.workdps(400):  # textbook formulas, which cancel
        f, D, L, u = (mpmath.mpf(v) for v in (drift, temperature, length, place))
        r = f / D
        if drift == 0:
            exact = u * (L - u) / (2 * D), (L**2 - u**2) / (2 * D)
        else:
            exact = (
                (L * (1 - mpmath.exp(-r * u)) / (1 - mpmath.exp(-r * L)) - u) / f,
                (L - u) / f - (mpmath.exp(-r * u) - mpmath.exp(-r * L)) / (r * f),
            )
        exact = tuple(float(v) for v in exact)
    assert both == pytest.approx(exact[0], rel=1e-9, abs=1e-300)
    assert one == pytest.approx(exact[1], rel=1e-9, abs=1e-300)


def test_infinite_ends():
    assert float(tm.mean_passage_time(BROWN, 0.0, high=1.0, params={"k": 2.0})) == pytest.approx(0.5, rel=1e-10)
    assert float(tm.mean_passage_time(BROWN, 0.0, low=-1.0, params={"k": -0.5})) == pytest.approx(2.0, rel=1e-10)
    assert float(tm.mean_passage_time(BROWN, 0.0, high=1.0, params={"k": -2.0})) == math.inf
    assert float(tm.mean_passage_time(BROWN, 0.0, high=1.0)) == math.inf  # reached for certain, after infinite time


@settings(max_examples=15)
@given(st.floats(-1.0, 1.0), st.floats(0.3, 1.5), st.floats(0.3, 0.9))
def test_noise_that_depends_on_the_state(drift, amplitude, start):
    # ln y of dy = k y dt + s y dW is Brownian with drift k - s^2/2
    line = {"k": drift - amplitude**2 / 2, "T": amplitude**2 / 2}
    found = tm.mean_passage_time(GEOMETRIC, start, low=0.1, high=2.0, params={"k": drift, "s": amplitude})
    exact = tm.mean_passage_time(BROWN, math.log(start), low=math.log(0.1), high=math.log(2.0), params=line)
    assert float(found) == pytest.approx(float(exact), rel=1e-9)


@settings(max_examples=15)
@given(st.floats(0.02, 2.0), st.floats(-0.9, 0.9))
def test_mean_times_solve_their_differential_equation(temperature, place):
    # f T' + D T'' = -1, by differences of the quadrature
    h = 1e-3
    at = place + h * np.arange(-2, 3)
    t = tm.mean_passage_time(WELLS, at, low=-1.5, high=1.2, params={"T": temperature}, rtol=1e-12)
    first = (t[0] - 8 * t[1] + 8 * t[3] - t[4]) / (12 * h)
    second = (-t[0] + 16 * t[1] - 30 * t[2] + 16 * t[3] - t[4]) / (12 * h**2)
    assume(np.abs(t).max() < 1e4)
    size = abs((place - place**3) * first) + temperature * abs(second) + 1
    assert (place - place**3) * first + temperature * second == pytest.approx(-1.0, abs=1e-4 * size)


def test_an_end_that_noise_vanishes_at():
    # y = 0 is never reached: upwards drift in ln y reaches 2 after ln 2/(k - s^2/2)
    found = tm.mean_passage_time(GEOMETRIC, 1.0, low=0.0, high=2.0, params={"k": 0.5})
    assert float(found) == pytest.approx(math.log(2) / 0.42, rel=1e-9)
    near = tm.mean_passage_time(GEOMETRIC, 1.0, low=1e-12, high=2.0, params={"k": 0.05})
    line = {"k": 0.05 - 0.08, "T": 0.08}
    exact = tm.mean_passage_time(BROWN, 0.0, low=math.log(1e-12), high=math.log(2.0), params=line)
    assert float(near) == pytest.approx(float(exact), rel=1e-9)


def test_kramers_with_noise_that_depends_on_the_state():
    model = tm.Model(
        name="uneven", flow={x: x - x**3}, params={s: 0.05}, start={x: -1}, noise=sp.Matrix([[s * sp.sqrt(2 + x)]])
    )
    found = tm.kramers_time(model, well=-1.1, barrier=0.05)
    exact = float(tm.mean_passage_time(model, -1.0, low=-1.9, low_end="reflecting", high=1.0))
    assert found == pytest.approx(exact, rel=0.01)
    assert math.isinf(tm.kramers_time(model, well=-1, barrier=0, params={"s": 1e-3}))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.outcome_probabilities(tm.models.gated, 1.0, {"m": "m > w"}), tm.ArgumentError, "has no noise"),
        (lambda: tm.outcome_probabilities(BROWN, 1.0, {"u": "xx > 0"}), tm.ExpressionError, "outcome 'u': column 1"),
        (lambda: tm.outcome_probabilities(BROWN, 1.0, {"u": "x > 0"}, interval="wald"), tm.DomainError, "'wilson'|wilson, exact"),
        (lambda: tm.outcome_probabilities(BROWN, 1.0, {"u": "x>0"}, start=lambda r: 0), tm.ArgumentError, "draw them before"),
        (lambda: tm.escape_times(tm.models.gated, "m < 1", 1.0), tm.ArgumentError, "are events of toymesa.solve"),
        (lambda: tm.escape_times(BROWN, "xx < 1", 1.0), tm.ExpressionError, "region 'xx < 1': column 1: unknown name"),
        (lambda: tm.escape_times(BROWN, "T < 1", 1.0), tm.ArgumentError, "depends on no state"),
        (lambda: tm.escape_times(BROWN, "t < 1", 1.0), tm.ArgumentError, "uses unknown 't'"),
        (lambda: tm.escape_times(BROWN, "x == 1", 1.0), tm.ArgumentError, "must be inequalities"),
        (lambda: tm.escape_times(BROWN, [], 1.0), tm.ArgumentError, "at least one condition"),
        (lambda: tm.escape_times(BROWN, "x < 1", 1.0, method="weak2"), tm.DomainError, "needs Brownian increments"),
        (lambda: tm.escape_times(BROWN, "x < 1", 0.0), tm.DomainError, "t must lie in"),
        (lambda: tm.mean_passage_time(NOISY, 0.0, high=1.0), tm.ArgumentError, "needs a model with one state"),
        (lambda: tm.mean_passage_time(BROWN, 0.0), tm.DomainError, "nothing to reach"),
        (lambda: tm.mean_passage_time(BROWN, 0.0, low=1, high=0), tm.DomainError, "low must be below high"),
        (lambda: tm.mean_passage_time(BROWN, 2.0, low=0, high=1), tm.DomainError, "start must lie in"),
        (lambda: tm.mean_passage_time(BROWN, 0.0, low=-1, high=1, low_end="open"), tm.DomainError, "low_end must be"),
        (lambda: tm.mean_passage_time(GEOMETRIC, 1.0, low=0, high=2, params={"k": 0.1}), tm.SolveError, "does not settle"),
        (lambda: tm.kramers_time(WELLS, well=0.0, barrier=1.0), tm.DomainError, "must be restoring at the well"),
        (lambda: tm.kramers_time(BROWN, well=0.0, barrier=1.0, params={"k": 1.0}), tm.DomainError, "no zero near 0"),
    ],
)  # fmt: skip
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_usual_step_resolves_the_well_whatever_the_horizon():
    """A thousandth of a long horizon would step over the relaxation in the well, and halve the time to escape."""
    d = sp.Symbol("D", positive=True)
    well = tm.Model(
        name="well", flow={x: x - x**3}, params={d: 0.1}, start={x: -1}, noise=sp.Matrix([[sp.sqrt(2 * d)]])
    )
    exact = float(tm.mean_passage_time(well, -1.0, high=0.0))
    for horizon in (300.0, 3000.0):
        found = tm.escape_times(well, "x < 0", horizon, paths=400, rng=1)
        assert found.attrs["step"] == pytest.approx(0.01)  # the rate in the well is 2
        assert abs(float(found["mean_time"]) - exact) < 4 * float(found["mean_time_error"])
    assert tm.escape_times(well, "x < 0", 1e9, paths=1, rng=1, step=10.0).attrs["step"] == 10.0

"""Published first-passage and escape times."""

import math

import pytest
import sympy as sp
from published_systems import printed

import toymesa as tm

x = sp.Symbol("x", real=True)


def noisy(name, drift, temperature, **params):
    noise = tm.GradientNoise(temperature=temperature)
    return tm.with_optimizer(tm.Model(name=name, flow={x: drift}), noise, params=params)


@pytest.mark.parametrize(
    ("start", "level", "digits"),
    [(0.0, 1.0, "2.0934066496783"), (1.0, 0.0, "0.9019080126528"), (2.0, 0.0, "1.4252045655378")],
)
def test_first_passage_of_the_ornstein_uhlenbeck_process(start, level, digits):
    """Finch 2004 (after Siegert 1951, Ricciardi and Sato 1988), dX = -X dt + sqrt 2 dW; OEIS A249417, A249418, A250719.

    E T(0 to 1) = 2.09340664967832180692..., E T(1 to 0) = 0.90190801265280650063..., E T(2 to 0) = 1.42520456553779971895...
    """
    m = noisy("relaxing", -x, 1)
    ends = {"high": level} if start < level else {"low": level}
    found = float(tm.mean_passage_time(m, start, **ends, rtol=1e-13))
    assert printed(found, digits)


def test_the_variance_of_a_first_passage_time():
    """Finch 2004, the same process: Var T(0 to 1) = 5.84202780241904137353... (OEIS A249445).

    By simulation, with crossings between the steps counted: the mean and the variance within their standard errors.
    """
    runs = tm.escape_times(noisy("relaxing", -x, 1), "x < 1", 60.0, paths=4000, step=0.01, start={"x": 0.0}, rng=7)
    times = runs["t_exit"].values
    assert runs["escaped"].item() == 1
    mean, variance = times.mean(), times.var(ddof=1)
    assert abs(mean - 2.0934066496783218) < 4 * math.sqrt(5.842 / times.size)
    spread = math.sqrt(((times - mean) ** 4).mean() - variance**2) / math.sqrt(times.size)
    assert abs(variance - 5.842027802419041) < 4 * spread


@pytest.mark.parametrize("place", [-0.7, 0.0, 0.25])
def test_the_exit_of_brownian_motion(place):
    """Einstein 1905, Gardiner 2009, section 5.5, with D = 1/2: the mean time out of (-1, 1) is 1 - x^2."""
    assert float(
        tm.mean_passage_time(noisy("free", sp.Integer(0) * x, sp.Rational(1, 2)), place, low=-1.0, high=1.0)
    ) == (pytest.approx(1 - place**2, rel=1e-11))


def test_escape_from_a_double_well():
    """Kramers 1940 for V = x^4/4 - x^2/2: T = pi sqrt 2 e^(1/(4 D)); the first correction (Edholm and Leimar 1979) is 1 + 3 D/2.

    Half of it from the barrier, E(x^4)/(4 D) with variance D, half from the well, E(u^6)/(2 D^2) - E(u^4)/(4 D) with D/2.
    """
    D = sp.Symbol("D", positive=True)
    m = noisy("wells", x - x**3, D, D=0.1)
    for noise in (0.02, 0.01, 0.005):
        params = {"D": noise}
        exact = float(tm.mean_passage_time(m, -1.0, high=1.0, params=params))
        kramers = tm.kramers_time(m, well=-1.0, barrier=0.0, params=params)
        assert kramers == pytest.approx(math.pi * 2**0.5 * math.exp(0.25 / noise), rel=1e-12)
        assert (exact / kramers - 1) / noise == pytest.approx(1.5, abs=12 * noise)

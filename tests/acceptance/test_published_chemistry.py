"""Published folds, Hopf and codimension-two points of chemical reactors and gene circuits."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from published_systems import R, certified, flow, points, printed, reals, specials

import toymesa as tm

x, y, s, u, v = reals("x y s u v")
q2, k = reals("q2 k")

# ---------------------------------------------------------------- a catalytic oscillator: CO on platinum

_Z = 1 - x - y - s
# Bykov, Yablonskii and Kim 1978, with the constants of the MatCont manual
OSCILLATOR = {x: 5 * _Z**2 - 2 * x**2 - 10 * x * y, y: q2 * _Z - y / 10 - 10 * x * y, s: R(675, 10000) * (_Z - k * s)}
UNIT = {"x": (0, 1), "y": (0, 1), "s": (0, 1)}


def oscillator():
    return flow("oscillator", OSCILLATOR, {x: 0.05, y: 0.3, s: 0.4}, q2=1.2, k=0.4)


@pytest.fixture(scope="module")
def oscillator_diagram():
    return tm.follow(oscillator(), "q2", [0.6, 2.2], box=UNIT, cycles=False)


def test_the_folds_and_hopf_points_of_the_catalytic_oscillator(oscillator_diagram):
    """Dhooge, Govaerts and Kuznetsov 2003 (MatCont; its manual, output of testequilcataloscill): (x, y, s, q2), 6 decimals."""
    published = [
        ("hopf", "0.016357 0.523973 0.328336 1.051558"),
        ("fold", "0.024717 0.450257 0.375018 1.042049"),
        ("fold", "0.054030 0.302241 0.459807 1.052200"),
        ("hopf", "0.077929 0.233063 0.492149 1.040991"),
    ]
    data = oscillator_diagram
    assert data.attrs["complete"] == 1
    assert data.sizes["special"] == 4
    for kind, text in published:
        *state, at = map(float, text.split())
        here = np.flatnonzero(
            (data["special_kind"].values == kind) & np.isclose(data["special_at"], at, rtol=0, atol=1.1e-6)
        )
        assert here.size == 1, text
        # the parameter turns (nearly) here, so that states are only good to the root of the parameter's error there
        np.testing.assert_allclose(data["special_state"].values[here[0]], state, rtol=0, atol=5e-6)


@pytest.mark.slow
def test_a_published_hopf_point_and_what_is_proved_of_it(oscillator_diagram):
    """BifurcationKit.jl's own test of this system (Veltz 2020) has Hopf points at q2 = 1.04099606 and 1.05158367.

    Both are off in the sixth digit: the points are where a1 a2 = a3 in the characteristic polynomial, and for the first
    interval arithmetic proves 1.0409915695... (the second: 1.0515574624...). MatCont's 1.040991 and 1.051558 are right.
    """
    rates = {a: e.subs(k, R(2, 5)) for a, e in OSCILLATOR.items()}
    matrix = sp.Matrix(list(rates.values())).jacobian(list(rates))
    hopf = sp.expand(_hopf_condition(matrix))
    at, other = specials(oscillator_diagram, "hopf")
    (index,) = np.flatnonzero(oscillator_diagram["special_at"].values == at)
    near = oscillator_diagram["special_state"].values[index]
    box = dict(zip("xys", ((c - 1e-5, c + 1e-5) for c in near), strict=True)) | {"q2": (at - 1e-5, at + 1e-5)}
    low, high = certified({**rates, q2: hopf}, box, "q2")
    assert high - low < 1e-13
    assert at == pytest.approx(low, rel=1e-12)
    assert 1.04099606 - high > 4e-6
    assert 1.05158367 - other > 2e-5


def test_the_lyapunov_coefficients_of_the_catalytic_oscillator(oscillator_diagram):
    """The same output of MatCont: first Lyapunov coefficients (omega times Kuznetsov's) 1.070259e+01 and 4.332247e+00.

    MatCont takes differences there: only its first three digits are right. The exact ones come from 40-digit arithmetic on
    the second derivatives, the only ones that this system has: 10.70102 and 4.33138.
    """
    data = oscillator_diagram
    values = []
    for index in np.flatnonzero(data["special_kind"].values == "hopf"):
        found = data["special_lyapunov"].values[index] * data["special_omega"].values[index]
        assert found == pytest.approx(
            _lyapunov(data["special_state"].values[index], data["special_at"].values[index]), rel=1e-8
        )
        values.append(found)
    np.testing.assert_allclose(sorted(values), [4.332247, 10.70259], rtol=3e-4)
    np.testing.assert_allclose(sorted(values), [4.33138, 10.70102], atol=1e-5)
    assert set(data["special_criticality"].values) == {"", "subcritical"}


def _hopf_condition(matrix):
    """a1 a2 - a3 of the characteristic polynomial of a 3 x 3 matrix: zero for a purely imaginary pair."""
    pairs = sum(matrix.extract(c, c).det() for c in ([0, 1], [0, 2], [1, 2]))
    return matrix.det(method="berkowitz") - matrix.trace() * pairs


def _lyapunov(state, at):
    """Kuznetsov 2004, section 5.4, times omega, in 40 digits: <q, q> = <p, q> = 1, and no third derivatives."""
    names = list(OSCILLATOR)
    rates = sp.Matrix([e.subs(k, R(2, 5)) for e in OSCILLATOR.values()])
    matrix = rates.jacobian(names)
    with mp.workdps(40):
        equations = sp.lambdify([*names, q2], [*rates, _hopf_condition(matrix)], "mpmath")
        root = mp.findroot(lambda *w: equations(*w), [mp.mpf(float(c)) for c in (*state, at)])
        A = mp.matrix(sp.lambdify([*names, q2], matrix, "mpmath")(*root))
        hessians = sp.lambdify(q2, [sp.hessian(e, names) for e in rates], "mpmath")(root[3])

        def B(a, b):
            return mp.matrix([(a.T * mp.matrix(h) * b)[0] for h in hessians])

        def unit(M, value):
            values, vectors = mp.eig(M)
            w = vectors[:, min(range(3), key=lambda i: abs(values[i] - value))]
            return w / mp.sqrt(sum(abs(c) ** 2 for c in w))

        omega = mp.sqrt(sum(A[i, i] * A[j, j] - A[i, j] * A[j, i] for i, j in ((0, 1), (0, 2), (1, 2))))
        q, p = unit(A, 1j * omega), unit(A.T, -1j * omega)
        p = p / mp.conj(sum(mp.conj(a) * b for a, b in zip(p, q, strict=True)))
        mixed = mp.lu_solve(A, B(q, q.conjugate()))
        double = mp.lu_solve(2j * omega * mp.eye(3) - A, B(q, q))
        total = B(q.conjugate(), double) - 2 * B(q, mixed)
        return float(mp.re(sum(mp.conj(a) * b for a, b in zip(p, total, strict=True))) / 2)


@pytest.mark.slow
def test_the_codimension_two_points_of_the_catalytic_oscillator():
    """Veltz 2020 (BifurcationKit.jl, tutorial and tests of this system, after Govaerts): (q2, k) with six digits.

    Bogdanov-Takens (1.417628, 0.971397) and (1.161199, 0.722339), generalized Hopf (0.924255, 0.305879). Its cusp,
    k = 0.35665351, and its second generalized Hopf point, (0.896099, 0.232), are said there to be good to a relative 1e-4
    and 1e-2; the first is off by 2e-3: interval arithmetic proves k = 0.355991...
    """
    data = tm.follow(oscillator(), "q2", [0.8, 1.6], second="k", range2=[0.1, 1.2], box=UNIT)
    np.testing.assert_allclose(
        points(data, "bogdanov-takens"), [(1.161199, 0.722339), (1.417628, 0.971397)], rtol=0, atol=1e-6
    )
    second, first = points(data, "generalized-hopf")
    np.testing.assert_allclose(first, (0.924255, 0.305879), rtol=0, atol=1e-6)
    np.testing.assert_allclose(second, (0.896099, 0.232), rtol=1e-2)
    ((at, level),) = points(data, "cusp")
    index = int(np.flatnonzero(data["special_kind"].values == "cusp")[0])
    low, high = _proved_cusp(data["special_state"].values[index], at, level)
    assert high - low < 1e-12
    assert level == pytest.approx(low, rel=1e-11)
    assert abs(0.35665351 - low) > 6e-4


def _proved_cusp(state, at, level):
    """Bounds of k at the cusp: fixed points are zeros of a polynomial g(x; q2, k); there g = g' = g'' = 0.

    s = z/k and y = q2 z/(1/10 + 10 x) leave z (1 + 1/k + q2/(1/10 + 10 x)) = 1 - x.
    """
    z = sp.cancel((1 - x) / (1 + 1 / k + q2 / (R(1, 10) + 10 * x)))
    g = sp.numer(sp.together(5 * z**2 - 2 * x**2 - 10 * x * q2 * z / (R(1, 10) + 10 * x)))
    near = {"x": state[0], "q2": at, "k": level}
    box = {n: (c - 2e-4, c + 2e-4) for n, c in near.items()}
    return certified({x: g, q2: sp.diff(g, x), k: sp.diff(g, x, 2)}, box, "k")


# ---------------------------------------------------------------- reactors with exact answers


def test_the_first_order_exothermic_stirred_tank():
    """Uppal, Ray and Poore 1974; Doedel's AUTO demo ab: B = 14, beta = 2, the fixed points are D = x e^(-y)/(1 - x), y = Bx/3.

    Folds where 3 = B x (1 - x); Hopf where the trace -4 - x/(1 - x) + B x vanishes: D = 0.105739, 0.0889318, 0.130900.
    """
    D = sp.Symbol("D", positive=True)
    rate = D * (1 - x) * sp.exp(y)
    tank = tm.Model(
        name="tank", flow={x: -x + rate, y: -3 * y + 14 * rate}, params={D: 0.05}, start={x: R(1, 10), y: R(1, 2)}
    )
    data = tm.follow(tank, "D", [0.01, 0.15], box={"x": (0, 1), "y": (0, 10)}, cycles=False)
    root = np.sqrt(1 - 12 / 14)
    turns = np.array([1 + root, 1 - root]) / 2
    np.testing.assert_allclose(specials(data, "fold"), turns / (1 - turns) * np.exp(-14 * turns / 3), rtol=1e-10)
    # 14 x^2 - 17 x + 4 = 0
    turn = (17 + np.sqrt(17**2 - 4 * 14 * 4)) / 28
    np.testing.assert_allclose(specials(data, "hopf"), turn / (1 - turn) * np.exp(-14 * turn / 3), rtol=1e-10)
    for value, text in zip(
        [*specials(data, "fold"), *specials(data, "hopf")], ("8.89318e-2", "1.05739e-1", "1.30900e-1"), strict=True
    ):
        assert printed(value, text)


def test_the_isola_of_cubic_autocatalysis():
    """Gray and Scott 1983: with decay kappa of the catalyst the flow branch is an isola, which is gone at kappa = 1/16.

    Folds at f = (1/4 - 2 kappa -+ sqrt(1/16 - kappa))/2. Delgado, Hernandez-Martinez and Perez-Lopez 2017 (arXiv 1702.03353)
    prove one Takens-Bogdanov and one Bautin point: both are rational, (1/16, 1/16) and (3/256, 9/256) in (f, kappa).
    """
    f, kappa = reals("f kappa")
    m = flow(
        "autocatalysis",
        {u: f * (1 - u) - u * v**2, v: u * v**2 - (f + kappa) * v},
        {u: 0.5, v: 0.25},
        f=0.03,
        kappa=0.05,
    )
    box = {"u": (0, 1.2), "v": (1e-3, 1.2)}
    data = tm.follow(m, "f", [0.001, 0.3], start={"u": 0.3, "v": 0.26}, box=box, cycles=False)
    assert data["ends"].values.tolist() == ["closed"]
    decay = 0.05
    expected = (0.25 - 2 * decay + np.sqrt(1 / 16 - decay) * np.array([-1, 1])) / 2
    np.testing.assert_allclose(specials(data, "fold"), expected, rtol=1e-10)
    both = tm.follow(m, "f", [0.001, 0.3], second="kappa", range2=[0.01, 0.08], box=box)
    np.testing.assert_allclose(points(both, "bogdanov-takens"), [(1 / 16, 1 / 16)], rtol=1e-8)
    np.testing.assert_allclose(points(both, "generalized-hopf"), [(3 / 256, 9 / 256)], rtol=1e-8)


def test_the_chlorine_dioxide_iodine_clock():
    """Lengyel, Rabai and Epstein 1990 (Strogatz 1994, example 8.3.1): Hopf at b = 3a/5 - 25/a, omega^2 = (15a^2 - 625)/(a^2 + 25).

    At a = 10: b = 3.5 and omega = sqrt 7; supercritical: cycles below.
    """
    a, b = sp.symbols("a b", positive=True)
    rates = {x: a - x - 4 * x * y / (1 + x**2), y: b * x * (1 - y / (1 + x**2))}
    m = tm.Model(name="clock", flow=rates, params={a: 10.0, b: 4.0}, start={x: 2, y: 5})
    data = tm.follow(m, "b", [2.0, 6.0], box={"x": (0, 10), "y": (0, 30)})
    assert specials(data, "hopf") == pytest.approx([3.5], rel=1e-12)
    assert data["special_omega"].item() == pytest.approx(7**0.5, rel=1e-12)
    assert data["special_criticality"].item() == "supercritical"
    assert data["cycle_stable"].all()
    assert float(data["cycle_at"].max()) == pytest.approx(3.5, abs=1e-3)


# ---------------------------------------------------------------- gene circuits


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_toggle_switch(n):
    """Gardner, Cantor and Collins 2000, equal promoters: bistable beyond a = n (n - 1)^(-1 - 1/n); a = 2 for n = 2."""
    a = sp.Symbol("a", positive=True)
    m = flow("toggle", {u: a / (1 + v**n) - u, v: a / (1 + u**n) - v}, {u: 1, v: 1}, a=1.0)
    data = tm.follow(m, "a", [0.5, 5.0], box={"u": (0, 6), "v": (0, 6)}, cycles=False)
    critical = n * (n - 1) ** (-1 - 1 / n)
    assert specials(data, "branch") == pytest.approx([critical], rel=1e-10)
    low, high = (
        tm.fixed_points(m, params={"a": round(f * critical, 6)}, box={"u": (0, 6), "v": (0, 6)}) for f in (0.9, 1.1)
    )
    assert (low.complete, high.complete) == (True, True)
    assert [p.kind for p in low.points] == ["stable"]
    assert sorted(p.kind for p in high.points) == ["saddle", "stable", "stable"]


@pytest.mark.parametrize("beta", [0.2, 1.0])
def test_the_repressilator(beta):
    """Elowitz and Leibler 2000, box 1: oscillations where (beta + 1)^2/beta < 3 X^2/(4 + 2 X), X = -alpha n p^(n-1)/(1 + p^n)^2.

    With n = 2 and alpha = p + p^3: X = -2 p^2/(1 + p^2). At beta = 1, X = -4/3: p = sqrt 2, alpha = 3 sqrt 2.
    """
    m1, m2, m3, p1, p2, p3 = states = sp.symbols("m1:4 p1:4", positive=True)
    a, b = sp.symbols("alpha beta", positive=True)
    rates = {m: a / (1 + p**2) - m for m, p in ((m1, p3), (m2, p1), (m3, p2))}
    rates |= {p: b * (m - p) for m, p in ((m1, p1), (m2, p2), (m3, p3))}
    m = tm.Model(name="repressilator", flow=rates, params={a: 10.0, b: beta}, start=dict.fromkeys(states, 1))
    data = tm.follow(m, "alpha", [0.5, 50.0], start=dict.fromkeys([c.name for c in states], 2.0), cycles=False)
    need = (beta + 1) ** 2 / beta
    X = (need - np.sqrt(need**2 + 12 * need)) / 3  # the root with -2 < X < 0 of 3 X^2 - 2 need X - 4 need = 0
    p = np.sqrt(-X / (2 + X))
    assert specials(data, "hopf") == pytest.approx([p + p**3], rel=1e-9)
    assert data["special_criticality"].item() == "supercritical"

"""``fixed_points``: none is missed, none is invented, and the search always ends."""

import math

import flint
import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.analyse.certified.certify import Certifier
from toymesa.analyse.certified.search import Search
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.symbolic.balls import over_balls, precision
from toymesa.symbolic.ideals import real_bounds
from toymesa.symbolic.systems import fractions
from toymesa.theorems.mechanisms.stability import critical_diversity

x, y, z = sp.symbols("x y z", real=True)
k = sp.Symbol("k", positive=True)
R = sp.Rational


def model(*rates, **more):
    states = (x, y, z)[: len(rates)]
    return tm.Model(name="m", flow=dict(zip(states, map(sp.sympify, rates), strict=True)), **more)


def coordinates(census):
    return [tuple(p.state.values()) for p in census.points]


# ---------------------------------------------------------------- one state, polynomial: roots that were planted


@settings(max_examples=30, deadline=None)
@given(st.lists(st.fractions(-20, 20, max_denominator=1000), min_size=1, max_size=6), st.booleans(), st.booleans())
@example([R(0), R(1, 10**6), R(-1, 10**6)], True, True)
@example([R(3), R(3)], False, False)
def test_planted_roots_of_one_variable(roots, expanded, boxed):
    roots = [R(r) for r in roots]
    poly = sp.prod([x - r for r in roots]) * (x**2 + 1)
    census = tm.fixed_points(model(sp.expand(poly) if expanded else poly), box={x: (-21, 21)} if boxed else None)
    simple = sorted(r for r in set(roots) if roots.count(r) == 1)
    double = {r for r in roots if roots.count(r) > 1}
    assert len(census.points) == len(simple)
    for point, root in zip(census.points, simple, strict=True):
        low, high = point.enclosure["x"]
        assert R(low) <= root <= R(high)
        assert high - low <= max(4 * np.spacing(abs(float(root))), 1e-30)
        slope = sp.diff(poly, x).subs(x, root)
        assert point.kind == ("unstable" if slope > 0 else "stable")
    for root in double:
        assert any(R(b["x"][0]) <= root <= R(b["x"][1]) for b in census.undecided)
    assert census.complete == (not double)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(2, 1), (2, 2), (2, 3), (3, 1), (3, 2)]))
def test_planted_points_of_products_are_all_found(seed, size):
    """(x - a_1)...(x - a_m) mixed by a random invertible matrix: count^n fixed points, all known."""
    n, count = size
    rng = np.random.default_rng(seed)
    states = (x, y, z)[:n]
    roots = [sorted({R(int(v), 4) for v in rng.choice(np.arange(-12, 13), count, replace=False)}) for _ in states]
    parts = [sp.prod([s - r for r in row]) for s, row in zip(states, roots, strict=True)]
    mix = sp.eye(n)
    for i in range(n):
        for j in range(i):
            mix[i, j] = int(rng.integers(-2, 3))
    rates = [sp.expand(e) for e in mix * sp.Matrix(parts)]
    expected = sorted(
        map(tuple, np.stack(np.meshgrid(*[[float(r) for r in row] for row in roots]), -1).reshape(-1, n).tolist())
    )
    for box in (None, dict.fromkeys(states, (-4, 4))):
        census = tm.fixed_points(model(*rates), box=box)
        assert census.complete
        assert coordinates(census) == expected
        for p in census.points:
            assert all(low <= p.state[name] <= high for name, (low, high) in p.enclosure.items())


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_random_quadratic_flows_agree_without_and_within_a_box(seed):
    rng = np.random.default_rng(seed)
    monomials = [1, x, y, z, x * x, y * y, z * z, x * y, y * z, x * z]
    rates = [sum(R(int(c), 5) * m for c, m in zip(rng.integers(-9, 10, 10), monomials, strict=True)) for _ in range(3)]
    flow = model(*rates)
    everywhere = tm.fixed_points(flow)
    boxed = tm.fixed_points(flow, box={"x": (-50, 50), "y": (-50, 50), "z": (-50, 50)})
    assert everywhere.complete
    assert boxed.complete
    inside = [c for c in coordinates(everywhere) if max(map(abs, c)) < 50]
    assert coordinates(boxed) == inside
    for p in everywhere.points:  # the certificate against the residual in ball arithmetic
        with precision(120):
            ends = zip((x, y, z), p.enclosure.values(), strict=True)
            values = {s: flint.arb(a).union(flint.arb(b)) for s, (a, b) in ends}
            assert all(over_balls(e, values).contains(0) for e in flow.flow.values())


# ---------------------------------------------------------------- no false certificates


@settings(max_examples=15, deadline=None)
@given(st.floats(-2, 2), st.floats(1e-14, 1e-3))
def test_nothing_is_certified_where_there_is_no_zero(at, gap):
    square = (x - R(at)) ** 2 + R(gap)
    assert Certifier([x], [square]).certify(np.array([at])) is None
    census = tm.fixed_points(model(sp.expand(square)))
    assert census.points == ()
    assert census.complete
    search = Search([x], [sp.expand(sp.exp(x) * square)]).run(np.array([-5.0]), np.array([5.0]), max_boxes=5000)
    assert search.unique[0].shape[0] == 0


@pytest.mark.parametrize(
    "rate",
    [
        sp.Piecewise((x - 1, x < 0), (x + 1, True)),
        x + sp.sign(x) / 2 + 0,
        1 / x,
        sp.log(x) + 50,
        sp.sqrt(x) + R(1, 10**9),
    ],
)
def test_no_certificate_across_a_jump_a_pole_or_the_edge_of_a_domain(rate):
    for begin in (-1.0, -0.1, 1e-9, 0.25, 1.0):
        zero = Certifier([x], [rate]).certify(np.array([begin]))
        assert zero is None or rate.subs(x, R(zero.middle()[0])).evalf(40) == pytest.approx(0.0, abs=1e-9)
    assert tm.fixed_points(model(rate), box={x: (-2, 3)}).points == ()


def test_certified_points_are_apart_and_enclosures_are_proofs():
    census = tm.fixed_points(model(sp.sin(x * y) - y / 2, sp.cos(x) - y), box={"x": (-6, 6), "y": (-2, 2)})
    assert census.complete
    # the sign changes of one equation along the graph of the other, counted on a fine grid
    grid = np.linspace(-6, 6, 200_001)
    values = np.sin(grid * np.cos(grid)) - np.cos(grid) / 2
    assert len(census.points) == int((np.diff(np.sign(values)) != 0).sum())
    for p in census.points:
        a, b = p.state["x"], p.state["y"]
        assert abs(math.sin(a * b) - b / 2) < 1e-14
        assert abs(math.cos(a) - b) < 1e-14


# ---------------------------------------------------------------- degenerate cases end, and say so


@pytest.mark.parametrize(
    ("rates", "where"),
    [
        ((x**2,), (0,)),
        ((x**3,), (0,)),
        ((sp.Abs(x),), (0,)),
        ((sp.Heaviside(x) - R(1, 4),), (0,)),
        ((1 - sp.cos(x) + 0 * x,), (0,)),
        ((x**2 + y**2 - 1, y - 1), (0, 1)),
        ((y - x**3, -y), (0, 0)),
        ((x**2 - y**2 + sp.sin(x) ** 4, x * y), (0, 0)),
        ((sp.exp(x**2 + y**2) - 1, sp.sinh(x * y + y**2)), (0, 0)),
    ],
)
def test_degenerate_zeros_are_undecided(rates, where):
    census = tm.fixed_points(model(*rates), box=dict(zip((x, y)[: len(rates)], ((-2, 2.1), (-1.9, 2)), strict=False)))
    assert census.points == ()
    assert not census.complete
    assert len(census.undecided) <= 100
    ends = [list(b.values()) for b in census.undecided]
    assert any(all(low <= v <= high for v, (low, high) in zip(where, e, strict=True)) for e in ends)
    assert all(high - low < 1e-3 for e in ends for low, high in e)


def test_a_zero_on_the_edge_of_a_domain_is_not_lost():
    census = tm.fixed_points(model(sp.sqrt(x) - x), box={"x": (0, 4)})
    assert coordinates(census) == [(1.0,)]
    assert any(b["x"][0] <= 0 <= b["x"][1] for b in census.undecided)


@pytest.mark.parametrize(
    ("rates", "dimension", "kinds", "proved"),
    [
        ((x * (1 - x**2 - y**2), y * (1 - x**2 - y**2)), 1, {"drift"}, True),
        ((-x * y + y, x * y - y), 1, {"drift", "unstable"}, True),
        ((y * z, -2 * x * z, x * y), 1, {"centre", "saddle"}, True),
        ((-x + y, x - y), 1, {"drift"}, True),
        ((-(x + y + z), -(x + y + z), 2 * (x + y + z)), 2, {"undecided"}, True),
        ((sp.sin(x) * y, -y * sp.exp(x)), 1, {"drift"}, True),
        ((sp.Integer(0) * x, -y), 1, {"drift"}, True),
        ((sp.exp(x**2 + y**2 - 1) - 1, sp.sin(x**2 + y**2 - 1)), 1, {"drift", "unstable"}, False),
        ((sp.exp(x - y) - 1, sp.sinh(y - x)), 1, {"unstable"}, False),
    ],
)
def test_lines_and_surfaces_of_fixed_points(rates, dimension, kinds, proved):
    states = (x, y, z)[: len(rates)]
    census = tm.fixed_points(
        model(*rates, start={x: 1, y: R(1, 2)}), box=dict.fromkeys(states, (-3, 3)), max_boxes=30_000
    )
    assert {c.dimension for c in census.continua} == {dimension}
    assert {c.kind for c in census.continua} == kinds
    assert all(c.certified == proved for c in census.continua)
    assert census.complete == proved
    for c in census.continua:
        assert all(abs(float(sp.sympify(e).subs({s: c.through[s.name] for s in states}))) < 1e-9 for e in rates)


def test_the_budget_ends_the_search():
    flow = model(sp.sin(9 * x * y) + sp.sin(7 * y), sp.cos(8 * x) - y * sp.sin(11 * x * y) / 3)
    small = tm.fixed_points(flow, box={"x": (-9, 9), "y": (-9, 9)}, max_boxes=2000)
    assert not small.complete
    assert any("budget of 2000 boxes" in n for n in small.notes)
    assert len(small.undecided) <= 100
    quick = tm.fixed_points(flow, box={"x": (-9, 9), "y": (-9, 9)}, time_limit=1e-3)
    assert any("time limit" in n for n in quick.notes)


# ---------------------------------------------------------------- kinds of models


def test_the_example_of_the_readme():
    theta, a = sp.symbols("theta a", real=True)
    mine = tm.bilevel(
        base_loss=(a - 1) ** 2 / 2, mesa_objective=(a - theta) ** 2 / 2 + k * a**2 / 2, outer=[theta], inner=[a],
        coupling="equilibrium", params={"k": 0.5}, start={"theta": 0.0},
    )  # fmt: skip
    for value in (0.1, 0.5, 2.0):
        census = tm.fixed_points(mine, params={"k": value})
        (point,) = census.points
        low, high = point.enclosure["theta"]
        assert R(low) <= 1 + R(str(value)) <= R(high)
        assert point.kind == "stable"
        assert point.certified
        assert census.complete


def test_algebraic_states_and_their_requirements():
    theta, a = sp.symbols("theta a", real=True)
    quartic = a**4 / 4 - a**2 / 2 - theta * a  # for small theta two minima and a maximum in between
    flow = tm.bilevel(
        base_loss=(a - R(1, 2)) ** 2 / 2 + (theta - R(1, 2)) ** 2 / 2,
        mesa_objective=quartic,
        outer=[theta],
        inner=[a],
        coupling="equilibrium",
    )
    assert flow.algebraic
    census = tm.fixed_points(flow)
    assert census.complete
    assert census.points
    for p in census.points:
        assert 3 * p.state["a"] ** 2 > 1  # the curvature of the mesa-objective
        assert len(p.eigenvalues) == 1
    assert any("left out" in n for n in census.notes)


@pytest.mark.parametrize(
    ("r", "kinds"), [(0.5, ["unstable", "stable"]), (2.5, ["unstable", "stable"]), (3.2, ["unstable", "unstable"])]
)
def test_maps(r, kinds):
    logistic = tm.Model(name="logistic", flow={x: k * x * (1 - x)}, params={"k": r}, discrete=True)
    census = tm.fixed_points(logistic)
    assert sorted(p.state["x"] for p in census.points) == pytest.approx(sorted([0.0, 1 - 1 / r]))
    origin = next(p for p in census.points if p.state["x"] == 0.0)
    assert origin.eigenvalues == (pytest.approx(r),)
    assert [p.kind for p in census.points] == kinds


def test_rational_flows_keep_off_their_poles():
    census = tm.fixed_points(model((x**2 - 4) / (x - 1) - y, x - y / (1 + y**2)))
    assert census.complete
    for p in census.points:
        a, b = p.state["x"], p.state["y"]
        assert (a * a - 4) / (a - 1) == pytest.approx(b)
    assert coordinates(tm.fixed_points(model((x**2 - 1) / (x - 1)))) == [(-1.0,)]


def test_mechanisms_pitchfork():
    pair = tm.models.mechanisms(("a", "b"))
    critical = float(critical_diversity(0.01, 0.1))
    for factor, count in ((0.9, 1), (1.1, 3)):
        census = tm.fixed_points(pair, params={"diversity": round(factor * critical, 6)})
        assert census.complete
        assert len(census.points) == count
        joint = next(p for p in census.points if p.state["logit_a"] == 0)
        assert joint.kind == ("stable" if factor < 1 else "saddle")
        assert joint.state["c_a"] == pytest.approx(1 / 1.02)
        assert joint.shares == {"p_a": pytest.approx(0.5), "p_b": pytest.approx(0.5)}
    reliances = [p.shares["p_a"] for p in census.points]
    assert reliances[0] == pytest.approx(1 - reliances[2])
    one = tm.fixed_points(pair, params={"diversity": 10.0}, box={"p_a": (0.6, 0.99)})
    assert len(one.points) == 1
    assert one.points[0].shares["p_a"] > 0.6


def test_mechanisms_three_branches():
    census = tm.fixed_points(tm.models.mechanisms(("a", "b", "c")))
    assert census.complete
    assert sorted(p.kind for p in census.points) == ["saddle"] * 4 + ["stable"] * 3  # joint, 3 pairs; 3 polarized


@pytest.mark.parametrize(("params", "dimension"), [({"lam": 0.0}, 1), ({"lam": 0.0, "mu": 0.0}, 2)])
def test_mechanisms_without_decay_rest_on_continua(params, dimension):
    census = tm.fixed_points(tm.models.mechanisms(("a", "b")), params=params)
    assert census.points == ()
    assert census.complete
    assert [(c.dimension, c.kind, c.certified) for c in census.continua] == [(dimension, "drift", True)]


def test_gated_rests_on_a_surface():
    census = tm.fixed_points(tm.models.gated)
    (surface,) = census.continua
    assert (surface.dimension, surface.kind, surface.certified, census.complete) == (2, "drift", True, True)
    w, m, d = surface.through.values()
    assert (1 - d) * w + d * m == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.95, 0.95), st.floats(0.5, 4), st.floats(-0.5, 0.5))
def test_transcendental_zeros_are_counted(level, frequency, tilt):
    """cos(w x) = c has its zeros where it has them; y follows by a formula without one of its own."""
    c, w, s = (R(str(round(v, 6))) for v in (level, frequency, tilt))
    census = tm.fixed_points(
        model(sp.cos(w * x) - c + s * (y - sp.sin(x)), y - sp.sin(x)), box={"x": (-7, 7), "y": (-2, 2)}
    )
    first = math.acos(float(c)) / float(w)
    period = 2 * math.pi / float(w)
    exact = sorted(v for i in range(-20, 21) for v in (first + i * period, -first + i * period) if abs(v) <= 7)
    assert census.complete
    np.testing.assert_allclose([a for a, _ in coordinates(census)], exact, atol=1e-12)


# ---------------------------------------------------------------- bounds of all real solutions


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.fractions(-5, 5, max_denominator=9), st.fractions(-5, 5, max_denominator=9)),
        min_size=1,
        max_size=4,
    )
)
def test_bounds_hold_every_planted_solution(points):
    points = sorted({(R(a), R(b)) for a, b in points})
    # interpolation: x over distinct first coordinates, y as a polynomial of x
    firsts = {}
    for a, b in points:
        firsts.setdefault(a, b)
    first = sp.Poly(sp.expand(sp.prod([x - a for a in firsts])), x, y)
    second = sp.Poly(sp.expand(y - sp.interpolate(list(firsts.items()), x)), x, y)
    polys = [{m: sp.QQ.from_sympy(c) for m, c in p.terms()} for p in (first, second)]
    bounds = real_bounds(polys, 2)
    assert R(bounds[0][0]) <= min(firsts) <= R(bounds[0][1])
    assert R(bounds[0][0]) <= max(firsts) <= R(bounds[0][1])
    assert R(bounds[1][0]) <= min(firsts.values())
    assert R(bounds[1][1]) >= max(firsts.values())


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"box": 3}, ArgumentError, "mapping"),
        ({"box": {"q": (0, 1)}}, ArgumentError, "no state 'q'"),
        ({"box": {"x": (1, 0)}}, DomainError, "low < high"),
        ({"box": {"x": (0, math.inf)}}, DomainError, "finite"),
        ({"box": {"x": 3}}, DomainError, r"\(low, high\)"),
        ({"box": {"x": ("a", "b")}}, ArgumentError, "text"),
        ({"box": {"y": (-1, 1)}}, DomainError, "not polynomial; give box={'x': "),
        ({}, DomainError, "not polynomial"),
        ({"params": {"k": [1, 2]}}, DomainError, "one number each"),
        ({"params": {"kk": 1}}, ArgumentError, "did you mean 'k'"),
        ({"max_boxes": 0}, DomainError, "max_boxes"),
        ({"time_limit": 0}, DomainError, "time_limit"),
    ],
)
def test_bad_input_gets_one_line(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        tm.fixed_points(model(y, k - sp.exp(x), params={"k": 1.0}), **arguments)
    assert "\n" not in str(caught.value)


def test_models_that_cannot_be_searched():
    with pytest.raises(ModelError, match="depends on time"):
        tm.fixed_points(model(tm.TIME - x))
    with pytest.raises(ArgumentError, match="toymesa Model"):
        tm.fixed_points(3)
    with pytest.raises(DomainError, match="(more than 81 complex solutions|basis is too large); give box="):
        ring = sp.symbols("u0:9", real=True)
        tm.fixed_points(tm.Model(name="ring", flow={u: ring[i - 1] ** 2 - u + R(1, 7) for i, u in enumerate(ring)}))
    theta, a = sp.symbols("theta a", real=True)
    nested = tm.bilevel(
        base_loss=(a - 1) ** 2,
        mesa_objective=(a - theta) ** 4,
        outer=[theta],
        inner=[a],
        coupling="unrolled",
        inner_time=1,
    )
    with pytest.raises(ModelError, match="nested inner run"):
        tm.fixed_points(nested)


@pytest.mark.parametrize(("rate", "count"), [("2.51", 4), ("0.333", 2), ("1.0001", 2)])
def test_decimal_rates_in_exponentials_are_no_polynomials_of_high_degree(rate, count):
    # exp(2.51 x) is the 251st power of exp(x/100): factored as such, it took all the patience that there is
    a = R(rate)
    rule = x * sp.exp(a * (1 - x))
    twice = tm.Model(name="twice", flow={x: rule.subs(x, rule)}, discrete=True)
    inside = fractions([x], [twice.flow[x] - x])
    assert max(map(max, inside.elements[0].numer.itermonoms())) <= 2
    census = tm.fixed_points(twice, box={x: (-0.5, 4)})
    assert (census.complete, len(census.points)) == (True, count)


@pytest.mark.parametrize("rates", [(-y, x, z**2), (-y, x, z**3), (-y - x**3, x, z**2)])
def test_a_zero_eigenvalue_beside_a_pair_of_a_hopf_point_is_undecided(rates):
    for box in (None, {x: (-1, 2), y: (-2, 1), z: (-1, 1.5)}):
        census = tm.fixed_points(model(*rates), box=box)
        assert census.points == ()
        assert not census.complete
        assert any(all(low <= 0 <= high for low, high in b.values()) for b in census.undecided)


def test_powers_of_an_exponential_are_seen():
    # e^(5.02 x) - e^(2.51 x) y and y - e^(2.51 x) are dependent: a line of fixed points
    grow = sp.exp(R(251, 100) * x)
    census = tm.fixed_points(model(grow**2 - grow * y, y - grow), box={x: (-1, 1), y: (0, 3)})
    assert [c.dimension for c in census.continua] == [1] * len(census.continua)
    assert census.continua
    assert census.points == ()


@pytest.mark.parametrize("half", [1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("hump", [sp.exp(-(y**2)), 1 / (1 + y**2), sp.exp(-y)])
def test_huge_boxes_are_searched_to_the_end(half, hump):
    """Where exp(y^2) overflows the equations still say that nothing is there, and no place is left at the box's own scale."""
    census = tm.fixed_points(model(1 - x**2, x - y + hump), box={x: (-half, half), y: (-half, half)})
    assert census.complete
    assert census.boxes < 20_000
    assert [p.state["x"] for p in census.points] == [-1.0, 1.0]
    for point in census.points:
        rest = sp.nsolve((x - y + hump).subs(x, sp.Rational(point.state["x"])), y, point.state["y"])
        assert float(rest) == pytest.approx(point.state["y"], rel=1e-12)


def test_a_double_zero_on_a_circle_of_fixed_points_is_no_centre():
    """Both eigenvalues vanish on it: what rounding makes of them must not look like a rotation."""
    turn = x**2 + y**2 - 1
    census = tm.fixed_points(model(turn * y, -turn * x), box={x: (-2, 2), y: (-2, 2)})
    assert [p.kind for p in census.points] == ["centre"]
    assert [c.kind for c in census.continua] == ["undecided"]

"""Verdicts: true claims are proved, mutated ones refuted, tempting ones never proved."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ArgumentError, DomainError, ModelError
from toymesa.symbolic.claim_files import load_claim
from toymesa.symbolic.claims import KINDS

x, y = sp.symbols("x y", real=True)
k, u = sp.symbols("k u", positive=True)
DECAY = tm.Model(name="decay", flow={x: -k * x}, params={k: 1.0}, start={x: 1})
SWING = tm.Model(name="swing", flow={x: y, y: -k * x}, params={k: 1.0}, start={x: 1})
BOWL = tm.gradient_flow(k * (x - 1) ** 2 + y**4, [x, y], metric={x: 2}, params={k: 1.0})


def claim(kind, **more):
    return tm.Claim(name="c", statement="s", kind=kind, **more)


TRUE = {
    "solution": claim("solution", model=DECAY, solution={x: tm.at_start(x) * sp.exp(-k * tm.TIME)}),
    "invariant": claim("invariant", model=SWING, expr=k * x**2 + y**2),
    "lyapunov": claim("lyapunov", model=BOWL),
    "fixed_point": claim("fixed_point", model=BOWL, point={x: 1, y: 0}),
    "identity": claim("identity", lhs=sp.cosh(x) ** 2 - sp.sinh(x) ** 2, rhs=1),
    "limit": claim("limit", expr=(sp.exp(x) - 1) / x, variable=x, target=0, value=1),
    "inequality": claim("inequality", expr=u**2 + 3 * u * k + 1, strict=True),
}
FALSE = {
    "solution": claim("solution", model=DECAY, solution={x: tm.at_start(x) * sp.exp(-2 * k * tm.TIME)}),
    "invariant": claim("invariant", model=SWING, expr=k * x**2 - y**2),
    "lyapunov": claim("lyapunov", model=DECAY, expr=-(x**2)),
    "fixed_point": claim("fixed_point", model=BOWL, point={x: -1, y: 0}),
    "identity": claim("identity", lhs=sp.cosh(x) ** 2 + sp.sinh(x) ** 2, rhs=1),
    "limit": claim("limit", expr=(sp.exp(x) - 1) / x, variable=x, target=0, value=2),
    "inequality": claim("inequality", expr=u - 1),
}


PROVABLE = [kind for kind in KINDS if kind != "numerical"]


@pytest.mark.parametrize("kind", PROVABLE)
def test_true_claims_are_proved(kind):
    verdict = tm.verify(TRUE[kind])
    assert verdict.outcome == "PROVED", verdict
    assert verdict


@pytest.mark.parametrize("kind", PROVABLE)
def test_false_claims_are_refuted_with_a_counterexample(kind):
    verdict = tm.verify(FALSE[kind])
    assert verdict.outcome == "REFUTED", verdict
    assert all(v.is_Rational for v in verdict.counterexample.values())
    assert not verdict


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (sp.sqrt(x**2), x),
        (sp.log(x**2), 2 * sp.log(sp.Abs(x)) + sp.Rational(1, 10**30)),
        (sp.exp(x + y), sp.exp(x) + sp.exp(y)),
        ((x + y) ** 3, x**3 + y**3),
        (sp.sin(2 * x), 2 * sp.sin(x)),
        (x, x + sp.Rational(1, 10**30)),
    ],
)
def test_tempting_falsehoods_are_not_proved(lhs, rhs):
    assert tm.verify(claim("identity", lhs=lhs, rhs=rhs)).outcome == "REFUTED"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=4, max_size=4), st.integers(0, 3))
def test_a_mutated_polynomial_identity_is_refuted(c, where):
    left = (x + c[0]) * (x + c[1]) * (y + c[2]) + c[3]
    right = sp.expand(left)
    assert tm.verify(claim("identity", lhs=left, rhs=right)).outcome == "PROVED"
    mutated = right + [x, y, x * y, sp.Rational(1, 7)][where]
    assert tm.verify(claim("identity", lhs=left, rhs=mutated)).outcome == "REFUTED"


@pytest.mark.parametrize("value", [0, 1 + sp.erf(x)])
def test_a_limit_that_sympy_gets_wrong_is_undecided(value):
    expr = 1 + sp.erf(x / (1 - sp.exp(-u)))
    assert sp.limit(expr, u, sp.oo) == 0  # SymPy 1.14: the limit is 1 + erf(x)
    assert tm.verify(claim("limit", expr=expr, variable=u, target=sp.oo, value=value)).outcome == "UNDECIDED"


@pytest.mark.parametrize(
    ("expr", "target", "direction", "value"),
    [
        (1 / sp.log(u), 0, "+", 0),  # slow
        (sp.exp(-1 / u) * sp.sin(1 / u), 0, "+", 0),
        (sp.exp(u) / (1 + sp.exp(u)), sp.oo, "+", 1),
        (sp.Abs(y) / y, 0, "-", -1),
        (sp.besselk(0, u) / sp.log(u), 0, "+", -1),
    ],
)
def test_true_limits_survive_the_look_near_the_target(expr, target, direction, value):
    variable = next(iter(expr.free_symbols))
    proved = claim("limit", expr=expr, variable=variable, target=target, direction=direction, value=value)
    assert tm.verify(proved).outcome == "PROVED"


LINE = tm.Model(name="line", flow={x: sp.Integer(1)}, start={x: -1}, observables={"o": x})
MAP = tm.Model(name="halves", flow={x: x / 2, y: x + y}, start={x: 1}, observables={"o": x + y}, discrete=True)
_CHAIN = sp.Matrix([[1, 1, 0], [1, 1, 1], [0, 1, 1]])  # eigenvalues 1 and 1 +- sqrt(2)
_SLOPES = sp.Matrix([1, -(x**2) / sp.Integer(10) ** 6, 1])
w = sp.Symbol("w", real=True)
CHAIN = tm.Model(
    name="chain",
    flow=dict(zip((y, x, w), -_CHAIN * _SLOPES, strict=True)),
    potential=y - x**3 / (3 * sp.Integer(10) ** 6) + w,
    metric=_CHAIN,
    observables={"o": x + y + w},
)
STEP = sp.Piecewise((0, x < 500), (1, True))
BURIED = {
    # each is false, or not shown, and nothing at the points that are tried says so
    "a denominator of unknown sign": claim("inequality", expr=(x**2 + 1) / (x + 1000)),
    "a strict zero": claim("inequality", expr=(sp.pi * u + 1) ** 2 - sp.pi**2 * u**2 - 2 * sp.pi * u - 1, strict=True),
    "a jump of an invariant": claim("invariant", model=LINE, expr=STEP),
    "a jump of a solution": claim(
        "solution", model=LINE, solution={x: tm.at_start(x) + tm.TIME + STEP.subs(x, tm.TIME)}
    ),
    "a rise at a jump": claim("lyapunov", model=LINE, expr=-x + 10**4 * STEP),
    "a metric that is not semidefinite": claim("lyapunov", model=CHAIN),
    "a limit that depends on a parameter": claim("limit", expr=y / (y + x), variable=y, target=0, value=0),
    "a limit that SymPy cannot find": claim("limit", expr=sp.exp(-x * y), variable=y, target=sp.oo, value=0),
    "a limit at which SymPy fails": claim("limit", expr=sp.Max(x, y), variable=x, target=sp.oo, value=sp.oo),
    "a degree that nobody can expand": claim("inequality", expr=u ** (10**8) + (u - 1) ** (10**8)),
}


@pytest.mark.parametrize("name", BURIED)
def test_what_the_points_do_not_show_is_not_proved_either(name):
    assert tm.verify(BURIED[name]).outcome == "UNDECIDED"


def test_claims_about_maps_are_about_steps():
    start = tm.at_start(x)
    half = sp.Rational(1, 2) ** tm.TIME
    end = tm.at_start(y) + 2 * start * (1 - half)
    assert tm.verify(claim("solution", model=MAP, solution={x: start * half, y: end})).outcome == "PROVED"
    flow_like = claim("solution", model=MAP, solution={x: start * sp.exp(tm.TIME / 2), y: end})
    assert tm.verify(flow_like).outcome == "REFUTED"
    assert tm.verify(claim("invariant", model=MAP, expr=2 * x + y)).outcome == "PROVED"
    assert tm.verify(claim("invariant", model=MAP, expr=x - y)).outcome == "REFUTED"
    assert tm.verify(claim("lyapunov", model=MAP, expr=x**2)).outcome == "PROVED"
    assert tm.verify(claim("lyapunov", model=MAP, expr=-(x**2))).outcome == "REFUTED"


def test_floats_are_the_rational_numbers_that_they_are():
    model = tm.Model(name="sums", flow={x: x + y - u, y: x + y - u}, params={u: 1.0}, observables={"o": x + y})
    large = sp.Float(1e20)
    zero = claim("fixed_point", model=model, point={x: large, y: 1 - k}, where={u: large - k})
    assert tm.verify(zero).outcome == "REFUTED"  # the rates are 1, which 1e20 + 1 does not show in floating point


@pytest.mark.parametrize(
    ("assumptions", "domain"), [({"even": True}, None), ({"negative": True}, None), ({}, tm.Domain(7, 9))]
)
def test_points_respect_what_is_assumed_of_whole_numbers(assumptions, domain):
    n = sp.Symbol("n", integer=True, **assumptions)
    within = 81 - n**2 if domain else -n if assumptions == {"negative": True} else (-1) ** n
    given = {} if domain is None else {n: domain}
    assert tm.verify(claim("inequality", expr=within, domain=given)).outcome != "REFUTED"


def test_domains_and_values_respect_the_assumptions_of_symbols():
    with pytest.raises(DomainError, match=r"must lie in \(0, inf\)"):
        tm.Model(
            name="m", flow={x: -k * x}, params={k: tm.Parameter(default=1.0, domain=tm.Domain(-1.0))}, start={x: 1}
        )
    with pytest.raises(DomainError, match=r"must lie in \(0, inf\)"):
        claim("inequality", expr=k, domain={k: tm.Domain(-1.0, 1.0)})
    with pytest.raises(DomainError, match="cannot be replaced by -1"):
        tm.verify(claim("identity", lhs=sp.sqrt(k**2), rhs=k, where={k: -1}))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"conditions": ("x > 1",)}, "a condition must be a relation"),
        ({"conditions": (x,)}, "a condition must be a relation"),
        ({"domain": {x: (0, 1)}}, "from symbols to Domains"),
        ({"domain": {"x": tm.Domain(0, 1)}}, "from symbols to Domains"),
        ({"direction": "left"}, "direction must be"),
    ],
)
def test_arguments_of_the_wrong_kind(more, message):
    with pytest.raises(ArgumentError, match=message):
        claim("inequality", expr=x, **more)


def test_sides_of_different_shape():
    with pytest.raises(ModelError, match="one shape"):
        claim("identity", lhs=sp.eye(2), rhs=sp.eye(3))


def test_undecided_says_how_hard_it_looked():
    hard = claim("inequality", expr=sp.exp(u) - 1 - u)  # true, and beyond the arguments tried
    verdict = tm.verify(hard)
    assert verdict.outcome == "UNDECIDED"
    assert verdict.points == 20


def test_incomplete_claims():
    with pytest.raises(ArgumentError, match="needs lhs"):
        claim("identity", rhs=1)
    with pytest.raises(ArgumentError, match="did you mean 'identity'"):
        claim("identitty", lhs=1, rhs=1)


def test_text_in_a_claim_is_not_evaluated():
    with pytest.raises(ModelError, match="made of SymPy symbols"):
        tm.verify(claim("identity", lhs="__import__('os').getpid()", rhs=sp.Integer(1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "limit"\nsymbols = ["x"]\nexpr = "exp(-x)"\nvariable = "x"\nvalue = 0\n', "point: is missing"),
        ('kind = "numerical"\n', "unknown kind 'numerical'"),
    ],
)
def test_files_name_what_is_missing(tmp_path, text, message):
    (tmp_path / "claim.toml").write_text(text)
    with pytest.raises(ModelError, match=message):
        load_claim(tmp_path / "claim.toml")


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"kind": "identity", "lhs": sp.true, "rhs": x}, ArgumentError, "lhs must be an expression; got [Tt]rue"),
        ({"kind": "inequality", "expr": x > 0}, ArgumentError, "expr must be an expression"),
        ({"kind": "numerical", "measure": lambda: 3.0}, ArgumentError, "measure must return the deviation"),
    ],
)
def test_what_is_no_claim(more, error, words):
    with pytest.raises(error, match=words):
        tm.verify(claim(**more))


def test_a_limit_to_infinity_says_how_to_state_it():
    verdict = tm.verify(claim("limit", expr=u**2, variable=u, target=sp.oo, value=sp.oo))
    assert verdict.outcome == "UNDECIDED"
    assert "reciprocal" in verdict.reason

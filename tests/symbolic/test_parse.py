"""The parser: what is allowed means what it says, everything else is its own error, quickly."""

import time

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from toymesa.cli import main
from toymesa.errors import ExpressionError, ToymesaError
from toymesa.symbolic.files import load_model
from toymesa.symbolic.parse import parse, parse_relation

NAMES = {n: sp.Symbol(n, real=True) for n in ("x", "y", "alpha", "gamma", "beta", "E", "N", "S", "Q", "I")}
x, y = NAMES["x"], NAMES["y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2 + 0.1*y", x**2 + y / 10),
        ("-x + +y", y - x),
        ("exp(-x)/2", sp.exp(-x) / 2),
        ("max(x, y, 0)", sp.Max(x, y, 0)),
        ("2**-1", sp.Rational(1, 2)),
        ("1e-3*x", x / 1000),
        ("x**(1/2)", sp.sqrt(x)),
        ("gamma*beta*E", NAMES["gamma"] * NAMES["beta"] * NAMES["E"]),
        ("pi*x", sp.pi * x),
        ("atan2(y, x)", sp.atan2(y, x)),
    ],
)
def test_formulas(text, expected):
    assert parse(text, NAMES) == expected


def test_relations():
    assert parse_relation("x > 2*y", NAMES) == sp.Gt(x, 2 * y)
    assert parse_relation("x == 0", NAMES) == sp.Eq(x, 0)
    with pytest.raises(ExpressionError):
        parse_relation("x + 1", NAMES)
    with pytest.raises(ExpressionError):
        parse("x > 1", NAMES)


HOSTILE = [
    "__import__('os').getpid()", "x.__class__", "x.__class__.__mro__[-1].__subclasses__()", "open('f').read()",
    "(lambda: 1)()", "[i for i in (1,)]", "{x: 1}", "f'{x}'", "x if y else 1", "x and y", "not x", "x := 3", "print(x)",
    "exec('1')", "eval('1')", "getattr(x, 'y')", "x[0]", "x; y", "import os", "x^2", "2*x + alpah", "lambda*x",
    "9**9**8", "x**1000", "2**10000", "factorial(10**7)", "1/0", "log(0)", "zoo", "nan", "oo", "sqrt(-1)", "0**-1",
    "(" * 5000 + "x" + ")" * 5000, "x" * 10000, "", "   ", "'x'", "b'x'", "1j", "True", "None", "...", "exp()", "exp(x, y)",
    "exp(*x)", "exp(x=1)", "foo(x)", "x y", "x +", "\x00", "ｘ", "x\n+", "x @ y", "x // y", "x % y", "~x", "x << 2",
    "sin", "x(y)", "yield x", "await x", "1_000.5.2", "0x" + "f" * 60, "gamma(1000000)", "1e400", "x < y < z", "*x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_and_malformed_text(text):
    begun = time.perf_counter()
    with pytest.raises(ExpressionError):
        parse(text, NAMES)
    assert time.perf_counter() - begun < 0.05


def test_the_column_and_the_nearest_name():
    with pytest.raises(ExpressionError, match=r"column 5: unknown name 'alpah'; did you mean 'alpha'"):
        parse("2*x+alpah", NAMES)
    with pytest.raises(ExpressionError, match=r"'\^' is not power"):
        parse("x^2", NAMES)


tokens = st.sampled_from(
    [*NAMES, "1", "2.5", "+", "-", "*", "**", "/", "(", ")", "exp", "log", ",", "<", ".", "[", "'", " "]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(tokens, max_size=25).map("".join)))
def test_nothing_else_escapes(text):
    try:
        parse(text, NAMES)
    except ExpressionError:
        pass


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.sampled_from([x, y, sp.Integer(2), sp.Rational(1, 3)]),
        lambda s: st.tuples(s, s).map(lambda p: p[0] * p[1] + p[0]) | s.map(sp.exp) | s.map(sp.tanh),
        max_leaves=6,
    )
)
def test_printed_expressions_come_back(expr):
    if expr.has(sp.oo, sp.nan, sp.zoo) or expr.count_ops() > 60:
        return
    try:
        assert parse(sp.sstr(expr), {"x": x, "y": y}).equals(expr) is not False
    except ExpressionError as error:
        assert "exponent" in str(error)


FLOW = 'name = "m"\n[states]\nx = "mu + lam*x - x**3"\n[params]\nmu = 0.0\nlam = 1.0\n[start]\nx = 0.1\n'


def test_a_flow_file(tmp_path, capsys):
    path = tmp_path / "m.toml"
    path.write_text(FLOW + '[observables]\nheight = "x**2"\n')
    model = load_model(path)
    assert model.state_names == ("x",)
    assert main(["solve", str(path), "--t", "0,1,10", "--set", "lam=2", "--json"]) == 0
    assert '"status": "ok"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 1", "needs exactly one"),
        (FLOW.replace("[states]", "[stattes]"), "stattes.*did you mean 'states'"),
        (FLOW.replace("x**3", "x^3"), "not power"),
        (FLOW.replace("lam*x", "lamm*x"), "did you mean 'lam'"),
        (FLOW.replace("lam = 1.0", 'lam = "a"'), "params.lam"),
        (FLOW.replace("lam = 1.0", "lam = { value = 1.0, domian = [0, 1] }"), "did you mean 'domain'"),
        (FLOW.replace("lam = 1.0", "lam = { value = 5.0, domain = [0, 1] }"), r"must lie in \[0, 1\]"),
        (FLOW + "x = 2\n", "not valid TOML"),
        (FLOW.replace('x = "mu', 'y = "x"\nx = "mu').replace("[start]", "[params]"), "not valid TOML"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ToymesaError, match=message) as caught:
        load_model(path)
    assert "bad.toml" in str(caught.value)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ToymesaError):
            load_model(path)

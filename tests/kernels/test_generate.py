"""Generated code has the value of its expression."""

import subprocess
import sys

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.errors import ModelError
from toymesa.kernels.arrays import array_function, relation_function
from toymesa.kernels.generate import compile_model
from toymesa.models import mechanisms
from toymesa.symbolic.functions import LogSumExp
from toymesa.symbolic.model import Model

x, y = sp.symbols("x y", real=True)


def test_field_and_jacobian_have_their_symbolic_values():
    model = mechanisms(("a", "b", "c"))
    compiled = compile_model(model)
    rng = np.random.default_rng(3)
    values = rng.uniform(0.2, 1.5, len(model.states) + len(model.params))
    point = dict(zip([*model.states, *model.params], values, strict=True))
    n = compiled.n
    for what, exprs in ((0, list(model.flow.values())), (1, list(model.jacobian()))):
        out = np.empty(len(exprs))
        compiled.field(what, 0.0, values[:n].copy(), values[n:].copy(), out)
        expected = [float(e.rewrite(sp.log).evalf(30, subs=point)) for e in exprs]
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("odds", [-1000.0, 1000.0])
def test_reliances_of_exp_minus_1000_are_ordinary(odds):
    model = mechanisms(("a", "b"))
    compiled = compile_model(model)
    state = np.array([0.3, 0.4, odds])
    params = np.array(list(model.defaults().values()))
    out = np.empty(3)
    compiled.field(0, 0.0, state, params, out)
    assert np.isfinite(out).all()
    seen = np.empty(len(compiled.observe_names))
    compiled.observe(0, 0.0, state, params, seen)
    assert np.isfinite(seen).all()
    assert seen[compiled.observe_names.index("n_eff")] == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(st.floats(-700, 700), st.floats(1e-14, 1e-2))
def test_no_cancellation(big, small):
    (value,) = [array_function([x], (sp.exp(x) - 1) / x)(small)]
    assert value == pytest.approx(float(np.expm1(small) / small), rel=1e-14)
    assert array_function([x, y], LogSumExp(x, y))(big, big) == pytest.approx(big + np.log(2), rel=1e-14, abs=1e-12)
    assert array_function([x], sp.log(1 + x))(small) == pytest.approx(np.log1p(small), rel=1e-15)


def test_relations_and_shapes():
    out = array_function([x, y], [x + y, sp.Integer(2)])(np.arange(3.0), np.ones((2, 1)))
    assert [o.shape for o in out] == [(2, 3), (2, 3)]
    (equal,) = relation_function([x, y], [sp.Eq(x, y)])(np.array([1.0, 2.0]), 1.0)
    assert equal.tolist() == [True, False]


def test_a_function_without_a_kernel_form_is_named():
    with pytest.raises(ModelError, match="besseli"):
        _ = compile_model(Model(name="b", flow={x: sp.besseli(1, x)})).field
    with pytest.raises(ModelError, match="'y'"):
        array_function([x], x + y)


u, v = sp.symbols("u v", real=True)


def test_constants_that_overflow_in_a_derivative_do_not_stop_the_rates():
    model = tm.Model(name="huge", flow={u: 1e300 * u / (1e300 * u**2 + 1e299 * v), v: -v}, start={u: 1.0, v: 1.0})
    one, other = (tm.solve(model, [1.0], method=m)["u"].values for m in ("dop853", "lanes"))
    assert abs(one - other) < 1e-7


def test_a_second_process_reads_the_cache(tmp_path):
    code = (
        "import sympy as sp, time, toymesa as tm; x = sp.Symbol('x', real=True)\n"
        "m = tm.Model(name='m', flow={x: -x**3}); f = __import__('toymesa.kernels.generate', fromlist=['x'])\n"
        "field = f.compile_model(m).field; print(sum(field.stats.cache_hits.values()))"
    )
    env = {"TOYMESA_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    hits = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert hits == ["0", "1"]

"""Small systems whose bifurcations are known exactly, for the tests of continuation."""

import numpy as np
import sympy as sp

import toymesa as tm

x, y, z, w = sp.symbols("x y z w", real=True)
a, b = sp.symbols("a b", real=True)
R2 = x**2 + y**2


def model(name, flow, *, start=None, **params):
    return tm.Model(name=name, flow=flow, params=params, start=start or dict.fromkeys(flow, 0.1))


def cusp():
    """x' = a + b x - x^3: folds at 27 a^2 = 4 b^3."""
    return model("cusp", {x: a + b * x - x**3}, a=0.0, b=1.0)


def hopf(quintic=True):
    """r' = a r + b r^3 - r^5, theta' = 1: Hopf at a = 0 with l_1 = 2 b, folds of cycles at a = -b^2/4 for b > 0."""
    s = b * R2 - (R2**2 if quintic else 0)
    return model("bautin", {x: a * x - y + x * s, y: x + a * y + y * s}, a=-0.5, b=-1.0)


def bogdanov_takens():
    """x'' = a + b x' + x^2 + x x': fold a = 0, Hopf a = -b^2, Bogdanov-Takens at the origin (Kuznetsov 2004, 8.4)."""
    return model("bogdanov_takens", {x: y, y: a + b * y + x**2 + x * y}, a=-0.1, b=0.1)


def zero_hopf():
    """A fold at a = 0 beside a rotation of growth rate b + x: zero-Hopf at the origin."""
    return model("zero_hopf", {z: a + z**2 + R2, x: (b + z) * x - y, y: x + (b + z) * y}, a=-0.1, b=0.1)


def brusselator():
    A, B = sp.symbols("A B", positive=True)
    return tm.Model(
        name="brusselator",
        flow={x: A + x**2 * y - (B + 1) * x, y: B * x - x**2 * y},
        params={A: 1.0, B: 1.5},
        start={x: 1, y: 1},
    )


def lorenz():
    r = sp.Symbol("r", real=True)
    flow = {x: 10 * (y - x), y: r * x - y - x * z, z: x * y - sp.Rational(8, 3) * z}
    return tm.Model(name="lorenz", flow=flow, params={r: 20.0}, start={x: 1, y: 1, z: 1})


def specials(data, kind):
    """Parameter values of the special points of one kind, sorted."""
    return np.sort(data["special_at"].values[data["special_kind"].values == kind])


def changed(model, matrix, shift, rate=1.0):
    """The same flow in coordinates X with x = matrix X + shift, and its time running ``rate`` times as fast."""
    names = sp.symbols(f"u0:{len(model.states)}", real=True)
    m = sp.Matrix(matrix.shape[0], matrix.shape[1], [sp.Float(float(v), 17) for v in matrix.ravel()])
    old = m * sp.Matrix(names) + sp.Matrix([sp.Float(float(v), 17) for v in shift])
    rates = sp.Matrix(
        [e.subs(dict(zip(model.states, old, strict=True)), simultaneous=True) for e in model.flow.values()]
    )
    new = rate * m.inv() * rates
    start = m.inv() * (sp.Matrix([model.start[s] for s in model.states]) - sp.Matrix(list(map(float, shift))))
    return tm.Model(
        name="changed",
        flow=dict(zip(names, [sp.expand(e) for e in new], strict=True)),
        params=dict(model.params),
        start=dict(zip(names, start, strict=True)),
    )

"""What the tests of published systems share: a short way to write a model, and to read a diagram."""

import numpy as np
import sympy as sp

import toymesa as tm

R = sp.Rational


def reals(names):
    return sp.symbols(names, real=True)


def flow(name, rates, start=None, **params):
    """A model; parameters by name, states start at 0 unless ``start`` says otherwise."""
    return tm.Model(name=name, flow=rates, params=params, start=start or {})


def specials(data, kind):
    """Parameter values of the special points of one kind, sorted."""
    return np.sort(data["special_at"].values[data["special_kind"].values == kind])


def cycle_specials(data, kind):
    """Parameter and period of the special limit cycles of one kind, in the order in which they were found."""
    here = data["cycle_kind"].values == kind
    return list(zip(data["cycle_at"].values[here], data["cycle_period"].values[here], strict=True))


def points(data, kind):
    """(parameter, second parameter) of the codimension-two points of one kind, sorted."""
    here = data["special_kind"].values == kind
    return sorted(zip(data["special_at"].values[here], data["special_second"].values[here], strict=True))


def printed(value, text):
    """Whether a value rounds to the digits that a source prints, give or take one unit of the last."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return abs(value - float(text)) <= 1.0001 * 10.0 ** (int(exponent or 0) - decimals)


def certified(equations, box, name):
    """The proved bounds of the one solution of equations (unknown -> expression that vanishes) in a box, for one unknown."""
    census = tm.fixed_points(tm.Model(name="augmented", flow=equations), box=box)
    assert census.complete
    (point,) = census.points
    assert point.certified
    return point.enclosure[name]

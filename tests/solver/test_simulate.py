"""Paths with noise: exact laws, measured orders, reproducible streams."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr

import toymesa as tm

x, y = sp.symbols("x y", real=True)
k, s, T = sp.symbols("k s T", positive=True)
# Ornstein and Uhlenbeck; geometric Brownian motion; two noises that do not commute
OU = tm.gradient_flow(k * x**2 / 2, [x], params={k: 1.0, T: 0.5}, start={x: 2}, optimizer=tm.GradientNoise(T))
GEOMETRIC = tm.Model(
    name="geometric", flow={x: k * x}, params={k: 0.5, s: 0.8}, start={x: 1}, noise=sp.Matrix([[s * x]])
)
MIXED = tm.Model(
    name="mixed", flow={x: -x, y: -y}, start={x: 1, y: 1}, params={s: 0.5}, noise=sp.Matrix([[s, s * y], [s * x, s]])
)


def test_stationary_and_transient_moments_of_ornstein_uhlenbeck():
    times = [0.5, 1.0, 3.0]
    run = tm.simulate(OU, times, paths=20_000, step=0.05, method="weak2", rng=1)
    assert run["x"].dims == ("path", "time")
    for i, t in enumerate(times):
        mean, variance = 2 * np.exp(-t), 0.5 * (1 - np.exp(-2 * t))
        values = run["x"].values[:, i]
        assert abs(values.mean() - mean) < 4 * np.sqrt(variance / values.size)
        assert abs(values.var() - variance) < 4 * variance * np.sqrt(2 / values.size)


def exact_geometric(step: float, method: str, *, paths: int) -> tuple[np.ndarray, np.ndarray]:
    """End points by a method and by the exact solution on the same noise."""
    from toymesa.kernels.codes import key_of
    from toymesa.kernels.philox import fill_normals

    end = tm.simulate(GEOMETRIC, 1.0, paths=paths, step=step, method=method, rng=3)["x"].values[:, -1]
    z = np.empty((paths, round(1 / step)))
    for i in range(paths):  # one noise: step after step takes the next variate
        fill_normals(key_of(3), np.uint64(0), np.uint64(i), np.uint64(0), z[i])
    return end, np.exp(0.5 - 0.32 + 0.8 * np.sqrt(step) * z.sum(axis=1))


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 0.5), ("milstein", 1.0), ("euler-lanes", 0.5), ("milstein-lanes", 1.0)]
)
def test_strong_orders(method, order):
    steps = [1 / 16, 1 / 64, 1 / 256]
    errors = []
    for step in steps:
        end, exact = exact_geometric(step, method, paths=2000)
        errors.append(np.abs(end - exact).mean())
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.15


def second_moment(step: float, method: str, drift: float, noise: float) -> float:
    """E x^2 after one step from x = 1 of dx = drift x dt + noise x dW, summed over the values of the increment."""
    if method == "euler-lanes":
        return (1 + drift * step) ** 2 + noise**2 * step
    total = 0.0
    for xi, weight in ((np.sqrt(3), 1 / 6), (-np.sqrt(3), 1 / 6), (0.0, 2 / 3)):
        ahead = 1 + drift * step + noise * np.sqrt(step) * xi
        up, down = (1 + drift * step + sign * noise * np.sqrt(step) for sign in (1, -1))
        new = 1 + step / 2 * drift * (1 + ahead)
        new += noise * np.sqrt(step) / 4 * ((up + down + 2) * xi + (up - down) * (xi**2 - 1))
        total += weight * new**2
    return total


@pytest.mark.parametrize(("method", "order"), [("euler-lanes", 1), ("weak2", 2)])
def test_weak_orders(method, order):
    drift, noise = 1.0, 0.3
    for step in (1 / 2, 1 / 4):  # the simulation has the method's own bias
        run = tm.simulate(
            GEOMETRIC, 1.0, paths=100_000, step=step, method=method, rng=5, params={"k": drift, "s": noise}
        )
        squares = run["x"].values ** 2
        expected = second_moment(step, method, drift, noise) ** round(1 / step)
        assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(squares.size)
    steps = np.array([1e-2, 1e-3])  # and that bias is of the stated order
    gap = [abs(second_moment(h, method, drift, noise) - np.exp((2 * drift + noise**2) * h)) for h in steps]
    assert np.diff(np.log(gap))[0] / np.diff(np.log(steps))[0] == pytest.approx(order + 1, abs=0.05)


def test_weak_method_with_noises_that_do_not_commute():
    # moments of a linear SDE by their own equations: d/dt E x^2 = -2 E x^2 + s^2 (1 + E y^2), and for xy likewise
    second = sp.symbols("xx yy xy", real=True)
    xx, yy, xy = second
    moments = tm.Model(
        name="moments",
        flow={
            xx: -2 * xx + s**2 * (1 + yy),
            yy: -2 * yy + s**2 * (1 + xx),
            xy: -2 * xy + s**2 * (sp.Symbol("mx", real=True) + sp.Symbol("my", real=True)),
            sp.Symbol("mx", real=True): -sp.Symbol("mx", real=True),
            sp.Symbol("my", real=True): -sp.Symbol("my", real=True),
        },
        params={s: 0.5},
        start={"xx": 1, "yy": 1, "xy": 1, "mx": 1, "my": 1},
    )
    truth = tm.solve(moments, [1.0])
    run = tm.simulate(MIXED, 1.0, paths=100_000, step=0.1, method="weak2", rng=2)
    a, b = run["x"].values[:, 0], run["y"].values[:, 0]
    for value, name in ((a * a, "xx"), (b * b, "yy"), (a * b, "xy")):
        expected = float(truth[name].values[-1])
        assert abs(value.mean() - expected) < 4 * value.std() / np.sqrt(value.size) + 1e-3, name


def test_auto_is_milstein_only_where_the_noise_commutes():
    assert tm.simulate(OU, 0.1, paths=2, rng=0).attrs["method"] == "milstein-lanes"
    assert tm.simulate(MIXED, 0.1, paths=2, rng=0).attrs["method"] == "euler-lanes"
    for method in ("milstein", "milstein-lanes"):
        with pytest.raises(tm.DomainError, match="needs commuting noise"):
            tm.simulate(MIXED, 0.1, method=method)


@pytest.mark.parametrize("method", ["euler", "milstein", "weak2", "euler-lanes", "milstein-lanes"])
def test_a_method_asked_for_by_name_is_the_one_that_runs(method):
    assert tm.simulate(OU, 0.1, paths=2, rng=0, method=method).attrs["method"] == method


@pytest.mark.parametrize("method", ["euler", "milstein-lanes"])
def test_a_path_is_the_same_in_any_company(method):
    common = {"step": 0.05, "rng": 11, "method": method}
    many = tm.simulate(OU, [0.5, 1.0], paths=600, threads=2, **common)
    few = tm.simulate(OU, [0.5, 1.0], paths=7, threads=1, **common)
    assert np.array_equal(many["x"].values[:7], few["x"].values)
    swept = tm.simulate(OU, [0.5, 1.0], paths=7, params={"k": [1.0, 2.0]}, **common)
    assert np.array_equal(swept["x"].sel(k=1.0).values, few["x"].values)
    assert not np.array_equal(swept["x"].sel(k=2.0).values, few["x"].values)


def test_a_run_without_a_seed_can_be_repeated():
    first = tm.simulate(OU, 1.0, paths=5)
    again = tm.simulate(OU, 1.0, paths=5, rng=first.attrs["seed"])
    assert first["x"].identical(again["x"])


def test_failures_are_statuses():
    explosive = tm.Model(name="explosive", flow={x: x**3}, params={s: 1.0}, start={x: 3}, noise=sp.Matrix([[s]]))
    run = tm.simulate(explosive, [0.01, 50.0], paths=3, step=0.5, rng=0)
    assert (run["status"] == tm.Status.OVERFLOW).all()
    swept = tm.simulate(OU, 1.0, paths=3, params={"k": xr.DataArray([1.0, -1.0], dims="k")}, rng=0)
    assert (swept["status"].isel(k=1) == tm.Status.BAD_PARAM).all()
    assert (swept["status"].isel(k=0) == tm.Status.OK).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": tm.models.gated}, tm.ArgumentError, "has no noise: use toymesa.solve"),
        ({"model": "gated"}, tm.ArgumentError, "must be a toymesa Model; got str"),
        ({"t": -1.0}, tm.DomainError, "must run forward from 0"),
        ({"t": 0.0}, tm.DomainError, "must run forward from 0"),
        ({"step": 0.0}, tm.DomainError, "step must lie in"),
        ({"paths": 0}, tm.DomainError, "paths must be a whole number"),
        ({"method": "heun"}, tm.DomainError, "no method 'heun' for noise"),
        ({"method": "euler_lanes"}, tm.DomainError, "did you mean 'euler-lanes'"),
        ({"method": "weak2-lanes"}, tm.DomainError, "no method 'weak2-lanes' for noise"),
        ({"path": 3}, tm.ArgumentError, "did you mean 'paths'"),
        ({"params": {"k": xr.DataArray([1.0], dims="path")}}, tm.DomainError, "must not be called 'path'"),
    ],
)
def test_refusals(change, error, words):
    with pytest.raises(error, match=words):
        tm.simulate(**{"model": OU, "t": 1.0, **change})

"""Axes, measures, designs and labels of a sweep, and one clear line for every bad input."""

import json
import pickle
from functools import partial

import numpy as np
import pytest
import sweep_models as models
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa import measures as ms
from toymesa.errors import ArgumentError, DomainError
from toymesa.sweep.method import StoredMethod

QUIET = {"progress": False, "rng": 3}


def quick(model, over, **more):
    return tm.sweep(model, over, **({"t": 2.0} | QUIET | more))


def test_labels_and_values():
    run = quick(models.LOGISTIC, models.GRID, measure=["x", "gap"])
    assert run["x"].dims == ("k", "start_x")
    assert (run["status"] == tm.Status.OK).all()
    want = tm.solve(models.LOGISTIC, [2.0], params={"k": models.GRID["k"]}, start={"x": models.GRID["start_x"]})
    np.testing.assert_array_equal(run["x"], want["x"].isel(time=0))
    np.testing.assert_array_equal(run["gap"], want["gap"].isel(time=0))
    spec = json.loads(run.attrs["spec"])
    assert spec["models"] == {"logistic": f"{models.LOGISTIC.fingerprint}, closed forms none"}
    assert {"versions", "machine", "source", "created", "seed", "argv", "rtol"} <= set(run.attrs)


def test_times_events_and_labels():
    run = quick(
        models.LOGISTIC, {"k": [0.5, 1.0, 4.0]}, t=[0.0, 1.0, 3.0], events={"half": ("x - 1/2", {"direction": 1})},
        measure=[
            "x", ms.value("x", "last", at="end"), ms.value("gap", "gap_there", at="half"), ms.event_time("half"),
            ms.event_time("half", which="count"), ms.label({"high": "x > 0.9", "middle": "gap < 0.5"}),
            ms.steady("x", "rest"), ms.growth(), ms.stability(),
        ],
    )  # fmt: skip
    assert run["x"].dims == ("k", "time")
    np.testing.assert_array_equal(run["last"], run["x"].isel(time=-1))
    exact = np.log(9) / run["k"]
    np.testing.assert_allclose(run["half_time"], np.where(exact <= 3, exact, np.nan), rtol=1e-7)
    np.testing.assert_allclose(run["gap_there"], [np.nan, 0.5, 0.5], atol=1e-7)
    np.testing.assert_array_equal(run["half_count"], [0, 1, 1])
    np.testing.assert_array_equal(run["outcome"], [-1, 1, 0])
    assert run["outcome"].attrs["flag_meanings"] == "none high middle"
    np.testing.assert_allclose(run["rest"], 1.0, atol=1e-6)
    np.testing.assert_allclose(run["growth"], -run["k"], rtol=1e-5)
    np.testing.assert_array_equal(run["kind"], 0)


def test_formulas_functions_and_draws():
    run = quick(
        models.LOGISTIC, {"k": np.linspace(0.5, 3.0, 11)},
        measure={"ratio": "x/m", "twice": models.fragile, "own": ms.function(models.end), "noise": ms.function(models.noisy, "noise", random=True)},
        start={"x": lambda g: g.uniform(0.1, 0.2)},
    )  # fmt: skip
    failed = run["k"].values > 2
    np.testing.assert_array_equal(run["status"], np.where(failed, tm.Status.MEASURE_FAILED, tm.Status.OK))
    np.testing.assert_array_equal(run["twice"], np.where(failed, np.nan, 2 * run["k"]))
    assert "k is too large for me" in json.loads(run.attrs["notes"])[0]
    assert np.unique(run["noise"]).size == 11
    again = quick(
        models.LOGISTIC,
        {"k": np.linspace(0.5, 3.0, 11)},
        measure={"x": "x"},
        chunk=3,
        start={"x": lambda g: g.uniform(0.1, 0.2)},
    )
    np.testing.assert_array_equal(again["x"], run["own"])


def test_critical_values():
    """x = exp(-k t) falls below 1/2 at k = ln 2/t, and BLOW blows up from k = 1/t on: the first change counts."""
    over = {"start_x": [0.6, 0.8, 1.0, 0.4]}
    more = {
        "measure": [
            ms.critical("k", (0.01, 1.9), margin="x - 1/2", tol=1e-12),
            ms.critical("k", (0.01, 10.0, "log"), label=ms.label({"up": "x > 0.5"}), name="other", tol=1e-12),
        ]
    }
    run = quick(models.DECAY, over, **more)
    exact = np.log(2 * run["start_x"]) / 2
    exact = exact.where((exact > 0.01) & (run["start_x"] > 0.5))
    np.testing.assert_allclose(run["critical_k"], exact, rtol=1e-9)
    np.testing.assert_allclose(run["other"], exact, rtol=1e-7)
    xr.testing.assert_equal(run, quick(models.DECAY, over, chunk=1, **more))
    for arguments, message in (
        ({"parameter": "kk"}, "did you mean 'k'"),
        ({"margin": None}, "either"),
        ({"between": (2.0, 1.0)}, "low < high"),
    ):
        with pytest.raises(tm.ToymesaError, match=message):
            quick(
                models.DECAY,
                over,
                measure=[ms.critical(**({"parameter": "k", "between": (0.1, 1.0), "margin": "x"} | arguments))],
            )


@pytest.mark.parametrize(
    ("eigenvalues", "kind"),
    [
        ([-1, -2], "stable"), ([-1 + 1j, -1 - 1j, -3], "stable-spiral"), ([-1, -3 + 1j, -3 - 1j], "stable"), ([1, -2], "saddle"),
        ([1, 2], "unstable"), ([1 + 1j, 1 - 1j, -2], "unstable-spiral"), ([2, 1 + 1j, 1 - 1j], "unstable"), ([1j, -1j, -1], "centre"),
        ([0, -1], "undecided"), ([0, 1], "unstable"), ([1e-12, -1], "undecided"), ([0, 0], "undecided"),
    ],
)  # fmt: skip
def test_kinds_of_fixed_points(eigenvalues, kind):
    from toymesa.analyse import KINDS
    from toymesa.sweep.spectrum import kinds

    flow = np.array([eigenvalues], dtype=complex)
    assert KINDS[kinds(flow, discrete=False, tiny=1e-9)[0]] == kind
    if not np.isclose(flow, 0).all():  # the map of a short step has the same kind, by its moduli
        short = flow / np.abs(flow).max() / 100
        assert KINDS[kinds(np.exp(short), discrete=True, tiny=1e-9)[0]] == kind


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans())
def test_kinds_are_those_of_the_stability_laboratory(seed, size, discrete):
    from toymesa.analyse.spectrum import KINDS, kind, signs
    from toymesa.sweep.spectrum import kinds

    matrix = np.random.default_rng(seed).normal(size=(size, size))
    values = np.linalg.eigvals(matrix)[None, :].astype(complex)
    assert KINDS[kinds(values, discrete=discrete, tiny=1e-9)[0]] == kind(
        signs(matrix, discrete=discrete), discrete=discrete
    )


def test_draws_that_fail_cost_their_cells_alone():
    def draw(rng):
        drawn = rng.random()
        if drawn < 0.3:
            raise ValueError("two\nlines")
        return drawn if drawn < 0.7 else np.full(2, drawn) if drawn < 0.85 else np.nan

    over = {"m": np.linspace(0.5, 3.0, 40)}
    run = quick(models.LOGISTIC, over, measure=["x"], start={"x": draw}, rng=4)
    ok = run["status"] == tm.Status.OK
    assert 8 < int(ok.sum()) < 24
    np.testing.assert_array_equal(run["status"], np.where(ok, tm.Status.OK, tm.Status.BAD_PARAM))
    assert np.isfinite(run["x"].values[ok.values]).all()
    assert "the draw of 'x': " in run.attrs["notes"]
    xr.testing.assert_equal(run, quick(models.LOGISTIC, over, measure=["x"], start={"x": draw}, rng=4, chunk=7))

    def never(rng):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        quick(models.LOGISTIC, over, measure=["x"], start={"x": never})
    assert caught.value.__notes__ == ["while drawing 'x'"]


def test_fingerprints_of_functions_know_what_was_changed():
    """A resume with another function is refused; what a closure, a default or ``partial`` holds is part of one."""
    from toymesa.sweep.own import function_fingerprint as of

    def uniform(high):
        return lambda rng: rng.uniform(0.0, high)

    def default(high):
        def draw(rng, high=high):
            return rng.uniform(0.0, high)

        return draw

    def power(high, rng):
        return rng.uniform(0.0, high) ** 2

    for make in (uniform, default, lambda high: partial(power, high)):
        for one, other in ((1.0, 2.0), (np.arange(3.0), np.arange(4.0)), ((1, "a"), (1, "b"))):
            assert of(make(one)) == of(make(one)) != of(make(other))
    assert of(uniform(object())) == of(uniform(object()))  # an object has an address, which is no setting
    assert of(lambda rng: [i + 1 for i in rng]) != of(lambda rng: [i + 2 for i in rng])

    def first(rng):
        return second(rng)

    def second(rng):
        return first(rng)

    assert of(first) == of(first) != of(second)


def test_cells_off_the_simplex_cost_themselves_alone():
    model = tm.models.mechanisms()
    names = [c.name for c in model.charts[0].coordinates]
    shares = np.random.default_rng(0).dirichlet(np.ones(len(names)), 6)
    shares[2] *= 1.5
    shares[5] *= -1
    points = [dict(zip(names, row, strict=True)) for row in shares]
    run = tm.sweep(model, points, t=[1.0, 5.0], progress=False)
    assert run["status"].values.tolist() == [1, 1, 7, 1, 1, 7]
    for i in (0, 1, 3, 4):
        alone = tm.solve(model, t=[1.0, 5.0], start=points[i])
        np.testing.assert_array_equal(run["loss"][i], alone["loss"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranges_of_any_width(data):
    from toymesa.sweep.axes import between

    scale = data.draw(st.sampled_from(["linear", "log"]))
    tiny = np.finfo(float).tiny
    numbers = st.floats(tiny if scale == "log" else None, allow_nan=False, allow_infinity=False)
    low, high = sorted(data.draw(st.tuples(numbers, numbers).filter(lambda p: p[0] != p[1])))
    unit = np.linspace(0.0, 1.0, 33)
    found = between((low, high, scale), unit)
    assert np.isfinite(found).all()
    assert ((found >= low) & (found <= high)).all()
    far = unit * (np.log(high) - np.log(low)) + np.log(low) if scale == "log" else low * (1 - unit) + unit * high
    size = max(abs(np.log(low)), abs(np.log(high)), 1.0) if scale == "log" else max(abs(low), abs(high))
    np.testing.assert_allclose(np.log(found) if scale == "log" else found, far, rtol=1e-14, atol=1e-14 * size)


def test_failures_are_recorded():
    huge = quick(models.LOGISTIC, {"k": [1e308, 1.0]}, measure=["x"], max_steps=100)
    assert huge["status"].values.tolist() == [tm.Status.STEP_LIMIT, tm.Status.OK]
    run = quick(
        models.BLOW, {"k": [0.1, 1.0, -1.0]}, measure=["x", ms.leader("x", "inverse"), ms.label({"up": "x > 0"})]
    )
    assert run["status"].values.tolist() == [tm.Status.OK, tm.Status.BLOW_UP, tm.Status.BAD_PARAM]
    assert np.isnan(run["x"].values[1:]).all()
    np.testing.assert_array_equal(run["leader"], [0, -1, -1])
    np.testing.assert_array_equal(run["outcome"], [0, -1, -1])


def test_structure_and_optimizers():
    run = quick(models.chain, {"depth": [1, 3], "k": [0.5, 1.0]}, measure="last")
    assert run["depth"].values.tolist() == [1, 3]
    for depth in (1, 3):
        want = tm.solve(models.chain(depth), [2.0], params={"k": [0.5, 1.0]})["last"].isel(time=0)
        np.testing.assert_array_equal(run["last"].sel(depth=depth), want)
    ways = {
        "flow": None,
        "heavy": tm.HeavyBall(sp.Rational(1, 2)),
        "steps": lambda model: tm.with_optimizer(model, tm.Descent(0.1)),
    }
    run = quick(models.LOGISTIC, {"optimizer": ways, "k": [1.0, 2.0]}, t=4.0)
    assert run["optimizer"].values.tolist() == ["flow", "heavy", "steps"]
    want = tm.solve(tm.with_optimizer(models.LOGISTIC, tm.Descent(0.1)), [4.0], params={"k": [1.0, 2.0]})["gap"].isel(
        time=0
    )
    np.testing.assert_array_equal(run["gap"].sel(optimizer="steps"), want)
    names = quick(
        tm.models.mechanisms,
        {"names": [("a", "b"), ("a", "b", "c")], "diversity": [1.0, 5.0]},
        measure="n_eff",
        until="steady",
        t=None,
    )
    assert names["names"].values.tolist() == ["a,b", "a,b,c"]
    np.testing.assert_allclose(names["n_eff"].isel(diversity=0), [2, 3], rtol=1e-6)


def test_points_and_zipped_axes():
    points = [{"k": 1.0, "start_x": 0.2}, {"k": 2.0, "start_x": 0.2}, {"k": 1.0, "start_x": 0.2}]
    run = quick(models.LOGISTIC, points, measure="x")
    assert run["k"].dims == ("point",)
    assert run["x"].values[0] == run["x"].values[2]
    zipped = quick(
        models.LOGISTIC, {"k": xr.DataArray([1.0, 2.0], dims="case"), "start_x": xr.DataArray([0.2, 0.2], dims="case")}, measure="x"
    )  # fmt: skip
    np.testing.assert_array_equal(zipped["x"], run["x"][:2])
    assert set(zipped.coords) == {"k", "start_x"}


@pytest.mark.parametrize("design", ["random", "sobol", "halton"])
def test_samples_do_not_depend_on_the_blocks(design):
    ranges = {"k": (0.1, 10.0, "log"), "start_x": (0.1, 0.9)}
    one = quick(models.LOGISTIC, ranges, design=design, samples=300, measure="x")
    other = quick(models.LOGISTIC, ranges, design=design, samples=300, measure="x", chunk=37)
    xr.testing.assert_equal(one, other)
    longer = quick(models.LOGISTIC, ranges, design=design, samples=350, measure="x")
    np.testing.assert_array_equal(longer["k"][:300], one["k"])
    assert one["k"].dims == ("sample",)
    assert 0.1 <= float(one["k"].min()) < 0.3
    assert 3.0 < float(one["k"].max()) <= 10.0
    assert abs(float(np.log10(one["k"]).mean())) < 0.1


def test_a_closed_form_is_used_cell_by_cell():
    """The condition k < 2 holds in some cells only: the bits must not depend on who else is in the block."""
    over = {"k": np.linspace(0.5, 3.0, 40)}
    whole = quick(models.DECAY, over, measure="x")
    alone = quick(models.DECAY, over, measure="x", chunk=1)
    xr.testing.assert_equal(whole, alone)
    np.testing.assert_array_equal(whole["nsteps"] == 0, whole["k"] < 2)
    np.testing.assert_allclose(whole["x"], np.exp(-2 * whole["k"]), rtol=1e-7)
    closed = quick(models.DECAY, over, measure="x", method="closed")
    np.testing.assert_array_equal(closed["status"] == tm.Status.OK, closed["k"] < 2)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.1, 5.0), min_size=1, max_size=7, unique=True),
    st.lists(st.floats(0.0, 1.5), min_size=1, max_size=5, unique=True),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_bits_do_not_depend_on_chunks_and_workers(ks, starts, chunk, workers):
    over = {"k": ks, "start_x": starts}
    more = {"measure": ["x", "gap", ms.function(models.noisy, "noise", random=True)], "t": [0.5, 2.0]}
    xr.testing.assert_equal(
        quick(models.LOGISTIC, over, **more), quick(models.LOGISTIC, over, chunk=chunk, workers=workers, **more)
    )


def test_bits_are_those_of_the_closed_form_in_any_chunk():
    joint = tm.models.mechanisms(("a", "b"))
    over = {
        "lam": np.linspace(0.0, 0.5, 41),
        "start_c_a": xr.DataArray([0.1], dims="one"),
        "start_c_b": xr.DataArray([0.1], dims="one"),
    }
    fixed = {f"{kind}_{n}": v for n in "ab" for kind, v in (("rate", 1.0), ("bits", 0.0), ("fidelity", 1.0))}
    one = quick(joint, over, params=fixed, measure=["c_a", "loss"])
    assert (one["nsteps"] == 0).all()
    for chunk in (1, 7):
        xr.testing.assert_equal(one, quick(joint, over, params=fixed, measure=["c_a", "loss"], chunk=chunk))


def test_a_plan_travels():
    from toymesa.sweep.planning import plan

    made = plan(
        tm.models.mechanisms(("a", "b")), {"diversity": [1.0, 2.0]}, measure=["n_eff"], t=1.0, until=None, params=None, start=None,
        events=None, design_=None, samples=None, method="auto", rtol=1e-8, atol=1e-10, max_step=np.inf, first_step=None,
        max_steps=1000, rng=0, chunk=None,
    )  # fmt: skip
    again = pickle.loads(pickle.dumps(made))
    assert again.spec == made.spec
    index = made.blocks.index(0)
    for name, values in made.evaluate(index)[0].items():
        np.testing.assert_array_equal(again.evaluate(index)[0][name], values)


BAD = [
    ({"over": {}}, DomainError, "at least one axis"),
    ({"over": {"kk": [1.0]}}, ArgumentError, "did you mean 'k'"),
    ({"over": {"k": []}}, DomainError, "empty"),
    ({"over": {"k": [1.0, 1.0]}}, DomainError, "duplicate"),
    ({"over": {"k": [1.0, float("nan")]}}, DomainError, "finite"),
    ({"over": {"k": ["a"]}}, ArgumentError, "text"),
    ({"over": {"k": [True]}}, ArgumentError, "boolean"),
    ({"over": {"k": [[1.0]]}}, DomainError, "shape"),
    ({"over": {"k": xr.DataArray([1.0], dims="status")}}, DomainError, "reserved"),
    ({"over": {"k": xr.DataArray([1.0], dims="../x")}}, Exception, "identifier"),
    ({"over": 3}, ArgumentError, "list of points"),
    ({"over": [{"k": 1.0}, {"m": 1.0}]}, DomainError, "point 1 must name"),
    ({"over": {"k": [1.0]}, "params": {"k": 1.0}}, ArgumentError, "in over and in params"),
    ({"over": {"start_x": [0.1]}, "start": {"x": 1.0}}, ArgumentError, "in over and in start"),
    ({"params": {"mm": 1.0}}, ArgumentError, "did you mean 'm'"),
    ({"params": {"m": [1.0, 2.0]}}, DomainError, "what varies goes into over"),
    ({"params": {"m": -1.0}}, DomainError, "must lie in"),
    ({"measure": ["gapp"]}, ArgumentError, "did you mean 'gap'"),
    ({"measure": {"a/b": "x"}}, Exception, "identifier"),
    ({"measure": {"status": "x"}}, Exception, "reserved|status"),
    ({"measure": {"k": "x"}}, DomainError, "stands for two things"),
    ({"measure": {"z": "__import__('os')"}}, tm.ExpressionError, "column"),
    ({"measure": []}, DomainError, "empty"),
    ({"measure": [ms.event_time("half")]}, ArgumentError, "no event 'half'"),
    ({"measure": [ms.value("x", at="half")]}, ArgumentError, "no event 'half'"),
    ({"measure": [3]}, ArgumentError, "must be a name"),
    ({"measure": [ms.label({"a": "x"})]}, Exception, "label 'a'"),
    ({"t": None}, ArgumentError, "t is missing"),
    ({"t": float("nan")}, DomainError, "finite"),
    ({"rtol": -1}, DomainError, "rtol"),
    ({"rng": -1}, DomainError, "rng"),
    ({"rng": 1.5}, ArgumentError, "rng"),
    ({"design": "sobel"}, DomainError, "did you mean 'sobol'"),
    ({"design": "sobol"}, ArgumentError, "needs samples"),
    ({"design": "sobol", "samples": 0}, DomainError, "samples"),
    ({"design": "sobol", "samples": 4, "over": {"k": (2.0, 1.0)}}, DomainError, "low < high"),
    ({"design": "sobol", "samples": 4, "over": {"k": (0.0, 1.0, "log")}}, DomainError, "0 < low"),
    ({"samples": 4}, ArgumentError, "samples goes with"),
    ({"engine": "thread"}, DomainError, "did you mean 'threads'"),
    ({"engine": 5}, ArgumentError, "engine"),
    ({"workers": 0}, DomainError, "workers"),
    ({"chunk": 0}, DomainError, "chunk"),
    ({"chunk": (1, 2, 3)}, DomainError, "chunk"),
    ({"resume": True}, ArgumentError, "store="),
    ({"model": 3}, ArgumentError, "must be a toymesa Model"),
    ({"over": {"k": np.arange(1, 40000.0), "m": np.arange(1, 40000.0)}}, DomainError, "allow_large=True"),
    ({"method": "tsit"}, DomainError, "did you mean 'tsit5'"),
    ({"method": "closed"}, DomainError, "method 'closed' needs a closed form, which model 'logistic' has not"),
    ({"model": "mechanisms"}, ArgumentError, r"toymesa.models.find\('mechanisms'\) looks a name up"),
    ({"measure": [ms.steady("x - m")]}, ArgumentError, "a formula needs a name"),
    ({"over": xr.DataArray([1.0], dims="k")}, ArgumentError, "over must be a mapping"),
    ({"over": [{}]}, DomainError, "at least one axis in every point"),
    ({"t": [[], 1.0]}, ArgumentError, "regular shape"),
    ({"max_steps": 10**30}, DomainError, "max_steps"),
    ({"chunk": (1.5,)}, DomainError, "chunk"),
    ({"until": 3}, ArgumentError, "until must be a name"),
    ({"resume": "yes"}, ArgumentError, "resume must be True or False"),
    ({"store": ""}, ArgumentError, "store must be the path of a directory"),
    ({"store": ["st"]}, ArgumentError, "store must be the path of a directory"),
    ({"paths": 5}, ArgumentError, "paths goes with a model with noise"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input_gets_one_line(arguments, error, message):
    given_ = {"model": models.LOGISTIC, "over": {"k": [1.0, 2.0]}} | arguments
    if given_.get("design") == "sobol" and "over" not in arguments:
        given_["over"] = {"k": (1.0, 2.0)}
    with pytest.raises(error, match=message) as caught:
        quick(given_.pop("model"), given_.pop("over"), **given_)
    assert "\n" not in str(caught.value)


def test_a_key_names_a_formula_inside_a_measure():
    run = quick(models.LOGISTIC, {"k": [1.0, 2.0]}, measure={"off": ms.value("x - m"), "rest": ms.steady("x - m")})
    np.testing.assert_allclose(run["rest"], 0, atol=1e-6)
    assert (run["off"] < 0).all()


@given(st.integers(1, 10**7), st.integers(1, 10**4))
def test_blocks_are_neither_many_nor_large(cells, paths):
    from toymesa.sweep.blocks import chunk_shape

    (plain,), (heavy,) = chunk_shape((cells,), None), chunk_shape((cells,), None, paths)
    (light,) = chunk_shape((cells,), None, light=True)
    assert plain <= light <= max(plain, min(cells // 16, 65536))
    assert plain == cells or 32 <= plain <= 65536
    assert cells / plain <= max(129, cells / 65536 + 1)
    assert 1 <= heavy <= plain
    if paths > 32:
        assert cells / heavy >= min(cells, 64)


def test_the_method_is_decided_once_and_kept(tmp_path, monkeypatch):
    """By the number of all cells, into solve and provenance; a store that is continued keeps what it was begun with."""
    import importlib

    planning, asked, seen = importlib.import_module("toymesa.sweep.planning"), [], set()
    cells_module = importlib.import_module("toymesa.sweep.cells")
    real = cells_module.computed

    kept = planning.method_of

    def decided(wanted, made, cells):
        asked.append((str(wanted), cells))
        if isinstance(wanted, StoredMethod):
            return kept(wanted, made, cells)
        return "dop853" if wanted == "auto" and cells > 8 else wanted

    def computed(model, batch, times, wanted, *more, **named):
        seen.add(wanted)
        return real(model, batch, times, wanted, *more, **named)

    monkeypatch.setattr(planning, "method_of", decided)
    monkeypatch.setattr(cells_module, "computed", computed)
    few, many = {"k": np.linspace(1, 2, 8)}, {"k": np.linspace(1, 2, 12)}
    one = quick(models.LOGISTIC, many, measure="x", chunk=2, store=tmp_path / "many")
    assert (asked, seen) == ([("auto", 12)], {"dop853"})
    assert one.attrs["method"] == json.loads(one.attrs["spec"])["method"] == "dop853"
    xr.testing.assert_equal(one, quick(models.LOGISTIC, many, measure="x", method="dop853"))
    longer = {"k": np.append(np.linspace(1, 2, 8), [3.0, 4.0])}
    quick(models.LOGISTIC, few, measure="x", store=tmp_path / "few")
    seen.clear()
    grown = quick(models.LOGISTIC, longer, measure="x", store=tmp_path / "few", extend=True)
    assert asked[-1] == ("auto", 10)
    assert grown.attrs["method"] == "auto"
    assert seen == {"auto"}


def test_the_room_is_callable_too():
    import importlib

    room = importlib.import_module("toymesa.sweep")
    assert room(models.LOGISTIC, {"k": [1.0]}, t=1.0, **QUIET).equals(quick(models.LOGISTIC, {"k": [1.0]}, t=1.0))


def test_progress_counts_cells_and_ends_at_the_total():
    seen = []
    quick(models.LOGISTIC, models.GRID, chunk=10, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 30)
    assert seen[-1] == (30, 30)
    assert seen == sorted(seen)


def test_cells_that_lanes_solve_stand_in_fewer_blocks():
    def blocks(**how):
        run = quick(models.LOGISTIC, {"k": np.linspace(1, 2, 4800)}, **{"measure": ["x"], **how})
        (chunk,) = json.loads(run.attrs["spec"])["chunks"]
        return 4800 // chunk

    assert blocks() == blocks(measure=["gap"], until="steady", t=None) == 16
    assert blocks(t=[1.0, 2.0]) == blocks(measure=[ms.steady("x")]) == blocks(method="dop853") == 48
    assert blocks(start={"x": lambda rng: rng.uniform(0.1, 0.2)}) == 48

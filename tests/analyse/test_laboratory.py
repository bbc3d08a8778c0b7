"""The laboratory on the command line, and its pictures."""

import json
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import sympy as sp

import toymesa as tm
from toymesa.analyse import KINDS, sampled_rates
from toymesa.cli import main
from toymesa.plot.portrait import MARKERS

x, y = sp.symbols("x y", real=True)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "turn.toml").write_text(
        'name = "turn"\n[states]\nx = "y"\ny = "mu*(1 - x**2)*y - x"\n[params]\nmu = 0.5\n'
    )
    (tmp_path / "double.toml").write_text('name = "double"\n[states]\nx = "x**2*(x - 1)"\n')
    (tmp_path / "wave.toml").write_text('name = "wave"\n[states]\nx = "sin(x)"\n')
    return tmp_path


def run(capsys, *arguments):
    code = main(list(map(str, arguments)))
    return code, *capsys.readouterr()


def test_fixed_points_in_json(files, capsys):
    code, out, _ = run(capsys, "fixed-points", files / "turn.toml", "--json")
    data = json.loads(out)
    assert code == 0
    assert set(data) == {"points", "continua", "undecided", "complete"}
    (point,) = data["points"]
    assert set(point) == {"state", "enclosure", "eigenvalues", "kind", "certified"}
    assert point["state"] == {"x": 0.0, "y": 0.0}
    assert point["kind"] == "unstable-spiral"
    assert data["complete"] is True
    assert run(capsys, "fixed-points", files / "turn.toml", "--set", "mu=-0.5")[1].count("stable-spiral") == 1


def test_what_stays_undecided_is_a_partial_result(files, capsys):
    code, out, err = run(capsys, "fixed-points", files / "double.toml")
    assert code == 3
    assert "NOT complete" in out
    assert err.count("\n") == 1
    code, out, _ = run(capsys, "fixed-points", "gated", "--json")
    assert code == 0
    assert [(c["dimension"], c["kind"]) for c in json.loads(out)["continua"]] == [(2, "drift")]


def test_stability_of_a_point_and_of_all(files, capsys):
    code, out, _ = run(capsys, "stability", files / "turn.toml", "--json")
    (point,) = json.loads(out)["points"]
    assert code == 0
    assert point["meaning"] == "spiral"
    assert point["growth_rate"] == pytest.approx(0.25)
    code, out, _ = run(
        capsys,
        "stability",
        "mechanisms",
        "--mechanisms",
        "a,b",
        "--at",
        "c_a=0.980392157",
        "c_b=0.980392157",
        "p_a=0.5",
    )
    assert code == 0
    assert "saddle (proved)" in out
    code, out, _ = run(capsys, "stability", files / "wave.toml", "--box", "x=-4:4")
    assert out.count("wave at x") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fixed-points", "wave"], "give box={'x': (-10, 10)}"),
        (["fixed-points", "wave", "--box", "x"], "--box takes name=lo:hi"),
        (["fixed-points", "wave", "--box", "x=1"], "takes LO:HI"),
        (["fixed-points", "wave", "--box", "x=2:1"], "low < high"),
        (["fixed-points", "wave", "--box", "x=0:1", "x=0:1"], "twice"),
        (["fixed-points", "wave", "--box", "xx=0:1"], "no state 'xx'; did you mean 'x'"),
        (["stability", "wave", "--at", "x=1"], "not a fixed point"),
        (["stability", "wave", "--at", "y=1"], "no state 'y'"),
    ],
)
def test_errors_are_one_line(files, capsys, arguments, message):
    arguments = [files / "wave.toml" if a == "wave" else a for a in arguments]
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


# ---------------------------------------------------------------- pictures


def test_sampled_rates():
    competition = tm.Model(name="m", flow={x: x * (3 - x - 2 * y), y: y * (2 - x - y)})
    rates = sampled_rates(competition, {"y": (0, 2), "x": (-1, 3)}, count=5)
    assert rates["rate_x"].dims == ("y", "x")
    at = rates.sel(x=1.0, y=0.5)
    assert float(at["rate_x"]) == pytest.approx(1.0)
    assert float(at["rate_y"]) == pytest.approx(0.25)
    with pytest.raises(tm.ArgumentError, match="one or two"):
        sampled_rates(competition, {})
    with pytest.raises(tm.DomainError, match="low < high"):
        sampled_rates(competition, {"x": (1, 0)})


def test_sampled_rates_solve_for_algebraic_states():
    theta, a = sp.symbols("theta a", real=True)
    implicit = tm.bilevel(
        base_loss=(a - 1) ** 2 / 2, mesa_objective=(a - theta) ** 4 / 4 + a**2 / 2, outer=[theta], inner=[a],
        coupling="equilibrium",
    )  # fmt: skip
    rates = sampled_rates(implicit, {"theta": (1.0, 3.0)}, count=9)
    assert set(rates.data_vars) == {"rate_theta"}
    assert float(rates["rate_theta"].sel(theta=2.0)) == pytest.approx(0.0, abs=1e-12)
    values = rates["rate_theta"].values
    assert (values[:4] > 0).all()
    assert (values[5:] < 0).all()


def test_every_kind_has_a_marker():
    assert set(MARKERS) == set(KINDS)
    assert len({m[:2] for m in MARKERS.values()}) == len(KINDS)


def test_portraits_draw_every_fixed_point(tmp_path):
    before = {n: v for n, v in mpl.rcParams.items() if n != "backend"}  # that one is resolved when it is first needed
    competition = tm.Model(name="competition", flow={x: x * (3 - x - 2 * y), y: y * (2 - x - y)})
    census = tm.fixed_points(competition)
    ax = tm.plot.phase_portrait(sampled_rates(competition, {"x": (-0.3, 3.5), "y": (-0.3, 3)}), points=census.points)
    drawn = {tuple(line.get_xydata()[0]) for line in ax.lines if len(line.get_xydata()) == 1}
    assert drawn == {(p.state["x"], p.state["y"]) for p in census.points}
    texts = {t.get_text() for t in ax.get_legend().get_texts()}
    assert texts == {"x at rest", "y at rest", "stable", "saddle", "unstable"}
    ax.figure.savefig(tmp_path / "plane.png")
    fold = tm.Model(name="fold", flow={x: x - x**3})
    line = tm.plot.phase_portrait(sampled_rates(fold, {x: (-1.5, 1.5)}), points=tm.fixed_points(fold).points)
    assert line.get_ylabel() == "rate of x"
    line.figure.savefig(tmp_path / "line.png")
    gate = tm.fixed_points(tm.models.gated)
    rates = sampled_rates(tm.models.gated, {"w": (-1, 2), "m": (-1, 2)}, count=21)
    assert np.isfinite(rates["rate_w"]).all()
    assert tm.plot.phase_portrait(rates, continua=gate.continua).get_legend() is not None
    assert {n: v for n, v in mpl.rcParams.items() if n != "backend"} == before


def test_fixed_points_stability_and_continuation_need_no_compiled_code():
    """Compiling takes half a minute where the cache is cold; what runs no trajectory does not wait for it."""
    code = (
        "import sys, sympy as sp, toymesa as tm\n"
        "x, a = sp.symbols('x a', real=True)\n"
        "m = tm.Model(name='m', flow={x: a - x**2}, params={a: 1.0})\n"
        "census = tm.fixed_points(m)\n"
        "tm.stability(m, census.points[0])\n"
        "tm.follow(m, 'a', (-1, 2))\n"
        "assert tm.solve and tm.basins and tm.growth and tm.escape_times and tm.assess\n"
        "assert 'numba' not in sys.modules, [n for n in sys.modules if n.startswith('toymesa.kernels')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

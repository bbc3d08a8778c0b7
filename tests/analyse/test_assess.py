"""The report on a model, held against theorems, published cycles and the functions that it is made of."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import toymesa as tm
from toymesa.cli import main
from toymesa.theorems import linear_joint as linear_theorems
from toymesa.theorems import mechanisms as theorems

X, Y = sp.symbols("x y", real=True)
R = sp.Symbol("r", real=True)
BRUSSELATOR = """
name = "brusselator"
[states]
x = "A - (B + 1)*x + x**2*y"
y = "B*x - x**2*y"
[params]
A = { value = 1.0, domain = [0.1, 5] }
B = { value = 3.0, domain = [0, 10] }
[start]
x = 1.2
y = 3.0
"""


def flow(rate, name="one", start=0.1, r=0.3, **more):
    params = {R: r} if sp.sympify(rate).has(R) else {}
    return tm.Model(name=name, flow={X: rate}, params=params, start={X: start}, **more)


@pytest.fixture(scope="module")
def two():
    return tm.assess(tm.models.mechanisms(("a", "b")), budget=60.0)


def test_mechanisms_lose_joint_optimization_where_the_theorem_says(two):
    verdict = two.verdict
    assert (verdict.joint, verdict.stable, verdict.meaning) == ("shares", False, "saddle")
    assert verdict.n_eff == pytest.approx(2.0, abs=1e-12)
    own = {c.param: c for scan in two.scans for c in scan.changes if c.joint}
    assert own["diversity"].at == pytest.approx(float(theorems.critical_diversity(0.01, 0.1)), rel=1e-10)
    assert (own["diversity"].below, own["diversity"].above) == ("stable", "saddle")
    assert float(theorems.critical_diversity(0.01, own["mu"].at)) == pytest.approx(10.0, rel=1e-10)
    assert (own["mu"].below, own["mu"].above) == ("saddle", "stable")
    expected = theorems.joint_eigenvalues(10.0, 0.01, 0.1, mechanisms=2)
    assert two.points[two.focus].stability.growth_rate == pytest.approx(float(np.real(expected.upper)), rel=1e-9)


def test_the_symmetric_start_ends_at_the_saddle_and_a_shifted_one_leaves_it(two):
    run = two.training
    assert (run.ends_in, run.point) == ("rest", two.focus)
    assert run.n_eff["end"] == pytest.approx(2.0, abs=1e-9)
    assert run.shifted.point != two.focus
    assert two.points[run.shifted.point].stability.kind == "stable"
    assert run.shifted.n_eff["end"] == pytest.approx(two.points[run.shifted.point].n_eff, rel=1e-4)
    # it leaves along the unstable mode: later for a smaller shift, by ln 10 at the growth rate for a tenth
    later = tm.assess(tm.models.mechanisms(("a", "b")), perturbation=1e-4, vary=[]).training.leave
    assert later - run.leave == pytest.approx(math.log(10) / two.points[two.focus].stability.growth_rate, rel=0.05)


def test_basins_and_data_of_the_report(two):
    data = json.loads(json.dumps(two.to_dict(), allow_nan=False))
    assert two.complete
    assert data["complete"] is True
    assert sum(row["fraction"] for row in data["basins"]["outcomes"]) + data["basins"]["unresolved"] == pytest.approx(1)
    assert len(data["points"]) == 3
    assert all(p["exists"] == "proved" for p in data["points"])
    page = str(two)
    for words in (
        "Joint optimization is unstable",
        "diversity = 5.202 (here 10)",
        "what this rests on",
        "shares below",
    ):
        assert words in page
    assert max(map(len, page.splitlines()[:20])) <= 110


def test_figures(two, tmp_path):
    files = two.plot(tmp_path / "new")
    names = {f.name for f in files}
    assert {"portrait.png", "basins.svg", "change_diversity.png", "change_mu.png", "training.png"} <= names
    assert all(f.stat().st_size > 2000 for f in files)
    (ax,) = two.plot([files and tm.plot.phase_portrait(tm.analyse.sampled_rates(flow(R - X), {X: (-1, 1)}))])
    assert ax.get_legend() is not None
    (tmp_path / "file").write_text("")
    with pytest.raises(tm.DomainError, match="must not be a file"):
        two.plot(tmp_path / "file")


def test_exact_branches_lie_on_the_followed_ones(two):
    from toymesa.plot.exact import exact_branches

    scan = next(s for s in two.scans if s.param == "diversity")
    rows = scan.diagram
    for n, p, _ in exact_branches(two, "diversity", "p_a", (scan.low, scan.high))[1:]:
        for at, height in list(zip(n, p, strict=True))[::20]:
            if np.isfinite(at):
                gap = np.hypot(rows["diversity"].values - at, 50 * (rows["p_a"].values - height)).min()
                assert gap < 3.0


def test_joint_again_after_stopping_early():
    """THEORY 1.7: lambda = 1e-4, mu = 0.05, n = 60: n_eff falls to 1.02 at t = 4 and is 1.99 at t = 1000."""
    model = tm.models.mechanisms(("a", "b"))
    params = {"lam": 1e-4, "mu": 0.05, "diversity": 60.0}
    report = tm.assess(model, params=params, start={"logit_a": 4e-3}, vary=[])
    assert report.verdict.stable is True
    assert report.training.n_eff["least"] < 1.03
    assert 2.0 < report.training.n_eff["least_at"] < 10.0
    assert report.training.n_eff["end"] > 1.99
    assert "joint again later" in str(report)


@settings(max_examples=4, deadline=None)
@given(a=st.floats(-2.0, -0.2), b=st.floats(0.2, 2.0), c=st.floats(-4.0, -2.5), d=st.floats(0.5, 1.5))
def test_two_optimizers_lose_stability_in_a_spiral_at_the_rate_ratio_of_the_theorem(a, b, c, d):
    """bC < aD, a < 0 < D: a Hopf point at eps* = -D/a, stable below it."""
    if not b * c < a * d - 0.05:
        return
    params = {"a": a, "b": b, "C": c, "D": d, "eps": 0.5 * -d / a}
    report = tm.assess(tm.models.linear_joint(), params=params, vary="eps", budget=30.0)
    assert report.verdict.joint == "optimizers"
    assert report.verdict.stable is True
    (change,) = report.scans[0].changes
    assert (change.kind, change.meaning, change.joint) == ("hopf", "spiral", True)
    assert change.at == pytest.approx(-d / a, rel=1e-9)
    assert change.at == pytest.approx(float(linear_theorems.hopf(a=a, b=b, C=c, D=d).eps), rel=1e-9)
    assert report.conditions.holds(params)
    assert not report.conditions.holds(params | {"eps": 2.0 * -d / a})


@pytest.fixture
def brusselator(tmp_path):
    path = tmp_path / "brusselator.toml"
    path.write_text(BRUSSELATOR)
    return path


def test_brusselator_ends_in_its_cycle(brusselator):
    """Nicolis and Prigogine 1977: Hopf point at B = 1 + A^2, supercritical; period at A = 1, B = 3 as collocation has it."""
    model = tm.load_model(brusselator)
    report = tm.assess(model, vary={"B": (1.0, 3.5)}, budget=60.0)
    assert (report.verdict.stable, report.verdict.meaning) == (False, "spiral")
    (change,) = report.scans[0].changes
    assert change.at == pytest.approx(2.0, rel=1e-10)
    assert change.criticality == "supercritical"
    diagram = report.scans[0].diagram
    period = np.interp(3.0, diagram["cycle_at"].values, diagram["cycle_period"].values)
    assert report.training.ends_in == "cycle"
    assert report.training.period == pytest.approx(period, rel=2e-3)
    assert report.conditions.holds({"A": 1.5, "B": 3.0})
    assert not report.conditions.holds({"A": 1.4, "B": 3.0})


def test_a_pole_of_the_rates_is_no_fixed_point():
    """Rosenzweig and MacArthur: prey = -1/(a h), predator = 0 makes every numerator vanish, and a denominator too."""
    census = tm.fixed_points(tm.load_model(Path(__file__).parent.parent / "data" / "predator_prey.toml"))
    assert census.complete
    assert len(census.points) == 3
    assert any("a denominator of the rates vanishes" in note for note in census.notes)


def test_ten_lines_of_python():
    theta, a = sp.symbols("theta a", real=True)
    k = sp.Symbol("k", positive=True)
    mine = tm.bilevel(
        (a - 1) ** 2 / 2, (a - theta) ** 2 / 2 + k * a**2 / 2, outer=[theta], inner=[a], coupling="equilibrium",
        params={"k": 0.5},
    )  # fmt: skip
    report = tm.assess(mine)
    assert report.complete
    assert report.verdict.stable is True
    assert report.points[0].state["theta"] == pytest.approx(1.5, abs=1e-12)
    # within 1 % of its end at ln(100) times the time constant (1 + k)^2
    assert report.training.settle == pytest.approx(math.log(100) * 2.25, rel=1e-3)
    assert report.training.growth == pytest.approx(1.0, abs=1e-9)


def test_a_surface_of_fixed_points_is_a_drift():
    report = tm.assess(tm.models.gated)
    assert report.verdict.meaning == "drift"
    assert report.training.ends_in == "line"
    assert report.points[report.focus].stability.dimension == 2
    end = report.training.end
    assert (1 - end["d"]) * end["w"] + end["d"] * end["m"] == pytest.approx(1.0, abs=1e-9)
    assert report.complete


def test_a_map_and_its_orbit_of_two():
    logistic = tm.Model(name="logistic", flow={X: R * X * (1 - X)}, params={R: 3.2}, start={X: 0.1}, discrete=True)
    report = tm.assess(logistic)
    assert report.training.period == 2
    root = math.sqrt((3.2 - 3) * (3.2 + 1))
    assert report.training.high["x"] == pytest.approx((4.2 + root) / 6.4, abs=1e-9)
    assert report.training.low["x"] == pytest.approx((4.2 - root) / 6.4, abs=1e-9)
    changes = [c for s in report.scans for c in s.changes if c.joint]
    assert [c.kind for c in changes] == ["flip"]
    assert changes[0].at == pytest.approx(3, rel=1e-10)


def test_starts_that_run_away():
    report = tm.assess(flow(X**3 - R * X, start=2.0, r=1.0), vary=[])
    assert report.training.ends_in == "away"
    assert report.training.time == pytest.approx(0.5 * math.log(4 / 3), rel=1e-2)
    shares = {row["outcome"]: row["fraction"] for row in report.to_dict()["basins"]["outcomes"]}
    assert shares["grows beyond every bound"] > 0.1
    assert shares["fixed point 1"] > 0.1
    nowhere = tm.assess(flow(1 + X**2), vary=[])
    assert nowhere.verdict.stable is None
    assert "There is no fixed point" in str(nowhere)


def test_folds_and_the_box_that_was_chosen():
    report = tm.assess(flow(R + sp.sin(X)), vary={"r": (-2.0, 2.0)})
    own = sorted(c.at for c in report.scans[0].changes if c.joint)
    assert own == pytest.approx([-1.0, 1.0], abs=1e-9)
    assert {c.below for c in report.scans[0].changes} == {"gone", "stable"}
    assert any("fixed points outside x" in line for line in report.left)
    narrow = tm.assess(flow(R + sp.sin(X)), box={X: (2.0, 5.0)}, vary={"r": (0.0, 2.0)})
    assert len(narrow.points) == 1
    assert [c.at for c in narrow.scans[0].changes] == pytest.approx([1.0], abs=1e-9)


def test_noise_is_left_out_and_said():
    noisy = flow(R - X, noise=sp.Matrix([[sp.Rational(1, 5)]]))
    report = tm.assess(noisy)
    assert report.verdict.stable is True
    assert any(line.startswith("noise") for line in report.left)


def test_it_ends_when_the_budget_is_spent_and_says_so():
    report = tm.assess(tm.models.mechanisms(("a", "b")), budget=0.02)
    assert not report.complete
    assert "budget of 0.02 s was spent" in str(report) or any(s.left for s in report.scans)
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"vary": "epss"}, tm.ArgumentError, "did you mean 'eps'"),
        ({"vary": {"eps": (2, 1)}}, tm.DomainError, "low < high"),
        ({"vary": {"eps": (-1, 1)}}, tm.DomainError, "got -1 to 1"),
        ({"vary": {"eps": 3}}, tm.ArgumentError, "must be \\(low, high\\); got 3"),
        ({"vary": 3}, tm.ArgumentError, "vary must be parameters"),
        ({"budget": 0}, tm.DomainError, "budget must lie in"),
        ({"perturbation": -1}, tm.DomainError, "perturbation must lie in"),
        ({"start": {"phii": 1}}, tm.ArgumentError, "did you mean 'phi'"),
        ({"start": {"phi": [1, 2]}}, tm.DomainError, "one number each"),
        ({"params": {"eps": [1, 2]}}, tm.DomainError, "one number each"),
        ({"box": {"phi": 3}}, tm.DomainError, "must be \\(low, high\\)"),
    ],
)
def test_bad_arguments_get_one_line(arguments, error, words):
    with pytest.raises(error, match=words) as caught:
        tm.assess(tm.models.linear_joint(), **arguments)
    assert "\n" not in str(caught.value)


def test_models_without_fixed_points_are_refused():
    with pytest.raises(tm.ArgumentError, match="must be a toymesa Model"):
        tm.assess("gated")
    with pytest.raises(tm.ModelError, match="depends on time"):
        tm.assess(flow(tm.TIME - X))


def test_command(brusselator, tmp_path, capsys):
    out = tmp_path / "report"
    assert main(["assess", "linear_joint", "--vary", "eps=0.5:4", "--out", str(out), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"]["stable"] is True
    assert data["scans"][0]["changes"][0]["at"] == pytest.approx(2.0)
    assert {"portrait.png", "change_eps.svg", "training.png", "assessment.txt", "assessment.json"} <= {
        p.name for p in out.iterdir()
    }
    assert main(["assess", str(brusselator), "--set", "B=1.5", "--vary", "B"]) == 0
    assert "Stable: fixed point 0 is stable" in capsys.readouterr().out
    assert main(["assess", "linear_joint", "--vary", "epss"]) == 2
    assert "did you mean 'eps'" in capsys.readouterr().err
    assert main(["assess", "linear_joint", "--budget", "0.001"]) == 3
    assert "left undecided or not followed" in capsys.readouterr().err

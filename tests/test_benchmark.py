"""The benchmark runs without other packages, measures what it says, and writes its three files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import benchmark  # noqa: E402  # the script and what it is made of
from benchmarks import measure, own, problems, report  # noqa: E402

from toymesa.kernels.lanes.programs import operations  # noqa: E402

sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.parametrize("problem", problems.ENSEMBLES, ids=lambda p: p.name)
def test_rates_by_hand_are_those_of_the_model(problem):
    problem.check()


def test_points_do_not_depend_on_how_many_are_drawn():
    few, many = problems.W1.draw(5), problems.W1.draw(50)
    for a, b in zip(few, many, strict=True):
        assert (a == b[:5]).all()


def test_tuning_finds_the_loosest_tolerance_that_meets_the_target():
    tolerance, error = measure.tune(lambda tol: 50.0 * tol**0.8, 1e-6)
    assert error == pytest.approx(50.0 * tolerance**0.8, rel=1e-12)
    assert 0.8e-6 < error <= 1e-6
    assert measure.tune(lambda tol: 1e-3, 1e-6)[1] == 1e-3  # a contender that never gets there: its best error
    assert measure.tune(lambda tol: 1e-3, 1e-6)[0] != measure.tune(lambda tol: 1e-3, 1e-6)[0]


def test_a_failing_contender_is_a_row():
    def breaks():
        raise RuntimeError("first line\nsecond line")

    assert measure.guarded(breaks) == (None, "failed: RuntimeError: first line")
    with pytest.raises(own.Absent, match="no such method"):
        own.known("tsit6-lanes")


def test_ratios_are_taken_within_rounds():
    mine = measure.Measured("a", "toymesa", seconds=[1.0, 2.0, 4.0])
    other = measure.Measured("b", "peer", seconds=[10.0, 10.0, 60.0])
    assert measure.ratios(mine, other) == (10.0, 5.0, 15.0)
    section = report.Section("x", "", {})
    report.judge(section, "speed", 20.0, mine, other, "b")
    assert section.goals[0][2:] == ("10.0 (5.00-15.0) by a: missed by a factor 2.00", False)


def test_operations_are_those_of_the_programs():
    """A step of Tsit5 on one linear state: 6 rates of one product, 21 + 7 products and sums of stages, and its control, which is most."""
    x = problems.sp.Symbol("x", real=True)
    model = problems.tm.Model(name="line", flow={x: -x / 3})
    counts = {m: operations(model, m, 1e-6) for m in ("tsit5", "dop853")}
    assert 80 < counts["tsit5"] < 250
    assert counts["tsit5"] < counts["dop853"] < 500
    assert operations(model, "taylor", 1e-12) > operations(model, "taylor", 1e-6)  # the order grows


@pytest.mark.slow
def test_the_script_measures_and_writes(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "W3", "W5", "W6", "--peers", ""]
    command += ["--points", "100", "--rounds", "2", "--budget", "0.5", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False, timeout=115)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert done.stdout.startswith("## Speed")
    assert "toymesa auto" in written
    data = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    race = data["parts"]["W3"]["races"]["1e-06"]
    ran = [m for m in race if m["seconds"]]
    assert ran
    for m in ran:
        assert 0 < m["error"] <= 1e-6
        assert len(m["seconds"]) == 2
    assert {g[0].split(",")[0] for g in data["goals"]} >= {"W3 at 1e-06", "W5", "W6"}
    assert (tmp_path / "benchmark.png").stat().st_size > 20_000


def test_an_unknown_part_gets_one_line():
    with pytest.raises(SystemExit, match=r"there is no part 'W9' \(allowed: W1, W2a"):
        benchmark.chosen(["W9"])
    assert list(benchmark.chosen(["W2", "layer"])) == ["W2a", "W2b", "layer"]


def test_data_without_a_value_is_null():
    assert benchmark.plain({1: [float("nan"), (2.0, "a")]}) == {"1": [None, [2.0, "a"]]}

"""The main job, the command line, the derivations, and the promises about imports."""

import json
import subprocess
import sys

import numpy as np
import pytest

import toymesa as tm
from toymesa.check import check, claims_in, derivation_names, subject
from toymesa.cli import main


@pytest.mark.parametrize("derivation", derivation_names())
def test_every_claim_is_proved(derivation):
    verdicts = {claim.name: (claim.kind, str(tm.verify(claim).outcome)) for claim in claims_in(derivation)}
    assert verdicts
    wrong = {n: v for n, (kind, v) in verdicts.items() if v != ("NUMERICAL" if kind == "numerical" else "PROVED")}
    assert not wrong


def test_there_are_claims_about_every_model():
    assert {subject(name) for name in derivation_names()} >= set(tm.models.MODELS)


def test_check_fails_on_what_is_wrong(monkeypatch):
    result = check("gated")
    assert result.ok
    assert {"model", "name", "error", "ok"} <= set(result.cross_checks[0])
    broken = {**result.cross_checks[0], "ok": False}
    assert not type(result)(result.claims, (broken,)).ok


@pytest.fixture(scope="module")
def small():
    return tm.question.answer(compute=(1e20, 1e22), diversity=(3.0, 30.0), mechanisms=("proxy", "deceptive"))


def test_the_measured_curve_is_the_exact_one(small):
    table = small.table
    np.testing.assert_allclose(table["measured_critical_diversity"], table["critical_diversity"], rtol=0.01)
    gain = table["critical_diversity"] / table["critical_diversity_converged"]
    np.testing.assert_allclose(gain, 1 / (1 - np.sqrt(table["residual"])) ** 2, rtol=1e-12)


def test_answer_is_json_and_files(small, tmp_path):
    data = json.loads(json.dumps(small.to_dict(), allow_nan=False))
    assert set(data) == {"law", "perturbation", "threshold", "mechanisms", "rows", "map", "paragraph"}
    assert len(data["rows"]) == 3
    assert {c["leader"] for c in data["map"]} <= {"proxy", "deceptive"}
    names = {p.name for p in small.save(tmp_path)}
    assert {
        "phase_diagram.png",
        "phase_diagram.svg",
        "time_course.png",
        "table.nc",
        "paragraph.txt",
        "manifest.json",
    } <= names
    assert "does not advocate" in small.paragraph


def test_stopping_early_for_worse(small):
    worse = small.contrast.worse
    stopped = float(np.interp(worse.attrs["stop"], worse["time"], worse["n_eff"]))
    assert stopped < 1.2 < 1.9 < float(worse["n_eff"][-1])


def test_a_wrong_formula_is_refuted_on_the_command_line(tmp_path, capsys):
    (tmp_path / "m.toml").write_text(
        'name = "m"\n[states]\nx = "-k*x"\n[params]\nk = { value = 1.0, domain = [0.1, 9] }\n'
    )
    (tmp_path / "c.toml").write_text('model = "m.toml"\nkind = "solution"\n[solution]\nx = "x_0*exp(-2*k*t)"\n')
    assert main(["verify", str(tmp_path / "c.toml"), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"] == "REFUTED"
    assert set(data["counterexample"]) == {"k", "t", "x_0"}


def test_the_json_of_solve(capsys):
    assert main(["solve", "gated", "--t", "0,1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"time", "states", "observables", "status", "method"}
    assert data["time"] == [0.0, 1.0]
    assert main(["info", "--json"]) == 0


def test_import_is_light():
    code = "import sys, toymesa; print([m for m in ('numba', 'sympy', 'matplotlib', 'pandas', 'numpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
    code = "import sys\nfrom toymesa.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nassert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

"""The README is run as it stands: its Python blocks in order, its commands one by one."""

import re
import shlex
from pathlib import Path

import pytest

from toymesa.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line
    for language, code in BLOCKS
    if language == "console"
    for line in code.splitlines()
    if line.startswith("toymesa ") and "runs.csv" not in line  # the runs are the reader's own
]


def test_there_is_something_to_run():
    assert len(PYTHON) >= 4
    assert len(COMMANDS) >= 5


def test_python_blocks_run_in_order(capsys):
    names: dict[str, object] = {}
    for code in PYTHON:
        exec(compile(code, "README.md", "exec"), names)
    out = capsys.readouterr().out
    assert "PROVED" in out
    assert "REFUTED" in out
    names["test_it_learns_to_want_more"]()
    (mark,) = names["test_conformance"].pytestmark
    for case in mark.args[1]:
        names["test_conformance"](*case.values)


@pytest.mark.parametrize("line", [c for c in COMMANDS if c != "toymesa check"])  # `check` has a test of its own
def test_commands_run(line, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


def test_the_two_commands_are_there():
    assert "pip install . && toymesa answer" in TEXT
    assert 'pip install -e ".[test]" && pytest' in TEXT

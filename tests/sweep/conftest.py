"""Helpers of the sweep tests."""

import shutil
import sys
from pathlib import Path

import pytest

# other processes import the models of these tests by the same name
sys.path.insert(0, str(Path(__file__).parent))

from broken_stores import run


@pytest.fixture(scope="session")
def fresh():
    return run()


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A finished store, to be copied and broken."""
    path = tmp_path_factory.mktemp("whole") / "st"
    run(path)
    return path


@pytest.fixture
def copied(whole, tmp_path):
    path = tmp_path / "st"
    shutil.copytree(whole, path)
    return path

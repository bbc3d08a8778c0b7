"""What every model of the collection must bring: words for everything, and derivations that exist."""

from __future__ import annotations

import pytest

from toymesa import models
from toymesa.check import claims_about, derivations, derivations_directory, subject


@pytest.fixture(scope="module")
def stems():
    return sorted(path.stem for path in derivations_directory().glob("*.py"))


@pytest.mark.parametrize("name", models.MODELS)
def test_everything_has_a_meaning(name):
    model = models.find(name)
    assert model.name == name
    assert model.question.endswith("?")
    assert model.reference
    missing = [n for n in (*model.state_names, *model.observables) if not model.meanings.get(n)]
    assert not missing
    assert not [s.name for s, p in model.params.items() if not p.meaning]


@pytest.mark.parametrize("name", models.MODELS)
def test_what_is_exact_is_derived_in_a_file_of_the_model_or_of_linear_flows(name, stems):
    model = models.find(name)
    own = [s for s in stems if subject(s) in (name, "base_optimizers")]
    assert len(own) > 1
    for exact in (*model.closed_forms, *model.invariants.values()):
        assert exact.derivation
        assert [s for s in own if s.startswith(exact.derivation)], exact.derivation


def test_the_claims_of_a_model_are_those_of_its_own_files():
    assert [stem for stem, _ in derivations("gated")] == ["gated_1_3_linear_gate"]
    names = [claim.name for claim in claims_about("gated")]
    assert {"separatrix", "error"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_derivation_of_no_model_goes_by_its_topic():
    assert subject("base_optimizers_1_linear") == "base_optimizers"
    assert subject("linear_joint_10_1_joint") == "linear_joint"

"""Every claim and every cross-check of the package's models, in one table.

The derivations travel with the package; each is a Python file that states a theorem, derives it symbolically and ends
in ``CLAIMS``. :func:`check` verifies them all and runs :func:`toymesa.solver.cross_check` on every model.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from toymesa import models
from toymesa.errors import ToymesaError
from toymesa.symbolic.claims import Claim
from toymesa.symbolic.verdicts import verify


@dataclass(frozen=True)
class CheckResult:
    """Rows of claims and of cross-checks, as they are printed and written as JSON."""

    claims: tuple[dict[str, Any], ...]
    cross_checks: tuple[dict[str, Any], ...]

    @property
    def ok(self) -> bool:
        """No claim refuted and no cross-check failed; an undecided claim is reported, not failed."""
        return all(c["verdict"] != "REFUTED" for c in self.claims) and all(c["ok"] for c in self.cross_checks)

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of ``toymesa check``."""
        return {"claims": list(self.claims), "cross_checks": list(self.cross_checks)}

    def __str__(self) -> str:
        lines = [f"{c['verdict']:9}  {c['name']:45} {c['kind']:11} {c['derivation']}" for c in self.claims]
        lines += [
            f"{'ok' if c['ok'] else 'FAILED':9}  {c['model']}: {c['name']} (error {c['error']:.3g} of its limit)"
            for c in self.cross_checks
        ]
        verdicts = [c["verdict"] for c in self.claims]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("PROVED", "NUMERICAL", "UNDECIDED", "REFUTED"))
        passed = sum(bool(c["ok"]) for c in self.cross_checks)
        return "\n".join([*lines, f"claims: {counts}; cross-checks: {passed} of {len(self.cross_checks)} ok"])


def derivations_directory() -> Path:
    """Where the derivations are: inside an installed package, beside it in a checkout."""
    here = Path(__file__).parent
    for place in (here / "derivations", here.parent / "derivations"):
        if place.is_dir():
            return place
    raise ToymesaError("the derivations are not installed with this copy of toymesa")


@cache
def _load(path: Path) -> ModuleType:
    name = f"_toymesa_derivation_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ToymesaError(f"cannot read the derivation {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def derivation_names() -> tuple[str, ...]:
    """The names of all derivation files, in their order; none is read."""
    return tuple(path.stem for path in sorted(derivations_directory().glob("*.py"), key=_natural))


def claims_in(derivation: str) -> tuple[Claim, ...]:
    """The claims in which a derivation ends."""
    return tuple(_load(derivations_directory() / f"{derivation}.py").CLAIMS)


def derivations(model: str | None = None) -> Iterator[tuple[str, tuple[Claim, ...]]]:
    """Name and claims of every derivation file, in the order of the names; of one model, no other file is read.

    A derivation is about the model that its file is named after.
    """
    for name in derivation_names():
        if model in (None, subject(name)):
            yield name, claims_in(name)


def _natural(path: Path) -> tuple[Any, ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in path.stem.split("_"))


def subject(stem: str) -> str:
    """The model that a derivation file is named after; its topic where there is none."""
    named = [name for name in models.MODELS if stem.startswith(f"{name}_")]
    return max(named, key=len, default=re.sub(r"_\d.*", "", stem))  # a file about no single model: by its topic


def claims_about(model: str) -> tuple[Claim, ...]:
    """The claims of every derivation of a model."""
    return tuple(c for _, claims in derivations(model) for c in claims)


def check(model: str | None = None, *, progress: bool | Callable[[int, int], None] = False) -> CheckResult:
    """Verify every claim and cross-check every model, or those of one model.

    model: a name from ``toymesa.models.MODELS``, or None for all. progress: True for a bar on standard error.
    Raises ArgumentError for an unknown model.
    """
    from tqdm import tqdm

    from toymesa.solver import cross_check

    if model is not None:
        models.find(model)
    chosen = [(stem, c) for stem, claims in derivations(model) for c in claims]
    claims = []
    for stem, claim in tqdm(chosen, desc="claims", disable=progress is not True, leave=False):
        verdict = verify(claim)
        claims.append(
            {
                "model": subject(stem),
                "name": claim.name,
                "kind": str(claim.kind),
                "verdict": str(verdict.outcome),
                "derivation": stem,
            }
        )
    crossed = []
    names = list(models.MODELS) if model is None else [model]
    for name in tqdm(names, desc="cross-checks", disable=progress is not True, leave=False):
        result = cross_check(models.find(name))
        for row in result:
            crossed.append({"model": name, **row})
    return CheckResult(tuple(claims), tuple(crossed))

"""All checks on one model, and one pytest test a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toymesa.errors import ArgumentError, DomainError, did_you_mean
from toymesa.symbolic.model import Domain, Model
from toymesa.testing.checks import CHECKS, Check, CheckFailure, NotApplicable, Point


@dataclass(frozen=True)
class CheckResult:
    """One check on one model. status: "passed", "failed", "expected" (failed, as was said) or "skipped", with the reason."""

    check: str
    status: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.status:8}  {self.check}" + (f": {self.message}" if self.message else "")


def checks_for(model: Model) -> tuple[Check, ...]:
    """The checks whose promise a model makes."""
    if model.noise is not None:
        raise ArgumentError(f"model {model.name!r} has noise: check the model without it")
    return tuple(c for c in CHECKS.values() if not c.applies(model))


def check_model(
    model: Model,
    *,
    points: int = 3,
    at: Point | None = None,
    rng: int = 0,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: str = "raise",
) -> tuple[CheckResult, ...]:
    """Run every check on a model, at its defaults and at random points near them.

    points: how many points, the defaults first. at: look there instead. rng: seed of the random points.
    expected_failed_checks: name -> reason of checks that may fail. on_fail: "raise" at the first failure, or "report".

    Returns one result a check. Raises CheckFailure for a broken promise, ArgumentError for an unknown check name.
    """
    expected = dict(expected_failed_checks or {})
    for name in expected:
        if name not in CHECKS:
            raise ArgumentError(f"there is no check {name!r}{did_you_mean(name, CHECKS)}")
    if on_fail not in ("raise", "report"):
        raise DomainError(f"on_fail must be 'raise' or 'report'; got {on_fail!r}")
    checks_for(model)  # refuses what cannot be checked at all
    where = [at] if at is not None else _points(model, points, rng)
    results = []
    for name, check in CHECKS.items():
        status, message = _outcome(check, model, where, raises=on_fail == "raise" and name not in expected)
        if status == "failed" and name in expected:
            status, message = "expected", f"{expected[name]} ({message})"
        results.append(CheckResult(name, status, message))
    return tuple(results)


def _outcome(check: Check, model: Model, where: list[Point], *, raises: bool) -> tuple[str, str]:
    """Passed if it passes at some point and fails at none."""
    skipped = ""
    passed = False
    for point in where:
        try:
            check(model, point)
            passed = True
        except NotApplicable as reason:
            skipped = str(reason)
        except CheckFailure as failure:
            if raises:
                raise CheckFailure(f"{model.name}: {check.statement}? {failure}") from failure
            return "failed", str(failure)
    return ("passed", "") if passed else ("skipped", skipped)


def _points(model: Model, count: int, seed: int) -> list[Point]:
    """The defaults, and points at which every number is moved by some ten percent, inside its domain."""
    if count < 1:
        raise DomainError(f"points must be at least 1; got {count}")
    rng = np.random.default_rng(seed)
    out = [Point()]
    for _ in range(count - 1):
        params = {s.name: _moved(p.default, p.domain, rng) for s, p in model.params.items()}
        values = {s: params[s.name] for s in model.params}
        start = {s.name: _moved(float(e.subs(values)), model.domains[s], rng) for s, e in model.start.items()}
        out.append(Point(params, start))
    return out


def _moved(value: float, domain: Domain, rng: np.random.Generator) -> float:
    moved = float(value * np.exp(0.2 * rng.standard_normal()) + 0.05 * rng.standard_normal())
    return moved if moved in domain else value


def parametrize_with_checks(models: Model | Iterable[Model]) -> Any:
    """A pytest decorator: the test function gets ``model`` and ``check``, once for every check that a model must pass.

    ::

        @parametrize_with_checks([mine, yours])
        def test_model(model, check):
            check(model)
    """
    import pytest

    chosen = [models] if isinstance(models, Model) else list(models)
    pairs = [pytest.param(m, c, id=f"{m.name}-{c.name}") for m in chosen for c in checks_for(m)]
    return pytest.mark.parametrize(("model", "check"), pairs)

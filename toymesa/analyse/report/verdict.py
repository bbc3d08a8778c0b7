"""Whether joint optimization is stable: one word, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toymesa.analyse.report.shared import simplex
from toymesa.analyse.report.trained import Training
from toymesa.symbolic.model import Model

SHARED = 1.1  # an effective number of shares clearly above 1: more than one takes part


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """joint : what joint optimization means for the model, "shares" (several take part), "optimizers" (both of a bilevel
    model at rest) or "states" (any fixed point). stable : True, False, or None where first order does not decide. meaning :
    in which sense it is not: "saddle", "spiral", "drift", "". point : number of the fixed point. sentence : the answer."""

    joint: str
    stable: bool | None
    meaning: str
    point: int | None
    n_eff: float | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "joint": self.joint, "stable": self.stable, "meaning": self.meaning, "point": self.point,
            "n_eff": self.n_eff, "sentence": self.sentence,
        }  # fmt: skip


def verdict(model: Model, points: Sequence[Any], focus: int | None, run: Training) -> Verdict:
    """The answer about the point in focus."""
    joint = "shares" if simplex(model) else "optimizers" if "mesa_objective" in model.observables else "states"
    if focus is None:
        text = "There is no fixed point to be stable" + (
            ", and the run from the start goes round a cycle." if run.ends_in == "cycle" else "."
        )
        return Verdict(joint=joint, stable=None, meaning="", point=None, n_eff=None, sentence=text)
    point = points[focus]
    stability = point.stability
    calm = stability.kind.startswith("stable")
    stable = True if calm else None if stability.kind in ("centre", "undecided") else False
    text = f"{_opening(joint, stable, stability)} {_what(model, joint, point, focus)}"
    text += f" is {_kind(stability)}."
    if joint == "shares":
        text += _others(points, focus)
    elif stable is False and stability.meaning != "drift":
        rest = [i for i, p in enumerate(points) if p.stability.kind.startswith("stable")]
        if rest:
            text += f" Stable {'is' if len(rest) == 1 else 'are'} {_numbers(rest)}."
    elif stable and len(points) > 1:
        count = sum(p.stability.kind.startswith("stable") for p in points)
        text += f" {count} of {len(points)} fixed points {'is' if count == 1 else 'are'} stable."
    return Verdict(joint=joint, stable=stable, meaning=stability.meaning, point=focus, n_eff=point.n_eff, sentence=text)


def _opening(joint: str, stable: bool | None, stability: Any) -> str:
    subject = "Joint optimization" if joint != "states" else f"The {'map' if stability.discrete else 'flow'}"
    if stability.meaning == "drift":
        return f"{subject} is neither held nor pushed away (drift):"
    if stable is None:
        return f"Whether {subject[0].lower() + subject[1:]} is stable is not decided by first order:"
    if joint == "states":
        return "Stable:" if stable else "Unstable:"
    return f"{subject} is {'stable' if stable else 'unstable'}:"


def _what(model: Model, joint: str, point: Any, number: int) -> str:
    if joint == "shares":
        chart = simplex(model)
        of = len(chart.coordinates) if chart is not None else 0
        if point.n_eff is not None and point.n_eff < SHARED:
            return f"even the most even fixed point, {number}, leaves n_eff = {point.n_eff:.4g} of {of}; it"
        return f"fixed point {number}, where most take part (n_eff = {point.n_eff:.4g} of {of}),"
    if joint == "optimizers":
        return f"fixed point {number}, where both optimizers rest,"
    return f"fixed point {number}"


def _kind(stability: Any) -> str:
    words = {
        "stable": "stable, perturbations decay without turning",
        "stable-spiral": "stable, perturbations decay in turns (the two chase each other, and settle)"
        if len(stability.eigenvalues) == 2
        else "stable, perturbations decay in turns",
        "saddle": "a saddle: some perturbations grow, and keep their direction",
        "unstable": "unstable: every perturbation grows, and keeps its direction",
        "unstable-spiral": "an unstable spiral: perturbations grow in turns, the states chase each other",
        "centre": "a centre to first order: perturbations neither grow nor decay",
        "drift": "one of a line or surface of fixed points: along it nothing holds the state, away from it perturbations decay",
        "undecided": "undecided: a growth rate is zero, or too small to be told from it",
    }
    if stability.discrete and stability.kind in ("saddle", "unstable") and not stability.meaning:
        every = "some perturbations grow, from side to side at every step"
        return f"a saddle: {every}" if stability.kind == "saddle" else f"unstable: {every}"
    if stability.kind == "saddle" and stability.meaning == "spiral":
        return "a saddle with a growing spiral: some perturbations grow in turns"
    return words.get(stability.kind, stability.kind)


def _others(points: Sequence[Any], focus: int) -> str:
    calm = [i for i, p in enumerate(points) if i != focus and p.stability.kind.startswith("stable")]
    if not calm:
        return ""
    counts = sorted({f"{points[i].n_eff:.4g}" for i in calm})
    one = len(calm) == 1
    return (
        f" {'Also stable' if points[focus].stability.kind.startswith('stable') else 'Stable'} {'is' if one else 'are'} "
        + (f"{_numbers(calm)}, with n_eff = {' or '.join(counts)}.")
    )


def _numbers(which: Sequence[int]) -> str:
    texts = [str(i) for i in which]
    return f"fixed point {texts[0]}" if len(texts) == 1 else f"fixed points {', '.join(texts[:-1])} and {texts[-1]}"

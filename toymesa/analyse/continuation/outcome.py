"""What becomes of an oscillation, in a sentence, and what branches off without being followed."""

from __future__ import annotations

from collections.abc import Sequence

from toymesa.analyse.continuation.cycle import Family
from toymesa.analyse.continuation.diagram import Diagram
from toymesa.analyse.continuation.problem import Problem


def family_says(name: str, problem: Problem, family: Family) -> str:
    """What becomes of the oscillation that a Hopf point gives birth to, in one sentence."""

    def at(q: float) -> str:
        return f"{problem.low[0] + q * problem.span[0]:.6g}"

    if not family.cycles:
        return f"the cycles from {name} = {at(float(family.hopf[-1]))} could not be followed"
    if family.ends_in == "centre":
        return (
            f"{name}: a centre at {at(float(family.hopf[-1]))}: cycles of every size at this one value of the parameter"
        )
    words = {
        "cycle-fold": "a fold of cycles",
        "period-doubling": "a period doubling",
        "torus": "a torus",
        "cycle-branch": "a branch point of cycles",
    }
    special = dict(family.specials)
    cuts = [i for i in range(1, len(family.cycles)) if family.cycles[i].stable != family.cycles[i - 1].stable]
    pieces: list[str] = []
    begin, left_at = 0, float(family.hopf[-1])
    for cut in [*cuts, len(family.cycles) - 1]:
        if cut <= begin and pieces:
            continue
        word = "stable" if family.cycles[(begin + cut - 1) // 2].stable else "unstable"
        turn = next((i for i in (cut, cut - 1, cut + 1) if i in special and i > begin), None)
        reached = family.cycles[cut if turn is None else turn].q
        if family.ends_in == "hopf" and cut == len(family.cycles) - 1 and family.at is not None:
            reached = float(family.at[-1])
        what = f" ({words[special[turn]]})" if turn is not None else ""
        pieces.append(f"{word} cycles from {at(left_at)} to {at(reached)}{what}")
        begin, left_at = cut, reached
    last = family.cycles[-1]
    meets = at(float(last.q if family.at is None else family.at[-1]))
    endings = {
        "hopf": f"they shrink into a Hopf point at {meets}",
        "homoclinic": f"their period grows without bound: a homoclinic orbit of a saddle at {at(last.q)}",
        "saddle-node": f"their period grows without bound: a saddle-node appears on the cycle at {meets}",
        "long": f"their period passes {last.period:.4g} at {at(last.q)}",
        "low": f"they last to the low end of the range (period {last.period:.4g})",
        "high": f"they last to the high end of the range (period {last.period:.4g})",
        "unbounded": f"they leave the box at {at(last.q)}",
    }
    return (
        f"{name}: " + "; ".join(pieces) + "; " + endings.get(family.ends_in, f"not followed further ({family.ends_in})")
    )


def branching_off(problem: Problem, diagram: Diagram, families: Sequence[tuple[int, Family]]) -> list[str]:
    """What begins at the special points and cycles that were found and is not followed, a sentence each."""
    name = problem.model.name
    kinds = {s.kind for _, s in diagram.specials()}
    marked = {kind for _, f in families if f.ends_in != "centre" for _, kind in f.specials}
    out = []
    if "flip" in kinds:
        out.append(
            f"orbits of period two begin at the flips: the fixed points of iterated({name}, 2), not followed here"
        )
    if "neimark-sacker" in kinds:
        out.append("closed invariant curves begin at the Neimark-Sacker points: not followed")
    if "period-doubling" in marked:
        out.append("cycles of twice the period begin at the period doublings: not followed")
    if "torus" in marked:
        out.append("invariant tori begin where a pair of multipliers leaves the unit circle: not followed")
    if "cycle-branch" in marked:
        out.append("other families of cycles begin at the branch points of cycles: not followed")
    return out

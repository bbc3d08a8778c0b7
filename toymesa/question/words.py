"""The answer in plain language, with its numbers, its conditions, and what it does not show."""

from __future__ import annotations

import numpy as np
import xarray as xr

from toymesa.question.course import Landmarks
from toymesa.question.settings import Settings
from toymesa.theorems import mechanisms as theorems


def paragraph(asked: Settings, table: xr.Dataset, stopped: xr.Dataset, marks: Landmarks) -> str:
    """The answer as one text of several paragraphs."""
    return "\n\n".join(
        (
            _answer(asked, table),
            _converged(asked, table),
            _named(asked, stopped),
            _prior(marks),
            _imperfect(asked),
            _limits(asked),
        )
    )


def _answer(asked: Settings, table: xr.Dataset) -> str:
    first, last = table.isel(compute=0), table.isel(compute=-1)
    gain = [float(first["gain"]), float(last["gain"])]
    span = f"{float(asked.compute[0]):.0e} to {float(asked.compute[-1]):.0e} FLOP"
    worst = float(np.nanmax(np.abs(table["measured_critical_diversity"] / table["critical_diversity"] - 1)))
    return (
        f"If compute-efficient training stops before convergence, is the model still joint when it stops? By the law "
        f"{asked.law.name!r}, training from {span} stops with {float(first['residual']):.1%} to "
        f"{float(last['residual']):.1%} of what it removes from the loss still there. A symmetric model of "
        f"{asked.count} mechanisms whose reliances start {asked.perturbation:g} apart then still shares its reliance "
        f"to within {asked.threshold:g} if the effective number of tasks is below "
        f"{float(first['critical_diversity']):.3g} (at {float(asked.compute[0]):.0e} FLOP) and "
        f"{float(last['critical_diversity']):.3g} (at {float(asked.compute[-1]):.0e}), against "
        f"{float(first['critical_diversity_converged']):.3g} for training to convergence. Stopping early raises the "
        f"tolerable diversity by a factor {gain[0]:.2f} to {gain[1]:.2f} and by no more (exactly 1/(1 - sqrt r)^2, for "
        f"every criterion on reliances); the factor falls towards 1 as compute grows. The full nonlinear model agrees "
        f"with the exact curve to {worst:.2g} of its value."
    )


def _converged(asked: Settings, table: xr.Dataset) -> str:
    fixed = float(table["critical_diversity_fixed_point"][0])
    converged = float(table["critical_diversity_converged"][0])
    if not np.isfinite(fixed):
        return (
            "Those numbers hold without decay and simplicity pressure. With the decay and pressure chosen here the "
            "converged joint state has no finite critical diversity."
        )
    text = (
        f"Those numbers hold without decay and simplicity pressure. With decay {asked.lam:g} and pressure {asked.mu:g} "
        f"the converged joint state is linearly stable up to a diversity of {fixed:.3g}"
    )
    if fixed > converged:
        return text + (
            f", above {converged:.3g}: for diversities in between the order is reversed. Amplification comes first and "
            "pressure undoes it later, so the model is joint at convergence and not when stopped early. 'Stopping early "
            "keeps it joint' is not generally true."
        )
    return text + ": beyond it, longer training makes one mechanism win, and stopping early is what keeps it joint."


def _named(asked: Settings, stopped: xr.Dataset) -> str:
    leaders = stopped["leader"].values
    known = leaders != ""
    if not known.any():
        return "No trajectory of the named mechanisms reached its stop: see the statuses in the data."
    names, counts = np.unique(leaders[known], return_counts=True)
    order = ", ".join(
        f"{n} in {c / known.sum():.0%}" for n, c in sorted(zip(names, counts, strict=True), key=lambda x: -x[1])
    )
    joint, bits, loss = (stopped[n].values for n in ("n_eff", "expected_bits", "deployment_loss"))
    return (
        f"With their own rates, description lengths and fidelities the mechanisms {', '.join(asked.names)} end, over "
        f"diversity and compute, with this leader: {order} of the cells. The effective number of mechanisms at the stop "
        f"is {np.nanmin(joint):.2f} to {np.nanmax(joint):.2f} of {asked.count}, the expected description length "
        f"{np.nanmin(bits):.2f} to {np.nanmax(bits):.2f} bits, the deployment loss {np.nanmin(loss):.3g} to "
        f"{np.nanmax(loss):.3g}."
    )


def _prior(marks: Landmarks) -> str:
    return (
        "Simplicity prior against training time: reliance starts at the prior, amplification follows the score "
        "log2(rate) - bits (one bit of description length is worth a factor two in rate, at every diversity), and only "
        "pressure acting for long brings the free energy back in. For the pair shown, amplification is over by "
        f"t = {marks.growth_ends:.2g}, and the free energy favours the faster mechanism only above a diversity of "
        f"{marks.crossover:.3g}. Where score and free energy disagree, the trained model is metastable: short training is "
        "decided by rate times prior."
    )


def _imperfect(asked: Settings) -> str:
    k = asked.count
    limit = 1 - asked.lam * k**2 / 3
    opening = "When is there no instability at all? "
    if limit <= 0 or asked.lam == 0:
        why = "without decay the converged joint state is a line of fixed points, and" if asked.lam == 0 else ""
        return f"{opening}At decay {asked.lam:g} {why} the condition decay <= 3 (1 - f^2)/K^2 says nothing for K = {k}."
    fidelity = float(np.sqrt(limit))
    survivors = int(theorems.joint_survivors(asked.lam, mechanisms=k, fidelity=0.99 * fidelity))
    return (
        f"{opening}Mechanisms of equal training fidelity f below 1 have independent errors, which makes them worth "
        f"combining: the joint state of {k} of them is linearly stable at every diversity if decay <= 3 (1 - f^2)/K^2, "
        f"here f <= {fidelity:.4f} (at 0.99 of that, the free energy keeps {survivors} of them joint as diversity grows). "
        "The instability at high diversity belongs to perfectly redundant mechanisms. Linear stability is not what "
        "training reaches: at large diversity a start at content 0 still passes through the transient amplification and "
        "can end polarized."
    )


def _limits(asked: Settings) -> str:
    return (
        "What this does not show. The stop is identified with the toy by the fraction of the reducible loss that is "
        f"left (initial loss {asked.law.initial_loss:.4g} nats), not by time, parameters or steps. The measures of "
        "'short of convergence' differ (excess, share, reducible ratio, residual), and only the residual enters. Here "
        "'unstable' means a saddle: one mechanism wins; and 'simple' means prior bits. The toy has one scalar action, "
        "contents and reliances only, and says nothing about which mechanisms a network contains. The premises are "
        "disputed: counting arguments for deceptive mechanisms (Belrose and Pope 2024), description length as what "
        "training feels (Carlsmith 2023), and the published exponents of the scaling laws themselves (Hoffmann et al. "
        "2022; Besiroglu et al. 2024). The package tests these claims; it does not advocate them."
    )

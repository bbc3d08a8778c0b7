"""What each command runs: public functions in, JSON or a readable page out."""

from __future__ import annotations

import argparse
import platform
import sys
from typing import Any

from toymesa.cli import FAILED, OK, PARTIAL, show
from toymesa.cli.arguments import assignments, emit, find_model, interval, number, split_names
from toymesa.cli.assess import run_assess
from toymesa.cli.basins import run_basins
from toymesa.cli.continuation import run_follow
from toymesa.cli.laboratory import run_fixed_points, run_stability
from toymesa.errors import ArgumentError


def run_answer(arguments: argparse.Namespace) -> int:
    """The main job."""
    from toymesa.question import answer
    from toymesa.question.result import output_directory

    if arguments.out is not None:
        output_directory(arguments.out)  # refused now, not after the computation
    result = answer(
        law=arguments.law,
        runs=arguments.runs,
        compute=interval(arguments.compute, "--compute"),
        diversity=interval(arguments.diversity, "--diversity"),
        mechanisms=None if arguments.mechanisms is None else split_names(arguments.mechanisms),
        perturbation=arguments.perturbation,
        threshold=arguments.threshold,
        noise=arguments.noise,
        lam=arguments.lam,
        mu=arguments.mu,
        initial_loss=arguments.initial_loss,
        progress=sys.stderr.isatty(),
    )
    if arguments.out is not None:
        written = result.save(arguments.out)
        print(f"wrote {len(written)} files to {arguments.out}", file=sys.stderr)
    emit(arguments, result.to_dict(), str(result))
    return OK


def run_solve(arguments: argparse.Namespace) -> int:
    """One trajectory of a model."""
    from toymesa.errors import SolveError
    from toymesa.solver import solve

    model = find_model(arguments.model, arguments.mechanisms)
    t: Any = None
    if arguments.t is not None:
        times = [number(part, "--t") for part in arguments.t.split(",")]
        t = times[0] if len(times) == 1 else times
    elif arguments.until is None:
        raise ArgumentError("--t is missing: give an end time or a list of times, or --until steady")
    try:
        run = solve(
            model,
            t,
            start=assignments(arguments.start, "--start"),
            params=assignments(arguments.params, "--set"),
            method=arguments.method,
            rtol=arguments.rtol,
            atol=arguments.atol,
            until=arguments.until,
            on_fail="status",
            progress=sys.stderr.isatty(),
        )
    except SolveError as error:  # pragma: no cover - on_fail="status" records instead
        raise ArgumentError(str(error)) from error
    data = show.solve_data(model, run)
    emit(arguments, data, show.solve_page(model, data))
    if data["status"] != "ok":
        print(f"toymesa solve: {show.failure(run)}", file=sys.stderr)
        return PARTIAL
    return OK


def run_models(arguments: argparse.Namespace) -> int:
    """The list of models, or one with its equations and claims."""
    from tqdm import tqdm

    from toymesa import models
    from toymesa.check import claims_about

    if arguments.name is None:
        rows = [{"name": n, "question": make().question} for n, make in models.MODELS.items()]
        emit(arguments, {"models": rows}, show.table(rows, ["name", "question"]))
        return OK
    model = find_model(arguments.name)
    claims = tqdm(claims_about(model.name), desc="claims", disable=not sys.stderr.isatty(), leave=False)
    data = show.model_data(model, claims)
    emit(arguments, data, show.model_page(data))
    return OK


def run_verify(arguments: argparse.Namespace) -> int:
    """A verdict on one claim."""
    from toymesa import models
    from toymesa.symbolic.claim_files import load_claim
    from toymesa.symbolic.verdicts import verify

    claim = load_claim(arguments.claim, find_model=models.find)
    verdict = verify(claim, points=arguments.points, precision=arguments.precision)
    point = verdict.counterexample
    data = {
        "claim": claim.name,
        "kind": str(claim.kind),
        "verdict": str(verdict.outcome),
        "reason": verdict.reason,
        "counterexample": None if point is None else {str(k): str(v) for k, v in point.items()},
        "residual": verdict.residual,
        "points": verdict.points,
        "precision": verdict.precision,
    }
    emit(arguments, data, f"{claim.name} ({claim.kind}): {claim.statement}\n{verdict}")
    return FAILED if str(verdict.outcome) == "REFUTED" else OK


def run_check(arguments: argparse.Namespace) -> int:
    """Every claim and every cross-check."""
    from toymesa.check import check

    result = check(arguments.name, progress=sys.stderr.isatty())
    emit(arguments, result.to_dict(), str(result))
    return OK if result.ok else FAILED


def run_scaling(arguments: argparse.Namespace) -> int:
    """What a law states beside what follows from its constants."""
    from toymesa.scaling import get_law, stated_versus_derived

    law = get_law(arguments.law)
    rows = [show.plain(row) for row in stated_versus_derived(law)]
    data = {"law": law.name, "source": law.source, "rows": rows}
    emit(arguments, data, show.stated_page(law, rows))
    return OK


def run_fit(arguments: argparse.Namespace) -> int:
    """The parametric law fitted to a user's runs."""
    from toymesa.scaling import fit, read_runs

    runs = read_runs(
        arguments.runs,
        parameters=arguments.parameters,
        tokens=arguments.tokens,
        flop=arguments.flop,
        loss=arguments.loss,
    )
    result = fit(runs, bootstrap=arguments.bootstrap, drop_highest=arguments.drop_highest, rng=arguments.seed)
    emit(arguments, result.to_dict(), show.fit_page(result))
    return OK


def run_warmup(arguments: argparse.Namespace) -> int:
    """Compile ahead of use."""
    from toymesa import models
    from toymesa.kernels.cache import cache_directory
    from toymesa.kernels.warmup import warmup

    chosen = [find_model(name, None) for name in arguments.models] or [build() for build in models.MODELS.values()]
    done = []
    for what, seconds in warmup(chosen):
        done.append({"what": what, "seconds": round(seconds, 3)})
        print(f"{what}: {seconds:.1f} s", file=sys.stderr)
    data = {"compiled": done, "cache": str(cache_directory())}
    emit(arguments, data, f"{len(done)} things are compiled, in {data['cache']}")
    return OK


def run_info(arguments: argparse.Namespace) -> int:
    """Versions and directories, for bug reports; loads none of the heavy packages."""
    from importlib.metadata import PackageNotFoundError, version

    from toymesa import __version__
    from toymesa.kernels.cache import cache_directory

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = (
        "numpy", "scipy", "sympy", "numba", "llvmlite", "matplotlib", "xarray", "zarr", "distributed", "python-flint",
        "hypothesis",
    )  # fmt: skip
    data = {
        "toymesa": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{p: installed(p) for p in packages},
        "cache": str(cache_directory()),
    }
    emit(arguments, data, "\n".join(f"{key:13} {value}" for key, value in data.items()))
    return OK


__all__ = ["run_assess", "run_basins", "run_fixed_points", "run_follow", "run_stability"]

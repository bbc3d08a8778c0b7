"""The command line: argparse over the public functions.

Errors are one line on standard error with exit code 2; a failed check is 1, a partial result 3, an interruption 130.
Nothing heavy is imported before a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from toymesa import __version__
from toymesa.cli.shapes import SHAPES
from toymesa.errors import PartialSweep, ToymesaError, ToymesaWarning, did_you_mean

_NEGATIVE = re.compile(r"-(\.?\d|inf|nan)")
OK, FAILED, USAGE, PARTIAL, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143


class _Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest valid name; values such as -1e-3, -inf, -1:2 and -1,0 are numbers, no options."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._negative_number_matcher = _NEGATIVE  # argparse's own knows no exponents before Python 3.14

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As ever, but what a command does not know is its own error, with its own options."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            options = [o for a in self._actions for o in a.option_strings]
            self.error(f"unknown argument {rest[0]!r}{did_you_mean(rest[0].split('=')[0], options)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Leave with one line on standard error and exit code 2."""
        if "invalid choice: " in message:
            got = message.split("invalid choice: ")[1].split(" (")[0].strip("'")
            choices = next((a.choices for a in self._actions if a.choices and got not in a.choices), ())
            message = f"{message.split('invalid choice')[0]}unknown {got!r}{did_you_mean(got, map(str, choices or ()))}"
        message = message.removeprefix("argument ")
        message = message.replace("invalid float value:", "must be a number; got")
        message = message.replace("invalid int value:", "must be a whole number; got")
        if message.endswith("expected one argument"):
            option = message.split(":")[0].split("/")[-1]
            message += f" (a value that begins with '-' is written {option}=VALUE)"
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line as an argparse parser."""
    top = _Parser(
        prog="toymesa",
        description="Solvable toy models of mesa-optimization: is a model still jointly optimizing when training stops?",
        allow_abbrev=False,
        epilog="MODEL is the name of a model of the package or the path of a TOML file. "
        "Exit codes: 0 ok, 1 a check failed, 2 usage, 3 partial result, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"toymesa {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=SHAPES.get(name), allow_abbrev=False)
        sub.add_argument("--json", action="store_true", help="machine-readable output on standard output")
        return sub

    _answer(command("answer", "the main job: is training still joint when it stops, and what would change that?"))
    _solve(command("solve", "solve a model over time"))
    _follow(
        command(
            "follow",
            "follow fixed points and cycles in a parameter (of a map too), or folds and Hopf points in two",
        )
    )
    _basins(command("basins", "which start ends in which outcome, and where the boundaries run"))
    models = command("models", "list the models, or show one with its equations and claims")
    models.add_argument("name", nargs="?", metavar="NAME")
    verify = command("verify", "prove or refute a claim about a model")
    verify.add_argument("claim", metavar="CLAIM.toml")
    verify.add_argument("--points", type=int, default=20, help="points of the numerical search for a counterexample")
    verify.add_argument("--precision", type=int, default=256, help="bits of the ball arithmetic")
    check = command("check", "verify every claim and cross-check every closed form against every solver")
    check.add_argument("name", nargs="?", metavar="MODEL", help="only this model")
    scaling = command("scaling", "what a scaling law states beside what its own constants give")
    scaling.add_argument("law", metavar="LAW", help="kaplan, hoffmann, hoffmann_unrounded or epoch")
    fit = command("fit", "fit the parametric scaling law to a CSV of training runs")
    fit.add_argument("runs", metavar="RUNS.csv")
    for column in ("parameters", "tokens", "flop", "loss"):
        fit.add_argument(f"--{column}", metavar="COLUMN", help=f"name of the {column} column (default: recognized)")
    fit.add_argument("--bootstrap", type=int, default=0, metavar="N", help="resamples for 95 %% intervals")
    fit.add_argument("--drop-highest", type=int, default=0, metavar="N", help="leave out the N highest losses")
    fit.add_argument("--seed", type=int, default=0)
    _fixed_points(command("fixed-points", "every fixed point, with a proof"))
    _stability(command("stability", "linear stability at a fixed point, or at all of them"))
    _sweep(command("sweep", "measure a model in every cell of a sweep file"))
    _assess(command("assess", "one report: is it stable, where does that change, how long does training stay joint?"))
    warmup = command("warmup", "compile now what would be compiled at first use")
    warmup.add_argument("models", nargs="*", metavar="MODEL", help="only these (default: all of the package)")
    command("info", "versions and directories, for bug reports")
    return top


def _answer(sub: argparse.ArgumentParser) -> None:
    law = sub.add_mutually_exclusive_group()
    law.add_argument(
        "--law", default="kaplan", metavar="LAW", help="kaplan (default), hoffmann, hoffmann_unrounded, epoch"
    )
    law.add_argument("--runs", metavar="FILE.csv", help="fit the parametric law to these runs instead")
    sub.add_argument("--compute", metavar="LO:HI", default="1e18:1e26", help="FLOP (default 1e18:1e26)")
    sub.add_argument("--diversity", metavar="LO:HI", default="1:1000", help="effective tasks (default 1:1000)")
    sub.add_argument("--mechanisms", metavar="a,b,...", help="default proxy,internalized,corrigible,deceptive")
    sub.add_argument("--perturbation", type=float, default=1e-4, metavar="U0", help="initial asymmetry of reliance")
    sub.add_argument("--threshold", type=float, default=0.005, metavar="THETA", help="asymmetry that ends 'joint'")
    sub.add_argument("--noise", type=float, default=0.0, metavar="T", help="gradient-noise temperature (default none)")
    sub.add_argument("--lam", type=float, default=0.01, help="decay, for the converged state (default 0.01)")
    sub.add_argument("--mu", type=float, default=0.1, help="simplicity pressure, for the converged state (default 0.1)")
    sub.add_argument(
        "--initial-loss", type=float, metavar="L0", help="loss at initialization, nats (default: the law's)"
    )
    sub.add_argument("--out", metavar="DIR", help="write figures, data, text and a manifest here")


def _solve(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument("--t", metavar="T", help="end time (201 points from 0), or a list: 0,1,10")
    sub.add_argument("--until", choices=["steady"], help="stop at a steady state; --t is then the cap")
    sub.add_argument("--set", nargs="+", action="extend", default=[], metavar="name=value", dest="params")
    sub.add_argument("--start", nargs="+", action="extend", default=[], metavar="name=value")
    sub.add_argument("--mechanisms", metavar="a,b,...", help="names, for the model 'mechanisms'")
    sub.add_argument("--rtol", type=float, default=1e-8)
    sub.add_argument("--atol", type=float, default=1e-10)
    sub.add_argument("--method", default="auto", help="as in toymesa.solve (default auto)")


def _search(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument("--box", nargs="+", action="extend", default=[], metavar="name=lo:hi", help="where to search")
    sub.add_argument("--set", nargs="+", action="extend", default=[], metavar="name=value", dest="params")
    sub.add_argument("--mechanisms", metavar="a,b,...", help="names, for the model 'mechanisms'")
    sub.add_argument("--max-boxes", type=int, default=200_000, metavar="N", help="budget in boxes (default 200000)")
    sub.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="budget in seconds (default 60)")


def _fixed_points(sub: argparse.ArgumentParser) -> None:
    _search(sub)


def _stability(sub: argparse.ArgumentParser) -> None:
    _search(sub)
    sub.add_argument(
        "--at", nargs="+", action="extend", default=[], metavar="name=value",
        help="the fixed point, to about 5 digits (default: every one that the search finds)",
    )  # fmt: skip


def _follow(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument("--param", required=True, metavar="P", help="the parameter to follow in")
    sub.add_argument("--range", required=True, nargs=2, metavar=("LO", "HI"))
    sub.add_argument("--second", metavar="Q", help="a second parameter: curves of folds and Hopf points in both")
    sub.add_argument("--range2", nargs=2, metavar=("LO", "HI"))
    sub.add_argument("--set", nargs="+", action="extend", default=[], metavar="name=value", dest="params")
    sub.add_argument("--start", nargs="+", action="extend", default=[], metavar="name=value")
    sub.add_argument(
        "--box", nargs="+", action="extend", default=[], metavar="name=LO:HI", help="where states are looked for"
    )
    sub.add_argument("--mechanisms", metavar="a,b,...", help="names, for the model 'mechanisms'")
    sub.add_argument("--cycles", action="store_true", help="follow limit cycles from Hopf points too")
    sub.add_argument("--seconds", type=float, default=30.0, help="stop after this time with what is done (default 30)")
    sub.add_argument("--plot", metavar="FILE", help="draw the diagram into a PNG, SVG or PDF file")


def _sweep(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", metavar="SWEEP.toml")
    sub.add_argument("--store", metavar="DIR", help="directory for the results; needed to resume")
    sub.add_argument("--resume", action="store_true", help="go on with an interrupted sweep of the same settings")
    sub.add_argument("--extend", action="store_true", help="the same, where axes have more values at their end")
    sub.add_argument("--verify", action="store_true", help="check every byte of the store and run damaged blocks again")
    sub.add_argument("--scheduler", metavar="URL", help="a Dask scheduler, tcp://host:port")
    sub.add_argument("--engine", choices=["threads", "processes"], default="threads")
    sub.add_argument("--workers", type=int, metavar="N", help="threads or processes (default: all cores)")
    sub.add_argument("--durable", action="store_true", help="wait for the disk after every block")
    sub.add_argument("--export", metavar="FILE", help="write the results as .nc, .csv or .parquet")
    sub.add_argument("--estimate", action="store_true", help="say how large and how long it is, and stop")
    sub.add_argument("--allow-large", action="store_true", help="run what is refused as absurd")


def _basins(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument(
        "--over", nargs="+", action="extend", default=[], metavar="name=lo:hi[:count]",
        help="coordinates of the start (count: 41)",
    )  # fmt: skip
    sub.add_argument(
        "--outcome", nargs="+", action="extend", default=[], metavar="name=formula", dest="outcomes",
        help="what an end is called: 'a=p_a > p_b'; the first that holds (default: the steady states found)",
    )  # fmt: skip
    sub.add_argument("--set", nargs="+", action="extend", default=[], metavar="name=value", dest="params")
    sub.add_argument("--start", nargs="+", action="extend", default=[], metavar="name=value", help="the other states")
    sub.add_argument("--mechanisms", metavar="a,b,...", help="names, for the model 'mechanisms'")
    sub.add_argument("--t", type=float, metavar="T", help="stop at this time (default: when steady)")
    sub.add_argument("--samples", type=int, metavar="N", help="N random starts instead of a grid")
    sub.add_argument("--seed", type=int, default=0, help="of --samples (default 0)")
    sub.add_argument("--refine", type=float, metavar="WIDTH", help="bracket every boundary to this width")
    sub.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="budget in seconds (default 60)")
    sub.add_argument("--plot", metavar="FILE", help="draw the map into a PNG, SVG or PDF file")


def _assess(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument("--set", nargs="+", action="extend", default=[], metavar="name=value", dest="params")
    sub.add_argument("--start", nargs="+", action="extend", default=[], metavar="name=value")
    sub.add_argument(
        "--box", nargs="+", action="extend", default=[], metavar="name=lo:hi", help="where fixed points are looked for"
    )
    sub.add_argument(
        "--vary", nargs="+", action="extend", default=[], metavar="P[=lo:hi]",
        help="parameters to vary (default: diversity, eps and mu where there are any, else every one)",
    )  # fmt: skip
    sub.add_argument("--mechanisms", metavar="a,b,...", help="names, for the model 'mechanisms'")
    sub.add_argument(
        "--perturbation", type=float, default=1e-3, metavar="U0", help="shift of the second run (default 0.001)"
    )
    sub.add_argument("--budget", type=float, default=15.0, metavar="S", help="seconds for all of it (default 15)")
    sub.add_argument("--out", metavar="DIR", help="write the figures, the page and the data here")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = parser().parse_args(argv)
    from toymesa.cli import commands, sweeps  # after parsing, so that --help stays immediate

    def warn(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"toymesa {arguments.command}: warning: {message}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=ToymesaWarning)
            warnings.showwarning = warn
            room = sweeps if arguments.command == "sweep" else commands
            return int(getattr(room, f"run_{arguments.command.replace('-', '_')}")(arguments))
    except KeyboardInterrupt as stopped:
        print(f"toymesa: {str(stopped) or 'interrupted'}", file=sys.stderr)
        terminated = getattr(stopped, "terminated", False) or "terminated" in stopped.args
        return TERMINATED if terminated else INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return OK
    except (ToymesaError, OSError) as error:
        print(f"toymesa {arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return PARTIAL if isinstance(error, PartialSweep) else USAGE

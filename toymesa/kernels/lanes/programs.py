"""The programs of a model and a method, compiled once in a process."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toymesa.kernels.events import Event
from toymesa.kernels.lanes import explicit, rosenbrock, taylor
from toymesa.kernels.lanes.build import Address, build
from toymesa.kernels.lanes.control import Ending
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.interpolate import SIZES, between, read_off
from toymesa.kernels.lanes.layout import Layout
from toymesa.kernels.lanes.start import prepare
from toymesa.kernels.lanes.taylor import best_order
from toymesa.kernels.lanes.watch import watch
from toymesa.symbolic.model import TIME, Model

_PAIRS = {"tsit5": explicit.TSIT5_PAIR, "dop853": explicit.DOP853_PAIR}


@dataclass(frozen=True)
class Programs:
    """Compiled programs by name, the layout of their workspace, and its width."""

    layout: Layout
    lanes: int
    compiled: Mapping[str, Address]

    def __getitem__(self, name: str) -> Address:
        return self.compiled[name]


def programs(
    model: Model, method: str, *, rtol: float, outputs: bool, steady: bool, hand_over: bool, watched: bool = False
) -> Programs:
    """The programs with which one method ("taylor", "tsit5", "dop853", "rodas5p") solves a model, kept with it.

    outputs: for states wanted within the run; hand_over: an explicit method gives up a lane that turned stiff; watched:
    every step is looked at.
    """
    kept: dict[tuple[object, ...], Programs] = model.__dict__.setdefault("_lanes", {})
    order = best_order(rtol) if method == "taylor" else 0
    key = (method, order, outputs, steady, hand_over, watched)
    if key not in kept:
        autonomous = not any(e.has(TIME) for e in model.flow.values())
        # rates of time may all be 0 at first, and a step guessed by them far too short; pairs grow 8-fold, a series 2-fold
        patience = 1.0 + (4.0 if autonomous else 9.0) * (3.0 if method == "taylor" else 1.0)
        kept[key] = _programs(model, method, order, Ending(outputs, steady, watched, autonomous, patience), hand_over)
    return kept[key]


def watching(model: Model, method: str, made: Programs, events: Sequence[Event]) -> Address:
    """The program that looks at steps for events, kept with the model: one for all thresholds of the same formulas."""
    kept: dict[tuple[object, ...], Address] = model.__dict__.setdefault("_watched", {})
    key = (method, made.layout, made.lanes, *((e.form, e.constants, e.direction, e.terminal) for e in events))
    if key not in kept:
        layout = replace(made.layout, events=len(events))
        kept[key] = build([("watch", watch(method, model, events, layout, made.lanes))])["watch"]
    return kept[key]


def phases_of(model: Model, method: str, rtol: float) -> tuple[str, ...]:
    """The methods that solve a model in turn, the later ones what the earlier ones leave: explicit, then implicit."""
    if method == "taylor":
        return "taylor", "dop853"
    if method != "auto":
        return (method,)
    if rtol <= 5e-10 and _series_pay(model, rtol):
        return "taylor", "dop853", "rodas5p"
    return ("tsit5" if rtol > 1e-7 else "dop853"), "rodas5p"


def _series_pay(model: Model, rtol: float) -> bool:
    """Whether Taylor's method is safe and fast for a model: rates that hide nothing, whose series are cheap.

    The tighter the tolerance the more steps of DOP853 one of its steps replaces, and so the longer its program may be. The
    line was measured on ten flows of 1 to 10 states: below it Taylor's method was at equal errors 0.9 to 1.7 times as fast
    at 5e-10 and 1e-10, and 1.2 to 2.8 times at 1e-12; above it 0.5 to 1.0 times. Exceptions that were looked for lose a
    third: relaxation oscillators whose slow phase is handed over to many implicit steps, and motion that slows down
    steadily from a fast start.
    """
    kept: dict[int, float] = model.__dict__.setdefault("_series_cost", {})
    order = best_order(rtol)
    if order not in kept:
        costs = [operations(model, method, rtol) for method in ("taylor", "dop853")] if Formulas(model).tame else None
        kept[order] = math.inf if costs is None else costs[0] / costs[1]
    return kept[order] <= -0.25 * math.log10(rtol) - 0.6


def operations(model: Model, method: str, rtol: float) -> int:
    """Floating-point operations of one step in one lane, as its program has them; a fused product and sum is two."""
    source = _main(Formulas(model), method, best_order(rtol), 8, Ending(), True)[1]
    return sum(source.count(f" = f{how} ") for how in ("add", "sub", "mul", "div")) + 2 * source.count(
        "> @llvm.fma.v8f64(<8 x double> %"
    )


def _programs(model: Model, method: str, order: int, ending: Ending, hand_over: bool) -> Programs:
    formulas = Formulas(model)
    # two registers of eight numbers hide the latency of their operations; with many states there are too few registers
    lanes = 16 if formulas.n <= 6 or method == "tsit5" else 8
    layout, main, first = _main(formulas, method, order, lanes, ending, hand_over)
    sources = [("advance", main), ("prepare", prepare(layout, formulas, lanes, first))]
    if ending.dense:
        sources += [
            ("between", between(method, layout, formulas, lanes)),
            ("read_off", read_off(method, layout, lanes)),
        ]
    return Programs(layout, lanes, build(sources))


def _main(
    formulas: Formulas, method: str, order: int, lanes: int, ending: Ending, hand_over: bool
) -> tuple[Layout, str, int]:
    """Layout, source of ``advance``, and the order by which a first step is guessed."""
    sizes = (0, order) if method == "taylor" else SIZES[method]
    layout = Layout(formulas.n, formulas.m, *(sizes if ending.dense else ()))
    if method == "rodas5p":
        return layout, rosenbrock.advance(layout, formulas, lanes, ending=ending), 5
    if method == "taylor":
        return layout, taylor.advance(order, layout, formulas, lanes, hand_over=hand_over, ending=ending), order
    pair = _PAIRS[method]
    return layout, explicit.advance(pair, layout, formulas, lanes, hand_over=hand_over, ending=ending), pair.order

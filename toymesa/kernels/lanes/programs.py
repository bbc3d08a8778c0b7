"""The programs of a model and a method, compiled once in a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toymesa.kernels.lanes import explicit, rosenbrock
from toymesa.kernels.lanes.build import Address, build
from toymesa.kernels.lanes.control import Ending
from toymesa.kernels.lanes.formulas import Formulas
from toymesa.kernels.lanes.interpolate import SIZES, between, read_off
from toymesa.kernels.lanes.layout import Layout
from toymesa.kernels.lanes.start import prepare
from toymesa.symbolic.model import Model

_PAIRS = {"tsit5": explicit.TSIT5_PAIR, "dop853": explicit.DOP853_PAIR}


@dataclass(frozen=True)
class Programs:
    """Compiled programs by name, the layout of their workspace, and its width."""

    layout: Layout
    lanes: int
    compiled: Mapping[str, Address]

    def __getitem__(self, name: str) -> Address:
        return self.compiled[name]


def programs(model: Model, method: str, *, outputs: bool, steady: bool, hand_over: bool) -> Programs:
    """The programs with which one method ("tsit5", "dop853", "rodas5p") solves a model, kept with it.

    outputs: for states wanted within the run; hand_over: an explicit method gives up a lane that turned stiff.
    """
    kept: dict[tuple[object, ...], Programs] = model.__dict__.setdefault("_lanes", {})
    key = (method, outputs, steady, hand_over)
    if key not in kept:
        kept[key] = _programs(model, method, Ending(outputs, steady), hand_over)
    return kept[key]


def _programs(model: Model, method: str, ending: Ending, hand_over: bool) -> Programs:
    formulas = Formulas(model)
    # two registers of eight numbers hide the latency of their operations; with many states there are too few registers
    lanes = 16 if formulas.n <= 6 else 8
    layout = Layout(formulas.n, formulas.m, *(SIZES[method] if ending.outputs else ()))
    if method == "rodas5p":
        order, main = 5, rosenbrock.advance(layout, formulas, lanes, ending=ending)
    else:
        pair = _PAIRS[method]
        order, main = pair.order, explicit.advance(pair, layout, formulas, lanes, hand_over=hand_over, ending=ending)
    sources = [("advance", main), ("prepare", prepare(layout, formulas, lanes, order))]
    if ending.outputs:
        sources += [("between", between(method, layout, formulas, lanes)), ("read_off", read_off(method, layout, lanes))]
    return Programs(layout, lanes, build(sources))

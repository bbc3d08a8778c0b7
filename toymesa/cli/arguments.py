"""What a command line says, as models, numbers and names; and how an answer is printed."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from toymesa.errors import ArgumentError, DomainError
from toymesa.symbolic.model import Model


def find_model(text: str, names: str | None = None) -> Model:
    """The model that a command line means: a name of the package, or a TOML file."""
    from toymesa import models
    from toymesa.symbolic.files import load_model

    if names is not None:
        if text != "mechanisms":
            raise ArgumentError(f"--mechanisms goes with the model 'mechanisms'; got {text!r}")
        return models.mechanisms(split_names(names))
    if text.endswith(".toml") or "/" in text or Path(text).is_file():
        return load_model(text)
    return models.find(text)


def split_names(text: str) -> tuple[str, ...]:
    """Names between commas, spaces trimmed."""
    return tuple(part.strip() for part in text.split(","))


def number(text: str, what: str) -> float:
    """A finite number, or one line that says what was wrong."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentError(f"{what} must be a number; got {text!r}") from None
    if not math.isfinite(value):
        raise DomainError(f"{what} must be finite; got {text!r}")
    return value


def assignments(pairs: list[str], what: str) -> dict[str, float]:
    """``name=value`` pairs as a dictionary."""
    out: dict[str, float] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ArgumentError(f"{what} takes name=value; got {pair!r}")
        if name in out:
            raise ArgumentError(f"{what} gives {name!r} twice")
        out[name] = number(value, f"{what} {name}")
    return out


def interval(text: str, what: str) -> tuple[float, float]:
    """``LO:HI`` as two numbers."""
    ends = text.split(":")
    if len(ends) != 2:
        raise ArgumentError(f"{what} takes LO:HI, such as 1:1000; got {text!r}")
    return number(ends[0], what), number(ends[1], what)


def emit(arguments: argparse.Namespace, data: Any, page: str) -> None:
    """JSON where it was asked for, the page otherwise."""
    print(json.dumps(data, allow_nan=False) if arguments.json else page)

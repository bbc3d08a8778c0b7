"""A TOML file that a user wrote: read with limits, every complaint with the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy as sp

from toymesa.errors import ExpressionError, ModelError, ToymesaError, did_you_mean
from toymesa.symbolic.parse import parse

_MOST_BYTES = 1_000_000


class TomlFile:
    """One TOML file: its tables, and errors that name the file and the key."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise ModelError(f"there is no file {str(path)!r}")
        if not self.path.is_file():
            raise ModelError(f"{str(path)!r} is not a file")
        if self.path.suffix.lower() in (".yaml", ".yml", ".json"):
            raise ModelError(f"{self.path.name}: models and claims are TOML files; got {self.path.suffix}")
        if self.path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{self.path.name}: larger than {_MOST_BYTES} bytes")
        try:
            self.data = tomllib.loads(self.path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError:
            raise ModelError(f"{self.path.name}: not a text file in UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ModelError(f"{self.path.name}: not valid TOML: {error}") from None
        except RecursionError:
            raise ModelError(f"{self.path.name}: not valid TOML: nested too deeply") from None

    def fail(self, key: str, message: str) -> ModelError:
        """The error of that message about a key of this file."""
        return ModelError(f"{self.path.name}: {key}: {message}")

    def named(self, error: ToymesaError) -> ToymesaError:
        """The same error with the file's name in front, if it is not there yet."""
        prefix = f"{self.path.name}: "
        return error if str(error).startswith(prefix) else type(error)(f"{prefix}{error}")

    def keys(
        self, table: Mapping[str, Any], allowed: Sequence[str], where: str = "", needed: Sequence[str] = ()
    ) -> None:
        """Refuse unknown keys, with the nearest known one, and name all that are missing at once."""
        for key in table:
            if key not in allowed:
                raise self.fail(f"{where}{key}", f"unknown key{did_you_mean(key, allowed)}")
        if missing := [key for key in needed if key not in table]:
            raise self.fail(where.rstrip(".") or "top", f"is missing {', '.join(missing)}")

    def table(self, name: str) -> dict[str, Any]:
        """The table of that name; an empty one where it is absent."""
        value = self.data.get(name, {})
        if not isinstance(value, dict):
            raise self.fail(name, f"must be a table; got {type(value).__name__} {value!r}")
        return value

    def text(self, table: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
        """An entry that is text; a missing one is an error unless there is a default."""
        value = table.get(key, default)
        if value is None:
            raise self.fail(key, "is missing")
        if not isinstance(value, str):
            raise self.fail(key, f"must be text; got {type(value).__name__} {value!r}")
        return value

    def number(self, value: Any, key: str) -> float:
        """An entry that is a number of the range of floating point."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(key, f"must be a number; got {type(value).__name__} {value!r}")
        try:
            return float(value)
        except OverflowError:
            raise self.fail(key, "is a whole number outside the range of floating point") from None

    def formula(self, value: Any, names: Mapping[str, sp.Symbol], key: str) -> sp.Expr:
        """An entry that is a formula in the given names, or a number."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.fail(key, f"must be a formula or a number; got {type(value).__name__} {value!r}")
        try:
            return parse(value if isinstance(value, str) else repr(value), names)
        except ExpressionError as error:
            raise ExpressionError(f"{self.path.name}: {key}: {error}") from None

    def formulas(self, table: str, scope: Mapping[str, sp.Symbol]) -> dict[str, sp.Expr]:
        """Every entry of a table as a formula."""
        return {n: self.formula(v, scope, f"{table}.{n}") for n, v in self.table(table).items()}

    def names(self, table: Mapping[str, Any], key: str) -> list[str]:
        """An entry that is a list of names."""
        value = table.get(key)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.fail(key, f"must be a list of names; got {value!r}")
        return value

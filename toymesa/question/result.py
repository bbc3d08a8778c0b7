"""The answer as data, as a page, and as files."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from toymesa import __version__
from toymesa.errors import DomainError
from toymesa.question.course import Contrast, Landmarks
from toymesa.question.settings import Settings

_ROW = (
    "compute",
    "parameters",
    "steps",
    "tokens",
    "excess",
    "share",
    "reducible_ratio",
    "residual",
    "critical_diversity",
    "critical_diversity_converged",
    "critical_diversity_fixed_point",
    "measured_critical_diversity",
)
_CELL = ("compute", "diversity", "leader", "n_eff", "expected_bits", "deployment_loss")


def output_directory(directory: str | os.PathLike[str]) -> Path:
    """The directory to write to, made if it is missing; DomainError if the place is a file."""
    place = Path(directory)
    if place.exists() and not place.is_dir():
        raise DomainError(f"the output directory must not be a file; got {str(place)!r}")
    place.mkdir(parents=True, exist_ok=True)
    return place


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Everything that the main job computed.

    table: over compute. stopped: the named mechanisms at the stop, over (diversity, compute). symmetric: asymmetry of
    the symmetric model at the stop, over (diversity, compute). course: fast against simple over time. contrast: stopping
    early for better and for worse. paragraph: the answer in words.
    """

    asked: Settings
    table: xr.Dataset
    stopped: xr.Dataset
    symmetric: xr.Dataset
    course: xr.Dataset
    landmarks: Landmarks
    contrast: Contrast
    paragraph: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape of ``toymesa answer --json``."""
        rows = []
        for i in range(self.table.sizes["compute"]):
            row = {n: _plain(self.table[n].values[i]) for n in _ROW}
            if "noise_critical_diversity" in self.table:
                row["noise_critical_diversity"] = _plain(self.table["noise_critical_diversity"].values[i])
            rows.append(row)
        cells = []
        for i, n in enumerate(self.stopped["diversity"].values):
            for j, c in enumerate(self.stopped["compute"].values):
                values = {k: _plain(self.stopped[k].values[i, j]) for k in _CELL[2:]}
                cells.append({"compute": float(c), "diversity": float(n), **values})
        return {
            "law": self.asked.law.name,
            "perturbation": self.asked.perturbation,
            "threshold": self.asked.threshold,
            "mechanisms": list(self.asked.names),
            "rows": rows,
            "map": cells,
            "paragraph": self.paragraph,
        }

    def save(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write figures (PNG and SVG), data (netCDF), the paragraph and a manifest; returns the files written.

        The directory is made if it is missing. Files of an earlier answer in it are replaced, others left alone.
        Raises DomainError if the place is a file.
        """
        from toymesa import plot

        place = output_directory(directory)
        written = plot.answer_figures(self, place)
        for name, data in self.datasets().items():
            path = place / f"{name}.nc"
            data.to_netcdf(path, engine="h5netcdf")
            written.append(path)
        (place / "paragraph.txt").write_text(self.paragraph + "\n", encoding="utf-8")
        (place / "answer.json").write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
        (place / "manifest.json").write_text(json.dumps(self.manifest(), indent=1, allow_nan=False), encoding="utf-8")
        return [*written, *(place / n for n in ("paragraph.txt", "answer.json", "manifest.json"))]

    def datasets(self) -> dict[str, xr.Dataset]:
        """The data by file name."""
        return {
            "table": self.table,
            "stopped": self.stopped,
            "symmetric": self.symmetric,
            "course": self.course,
            "better": self.contrast.better,
            "worse": self.contrast.worse,
        }

    def manifest(self) -> dict[str, Any]:
        """Arguments and versions, enough to compute the same again."""
        a = self.asked
        packages = ("numpy", "scipy", "sympy", "numba", "xarray", "matplotlib")
        return {
            "arguments": {
                "law": a.law.name,
                "source": a.law.source,
                "initial_loss": float(a.law.initial_loss),
                "compute": a.compute.tolist(),
                "diversity": a.diversity.tolist(),
                "mechanisms": list(a.names),
                "perturbation": a.perturbation,
                "threshold": a.threshold,
                "noise": a.noise,
                "lam": a.lam,
                "mu": a.mu,
            },
            "versions": {
                "toymesa": __version__,
                "python": platform.python_version(),
                **{p: version(p) for p in packages},
            },
        }

    def __str__(self) -> str:
        columns: Mapping[str, str] = {
            "compute": "FLOP",
            "parameters": "parameters",
            "steps": "steps",
            "tokens": "tokens",
            "excess": "excess",
            "share": "share",
            "reducible_ratio": "reducible",
            "residual": "residual",
            "critical_diversity": "n_stop",
            "measured_critical_diversity": "measured",
            "critical_diversity_converged": "n_stop(0)",
            "critical_diversity_fixed_point": "n_c",
            "gain": "gain",
            "noise_critical_diversity": "n_noise",
        }
        shown = [n for n in columns if n == "compute" or (n in self.table and np.isfinite(self.table[n].values).any())]
        lines = ["  ".join(columns[n].rjust(10) for n in shown)]
        for i in range(self.table.sizes["compute"]):
            lines.append("  ".join(f"{float(self.table[n].values[i]):10.4g}" for n in shown))
        text = "\n\n".join(textwrap.fill(part, width=110) for part in self.paragraph.split("\n\n"))
        return "\n".join(lines) + "\n\n" + _leaders(self.stopped) + "\n\n" + text


def _leaders(stopped: xr.Dataset) -> str:
    """Who leads and how joint it is, diversity down and compute across."""
    lines = ["who leads at the stop (effective number of mechanisms)"]
    head = "  ".join(f"{c:16.0e}" for c in stopped["compute"].values[::2])
    lines.append(f"{'diversity':>10}  {head}")
    for i in range(0, stopped.sizes["diversity"], 2):
        cells = [
            f"{str(stopped['leader'].values[i, j])[:10] or '-':>10} {stopped['n_eff'].values[i, j]:5.2f}"
            for j in range(0, stopped.sizes["compute"], 2)
        ]
        lines.append(f"{stopped['diversity'].values[i]:10.3g}  " + "  ".join(cells))
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value or None
    number = float(value)
    return number if np.isfinite(number) else None

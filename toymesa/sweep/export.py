"""Results in other formats, a block at a time where the format allows it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xarray as xr

from toymesa.errors import ArgumentError, DomainError, StoreError, did_you_mean
from toymesa.sweep.store import open_store, place

FORMATS = {".nc": "netCDF", ".csv": "CSV", ".parquet": "parquet"}
_ROWS = 200_000
_NO_PARQUET = "parquet needs the extra: pip install 'toymesa[parquet]'"


def export_sweep(results: xr.Dataset | str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Write results (a Dataset, or the path of a store) as ``.nc``, ``.csv`` or ``.parquet``, by the ending of ``path``.

    CSV and parquet have one row a cell (and time), written in pieces; parquet needs the extra ``parquet``. netCDF holds
    one variable in memory at a time. An existing file is not overwritten. Returns the path.
    Raises DomainError for another ending and StoreError for an existing file.
    """
    target = export_target(path)
    data = results if isinstance(results, xr.Dataset) else open_store(place(results))
    temporary = target.with_name(f".{target.name}.partial")
    try:
        {".nc": _netcdf, ".csv": _csv, ".parquet": _parquet}[target.suffix](data, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def export_target(path: str | os.PathLike[str]) -> Path:
    """Where an export goes, checked before anything is computed for it."""
    target = Path(path)
    if target.suffix not in FORMATS:
        raise DomainError(f"cannot export to {target.suffix or target.name!r}{did_you_mean(target.suffix, FORMATS)}")
    if target.exists():
        raise StoreError(f"{str(target)!r} exists: choose a new name")
    if not target.parent.is_dir():
        raise StoreError(f"there is no directory {str(target.parent)!r} to export into")
    if target.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ArgumentError(_NO_PARQUET)
    return target


def _netcdf(data: xr.Dataset, path: Path) -> None:
    plain = data.drop_attrs(deep=False).assign_attrs({k: v for k, v in data.attrs.items() if v is not None})
    for v in plain.variables.values():
        v.encoding = {}
    plain.to_netcdf(path, engine="h5netcdf")


def pieces(data: xr.Dataset) -> Iterator[Any]:
    """The results as tables of at most about 2e5 rows, in C order."""
    dims = list(data["status"].dims)
    first = dims[0]
    width = math.prod(data.sizes[d] for d in data.dims if d != first)
    step = max(1, _ROWS // max(1, width))
    for low in range(0, data.sizes[first], step):
        piece = data.isel({first: slice(low, low + step)}).load()
        order = [*dims, *(d for d in piece.dims if d not in dims)]
        frame = piece.to_dataframe(dim_order=order).reset_index()
        if first not in data.coords:
            frame[first] += low
        yield frame


def _csv(data: xr.Dataset, path: Path) -> None:
    for i, frame in enumerate(pieces(data)):
        frame.to_csv(path, mode="w" if i == 0 else "a", header=i == 0, index=False)


def _parquet(data: xr.Dataset, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ArgumentError(_NO_PARQUET) from None
    writer: Any = None
    try:
        for frame in pieces(data):
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()

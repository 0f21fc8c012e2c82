"""Parquet files: typed columns, converted some hundred rows at a time. It needs pyarrow, an optional dependency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from versionsync.export.errors import ExportError
from versionsync.export.tables import Column, ExportTable, Kind, Rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetFile", "require_pyarrow"]

GROUP_ROWS: Final = 64 * 1024
GROUP_BYTES: Final = 8 * 1024 * 1024
"""A row group ends at this size, before compression. Larger ones are read a little faster, and take memory here."""
PAGE_BYTES: Final = 256 * 1024


def require_pyarrow() -> None:
    """Raise ExportError if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ExportError("Parquet needs pyarrow: pip install 'versionsync[parquet]'") from None


class ParquetFile:
    """A Parquet file that is being written."""

    def __init__(self, path: Path, table: ExportTable) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 15 MB more of what is free
        self._columns = table.columns
        self._schema = pa.schema([pa.field(column.name, _type_of(column.kind)) for column in table.columns])
        long = {column.name for column in table.columns if column.kind is Kind.JSON}
        short = [column.name for column in table.columns if column.name not in long]
        # A dictionary of contents, or the least and greatest of them, would only take time and room.
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=short,
            write_statistics=short,
            dictionary_pagesize_limit=PAGE_BYTES,
            data_page_size=PAGE_BYTES,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, rows: Rows) -> None:
        """Write rows."""
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [_array(column, values) for column, values in zip(self._columns, columns, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), row_group_size=self._rows)
        self._waiting = []
        self._rows = self._bytes = 0


def _type_of(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    match kind:
        case Kind.INTEGER:
            return pa.int64()
        case Kind.BOOLEAN:
            return pa.bool_()
        case Kind.TIME:
            return pa.timestamp("us", tz="UTC")
        case Kind.BINARY:
            return pa.binary()
        case _:
            return pa.string()


def _array(column: Column, values: Sequence[Any]) -> pa.Array:
    """Return a column of values as the driver gave them: SQLite has no times and no booleans of its own.

    Arrow could convert these itself, a tenth faster, but needs 20 MB of memory more for it.
    """
    import pyarrow as pa

    first = next((value for value in values if value is not None), None)
    if column.kind is Kind.BOOLEAN and isinstance(first, int):
        values = [None if value is None else bool(value) for value in values]
    elif column.kind is Kind.TIME and isinstance(first, str):
        parse = datetime.fromisoformat
        values = [None if value is None else parse(value) for value in values]
    return pa.array(values, _type_of(column.kind))

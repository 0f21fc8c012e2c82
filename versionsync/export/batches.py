"""Write what is new: as one more batch of a folder, or as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, func, select

from versionsync.export.errors import ExportError
from versionsync.export.folder import Batch, FileFormat, Manifest, SourceFolder
from versionsync.export.parquet import ParquetFile, require_pyarrow
from versionsync.export.tables import CHANGED, PROJECTED, SNAPSHOTS, TABLES, ExportTable, Rows, Since, read_rows
from versionsync.export.text_files import CsvRows, JsonLines, TextStream
from versionsync.history.projections.reading import coverage
from versionsync.ledger.times import format_time, parse_time
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import events, records
from versionsync.mirror.schema.migrate import revision_of
from versionsync.mirror.tables.events import last_event_id
from versionsync.mirror.tables.projection_cursors import load_cursors, reordered
from versionsync.mirror.tables.sources import SourceRow, sources_of

__all__ = ["Exported", "export_batch", "export_stream", "tables_named"]


class RowWriter(Protocol):
    """Writes rows of one table."""

    def write(self, rows: Rows) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote of one source.

    Attributes:
        source: The name of the source.
        batch: The number of the batch, or None: nothing was new.
        rows: The number of rows of each table.
        last_event_id: Every event up to this one is exported.
        left_out: Tables that are not filled yet. The next export has them.
    """

    source: str
    batch: int | None
    rows: Mapping[str, int]
    last_event_id: int
    left_out: Sequence[str] = ()


def tables_named(names: Sequence[str]) -> list[ExportTable]:
    """Return the tables of these names, in the order in which they are written. Raises ExportError."""
    if unknown := [name for name in names if name not in TABLES]:
        raise ExportError(f"there is no table {unknown[0]} to export", hint=f"There are: {', '.join(TABLES)}.")
    return [table for name, table in TABLES.items() if name in names]


def export_stream(
    mirror: Mirror,
    source: SourceRow,
    tables: Sequence[ExportTable],
    stream: TextStream,
    *,
    format: FileFormat,
    after: int = 0,
    header: bool = True,
) -> Exported:
    """Write the rows of a source that are new since an event to a stream, from one snapshot.

    Args:
        mirror: The database.
        source: The source.
        tables: The tables. CSV has just one.
        stream: Where to write.
        format: `ndjson` or `csv`.
        after: The last event that is there already; 0: everything.
        header: Whether CSV begins with the names of its columns.
    """
    rows: dict[str, int] = {}
    with mirror.read() as connection:
        last = last_event_id(connection, source.id)
        left_out = () if _is_filled(connection, source.id) else tuple(t.name for t in tables if t.name in PROJECTED)
        since = Since(after, changed_at=_observed_at(connection, source.id, after))
        for table in tables:
            writer: RowWriter = (
                JsonLines(stream, table, source.name)
                if format == "ndjson"
                else CsvRows(stream, table, source.name, header=header)
            )
            rows[table.name] = 0
            for some in read_rows(connection, table, source.id, since, last_event_id=last):
                writer.write(some)
                rows[table.name] += len(some)
    return Exported(source=source.name, batch=None, rows=rows, last_event_id=last, left_out=left_out)


def export_batch(
    mirror: Mirror,
    source_name: str,
    folder: Path,
    *,
    format: FileFormat,
    tables: Sequence[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Exported:
    """Add what is new of a source to a folder, as one batch.

    Args:
        mirror: The database.
        source_name: The source.
        folder: The folder. It is made if it is not there.
        format: `ndjson`, `csv` or `parquet`.
        tables: The names of the tables. Empty: those that are there already, or all.
        now: The clock.

    Raises:
        ExportError: The folder holds something else, or pyarrow is missing.
        ExportLocked: Another process exports into it.
    """
    if format == "parquet":
        require_pyarrow()
    tables_named(tables)
    with SourceFolder.opened(folder, source_name) as opened, mirror.read() as connection:
        found = opened.manifest()
        source = next(one for one in sources_of(connection) if one.name == source_name)
        manifest = _wanted(connection, source, format=format, tables=tables, found=found)
        return _Export(connection, source, opened, manifest, now).write()


def _wanted(
    connection: Connection, source: SourceRow, *, format: FileFormat, tables: Sequence[str], found: Manifest | None
) -> Manifest:
    """Return the manifest to add to. Raises ExportError if it is that of another export."""
    chosen = [table.name for table in tables_named(tables or (found.tables if found else tuple(TABLES)))]
    project = source.project
    wanted = Manifest(
        source=source.name,
        project_id=project.id,
        environment=project.environment,
        schema_revision=revision_of(connection),
        format=format,
        tables=chosen,
        batches=found.batches if found else (),
    )
    if found is None:
        return wanted
    for name, what in (("project_id", "the project"), ("format", "the format"), ("tables", "the tables")):
        if (there := getattr(found, name)) != (here := getattr(wanted, name)):
            raise ExportError(f"the folder holds an export with {what} {there}, not {here}: choose another folder")
    last = found.last
    if last is not None and last.last_event_id > last_event_id(connection, source.id):
        raise ExportError(
            f"the folder holds event {last.last_event_id} of {source.name}, which this database does not have",
            hint="It is the export of another database. Choose another folder.",
        )
    return wanted


class _Export:
    """One export of one source, from one snapshot."""

    def __init__(
        self,
        connection: Connection,
        source: SourceRow,
        folder: SourceFolder,
        manifest: Manifest,
        now: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._source = source
        self._folder = folder
        self._manifest = manifest
        self._now = now
        self._previous = manifest.last
        self._last_event_id = last_event_id(connection, source.id)
        synced = connection.scalar(select(func.max(records.c.synced_at)).where(records.c.source_id == source.id))
        self._synced_at = None if synced is None else format_time(synced)
        self._number = len(manifest.batches) + 1
        self._rows: dict[str, int] = {}

    def write(self) -> Exported:
        """Write the batch, if anything is new."""
        since = _since(self._previous)
        projected = dict(self._previous.projected) if self._previous else {}
        snapshots = dict(self._previous.snapshots) if self._previous else {}
        cursors = load_cursors(self._connection, self._source.id)
        is_filled = _is_filled(self._connection, self._source.id)
        left_out: list[str] = []
        made = self._folder.begin(self._number)
        try:
            for table in tables_named(self._manifest.tables):
                if table.name in SNAPSHOTS:
                    self._write_snapshot(made.path, table, snapshots)
                elif table.name in CHANGED:
                    self._write_changed(made.path, table, projected)
                elif table.name not in PROJECTED:
                    self._write_table(made.path, table, since)
                elif is_filled and table.name in cursors:
                    format = cursors[table.name].format
                    self._write_table(made.path, table, _since_projected(projected.get(table.name), format))
                    projected[table.name] = {
                        "event_id": self._last_event_id,
                        "synced_at": self._synced_at,
                        "format": format,
                    }
                else:
                    left_out.append(table.name)
            is_new = bool(self._rows) or self._last_event_id > since.event_id
            if is_new:
                batch = Batch(
                    number=self._number,
                    first_event_id=self._first_event_id(since),
                    last_event_id=self._last_event_id,
                    synced_at=self._synced_at,
                    projected=projected,
                    snapshots=snapshots,
                    rows=self._rows,
                    sha256=made.sha256(),
                    finished_at=format_time(self._now()),
                )
                members = self._manifest.to_json()
                grown = Manifest.from_json(members | {"batches": [*members["batches"], batch.to_json()]})
                self._folder.publish(made, grown)
        finally:
            made.remove()
        return Exported(
            source=self._source.name,
            batch=self._number if is_new else None,
            rows=self._rows,
            last_event_id=self._last_event_id,
            left_out=left_out,
        )

    def _read(self, table: ExportTable, since: Since) -> Iterator[Rows]:
        return read_rows(self._connection, table, self._source.id, since, last_event_id=self._last_event_id)

    def _write_table(self, folder: Path, table: ExportTable, since: Since) -> None:
        """Write the rows of a table to a file, if there are any."""
        found = self._read(table, since)
        first = next(found, None)
        if first is None:
            return
        count = 0
        with _file(folder, table, self._manifest) as writer:
            writer.write(first)
            count += len(first)
            del first
            for rows in found:
                writer.write(rows)
                count += len(rows)
        self._rows[table.name] = count

    def _write_changed(self, folder: Path, table: ExportTable, written: dict[str, dict[str, Any]]) -> None:
        """Write the rows of a table that changed since the last batch that has it."""
        former = _time(written.get(table.name, {}).get("changed_at"))
        column = table.table.c.changed_at
        latest = self._connection.scalar(select(func.max(column)).where(table.table.c.source_id == self._source.id))
        if latest is not None and latest != former:
            self._write_table(folder, table, Since(changed_at=former))
            written[table.name] = {"changed_at": format_time(latest)}

    def _write_snapshot(self, folder: Path, table: ExportTable, snapshots: dict[str, str]) -> None:
        """Write a small table as a whole, if it is not what it was in the last batch that has it."""
        hash = hashlib.sha256()
        for rows in self._read(table, Since()):
            for row in rows:
                hash.update(repr(tuple(row)).encode())
        if snapshots.get(table.name) != hash.hexdigest():
            snapshots[table.name] = hash.hexdigest()
            self._write_table(folder, table, Since())

    def _first_event_id(self, since: Since) -> int | None:
        return self._connection.scalar(
            select(func.min(events.c.id)).where(
                events.c.source_id == self._source.id, events.c.id > since.event_id, events.c.id <= self._last_event_id
            )
        )


def _observed_at(connection: Connection, source_id: int, event_id: int) -> datetime | None:
    """Return when an event was observed. Rows that changed until then are there already; None: there is no event."""
    return connection.scalar(
        select(events.c.observed_at).where(events.c.source_id == source_id, events.c.id == event_id)
    )


def _since(previous: Batch | None) -> Since:
    return Since() if previous is None else Since(previous.last_event_id, _time(previous.synced_at))


def _since_projected(written: Mapping[str, Any] | None, format: int) -> Since:
    """Return what of a projection is there: nothing if its rows are computed in another way now."""
    if written is None or written["format"] != format:
        return Since()
    return Since(written["event_id"], _time(written["synced_at"]))


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _is_filled(connection: Connection, source_id: int) -> bool:
    """Return whether the tables that are filled after the commit have everything that the snapshot has."""
    return coverage(connection, source_id, PROJECTED).is_complete and not reordered(connection, source_id, limit=1)


@contextmanager
def _file(folder: Path, table: ExportTable, manifest: Manifest) -> Iterator[RowWriter]:
    """Open the file of a table in a batch."""
    path = folder / f"{table.name}.{manifest.format}"
    if manifest.format == "parquet":
        writer = ParquetFile(path, table)
        yield writer
        writer.close()
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield (JsonLines if manifest.format == "ndjson" else CsvRows)(stream, table, manifest.source)

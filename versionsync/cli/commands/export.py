"""`versionsync export`: a copy of the mirror for other programs, which the next export extends by what is new."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import Sources
from versionsync.cli.options import option
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.export.batches import Exported
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.tables.sources import SourceRow

__all__ = ["export"]


class Format(StrEnum):
    """The forms of an export."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    GIT = "git"


NEED_FOLDER: Final = (Format.PARQUET, Format.GIT)


def export(
    session: CliContext,
    *,
    format: Annotated[Format, option("--format", "FORMAT", "ndjson, csv, parquet or git.")],
    output: Annotated[
        Path | None,
        option("--output", "DIR", "Folder to add to. Without it, ndjson and csv go to standard output."),
    ] = None,
    tables: Annotated[
        str | None,
        option("--tables", "LIST", "Tables with commas between them, such as events,versions. Default: all."),
    ] = None,
    after: Annotated[
        int | None,
        option("--after", "ID", "Only what is new since the event with this id; to standard output.", min=0),
    ] = None,
    source: Sources = None,
) -> None:
    """Export records, versions, events and their projections, or the history as a Git repository.

    With --output, each export adds a batch with what is new, and a manifest says what is there. An interrupted export
    leaves no half batch.

    Tables: records, versions, events, changes, intervals, titles, links, uploads, editors, models, fields. Parquet
    needs `pip install 'versionsync[parquet]'`; git needs the program `git`.

    Examples:
        # All events, one JSON object a line.
        versionsync export --format ndjson --tables events

        # Everything as Parquet. The next time, only what is new.
        versionsync export --format parquet --output warehouse

        # One commit a version, with its author and its time.
        versionsync export --format git --output history.git
    """
    from versionsync.export.errors import ExportError

    names = [name.strip() for name in (tables or "").split(",") if name.strip()]
    if output is None and format in NEED_FOLDER:
        raise ExportError(f"an export as {format} needs a folder: add --output DIR")
    if output is not None and after is not None:
        raise ExportError("--after is for standard output: the manifest of a folder says what is new")
    if format is Format.GIT and names:
        raise ExportError("--tables is not for git: it exports versions")
    with session.open_mirror(reads_only=True) as mirror:
        sources = session.known_sources(mirror, source or ())
        if format is Format.GIT:
            assert output is not None
            _to_git(session, mirror, sources, output)
        elif output is None:
            _to_stream(session, mirror, sources, names, format=format, after=after or 0)
        else:
            _to_folder(session, mirror, sources, names, output, format=format)


def _to_git(session: CliContext, mirror: Mirror, sources: Sequence[SourceRow], output: Path) -> None:
    from versionsync.export.git import export_git

    for source in sources:
        done = export_git(mirror, source, output)
        session.output.result(
            {"source": done.source, "branch": done.branch, "commits": done.commits, "head": done.head},
            f"{done.source}: {count(done.commits, 'new commit')} on branch {done.branch}.",
        )


def _to_folder(
    session: CliContext,
    mirror: Mirror,
    sources: Sequence[SourceRow],
    names: Sequence[str],
    output: Path,
    *,
    format: str,
) -> None:
    from versionsync.export.batches import export_batch

    for source in sources:
        done = export_batch(mirror, source.name, output, format=format, tables=names)
        fields = {
            "source": done.source,
            "batch": done.batch,
            "rows": dict(done.rows),
            "last_event_id": done.last_event_id,
        }
        rows = ", ".join(f"{number:,} {name}" for name, number in done.rows.items()) or "no rows"
        text = f"batch {done.batch}: {rows}" if done.batch is not None else "nothing new"
        session.output.result(fields, f"{done.source}: {text}.")
        _note_left_out(session, done)


def _to_stream(
    session: CliContext,
    mirror: Mirror,
    sources: Sequence[SourceRow],
    names: Sequence[str],
    *,
    format: str,
    after: int,
) -> None:
    from versionsync.export.batches import export_stream, tables_named
    from versionsync.export.errors import ExportError
    from versionsync.export.tables import TABLES

    chosen = tables_named(names or tuple(TABLES))
    if format == Format.CSV and len(chosen) > 1:
        raise ExportError("CSV on standard output holds one table: add --tables versions, or another one")
    if after and len(sources) > 1:
        raise ExportError("--after is about one source: add --source NAME")
    with _utf8_output() as stream:
        for number, source in enumerate(sources):
            done = export_stream(mirror, source, chosen, stream, format=format, after=after, header=number == 0)
            _note_left_out(session, done)


def _note_left_out(session: CliContext, done: Exported) -> None:
    if done.left_out:
        session.output.note(
            f"{done.source}: {', '.join(done.left_out)} are not filled up to the last event yet. "
            "The next `sync` or the daemon fills them."
        )


@contextmanager
def _utf8_output() -> Iterator[TextIO]:
    """Open standard output in UTF-8, whatever the locale: no character of a content may be replaced."""
    if not hasattr(sys.stdout, "buffer"):
        yield sys.stdout
        return
    sys.stdout.flush()
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        yield stream
    finally:
        stream.detach()

"""`versionsync log`: the versions of a record, a model, an editor or the project, and what each changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import (
    RECORD_HELP,
    Editor,
    Ids,
    Limit,
    Model,
    Since,
    Sources,
    Until,
    Zone,
    echo_time,
    explain_nothing,
    show_rows,
    warn_unfilled,
)
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from versionsync.api import Record, Version

__all__ = ["log"]


def log(
    session: CliContext,
    record: Annotated[str | None, typer.Argument(metavar="RECORD", help=RECORD_HELP)] = None,
    *,
    model: Model = None,
    editor: Editor = None,
    field: Annotated[
        str | None, typer.Option("--field", metavar="FIELD", help="Only versions that changed this field.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    content: Annotated[bool, typer.Option("--content", help="With --json: include each version's content.")] = False,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show versions, newest first: when, who saved it, what it changed, and when it was live.

    ● is the current version, ◉ the live one. Without a record you see those of the whole project, of a model or of an
    editor.

    Examples:
        # Every version of a record, and what each changed.
        versionsync log "The old fish market"

        # The life of one field.
        versionsync log article:old-fish-market --field title

        # What was saved since yesterday, as one JSON object a line.
        versionsync log --since yesterday --json
    """
    with session.open_history(sources=source or (), zone=zone) as history:
        found = history.record(record) if record is not None else None
        start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
        versions = history.versions(
            found,
            model=model,
            editor=editor,
            field=field,
            since=start,
            until=end,
            content=content or field is not None,
        )
        if not session.output.as_json and found is not None:
            _head(session, found)
        columns, row_of = _table(session, found, history.zone, field=field, ids=ids)
        number = show_rows(
            session,
            columns,
            versions,
            row_of,
            limit=limit,
            is_long=found is None,
            leave_out=() if content else ("attributes_json",),
        )
        if not number:
            explain_nothing(session, history, end)
        if found is None:  # those of one record are computed if they have to be
            warn_unfilled(session, history, "changes", "intervals", "titles")


def _head(session: CliContext, record: Record) -> None:
    """Write what the record is: its title, model, id, number of versions, and whether it is deleted."""
    from versionsync.history.names import short_id
    from versionsync.text import count, when

    output = session.output
    parts: list[str | tuple[str, str]] = [
        (record.title or record.record_id, "bold italic"),
        f"  {record.model} {short_id(record.record_id)}, {count(record.version_count, 'version')}",
    ]
    if record.deleted_at is not None:
        parts.append((f", deleted {when(record.deleted_at)} UTC", "bold red"))
    output.paragraph(*parts)
    output.plain_line()


def _table(
    session: CliContext, record: Record | None, zone: tzinfo, *, field: str | None, ids: bool
) -> tuple[Sequence[Column], Callable[[Version], Sequence[Cell]]]:
    from versionsync.cli.views.history import FieldLife, id_cell, live_cell, marks, time_head, title_cell
    from versionsync.history.moments import in_zone
    from versionsync.history.summary import version_in_words

    output = session.output
    is_wide = output.is_wide
    life = FieldLife(field) if field is not None else None
    columns = [
        Column(""),
        Column(time_head(zone)),
        *([] if record else [Column("title", shrinks=True, least=26), *([Column("model")] if is_wide else [])]),
        Column("saved by", shrinks=True, least=11),
        Column("what changed" if life is None else field or "", shrinks=True, least=16),
        *([Column("live", shrinks=True, least=23)] if record else []),
        *([Column("record")] if ids else []),
        Column("version"),
    ]

    def row(version: Version) -> list[Cell]:
        return [
            marks(version, output),
            in_zone(version.created_at, zone),
            *([] if record else [title_cell(version.title, version.model), *([version.model] if is_wide else [])]),
            version.editor,
            version_in_words(version) if life is None else life.value(version),
            *([live_cell(version.published, zone, is_wide=is_wide)] if record else []),
            *([id_cell(version.record_id, in_full=True)] if ids else []),
            id_cell(version.version_id, in_full=ids),
        ]

    return columns, row

"""`versionsync grep`: in which versions a phrase is."""

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
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from versionsync.api import Find, Hit, Hits

__all__ = ["grep"]


def grep(
    session: CliContext,
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="PATTERN", help="A word or a phrase. Several must be in one passage.", show_default=False
        ),
    ],
    *,
    first: Annotated[bool, flag("--first", help="Only the first version of each field that has it.")] = False,
    last: Annotated[bool, flag("--last", help="Only the last version of each field that has it.")] = False,
    removed: Annotated[bool, flag("--removed", help="Only versions that removed it from a field.")] = False,
    regex: Annotated[
        bool, flag("--regex", help="PATTERN is a regular expression of Python. Needs --model or --record.")
    ] = False,
    record: Annotated[
        str | None, typer.Option("--record", metavar="RECORD", help=f"Only in this one. {RECORD_HELP}")
    ] = None,
    model: Model = None,
    editor: Editor = None,
    field: Annotated[
        str | None, typer.Option("--field", metavar="FIELD", help="Only in this field: API key, label or id.")
    ] = None,
    locale: Annotated[str | None, typer.Option("--locale", metavar="LOCALE", help="Only in this locale.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Find a word or a phrase in all versions, newest first, without regard to case and accents.

    You see each version that has it in a passage which that version changed. A passage is a paragraph or a line. A
    `*` at the end stands for the rest of a word. Chinese, Japanese and Thai are found within longer words.

    Examples:
        # Every version with this phrase in a passage that it changed.
        versionsync grep "old fish market"

        # Who removed a word, in texts that also have another one.
        versionsync grep --removed volunteer* market

        # A regular expression, in one model.
        versionsync grep --regex "(?i)fish(es)? market" --model article
    """
    from versionsync.api import Find

    chosen = [find for find, is_set in ((Find.FIRST, first), (Find.LAST, last), (Find.REMOVED, removed)) if is_set]
    if len(chosen) > 1:
        raise typer.BadParameter("give only one of --first, --last and --removed")
    if regex and len(patterns) > 1:
        raise typer.BadParameter("--regex takes one PATTERN", param_hint="PATTERN")
    find = chosen[0] if chosen else Find.CHANGED
    with session.open_history(sources=source or (), zone=zone) as history:
        start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
        hits = history.grep(
            *(() if regex else patterns),
            regex=patterns[0] if regex else None,
            find=find,
            record=record,
            model=model,
            editor=editor,
            field=field,
            locale=locale,
            since=start,
            until=end,
        )
        columns, row_of = _table(session, history.zone, find, ids=ids)
        number = show_rows(session, columns, hits, row_of, limit=limit)
        if regex:
            _note_reading(session, hits)
        if not number:
            explain_nothing(session, history, end)
        warn_unfilled(session, history, "search")


def _note_reading(session: CliContext, hits: Hits) -> None:
    from versionsync.text import count, size

    session.output.note(f"Read {count(hits.passages_read, 'passage')}, {size(hits.bytes_read)}.", style="dim")
    if hits.passages_given_up:
        session.output.warning(
            f"{count(hits.passages_given_up, 'passage')} took the regular expression too long, and may match"
        )


def _table(
    session: CliContext, zone: tzinfo, find: Find, *, ids: bool
) -> tuple[Sequence[Column], Callable[[Hit], Sequence[Cell]]]:
    from versionsync.api import Find
    from versionsync.cli.views.history import id_cell, time_head, title_cell
    from versionsync.history.moments import in_zone

    is_wide = session.output.is_wide
    columns = [
        Column(time_head(zone, "removed" if find is Find.REMOVED else "time")),
        Column("title", shrinks=True, least=10),
        *([Column("model")] if is_wide else []),
        *([Column("saved by", shrinks=True, least=11)] if is_wide else []),
        Column("field", shrinks=True, least=6),
        Column("text", shrinks=True, least=46),
        *([Column("record")] if ids else []),
        Column("version"),
    ]

    def row(hit: Hit) -> list[Cell]:
        return [
            in_zone(hit.created_at, zone),
            title_cell(hit.title, hit.model),
            *([hit.model, hit.editor] if is_wide else []),
            hit.field if hit.locale is None else f"{hit.field} ({hit.locale})",
            hit.snippet,
            *([id_cell(hit.record_id, in_full=True)] if ids else []),
            id_cell(hit.version_id, in_full=ids),
        ]

    return columns, row

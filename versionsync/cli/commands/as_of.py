"""`versionsync as-of`: what was current, or live, at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import (
    RECORD_HELP,
    Ids,
    Limit,
    Model,
    Sources,
    Zone,
    echo_time,
    show_rows,
    warn_unfilled,
)
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from versionsync.api import State

__all__ = ["as_of"]

SORTED: Final = 2000
"""Answers up to this length are sorted by title for a person. Longer ones come as the database finds them."""


def as_of(
    session: CliContext,
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-03-03 12:00, yesterday, 2 days ago, now.")],
    record: Annotated[str | None, typer.Argument(metavar="RECORD", help=RECORD_HELP)] = None,
    *,
    model: Model = None,
    published: Annotated[
        bool, flag("--published", help="What was live; otherwise what was the newest version.")
    ] = False,
    known_at: Annotated[
        str | None, typer.Option("--known-at", metavar="TIME", help="Only what the mirror knew at this time.")
    ] = None,
    content: Annotated[
        bool, flag("--content", help="With --json: include the contents. Always so if you name a record.")
    ] = False,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what was current at a moment, or what was live: one row a record.

    The moment is echoed with the zone that it was understood in. Deleted records are shown if they existed then.

    Examples:
        # What was on the site an hour ago.
        versionsync as-of "1 hour ago" --published

        # What one record said at this moment, with its content.
        versionsync as-of now article:old-fish-market --json

        # All articles, as far as the mirror knew at this moment.
        versionsync as-of now --model article --known-at now
    """
    with session.open_history(sources=source or (), zone=zone) as history:
        found = history.record(record) if record is not None else None
        moment, known = echo_time(session, history, "as of", time), echo_time(session, history, "known at", known_at)
        assert moment is not None
        with_content = session.output.as_json and (content or found is not None)
        states = history.as_of(
            moment,
            found,
            model=model,
            published=published,
            known_at=known,
            content=with_content,
        )
        columns, row_of = _table(session, history.zone, ids=ids)
        shown = states if session.output.as_json else _sorted(states)
        number = show_rows(session, columns, shown, row_of, limit=limit, is_long=False)
        if not number:
            what = "live" if published else "there"
            name = f"“{found.title or found.record_id}”" if found else "Nothing"
            session.output.note(f"{name} was {'not ' if found else ''}{what} then.")
        if found is None:  # those of one record are computed if they have to be
            warn_unfilled(session, history, "intervals", "titles")


def _sorted(states: Iterator[State]) -> Iterator[State]:
    """Yield the states by model and title if they are not too many."""
    first = list(islice(states, SORTED + 1))
    if len(first) <= SORTED:
        first.sort(key=lambda one: (one.model, (one.title or "").casefold(), one.record_id))
    return chain(first, states)


def _table(session: CliContext, zone: tzinfo, *, ids: bool) -> tuple[list[Column], Callable[[State], list[Cell]]]:
    from versionsync.cli.views.history import id_cell, time_head, title_cell
    from versionsync.history.moments import in_zone

    is_wide = session.output.is_wide
    columns = [
        Column("title", shrinks=True, least=26),
        Column("model", shrinks=True, least=7),
        Column(time_head(zone, "since")),
        *([Column("until")] if is_wide else []),
        Column("record"),
        Column("version"),
    ]

    def row(state: State) -> list[Cell]:
        return [
            title_cell(state.title, state.model),
            state.model,
            in_zone(state.valid_from, zone),
            *([in_zone(state.valid_until, zone)] if is_wide else []),
            id_cell(state.record_id, in_full=ids),
            id_cell(state.version_id, in_full=ids),
        ]

    return columns, row

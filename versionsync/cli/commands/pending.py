"""`versionsync pending`: what waits to go live, the longest waiting first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import Ids, Limit, Model, Sources, Zone, show_rows, warn_unfilled
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from versionsync.api import Pending

__all__ = ["pending"]


def pending(
    session: CliContext,
    *,
    model: Model = None,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what waits to go live, the longest waiting first: drafts, changes of live records, schedules.

    A record that was unpublished waits only if it was saved again since.

    Examples:
        # The longest waiting.
        versionsync pending

        # All articles that wait, as one JSON object a line.
        versionsync pending --model article --json
    """
    from datetime import UTC, datetime

    from versionsync.cli.views.history import id_cell, time_head, title_cell, waits_for
    from versionsync.history.moments import in_zone
    from versionsync.text import short_span

    now = datetime.now(UTC)
    with session.open_history(sources=source or (), zone=zone) as history:
        place, is_wide = history.zone, session.output.is_wide
        columns = [
            Column("waits", "right"),
            *([Column(time_head(place, "since"))] if is_wide else []),
            Column("for", shrinks=True, least=20),
            Column("title", shrinks=True, least=26),
            Column("model", shrinks=True, least=7),
            Column("saved by", shrinks=True, least=11),
            *([Column("versions", "right")] if is_wide else []),
            Column("record"),
        ]

        def row(one: Pending) -> list[Cell]:
            return [
                short_span(now - one.waiting_since) if one.waiting_since else "–",
                *([in_zone(one.waiting_since, place)] if is_wide else []),
                waits_for(one, now),
                title_cell(one.title, one.model),
                one.model,
                one.editor,
                *([f"{one.versions:,}"] if is_wide else []),
                id_cell(one.record_id, in_full=ids),
            ]

        if not show_rows(session, columns, history.pending(model=model), row, limit=limit):
            session.output.note("Nothing waits.")
        warn_unfilled(session, history, "titles")

"""`versionsync deleted`: the bin. What was deleted upstream is kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import (
    Ids,
    Limit,
    Model,
    Since,
    Sources,
    Until,
    Zone,
    echo_time,
    show_rows,
    warn_unfilled,
)
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from versionsync.api import Deleted

__all__ = ["deleted"]


def deleted(
    session: CliContext,
    *,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show the records that were deleted upstream, the latest first. All of their versions are kept.

    The time is that of the check which found it deleted. Who saved the last version may not be who deleted it.

    Examples:
        # The latest.
        versionsync deleted

        # Articles that were deleted in the last 30 days, as JSON.
        versionsync deleted --model article --since "30 days ago" --json
    """
    from versionsync.cli.views.history import id_cell, time_head, title_cell
    from versionsync.history.moments import in_zone

    with session.open_history(sources=source or (), zone=zone) as history:
        start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
        place = history.zone
        columns = [
            Column(time_head(place, "deleted")),
            Column("title", shrinks=True, least=26),
            Column("model", shrinks=True, least=7),
            Column("versions", "right"),
            Column("saved by", shrinks=True, least=11),
            Column("record"),
        ]

        def row(one: Deleted) -> list[Cell]:
            return [
                in_zone(one.deleted_at, place),
                title_cell(one.title, one.model),
                one.model,
                f"{one.version_count:,}",
                one.editor,
                id_cell(one.record_id, in_full=ids),
            ]

        found = history.deleted(since=start, until=end, model=model)
        if not show_rows(session, columns, found, row, limit=limit):
            session.output.note("Nothing was deleted.")
        warn_unfilled(session, history, "titles")

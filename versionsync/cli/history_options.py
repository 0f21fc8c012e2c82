"""The options that commands about the past share, and how these commands show times, gaps and long answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.options import flag
from versionsync.text import count, when

if TYPE_CHECKING:
    from datetime import datetime

    from versionsync.api import Mirror, Time
    from versionsync.cli.terminal.output import Cell, Column

__all__ = [
    "RECORD_HELP",
    "VERSION_HELP",
    "Editor",
    "Ids",
    "Limit",
    "Model",
    "Since",
    "Sources",
    "Until",
    "Zone",
    "echo_time",
    "explain_nothing",
    "show_rows",
    "warn_unfilled",
]

RECORD_HELP: Final = "A record: its id or the beginning of it, model:slug, title, or URL in DatoCMS."
SHOWN: Final = 50
"""How many rows a person sees of an answer that may be long."""

Sources = Annotated[
    list[str] | None, typer.Option("--source", metavar="NAME", help="Only this source. You can repeat the option.")
]
Model = Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only records of this model.")]
Editor = Annotated[str | None, typer.Option("--editor", metavar="NAME", help="Only what this editor saved.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Since this time: 2026-03-03 12:00, yesterday, 2 days ago."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")]
Zone = Annotated[
    str | None,
    typer.Option("--zone", metavar="NAME", help="Time zone, such as Europe/Rome. Default: the project's."),
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most N rows.")]
VERSION_HELP: Final = "A version: its id or the beginning of it. Or a record: it stands for its current version."
Ids = Annotated[bool, flag("--ids", help="Show ids in full.")]

T = TypeVar("T")


def echo_time(session: CliContext, history: Mirror, label: str, time: Time | None) -> datetime | None:
    """Say on standard error how a time was understood, with its zone, and return it in UTC."""
    if time is None:
        return None
    moment = history.moment(time)
    session.output.note(f"{label} {moment}", style="dim")
    return moment.time


def warn_unfilled(session: CliContext, history: Mirror, *projections: str) -> None:
    """Warn if an answer that uses these projections is older than the mirror, and say how old."""
    behind = [one for one in history.filled(*projections) if not one.is_complete]
    for source in dict.fromkeys(one.source for one in behind):
        missing = [one for one in behind if one.source == source]
        oldest = min(missing, key=lambda one: one.event_id)
        known = (
            f"only know what was mirrored until {when(oldest.until)} UTC" if oldest.until else "are not computed yet"
        )
        session.output.warning(
            f"{source}: {' and '.join(one.projection for one in missing)} {known}; the next sync or the daemon "
            f"adds the rest ({count(oldest.last_event_id - oldest.event_id, 'event')})"
        )


def show_rows(
    session: CliContext,
    columns: Sequence[Column],
    found: Iterable[T],
    row_of: Callable[[T], Sequence[Cell]],
    *,
    limit: int | None,
    is_long: bool = True,
    leave_out: Sequence[str] = (),
) -> int:
    """Write an answer, for a person as a table, for a program as one object a line; return the number of rows.

    Args:
        session: The invocation.
        columns: The columns of the table.
        found: The rows, which may be many: they are written as they come.
        row_of: Makes the cells of a row.
        limit: How many rows to write. None: all, or for a person SHOWN of them.
        is_long: Whether a person sees SHOWN rows unless a limit is given.
        leave_out: Fields that are no members of the objects.
    """
    from versionsync.history.model import columns_of

    if session.output.as_json:
        written = 0
        for one in islice(found, limit):
            session.output.json(columns_of(one, *leave_out))
            written += 1
        return written
    rows = iter(found)
    shown = limit or (SHOWN if is_long else None)
    number = session.output.stream_table(columns, (row_of(one) for one in islice(rows, shown)))
    if limit is None and shown is not None and next(rows, None) is not None:
        session.output.note(f"These are the first {shown}: --limit N shows more.", style="dim")
    return number


def explain_nothing(session: CliContext, history: Mirror, until: datetime | None) -> None:
    """Say why there may be no rows: the time is before the history begins, or nothing fits."""
    begins = history.begins_at()
    if begins is None:
        session.output.note("The mirror has no versions yet.")
    elif until is not None and until <= begins:
        session.output.note(f"Nothing is known of that time: the history begins at {when(begins)} UTC.")
    else:
        session.output.note(f"Nothing fits. The history begins at {when(begins)} UTC.")

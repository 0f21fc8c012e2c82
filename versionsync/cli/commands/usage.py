"""`versionsync usage`: where a record or a file is used, and was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import Ids, Limit, Sources, Zone, show_rows, warn_unfilled
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from versionsync.api import Usage, UsageTarget

__all__ = ["usage"]


def usage(
    session: CliContext,
    target: Annotated[
        str,
        typer.Argument(
            metavar="RECORD|UPLOAD",
            help="A record, named as in `log`; or an upload: its id, its file name or a part of that, or its URL.",
        ),
    ],
    *,
    now: Annotated[bool, flag("--now", help="Only uses in the newest versions.")] = False,
    live: Annotated[bool, flag("--live", help="Only uses in live versions.")] = False,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show which records use a record or a file, and which did: in which field, since when, and when that was live.

    ● is a use in the newest version of a record, ◉ one in its live version. What is used now comes first.

    Examples:
        # Where is this picture, and where was it?
        versionsync usage fish-market.jpg

        # Which live records link to this one?
        versionsync usage "The old fish market" --live

        # For a program, with everything that is known.
        versionsync usage fish-market.jpg --json
    """
    from versionsync.cli.views.history import id_cell, live_cell, marks, time_head, title_cell
    from versionsync.history.moments import in_zone

    with session.open_history(sources=source or (), zone=zone) as history:
        found, place, output = history.usage_target(target), history.zone, session.output
        if not output.as_json:
            _head(session, found)
        columns = [
            Column(""),
            Column("title", shrinks=True, least=20),
            Column("model", shrinks=True, least=7),
            Column("where", shrinks=True, least=12),
            Column(time_head(place, "since")),
            Column("until"),
            Column("live", shrinks=True, least=12),
            Column("record"),
        ]

        def row(one: Usage) -> list[Cell]:
            return [
                marks(one, output),
                title_cell(one.title, one.model),
                one.model,
                _where(one),
                in_zone(one.since, place),
                in_zone(one.until, place) if one.until is not None else "–",
                live_cell(one.published, place, is_wide=output.is_wide),
                id_cell(one.record_id, in_full=ids),
            ]

        if not show_rows(session, columns, history.usage(found, now=now, live=live), row, limit=limit):
            output.note("No record uses it." if now or live else "No record ever used it.")
        warn_unfilled(session, history, "links", "intervals", "titles")


def _where(one: Usage) -> str:
    """Return field, locale and how deep in blocks: `body, en, in a block`."""
    depth = 0 if one.block_path is None else one.block_path.count("/") + 1
    block = () if not depth else ("in a block" if depth == 1 else f"{depth} blocks deep",)
    return ", ".join((one.field, *([one.locale] if one.locale else ()), *block))


def _head(session: CliContext, found: UsageTarget) -> None:
    """Write what the record or file is."""
    from versionsync.history.names import short_id
    from versionsync.text import size, when

    parts: list[str | tuple[str, str]] = [(found.name or found.target_id, "bold italic"), "  "]
    if found.target_kind == "record":
        parts.append(f"{found.model} {short_id(found.target_id)}")
    else:
        pixels = f"{found.width} × {found.height}" if found.width and found.height else None
        said = (found.mime_type, pixels, size(found.size) if found.size is not None else None)
        parts.append(", ".join([*(one for one in said if one), f"upload {short_id(found.target_id)}"]))
    if found.deleted_at is not None:
        parts.append((f", deleted {when(found.deleted_at)} UTC", "bold red"))
    session.output.paragraph(*parts)
    session.output.plain_line()

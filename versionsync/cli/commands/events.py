"""`versionsync events`: what happened to records, in the order in which it was mirrored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Final

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import RECORD_HELP, Ids, Model, Since, Sources, Until, Zone, echo_time
from versionsync.cli.options import flag, option
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from versionsync.api import Act, Event, Mirror

__all__ = ["events"]

LAST: Final = 20


def events(
    session: CliContext,
    *,
    follow: Annotated[bool, flag("-f", "--follow", help="Wait for new events and show them, until Ctrl-C.")] = False,
    after: Annotated[int | None, option("--after", "ID", "Events after this id. 0: all events.", min=0)] = None,
    type: Annotated[
        list[str] | None,
        option(
            "--type", "TYPE", "Only this type, such as version.published or 'version.*'. You can repeat the option."
        ),
    ] = None,
    record: Annotated[str | None, option("--record", "RECORD", RECORD_HELP)] = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        option("--limit", "N", "At most N. Default: the last 20; with --after, --since or --until, all.", min=1),
    ] = None,
    raw: Annotated[bool, flag("--raw", help="Show single events, as --json does: an act has several.")] = False,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what was created, edited, published, unpublished or deleted, and when: one line an act.

    It says who saved a version. Who published it, DatoCMS says only in the audit log of some plans.

    In a program, use --json, keep the id of the last event that you have seen, and ask for the events `--after` it. Ids
    of one source are committed in order, so you miss none. If the database has several sources, name one.

    Examples:
        # The last 20 acts.
        versionsync events

        # The last publications, and each new one.
        versionsync events --follow --type version.published

        # All events after the one with id 10, as one JSON object a line.
        versionsync events --after 10 --json
    """
    with session.open_history(sources=source or (), zone=zone) as history:
        start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
        reader = history.event_reader(types=type or (), record=record, model=model, since=start, until=end)
        is_raw = raw or session.output.as_json
        last: list[Act] = []
        if after is not None:
            reader.start_after(after)
        elif start is None and end is None and is_raw:
            reader.start_before_last(limit or LAST)
        elif start is None and end is None:
            last = reader.start_before_last_acts(limit or LAST)
        if is_raw:
            single = (event for batch in reader.batches(follow=follow) for event in batch)
            _show_events(session, history, islice(single, limit), follow=follow, ids=ids)
        else:
            found = chain(last, reader.acts(follow=follow))
            _show_acts(session, history, islice(found, limit), follow=follow, ids=ids)


def _show_events(session: CliContext, history: Mirror, found: Iterator[Event], *, follow: bool, ids: bool) -> None:
    """Write single events: as JSON the columns of the table."""
    from versionsync.cli.views.history import id_cell, time_head
    from versionsync.history.model import columns_of
    from versionsync.history.moments import in_zone

    if session.output.as_json:
        for event in found:
            session.output.json(columns_of(event))
        return
    place = history.zone
    columns = [
        Column("id", "right"),
        Column(time_head(place, "occurred")),
        Column("type"),
        Column("record"),
        Column("version"),
        Column("source", shrinks=True),
    ]

    def row(event: Event) -> list[Cell]:
        return [
            f"{event.id}",
            in_zone(event.occurred_at, place, seconds=True),
            event.type,
            id_cell(event.record_id or event.model_id, in_full=ids),
            id_cell(event.version_id, in_full=ids),
            event.source,
        ]

    _write(session, history, columns, (row(event) for event in found), follow=follow)


def _show_acts(session: CliContext, history: Mirror, found: Iterable[Act], *, follow: bool, ids: bool) -> None:
    columns, row_of = _table(session, history.zone, ids=ids)
    _write(session, history, columns, (row_of(act) for act in found), follow=follow)


def _write(
    session: CliContext, history: Mirror, columns: list[Column], rows: Iterable[list[Cell]], *, follow: bool
) -> None:
    """Write a table. The source comes last; on a terminal, which has little space, a single one is left out."""
    one_source = session.output.results.is_terminal and not follow and len(history.sources) == 1
    width = len(columns) - one_source
    cut = (row[:width] for row in rows)
    session.output.stream_table(columns[:width], cut, heads=not follow)


def _table(session: CliContext, zone: tzinfo, *, ids: bool) -> tuple[list[Column], Callable[[Act], list[Cell]]]:
    from versionsync.cli.views.history import STYLES, id_cell, time_head, title_cell
    from versionsync.history.acts import words_of
    from versionsync.history.model import ActKind
    from versionsync.history.moments import in_zone

    is_wide = session.output.is_wide
    with_people = is_wide or not ids  # ids in full leave no room for them on a usual terminal
    columns = [
        *([Column("id", "right")] if ids else []),
        Column(time_head(zone)),
        Column("what", shrinks=True, least=16),
        Column("title", shrinks=True, least=26),
        *([Column("model", shrinks=True, least=7), Column("saved by", shrinks=True, least=11)] if with_people else []),
        *([Column("record")] if ids else []),
        *([Column("version")] if ids and is_wide else []),
        Column("source", shrinks=True),
    ]

    def row(act: Act) -> list[Cell]:
        words = words_of(act)
        by = act.actor_name or (f"{act.actor_type} {act.actor_id}" if act.actor_id else "")
        # Who saved the last version may not be who deleted the record.
        editor = "–" if ActKind.DELETED in act.kinds else act.editor
        return [
            *([f"{act.id}"] if ids else []),
            in_zone(act.occurred_at, zone, seconds=is_wide),
            (f"{words} by {by}" if by else words, STYLES.get(act.kinds[0], "")),
            title_cell(act.title or act.about, act.model),
            *([act.model or "–", editor] if with_people else []),
            *([id_cell(act.record_id, in_full=True)] if ids else []),
            *([id_cell(act.version_id, in_full=True)] if ids and is_wide else []),
            act.source,
        ]

    return columns, row

"""`versionsync events`: what happened to versions and records, in the order in which it was mirrored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Column
from versionsync.text import when

if TYPE_CHECKING:
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.tables.events import EventRow
    from versionsync.mirror.tables.sources import SourceRow

__all__ = ["events"]

LAST: Final = 20
BATCH: Final = 1000
COLUMNS: Final = (
    Column("id", "right"),
    Column("occurred (UTC)"),
    Column("type"),
    Column("record"),
    Column("version", shrinks=True),
    Column("source", shrinks=True),
)
POLL_SECONDS: Final = 1.0


def events(
    session: CliContext,
    *,
    follow: Annotated[bool, flag("-f", "--follow", help="Wait for new events and show them, until Ctrl-C.")] = False,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="ID", min=0, help="Events after this id. 0: all events."),
    ] = None,
    type: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="TYPE", help="Only this type, such as version.published. You can repeat the option."
        ),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="NAME", help="Only this source. You can repeat the option.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="At most N events. Default: the last 20; with --after, all."),
    ] = None,
) -> None:
    """Show the events: what was saved, published, unpublished or deleted, and when.

    In a program, keep the id of the last event that you have seen, and ask for the events `--after` it. Ids of one
    source are committed in order, so you miss none.

    Examples:
        # The last 20 events.
        versionsync events

        # The last publications, and each new one.
        versionsync events --follow --type version.published

        # All events after the one with id 10, as one JSON object a line.
        versionsync events --after 10 --json
    """
    types = [known_type(name) for name in type or ()]
    with session.open_mirror() as mirror:
        cursors = _Cursors(mirror, lambda: session.known_sources(mirror, source or ()), types)
        if after is not None:
            cursors.start_after(after)
        else:
            cursors.start_before_last(limit or LAST)
        found = cursors.follow() if follow else cursors.rest()
        _show(session, islice(found, limit), follow=follow)


def known_type(name: str) -> str:
    """Return `name` if it is a type of event. Otherwise raise a usage error with the most similar one."""
    from versionsync.ledger.events import EventType
    from versionsync.text import nearest

    names = [kind.value for kind in EventType]
    if name in names:
        return name
    meant = nearest(name, names)
    raise typer.BadParameter(
        f"there is no type {name}; " + (f"did you mean {meant}?" if meant else f"there are {', '.join(names)}"),
        param_hint="--type",
    )


class _Cursors:
    """How far each source was read. Ids are in order within a source, but not across sources."""

    def __init__(self, mirror: Mirror, sources: Callable[[], list[SourceRow]], types: Sequence[str]) -> None:
        self._mirror = mirror
        self._sources = sources
        self._types = types
        self._first = 0
        self._after: dict[str, int] = {}

    def start_after(self, id: int) -> None:
        self._first = id

    def start_before_last(self, number: int) -> None:
        from versionsync.mirror.tables.events import last_events

        sources = self._sources()
        with self._mirror.read() as connection:
            rows = [row for one in sources for row in last_events(connection, one.id, types=self._types, limit=number)]
        newest = sorted(row.id for row in rows)[-number:]
        # A source whose first sync comes later is shown from its first event on.
        self._after = {source.name: newest[0] - 1 if newest else 0 for source in sources}

    def rest(self) -> Iterator[EventRow]:
        """Yield the events after the cursors, by id."""
        while batch := self._batch():
            yield from batch

    def follow(self) -> Iterator[EventRow]:
        """Yield the same, then new events as they come, without end."""
        while True:
            yield from self.rest()
            time.sleep(POLL_SECONDS)

    def _batch(self) -> list[EventRow]:
        from versionsync.mirror.tables.events import events_after

        found: list[EventRow] = []
        sources = self._sources()
        with self._mirror.read() as connection:
            for source in sources:
                after = self._after.get(source.name, self._first)
                found += events_after(connection, source.id, after, types=self._types, limit=BATCH)
        # The lowest ids of all sources together; the rest waits for the next batch.
        found = sorted(found, key=lambda row: row.id)[:BATCH]
        self._after |= {row.source: row.id for row in found}
        return found


def _show(session: CliContext, found: Iterator[EventRow], *, follow: bool) -> None:
    if session.output.as_json:
        for row in found:
            session.output.json(to_fields(row))
    elif follow:
        for row in found:
            id, at, type, record, version, source = _row(row)
            session.output.plain_line(f"{id:>8}  {at}  {type:<23}  {record:<22}  {version:<22}  {source}")
    else:
        rows = [_row(row) for row in found]
        # The source comes last. A terminal has little space, so it is left out there if there is only one.
        width = len(COLUMNS) - (session.output.results.is_terminal and len({row[-1] for row in rows}) == 1)
        session.output.table(COLUMNS[:width], [row[:width] for row in rows])


def to_fields(row: EventRow) -> dict[str, Any]:
    """Return an event as the members of a JSON object: the columns of `events`, with the source's name."""
    import msgspec

    from versionsync.ledger.times import format_time

    return {
        "id": row.id,
        "source": row.source,
        "type": row.type,
        "record_id": row.record_id,
        "version_id": row.version_id,
        "model_id": row.model_id,
        "occurred_at": format_time(row.occurred_at),
        "occurred_basis": row.occurred_basis,
        "observed_at": format_time(row.observed_at),
        "run_id": row.run_id,
        "data": msgspec.Raw(row.data.encode()),
    }


def _row(row: EventRow) -> tuple[str, ...]:
    record = row.record_id or row.model_id or "–"
    return (str(row.id), when(row.occurred_at), row.type, record, row.version_id or "–", row.source)

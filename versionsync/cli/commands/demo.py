"""`versionsync demo`: what versionsync does, shown on a simulated news site. Nothing to configure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from versionsync.cli.context import CliContext
from versionsync.cli.options import flag
from versionsync.cli.terminal.output import Column
from versionsync.config import FileProblem, InvalidSetting, Secret, SourceSettings
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.mirror.database import Mirror
    from versionsync.simulator import SimulatorThread
    from versionsync.sync.report import RunReport

__all__ = ["QUESTIONS", "Query", "demo"]

SOURCE: Final = "demo"
FILE: Final = "versionsync-demo.db"


@dataclass(frozen=True, slots=True)
class Query:
    """A question about the history, and the SQL that answers it."""

    question: str
    sql: str
    about: str = ""
    """What the query shows besides its answer."""


QUESTIONS: Final = (
    Query(
        "Which articles are live now?",
        """\
SELECT json_extract(title, '$.en') AS title, rating,
       substr(published_from, 1, 16) AS published
FROM demo_article_versions
WHERE is_published AND record_deleted_at IS NULL
ORDER BY published_from DESC LIMIT 5""",
        about="Each model has a view, with a column for each of its fields.",
    ),
    Query(
        "What was live a month ago, and since when?",
        """\
SELECT json_extract(attributes, '$.title.en') AS title,
       substr(live_from, 1, 16) AS live_since
FROM publications JOIN versions ON versions.id = version_id
WHERE live_from <= date('now', '-30 days')
  AND (live_until IS NULL OR live_until > date('now', '-30 days'))
  AND title IS NOT NULL
ORDER BY live_from DESC LIMIT 5""",
    ),
    Query(
        "Who edits, and how many of their versions went live?",
        """\
SELECT coalesce(editor_name, editor_type) AS editor, count(*) AS versions,
       sum(published_from IS NOT NULL) AS went_live
FROM version_timeline
GROUP BY editor ORDER BY versions DESC LIMIT 5""",
    ),
    Query(
        "Which records were deleted, and what was in them?",
        """\
SELECT json_extract(attributes, '$.title.en') AS title,
       count(*) AS versions, substr(deleted_at, 1, 16) AS deleted
FROM records JOIN versions ON record_id = records.id
WHERE deleted_at IS NOT NULL
GROUP BY records.id ORDER BY deleted_at DESC LIMIT 5""",
        about="DatoCMS does not have their content any more.",
    ),
)

EVENTS: Final = """\
SELECT id, substr(occurred_at, 12, 8), occurred_basis, type, coalesce(
         (SELECT json_extract(attributes, '$.title.en') FROM versions WHERE versions.id = version_id),
         (SELECT json_extract(attributes, '$.title.en') FROM versions
          WHERE versions.record_id = events.record_id ORDER BY ordinal DESC LIMIT 1),
         record_id)
FROM events WHERE id > :seen ORDER BY id"""
"""Each event with the title of its own version; one of the record, such as a deletion, with the last title."""


def demo(
    session: CliContext,
    *,
    fast: Annotated[bool, flag("--fast", help="Ignore DatoCMS's rate limit.")] = False,
) -> None:
    """Show what versionsync does, on a simulated news site. You need no token and no settings.

    It mirrors the site, lets editors work on it, syncs again, and shows the events and some queries. That takes less
    than twenty seconds. The database stays for you to try: versionsync-demo.db, or the one that you name.

    Examples:
        # Run it.
        versionsync demo

        # Write the mirror to another file.
        versionsync demo --database try.db
    """
    from versionsync.cli.commands.simulator import build_world
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.schema import migrate
    from versionsync.simulator import RateLimit, SimulatorThread

    file = _free(session.options.database or FILE)
    migrate.upgrade(str(file))
    started_at = time.monotonic()
    limits = None if fast else RateLimit()
    with SimulatorThread(build_world(), limits=limits) as simulator, Mirror.open(str(file)) as mirror:
        shown = _DemoRun(session, simulator, mirror, fast=fast).show()
    if session.output.as_json:
        session.output.json(shown | {"database": str(file), "seconds": round(time.monotonic() - started_at, 3)})
        return
    _step(session, f"The mirror stays in {file}. Try it:")
    session.output.plain_line(f"  versionsync events --database {file}")
    session.output.plain_line(f"  versionsync changes --since yesterday --database {file}")
    session.output.plain_line(f"  sqlite3 -box {file}")
    session.output.plain_line("  versionsync init      # set it up for your own project")


class _DemoRun:
    def __init__(self, session: CliContext, simulator: SimulatorThread, mirror: Mirror, *, fast: bool) -> None:
        self._session = session
        self._simulator = simulator
        self._mirror = mirror
        self._fast = fast

    def show(self) -> dict[str, Any]:
        """Run the demo and return what it showed, for JSON."""
        from versionsync.simulator.scenarios.news.site import editors_day

        session = self._session
        _step(session, "1. versionsync copies a simulated news site, with its whole history")
        backfill = self._sync()
        seen = self._rows("SELECT max(id) FROM events")[0][0]
        _step(session, "2. Editors change something")
        acts = self._simulator.act(editors_day)
        _say(session, *acts)
        _step(session, "3. The next sync reads what changed, and writes an event for each transition")
        sync = self._sync()
        events = self._rows(EVENTS, seen=seen)
        self._table(["id", "time (UTC)", "time from", "type", "title"], events)
        _step(session, "4. SQL answers questions about the history")
        answers = [self._ask(question) for question in QUESTIONS]
        return {"backfill": backfill.counts, "acts": acts, "sync": sync.counts, "events": events, "answers": answers}

    def _sync(self) -> RunReport:
        """Sync once. End the program if that fails, as on a full disk."""
        from versionsync.cli.commands.sync import run_all
        from versionsync.cli.views.sync import print_report
        from versionsync.simulator import FULL_ACCESS_TOKEN
        from versionsync.sync.options import SyncOptions
        from versionsync.wiring.sync_all import SourceJob

        source = SourceSettings(name=SOURCE, base_url=self._simulator.url, rate_limit="none" if self._fast else None)
        work = SourceJob(source, Secret(FULL_ACCESS_TOKEN))
        (report,) = run_all(self._session, self._mirror, [work], SyncOptions())
        if report.error is not None or report.failures:
            print_report(self._session, [report], seconds=[work.seconds])
        counts = report.counts
        _say(
            self._session,
            f"{count(counts.versions_inserted, 'version')} of {count(counts.records_pulled, 'record')} and "
            f"{count(counts.events_written, 'event')}, with {count(counts.requests, 'request')} "
            f"in {work.seconds:.1f} s",
        )
        return report

    def _ask(self, question: Query) -> dict[str, Any]:
        names, rows = self._select(question.sql)
        output = self._session.output
        if not output.as_json:
            output.plain_line()
            output.plain_line(f"  {question.question}", style="bold")
            if question.about:
                output.plain_line(f"  {question.about}")
            for line in question.sql.splitlines():
                output.plain_line(f"    {line}", style="cyan")
            output.plain_line()
            self._table(names, rows)
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return {"question": question.question, "sql": question.sql, "rows": found}

    def _table(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if self._session.output.as_json:
            return
        shown = [["–" if cell is None else str(cell) for cell in row] for row in rows]
        columns = [
            Column(name, "right" if rows and isinstance(rows[0][number], int) else "left", shrinks=name == "title")
            for number, name in enumerate(names)
        ]
        self._session.output.table(columns, shown, indent=4)

    def _rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        return self._select(sql, **values)[1]

    def _select(self, sql: str, **values: object) -> tuple[list[str], list[tuple[Any, ...]]]:
        from sqlalchemy import text

        with self._mirror.read() as connection:
            found = connection.execute(text(sql), values)
            return list(found.keys()), [tuple(row) for row in found]


def _step(session: CliContext, title: str) -> None:
    if not session.output.as_json:
        session.output.plain_line()
        session.output.plain_line(title, style="bold green")


def _say(session: CliContext, *lines: str) -> None:
    if not session.output.as_json:
        for line in lines:
            session.output.paragraph(f"  {line}", hang=4)


def _free(database: str) -> Path:
    """Return the file for the demo's database. Replace one of an earlier demo, and refuse any other."""
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.engine.sqlalchemy_urls import database_url, sqlite_path
    from versionsync.mirror.tables.sources import all_sources

    url = database_url(database)
    if url.get_backend_name() != "sqlite":
        raise InvalidSetting("the demo needs a SQLite file of its own", hint=f"Leave --database out to write {FILE}.")
    path = sqlite_path(url)
    if path.exists():
        with Mirror.open(database) as mirror, mirror.read() as connection:
            names = {source.name for source in all_sources(connection)}
        if names - {SOURCE}:
            raise FileProblem(f"{path} holds another mirror", hint="Name another file with --database.")
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Path(database) if "://" not in database else path

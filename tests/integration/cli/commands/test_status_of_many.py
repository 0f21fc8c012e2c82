"""`versionsync status` of many sources: a summary, then the worst of them, and few queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, update

from tests.integration.cli.conftest import Cli
from tests.integration.mirror.writing import add_source
from versionsync.cli.terminal.output import Output
from versionsync.cli.views.status import fitting, table_lines
from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import daemons, leases, request_usage, runs, source_claims, sources, webhooks
from versionsync.mirror.tables.sources import sources_of
from versionsync.redaction import Redactor
from versionsync.status.snapshot import ActivityReader, Snapshot, SnapshotReader

NOW = datetime.now(UTC)


def fill(mirror: Mirror, number: int) -> None:
    """Add sources with all that `status` shows. Of each ten, the first is failing and the second is stale."""
    holder = Holder("elsewhere", 11).to_json()
    with mirror.write() as tx:
        end = NOW + timedelta(days=1)
        values = {"holder": holder, "sources": "[]", "started_at": NOW, "expires_at": end}
        daemon_id = tx.execute(insert(daemons).values(values).returning(daemons.c.id)).scalar_one()
        for name in (f"site-{n:04}" for n in range(number)):
            id = add_source(tx, name, project_id=name)
            is_failing, is_stale = name.endswith("0"), name.endswith("1")
            complete = NOW - (timedelta(days=3) if is_stale else timedelta(seconds=30))
            values = {"complete_as_of": complete, "last_success_at": complete}
            tx.execute(update(sources).where(sources.c.id == id).values(values))
            for age, outcome in ((90, "succeeded"), (60, "failed" if is_failing else "succeeded")):
                tx.execute(
                    insert(runs).values(
                        source_id=id,
                        kind="incremental",
                        trigger="schedule",
                        holder="x",
                        started_at=NOW - timedelta(seconds=age),
                        finished_at=NOW,
                        outcome=outcome,
                        error="DatoCMS refused the token" if outcome == "failed" else None,
                        error_kind="refused" if outcome == "failed" else None,
                        versions_inserted=1,
                    )
                )
            tx.execute(insert(webhooks).values(source_id=id, receives=True))
            tx.execute(insert(request_usage).values(source_id=id, day=NOW.date().isoformat(), requests=7))
            if is_failing or is_stale:
                continue  # no daemon is at it
            tx.execute(insert(source_claims).values(source_id=id, daemon_id=daemon_id, next_check_at=NOW))
            tx.execute(update(leases).where(leases.c.source_id == id).values(holder=holder, expires_at=end))


@contextmanager
def counted(connection: type[Engine] = Engine) -> Iterator[list[str]]:
    """Collect the statements that all engines run."""
    statements: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", note)


def known(mirror: Mirror) -> list[object]:
    with mirror.read() as connection:
        return list(sources_of(connection))


@pytest.mark.both_databases
def test_the_number_of_queries_does_not_depend_on_the_number_of_sources(mirror: Mirror) -> None:
    def queries() -> int:
        reader = SnapshotReader({}, known)  # type: ignore[arg-type]
        with counted() as statements:
            snapshot = reader.read(mirror)
            reader.with_details(mirror, snapshot.sources)
        return len(statements)

    fill(mirror, 2)
    of_two = queries()
    with mirror.write() as tx:
        tx.execute(update(sources).values(name=sources.c.name + "-a"))
    fill(mirror, 40)
    assert queries() == of_two
    assert of_two < 40


@pytest.mark.both_databases
async def test_the_daemon_reads_many_sources_with_as_many_queries_as_one(mirror: Mirror) -> None:
    fill(mirror, 30)
    names = [f"site-{n:04}" for n in range(30)]
    numbers = []
    for some in (names[:1], names):
        reader = ActivityReader(mirror)
        with counted() as statements:
            found = await reader.read(some)
        await reader.close()
        numbers.append(len(statements))
        assert list(found) == some
        assert {len(activity.last_runs) for activity in found.values()} == {2}
    assert numbers[0] == numbers[1]


@pytest.fixture
def snapshot(mirror: Mirror) -> Snapshot:
    """1,000 sources: a hundred are failing, a hundred are stale."""
    fill(mirror, 1000)
    return SnapshotReader({}, known).read(mirror).worst_first()  # type: ignore[arg-type]


Shows = Callable[..., list[str]]


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot) -> Shows:
    """The lines for a terminal of this size, without the details of the sources."""

    def shows(columns: int, lines: int, of: Snapshot = snapshot) -> list[str]:
        monkeypatch.setattr(Output, "height", lines)
        output = Output(as_json=False, color=False, redactor=Redactor())
        output.results.width = columns
        number = fitting(of, output, redact=str)
        return [line.plain for line in table_lines(of, of.sources[:number], output, redact=str)]

    return shows


def test_a_thousand_sources_fit_one_screen(shows: Shows, snapshot: Snapshot) -> None:
    for columns, height in ((80, 24), (120, 50), (60, 10)):
        lines = shows(columns, height)
        assert height - 5 <= len(lines) < height
        assert max(map(len, lines)) <= columns
        text = " ".join(lines)
        assert text.startswith("1,000 sources: 100 failing, 100 stale, 800 well ")
    lines = shows(80, 24)
    assert lines[1] == "daemons: process 11 on elsewhere (800); none (200)"
    assert lines[3].split()[:2] == ["!", "site-0000"]
    shown = sum("site-" in line and "ago" in line for line in lines)
    assert f"… and {1000 - shown} more. Show them with a name, a pattern such as 'a*', or a pipe." in " ".join(lines)
    assert "! site-0000, site-0010, site-0020 and " in " ".join(lines)
    assert "more: the last run failed: DatoCMS refused the token" in " ".join(" ".join(lines).split())


def test_a_small_screen_still_shows_the_worst(shows: Shows) -> None:
    assert any(line.startswith("! ") and "site-0000" in line for line in shows(40, 3))


def test_few_sources_have_no_summary(shows: Shows, snapshot: Snapshot) -> None:
    few = replace(snapshot, sources=snapshot.sources[:3])
    assert shows(80, 24, few)[0].split()[0] == "source"


def test_filters_and_patterns(cli: Cli, tmp_path: Path) -> None:
    """For a pipe, which gets all that fit them. Their exit code is that of what is shown."""
    cli("db", "upgrade")
    with Mirror.open(str(tmp_path / "versionsync.db")) as mirror:
        fill(mirror, 24)

    def named(*arguments: str) -> tuple[int, list[str]]:
        ran = cli("status", "--json", *arguments)
        return ran.code, [source["source"] for source in ran.json["sources"]]

    failing, stale = [f"site-00{n}0" for n in range(3)], [f"site-00{n}1" for n in range(3)]
    assert named("--failing") == (4, failing)
    assert named("--stale") == (3, stale)
    assert named("--stale", "--failing") == (4, sorted(failing + stale))
    assert named("site-001?") == (4, [f"site-001{n}" for n in range(10)])
    assert named("SITE-*2", "site-0005") == (0, ["site-0002", "site-0005", "site-0012", "site-0022"])
    assert named("--failing", "*3") == (0, [])
    shown = cli("status").out.splitlines()
    assert shown[0] == "24 sources: 3 failing, 3 stale, 18 well"
    assert [line.split()[1] for line in shown[3:27]][:7] == [*failing, *stale, "site-0002"]
    assert cli("status", "--failing", "*3").out == "No source is failing.\n"
    assert cli("status", "site-0002").out.splitlines()[0] == "site-0002"
    unknown = cli("status", "shop-*")
    assert (unknown.code, "no source like shop-*" in unknown.err) == (2, True)

"""A mirror that is copied to another database is the same mirror: every row, every view, and what follows."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, event, insert, inspect, select, text, update
from sqlalchemy import make_url as make_url_object

from tests.fixtures.claims import claim_for
from tests.fixtures.compare_with_expected import differences
from tests.fixtures.databases import MakeDatabase
from tests.fixtures.news_site import MakeNewsSite, news_site
from tests.fixtures.old_project import build_old_project
from tests.fixtures.projections import fill
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from tests.integration.mirror.writing import Desk, Shown
from versionsync import open_mirror
from versionsync.history.errors import NotFilled
from versionsync.ledger.content import canonical, canonical_number, content_hash
from versionsync.ledger.times import format_time
from versionsync.mirror.copy import Copied, CopyLimits, compare_mirrors, copy_mirror
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.engine import open_engine
from versionsync.mirror.engine.jsonb import jsonb_form
from versionsync.mirror.errors import (
    CopyRefused,
    DatabaseUnavailable,
    MirrorInUse,
    NotAMirror,
    SchemaNewer,
    UnfinishedCopy,
)
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import (
    events,
    leases,
    metadata,
    models,
    restore_plans,
    runs,
    sources,
    version_rewrites,
    versions,
    webhook_queue,
)
from versionsync.mirror.schema.migrate import check, upgrade
from versionsync.mirror.tables.leases import acquire, release
from versionsync.mirror.tables.restores import PlanRow, StepRow, claim_plan, insert_plan
from versionsync.mirror.tables.runs import finish_run, last_runs, start_run
from versionsync.mirror.tables.sources import add_sources
from versionsync.sync.report import Outcome

__all__ = ["news_site"]

KILLS = int(os.environ.get("VERSIONSYNC_TEST_COPY_KILLS", "6"))
SMALL = CopyLimits(rows=37, size=20_000)
KINDS = ("sqlite", "postgresql")
MakeUrl = Callable[[str], str]

both_ways = pytest.mark.parametrize(("source", "target"), [(one, other) for one in KINDS for other in KINDS])


@pytest.fixture
def make_url(tmp_path: Path, request: pytest.FixtureRequest, sqlite_template: Path) -> MakeUrl:
    """Make an upgraded database without rows, of a kind."""
    made: list[str] = []

    def make(kind: str) -> str:
        if kind == "postgresql":
            make_database: MakeDatabase = request.getfixturevalue("make_postgres_database")
            return make_database()
        made.append(kind)
        path = tmp_path / f"copy{len(made)}.db"
        shutil.copy(sqlite_template, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture
def other_url(database_url: str, make_url: MakeUrl) -> str:
    """An empty database of the other kind."""
    return make_url("postgresql" if database_url.startswith("sqlite") else "sqlite")


# What is the same


def plain(value: Any) -> Any:
    """A value as any of the two drivers gives it, in one form."""
    match value:
        case bool():
            return str(int(value))
        case datetime():
            return format_time(value)
        case date():
            return value.isoformat()
        case int() | float() | Decimal():
            return canonical_number(str(value))
        case str() if value[:1] in ("{", "["):
            return canonical(jsonb_form(value.encode())[0].encode())
        case str() if len(value) > 18 and value[4:5] == value[7:8] == "-":
            return format_time(datetime.fromisoformat(value))
        case _:
            return value


def table_rows(connection: Connection, name: str) -> Counter[tuple[Any, ...]]:
    """All rows. A content is what was sent, which PostgreSQL has in another column if `jsonb` cannot hold it."""
    table = metadata.tables[name]
    columns = [column for column in table.columns if (name, column.name) not in NOT_COPIED]
    found: Counter[tuple[Any, ...]] = Counter()
    query = select(*columns)
    if name == "projection_cursors":
        query = query.where(table.c.projection != "search")
    for row in connection.execute(query):
        values = {column: _known(value) for column, value in row._mapping.items()}
        if "attributes" in values:
            exact = values.pop("attributes_exact")
            values["attributes"] = canonical(exact or row.attributes.encode())
        found[tuple(values.values())] += 1
    return found


NUMBERS = {"number", "event_id", "last_event_id"}
NOT_COPIED = {
    *((table, column) for table in ("leases", "restore_plans") for column in ("holder", "expires_at")),
    ("sources", "blocked_views"),
}


def _known(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def view_rows(connection: Connection, name: str) -> Counter[tuple[Any, ...]]:
    """All rows, without what differs between any two mirrors of a site: the order in which records are read.

    Changes of a version are numbered in the order of its fields, which `jsonb` does not keep.
    """
    rows = connection.execute(text(f'SELECT * FROM "{name}"'))
    return Counter(
        tuple(plain(value) for column, value in row._mapping.items() if column not in NUMBERS) for row in rows
    )


def view_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_view_names())


def assert_same_tables(source: str, target: str) -> None:
    with Mirror.open(source) as one, Mirror.open(target) as other, one.read() as left, other.read() as right:
        for name in set(metadata.tables) - {"passages"}:
            assert table_rows(left, name) == table_rows(right, name), name


def assert_same_views(one: str, other: str) -> None:
    """In two databases of a kind: SQLite gives long numbers and odd characters in another way than PostgreSQL."""
    with Mirror.open(one) as mirror, Mirror.open(other) as copied, mirror.read() as left, copied.read() as right:
        assert view_names(left) == view_names(right)
        assert len(view_names(left)) > 10
        for name in view_names(left):
            assert view_rows(left, name) == view_rows(right, name), name


def schema_of(url: str) -> list[tuple[Any, ...]]:
    """Everything that the database has besides rows, as the database itself describes it."""
    with Mirror.open(url) as mirror, mirror.read() as connection:
        if mirror.dialect.name == "sqlite":
            query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' AND type <> 'view'"
            return sorted((row[0], row[1], " ".join((row[2] or "").split())) for row in connection.execute(text(query)))
        indexes = "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
        keys = "SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0"
        query = f"{indexes} UNION ALL {keys} AND connamespace = current_schema()::regnamespace"
        return sorted((row[0], row[1], row[2].replace("public.", "")) for row in connection.execute(text(query)))


@both_ways
def test_a_copy_is_equal_in_every_table_and_view(
    news_site: MakeNewsSite, make_url: MakeUrl, source: str, target: str
) -> None:
    site, empty, url = news_site(source), make_url(target), make_url(target)
    copied = copy_mirror(site.url, url, limits=SMALL)
    assert (copied.differences, copied.resumed) == ((), False)
    assert {one.name for one in copied.tables} == set(metadata.tables)
    assert sum(one.source.damaged for one in copied.tables) == 0
    assert_same_tables(site.url, url)
    assert_same_views(news_site(target).url, url)
    assert schema_of(url) == schema_of(empty)
    assert compare_mirrors(site.url, url).differences == ()


def test_there_and_back_again_nothing_is_lost(news_site: MakeNewsSite, make_url: MakeUrl) -> None:
    site, there, back = news_site("sqlite"), make_url("postgresql"), make_url("sqlite")
    copy_mirror(site.url, there)
    copy_mirror(there, back)
    assert_same_tables(site.url, back)
    assert_same_views(site.url, back)


@both_ways
def test_the_next_filling_makes_the_full_text_index_of_a_copy(
    news_site: MakeNewsSite, make_url: MakeUrl, source: str, target: str
) -> None:
    """Each kind of database keeps its words in another form, so the index is not copied."""
    site, url = news_site(source), make_url(target)
    with open_mirror(site.url) as mirror:
        known = {(hit.version_id, hit.text) for hit in mirror.grep("map")}
    assert len(known) > 5, "or this test shows nothing"
    copy_mirror(site.url, url)
    with open_mirror(url) as mirror, pytest.raises(NotFilled):
        list(mirror.grep("map"))
    with Mirror.open(url) as copied:
        fill(copied)
    with open_mirror(url) as mirror:
        assert {(hit.version_id, hit.text) for hit in mirror.grep("map")} == known
    assert compare_mirrors(site.url, url).differences == ()


# Odd contents

ODD = (
    b'{"title": "\\u0000 and \\ud800", "n": 1e200000}',
    b'{"title": "a", "title": "b", "n": 1.50, "m": 12345678901234567890.123456789012345678901234567890}',
    b'{"title": "tab\\t \\\\N \\\\. \\"quoted\\" \\n \\u2028", "": {"": [null, true, false, {}, []]}}',
    '{"title": "Zażółć 🐈 \\ud83d\\udc08 \\\\u0000"}'.encode(),
    b'{"n": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"n": -0.0, "z": 1E-16000, "long": "' + b"x" * 70_000 + b'"}',
)


def write_odd(mirror: Mirror) -> Desk:
    """A history of odd contents: new ones, rewritten ones, with times of any precision; a deleted record; a queue."""
    desk = Desk.open(mirror)
    for number, content in enumerate(ODD):
        last = number == len(ODD) - 1
        desk.look(
            *(Shown(f"v{n}", n + 0.000_001 * n, "c" if n == number else "", content=ODD[n]) for n in range(number + 1))
        )
        desk.look(
            Shown("rewritten", 1.999_999, "cp", content=content, live=(2.5, None)),
            id="other",
            fingerprint=bytes([number] * 32),
        )
        assert last or number < len(ODD)
    desk.look(Shown("gone", 5, "c"), id="gone")
    desk.delete("gone")
    with mirror.write() as tx:
        for _ in range(3):
            tx.execute(
                insert(webhook_queue).values(
                    source_id=desk.lease.source_id, record_id="r", event_type="update", received_at=datetime.now(UTC)
                )
            )
        tx.execute(webhook_queue.delete())
        source_id = desk.lease.source_id
        plan = PlanRow(
            id="plan",
            hash=bytes(32),
            environment="main",
            wanted="all \0 of it",
            made_at=LATE,
            made_by="me",
            undoes_id=None,
            body='{"a": "\\u0000"}',
            state="planned",
        )
        insert_plan(
            tx, source_id, plan, [StepRow(number=n, act="update", record_id=None, body="{}") for n in range(1, 40)]
        )
        claim_plan(tx, source_id, "plan", Holder(host="elsewhere", pid=1), at=LATE)
        tx.execute(update(restore_plans).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
        tx.execute(update(models).values(name='A "name" \\ with\ttabs\nand \\N', payload='{"x": [1.10, "\\u00e9"]}'))
        tx.execute(update(sources).values(last_scrub_at=datetime(1, 1, 1, tzinfo=UTC), created_at=LATE, time_zone=""))
    release(mirror, desk.lease)
    return desk


LATE = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@both_ways
def test_odd_contents_keep_every_character_and_digit(make_url: MakeUrl, source: str, target: str) -> None:
    one, other = make_url(source), make_url(target)
    with Mirror.open(one) as mirror:
        write_odd(mirror)
    copied = copy_mirror(one, other, limits=CopyLimits(rows=2, size=100))
    assert copied.differences == ()
    assert_same_tables(one, other)
    with Mirror.open(other) as mirror, mirror.read() as connection:
        for table, count in ((versions, len(ODD) + 2), (version_rewrites, len(ODD) - 1)):
            rows = connection.execute(
                select(table.c.attributes, table.c.attributes_exact, table.c.attributes_hash)
            ).all()
            assert len(rows) == count
            assert [content_hash(row[1] or row[0].encode()) for row in rows] == [row[2] for row in rows]


@both_ways
def test_a_source_whose_first_run_failed_is_copied(make_url: MakeUrl, source: str, target: str) -> None:
    """With its run, its lease and its number; its project is not known."""
    one, other = make_url(source), make_url(target)
    with Mirror.open(one) as mirror:
        id = mirror.transact(lambda tx: add_sources(tx, ["shop"]))["shop"]
        lease = acquire(mirror, id, Holder.of_this_process())
        run_id = mirror.transact(lambda tx: start_run(tx, lease, kind="backfill", trigger="t", started_at=LATE))
        with pytest.raises(MirrorInUse, match="writes to the source shop of"):
            copy_mirror(one, other)
        mirror.transact(
            lambda tx: finish_run(
                tx, lease, run_id, outcome="failed", finished_at=LATE, counts={}, error="no", error_kind="refused"
            )
        )
        release(mirror, lease)
    assert copy_mirror(one, other).differences == ()
    assert_same_tables(one, other)
    with Mirror.open(other) as mirror, mirror.write() as tx:
        assert add_sources(tx, ["shop"]) == {"shop": id}
        assert [run.error for run in last_runs(tx, id)] == ["no"]


@both_ways
def test_new_rows_are_numbered_after_all_that_ever_were(make_url: MakeUrl, source: str, target: str) -> None:
    """Also in a table that is empty now: a number is never used again."""
    one, other = make_url(source), make_url(target)
    with Mirror.open(one) as mirror:
        write_odd(mirror)
    copy_mirror(one, other)
    added = []
    for url in (one, other):
        with Mirror.open(url) as mirror, mirror.write() as tx:
            values = {"source_id": 1, "record_id": "r", "event_type": "update", "received_at": LATE}
            queued = tx.scalar(insert(webhook_queue).values(values).returning(webhook_queue.c.id))
            run = {
                "source_id": 1,
                "kind": "full",
                "trigger": "t",
                "holder": "h",
                "started_at": LATE,
                "outcome": "running",
            }
            added.append((queued, tx.scalar(insert(runs).values(run).returning(runs.c.id))))
    assert added[0] == added[1] == (4, 2)


def test_an_old_project_is_copied(make_sync_env: MakeSyncEnv, database_url: str, make_url: MakeUrl) -> None:
    """Decimal ids, milliseconds, blocks."""
    sync_env = make_sync_env(build_old_project(datetime(2021, 7, 1, 9, 30, 12, 345_000, tzinfo=UTC)))
    sync_env.sync()
    fill(sync_env.mirror)
    for kind in KINDS:
        url = make_url(kind)
        assert copy_mirror(database_url, url).differences == ()
        assert_same_tables(database_url, url)
        if kind == sync_env.mirror.dialect.name:
            assert_same_views(database_url, url)


# What follows


def edit(sync_env: SyncEnv, title: str) -> None:
    for number in range(3):
        record = sync_env.act(lambda world, n=number: world.create(world.user, "post", {"title": f"{title} {n}"}))
        sync_env.act(lambda world, post=record.id: world.update(world.user, post, {"title": f"{title}, again"}))
        if number:
            sync_env.act(lambda world, post=record.id: world.publish(world.user, post))
        if number == 2:
            sync_env.act(lambda world, post=record.id: world.delete(world.user, post))


@pytest.mark.parametrize("target", KINDS)
def test_a_sync_goes_on_with_the_copy(sync_env: SyncEnv, database_url: str, make_url: MakeUrl, target: str) -> None:
    """Without a gap and without an event that is written twice; a consumer's cursor stays valid."""
    edit(sync_env, "First")
    sync_env.sync()
    edit(sync_env, "Second")
    sync_env.sync()
    cursor, before = last_event(sync_env.mirror)
    url = make_url(target)
    assert copy_mirror(database_url, url).differences == ()
    with Mirror.open(url) as copied:
        moved = SyncEnv(sync_env.simulator, copied)
        assert last_event(copied) == (cursor, before)
        quiet = moved.sync()
        assert (quiet.outcome, quiet.counts.versions_inserted, quiet.counts.events_written) == (Outcome.SUCCEEDED, 0, 0)
        assert last_event(copied) == (cursor, before)
        whole = moved.sync(full=True)
        assert (whole.outcome, whole.counts.versions_changed, whole.counts.events_written) == (Outcome.SUCCEEDED, 0, 0)
        edit(moved, "Third")
        after = moved.sync()
        assert after.outcome is Outcome.SUCCEEDED
        assert differences(copied, moved.truth()) == []
        with copied.read() as connection:
            new = connection.scalars(select(events.c.id).where(events.c.id > cursor).order_by(events.c.id)).all()
        assert len(new) == after.counts.events_written == last_event(copied)[1] - before
        assert new[0] == cursor + 1


def last_event(mirror: Mirror) -> tuple[int, int]:
    with mirror.read() as connection:
        ids = connection.scalars(select(events.c.id)).all()
    return max(ids), len(ids)


def test_the_copy_is_held_by_no_process(sync_env: SyncEnv, database_url: str, make_url: MakeUrl) -> None:
    """Its epoch is kept, so that a process that was suspended for long cannot write to it either."""
    edit(sync_env, "First")
    sync_env.sync()
    with sync_env.mirror.write() as tx:
        dead = Holder(host="elsewhere", pid=1).to_json()
        tx.execute(update(leases).values(holder=dead, expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    url = make_url("sqlite")
    copy_mirror(database_url, url)
    with Mirror.open(url) as copied, copied.read() as connection:
        assert connection.execute(select(leases.c.holder, leases.c.expires_at, leases.c.epoch)).all() == [
            (None, None, 1)
        ]


# Killed, and continued


def die_at(statement: int) -> None:
    """Kill this process at a statement, counted from now over all databases."""
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", counted)
    event.listen(Engine, "commit", counted)


def killed_copy(source: str, target: str, *, statement: int) -> bool:
    """Copy in a process that is killed at a statement; return whether it was."""
    child = os.fork()
    if child == 0:
        try:
            die_at(statement)
            copy_mirror(source, target, limits=SMALL)
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the copy failed"
    return False


@both_ways
def test_a_killed_copy_continues_where_it_was(
    news_site: MakeNewsSite, make_url: MakeUrl, source: str, target: str
) -> None:
    """Killed at any statement, as often as you like: in the end it is what an undisturbed copy is."""
    site, url, whole = news_site(source), make_url(target), make_url(target)
    chance, kills = random.Random(f"{source} {target}"), 0
    while kills < KILLS:
        if killed_copy(site.url, url, statement=chance.randrange(3, 400)):
            kills += 1
        else:  # it was done before that statement
            assert compare_mirrors(site.url, url).differences == ()
            url = make_url(target)
    copied = copy_mirror(site.url, url)
    assert copied.differences == ()
    copy_mirror(site.url, whole)
    assert_same_tables(site.url, url)
    assert schema_of(url) == schema_of(whole)


def test_a_killed_copy_does_not_begin_again(sync_env: SyncEnv, database_url: str, other_url: str) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    url = other_url
    stop_copy(database_url, url, at="copying versions")
    stages: list[str] = []
    copied = copy_mirror(database_url, url, limits=SMALL, progress=lambda stage, done, of: stages.append(stage))
    assert (copied.resumed, copied.differences) == (True, ())
    assert "copying events" not in stages
    assert "copying version_rewrites" in stages


class Stopped(BaseException):
    """As Ctrl-C."""


def stop_copy(source: str, target: str, *, at: str) -> None:
    def stop(stage: str, done: int, of: int) -> None:
        if stage == at:
            raise Stopped

    with pytest.raises(Stopped):
        copy_mirror(source, target, limits=SMALL, progress=stop)


@pytest.mark.parametrize("at", ["copying editors", "comparing versions"])
def test_an_unfinished_copy_is_no_mirror(
    sync_env: SyncEnv, database_url: str, make_url: MakeUrl, other_url: str, at: str
) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    url = other_url
    stop_copy(database_url, url, at=at)
    for use in (Mirror.open, upgrade, check, lambda url: copy_mirror(url, make_url("sqlite"))):
        with pytest.raises(
            UnfinishedCopy, match="is an unfinished copy of another mirror: run `versionsync db copy FROM"
        ):
            use(url)
    assert copy_mirror(database_url, url).resumed
    check(url)


def test_a_copy_of_a_mirror_that_has_moved_on_begins_again(
    sync_env: SyncEnv, database_url: str, make_url: MakeUrl
) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    url = make_url("sqlite")
    stop_copy(database_url, url, at="copying versions")
    edit(sync_env, "Second")
    sync_env.sync()
    with pytest.raises(CopyRefused, match=r"was written to after its copy .* was begun: .*--restart"):
        copy_mirror(database_url, url)
    copied = copy_mirror(database_url, url, restart=True)
    assert (copied.resumed, copied.differences) == (False, ())
    assert_same_tables(database_url, url)


def test_a_copy_of_a_mirror_whose_first_run_has_ended_since_begins_again(
    sync_env: SyncEnv, database_url: str, make_url: MakeUrl
) -> None:
    """It is the same mirror, although its project was not known before."""
    sync_env.mirror.transact(lambda tx: add_sources(tx, ["website"]))
    url = make_url("sqlite")
    stop_copy(database_url, url, at="copying sources")
    sync_env.sync()
    with pytest.raises(CopyRefused, match=r"was written to after its copy .* was begun: .*--restart"):
        copy_mirror(database_url, url)


def test_a_copy_of_another_mirror_is_not_continued(sync_env: SyncEnv, database_url: str, make_url: MakeUrl) -> None:
    sync_env.sync()
    url, other = make_url("sqlite"), make_url("sqlite")
    stop_copy(database_url, url, at="copying sources")
    with pytest.raises(CopyRefused, match=r"is an unfinished copy of another mirror \(of website\): .*--restart"):
        copy_mirror(other, url)


def test_two_copies_to_one_database_do_not_mix(sync_env: SyncEnv, database_url: str, other_url: str) -> None:
    """One of them stops, the other one makes a whole copy."""
    edit(sync_env, "First")
    sync_env.sync()
    ended: list[Copied] = []

    def meanwhile(stage: str, done: int, of: int) -> None:
        if stage == "copying records" and not ended:
            ended.append(copy_mirror(database_url, other_url, limits=SMALL))

    with pytest.raises(CopyRefused, match="another process has finished the copy"):
        copy_mirror(database_url, other_url, limits=SMALL, progress=meanwhile)
    assert [(one.resumed, one.differences) for one in ended] == [(True, ())]
    assert_same_tables(database_url, other_url)


def test_a_copy_that_another_process_continues_stops(sync_env: SyncEnv, database_url: str, other_url: str) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    begun: list[str] = []

    def meanwhile(stage: str, done: int, of: int) -> None:
        if stage == "copying records" and not begun:
            begun.append(stage)
            stop_copy(database_url, other_url, at="copying versions")

    with pytest.raises(CopyRefused, match="another process copies to"):
        copy_mirror(database_url, other_url, limits=SMALL, progress=meanwhile)
    assert copy_mirror(database_url, other_url).differences == ()


# Refused


def test_a_mirror_that_is_written_to_is_not_copied(sync_env: SyncEnv, database_url: str, make_url: MakeUrl) -> None:
    """By a sync or by a daemon; a process that is known to be dead does not count."""
    sync_env.sync()
    url, me = make_url("sqlite"), Holder.of_this_process()
    lease = acquire(sync_env.mirror, 1, me)
    with pytest.raises(MirrorInUse, match=r"process \d+ on .* writes to the source website of .*: stop it first"):
        copy_mirror(database_url, url)
    release(sync_env.mirror, lease)
    with sync_env.mirror.write() as tx:
        claim_for(tx, 1, me)
    with pytest.raises(MirrorInUse, match="stop it first"):
        copy_mirror(database_url, url)
    with sync_env.mirror.write() as tx:
        tx.execute(text("UPDATE daemons SET expires_at = :at"), {"at": "2020-01-01T00:00:00.000000Z"})
    assert copy_mirror(database_url, url).differences == ()


def test_a_mirror_that_is_written_to_meanwhile_is_noticed(
    sync_env: SyncEnv, database_url: str, make_url: MakeUrl
) -> None:
    """The copy is of one moment, and is no mirror: what was written since would be lost."""
    edit(sync_env, "First")
    sync_env.sync()
    url, synced = make_url("sqlite"), []

    def meanwhile(stage: str, done: int, of: int) -> None:
        if stage == "copying records" and not synced:
            edit(sync_env, "Meanwhile")
            synced.append(sync_env.sync())

    with pytest.raises(MirrorInUse, match=r"was written to while it was copied: .*--restart"):
        copy_mirror(database_url, url, progress=meanwhile)
    with pytest.raises(UnfinishedCopy):
        check(url)
    assert copy_mirror(database_url, url, restart=True).differences == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_is_not_copied_onto_itself(make_url: MakeUrl, kind: str, tmp_path: Path) -> None:
    """Under another name too."""
    url = make_url(kind)
    other = url
    if kind == "sqlite":
        (tmp_path / "link.db").symlink_to(url.removeprefix("sqlite:///"))
        other = str(tmp_path / "link.db")
    for use in (copy_mirror, compare_mirrors):
        with pytest.raises(CopyRefused, match="both are the same database"):
            use(url, other)
    check(url)


def test_a_target_that_is_not_empty_is_left_alone(sync_env: SyncEnv, database_url: str, make_url: MakeUrl) -> None:
    sync_env.sync()
    empty = make_url("sqlite")
    with pytest.raises(CopyRefused, match=r"is not empty \(it has rows in \w+\)"):
        copy_mirror(empty, database_url, restart=True)
    check(database_url)


def test_what_is_no_mirror_is_not_copied(make_url: MakeUrl, tmp_path: Path) -> None:
    """And nothing is made of the target."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE theirs (id)")
    behind = make_url("sqlite")
    with closing(sqlite3.connect(behind.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE versionsync_schema SET version_num = 'later'")
    for source, error in ((str(other), NotAMirror), (str(tmp_path / "none.db"), NotAMirror), (behind, SchemaNewer)):
        with pytest.raises(error):
            copy_mirror(source, str(tmp_path / "target.db"))
        assert not (tmp_path / "target.db").exists()
    with pytest.raises(NotAMirror):
        copy_mirror(make_url("sqlite"), str(other))
    with pytest.raises(SchemaNewer):
        copy_mirror(make_url("sqlite"), behind)


@pytest.mark.postgres
def test_a_reader_can_copy_a_mirror_and_cannot_fill_one(make_url: MakeUrl) -> None:
    """SELECT on all tables is enough to read it, without the sequences. A target wants more, and says so."""
    one, other, role = make_url("postgresql"), make_url("sqlite"), f"reader_{uuid4().hex}"
    with Mirror.open(one) as mirror:
        write_odd(mirror)
        with mirror.write() as tx:
            tx.execute(text(f"CREATE ROLE {role} LOGIN"))
            tx.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    as_reader = make_url_object(one).set(username=role).render_as_string(hide_password=False)
    assert copy_mirror(as_reader, other).differences == ()
    assert_same_tables(one, other)
    with Mirror.open(one) as mirror, mirror.write() as tx:
        tx.execute(text("TRUNCATE " + ", ".join(metadata.tables)))
    with pytest.raises(DatabaseUnavailable, match="does not allow this user to do that: grant it CREATE"):
        copy_mirror(other, as_reader)
    check(one)


def test_a_new_file_is_its_owners_alone(sync_env: SyncEnv, database_url: str, tmp_path: Path) -> None:
    sync_env.sync()
    copy_mirror(database_url, str(tmp_path / "new.db"))
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_named_and_the_copy_continues(news_site: MakeNewsSite, make_url: MakeUrl) -> None:
    site, url = news_site("sqlite"), make_url("sqlite")
    pages = []

    def limit(connection: Connection, *_: object) -> None:
        if connection.engine.url.database == url.removeprefix("sqlite:///") and not pages:
            pages.append(connection.connection.driver_connection.execute("PRAGMA max_page_count = 150").fetchone())

    event.listen(Engine, "before_cursor_execute", limit)
    try:
        with pytest.raises(DatabaseUnavailable, match="cannot grow: the disk is full; free some space, then run this"):
            copy_mirror(site.url, url, limits=SMALL)
    finally:
        event.remove(Engine, "before_cursor_execute", limit)
    copied = copy_mirror(site.url, url)
    assert (copied.resumed, copied.differences) == (True, ())


# What is not the same


def test_a_difference_is_found_and_named(sync_env: SyncEnv, database_url: str, other_url: str) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    url = other_url
    copy_mirror(database_url, url)
    with Mirror.open(url) as copied, copied.write() as tx:
        changed, _ = tx.execute(select(versions.c.id, versions.c.record_id).order_by(versions.c.id)).all()[0]
        tx.execute(update(versions).where(versions.c.id == changed).values(attributes='{"title": "Other"}'))
        last = tx.scalars(select(events.c.id).order_by(events.c.id.desc())).first()
        tx.execute(events.delete().where(events.c.id == last))
    found = {one.name: one for one in compare_mirrors(database_url, url).differences}
    assert found.keys() == {"versions", "events"}
    assert (found["versions"].source.damaged, found["versions"].target.damaged) == (0, 1)
    assert len(found["versions"].different) == 1
    assert found["events"].different == (str(last),)
    assert found["events"].source.rows == found["events"].target.rows + 1


def test_a_copy_with_a_difference_becomes_no_mirror(sync_env: SyncEnv, database_url: str, other_url: str) -> None:
    edit(sync_env, "First")
    sync_env.sync()
    url, changed = other_url, list[str]()

    def disturb(stage: str, done: int, of: int) -> None:
        if stage == "indexing changes" and not changed:
            changed.append(stage)
            engine = open_engine(url)
            with engine.begin() as tx:
                tx.execute(text("UPDATE records SET status = 'odd'"))
            engine.dispose()

    copied = copy_mirror(database_url, url, progress=disturb)
    assert [(one.name, len(one.different)) for one in copied.differences] == [("records", 2)]
    with pytest.raises(UnfinishedCopy):
        check(url)
    assert copy_mirror(database_url, url, restart=True).differences == ()

"""Sources, runs, models, fields and editors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.mirror.writing import MODEL, Desk, Shown, a_field, at, model, project, register_source
from versionsync.ledger.records import Editor
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseLost, WrongProject
from versionsync.mirror.tables.editors import EditorRow, unknown_editors, upsert_editors
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import load_schema, upsert_schema
from versionsync.mirror.tables.records import live_counts_by_model, oldest_synced
from versionsync.mirror.tables.runs import (
    finish_run,
    interrupt_stale_runs,
    last_changes_of,
    last_runs,
    last_runs_of,
    start_run,
    update_run,
)
from versionsync.mirror.tables.sources import (
    load_source,
    register_project,
    sources_of,
    update_checkpoint,
    update_history_retention,
    update_project,
)


def test_a_source_is_registered_once(mirror: Mirror) -> None:
    """Again it is returned as it is."""
    with mirror.write() as tx:
        first = register_source(tx, "website", project(), observed_at=at(0))
    lease = acquire(mirror, first.id, Holder.of_this_process())
    with mirror.write() as tx:
        again = register_project(tx, lease, project(name="Renamed"), observed_at=at(9))
        other = register_source(tx, "shop", project(id="p2"), observed_at=at(1))
    assert first == again
    assert (first.project, first.created_at) == (project(), at(0))
    assert first.checkpoint.last_data_change_at is None
    assert not first.checkpoint.last_data_change_is_settled
    with mirror.read() as connection:
        assert load_source(connection, "website") == first
        assert load_source(connection, "Website") is None
        assert sources_of(connection) == [other, first]


def test_another_project_under_a_known_name_is_refused(desk: Desk) -> None:
    """Histories of two projects must not meet."""
    with (
        pytest.raises(WrongProject, match=r"mirrors the project News \(id p1\).*leads to Shop \(id p2\)"),
        desk.mirror.write() as tx,
    ):
        register_project(tx, desk.lease, project(id="p2", name="Shop"), observed_at=at(1))


@pytest.mark.parametrize(
    ("was_following", "follows", "environment", "allowed"),
    [
        (True, True, "next", True),
        (True, False, "next", False),
        (False, True, "next", False),
        (True, False, "main", True),
    ],
)
def test_only_a_source_that_follows_may_change_its_environment(
    mirror: Mirror, was_following: bool, follows: bool, environment: str, allowed: bool
) -> None:
    """One that names it stays with it."""
    lease = Desk.open(mirror, follows_primary=was_following).lease
    now = project(follows_primary=follows, environment=environment)
    with mirror.write() as tx:
        if allowed:
            register_project(tx, lease, now, observed_at=at(1))
            return
        with pytest.raises(WrongProject, match=r"mirrors the environment main, but its settings now say next"):
            register_project(tx, lease, now, observed_at=at(1))


def test_checkpoints_move_one_by_one(desk: Desk) -> None:
    """What is not named stays."""
    with desk.mirror.write() as tx:
        update_checkpoint(tx, desk.lease, last_data_change_at=at(7), last_data_change_is_settled=True)
        update_checkpoint(tx, desk.lease, last_success_at=at(8))
        update_project(tx, desk.lease, project(environment="next", name="News 2", environment_created_at=at(3)))
        with pytest.raises(TypeError, match="no checkpoint columns: name"):
            update_checkpoint(tx, desk.lease, name=None)
    with desk.mirror.read() as connection:
        row = load_source(connection, "website")
    assert row is not None
    assert (row.checkpoint.last_data_change_at, row.checkpoint.last_success_at) == (at(7), at(8))
    assert row.checkpoint.last_data_change_is_settled
    assert (row.project.environment, row.project.name, row.project.environment_created_at) == ("next", "News 2", at(3))


def test_what_is_known_of_a_project_and_of_an_unexplained_change_is_read_back(desk: Desk) -> None:
    """All of it is optional, and is NULL at first."""
    known = {"project_hash": bytes(range(32)), "time_precision": 3, "time_zone": "UTC", "history_retention_days": 30}
    with desk.mirror.read() as connection:
        before = load_source(connection, "website")
    assert before is not None
    assert before.project == project()
    assert (before.checkpoint.unexplained_change_since, before.checkpoint.unexplained_read_at) == (None, None)
    with desk.mirror.write() as tx:
        update_project(tx, desk.lease, project(**known))
        update_checkpoint(tx, desk.lease, unexplained_change_since=at(5), unexplained_read_at=at(6))
        register_source(tx, "shop", project(**known), observed_at=at(0))
    with desk.mirror.read() as connection:
        after, shop = load_source(connection, "website"), load_source(connection, "shop")
    assert after is not None
    assert shop is not None
    assert after.project == shop.project == project(**known)
    assert (after.checkpoint.unexplained_change_since, after.checkpoint.unexplained_read_at) == (at(5), at(6))


def test_how_long_versions_are_kept_is_noted_by_itself(desk: Desk) -> None:
    """None takes it back, and nothing else changes."""
    for days in (30, None):
        with desk.mirror.write() as tx:
            update_history_retention(tx, desk.lease, days)
        with desk.mirror.read() as connection:
            row = load_source(connection, "website")
        assert row is not None
        assert row.project == project(history_retention_days=days)


def test_nothing_is_noted_without_the_lease(desk: Desk) -> None:
    """Invariant 8 holds for all of it."""
    release(desk.mirror, desk.lease)
    with desk.mirror.write() as tx:
        for write in (
            lambda: update_checkpoint(tx, desk.lease, last_success_at=at(1)),
            lambda: update_project(tx, desk.lease, project()),
            lambda: register_project(tx, desk.lease, project(), observed_at=at(1)),
            lambda: update_history_retention(tx, desk.lease, 30),
            lambda: upsert_schema(tx, desk.lease, [], [], observed_at=at(1)),
            lambda: upsert_editors(tx, desk.lease, []),
            lambda: start_run(tx, desk.lease, kind="full", trigger="test", started_at=at(1)),
            lambda: interrupt_stale_runs(tx, desk.lease, finished_at=at(1)),
            lambda: finish_run(tx, desk.lease, desk.run_id, outcome="failed", finished_at=at(1), counts={}),
        ):
            with pytest.raises(LeaseLost):
                write()


def test_a_run_is_recorded_from_its_start_to_its_outcome(desk: Desk) -> None:
    """With what it cost and did."""
    with desk.mirror.write() as tx:
        update_run(tx, desk.lease, desk.run_id, {"requests": 3})
        counts = {"requests": 5, "bytes_received": 10**12, "versions_inserted": 7}
        finish_run(
            tx, desk.lease, desk.run_id, outcome="partial", finished_at=at(9), counts=counts, error="one bad record"
        )
        second = start_run(tx, desk.lease, kind="full", trigger="cli", started_at=at(10))
        with pytest.raises(TypeError, match="no counts of a run: speed"):
            update_run(tx, desk.lease, second, {"speed": 1})
    with desk.mirror.read() as connection:
        newest, first = last_runs(connection, desk.lease.source_id)
        assert last_runs(connection, limit=1) == [newest]
    assert (first.outcome, first.error, first.finished_at, first.kind) == (
        "partial",
        "one bad record",
        at(9),
        "incremental",
    )
    assert {name: number for name, number in first.counts.items() if number} == counts
    assert (newest.id, newest.outcome, newest.finished_at) == (second, "running", None)
    assert newest.holder == str(desk.lease.holder)


def test_runs_of_a_kind_can_be_left_uncounted(desk: Desk) -> None:
    """They are among the newest runs, and make room for none of the others."""
    release(desk.mirror, desk.lease)
    other = Desk.open(desk.mirror, "other")
    kinds = ["partial", None, "unknown_record", "unknown_record", None, "unknown_record"]
    for kind in kinds:
        with desk.mirror.write() as tx:
            id = start_run(tx, other.lease, kind="records", trigger="test", started_at=at(1))
            finish_run(tx, other.lease, id, outcome="partial", finished_at=at(2), counts={}, error_kind=kind)
    with desk.mirror.read() as connection:

        def found(**options: Any) -> list[str | None]:
            id = other.lease.source_id
            return [run.error_kind for run in last_runs_of(connection, [id], **options)[id]]

        assert found(limit=2) == kinds[:-3:-1]
        assert found(limit=2, besides="unknown_record") == ["unknown_record", None, None]
        assert found(limit=3, besides="unknown_record") == ["unknown_record", None, "unknown_record", None, "partial"]


def test_the_newest_runs_of_many_sources_are_their_own(desk: Desk) -> None:
    """Also those that changed something. A source without any is left out."""
    release(desk.mirror, desk.lease)
    desks = [Desk.open(desk.mirror, name, id=name) for name in ("b", "c", "d")]
    ids = [each.lease.source_id for each in desks]
    made: dict[int, list[int]] = {id: [] for id in ids}
    for number in range(12):
        each = desks[number % 2]
        with desk.mirror.write() as tx:
            id = start_run(tx, each.lease, kind="incremental", trigger="test", started_at=at(number))
            counts = {"events_written": 1} if number % 4 == 0 else {}
            finish_run(tx, each.lease, id, outcome="succeeded", finished_at=at(number), counts=counts)
        made[each.lease.source_id].insert(0, id)
    with desk.mirror.read() as connection:
        newest = last_runs_of(connection, ids, limit=3)
        changed = last_changes_of(connection, ids, limit=2)
    opened = {each.lease.source_id: each.run_id for each in desks}
    b, c, d = ids
    assert {id: [run.id for run in runs] for id, runs in newest.items()} == {
        b: made[b][:3],
        c: made[c][:3],
        d: [opened[d]],
    }
    assert {id: [run.id for run in runs] for id, runs in changed.items()} == {b: [made[b][1], made[b][3]]}


def test_runs_that_died_are_interrupted(desk: Desk) -> None:
    """By the next holder of the lease; those of other sources are not its business."""
    Desk.open(desk.mirror, "other", id="p2")
    with desk.mirror.write() as tx:
        assert interrupt_stale_runs(tx, desk.lease, finished_at=at(9)) == 1
        assert interrupt_stale_runs(tx, desk.lease, finished_at=at(9)) == 0
    assert desk.rows("SELECT outcome FROM runs ORDER BY id") == [("interrupted",), ("running",)]


def test_the_schema_comes_back_as_it_was_seen(desk: Desk) -> None:
    """Gone parts are left out, and are there again when they return."""
    text = model("text", is_block=True, is_singleton=True, draft_mode=False)
    title, body = a_field("title", is_localized=True, position=2), a_field("body", "structured_text")
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model(), text], [title, body], observed_at=at(1))
        seen = load_schema(tx, desk.lease.source_id)
        assert set(seen.models) == {MODEL, "text"}
        assert replace(seen.models[text.id], payload=text.payload) == text
        assert replace(seen.fields["title"], payload=title.payload) == title

        upsert_schema(tx, desk.lease, [], [], deleted_models=[text.id], deleted_fields=["body"], observed_at=at(2))
        seen = load_schema(tx, desk.lease.source_id)
        assert (set(seen.models), set(seen.fields)) == ({MODEL}, {"title"})

        upsert_schema(tx, desk.lease, [text], [body], observed_at=at(3))
        assert set(load_schema(tx, desk.lease.source_id).fields) == {"title", "body"}
    assert desk.rows("SELECT count(*) FROM models WHERE deleted_at IS NOT NULL") == [(0,)]


def test_a_row_that_is_so_already_is_not_written_again(desk: Desk) -> None:
    """Only what differs costs a write."""
    editor = EditorRow(type="user", id="7", name="Ada", email="ada@example.org", payload='{"a": 1.0}')
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model()], [a_field("title")], observed_at=at(1))
        upsert_editors(tx, desk.lease, [editor])
    before = _row_versions(desk)
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model()], [a_field("title")], observed_at=at(2))
        upsert_editors(tx, desk.lease, [editor])
    assert _row_versions(desk) == before
    with desk.mirror.write() as tx:
        upsert_editors(tx, desk.lease, [replace(editor, name="Ada L.")])
    assert desk.rows("SELECT name FROM editors") == [("Ada L.",)]


def test_editors_that_only_versions_name_are_unknown(desk: Desk) -> None:
    """Until somebody tells who they are."""
    desk.look(Shown("a", 1, "c", editor=Editor("user", "7")))
    with desk.mirror.write() as tx:
        assert unknown_editors(tx, desk.lease.source_id) == [Editor("account", "1"), Editor("user", "7")]
        upsert_editors(tx, desk.lease, [EditorRow(type="user", id="7", name="Ada", payload="{}")])
        assert unknown_editors(tx, desk.lease.source_id) == [Editor("account", "1")]


def test_live_records_are_counted_and_found_by_their_last_look(desk: Desk) -> None:
    """Deleted ones are not."""
    for id in ("r1", "r2", "r3", "gone"):
        desk.look(Shown(f"v-{id}", 1, "c"), id=id)
    desk.delete("gone")
    desk.look(Shown("v-r1", 1, "c"), id="r1")
    with desk.mirror.read() as connection:
        assert live_counts_by_model(connection, desk.lease.source_id) == {MODEL: 3}
        assert [record.id for record in oldest_synced(connection, desk.lease.source_id, 2, now=at(0))] == ["r2", "r3"]


def _row_versions(desk: Desk) -> list[tuple[object, ...]]:
    """What changes in PostgreSQL whenever a row is written; SQLite has nothing like it."""
    if desk.mirror.dialect.name == "sqlite":
        return []
    return [
        row
        for table in ("models", "fields", "editors")
        for row in desk.rows(f"SELECT id, CAST(xmin AS text) FROM {table} ORDER BY id")
    ]

"""Projections follow the events, and equal what a rebuild gives (invariant 15)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from tests.fixtures.projections import differences_from_rebuild, differences_from_views, fill, projected, rebuilt
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from tests.integration.mirror.writing import MODEL, Desk, Shown, a_field, at
from tests.nightly.machine.actions import CONTENT_ACTS, SCHEMA_ACTS, do, open_project
from versionsync.history.projections import rows as rows_module
from versionsync.history.projections.changes import VersionContent
from versionsync.history.projections.filling import Filled, FillState, ProjectionFiller, request_rebuild
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import changes, intervals, projection_cursors, reordered_records, titles
from versionsync.mirror.tables.changes import ChangeRow
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import upsert_schema
from versionsync.mirror.tables.projection_cursors import PROJECTIONS
from versionsync.simulator import World

pytestmark = pytest.mark.both_databases


def let_go(desk: Desk) -> None:
    """End the run that holds the lease."""
    release(desk.mirror, desk.lease)


def take_again(desk: Desk) -> None:
    """Begin another run."""
    desk.lease = acquire(desk.mirror, desk.lease.source_id, Holder.of_this_process())


def filled(desk: Desk) -> ProjectionFiller:
    """Fill between two runs; return the filler."""
    let_go(desk)
    fill(desk.mirror)
    return ProjectionFiller(desk.mirror, desk.lease.source_id)


def compared(desk: Desk) -> list[tuple[Any, ...]]:
    """Which version each one was compared with, and what it changed."""
    return desk.rows(
        "SELECT DISTINCT c.version_id, c.previous_version_id, c.field FROM changes AS c "
        "JOIN versions AS v ON v.source_id = c.source_id AND v.id = c.version_id ORDER BY c.version_id"
    )


def define(desk: Desk) -> None:
    """One field: `title`."""
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [a_field("title")], observed_at=at(0))


def test_an_edit_is_in_all_of_them(sync_env: SyncEnv) -> None:
    record = sync_env.act(lambda world: world.create(world.account, "post", {"title": "Fish"}))
    sync_env.act(lambda world: world.publish(world.account, record.id))
    sync_env.act(lambda world: world.update(world.account, record.id, {"title": "Fresh fish"}))
    sync_env.sync()
    assert fill(sync_env.mirror) == 2
    with sync_env.mirror.read() as connection:
        assert set(connection.scalars(select(titles.c.title))) == {"Fish", "Fresh fish"}
        told = connection.execute(select(changes.c.field, changes.c.operation, changes.c.previous_version_id)).all()
        assert {(field, operation, before is None) for field, operation, before in told} == {
            ("title", "added", True),
            ("title", "changed", False),
        }
        kinds = connection.execute(select(intervals.c.kind, intervals.c.valid_until)).all()
        assert sorted((kind, until is None) for kind, until in kinds) == [
            ("current", False),
            ("current", True),
            ("published", True),
        ]
    assert differences_from_rebuild(sync_env.mirror) == []


def test_a_second_filling_has_nothing_to_do(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.create(world.account, "post", {"title": "Fish"}))
    sync_env.sync()
    assert fill(sync_env.mirror) == 1
    assert fill(sync_env.mirror) == 0


@pytest.mark.parametrize("seed", range(3))
def test_random_days_end_as_a_rebuild_does(make_sync_env: MakeSyncEnv, seed: int) -> None:
    """Acts of every kind, syncs and fillings now and then, in batches that end between two events of one record."""
    chance = random.Random(seed)
    sync_env = make_sync_env()
    sync_env.act(lambda world: open_project(world, records=3))
    acts = [*CONTENT_ACTS, *CONTENT_ACTS, *SCHEMA_ACTS]
    for number in range(30):
        sync_env.act(lambda world: do(world, chance.choice(acts), chance.randrange(8)))
        if number % 3 == 0:
            sync_env.sync()
        if number % 5 == 0:
            fill(sync_env.mirror, events_at_once=chance.choice([1, 2, 7, 1000]))
    sync_env.sync(full=True)
    assert differences_from_rebuild(sync_env.mirror) == []
    assert differences_from_views(sync_env.mirror) == []


def test_a_promoted_environment_is_in_all_of_them(sync_env: SyncEnv) -> None:
    """The versions of the one before end, and those of the new one go on from where they began."""
    record = sync_env.act(lambda world: world.create(world.account, "post", {"title": "Fish"}))
    sync_env.act(lambda world: world.publish(world.account, record.id))
    sync_env.sync()
    fill(sync_env.mirror)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.update(world.account, record.id, {"title": "Lost"}))
    sync_env.act(lambda world: world.publish(world.account, record.id))
    sync_env.sync()
    fill(sync_env.mirror)
    sync_env.act(lambda world: world.promote(world.account, "copy"))
    sync_env.sync()
    assert differences_from_rebuild(sync_env.mirror) == []
    assert differences_from_views(sync_env.mirror) == []


def test_a_version_that_is_found_late_gets_between_the_others(desk: Desk) -> None:
    """And the one after it is compared with it from then on."""
    define(desk)
    first, last = Shown("a", 1), Shown("c", 3, "c")
    desk.look(first, last)
    filled(desk)
    assert compared(desk) == [("a", None, "title"), ("c", "a", "title")]
    take_again(desk)
    desk.look(first, Shown("b", 2), last)
    filled(desk)
    assert compared(desk) == [("a", None, "title"), ("b", "a", "title"), ("c", "b", "title")]
    assert differences_from_rebuild(desk.mirror) == []


def test_a_rewritten_version_is_compared_again_and_so_is_the_next_one(desk: Desk) -> None:
    define(desk)
    last = Shown("b", 2, "c", b'{"title": "B"}')
    desk.look(Shown("a", 1, "", b'{"title": "A"}'), last)
    filled(desk)
    take_again(desk)
    desk.look(Shown("a", 1, "", b'{"title": "B"}'), last)
    filled(desk)
    assert compared(desk) == [("a", None, "title")], "the second version changed nothing any more"
    assert desk.rows("SELECT version_id, title FROM titles ORDER BY version_id") == [("a", "B"), ("b", "B")]
    assert differences_from_rebuild(desk.mirror) == []


def test_versions_that_change_their_order_without_an_event_are_compared_again(desk: Desk) -> None:
    define(desk)
    desk.look(Shown("a", 1), Shown("b", 1), Shown("c", 1, "c"))
    filled(desk)
    take_again(desk)
    before = desk.rows("SELECT count(*) FROM events")
    desk.look(Shown("b", 1), Shown("a", 1), Shown("c", 1, "c"))
    assert desk.rows("SELECT count(*) FROM events") == before, "no event says so"
    assert desk.rows("SELECT record_id FROM reordered_records") == [("record",)]
    filled(desk)
    assert compared(desk) == [("a", "b", "title"), ("b", None, "title"), ("c", "a", "title")]
    assert desk.rows("SELECT record_id FROM reordered_records") == []
    assert differences_from_rebuild(desk.mirror) == []


def test_a_version_whose_time_moves_without_an_event_has_its_new_time(desk: Desk) -> None:
    define(desk)
    desk.look(Shown("a", 1, "c"))
    filled(desk)
    take_again(desk)
    desk.look(Shown("a", 7, "c"))
    filled(desk)
    with desk.mirror.read() as connection:
        assert connection.scalars(select(changes.c.created_at).distinct()).all() == [at(7)]
    assert differences_from_rebuild(desk.mirror) == []


def test_a_renamed_field_changes_nothing(desk: Desk) -> None:
    """The old version keeps the name that it was read with; the field is the same by its id."""
    define(desk)
    desk.look(Shown("a", 1, "c", b'{"title": "A"}'))
    filled(desk)
    take_again(desk)
    renamed = a_field("title", api_key="headline")
    data = {"field": {"id": "title", "api_key": "headline"}, "changes": {"api_key": ["title", "headline"]}}
    write_schema_event(desk, EventType.FIELD_CHANGED, data)
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [renamed], observed_at=at(5))
    new = Shown("b", 9, "c", b'{"headline": "B"}')
    desk.look(Shown("a", 1, "", b'{"title": "A"}'), new)
    filled(desk)
    rows = desk.rows("SELECT version_id, field, field_id, operation FROM changes ORDER BY version_id")
    assert rows == [("a", "title", "title", "added"), ("b", "headline", "title", "changed")]
    assert desk.rows("SELECT title FROM titles ORDER BY version_id") == [("A",), ("B",)]
    assert differences_from_rebuild(desk.mirror) == []


def write_schema_event(desk: Desk, type: EventType, data: dict[str, Any]) -> None:
    """An event of the schema, as a check writes it."""
    event = Event(type=type, key=str(type), occurred_at=at(5), basis=TimeBasis.OBSERVED, model_id=MODEL, data=data)
    with desk.mirror.write() as tx:
        write_events(tx, desk.lease, [event], observed_at=at(5), run_id=desk.run_id)


def test_a_deleted_record_that_returns_is_there_again(desk: Desk) -> None:
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    filled(desk)
    take_again(desk)
    desk.delete()
    filled(desk)
    assert desk.rows("SELECT count(*) FROM intervals WHERE valid_until IS NULL") == [(0,)]
    take_again(desk)
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    filled(desk)
    assert desk.rows("SELECT kind FROM intervals WHERE valid_until IS NULL ORDER BY kind") == [
        ("current",),
        ("published",),
    ]
    assert differences_from_rebuild(desk.mirror) == []


# --- links ---


def links_are(desk: Desk) -> list[tuple[Any, ...]]:
    """What points where, from which version until which."""
    return desk.rows(
        "SELECT l.target_kind, l.target_id, l.field, a.id, z.id FROM links AS l "
        "JOIN versions AS a ON a.record_id = l.record_id AND a.ordinal = l.from_ordinal "
        "LEFT JOIN versions AS z ON z.record_id = l.record_id AND z.ordinal = l.until_ordinal ORDER BY 2, a.ordinal"
    )


def with_links(id: str, created: float, *targets: str, flags: str = "", file: str | None = None) -> Shown:
    """A version that points to these records, and to an upload."""
    content = {"title": id, "near": list(targets), "picture": file and {"upload_id": file, "alt": id}}
    return Shown(id, created, flags, json.dumps(content).encode())


def define_links(desk: Desk) -> None:
    """A field with links, and one with a file."""
    with desk.mirror.write() as tx:
        fields = [a_field("title"), a_field("near", "links"), a_field("picture", "file")]
        upsert_schema(tx, desk.lease, [], fields, observed_at=at(0))


def test_links_last_from_the_version_that_adds_them_until_the_one_that_lacks_them(desk: Desk) -> None:
    define_links(desk)
    first, second = with_links("a", 1, "x"), with_links("b", 2, "x", "y", file="p")
    desk.look(first, second, with_links("c", 3, "y", flags="c", file="p"))
    filled(desk)
    assert links_are(desk) == [
        ("upload", "p", "picture", "b", None),
        ("record", "x", "near", "a", "c"),
        ("record", "y", "near", "b", None),
    ]
    take_again(desk)
    desk.look(first, second, with_links("c", 3, "y", file="p"), with_links("d", 4, "x", flags="c", file="p"))
    filled(desk)
    assert links_are(desk) == [
        ("upload", "p", "picture", "b", None),
        ("record", "x", "near", "a", "c"),
        ("record", "x", "near", "d", None),
        ("record", "y", "near", "b", "d"),
    ]
    assert differences_from_rebuild(desk.mirror) == []


def test_a_link_that_stays_is_one_row_however_many_versions_have_it(desk: Desk) -> None:
    define_links(desk)
    desk.look(*(with_links(f"v{place:02}", place, "x") for place in range(30)), with_links("w", 99, "x", flags="c"))
    filled(desk)
    assert links_are(desk) == [("record", "x", "near", "v00", None)]


def test_links_of_versions_that_are_found_late_or_rewritten_are_joined_anew(desk: Desk) -> None:
    """Versions that come before others, so that a link ends which no row began."""
    define_links(desk)
    last = with_links("d", 4, "y", flags="c")
    desk.look(last)
    filled(desk)
    assert links_are(desk) == [("record", "y", "near", "d", None)]
    take_again(desk)
    desk.look(with_links("c", 3), last)
    desk.look(with_links("a", 1, "x"), with_links("b", 2, "x"), with_links("c", 3), last)
    let_go(desk)
    fill(desk.mirror, events_at_once=1)
    assert links_are(desk) == [("record", "x", "near", "a", "c"), ("record", "y", "near", "d", None)]
    assert differences_from_rebuild(desk.mirror) == []
    take_again(desk)
    desk.look(with_links("a", 1, "x"), with_links("b", 2, "y"), with_links("c", 3, "y"), last)
    let_go(desk)
    fill(desk.mirror, events_at_once=1)
    assert links_are(desk) == [("record", "x", "near", "a", "b"), ("record", "y", "near", "b", None)]
    assert differences_from_rebuild(desk.mirror) == []


def test_links_follow_versions_that_change_their_order(desk: Desk) -> None:
    define_links(desk)
    one, other = with_links("a", 1, "x"), with_links("b", 1, "y")
    desk.look(one, other, with_links("c", 2, "y", flags="c"))
    filled(desk)
    assert links_are(desk) == [("record", "x", "near", "a", "b"), ("record", "y", "near", "b", None)]
    take_again(desk)
    desk.look(other, one, with_links("c", 2, "y", flags="c"))
    filled(desk)
    assert links_are(desk) == [
        ("record", "x", "near", "a", "c"),
        ("record", "y", "near", "b", "a"),
        ("record", "y", "near", "c", None),
    ]
    assert differences_from_rebuild(desk.mirror) == []


# --- who may write ---


def test_nothing_is_filled_while_a_run_holds_the_lease(desk: Desk) -> None:
    """Invariant 8: not even by the process that holds it."""
    desk.look(Shown("a", 1, "c"))
    filler = ProjectionFiller(desk.mirror, desk.lease.source_id)
    assert filler.fill_batch() == Filled(FillState.BUSY)
    let_go(desk)
    assert filler.fill_batch().state is FillState.MORE


def between(mirror: Mirror, act: Callable[[], object]) -> Mirror:
    """The same mirror; `act` happens between the snapshot of a batch and its transaction."""

    class Interrupted(Mirror):
        def transact(self, work: Any) -> Any:
            act()
            return super().transact(work)

    return Interrupted(mirror._engine)


def test_a_batch_is_dropped_if_a_run_came_and_went_meanwhile(desk: Desk) -> None:
    """What it computed may be old: the run may have rewritten a version."""
    define(desk)
    desk.look(Shown("a", 1, "c", b'{"title": "A"}'))
    let_go(desk)

    def a_run() -> None:
        take_again(desk)
        desk.look(Shown("a", 1, "c", b'{"title": "B"}'))
        let_go(desk)

    fill(desk.mirror)
    take_again(desk)
    desk.look(Shown("a", 1, "c", b'{"title": "C"}'))
    let_go(desk)
    before = projected(desk.mirror)
    filler = ProjectionFiller(between(desk.mirror, a_run), desk.lease.source_id)
    assert filler.fill_batch().state is FillState.BUSY
    assert projected(desk.mirror) == before
    fill(desk.mirror)
    assert desk.rows("SELECT title FROM titles") == [("B",)]
    assert differences_from_rebuild(desk.mirror) == []


def test_two_processes_that_fill_the_same_batch_do_no_harm(desk: Desk) -> None:
    """The second one finds the cursor moved, and drops its own."""
    desk.look(Shown("a", 1), Shown("b", 2, "cp", live=(3, None)))
    let_go(desk)
    id = desk.lease.source_id
    empty = ProjectionFiller(desk.mirror, id)
    for _ in PROJECTIONS:
        empty.fill_batch()
    other = ProjectionFiller(desk.mirror, id)
    filler = ProjectionFiller(between(desk.mirror, other.fill_batch), id)
    assert filler.fill_batch().state is FillState.BUSY
    assert ProjectionFiller(desk.mirror, id).fill_batch().state is FillState.MORE, "the index comes after the others"
    assert filler.fill_batch().state is FillState.COMPLETE
    assert differences_from_rebuild(desk.mirror) == []


def test_a_rebuild_that_is_asked_for_meanwhile_is_not_lost(desk: Desk) -> None:
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    filled(desk)
    take_again(desk)
    desk.look(Shown("a", 1), Shown("b", 2), Shown("c", 3, "c"))
    let_go(desk)
    id = desk.lease.source_id

    def ask() -> None:
        with desk.mirror.write() as tx:
            tx.execute(update(titles).values(title="wrong"))
            request_rebuild(tx, id)

    assert ProjectionFiller(between(desk.mirror, ask), id).fill_batch().state is FillState.BUSY
    fill(desk.mirror)
    assert desk.rows("SELECT count(*) FROM titles WHERE title = 'wrong'") == [(0,)]


# --- rebuilds ---


def test_rows_of_another_format_are_filled_again(desk: Desk) -> None:
    """Also those that no event leads to any more."""
    define(desk)
    desk.look(Shown("a", 1, "c"))
    filled(desk)
    wanted = projected(desk.mirror)
    with desk.mirror.write() as tx:
        tx.execute(update(projection_cursors).where(projection_cursors.c.projection == "titles").values(format=0))
        tx.execute(
            insert(titles).values(
                source_id=desk.lease.source_id, version_id="nowhere", locale="", record_id="none", title="old"
            )
        )
    fill(desk.mirror)
    assert projected(desk.mirror) == wanted


def test_one_projection_can_be_rebuilt_alone(desk: Desk) -> None:
    define(desk)
    desk.look(Shown("a", 1), Shown("b", 2, "cp", live=(3, None)))
    filled(desk)
    wanted = projected(desk.mirror)
    with desk.mirror.write() as tx:
        tx.execute(update(changes).values(field="wrong"))
        tx.execute(text("DELETE FROM intervals"))
        request_rebuild(tx, desk.lease.source_id, ["changes", "intervals"])
    fill(desk.mirror, events_at_once=2)
    assert projected(desk.mirror) == wanted


def test_a_rebuild_catches_up_with_the_others_while_new_events_come(desk: Desk) -> None:
    define(desk)
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    filled(desk)
    with desk.mirror.write() as tx:
        request_rebuild(tx, desk.lease.source_id, ["titles"])
    filler = ProjectionFiller(desk.mirror, desk.lease.source_id, events_at_once=1)
    for _ in range(3):
        filler.fill_batch()
    take_again(desk)
    desk.look(Shown("a", 1), Shown("b", 2), Shown("c", 3, "c"))
    let_go(desk)
    fill(desk.mirror, events_at_once=1)
    assert differences_from_rebuild(desk.mirror) == []
    assert len(rebuilt(desk.mirror)["titles"]) == 3


# --- bad contents ---


def test_a_version_that_cannot_be_compared_stops_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and has no changes."""
    define(desk)
    desk.look(Shown("a", 1), Shown("b", 2), Shown("c", 3, "c"))
    let_go(desk)
    compare = rows_module.changes_of

    def fails(after: VersionContent, before: VersionContent | None) -> list[ChangeRow]:
        if after.version_id == "b":
            raise RecursionError("too deep")
        return compare(after, before)

    monkeypatch.setattr(rows_module, "changes_of", fails)
    filler, failed = ProjectionFiller(desk.mirror, desk.lease.source_id), dict[str, str]()
    while (done := filler.fill_batch()).state is FillState.MORE:
        failed |= done.failed
    assert failed == {"b": "RecursionError: too deep"}
    assert [row[0] for row in compared(desk)] == ["a", "c"]
    assert len(projected(desk.mirror)["titles"]) == 3


ODD = [
    b"{}",
    b'{"title": "a\\u0000b\\ud83d"}',
    b'{"title": {"e\\u0000n": "x", "": "y"}}',
    b'{"title": 12345678901234567890.5e-700}',
    json.dumps({"title": "x" * 100_000}).encode(),
    json.dumps({"title": {"l" * 5000: "x"}}).encode(),
    json.dumps({"t" * 5000: {"l" * 5000: "x"}}).encode(),
    b'{"parts": [{"id": "' + b"b" * 5000 + b'", "type": "item", "attributes": {"title": "x"}}]}',
    b'{"title": ' + b"[" * 300 + b"]" * 300 + b"}",
]


def test_odd_contents_are_filled(desk: Desk) -> None:
    """Characters that a database does not store, and keys that its indexes do not hold."""
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [a_field("title", is_localized=True)], observed_at=at(0))
    last = len(ODD) - 1
    desk.look(*(Shown(f"v{place}", place, "c" if place == last else "", raw) for place, raw in enumerate(ODD)))
    filled(desk)
    assert differences_from_rebuild(desk.mirror) == []


def test_a_filler_that_was_stopped_writes_nothing(desk: Desk) -> None:
    desk.look(Shown("a", 1, "c"))
    let_go(desk)
    filler = ProjectionFiller(desk.mirror, desk.lease.source_id)
    filler.stop()
    assert filler.fill_batch().state is FillState.BUSY
    with desk.mirror.read() as connection:
        assert connection.execute(select(projection_cursors)).all() == []
        assert connection.execute(select(reordered_records)).all() == []


def test_blocks_are_no_records(sync_env: SyncEnv) -> None:
    """A change within a block is one of its record, with the block's id."""

    def build(world: World) -> str:
        quote = world.create_model(world.account, "quote", is_block=True)
        world.create_field(world.account, quote, "words")
        page = world.create_model(world.account, "page")
        world.create_field(world.account, page, "parts", "rich_text")
        block = {
            "type": "item",
            "attributes": {"words": "Fish"},
            "relationships": {"item_type": {"data": {"id": quote.id, "type": "item_type"}}},
        }
        return world.create(world.account, "page", {"parts": [block]}).id

    record_id = sync_env.act(build)
    sync_env.sync()
    fill(sync_env.mirror)
    with sync_env.mirror.read() as connection:
        rows = connection.execute(select(changes.c.record_id, changes.c.block_id, changes.c.operation)).all()
    assert {row.record_id for row in rows} == {record_id}
    assert {row.operation for row in rows} == {"added"}

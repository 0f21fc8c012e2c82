"""Each transition is one event, however often it is derived, and one more each time it happens."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.integration.mirror.writing import RECORD, Desk, Shown, at
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.mirror.errors import LeaseLost
from versionsync.mirror.tables.events import EventFilter, events_after, last_event_id, last_events, write_events
from versionsync.mirror.tables.leases import release


def test_a_record_and_its_versions_are_told_in_order(desk: Desk) -> None:
    """Of a backfill too: as if it had been watched."""
    applied = desk.look(Shown("a", 1, live=(2, 3)), Shown("b", 4, "c"))
    assert desk.told() == [
        ("record.created", None),
        ("version.created", "a"),
        ("version.became_current", "a"),
        ("version.published", "a"),
        ("version.unpublished", "a"),
        ("version.created", "b"),
        ("version.superseded", "a"),
        ("version.became_current", "b"),
    ]
    assert applied.events_written == 8


def test_a_transition_that_is_derived_again_is_not_told_again(desk: Desk) -> None:
    """The same key, and no row that changed with it."""
    shown = Shown("a", 1, "c", live=(2, 3))
    desk.look(shown)
    told = desk.told()
    now = desk.now()
    plan = desk.plan([replace(shown, created=1.5)], now=now)  # something changed, but no flag
    again = replace(plan, events=(_published("version.published:a:2026-07-01T12:00:02.000000Z"),))
    applied = desk.write([again], [shown], now=now)
    assert applied.events_written == 0
    assert desk.told() == told


def test_the_same_transition_of_a_flag_that_turned_again_is_numbered(desk: Desk) -> None:
    """A key that states no time would otherwise hide the second and third time."""
    desk.look(Shown("a", 1, "c"))
    for _ in range(3):
        now = desk.now()
        on = replace(desk.plan([Shown("a", 1, "cp")], now=now), events=(_published("version.published:a"),))
        assert desk.write([on], [], now=now).events_written == 1
        desk.look(Shown("a", 1, "c"))
    keys = desk.rows("SELECT key FROM events WHERE type = 'version.published' ORDER BY id")
    assert keys == [("version.published:a",), ("version.published:a#2",), ("version.published:a#3",)]


def test_of_several_publications_in_one_look_only_the_last_turned_the_flag(desk: Desk) -> None:
    """The one before it is known already, and is dropped."""
    desk.look(Shown("a", 1, "cp"))
    desk.look(Shown("a", 1, "c"))
    now = desk.now()
    first, second = _published("version.published:a:1"), _published("version.published:a:2")
    plan = desk.plan([Shown("a", 1, "cp")], now=now)
    desk.write([replace(plan, events=(first,), changes=())], [], now=now)
    assert desk.write([replace(plan, events=(first, second))], [], now=now).events_written == 1
    keys = [key for (key,) in desk.rows("SELECT key FROM events WHERE type = 'version.published' ORDER BY id")]
    assert keys[-2:] == ["version.published:a:1", "version.published:a:2"]


def test_going_back_to_a_publication_that_was_told_is_no_end(desk: Desk) -> None:
    """Another environment, where the version was not published again: it is live there, and was all the time."""
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    desk.look(Shown("a", 1, "cp", live=(6, None)))
    told = _told_of_publications(desk)
    assert told == ["published", "unpublished", "published"]
    desk.look(Shown("a", 1, "cp", live=(2, None)))
    assert _told_of_publications(desk) == told
    desk.look(Shown("a", 1, "cp", live=(4, None)))
    told += ["unpublished", "published"]
    assert _told_of_publications(desk) == told
    desk.look(Shown("a", 1, "c", live=(2, 9)))
    assert _told_of_publications(desk) == [*told, "unpublished"]


def test_a_known_publication_that_ended_otherwise_is_told_with_its_end(desk: Desk) -> None:
    """It went on in another environment, and ended there at another time: no end is told without its beginning."""
    desk.look(Shown("a", 1, "c", live=(2, 4)))
    desk.look(Shown("a", 1, "c", live=(6, 8)))
    desk.look(Shown("a", 1, "c", live=(2, 5)))
    assert _told_of_publications(desk) == ["published", "unpublished"] * 3
    desk.look(Shown("a", 1, "c", live=(6, 8)))
    assert _told_of_publications(desk) == ["published", "unpublished"] * 3


@pytest.mark.parametrize(("first", "second"), [(0.195, 0), (0, 0.195)], ids=["to seconds", "to milliseconds"])
def test_a_publication_is_known_in_any_precision(desk: Desk, first: float, second: float) -> None:
    """Its key holds the time as it was printed when it was told."""
    desk.look(Shown("a", 1 + first, "c", live=(2 + first, 4 + first)))
    desk.look(Shown("a", 1 + first, "c", live=(6 + first, 8 + first)))
    told = desk.told()
    desk.look(Shown("a", 1 + second, "c", live=(2 + second, 4 + second)))  # back in an environment mirrored earlier
    assert desk.told() == told
    desk.look(Shown("a", 1 + second, "cp", live=(6 + second, None)))
    assert desk.told()[len(told) :] == [("version.published", "a")], "its flag turned: it was published once more"
    numbered = desk.rows("SELECT key FROM events WHERE key LIKE '%#2'")
    (original,) = desk.rows("SELECT key FROM events WHERE key LIKE 'version.published:a:2026-07-01T12:00:06.%00Z'")
    assert numbered == [(f"{original[0]}#2",)]


def test_publications_of_one_second_are_two_where_milliseconds_are_told(desk: Desk) -> None:
    desk.look(Shown("a", 1.1, "c", live=(2.1, 2.3)))
    desk.look(Shown("a", 1.1, "c", live=(2.5, 2.7)))
    assert _told_of_publications(desk) == ["published", "unpublished"] * 2


def test_an_observation_is_another_one_a_moment_later(desk: Desk) -> None:
    """Its time is ours, and never printed in another form."""
    for number, moment in enumerate((1.0, 1.25, 1.5)):
        now = at(2000 + moment)
        desk.write([desk.plan([Shown("a", 1, "cp" if number % 2 else "c")], now=now)], [Shown("a", 1)], now=now)
    assert _told_of_publications(desk) == ["published", "unpublished"]


def test_numbers_of_one_key_are_not_those_of_a_longer_one(desk: Desk) -> None:
    """`…:1` and `…:12` are two keys."""
    for key in ("k:12", "k:1", "k:1", "k:12", "k:1"):
        _write(desk, Event(type=EventType.MODEL_CHANGED, key=key, occurred_at=at(1), basis=TimeBasis.OBSERVED))
    assert [key for (key,) in desk.rows("SELECT key FROM events ORDER BY id")] == [
        "k:12",
        "k:1",
        "k:1#2",
        "k:12#2",
        "k:1#3",
    ]


def test_events_of_the_schema_keep_their_data(desk: Desk) -> None:
    """Text of any kind, also what `jsonb` would refuse."""
    data = {"changes": {"hint": ["null \0 here", "lone \ud800 there", "naïve 🎈", 10**25]}}
    event = Event(
        type=EventType.FIELD_CHANGED, key="f", occurred_at=at(1), basis=TimeBasis.OBSERVED, model_id=None, data=data
    )
    assert _write(desk, event) == 1
    with desk.mirror.read() as connection:
        (row,) = events_after(connection, desk.lease.source_id, 0)
    assert json.loads(row.data)["changes"]["hint"][2:] == ["naïve 🎈", 10**25]
    assert (row.type, row.occurred_basis, row.source) == ("field.changed", "observed", "website")
    assert (row.occurred_at, row.run_id) == (at(1), desk.run_id)


def test_events_need_the_lease_too(desk: Desk) -> None:
    """Invariant 8."""
    release(desk.mirror, desk.lease)
    with pytest.raises(LeaseLost, match="released"):
        _write(desk, _published("x"))


def test_events_are_read_after_an_id_by_source_and_type(desk: Desk) -> None:
    """The way consumers read on."""
    other = Desk.open(desk.mirror, "second", id="p2")
    desk.look(Shown("a", 1, "c"))
    other.look(Shown("b", 1, "c"))
    source_id = desk.lease.source_id
    with desk.mirror.read() as connection:
        mine = events_after(connection, source_id, 0)
        assert [row.type for row in mine] == ["record.created", "version.created", "version.became_current"]
        assert events_after(connection, source_id, mine[0].id, limit=1) == mine[1:2]
        assert events_after(connection, source_id, 0, wanted=EventFilter(types=["version.created"])) == mine[1:2]
        assert last_events(connection, source_id, limit=2) == mine[1:]
        assert last_event_id(connection) > last_event_id(connection, source_id) == mine[-1].id


def test_events_of_a_time_are_found_among_those_that_were_observed_since(desk: Desk) -> None:
    """Those of a day before it are passed over unread, as upstream's clock is not ahead by more."""
    days = 86_400
    for day in range(20):
        desk.clock = day * days
        desk.look(Shown(f"v{day}", day * days, "c"), id=f"r{day}")
    source_id = desk.lease.source_id
    with desk.mirror.read() as connection:
        every = events_after(connection, source_id, 0)
        for since in (-1, 0, 0.5, 7, 12.25, 19, 20, 99):
            wanted = EventFilter(since=at(since * days))
            found = events_after(connection, source_id, 0, wanted=wanted)
            assert found == [row for row in every if row.occurred_at >= at(since * days)]
            assert last_events(connection, source_id, wanted=wanted) == found
        span = EventFilter(since=at(3 * days), until=at(5 * days), types=["version.created"], record_id="r4")
        assert [row.version_id for row in events_after(connection, source_id, 0, wanted=span)] == ["v4"]


def _told_of_publications(desk: Desk) -> list[str]:
    return [type.removeprefix("version.") for type, _ in desk.told() if type.endswith("published")]


def _published(key: str) -> Event:
    return Event(
        type=EventType.VERSION_PUBLISHED,
        key=key,
        occurred_at=at(2),
        basis=TimeBasis.UPSTREAM,
        record_id=RecordId(RECORD),
        version_id=VersionId("a"),
    )


def _write(desk: Desk, *events: Event) -> int:
    with desk.mirror.write() as tx:
        return write_events(tx, desk.lease, events, observed_at=at(5), run_id=desk.run_id)

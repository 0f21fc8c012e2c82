"""What webhooks said is kept until a run has looked at it, for each source."""

from __future__ import annotations

from tests.integration.mirror.writing import Desk, at, project, register_source
from versionsync.mirror.tables.webhooks import delete_queued, is_pending, queue_record, queued_records


def add(desk: Desk, *said: tuple[str, str]) -> None:
    """Keep hints: the id of a record, and the type of the event."""
    with desk.mirror.write() as tx:
        for second, (record_id, event_type) in enumerate(said):
            queue_record(tx, desk.lease.source_id, record_id, event_type=event_type, received_at=at(second))


def test_a_hint_is_known_by_its_record_its_event_and_its_source(desk: Desk) -> None:
    """Only the same one is kept already."""
    with desk.mirror.write() as tx:
        other = register_source(tx, "other", project(), observed_at=at(0)).id
    add(desk, ("a", "update"))
    with desk.mirror.read() as connection:
        mine = desk.lease.source_id
        assert is_pending(connection, mine, "a", event_type="update")
        assert not is_pending(connection, mine, "a", event_type="publish")
        assert not is_pending(connection, mine, "b", event_type="update")
        assert not is_pending(connection, other, "a", event_type="update")


def test_the_oldest_come_first_and_each_record_once(desk: Desk) -> None:
    """If there are more hints than the limit, a complete check answers all of them at once."""
    add(desk, ("b", "update"), ("a", "update"), ("b", "publish"), ("c", "create"))
    with desk.mirror.read() as connection:
        whole, part = (queued_records(connection, desk.lease.source_id, limit=limit) for limit in (9, 3))
    assert whole is not None and part is not None
    assert (whole.record_ids, part.record_ids) == (("b", "a", "c"), ("b", "a"))
    assert (whole.needs_check, part.needs_check) == (False, True)
    assert part.last_id == whole.last_id
    with desk.mirror.write() as tx:
        delete_queued(tx, desk.lease.source_id, up_to=part.last_id)
    with desk.mirror.read() as connection:
        assert queued_records(connection, desk.lease.source_id, limit=3) is None


def test_what_a_run_has_seen_is_forgotten(desk: Desk) -> None:
    """Not what came after, and not what it could not read."""
    add(desk, ("a", "update"), ("b", "update"))
    with desk.mirror.read() as connection:
        seen = queued_records(connection, desk.lease.source_id, limit=2)
    assert seen is not None and not seen.needs_check
    add(desk, ("c", "update"))
    with desk.mirror.write() as tx:
        delete_queued(tx, desk.lease.source_id, up_to=seen.last_id, besides={"b"})
    with desk.mirror.read() as connection:
        left = queued_records(connection, desk.lease.source_id, limit=9)
        assert left is not None and left.record_ids == ("b", "c")
    with desk.mirror.write() as tx:
        delete_queued(tx, desk.lease.source_id, up_to=left.last_id)
    with desk.mirror.read() as connection:
        assert queued_records(connection, desk.lease.source_id, limit=9) is None

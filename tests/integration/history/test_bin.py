"""The bin says who deleted a record, and reads on page by page."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest
from sqlalchemy import text

from tests.integration.mirror.writing import Desk, Shown, at
from versionsync.api import Mirror
from versionsync.ledger.ids import RecordId
from versionsync.ledger.plan import plan_deletion
from versionsync.ledger.records import DeletionEvidence
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.versions import load_versions

pytestmark = pytest.mark.both_databases


def deleted_by(desk: Desk, id: str, actor: str | None, *, key: str) -> None:
    """Write who deleted a record, as an audit log says it: into the event of the deletion with this end of a key."""
    with desk.mirror.write() as tx:
        changed = tx.execute(
            text(
                "UPDATE events SET actor_type = 'user', actor_id = :actor "
                "WHERE type = 'record.deleted' AND record_id = :id AND key LIKE :key"
            ),
            {"actor": actor, "id": id, "key": f"%{key}"},
        )
    assert changed.rowcount == 1


def deletions(desk: Desk, id: str) -> list[str]:
    """Return the keys of the events of a record's deletions, the first one first."""
    found = desk.rows("SELECT key FROM events WHERE record_id = :id AND type = 'record.deleted' ORDER BY id", id=id)
    return [key for (key,) in found]


def test_the_last_deletion_of_a_record_says_who_deleted_it(desk: Desk) -> None:
    desk.look(Shown("v1", 10), Shown("v2", 20, "cp", live=(20, None)))
    desk.delete()
    (first,) = deletions(desk, "record")
    deleted_by(desk, "record", "7", key=first)
    (one,) = Mirror(desk.mirror).deleted()
    assert (one.actor_type, one.actor_id) == ("user", "7")
    assert (one.version_id, one.version_count, one.was_published, one.editor_id) == ("v2", 2, True, "7")

    desk.look(Shown("v1", 10), Shown("v2", 20, "c"), updated_at=at(30))
    assert list(Mirror(desk.mirror).deleted()) == []
    desk.delete()
    (one,) = Mirror(desk.mirror).deleted()
    assert (one.actor_type, one.actor_id) == (None, None)  # the first deletion says nothing of the second
    _, second = deletions(desk, "record")
    deleted_by(desk, "record", "8", key=second)
    (one,) = Mirror(desk.mirror).deleted()
    assert (one.actor_type, one.actor_id) == ("user", "8")


def delete_all(desk: Desk, ids: list[str]) -> datetime:
    """Learn that these records are gone, all at once; return when."""
    now, of_source = desk.now(), desk.lease.source_id
    with desk.mirror.read() as connection:
        known = load_records(connection, of_source, [RecordId(id) for id in ids])
        versions = load_versions(connection, of_source, known)
    evidence = DeletionEvidence.NOT_FOUND
    plans = [
        plan_deletion(one, versions[id], still_listed=(), evidence=evidence, observed_at=now)
        for id, one in known.items()
    ]
    desk.write(plans, (), now=now)
    return now


def test_a_bin_of_many_pages_has_each_record_once_the_latest_first(desk: Desk) -> None:
    ids = [f"record{number:03}" for number in range(230)]
    now, shown = desk.now(), {id: (Shown(f"{id}-1", 10), Shown(f"{id}-2", 20, "c")) for id in ids}
    desk.write([desk.plan(its, id=id, now=now) for id, its in shown.items()], sum(shown.values(), ()), now=now)
    delete_all(desk, ids[:60])
    middle = delete_all(desk, ids[60:200])
    last = delete_all(desk, ids[200:])
    mirror = Mirror(desk.mirror)
    every = list(mirror.deleted())
    assert [one.record_id for one in every] == [*ids[200:], *ids[60:200], *ids[:60]]
    assert {(one.version_id, one.version_count) for one in every} == {(f"{id}-2", 2) for id in ids}
    assert list(islice(mirror.deleted(), 7)) == every[:7]
    assert list(mirror.deleted(since=middle)) == every[:170]
    assert list(mirror.deleted(until=middle)) == every[170:]
    assert list(mirror.deleted(since=middle, until=last)) == every[30:170]

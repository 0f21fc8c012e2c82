"""What an applied plan leaves in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.integration.mirror.writing import MODEL, RECORD, Desk, Shown, at
from versionsync.ledger.content import content_hash
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.records import Editor
from versionsync.mirror.apply import apply
from versionsync.mirror.errors import ContentRejected, LeaseLost
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.versions import load_versions

UUID_ID = "cqE8yj9-T5yE3BAyFmDM3w"


def test_a_new_record_comes_back_as_it_was_planned(desk: Desk) -> None:
    """What `known_*` reads is what the planner will compare with: nothing may get lost on the way."""
    shown = (
        Shown(UUID_ID, 1, "p", live=(5, None)),
        Shown("two", 2, "c", editor=Editor("access_token", "99")),
    )
    meta = {"status": "updated", "published_at": at(5), "fingerprint": bytes(range(32)), "stage": "review"}
    applied = desk.look(*shown, **meta)

    assert (applied.versions_inserted, applied.versions_changed, applied.versions_rewritten) == (2, 0, 0)
    with desk.mirror.read() as connection:
        known = load_records(connection, desk.lease.source_id, [RECORD])[RECORD]
        versions = load_versions(connection, desk.lease.source_id, [RECORD])[RECORD]
    assert known.fingerprint == bytes(range(32))
    assert (known.current_version_id, known.published_version_id, known.version_count) == ("two", UUID_ID, 2)
    assert (known.published_at, known.synced_at, known.deleted_at) == (at(5), at(1001), None)
    assert [version.id for version in versions] == [UUID_ID, "two"]
    assert versions[0].seen.published_from == at(5)
    assert versions[1].seen.editor == Editor("access_token", "99")
    assert versions[1].seen.content_hash == content_hash(shown[1].raw)
    assert desk.plan(shown, now=desk.now(), **meta).changes == ()


def test_a_second_look_at_the_same_writes_nothing(desk: Desk) -> None:
    """Invariant 10."""
    shown = (Shown("one", 1), Shown("two", 2, "cp", live=(3, None)))
    desk.look(*shown)
    before = desk.rows("SELECT id, changed_at FROM versions ORDER BY id"), desk.told()
    applied = desk.look(*shown)
    assert (applied.versions_inserted, applied.versions_changed, applied.events_written) == (0, 0, 0)
    assert (desk.rows("SELECT id, changed_at FROM versions ORDER BY id"), desk.told()) == before


def test_the_uuid_is_that_of_the_id(desk: Desk) -> None:
    """And NULL for the number of an old project."""
    desk.look(Shown(UUID_ID, 1), Shown("12345", 2, "c"))
    found = dict(desk.rows("SELECT id, uuid FROM versions"))
    assert str(found[UUID_ID]) == "72a13cca-3f7e-4f9c-84dc-10321660ccdf"
    assert found["12345"] is None


def test_flags_move_from_one_known_version_to_another(desk: Desk) -> None:
    """Invariant 2 holds between any two statements: a flag is taken before it is given."""
    desk.look(Shown("a", 1, "cp", live=(1, None)), Shown("b", 2))
    desk.look(Shown("a", 1, live=(1, 9)), Shown("b", 2, "cp", live=(9, None)))
    desk.look(Shown("a", 1, "cp", live=(12, None)), Shown("b", 2, live=(9, 12)))
    assert desk.rows("SELECT id FROM versions WHERE is_current AND is_published") == [("a",)]
    assert desk.rows("SELECT current_version_id, published_version_id FROM records") == [("a", "a")]


def test_versions_can_change_places_in_the_order(desk: Desk) -> None:
    """Ordinals are unique within a record, also while they are exchanged."""
    desk.look(Shown("a", 1), Shown("b", 1), Shown("c", 1, "c"))
    desk.look(Shown("b", 1), Shown("c", 1), Shown("a", 1, "c"))
    assert desk.rows("SELECT id FROM versions ORDER BY ordinal") == [("b",), ("c",), ("a",)]


def test_a_rewrite_keeps_what_was_there(desk: Desk) -> None:
    """Invariant 1: content, time and editor before are in `version_rewrites`, once for each rewrite."""
    first = Shown("v", 1, "c", b'{"title": "first"}')
    second = replace(first, content=b'{"title": "second"}', created=5, editor=Editor("user", "8"))
    third = replace(first, content=b'{"title": "third"}', created=9)
    assert desk.look(first).versions_rewritten == 0
    assert desk.look(second).versions_rewritten == 1
    assert desk.look(third).versions_rewritten == 1

    kept = desk.rows(
        "SELECT attributes, attributes_hash, created_at, editor_id, first_seen_at, observed_at, run_id "
        "FROM version_rewrites ORDER BY observed_at"
    )
    assert [json.loads(row[0])["title"] for row in kept] == ["first", "second"]
    assert [bytes(row[1]) for row in kept] == [content_hash(first.raw), content_hash(second.raw)]
    assert [row[3] for row in kept] == ["7", "8"]
    assert kept[1][4] == kept[0][5]  # the second content was first seen when the first was replaced
    assert kept[0][6] == desk.run_id
    assert json.loads(desk.rows("SELECT attributes FROM versions")[0][0])["title"] == "third"


def test_two_rewrites_in_one_instant_are_both_kept(desk: Desk) -> None:
    """Clocks may stand still, or be set back."""
    for number in range(3):
        desk.clock = 1000
        desk.look(Shown("v", 1, "c", json.dumps({"n": number}).encode()))
    assert desk.rows("SELECT count(*) FROM version_rewrites") == [(2,)]


def test_a_missing_version_stays_and_can_return(desk: Desk) -> None:
    """Invariant 1 again."""
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    desk.look(Shown("b", 2, "c"))
    assert desk.rows("SELECT id FROM versions WHERE missing_since IS NOT NULL") == [("a",)]
    desk.look(Shown("a", 1), Shown("b", 2, "c"))
    assert desk.rows("SELECT id FROM versions WHERE missing_since IS NOT NULL") == []
    assert desk.told(of="version.m") == [("version.missing", "a")]
    assert desk.told(of="version.r") == [("version.returned", "a")]


def test_a_deleted_record_keeps_its_versions_and_flags(desk: Desk) -> None:
    """And what it was like when last seen."""
    desk.look(Shown("a", 1, "cp", live=(1, None)), status="published")
    desk.delete()
    assert desk.rows("SELECT deletion_evidence, status, current_version_id FROM records") == [
        ("not_found", "published", "a")
    ]
    assert desk.rows("SELECT count(*) FROM versions WHERE is_current AND is_published") == [(1,)]
    desk.look(Shown("a", 1, "c", live=(1, 50)))
    assert desk.rows("SELECT deleted_at, deletion_evidence FROM records") == [(None, None)]


def test_a_model_and_editors_that_nobody_told_of_get_a_row_of_their_own(desk: Desk) -> None:
    """A token may not be allowed to read them; their versions are mirrored all the same."""
    plan = desk.plan([Shown("a", 1, "c", editor=Editor("robot", "R2"))], now=desk.now())
    unknown = replace(plan, model_id="hidden")
    desk.write([unknown], [Shown("a")], now=desk.now())
    assert desk.rows("SELECT type, id, name FROM editors ORDER BY type") == [
        ("account", "1", None),
        ("robot", "R2", None),
    ]
    assert ("hidden", None) in desk.rows("SELECT id, api_key FROM models")


def test_many_records_are_one_transaction(desk: Desk) -> None:
    """All of them or none: the second half is refused, so the first is not there either."""
    now = desk.now()
    shown = [Shown(f"v{number}", 1, "c") for number in range(50)]
    plans = [desk.plan([one], id=f"r{number}", now=now) for number, one in enumerate(shown)]
    shown[40] = replace(shown[40], content=b"\xff")
    with pytest.raises(ContentRejected):
        desk.write(plans, shown, now=now)
    assert desk.rows("SELECT count(*) FROM records") == [(0,)]
    assert desk.told() == []


def test_each_content_is_fetched_once_and_only_where_it_is_needed(desk: Desk) -> None:
    """Contents may be on disk, and large."""

    fetched: list[str] = []

    class Counting(Mapping[VersionId, bytes]):
        def __getitem__(self, id: VersionId) -> bytes:
            fetched.append(id)
            return b'{"n": 1}'

        def __iter__(self) -> Iterator[VersionId]:
            raise AssertionError("nobody needs all of them")

        def __len__(self) -> int:
            raise AssertionError("nobody needs all of them")

    now = desk.now()
    shown = [Shown(f"v{number}", number, "c" if number == 1200 else "", b'{"n": 1}') for number in range(1201)]
    plan = desk.plan(shown, now=now)
    with desk.mirror.write() as tx:
        apply(tx, desk.lease, [plan], Counting(), observed_at=now, run_id=desk.run_id)
    assert sorted(fetched) == sorted(one.id for one in shown)
    desk.look(*shown)
    assert len(fetched) == len(shown)


def test_two_plans_for_one_record_are_a_mistake(desk: Desk) -> None:
    """The second was made without knowing what the first changes."""
    plan = desk.plan([Shown("a", 1, "c")], now=desk.now())
    with pytest.raises(ValueError, match="two plans"):
        desk.write([plan, plan], [Shown("a")], now=desk.now())


def test_without_the_lease_nothing_is_written(desk: Desk) -> None:
    """Invariant 8: checked within the transaction itself."""
    release(desk.mirror, desk.lease)
    acquire(desk.mirror, desk.lease.source_id, Holder("elsewhere", 1))
    with pytest.raises(LeaseLost, match="process 1 on elsewhere"):
        desk.look(Shown("a", 1, "c"))
    assert desk.rows("SELECT count(*) FROM versions") == [(0,)]


def test_one_id_in_two_sources_is_two_versions(desk: Desk) -> None:
    """Forked environments may share ids."""
    other = Desk.open(desk.mirror, "staging", environment="staging", follows_primary=False)
    desk.look(Shown("same", 1, "c"))
    other.look(Shown("same", 1, "c"))
    assert len(desk.rows("SELECT source_id FROM versions WHERE id = 'same'")) == 2


def test_ids_that_differ_only_in_case_are_different(desk: Desk) -> None:
    """They are base64."""
    desk.look(Shown("AbC", 1), Shown("aBc", 2, "c"))
    assert desk.rows("SELECT id FROM versions ORDER BY id") == [("AbC",), ("aBc",)]
    with desk.mirror.read() as connection:
        assert load_records(connection, desk.lease.source_id, [RecordId(RECORD.upper())]) == {}


def test_a_version_of_another_record_under_a_known_id_is_refused(desk: Desk) -> None:
    """It would overwrite what is known of the first."""
    desk.look(Shown("a", 1, "c"))
    with pytest.raises(ContentRejected, match="versions"):
        desk.look(Shown("a", 1, "c"), id="another")


def test_the_interval_of_a_version_may_be_what_upstream_says(desk: Desk) -> None:
    """Even if it ends before it starts: only our own rules are constraints."""
    desk.look(Shown("a", 1, "c", live=(9, 2)))
    assert desk.rows("SELECT count(*) FROM versions WHERE published_until < published_from") == [(1,)]


def test_the_model_of_the_record_is_that_of_its_versions(desk: Desk) -> None:
    """So that questions about a model find them."""
    desk.look(Shown("a", 1, "c"))
    assert desk.rows("SELECT model_id FROM versions") == [(MODEL,)]

"""Which of the mirror's live records a sweep did not see."""

from __future__ import annotations

from dataclasses import replace

from tests.integration.mirror.writing import MODEL, Desk, Shown
from versionsync.ledger.ids import RecordId
from versionsync.mirror.listed_ids import ListedIds


def test_what_was_not_marked_is_unseen(desk: Desk) -> None:
    """Deleted records are not, nor those of another source."""
    other = Desk.open(desk.mirror, "other", id="p2")
    for each in (desk, other):
        for id in ("r1", "r2", "r3", "gone"):
            each.look(Shown(f"v-{id}", 1, "c"), id=id)
    desk.delete("gone")
    with ListedIds(desk.mirror, desk.lease.source_id) as marks:
        assert [id for id, _ in marks.not_listed()] == ["r1", "r2", "r3"]
        marks.add([RecordId("r2"), RecordId("new")])
        marks.add([RecordId("r2")])
        assert marks.count() == 2
        assert list(marks.not_listed()) == [("r1", MODEL), ("r3", MODEL)]
        marks.clear()
        assert marks.count() == 0
        assert len(list(marks.not_listed())) == 3


def test_marking_tells_what_the_mirror_holds(desk: Desk) -> None:
    """Deleted records too: they may be back."""
    desk.look(Shown("a", 1, "c"), id="known")
    desk.look(Shown("b", 1, "c"), id="gone")
    desk.delete("gone")
    with ListedIds(desk.mirror, desk.lease.source_id) as marks:
        known = marks.add_and_load([RecordId("known"), RecordId("gone"), RecordId("new")])
        assert {id: record.deleted_at is None for id, record in known.items()} == {"known": True, "gone": False}
        assert marks.count() == 3


def test_a_sweep_of_many_records_reads_the_mirror_in_pages(desk: Desk) -> None:
    """By key, so that an edit in between moves nothing."""
    now = desk.now()
    shown = [Shown(f"v{number}", 1, "c") for number in range(1203)]
    plan = desk.plan(shown[:1], now=now)
    plans = [
        replace(
            plan,
            record_id=RecordId(f"r{number:05}"),
            current_version_id=change.after.id,
            changes=(change,),
            events=(),
        )
        for number, one in enumerate(shown)
        for change in [replace(plan.changes[0], after=replace(plan.changes[0].after, seen=one.seen))]
    ]
    desk.write(plans, shown, now=now)
    with ListedIds(desk.mirror, desk.lease.source_id) as marks:
        marks.add(RecordId(f"r{number:05}") for number in range(0, 1203, 2))
        unseen = [id for id, _ in marks.not_listed()]
    assert unseen == [f"r{number:05}" for number in range(1, 1203, 2)]

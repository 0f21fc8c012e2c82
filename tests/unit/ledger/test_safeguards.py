"""Answers that go back in time are a reason to ask again; new ones never are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from versionsync.ledger.ids import VersionId
from versionsync.ledger.records import KnownRecord, SeenVersion
from versionsync.ledger.safeguards import (
    are_contents_stale,
    are_versions_stale,
    is_meta_stale,
    is_recreated,
    lacks_newest,
    lacks_publication,
    rewritten,
)

from .build import Pull, at, record, seen
from .memory_mirror import MemoryMirror


def goes_back(before: Sequence[SeenVersion], after: Sequence[SeenVersion]) -> bool:
    """Whether versions `after` are older than the mirror that saw `before` (both oldest first)."""
    mirror = MemoryMirror()
    mirror.look(Pull(record=record(), seen=before, is_complete=True), at(1000))
    return are_versions_stale(tuple(mirror.versions.values()), after)


LIVE, ENDED, AGAIN = (5, None), (5, 9), (12, None)


@pytest.mark.parametrize(
    ("before", "after"), [((None, None), LIVE), (LIVE, ENDED), (ENDED, AGAIN), (LIVE, LIVE), (ENDED, ENDED)]
)
def test_an_interval_that_begins_ends_or_follows_goes_on(before: tuple[int, int], after: tuple[int, int]) -> None:
    flags = ["cp" if live[0] is not None and live[1] is None else "c" for live in (before, after)]
    assert not goes_back([seen("a", 0, flags[0], live=before)], [seen("a", 0, flags[1], live=after)])


@pytest.mark.parametrize(
    ("before", "after"),
    [(LIVE, (None, None)), (ENDED, LIVE), (AGAIN, ENDED), (AGAIN, LIVE), (ENDED, (5, 8)), (ENDED, (None, None))],
)
def test_an_interval_that_was_over_or_had_begun_goes_back(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert goes_back([seen("a", 0, "c", live=before)], [seen("a", 0, "c", live=after)])


def test_the_current_version_is_followed_only_by_a_newer_one() -> None:
    both = [seen("a", 0), seen("b", 10, "c")]
    assert goes_back(both, [seen("a", 0, "c"), seen("b", 10)])
    assert not goes_back(both, both)
    assert not goes_back([seen("a", 0, "c")], both)


def test_a_current_version_that_is_listed_no_more_was_merged_or_made_again() -> None:
    assert not goes_back([seen("a", 0), seen("b", 10, "c")], [seen("a", 0), seen("x", 10, "c")])
    assert not goes_back([seen("a", 0), seen("b", 10, "c")], [seen("a", 0, "c")])


def test_without_a_current_version_on_both_sides_nothing_is_said() -> None:
    assert not goes_back([seen("a", 0), seen("b", 10, "c")], [seen("a", 0)])
    assert not goes_back([seen("a", 0)], [seen("a", 0, "c")])
    assert not goes_back([], [seen("a", 0, "c")])


def known(updated: datetime | None, published: datetime | None, deleted: datetime | None = None) -> KnownRecord:
    return KnownRecord(
        id=record().id,
        model_id=record().model_id,
        fingerprint=bytes(32),
        created_at=at(0),
        updated_at=updated,
        published_at=published,
        first_published_at=published,
        current_version_id=None,
        published_version_id=None,
        version_count=1,
        synced_at=at(100),
        deleted_at=deleted,
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((10, 5), (10, 5), False),
        ((10, 5), (11, 5), False),
        ((10, 5), (10, 6), False),
        ((10, 5), (9, 5), True),
        ((10, 5), (10, 4), True),
        ((10, 5), (10, None), False),
        ((10, None), (10, 5), False),
        ((None, 5), (9, 5), False),
        ((10, 5), (None, 5), False),
    ],
)
def test_a_records_times_do_not_fall(
    before: tuple[int | None, int | None], after: tuple[int | None, int | None], expected: bool
) -> None:
    """That a publication's time goes away is no going back: it was unpublished."""
    updated, published = (None if second is None else at(second) for second in after)
    was_updated, was_published = (None if second is None else at(second) for second in before)
    seen_now = record(updated_at=updated, published_at=published)
    assert is_meta_stale(known(was_updated, was_published), seen_now) is expected


def test_a_record_that_is_new_or_was_gone_may_have_any_time() -> None:
    assert not is_meta_stale(None, record(updated_at=at(5)))
    assert not is_meta_stale(known(at(10), None, deleted=at(90)), record(updated_at=at(5)))


@pytest.mark.parametrize(
    ("created", "expected"), [(at(0), True), (at(-1), True), (None, True), (at(1), False)], ids=str
)
def test_a_deleted_record_comes_back_only_if_it_is_no_younger(created: datetime | None, expected: bool) -> None:
    """One that was made again under its id has a later time; the same one is shown again, or shown by an old answer."""
    gone = known(None, None, deleted=at(90))
    assert is_recreated(gone, record(created_at=created)) is expected
    assert is_recreated(replace(gone, created_at=None), record(created_at=created))
    assert not is_recreated(replace(gone, deleted_at=None), record(created_at=created))
    assert not is_recreated(None, record(created_at=created))
    assert not is_recreated(gone, None)


def test_order_is_told_by_ordinals_and_not_by_the_tuple() -> None:
    """The mirror may give its versions in any order."""
    mirror = MemoryMirror()
    mirror.look(Pull(record=record(), seen=[seen("a", 0), seen("b", 10, "c")], is_complete=True), at(1000))
    rows = tuple(mirror.versions.values())
    for order in (rows, rows[::-1]):
        assert are_versions_stale(order, [seen("a", 0, "c"), seen("b", 10)])


def test_content_that_was_rewritten_does_not_return() -> None:
    """Other content is a rewrite; what a version said before its rewrite is told by an old answer."""
    mirror = MemoryMirror()
    mirror.look(
        Pull(record=record(), seen=[seen("a"), seen("b", 10, "c", content="new")], is_complete=True),
        at(99),
    )
    known, former = tuple(mirror.versions.values()), {VersionId("b"): {seen("b", content="old").content_hash}}
    for content, is_other, goes_back in (("new", [], False), ("newer", ["b"], False), ("old", ["b"], True)):
        now = [seen("a"), seen("b", 10, "c", content=content), seen("c", 20)]
        assert [version.id for version in rewritten(known, now)] == is_other
        assert are_contents_stale(former, now) is goes_back


def hides(after: Sequence[SeenVersion], *, published: int | None, before: Sequence[SeenVersion]) -> bool:
    """Whether versions `after` hide a publication, of a record whose meta had none before."""
    mirror = MemoryMirror()
    mirror.look(Pull(record=record(), seen=before, is_complete=True), at(1000))
    meta = record(first_published_at=published and at(published))
    return lacks_publication(mirror.known, meta, tuple(mirror.versions.values()), after)


def test_a_publication_that_only_the_meta_tells_is_hidden() -> None:
    draft = [seen("a", 0, "c")]
    assert hides(draft, published=5, before=draft)
    assert hides([seen("a", 0), seen("b", 3, "c")], published=5, before=draft), "an edit came before it"
    assert not hides([seen("a", 0, "c", live=(5, 6))], published=5, before=draft)
    assert not hides([seen("a", 0), seen("b", 3, "cp", live=(5, None))], published=5, before=draft)
    assert not hides(draft, published=None, before=draft), "nothing was published"


def test_of_a_record_that_is_new_or_was_gone_nothing_is_hidden() -> None:
    draft = [seen("a", 0, "c")]
    assert not lacks_publication(None, record(first_published_at=at(5)), (), draft)
    assert not lacks_publication(known(at(10), None, deleted=at(90)), record(first_published_at=at(5)), (), draft)
    assert not lacks_publication(known(at(10), None), None, (), draft), "only its versions were read"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([seen("old", 1, ""), seen("current", 2, "c"), seen("mixture", 3, "p")], False),
        ([seen("old", 1, ""), seen("current", 2, "c")], True),
        ([seen("old", 1, ""), seen("current", 2, "c"), seen("merged", 4, "p")], False),
        ([seen("current", 2, "c"), seen("mixture", 3, "p")], False),
        ([seen("old", 1, ""), seen("current", 3, "c")], True),
        ([], False),
    ],
    ids=["all", "newest", "merged", "oldest", "same time", "none"],
)
def test_versions_go_from_the_oldest_on(after: Sequence[SeenVersion], expected: bool) -> None:
    mirror = MemoryMirror()
    before = [seen("old", 1, ""), seen("current", 2, "c"), seen("mixture", 3, "p")]
    mirror.look(Pull(record=record(), seen=before, is_complete=True), at(1000))
    assert lacks_newest(tuple(mirror.versions.values()), after) is expected

"""When each version was current and live, from events alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from versionsync.history.projections.intervals import intervals_of
from versionsync.mirror.tables.events import HistoryEvent
from versionsync.mirror.tables.intervals import IntervalRow

EPOCH = datetime(2026, 7, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def events(*told: tuple[str, str | None, float, float]) -> list[HistoryEvent]:
    """Events of one record: type without its first word, version, when it happened, and when we saw it."""
    return [
        HistoryEvent(
            id=number,
            type=f"record.{type}" if version is None else f"version.{type}",
            record_id="r",
            version_id=version,
            model_id="m",
            occurred_at=at(occurred),
            observed_at=at(observed),
        )
        for number, (type, version, occurred, observed) in enumerate(told, start=1)
    ]


def shown(rows: list[IntervalRow], kind: str) -> list[tuple[str, float, float | None, float, float | None]]:
    """Version, from, until, known from and known until, as seconds."""

    def seconds(time: datetime | None) -> float | None:
        return None if time is None else (time - EPOCH).total_seconds()

    return [
        (
            row.version_id,
            (row.valid_from - EPOCH).total_seconds(),
            seconds(row.valid_until),
            (row.known_from - EPOCH).total_seconds(),
            seconds(row.known_until),
        )
        for row in rows
        if row.kind == kind
    ]


def test_a_version_is_current_until_its_successor_is_made() -> None:
    rows = intervals_of(
        "r", events(("became_current", "a", 1, 10), ("superseded", "a", 5, 20), ("became_current", "b", 5, 20))
    )
    assert shown(rows, "current") == [("a", 1, 5, 10, 20), ("b", 5, None, 20, None)]
    assert shown(rows, "published") == []


def test_a_version_that_becomes_current_twice_has_two_intervals() -> None:
    rows = intervals_of(
        "r",
        events(
            ("became_current", "a", 1, 1),
            ("superseded", "a", 2, 2),
            ("became_current", "b", 2, 2),
            ("superseded", "b", 3, 3),
            ("became_current", "a", 3, 3),
        ),
    )
    assert shown(rows, "current") == [("a", 1, 2, 1, 2), ("b", 2, 3, 2, 3), ("a", 3, None, 3, None)]


def test_versions_of_one_instant_keep_their_order() -> None:
    """The one that was replaced in the same second is there with no length, and before the one that stayed."""
    rows = intervals_of(
        "r",
        events(
            ("became_current", "a", 1, 1),
            ("superseded", "a", 1, 1),
            ("became_current", "b", 1, 1),
        ),
    )
    assert [(row.version_id, row.number, row.valid_until == row.valid_from) for row in rows] == [
        ("a", 1, True),
        ("b", 2, False),
    ]


def test_a_deletion_ends_everything_and_a_return_begins_it_again() -> None:
    rows = intervals_of(
        "r",
        events(
            ("became_current", "a", 1, 1),
            ("published", "a", 2, 2),
            ("deleted", None, 10, 10),
            ("returned", None, 20, 20),
        ),
    )
    assert shown(rows, "current") == [("a", 1, 10, 1, 10), ("a", 20, None, 20, None)]
    assert shown(rows, "published") == [("a", 2, 10, 2, 10), ("a", 20, None, 20, None)]


def test_a_deleted_record_has_no_version_any_more() -> None:
    rows = intervals_of("r", events(("became_current", "a", 1, 1), ("published", "a", 2, 2), ("deleted", None, 10, 10)))
    assert shown(rows, "current") == [("a", 1, 10, 1, 10)]
    assert shown(rows, "published") == [("a", 2, 10, 2, 10)]


def test_a_version_that_was_replaced_while_the_record_was_deleted_does_not_come_back() -> None:
    """Its successor was made before the return was seen."""
    rows = intervals_of(
        "r",
        events(
            ("became_current", "a", 1, 1),
            ("deleted", None, 10, 10),
            ("returned", None, 20, 20),
            ("superseded", "a", 15, 20),
            ("became_current", "b", 15, 20),
        ),
    )
    assert shown(rows, "current") == [("a", 1, 10, 1, 10), ("b", 15, None, 20, None)]


def test_a_publication_ends_with_the_next_one() -> None:
    rows = intervals_of(
        "r",
        events(
            ("published", "a", 1, 1),
            ("unpublished", "a", 5, 6),
            ("published", "b", 5, 6),
            ("unpublished", "b", 9, 9),
        ),
    )
    assert shown(rows, "published") == [("a", 1, 5, 1, 6), ("b", 5, 9, 6, 9)]


def test_another_environment_covers_the_live_version_only_for_its_time() -> None:
    """It was promoted away: the version that is live again goes on in a row of its own."""
    rows = intervals_of(
        "r",
        events(
            ("published", "other", 15, 16),
            ("unpublished", "other", 20, 20),
            ("published", "mine", 10, 20),
        ),
    )
    assert shown(rows, "published") == [
        ("mine", 10, 15, 20, 16),
        ("other", 15, 20, 16, 20),
        ("mine", 20, None, 20, None),
    ]


TYPES = ["became_current", "superseded", "published", "unpublished", "deleted", "returned"]


@given(
    st.lists(
        st.tuples(st.sampled_from(TYPES), st.sampled_from("abc"), st.integers(0, 8), st.integers(0, 3)), max_size=14
    )
)
def test_intervals_never_overlap_and_are_in_order(told: list[tuple[str, str, int, int]]) -> None:
    """Whatever the events say, also what the mirror would never write: at each instant there is at most one version."""
    observed, history = 0, []
    for type, version, occurred, passed in told:
        observed += passed
        history.append((type, None if type in ("deleted", "returned") else version, float(occurred), float(observed)))
    rows = intervals_of("r", events(*history))
    for kind in ("current", "published"):
        of_kind = [row for row in rows if row.kind == kind]
        assert of_kind == sorted(of_kind, key=lambda row: (row.valid_from, row.number))
        assert len({(row.valid_from, row.number) for row in of_kind}) == len(of_kind)
        for row in of_kind:
            assert (row.valid_until is None) == (row.known_until is None)
            assert row.valid_until is None or row.valid_until >= row.valid_from
        for one, other in pairwise(of_kind):
            assert one.valid_until is not None
            assert one.valid_until <= other.valid_from

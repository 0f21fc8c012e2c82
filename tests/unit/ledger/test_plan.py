"""The rules of events and flags, each by example.

A look's story is written one line an event: its type, its version and the second at which upstream says it happened,
`?` where we only saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from versionsync.ledger.events import Event, TimeBasis
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import InconsistentHistory, RecordPlan, plan_deletion, plan_record
from versionsync.ledger.records import DeletionEvidence, SeenVersion
from versionsync.ledger.times import format_time

from .build import EPOCH, MODEL, RECORD, Pull, at, record, seen
from .memory_mirror import MemoryMirror


class Mirror(MemoryMirror):
    """A mirror to which a test shows one record; each look is at the second 1000 or a second after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.now = at(999)

    def shows(
        self, *versions: SeenVersion, complete: bool = True, seen_at: datetime | None = None, **meta: Any
    ) -> list[str]:
        """The story of a look at these versions (oldest first)."""
        self.now = seen_at or self.now + timedelta(seconds=1)
        plan = self.look(Pull(record=record(**meta), seen=versions, is_complete=complete), self.now)
        return story(plan.events)

    def is_gone(self, *still_listed: SeenVersion) -> list[str]:
        """The story of finding the record deleted while these versions are listed."""
        self.now += timedelta(seconds=1)
        return story(self.find_deleted(still_listed, self.now).events)

    def flags(self) -> str:
        """Each version with its flags, in order: `c` current, `p` published, `-` missing."""
        rows = sorted(self.versions.values(), key=lambda version: version.ordinal)
        return " ".join(
            v.id + "c" * v.seen.is_current + "p" * v.seen.is_published + "-" * (v.missing_since is not None)
            for v in rows
        )

    def event(self, type: str, version: str | None = None) -> Event:
        """The last event of this type (of this version)."""
        return [e for e in self.events if e.type.endswith(type) and version in (None, e.version_id)][-1]


def story(events: Sequence[Event]) -> list[str]:
    return [line(event) for event in events]


def line(event: Event) -> str:
    when = f"{(event.occurred_at - EPOCH).total_seconds():g}" if event.basis is TimeBasis.UPSTREAM else "?"
    return " ".join((event.type.removeprefix("version."), *([event.version_id] if event.version_id else []), when))


def lines(text: str) -> list[str]:
    """A story as a test writes it: events separated by commas."""
    return [event.strip() for event in text.split(",") if event.strip()]


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


# --- the first look ---


def test_a_backfill_tells_every_version_as_if_it_had_been_watched(mirror: Mirror) -> None:
    told = mirror.shows(
        seen("a", 0, live=(5, 20)), seen("b", 10, live=(20, 25)), seen("c", 30), seen("d", 40, "cp", live=(50, None))
    )
    assert told == lines(
        "record.created 0, created a 0, became_current a 0, published a 5,"
        "created b 10, superseded a 10, became_current b 10, unpublished a 20, published b 20, unpublished b 25,"
        "created c 30, superseded b 30, became_current c 30,"
        "created d 40, superseded c 40, became_current d 40, published d 50"
    )
    assert mirror.flags() == "a b c dcp"


def test_a_model_without_draft_mode_publishes_what_it_saves(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0, live=(0, 10)), seen("b", 10, "cp", live=(10, None)))
    assert told == lines(
        "record.created 0, created a 0, became_current a 0, published a 0,"
        "created b 10, superseded a 10, became_current b 10, unpublished a 10, published b 10"
    )


def test_a_version_published_before_upstream_tracked_it_takes_the_records_time(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0, "p"), seen("b", 10, "c"), published_at=at(7))
    assert told == lines(
        "record.created 0, created a 0, became_current a 0, published a 7,"
        "created b 10, superseded a 10, became_current b 10"
    )


def test_a_published_version_without_any_time_is_observed_to_be_so(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0, "cp"))
    assert told == lines("record.created 0, created a 0, became_current a 0, published a ?")
    assert mirror.event("published").data == {"after": None}


def test_an_end_without_a_start_is_told_all_the_same(mirror: Mirror) -> None:
    """It went live before upstream kept such times, and ended after."""
    told = mirror.shows(seen("a", 0, live=(None, 30)), seen("b", 10, "c"))
    assert told[-1] == "unpublished a 30"
    assert "published" not in " ".join(told).replace("unpublished", "")


def test_a_version_that_was_never_published_is_not_told_so_for_the_records_time(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0), seen("b", 10, "c"), published_at=at(7))
    assert "published a" not in " ".join(told)


def test_a_start_without_an_end_of_a_version_that_is_not_live_has_one_that_is_observed(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0, "c", live=(5, None)))
    assert told[-2:] == lines("published a 5, unpublished a ?")


def test_a_record_without_a_time_is_observed_to_be_there(mirror: Mirror) -> None:
    assert mirror.shows(seen("a", 0, "c"), created_at=None)[0] == "record.created ?"


def test_a_list_without_a_current_version_is_told_as_far_as_it_goes(mirror: Mirror) -> None:
    assert mirror.shows(seen("a", 0), seen("b", 10)) == lines(
        "record.created 0, created a 0, became_current a 0, created b 10, superseded a 10, became_current b 10,"
        "superseded b ?"
    )


def test_a_published_mixture_made_after_the_current_version_never_was_current(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 0), seen("b", 10, "c"), seen("m", 20, "p", live=(20, None)))
    assert told == lines(
        "record.created 0, created a 0, became_current a 0, created b 10, superseded a 10, became_current b 10,"
        "created m 20, published m 20"
    )


def test_a_mixture_that_an_edit_merged_into_the_current_version_overtakes_never_was_current(mirror: Mirror) -> None:
    """The current version keeps its id and gets a later time; whoever reads the events knows it is current still."""
    mirror.shows(seen("a", 0, "c"))
    mixture = seen("m", 20, "p", live=(20, None))
    assert mirror.shows(mixture, seen("a", 30, "c", content="a, merged")) == lines(
        "created m 20, published m 20, rewritten a ?"
    )
    assert mirror.shows(mixture, seen("a", 30, "c", content="a, merged")) == []


def test_the_successor_of_a_current_version_is_not_the_mixture_beside_it(mirror: Mirror) -> None:
    mixture = seen("m", 20, "p", live=(20, None))
    mirror.shows(seen("a", 0, "c"), mixture)
    assert mirror.shows(seen("a", 0), mixture, seen("b", 30, "c")) == lines(
        "created b 30, superseded a 30, became_current b 30"
    )


def test_versions_of_one_second_come_in_the_order_of_the_list(mirror: Mirror) -> None:
    """Whole seconds: published, followed, published, unpublished, followed, all in one."""
    told = mirror.shows(seen("z", 3, live=(3, 3)), seen("b", 3, live=(3, 3)), seen("a", 3, "c"))
    assert told == lines(
        "record.created 0, created z 3, became_current z 3, published z 3,"
        "created b 3, superseded z 3, became_current b 3, unpublished z 3, published b 3, unpublished b 3,"
        "created a 3, superseded b 3, became_current a 3"
    )


def test_a_version_merged_after_it_went_live_is_not_live_before_it_is_made(mirror: Mirror) -> None:
    told = mirror.shows(seen("a", 10, "cp", live=(4, None)))
    assert told[-3:] == lines("created a 10, became_current a 10, published a 4")


# --- what came and went while nobody looked ---


def test_nothing_new_writes_nothing(mirror: Mirror) -> None:
    versions = (seen("a", 0, live=(5, 20)), seen("b", 10, "cp", live=(20, None)))
    mirror.shows(*versions)
    assert mirror.shows(*versions) == []
    assert mirror.shows(*versions, published_at=at(20)) == []


def test_an_unpublished_draft_that_was_superseded_is_told(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    assert mirror.shows(seen("a", 0), seen("b", 10), seen("c", 20, "c")) == lines(
        "created b 10, superseded a 10, became_current b 10, created c 20, superseded b 20, became_current c 20"
    )


def test_publishing_a_version_long_current_is_told_at_its_time(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    assert mirror.shows(seen("a", 0, "cp", live=(500, None))) == ["published a 500"]


def test_published_and_unpublished_unwatched_is_told(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    assert mirror.shows(seen("a", 0, "c", live=(5, 7))) == lines("published a 5, unpublished a 7")


def test_published_again_after_an_end_that_was_seen(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c", live=(5, 7)))
    assert mirror.shows(seen("a", 0, "cp", live=(9, None))) == ["published a 9"]


def test_published_again_after_an_end_that_was_not_seen(mirror: Mirror) -> None:
    """Upstream overwrites the interval: the end of the first is observed, and must lie before the second."""
    mirror.shows(seen("a", 0, "cp", live=(5, None)), seen_at=at(6))
    assert mirror.shows(seen("a", 0, "cp", live=(9, None))) == lines("unpublished a ?, published a 9")
    ended = mirror.event("unpublished")
    assert ended.data == {"after": format_time(at(6)), "before": format_time(at(9))}
    assert ended.occurred_at == mirror.now


def test_published_again_and_ended_again_both_unseen(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp", live=(5, None)))
    assert mirror.shows(seen("a", 0, "c", live=(9, 11))) == lines("unpublished a ?, published a 9, unpublished a 11")
    assert mirror.shows(seen("a", 0, "c", live=(13, 15))) == lines("published a 13, unpublished a 15")


def test_each_publication_within_one_second_that_was_seen_is_told(mirror: Mirror) -> None:
    mirror.shows(seen("a", 3, "c"))
    assert mirror.shows(seen("a", 3, "cp", live=(3, None))) == ["published a 3"]
    assert mirror.shows(seen("a", 3, "c", live=(3, 3))) == ["unpublished a 3"]
    assert mirror.shows(seen("a", 3, "cp", live=(3, None))) == ["published a 3"]
    assert mirror.shows(seen("a", 3, "c", live=(3, 3))) == ["unpublished a 3"]
    assert len([event for event in mirror.events if event.type == "version.unpublished"]) == 2


def test_a_publication_within_the_second_of_the_last_is_told_by_its_later_end(mirror: Mirror) -> None:
    mirror.shows(seen("a", 3, "c", live=(3, 3)))
    assert mirror.shows(seen("a", 3, "c", live=(3, 8))) == lines("published a 3, unpublished a 8")


def test_a_publication_that_begins_when_the_last_one_ended_has_an_end_of_its_own(mirror: Mirror) -> None:
    """Both ended at 12: two transitions, told twice."""
    mirror.shows(seen("a", 3, "c", live=(10, 12)))
    mirror.shows(seen("a", 3, "c", live=(12, 12)))
    assert story(mirror.events)[-4:] == lines("published a 10, unpublished a 12, published a 12, unpublished a 12")


def test_two_published_in_turn_while_nobody_looked(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp", live=(5, None)))
    told = mirror.shows(seen("a", 0, live=(5, 30)), seen("b", 20, live=(30, 40)), seen("c", 35, "cp", live=(40, None)))
    assert told == lines(
        "created b 20, superseded a 20, became_current b 20, unpublished a 30, published b 30,"
        "created c 35, superseded b 35, became_current c 35, unpublished b 40, published c 40"
    )


def test_a_take_over_without_times_is_told_in_its_order(mirror: Mirror) -> None:
    """Both without intervals: the new one takes the record's time, the old one must have ended by then."""
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    told = mirror.shows(seen("a", 0), seen("b", 10, "cp"), published_at=at(20))
    assert told[-2:] == lines("unpublished a ?, published b 20")


def test_of_several_that_went_live_since_the_first_ended_the_old_one(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    told = mirror.shows(seen("a", 0), seen("b", 10, live=(15, 18)), seen("c", 20, "cp", live=(25, None)))
    assert [event for event in told if "published" in event] == lines(
        "unpublished a ?, published b 15, unpublished b 18, published c 25"
    )


def test_an_end_without_a_time_and_without_a_successor_is_told_last(mirror: Mirror) -> None:
    """Versions that were never live took nothing over."""
    mirror.shows(seen("a", 0, "cp", live=(5, None)), published_at=at(5))
    told = mirror.shows(seen("a", 0, live=(5, None)), seen("b", 10), seen("c", 20, "c"), published_at=at(5))
    assert told == lines(
        "created b 10, superseded a 10, became_current b 10, created c 20, superseded b 20, became_current c 20,"
        "unpublished a ?"
    )


def test_an_old_publication_that_gets_an_interval_is_the_same_one(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    assert mirror.shows(seen("a", 0, "cp", live=(5, None)), published_at=at(5)) == []


def test_an_old_publication_that_gets_a_later_interval_is_another_one(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    told = mirror.shows(seen("a", 0, "cp", live=(9, None)), published_at=at(9))
    assert told == lines("unpublished a ?, published a 9")


def test_an_old_publication_without_any_time_that_gets_an_interval_is_the_same_one(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"))
    assert mirror.shows(seen("a", 0, "cp", live=(9, None))) == []


@pytest.mark.parametrize("left", [(None, None), (5, None), (None, 9)])
def test_an_interval_that_upstream_forgets_is_no_transition(
    mirror: Mirror, left: tuple[int | None, int | None]
) -> None:
    mirror.shows(seen("a", 0, "c", live=(5, 7)))
    assert mirror.shows(seen("a", 0, "c", live=left)) == []


def test_an_end_to_come_is_no_transition(mirror: Mirror) -> None:
    """The flag says what is; a time beside it may be one that is planned."""
    mirror.shows(seen("a", 0, "cp", live=(5, 7)))
    assert mirror.shows(seen("a", 0, "cp", live=(5, 9))) == []


def test_what_is_only_observed_names_the_last_look(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp", live=(5, None)), seen_at=at(6))
    assert mirror.shows(seen("a", 0, "c"), seen_at=at(60)) == ["unpublished a ?"]
    event = mirror.event("unpublished")
    assert (event.occurred_at, event.data) == (at(60), {"after": format_time(at(6))})


@pytest.mark.parametrize("ours", [-500, 0, 500])
def test_our_clock_orders_nothing(mirror: Mirror, ours: int) -> None:
    """Ahead or behind, it says only when we saw what upstream gives no time for."""
    mirror.shows(seen("a", 0, "cp", live=(5, None)), seen_at=at(10 + ours))
    told = mirror.shows(
        seen("a", 0, content="merged"), seen("b", 20, "cp", live=(25, None)), seen_at=at(30 + ours), published_at=at(25)
    )
    assert [event for event in told if event != "rewritten a ?"] == lines(
        "created b 20, superseded a 20, became_current b 20, unpublished a ?, published b 25"
    )
    # A clock that is behind upstream's does not put it before what upstream says had happened by then.
    assert mirror.event("rewritten").occurred_at == max(at(30 + ours), at(20))


# --- the order of ids and of times ---


def test_a_take_over_without_an_end_has_the_time_at_which_its_successor_went_live(mirror: Mirror) -> None:
    """A version that was live before upstream kept such times has no end of its own."""
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    told = mirror.shows(seen("a", 0), seen("b", 10, "cp", live=(20, None)), published_at=at(20))
    assert told[-2:] == lines("unpublished a ?, published b 20")
    ended = mirror.event("unpublished")
    assert (ended.occurred_at, ended.basis) == (at(20), TimeBasis.OBSERVED)
    assert ended.data == {"after": format_time(at(1000)), "before": format_time(at(20))}


def test_a_publication_that_was_overwritten_had_ended_when_the_next_one_began(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    mirror.shows(seen("a", 0, "cp", live=(9, None)), published_at=at(9))
    ended = mirror.event("unpublished")
    assert (ended.occurred_at, ended.basis) == (at(9), TimeBasis.OBSERVED)
    assert ended.data == {"after": format_time(at(1000)), "before": format_time(at(9))}


def test_an_end_that_nothing_follows_has_the_time_at_which_we_saw_it(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    mirror.shows(seen("a", 0, "c"), published_at=at(5))
    ended = mirror.event("unpublished")
    assert (ended.occurred_at, ended.data) == (at(1001), {"after": format_time(at(1000))})


def test_a_record_made_again_unseen_was_deleted_by_then(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.shows(seen("x", 70, "c"), created_at=at(70))
    deleted, superseded = mirror.event("deleted"), mirror.event("superseded", "b")
    assert (deleted.occurred_at, deleted.data["before"]) == (at(70), format_time(at(70)))
    assert (superseded.occurred_at, superseded.data["before"]) == (at(70), format_time(at(70)))
    assert mirror.event("missing", "b").occurred_at == at(1001)


def test_a_record_that_was_edited_had_returned_by_then(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    mirror.shows(A_AND_B[0], seen("b", 10), seen("c", 1001.5, "c"))
    assert mirror.event("returned").occurred_at == at(1001.5)


# --- times that are printed in another precision ---

FINE = [seen("a", 0.195, live=(5.2, 9.7)), seen("b", 8.4, "cp", live=(9.7, None)), seen("m", 9.3)]
COARSE = [seen("a", 0, live=(5, 9)), seen("b", 8, "cp", live=(9, None)), seen("m", 9)]


@pytest.mark.parametrize(("before", "now"), [(FINE, COARSE), (COARSE, FINE)], ids=["to seconds", "to milliseconds"])
@pytest.mark.parametrize("complete", [True, False])
def test_another_precision_is_no_change(
    mirror: Mirror, before: list[SeenVersion], now: list[SeenVersion], complete: bool
) -> None:
    """There and back, and the times first seen stay."""
    mirror.shows(*before, published_at=before[1].published_from)
    rows = dict(mirror.versions)
    for versions in (now, before, now):
        assert mirror.shows(*versions, complete=complete, published_at=versions[1].published_from) == []
        assert mirror.versions == rows


@pytest.mark.parametrize(("before", "now"), [(FINE, COARSE), (COARSE, FINE)], ids=["to seconds", "to milliseconds"])
def test_what_happens_after_the_precision_changed_is_told_as_before(
    mirror: Mirror, before: list[SeenVersion], now: list[SeenVersion]
) -> None:
    fine = now is FINE
    mirror.shows(*before, published_at=before[1].published_from)
    ended = replace(now[1], is_current=False, is_published=False, published_until=at(20.6 if fine else 20))
    latest = seen("c", 20.6, "cp", live=(20.6, None)) if fine else seen("c", 20, "cp", live=(20, None))
    told = mirror.shows(now[0], ended, now[2], latest, published_at=latest.published_from)
    when = "20.6" if fine else "20"
    assert told == lines(
        f"created c {when}, superseded b {when}, became_current c {when}, unpublished b {when}, published c {when}"
    )
    assert mirror.versions[before[1].id].seen.published_from == before[1].published_from


def test_within_one_precision_milliseconds_count(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0.1, "cp", live=(5.2, None)))
    told = mirror.shows(seen("a", 0.1, "cp", live=(5.4, None)))
    assert told == lines("unpublished a ?, published a 5.4")


def test_a_precision_that_became_coarser_does_not_turn_the_order_round(mirror: Mirror) -> None:
    """An end that is printed in seconds seems to come before a beginning that was printed in milliseconds."""
    mirror.shows(seen("a", 0.195, "cp", live=(5.7, None)), published_at=at(5.7))
    told = mirror.shows(seen("a", 0, live=(5, 5)), seen("b", 5, "cp", live=(5, None)), published_at=at(5))
    assert told == lines("created b 5, superseded a 5, became_current b 5, unpublished a 5, published b 5")
    assert (
        mirror.shows(seen("a", 0.195, live=(5.7, 5.9)), seen("b", 5.8, "cp", live=(5.9, None)), published_at=at(5.9))
        == []
    )


def test_an_end_known_in_seconds_does_not_come_before_what_is_told_in_milliseconds(mirror: Mirror) -> None:
    """Of the same second, it keeps its place among the versions."""
    mirror.shows(seen("a", 0, "c", live=(None, 5)))
    told = mirror.shows(seen("a", 0.123, live=(5.123, 5.523)), seen("b", 5.523, "cp", live=(5.523, None)))
    assert [event.split()[0] for event in told[-2:]] == ["unpublished", "published"]
    times = [event.occurred_at for event in mirror.events[-len(told) :]]
    assert times == sorted(times)


def test_a_rewrite_that_only_the_zone_made_says_so(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    mirror.shows(replace(seen("a", 0, "c", content="moved"), rewrite_cause="time_zone"))
    assert mirror.event("rewritten").data["cause"] == "time_zone"
    mirror.shows(seen("a", 0, "c", content="edited"))
    assert "cause" not in mirror.event("rewritten").data


# --- looks that read only a part ---


def test_a_part_of_the_list_says_nothing_of_the_rest(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("b", 10), seen("c", 20, "c"))
    assert mirror.shows(seen("c", 20), seen("d", 30, "c"), complete=False) == lines(
        "created d 30, superseded c 30, became_current d 30"
    )
    assert mirror.flags() == "a b c dc"


def test_a_publication_below_what_was_read_is_kept(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10), seen("c", 20, "c"))
    mirror.shows(seen("c", 20), seen("d", 30, "c"), complete=False)
    assert mirror.flags() == "ap b c dc"


def test_the_formerly_published_version_comes_along_and_ends(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10), seen("c", 20, "c"))
    told = mirror.shows(seen("a", 0, live=(5, 40)), seen("c", 20, "cp", live=(40, None)), complete=False)
    assert told == lines("unpublished a 40, published c 40")
    assert mirror.flags() == "a b ccp"


def test_a_publication_seen_ends_the_one_below_even_unread(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10), seen("c", 20, "c"))
    assert mirror.shows(seen("c", 20, "cp", live=(40, None)), complete=False) == lines(
        "unpublished a ?, published c 40"
    )
    assert mirror.flags() == "a b ccp"
    told = mirror.shows(seen("a", 0, live=(5, 40)), seen("b", 10), seen("c", 20, "cp", live=(40, None)))
    assert told == [], "that it ended is told already"


def test_a_publication_that_came_and_went_ends_the_one_below_even_unread(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10, "c"))
    assert mirror.shows(seen("b", 10, "c", live=(40, 50)), complete=False) == lines(
        "unpublished a ?, published b 40, unpublished b 50"
    )


def test_a_publication_without_an_interval_ends_the_one_below_even_unread(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10, "c"))
    told = mirror.shows(seen("b", 10, "cp"), complete=False, published_at=at(40))
    assert told == lines("unpublished a ?, published b 40")


def test_a_whole_list_takes_the_flags_of_what_it_leaves_out(mirror: Mirror) -> None:
    """Also where it has no current version, which upstream's never should."""
    mirror.shows(seen("a", 0), seen("b", 10, "cp", live=(12, None)))
    assert mirror.shows(seen("a", 0)) == lines("unpublished b ?, superseded b ?, missing b ?")
    assert mirror.flags() == "a b-"


def test_an_old_interval_below_does_not_end_what_was_published_since(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, live=(5, 9)), seen("b", 10, "cp", live=(20, None)))
    assert mirror.shows(seen("a", 0, live=(5, 9)), complete=False) == []
    assert mirror.flags() == "a bcp"


def test_an_old_interval_above_does_not_end_what_was_live_already(mirror: Mirror) -> None:
    """Trust the flag, not the order: upstream may publish an older version again."""
    above = seen("b", 10, live=(15, 18))
    mirror.shows(seen("a", 0, "p", live=(20, None)), above, seen("c", 20, "c"))
    assert mirror.shows(above, seen("c", 20, "c"), complete=False) == []
    assert mirror.flags() == "ap b cc"


def test_a_part_without_a_current_version_keeps_the_known_one(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("b", 10), seen("c", 20, "c"))
    assert mirror.shows(seen("a", 0), complete=False) == []
    assert mirror.flags() == "a b cc"


# --- bursts ---


def test_a_burst_merged_in_place_is_a_rewrite(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("b", 10, "c"))
    told = mirror.shows(seen("a", 0), seen("b", 15, "c", content="merged"))
    assert told == ["rewritten b ?"]
    before, after = seen("b"), seen("b", content="merged")
    assert mirror.event("rewritten").data == {
        "after": format_time(at(1000)),
        "previous_hash": before.content_hash.hex(),
        "hash": after.content_hash.hex(),
        "previous_created_at": format_time(at(10)),
    }
    assert mirror.versions[VersionId("b")].seen.created_at == at(15)


def test_a_rewrite_and_what_happened_besides_are_both_told(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    told = mirror.shows(seen("a", 0, content="merged"), seen("b", 10, "cp", live=(12, None)))
    assert sorted(told) == sorted(
        lines("rewritten a ?, created b 10, superseded a 10, became_current b 10, published b 12")
    )


def test_other_times_or_editors_alone_are_no_rewrite(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "c"))
    assert mirror.shows(replace(seen("a", 5, "c"), editor=None, is_valid=None)) == []
    assert mirror.versions[VersionId("a")].seen.created_at == at(5)


def test_a_burst_merged_into_a_new_version_leaves_the_old_one_missing(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("b", 10, "c"))
    told = mirror.shows(seen("a", 0), seen("x", 10, "c"))
    assert told == lines("created x 10, superseded b 10, became_current x 10, missing b ?")
    assert mirror.flags() == "a b- xc"


def test_the_oldest_versions_that_go_are_missing_once(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("b", 10), seen("c", 20, "c"))
    assert mirror.shows(seen("c", 20, "c")) == lines("missing a ?, missing b ?")
    assert mirror.shows(seen("c", 20, "c")) == []
    assert mirror.flags() == "a- b- cc"
    assert mirror.versions[VersionId("a")].missing_since == at(1001)


def test_a_missing_version_that_only_moves_is_not_missing_again(mirror: Mirror) -> None:
    a, m, b, c, d = (seen(id, 3, "c" if id == "d" else "") for id in "ambcd")
    mirror.shows(a, m, b, c, d)
    assert mirror.shows(a, b, c, d) == ["missing m ?"]
    assert mirror.shows(c, b, a, d) == []
    assert mirror.flags() == "m- c b a dc"
    assert mirror.versions[VersionId("m")].missing_since == at(1001)


def test_a_missing_version_that_is_listed_again_returned(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10, "c"))
    assert mirror.shows(seen("b", 10, "c")) == lines("unpublished a ?, missing a ?")
    told = mirror.shows(seen("a", 0, "p", live=(5, None)), seen("b", 10, "c"))
    assert sorted(told) == lines("published a 5, returned a ?")
    assert mirror.flags() == "ap bc"


def test_an_older_state_shown_for_once_is_told_there_and_back(mirror: Mirror) -> None:
    """A replica that lags: no version but the old one becomes current, and the flag's every turn has its event."""
    both = (seen("a", 0), seen("b", 10, "c"))
    mirror.shows(seen("a", 0, "c"))
    assert mirror.shows(*both) == lines("created b 10, superseded a 10, became_current b 10")
    assert mirror.shows(seen("a", 0, "c")) == lines("superseded b ?, became_current a ?, missing b ?")
    assert mirror.shows(*both) == lines("superseded a ?, became_current b ?, returned b ?")
    assert mirror.flags() == "a bc"


def test_a_list_in_another_order_moves_places_and_tells_nothing(mirror: Mirror) -> None:
    mirror.shows(seen("a", 3), seen("b", 3), seen("c", 3, "c"))
    assert mirror.shows(seen("b", 3), seen("a", 3), seen("c", 3, "c")) == []
    assert mirror.flags() == "b a cc"


def test_a_version_found_late_in_between_has_its_own_story(mirror: Mirror) -> None:
    mirror.shows(seen("a", 0), seen("c", 20, "c"))
    assert story(
        plan_record(
            mirror.known,
            sorted(mirror.versions.values(), key=lambda version: version.ordinal),
            record(),
            (seen("a", 0), seen("b", 10), seen("c", 20, "c")),
            is_complete=True,
            observed_at=at(2000),
        ).events
    ) == lines("created b 10, became_current b 10, superseded b 20")


@pytest.mark.parametrize("copied", [True, False])
def test_the_history_of_another_environment_begins_when_that_of_the_last_one_has_ended(
    mirror: Mirror, copied: bool
) -> None:
    """Another environment became the primary one. Its versions may have ids of their own, and be older."""
    mirror.shows(seen("a", 0), seen("b", 10, "cp", live=(20, None)))
    told = mirror.shows(
        seen("a" if copied else "a2", 0), seen("d", 5, live=(6, 12)), seen("e", 12, "cp", live=(12, None))
    )
    first = [] if copied else lines("created a2 0, became_current a2 0, superseded a2 5")
    ends = lines("superseded b ?, unpublished b ?")
    assert told[:2] == ends
    assert sorted(told[2:]) == sorted(
        [
            *first,
            *lines(
                "created d 5, became_current d 5, published d 6, created e 12, superseded d 12, became_current e 12,"
                "unpublished d 12, published e 12, missing b ?"
            ),
            *([] if copied else lines("missing a ?")),
        ]
    )


def test_a_copied_first_version_is_as_old_as_the_one_that_was_current(mirror: Mirror) -> None:
    """In another environment it has an id of its own, and an edit came after it."""
    mirror.shows(seen("a", 0, "c"))
    told = mirror.shows(seen("a2", 0), seen("b", 10, "c"))
    assert told == lines(
        "superseded a ?, created a2 0, became_current a2 0, created b 10, superseded a2 10, became_current b 10,"
        "missing a ?"
    )


def test_a_mixture_ends_what_was_live_before_that_is_live_again(mirror: Mirror) -> None:
    """Upstream has overwritten when the current version ceased to be live for the first time: the mixture tells."""
    mirror.shows(seen("a", 0, "cp", live=(1, None)))
    told = mirror.shows(seen("a", 0, "cp", live=(9, None)), seen("m", 5, live=(5, 9)))
    assert told == lines("created m 5, unpublished a ?, published m 5, unpublished m 9, published a 9")


# --- deletion and return ---


A_AND_B = (seen("a", 0, "p", live=(5, None)), seen("b", 10, "c"))


@pytest.mark.parametrize(
    "still_listed",
    [(), A_AND_B, (seen("a", 0, live=(5, None)), seen("b", 10)), (seen("a", 0, live=(5, 60)), seen("b", 10))],
    ids=["nothing", "all", "all without flags", "all ended"],
)
def test_a_deletion_leaves_the_flags_and_nothing_is_missing(
    mirror: Mirror, still_listed: tuple[SeenVersion, ...]
) -> None:
    mirror.shows(*A_AND_B)
    assert mirror.is_gone(*still_listed) == ["record.deleted ?"]
    assert mirror.flags() == "ap bc"
    assert mirror.event("deleted").data == {"after": format_time(at(1000))}
    assert mirror.known is not None
    assert mirror.known.deleted_at == at(1001)


def test_a_tombstone_names_its_evidence_and_counts_its_versions(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    plan = deletion(mirror, evidence=DeletionEvidence.MODEL_DELETED)
    assert plan == RecordPlan(
        record_id=RECORD,
        model_id=MODEL,
        is_new=False,
        meta=None,
        current_version_id=VersionId("b"),
        published_version_id=VersionId("a"),
        version_count=2,
        deleted_at=at(2000),
        deletion_evidence=DeletionEvidence.MODEL_DELETED,
        changes=(),
        events=plan.events,
    )


def deletion(mirror: Mirror, *still_listed: SeenVersion, evidence: DeletionEvidence) -> RecordPlan:
    assert mirror.known is not None
    versions = sorted(mirror.versions.values(), key=lambda version: version.ordinal)
    return plan_deletion(mirror.known, versions, still_listed=still_listed, evidence=evidence, observed_at=at(2000))


def test_what_happened_before_the_deletion_is_told_as_far_as_it_can_be_read(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    told = mirror.is_gone(seen("a", 0, live=(5, 40)), seen("b", 10), seen("c", 30, "cp", live=(40, None)))
    assert told == lines(
        "created c 30, superseded b 30, became_current c 30, unpublished a 40, published c 40, record.deleted ?"
    )
    assert mirror.flags() == "a b ccp"


@pytest.mark.parametrize(("until", "flags"), [(None, "a b ccp"), (45, "a b cc")])
def test_flags_that_the_deletion_took_are_those_before_it(mirror: Mirror, until: int | None, flags: str) -> None:
    """Listed without flags: the newest version was current, the last publication was live if it did not end."""
    mirror.shows(*A_AND_B)
    told = mirror.is_gone(seen("a", 0, live=(5, 40)), seen("b", 10), seen("c", 30, live=(40, until)))
    assert told == lines(
        "created c 30, superseded b 30, became_current c 30, unpublished a 40, published c 40,"
        + ("" if until is None else f"unpublished c {until},")
        + "record.deleted ?"
    )
    assert mirror.flags() == flags


@pytest.mark.parametrize("live", [(40, None), (None, None)])
def test_a_version_listed_live_after_the_deletion_ends_the_known_one(
    mirror: Mirror, live: tuple[int | None, None]
) -> None:
    """No current one listed, but a published one: at most one is live (invariant 2)."""
    mirror.shows(*A_AND_B)
    mirror.is_gone(seen("a", 0, live=(5, 40)), seen("b", 10, "p", live=live))
    assert mirror.flags() == "a bcp"


def test_a_mixture_does_not_become_current_by_the_deletion(mirror: Mirror) -> None:
    mixture = seen("m", 20, "p", live=(20, None))
    mirror.shows(seen("a", 0, "c"), mixture)
    assert mirror.is_gone(seen("a", 0), replace(mixture, is_published=False)) == ["record.deleted ?"]
    assert mirror.flags() == "ac mp"


def test_an_unpublication_before_the_deletion_is_told(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    told = mirror.is_gone(seen("a", 0, live=(5, 40)), seen("b", 10, "c"))
    assert told == lines("unpublished a 40, record.deleted ?")


def test_a_record_that_is_gone_is_not_deleted_again(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    assert mirror.is_gone(*A_AND_B) == []
    assert mirror.known is not None
    assert mirror.known.deleted_at == at(1001), "the tombstone keeps its time"


def test_a_record_that_returns_as_it_was_says_only_that(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    assert mirror.shows(*A_AND_B) == ["record.returned ?"]
    assert mirror.event("returned").data == {"after": format_time(at(1001))}
    assert mirror.flags() == "ap bc"
    assert mirror.known is not None
    assert mirror.known.deleted_at is None


@pytest.mark.parametrize("made", [30, 1002])
def test_a_record_that_returns_with_more_tells_it_by_upstreams_time(mirror: Mirror, made: int) -> None:
    """What happened before it was found deleted comes before its return."""
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    more = lines(f"created c {made}, superseded b {made}, became_current c {made}")
    told = mirror.shows(A_AND_B[0], seen("b", 10), seen("c", made, "c"), seen_at=at(1003))
    assert told == ([*more, "record.returned ?"] if made < 1001 else ["record.returned ?", *more])
    assert mirror.event("returned").occurred_at == at(1003 if made < 1001 else made)


def test_a_record_can_go_and_return_again_and_again(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    for _ in range(3):
        assert mirror.is_gone() == ["record.deleted ?"]
        assert mirror.shows(*A_AND_B) == ["record.returned ?"]
    assert len({row.key for row in mirror.rows}) == len(mirror.rows)


def test_a_record_made_again_loses_its_old_versions_and_their_flags(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    told = mirror.shows(seen("x", 70, "cp", live=(80, None)), created_at=at(70))
    assert told == lines(
        "record.returned 70, created x 70, superseded b ?, became_current x 70, unpublished a ?, published x 80,"
        "missing a ?, missing b ?"
    )
    assert mirror.flags() == "a- b- xcp"


def test_the_new_versions_of_a_record_made_again_are_told_by_upstreams_time(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    told = mirror.shows(seen("x", 70), seen("y", 80, "c"), created_at=at(70))
    assert "superseded x 80" in told
    assert "superseded b ?" in told


def test_a_version_that_a_later_life_still_lists_was_superseded_when_upstream_says(mirror: Mirror) -> None:
    """First seen in a record that was made again and looked deleted, and then had not gone after all."""
    mirror.shows(*A_AND_B)
    mirror.is_gone(seen("x", 70, "c"))
    told = mirror.shows(seen("x", 70), seen("y", 80, "c"), created_at=at(70))
    assert "superseded x 80" in told
    assert "superseded x ?" not in told


def test_a_record_made_again_while_nobody_looked_is_told_deleted_and_returned(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    told = mirror.shows(seen("x", 70, "c"), created_at=at(70))
    assert told == lines(
        "record.deleted ?, record.returned 70, created x 70, superseded b ?, became_current x 70,"
        "unpublished a ?, missing a ?, missing b ?"
    )


@pytest.mark.parametrize(
    ("versions", "complete", "created"),
    [
        ((seen("b", 10), seen("x", 70, "c")), True, 70),
        ((seen("x", 70, "c"),), False, 70),
        ((seen("x", 70, "c"),), True, 0),
        ((seen("x", 70, "c"),), True, None),
    ],
    ids=["an old version is listed", "not all was read", "it is not younger", "its time is not told"],
)
def test_without_proof_that_it_was_made_again_a_record_only_goes_on(
    mirror: Mirror, versions: tuple[SeenVersion, ...], complete: bool, created: int | None
) -> None:
    mirror.shows(*A_AND_B)
    told = mirror.shows(*versions, complete=complete, created_at=None if created is None else at(created))
    assert not [event for event in told if event.startswith("record")]
    assert "superseded b 70" in told


def test_a_returned_record_without_a_later_time_is_observed(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B, created_at=at(70))
    mirror.is_gone()
    assert mirror.shows(seen("x", 5, "c"), created_at=at(5))[0] == "record.returned ?"


def test_a_returned_record_whose_former_time_is_unknown_is_observed(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B, created_at=None)
    mirror.is_gone()
    assert "record.returned ?" in mirror.shows(seen("x", 70, "c"), created_at=at(70))


# --- what cannot be true, and what is left as it is ---


@pytest.mark.parametrize(
    ("versions", "what"),
    [
        ((seen("a", 0, "c"), seen("b", 10, "c")), "current"),
        ((seen("a", 0, "p"), seen("b", 10, "cp")), "published"),
        ((seen("a", 0), seen("a", 0, "c")), "twice"),
    ],
)
def test_a_contradiction_is_refused(mirror: Mirror, versions: tuple[SeenVersion, ...], what: str) -> None:
    with pytest.raises(InconsistentHistory, match=what):
        mirror.shows(*versions)
    mirror.shows(*A_AND_B)
    with pytest.raises(InconsistentHistory, match=what):
        mirror.is_gone(*versions)


def test_a_plan_carries_the_meta_and_who_holds_the_flags(mirror: Mirror) -> None:
    pull = Pull(record=record(status="updated"), seen=A_AND_B, is_complete=True)
    plan = mirror.look(pull, at(1000))
    assert (plan.record_id, plan.model_id, plan.is_new, plan.meta) == (RECORD, MODEL, True, pull.record)
    assert (plan.current_version_id, plan.published_version_id, plan.version_count) == ("b", "a", 2)
    assert (plan.deleted_at, plan.deletion_evidence) == (None, None)
    assert [change.after.id for change in plan.changes] == ["a", "b"]
    assert all(change.before is None and not change.is_rewrite for change in plan.changes)


def test_every_event_names_record_version_and_model(mirror: Mirror) -> None:
    mirror.shows(*A_AND_B)
    mirror.is_gone()
    mirror.shows(seen("x", 70, "c"), created_at=at(70))
    for event in mirror.events:
        assert (event.record_id, event.model_id) == (RECORD, MODEL)
        assert (event.version_id is None) == event.type.startswith("record")


def test_the_keys_are_the_transitions_own(mirror: Mirror) -> None:
    """They are kept in databases: another form would tell all of it again."""
    mirror.shows(seen("a", 0, live=(5, 20)), seen("b", 10, "cp", live=(20, None)))
    assert [event.key for event in mirror.events] == [
        "record.created:record",
        "version.created:a",
        "version.became_current:a",
        "version.published:a:2026-07-01T12:00:05.000000Z",
        "version.created:b",
        "version.superseded:a:b",
        "version.became_current:b",
        "version.unpublished:a:2026-07-01T12:00:05.000000Z:2026-07-01T12:00:20.000000Z",
        "version.published:b:2026-07-01T12:00:20.000000Z",
    ]


def test_a_publication_of_the_records_time_has_a_key_of_its_own(mirror: Mirror) -> None:
    """An interval that begins in that very instant may be another one."""
    mirror.shows(seen("a", 0, "cp"), published_at=at(5))
    assert mirror.event("published").key == "version.published:a::2026-07-01T12:00:05.000000Z"
    mirror.shows(seen("a", 0, "c", live=(None, 5)), published_at=at(5))
    assert mirror.shows(seen("a", 0, "c", live=(5, 5)), published_at=at(5)) == lines("published a 5, unpublished a 5")

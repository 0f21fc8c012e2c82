"""In which order versions came: the list decides within a second, time where the list breaks its promise."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.records import SeenVersion, Version
from versionsync.ledger.version_order import ORDINAL_STEP, VersionPair, is_newest_first, merge, number, oldest_first

from .build import seen, version


def ids(versions: list[VersionPair] | tuple[SeenVersion, ...]) -> str:
    """The ids, one letter each, in order."""
    return "".join((v.known or v.seen).id if isinstance(v, VersionPair) else v.id for v in versions)  # type: ignore[union-attr]


# --- the list ---


def test_upstreams_promise_is_times_that_do_not_rise_and_a_current_one() -> None:
    assert is_newest_first([seen("b", 2, "c"), seen("a", 1)])
    assert is_newest_first([seen("b", 1, "c"), seen("a", 1)])
    assert is_newest_first([seen("a", 1, "c")])
    assert is_newest_first([seen("m", 3, "p"), seen("b", 2, "c")]), "a published mixture may come first"
    assert not is_newest_first([seen("a", 1), seen("b", 2, "c")])
    assert not is_newest_first([seen("c", 2, "c"), seen("a", 1), seen("b", 2)])
    assert not is_newest_first([seen("b", 2), seen("a", 1)])
    assert not is_newest_first([])


def test_a_list_that_keeps_it_is_turned_round() -> None:
    assert ids(oldest_first([seen("c", 2, "c"), seen("b", 1), seen("a", 1)])) == "abc"
    assert ids(oldest_first([seen("m", 3, "p"), seen("b", 2, "c"), seen("a", 1)])) == "abm"
    assert ids(oldest_first([seen("a", 1, "c")])) == "a"
    assert oldest_first([]) == ()


def test_within_one_second_the_current_one_tells_which_end_is_new() -> None:
    assert ids(oldest_first([seen("c", 1, "c"), seen("b", 1), seen("a", 1)])) == "abc"
    assert ids(oldest_first([seen("a", 1), seen("b", 1), seen("c", 1, "c")])) == "abc"
    assert ids(oldest_first([seen("b", 1), seen("a", 1)])) == "ab", "none is current: as upstream lists"


def test_a_list_oldest_first_stays_as_it_is() -> None:
    assert ids(oldest_first([seen("a", 1), seen("b", 2), seen("c", 2, "c")])) == "abc"


def test_a_list_in_no_order_is_sorted_by_time_the_current_one_last_of_its_second() -> None:
    listed = [seen("b", 2), seen("d", 4, "c"), seen("a", 1), seen("e", 4), seen("c", 3)]
    assert ids(oldest_first(listed)) == "abced"


LISTS = st.lists(st.integers(0, 3), max_size=6).flatmap(
    lambda times: st.integers(-1, len(times) - 1).map(
        lambda current: [seen(str(n), time, "c" if n == current else "") for n, time in enumerate(times)]
    )
)


@given(LISTS)
def test_whatever_the_list_all_of_it_comes_back_in_times_that_do_not_fall(listed: list[SeenVersion]) -> None:
    ordered = oldest_first(listed)
    assert sorted(v.id for v in ordered) == sorted(v.id for v in listed)
    assert all(earlier.created_at <= later.created_at for earlier, later in pairwise(ordered))


@given(LISTS)
def test_a_list_and_the_same_list_turned_round_mean_the_same(listed: list[SeenVersion]) -> None:
    """As long as times or the current one tell the ends apart."""
    newest_first = sorted(listed, key=lambda v: (v.created_at, v.is_current), reverse=True)
    if newest_first and newest_first[0].is_current:
        assert oldest_first(newest_first) == oldest_first(newest_first[::-1])


# --- merging ---


def test_what_is_seen_decides_and_the_unseen_keep_their_places() -> None:
    known = [version("a", 10, 1), version("b", 20, 2), version("c", 30, 3), version("d", 40, 4, "c")]
    assert ids(merge(known, [seen("b", 2), seen("d", 4, "c")])) == "abcd"
    assert ids(merge(known, [])) == "abcd"
    assert ids(merge(known[::-1], [])) == "abcd", "known ones come by ordinal"
    assert ids(merge([version("a", 10, 5), version("b", 20, 1)], [seen("b", 1)])) == "ab", "whatever their times"
    assert ids(merge([], [seen("a", 1), seen("b", 2, "c")])) == "ab"


def test_new_ones_come_after_the_known_of_their_second() -> None:
    known = [version("a", 10, 1), version("b", 20, 2)]
    assert ids(merge(known, [seen("x", 2), seen("y", 3, "c")])) == "abxy"
    assert ids(merge(known, [seen("x", 1), seen("y", 3, "c")])) == "axby"


def test_the_new_current_one_comes_after_all_that_are_gone_whatever_its_time() -> None:
    """A merged burst takes the place of the version it swallowed, and may take an older time."""
    known = [version("a", 10, 1), version("b", 20, 5, "c")]
    assert ids(merge(known, [seen("a", 1), seen("x", 4, "c")])) == "abx"


def test_seen_ones_in_another_order_than_known_are_put_in_the_order_seen() -> None:
    known = [version("a", 10, 1), version("b", 20, 1), version("c", 30, 2)]
    slots = merge(known, [seen("b", 1), seen("a", 1), seen("c", 2, "c")])
    assert ids(slots) == "bac"
    assert number(slots) == [1024, 2048, 3072]


def test_each_slot_says_what_is_known_and_what_is_seen() -> None:
    a, b = version("a", 10, 1), version("b", 20, 2)
    assert merge([a, b], [seen("b", 2), seen("c", 3)]) == [
        VersionPair(a, None),
        VersionPair(b, seen("b", 2)),
        VersionPair(None, seen("c", 3)),
    ]


# --- ordinals ---


def slots(*ordinals: int | None) -> list[VersionPair]:
    """A slot for each: a known version with this ordinal, or (None) a new one."""
    return [
        VersionPair(None, seen(f"n{n}")) if ordinal is None else VersionPair(version(f"k{n}", ordinal), None)
        for n, ordinal in enumerate(ordinals)
    ]


def test_a_first_look_leaves_room_everywhere() -> None:
    assert number(slots(None, None, None)) == [1024, 2048, 3072]
    assert number([]) == []


def test_known_ordinals_stay_and_new_ones_are_put_between() -> None:
    assert number(slots(1024, None)) == [1024, 2048]
    assert number(slots(1024, None, 2048)) == [1024, 1536, 2048]
    assert number(slots(None, 1024)) == [512, 1024]
    assert number(slots(10, None, None)) == [10, 1034, 2058]
    assert number(slots(10, None, None, 13)) == [10, 11, 12, 13]


def test_without_room_all_are_numbered_anew() -> None:
    assert number(slots(10, None, None, 12)) == [1024, 2048, 3072, 4096]
    assert number(slots(None, 0)) == [1024, 2048]
    assert number(slots(20, 10)) == [1024, 2048]


KNOWN = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 30), st.integers(0, 5)),
    unique_by=(lambda row: row[0], lambda row: row[1]),
    max_size=6,
).map(lambda rows: [version(*row) for row in rows])
SEEN = st.lists(
    st.tuples(st.sampled_from("abcdefghxyz"), st.integers(0, 5)), unique_by=lambda row: row[0], max_size=6
).map(lambda rows: [seen(*row) for row in rows])


@given(KNOWN, SEEN)
def test_a_merge_holds_everything_once_and_the_seen_in_their_order(
    known: list[Version], listed: list[SeenVersion]
) -> None:
    slots = merge(known, listed)
    assert sorted(ids(slots)) == sorted({v.id for v in known} | {v.id for v in listed})
    assert [slot.seen for slot in slots if slot.seen] == listed
    unseen = [slot.known for slot in slots if slot.known and not slot.seen]
    assert unseen == sorted(unseen, key=lambda v: v.ordinal)


@given(KNOWN, SEEN)
def test_ordinals_rise_and_the_next_look_finds_the_same_order(known: list[Version], listed: list[SeenVersion]) -> None:
    slots = merge(known, listed)
    ordinals = number(slots)
    assert all(earlier < later for earlier, later in pairwise(ordinals))
    kept = [
        version(id, ordinal, (slot.seen or slot.known.seen).created_at.second)  # type: ignore[union-attr]
        for id, ordinal, slot in zip(ids(slots), ordinals, slots, strict=True)
    ]
    again = merge(kept, listed)
    assert ids(again) == ids(slots)
    assert number(again) == ordinals


def test_a_hundred_versions_can_be_put_before_all_others_one_by_one() -> None:
    """A restored older history, found bit by bit: room runs out, order does not."""
    known: list[Version] = [version("z", ORDINAL_STEP)]
    for n in range(100):
        slots = [VersionPair(None, seen(f"n{n}")), *(VersionPair(v, None) for v in known)]
        ordinals = number(slots)
        assert all(earlier < later for earlier, later in pairwise(ordinals))
        rows = [version(f"n{n}", 1), *known]
        known = [replace(row, ordinal=ordinal) for row, ordinal in zip(rows, ordinals, strict=True)]

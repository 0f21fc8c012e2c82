"""A fingerprint moves with anything in a record's meta, but not with the printing of its times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from versionsync.ledger.content import ContentError, fingerprint, precision_of, same_fingerprint
from versionsync.ledger.records import Editor

from .printing import FORMATS, INSTANTS, Format, print_time

META: dict[str, object] = {
    "created_at": "2026-03-01T10:00:00Z",
    "published_at": None,
    "status": "draft",
    "stage": None,
    "unheard_of": 7,
}
WHO = Editor("user", "7")


def of(meta: dict[str, object], *, model_id: str = "m", creator: Editor | None = WHO) -> bytes:
    """The fingerprint of a meta as Python spells it."""
    return fingerprint(json.dumps(meta).encode(), model_id=model_id, creator=creator)


@pytest.mark.parametrize("name", META)
@pytest.mark.parametrize("value", ["other", None, True, 2, [], {}])
def test_any_member_moves_it_known_today_or_not(name: str, value: object) -> None:
    assert (of(META | {name: value}) == of(META)) == (META[name] == value)


def test_a_member_that_comes_or_goes_moves_it() -> None:
    assert of(META | {"new": None}) != of(META)
    assert of({name: value for name, value in META.items() if name != "stage"}) != of(META)


def test_the_model_and_the_creator_move_it() -> None:
    told = {
        of(META),
        of(META, model_id="n"),
        of(META, creator=None),
        of(META, creator=Editor("user", "8")),
        of(META, creator=Editor("account", "7")),
        of(META, creator=Editor("", "")),
    }
    assert len(told) == 6


@given(st.permutations(list(META.items())), st.sampled_from([None, 2]))
def test_the_spelling_does_not_move_it(members: list[tuple[str, object]], indent: int | None) -> None:
    spelled = json.dumps(dict(members), indent=indent).replace("created", "\\u0063reated").encode()
    assert fingerprint(spelled, model_id="m", creator=WHO) == of(META)


def test_it_is_the_same_in_every_release() -> None:
    """It is kept in the database: another algorithm would read every record again."""
    digest = sha256(b'{"a":"A","b":1}\nm\nuser:7').digest()
    expected = digest[:16] + digest[:15] + b"\xff"
    assert fingerprint(b'{"b":1.0,"a":"\\u0041"}', model_id="m", creator=WHO) == expected
    coarse = sha256(b'{"at":2026-03-01T10:00:00+00:00}\nm\n').digest()
    fine = sha256(b'{"at":2026-03-01T10:00:00+00:00.12}\nm\n').digest()
    expected = coarse[:16] + fine[:15] + b"\x03"
    assert fingerprint(b'{"at":"2026-03-01T12:00:00.120+02:00"}', model_id="m", creator=None) == expected


def test_a_meta_that_is_no_json_is_refused() -> None:
    with pytest.raises(ContentError):
        fingerprint(b"{", model_id="m", creator=None)


# --- times that are printed in another form ---

METAS = st.dictionaries(st.sampled_from(["created_at", "updated_at", "published_at"]), INSTANTS, min_size=1)
NOON = datetime(2026, 3, 1, 12, 0, 7, 195_000, tzinfo=UTC)


def printed(times: dict[str, datetime], form: Format) -> bytes:
    return of({"status": "draft", **{name: print_time(time, form) for name, time in times.items()}})


@given(METAS, FORMATS, FORMATS)
@example({"created_at": NOON}, Format(0, None), Format(3, None))
def test_another_zone_or_precision_does_not_move_it(times: dict[str, datetime], before: Format, now: Format) -> None:
    assert same_fingerprint(printed(times, before), printed(times, now))
    assert same_fingerprint(printed(times, now), printed(times, before))


@given(METAS, FORMATS, FORMATS, st.sampled_from([-3600, -1, 1, 60]))
def test_a_time_that_moves_by_seconds_moves_it_in_any_form(
    times: dict[str, datetime], before: Format, now: Format, seconds: int
) -> None:
    name = min(times)
    moved = times | {name: times[name] + timedelta(seconds=seconds)}
    assert not same_fingerprint(printed(times, before), printed(moved, now))


@given(METAS, FORMATS, FORMATS)
def test_milliseconds_count_while_they_are_printed(times: dict[str, datetime], before: Format, now: Format) -> None:
    """A change of the zone does not hide them either."""
    name = min(times)
    other = times[name].replace(microsecond=(times[name].microsecond + 1000) % 1_000_000)
    before, now = Format(3, before.offset, before.mark), Format(3, now.offset, now.mark)
    assert not same_fingerprint(printed(times, before), printed(times | {name: other}, now))


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("2026-03-01T10:00:00Z", 0),
        ("2026-03-01T10:00:00.000Z", 3),
        ("2026-03-01T10:00:00.123456+0200", 6),
        ("2026-03-01 10:00:00 UTC", 0),
        ("2026-03-01", None),
        ("2026-13-01T10:00:00Z", None),
        ('a \\"2026-03-01T10:00:00Z', None),
        ('"2026-03-01T10:00:00Z', None),
    ],
)
def test_the_precision_is_that_of_the_finest_time(text: str, precision: int | None) -> None:
    """Text that only contains a time is none."""
    assert precision_of(of({"at": text})) == precision
    assert precision_of(of({"at": text, "too": "2026-03-01T10:00:00.1Z"})) == max(1, precision or 0)


def test_a_text_that_is_no_time_counts_whole() -> None:
    texts = ["2026-03-01", "2026-03-01T10:00:61Z", '"2026-03-01T10:00:00Z', '"2026-03-01T12:00:00+02:00', "10:00:00Z"]
    found = {of({"at": text})[:16] for text in texts}
    assert len(found) == len(texts)

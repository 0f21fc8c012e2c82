"""What a version changed, and what a few events come to, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from versionsync.history.acts import group_events, kinds_of, subject_of, version_of
from versionsync.history.model import ActKind, Event, FieldChange
from versionsync.history.summary import changes_in_words

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
CHANGE = FieldChange(
    field_id="1",
    field="title",
    locale=None,
    block_id=None,
    block_path=None,
    kind="text",
    operation="changed",
    words_added=0,
    words_removed=0,
)
EVENT = Event(
    id=1,
    source="website",
    type="version.created",
    record_id="r",
    version_id="v",
    model_id="m",
    occurred_at=NOON,
    occurred_basis="upstream",
    observed_at=NOON,
    run_id=1,
    data_json="{}",
    key="",
    actor_type=None,
    actor_id=None,
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], []),
        ([CHANGE], ["title"]),
        ([replace(CHANGE, words_added=3, words_removed=1)], ["title +3 −1 words"]),
        ([replace(CHANGE, words_added=2)], ["title +2 words"]),
        ([replace(CHANGE, locale="en"), replace(CHANGE, locale="it")], ["title (en, it)"]),
        ([replace(CHANGE, kind="attribute", operation="added")], ["title added"]),
        ([replace(CHANGE, kind="reference", operation="removed")], ["title removed"]),
        ([replace(CHANGE, kind="structure", operation="moved")], ["title moved"]),
        ([replace(CHANGE, kind="formatting")], ["title formatting"]),
        ([replace(CHANGE, kind="formatting"), replace(CHANGE, words_added=5)], ["title +5 words"]),
        ([replace(CHANGE, block_id="b", words_added=2)], ["title in a block +2 words"]),
        (
            [CHANGE, replace(CHANGE, field="body", words_added=9), replace(CHANGE, block_id="b", words_removed=3)],
            ["body +9 words", "title in a block −3 words", "title"],
        ),
    ],
)
def test_changes_are_told_in_a_few_words_the_largest_first(changes: list[FieldChange], words: list[str]) -> None:
    assert changes_in_words(changes) == words


def events(*types: str) -> list[Event]:
    """Events of one record at one moment; each is about a version of its own."""
    return [replace(EVENT, id=id, type=type, version_id=f"v{id}") for id, type in enumerate(types, start=1)]


@pytest.mark.parametrize(
    ("types", "kinds"),
    [
        (("record.created", "version.created", "version.became_current"), [ActKind.CREATED]),
        (("version.created", "version.superseded", "version.became_current"), [ActKind.EDITED]),
        (
            (
                "version.created",
                "version.superseded",
                "version.became_current",
                "version.unpublished",
                "version.published",
            ),
            [ActKind.EDITED, ActKind.PUBLISHED],
        ),
        (("version.unpublished", "version.published"), [ActKind.PUBLISHED]),
        (("version.unpublished",), [ActKind.UNPUBLISHED]),
        (("version.superseded", "version.became_current"), [ActKind.REVERTED]),
        (("version.superseded",), []),
        (("record.deleted",), [ActKind.DELETED]),
        (("version.rewritten",), [ActKind.REWRITTEN]),
        (("version.missing",), [ActKind.MISSING]),
        (("record.returned",), [ActKind.RETURNED]),
        (("field.changed",), [ActKind.SCHEMA]),
        (("source.environment_changed",), [ActKind.SOURCE]),
    ],
)
def test_events_come_to_what_somebody_did(types: tuple[str, ...], kinds: list[ActKind]) -> None:
    assert list(kinds_of(events(*types))) == kinds


def test_an_act_is_about_the_version_that_was_made_or_went_live() -> None:
    assert version_of(events("version.superseded", "version.created", "version.became_current")) == "v2"
    assert version_of(events("version.unpublished", "version.published")) == "v2"
    assert version_of(events("version.unpublished")) == "v1"
    assert version_of([replace(EVENT, type="record.deleted", version_id=None)]) is None


def test_events_of_two_records_at_one_moment_are_two_acts() -> None:
    """Their ids may alternate. What is about no record is an act of its own."""
    later = NOON + timedelta(seconds=1)
    found = [
        EVENT,
        replace(EVENT, id=2, record_id="s"),
        replace(EVENT, id=3),
        replace(EVENT, id=4, record_id=None, type="field.changed"),
        replace(EVENT, id=5, record_id=None, type="model.changed"),
        replace(EVENT, id=6, occurred_at=later),
        replace(EVENT, id=7, source="other"),
        replace(EVENT, id=8, occurred_at=later),
    ]
    assert [[event.id for event in act] for act in group_events(found)] == [[1, 3], [2], [4], [5], [6, 8], [7]]


def test_a_change_of_the_schema_names_what_changed() -> None:
    field = '{"field": {"id": "1", "api_key": "body"}, "changes": {"label": ["Text", "Body"]}}'
    assert subject_of(replace(EVENT, data_json=field), "article") == "article.body: label"
    assert subject_of(replace(EVENT, data_json='{"model": {"id": "1", "api_key": "page"}}'), "page") == "page"
    assert subject_of(replace(EVENT, data_json='{"from": "main", "to": "next"}'), None) == "main → next"
    zone = '{"before": {}, "now": {"time_precision": null, "time_zone": "Europe/Rome"}}'
    assert subject_of(replace(EVENT, data_json=zone), None) == "Europe/Rome"
    assert subject_of(EVENT, None) == ""

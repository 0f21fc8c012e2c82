"""The answers agree with a naive reading of the same mirror, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from versionsync.api import ActKind, Mirror, PendingReason
from versionsync.history.acts import words_of
from versionsync.history.errors import BeforeHistory, UnknownName
from versionsync.ledger.times import parse_time
from versionsync.mirror.database import Mirror as Database

__all__ = ["news_site"]

pytestmark = pytest.mark.both_databases

NOW = NOON + timedelta(hours=2)
MOMENTS = [NOON - timedelta(days=days) for days in (-1, 0, 1, 7, 30, 61, 80)]

Ask = Callable[[str], list[Any]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, news_site: MakeNewsSite) -> Iterator[Database]:
    with Database.open(news_site(request.param).url, reads_only=True) as opened:
        yield opened


@pytest.fixture
def mirror(database: Database) -> Mirror:
    return Mirror(database, now=lambda: NOW)


@pytest.fixture
def rows(database: Database) -> Ask:
    def ask(sql: str) -> list[Any]:
        with database.read() as connection:
            return list(connection.execute(text(sql)))

    return ask


def time(value: Any) -> datetime:
    return parse_time(value) if isinstance(value, str) else value


def holding(found: list[Any], at: datetime) -> set[tuple[str, str]]:
    """Record and version of the rows (record, version, from, until) whose time holds the moment."""
    return {
        (record, version)
        for record, version, start, end in found
        if start is not None and time(start) <= at and (end is None or time(end) > at)
    }


@pytest.mark.parametrize("at", MOMENTS)
def test_what_was_live_is_what_the_publications_say(mirror: Mirror, rows: Ask, at: datetime) -> None:
    said = holding(rows("SELECT record_id, version_id, live_from, live_until FROM publications"), at)
    found = list(mirror.as_of(at, published=True, content=False))
    assert {(one.record_id, one.version_id) for one in found} == said
    assert len(found) == len(said)
    assert all(one.kind == "published" and one.valid_from <= at for one in found)


@pytest.mark.parametrize("at", MOMENTS)
def test_what_was_current_is_what_the_timeline_says(mirror: Mirror, rows: Ask, at: datetime) -> None:
    said = holding(rows("SELECT record_id, version_id, current_from, current_until FROM version_timeline"), at)
    found = list(mirror.as_of(at))
    assert {(one.record_id, one.version_id) for one in found} == said
    by_model = [one for model in {one.model for one in found} for one in mirror.as_of(at, model=model)]
    assert sorted(by_model, key=repr) == sorted(found, key=repr)
    for one in found[:5]:
        assert list(mirror.as_of(at, one.record_id)) == [one]
        assert one.attributes is not None
        (version,) = (each for each in mirror.versions(one.record_id) if each.version_id == one.version_id)
        assert (version.attributes_json, version.title) == (one.attributes_json, one.title)


def test_a_moment_before_the_history_is_refused_with_its_beginning(mirror: Mirror) -> None:
    begins = mirror.begins_at()
    assert begins is not None
    assert next(mirror.as_of(begins)).valid_from <= begins
    with pytest.raises(BeforeHistory, match=f"the history begins at {begins:%Y-%m-%d %H:%M:%S} UTC"):
        next(mirror.as_of(begins - timedelta(seconds=1)))
    with pytest.raises(BeforeHistory, match="its first sync was at 2026-09-01 12:00:00 UTC"):
        next(mirror.as_of(NOON, known_at=NOON - timedelta(hours=1)))


def test_the_log_of_the_project_has_every_version_once_newest_first(mirror: Mirror, rows: Ask) -> None:
    found = list(mirror.versions(content=False))
    assert sorted(one.version_id for one in found) == sorted(row.id for row in rows("SELECT id FROM versions"))
    assert all(one.created_at >= after.created_at for one, after in pairwise(found))
    assert sum(one.is_current for one in found) == len({one.record_id for one in found})
    assert sum(one.is_first for one in found) == len({one.record_id for one in found})
    assert all(one.changes for one in found if one.is_first)


def test_the_log_of_a_model_an_editor_and_a_time_is_part_of_it(mirror: Mirror, rows: Ask) -> None:
    found = list(mirror.versions(content=False))
    since, until = NOON - timedelta(days=40), NOON - timedelta(days=10)
    for model in ("article", "page", "author"):
        assert list(mirror.versions(model=model, content=False)) == [one for one in found if one.model == model]
    for name in Counter(one.editor_name for one in found if one.editor_name):
        assert {one.version_id for one in mirror.versions(editor=name, content=False)} == {
            one.version_id for one in found if one.editor_name == name
        }
    some = list(mirror.versions(since=since, until=until, content=False))
    assert some == [one for one in found if since <= one.created_at < until]
    assert len(some) > 10
    of_editor = list(mirror.versions(editor="Ben Writer", model="article", content=False))
    assert of_editor == [one for one in found if (one.editor_name, one.model) == ("Ben Writer", "article")]


def test_the_life_of_a_field_has_the_versions_that_changed_it(mirror: Mirror) -> None:
    of_pages = list(mirror.versions(model="page"))
    found = list(mirror.versions(model="page", field="sections"))
    assert 0 < len(found) < len(of_pages)
    assert found == [one for one in of_pages if any(each.field == "sections" for each in one.changes or ())]
    with pytest.raises(UnknownName, match="there is no field sectoins") as refused:
        next(mirror.versions(field="sectoins"))
    assert refused.value.hint == "Did you mean sections?"


def test_the_intervals_of_a_version_are_those_of_the_views(mirror: Mirror, rows: Ask) -> None:
    said = Counter(row.version_id for row in rows("SELECT version_id FROM publications"))
    for one in mirror.versions(content=False):
        assert len(one.published) == said[one.version_id]
        assert (one.published != () and one.published[-1].valid_until is None) == one.is_published


@pytest.mark.parametrize("days", [0.04, 1, 20, 200])
def test_changes_are_those_that_the_events_of_the_time_tell(mirror: Mirror, rows: Ask, days: float) -> None:
    since = NOW - timedelta(days=days)
    acts: dict[str, set[str]] = {}
    told = rows("SELECT record_id, type, occurred_at, version_id FROM events WHERE record_id IS NOT NULL ORDER BY id")
    published = {(row.record_id, time(row.occurred_at)) for row in told if row.type == "version.published"}
    firsts = {one.version_id for one in mirror.versions(content=False) if one.is_first}
    for row in told:
        at = time(row.occurred_at)
        kind = {
            "version.created": "created" if row.version_id in firsts else "edited",
            "version.published": "published",
            "version.unpublished": "" if (row.record_id, at) in published else "unpublished",
            "record.deleted": "deleted",
        }.get(row.type, "")
        if kind and since <= at < NOW:
            acts.setdefault(row.record_id, set()).add(kind)
    found = list(mirror.changes(since))
    assert {one.record_id: {kind.value for kind in one.acts} for one in found} == acts
    order = ["deleted", "unpublished", "published", "created", "edited"]
    ranks = [min(order.index(kind) for kind in one.acts) for one in found]
    assert ranks == sorted(ranks)
    versions = Counter(one.record_id for one in mirror.versions(since=since, content=False))
    assert {one.record_id: one.versions for one in found if one.versions} == versions
    assert all(one.title for one in found if one.model == "article")


def test_changes_name_fields_words_and_editors(mirror: Mirror) -> None:
    found = {one.title: one for one in mirror.changes(NOON)}
    edited = next(one for one in found.values() if "edited" in one.acts)
    assert edited.acts == (ActKind.PUBLISHED, ActKind.EDITED)
    assert set(edited.fields or ()) == {"title", "slug"}
    assert edited.words_added > 3
    assert edited.editors == ("Ben Writer",)
    assert [one.title for one in mirror.changes(NOON, model="page")] == []


def test_pending_is_what_is_not_live_the_longest_waiting_first(mirror: Mirror, rows: Ask) -> None:
    found = list(mirror.pending())
    waiting = [one.waiting_since for one in found if one.waiting_since is not None]
    assert waiting == sorted(waiting)
    behind = rows("SELECT id, status FROM records WHERE deleted_at IS NULL AND status IN ('draft', 'updated')")
    retired = _retired(mirror, rows)
    assert {one.record_id for one in found if one.waiting_since} == {row.id for row in behind} - retired
    assert retired, "the news site has records that were unpublished and not saved again"
    for one in found:
        versions = list(mirror.versions(one.record_id, content=False))
        assert one.version_id == versions[0].version_id
        if one.published_version_id is not None and one.waiting_since is not None:
            live = next(each.ordinal for each in versions if each.is_published)
            newer = [each for each in versions if each.ordinal > live]
            assert (one.waiting_since, one.versions) == (newer[-1].created_at, len(newer))
            assert PendingReason.CHANGES in one.reasons
        elif one.waiting_since is not None:
            assert PendingReason.DRAFT in one.reasons
    scheduled = rows("SELECT id FROM records WHERE publication_scheduled_at IS NOT NULL AND deleted_at IS NULL")
    assert {one.record_id for one in found if PendingReason.PUBLICATION in one.reasons} == {row.id for row in scheduled}
    assert list(mirror.pending(limit=3)) == found[:3]
    assert list(mirror.pending(model="article")) == [one for one in found if one.model == "article"]


def _retired(mirror: Mirror, rows: Ask) -> set[str]:
    """Records that were unpublished and not saved again."""
    ended = {
        row.record_id: time(row.ended)
        for row in rows("SELECT record_id, max(live_until) AS ended FROM publications GROUP BY record_id")
        if row.ended is not None
    }
    found = set()
    for row in rows("SELECT id FROM records WHERE published_version_id IS NULL AND deleted_at IS NULL"):
        if row.id in ended and next(mirror.versions(row.id, content=False)).created_at <= ended[row.id]:
            found.add(row.id)
    return found


def test_the_bin_has_what_was_deleted(mirror: Mirror, rows: Ask) -> None:
    (one,) = mirror.deleted()
    ((id, at),) = rows("SELECT id, deleted_at FROM records WHERE deleted_at IS NOT NULL")
    assert (one.record_id, one.deleted_at) == (id, time(at))
    versions = list(mirror.versions(one.record_id))
    assert (one.version_count, one.version_id) == (len(versions), versions[0].version_id)
    assert one.title == versions[0].title
    assert one.editor == versions[0].editor
    assert list(mirror.deleted(since=at if not isinstance(at, str) else parse_time(at))) == [one]
    assert list(mirror.deleted(until=time(at))) == []
    assert list(mirror.deleted(model="page")) == []


def test_every_event_belongs_to_one_act(mirror: Mirror) -> None:
    reader = mirror.event_reader()
    reader.start_after(0)
    acts = list(reader.acts())
    told = [event.id for act in acts for event in act.events]
    every = list(mirror.events())
    assert len(told) == len(set(told))
    assert {event.id for event in every} - set(told) <= {e.id for e in every if e.type == "version.superseded"}
    assert [act.id for act in reader.start_before_last_acts(7)] == [act.id for act in acts][-7:]
    words = Counter(words_of(act) for act in acts)
    assert set(words) >= {"created", "edited", "published", "unpublished", "deleted", "edited and published"}
    versions = {one.version_id: one for one in mirror.versions(content=False)}
    for act in acts:
        if act.version_id is not None and ActKind.DELETED not in act.kinds:
            assert (act.title, act.editor) == (versions[act.version_id].title, versions[act.version_id].editor)


def test_events_are_chosen_by_type_record_model_and_time(mirror: Mirror) -> None:
    every = list(mirror.events())
    record = next(mirror.versions("Imprint", content=False)).record_id
    since, until = NOON - timedelta(days=20), NOON - timedelta(days=2)
    for found, is_wanted in (
        (mirror.events(types=["version.*"]), lambda event: event.type.startswith("version.")),
        (
            mirror.events(types=["record.deleted", "*.published"]),
            lambda e: e.type in ("record.deleted", "version.published"),
        ),
        (mirror.events(record="Imprint"), lambda event: event.record_id == record),
        (mirror.events(since=since, until=until), lambda event: since <= event.occurred_at < until),
        (mirror.events(since=NOON), lambda event: event.occurred_at >= NOON),
        (mirror.events(after=every[50].id), lambda event: event.id > every[50].id),
    ):
        assert list(found) == [event for event in every if is_wanted(event)]
    pages = {one.model_id for one in mirror.versions(model="page", content=False)}
    assert list(mirror.events(model="page")) == [event for event in every if event.model_id in pages]
    with pytest.raises(UnknownName, match=r"there is no type version\.publshed"):
        mirror.events(types=["version.publshed"])

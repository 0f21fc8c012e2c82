"""The same in other words is no change: no row, no event, no record read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from tests.fixtures.compare_with_expected import Told, emitted_events
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import events, version_rewrites, versions
from versionsync.mirror.tables.runs import Counts
from versionsync.simulator import SimulatorOptions, World
from versionsync.simulator.world.records import Record
from versionsync.sync.report import Outcome

ZONES = {"times_with_offset": True}
MILLISECONDS = {"milliseconds": True}


def a_project(make_sync_env: MakeSyncEnv, **switches: bool) -> tuple[SyncEnv, Record, Record]:
    """A sync_env whose times are never whole seconds, with two records that have a past."""
    sync_env = make_sync_env(switches=SimulatorOptions(**switches))  # type: ignore[arg-type]
    sync_env.pause = timedelta(seconds=61, milliseconds=195)
    sync_env.act(lambda world: world.create_model(world.account, "post"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "title"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "starts", "date_time"))
    post, other = (sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})) for _ in range(2))
    for record in (post, other):
        sync_env.act(partial(publish, id=record.id))
        sync_env.act(partial(update, id=record.id, title="two"))
        sync_env.act(partial(publish, id=record.id))
    sync_env.act(lambda world: world.unpublish(world.user, other.id))
    return sync_env, post, other


def update(world: World, *, id: str, title: str) -> Record:
    return world.update(world.user, id, {"title": title})


def publish(world: World, *, id: str) -> Record:
    return world.publish(world.user, id)


def switch(sync_env: SyncEnv, **settings: bool) -> None:
    """Change settings of the project that are no change of its content."""

    def set_them(world: World) -> None:
        for name, value in settings.items():
            setattr(world.options, name, value)

    sync_env.act(set_them)


def rows(sync_env: SyncEnv) -> list[tuple[object, ...]]:
    """All versions as the mirror holds them."""
    with sync_env.mirror.read() as connection:
        return [tuple(row) for row in connection.execute(select(versions).order_by(versions.c.id))]


def happened(sync_env: SyncEnv) -> list[Told]:
    """What the mirror says of records and versions; a change of the form of times is an event of the source."""
    return [each for each in emitted_events(sync_env.mirror) if each[0] != "source.format_changed"]


def written(counts: Counts) -> tuple[int, int, int, int]:
    return counts.versions_inserted, counts.versions_changed, counts.versions_rewritten, counts.events_written


def new_events(sync_env: SyncEnv, before: list[Told]) -> list[tuple[str, str | None]]:
    """Type and version of the events since `before`, in order."""
    now = happened(sync_env)
    assert now[: len(before)] == before
    return [(type, version) for type, _, version, _ in now[len(before) :]]


@pytest.mark.parametrize("turned", [MILLISECONDS, ZONES, MILLISECONDS | ZONES], ids=["milliseconds", "zone", "both"])
@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_times_in_another_form_are_no_change(make_sync_env: MakeSyncEnv, turned: dict[str, bool], on: bool) -> None:
    """Neither in a full run nor beside an edit, nor when the old form comes back."""
    first, second = dict.fromkeys(turned, not on), dict.fromkeys(turned, on)
    sync_env, post, other = a_project(make_sync_env, **first)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    before = happened(sync_env)
    for number, form in enumerate((second, first, second)):
        switch(sync_env, **form)
        title = f"new {number}"
        former = sync_env.act(partial(update, id=post.id, title=title)).versions[-2]
        report = sync_env.sync()
        assert (report.counts.records_pulled, report.counts.versions_rewritten) == (1, 0), "nothing else is read"
        latest = post.versions[-1].id
        assert new_events(sync_env, before) == [
            ("version.created", latest),
            ("version.superseded", former.id),
            ("version.became_current", latest),
        ]
        before = happened(sync_env)

        live = post.published
        assert live is not None
        sync_env.act(lambda world: world.publish(world.user, post.id))
        sync_env.sync()
        assert new_events(sync_env, before) == [("version.unpublished", live.id), ("version.published", latest)]

        before, stored = happened(sync_env), rows(sync_env)
        report = sync_env.sync(full=True)
        assert (report.outcome, written(report.counts)) == (Outcome.SUCCEEDED, (0, 0, 0, 0))
        assert (happened(sync_env), rows(sync_env)) == (before, stored)
    assert other.versions[0].id in {row[1] for row in stored}


def reprint(sync_env: SyncEnv, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Let upstream show every version's content changed, without that anything happened."""

    def show(world: World) -> None:
        for version in world.environment().versions.values():
            version.content = json.dumps(change(json.loads(version.read()))).encode()

    sync_env.act(show)


def starting_at(text: str | None) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda content: content | {"starts": text}


def rewrites(sync_env: SyncEnv) -> list[dict[str, object]]:
    """The data of the events of rewrites."""
    with sync_env.mirror.read() as connection:
        query = select(events.c.data).where(events.c.type == "version.rewritten").order_by(events.c.id)
        return [json.loads(data) for data in connection.scalars(query)]


@pytest.mark.parametrize(
    "change",
    [
        starting_at("2026-03-01T12:00:00.195+02:00"),
        lambda content: content | {"created_at": "2026-03-01T10:00:00Z", "updated_at": None},
        lambda content: {name: content[name] for name in reversed(content)},
    ],
    ids=["another zone and precision", "members that are no field", "another order"],
)
def test_content_in_other_words_is_no_rewrite(
    make_sync_env: MakeSyncEnv, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    sync_env, _, _ = a_project(make_sync_env)
    reprint(sync_env, starting_at("2026-03-01T10:00:00Z"))
    sync_env.sync()
    stored = rows(sync_env)
    reprint(sync_env, change)
    report = sync_env.sync(full=True)
    assert (report.outcome, written(report.counts)) == (Outcome.SUCCEEDED, (0, 0, 0, 0))
    assert rows(sync_env) == stored, "the content first seen stays"


@pytest.mark.parametrize(
    "change",
    [
        starting_at("2026-03-01T10:00:01Z"),
        starting_at(None),
        lambda content: content | {"title": "2026-03-01T12:00:00+02:00"},
    ],
    ids=["a second later", "emptied", "a text that looks like a time"],
)
def test_other_content_is_a_rewrite(
    make_sync_env: MakeSyncEnv, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    sync_env, post, other = a_project(make_sync_env)
    reprint(sync_env, lambda content: content | {"starts": "2026-03-01T10:00:00Z", "title": "2026-03-01T10:00:00Z"})
    sync_env.sync()
    reprint(sync_env, change)
    report = sync_env.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(sync_env)] == [None] * count
    assert written(sync_env.sync(full=True).counts) == (0, 0, 0, 0)


def test_a_zone_that_moves_instants_is_a_rewrite_with_its_cause(make_sync_env: MakeSyncEnv) -> None:
    """As in projects without the improved handling of time zones: the same time of day, in another zone."""
    sync_env, post, other = a_project(make_sync_env, improved_timezone_management=False, milliseconds=True)
    reprint(sync_env, starting_at("2026-03-01T10:00:00.195Z"))
    sync_env.sync()
    sync_env.act(lambda world: world.update_site(world.account, timezone="Asia/Tokyo"))
    report = sync_env.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(sync_env)] == ["time_zone"] * count
    assert written(sync_env.sync(full=True).counts) == (0, 0, 0, 0)


def test_a_zone_moves_instants_of_a_renamed_field_in_old_versions_too(make_sync_env: MakeSyncEnv) -> None:
    """Upstream may go on to show them under the name that the field had."""
    sync_env, post, other = a_project(make_sync_env, improved_timezone_management=False, milliseconds=True)
    sync_env.act(lambda world: setattr(world.options, "renamed_fields", "old_key"))
    reprint(sync_env, starting_at("2026-03-01T10:00:00.195Z"))
    sync_env.sync()
    starts = sync_env.act(lambda world: world.environment().model("post").field_by_key("starts"))
    assert starts is not None
    sync_env.act(lambda world: world.update_field(world.account, starts.id, api_key="begins"))
    sync_env.sync(full=True)
    before = len(rewrites(sync_env))
    sync_env.act(lambda world: world.update_site(world.account, timezone="Asia/Tokyo"))
    report = sync_env.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(sync_env)[before:]] == ["time_zone"] * count
    assert written(sync_env.sync(full=True).counts) == (0, 0, 0, 0)


def test_old_content_in_another_form_is_doubted_as_old_content(make_sync_env: MakeSyncEnv) -> None:
    """It was rewritten since: an answer that shows it again is asked for again before it is believed."""
    sync_env, post, other = a_project(make_sync_env)
    reprint(sync_env, starting_at("2026-03-01T10:00:00Z"))
    sync_env.sync()
    reprint(sync_env, starting_at("2026-03-01T11:00:00Z"))
    sync_env.sync(full=True)
    usual = sync_env.requests(lambda: sync_env.sync(full=True))
    reprint(sync_env, starting_at("2026-03-01T12:00:00.000+02:00"))
    assert sync_env.requests(lambda: sync_env.sync(full=True)) >= usual + 2 * 3 * 2, (
        "each record was asked for three times more"
    )
    assert len(rewrites(sync_env)) == 2 * (len(post.versions) + len(other.versions))
    with sync_env.mirror.read() as connection:
        assert len(connection.execute(select(version_rewrites)).all()) == len(rewrites(sync_env))


def test_a_removed_and_a_retyped_field_are_no_rewrite(make_sync_env: MakeSyncEnv) -> None:
    sync_env, post, _ = a_project(make_sync_env)
    subtitle = sync_env.act(lambda world: world.create_field(world.account, "post", "subtitle"))
    reprint(sync_env, lambda content: content | {"subtitle": "seven", "starts": "soon"})
    sync_env.sync()
    stored = rows(sync_env)
    (starts,) = sync_env.act(
        lambda w: [f for f in w.environment().models[post.model.id].fields.values() if f.api_key == "starts"]
    )
    sync_env.act(lambda world: world.destroy_field(world.account, subtitle.id))
    sync_env.act(lambda world: world.update_field(world.account, starts.id, field_type="integer"))
    reprint(sync_env, lambda content: content | {"starts": None})
    report = sync_env.sync(full=True)
    assert report.outcome is Outcome.SUCCEEDED
    assert written(report.counts)[:3] == (0, 0, 0)
    assert rows(sync_env) == stored
    reprint(sync_env, lambda content: content | {"title": "three"})
    report = sync_env.sync(full=True)
    assert report.counts.versions_rewritten == len(stored)
    reprint(sync_env, lambda content: content | {"starts": 7})
    report = sync_env.sync(full=True)
    assert report.counts.versions_rewritten == len(stored), "it has the new type since it was stored"

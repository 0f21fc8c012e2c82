"""The same in other words is no change: no row, no event, no record read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from tests.fixtures.comparing import Told, told
from tests.fixtures.lab import Lab, MakeLab
from versionsync.mirror.schema import events, version_rewrites, versions
from versionsync.simulator import SimulatorOptions, World
from versionsync.simulator.world.records import Record
from versionsync.sync.report import Counts, Outcome

ZONES = {"times_with_offset": True}
MILLISECONDS = {"milliseconds": True}


def a_project(make_lab: MakeLab, **switches: bool) -> tuple[Lab, Record, Record]:
    """A lab whose times are never whole seconds, with two records that have a past."""
    lab = make_lab(switches=SimulatorOptions(**switches))  # type: ignore[arg-type]
    lab.pause = timedelta(seconds=61, milliseconds=195)
    lab.act(lambda world: world.create_model(world.account, "post"))
    lab.act(lambda world: world.create_field(world.account, "post", "title"))
    lab.act(lambda world: world.create_field(world.account, "post", "starts", "date_time"))
    post, other = (lab.act(lambda world: world.create(world.user, "post", {"title": "one"})) for _ in range(2))
    for record in (post, other):
        lab.act(partial(publish, id=record.id))
        lab.act(partial(update, id=record.id, title="two"))
        lab.act(partial(publish, id=record.id))
    lab.act(lambda world: world.unpublish(world.user, other.id))
    return lab, post, other


def update(world: World, *, id: str, title: str) -> Record:
    return world.update(world.user, id, {"title": title})


def publish(world: World, *, id: str) -> Record:
    return world.publish(world.user, id)


def switch(lab: Lab, **settings: bool) -> None:
    """Change settings of the project that are no change of its content."""

    def set_them(world: World) -> None:
        for name, value in settings.items():
            setattr(world.options, name, value)

    lab.act(set_them)


def rows(lab: Lab) -> list[tuple[object, ...]]:
    """All versions as the mirror holds them."""
    with lab.mirror.read() as connection:
        return [tuple(row) for row in connection.execute(select(versions).order_by(versions.c.id))]


def happened(lab: Lab) -> list[Told]:
    """What the mirror says of records and versions; a change of the form of times is an event of the source."""
    return [each for each in told(lab.mirror) if each[0] != "source.format_changed"]


def written(counts: Counts) -> tuple[int, int, int, int]:
    return counts.versions_inserted, counts.versions_changed, counts.versions_rewritten, counts.events_written


def new_events(lab: Lab, before: list[Told]) -> list[tuple[str, str | None]]:
    """Type and version of the events since `before`, in order."""
    now = happened(lab)
    assert now[: len(before)] == before
    return [(type, version) for type, _, version, _ in now[len(before) :]]


@pytest.mark.parametrize("turned", [MILLISECONDS, ZONES, MILLISECONDS | ZONES], ids=["milliseconds", "zone", "both"])
@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_times_in_another_form_are_no_change(make_lab: MakeLab, turned: dict[str, bool], on: bool) -> None:
    """Neither in a full run nor beside an edit, nor when the old form comes back."""
    first, second = dict.fromkeys(turned, not on), dict.fromkeys(turned, on)
    lab, post, other = a_project(make_lab, **first)
    assert lab.sync().outcome is Outcome.SUCCEEDED
    before = happened(lab)
    for number, form in enumerate((second, first, second)):
        switch(lab, **form)
        title = f"new {number}"
        former = lab.act(partial(update, id=post.id, title=title)).versions[-2]
        report = lab.sync()
        assert (report.counts.records_pulled, report.counts.versions_rewritten) == (1, 0), "nothing else is read"
        latest = post.versions[-1].id
        assert new_events(lab, before) == [
            ("version.created", latest),
            ("version.superseded", former.id),
            ("version.became_current", latest),
        ]
        before = happened(lab)

        live = post.published
        assert live is not None
        lab.act(lambda world: world.publish(world.user, post.id))
        lab.sync()
        assert new_events(lab, before) == [("version.unpublished", live.id), ("version.published", latest)]

        before, held = happened(lab), rows(lab)
        report = lab.sync(full=True)
        assert (report.outcome, written(report.counts)) == (Outcome.SUCCEEDED, (0, 0, 0, 0))
        assert (happened(lab), rows(lab)) == (before, held)
    assert other.versions[0].id in {row[1] for row in held}


def reprint(lab: Lab, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Let upstream show every version's content changed, without that anything happened."""

    def show(world: World) -> None:
        for version in world.environment().versions.values():
            version.content = json.dumps(change(json.loads(version.read()))).encode()

    lab.act(show)


def starting_at(text: str | None) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda content: content | {"starts": text}


def rewrites(lab: Lab) -> list[dict[str, object]]:
    """The data of the events of rewrites."""
    with lab.mirror.read() as connection:
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
    make_lab: MakeLab, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    lab, _, _ = a_project(make_lab)
    reprint(lab, starting_at("2026-03-01T10:00:00Z"))
    lab.sync()
    held = rows(lab)
    reprint(lab, change)
    report = lab.sync(full=True)
    assert (report.outcome, written(report.counts)) == (Outcome.SUCCEEDED, (0, 0, 0, 0))
    assert rows(lab) == held, "the content first seen stays"


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
    make_lab: MakeLab, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    lab, post, other = a_project(make_lab)
    reprint(lab, lambda content: content | {"starts": "2026-03-01T10:00:00Z", "title": "2026-03-01T10:00:00Z"})
    lab.sync()
    reprint(lab, change)
    report = lab.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(lab)] == [None] * count
    assert written(lab.sync(full=True).counts) == (0, 0, 0, 0)


def test_a_zone_that_moves_instants_is_a_rewrite_with_its_cause(make_lab: MakeLab) -> None:
    """As in projects without the improved handling of time zones: the same time of day, in another zone."""
    lab, post, other = a_project(make_lab, improved_timezone_management=False, milliseconds=True)
    reprint(lab, starting_at("2026-03-01T10:00:00.195Z"))
    lab.sync()
    lab.act(lambda world: world.update_site(world.account, timezone="Asia/Tokyo"))
    report = lab.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(lab)] == ["time_zone"] * count
    assert written(lab.sync(full=True).counts) == (0, 0, 0, 0)


def test_a_zone_moves_instants_of_a_renamed_field_in_old_versions_too(make_lab: MakeLab) -> None:
    """Upstream may go on to show them under the name that the field had."""
    lab, post, other = a_project(make_lab, improved_timezone_management=False, milliseconds=True)
    lab.act(lambda world: setattr(world.options, "renamed_fields", "old_key"))
    reprint(lab, starting_at("2026-03-01T10:00:00.195Z"))
    lab.sync()
    starts = lab.act(lambda world: world.environment().model("post").field_by_key("starts"))
    assert starts is not None
    lab.act(lambda world: world.update_field(world.account, starts.id, api_key="begins"))
    lab.sync(full=True)
    before = len(rewrites(lab))
    lab.act(lambda world: world.update_site(world.account, timezone="Asia/Tokyo"))
    report = lab.sync(full=True)
    count = len(post.versions) + len(other.versions)
    assert (report.outcome, report.counts.versions_rewritten) == (Outcome.SUCCEEDED, count)
    assert [data.get("cause") for data in rewrites(lab)[before:]] == ["time_zone"] * count
    assert written(lab.sync(full=True).counts) == (0, 0, 0, 0)


def test_old_content_in_another_form_is_doubted_as_old_content(make_lab: MakeLab) -> None:
    """It was rewritten since: an answer that shows it again is asked for again before it is believed."""
    lab, post, other = a_project(make_lab)
    reprint(lab, starting_at("2026-03-01T10:00:00Z"))
    lab.sync()
    reprint(lab, starting_at("2026-03-01T11:00:00Z"))
    lab.sync(full=True)
    usual = lab.requests(lambda: lab.sync(full=True))
    reprint(lab, starting_at("2026-03-01T12:00:00.000+02:00"))
    assert lab.requests(lambda: lab.sync(full=True)) >= usual + 2 * 3 * 2, "each record was asked for three times more"
    assert len(rewrites(lab)) == 2 * (len(post.versions) + len(other.versions))
    with lab.mirror.read() as connection:
        assert len(connection.execute(select(version_rewrites)).all()) == len(rewrites(lab))


def test_a_removed_and_a_retyped_field_are_no_rewrite(make_lab: MakeLab) -> None:
    lab, post, _ = a_project(make_lab)
    subtitle = lab.act(lambda world: world.create_field(world.account, "post", "subtitle"))
    reprint(lab, lambda content: content | {"subtitle": "seven", "starts": "soon"})
    lab.sync()
    held = rows(lab)
    (starts,) = lab.act(
        lambda w: [f for f in w.environment().models[post.model.id].fields.values() if f.api_key == "starts"]
    )
    lab.act(lambda world: world.destroy_field(world.account, subtitle.id))
    lab.act(lambda world: world.update_field(world.account, starts.id, field_type="integer"))
    reprint(lab, lambda content: content | {"starts": None})
    report = lab.sync(full=True)
    assert report.outcome is Outcome.SUCCEEDED
    assert written(report.counts)[:3] == (0, 0, 0)
    assert rows(lab) == held
    reprint(lab, lambda content: content | {"title": "three"})
    report = lab.sync(full=True)
    assert report.counts.versions_rewritten == len(held)
    reprint(lab, lambda content: content | {"starts": 7})
    report = lab.sync(full=True)
    assert report.counts.versions_rewritten == len(held), "it has the new type since it was stored"

"""The news site: everything that it promises to hold is there, and it is the same each time."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from functools import cache

import pytest

from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.news.articles import NUMBERS_THAT_FLOATS_LOSE, STRANGE_TEXT
from versionsync.simulator.scenarios.news.site import News, Storyline, build_news, editors_day
from versionsync.simulator.world.expected_history import ExpectedHistory, TransitionType, expected_history


@cache
def a_site() -> tuple[World, News, ExpectedHistory]:
    """A site that no test changes."""
    world = World(seed=5, clock=Clock.stopped())
    return world, build_news(world), expected_history(world.event_log, "main")


def history_of(storyline: Storyline) -> list[TransitionType]:
    """What happened to the first article of *storyline*, in order."""
    _, news, expected = a_site()
    record_id = news.articles[storyline][0]
    return [transition.type for transition in expected.transitions if transition.record_id == record_id]


def test_the_same_seed_tells_the_same_story() -> None:
    worlds = [World(seed=seed, clock=Clock.stopped()) for seed in (5, 5, 6)]
    for world in worlds:
        build_news(world)
    one, same, other = (expected_history(world.event_log, "main").to_json() for world in worlds)
    assert one == same
    assert one != other


def test_every_storyline_is_told_twice_among_the_usual_number_of_articles() -> None:
    _, news, _ = a_site()
    assert {storyline: len(ids) for storyline, ids in news.articles.items()} == dict.fromkeys(Storyline, 2)
    assert all(all(ids) for ids in news.articles.values())


def test_every_type_of_field_is_used() -> None:
    world, _, _ = a_site()
    used = {field.field_type for model in world.primary.models.values() for field in model.fields.values()}
    assert used == {
        *("boolean", "color", "date", "date_time", "file", "float", "gallery", "integer", "json", "lat_lon"),
        *("link", "links", "rich_text", "seo", "single_block", "slug", "string", "structured_text", "text", "video"),
    }


def test_all_five_kinds_of_editor_made_versions_and_one_of_them_is_gone() -> None:
    world, news, expected = a_site()
    kinds = {version.editor.type for version in expected.versions.values()}
    assert kinds == {"account", "organization", "user", "sso_user", "access_token"}
    assert (news.staff.former.kind.value, news.staff.former.id) not in world.people.editors
    assert any(version.editor == news.staff.former.ref for version in expected.versions.values())


def test_times_go_back_for_months_and_end_before_the_present() -> None:
    world, _, expected = a_site()
    times = [transition.at for transition in expected.transitions]
    assert world.now() - min(times) > timedelta(days=170)
    assert max(times) <= world.now()
    assert world.created_at <= min(times)


def test_some_versions_of_a_record_share_their_second() -> None:
    _, _, expected = a_site()
    moments = Counter((version.record_id, version.created_at) for version in expected.versions.values())
    assert max(moments.values()) >= 3


def test_a_version_was_live_twice() -> None:
    _, _, expected = a_site()
    assert any(len(version.live) > 1 for version in expected.versions.values())


def test_publishing_by_schedule_happened_without_an_editor_and_was_undone_by_the_clock() -> None:
    history = history_of(Storyline.BY_SCHEDULE)
    assert history.count(TransitionType.VERSION_PUBLISHED) == 1
    assert history.count(TransitionType.VERSION_UNPUBLISHED) == 1


def test_something_is_planned_that_has_not_happened_yet() -> None:
    world, news, _ = a_site()
    record = world.primary.records[news.articles[Storyline.TO_COME][0]]
    assert record.publication_scheduled_at is not None
    assert record.publication_scheduled_at > world.now()


def test_a_deleted_article_is_gone_and_a_returned_one_is_back_under_its_id() -> None:
    world, news, _ = a_site()
    assert news.articles[Storyline.DELETED][0] not in world.primary.records
    assert news.articles[Storyline.RETURNED][0] in world.primary.records
    assert TransitionType.RECORD_RETURNED in history_of(Storyline.RETURNED)


def test_publishing_one_locale_made_a_version_that_is_live_and_was_never_current() -> None:
    _, news, expected = a_site()
    ids = news.articles[Storyline.LOCALE_BY_LOCALE]
    current = {one.version_id for one in expected.transitions if one.type is TransitionType.VERSION_BECAME_CURRENT}
    assert any(version.record_id in ids and version.id not in current for version in expected.versions.values())


def test_odd_text_and_numbers_are_stored_to_the_last_digit() -> None:
    _, news, expected = a_site()
    version = expected.current_version(news.articles[Storyline.ODD][0])
    assert version is not None
    assert json.loads(version.content)["summary"]["en"] == STRANGE_TEXT
    assert all(number in version.content for number in NUMBERS_THAT_FLOATS_LOSE)


def test_a_long_article_is_nearly_as_large_as_a_record_may_be() -> None:
    _, news, expected = a_site()
    version = expected.current_version(news.articles[Storyline.LONG][0])
    assert version is not None
    assert 280_000 < len(version.content) < 300_000


def test_a_record_may_have_only_one_of_the_locales() -> None:
    _, news, expected = a_site()
    version = expected.current_version(news.articles[Storyline.ITALIAN_ONLY][0])
    assert version is not None
    assert list(json.loads(version.content)["title"]) == ["it"]


def test_categories_are_live_with_each_save() -> None:
    world, news, expected = a_site()
    for category in news.categories:
        assert world.primary.records[category].status == "published"
        assert expected.current_version(category) is expected.published_version(category)
    assert any(len(expected.records[category].version_ids) > 1 for category in news.categories)


def test_blocks_lie_within_blocks() -> None:
    _, news, expected = a_site()
    version = expected.current_version(news.articles[Storyline.PUBLISHED][0])
    assert version is not None
    quote, columns = json.loads(version.content)["sections"]
    assert quote["attributes"]["words"]
    assert columns["attributes"]["left"][0]["attributes"]["words"]
    assert columns["attributes"]["right"]["attributes"]["image"]["upload_id"]


def test_an_editors_day_does_what_it_tells() -> None:
    world = World(seed=5, clock=Clock.stopped())
    build_news(world)
    world.clock.advance(timedelta(hours=1))
    lines = editors_day(world)
    happened = Counter(
        one.type for one in expected_history(world.event_log, "main").transitions if one.at == world.now()
    )
    assert len(lines) == 4
    assert happened == {
        TransitionType.VERSION_CREATED: 2,
        TransitionType.VERSION_BECAME_CURRENT: 2,
        TransitionType.VERSION_SUPERSEDED: 1,
        TransitionType.VERSION_PUBLISHED: 1,
        TransitionType.VERSION_UNPUBLISHED: 2,
        TransitionType.RECORD_CREATED: 1,
        TransitionType.RECORD_DELETED: 1,
    }


def test_days_follow_each_other_until_nothing_is_left_but_what_they_began() -> None:
    world = World(seed=5, clock=Clock.stopped())
    build_news(world, articles=3)
    for _ in range(20):
        world.clock.advance(timedelta(days=1))
        assert 2 <= len(editors_day(world)) <= 4


def test_a_site_without_articles_is_a_site() -> None:
    world = World(seed=5, clock=Clock.stopped())
    news = build_news(world, articles=0)
    assert world.primary.records[news.homepage].status == "published"


def test_a_negative_number_of_articles_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 articles"):
        build_news(World(clock=Clock.stopped()), articles=-1)

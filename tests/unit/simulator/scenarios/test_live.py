"""Editors who work by themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from versionsync.simulator import Clock, World, expected_history
from versionsync.simulator.http.project import Project
from versionsync.simulator.scenarios.bulk import build_bulk
from versionsync.simulator.scenarios.live import (
    SHORT_TEXT,
    SPARE_RECORDS,
    LiveEditors,
    LiveProject,
    changed_fields,
    name_of,
)
from versionsync.simulator.scenarios.news.site import build_news

NOW = datetime(2026, 9, 1, tzinfo=UTC)
ACTS = 400


def news(world: World) -> object:
    """A news site."""
    return build_news(world, articles=16)


def records(world: World) -> object:
    """Records that are made up."""
    return build_bulk(world, records=10, versions=2)


def worked_on(build: Callable[[World], object], acts: int = ACTS) -> tuple[World, list[str | None]]:
    """A world after *acts* acts, one a minute, and what was done."""
    world = World(seed=3, clock=Clock.stopped())
    build(world)
    project = LiveProject(world)
    done = []
    for _ in range(acts):
        done.append(project.act())
        world.clock.advance(timedelta(minutes=1))
    return world, done


@pytest.mark.parametrize("build", [news, records])
def test_the_same_seed_does_the_same_acts(build: Callable[[World], object]) -> None:
    (first, done), (second, again) = worked_on(build), worked_on(build)
    assert done == again
    assert expected_history(first.event_log, "main").to_json() == expected_history(second.event_log, "main").to_json()


@pytest.mark.parametrize("build", [news, records])
def test_editors_do_everything_that_editors_do(build: Callable[[World], object]) -> None:
    done = worked_on(build)[1]
    said = "\n".join(one for one in done if one is not None)
    for act in (" changed ", " published ", " began ", " deleted ", " unpublished ", " restored ", " planned "):
        assert act in said, act
    assert None not in done
    assert len({line.split()[0] for line in said.splitlines()}) > 2, "several editors"


@pytest.mark.parametrize("build", [news, records])
def test_a_project_neither_grows_nor_shrinks_for_good(build: Callable[[World], object]) -> None:
    world = World(seed=3, clock=Clock.stopped())
    build(world)
    before = len(world.primary.records)
    project = LiveProject(world)
    counts = []
    for _ in range(ACTS):
        project.act()
        counts.append(len(world.primary.records))
    assert before <= min(counts)
    assert before < max(counts) <= before + SPARE_RECORDS


def test_in_an_empty_project_nothing_happens() -> None:
    assert worked_on(lambda world: None, 20)[1] == [None] * 20


def test_records_without_a_title_are_edited_and_none_is_begun() -> None:
    def files(world: World) -> None:
        model = world.create_model(world.account, "file", draft_mode=False)
        world.create_field(world.account, model, "path")
        world.create_field(world.account, model, "text", "text")
        world.create(world.user, model, {"path": "a/b.md", "text": "A line without a full stop"})

    world, done = worked_on(files, 30)
    (record,) = world.primary.records.values()
    assert len(record.versions) > 10
    assert name_of(record.model, {"path": "a/b.md"}, record.id) == "“a/b.md”"
    assert {one.partition(" “")[2] for one in done if one is not None and "changed" in one} == {"a/b.md”: text"}


def test_a_project_that_comes_later_is_worked_on_too() -> None:
    first, second = World(seed=1), World(seed=2)
    projects = [Project(first)]
    reported: list[World] = []
    editors = LiveEditors(projects, report=lambda world, done: reported.append(world))
    records(first)
    records(second)
    editors.act()
    assert reported == [first]
    projects.append(Project(second))
    for _ in range(20):
        editors.act()
    assert set(map(id, reported)) == {id(first), id(second)}


def test_a_pace_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="0 actions a minute"):
        LiveEditors([Project(World())], pace=0)


def test_values_fit_their_fields() -> None:
    """A text does not grow for ever, blocks stay in a structured text, and a slug follows its title."""
    world = World(seed=1, clock=Clock.stopped(), locales=("en", "it"))
    model = world.create_model(world.account, "post")
    for api_key, field_type, localized in (
        ("title", "string", True),
        ("slug", "slug", False),
        ("text", "text", False),
        ("body", "structured_text", False),
        ("count", "integer", False),
        ("price", "float", False),
        ("sold", "boolean", False),
        ("day", "date", False),
        ("tint", "color", False),
        ("code", "string", False),
    ):
        world.create_field(world.account, model, api_key, field_type, localized=localized)
    block = {"type": "block", "item": "id"}
    paragraph = {"type": "paragraph", "children": [{"type": "span", "value": "old"}]}
    content: dict[str, object] = {
        "title": {"en": "a", "it": "b"},
        "slug": "a",
        "text": "One sentence. " * 40,
        "body": {"schema": "dast", "document": {"type": "root", "children": [block, paragraph]}},
        "count": 1,
        "price": None,
        "sold": None,
        "day": None,
        "tint": None,
        "code": "XY",
    }
    longest = len(str(content["text"])) + SHORT_TEXT
    changed: set[str] = set()
    for seed in range(300):
        changes = changed_fields(model, content, NOW, random.Random(seed))
        changed |= changes.keys()
        assert len(str(changes.get("text", ""))) < longest
        if "title" in changes:
            assert isinstance(changes["title"], dict)
            assert list(changes["title"]) == ["en", "it"]
            assert changes["slug"] == changes["title"]["en"].lower().replace(" ", "-").replace("’", "").replace(
                "é", "e"
            )
        if "body" in changes:
            assert isinstance(changes["body"], dict)
            assert changes["body"]["document"]["children"][0] == block
            assert changes["body"]["document"]["children"][1] != paragraph
    assert changed == content.keys() - {"code"}

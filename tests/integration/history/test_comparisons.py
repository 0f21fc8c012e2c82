"""Diffs and blame over a whole mirror agree with the projections and with the contents, on both databases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from tests.fixtures.sync_env import START, MakeSyncEnv
from versionsync.api import Mirror
from versionsync.history.diff import Operation
from versionsync.mirror.database import Mirror as Database
from versionsync.simulator import Clock, World

__all__ = ["news_site"]

NOW = NOON + timedelta(hours=2)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest, news_site: MakeNewsSite) -> Iterator[Mirror]:
    with Database.open(news_site(request.param).url, reads_only=True) as opened:
        yield Mirror(opened, now=lambda: NOW)


@pytest.mark.both_databases
def test_a_diff_has_the_changes_that_the_projections_have(site: Mirror) -> None:
    """Every fourth version of the site, compared with the one before it."""
    for version in list(site.versions(content=False))[::4]:
        found = site.diff(version)
        assert found.after is not None
        assert found.after.version_id == version.version_id
        assert (found.before is None) == version.is_first
        assert version.changes is not None
        assert [(one.place.field_id, one.place.locale, one.kind, one.operation) for one in found.diff.changes] == [
            (one.field_id, one.locale, one.kind, one.operation) for one in version.changes
        ]


@pytest.mark.both_databases
def test_passages_are_the_whole_text_and_have_an_author(site: Mirror) -> None:
    """Of every record, in every locale."""
    newest = {}
    ids = defaultdict(set)
    for version in site.versions():
        newest.setdefault(version.record_id, version)
        ids[version.record_id].add(version.version_id)
    assert len(newest) > 10
    for record_id, version in newest.items():
        texts: dict[tuple[str, str | None], str] = defaultdict(str)
        for passage in site.blame(version):
            assert passage.version_id in ids[record_id]
            if passage.node_type == "text" and passage.block_id is None and passage.member is None:
                texts[passage.field, passage.locale] += passage.text
        assert version.attributes is not None
        for (field, locale), text in texts.items():
            value: Any = version.attributes[field]
            assert text == (value[locale] if locale is not None else value)


def test_a_renamed_field_is_the_same_field(make_sync_env: MakeSyncEnv) -> None:
    """In a diff and in blame."""
    world = World(seed=1, clock=Clock.stopped(START))
    model = world.create_model(world.user, "article")
    field = world.create_field(world.user, model, "headline", label="Headline")
    record = world.create(world.user, model, {"headline": "The old fish market opens at six"})
    sync_env = make_sync_env(world)
    sync_env.sync()
    sync_env.wait(60)
    sync_env.act(lambda world: world.update_field(world.user, field.id, api_key="title", label="Title"))
    sync_env.act(lambda world: world.update(world.user, record.id, {"title": "The old fish market opens at five"}))
    sync_env.wait(60)
    sync_env.sync()
    mirror = Mirror(sync_env.mirror)
    found = mirror.diff(record.id)
    assert [(one.place.field, one.operation) for one in found.diff.changes] == [("title", Operation.CHANGED)]
    assert [section.label for section in found.view().sections] == ["Title"]
    first, second = (version.version_id for version in reversed(list(mirror.versions(record.id))))
    assert [(one.text, one.version_id) for one in mirror.blame(record.id, "Title")] == [
        ("The old fish market opens at", first),
        (" five", second),
    ]

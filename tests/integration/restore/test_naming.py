"""What a person names to restore is a version or a record, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.news_site import MakeNewsSite, news_site
from versionsync.history.errors import AmbiguousName, UnknownName
from versionsync.history.names import FoundRecord, FoundVersion
from versionsync.history.scope import Scope
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import changes, records, versions
from versionsync.restore.naming import check_parts, find_target

__all__ = ["news_site"]

Find = Callable[[str], FoundRecord | FoundVersion]


@pytest.fixture
def mirror(news_site: MakeNewsSite) -> Any:
    """The mirror of the news site."""
    with Mirror.open(news_site("sqlite").url, reads_only=True) as opened:
        yield opened


@pytest.fixture
def find(mirror: Mirror) -> Find:
    """Find what a name means."""

    def find(name: str) -> FoundRecord | FoundVersion:
        return mirror.query(lambda connection: find_target(connection, Scope.load(connection), name))

    return find


def test_a_version_and_a_record_are_told_apart_by_their_ids(mirror: Mirror, find: Find) -> None:
    version_id, record_id = mirror.query(lambda one: one.execute(select(versions.c.id, versions.c.record_id)).first())
    for name in (version_id, version_id[:8]):
        found = find(name)
        assert isinstance(found, FoundVersion)
        assert found.version_id == version_id
    for name in (record_id, record_id[:8], "page:imprint", "Imprint"):
        assert isinstance(find(name), FoundRecord)


def test_a_block_is_refused_with_its_record(mirror: Mirror, find: Find) -> None:
    query = select(changes.c.block_id, changes.c.record_id).where(changes.c.block_id.is_not(None))
    block_id, record_id = mirror.query(lambda one: one.execute(query).first())
    with pytest.raises(UnknownName, match=f"{block_id} is a block of the record {record_id}") as caught:
        find(block_id)
    assert f"--block {block_id}" in str(caught.value.hint)


def test_what_has_no_such_name_is_refused(mirror: Mirror, find: Find) -> None:
    model_id = mirror.query(lambda one: one.scalar(select(records.c.model_id)))
    for name in ("no such title", "zzzzzzz1", str(model_id)):
        with pytest.raises(UnknownName):
            find(name)
    with pytest.raises(AmbiguousName):
        find("the night bus")


def test_fields_and_locales_must_exist(mirror: Mirror) -> None:
    def check(record_id: str | None, *, fields: tuple[str, ...] = (), locales: tuple[str, ...] = ()) -> None:
        mirror.query(lambda one: check_parts(one, Scope.load(one), record_id, fields, locales))

    page = mirror.query(lambda one: find_target(one, Scope.load(one), "page:imprint")).record_id
    check(page, fields=("title", "sections"), locales=("en", "it"))
    check(None, fields=("summary",))
    for wrong in ({"fields": ("summary",)}, {"fields": ("titel",)}, {"locales": ("de",)}):
        with pytest.raises(UnknownName):
            check(page, **wrong)

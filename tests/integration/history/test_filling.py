"""Projections follow the events, and equal what a rebuild gives (invariant 15)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.fixtures.projections import fill, projected, rebuilt
from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.schema import changes, intervals, titles

pytestmark = pytest.mark.both_databases


def test_an_edit_is_in_all_of_them(sync_env: SyncEnv) -> None:
    record = sync_env.act(lambda world: world.create(world.account, "post", {"title": "Fish"}))
    sync_env.act(lambda world: world.publish(world.account, record.id))
    sync_env.act(lambda world: world.update(world.account, record.id, {"title": "Fresh fish"}))
    sync_env.sync()
    assert fill(sync_env.mirror) == 2
    with sync_env.mirror.read() as connection:
        assert set(connection.scalars(select(titles.c.title))) == {"Fish", "Fresh fish"}
        told = connection.execute(select(changes.c.field, changes.c.operation, changes.c.previous_version_id)).all()
        assert [(field, operation, before is None) for field, operation, before in told] == [
            ("title", "added", True),
            ("title", "changed", False),
        ]
        kinds = connection.execute(select(intervals.c.kind, intervals.c.valid_until)).all()
        assert sorted((kind, until is None) for kind, until in kinds) == [
            ("current", False),
            ("current", True),
            ("published", True),
        ]
    before = projected(sync_env.mirror)
    assert rebuilt(sync_env.mirror) == before

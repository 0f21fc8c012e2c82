"""A reader that a migration locks out says so after a while, rather than wait without a word."""

from __future__ import annotations

import psycopg
import pytest

from versionsync.api import open_mirror
from versionsync.mirror.engine import engine
from versionsync.mirror.errors import DatabaseUnavailable

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_reader_waits_only_so_long_for_a_migration(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "READING_SESSION", {"lock_timeout": "50ms"})
    with psycopg.connect(database_url.replace("+psycopg", "")) as migration:
        migration.execute("LOCK TABLE sources IN ACCESS EXCLUSIVE MODE")
        with open_mirror(database_url) as mirror, pytest.raises(DatabaseUnavailable, match="perhaps a migration"):
            mirror.record("Fish")

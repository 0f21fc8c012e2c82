"""Mirrors that earlier programs made, brought to this program's schema: every row is still there, and it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, inspect, text

from tests.fixtures.comparing import differences
from tests.fixtures.lab import Lab
from tests.fixtures.schemas import dump_of, revisions, statements_of
from tests.fixtures.schemas.story import AFTERWARDS, CHAPTERS, FOLLOWED, begin, play
from versionsync.mirror.database import Mirror
from versionsync.mirror.engines import open_engine, reading
from versionsync.mirror.errors import SchemaBehind
from versionsync.mirror.migrate import HEAD, VERSION_TABLE, check, migrations_folder, upgrade
from versionsync.simulator import SimulatorThread
from versionsync.sync.report import Outcome

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=revisions())
def revision(request: pytest.FixtureRequest) -> str:
    """Each schema that there has been."""
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old_url(request: pytest.FixtureRequest, revision: str, tmp_path: Path) -> str:
    """The URL of a mirror as a program of that schema left it, when it was killed."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("empty_postgres_url")
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(statements_of(revision, "postgres").encode())
        return url
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statements_of(revision, "sqlite"))
    return f"sqlite:///{path}"


@pytest.fixture
def upstream() -> Iterator[SimulatorThread]:
    """The project that those are mirrors of, as it was when they were left."""
    world = begin()
    play(world, *CHAPTERS, FOLLOWED)
    with SimulatorThread(world) as simulator:
        yield simulator


def test_every_schema_has_its_dumps() -> None:
    """A new migration needs them: `python -m tests.fixtures.schemas` makes them."""
    known = sorted(path.name[:4] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))
    missing = [
        str(dump_of(one, kind)) for one in known for kind in ("sqlite", "postgres") if not dump_of(one, kind).exists()
    ]
    assert not missing, "make them: python -m tests.fixtures.schemas"
    assert revisions() == known
    assert known[-1] == HEAD


def test_an_upgrade_keeps_every_row_as_it_is(old_url: str, revision: str) -> None:
    """Of every table, in every column that there was; and afterwards all views can be read."""
    before = _rows(old_url)
    assert len(before["versions"]) == 16
    if revision != HEAD:
        with pytest.raises(SchemaBehind, match=f"at schema {revision}.*versionsync db upgrade"):
            check(old_url)
    assert upgrade(old_url) == (revision, HEAD)
    assert _as_before(_rows(old_url), before) == before
    check(old_url)
    assert _read_views(old_url) > {"current_versions", "website_post_versions", "website_price_versions"}


def test_an_upgraded_mirror_is_right_and_goes_on(old_url: str, upstream: SimulatorThread) -> None:
    """It is as the truth is, so that a run finds nothing to do; what happens next is mirrored, and nothing is lost."""
    upgrade(old_url)
    kept = _rows(old_url)
    with Mirror.open(old_url) as mirror:
        lab = Lab(upstream, mirror)
        assert differences(mirror, lab.truth()) == []
        idle = lab.sync()
        assert (idle.outcome, idle.counts.versions_inserted, idle.counts.events_written) == (Outcome.SUCCEEDED, 0, 0)
        upstream.act(lambda world: play(world, *AFTERWARDS))
        assert lab.sync().counts.versions_inserted == 2
        assert differences(mirror, lab.truth()) == []
        assert lab.sync(full=True).counts.events_written == 0
    after = _rows(old_url)
    for table in ("events", "version_rewrites"):
        assert all(row in after[table] for row in kept[table])
    assert {row["id"] for row in kept["versions"]} < {row["id"] for row in after["versions"]}


def _rows(url: str) -> Rows:
    """The rows of all tables, by column, in an order that depends on nothing but what they say."""
    engine = open_engine(url)
    try:
        with reading(engine).connect() as connection:
            tables = [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE]
            return {name: _all_of(connection, name) for name in tables}
    finally:
        engine.dispose()


def _as_before(rows: Rows, before: Rows) -> Rows:
    """`rows`, as far as their tables and columns were there `before`."""
    columns = {name: set(known[0]) if known else set() for name, known in before.items()}
    return {name: [{key: row[key] for key in row if key in columns[name]} for row in rows[name]] for name in before}


def _read_views(url: str) -> set[str]:
    """Read all views to their end; returns their names."""
    engine = open_engine(url)
    try:
        with reading(engine).connect() as connection:
            names = inspect(connection).get_view_names()
            assert all(_all_of(connection, name) for name in names), "a view shows nothing"
            return set(names)
    finally:
        engine.dispose()


def _all_of(connection: Connection, name: str) -> list[dict[str, Any]]:
    found = connection.execute(text(f'SELECT * FROM "{name}"'))
    return sorted((dict(row) for row in found.mappings()), key=repr)

"""Several daemons that start at once on a database without any source."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.fixtures.databases import MakeDatabase
from tests.integration.cli.processes import running
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import runs, sources
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread

SOURCES = 20


@pytest.fixture
def folder(upstream: SimulatorThread, tmp_path: Path) -> Path:
    """Where the settings of twenty sources of one project are."""
    sources = (
        f'[[sources]]\nname = "source-{number}"\nbase_url = "{upstream.url}"\nrate_limit = "none"\n'
        for number in range(SOURCES)
    )
    (tmp_path / "versionsync.toml").write_text("\n".join(sources))
    return tmp_path


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def first_runs(upstream: SimulatorThread, folder: Path, url: str, *, daemons: int) -> tuple[dict[str, list[int]], int]:
    """Let this number of daemons mirror all sources of an empty database.

    Returns the requests of each source's runs, without later checks that found nothing, and how many requests the
    project was sent beside those of all runs and of the search for webhooks.
    """
    log = upstream.simulator.requests
    upstream.act(lambda _: log.reset())
    environ = {
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "VERSIONSYNC_DATABASE_URL": url,
        "VERSIONSYNC_HTTP_PORT": "0",
    }

    def mirrored() -> int:
        complete = select(sources.c.id).where(sources.c.complete_as_of.is_not(None))
        return len(mirror.query(lambda connection: connection.scalars(complete).all()))

    with Mirror.open(url) as mirror:
        with ExitStack() as stack:
            started = [stack.enter_context(running("run", cwd=folder, **environ)) for _ in range(daemons)]
            eventually(lambda: mirrored() == SOURCES)
            for process in started:
                process.terminate()
            for process in started:
                process.communicate(timeout=60)
        found = mirror.query(
            lambda connection: connection.execute(
                select(sources.c.name, runs.c.kind, runs.c.requests).join(runs, runs.c.source_id == sources.c.id)
            ).all()
        )
    of_runs: dict[str, list[int]] = {}
    for name, kind, requests in found:
        if kind == "backfill":
            of_runs.setdefault(name, []).append(requests)
    searched = log.count("GET /webhooks")
    return of_runs, log.total - searched - sum(requests for _, _, requests in found)


@pytest.mark.postgres
def test_three_daemons_send_as_many_requests_as_one(
    upstream: SimulatorThread, folder: Path, make_postgres_database: MakeDatabase
) -> None:
    """Each source is synced by one of them, and the others ask nothing for it."""
    alone, other = first_runs(upstream, folder, make_postgres_database(), daemons=1)
    assert len(alone) == SOURCES
    assert other == 0
    together, other = first_runs(upstream, folder, make_postgres_database(), daemons=3)
    assert together == alone
    assert other == 0

"""Several `versionsync run` on one PostgreSQL: they divide the sources, and take over from one that was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.databases import MakeDatabase
from tests.integration.cli.processes import running
from versionsync.simulator import SimulatorThread

NUMBERS = (
    "SELECT d.holder ->> 'pid', count(c.source_id) FROM daemons AS d "
    "LEFT JOIN source_claims AS c ON c.daemon_id = d.id WHERE d.expires_at > now() GROUP BY 1"
)


@pytest.mark.postgres
def test_three_daemons_divide_the_sources_and_replace_one_that_is_killed(
    upstream: SimulatorThread, at: dict[str, str], tmp_path: Path, make_postgres_database: MakeDatabase
) -> None:
    """Within a minute each time. What is stopped well leaves no claim."""
    names = [f"source-{number}" for number in range(6)]
    (tmp_path / "versionsync.toml").write_text(
        "\n".join(f'[[sources]]\nname = "{name}"\nbase_url = "{upstream.url}"\nrate_limit = "none"' for name in names)
    )
    url = make_postgres_database()
    environ = at | {"VERSIONSYNC_HTTP_PORT": "0", "VERSIONSYNC_DATABASE_URL": url}

    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as stack:

        def divided() -> dict[int, int]:
            return {int(pid): number for pid, number in connection.execute(NUMBERS)}

        one, two, three = (stack.enter_context(running("run", cwd=tmp_path, **environ)) for _ in range(3))
        _eventually(lambda: divided() == {one.pid: 2, two.pid: 2, three.pid: 2})
        two.kill()
        two.wait()
        _eventually(lambda: divided() == {one.pid: 3, three.pid: 3})
        again = stack.enter_context(running("run", cwd=tmp_path, **environ))
        _eventually(lambda: divided() == {one.pid: 2, again.pid: 2, three.pid: 2})
        for process in (one, three, again):
            process.terminate()
            process.wait()
        assert divided() == {}
        assert connection.execute("SELECT count(*) FROM source_claims WHERE daemon_id IS NOT NULL").fetchone() == (0,)
        failed = "SELECT count(*) FROM runs WHERE outcome IN ('failed', 'partial')"
        assert connection.execute(failed).fetchone() == (0,)


def _eventually(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.2)

"""Typed views that cannot follow the schema: they fail no run, and the next run always tries again."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.tables.sources import sources_of
from versionsync.status.model import SourceStatus, problems
from versionsync.sync.report import Outcome

VIEW = "website_post_versions"
TOLD = f"the view {VIEW} could not follow the schema and stays as it was: a table has this name: give that another one"


def attention(sync_env: SyncEnv) -> list[str]:
    """Return the problems that `status` shows."""
    with sync_env.mirror.read() as connection:
        (one,) = sources_of(connection)
        status = SourceStatus(source=one, runs=(), lease=None, daemon=None)
        now = one.checkpoint.last_success_at or one.created_at
        return [problem.text for problem in problems(status.health(now), now)]


@pytest.mark.both_databases
def test_a_run_succeeds_whatever_is_in_the_way_of_a_view(sync_env: SyncEnv) -> None:
    """Every run and `status` say what is in the way, until it is removed."""
    with sync_env.mirror.write() as tx:
        tx.execute(text(f"CREATE TABLE {VIEW} (id integer)"))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "1"}))
    for _ in range(2):  # the second one finds no change
        report = sync_env.sync()
        assert report.outcome is Outcome.SUCCEEDED
        assert TOLD in report.notes
        assert list(report.blocked_views or ()) == [VIEW]
        assert attention(sync_env) == [TOLD]
    assert report.counts.requests == 1
    with sync_env.mirror.write() as tx:
        tx.execute(text(f"DROP TABLE {VIEW}"))
    report = sync_env.sync()
    assert (report.counts.requests, list(report.notes), attention(sync_env)) == (1, [], [])
    assert report.blocked_views == {}
    with sync_env.mirror.read() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {VIEW}")) == 1

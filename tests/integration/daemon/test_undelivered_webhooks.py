"""The state of a webhook is in the database, on /status and in the metrics."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from tests.fixtures.running_daemon import SOON, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from tests.integration.daemon.test_webhook_log_poller import register
from tests.integration.daemon.test_webhook_receiver import about
from versionsync.config import Secret
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.http.status import reasons, status, survey
from versionsync.daemon.worker_state import LogStatus, WorkerState
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES, WebhookRow, webhook_rows
from versionsync.sync.report import Outcome
from versionsync.webhooks.payload import BasicAuth, parse_payload
from versionsync.webhooks.registration import name_of

LOGIN = BasicAuth("versionsync", Secret("correct horse"))


def row(sync_env: SyncEnv) -> WebhookRow | None:
    """Return its row in the database."""
    return sync_env.mirror.query(lambda connection: webhook_rows(connection, [1]).get(1))


def _has_undelivered(state: WorkerState, checks: int) -> bool:
    return state.undelivered_changes == checks


async def edit(sync_env: SyncEnv) -> str:
    """Let an editor write something, and wait until a check has found it."""
    id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "new"})).id
    await eventually(lambda: is_mirrored(sync_env))
    return id


async def test_a_webhook_that_no_longer_reports_is_noticed(sync_env: SyncEnv) -> None:
    """By checks that find unreported changes; a call ends that. The source stays ready: all is fresh."""
    source = replace(source_config(sync_env), webhook=LOGIN, polls_webhook_log=False)
    async with running_daemon(sync_env.mirror, source) as watched:
        state = watched.state
        await eventually(lambda: state().runs[Outcome.SUCCEEDED] >= 2)
        for number in range(SILENT_AFTER_CHANGES):
            id = await edit(sync_env)
            await eventually(partial(_has_undelivered, state(), number + 1))
        now = datetime.now(UTC)
        (fields,) = status(survey(watched.daemon.states, now), started_at=now, redact=str)["sources"]
        assert fields["webhooks"]["is_silent"]
        assert "its webhook no longer reports changes" in fields["attention"]
        assert list(reasons(watched.daemon.states, now)) == []
        metrics = Metrics(lambda: watched.daemon.states, now=lambda: now).text().decode()
        assert 'versionsync_webhook_undelivered_changes{source="website"} 3.0' in metrics
        await eventually(lambda: (known := row(sync_env)) is not None and known.is_silent)

        call = parse_payload(json.dumps(about(id)).encode())
        assert call is not None
        await watched.daemon.workers["website"].on_webhook(call)
        assert state().undelivered_changes == 0
        await eventually(lambda: (known := row(sync_env)) is not None and not known.is_silent and known.last_call_at)


async def test_without_a_webhook_no_change_counts_as_undelivered(sync_env: SyncEnv) -> None:
    """Looks find everything, and that is as it should be."""
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), polls_webhook_log=False)) as watched:
        await eventually(lambda: watched.state().runs[Outcome.SUCCEEDED] >= 2)
        for _ in range(SILENT_AFTER_CHANGES):
            await edit(sync_env)
            await asyncio.sleep(2 * SOON)
        assert watched.state().undelivered_changes == 0


async def test_the_state_of_the_log_is_in_the_database(sync_env: SyncEnv) -> None:
    """When it was read, and when it last reported a change."""
    register(sync_env, name_of("website"))
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)) as watched:
        await eventually(lambda: watched.state().webhook_log is LogStatus.ACTIVE)
        await edit(sync_env)
        await eventually(
            lambda: (known := row(sync_env)) is not None and known.log_state == "active" and known.last_call_at
        )
    known = row(sync_env)
    assert known is not None
    assert (known.log_gaps, known.undelivered_changes) == (0, 0)
    assert known.log_read_at is not None

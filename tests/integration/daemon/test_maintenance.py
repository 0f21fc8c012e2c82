"""A project in maintenance is mirrored as usual; if it refuses reads, the daemon waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.running_daemon import RunningDaemon, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.errors import ErrorKind

REFUSED = {"id": "1", "type": "api_error", "attributes": {"code": "MAINTENANCE_MODE", "details": {}}}

MOST_REFUSED = 3
"""A run that gets this error stops; other requests, such as for the webhook, may be refused too."""


@dataclass
class Gate:
    """A project whose maintenance refuses reads, too, while it `is_closed`."""

    is_closed: bool
    url: str = ""
    refused: int = 0

    def answer(self, _path: str) -> Given | None:
        """In the place of the project's own."""
        if not self.is_closed:
            return None
        self.refused += 1
        return Given(503, json.dumps({"data": [REFUSED]}), {"Content-Type": "application/json"})


@contextmanager
def gate(sync_env: SyncEnv, *, is_closed: bool) -> Iterator[Gate]:
    """One before the sync_env's project, while the block runs."""
    made = Gate(is_closed)
    with gateway(sync_env.spec.base_url, instead=made.answer) as made.url:
        yield made


def post(sync_env: SyncEnv, title: str) -> None:
    """Let an editor write something new."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": title}))


async def test_reads_work_during_a_maintenance(sync_env: SyncEnv) -> None:
    """At the start and later: DatoCMS refuses only writes."""
    post(sync_env, "one")
    sync_env.act(lambda world: setattr(world, "maintenance_mode", True))
    async with running_daemon(sync_env.mirror, source_config(sync_env)) as watched:
        await eventually(lambda: is_mirrored(sync_env))
        post(sync_env, "two")
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: setattr(world, "maintenance_mode", False))
        post(sync_env, "three")
        await eventually(lambda: is_mirrored(sync_env))
        assert watched.state().failures == 0


@pytest.mark.parametrize("is_closed", [True, False], ids=["from the start", "later"])
async def test_the_daemon_waits_for_a_maintenance_that_refuses_reads(sync_env: SyncEnv, is_closed: bool) -> None:
    """It is logged once with its name, and retried slowly until it is over."""
    post(sync_env, "one")
    with gate(sync_env, is_closed=is_closed) as before:
        async with running_daemon(sync_env.mirror, source_config(sync_env, url=before.url)) as watched:
            if not is_closed:
                await eventually(lambda: is_mirrored(sync_env))
                before.is_closed = True
            await _refused(watched, times=1)
            post(sync_env, "two")
            assert before.refused <= MOST_REFUSED
            watched.daemon.reload()  # tried at once
            await _refused(watched, times=2)
            assert "MAINTENANCE_MODE: the project is in maintenance mode" in str(watched.state().error)
            before.is_closed = False
            watched.daemon.reload()
            await eventually(lambda: watched.state().status is WorkerStatus.ACTIVE)
            await eventually(lambda: is_mirrored(sync_env))
            assert len(watched.told("warning", "source.failing")) == 1
            assert len(watched.told("info", "source.recovered")) == 1


async def _refused(watched: RunningDaemon, *, times: int) -> None:
    await eventually(lambda: watched.state().failures == times)
    assert watched.state().status is WorkerStatus.FAILING
    assert watched.state().error_kind is ErrorKind.UNAVAILABLE

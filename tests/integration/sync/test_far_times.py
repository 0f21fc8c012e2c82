"""Times that an import may set: the first and the last that there are, and those that nothing can hold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync.simulator import FULL_ACCESS_TOKEN
from versionsync.sync.report import Outcome

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0)


def unlike_truth(sync_env: SyncEnv) -> list[str]:
    """Return the differences, except the time of creation of a record: DatoCMS reports another one."""
    return [one for one in differences(sync_env.mirror, sync_env.truth()) if "record.created" not in one]


@pytest.mark.both_databases
@pytest.mark.parametrize("time", [EARLIEST, LATEST])
def test_the_first_and_the_last_time_are_mirrored_as_any_other(sync_env: SyncEnv, time: datetime) -> None:
    """By every way in which a record is read, and again."""
    ids = [
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "1"}, created_at=time)).id
        for _ in range(3)
    ]
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    for id in ids[:2]:
        sync_env.act(lambda world, one=id: world.update(world.user, one, {"title": "2"}))  # type: ignore[misc]
    sync_env.act(lambda world: world.publish(world.user, ids[0]))
    sync_env.act(lambda world: world.delete(world.user, ids[2]))
    assert sync_env.sync(quick_check_from=0).outcome is Outcome.SUCCEEDED
    sync_env.act(lambda world: world.update(world.user, ids[1], {"title": "3"}))
    for options in ({"quick_check_from": 0}, {"full": True}, {"scrub": 3}, {"record_ids": tuple(ids[:2])}):
        assert sync_env.sync(**options).outcome is Outcome.SUCCEEDED, options  # type: ignore[arg-type]
    assert unlike_truth(sync_env) == []


@pytest.mark.parametrize(
    "time",
    [
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "infinity",
    ],
)
@pytest.mark.parametrize("where", ["/items", "/items/{id}/versions"])
def test_a_time_that_nothing_can_hold_fails_its_record_alone(sync_env: SyncEnv, where: str, time: str) -> None:
    """By name, and with its place; all others are mirrored, and it is asked for again."""
    for _ in range(3):
        sync_env.act(lambda world: world.create(world.user, "post", {"title": "1"}))
    id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "1"}, created_at=EARLIEST)).id
    direct, path = sync_env.spec, where.format(id=id)

    def instead(asked: str) -> Given | None:
        if asked.partition("?")[0] != path:
            return None
        headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
        body = httpx.get(direct.base_url + asked, headers=headers).text
        claimed = "0001-" if where == "/items" else ""
        body = re.sub(rf'"created_at": ?"{claimed}[^"]*"', f'"created_at":"{time}"', body)
        return Given(200, body, {"Content-Type": "application/json"})

    with gateway(direct.base_url, instead=instead) as url:
        sync_env.spec = replace(direct, base_url=url)
        for _ in range(2):
            report = sync_env.sync()
            assert report.outcome is Outcome.PARTIAL
            assert [failure.record_id for failure in report.failures] == [id]
            assert "meta.created_at: expected a date-time" in report.failures[0].reason
    sync_env.spec = direct
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert unlike_truth(sync_env) == []

"""DatoCMS's own client judges a restore: it reads the same records before they were deleted and after they are back."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import Any

from tests.conformance.conftest import HERE, SCRIPT_SECONDS
from tests.conformance.scenes import scene
from tests.fixtures.sync_env import SyncEnv
from tests.integration.restore.conftest import RestoreEnv
from versionsync.mirror.database import Mirror
from versionsync.restore.selection import Wanted
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World
from versionsync.simulator.errors import ApiError

NEW_ANYWAY = {"current_version", "updated_at", "published_at"}
"""What a restored record cannot have as before: its versions are new, and so is the time of its publication."""


def test_the_client_reads_restored_records_as_they_were(node: str, mirror: Mirror) -> None:
    with scene("restored") as simulator:
        restoring = RestoreEnv(SyncEnv(simulator, mirror))
        before = records(node, simulator)
        restoring.mirror()
        restoring.env.act(delete_all)
        assert records(node, simulator) == {"current": {}, "published": {}}
        restoring.mirror()
        plan = restoring.plan(Wanted(deleted=True, publishes=True))
        _, states = restoring.apply(plan)
        after = records(node, simulator)
    assert {state.state for state in states} == {"done"}
    assert plan.losses == ()
    # The account of one writer is gone: what that one created comes back with another creator, which is said.
    said = {step.record_ids[0]: state.error for step, state in zip(plan.steps, states, strict=True) if state.error}
    assert set(said.values()) == {"DatoCMS did not take its creator"}
    for version in ("current", "published"):
        assert len(before[version]) > 30
        assert after[version].keys() == before[version].keys()
        for id, record in before[version].items():
            found = after[version][id]
            assert {**found, "creator": None} == {**record, "creator": None}, id
            assert id in said or found.get("creator") == record.get("creator"), id


def records(node: str, simulator: SimulatorThread) -> dict[str, dict[str, Any]]:
    """Return all records by id, as the client reads them, for the newest and the live versions."""
    ran = subprocess.run(
        [node, "restored.mjs"],
        cwd=HERE,
        env=os.environ | {"SIMULATOR_URL": simulator.url, "SIMULATOR_TOKEN": FULL_ACCESS_TOKEN},
        capture_output=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode(errors="replace")
    found: dict[str, dict[str, Any]] = {}
    for version, items in json.loads(ran.stdout).items():
        found[version] = {item["id"]: without_what_is_new(item) for item in items}
    return found


def without_what_is_new(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"meta": {key: value for key, value in item["meta"].items() if key not in NEW_ANYWAY}}


def delete_all(world: World) -> None:
    """Delete all records, those that others must link to last."""
    left = -1
    while left != len(world.environment().records):
        left = len(world.environment().records)
        for id in list(world.environment().records):
            with suppress(ApiError):
                world.delete(world.account, id)

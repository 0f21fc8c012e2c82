"""A restored record claims to be as old as before. The next sync takes it for what it is, and reads it once."""

from __future__ import annotations

from tests.fixtures.sync_env import MakeSyncEnv
from tests.integration.restore.conftest import RestoreEnv
from versionsync.restore.selection import Wanted
from versionsync.simulator import Clock, World


def test_a_sync_reads_a_restored_record_once(make_sync_env: MakeSyncEnv) -> None:
    env = make_sync_env(World(seed=1, clock=Clock()))
    restoring = RestoreEnv(env)
    env.act(lambda world: world.create_model(world.account, "post"))
    made = env.act(lambda world: world.create(world.account, "post", {}))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    restoring.mirror()
    restoring.apply(restoring.plan(Wanted(deleted=True)))
    requests = env.simulator.simulator.requests
    before = sum(one.path.partition("?")[0].endswith("/versions") for one in requests)
    restoring.mirror()
    assert sum(one.path.partition("?")[0].endswith("/versions") for one in requests) - before == 1

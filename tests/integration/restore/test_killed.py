"""`versionsync restore --apply` as a process that is killed: the next call finishes, and nothing is doubled.

More of the same by one command: VERSIONSYNC_TEST_RESTORE_KILLS=100 pytest -s tests/integration/restore/test_killed.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.fixtures.forked_program import environment
from tests.fixtures.sync_env import MakeSyncEnv
from tests.integration.restore.conftest import RestoreEnv
from tests.integration.restore.spoiled import back, spoil
from versionsync.restore.kept_plans import keep, kept_plan
from versionsync.simulator import Faults, World

KILLS = int(os.environ.get("VERSIONSYNC_TEST_RESTORE_KILLS", "4"))
FIRST = int(os.environ.get("VERSIONSYNC_TEST_SEED", "0"))
KILLS_A_PLAN = 4


class Program:
    """The installed program, which carries out one plan."""

    def __init__(self, restoring: RestoreEnv, faults: Faults, database_url: str, folder: Path, plan_id: str) -> None:
        self._faults, self._folder = faults, folder
        env = restoring.env
        (folder / "versionsync.toml").write_text(
            f'[[sources]]\nname = "{env.spec.name}"\nbase_url = "{env.spec.base_url}"\nrate_limit = "none"\n'
        )
        tokens = {"DATOCMS_API_TOKEN": env.token, "DATOCMS_RESTORE_TOKEN": env.token}
        self._environment = environment(VERSIONSYNC_DATABASE_URL=database_url, **tokens)
        self._arguments = [sys.executable, "-m", "versionsync", "restore", plan_id, "--apply", "--yes"]

    def run(self, *, killed_after: int | None = None, seconds: float = 0.0) -> bool:
        """Return whether it ended by itself, since all is done. It is killed `seconds` after its nth request."""
        reached = threading.Event()
        if killed_after is not None:
            self._faults.run_after(lambda _: reached.set(), nth=killed_after)
        log = self._folder / "restore.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                self._arguments, env=self._environment, cwd=self._folder, stdout=output, stderr=subprocess.STDOUT
            ) as process,
        ):
            while process.poll() is None:
                if reached.wait(0.01):
                    time.sleep(seconds)
                    process.kill()
                    process.wait()
        self._faults.clear()
        said = log.read_text()
        assert process.returncode in {0, -9} or "is done already" in said, said
        return process.returncode != -9


@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + -(-KILLS // KILLS_A_PLAN)))
def test_a_plan_whose_process_is_killed_is_finished_by_the_next_one(
    seed: int, make_sync_env: MakeSyncEnv, database_url: str, tmp_path: Path
) -> None:
    random, faults = Random(f"killed:{seed}"), Faults()
    restoring = RestoreEnv(make_sync_env(faults=faults))
    spoiled = spoil(restoring)
    plan = restoring.plan(spoiled.wanted)
    id, versions = keep(restoring.env.mirror, 1, plan), restoring.env.simulator.act(count_versions)
    program = Program(restoring, faults, database_url, tmp_path, id)
    restoring.env.wait(60)
    done = 0
    for _ in range(KILLS_A_PLAN):
        if program.run(killed_after=random.randrange(1, 12), seconds=random.choice((0.0, 0.005, 0.02))):
            break
        before, done = done, count_done(restoring, id)
        assert done >= before, "what is done stays done"
        print(f"killed at {done} of {len(plan.steps)} steps")
    assert program.run()
    assert count_done(restoring, id) == len(plan.steps)
    assert back(restoring.env, spoiled.whole) == []
    contents = [step for step in plan.steps if step.attributes is not None]
    made = restoring.env.simulator.act(count_versions) - versions
    assert made <= len(contents), "each content was written once"
    assert program.run()
    assert restoring.env.simulator.act(count_versions) - versions == made


def count_done(restoring: RestoreEnv, id: str) -> int:
    """Return how many steps of a plan the journal has as done."""
    return sum(step.state == "done" for step in kept_plan(restoring.env.mirror, 1, id).steps)


def count_versions(world: World) -> int:
    """Return how many versions there are."""
    return len(world.environment().versions)

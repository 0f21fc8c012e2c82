"""Whatever goes wrong on the way, the next quiet run makes it right."""

from __future__ import annotations

import os

import pytest

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.editing_load import EditingLoad
from tests.fixtures.sync_env import START, MakeSyncEnv
from versionsync.simulator import Clock, FaultKind, Faults, World
from versionsync.sync.report import Outcome

# More of the same by one command: VERSIONSYNC_TEST_SEEDS=100 pytest tests/integration/sync/test_faults.py
SEEDS = range(1, 1 + int(os.environ.get("VERSIONSYNC_TEST_SEEDS", "1")))
ROUNDS = 6
# Everybody waits after a 429, in real seconds.
ROUNDS_OF = {FaultKind.THROTTLED: 2, FaultKind.THROTTLED_BARE: 2}
ACTS = 5
IN_CI = {FaultKind.INTERNAL_ERROR, FaultKind.RESET, FaultKind.EMPTY_PAGE, FaultKind.STALE}
"""One of each sort: an error, no answer, a wrong answer, an old one."""
KINDS = [
    pytest.param(kind, marks=[pytest.mark.nightly] * (kind not in IN_CI))
    for kind in sorted(set(FaultKind) - {FaultKind.STALL})
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_one_request_in_ten_is_survived(make_sync_env: MakeSyncEnv, kind: FaultKind, seed: int) -> None:
    """Each run says honestly how it went; after a quiet one, mirror and events are as the truth."""
    newsroom = EditingLoad(seed)
    faults = Faults(seed=seed, slow_seconds=(0.0, 0.05))
    sync_env = make_sync_env(World(seed=seed, clock=Clock.stopped(START)), faults=faults)
    sync_env.act(lambda world: newsroom.open(world, records=30))
    done = []
    for _ in range(ROUNDS_OF.get(kind, ROUNDS)):
        faults.rates = {kind: 0.1}
        report = sync_env.sync()
        done.append(f"sync: {report.outcome} {report.error or ''} {[f.reason for f in report.failures]}")
        assert report.outcome in Outcome
        done.extend(sync_env.act(newsroom.act) for _ in range(ACTS))
    assert faults.injected.get(kind, 0) > 0, "nothing went wrong: the test is void"
    faults.rates = {}
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, (report, done)
    assert differences(sync_env.mirror, sync_env.truth()) == [], done

"""Random histories: a whole project goes back to a time, and then the restore is taken back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.fixtures.sync_env import MakeSyncEnv
from tests.integration.restore.conftest import RestoreEnv
from tests.integration.restore.random_project import Picture, RandomEditors, picture
from versionsync.mirror.tables.restores import StepState
from versionsync.restore.model import Plan
from versionsync.restore.planner import AS_IT_SHOULD_BE
from versionsync.restore.selection import Wanted
from versionsync.simulator import SimulatorOptions

RESTORES = int(os.environ.get("VERSIONSYNC_TEST_RESTORES", "12"))
FIRST = int(os.environ.get("VERSIONSYNC_TEST_SEED", "0"))

MakeRestoring = Callable[[SimulatorOptions | None], RestoreEnv]


@pytest.fixture
def make_restoring(make_sync_env: MakeSyncEnv) -> MakeRestoring:
    """Make an empty project with its mirror."""
    return lambda switches: RestoreEnv(make_sync_env(switches=switches))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RESTORES))
def test_a_project_goes_back_to_a_time_and_forth_again(seed: int, make_restoring: MakeRestoring) -> None:
    # Other rules about deleted parents rewrite versions in place, which the mirror cannot always see.
    restoring, editors = make_restoring(SimulatorOptions(deleted_parents="refused")), RandomEditors(seed)
    env = restoring.env
    env.act(editors.begin)
    for _ in range(editors.random.randrange(40, 140)):
        env.act(editors.act)
    restoring.mirror()
    then, at = env.simulator.act(picture), restoring.now()
    for _ in range(editors.random.randrange(10, 60)):
        env.act(editors.spoil)
    restoring.mirror()
    before = env.simulator.act(picture)

    plan = restoring.plan(Wanted(at=at, publishes=True, deletes=True))
    id, states = restoring.apply(plan)
    after = env.simulator.act(picture)
    failed = unplanned(plan, states)
    print(f"\nseed {seed}: {summary(plan)}, otherwise than planned: {failed}")
    assert list(differences(then, after, plan, failed)) == []
    assert are_unpublications(failed)

    restoring.mirror()
    undo = restoring.undo(id)
    _, states = restoring.apply(undo)
    failed = unplanned(undo, states)
    assert list(differences(before, env.simulator.act(picture), undo, failed)) == []
    assert are_unpublications(failed)


def are_unpublications(failed: Mapping[str, str]) -> bool:
    """Return whether all that failed is records that DatoCMS did not unpublish, and what waited for that."""
    return all("refused to unpublish" in why or "NEEDS_FAILED_STEP" in why for why in failed.values()) and (
        not failed or any("refused to unpublish" in why for why in failed.values())
    )


def summary(plan: Plan) -> str:
    """Return what a plan does, for those who watch."""
    acts = Counter(step.act.value for step in plan.steps)
    left = Counter(one.why.partition(":")[0][:60] for one in plan.left_alone if one.why != AS_IT_SHOULD_BE)
    return f"{dict(acts)}, {len(plan.losses)} losses, left alone: {dict(left)}"


def unplanned(plan: Plan, states: list[StepState]) -> dict[str, str]:
    """Return the records whose steps did not end as planned, and why.

    DatoCMS can refuse to unpublish a record because of others. Only the act itself shows that.
    """
    found: dict[str, str] = {}
    for step, state in zip(plan.steps, states, strict=True):
        if state.state != "done":
            found |= dict.fromkeys(step.record_ids, f"{step.act} {step.reason}: {state.error_code} {state.error}")
    return found


def differences(wanted: Picture, got: Picture, plan: Plan, failed: Mapping[str, str]) -> Iterator[str]:
    """Yield what is not as it was, and was not reported."""
    left = {one.record_id for one in plan.left_alone if one.why != AS_IT_SHOULD_BE} | failed.keys()
    left |= {loss.record_id for loss in plan.losses if "no drafts now" in loss.what}
    lost: dict[str, set[str]] = {}
    for loss in plan.losses:
        lost.setdefault(loss.record_id, set()).add(str(loss.path[0]) if loss.path else "")
    for id in {*wanted.records, *got.records} - left:
        then, now = wanted.records.get(id), got.records.get(id)
        if then is None or now is None:
            if then is not now:
                yield f"{id} {'is there' if then is None else 'is missing'}"
            continue
        ignored = ignored_members(wanted, got, lost.get(id, set()))
        yield from (f"{id} draft: {one}" for one in differing(then.draft, now.draft, got, ignored))
        if "" in lost.get(id, ()):
            continue
        if then.live is None or now.live is None:
            if then.live is not now.live:
                yield f"{id} is {'not ' if now.live is None else ''}live"
        else:
            yield from (f"{id} live: {one}" for one in differing(then.live, now.live, got, ignored))


def ignored_members(wanted: Picture, got: Picture, lost: set[str]) -> set[str]:
    """Return the ids of the fields that lost something, whatever their names are and were."""
    maps = (*wanted.field_ids.values(), *got.field_ids.values())
    return lost | {keys[name] for name in lost for keys in maps if name in keys}


def differing(then: Mapping[str, Any], now: Mapping[str, Any], got: Picture, ignored: set[str]) -> Iterator[str]:
    fields = {id for keys in got.field_ids.values() for id in keys.values()} | {"parent_id"}
    for name, value in then.items():
        if name not in fields or name in ignored:
            continue
        if reduced(value, got, fields) != reduced(now.get(name), got, fields):
            yield f"{name}: {value} became {now.get(name)}"


def reduced(value: Any, got: Picture, fields: set[str]) -> Any:
    """Return a value without what the schema of now cannot hold, and without what is empty."""
    if isinstance(value, list):
        return [reduced(one, got, fields) for one in value] or None
    if not isinstance(value, dict):
        return value
    if value.get("type") == "item":
        members = value["attributes"].items()
        kept = {name: reduced(one, got, fields) for name, one in members if name in fields}
        return {"id": value["id"], **{name: one for name, one in kept.items() if one is not None}}
    if value.keys() <= {"en", "it"}:
        kept = {locale: reduced(one, got, fields) for locale, one in value.items() if locale in got.locales}
        return {locale: one for locale, one in kept.items() if one is not None} or None
    return value

"""A project in the shapes that the real service had in 2021: decimal ids, offsets, a block among the records."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.old_project import AUTHOR, BLOCK, POST, build_old_project
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import records, versions
from versionsync.mirror.tables.sources import load_source
from versionsync.simulator import World
from versionsync.sync.report import Outcome


def old_lab(make_sync_env: MakeSyncEnv) -> SyncEnv:
    """A sync_env of that project. Upstream shows its intervals of publication, so that they can be compared."""
    world = build_old_project(datetime(2021, 2, 8, 12, 51, 20, 323_000, UTC))
    world.options.tracks_intervals_since = datetime(2021, 1, 1, tzinfo=UTC)
    return make_sync_env(world)


def stored(sync_env: SyncEnv) -> dict[str, list[str]]:
    """The records that the mirror holds, with their versions."""
    with sync_env.mirror.read() as connection:
        found: dict[str, list[str]] = {id: [] for id in connection.scalars(select(records.c.id))}
        for id, record in connection.execute(select(versions.c.id, versions.c.record_id)):
            found[record].append(id)
    return found


def test_an_old_project_syncs_rests_and_holds_its_two_records(make_sync_env: MakeSyncEnv) -> None:
    """The block is in the content of its record, and nowhere else."""
    sync_env = old_lab(make_sync_env)
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert stored(sync_env) == {AUTHOR: ["5000001"], POST: ["5000002"]}
    assert sync_env.requests(lambda: sync_env.sync()) == 1
    assert differences(sync_env.mirror, sync_env.truth()) == []
    with sync_env.mirror.read() as connection:
        content, uuid = connection.execute(
            select(versions.c.attributes, versions.c.uuid).where(versions.c.record_id == POST)
        ).one()
        known = load_source(connection, "website")
    assert uuid is None
    assert json.loads(content)["body"]["document"]["children"][0]["item"]["id"] == BLOCK
    assert known is not None
    assert (known.project.time_precision, known.project.time_zone) == (3, "Europe/London")


def test_an_old_project_goes_on(make_sync_env: MakeSyncEnv) -> None:
    """An edit in another zone and without the members that are no field is one new version, and nothing else."""
    sync_env = old_lab(make_sync_env)
    sync_env.sync()

    def modernised(world: World) -> None:
        world.options.items_repeat_times = world.options.milliseconds = False
        world.update_site(world.account, timezone="UTC")
        world.update(world.user, AUTHOR, {"name": "Another Writer"})

    sync_env.act(modernised)
    report = sync_env.sync(full=True)
    assert (report.outcome, report.counts.versions_inserted, report.counts.versions_rewritten) == (
        Outcome.SUCCEEDED,
        1,
        0,
    )
    assert differences(sync_env.mirror, sync_env.truth()) == []

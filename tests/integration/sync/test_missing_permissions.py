"""What a run does not believe, and what it does not touch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from itertools import count

import pytest
from sqlalchemy import func, select

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.fake_upstreams import gateway, refusal
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync import cma
from versionsync.mirror.errors import LeaseHeld, WrongProject
from versionsync.mirror.schema import editors, records, runs
from versionsync.mirror.tables.leases import Holder, acquire
from versionsync.simulator import Clock, Role, Token, World
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome
from versionsync.sync.workers import WORKERS


def deleted(sync_env: SyncEnv) -> int:
    """How many tombstones there are."""
    with sync_env.mirror.read() as connection:
        return connection.scalar(select(func.count()).where(records.c.deleted_at.is_not(None))) or 0


def many_posts(sync_env: SyncEnv, number: int) -> list[str]:
    """Make `number` posts."""
    return [
        sync_env.act(lambda world, title=str(place): world.create(world.user, "post", {"title": title})).id
        for place in range(number)
    ]


def test_too_many_vanished_records_stop_the_run(sync_env: SyncEnv) -> None:
    """Invariant 5: nothing is a tombstone, and the error says how to allow it once."""
    ids = many_posts(sync_env, 30)
    sync_env.sync()
    for id in ids[:15]:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    report = sync_env.sync()
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, MassDeletionError)
    assert "--allow-mass-delete" in str(report.error)
    assert deleted(sync_env) == 0

    report = sync_env.sync(allow_mass_delete=True)
    assert report.outcome is Outcome.SUCCEEDED, report
    assert deleted(sync_env) == 15
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_whole_model_that_vanishes_stops_the_run_while_it_exists(sync_env: SyncEnv) -> None:
    """Ten records of a model that upstream still has, of a source a tenth of which may go."""
    ids = many_posts(sync_env, 10)
    for place in range(60):
        sync_env.act(lambda world, place=place: world.create(world.user, "price", {"title": str(place)}))
    sync_env.sync()
    for id in ids:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    report = sync_env.sync()
    assert isinstance(report.error, MassDeletionError)
    assert "post" in str(report.error)
    assert deleted(sync_env) == 0


def test_a_few_deleted_records_are_believed(sync_env: SyncEnv) -> None:
    """Below the limits each is asked for, and its absence is upstream's own word."""
    ids = many_posts(sync_env, 30)
    sync_env.sync()
    for id in ids[:5]:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert deleted(sync_env) == 5
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_another_project_under_a_known_name_is_refused(sync_env: SyncEnv, make_sync_env: MakeSyncEnv) -> None:
    """The database knows which project it mirrors. The run stops before it counts missing records."""
    many_posts(sync_env, 12)
    sync_env.sync()
    before = emitted_events(sync_env.mirror)
    other = make_sync_env(World(seed=2, clock=Clock.stopped(START), project_id="999", name="Another"))
    other.act(lambda world: world.create_model(world.account, "post"))
    report = other.sync()
    assert isinstance(report.error, WrongProject)
    assert emitted_events(sync_env.mirror) == before


def test_a_wrong_token_and_an_unknown_environment_are_told_apart(sync_env: SyncEnv) -> None:
    """Both end the run before anything is written."""
    sync_env.token = "wrong"
    assert isinstance(sync_env.sync().error, cma.AuthenticationError)
    sync_env.token = "simulator-full-access"
    sync_env.spec = replace(sync_env.spec, environment="nowhere")
    assert isinstance(sync_env.sync().error, cma.EnvironmentNotFound)


def test_a_source_that_another_process_writes_is_left_alone(sync_env: SyncEnv) -> None:
    """Invariant 8: the holder is named."""
    many_posts(sync_env, 1)
    sync_env.sync()
    acquire(sync_env.mirror, 1, Holder(host="elsewhere", pid=7))
    report = sync_env.sync()
    assert isinstance(report.error, LeaseHeld)
    assert "elsewhere" in str(report.error)


def test_a_dry_run_writes_nothing(sync_env: SyncEnv) -> None:
    """Not even a run."""
    many_posts(sync_env, 3)
    report = sync_env.sync(dry_run=True)
    assert (report.outcome, report.would_pull, report.run_id) == (Outcome.SUCCEEDED, 3, None)
    sync_env.sync()
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "new"}))
    report = sync_env.sync(dry_run=True)
    assert (report.would_pull, report.would_delete) == (1, 0)
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(runs)) == 1


def test_a_dry_run_of_single_records_tells_of_these_alone(sync_env: SyncEnv) -> None:
    """Also of a scrub: deleted records and unknown ids are distinguished, and nothing is written."""
    unknown = "AAAAAAAAQACAAAAAAAAAAA"
    assert sync_env.sync(dry_run=True, record_ids=(unknown,)).would_pull == 1, "nothing is known yet"
    assert sync_env.sync(dry_run=True, scrub=3).would_pull == 0
    ids = many_posts(sync_env, 5)
    sync_env.sync()
    many_posts(sync_env, 2)
    sync_env.act(lambda world: world.delete(world.user, ids[1]))
    before = emitted_events(sync_env.mirror)
    report = sync_env.sync(dry_run=True, record_ids=(*ids[:3], unknown))
    assert (report.would_pull, report.would_delete) == (2, 1)
    assert (report.outcome, [failure.record_id for failure in report.failures]) == (Outcome.PARTIAL, [unknown])
    report = sync_env.sync(dry_run=True, scrub=9)
    assert (report.would_pull, report.would_delete, report.outcome) == (4, 1, Outcome.SUCCEEDED)
    assert emitted_events(sync_env.mirror) == before


def test_single_records_can_be_read_again(sync_env: SyncEnv) -> None:
    """Also a deleted one. An unknown id is a failure of its own."""
    ids = many_posts(sync_env, 3)
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, ids[0], {"title": "new"}))
    sync_env.act(lambda world: world.delete(world.user, ids[1]))
    report = sync_env.sync(record_ids=(ids[0], ids[1], "AAAAAAAAQACAAAAAAAAAAA"))
    assert report.outcome is Outcome.PARTIAL
    assert [failure.record_id for failure in report.failures] == ["AAAAAAAAQACAAAAAAAAAAA"]
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_scrub_finds_a_rewrite_that_no_meta_shows(sync_env: SyncEnv) -> None:
    """Removing a field hollows old versions; what was seen first is kept."""
    many_posts(sync_env, 2)
    field = sync_env.act(lambda world: world.create_field(world.account, "post", "body"))
    many_posts(sync_env, 1)
    sync_env.sync()
    sync_env.act(lambda world: world.destroy_field(world.account, field.id))
    sync_env.sync()
    report = sync_env.sync(scrub=10)
    assert report.outcome is Outcome.SUCCEEDED, report
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_cancelled_run_keeps_what_it_has_and_the_next_goes_on(sync_env: SyncEnv) -> None:
    """Invariant 9, gently: the run is recorded as interrupted."""
    many_posts(sync_env, 40)

    async def cancel_soon() -> None:
        task = asyncio.create_task(sync_env.run(SyncOptions(wait_until_settled=False)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_token_that_may_not_read_versions_is_refused(sync_env: SyncEnv) -> None:
    """Its role, not the records, is what is wrong."""
    many_posts(sync_env, 3)

    def restrict(world: World) -> str:
        role = world.people.add_role(Role("77", "blind", can_read_versions=False))
        return world.people.add_token(Token("blind", world.user, role)).secret

    sync_env.token = sync_env.act(restrict)
    report = sync_env.sync()
    assert isinstance(report.error, cma.PermissionDenied)


def test_names_that_a_role_may_not_read_are_read_when_it_may(sync_env: SyncEnv) -> None:
    """By a full run, as docs/troubleshooting.md has it; until then versions bear ids, and a note says so once."""

    def names() -> list[str | None]:
        with sync_env.mirror.read() as connection:
            return list(connection.scalars(select(editors.c.name)))

    many_posts(sync_env, 1)
    sync_env.act(
        lambda world: world.people.add_token(
            Token("narrow", world.user, world.people.add_role(Role("77", "reader", can_manage_users=False)))
        )
    )
    full_access, sync_env.token = sync_env.token, "narrow"
    assert any("may not read editors of kind user" in note for note in sync_env.sync().notes)
    many_posts(sync_env, 1)
    assert sync_env.sync().notes == []
    assert names() == [None]
    sync_env.token = full_access
    sync_env.sync(full=True)
    assert None not in names()


def test_a_kind_of_editor_that_is_new_is_told_once(sync_env: SyncEnv) -> None:
    """It is kept as it is."""
    robot = Editor(StrEnum("Kind", {"ROBOT": "robot"}).ROBOT, "7", "Robby")
    sync_env.act(lambda world: world.create(robot, "post", {"title": "1"}))
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED
    assert report.notes == ["editors of kind robot are new to this program: ids only"]
    sync_env.act(lambda world: world.create(robot, "post", {"title": "2"}))
    assert sync_env.sync().notes == []
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_project_that_is_switched_off_in_the_middle_is_asked_no_more(sync_env: SyncEnv) -> None:
    """As when its quota is spent: each record would be refused alike. What was read until then is kept."""
    many_posts(sync_env, 100)
    direct, asked, off = sync_env.spec, count(1), refusal("DEACTIVATED_SITE", 402)
    with gateway(direct.base_url, instead=lambda _: off if next(asked) > 40 else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync()
    assert isinstance(report.error, cma.PermissionDenied)
    assert report.counts.requests <= 40 + WORKERS
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(records)) == report.counts.records_pulled > 0
    sync_env.spec = direct
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_token_that_sees_less_is_told_and_is_no_deletion(sync_env: SyncEnv) -> None:
    """Records of a hidden model answer 404 as deleted ones do. The own role distinguishes them."""
    many_posts(sync_env, 12)
    sync_env.act(lambda world: world.create(world.user, "price", {"title": "1"}))
    sync_env.sync()

    def restrict(world: World) -> None:
        role = Role("77", "partial", hidden_models=frozenset({"post"}))
        world.people.add_token(Token("partial", world.user, world.people.add_role(role)))

    sync_env.act(restrict)
    sync_env.token = "partial"
    report = sync_env.sync(full=True)
    assert report.outcome is Outcome.PARTIAL
    assert "the token's role partial does not show all records of: post" in report.notes[0]
    assert deleted(sync_env) == 0

"""What a run does not believe, and what it does not touch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from itertools import count

import pytest
from sqlalchemy import func, select

from tests.fixtures.comparing import differences, told
from tests.fixtures.gateways import gateway, refusal
from tests.fixtures.lab import START, Lab, MakeLab
from versionsync import cma
from versionsync.mirror.errors import LeaseHeld, WrongProject
from versionsync.mirror.schema import editors, records, runs
from versionsync.mirror.tables.leases import Holder, acquire
from versionsync.simulator import Clock, Role, Token, World
from versionsync.simulator.world.people import Editor
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.report import Outcome, SyncOptions
from versionsync.sync.workers import WORKERS


def deleted(lab: Lab) -> int:
    """How many tombstones there are."""
    with lab.mirror.read() as connection:
        return connection.scalar(select(func.count()).where(records.c.deleted_at.is_not(None))) or 0


def many_posts(lab: Lab, number: int) -> list[str]:
    """Make `number` posts."""
    return [
        lab.act(lambda world, title=str(place): world.create(world.user, "post", {"title": title})).id
        for place in range(number)
    ]


def test_too_many_vanished_records_stop_the_run(lab: Lab) -> None:
    """Invariant 5: nothing is a tombstone, and the error says how to allow it once."""
    ids = many_posts(lab, 30)
    lab.sync()
    for id in ids[:15]:
        lab.act(lambda world, gone=id: world.delete(world.user, gone))
    report = lab.sync()
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, MassDeletionError)
    assert "--allow-mass-delete" in str(report.error)
    assert deleted(lab) == 0

    report = lab.sync(allow_mass_delete=True)
    assert report.outcome is Outcome.SUCCEEDED, report
    assert deleted(lab) == 15
    assert differences(lab.mirror, lab.truth()) == []


def test_a_whole_model_that_vanishes_stops_the_run_while_it_exists(lab: Lab) -> None:
    """Ten records of a model that upstream still has, of a source a tenth of which may go."""
    ids = many_posts(lab, 10)
    for place in range(60):
        lab.act(lambda world, place=place: world.create(world.user, "price", {"title": str(place)}))
    lab.sync()
    for id in ids:
        lab.act(lambda world, gone=id: world.delete(world.user, gone))
    report = lab.sync()
    assert isinstance(report.error, MassDeletionError)
    assert "post" in str(report.error)
    assert deleted(lab) == 0


def test_a_few_deleted_records_are_believed(lab: Lab) -> None:
    """Below the limits each is asked for, and its absence is upstream's own word."""
    ids = many_posts(lab, 30)
    lab.sync()
    for id in ids[:5]:
        lab.act(lambda world, gone=id: world.delete(world.user, gone))
    assert lab.sync().outcome is Outcome.SUCCEEDED
    assert deleted(lab) == 5
    assert differences(lab.mirror, lab.truth()) == []


def test_another_project_under_a_known_name_is_refused(lab: Lab, make_lab: MakeLab) -> None:
    """The database knows which project it mirrors; that so many records are not there is not even looked at."""
    many_posts(lab, 12)
    lab.sync()
    before = told(lab.mirror)
    other = make_lab(World(seed=2, clock=Clock.stopped(START), project_id="999", name="Another"))
    other.act(lambda world: world.create_model(world.account, "post"))
    report = other.sync()
    assert isinstance(report.error, WrongProject)
    assert told(lab.mirror) == before


def test_a_wrong_token_and_an_unknown_environment_are_told_apart(lab: Lab) -> None:
    """Both end the run before anything is written."""
    lab.token = "wrong"
    assert isinstance(lab.sync().error, cma.AuthenticationError)
    lab.token = "simulator-full-access"
    lab.spec = replace(lab.spec, environment="nowhere")
    assert isinstance(lab.sync().error, cma.EnvironmentNotFound)


def test_a_source_that_another_process_writes_is_left_alone(lab: Lab) -> None:
    """Invariant 8: the holder is named."""
    many_posts(lab, 1)
    lab.sync()
    acquire(lab.mirror, 1, Holder(host="elsewhere", pid=7))
    report = lab.sync()
    assert isinstance(report.error, LeaseHeld)
    assert "elsewhere" in str(report.error)


def test_a_dry_run_writes_nothing(lab: Lab) -> None:
    """Not even a run."""
    many_posts(lab, 3)
    report = lab.sync(dry_run=True)
    assert (report.outcome, report.would_pull, report.run_id) == (Outcome.SUCCEEDED, 3, None)
    lab.sync()
    lab.act(lambda world: world.create(world.user, "post", {"title": "new"}))
    report = lab.sync(dry_run=True)
    assert (report.would_pull, report.would_delete) == (1, 0)
    with lab.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(runs)) == 1


def test_a_dry_run_of_single_records_tells_of_these_alone(lab: Lab) -> None:
    """Also of a scrub: what is gone and what never was are told apart, and nothing is written."""
    unknown = "AAAAAAAAQACAAAAAAAAAAA"
    assert lab.sync(dry_run=True, record_ids=(unknown,)).would_pull == 1, "nothing is known yet"
    assert lab.sync(dry_run=True, scrub=3).would_pull == 0
    ids = many_posts(lab, 5)
    lab.sync()
    many_posts(lab, 2)
    lab.act(lambda world: world.delete(world.user, ids[1]))
    before = told(lab.mirror)
    report = lab.sync(dry_run=True, record_ids=(*ids[:3], unknown))
    assert (report.would_pull, report.would_delete) == (2, 1)
    assert (report.outcome, [failure.record_id for failure in report.failures]) == (Outcome.PARTIAL, [unknown])
    report = lab.sync(dry_run=True, scrub=9)
    assert (report.would_pull, report.would_delete, report.outcome) == (4, 1, Outcome.SUCCEEDED)
    assert told(lab.mirror) == before


def test_single_records_can_be_read_again(lab: Lab) -> None:
    """Also one that is gone; one that never was is a failure of its own."""
    ids = many_posts(lab, 3)
    lab.sync()
    lab.act(lambda world: world.update(world.user, ids[0], {"title": "new"}))
    lab.act(lambda world: world.delete(world.user, ids[1]))
    report = lab.sync(record_ids=(ids[0], ids[1], "AAAAAAAAQACAAAAAAAAAAA"))
    assert report.outcome is Outcome.PARTIAL
    assert [failure.record_id for failure in report.failures] == ["AAAAAAAAQACAAAAAAAAAAA"]
    assert differences(lab.mirror, lab.truth()) == []


def test_a_scrub_finds_a_rewrite_that_no_meta_shows(lab: Lab) -> None:
    """Removing a field hollows old versions; what was seen first is kept."""
    many_posts(lab, 2)
    field = lab.act(lambda world: world.create_field(world.account, "post", "body"))
    many_posts(lab, 1)
    lab.sync()
    lab.act(lambda world: world.destroy_field(world.account, field.id))
    lab.sync()
    report = lab.sync(scrub=10)
    assert report.outcome is Outcome.SUCCEEDED, report
    assert differences(lab.mirror, lab.truth()) == []


def test_a_cancelled_run_keeps_what_it_has_and_the_next_goes_on(lab: Lab) -> None:
    """Invariant 9, gently: the run is recorded as interrupted."""
    many_posts(lab, 40)

    async def cancel_soon() -> None:
        task = asyncio.create_task(lab.run(SyncOptions(wait_until_settled=False)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_soon())
    report = lab.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert differences(lab.mirror, lab.truth()) == []


def test_a_token_that_may_not_read_versions_is_refused(lab: Lab) -> None:
    """Its role, not the records, is what is wrong."""
    many_posts(lab, 3)

    def restrict(world: World) -> str:
        role = world.people.add_role(Role("77", "blind", can_read_versions=False))
        return world.people.add_token(Token("blind", world.user, role)).secret

    lab.token = lab.act(restrict)
    report = lab.sync()
    assert isinstance(report.error, cma.PermissionDenied)


def test_names_that_a_role_may_not_read_are_read_when_it_may(lab: Lab) -> None:
    """By a full run, as docs/troubleshooting.md has it; until then versions bear ids, and a note says so once."""

    def names() -> list[str | None]:
        with lab.mirror.read() as connection:
            return list(connection.scalars(select(editors.c.name)))

    many_posts(lab, 1)
    lab.act(
        lambda world: world.people.add_token(
            Token("narrow", world.user, world.people.add_role(Role("77", "reader", can_manage_users=False)))
        )
    )
    full_access, lab.token = lab.token, "narrow"
    assert any("may not read editors of kind user" in note for note in lab.sync().notes)
    many_posts(lab, 1)
    assert lab.sync().notes == []
    assert names() == [None]
    lab.token = full_access
    lab.sync(full=True)
    assert None not in names()


def test_a_kind_of_editor_that_is_new_is_told_once(lab: Lab) -> None:
    """It is kept as it is."""
    robot = Editor(StrEnum("Kind", {"ROBOT": "robot"}).ROBOT, "7", "Robby")
    lab.act(lambda world: world.create(robot, "post", {"title": "1"}))
    report = lab.sync()
    assert report.outcome is Outcome.SUCCEEDED
    assert report.notes == ["editors of kind robot are new to this program: ids only"]
    lab.act(lambda world: world.create(robot, "post", {"title": "2"}))
    assert lab.sync().notes == []
    assert differences(lab.mirror, lab.truth()) == []


def test_a_project_that_is_switched_off_in_the_middle_is_asked_no_more(lab: Lab) -> None:
    """As when its quota is spent: each record would be refused alike. What was read until then is kept."""
    many_posts(lab, 100)
    direct, asked, off = lab.spec, count(1), refusal("DEACTIVATED_SITE", 402)
    with gateway(direct.base_url, instead=lambda _: off if next(asked) > 40 else None) as url:
        lab.spec = replace(direct, base_url=url)
        report = lab.sync()
    assert isinstance(report.error, cma.PermissionDenied)
    assert report.counts.requests <= 40 + WORKERS
    with lab.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(records)) == report.counts.records_pulled > 0
    lab.spec = direct
    assert lab.sync().outcome is Outcome.SUCCEEDED
    assert differences(lab.mirror, lab.truth()) == []


def test_a_token_that_sees_less_is_told_and_is_no_deletion(lab: Lab) -> None:
    """Records of a hidden model answer 404 as deleted ones do: its own role tells them apart."""
    many_posts(lab, 12)
    lab.act(lambda world: world.create(world.user, "price", {"title": "1"}))
    lab.sync()

    def restrict(world: World) -> None:
        role = Role("77", "partial", hidden_models=frozenset({"post"}))
        world.people.add_token(Token("partial", world.user, world.people.add_role(role)))

    lab.act(restrict)
    lab.token = "partial"
    report = lab.sync(full=True)
    assert report.outcome is Outcome.PARTIAL
    assert "the token's role partial does not show all records of: post" in report.notes[0]
    assert deleted(lab) == 0

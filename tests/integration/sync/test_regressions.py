"""What the breaking machine and outsiders have found, each by its smallest example."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.compare_with_expected import differences, emitted_events
from tests.fixtures.sync_env import START, MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import versions
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, FaultKind, Faults, Selection, SimulatorOptions, World
from versionsync.sync import schema_check
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome


def post(sync_env: SyncEnv, title: str = "first") -> str:
    """A new post's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


def lab_with_faults(make_sync_env: MakeSyncEnv, switches: SimulatorOptions | None = None) -> tuple[SyncEnv, Faults]:
    """A sync_env with the model `post` whose upstream can be disturbed."""
    faults = Faults()
    sync_env = make_sync_env(World(seed=1, clock=Clock.stopped(START), options=switches), faults=faults)
    model = sync_env.act(lambda world: world.create_model(world.account, "post", draft_mode=True))
    sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    return sync_env, faults


def edit(world: World, record_id: str) -> None:
    """Another title."""
    world.update(world.user, record_id, {"title": "second"})


def test_an_environment_that_comes_back_is_believed_at_once(sync_env: SyncEnv) -> None:
    """What is older there than in the one mirrored last is neither doubted nor asked for again."""
    id = post(sync_env)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.promote(world.account, "copy"))
    sync_env.act(lambda world: world.update(world.user, id, {"title": "in the copy"}))
    sync_env.sync()
    sync_env.act(lambda world: world.promote(world.account, "main"))
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED
    # The last environment, which is the primary one now, that one, the schema, the list, and the record's versions.
    assert report.counts.requests == 5
    assert sync_env.requests(sync_env.sync) == 3, "swept once more"
    assert sync_env.requests(sync_env.sync) == 1
    assert differences(sync_env.mirror, sync_env.truth("main"), before=[sync_env.truth("copy")]) == []


def test_a_run_stopped_before_it_swept_another_environment_leaves_no_stamp_behind(make_sync_env: MakeSyncEnv) -> None:
    """The stamp of the one must not vouch for what changed before it in the other."""
    faults = Faults()
    sync_env = make_sync_env(World(seed=1, clock=Clock.stopped(START)), faults=faults)
    sync_env.pause = timedelta(hours=1)
    model = sync_env.act(lambda world: world.create_model(world.account, "post", draft_mode=True))
    sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    changed_early, changed_late = post(sync_env), post(sync_env)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.update(world.user, changed_early, {"title": "early"}, environment="copy"))
    sync_env.act(lambda world: world.update(world.user, changed_late, {"title": "the last that main saw"}))
    sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, changed_late, {"title": "late"}, environment="copy"))
    sync_env.pause = timedelta(0)  # so fresh a change is waited for
    sync_env.act(lambda world: world.promote(world.account, "copy"))

    async def stopped() -> None:
        task, loop = (
            asyncio.ensure_future(sync_env.run(SyncOptions(wait_until_settled=True))),
            asyncio.get_running_loop(),
        )
        faults.run_after(lambda _: loop.call_later(0.2, task.cancel), path=r"^/site\?include")
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    assert sync_env.sync(quick_check_from=1).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth("copy"), before=[sync_env.truth("main")]) == []


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_mixture_ends_before_the_whole_goes_live(sync_env: SyncEnv, seconds: int) -> None:
    """One locale is published, then everything: the mixture, listed later, ends first, within one second too."""
    sync_env.act(lambda world: world.add_locale(world.account, "it"))
    sync_env.act(lambda world: world.create_field(world.account, "post", "body", localized=True))
    id = sync_env.act(lambda world: world.create(world.user, "post", {"body": {"en": "one", "it": "uno"}})).id
    sync_env.act(lambda world: world.publish(world.user, id, Selection.of(["en"])))
    sync_env.pause = timedelta(seconds=seconds)
    sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.sync()
    live = [type for type, _, _, _ in emitted_events(sync_env.mirror) if type.endswith("published")]
    assert live == ["version.published", "version.unpublished", "version.published"]
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize("seconds", [1, 60])
@pytest.mark.parametrize("checked", [(2, 3), (0, 2, 3), (0, 3), (3,)], ids=lambda moments: f"checked after {moments}")
def test_two_mixtures_between_two_checks_and_then_the_whole(
    sync_env: SyncEnv, checked: Sequence[int], seconds: int
) -> None:
    """One locale goes live, then the other one, then everything, whenever a run comes by."""
    for locale in ("it", "de"):  # a third one, which stays behind: two of two would be the whole
        sync_env.act(lambda world, locale=locale: world.add_locale(world.account, locale))  # type: ignore[misc]
    sync_env.act(lambda world: world.create_field(world.account, "post", "body", localized=True))
    id = sync_env.act(
        lambda world: world.create(world.user, "post", {"body": {"en": "one", "it": "uno", "de": "eins"}})
    ).id
    sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.act(lambda world: world.update(world.user, id, {"body": {"en": "two", "it": "due", "de": "zwei"}}))
    if 0 in checked:
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    sync_env.pause = timedelta(seconds=seconds)
    acts: list[Callable[[World], object]] = [
        lambda world: world.publish(world.user, id, Selection.of(["en"])),
        lambda world: world.publish(world.user, id, Selection.of(["it"])),
        lambda world: world.publish(world.user, id),
    ]
    sync_env.wait(60)
    for moment, act in enumerate(acts, start=1):
        sync_env.act(act)
        if moment in checked:
            assert sync_env.sync().outcome is Outcome.SUCCEEDED
            assert differences(sync_env.mirror, sync_env.truth()) == []
            live = [type for type, _, _, _ in emitted_events(sync_env.mirror) if type.endswith("published")]
            assert live == (["version.published", "version.unpublished"] * len(live))[: len(live)]
            assert len(live) % 2, "one version is live"
    assert sync_env.requests(sync_env.sync) == 1


@pytest.mark.parametrize("seconds", [1, 60])
def test_a_version_is_live_again_after_two_mixtures(sync_env: SyncEnv, seconds: int) -> None:
    """Unpublished, then published by one locale, the other, then all: no two versions are published at once."""
    for locale in ("it", "de"):  # a third one, which stays behind: two of two would be the whole
        sync_env.act(lambda world, locale=locale: world.add_locale(world.account, locale))  # type: ignore[misc]
    sync_env.act(lambda world: world.create_field(world.account, "post", "body", localized=True))
    id = sync_env.act(
        lambda world: world.create(world.user, "post", {"body": {"en": "one", "it": "uno", "de": "eins"}})
    ).id
    sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.sync()
    sync_env.pause = timedelta(seconds=seconds)
    sync_env.wait(60)
    sync_env.act(lambda world: world.unpublish(world.user, id))
    for locale in ("en", "it"):
        sync_env.act(lambda world, locale=locale: world.publish(world.user, id, Selection.of([locale])))  # type: ignore[misc]
    sync_env.act(lambda world: world.publish(world.user, id))
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    live = [(type, version) for type, _, version, _ in emitted_events(sync_env.mirror) if type.endswith("published")]
    assert [type for type, _ in live] == ["version.published", "version.unpublished"] * (len(live) // 2) + [
        "version.published"
    ]
    assert all(one == other for (_, one), (_, other) in zip(live[::2], live[1::2], strict=False))
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_an_old_answer_about_a_record_made_again_is_not_believed(make_sync_env: MakeSyncEnv) -> None:
    """Meta and versions from before, all of one second: a version that was missing is not current again."""
    sync_env, faults = lab_with_faults(make_sync_env)
    id = post(sync_env)
    faults.rates[FaultKind.STALE] = 0.0  # so that the simulator remembers its answers
    sync_env.pause = timedelta(0)
    sync_env.sync(settled=False, record_ids=(id,))
    sync_env.act(lambda world: world.delete(world.user, id))
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "again"}, id=id))
    sync_env.sync(settled=False, record_ids=(id,))
    faults.plant(FaultKind.STALE, path=f"/items/{id}", times=2)
    sync_env.sync(settled=False, record_ids=(id,))
    assert faults.injected[FaultKind.STALE] == 2, "nothing was old: the test is void"
    assert "version.returned" not in {type for type, *_ in emitted_events(sync_env.mirror)}
    sync_env.sync(full=True)
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_old_content_in_an_old_answer_is_not_believed(make_sync_env: MakeSyncEnv) -> None:
    """A field was renamed, which rewrote what was stored; an answer from before shows nothing new."""
    faults = Faults()
    sync_env = make_sync_env(World(seed=1, clock=Clock.stopped(START)), faults=faults)
    model = sync_env.act(lambda world: world.create_model(world.account, "post", draft_mode=True))
    title = sync_env.act(lambda world: world.create_field(world.account, model, "title")).id
    post(sync_env)
    faults.rates[FaultKind.STALE] = 0.0  # so that the simulator remembers its answers
    sync_env.sync()
    sync_env.act(lambda world: world.update_field(world.account, title, api_key="headline"))
    sync_env.sync(full=True)
    faults.plant(FaultKind.STALE, path="/versions")
    sync_env.sync(full=True)
    assert faults.injected[FaultKind.STALE] == 1, "nothing was old: the test is void"
    assert [type for type, *_ in emitted_events(sync_env.mirror)].count("version.rewritten") == 1
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_content_that_really_comes_back_is_believed(sync_env: SyncEnv) -> None:
    """A field gets its old name back: asked a few times, upstream insists."""
    subtitle = sync_env.act(lambda world: world.create_field(world.account, "post", "subtitle")).id
    sync_env.act(lambda world: world.create(world.user, "post", {"subtitle": "first"}))
    sync_env.sync(full=True)
    for name in ("teaser", "subtitle"):
        sync_env.act(lambda world, name=name: world.update_field(world.account, subtitle, api_key=name))  # type: ignore[misc]
        assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert [type for type, *_ in emitted_events(sync_env.mirror)].count("version.rewritten") == 2
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_what_was_asked_for_again_and_believed_is_in_doubt_no_more(sync_env: SyncEnv) -> None:
    """An environment comes back, and the run that notices reads another record: the next but one may be skipped."""
    edited, other = post(sync_env), post(sync_env)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.promote(world.account, "copy"))
    sync_env.act(lambda world: world.update(world.user, edited, {"title": "in the copy"}))
    sync_env.sync()
    sync_env.act(lambda world: world.promote(world.account, "main"))
    sync_env.sync(record_ids=(other,))
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    sync_env.sync()  # once more, for another environment
    assert sync_env.requests(sync_env.sync) == 1
    assert differences(sync_env.mirror, sync_env.truth("main"), before=[sync_env.truth("copy")]) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_listed_record_that_is_not_found_at_once_is_not_gone(make_sync_env: MakeSyncEnv, times: int) -> None:
    """A replica that lags knows nothing of it yet: neither a new record is lacking, nor an old one deleted."""
    sync_env, faults = lab_with_faults(make_sync_env)
    for _ in range(2):
        id = post(sync_env)
        faults.plant(FaultKind.NOT_FOUND, path=f"/items/{id}", times=times)
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
        sync_env.act(partial(edit, record_id=id))
        faults.plant(FaultKind.NOT_FOUND, path=f"/items/{id}", times=times)
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert faults.injected[FaultKind.NOT_FOUND] == 4 * times
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_what_was_listed_and_is_gone_is_looked_for_once_more(make_sync_env: MakeSyncEnv) -> None:
    """However often upstream says so in one run: the next one is not skipped."""
    sync_env, faults = lab_with_faults(make_sync_env)
    id = post(sync_env)
    faults.plant(FaultKind.NOT_FOUND, path=f"/items/{id}", times=5)
    sync_env.sync()
    faults.clear()
    sync_env.sync()
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_record_that_is_gone_in_an_environment_that_comes_back_is_believed(make_sync_env: MakeSyncEnv) -> None:
    """What upstream still lists of it is older than what the mirror holds, and stays so."""
    sync_env, _ = lab_with_faults(make_sync_env, SimulatorOptions(deleted_versions_readable=True))
    id = post(sync_env)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.promote(world.account, "copy"))
    sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, id, environment="main"))
    sync_env.act(lambda world: world.promote(world.account, "main"))
    assert sync_env.sync(allow_mass_delete=True).outcome is Outcome.SUCCEEDED
    sync_env.sync()  # once more, for another environment
    assert sync_env.requests(sync_env.sync) == 1
    assert differences(sync_env.mirror, sync_env.truth("main"), before=[sync_env.truth("copy")]) == []


def test_a_record_that_is_gone_and_whose_content_came_back_is_believed(make_sync_env: MakeSyncEnv) -> None:
    """A field got its old name back before the record was deleted: what is still listed stays as it was once."""
    sync_env, _ = lab_with_faults(make_sync_env, SimulatorOptions(deleted_versions_readable=True))
    subtitle = sync_env.act(lambda world: world.create_field(world.account, "post", "subtitle")).id
    id = sync_env.act(lambda world: world.create(world.user, "post", {"subtitle": "first"})).id
    sync_env.sync(full=True)
    sync_env.act(lambda world: world.update_field(world.account, subtitle, api_key="teaser"))
    sync_env.sync(full=True)
    sync_env.act(lambda world: world.update_field(world.account, subtitle, api_key="subtitle"))
    sync_env.act(lambda world: world.delete(world.user, id))
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    sync_env.sync()
    assert sync_env.requests(sync_env.sync) == 1
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize(
    ("is_promoted", "times"),
    [(False, 1), (True, 1), (True, 2)],
    ids=["same environment", "promoted", "promoted, old again"],
)
def test_a_list_that_does_not_tell_the_last_change_is_not_the_last_word(
    make_sync_env: MakeSyncEnv, is_promoted: bool, times: int
) -> None:
    """It is an old answer, or the change was of another kind: the next run checks again."""
    sync_env, faults = lab_with_faults(make_sync_env)
    faults.rates[FaultKind.STALE] = 0.0  # so that the simulator remembers its answers
    id = post(sync_env)
    sync_env.sync()
    if is_promoted:
        sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
        sync_env.act(lambda world: world.promote(world.account, "copy"))
        sync_env.sync()
    sync_env.act(lambda world: world.update(world.user, id, {"title": "meanwhile"}, environment="main"))
    if is_promoted:
        sync_env.act(lambda world: world.promote(world.account, "main"))
    faults.plant(FaultKind.STALE, path=r"/items\?", times=times)
    sync_env.sync()
    assert faults.injected[FaultKind.STALE] == times, "nothing was old: the test is void"
    sync_env.sync()
    assert (
        differences(sync_env.mirror, sync_env.truth("main"), before=[sync_env.truth("copy")] if is_promoted else [])
        == []
    )
    assert sync_env.requests(sync_env.sync) == 1


@pytest.mark.parametrize("is_live", [False, True], ids=["never live", "live"])
def test_versions_that_do_not_tell_a_publication_that_the_meta_tells_are_old(
    make_sync_env: MakeSyncEnv, is_live: bool
) -> None:
    """Live for no time at all, or once more: the same version is current, and as live as before."""
    sync_env, faults = lab_with_faults(make_sync_env)
    id = post(sync_env)
    faults.rates[FaultKind.STALE] = 0.0  # so that the simulator remembers its answers
    if is_live:
        sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.sync()

    def turn_twice(world: World) -> None:
        if is_live:
            world.unpublish(world.user, id)
        world.publish(world.user, id)
        if not is_live:
            world.unpublish(world.user, id)

    sync_env.act(turn_twice)
    faults.plant(FaultKind.STALE, path=f"/items/{id}/versions")
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert faults.injected[FaultKind.STALE] == 1, "nothing was old: the test is void"
    assert differences(sync_env.mirror, sync_env.truth()) == []


def hide(world: World, *api_keys: str) -> None:
    """The token's role does not show the records of these models."""
    role = world.people.tokens[FULL_ACCESS_TOKEN].role
    world.people.add_role(replace(role, hidden_models=frozenset(api_keys)))


def test_a_role_that_hides_more_in_the_middle_of_a_run_deletes_nothing(make_sync_env: MakeSyncEnv) -> None:
    """What the role hides is asked for early in the run, because upstream refuses to list one of the models."""
    sync_env, faults = lab_with_faults(make_sync_env)
    price = sync_env.act(lambda world: world.create_model(world.account, "price"))
    sync_env.act(lambda world: world.create_field(world.account, price, "title"))
    sync_env.act(lambda world: world.create(world.user, "price", {"title": "first"}))
    for _ in range(3):
        post(sync_env)
    sync_env.sync()
    sync_env.act(lambda world: hide(world, "price"))
    requests = sync_env.requests(lambda: sync_env.sync(full=True))
    for nth in range(1, requests + 1):
        faults.run_after(lambda world: hide(world, "price", "post"), nth=nth)
        sync_env.sync(full=True)
        sync_env.act(lambda world: hide(world, "price"))
        assert not [one for one in emitted_events(sync_env.mirror) if one[0] == "record.deleted"], nth
    sync_env.act(hide)
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_an_old_answer_about_the_role_deletes_no_record_of_a_model_not_named(make_sync_env: MakeSyncEnv) -> None:
    """The model is not found, and the role seems to show it; when its records are not found, it hides them."""
    sync_env, faults = lab_with_faults(make_sync_env, SimulatorOptions(hidden_models_are_named=False))
    price = sync_env.act(lambda world: world.create_model(world.account, "price"))
    sync_env.act(lambda world: world.create_field(world.account, price, "title"))
    for model in ("price", "post"):
        sync_env.act(lambda world, model=model: world.create(world.user, model, {"title": "first"}))
    sync_env.sync()
    faults.run_after(lambda world: hide(world, "post"), path="^/environments")
    faults.run_after(hide, path="^/item-types/", nth=1 + schema_check.ABSENCE_ATTEMPTS)
    faults.run_after(lambda world: hide(world, "post"), path="^/users/me")
    assert sync_env.sync(full=True).outcome is Outcome.PARTIAL
    assert not [one for one in emitted_events(sync_env.mirror) if one[0] == "record.deleted"]
    sync_env.act(hide)
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


@pytest.mark.parametrize("what", ["refused", "ignored", "empty", "all_ignored", "all_empty"])
@pytest.mark.parametrize("lists_blocks", [False, True])
def test_a_role_that_hides_models_fails_no_run(make_sync_env: MakeSyncEnv, what: Any, *, lists_blocks: bool) -> None:
    """Without any model that upstream accepts there may be no filter, and then it accepts no order."""
    sync_env, _ = lab_with_faults(
        make_sync_env, SimulatorOptions(unknown_model_in_filter=what, lists_blocks=lists_blocks)
    )
    post(sync_env)
    sync_env.sync()
    sync_env.act(lambda world: hide(world, "post"))
    for options in ({}, {"full": True}, {"full": True, "dry_run": True}):
        sync_env.act(lambda world, name=str(options): world.update_site(world.account, name=name))
        assert sync_env.sync(**options).outcome is Outcome.PARTIAL
    sync_env.act(hide)
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_clock_that_is_set_back_does_not_hide_that_a_field_was_retyped(sync_env: SyncEnv) -> None:
    """A date-time that is a text from now on is printed as it was entered: no rewrite, whatever our clock says."""
    when = sync_env.act(lambda world: world.create_field(world.account, "post", "when", "date_time"))
    sync_env.act(lambda world: world.update_site(world.account, timezone="Europe/Rome"))
    id = sync_env.act(
        lambda world: world.create(world.user, "post", {"title": "first", "when": "2026-03-01T09:00:00Z"})
    ).id
    sync_env.sync()
    with sync_env.mirror.write() as tx:  # the clock was a day ahead
        tx.execute(versions.update().values(first_seen_at=versions_seen_at(sync_env) + timedelta(days=1)))
    sync_env.act(lambda world: world.update_field(world.account, when.id, field_type="string"))
    sync_env.act(lambda world: world.publish(world.user, id))
    sync_env.sync(full=True)
    assert not [one for one in emitted_events(sync_env.mirror) if one[0] == "version.rewritten"]


def versions_seen_at(sync_env: SyncEnv) -> datetime:
    """When the only version was first seen."""
    with sync_env.mirror.read() as connection:
        return connection.execute(select(versions.c.first_seen_at)).scalar_one()

"""Who made the versions: each editor is asked for until upstream has answered, and then no more."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.schema import editors
from versionsync.simulator import FaultKind
from versionsync.sync.report import Outcome


def names(sync_env: SyncEnv) -> dict[str, str | None]:
    """What the mirror calls the editors, by their kind."""
    with sync_env.mirror.read() as connection:
        return {row.type: row.name for row in connection.execute(select(editors.c.type, editors.c.name))}


def edit(sync_env: SyncEnv, title: str) -> str:
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


def test_names_that_could_not_be_had_are_asked_for_by_the_next_run(sync_env: SyncEnv) -> None:
    """A run may end, or be killed, after it has written versions and before it knows who made them (invariant 9)."""
    edit(sync_env, "one")
    behind, is_down = sync_env.simulator.url, True

    def answer(path: str) -> Given | None:
        return Given(511) if is_down and path.startswith("/users") else None

    with gateway(behind, instead=answer) as url:
        sync_env.spec = replace(sync_env.spec, base_url=url)
        assert sync_env.sync().outcome is Outcome.FAILED
        assert names(sync_env) == {"user": None}
        is_down = False
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert names(sync_env)["user"]


def test_who_is_in_no_answer_is_asked_for_once(sync_env: SyncEnv) -> None:
    """Somebody who has left has no name, and costs no request in each run; `--full` asks again."""
    edit(sync_env, "one")
    sync_env.act(lambda world: world.people.remove(world.user))
    sync_env.sync()
    assert names(sync_env) == {"user": None}
    edit(sync_env, "two")
    again = sync_env.requests(sync_env.sync)
    sync_env.act(lambda world: world.people.add(world.user))
    edit(sync_env, "three")
    assert sync_env.requests(sync_env.sync) == again
    assert names(sync_env) == {"user": None}
    assert sync_env.requests(lambda: sync_env.sync(full=True))
    assert names(sync_env)["user"]


def test_an_answer_about_people_that_cannot_be_read_costs_their_names_only(sync_env: SyncEnv) -> None:
    """What was mirrored is whole all the same."""
    edit(sync_env, "one")
    sync_env.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/users$")
    report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert report.notes == ["what upstream says of editors of kind user cannot be read: ids only"]
    assert names(sync_env) == {"user": None}

"""Who made the versions: each editor is asked for until upstream has answered, and then no more."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from tests.fixtures.gateways import Given, gateway
from tests.fixtures.lab import Lab
from versionsync.mirror.schema import editors
from versionsync.simulator import FaultKind
from versionsync.sync.report import Outcome


def names(lab: Lab) -> dict[str, str | None]:
    """What the mirror calls the editors, by their kind."""
    with lab.mirror.read() as connection:
        return {row.type: row.name for row in connection.execute(select(editors.c.type, editors.c.name))}


def edit(lab: Lab, title: str) -> str:
    return lab.act(lambda world: world.create(world.user, "post", {"title": title})).id


def test_names_that_could_not_be_had_are_asked_for_by_the_next_run(lab: Lab) -> None:
    """A run may end, or be killed, after it has written versions and before it knows who made them (invariant 9)."""
    edit(lab, "one")
    behind, is_down = lab.simulator.url, True

    def answer(path: str) -> Given | None:
        return Given(511) if is_down and path.startswith("/users") else None

    with gateway(behind, instead=answer) as url:
        lab.spec = replace(lab.spec, base_url=url)
        assert lab.sync().outcome is Outcome.FAILED
        assert names(lab) == {"user": None}
        is_down = False
        assert lab.sync().outcome is Outcome.SUCCEEDED
    assert names(lab)["user"]


def test_who_is_in_no_answer_is_asked_for_once(lab: Lab) -> None:
    """Somebody who has left has no name, and costs no request in each run; `--full` asks again."""
    edit(lab, "one")
    lab.act(lambda world: world.people.remove(world.user))
    lab.sync()
    assert names(lab) == {"user": None}
    edit(lab, "two")
    again = lab.requests(lab.sync)
    lab.act(lambda world: world.people.add(world.user))
    edit(lab, "three")
    assert lab.requests(lab.sync) == again
    assert names(lab) == {"user": None}
    assert lab.requests(lambda: lab.sync(full=True))
    assert names(lab)["user"]


def test_an_answer_about_people_that_cannot_be_read_costs_their_names_only(lab: Lab) -> None:
    """What was mirrored is whole all the same."""
    edit(lab, "one")
    lab.simulator.simulator.faults.plant(FaultKind.WRONG_SHAPE, path="/users$")
    report = lab.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    assert report.notes == ["what upstream says of editors of kind user cannot be read: ids only"]
    assert names(lab) == {"user": None}

"""Records that were deleted come back: their ids, contents, links and what was live."""

from __future__ import annotations

from tests.integration.restore.conftest import RestoreEnv, ended
from versionsync.restore.model import Act
from versionsync.restore.selection import Wanted
from versionsync.simulator import World


def test_a_deleted_record_comes_back_with_its_id_and_what_was_live(restoring: RestoreEnv) -> None:
    def build(world: World) -> str:
        people = world.people
        ben = people.add_user("Ben Writer") if hasattr(people, "add_user") else None
        raise AssertionError(ben)

    restoring.env.act(build)
    del Act, Wanted, ended

"""A record whose content was erased from the mirror is not restored: that would empty it upstream.

One that names a file that was erased is, without what it said of the file.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.fixtures.uploads import add_gallery, add_upload, files
from tests.integration.restore.conftest import RestoreEnv
from versionsync.erasure.carry_out import erase, plan_erasure
from versionsync.erasure.uploads import erase_known_upload, plan_upload_erasure
from versionsync.mirror.tables.restores import load_plans
from versionsync.restore.errors import CannotApply
from versionsync.restore.kept_plans import keep, kept_plan, last_erasure
from versionsync.restore.selection import Wanted


def test_an_erased_record_is_left_alone(restoring: RestoreEnv) -> None:
    env = restoring.env
    erased, other = (
        env.act(lambda world, title=title: world.create(world.account, "post", {"title": title}))
        for title in ("The old fish market", "The new one")
    )
    restoring.mirror()
    before = restoring.now()
    env.act(lambda world: world.update(world.account, erased.id, {"title": "changed"}))
    env.act(lambda world: world.update(world.account, other.id, {"title": "changed"}))
    restoring.mirror()
    target = plan_erasure(env.mirror, (), erased.id).target
    erase(env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)

    plan = restoring.plan(Wanted(model="post", at=before))
    assert [(one.record_id, one.why) for one in plan.left_alone] == [
        (erased.id, "Its content was erased from the mirror on request.")
    ]
    assert [step.record_ids for step in plan.steps] == [(other.id,)]


def _edited_post(restoring: RestoreEnv) -> tuple[str, datetime]:
    """Mirror a post with two versions; return its id, and a time between them."""
    env = restoring.env
    post = env.act(lambda world: world.create(world.account, "post", {"title": "The old fish market"}))
    restoring.mirror()
    before = restoring.now()
    env.act(lambda world: world.update(world.account, post.id, {"title": "changed"}))
    restoring.mirror()
    return post.id, before


def test_a_plan_that_was_emptied_after_it_was_read_sends_nothing(restoring: RestoreEnv) -> None:
    env = restoring.env
    post_id, before = _edited_post(restoring)
    id = keep(env.mirror, 1, restoring.plan(Wanted(model="post", at=before)))
    kept = kept_plan(env.mirror, 1, id)
    target = plan_erasure(env.mirror, (), post_id).target
    erase(env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)

    with pytest.raises(CannotApply, match="was emptied"):
        restoring.go_on(id, kept=kept)
    assert len(env.act(lambda world: world.environment().record(post_id)).versions) == 2
    with pytest.raises(CannotApply, match="was emptied"):
        kept_plan(env.mirror, 1, id)


def test_a_plan_is_not_kept_if_something_was_erased_while_it_was_made(restoring: RestoreEnv) -> None:
    env = restoring.env
    post_id, before = _edited_post(restoring)
    newest = last_erasure(env.mirror, 1)
    plan = restoring.plan(Wanted(model="post", at=before))
    target = plan_erasure(env.mirror, (), post_id).target
    erase(env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)

    with pytest.raises(CannotApply, match="erased while the plan was made"):
        keep(env.mirror, 1, plan, erasure=newest)
    assert env.mirror.query(lambda connection: load_plans(connection, 1)) == []
    assert keep(env.mirror, 1, replace(plan, steps=()), erasure=last_erasure(env.mirror, 1))


def test_a_record_with_an_erased_file_is_restored_without_its_description(restoring: RestoreEnv) -> None:
    env = restoring.env
    env.act(add_gallery)
    picture = env.act(lambda world: add_upload(world, "portrait.jpg"))
    described = [{**files(picture)[0], "alt": "a face"}]
    post = env.act(lambda world: world.create(world.account, "post", {"title": "one", "pictures": described}))
    restoring.mirror()
    before = restoring.now()
    env.act(lambda world: world.update(world.account, post.id, {"title": "two", "pictures": []}))
    restoring.mirror()
    target = plan_upload_erasure(env.mirror, (), picture).target
    erase_known_upload(env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)

    plan = restoring.plan(Wanted(model="post", at=before))
    assert plan.left_alone == ()
    assert [step.record_ids for step in plan.steps] == [(post.id,)]
    assert "a face" not in str(plan)
    assert picture in str(plan)

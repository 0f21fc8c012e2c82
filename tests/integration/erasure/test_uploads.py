"""An upload that was erased is gone from every table, stays gone, and all else is as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.fixtures.projections import differences_from_rebuild
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.uploads import add_gallery, add_upload, files
from tests.integration.erasure.conftest import NAME, ErasureEnv, now
from versionsync.erasure.carry_out import clean, lift
from versionsync.erasure.errors import CannotErase
from versionsync.erasure.uploads import UploadErased, erase_known_upload, plan_upload_erasure
from versionsync.mirror.schema import upload_changes, uploads
from versionsync.mirror.tables.uploads import ERASABLE
from versionsync.simulator import World
from versionsync.sync.report import Outcome


class Files(ErasureEnv):
    """A post with a picture of a person, which was renamed once, and one of fish."""

    picture: str
    fish: str

    def set_up(self) -> None:
        env = self.env
        env.act(add_gallery)
        self.picture = env.act(lambda world: add_upload(world, "portrait.jpg"))
        self.fish = env.act(lambda world: add_upload(world, "fish.jpg"))
        self.rename(f"{NAME} at work.jpg")
        self.save(1)
        self.sync()
        self.rename(f"{NAME} at home.jpg")
        self.save(2)
        self.sync(full=True)

    def rename(self, name: str) -> None:
        """Somebody gives the file another name, and describes it."""

        def act(world: World) -> None:
            upload = world.primary.uploads[self.picture]
            described = {"en": {"alt": f"a picture of {NAME}", "title": None, "custom_data": {}}}
            world.primary.uploads[self.picture] = replace(
                upload, file=replace(upload.file, filename=name), metadata=described
            )

        self.env.act(act)

    def save(self, number: int) -> None:
        """Somebody saves the other post with both pictures."""
        (picture,), (fish,) = files(self.picture), files(self.fish)
        described = {**picture, "alt": f"{NAME}, smiling {number}", "title": NAME, "custom_data": {"who": NAME}}
        value = [described, {**fish, "alt": f"a fish {number}"}]
        self.update(self.other, pictures=value)
        self.env.wait(3600)

    def gallery(self, at: int = -1) -> list[dict[str, Any]]:
        """The pictures of a version of the other post, by default of the last one."""
        value: list[dict[str, Any]] = json.loads(self.contents(self.other)[at])["pictures"]
        return value

    def erase_picture(self) -> UploadErased:
        """Erase the picture of the person, and clean the files."""
        mirror = self.env.mirror
        plan = plan_upload_erasure(mirror, (), self.picture)
        erased = erase_known_upload(mirror, plan.target, reason="request 118", now=now, wait_seconds=0)
        assert clean(mirror, plan.target.source_id, now=now)
        return erased

    def details(self) -> dict[str, Any]:
        """The row of the picture."""
        with self.env.mirror.read() as connection:
            row = connection.execute(select(uploads).where(uploads.c.id == self.picture)).one()
            return dict(row._mapping)


@pytest.fixture
def pictures(sync_env: SyncEnv) -> Files:
    """The mirror of posts with pictures; no other text of it has the person's name."""
    sync_env.act(lambda world: world.create_field(world.account, "post", "body", "text"))
    person, other = (
        sync_env.act(lambda world, title=title: world.create(world.user, "post", {"title": title}))
        for title in ("the town", "the fish market")
    )
    made = Files(sync_env, person, other)
    made.set_up()
    return made


@pytest.mark.both_databases
def test_an_upload_is_gone_from_every_table(pictures: Files) -> None:
    assert set(pictures.named_in()) == {"uploads", "upload_changes", "versions", "passages"}, "or this shows nothing"
    before = pictures.tables()
    erased = pictures.erase_picture()
    assert (erased.found.details, erased.found.changes) == (1, 1)
    assert list(erased.found.records) == [pictures.other.id]
    assert erased.found.versions == 2
    assert pictures.named_in() == []
    row = pictures.details()
    assert [row[name] for name in ERASABLE] == [None] * len(ERASABLE)
    assert row["created_at"] is not None
    assert [one["alt"] for one in pictures.gallery()] == [None, "a fish 2"]
    assert pictures.gallery()[0].items() >= files(pictures.picture)[0].items()
    after = pictures.tables()
    kept = {key: row for key, row in before["versions"].items() if row["record_id"] != pictures.other.id}
    assert kept
    assert {key: after["versions"][key] for key in kept} == kept
    assert pictures.events()[-1] == ("record.erased", pictures.other.id)
    assert differences_from_rebuild(pictures.env.mirror) == []


def test_it_does_not_come_back(pictures: Files) -> None:
    """Not in a full run, not by a new name, and not in a version or record that comes later."""
    pictures.erase_picture()
    before = len(pictures.events())
    assert pictures.sync(full=True).outcome is Outcome.SUCCEEDED
    assert len(pictures.events()) == before
    assert pictures.named_in() == []
    pictures.rename(f"{NAME} again.jpg")
    pictures.save(3)
    pictures.update(pictures.person, pictures=[{**files(pictures.picture)[0], "alt": NAME}])
    assert pictures.sync(full=True).outcome is Outcome.SUCCEEDED
    assert pictures.named_in() == []
    assert [one["alt"] for one in pictures.gallery()] == [None, "a fish 3"]


def test_after_it_is_lifted_only_what_comes_later_is_whole(pictures: Files) -> None:
    erased = pictures.erase_picture()
    old = pictures.contents(pictures.other)
    lift(pictures.env.mirror, [1], erased.erasure_id, now=now, wait_seconds=0)
    pictures.save(3)
    assert pictures.sync(full=True).outcome is Outcome.SUCCEEDED
    assert pictures.contents(pictures.other)[: len(old)] == old
    assert pictures.gallery()[0]["alt"] == f"{NAME}, smiling 3"
    assert pictures.details()["filename"] == f"{NAME} at home.jpg"
    with pictures.env.mirror.read() as connection:
        former = [json.loads(row.before) for row in connection.execute(select(upload_changes))]
        rewritten = connection.scalar(text("SELECT count(*) FROM events WHERE type = 'version.rewritten'"))
    assert {} in former
    assert not any(NAME in str(one) for one in former)
    assert rewritten == 0


def test_erasing_it_twice_makes_one_mark(pictures: Files) -> None:
    first, second = pictures.erase_picture(), pictures.erase_picture()
    assert second.erasure_id == first.erasure_id
    assert (second.found.details, second.found.changes, second.found.versions) == (0, 0, 0)


def test_the_name_of_a_record_is_refused(pictures: Files) -> None:
    with pytest.raises(CannotErase, match="a record is"):
        plan_upload_erasure(pictures.env.mirror, (), pictures.person.id)

"""Where a record or a file is used, and was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.uploads import add_gallery, add_upload, files
from versionsync.api import AmbiguousName, Mirror, UnknownName, Usage
from versionsync.simulator import World

pytestmark = pytest.mark.both_databases


@pytest.fixture
def site(sync_env: SyncEnv) -> SyncEnv:
    """Posts with a gallery and links."""
    sync_env.act(add_gallery)
    sync_env.act(lambda world: world.create_field(world.account, "post", "near", "links", validators=LINKS(world)))
    return sync_env


def LINKS(world: World) -> dict[str, Any]:  # noqa: N802 - the validators of a field with links
    model = next(model for model in world.primary.models.values() if model.api_key == "post")
    return {"items_item_type": {"item_types": [model.id]}}


def mirrored(site: SyncEnv) -> Mirror:
    """The mirror after a sync."""
    site.sync()
    fill(site.mirror)
    return Mirror(site.mirror)


def create(site: SyncEnv, title: str, *ids: str, near: tuple[str, ...] = ()) -> str:
    """A post with these pictures, which links to these posts."""
    content = {"title": title, "pictures": files(*ids), "near": list(near)}
    return site.act(lambda world: world.create(world.user, "post", content)).id


def told(found: list[Usage]) -> list[tuple[str | None, str, bool, bool, bool, int]]:
    """Title, field, used now, live now, whether it ended, and how often it was live."""
    return [
        (one.title, one.field, one.is_current, one.is_published, one.until is not None, len(one.published))
        for one in found
    ]


def test_a_picture_is_found_where_it_is_and_where_it_was(site: SyncEnv) -> None:
    picture = site.act(lambda world: add_upload(world, "fish.jpg"))
    here, there = create(site, "Here", picture), create(site, "There", picture)
    site.act(lambda world: world.publish(world.user, there))
    site.act(lambda world: world.update(world.user, there, {"pictures": []}))
    mirror = mirrored(site)
    assert told(list(mirror.usage("fish.jpg"))) == [
        ("There", "pictures", False, True, True, 1),
        ("Here", "pictures", True, False, False, 0),
    ]
    assert [one.record_id for one in mirror.usage(picture, now=True)] == [here]
    assert [one.record_id for one in mirror.usage(picture, live=True)] == [there]
    site.act(lambda world: world.publish(world.user, there))
    (was,) = [one for one in mirrored(site).usage(picture) if one.record_id == there]
    assert (was.is_current, was.is_published) == (False, False)
    (span,) = was.published
    assert span.valid_from < was.until < span.valid_until  # type: ignore[operator]


def test_versions_that_were_live_one_after_the_other_are_one_span(site: SyncEnv) -> None:
    picture = site.act(lambda world: add_upload(world, "fish.jpg"))
    post = create(site, "Here", picture)
    for number in range(3):
        site.act(lambda world, number=number: world.update(world.user, post, {"title": f"Here {number}"}))
        site.act(lambda world: world.publish(world.user, post))
    (use,) = mirrored(site).usage("fish.jpg")
    assert told([use]) == [("Here 2", "pictures", True, True, False, 1)]
    assert use.published[0].valid_until is None
    site.act(lambda world: world.unpublish(world.user, post))
    site.sync()
    site.act(lambda world: world.publish(world.user, post))
    (use,) = mirrored(site).usage("fish.jpg")
    assert len(use.published) == 2


def test_a_record_is_found_by_its_names(site: SyncEnv) -> None:
    target = create(site, "The fish market")
    create(site, "About it", near=(target,))
    mirror = mirrored(site)
    for name in ("The fish market", target, target[:8], "fish market"):
        assert told(list(mirror.usage(name))) == [("About it", "near", True, False, False, 0)]
    assert told(list(mirror.usage(mirror.record(target)))) == [("About it", "near", True, False, False, 0)]
    assert list(mirror.usage("About it")) == []


def test_a_deleted_record_used_it_until_then(site: SyncEnv) -> None:
    picture = site.act(lambda world: add_upload(world, "fish.jpg"))
    post = create(site, "Here", picture)
    site.sync()
    site.act(lambda world: world.delete(world.user, post))
    mirror = mirrored(site)
    assert told(list(mirror.usage(picture))) == [("Here", "pictures", False, False, True, 0)]
    assert list(mirror.usage(picture, now=True)) == []


def test_files_are_named_by_id_name_part_or_url(site: SyncEnv) -> None:
    one, other = site.act(lambda world: [add_upload(world, name) for name in ("fish.jpg", "Fish-2.jpg")])
    create(site, "Here", one, other)
    mirror = mirrored(site)
    target = mirror.usage_target("fish.jpg")
    assert (target.target_kind, target.target_id, target.name, target.mime_type) == (
        "upload",
        one,
        "fish.jpg",
        "image/jpeg",
    )
    for name in (other, other[:9], "Fish-2", "FISH-2", "h-2.j", mirror.usage_target(other).url or ""):
        assert mirror.usage_target(name).target_id == other
    with pytest.raises(AmbiguousName) as refused:
        mirror.usage_target("sh")
    assert [line.split()[1] for line in refused.value.candidates] == ["Fish-2.jpg", "fish.jpg"]
    for name in ("boat.jpg", "", "%", "_"):
        with pytest.raises(UnknownName):
            mirror.usage_target(name)


def test_a_diff_names_files(site: SyncEnv) -> None:
    """By the names that are known, also of one that is gone upstream."""
    one, other = site.act(lambda world: [add_upload(world, name) for name in ("fish.jpg", "boat.jpg")])
    post = create(site, "Here", one)
    site.sync()
    site.act(lambda world: world.update(world.user, post, {"pictures": files(other)}))
    site.act(lambda world: world.destroy_upload(world.user, one))
    names = mirrored(site).diff(post).names
    assert (names.file(one), names.file(other)) == ("fish.jpg", "boat.jpg")


def test_uses_are_as_a_naive_reading_finds_them(site: SyncEnv) -> None:
    """Over a life with edits, publications and links that come and go."""
    ids = site.act(lambda world: [add_upload(world, f"{place}.jpg") for place in range(3)])
    post = create(site, "0", ids[0])
    steps: list[Callable[[World], object]] = [
        lambda world: world.update(world.user, post, {"pictures": files(*ids[:2])}),
        lambda world: world.publish(world.user, post),
        lambda world: world.update(world.user, post, {"pictures": files(ids[1], ids[2])}),
        lambda world: world.update(world.user, post, {"pictures": files(*ids)}),
        lambda world: world.publish(world.user, post),
        lambda world: world.update(world.user, post, {"pictures": []}),
    ]
    for step in steps:
        site.act(step)
    mirror = mirrored(site)
    for id in ids:
        having = [version for version in mirror.versions(post) if id in (version.attributes_json or "")]
        found = list(mirror.usage(id))
        covered = [
            version
            for version in mirror.versions(post)
            if any(
                use.since <= version.created_at and (use.until is None or version.created_at < use.until)
                for use in found
            )
        ]
        assert [version.version_id for version in covered] == [version.version_id for version in having]
        assert any(use.is_published for use in found) == any(version.is_published for version in having)

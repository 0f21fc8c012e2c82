"""A record is named by id, prefix, slug, title or URL. What is wrong is answered with the nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from versionsync.api import Mirror
from versionsync.history.errors import AmbiguousName, NotFilled, NothingMirrored, UnknownName
from versionsync.history.names import short_id
from versionsync.mirror.database import Mirror as Database
from versionsync.simulator.world.records import Record

pytestmark = pytest.mark.both_databases

Write = Callable[..., Record]


@pytest.fixture
def write(sync_env: SyncEnv) -> Write:
    """Create a page with a title and a slug."""
    model = sync_env.act(lambda world: world.create_model(world.account, "page"))
    sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    sync_env.act(lambda world: world.create_field(world.account, model, "slug", "slug"))

    def write(title: str, slug: str | None = None) -> Record:
        return sync_env.act(lambda world: world.create(world.user, model, {"title": title, "slug": slug}))

    return write


@pytest.fixture
def asked(sync_env: SyncEnv) -> Iterator[Callable[[], Mirror]]:
    """Sync, fill the projections, and return the mirror to ask."""

    def ask() -> Mirror:
        sync_env.sync()
        fill(sync_env.mirror)
        return Mirror(sync_env.mirror)

    yield ask


def test_a_record_has_six_names(sync_env: SyncEnv, write: Write, asked: Callable[[], Mirror]) -> None:
    fish, _ = write("The old fish market", "old-fish-market"), write("The night bus", "night-bus")
    mirror = asked()
    url = "https://news.admin.datocms.com"
    place = f"editor/item_types/{fish.model.id}/items/{fish.id}/edit"
    for name in (
        fish.id,
        f"  {fish.id} ",
        fish.id[:8],
        "page:old-fish-market",
        "page: old-fish-market",
        "The old fish market",
        "“The old fish market”",
        '"The old fish market"',
        "the OLD fish market",
        "fish market",
        f"{url}/environments/main/{place}",
        f"{url}/{place}",
        f"{url}/{place}?locale=it#title",
    ):
        assert mirror.record(name).record_id == fish.id, name
    version = next(mirror.versions(fish.id))
    assert mirror.record(version.version_id).record_id == fish.id
    assert mirror.version(version.version_id[:8]).version_id == version.version_id


def test_a_title_that_several_have_is_refused_with_all_of_them(write: Write, asked: Callable[[], Mirror]) -> None:
    one, other, _ = write("Imprint", "a"), write("Imprint", "b"), write("Imprint of a shoe", "c")
    with pytest.raises(AmbiguousName, match="2 records are meant by “Imprint”") as refused:
        asked().record("Imprint")
    assert sorted(refused.value.candidates) == sorted(f"{short_id(each.id)} “Imprint” (page)" for each in (one, other))


def test_a_record_is_found_by_a_former_title_unless_another_has_it_now(
    sync_env: SyncEnv, write: Write, asked: Callable[[], Mirror]
) -> None:
    record = write("Fish", "fish")
    sync_env.act(lambda world: world.update(world.user, record.id, {"title": "Fish and chips", "slug": "chips"}))
    mirror = asked()
    assert mirror.record("Fish").record_id == record.id
    heir = write("Fish", "fish")
    mirror = asked()
    assert mirror.record("Fish").record_id == heir.id
    assert mirror.record("page:fish").record_id == heir.id


def test_a_deleted_record_keeps_its_names_but_a_living_one_comes_first(
    sync_env: SyncEnv, write: Write, asked: Callable[[], Mirror]
) -> None:
    record = write("Fish", "fish")
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, record.id))
    mirror = asked()
    for name in (record.id, record.id[:6], "Fish", "page:fish"):
        assert mirror.record(name).deleted_at is not None, name
    heir = write("Fish", "fish")
    mirror = asked()
    assert {mirror.record(name).record_id for name in ("Fish", "page:fish")} == {heir.id}


def test_a_localized_slug_is_found_in_every_locale(sync_env: SyncEnv, asked: Callable[[], Mirror]) -> None:
    sync_env.act(lambda world: world.add_locale(world.account, "it"))
    model = sync_env.act(lambda world: world.create_model(world.account, "page"))
    sync_env.act(lambda world: world.create_field(world.account, model, "slug", "slug", localized=True))
    record = sync_env.act(
        lambda world: world.create(world.user, model, {"slug": {"en": "market", "it": "mercato_100%"}})
    )
    mirror = asked()
    assert mirror.record("page:market").record_id == mirror.record("page:mercato_100%").record_id == record.id
    with pytest.raises(UnknownName):
        mirror.record("page:mercato_100x")


def test_an_unknown_name_is_answered_with_the_nearest(write: Write, asked: Callable[[], Mirror]) -> None:
    fish = write("The old fish market", "old-fish-market")
    mirror = asked()
    typo = fish.id[:10] + ("A" if fish.id[10] != "A" else "B") + fish.id[11:]
    for name, says, hint in (
        (typo, f"there is no record {typo}, and the mirror has never seen one", f"Did you mean {fish.id}?"),
        ("Zyx0123456789", "has never seen one", None),
        ("The old fish markte", "no record is called “The old fish markte”, and none ever was", "The old fish market"),
        ("page:new-fish-market", "no page has the slug new-fish-market", None),
        (fish.model.id, "it is the model page", None),
        ("https://news.admin.datocms.com/editor", "is not that of a record", "copy the URL"),
        (
            f"https://news.admin.datocms.com/environments/other/editor/item_types/1/items/{fish.id}/edit",
            "the environment other, which is not mirrored",
            "Mirrored: main",
        ),
        ("", "no record is named", None),
    ):
        with pytest.raises(UnknownName) as refused:
            mirror.record(name)
        assert says in str(refused.value)
        assert hint is None or hint in (refused.value.hint or "")


def test_models_and_editors_are_found_by_any_of_their_names(write: Write, asked: Callable[[], Mirror]) -> None:
    write("Fish", "fish")
    mirror = asked()
    assert len(list(mirror.versions(model="page"))) == len(list(mirror.versions(model="PAGE"))) == 1
    (version,) = mirror.versions(model="page")
    name = version.editor_name
    assert name is not None
    for editor in (name, name.upper(), name[:4], version.editor_id, f"{version.editor_type}:{version.editor_id}"):
        assert [one.version_id for one in mirror.versions(editor=editor)] == [version.version_id], editor
    with pytest.raises(UnknownName, match="there is no model pgae") as refused:
        next(mirror.versions(model="pgae"))
    assert refused.value.hint == "Did you mean page?"
    with pytest.raises(UnknownName, match="no editor is called nobody"):
        next(mirror.versions(editor="nobody"))


def test_titles_that_are_not_computed_yet_are_no_proof(sync_env: SyncEnv, write: Write) -> None:
    record = write("Fish", "fish")
    sync_env.sync()
    mirror = Mirror(sync_env.mirror)
    with pytest.raises(NotFilled, match="titles are not computed yet"):
        mirror.record("Fish")
    assert mirror.record("page:fish").title == mirror.record(record.id).title == "Fish"
    fill(sync_env.mirror)
    sync_env.wait(timedelta(hours=1).total_seconds())
    write("Chips", "chips")
    sync_env.sync()
    with pytest.raises(UnknownName, match="as far as titles are computed"):
        mirror.record("Chips")


def test_a_record_of_two_sources_has_to_be_named_with_its_source(
    sync_env: SyncEnv, write: Write, asked: Callable[[], Mirror]
) -> None:
    """A sandbox has the same ids as the environment that it was made from."""
    record = write("Fish", "fish")
    sync_env.sync()
    sync_env.act(lambda world: world.fork(world.account, "main", "sandbox"))
    sync_env.spec = type(sync_env.spec)(name="sandbox", base_url=sync_env.spec.base_url, environment="sandbox")
    mirror = asked()
    with pytest.raises(AmbiguousName, match="several sources have the record") as refused:
        mirror.record(record.id)
    assert sorted(refused.value.candidates) == ["--source sandbox", "--source website"]
    one = Mirror(sync_env.mirror, sources=["sandbox"])
    assert one.record("Fish").source == "sandbox"
    url = f"https://news.admin.datocms.com/environments/sandbox/editor/item_types/{record.model.id}/items/{record.id}/edit"
    assert mirror.record(url).source == "sandbox"
    assert mirror.record(url.replace("/environments/sandbox", "")).source == "website"
    with pytest.raises(UnknownName, match="no source called sandbx"):
        Mirror(sync_env.mirror, sources=["sandbx"]).record("Fish")


def test_an_empty_mirror_says_so(database_url: str) -> None:
    with Database.open(database_url) as database, pytest.raises(NothingMirrored, match="nothing is mirrored yet"):
        Mirror(database).record("Fish")

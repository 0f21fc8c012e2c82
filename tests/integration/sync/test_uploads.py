"""What a run learns of the uploads that contents name, and what that costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from benchmarks.engine.minimum_requests import BEACON, least_for_backfill, least_for_changes, least_for_uploads
from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.uploads import add_gallery, add_upload, files
from versionsync import cma
from versionsync.mirror.schema import sources, upload_changes, uploads
from versionsync.simulator import Role, Token, World
from versionsync.sync.report import Outcome, RunReport


def succeeded(sync_env: SyncEnv, **options: object) -> RunReport:
    """A run that has to."""
    report = sync_env.sync(**options)  # type: ignore[arg-type]
    assert report.outcome is Outcome.SUCCEEDED, report
    return report


def answer(document: object) -> Given:
    """What the API might say."""
    return Given(200, json.dumps(document), {"Content-Type": "application/json"})


def post(world: World, *ids: str) -> str:
    """A post with these pictures."""
    return world.create(world.user, "post", {"title": "Fish", "pictures": files(*ids)}).id


def with_pictures(sync_env: SyncEnv, number: int) -> list[str]:
    """A post with this number of pictures; their ids."""
    sync_env.act(add_gallery)
    ids = sync_env.act(lambda world: [add_upload(world, f"{place}.jpg") for place in range(number)])
    sync_env.act(lambda world: post(world, *ids))
    return ids


def rows(sync_env: SyncEnv, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of all uploads, by file name."""
    with sync_env.mirror.read() as connection:
        query = select(*(uploads.c[name] for name in columns)).order_by(uploads.c.filename)
        return [tuple(row) for row in connection.execute(query)]


def changed(sync_env: SyncEnv) -> list[tuple[str, dict[str, Any]]]:
    """What changed, in the order in which it was observed, with the old values."""
    with sync_env.mirror.read() as connection:
        query = select(upload_changes.c.kind, upload_changes.c.before).order_by(upload_changes.c.observed_at)
        return [(row.kind, json.loads(row.before)) for row in connection.execute(query)]


def let_days_pass(sync_env: SyncEnv, days: int) -> None:
    """As if all that the mirror knows were older."""
    at = datetime.now(UTC) - timedelta(days=days)
    with sync_env.mirror.write() as tx:
        tx.execute(update(uploads).where(uploads.c.checked_at.is_not(None)).values(checked_at=at))
        tx.execute(update(sources).values(last_complete_sweep_at=at))
        tx.execute(update(sources).where(sources.c.uploads_refused_at.is_not(None)).values(uploads_refused_at=at))


def asked_for_uploads(sync_env: SyncEnv, **options: object) -> int:
    """How many requests for uploads a run makes that has to succeed."""
    log = sync_env.simulator.simulator.requests
    before = log.by_route["GET /uploads"]
    succeeded(sync_env, **options)
    return log.by_route["GET /uploads"] - before


@pytest.mark.both_databases
def test_names_sizes_and_addresses_are_read_after_the_records(sync_env: SyncEnv) -> None:
    (id,) = with_pictures(sync_env, 1)
    succeeded(sync_env)
    names = ("id", "filename", "basename", "url", "path", "size", "mime_type", "format", "deleted_at")
    path = "/205/1-0.jpg"
    with sync_env.mirror.read() as connection:
        project = connection.scalar(select(sources.c.project_id))
    path = f"/{project}/1-0.jpg"
    assert rows(sync_env, *names) == [
        (id, "0.jpg", "0", f"https://www.datocms-assets.com{path}", path, 5, "image/jpeg", "jpg", None)
    ]
    ((md5, tags, created, checked),) = rows(sync_env, "md5", "tags", "created_at", "checked_at")
    assert (len(md5), json.loads(tags), created is None, checked is None) == (32, [], False, False)
    assert changed(sync_env) == []


def test_a_backfill_reads_as_many_uploads_in_a_request_as_an_address_holds(sync_env: SyncEnv) -> None:
    """Invariant 12: the least has them; what is not new costs nothing."""
    with_pictures(sync_env, 500)
    used = sync_env.requests(lambda: succeeded(sync_env))
    names_of_editors, plan = 1, 1
    assert used == least_for_backfill([1]) + names_of_editors + plan + least_for_uploads(500)
    assert sync_env.requests(lambda: succeeded(sync_env)) == BEACON


def test_only_uploads_that_are_new_to_the_mirror_are_read(sync_env: SyncEnv) -> None:
    ids = with_pictures(sync_env, 3)
    succeeded(sync_env)
    sync_env.act(lambda world: post(world, *ids))
    assert asked_for_uploads(sync_env) == 0
    new = sync_env.act(lambda world: add_upload(world, "new.jpg"))
    sync_env.act(lambda world: post(world, *ids, new))
    assert asked_for_uploads(sync_env) == 1
    assert [row[0] for row in rows(sync_env, "filename")] == ["0.jpg", "1.jpg", "2.jpg", "new.jpg"]


def test_a_mirror_without_uploads_asks_for_none(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "Fish"}))
    assert asked_for_uploads(sync_env) == 0
    assert asked_for_uploads(sync_env, full=True) == 0


def test_pictures_of_search_previews_are_uploads_too(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.create_field(world.account, "post", "preview", "seo"))
    id = sync_env.act(lambda world: add_upload(world, "preview.png"))
    preview = {"title": "Fish", "description": None, "image": id, "twitter_card": None}
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "Fish", "preview": preview}))
    succeeded(sync_env)
    assert rows(sync_env, "id", "filename") == [(id, "preview.png")]


@pytest.mark.both_databases
def test_what_changed_is_found_within_a_month_and_the_old_values_stay(sync_env: SyncEnv) -> None:
    one, other = with_pictures(sync_env, 2)
    succeeded(sync_env)
    sync_env.act(lambda world: world.update_upload(world.user, one, basename="hero", metadata={"en": {"alt": "A"}}))
    sync_env.act(lambda world: world.destroy_upload(world.user, other))
    let_days_pass(sync_env, 29)
    assert asked_for_uploads(sync_env) == 0
    let_days_pass(sync_env, 31)
    assert asked_for_uploads(sync_env) == 1
    assert [(name, gone is not None) for name, gone in rows(sync_env, "filename", "deleted_at")] == [
        ("1.jpg", True),
        ("hero.jpg", False),
    ]
    (was,) = [before for kind, before in changed(sync_env) if kind == "changed"]
    assert (was["filename"], was["basename"]) == ("0.jpg", "0")
    assert {"path", "url", "default_field_metadata"} <= was.keys()
    assert sorted(kind for kind, _ in changed(sync_env)) == ["changed", "deleted"]
    assert asked_for_uploads(sync_env) == 0
    assert asked_for_uploads(sync_env, full=True) == 1, "a full run reads all of them again"
    assert len(changed(sync_env)) == 2, "nothing is recorded twice"


def test_an_upload_that_comes_back_is_not_deleted_any_more(sync_env: SyncEnv) -> None:
    (id,) = with_pictures(sync_env, 1)
    succeeded(sync_env)
    gone = sync_env.act(lambda world: world.destroy_upload(world.user, id))
    succeeded(sync_env, full=True)
    sync_env.act(lambda world: world.primary.uploads.update({id: gone}))
    succeeded(sync_env, full=True)
    assert rows(sync_env, "filename", "deleted_at") == [("0.jpg", None)]
    assert changed(sync_env) == [("deleted", {}), ("returned", {})]


def test_an_upload_that_was_gone_before_it_was_read_is_marked(sync_env: SyncEnv) -> None:
    """Records keep the id."""
    (id,) = with_pictures(sync_env, 1)
    sync_env.act(lambda world: world.destroy_upload(world.user, id))
    assert asked_for_uploads(sync_env) == 1
    ((known, name, gone),) = rows(sync_env, "id", "filename", "deleted_at")
    assert (known, name, gone is None) == (id, None, False)
    assert changed(sync_env) == []
    sync_env.act(lambda world: post(world))
    assert asked_for_uploads(sync_env) == 0


def test_a_role_that_may_not_read_uploads_costs_a_request_and_a_note_a_day(sync_env: SyncEnv) -> None:
    with_pictures(sync_env, 300)
    sync_env.act(
        lambda world: world.people.add_token(
            Token("narrow", world.user, world.people.add_role(Role("77", "writer", can_read_uploads=False)))
        )
    )
    full_access, sync_env.token = sync_env.token, "narrow"
    log = sync_env.simulator.simulator.requests
    report = succeeded(sync_env)
    assert ["may not read uploads" in note for note in report.notes] == [True]
    assert log.by_route["GET /uploads"] == 1
    sync_env.act(lambda world: post(world))
    assert succeeded(sync_env).notes == []
    assert log.by_route["GET /uploads"] == 1
    let_days_pass(sync_env, 2)
    assert ["may not read uploads" in note for note in succeeded(sync_env).notes] == [True]
    assert log.by_route["GET /uploads"] == 2
    sync_env.token = full_access
    let_days_pass(sync_env, 2)
    assert succeeded(sync_env).notes == []
    assert {row[0] is None for row in rows(sync_env, "filename")} == {False}
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(sources.c.uploads_refused_at)) is None


def test_an_address_that_a_server_on_the_way_refuses_is_divided(sync_env: SyncEnv) -> None:
    with_pictures(sync_env, 240)
    direct, short = sync_env.spec, Given(414, "<h1>URI Too Long</h1>")
    with gateway(direct.base_url, instead=lambda path: short if len(path) > 2000 else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        succeeded(sync_env)
    assert {row[0] is None for row in rows(sync_env, "filename")} == {False}


def test_a_page_that_is_shorter_than_asked_for_deletes_nothing(sync_env: SyncEnv) -> None:
    """Upstream may clamp a page in silence."""
    with_pictures(sync_env, 100)
    direct = sync_env.spec
    clamped = answer({"data": [], "meta": {"total_count": 7}})

    def instead(path: str) -> Given | None:
        return clamped if path.startswith("/uploads") and path.count("%2C") > 20 else None

    with gateway(direct.base_url, instead=instead) as url:
        sync_env.spec = replace(direct, base_url=url)
        succeeded(sync_env)
    assert {(name is None, gone) for name, gone in rows(sync_env, "filename", "deleted_at")} == {(False, None)}


def test_a_filter_that_upstream_ignores_deletes_nothing(sync_env: SyncEnv) -> None:
    with_pictures(sync_env, 3)
    direct = sync_env.spec
    everything = answer({"data": [], "meta": {"total_count": 1000}})
    with gateway(direct.base_url, instead=lambda path: everything if path.startswith("/uploads") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = succeeded(sync_env)
    assert ["uploads cannot be read" in note for note in report.notes] == [True]
    assert set(rows(sync_env, "checked_at", "deleted_at")) == {(None, None)}


def test_an_upload_that_cannot_be_read_is_not_gone(sync_env: SyncEnv) -> None:
    (id,) = with_pictures(sync_env, 1)
    direct = sync_env.spec
    odd = {"data": [{"id": id, "type": "upload", "attributes": {"filename": 7}}], "meta": {"total_count": 1}}
    given = answer(odd)
    with gateway(direct.base_url, instead=lambda path: given if path.startswith("/uploads") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        succeeded(sync_env)
    assert [(name, gone) for name, gone in rows(sync_env, "filename", "deleted_at")] == [(None, None)]


def test_uploads_that_could_not_be_read_are_read_by_the_next_run(sync_env: SyncEnv) -> None:
    """The ids are in the database with the contents, so that no end of a run loses them (invariant 9)."""
    with_pictures(sync_env, 1)
    direct = sync_env.spec
    off = Given(302, "<h1>Please log in</h1>")
    with gateway(direct.base_url, instead=lambda path: off if path.startswith("/uploads") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync()
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, cma.Unavailable)
    sync_env.spec = direct
    succeeded(sync_env)
    assert rows(sync_env, "filename") == [("0.jpg",)]


def test_a_run_keeps_within_its_requests(sync_env: SyncEnv) -> None:
    """What is left waits for a run that may send more."""
    with_pictures(sync_env, 240 * 3)
    report = succeeded(sync_env, max_requests=19)
    assert report.counts.requests <= 19
    read = len([name for (name,) in rows(sync_env, "filename") if name is not None])
    assert 0 < read < 240 * 3
    sync_env.act(lambda world: post(world))
    succeeded(sync_env)
    assert None not in {name for (name,) in rows(sync_env, "filename")}


def test_uploads_are_counted_in_the_run(sync_env: SyncEnv) -> None:
    with_pictures(sync_env, 1)
    used = sync_env.requests(lambda: succeeded(sync_env))
    with sync_env.mirror.read() as connection:
        assert connection.scalar(text("SELECT requests FROM runs")) == used


def test_a_change_with_a_new_picture_costs_one_request_more(sync_env: SyncEnv) -> None:
    ids = with_pictures(sync_env, 2)
    succeeded(sync_env)
    new = sync_env.act(lambda world: add_upload(world, "new.jpg"))
    sync_env.act(lambda world: post(world, *ids, new))
    schema_again = 1
    assert sync_env.requests(lambda: succeeded(sync_env)) == least_for_changes(1) + schema_again + least_for_uploads(1)


def test_another_environment_that_became_primary_has_its_own_uploads(sync_env: SyncEnv) -> None:
    (id,) = with_pictures(sync_env, 1)
    succeeded(sync_env)
    sync_env.act(lambda world: world.fork(world.account, "main", "copy"))
    sync_env.act(lambda world: world.update_upload(world.user, id, basename="other", environment="copy"))
    sync_env.act(lambda world: world.promote(world.account, "copy"))
    succeeded(sync_env)
    assert rows(sync_env, "filename") == [("other.jpg",)]

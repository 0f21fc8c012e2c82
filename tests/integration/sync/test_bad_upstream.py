"""A token that sees less than the one before it: nothing is marked deleted because of it, and the run says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.fake_upstreams import Given, gateway, refusal
from tests.fixtures.sync_env import SyncEnv
from versionsync import cma
from versionsync.mirror.schema import events, models, records
from versionsync.simulator import FULL_ACCESS_TOKEN, Role, Token, World
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.report import Outcome, RunReport

NARROW = "narrow"


def posts(sync_env: SyncEnv, number: int, *, model: str = "post") -> list[str]:
    """Make `number` records."""
    return [
        sync_env.act(lambda world, title=str(place): world.create(world.user, model, {"title": title})).id
        for place in range(number)
    ]


def narrow(sync_env: SyncEnv, **abilities: object) -> None:
    """Exchange the token for one whose role has these abilities."""

    def restrict(world: World) -> None:
        role = world.people.add_role(Role("77", "Editors of prices", **abilities))  # type: ignore[arg-type]
        world.people.add_token(Token(NARROW, world.user, role))

    sync_env.act(restrict)
    sync_env.token = NARROW


def deleted(sync_env: SyncEnv) -> tuple[int, int, int]:
    """Return how many records and models are marked deleted, and how many events say so."""
    with sync_env.mirror.read() as connection:
        deleted = [
            connection.scalar(select(func.count()).select_from(table).where(table.c.deleted_at.is_not(None)))
            for table in (records, models)
        ]
        event_count = connection.scalar(
            select(func.count()).where(events.c.type.in_(["record.deleted", "model.deleted"]))
        )
    return deleted[0] or 0, deleted[1] or 0, event_count or 0


def only_told(report: RunReport, *, hidden: int) -> None:
    """The run is partial for what the role hides, and its note says what to do."""
    assert report.outcome is Outcome.PARTIAL, report
    (note,) = report.notes
    assert "the token's role Editors of prices does not show all records of: post." in note
    assert f"{hidden} that are not found any more are not marked as deleted" in note
    assert "--allow-mass-delete" in note


@pytest.mark.parametrize("number", [1, 3, 30])
def test_a_hidden_model_is_not_deleted_however_small_it_is(sync_env: SyncEnv, number: int) -> None:
    """Its role says so; when it sees it again, nothing has happened."""
    posts(sync_env, number)
    (price,) = posts(sync_env, 1, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    sync_env.act(lambda world: world.update(world.user, price, {"title": "2"}))
    only_told(sync_env.sync(), hidden=number)
    only_told(sync_env.sync(), hidden=number)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.token = FULL_ACCESS_TOKEN
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []


@pytest.mark.parametrize("number", [1, 3, 30])
def test_a_hidden_model_that_is_not_even_named_is_not_deleted(sync_env: SyncEnv, number: int) -> None:
    """Nor are its fields; the role says that it shows none of its records, whatever else it hides."""
    posts(sync_env, number)
    (price,) = posts(sync_env, 1, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    sync_env.act(lambda world: setattr(world.options, "hidden_models_are_named", False))
    sync_env.act(lambda world: world.update(world.user, price, {"title": "2"}))
    only_told(sync_env.sync(dry_run=True), hidden=number)
    only_told(sync_env.sync(), hidden=number)
    only_told(sync_env.sync(full=True), hidden=number)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.token = FULL_ACCESS_TOKEN
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []
    narrow(sync_env, hidden_models=frozenset({"post"}))
    assert sync_env.sync(full=True, allow_mass_delete=True).outcome is Outcome.SUCCEEDED
    assert deleted(sync_env) == (number, 1, number + 1)


def test_a_rehearsal_counts_no_hidden_record_and_stops_where_the_sync_would(sync_env: SyncEnv) -> None:
    """What it says is what would be done."""
    posts(sync_env, 3)
    prices = posts(sync_env, 40, model="price")
    sync_env.sync()
    full = sync_env.token
    narrow(sync_env, hidden_models=frozenset({"post"}))
    report = sync_env.sync(full=True, dry_run=True)
    only_told(report, hidden=3)
    assert (report.would_pull, report.would_delete) == (40, 0)
    sync_env.token = full
    for id in prices[:20]:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    assert isinstance(sync_env.sync(dry_run=True).error, MassDeletionError)
    assert sync_env.sync(dry_run=True, allow_mass_delete=True).would_delete == 20
    assert deleted(sync_env) == (0, 0, 0)


def test_what_the_role_does_show_is_still_held_to_be_deleted(sync_env: SyncEnv) -> None:
    """One hidden model does not keep the others from being right."""
    posts(sync_env, 3)
    prices = posts(sync_env, 5, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    sync_env.act(lambda world: world.delete(world.user, prices[0]))
    only_told(sync_env.sync(), hidden=3)
    assert deleted(sync_env) == (1, 0, 1)


def test_hidden_records_are_not_asked_for_one_by_one(sync_env: SyncEnv) -> None:
    """The answers would say nothing."""
    posts(sync_env, 30)
    posts(sync_env, 1, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    beacon, schema, refused, schema_again, role, proof, sweep, price = (1,) * 8
    expected = beacon + schema + refused + schema_again + role + proof + sweep + price
    assert sync_env.requests(lambda: sync_env.sync(full=True)) == expected


@pytest.mark.parametrize("how", [{"scrub": 50}, {"record_ids": True}])
def test_reading_old_histories_again_deletes_nothing_that_is_hidden(sync_env: SyncEnv, how: dict[str, object]) -> None:
    """A scrub has no list to compare with: each record answers for itself, and none may be believed."""
    ids = posts(sync_env, 3)
    posts(sync_env, 1, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    only_told(sync_env.sync(**(how if "scrub" in how else {"record_ids": tuple(ids)})), hidden=3)
    assert deleted(sync_env) == (0, 0, 0)


def test_a_scrub_that_finds_too_many_gone_believes_none(sync_env: SyncEnv) -> None:
    """The brake is not only for lists."""
    ids = posts(sync_env, 12)
    sync_env.sync()
    for id in ids:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    report = sync_env.sync(scrub=50)
    assert isinstance(report.error, MassDeletionError)
    assert deleted(sync_env) == (0, 0, 0)
    assert sync_env.sync(scrub=50, allow_mass_delete=True).outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_allowing_it_says_what_it_will_do_before_it_does(sync_env: SyncEnv, capsys: pytest.CaptureFixture[str]) -> None:
    """How many of which model, at a level that is always shown; then it is done, whatever the role says."""
    posts(sync_env, 3)
    posts(sync_env, 1, model="price")
    sync_env.sync()
    narrow(sync_env, hidden_models=frozenset({"post"}))
    capsys.readouterr()
    assert sync_env.sync(full=True, allow_mass_delete=True).outcome is Outcome.SUCCEEDED
    said = capsys.readouterr().out
    allowed = next(place for place, line in enumerate(said.splitlines()) if "mass_delete.allowed" in line)
    done = next(place for place, line in enumerate(said.splitlines()) if "run.finished" in line)
    assert allowed < done
    assert "[warning" in said.splitlines()[allowed]
    assert "models={'post': 3} of=4" in said.splitlines()[allowed]
    assert deleted(sync_env) == (3, 0, 3)


def unreadable_role(path: str) -> Given | None:
    """A token that may not know who it is."""
    return refusal("INSUFFICIENT_PERMISSIONS", 401) if path.startswith("/users/me") else None


def test_where_nobody_tells_the_role_a_small_model_is_told_and_a_large_one_not_believed(sync_env: SyncEnv) -> None:
    """As far as that can go: upstream's answers are those of a deletion."""
    posts(sync_env, 3)
    posts(sync_env, 40, model="price")
    sync_env.act(lambda world: setattr(world.options, "unknown_model_in_filter", "empty"))
    sync_env.sync()
    direct = sync_env.spec
    with gateway(direct.base_url, instead=unreadable_role) as url:
        sync_env.spec = replace(direct, base_url=url)
        narrow(sync_env, hidden_models=frozenset({"price"}))
        assert isinstance(sync_env.sync(full=True).error, MassDeletionError)
        assert deleted(sync_env) == (0, 0, 0)
        narrow(sync_env, hidden_models=frozenset({"post"}))
        report = sync_env.sync(full=True)
        assert report.outcome is Outcome.SUCCEEDED
        assert any("no record of the model post is there any more" in note for note in report.notes)
    sync_env.spec, sync_env.token = direct, FULL_ACCESS_TOKEN
    assert sync_env.sync(full=True).outcome is Outcome.SUCCEEDED
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.count()).where(events.c.type == "record.returned")) == 3


def test_a_model_that_upstream_does_not_list_though_it_exists_is_partial(sync_env: SyncEnv) -> None:
    """Where upstream does not show the token its role, a refused list says nothing about the records."""
    posts(sync_env, 3)
    posts(sync_env, 4, model="price")
    sync_env.sync()
    with gateway(sync_env.spec.base_url, instead=unreadable_role) as url:
        sync_env.spec = replace(sync_env.spec, base_url=url)
        narrow(sync_env, hidden_models=frozenset({"post"}))
        report = sync_env.sync(full=True)
    assert report.outcome is Outcome.PARTIAL
    assert list(report.notes) == ["upstream does not list the records of the model post"]
    assert deleted(sync_env) == (0, 0, 0)


def test_an_unreadable_role_and_a_deleted_model_in_one_run(sync_env: SyncEnv) -> None:
    """A note names only the model that still exists; records of a deleted model are certainly deleted."""
    model = sync_env.act(lambda world: world.create_model(world.account, "gone"))
    sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    kept = posts(sync_env, 40, model="price")
    removed = posts(sync_env, 3)
    posts(sync_env, 2, model="gone")
    sync_env.sync()
    for id in removed:
        sync_env.act(lambda world, one=id: world.delete(world.user, one))  # type: ignore[misc]
    sync_env.act(lambda world: world.delete(world.user, kept[0]))
    sync_env.act(lambda world: world.destroy_model(world.account, "gone"))
    direct = sync_env.spec
    with gateway(direct.base_url, instead=unreadable_role) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync()
    assert report.outcome is Outcome.SUCCEEDED, report
    (note,) = report.notes
    assert "no record of the model post is there any more: upstream says that the 3 do not exist" in note
    assert deleted(sync_env) == (6, 1, 7)
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_role_that_shows_what_it_is_said_to_hide_was_misread(sync_env: SyncEnv) -> None:
    """The list shows more than the role seems to allow: deletions are recorded as usual."""
    ids = posts(sync_env, 5)
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, ids[0]))
    nothing = {"positive_item_type_permissions": [], "negative_item_type_permissions": []}
    role = {"id": "1", "type": "role", "attributes": {"name": "r"}, "meta": {"final_permissions": nothing}}
    body = json.dumps({"data": {"id": "1", "type": "user"}, "included": [role]})
    given = Given(200, body, {"Content-Type": "application/json"})
    with gateway(sync_env.spec.base_url, instead=lambda path: given if path.startswith("/users/me") else None) as url:
        sync_env.spec = replace(sync_env.spec, base_url=url)
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert deleted(sync_env) == (1, 0, 1)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_no_absence(sync_env: SyncEnv, status: int) -> None:
    """If DatoCMS refuses to show a record instead of returning 404, the record may exist."""
    ids = posts(sync_env, 3)
    sync_env.sync()
    sync_env.act(lambda world: world.delete(world.user, ids[0]))
    direct, refused = sync_env.spec, refusal("INSUFFICIENT_PERMISSIONS", status)
    with gateway(direct.base_url, instead=lambda path: refused if path.startswith(f"/items/{ids[0]}") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert isinstance(sync_env.sync().error, cma.PermissionDenied)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.spec = direct
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert deleted(sync_env) == (1, 0, 1)


def test_a_role_that_cannot_be_read_for_now_is_no_reason_to_believe(sync_env: SyncEnv) -> None:
    """The run fails; only a clear answer that there is no role to read leaves the limits alone."""
    posts(sync_env, 3)
    sync_env.sync()
    direct = sync_env.spec
    garbled = Given(200, '{"included": "unexpected"}', {"Content-Type": "application/json"})
    narrow(sync_env, hidden_models=frozenset({"post"}))
    with gateway(direct.base_url, instead=lambda path: garbled if path.startswith("/users/me") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert isinstance(sync_env.sync(full=True).error, cma.ProtocolError)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.spec = direct
    only_told(sync_env.sync(full=True), hidden=3)


def test_a_model_that_exists_though_it_is_not_named_is_not_gone(sync_env: SyncEnv) -> None:
    """As in a listing that moved: asked for by its id, it is there."""
    posts(sync_env, 3)
    posts(sync_env, 3, model="price")
    sync_env.sync()
    direct, schema = sync_env.spec, "/site?include="
    with gateway(direct.base_url, instead=lambda path: shortened if path.startswith(schema) else None) as url:
        headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
        site = httpx.get(f"{direct.base_url}{schema}item_types,item_types.fields", headers=headers).json()
        site["included"] = [each for each in site["included"] if not is_of_model(each, "post")]
        shortened = Given(200, json.dumps(site), {"Content-Type": "application/json"})
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync(full=True)
        assert report.outcome is Outcome.PARTIAL
        assert report.counts.records_swept == 6
        assert any("contradicts what upstream says of single ones (post)" in note for note in report.notes)
    assert deleted(sync_env) == (0, 0, 0)


def is_of_model(entity: dict[str, Any], api_key: str) -> bool:
    """Whether it is the model called so."""
    return bool(entity["type"] == "item_type" and entity["attributes"]["api_key"] == api_key)


def without_model(api_key: str) -> Callable[[World], None]:
    """A project that does not show one of its models to anybody."""

    def hide(world: World) -> None:
        id = next(id for id, model in world.primary.models.items() if model.api_key == api_key)
        del world.primary.models[id]
        for record in [record for record in world.primary.records.values() if record.model.id == id]:
            del world.primary.records[record.id]

    return hide


def test_a_large_model_that_is_not_even_named_any_more_is_not_believed(sync_env: SyncEnv) -> None:
    """Neither its records nor the model itself are marked deleted, unless that is allowed."""
    posts(sync_env, 30)
    posts(sync_env, 5, model="price")
    sync_env.sync()
    sync_env.simulator.act(without_model("post"))
    report = sync_env.sync(full=True)
    assert isinstance(report.error, MassDeletionError)
    assert deleted(sync_env) == (0, 0, 0)
    assert sync_env.sync(full=True, allow_mass_delete=True).outcome is Outcome.SUCCEEDED
    assert deleted(sync_env) == (30, 1, 31)


def test_a_token_that_may_not_read_versions_any_more_ends_the_run(sync_env: SyncEnv) -> None:
    """In a run with changes, and in a full one. Nothing is missing because of it."""
    ids = posts(sync_env, 3)
    sync_env.sync()
    narrow(sync_env, can_read_versions=False)
    sync_env.act(lambda world: world.update(world.user, ids[0], {"title": "new"}))
    sync_env.act(lambda world: world.delete(world.user, ids[1]))
    for options in ({}, {"full": True}, {"scrub": 3}):
        report = sync_env.sync(**options)
        assert isinstance(report.error, cma.PermissionDenied), report
        assert "can_read_versions" in str(report.error)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.token = FULL_ACCESS_TOKEN
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth(), watched=True) == []


def test_a_token_that_may_not_see_the_environments_lists_all_records_each_time(sync_env: SyncEnv) -> None:
    """It has no beacon. The mirror is right all the same."""
    posts(sync_env, 3)
    direct, refused = sync_env.spec, refusal("INSUFFICIENT_PERMISSIONS", 401)

    def instead(path: str) -> Given | None:
        return refused if path.startswith("/environments") else None

    with gateway(direct.base_url, instead=instead) as url:
        sync_env.spec = replace(direct, base_url=url)
        sync_env.sync()
        site, schema, sweep = 1, 1, 1
        assert sync_env.requests(lambda: sync_env.sync()) == site + schema + sweep
        posts(sync_env, 1)
        assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_list_that_names_a_record_twice_on_one_page_is_not_complete(sync_env: SyncEnv) -> None:
    """It has as many entries as upstream counts, but one record is not among them: that one is not deleted."""
    posts(sync_env, 3)
    sync_env.sync()
    direct, headers = sync_env.spec, {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}

    def first_twice(path: str) -> Given | None:
        if not path.startswith("/items?"):
            return None
        answer = httpx.get(f"{direct.base_url}{path}", headers=headers).json()
        if len(answer["data"]) == 3:
            answer["data"][2] = answer["data"][0]
        return Given(200, json.dumps(answer), {"Content-Type": "application/json"})

    with gateway(direct.base_url, instead=first_twice) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync(full=True)
    assert report.outcome is Outcome.PARTIAL
    assert any("the list of records moved while it was read" in note for note in report.notes)
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.spec = direct
    assert sync_env.sync().outcome is Outcome.SUCCEEDED
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_list_that_is_refused_for_every_model_ends_the_run(sync_env: SyncEnv) -> None:
    """It is the request that upstream refuses, not one of the models: no other list would help."""
    posts(sync_env, 2)
    posts(sync_env, 2, model="price")
    sync_env.sync()
    direct, refused = sync_env.spec, refusal("INVALID_PARAMS", 422)
    with gateway(direct.base_url, instead=lambda path: refused if path.startswith("/items?") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        report = sync_env.sync(full=True)
    assert report.outcome is Outcome.FAILED
    assert isinstance(report.error, cma.InvalidRequest)
    assert deleted(sync_env) == (0, 0, 0)


def test_records_that_are_listed_are_mirrored_whatever_their_number_is_said_to_be(sync_env: SyncEnv) -> None:
    """A count that no list reaches: the run is partial, holds nothing to be deleted, and mirrors what there is."""
    ids = posts(sync_env, 3)
    sync_env.sync()
    new = [*posts(sync_env, 2), *posts(sync_env, 2, model="price")]
    sync_env.act(lambda world: world.delete(world.user, ids[0]))
    direct, headers = sync_env.spec, {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}

    def one_too_many(path: str) -> Given | None:
        if not path.startswith("/items?"):
            return None
        answer = httpx.get(f"{direct.base_url}{path}", headers=headers).json()
        answer["meta"]["total_count"] += 1
        return Given(200, json.dumps(answer), {"Content-Type": "application/json"})

    with gateway(direct.base_url, instead=one_too_many) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert sync_env.sync().outcome is Outcome.PARTIAL
    with sync_env.mirror.read() as connection:
        assert {*ids, *new} == set(connection.scalars(select(records.c.id)))
    assert deleted(sync_env) == (0, 0, 0)
    sync_env.spec = direct
    sync_env.sync()
    assert deleted(sync_env) == (1, 0, 1)
    assert differences(sync_env.mirror, sync_env.truth()) == []


def test_a_first_sync_does_not_believe_that_there_is_nothing(sync_env: SyncEnv) -> None:
    """Upstream lists nothing at all if the role hides one of the models that are asked for."""
    shown = sync_env.act(lambda world: world.create(world.user, "price", {"title": "12"}))
    narrow(sync_env, hidden_models=frozenset({"post"}))
    sync_env.act(lambda world: setattr(world.options, "unknown_model_in_filter", "all_empty"))
    sync_env.sync()
    with sync_env.mirror.read() as connection:
        assert list(connection.scalars(select(records.c.id))) == [shown.id]

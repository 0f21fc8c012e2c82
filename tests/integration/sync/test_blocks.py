"""Projects with blocks: upstream lists and counts them, and none is mirrored as a record (invariant 14)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures.compare_with_expected import differences
from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from versionsync.mirror.schema import events, models, records, versions
from versionsync.simulator import Editor, EditorKind, Role, SimulatorOptions, Token, World
from versionsync.sync.report import Outcome

UNKNOWN_MODEL = ("refused", "ignored", "empty", "all_ignored", "all_empty")
ANSWERS_FOR_A_BLOCK = list(product(("404", "422", "block"), ("404", "422", "empty", "versions")))
NARROW = "reads-no-pages"
Act = Callable[[World], object]


def project_with_blocks(world: World) -> None:
    """Two models and a block model; ten posts of three blocks, one of them within another block, and two pages."""
    paragraph = world.create_model(world.account, "paragraph", is_block=True)
    world.create_field(world.account, paragraph, "text", "text")
    world.create_field(world.account, paragraph, "inner", "rich_text")
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title")
    world.create_field(world.account, post, "body", "rich_text")
    page = world.create_model(world.account, "page", draft_mode=False)
    world.create_field(world.account, page, "title")
    for number in range(10):
        world.create(world.user, "post", {"title": f"post {number}", "body": body(world, f"text {number}")})
    for number in range(2):
        world.create(world.user, "page", {"title": f"page {number}"})


def body(world: World, text: str) -> list[Any]:
    """Two blocks, the first of which holds a third."""
    return [block(world, text, [block(world, f"{text}, within")]), block(world, f"{text}, too")]


def block(world: World, text: str, inner: list[Any] | None = None) -> dict[str, Any]:
    """A paragraph as an editor sends it."""
    model = world.primary.model("paragraph")
    return {
        "type": "item",
        "attributes": {"text": text, "inner": inner or []},
        "relationships": {"item_type": {"data": {"id": model.id, "type": "item_type"}}},
    }


def replace_body(world: World, post: str) -> None:
    """Other blocks, under other ids."""
    world.update(world.user, post, {"body": body(world, "new")})


@pytest.fixture
def blocks(make_sync_env: MakeSyncEnv) -> SyncEnv:
    """A sync_env of that project."""
    sync_env = make_sync_env()
    sync_env.act(project_with_blocks)
    return sync_env


def ids(sync_env: SyncEnv, model: str) -> list[str]:
    """The records of a model, oldest first."""
    return sync_env.act(lambda world: [r.id for r in world.primary.records.values() if r.model.api_key == model])


def is_right(sync_env: SyncEnv) -> None:
    """The mirror is right, has no record of a block model, and the next run takes one request."""
    assert differences(sync_env.mirror, sync_env.truth()) == []
    assert sync_env.requests(lambda: sync_env.sync()) == 1


def counted(sync_env: SyncEnv, model: str) -> tuple[int, int]:
    """How many records of a model the mirror holds as live and as deleted."""
    with sync_env.mirror.read() as connection:
        found = connection.execute(
            select(records.c.deleted_at.is_not(None), func.count())
            .join(models, models.c.id == records.c.model_id)
            .where(models.c.api_key == model)
            .group_by(records.c.deleted_at.is_not(None))
        )
        counts = {bool(row[0]): int(row[1]) for row in found}
    return counts.get(False, 0), counts.get(True, 0)


def switch(sync_env: SyncEnv, **switches: object) -> None:
    """Change how upstream behaves, without any change of the project."""
    for name, value in switches.items():
        assert hasattr(sync_env.simulator.act(lambda world: world.options), name), name
        sync_env.simulator.act(lambda world, name=name, value=value: setattr(world.options, name, value))  # type: ignore[misc]


@pytest.mark.parametrize(("by_id", "by_versions"), ANSWERS_FOR_A_BLOCK)
def test_a_project_with_blocks_is_complete_and_rests(blocks: SyncEnv, by_id: str, by_versions: str) -> None:
    """Whatever upstream answers for a block; an edit that replaces all blocks of a record deletes nothing."""
    switch(blocks, block_by_id=by_id, block_versions=by_versions)
    assert blocks.sync().outcome is Outcome.SUCCEEDED
    is_right(blocks)
    assert (counted(blocks, "post"), counted(blocks, "page"), counted(blocks, "paragraph")) == ((10, 0), (2, 0), (0, 0))
    for id in ids(blocks, "post"):
        blocks.act(partial(replace_body, post=id))
    assert blocks.sync().outcome is Outcome.SUCCEEDED
    is_right(blocks)
    assert blocks.sync(full=True).outcome is Outcome.SUCCEEDED
    is_right(blocks)


def test_the_quick_check_counts_no_blocks(blocks: SyncEnv) -> None:
    """Otherwise the counts of a large project would never agree, and each edit would cost a whole list."""
    blocks.sync(quick_check_from=1)
    post = ids(blocks, "post")[0]
    blocks.act(lambda world: world.update(world.user, post, {"body": body(world, "more")}))
    assert blocks.requests(lambda: blocks.sync(quick_check_from=1)) == 8
    is_right(blocks)


def test_the_dry_run_counts_no_blocks(blocks: SyncEnv) -> None:
    """Before the first sync and after it."""
    assert blocks.sync(dry_run=True).would_pull == 12
    blocks.sync()
    assert blocks.sync(dry_run=True, full=True).would_pull == 12


@pytest.mark.parametrize("by_id", ["404", "422", "block"])
def test_the_id_of_a_block_is_refused_by_name(blocks: SyncEnv, by_id: str) -> None:
    """`--record` with the id of a block mirrors nothing and says what is wrong."""
    blocks.sync()
    switch(blocks, block_by_id=by_id, block_versions="versions")
    record = ids(blocks, "post")[0]
    id = blocks.act(lambda world: world.primary.records[record].head.read()).split(b'"id":"')[1][:22].decode()
    report = blocks.sync(record_ids=(id,))
    assert report.outcome is Outcome.PARTIAL
    assert [failure.record_id for failure in report.failures] == [id]
    says = {"404": "a block is part of a record", "422": "INVALID_ENTITY_ID", "block": "is a block, not a record"}
    assert says[by_id] in report.failures[0].reason
    assert counted(blocks, "paragraph") == (0, 0)
    with blocks.mirror.read() as connection:
        assert connection.scalar(select(func.count()).select_from(versions)) == 12


def test_a_project_without_records_to_list_costs_no_list(make_sync_env: MakeSyncEnv) -> None:
    """One with only block models, and one with no model at all: beacon and schema, then the beacon alone."""
    sync_env = make_sync_env()
    models_alone, plan = 1, 1  # an answer without models is not believed at once
    assert sync_env.requests(lambda: sync_env.sync()) == 2 + models_alone + plan
    sync_env.act(only_blocks)
    assert sync_env.requests(lambda: sync_env.sync()) == 2
    assert sync_env.requests(lambda: sync_env.sync()) == 1


def only_blocks(world: World) -> None:
    """A block model with a field."""
    world.create_field(world.account, world.create_model(world.account, "paragraph", is_block=True), "text", "text")


def test_hundreds_of_models_are_listed_in_as_few_queries_as_their_ids_fit_into(blocks: SyncEnv) -> None:
    """300 ids do not fit into one address."""

    def many(world: World) -> None:
        for number in range(300):
            world.create_model(world.account, f"model_{number}")
        world.create(world.user, "model_7", {})
        world.create(world.user, "model_290", {})

    blocks.act(many)
    beacon, schema, lists, schema_again, histories, editors, plan = 1, 1, 2, 1, 14, 1, 1
    expected = beacon + schema + lists + schema_again + histories + editors + plan
    assert blocks.requests(lambda: blocks.sync()) == expected
    is_right(blocks)


def deleted_model(world: World) -> None:
    """The model goes with its records."""
    world.destroy_model(world.account, "page")


def block_model(world: World) -> None:
    """The model becomes a block model: its records are listed as blocks."""
    world.update_model(world.account, "page", is_block=True)


def new_model(world: World) -> None:
    """Another model appears, with a record."""
    world.create(world.user, world.create_model(world.account, "news"), {})


def new_blocks(world: World) -> None:
    """Another model with records, which becomes a block model at once."""
    world.create(world.user, world.create_model(world.account, "card"), {})
    world.update_model(world.account, "card", is_block=True)


def hidden_model(world: World) -> None:
    """The token's role does not show the model any more."""
    give_token(world, frozenset({"page"}))


CHANGES = [deleted_model, block_model, new_model, new_blocks, hidden_model]


@pytest.mark.parametrize(("unknown", "by_id"), [("refused", "404"), *((answer, "block") for answer in UNKNOWN_MODEL)])
@pytest.mark.parametrize("change", CHANGES)
def test_models_may_change_between_schema_and_list(blocks: SyncEnv, change: Act, unknown: str, by_id: str) -> None:
    """No block becomes a record, no record is taken for deleted, and the run does not fail."""
    switch(blocks, unknown_model_in_filter=unknown, block_by_id=by_id, block_versions="versions")
    narrow(blocks)
    blocks.sync()
    blocks.act(lambda world: world.create(world.user, "page", {"title": "just made"}))
    blocks.simulator.simulator.faults.run_after(change, path="/site", nth=1)
    report = blocks.sync()
    assert report.error is None
    assert counted(blocks, "page")[1] == 0
    assert counted(blocks, "paragraph") == counted(blocks, "card") == (0, 0)
    after = blocks.sync()
    assert after.error is None
    if change is hidden_model:
        assert (after.outcome, counted(blocks, "page")[1]) == (Outcome.PARTIAL, 0)
        return
    assert after.outcome is Outcome.SUCCEEDED
    if change is block_model:
        assert counted(blocks, "page")[1] == 0
        blocks.act(lambda world: world.update_model(world.account, "page", is_block=False))
        assert blocks.sync().outcome is Outcome.SUCCEEDED
        assert counted(blocks, "page") == (3, 0)
    assert counted(blocks, "paragraph") == counted(blocks, "card") == (0, 0)
    is_right(blocks)


@pytest.mark.parametrize("by_id", ["404", "422", "block"])
def test_a_model_that_became_a_block_model_keeps_its_records(blocks: SyncEnv, by_id: str) -> None:
    """They stay as they were last seen: no event says that they were deleted, also where their model comes back."""
    switch(blocks, block_by_id=by_id, block_versions="versions")
    blocks.sync()
    blocks.act(block_model)
    assert blocks.sync().outcome is Outcome.SUCCEEDED
    assert blocks.sync(full=True).outcome is Outcome.SUCCEEDED
    assert blocks.sync(scrub=50).outcome is Outcome.SUCCEEDED
    assert counted(blocks, "page") == (2, 0)
    blocks.act(lambda world: world.update_model(world.account, "page", is_block=False))
    assert blocks.sync().outcome is Outcome.SUCCEEDED
    is_right(blocks)
    with blocks.mirror.read() as connection:
        about = select(func.count()).where(events.c.type.in_(["record.deleted", "record.returned"]))
        assert connection.scalar(about) == 0


def test_a_field_retyped_while_its_model_was_hidden_is_no_rewrite(make_sync_env: MakeSyncEnv) -> None:
    """A date-time that came back as a text is printed as it was entered."""
    sync_env = make_sync_env(switches=SimulatorOptions(hidden_models_are_named=False))

    def build(world: World) -> str:
        world.update_site(world.account, timezone="Europe/Rome")
        quote = world.create_model(world.account, "quote", is_block=True)
        said_at = world.create_field(world.account, quote, "said_at", "date_time")
        world.create_field(world.account, world.create_model(world.account, "post"), "parts", "rich_text")
        block = {
            "type": "item",
            "attributes": {"said_at": "2026-03-01T09:00:00Z"},
            "relationships": {"item_type": {"data": {"id": quote.id, "type": "item_type"}}},
        }
        world.create(world.user, "post", {"parts": [block]})
        return said_at.id

    said_at = sync_env.act(build)
    narrow(sync_env)
    sync_env.sync()
    sync_env.act(lambda world: give_token(world, frozenset({"quote"})))
    sync_env.sync(full=True)
    sync_env.act(lambda world: world.update_field(world.account, said_at, field_type="string"))
    sync_env.act(lambda world: give_token(world, frozenset()))
    sync_env.sync(full=True)
    with sync_env.mirror.read() as connection:
        types = list(connection.scalars(select(events.c.type)))
    assert "field.deleted" in types
    assert "version.rewritten" not in types


def narrow(sync_env: SyncEnv) -> None:
    """Exchange the token for one of a role that shows everything, for now."""
    sync_env.act(lambda world: give_token(world, frozenset()))
    sync_env.token = NARROW


def give_token(world: World, hidden: frozenset[str]) -> None:
    """The token of a role that hides these models."""
    role = world.people.add_role(Role("77", "Editors", hidden_models=hidden))
    world.people.add_token(Token(NARROW, Editor(EditorKind.ACCESS_TOKEN, "78", "Editors", role_id=role.id), role))

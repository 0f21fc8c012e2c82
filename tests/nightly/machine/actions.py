"""What editors, administrators and the clock may do to the machine's project: each act by its name.

An act takes the world and a number, which says to whom it happens: records, models and fields are counted in the order
of their making, round and round. So a list of names and numbers tells a whole day, and does so again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.fixtures.uploads import add_upload, files
from versionsync.simulator import FULL_ACCESS_TOKEN, ApiError, Selection, World
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.models import Field, Model
from versionsync.simulator.world.people_roles_tokens import Editor, Role
from versionsync.simulator.world.records import Record

__all__ = [
    "ACTS",
    "CONTENT_ACTS",
    "ROLE_ACTS",
    "SCHEMA_ACTS",
    "SITE_ACTS",
    "Act",
    "do",
    "hidden_models",
    "open_project",
    "show_everything",
]

Act = Callable[[World, int], object]
T = TypeVar("T")

TYPES = ("string", "text", "integer", "boolean", "json", "date_time", "rich_text", "single_block", "gallery")
RETYPED = TYPES[:6]
ZONES = ("UTC", "Europe/Rome", "America/New_York")
DEEPEST = 2
FIRST_DATE_TIME = datetime(2025, 1, 1, 8, 30, tzinfo=UTC)
BURST = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


def do(world: World, name: str, which: int) -> bool:
    """Do the act of that name; returns whether upstream let it be done."""
    try:
        ACTS[name](world, which)
    except (ApiError, _NothingThere):
        return False
    return True


def open_project(world: World, *, records: int) -> None:
    """Two locales; `post`, with drafts, stages, a localized field and blocks; `price`, without drafts; some records.

    The blocks are of two models: `section` may hold others.
    """
    world.add_locale(world.account, "it")
    workflow = world.create_workflow(world.account, "desk", ["writing", "checking"])
    post = world.create_model(world.account, "post", draft_mode=True, workflow_id=workflow.id)
    world.create_field(world.account, post, "title")
    world.create_field(world.account, post, "body", "text", localized=True)
    quote = world.create_model(world.account, "quote", is_block=True)
    world.create_field(world.account, quote, "title")
    world.create_field(world.account, quote, "said_at", "date_time")
    section = world.create_model(world.account, "section", is_block=True)
    world.create_field(world.account, section, "title")
    world.create_field(world.account, section, "parts", "rich_text")
    world.create_field(world.account, post, "parts", "rich_text")
    world.create_field(world.account, post, "held_at", "date_time")
    world.create_field(world.account, post, "near", "links", validators={"items_item_type": {"item_types": [post.id]}})
    world.create_field(world.account, section, "pictures", "gallery")
    for number in range(4):
        add_upload(world, f"{number}.jpg")
    price = world.create_model(world.account, "price", draft_mode=False)
    world.create_field(world.account, price, "title")
    for number in range(records):
        create(world, number)


# --- records ---


def create(world: World, which: int) -> Record:
    """A new record of one of the models."""
    model = _pick(_models(world), which)
    return world.create(_editor(world, which), model, _attributes(world, model))


def edit(world: World, which: int) -> None:
    """A record says something else in each of its fields."""
    record = _record(world, which)
    world.update(_editor(world, which), record.id, _attributes(world, record.model))


def replace_some_blocks(world: World, which: int) -> None:
    """Of the blocks of a record the first stay, the last goes and another one comes; a nested one may change."""
    record = _record(world, which)
    key = _pick([field.api_key for field in record.model.ordered_fields if field.field_type == "rich_text"], which)
    members = contents.split(record.head.read())
    value = contents.load(members[key]) if key in members else []
    before = [block["id"] for block in value if contents.is_block(block)] if isinstance(value, list) else []
    kept = [] if which % 3 == 0 else before[:-1]
    if kept and which % 2:
        first = contents.blocks_by_id(record.head.read())[kept[0]]
        owner = world.environment(None).find_model(_model_id(first))
        if owner is not None and owner.is_block:
            changed = {"id": kept[0], "type": "item", "attributes": _attributes(world, owner, depth=DEEPEST)}
            kept = [{**changed, "relationships": first["relationships"]}, *kept[1:]]
    field = record.model.field_by_key(key)
    new: object = [*kept, *_blocks(world, which % 3, depth=1)]
    if field is not None and field.localized:
        new = {"en": new}
    world.update(_editor(world, which), record.id, {key: new})


def edit_at_once(world: World, which: int) -> None:
    """Two edits of one editor within one second: a merged burst, where upstream merges."""
    record = _record(world, which)
    before = world.options.history_resolution
    for resolution in (before, BURST):
        world.options.history_resolution = resolution
        try:
            world.update(world.user, record.id, _attributes(world, record.model))
        finally:
            world.options.history_resolution = before


def continue_burst(world: World, which: int) -> None:
    """The last edit of a record is continued by its editor, within the time in which upstream merges.

    Not in the very second of a locale's publication, as in `publish_one_locale`.
    """
    record = _record(world, which)
    if record.versions[-1] is not record.head:
        world.clock.advance(SECOND)
        world.tick()
    before = world.options.history_resolution
    world.options.history_resolution = timedelta(days=1)
    try:
        world.update(record.head.editor, record.id, _attributes(world, record.model))
    finally:
        world.options.history_resolution = before


def publish(world: World, which: int) -> None:
    """What is current becomes live."""
    world.publish(_editor(world, which), _record(world, which).id)


def publish_one_locale(world: World, which: int) -> None:
    """One locale of what is current becomes live, over what is live already.

    Not in the very second of the current version: a list of nothing else could then be read from either end.
    """
    world.clock.advance(SECOND)
    world.tick()
    selection = Selection.of(["en" if which % 2 else "it"], non_localized=which % 3 == 0)
    world.publish(_editor(world, which), _record(world, which).id, selection)


def unpublish(world: World, which: int) -> None:
    """What is live is so no more."""
    world.unpublish(_editor(world, which), _record(world, which).id)


def unpublish_one_locale(world: World, which: int) -> None:
    """One locale of what is live goes; a second later, as above."""
    world.clock.advance(SECOND)
    world.tick()
    locales = frozenset({"en" if which % 2 else "it"})
    world.unpublish(_editor(world, which), _record(world, which).id, locales)


def publish_and_unpublish(world: World, which: int) -> None:
    """Live for no time at all."""
    publish(world, which)
    unpublish(world, which)


def publish_again(world: World, which: int) -> None:
    """What is live is taken back and published again within a second: upstream overwrites its interval."""
    unpublish(world, which)
    publish(world, which)


def schedule_publication(world: World, which: int) -> None:
    """To be published in a while."""
    world.schedule_publication(world.user, _record(world, which).id, _soon(world, which))


def schedule_unpublishing(world: World, which: int) -> None:
    """To be unpublished in a while."""
    world.schedule_unpublishing(world.user, _record(world, which).id, _soon(world, which))


def move_to_stage(world: World, which: int) -> None:
    """Another stage of the workflow."""
    record = _record(world, which)
    world.move_to_stage(world.user, record.id, "checking" if record.stage == "writing" else "writing")


def delete(world: World, which: int) -> None:
    """A record goes."""
    world.delete(_editor(world, which), _record(world, which).id)


def bring_back(world: World, which: int) -> None:
    """A deleted record returns under its id."""
    gone = _pick(list(world.environment(None).deleted.values()), which)
    if gone.model.id not in world.environment(None).models:
        raise _NothingThere
    world.create(_editor(world, which), gone.model.id, _attributes(world, gone.model), id=gone.id)


def delete_and_bring_back(world: World, which: int) -> None:
    """A record goes and returns at once."""
    record = _record(world, which)
    world.delete(world.user, record.id)
    world.create(world.user, record.model, _attributes(world, record.model), id=record.id)


def restore(world: World, which: int) -> None:
    """An old version is current again, as a new one."""
    record = _record(world, which)
    world.restore(_editor(world, which), _pick(record.versions, which).id)


# --- models and fields ---


def add_model(world: World, which: int) -> None:
    """A new model with a field."""
    model = world.create_model(world.account, f"model_{world.ids.number()}", draft_mode=which % 2 == 0)
    world.create_field(world.account, model, "title")


def rename_model(world: World, which: int) -> None:
    """Another name in the API and for editors."""
    model, number = _pick(_models(world), which), world.ids.number()
    world.update_model(world.account, model.id, api_key=f"model_{number}", name=f"Model {number}")


def change_draft_mode(world: World, which: int) -> None:
    """Drafts on or off; off publishes what is current."""
    model = _pick(_models(world), which)
    world.update_model(world.account, model.id, draft_mode=not model.draft_mode)


def delete_model(world: World, which: int) -> None:
    """A model goes with its records; the last one stays, and so do the block models."""
    found = _models(world)
    if len(found) == 1:
        raise _NothingThere
    world.destroy_model(world.account, _pick(found, which).id)


def turn_model(world: World, which: int) -> None:
    """A model becomes a block model, or one with records again."""
    model = _pick(list(world.environment(None).models.values()), which)
    world.update_model(world.account, model.id, is_block=not model.is_block)


def turn_model_back(world: World, which: int) -> None:
    """A block model that has records has them again."""
    turned = {record.model.id for record in world.environment(None).records.values() if record.model.is_block}
    world.update_model(world.account, _pick(sorted(turned), which), is_block=False)


def add_field(world: World, which: int) -> None:
    """A new field, of any type."""
    model, kind = _pick(_models(world), which), TYPES[which % len(TYPES)]
    world.create_field(world.account, model, f"field_{world.ids.number()}", kind, localized=which % 2 == 0)


def rename_field(world: World, which: int) -> None:
    """Another name in the API: upstream rewrites what is stored."""
    world.update_field(world.account, _field(world, which).id, api_key=f"field_{world.ids.number()}")


def retype_field(world: World, which: int) -> None:
    """Another type for a field without blocks; what is stored stays."""
    models = world.environment(None).models.values()
    found = [field for model in models for field in model.ordered_fields if field.field_type in RETYPED]
    world.update_field(world.account, _pick(found, which).id, field_type=RETYPED[which % len(RETYPED)])


def delete_field(world: World, which: int) -> None:
    """A field goes, with what every version says in it."""
    world.destroy_field(world.account, _field(world, which).id)


# --- the project, and what upstream's answers are like ---


def switch_milliseconds(world: World, _: int) -> None:
    """Times are printed with milliseconds, or no more."""
    world.options.milliseconds = not world.options.milliseconds
    world.environment(None).touch(world.now())


def change_time_zone(world: World, which: int) -> None:
    """Times are printed in another zone; some of them move where upstream does not manage zones well."""
    world.update_site(world.account, timezone=ZONES[which % len(ZONES)])


def switch_timezone_management(world: World, _: int) -> None:
    """From now on another zone moves no instant; or does again."""
    world.options.improved_timezone_management = not world.options.improved_timezone_management
    world.environment(None).touch(world.now())


def switch_offset(world: World, _: int) -> None:
    """Switch between `Z` and `+00:00`. No editor does that, so no time of a change moves."""
    world.options.times_with_offset = not world.options.times_with_offset


def repeat_times_in_versions(world: World, _: int) -> None:
    """Versions have members that are no fields, or no more; nothing moves."""
    world.options.versions_repeat_times = not world.options.versions_repeat_times


def repeat_times_in_records(world: World, _: int) -> None:
    """Records have members that are no fields, or no more; nothing moves."""
    world.options.items_repeat_times = not world.options.items_repeat_times


# --- what the token may see ---


def hide_model(world: World, which: int) -> None:
    """The token's role does not show the records of a model any more."""
    model = _pick(list(world.environment(None).models.values()), which)
    role = _role(world)
    world.people.add_role(replace(role, hidden_models=role.hidden_models | {model.id}))


def show_model(world: World, which: int) -> None:
    """The token's role shows the records of a model again."""
    hidden = hidden_models(world)
    world.people.add_role(replace(_role(world), hidden_models=hidden - {_pick(sorted(hidden), which)}))


def show_everything(world: World) -> None:
    """The token's role shows all records."""
    world.people.add_role(replace(_role(world), hidden_models=frozenset()))


def hidden_models(world: World) -> frozenset[str]:
    """The models whose records the token's role does not show."""
    return _role(world).hidden_models


CONTENT_ACTS: Mapping[str, Act] = {
    act.__name__: act
    for act in (
        edit,
        replace_some_blocks,
        create,
        publish,
        unpublish,
        publish_again,
        publish_and_unpublish,
        publish_one_locale,
        unpublish_one_locale,
        edit_at_once,
        continue_burst,
        restore,
        delete,
        bring_back,
        delete_and_bring_back,
        schedule_publication,
        schedule_unpublishing,
        move_to_stage,
    )
}
SCHEMA_ACTS: Mapping[str, Act] = {
    act.__name__: act
    for act in (
        add_model,
        rename_model,
        change_draft_mode,
        delete_model,
        turn_model,
        turn_model_back,
        add_field,
        rename_field,
        retype_field,
        delete_field,
    )
}
SITE_ACTS: Mapping[str, Act] = {
    act.__name__: act
    for act in (
        switch_milliseconds,
        change_time_zone,
        switch_timezone_management,
        switch_offset,
        repeat_times_in_versions,
        repeat_times_in_records,
    )
}
ROLE_ACTS: Mapping[str, Act] = {act.__name__: act for act in (hide_model, show_model)}
ACTS: Mapping[str, Act] = {**CONTENT_ACTS, **SCHEMA_ACTS, **SITE_ACTS, **ROLE_ACTS}


class _NothingThere(Exception):
    """The world has nothing that this action could change."""


def _pick(things: Sequence[T], which: int) -> T:
    if not things:
        raise _NothingThere
    return things[which % len(things)]


def _models(world: World) -> list[Model]:
    return [model for model in world.environment(None).models.values() if not model.is_block]


def _record(world: World, which: int) -> Record:
    return _pick(list(world.environment(None).records.values()), which)


def _field(world: World, which: int) -> Field:
    models = world.environment(None).models.values()
    return _pick([field for model in models for field in model.ordered_fields], which)


def _role(world: World) -> Role:
    return world.people.tokens[FULL_ACCESS_TOKEN].role


def _editor(world: World, which: int) -> Editor:
    return _pick([world.user, world.account, world.sso_user, world.api], which)


def _soon(world: World, which: int) -> datetime:
    return world.now() + timedelta(seconds=(1, 30, 3600)[which % 3])


def _attributes(world: World, model: Model, *, depth: int = 0) -> dict[str, object]:
    """Something new in each field of a record, or of a block in that depth, of `model`."""
    return {field.api_key: _value(world, field, depth=depth) for field in model.ordered_fields}


def _value(world: World, field: Field, *, depth: int) -> object:
    number = int(world.ids.number())
    value: object
    match field.field_type:
        case "integer":
            value = number
        case "boolean":
            value = number % 2 == 0
        case "json":
            value = f'{{"number": {number}}}'
        case "date_time":
            at = FIRST_DATE_TIME + timedelta(hours=number % 50_000, milliseconds=number % 1000)
            value = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "rich_text":
            value = _blocks(world, number % 3, depth=depth + 1)
        case "gallery":
            ids = sorted(world.environment(None).uploads)
            value = files(*ids[number % 2 : number % 2 + number % 3])
        case "links":
            posts = [id for id, record in world.environment(None).records.items() if record.model.id == field.model_id]
            value = posts[number % 3 : number % 3 + number % 4]
        case "single_block":
            value = next(iter(_blocks(world, number % 2, depth=depth + 1)), None)
        case _:
            value = f"text {number}"
    return {"en": value, "it": value} if field.localized else value


def _blocks(world: World, number: int, *, depth: int) -> list[dict[str, object]]:
    """New blocks, which hold others down to some depth."""
    records = world.environment(None).records.values()
    have_records = {record.model.id for record in records}
    models = [
        model for model in world.environment(None).models.values() if model.is_block and model.id not in have_records
    ]
    if not models or depth > DEEPEST:
        return []
    chosen = [models[(number + each) % len(models)] for each in range(number)]
    return [
        {
            "type": "item",
            "attributes": _attributes(world, model, depth=depth),
            "relationships": {"item_type": {"data": {"id": model.id, "type": "item_type"}}},
        }
        for model in chosen
    ]


def _model_id(block: dict[str, object]) -> str:
    match block:
        case {"relationships": {"item_type": {"data": {"id": str(id)}}}}:
            return id
    return ""

"""A project with the schema of another one, from descriptions in the form of the API: models, fields, people.

What no description says is filled in: the titles of fieldsets, the names of workflows, the files of uploads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, TypeAlias

from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import Change
from versionsync.simulator.world.models import MODEL_FIELDS, Field, Fieldset, Model, Workflow
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.people_roles_tokens import FULL_ACCESS_TOKEN, Editor, EditorKind
from versionsync.simulator.world.serialization import FIELD_ATTRIBUTES, MODEL_ATTRIBUTES
from versionsync.simulator.world.times import Clock
from versionsync.simulator.world.uploads import FileFacts, Upload
from versionsync.simulator.world.world import World

__all__ = ["Description", "editor_of", "world_of"]

Description: TypeAlias = Mapping[str, Any]
"""An entity as the API shows it: `id`, `type`, and perhaps `attributes`, `relationships`, `meta`."""

_STANDINS: Final = (
    ("account", EditorKind.ACCOUNT),
    ("organization", EditorKind.ORGANIZATION),
    ("user", EditorKind.USER),
    ("sso_user", EditorKind.SSO_USER),
)
"""The editors that every world has under a name of their own."""


def world_of(
    site: Description,
    item_types: Iterable[Description],
    fields: Iterable[Description],
    editors: Iterable[Description] = (),
    upload_ids: Iterable[str] = (),
    *,
    stages: Mapping[str, Sequence[str]] | None = None,
    environment: str = "main",
    created_at: datetime | None = None,
    clock: Clock | None = None,
    seed: int = 0,
    token: str = FULL_ACCESS_TOKEN,
) -> World:
    """Return a project without records that has the ids and settings of the descriptions.

    Args:
        site: The project: its name, locales, time zone, and whether its times have milliseconds.
        item_types: Its models and block models.
        fields: The fields of all models. Those of other models are ignored.
        editors: Its people and tokens. Those without a name are not listed; see `editor_of`.
        upload_ids: The ids of uploads, which become files without content.
        stages: The ids of the stages of workflows, by the workflow's id. The first stage is the initial one.
        environment: The id of the environment.
        created_at: When the environment was created; None: now.
        clock: Its clock; None: a running one.
        seed: The seed of new ids. Take one with which the copied ids were not made.
        token: The API token.
    """
    about = site.get("attributes") or {}
    meta = site.get("meta") or {}
    world = World(
        seed=seed,
        clock=clock,
        project_id=site["id"],
        name=about.get("name") or site["id"],
        environment=environment,
        locales=tuple(about.get("locales") or ("en",)),
        timezone=about.get("timezone") or "UTC",
        options=SimulatorOptions(milliseconds=bool(meta.get("milliseconds_in_datetime"))),
        token=token,
    )
    where = world.primary
    world.created_at = where.created_at = created_at or world.created_at
    with world.acting_at(where.created_at):
        _add_people(world, editors)
        _add_schema(world, where, item_types, fields)
        _add_workflows(where, stages or {})
        for upload_id in upload_ids:
            where.uploads[upload_id] = _placeholder(world, upload_id)
    return world


def editor_of(world: World, type: str, id: str) -> Editor:
    """Return the editor with this type and id. One that the project does not list is made; it has no name.

    An editor of a type that the simulator does not know is the API token.
    """
    known = world.people.editors.get((type, id))
    if known is not None:
        return known
    try:
        return Editor(EditorKind(type), id, id)
    except ValueError:
        return world.api


def _add_people(world: World, editors: Iterable[Description]) -> None:
    """Add the editors that have a name, and let them replace the invented ones."""
    found = [editor for one in editors if (editor := _editor(one, world.api.role_id)) is not None]
    for attribute, kind in _STANDINS:
        invented = getattr(world, attribute)
        world.people.remove(invented)
        own = next((editor for editor in found if editor.kind is kind), None)
        if own is not None:
            setattr(world, attribute, own)
        elif kind in {EditorKind.ACCOUNT, EditorKind.ORGANIZATION}:  # the project names its owners
            world.people.add(invented)
    for editor in found:
        world.people.add(editor)
    world.api = world.people.tokens[world.token].editor


def _editor(person: Description, role_id: str | None) -> Editor | None:
    attributes = person.get("attributes") or {}
    names = " ".join(attributes[name] for name in ("first_name", "last_name") if attributes.get(name))
    name = attributes.get("full_name") or attributes.get("name") or names
    if not name or person["type"] not in set(EditorKind):
        return None
    kind = EditorKind(person["type"])
    has_role = kind not in {EditorKind.ACCOUNT, EditorKind.ORGANIZATION}
    return Editor(
        kind,
        person["id"],
        name,
        attributes.get("email") or attributes.get("username"),
        role_id if has_role else None,
        attributes.get("is_active") is not False,
    )


def _add_schema(
    world: World, where: Environment, item_types: Iterable[Description], fields: Iterable[Description]
) -> None:
    described = {one["id"]: one for one in item_types}
    where.models = {id: _model(one) for id, one in described.items()}
    for one in fields:
        model = where.models.get(_target(one, "item_type") or "")
        if model is not None:
            model.fields[one["id"]] = _field(model, one)
    for id, model in where.models.items():
        _complete(model, described[id])
        world.schema_changed(where, Change.MADE, model)
        for field in model.ordered_fields:
            world.schema_changed(where, Change.MADE, model, field, notifies=False)


def _model(described: Description) -> Model:
    attributes = described.get("attributes") or {}
    api_key = attributes.get("api_key") or described["id"]
    model = Model(described["id"], api_key, attributes.get("name") or api_key)
    for name, (member, _) in MODEL_ATTRIBUTES.items():
        if attributes.get(name) is not None:
            setattr(model, member, attributes[name])
    model.workflow_id = _target(described, "workflow")
    return model


def _field(model: Model, described: Description) -> Field:
    attributes = described["attributes"]
    api_key = attributes["api_key"]
    field = Field(described["id"], model.id, api_key, attributes["field_type"], attributes.get("label") or api_key)
    for name in FIELD_ATTRIBUTES:
        if attributes.get(name) is not None:
            setattr(field, name, attributes[name])
    field.fieldset_id = _target(described, "fieldset")
    return field


def _complete(model: Model, described: Description) -> None:
    """Add to *model*, which has its fields, what refers to them: its fieldsets, and the fields with a role.

    Fieldsets and the fields outside of them share one numbering, so its gaps are the positions of the fieldsets.
    """
    listed = ((described.get("relationships") or {}).get("fieldsets") or {}).get("data") or ()
    used = (field.fieldset_id for field in model.fields.values() if field.fieldset_id is not None)
    taken = {field.position for field in model.fields.values() if field.fieldset_id is None}
    gaps = (position for position in count(1) if position not in taken)
    for number, id in enumerate(dict.fromkeys((*(one["id"] for one in listed), *used)), start=1):
        model.fieldsets[id] = Fieldset(id, model.id, f"Fieldset {number}", position=next(gaps))
    chosen = {name: _target(described, name) for name in MODEL_FIELDS}
    model.chosen_fields = {name: id for name, id in chosen.items() if id is not None and id in model.fields}


def _add_workflows(where: Environment, stages: Mapping[str, Sequence[str]]) -> None:
    used = (model.workflow_id for model in where.models.values() if model.workflow_id is not None)
    for number, id in enumerate(dict.fromkeys(used), start=1):
        known = tuple(stages.get(id, ())) or (f"{id}-stage",)
        where.workflows[id] = Workflow(id, f"Workflow {number}", f"workflow_{number}", known)


def _placeholder(world: World, upload_id: str) -> Upload:
    file = FileFacts.of(f"{upload_id}.jpg", b"")
    path, at = f"/{world.project_id}/0-{file.filename}", world.now()
    return Upload(upload_id, path, file, world.account.ref, at, at)


def _target(described: Description, relationship: str) -> str | None:
    """Return the id that a relationship to one entity has, if any."""
    data = ((described.get("relationships") or {}).get(relationship) or {}).get("data")
    return None if data is None else str(data["id"])

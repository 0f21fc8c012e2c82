"""What administrators do to the schema, and how that changes stored content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Cause,
    Change,
    ModelTurned,
    SchemaChanged,
    VersionRewritten,
)
from versionsync.simulator.world.ids import copy_key, copy_name
from versionsync.simulator.world.models import FIELD_TYPES, Field, Fieldset, Model, Workflow
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.publishing_actions import PublishingActions
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.state import NotificationType

__all__ = ["SchemaActions"]

_CHOSEN_BY_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("title_field", "presentation_title_field"),
    "file": ("image_preview_field", "presentation_image_field"),
    "gallery": ("image_preview_field", "presentation_image_field"),
    "text": ("excerpt_field",),
    "structured_text": ("excerpt_field",),
}
"""The relationships of a model that point to its first field of a type by default."""
_IMAGES: Final = frozenset({"image_preview_field", "presentation_image_field"})
_IN_BLOCK_MODELS: Final = frozenset({"presentation_title_field", "presentation_image_field"})
"""Those that a block model has too."""
_NOTIFICATIONS: Final = {
    Change.MADE: NotificationType.CREATE,
    Change.CHANGED: NotificationType.UPDATE,
    Change.REMOVED: NotificationType.DELETE,
}


class SchemaActions(PublishingActions):
    """Actions on models, fields, fieldsets, locales and workflows."""

    def create_model(
        self,
        editor: Editor,
        api_key: str,
        *,
        id: str | None = None,
        environment: str | None = None,
        **settings: Json,
    ) -> Model:
        """Create a model. *settings* are members of `Model`: `name`, `draft_mode`, `is_singleton`, `is_block`, ….

        By default its name is made from its *api_key*, and it has drafts.
        """
        where = self.environment(environment)
        if any(model.api_key == api_key for model in where.models.values()):
            raise invalid_field("api_key", "VALIDATION_UNIQUE")
        where.save_schema()
        name = settings.pop("name", None) or api_key.replace("_", " ").capitalize()
        model = Model(id or self.ids.new(), api_key, name)
        chosen = settings.pop("chosen_fields", {})
        apply_settings(model, settings)
        _choose_fields(model, chosen, model.ordering_meta)
        where.models[model.id] = model
        self.schema_changed(where, Change.MADE, model)
        return model

    def update_model(self, editor: Editor, model: str, *, environment: str | None = None, **settings: Json) -> Model:
        """Change *settings* of a model (its id or api_key). Without drafts all current versions are published.

        With *is_block* it becomes a block model. Its records are kept, and served as blocks until it changes back.
        """
        where = self.environment(environment)
        changed = where.model(model)
        was_block = changed.is_block
        new_key = settings.get("api_key", changed.api_key)
        if new_key != changed.api_key and any(other.api_key == new_key for other in where.models.values()):
            raise invalid_field("api_key", "VALIDATION_UNIQUE")
        where.save_schema(changed)
        _choose_fields(changed, settings.pop("chosen_fields", {}), settings.get("ordering_meta", changed.ordering_meta))
        apply_settings(changed, settings)
        if changed.is_block is not was_block:
            self.event_log.write(ModelTurned(self.now(), where.id, changed.id, changed.is_block))
        if settings.get("draft_mode") is False:
            for record in where.records.values():
                if record.model is changed:
                    self._make_live(where, record, record.head)
        self.schema_changed(where, Change.CHANGED, changed)
        return changed

    def destroy_model(self, editor: Editor, model: str, *, environment: str | None = None) -> Model:
        """Remove a model with its records and their versions."""
        where = self.environment(environment)
        destroyed = where.model(model)
        where.save_schema()
        for record in [record for record in where.records.values() if record.model is destroyed]:
            self._remove_record(where, record, self.now())
        del where.models[destroyed.id]
        self.schema_changed(where, Change.REMOVED, destroyed)
        return destroyed

    def create_field(
        self,
        editor: Editor,
        model: Model | str,
        api_key: str,
        field_type: str = "string",
        *,
        id: str | None = None,
        environment: str | None = None,
        **settings: Json,
    ) -> Field:
        """Create a field of *model* (or its id or api_key). *settings* are members of `Field`, such as `localized`."""
        where = self.environment(environment)
        owner = where.model(model.id if isinstance(model, Model) else model)
        if field_type not in FIELD_TYPES:
            raise ApiError("INVALID_ATTRIBUTES", field_type=field_type)
        if owner.field_by_key(api_key):
            raise invalid_field("api_key", "VALIDATION_UNIQUE")
        where.save_schema(owner)
        label = settings.pop("label", None) or api_key.replace("_", " ").capitalize()
        fieldset_id = settings.pop("fieldset_id", None)
        _check_fieldset(owner, fieldset_id)
        position = owner.next_position(fieldset_id)
        field = Field(id or self.ids.new(), owner.id, api_key, field_type, label, position=position)
        field.fieldset_id = fieldset_id
        apply_settings(field, settings)
        owner.fields[field.id] = field
        self._choose(owner, field)
        self.schema_changed(where, Change.MADE, owner, field)
        return field

    def update_field(self, editor: Editor, field_id: str, *, environment: str | None = None, **settings: Json) -> Field:
        """Change *settings* of a field; `renamed_fields` decides what a new `api_key` does to old versions."""
        where = self.environment(environment)
        field = where.field(field_id)
        model = where.models[field.model_id]
        old_key = field.api_key
        new_key = settings.get("api_key", old_key)
        if new_key != old_key and model.field_by_key(new_key):
            raise invalid_field("api_key", "VALIDATION_UNIQUE")
        if settings.get("field_type", field.field_type) not in FIELD_TYPES:
            raise ApiError("INVALID_ATTRIBUTES", field_type=settings["field_type"])
        if settings.get("fieldset_id", field.fieldset_id) != field.fieldset_id:
            _check_fieldset(model, settings["fieldset_id"])
            settings.setdefault("position", model.next_position(settings["fieldset_id"]))
        where.save_schema(model)
        apply_settings(field, settings)
        if new_key != old_key:
            if self.options.renamed_fields == "new_key":
                self._rewrite_members(where, model, partial(_rename, old_key, new_key), Cause.FIELD_RENAMED)
            else:
                model.previous_keys = {
                    **{old: new_key if new == old_key else new for old, new in model.previous_keys.items()},
                    old_key: new_key,
                }
        self.schema_changed(where, Change.CHANGED, model, field)
        return field

    def destroy_field(self, editor: Editor, field_id: str, *, environment: str | None = None) -> Field:
        """Remove a field, also from all versions."""
        where = self.environment(environment)
        field = where.field(field_id)
        model = where.models[field.model_id]
        where.save_schema(model)
        keys = {field.api_key, *(old for old, new in model.previous_keys.items() if new == field.api_key)}
        del model.fields[field_id]
        model.chosen_fields = {name: id for name, id in model.chosen_fields.items() if id != field_id}
        self._rewrite_members(where, model, partial(_without, keys), Cause.FIELD_REMOVED)
        self.schema_changed(where, Change.REMOVED, model, field)
        return field

    def create_fieldset(
        self,
        editor: Editor,
        model: str,
        title: str,
        *,
        id: str | None = None,
        environment: str | None = None,
        **settings: Json,
    ) -> Fieldset:
        """Create an empty fieldset of *model* (its id or api_key). *settings* are members of `Fieldset`."""
        where = self.environment(environment)
        owner = where.model(model)
        where.save_schema(owner)
        fieldset = Fieldset(id or self.ids.new(), owner.id, title, position=owner.next_position(None))
        apply_settings(fieldset, settings)
        owner.fieldsets[fieldset.id] = fieldset
        self.schema_changed(where, Change.CHANGED, owner)
        return fieldset

    def update_fieldset(
        self, editor: Editor, fieldset_id: str, *, environment: str | None = None, **settings: Json
    ) -> Fieldset:
        where = self.environment(environment)
        fieldset = where.fieldset(fieldset_id)
        owner = where.models[fieldset.model_id]
        where.save_schema(owner)
        apply_settings(fieldset, settings)
        self.schema_changed(where, Change.CHANGED, owner)
        return fieldset

    def destroy_fieldset(self, editor: Editor, fieldset_id: str, *, environment: str | None = None) -> Fieldset:
        """Remove a fieldset; its fields stay, after all others."""
        where = self.environment(environment)
        destroyed = where.fieldset(fieldset_id)
        owner = where.models[destroyed.model_id]
        where.save_schema(owner)
        for field in owner.ordered_fields:
            if field.fieldset_id == destroyed.id:
                field.fieldset_id, field.position = None, owner.next_position(None)
        del owner.fieldsets[destroyed.id]
        self.schema_changed(where, Change.CHANGED, owner)
        return destroyed

    def duplicate_model(self, editor: Editor, model: str, *, environment: str | None = None) -> Model:
        """Create a copy of a model (its id or api_key), with its own fields and fieldsets and without records."""
        where = self.environment(environment)
        original = where.model(model)
        where.save_schema()
        copy = original.copy()
        copy.id = self.ids.new()
        copy.name = copy_name(original.name, {other.name for other in where.models.values()})
        copy.api_key = copy_key(original.api_key, {other.api_key for other in where.models.values()})
        copy.previous_keys = {}
        new_ids = {id: self.ids.new() for id in (*original.fields, *original.fieldsets)}
        for fieldset in copy.fieldsets.values():
            fieldset.id, fieldset.model_id = new_ids[fieldset.id], copy.id
        for field in copy.fields.values():
            field.id, field.model_id = new_ids[field.id], copy.id
            field.fieldset_id = new_ids[field.fieldset_id] if field.fieldset_id else None
        copy.fieldsets = {fieldset.id: fieldset for fieldset in copy.fieldsets.values()}
        copy.fields = {field.id: field for field in copy.fields.values()}
        copy.chosen_fields = {name: new_ids[id] for name, id in original.chosen_fields.items()}
        where.models[copy.id] = copy
        self.schema_changed(where, Change.MADE, copy)
        for field in copy.fields.values():
            self.schema_changed(where, Change.MADE, copy, field, notifies=False)
        return copy

    def duplicate_field(self, editor: Editor, field_id: str, *, environment: str | None = None) -> Field:
        """Create a copy of a field in the same model, after all others and without values."""
        where = self.environment(environment)
        original = where.field(field_id)
        model = where.models[original.model_id]
        where.save_schema(model)
        copy = replace(
            original,
            id=self.ids.new(),
            label=copy_name(original.label, {other.label for other in model.fields.values()}),
            api_key=copy_key(original.api_key, {other.api_key for other in model.fields.values()}),
            position=model.next_position(original.fieldset_id),
        )
        model.fields[copy.id] = copy
        self.schema_changed(where, Change.MADE, model, copy)
        return copy

    def add_locale(self, editor: Editor, locale: str, *, environment: str | None = None) -> None:
        where = self.environment(environment)
        if locale not in where.locales:
            where.save_schema()
            where.locales.append(locale)
            where.touch(self.now(), moves_beacon=self.options.schema_moves_beacon)

    def remove_locale(self, editor: Editor, locale: str, *, environment: str | None = None) -> None:
        """Remove a *locale*, also from all versions. The last one must stay."""
        where = self.environment(environment)
        if locale not in where.locales or len(where.locales) == 1:
            raise invalid_field("locales", "VALIDATION_INCLUSION", locale=locale)
        where.save_schema()
        where.locales.remove(locale)
        removed = frozenset({locale})
        for version in where.versions.values():
            localized = version.record.model.localized_keys
            if localized:
                self._rewrite(
                    where, version, contents.without_locale(version.read(), localized, removed), Cause.LOCALE_REMOVED
                )
        where.touch(self.now(), moves_beacon=self.options.schema_moves_beacon)

    def create_workflow(
        self,
        editor: Editor,
        api_key: str,
        stages: Iterable[str],
        *,
        name: str | None = None,
        environment: str | None = None,
    ) -> Workflow:
        """Create a workflow with *stages*, the initial one first; a model uses it with its id as `workflow_id`."""
        where = self.environment(environment)
        workflow = Workflow(self.ids.new(), name or api_key.capitalize(), api_key, tuple(stages))
        where.workflows[workflow.id] = workflow
        return workflow

    def _choose(self, model: Model, field: Field) -> None:
        """Point relationships of *model* to a new *field* if they point to none; see `assigned_fields`."""
        if self.options.assigned_fields == "none":
            return
        for name in _CHOSEN_BY_TYPE.get(field.field_type, ()):
            is_assigned = name == "title_field" or self.options.assigned_fields == "all"
            if is_assigned and not (model.is_block and name not in _IN_BLOCK_MODELS):
                model.chosen_fields.setdefault(name, field.id)

    def schema_changed(
        self, where: Environment, change: Change, model: Model, field: Field | None = None, *, notifies: bool = True
    ) -> None:
        """Record that a model, or one of its fields, was created, changed or removed; notify of it if *notifies*."""
        now, field_id = self.now(), field.id if field else None
        self.event_log.write(SchemaChanged(now, where.id, change, model.id, (field or model).api_key, field_id))
        where.touch(now, moves_beacon=self.options.schema_moves_beacon)
        if notifies:
            self.notify(NotificationType.UPDATE if field else _NOTIFICATIONS[change], where, model)

    def _rewrite_members(
        self, where: Environment, model: Model, change: Callable[[Mapping[str, Json]], dict[str, Json]], cause: Cause
    ) -> None:
        """Apply *change* to the attributes of all versions of *model*, and of its blocks."""
        for version in list(where.versions.values()):
            if version.record.model is model:
                self._rewrite(where, version, contents.join(change(contents.split(version.read()))), cause)
            elif model.is_block and model.id.encode() in (old := version.read()):
                self._rewrite(where, version, _change_blocks(version.record, old, model.id, change), cause)

    def _rewrite(self, where: Environment, version: Version, new: bytes, cause: Cause) -> None:
        if new != version.read():
            version.content = new
            self.event_log.write(VersionRewritten(self.now(), where.id, version.id, new, cause))


def apply_settings(target: Model | Field | Fieldset, settings: Mapping[str, Json]) -> None:
    """Set members by name. Raise TypeError for an unknown name."""
    for name, value in settings.items():
        if not hasattr(target, name):
            raise TypeError(f"{type(target).__name__} has no setting {name!r}")
        setattr(target, name, value)


def _choose_fields(model: Model, chosen: Mapping[str, str | None], ordering_meta: str | None) -> None:
    """Point relationships of *model* to other fields, or to none. Raise ApiError (422) before anything changes.

    *ordering_meta*: the other way to order its records; it excludes `ordering_field`.
    """
    for name, field_id in chosen.items():
        if field_id is None:
            continue
        field = model.fields.get(field_id)
        is_valid = field is not None and (name not in _IMAGES or field.holds_files)
        if not is_valid or (model.is_block and name not in _IN_BLOCK_MODELS):
            raise invalid_field(name, "VALIDATION_INCLUSION")
    named = {name: id for name, id in {**model.chosen_fields, **chosen}.items() if id is not None}
    if ordering_meta is not None and "ordering_field" in named:
        raise invalid_field("ordering_meta", "VALIDATION_EXCLUSION")
    model.chosen_fields = named


def _check_fieldset(model: Model, fieldset_id: str | None) -> None:
    if fieldset_id is not None and fieldset_id not in model.fieldsets:
        raise invalid_field("fieldset", "VALIDATION_INCLUSION")


def _rename(old: str, new: str, members: Mapping[str, Json]) -> dict[str, Json]:
    return {new if key == old else key: value for key, value in members.items()}


def _without(keys: set[str], members: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in members.items() if key not in keys}


def _change_blocks(
    record: Record, content: bytes, model_id: str, change: Callable[[Mapping[str, Json]], dict[str, Json]]
) -> bytes:
    """Return *content* with *change* applied to the attributes of each block of the model, at any depth."""

    def visit(value: Json) -> Json:
        if isinstance(value, list):
            return [visit(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        visited = {key: visit(inner) for key, inner in value.items()}
        match visited:
            case {"type": "item", "attributes": dict(attributes), "relationships": {"item_type": {"data": {"id": of}}}}:
                if of == model_id:
                    visited["attributes"] = change(attributes)
        return visited

    members = contents.split(content)
    for key in record.model.block_keys:
        if key in members:
            members[key] = contents.raw(visit(contents.load(members[key])))
    return contents.join(members)

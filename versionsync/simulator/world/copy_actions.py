"""What administrators do to have a model or a field twice."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from versionsync.simulator.world.copies import copy_key, copy_name
from versionsync.simulator.world.event_log import Change
from versionsync.simulator.world.models import Field, Model
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.schema_actions import SchemaActions
from versionsync.simulator.world.state import NotificationType

__all__ = ["CopyActs"]


class CopyActs(SchemaActions):
    """The acts that copy parts of the schema; content is not copied."""

    def duplicate_model(self, editor: Editor, model: str, *, environment: str | None = None) -> Model:
        """A model like this one (named by id or api_key), with fields and fieldsets of its own and no records."""
        where = self.environment(environment)
        original = where.model(model)
        where.keep_schema()
        copy = deepcopy(original)
        copy.id = self.ids.new()
        copy.name = copy_name(original.name, {other.name for other in where.models.values()})
        copy.api_key = copy_key(original.api_key, {other.api_key for other in where.models.values()})
        copy.former_keys = {}
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
            self.schema_changed(where, Change.MADE, copy, field)
        self.notify(NotificationType.CREATE, where, copy)
        return copy

    def duplicate_field(self, editor: Editor, field_id: str, *, environment: str | None = None) -> Field:
        """A field like this one in the same model, behind all others, and empty in every record."""
        where = self.environment(environment)
        original = where.field(field_id)
        model = where.models[original.model_id]
        where.keep_schema(model)
        copy = replace(
            deepcopy(original),
            id=self.ids.new(),
            label=copy_name(original.label, {other.label for other in model.fields.values()}),
            api_key=copy_key(original.api_key, {other.api_key for other in model.fields.values()}),
            position=model.next_position(original.fieldset_id),
        )
        model.fields[copy.id] = copy
        self.schema_changed(where, Change.MADE, model, copy)
        self.notify(NotificationType.UPDATE, where, model)
        return copy

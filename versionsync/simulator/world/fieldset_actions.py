"""What administrators do to fieldsets."""

from __future__ import annotations

from versionsync.simulator.world.content import Json
from versionsync.simulator.world.event_log import Change
from versionsync.simulator.world.models import Fieldset
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.schema_actions import SchemaActions, apply_settings
from versionsync.simulator.world.state import NotificationType

__all__ = ["FieldsetActs"]


class FieldsetActs(SchemaActions):
    """The acts on fieldsets: changes of the model that they belong to."""

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
        """A new fieldset of *model* (its id or api_key), empty. *settings* are the members of `Fieldset`."""
        where = self.environment(environment)
        owner = where.model(model)
        where.keep_schema(owner)
        fieldset = Fieldset(id or self.ids.new(), owner.id, title, position=owner.next_position(None))
        apply_settings(fieldset, settings)
        owner.fieldsets[fieldset.id] = fieldset
        self.schema_changed(where, Change.CHANGED, owner)
        self.notify(NotificationType.UPDATE, where, owner)
        return fieldset

    def update_fieldset(
        self, editor: Editor, fieldset_id: str, *, environment: str | None = None, **settings: Json
    ) -> Fieldset:
        """Change *settings* of a fieldset."""
        where = self.environment(environment)
        fieldset = where.fieldset(fieldset_id)
        owner = where.models[fieldset.model_id]
        where.keep_schema(owner)
        apply_settings(fieldset, settings)
        self.schema_changed(where, Change.CHANGED, owner)
        self.notify(NotificationType.UPDATE, where, owner)
        return fieldset

    def destroy_fieldset(self, editor: Editor, fieldset_id: str, *, environment: str | None = None) -> Fieldset:
        """Remove a fieldset; its fields stay, behind all others."""
        where = self.environment(environment)
        gone = where.fieldset(fieldset_id)
        owner = where.models[gone.model_id]
        where.keep_schema(owner)
        for field in owner.ordered_fields:
            if field.fieldset_id == gone.id:
                field.fieldset_id, field.position = None, owner.next_position(None)
        del owner.fieldsets[gone.id]
        self.schema_changed(where, Change.CHANGED, owner)
        self.notify(NotificationType.UPDATE, where, owner)
        return gone

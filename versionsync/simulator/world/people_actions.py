"""What administrators do to roles and API tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from versionsync.simulator.errors import ApiError, invalid_field, named, not_found
from versionsync.simulator.world.ids import copy_name
from versionsync.simulator.world.people_roles_tokens import (
    NO_ABILITIES,
    Editor,
    EditorKind,
    Permission,
    Role,
    Token,
    allows_writing,
    check_permissions,
)
from versionsync.simulator.world.state import WorldState

__all__ = ["PeopleActions"]


class PeopleActions(WorldState):
    def role(self, role_id: str) -> Role:
        """Return the role with this id. Raise ApiError (404)."""
        return named("role", role_id, self.people.roles)

    def create_role(
        self,
        editor: Editor,
        name: str,
        *,
        permissions: Mapping[str, Sequence[Permission]] | None = None,
        inherits: Sequence[str] = (),
        **settings: Any,
    ) -> Role:
        """Create a role that may do only what the arguments allow.

        *permissions* are lists by their names in the API; *settings* are the members `can_…` and `environments_access`.
        """
        settings = NO_ABILITIES | {"environments_access": self.options.environments_of_new_roles} | settings
        blank = Role(self.ids.new(), name, parents=tuple(self.role(id) for id in inherits), **settings)
        return self.people.add_role(_permitted(blank, permissions or {}))

    def update_role(
        self,
        editor: Editor,
        role_id: str,
        *,
        permissions: Mapping[str, Sequence[Permission]] | None = None,
        inherits: Sequence[str] | None = None,
        **settings: Any,
    ) -> Role:
        """Change the given settings of a role; a list of permissions replaces the previous one."""
        changed = replace(self.role(role_id), **settings)
        if inherits is not None:
            parents = tuple(self.role(id) for id in inherits)
            if any(role_id in {role.id for role in parent.lineage} for parent in parents):
                raise invalid_field("inherits_permissions_from", "VALIDATION_EXCLUSION")
            changed = replace(changed, parents=parents)
        return self.people.add_role(_permitted(changed, permissions) if permissions else changed)

    def duplicate_role(self, editor: Editor, role_id: str) -> Role:
        """Create a copy of a role with its own name."""
        original = self.role(role_id)
        name = copy_name(original.name, {role.name for role in self.people.roles.values()})
        return self.people.add_role(replace(original, id=self.ids.new(), name=name))

    def destroy_role(self, editor: Editor, role_id: str) -> Role:
        """Remove a role; the switch `roles_in_use_stay` decides about one that is in use."""
        removed, people = self.role(role_id), self.people
        holders = [one for one in people.editors.values() if one.role_id == role_id]
        children = [role for role in people.roles.values() if removed in role.parents]
        if self.options.roles_in_use_stay and (holders or children):
            raise ApiError("DELETE_RESTRICTION", role=role_id, reason="in use")
        del people.roles[role_id]
        for child in children:
            people.add_role(replace(child, parents=tuple(role for role in child.parents if role.id != role_id)))
        powerless = replace(removed, parents=(), **NO_ABILITIES)
        for token in [token for token in people.tokens.values() if token.role.id == role_id]:
            people.tokens[token.secret] = replace(token, role=powerless)
        for holder in holders:
            people.add(replace(holder, role_id=None))
        return removed

    def access_token(self, token_id: str) -> Token:
        """Return the API token with this id. Raise ApiError (404)."""
        if found := self.people.token_of(token_id):
            return found
        raise not_found("access_token", token_id)

    def create_access_token(self, editor: Editor, name: str, role_id: str, **settings: Any) -> Token:
        """Create an API token with the role *role_id*; *settings* are the members `can_access_…` of `Token`."""
        role = self.role(role_id)
        editor_of_token = Editor(EditorKind.ACCESS_TOKEN, self.ids.number(), name, role_id=role.id)
        return self.people.add_token(Token(self.ids.secret(), editor_of_token, role, **settings))

    def update_access_token(
        self, editor: Editor, token_id: str, *, name: str | None = None, role_id: str | None = None, **settings: Any
    ) -> Token:
        """Change the given settings of an API token; one that upstream created with the project cannot change."""
        token = self.access_token(token_id)
        if token.hardcoded_type is not None:
            raise ApiError("NON_EDITABLE_ACCESS_TOKEN", access_token=token_id)
        role = token.role if role_id is None else self.role(role_id)
        editor_of_token = replace(token.editor, name=name or token.editor.name, role_id=role_id or token.editor.role_id)
        return self.people.add_token(replace(token, editor=editor_of_token, role=role, **settings))

    def regenerate_access_token(self, editor: Editor, token_id: str) -> Token:
        """Give an API token another secret; the old one stops working."""
        old = self.access_token(token_id)
        del self.people.tokens[old.secret]
        new = self.people.add_token(replace(old, secret=self.ids.secret()))
        if self.token == old.secret:
            self.token = new.secret
        return new

    def destroy_access_token(self, editor: Editor, token_id: str, *, heir: Editor | None = None) -> Token:
        """Remove an API token; *heir*, if any, becomes the creator of its records."""
        removed = self.access_token(token_id)
        self.people.remove(removed.editor)
        for where in self.environments.values() if heir is not None else ():
            for record in where.records.values():
                if heir is not None and record.creator.ref == removed.editor.ref:
                    record.creator = heir
                    where.touch(self.now(), moves_beacon=False)
        return removed


def _permitted(role: Role, lists: Mapping[str, Sequence[Permission]]) -> Role:
    """Return *role* with *lists* instead of its previous ones. Raise ApiError (422)."""
    check_permissions(lists)
    changed = replace(role, permissions={**role.permissions, **{name: tuple(sent) for name, sent in lists.items()}})
    allowed = changed.permissions.get("positive_item_type_permissions")
    return changed if allowed is None else replace(changed, can_write=allows_writing(allowed))

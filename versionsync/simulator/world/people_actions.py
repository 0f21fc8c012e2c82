"""What administrators do to roles and API tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from versionsync.simulator.errors import ApiError, invalid_field, not_found
from versionsync.simulator.world.copies import copy_name
from versionsync.simulator.world.people import NOTHING, Editor, EditorKind, Role, Token
from versionsync.simulator.world.permissions import Permission, allows_writing, check
from versionsync.simulator.world.state import WorldState

__all__ = ["PeopleActs"]


class PeopleActs(WorldState):
    """The acts on roles and API tokens."""

    def role(self, role_id: str) -> Role:
        """The role with this id. Raises Refused (404)."""
        if found := self.people.roles.get(role_id):
            return found
        raise not_found("role", role_id)

    def create_role(
        self,
        editor: Editor,
        name: str,
        *,
        permissions: Mapping[str, Sequence[Permission]] | None = None,
        inherits: Sequence[str] = (),
        **settings: Any,
    ) -> Role:
        """A new role, which may do what is said here and nothing else.

        *permissions* are lists by their names in the API; *settings* are the members `can_…` and `environments_access`.
        """
        settings = NOTHING | {"environments_access": self.options.environments_of_new_roles} | settings
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
        """Change what is given of a role; a list of permissions takes the place of the one before."""
        changed = replace(self.role(role_id), **settings)
        if inherits is not None:
            parents = tuple(self.role(id) for id in inherits)
            if any(role_id in {role.id for role in parent.lineage} for parent in parents):
                raise invalid_field("inherits_permissions_from", "VALIDATION_EXCLUSION")
            changed = replace(changed, parents=parents)
        return self.people.add_role(_permitted(changed, permissions) if permissions else changed)

    def duplicate_role(self, editor: Editor, role_id: str) -> Role:
        """A role that may do the same, under a name of its own."""
        original = self.role(role_id)
        name = copy_name(original.name, {role.name for role in self.people.roles.values()})
        return self.people.add_role(replace(original, id=self.ids.new(), name=name))

    def destroy_role(self, editor: Editor, role_id: str) -> Role:
        """Remove a role; the switch `roles_in_use_stay` says whether one that somebody has can go."""
        gone, people = self.role(role_id), self.people
        holders = [one for one in people.editors.values() if one.role_id == role_id]
        heirs = [role for role in people.roles.values() if gone in role.parents]
        if self.options.roles_in_use_stay and (holders or heirs):
            raise ApiError("DELETE_RESTRICTION", details={"role": role_id, "reason": "in use"})
        del people.roles[role_id]
        for heir in heirs:
            people.add_role(replace(heir, parents=tuple(role for role in heir.parents if role.id != role_id)))
        nobody = replace(gone, parents=(), **NOTHING)
        for token in [token for token in people.tokens.values() if token.role.id == role_id]:
            people.tokens[token.secret] = replace(token, role=nobody)
        for holder in holders:
            people.add(replace(holder, role_id=None))
        return gone

    def access_token(self, token_id: str) -> Token:
        """The API token with this id. Raises Refused (404)."""
        if found := self.people.token_of(token_id):
            return found
        raise not_found("access_token", token_id)

    def create_access_token(self, editor: Editor, name: str, role_id: str, **settings: Any) -> Token:
        """A new API token with the role *role_id*; *settings* are the members `can_access_…` of `Token`."""
        role = self.role(role_id)
        speaker = Editor(EditorKind.ACCESS_TOKEN, self.ids.number(), name, role_id=role.id)
        return self.people.add_token(Token(self.ids.secret(), speaker, role, **settings))

    def update_access_token(
        self, editor: Editor, token_id: str, *, name: str | None = None, role_id: str | None = None, **settings: Any
    ) -> Token:
        """Change what is given of an API token; one that upstream made with the project cannot be changed."""
        token = self.access_token(token_id)
        if token.hardcoded_type is not None:
            raise ApiError("NON_EDITABLE_ACCESS_TOKEN", details={"access_token": token_id})
        role = token.role if role_id is None else self.role(role_id)
        speaker = replace(token.editor, name=name or token.editor.name, role_id=role_id or token.editor.role_id)
        return self.people.add_token(replace(token, editor=speaker, role=role, **settings))

    def regenerate_access_token(self, editor: Editor, token_id: str) -> Token:
        """Give an API token another secret; the old one is no token any more."""
        old = self.access_token(token_id)
        del self.people.tokens[old.secret]
        new = self.people.add_token(replace(old, secret=self.ids.secret()))
        if self.token == old.secret:
            self.token = new.secret
        return new

    def destroy_access_token(self, editor: Editor, token_id: str, *, heir: Editor | None = None) -> Token:
        """Remove an API token; the records that it made are *heir*'s from now on, where there is one."""
        gone = self.access_token(token_id)
        self.people.remove(gone.editor)
        for where in self.environments.values() if heir is not None else ():
            for record in where.records.values():
                if heir is not None and record.creator.ref == gone.editor.ref:
                    record.creator = heir
                    where.touch(self.now(), moves_beacon=False)
        return gone


def _permitted(role: Role, lists: Mapping[str, Sequence[Permission]]) -> Role:
    """*role* with *lists* instead of those that it had. Raises Refused (422)."""
    check(lists)
    changed = replace(role, permissions={**role.permissions, **{name: tuple(sent) for name, sent in lists.items()}})
    allowed = changed.permissions.get("positive_item_type_permissions")
    return changed if allowed is None else replace(changed, can_write=allows_writing(allowed))

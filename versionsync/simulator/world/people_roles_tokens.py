"""People and permissions: the five kinds of editor, API tokens, and roles with what they allow.

A permission is kept as it was sent. Each `action` needs certain members, and others must be null; see `_NEEDED`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from versionsync.simulator.errors import ApiError, invalid_format
from versionsync.simulator.world.event_log import EditorRef
from versionsync.simulator.world.models import Model

__all__ = [
    "ABILITIES",
    "FAMILIES",
    "FULL_ACCESS_TOKEN",
    "LISTS",
    "NO_ABILITIES",
    "Editor",
    "EditorKind",
    "People",
    "Permission",
    "Role",
    "Token",
    "allows_action",
    "allows_writing",
    "check_permissions",
    "covers_all_creators",
]

Permission: TypeAlias = Mapping[str, Any]

FAMILIES: Final = ("item_type", "upload", "build_trigger", "search_index")
"""The kinds of permissions. A request has both lists of a kind, the positive and the negative one, or neither."""
LISTS: Final = tuple(f"{sign}_{family}_permissions" for family in FAMILIES for sign in ("positive", "negative"))

_CREATORS: Final = frozenset({"anyone", "self", "role"})
_SCOPES: Final = frozenset({"all", "localized", "not_localized"})

_NONE: Final[frozenset[str]] = frozenset()
_CREATOR: Final = frozenset({"on_creator"})
_SCOPE: Final = frozenset({"localization_scope"})
_NEEDED: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "item_type": {
        **dict.fromkeys(("all", "update", "publish"), _CREATOR | _SCOPE),
        **dict.fromkeys(("read", "delete", "edit_creator", "take_over", "move_to_stage"), _CREATOR),
        "create": _SCOPE,
        "duplicate": _NONE,
    },
    "upload": {
        **dict.fromkeys(("all", "update"), _CREATOR | _SCOPE),
        **dict.fromkeys(("read", "delete", "edit_creator", "replace_asset", "move"), _CREATOR),
        "create": _NONE,
    },
}
"""Which of `on_creator` and `localization_scope` each action needs; the others must be null or missing."""


def check_permissions(lists: Mapping[str, Sequence[Permission]]) -> None:
    """Raise ApiError (422) if *lists*, by their names, do not have the documented form."""
    for family in FAMILIES:
        names = [f"{sign}_{family}_permissions" for sign in ("positive", "negative")]
        if len(lists.keys() & set(names)) == 1:
            raise invalid_format(f"{' and '.join(names)} go together")
        for name in names:
            for permission in lists.get(name, ()):
                _check_permission(name, family, permission)


def _check_permission(name: str, family: str, permission: Permission) -> None:
    needed = _NEEDED.get(family)
    if needed is None:
        return
    action = permission.get("action")
    if not isinstance(action, str) or action not in needed:
        raise invalid_format(f"{name}: there is no action {action!r}")
    if not isinstance(permission.get("environment"), str):
        raise invalid_format(f"{name}: an environment is missing")
    if permission.get("item_type") and permission.get("workflow"):
        raise invalid_format(f"{name}: either a model or a workflow")
    _check_choice(name, permission, "on_creator", _CREATORS, is_needed="on_creator" in needed[action])
    scopes = frozenset({"all"}) if action == "all" else _SCOPES
    _check_choice(name, permission, "localization_scope", scopes, is_needed="localization_scope" in needed[action])
    if (permission.get("localization_scope") == "localized") is not bool(permission.get("locale")):
        raise invalid_format(f"{name}: a locale goes with the scope `localized`, and with no other")


def _check_choice(name: str, permission: Permission, member: str, known: frozenset[str], *, is_needed: bool) -> None:
    value = permission.get(member)
    if value is None and is_needed:
        raise invalid_format(f"{name}: {permission['action']} needs {member}")
    if value is not None and (value not in known or not is_needed):
        raise invalid_format(f"{name}: {permission['action']} takes no {member} {value!r}")


def allows_writing(permissions: Iterable[Permission]) -> bool:
    """Return whether one of the positive *permissions* allows more than reading."""
    return any(one["action"] != "read" for one in permissions)


def allows_action(one: Permission, action: str, model: Model, environment: str) -> bool:
    """Return whether *one* is about *action* on records of *model* in *environment* (its id)."""
    return (
        one["action"] in {"all", action}
        and one["environment"] == environment
        and (not one.get("item_type") or one["item_type"] == model.id)
        and (not one.get("workflow") or one["workflow"] == model.workflow_id)
    )


def covers_all_creators(one: Permission) -> bool:
    """Return whether *one* is about the records of all creators and stages."""
    return one.get("on_creator") in {None, "anyone"} and not one.get("on_stage")


FULL_ACCESS_TOKEN = "simulator-full-access"  # noqa: S105 - opens nothing but simulations
"""The API token of every simulated project; its role may do everything."""


class EditorKind(StrEnum):
    """The JSON:API types that the editor of a version can have."""

    ACCOUNT = "account"
    USER = "user"
    SSO_USER = "sso_user"
    ACCESS_TOKEN = "access_token"  # noqa: S105 - a type's name
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor. *name* is for display; only some kinds have the other members."""

    kind: EditorKind
    id: str
    name: str
    email: str | None = None
    role_id: str | None = None
    is_active: bool = True

    @property
    def ref(self) -> EditorRef:
        """The reference to this editor in facts and versions."""
        return EditorRef(self.kind.value, self.id)


@dataclass(frozen=True, slots=True)
class Role:
    """What its editors may do: by default everything."""

    id: str
    name: str
    can_read_versions: bool = True
    can_read_uploads: bool = True
    can_write: bool = True
    can_access_usage: bool = True
    can_edit_schema: bool = True
    can_edit_site: bool = True
    can_edit_favicon: bool = True
    can_edit_environment: bool = True
    can_manage_menu: bool = True
    can_manage_users: bool = True
    can_manage_access_tokens: bool = True
    can_manage_webhooks: bool = True
    can_manage_environments: bool = True
    can_promote_environments: bool = True
    can_manage_shared_filters: bool = True
    can_manage_upload_collections: bool = True
    can_manage_build_triggers: bool = True
    can_manage_search_indexes: bool = True
    can_manage_sso: bool = True
    can_manage_workflows: bool = True
    can_access_audit_log: bool = True
    can_access_build_events_log: bool = True
    can_access_search_index_events_log: bool = True
    can_perform_site_search: bool = True
    environments_access: str = "all"
    """`all`, `primary_only`, `sandbox_only` or `none`."""
    hidden_models: frozenset[str] = field(default_factory=frozenset)
    """Ids or api_keys of models whose records are not listed, and answered with 404."""
    permissions: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict, hash=False)
    """Its own permissions by the name of the list, as they were sent; without a list: all but `hidden_models`."""
    parents: tuple[Role, ...] = ()
    """The roles whose permissions it inherits."""

    @property
    def lineage(self) -> tuple[Role, ...]:
        """The role and all roles that it inherits from. What one allows is allowed, unless one forbids it."""
        return (self, *(role for parent in self.parents for role in parent.lineage))

    @property
    def reads_all_models(self) -> bool:
        """Whether it hides no model at all."""
        return all(not role.permissions and not role.hidden_models for role in self.lineage)

    def hides(self, model: Model, environment: str) -> bool:
        """Return whether it hides the records of *model* in *environment* (its id)."""
        return any(role.forbids_reading(model, environment) for role in self.lineage) or not any(
            role.allows_reading(model, environment) for role in self.lineage
        )

    def allows_reading(self, model: Model, environment: str) -> bool:
        """Return whether its own permissions allow to read some records of *model* in *environment*."""
        allowed = self.permissions.get("positive_item_type_permissions")
        return allowed is None or any(allows_action(one, "read", model, environment) for one in allowed)

    def forbids_reading(self, model: Model, environment: str) -> bool:
        """Return whether its own permissions forbid to read all records of *model* in *environment*.

        A permission about some creators only does not count: the simulator hides complete models.
        """
        forbidden = self.permissions.get("negative_item_type_permissions")
        if forbidden is None:
            return model.id in self.hidden_models or model.api_key in self.hidden_models
        return any(covers_all_creators(one) and allows_action(one, "read", model, environment) for one in forbidden)

    def may(self, action: str, model: Model, environment: str) -> bool:
        """Return whether it may do *action*, such as `publish`, to some records of *model* in *environment*.

        Permissions about some creators, stages or locales count as if they were about all of them, if they allow.
        """
        allowed = forbidden = False
        for role in self.lineage:
            positive = role.permissions.get("positive_item_type_permissions")
            allowed |= positive is None or any(allows_action(one, action, model, environment) for one in positive)
            negative = role.permissions.get("negative_item_type_permissions", ())
            forbidden |= any(
                covers_all_creators(one) and allows_action(one, action, model, environment) for one in negative
            )
        return allowed and not forbidden

    def can(self, ability: str) -> bool:
        """Return whether it has *ability*, one of the members `can_…`, itself or from a parent."""
        return any(getattr(role, ability) for role in self.lineage)

    @property
    def final_environments_access(self) -> str:
        """Which environments it may use, with those of its parents."""
        found = {role.environments_access for role in self.lineage} - {"none"}
        if not found:
            return "none"
        return next(iter(found)) if len(found) == 1 else "all"

    def may_use(self, is_primary: bool) -> bool:
        """Return whether it may use the primary environment, or one that is not."""
        return self.final_environments_access in {"all", "primary_only" if is_primary else "sandbox_only"}

    def require(self, ability: str) -> None:
        """Raise INSUFFICIENT_PERMISSIONS unless the role has *ability*, one of the members `can_…`."""
        if not self.can(ability):
            raise ApiError("INSUFFICIENT_PERMISSIONS", 401, ability=ability, role=self.name)


_NOT_UPSTREAM: Final = frozenset({"can_read_versions", "can_read_uploads", "can_write", "can_access_usage"})
"""Abilities of the simulator that the API does not have."""
ABILITIES: Final = tuple(
    one.name for one in fields(Role) if one.name.startswith("can_") and one.name not in _NOT_UPSTREAM
)
"""The members `can_…` of a role in the API."""
NO_ABILITIES: Final[dict[str, Any]] = {
    **dict.fromkeys(ABILITIES, False),
    "permissions": dict.fromkeys(LISTS, ()),
    "environments_access": "none",
}
"""The settings of a role that may do nothing."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: the secret, and its editor and role."""

    secret: str
    editor: Editor
    role: Role
    can_access_cma: bool = True
    can_access_cda: bool = True
    can_access_cda_preview: bool = True
    hardcoded_type: str | None = None
    """The kind of a token that upstream creates with a project; None: another token."""


class People:
    """The editors, roles and tokens of one project."""

    def __init__(self) -> None:
        self.editors: dict[tuple[str, str], Editor] = {}
        self.roles: dict[str, Role] = {}
        self.tokens: dict[str, Token] = {}
        self.last_used: dict[str, datetime] = {}
        """The time of the last request with a token, by the id of its editor."""

    def add(self, editor: Editor) -> Editor:
        """Add *editor*, or replace the one of its kind with its id, also in tokens."""
        self.editors[editor.kind.value, editor.id] = editor
        for token in list(self.tokens.values()):
            if token.editor.ref == editor.ref and token.editor is not editor:
                self.tokens[token.secret] = replace(token, editor=editor)
        return editor

    def remove(self, editor: Editor) -> None:
        """Remove *editor* and its tokens. Its records stay and still name it."""
        self.editors.pop((editor.kind.value, editor.id), None)
        self.tokens = {secret: token for secret, token in self.tokens.items() if token.editor.id != editor.id}

    def of_kind(self, kind: EditorKind) -> Iterator[Editor]:
        return (editor for (known, _), editor in self.editors.items() if known == kind.value)

    def add_role(self, role: Role) -> Role:
        """Add *role*, or replace the one with its id, also in tokens and in roles that inherit from it."""
        self.roles[role.id] = role
        self.tokens = {
            secret: replace(token, role=role) if token.role.id == role.id else token
            for secret, token in self.tokens.items()
        }
        for child in list(self.roles.values()):
            if any(parent.id == role.id and parent is not role for parent in child.parents):
                parents = tuple(role if parent.id == role.id else parent for parent in child.parents)
                self.add_role(replace(child, parents=parents))
        return role

    def token_of(self, editor_id: str) -> Token | None:
        """Return the token of the editor with this id, if any."""
        return next((token for token in self.tokens.values() if token.editor.id == editor_id), None)

    def add_token(self, token: Token) -> Token:
        self.add(token.editor)
        self.tokens[token.secret] = token
        return token

"""Who acts on a project: the five kinds of editor, API tokens, and the roles that say what a token may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.event_log import EditorRef
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.permissions import LISTS, Permission, is_about_all_creators, is_about_reading

__all__ = ["ABILITIES", "FULL_ACCESS_TOKEN", "NOTHING", "Editor", "EditorKind", "People", "Role", "Token"]

FULL_ACCESS_TOKEN = "simulator-full-access"  # noqa: S105 - opens nothing but simulations
"""The API token that every simulated project starts with; its role may do everything."""


class EditorKind(StrEnum):
    """The JSON:API types that the editor of a version can have."""

    ACCOUNT = "account"
    USER = "user"
    SSO_USER = "sso_user"
    ACCESS_TOKEN = "access_token"  # noqa: S105 - a type's name
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Editor:
    """Somebody who can act. *name* is what a person would read; the other members are there where the kind has them."""

    kind: EditorKind
    id: str
    name: str
    email: str | None = None
    role_id: str | None = None
    is_active: bool = True

    @property
    def ref(self) -> EditorRef:
        """How facts and versions name this editor."""
        return EditorRef(self.kind.value, self.id)


@dataclass(frozen=True, slots=True)
class Role:
    """What its holders may do; everything, unless said otherwise."""

    id: str
    name: str
    can_read_versions: bool = True
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
    """Ids or api_keys of models whose records are not listed, and 404 when asked for."""
    permissions: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict, hash=False)
    """Its own permissions by the name of the list, as they were sent; without a list: all but `hidden_models`."""
    parents: tuple[Role, ...] = ()
    """The roles whose permissions it inherits."""

    @property
    def lineage(self) -> tuple[Role, ...]:
        """The role and all that it inherits from: what one of them allows is allowed, unless one forbids it."""
        return (self, *(role for parent in self.parents for role in parent.lineage))

    @property
    def sees_everything(self) -> bool:
        """Whether it is plain, without looking at models, that nothing is hidden."""
        return all(not role.permissions and not role.hidden_models for role in self.lineage)

    def hides(self, model: Model, environment: str) -> bool:
        """Whether records of *model* are not shown in *environment* (the id of one)."""
        return any(role.forbids_reading(model, environment) for role in self.lineage) or not any(
            role.allows_reading(model, environment) for role in self.lineage
        )

    def allows_reading(self, model: Model, environment: str) -> bool:
        """Whether its own permissions let some records of *model* be read in *environment*."""
        allowed = self.permissions.get("positive_item_type_permissions")
        return allowed is None or any(is_about_reading(one, model, environment) for one in allowed)

    def forbids_reading(self, model: Model, environment: str) -> bool:
        """Whether its own permissions forbid to read any record of *model* in *environment*.

        One about the records of some creators alone does not: the simulator hides whole models.
        """
        forbidden = self.permissions.get("negative_item_type_permissions")
        if forbidden is None:
            return model.id in self.hidden_models or model.api_key in self.hidden_models
        return any(is_about_all_creators(one) and is_about_reading(one, model, environment) for one in forbidden)

    def can(self, ability: str) -> bool:
        """Whether it has *ability*, one of the members `can_…`, itself or from a parent."""
        return any(getattr(role, ability) for role in self.lineage)

    @property
    def final_environments_access(self) -> str:
        """Which environments it may enter, with what its parents may."""
        found = {role.environments_access for role in self.lineage} - {"none"}
        if not found:
            return "none"
        return next(iter(found)) if len(found) == 1 else "all"

    def demand(self, ability: str) -> None:
        """Raise INSUFFICIENT_PERMISSIONS unless the role has *ability*, one of the members `can_…`."""
        if not self.can(ability):
            raise ApiError("INSUFFICIENT_PERMISSIONS", 401, details={"ability": ability, "role": self.name})


_NOT_UPSTREAM: Final = frozenset({"can_read_versions", "can_write", "can_access_usage"})
"""What the simulator asks of a role though the API has no such member."""
ABILITIES: Final = tuple(
    one.name for one in fields(Role) if one.name.startswith("can_") and one.name not in _NOT_UPSTREAM
)
"""The members `can_…` that a role has in the API."""
NOTHING: Final[dict[str, Any]] = {
    **dict.fromkeys(ABILITIES, False),
    "permissions": dict.fromkeys(LISTS, ()),
    "environments_access": "none",
}
"""The settings of a role that may do nothing."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: the secret, and the editor and role that it speaks for."""

    secret: str
    editor: Editor
    role: Role
    can_access_cma: bool = True
    can_access_cda: bool = True
    can_access_cda_preview: bool = True
    hardcoded_type: str | None = None
    """What kind of token that upstream makes with a project; None: one that somebody made."""


class People:
    """The editors, roles and tokens of one project."""

    def __init__(self) -> None:
        self.editors: dict[tuple[str, str], Editor] = {}
        self.roles: dict[str, Role] = {}
        self.tokens: dict[str, Token] = {}
        self.last_used: dict[str, datetime] = {}
        """When the API was last asked with a token, by the id of its editor."""

    def add(self, editor: Editor) -> Editor:
        """Make *editor* known, or replace the one of its kind with its id, for its tokens too."""
        self.editors[editor.kind.value, editor.id] = editor
        for token in list(self.tokens.values()):
            if token.editor.ref == editor.ref and token.editor is not editor:
                self.tokens[token.secret] = replace(token, editor=editor)
        return editor

    def remove(self, editor: Editor) -> None:
        """Forget *editor*, and the tokens that speak for it; what it made stays, and still names it."""
        self.editors.pop((editor.kind.value, editor.id), None)
        self.tokens = {secret: token for secret, token in self.tokens.items() if token.editor.id != editor.id}

    def of_kind(self, kind: EditorKind) -> Iterator[Editor]:
        """The editors of one *kind*."""
        return (editor for (known, _), editor in self.editors.items() if known == kind.value)

    def add_role(self, role: Role) -> Role:
        """Make *role* known, or replace the one with its id, for its tokens and its heirs too."""
        self.roles[role.id] = role
        self.tokens = {
            secret: replace(token, role=role) if token.role.id == role.id else token
            for secret, token in self.tokens.items()
        }
        for heir in list(self.roles.values()):
            if any(parent.id == role.id and parent is not role for parent in heir.parents):
                parents = tuple(role if parent.id == role.id else parent for parent in heir.parents)
                self.add_role(replace(heir, parents=parents))
        return role

    def token_of(self, editor_id: str) -> Token | None:
        """The token that speaks for the editor with this id, if there is one."""
        return next((token for token in self.tokens.values() if token.editor.id == editor_id), None)

    def add_token(self, token: Token) -> Token:
        """Make *token* known."""
        self.add(token.editor)
        self.tokens[token.secret] = token
        return token

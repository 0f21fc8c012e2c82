"""Who acts on a project: the five kinds of editor, API tokens, and the roles that say what a token may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from versionsync.simulator.journal import EditorRef
from versionsync.simulator.models import Model
from versionsync.simulator.problems import Refused

__all__ = ["FULL_ACCESS_TOKEN", "Editor", "EditorKind", "People", "Role", "Token"]

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
    can_edit_schema: bool = True
    can_edit_site: bool = True
    can_manage_users: bool = True
    can_manage_access_tokens: bool = True
    can_manage_webhooks: bool = True
    can_manage_environments: bool = True
    can_access_usage: bool = True
    environments_access: str = "all"
    """`all`, `primary_only`, `sandbox_only` or `none`."""
    hidden_models: frozenset[str] = field(default_factory=frozenset)
    """Ids or api_keys of models whose records are not listed, and 404 when asked for."""

    def hides(self, model: Model) -> bool:
        """Whether records of *model* are not shown."""
        return model.id in self.hidden_models or model.api_key in self.hidden_models

    def demand(self, ability: str) -> None:
        """Raise INSUFFICIENT_PERMISSIONS unless the role has *ability*, one of the members `can_…`."""
        if not getattr(self, ability):
            raise Refused("INSUFFICIENT_PERMISSIONS", 401, details={"ability": ability, "role": self.name})


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: the secret, and the editor and role that it speaks for."""

    secret: str
    editor: Editor
    role: Role
    can_access_cma: bool = True


class People:
    """The editors, roles and tokens of one project."""

    def __init__(self) -> None:
        self.editors: dict[tuple[str, str], Editor] = {}
        self.roles: dict[str, Role] = {}
        self.tokens: dict[str, Token] = {}

    def add(self, editor: Editor) -> Editor:
        """Make *editor* known."""
        self.editors[editor.kind.value, editor.id] = editor
        return editor

    def remove(self, editor: Editor) -> None:
        """Forget *editor*, and the tokens that speak for it; what it made stays, and still names it."""
        self.editors.pop((editor.kind.value, editor.id), None)
        self.tokens = {secret: token for secret, token in self.tokens.items() if token.editor.id != editor.id}

    def of_kind(self, kind: EditorKind) -> Iterator[Editor]:
        """The editors of one *kind*."""
        return (editor for (known, _), editor in self.editors.items() if known == kind.value)

    def add_role(self, role: Role) -> Role:
        """Make *role* known, or replace the one with its id, for its tokens too."""
        self.roles[role.id] = role
        self.tokens = {
            secret: replace(token, role=role) if token.role.id == role.id else token
            for secret, token in self.tokens.items()
        }
        return role

    def add_token(self, token: Token) -> Token:
        """Make *token* known."""
        self.add(token.editor)
        self.tokens[token.secret] = token
        return token

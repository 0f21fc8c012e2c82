"""What the token's role may read, decoded from upstream's answer. Pure.

Upstream answers 404 for a deleted record and for one that the role hides. The role distinguishes them. Its *final*
permissions apply: roles can inherit, and upstream has combined them already. Old answers have only a role's own
permissions, and an empty text instead of `null`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Raw

from versionsync.cma.jsonapi import TYPED, InvalidJson, ShapeError, read

__all__ = ["Permission", "ReadAccess", "Role", "own_role", "role"]

_READING: Final = frozenset({"read", "all"})


class ReadAccess(StrEnum):
    """How many of a model's records a role may read."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


class Permission(msgspec.Struct, frozen=True):
    """One permission of a role: an action in an environment; None or empty members do not restrict it.

    Roles recorded in 2021 have `item_type: ""` for all models.
    """

    action: str
    environment: str
    item_type: str | None = None
    workflow: str | None = None
    on_stage: str | None = None
    on_creator: str | None = None

    def is_about(self, item_type_id: str, environment: str) -> bool:
        """Return whether it is about reading records of this model there. The models of a workflow are unknown."""
        is_model = not self.item_type or self.item_type == item_type_id
        return self.action in _READING and self.environment == environment and is_model

    def may_be_about(self, action: str, item_type_id: str, environment: str) -> bool:
        """Return whether it can concern an action on some records of this model there."""
        is_model = not self.item_type or self.item_type == item_type_id
        return self.action in (action, "all") and self.environment == environment and is_model

    @property
    def covers_all(self) -> bool:
        """Whether it is about all records, not only those of a creator, stage or workflow."""
        return not self.workflow and not self.on_stage and self.on_creator in (None, "", "anyone")


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role: what it allows, except what it forbids."""

    name: str
    positive: tuple[Permission, ...]
    negative: tuple[Permission, ...]

    def reading(self, item_type_id: str, environment: str) -> ReadAccess:
        """Return how many records of a model it may read in `environment` (its id)."""
        allows = [each for each in self.positive if each.is_about(item_type_id, environment)]
        forbids = [each for each in self.negative if each.is_about(item_type_id, environment)]
        if not allows or _any_covers_all(forbids):
            return ReadAccess.NONE
        return ReadAccess.ALL if _any_covers_all(allows) and not forbids else ReadAccess.SOME

    def can_never(self, action: str, item_type_id: str, environment: str) -> bool:
        """Return whether it forbids an action, such as `create`, on all records of a model in `environment`."""
        allows = [each for each in self.positive if each.may_be_about(action, item_type_id, environment)]
        forbids = [each for each in self.negative if each.may_be_about(action, item_type_id, environment)]
        return not allows or _any_covers_all(forbids)

    def may_write(self, environment: str) -> bool:
        """Return whether it allows any change of records in `environment` (its id)."""
        return any(each.action != "read" and each.environment == environment for each in self.positive)

    def hides_outside(self, named: Collection[str], environment: str) -> frozenset[str]:
        """Return the ids of models, except the `named` ones, that it forbids to read in `environment`."""
        others = {each.item_type for each in self.negative if each.item_type}.difference(named)
        return frozenset(id for id in others if any(each.is_about(id, environment) for each in self.negative))


class _Permissions(msgspec.Struct, frozen=True):
    positive_item_type_permissions: tuple[Permission, ...]
    negative_item_type_permissions: tuple[Permission, ...]


class _Meta(msgspec.Struct, frozen=True):
    final_permissions: _Permissions | None = None


class _Attributes(msgspec.Struct, frozen=True):
    name: str


class _Inherited(msgspec.Struct, frozen=True):
    data: tuple[Raw, ...] = ()


class _Links(msgspec.Struct, frozen=True):
    inherits_permissions_from: _Inherited | None = None

    @property
    def has_inherited(self) -> bool:
        return self.inherits_permissions_from is not None and bool(self.inherits_permissions_from.data)


class _Role(msgspec.Struct, frozen=True):
    attributes: _Attributes
    relationships: _Links | None = None
    meta: _Meta | None = None


class _OwnPermissions(msgspec.Struct, frozen=True):
    attributes: _Permissions


_ROLE: Final = msgspec.json.Decoder(_Role)
_OWN: Final = msgspec.json.Decoder(_OwnPermissions)


def role(raw: Raw) -> Role:
    """Decode a role with its final permissions.

    Raise ShapeError if the answer does not have them: own permissions are incomplete if the role inherits.
    """
    wire = read(_ROLE, raw)
    permissions = None if wire.meta is None else wire.meta.final_permissions
    if permissions is None:
        if wire.relationships is not None and wire.relationships.has_inherited:
            raise ShapeError("expected the final permissions", "$.meta.final_permissions")
        permissions = read(_OWN, raw).attributes
    return Role(
        name=wire.attributes.name,
        positive=permissions.positive_item_type_permissions,
        negative=permissions.negative_item_type_permissions,
    )


def own_role(_: Raw, included: list[Raw]) -> Role | None:
    """Decode the role that is included in `/users/me`; None: there is none, or in an unknown form."""
    for each in included:
        try:
            if read(TYPED, each).type == "role":
                return role(each)
        except (ShapeError, InvalidJson):
            return None
    return None


def _any_covers_all(permissions: Sequence[Permission]) -> bool:
    return any(each.covers_all for each in permissions)

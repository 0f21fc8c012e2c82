"""The forms of JSON:API resources: what an answer consists of, member by member.

Content is in them as the stored bytes (`msgspec.Raw`): a page of versions is joined, not encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from versionsync.simulator.journal import EditorRef

__all__ = [
    "Document",
    "EnvironmentMeta",
    "EnvironmentResource",
    "Identifier",
    "ItemMeta",
    "ItemRelationships",
    "ItemResource",
    "Resource",
    "ToOne",
    "TotalCount",
    "VersionMeta",
    "VersionRelationships",
    "VersionResource",
    "reference",
]


class Identifier(msgspec.Struct, gc=False):
    """Which resource a relationship points to."""

    id: str
    type: str


class ToOne(msgspec.Struct, gc=False):
    """A relationship to one resource, or to none."""

    data: Identifier | EditorRef | None


class Resource(msgspec.Struct, omit_defaults=True):
    """Any resource that is not served by the thousand."""

    id: str
    type: str
    attributes: dict[str, Any] | None = None
    relationships: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class ItemRelationships(msgspec.Struct, gc=False):
    """What a record points to; a block has no creator."""

    item_type: ToOne
    creator: ToOne | msgspec.UnsetType = msgspec.UNSET


class ItemMeta(msgspec.Struct, gc=False):
    """The meta of a record: all of it that a mirror can see without reading versions."""

    created_at: str
    updated_at: str
    published_at: str | None
    first_published_at: str | None
    publication_scheduled_at: str | None
    unpublishing_scheduled_at: str | None
    status: str | None
    is_valid: bool
    is_current_version_valid: bool | None
    is_published_version_valid: bool | None
    current_version: str
    stage: str | None
    has_children: bool | None


class ItemResource(msgspec.Struct):
    """A record."""

    id: str
    type: str
    attributes: msgspec.Raw
    relationships: ItemRelationships
    meta: ItemMeta


class VersionRelationships(msgspec.Struct, gc=False):
    """What a version points to."""

    item_type: ToOne
    item: ToOne
    editor: ToOne


class VersionMeta(msgspec.Struct, gc=False):
    """The meta of a version."""

    created_at: str
    is_valid: bool
    is_published: bool
    is_current: bool
    published_from: str | None
    published_until: str | None


class VersionResource(msgspec.Struct):
    """A record version."""

    id: str
    type: str
    attributes: msgspec.Raw
    relationships: VersionRelationships
    meta: VersionMeta


class EnvironmentMeta(msgspec.Struct, omit_defaults=True):
    """The meta of an environment."""

    status: str
    read_only_mode: bool
    created_at: str
    last_data_change_at: str
    primary: bool
    forked_from: str | None
    fork_completion_percentage: int | msgspec.UnsetType = msgspec.UNSET


class EnvironmentResource(msgspec.Struct):
    """An environment."""

    id: str
    type: str
    meta: EnvironmentMeta


class TotalCount(msgspec.Struct, gc=False):
    """The meta of a page."""

    total_count: int


class Document(msgspec.Struct, omit_defaults=True):
    """The body of an answer."""

    data: Any
    meta: TotalCount | dict[str, Any] | None = None
    included: Sequence[Any] | None = None


def reference(type: str, id: str) -> dict[str, Any]:
    """A relationship to one resource."""
    return {"data": {"id": id, "type": type}}

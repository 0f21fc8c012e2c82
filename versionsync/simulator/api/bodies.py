"""The bodies of requests that write records, as far as the simulator looks at them; other members are ignored."""

from __future__ import annotations

import msgspec

__all__ = ["BulkBody", "ItemBody", "Meta", "OperationBody", "Relationships", "Selected"]


class Pointer(msgspec.Struct):
    """Which resource a relationship of a request points to."""

    id: str
    type: str


class ToOne(msgspec.Struct):
    """A relationship of a request to one resource."""

    data: Pointer


class Relationships(msgspec.Struct):
    """The relationships that a request may set."""

    item_type: ToOne | None = None
    creator: ToOne | None = None


class Meta(msgspec.Struct):
    """The meta that a request may set; the rest of it is ignored."""

    created_at: str | None = None
    first_published_at: str | None = None
    current_version: str | None = None
    stage: str | None = None


class SentItem(msgspec.Struct):
    """A record as a request sends it: attributes stay text, to the last digit."""

    id: str | None = None
    attributes: dict[str, msgspec.Raw] | None = None
    relationships: Relationships | None = None
    meta: Meta | None = None


class ItemBody(msgspec.Struct):
    """The body of a create or an update."""

    data: SentItem


class Selected(msgspec.Struct):
    """What a selective act is about, or when a planned one is due."""

    content_in_locales: list[str] | None = None
    non_localized_content: bool = False
    publication_scheduled_at: str | None = None
    selective_publication: Selected | None = None
    unpublishing_scheduled_at: str | None = None


class Operation(msgspec.Struct):
    """The data of such a request."""

    attributes: Selected


class OperationBody(msgspec.Struct):
    """The body of a selective or planned act; publishing as a whole sends none, or null."""

    data: Operation


class BulkRelationships(msgspec.Struct):
    """The records of a bulk operation."""

    items: BulkItems


class BulkItems(msgspec.Struct):
    """Their ids."""

    data: list[Pointer]


class BulkOperation(msgspec.Struct):
    """The data of a bulk request; *attributes* hold the stage, where one is wanted."""

    relationships: BulkRelationships
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class BulkBody(msgspec.Struct):
    """The body of a bulk request."""

    data: BulkOperation

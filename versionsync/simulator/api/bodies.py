"""The bodies of requests. Members that the simulator does not use are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from versionsync.simulator.errors import invalid_format

__all__ = ["Attributes", "Body", "Meta", "Selected", "SentItem", "SentResource"]

T = TypeVar("T")


class Body(msgspec.Struct, Generic[T]):
    data: T


class Attributes(msgspec.Struct, Generic[T]):
    """The data of a request that consists of attributes."""

    attributes: T


class Meta(msgspec.Struct):
    created_at: str | None = None
    first_published_at: str | None = None
    updated_at: str | None = None
    published_at: str | None = None
    current_version: str | None = None
    stage: str | None = None


class SentItem(msgspec.Struct):
    """A record in a request: its attributes stay text, so that no digit is lost."""

    id: str | None = None
    attributes: dict[str, msgspec.Raw] | None = None
    relationships: dict[str, Any] = {}
    meta: Meta | None = None


class Selected(msgspec.Struct):
    """The part of a record that is published, and when a planned action is due."""

    content_in_locales: list[str] | None = None
    non_localized_content: bool = False
    publication_scheduled_at: str | None = None
    selective_publication: Selected | None = None
    unpublishing_scheduled_at: str | None = None


class SentResource(msgspec.Struct):
    """A resource in a request, for handlers that check its members one by one."""

    id: str | None = None
    attributes: dict[str, Any] = {}
    relationships: dict[str, Any] = {}

    def text(self, name: str) -> str:
        """Return the attribute *name*, a text that is not empty. Raise ApiError (422)."""
        value = self.attributes.get(name)
        if not isinstance(value, str) or not value:
            raise invalid_format(f"attributes.{name} is missing")
        return value

    def settings(self, types: Mapping[str, object], *texts: str) -> dict[str, Any]:
        """Return the attributes that *types* names, each of its type. Raise ApiError (422).

        *texts*: those of them that must not be empty.
        """
        found: dict[str, Any] = {}
        for name in (known for known in self.attributes if known in types):
            try:
                found[name] = msgspec.convert(self.attributes[name], types[name], strict=True)
            except msgspec.ValidationError as error:
                raise invalid_format(f"attributes.{name}: {error}") from None
            if name in texts:
                self.text(name)
        return found

    def pointers(self, names: Iterable[str], type: str) -> dict[str, str | None]:
        """Return the ids of those relationships of *names* that were sent, each to a resource of *type* or to none.

        Raise ApiError (422) if one points to something else.
        """
        found: dict[str, str | None] = {}
        for name in names:
            match self.relationships.get(name, ...):
                case e if e is ...:
                    continue
                case {"data": None}:
                    found[name] = None
                case {"data": {"id": str(id), "type": str(of)}} if of == type:
                    found[name] = id
                case _:
                    raise invalid_format(f"relationships.{name} is no {type}")
        return found

    def ids(self, name: str, type: str) -> list[str] | None:
        """Return the ids in the relationship *name* to resources of *type*, or None if it was not sent.

        Raise ApiError (422) if it has another form.
        """
        match self.relationships.get(name):
            case None:
                return None
            case {"data": list(sent)} if all(_points_to(one, type) for one in sent):
                return [one["id"] for one in sent]
        raise invalid_format(f"relationships.{name} is no list of type {type}")


def _points_to(sent: object, type: str) -> bool:
    match sent:
        case {"type": str(of), "id": str()}:
            return of == type
    return False

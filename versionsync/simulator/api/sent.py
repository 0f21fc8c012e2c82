"""A resource as a request sends it, where the handler looks at its members one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from versionsync.simulator.errors import ApiError

__all__ = ["SentBody", "SentResource", "malformed"]


class SentResource(msgspec.Struct):
    """The data of a request: what of it is known is for the handler to say."""

    id: str | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    relationships: dict[str, Any] = msgspec.field(default_factory=dict)

    def text(self, name: str) -> str:
        """The attribute *name*, a text that is not empty. Raises Refused (422)."""
        value = self.attributes.get(name)
        if not isinstance(value, str) or not value:
            raise malformed(f"attributes.{name} is missing")
        return value

    def settings(self, forms: Mapping[str, object]) -> dict[str, Any]:
        """The attributes that *forms* names, each of the type that it says. Raises Refused (422)."""
        known = {name: value for name, value in self.attributes.items() if name in forms}
        for name, value in known.items():
            try:
                msgspec.convert(value, forms[name], strict=True)
            except msgspec.ValidationError as error:
                raise malformed(f"attributes.{name}: {error}") from None
        return known

    def pointers(self, names: Iterable[str], type: str) -> dict[str, str | None]:
        """The ids of the relationships of *names* that were sent, each to one resource of *type* or to none.

        Raises Refused (422) where one is to something else.
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
                    raise malformed(f"relationships.{name} is no {type}")
        return found


class SentBody(msgspec.Struct):
    """The body of such a request."""

    data: SentResource


def malformed(reason: str) -> ApiError:
    """422: the body is not of the documented form."""
    return ApiError("INVALID_FORMAT", details={"reason": reason})

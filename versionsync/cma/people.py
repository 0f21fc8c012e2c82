"""The five kinds of editor on the wire, each with its own way of being named."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from versionsync.cma import resources as out
from versionsync.cma.decode import identifier
from versionsync.cma.wire import Mismatch, read, without

__all__ = ["editor", "owners"]

_OWNERS: Final = frozenset({"account", "organization"})


class _Attributes(msgspec.Struct, frozen=True):
    email: str | None = None
    username: str | None = None
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None


class _Editor(msgspec.Struct, frozen=True):
    id: str
    type: str
    attributes: _Attributes | None = None


class _To(msgspec.Struct, frozen=True):
    data: out.Ref | None = None


class _SiteLinks(msgspec.Struct, frozen=True):
    owner: _To | None = None
    account: _To | None = None


class _Site(msgspec.Struct, frozen=True):
    relationships: _SiteLinks | None = None


_EDITOR: Final = msgspec.json.Decoder(_Editor)
_SITE: Final = msgspec.json.Decoder(_Site)


def editor(raw: Raw) -> out.Editor:
    """A collaborator, single sign-on user, token, account or organization. A token's own value is left out."""
    wire = read(_EDITOR, raw)
    person = wire.attributes or _Attributes()
    names = " ".join(name for name in (person.first_name, person.last_name) if name)
    return out.Editor(
        type=wire.type,
        id=identifier(wire.id),
        name=person.full_name or person.name or names or None,
        # The user name of a single sign-on user is an email address, as the vendor documents it.
        email=person.email or person.username,
        raw=without(raw, "token"),
    )


def owners(raw: Raw, included: list[Raw]) -> tuple[out.Editor, ...]:
    """The account and the organization behind the project, as far as the answer tells: often by their ids alone."""
    links = read(_SITE, raw).relationships or _SiteLinks()
    refs = [link.data for link in (links.owner, links.account) if link and link.data]
    found = {
        (ref.type, ref.id): out.Editor(type=ref.type, id=ref.id, name=None, email=None, raw=msgspec.json.encode(ref))
        for ref in refs
    }
    for each in included:
        try:
            candidate = editor(each)
        except Mismatch:
            continue
        if candidate.type in _OWNERS:
            found[candidate.type, candidate.id] = candidate
    return tuple(found.values())

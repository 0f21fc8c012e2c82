"""The five kinds of editor on the wire, each with its own way of being named."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from versionsync.cma import resources as out
from versionsync.cma.wire import Mismatch, read, without

__all__ = ["editor", "owner"]


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
    attributes: _Attributes = _Attributes()


class _To(msgspec.Struct, frozen=True):
    data: out.Ref | None = None


class _SiteLinks(msgspec.Struct, frozen=True):
    owner: _To | None = None
    account: _To | None = None


class _Site(msgspec.Struct, frozen=True):
    relationships: _SiteLinks = _SiteLinks()


_EDITOR: Final = msgspec.json.Decoder(_Editor)
_SITE: Final = msgspec.json.Decoder(_Site)


def editor(raw: Raw) -> out.Editor:
    """A collaborator, single sign-on user, token, account or organization. A token's own value is left out."""
    wire = read(_EDITOR, raw)
    person = wire.attributes
    names = " ".join(name for name in (person.first_name, person.last_name) if name)
    return out.Editor(
        type=wire.type,
        id=wire.id,
        name=person.full_name or person.name or names or None,
        # The user name of a single sign-on user is an email address, as the vendor documents it.
        email=person.email or person.username,
        raw=without(raw, "token"),
    )


def owner(raw: Raw, included: list[Raw]) -> out.Editor | None:
    """Who owns the project, as far as the answer tells: an organization often by its id alone."""
    links = read(_SITE, raw).relationships
    found = next((link.data for link in (links.owner, links.account) if link and link.data), None)
    if found is None:
        return None
    for each in included:
        try:
            candidate = editor(each)
        except Mismatch:
            continue
        if (candidate.type, candidate.id) == (found.type, found.id):
            return candidate
    return out.Editor(type=found.type, id=found.id, name=None, email=None, raw=msgspec.json.encode(found))

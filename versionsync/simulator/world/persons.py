"""How collaborators, tokens and other editors look in an answer, or in the call of a webhook."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from versionsync.simulator.world.people import Editor, EditorKind, People
from versionsync.simulator.world.serialization import Resource, reference

__all__ = ["how_long_ago", "person_resource"]


def person_resource(people: People, editor: Editor, now: datetime, *, tells_secret: bool = False) -> Resource:
    """The resource of any kind of editor among *people*, with the secret of a token if *tells_secret*."""
    first, _, last = editor.name.partition(" ")
    roles = {"role": {"data": None} if editor.role_id is None else reference("role", editor.role_id)}
    match editor.kind:
        case EditorKind.ACCOUNT:
            attributes: dict[str, Any] = {
                "email": editor.email,
                "first_name": first,
                "last_name": last,
                "company": None,
            }
            return Resource(editor.id, "account", attributes)
        case EditorKind.ORGANIZATION:
            return Resource(editor.id, "organization", {"name": editor.name})
        case EditorKind.USER:
            attributes = {
                "email": editor.email,
                "full_name": editor.name,
                "is_active": editor.is_active,
                "is_2fa_active": False,
            }
            return Resource(editor.id, "user", attributes, roles, {"last_access": None})
        case EditorKind.SSO_USER:
            attributes = {
                "username": editor.email,
                "external_id": None,
                "is_active": editor.is_active,
                "first_name": first,
                "last_name": last,
            }
            return Resource(editor.id, "sso_user", attributes, {"groups": {"data": []}, **roles}, {"last_access": None})
        case EditorKind.ACCESS_TOKEN:
            token = people.token_of(editor.id)
            attributes = {
                "name": editor.name,
                "token": token.secret if token and tells_secret else None,
                "can_access_cda": token.can_access_cda if token else True,
                "can_access_cda_preview": token.can_access_cda_preview if token else True,
                "can_access_cma": token.can_access_cma if token else True,
                "hardcoded_type": token.hardcoded_type if token else None,
                "last_cma_access": how_long_ago(people.last_used.get(editor.id), now),
                "last_cda_access": "never",
            }
            return Resource(editor.id, "access_token", attributes, roles)


def how_long_ago(at: datetime | None, now: datetime) -> str:
    """The word by which upstream says when a token was last used: from `today` to `last_month`, and `never`."""
    if at is None:
        return "never"
    day, today = at.date(), now.date()
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    limits = (
        ("today", today),
        ("yesterday", today - timedelta(days=1)),
        ("this_week", monday),
        ("last_week", monday - timedelta(days=7)),
        ("this_month", first),
        ("last_month", (first - timedelta(days=1)).replace(day=1)),
    )
    return next((word for word, begins in limits if day >= begins), "never")

"""Entities as DatoCMS sends them, to be varied by the tests."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def item(id: str = "Vy0AAAAAAAAAAAAAAAAAAA", **meta: object) -> Json:
    """A record that was never published."""
    return {
        "id": id,
        "type": "item",
        "attributes": {"title": {"en": "Hello"}, "blocks": ["f4k"]},
        "relationships": {
            "item_type": {"data": {"id": "mod", "type": "item_type"}},
            "creator": {"data": {"id": "104", "type": "account"}},
        },
        "meta": {
            "created_at": "2026-03-01T10:00:00Z",
            "updated_at": "2026-03-01T10:00:01.5Z",
            "published_at": None,
            "first_published_at": None,
            "publication_scheduled_at": None,
            "unpublishing_scheduled_at": None,
            "status": "draft",
            "is_valid": True,
            "is_current_version_valid": True,
            "is_published_version_valid": None,
            "current_version": "cqE",
            "stage": None,
            "has_children": None,
            **meta,
        },
    }


def version(id: str = "cqEAAAAAAAAAAAAAAAAAAA", **meta: object) -> Json:
    """A current version that is not live."""
    return {
        "id": id,
        "type": "item_version",
        "attributes": {"title": "Hello"},
        "relationships": {
            "item_type": {"data": {"id": "mod", "type": "item_type"}},
            "item": {"data": {"id": "Vy0", "type": "item"}},
            "editor": {"data": {"id": "7", "type": "user"}},
        },
        "meta": {
            "created_at": "2026-03-01T10:00:00Z",
            "is_current": True,
            "is_published": False,
            "published_from": None,
            "published_until": None,
            "is_valid": True,
            **meta,
        },
    }


def site() -> Json:
    """A project with one model."""
    return {
        "id": "205",
        "type": "site",
        "attributes": {
            "name": "News",
            "locales": ["en", "it"],
            "timezone": "Europe/Rome",
            "google_maps_api_token": "AIza-secret",
            "last_data_change_at": "2026-03-01T10:00:00Z",
        },
        "relationships": {
            "item_types": {"data": [{"type": "item_type", "id": "mod"}]},
            "account": {"data": None},
            "owner": {"data": {"type": "organization", "id": "9"}},
        },
        "meta": {"created_at": "2020-01-01T00:00:00Z", "milliseconds_in_datetime": True},
    }


def item_type(id: str = "mod") -> Json:
    """A model."""
    return {
        "id": id,
        "type": "item_type",
        "attributes": {
            "name": "Article",
            "api_key": "article",
            "modular_block": False,
            "singleton": False,
            "draft_mode_active": True,
        },
        "relationships": {"fields": {"data": [{"type": "field", "id": "fld"}]}},
        "meta": {"has_singleton_item": False},
    }


def field(id: str = "fld") -> Json:
    """A field of the model."""
    return {
        "id": id,
        "type": "field",
        "attributes": {
            "label": "Title",
            "field_type": "string",
            "api_key": "title",
            "localized": True,
            "position": 1,
            "validators": {},
        },
        "relationships": {"item_type": {"data": {"type": "item_type", "id": "mod"}}},
    }


def error(code: str, *, details: object = None, transient: bool = False) -> Json:
    """An error document."""
    attributes: Json = {"code": code, "details": details if details is not None else {}}
    if transient:
        attributes["transient"] = True
    return {"data": [{"id": "5f2b", "type": "api_error", "attributes": attributes}]}


def page(entries: list[Json], total: int | None = None) -> bytes:
    """A page of a list."""
    return json.dumps({"data": entries, "meta": {"total_count": len(entries) if total is None else total}}).encode()

"""Reading records: `/items`, `/items/:id` and what belongs to one record."""

from __future__ import annotations

from typing import Any

import msgspec

from versionsync.simulator import content as contents
from versionsync.simulator.calls import Call, Reply, Route, json_reply, page_reply
from versionsync.simulator.listing import VERSION_CHOICES, Listings
from versionsync.simulator.problems import invalid_params, not_found
from versionsync.simulator.records import Version
from versionsync.simulator.resources import Resource, reference
from versionsync.simulator.visibility import block_asked_for, sees_model, visible_record

__all__ = ["item_routes"]

DEFAULT_PAGE = 30
LARGEST_PAGE = 500


def item_routes() -> tuple[Route, ...]:
    """The routes, with listings of their own."""
    listings = Listings()

    def list_items(call: Call) -> Reply:
        """`GET /items`"""
        shows_published = _shows_published(call)
        most = call.world.switches.nested_items_limit if call.nested else LARGEST_PAGE
        page = call.page(default=min(DEFAULT_PAGE, most), most=most)
        records = listings.records(call)
        writer = call.writer()
        data: list[Any] = [writer.item(record, published=shows_published) for record in records[page]]
        return page_reply(data, len(records))

    return (Route("GET", "/items", list_items), *_ROUTES)


def get_item(call: Call) -> Reply:
    """`GET /items/:id`"""
    shows_published = _shows_published(call, default="current")
    record = block_asked_for(call, call.world.switches.block_by_id) or visible_record(call, call.ids["item_id"])
    if call.query.get("version") == "published" and record.published is None:
        raise not_found("item", record.id)
    return json_reply(call.writer().item(record, published=shows_published))


def references(call: Call) -> Reply:
    """`GET /items/:id/references`"""
    record = visible_record(call, call.ids["item_id"])
    writer = call.writer()
    linking = call.world.references(record.id, environment=call.environment.id)
    return json_reply(
        [writer.item(other) for other in linking if not other.model.is_block and sees_model(call, other.model)]
    )


def current_vs_published_state(call: Call) -> Reply:
    """`GET /items/:id/current-vs-published-state`"""
    record = visible_record(call, call.ids["item_id"])
    writer = call.writer()
    current, published = record.head, record.published
    now_in, live_in = _locales(current), _locales(published)
    plans = {
        "scheduled_publication": call.environment.publications.get(record.id),
        "scheduled_unpublishing": call.environment.unpublishings.get(record.id),
    }
    included: list[Any] = [writer.scheduled(plan) for plan in plans.values() if plan is not None]
    included += [writer.version(version) for version in dict.fromkeys((current, published)) if version is not None]
    relationships = {
        **{name: {"data": None} if plan is None else reference(name, plan.record_id) for name, plan in plans.items()},
        "published_version": {"data": None} if published is None else reference("item_version", published.id),
    }
    attributes = {
        "current_version_locales": now_in,
        "published_version_locales": live_in,
        "changed_locales": [
            locale
            for locale in now_in
            if locale in live_in and _in_locale(current, locale) != _in_locale(published, locale)
        ],
        "added_locales": [locale for locale in now_in if locale not in live_in],
        "removed_locales": [locale for locale in live_in if locale not in now_in],
        "non_localized_fields_changed": _in_locale(current, None) != _in_locale(published, None),
        "current_version_invalid_locales": [],
        "current_version_non_localized_fields_invalid": not current.is_valid,
    }
    state = Resource(record.id, "item_current_vs_published_state", attributes, relationships)
    return json_reply(state, included=included)


def _shows_published(call: Call, *, default: str | None = None) -> bool:
    """Whether `version` asks for what is published, where there is something."""
    usual = "current" if call.world.switches.lists_current_versions else "published-or-current"
    choice = call.query.get("version") or default or usual
    if choice not in VERSION_CHOICES:
        raise invalid_params("version", f"one of {', '.join(sorted(VERSION_CHOICES))}")
    return choice != "current"


def _locales(version: Version | None) -> list[str]:
    if version is None:
        return []
    members = contents.split(version.read())
    found: dict[str, None] = {}
    for key in version.record.model.localized_keys:
        value = bytes(members.get(key, b"null"))
        if value.startswith(b"{"):
            found |= dict.fromkeys(contents.split(value))
    return list(found)


def _in_locale(version: Version | None, locale: str | None) -> dict[str, bytes]:
    """What *version* says in *locale*, field by field; None: in the fields that are not localized."""
    if version is None:
        return {}
    localized = version.record.model.localized_keys
    members = contents.split(version.read())
    if locale is None:
        return {key: bytes(value) for key, value in members.items() if key not in localized}
    by_locale = {key: bytes(value) for key, value in members.items() if key in localized and bytes(value)[:1] == b"{"}
    return {key: bytes(contents.split(value).get(locale, msgspec.Raw(b""))) for key, value in by_locale.items()}


_ROUTES = (
    Route("GET", "/items/{item_id}", get_item),
    Route("GET", "/items/{item_id}/references", references),
    Route("GET", "/items/{item_id}/current-vs-published-state", current_vs_published_state),
)

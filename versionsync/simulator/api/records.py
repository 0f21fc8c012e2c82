"""Reading records: `/items`, `/items/:id` and what belongs to one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from versionsync.simulator.api.job_routes import as_job
from versionsync.simulator.api.listing import VERSION_CHOICES, Listings, can_read_model, requested_block, visible_record
from versionsync.simulator.api.request import Request, Response, Route, encode, json_response, page_response
from versionsync.simulator.errors import invalid_params, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.serialization import Document, Resource, reference

__all__ = ["ROUTES", "item_routes"]

DEFAULT_VERSIONS_PAGE = 15
LARGEST_VERSIONS_PAGE = 50


def list_versions(call: Request) -> Response:
    """`GET /items/:item_id/versions`"""
    call.demand("can_read_versions")
    most = (
        min(LARGEST_VERSIONS_PAGE, call.world.options.nested_versions_limit) if call.nested else LARGEST_VERSIONS_PAGE
    )
    page = call.page(default=min(DEFAULT_VERSIONS_PAGE, most), most=most)
    versions = _versions(call)
    total = len(versions)
    if call.world.options.versions_order == "oldest_first":
        chosen = versions[page]
    else:
        # The stored order is oldest first: a page is cut from the end, not from a reversed copy of a long list.
        chosen = versions[max(total - page.stop, 0) : max(total - page.start, 0)][::-1]
    writer = call.serializer()
    return page_response([writer.version(version) for version in chosen], total)


def get_version(call: Request) -> Response:
    """`GET /versions/:id`"""
    call.demand("can_read_versions")
    readable = call.world.options.deleted_versions_readable
    version = call.environment.version(call.ids["version_id"], of_deleted=readable)
    if not version.record.is_deleted:
        visible_record(call, version.record.id)
    return json_response(call.serializer().version(version))


def restore_version(call: Request) -> Response:
    """`POST /versions/:id/restore`, a job."""
    call.demand("can_write")
    visible_record(call, call.environment.version(call.ids["version_id"]).record.id)

    def restore() -> bytes:
        record, version = call.world.restore(call.editor, call.ids["version_id"], environment=call.environment.id)
        writer = call.serializer()
        return encode(Document([writer.item(record), writer.version(version)]))

    return as_job(call, restore)


def _versions(call: Request) -> Sequence[Version]:
    """The versions that the path asks for, oldest first; the switch `block_versions` says which of a block."""
    answer = call.world.options.block_versions
    block = requested_block(call, answer)
    if block is None:
        return _record_with_versions(call).versions
    return block.versions if answer == "versions" else []


def _record_with_versions(call: Request) -> Record:
    record_id = call.ids["item_id"]
    if record_id not in call.environment.records and call.world.options.deleted_versions_readable:
        if record := call.environment.deleted.get(record_id):
            return record
        raise not_found("item", record_id)
    return visible_record(call, record_id)


ROUTES = (
    Route("GET", "/items/{item_id}/versions", list_versions),
    Route("GET", "/versions/{version_id}", get_version),
    Route("POST", "/versions/{version_id}/restore", restore_version),
)


DEFAULT_PAGE = 30
LARGEST_PAGE = 500


def item_routes() -> tuple[Route, ...]:
    """The routes, with listings of their own."""
    listings = Listings()

    def list_items(call: Request) -> Response:
        """`GET /items`"""
        shows_published = _shows_published(call)
        most = call.world.options.nested_items_limit if call.nested else LARGEST_PAGE
        page = call.page(default=min(DEFAULT_PAGE, most), most=most)
        records = listings.records(call)
        writer = call.serializer()
        data: list[Any] = [writer.item(record, published=shows_published) for record in records[page]]
        return page_response(data, len(records))

    return (Route("GET", "/items", list_items), *_ROUTES)


def get_item(call: Request) -> Response:
    """`GET /items/:id`"""
    shows_published = _shows_published(call, default="current")
    record = requested_block(call, call.world.options.block_by_id) or visible_record(call, call.ids["item_id"])
    if call.query.get("version") == "published" and record.published is None:
        raise not_found("item", record.id)
    return json_response(call.serializer().item(record, published=shows_published))


def references(call: Request) -> Response:
    """`GET /items/:id/references`"""
    record = visible_record(call, call.ids["item_id"])
    writer = call.serializer()
    linking = call.world.references(record.id, environment=call.environment.id)
    return json_response(
        [writer.item(other) for other in linking if not other.model.is_block and can_read_model(call, other.model)]
    )


def current_vs_published_state(call: Request) -> Response:
    """`GET /items/:id/current-vs-published-state`"""
    record = visible_record(call, call.ids["item_id"])
    writer = call.serializer()
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
    return json_response(state, included=included)


def _shows_published(call: Request, *, default: str | None = None) -> bool:
    """Whether `version` asks for what is published, where there is something."""
    usual = "current" if call.world.options.lists_current_versions else "published-or-current"
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

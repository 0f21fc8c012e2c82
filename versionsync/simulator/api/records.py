"""Reading records and versions: `/items`, `/items/:id` and what belongs to one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from versionsync.simulator.api.listing import can_read_model, requested_block, version_choice, visible_record
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response, page_response
from versionsync.simulator.errors import not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.records import Version
from versionsync.simulator.world.serialization import Resource, reference
from versionsync.simulator.world.world import World

__all__ = ["ROUTES"]

ROUTES: Final = Routes()

DEFAULT_PAGE: Final = 30
MAX_PAGE: Final = 500
DEFAULT_VERSIONS_PAGE: Final = 15
MAX_VERSIONS_PAGE: Final = 50


@ROUTES("GET /items")
def list_items(request: Request) -> Response:
    options = request.world.options
    choice = version_choice(request, "current" if options.lists_current_versions else "published-or-current")
    maximum = options.nested_items_limit if request.nested else MAX_PAGE
    page = request.page(default=min(DEFAULT_PAGE, maximum), maximum=maximum)
    records, serializer = request.services.listings.records(request), request.serializer()
    return page_response(
        [serializer.item(record, published=choice != "current") for record in records[page]], len(records)
    )


@ROUTES("GET /items/{item_id}")
def get_item(request: Request) -> Response:
    choice = version_choice(request, "current")
    block = requested_block(request, request.world.options.block_by_id)
    record = block or visible_record(request, request.ids["item_id"])
    if choice == "published" and record.published is None:
        raise not_found("item", record.id)
    return json_response(request.serializer().item(record, published=choice != "current"))


@ROUTES("GET /items/{item_id}/versions", needs="can_read_versions")
def list_versions(request: Request) -> Response:
    options = request.world.options
    maximum = min(MAX_VERSIONS_PAGE, options.nested_versions_limit) if request.nested else MAX_VERSIONS_PAGE
    page = request.page(default=min(DEFAULT_VERSIONS_PAGE, maximum), maximum=maximum)
    versions = _versions(request)
    total = len(versions)
    if options.versions_order == "oldest_first":
        chosen = versions[page]
    else:
        # The stored order is oldest first: a page is cut from the end, not from a reversed copy of a long list.
        chosen = versions[max(total - page.stop, 0) : max(total - page.start, 0)][::-1]
    serializer = request.serializer()
    return page_response([serializer.version(version) for version in chosen], total)


def _versions(request: Request) -> Sequence[Version]:
    """Return the versions that the path names, oldest first; the switch `block_versions` decides about blocks."""
    answer = request.world.options.block_versions
    block = requested_block(request, answer)
    if block is not None:
        return block.versions if answer == "versions" else []
    record_id = request.ids["item_id"]
    if record_id not in request.environment.records and request.world.options.deleted_versions_readable:
        if record := request.environment.deleted.get(record_id):
            return record.versions
        raise not_found("item", record_id)
    return visible_record(request, record_id).versions


@ROUTES("GET /versions/{version_id}", needs="can_read_versions")
def get_version(request: Request) -> Response:
    readable = request.world.options.deleted_versions_readable
    version = request.environment.version(request.ids["version_id"], of_deleted=readable)
    if not version.record.is_deleted:
        visible_record(request, version.record.id)
    return json_response(request.serializer().version(version))


@ROUTES("POST /versions/{version_id}/restore", needs="can_write")
def restore_version(request: Request) -> Response:
    version_id = request.ids["version_id"]
    visible_record(request, request.environment.version(version_id).record.id)

    def restore() -> Response:
        record, version = request.act(World.restore, version_id)
        serializer = request.serializer()
        return json_response([serializer.item(record), serializer.version(version)])

    return as_job(request, restore)


@ROUTES("GET /items/{item_id}/references")
def references(request: Request) -> Response:
    record, serializer = visible_record(request, request.ids["item_id"]), request.serializer()
    linking = request.world.references(record.id, environment=request.environment.id)
    visible = [one for one in linking if not one.model.is_block and can_read_model(request, one.model)]
    return json_response([serializer.item(one) for one in visible])


@ROUTES("GET /items/{item_id}/current-vs-published-state")
def current_vs_published_state(request: Request) -> Response:
    record = visible_record(request, request.ids["item_id"])
    serializer = request.serializer()
    current, published = record.head, record.published
    current_locales, published_locales = current.locales, published.locales if published else []
    plans = {
        "scheduled_publication": request.environment.publications.get(record.id),
        "scheduled_unpublishing": request.environment.unpublishings.get(record.id),
    }
    included: list[Any] = [serializer.scheduled(plan) for plan in plans.values() if plan is not None]
    included += [serializer.version(version) for version in dict.fromkeys((current, published)) if version is not None]
    relationships = {
        **{name: reference(name, plan.record_id if plan else None) for name, plan in plans.items()},
        "published_version": reference("item_version", published.id if published else None),
    }
    attributes = {
        "current_version_locales": current_locales,
        "published_version_locales": published_locales,
        "changed_locales": [
            locale
            for locale in current_locales
            if locale in published_locales and _in_locale(current, locale) != _in_locale(published, locale)
        ],
        "added_locales": [locale for locale in current_locales if locale not in published_locales],
        "removed_locales": [locale for locale in published_locales if locale not in current_locales],
        "non_localized_fields_changed": _in_locale(current, None) != _in_locale(published, None),
        "current_version_invalid_locales": [],
        "current_version_non_localized_fields_invalid": not current.is_valid,
    }
    state = Resource(record.id, "item_current_vs_published_state", attributes, relationships)
    return json_response(state, included=included)


def _in_locale(version: Version | None, locale: str | None) -> dict[str, bytes]:
    """Return the values of *version* in *locale* by field; None: those of fields that are not localized."""
    if version is None:
        return {}
    localized = version.record.model.localized_keys
    members = contents.split(version.read())
    if locale is None:
        return {key: bytes(value) for key, value in members.items() if key not in localized}
    by_locale = {key: bytes(value) for key, value in members.items() if key in localized and bytes(value)[:1] == b"{"}
    return {key: bytes(contents.split(value).get(locale, msgspec.Raw(b""))) for key, value in by_locale.items()}

"""Records and their versions: reading, creating, changing, publishing, scheduling and deleting them, also in bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from versionsync.simulator.api.bodies import Attributes, Body, Meta, Selected, SentItem
from versionsync.simulator.api.listing import can_read_model, requested_block, version_choice, visible_record
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response, page_response
from versionsync.simulator.errors import ApiError, invalid_format, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Scheduled
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.publishing_actions import BulkResult
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.serialization import Resource, reference
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.world import World

__all__ = ["ROUTES", "creator_named"]

ROUTES: Final = Routes()

DEFAULT_PAGE: Final = 30
MAX_PAGE: Final = 500
DEFAULT_VERSIONS_PAGE: Final = 15
MAX_VERSIONS_PAGE: Final = 50
NOTHING: Final = Response(b"", 204)


@ROUTES("GET /items")
def list_items(request: Request) -> Response:
    options = request.world.options
    choice = version_choice(request, "current" if options.lists_current_versions else "published-or-current")
    maximum = options.nested_items_limit if request.nested else MAX_PAGE
    page = request.page(default=min(DEFAULT_PAGE, maximum), maximum=maximum)
    records, serializer = request.project.listings.records(request), request.serializer()
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
    record = visible_record(request, request.environment.version(version_id).record.id)
    _require(request, "update", record.model)

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


@ROUTES("POST /items", needs="can_write")
def create(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    model, meta = _model(request, sent), _own_meta(request, sent)
    _require(request, "create", model)
    creator = creator_named(request, sent.relationships)
    if creator is not None and creator.ref != request.editor.ref:
        _require(request, "edit_creator", model)
    options, claimed = request.world.options, (meta.created_at, meta.first_published_at, creator)
    if any(claimed) and not _takes(options.create_accepts_meta, "created_at, first_published_at, creator"):
        claimed = (None, None, None)
    stage = meta.stage
    if stage is not None and not _takes(options.create_accepts_stage, "stage"):
        stage = None
    created_at, first_published_at, creator = claimed
    record = request.act(
        World.create,
        model,
        sent.attributes or {},
        id=sent.id,
        created_at=parse_time(created_at) if created_at else None,
        first_published_at=parse_time(first_published_at) if first_published_at else None,
        creator=creator,
        stage=stage,
    )
    return _item(request, record, status=201)


@ROUTES("PUT /items/{item_id}", needs="can_write")
def update(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    record, meta = _record(request), _own_meta(request, sent)
    stage = meta.stage if meta.stage != record.stage else None
    creator = creator_named(request, sent.relationships)
    if sent.attributes is not None or (stage is None and creator is None):
        _require(request, "update", record.model)
    if stage is not None:
        _require(request, "move_to_stage", record.model)
    if creator is not None and creator.ref != record.creator.ref:
        _require(request, "edit_creator", record.model)
    updated = request.act(
        World.update,
        record.id,
        sent.attributes,
        if_current=meta.current_version,
        stage=stage,
        creator=creator,
    )
    return _item(request, updated)


@ROUTES("POST /items/validate")
def validate_new(request: Request) -> Response:
    """Raise what `create` would raise."""
    _check_validating(request)
    sent = request.decode(Body[SentItem]).data
    model = _model(request, sent)
    request.world.check_new(model, sent.attributes or {}, id=sent.id, environment=request.environment.id)
    return NOTHING


@ROUTES("POST /items/{item_id}/validate")
def validate_existing(request: Request) -> Response:
    """Raise what `update` would raise."""
    _check_validating(request)
    sent, record = request.decode(Body[SentItem]).data, visible_record(request, request.ids["item_id"])
    current = (sent.meta or Meta()).current_version
    request.act(World.check, record.id, sent.attributes or {}, if_current=current)
    return NOTHING


def _check_validating(request: Request) -> None:
    """Raise what the switch `validate_answers` says instead of validating, if anything."""
    match request.world.options.validate_answers:
        case "404":
            raise ApiError("INVALID_ENDPOINT", 404, method=request.method, path=request.path)
        case "401":
            raise ApiError("INSUFFICIENT_PERMISSIONS", 401, ability="validate", role=request.role.name)


def _own_meta(request: Request, sent: SentItem) -> Meta:
    """Return the meta of a record in a request. Raise ApiError if it has what only upstream sets."""
    meta = sent.meta or Meta()
    if request.world.options.read_only_meta == "refused" and (meta.published_at or meta.updated_at):
        raise invalid_format("meta: published_at and updated_at are no permitted keys")
    return meta


def _takes(how: str, names: str) -> bool:
    """Return whether a switch accepts what a client claims in meta. Raise ApiError if it refuses that."""
    if how == "refused":
        raise invalid_format(f"these are no permitted keys: {names}")
    return how == "accepted"


def _require(request: Request, action: str, model: Model) -> None:
    """Raise INSUFFICIENT_PERMISSIONS unless the role may do *action* to records of *model*."""
    if not request.role.may(action, model, request.environment.id):
        raise ApiError("INSUFFICIENT_PERMISSIONS", 401, ability=action, item_type=model.id, role=request.role.name)


@ROUTES("DELETE /items/{item_id}", needs="can_write")
def delete(request: Request) -> Response:
    id = _record(request, "delete").id
    return as_job(request, lambda: json_response(request.serializer().item(request.act(World.delete, id))))


@ROUTES("POST /items/{item_id}/duplicate", needs="can_write")
def duplicate(request: Request) -> Response:
    id = _record(request, "duplicate").id
    return as_job(request, lambda: _item(request, request.act(World.duplicate, id)))


@ROUTES("PUT /items/{item_id}/publish", needs="can_write")
def publish(request: Request) -> Response:
    record, selected = _record(request, "publish"), _selected(request)
    selection = None if selected is None else _selection(selected)
    return _item(request, request.act(World.publish, record.id, selection, recursive=request.flag("recursive")))


@ROUTES("PUT /items/{item_id}/unpublish", needs="can_write")
def unpublish(request: Request) -> Response:
    record, selected = _record(request, "publish"), _selected(request)
    locales = None if selected is None else frozenset(selected.content_in_locales or ())
    return _item(request, request.act(World.unpublish, record.id, locales, recursive=request.flag("recursive")))


@ROUTES("POST /items/{item_id}/scheduled-publication", needs="can_write")
def schedule_publication(request: Request) -> Response:
    record, plan = _record(request, "publish"), request.decode(Body[Attributes[Selected]]).data.attributes
    part, at = plan.selective_publication, plan.publication_scheduled_at
    if at is None:
        raise invalid_format("publication_scheduled_at is missing")
    selection = None if part is None else _selection(part)
    request.act(World.schedule_publication, record.id, parse_time(at), selection, as_sent=at)
    return _scheduled(request, record, request.environment.publications)


@ROUTES("POST /items/{item_id}/scheduled-unpublishing", needs="can_write")
def schedule_unpublishing(request: Request) -> Response:
    record, plan = _record(request, "publish"), request.decode(Body[Attributes[Selected]]).data.attributes
    part, at = plan.content_in_locales, plan.unpublishing_scheduled_at
    if at is None:
        raise invalid_format("unpublishing_scheduled_at is missing")
    locales = None if part is None else frozenset(part)
    request.act(World.schedule_unpublishing, record.id, parse_time(at), locales, as_sent=at)
    return _scheduled(request, record, request.environment.unpublishings)


@ROUTES("DELETE /items/{item_id}/scheduled-publication", needs="can_write")
def cancel_publication(request: Request) -> Response:
    return json_response(
        request.serializer().item(request.act(World.cancel_publication, _record(request, "publish").id))
    )


@ROUTES("DELETE /items/{item_id}/scheduled-unpublishing", needs="can_write")
def cancel_unpublishing(request: Request) -> Response:
    return json_response(
        request.serializer().item(request.act(World.cancel_unpublishing, _record(request, "publish").id))
    )


def _bulk(name: str, needed: str, action: Callable[..., BulkResult], *attributes: str) -> None:
    """Serve `POST /items/bulk/NAME`: a job that does *action* to each record that the request names.

    *needed*: what the role must be allowed to do to all of them.
    *attributes*: those of the request that the action needs, too.
    """

    def handler(request: Request) -> Response:
        sent = request.sent()
        ids = sent.ids("items", "item")
        if ids is None:
            raise invalid_format("relationships.items is missing")

        for id in ids:
            if (record := request.environment.records.get(id)) is not None:
                _require(request, needed, record.model)

        def run() -> Response:
            result = request.act(action, ids, *(sent.attributes.get(one, "") for one in attributes))
            return json_response([], meta=result._asdict())

        return as_job(request, run)

    ROUTES(f"POST /items/bulk/{name}", needs="can_write")(handler)


_bulk("publish", "publish", World.publish_many)
_bulk("unpublish", "publish", World.unpublish_many)
_bulk("destroy", "delete", World.delete_many)
_bulk("move-to-stage", "move_to_stage", World.move_many_to_stage, "stage")


def _record(request: Request, action: str | None = None) -> Record:
    """Return the record that the path names. Raise ApiError if the role may not see it, or not do *action* to it."""
    record = visible_record(request, request.ids["item_id"])
    if action is not None:
        _require(request, action, record.model)
    return record


def _selected(request: Request) -> Selected | None:
    if request.body.strip() in {b"", b"null"}:
        return None
    return request.decode(Body[Attributes[Selected]]).data.attributes


def _selection(selected: Selected) -> Selection:
    return Selection.of(selected.content_in_locales or (), non_localized=selected.non_localized_content)


def _model(request: Request, sent: SentItem) -> Model:
    """Return the model of the new record *sent*."""
    match sent.relationships.get("item_type"):
        case {"data": {"id": str(model_id)}}:
            model = request.environment.models.get(model_id)
            if model is None or not can_read_model(request, model):
                raise ApiError("ITEM_TYPE_NOT_FOUND", item_type=model_id)
            return model
    raise invalid_format("relationships.item_type is missing")


def creator_named(request: Request, relationships: Mapping[str, Any]) -> Editor | None:
    """Return the creator that a request names, or None. Raise ApiError (422)."""
    match relationships.get("creator"):
        case None:
            return None
        case {"data": {"type": str(kind), "id": str(id)}}:
            known = request.world.people.editors.get((kind, id))
            if known is None:
                raise ApiError("INVALID_ATTRIBUTES", creator=id, reason="no editor has this type and id")
            return known
    raise invalid_format("relationships.creator is no editor")


def _item(request: Request, record: Record, *, status: int = 200) -> Response:
    serializer = request.serializer()
    return json_response(serializer.item(record), status=status, included=[serializer.model(record.model)])


def _scheduled(request: Request, record: Record, plans: Mapping[str, Scheduled]) -> Response:
    serializer = request.serializer()
    return json_response(serializer.scheduled(plans[record.id]), status=201, included=[serializer.item(record)])

"""Writing records: create, update, publish, schedule, delete, one by one and in bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from versionsync.simulator.api.bodies import Attributes, Body, Meta, Selected, SentItem
from versionsync.simulator.api.listing import can_read_model, visible_record
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response
from versionsync.simulator.errors import ApiError, invalid_format
from versionsync.simulator.world.environments import Scheduled
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.record_actions import BulkResult
from versionsync.simulator.world.records import Record, Selection
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.world import World

__all__ = ["ROUTES", "creator_named"]

ROUTES: Final = Routes()

NOTHING: Final = Response(b"", 204)


@ROUTES("POST /items", needs="can_write")
def create(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    model, meta = _model(request, sent), sent.meta or Meta()
    record = request.act(
        World.create,
        model,
        sent.attributes or {},
        id=sent.id,
        created_at=parse_time(meta.created_at) if meta.created_at else None,
        first_published_at=parse_time(meta.first_published_at) if meta.first_published_at else None,
        creator=creator_named(request, sent.relationships),
        stage=meta.stage,
    )
    return _item(request, record, status=201)


@ROUTES("PUT /items/{item_id}", needs="can_write")
def update(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    record, meta = _record(request), sent.meta or Meta()
    updated = request.act(
        World.update,
        record.id,
        sent.attributes,
        if_current=meta.current_version,
        stage=meta.stage if meta.stage != record.stage else None,
        creator=creator_named(request, sent.relationships),
    )
    return _item(request, updated)


@ROUTES("POST /items/validate")
def validate_new(request: Request) -> Response:
    """Raise what `create` would raise."""
    sent = request.decode(Body[SentItem]).data
    model = _model(request, sent)
    request.world.check_new(model, sent.attributes or {}, environment=request.environment.id)
    return NOTHING


@ROUTES("POST /items/{item_id}/validate")
def validate_existing(request: Request) -> Response:
    """Raise what `update` would raise."""
    sent, record = request.decode(Body[SentItem]).data, visible_record(request, request.ids["item_id"])
    request.world.check(record.id, sent.attributes or {}, environment=request.environment.id)
    return NOTHING


@ROUTES("DELETE /items/{item_id}", needs="can_write")
def delete(request: Request) -> Response:
    id = _record(request).id
    return as_job(request, lambda: json_response(request.serializer().item(request.act(World.delete, id))))


@ROUTES("POST /items/{item_id}/duplicate", needs="can_write")
def duplicate(request: Request) -> Response:
    id = _record(request).id
    return as_job(request, lambda: _item(request, request.act(World.duplicate, id)))


@ROUTES("PUT /items/{item_id}/publish", needs="can_write")
def publish(request: Request) -> Response:
    record, selected = _record(request), _selected(request)
    selection = None if selected is None else _selection(selected)
    return _item(request, request.act(World.publish, record.id, selection, recursive=request.flag("recursive")))


@ROUTES("PUT /items/{item_id}/unpublish", needs="can_write")
def unpublish(request: Request) -> Response:
    record, selected = _record(request), _selected(request)
    locales = None if selected is None else frozenset(selected.content_in_locales or ())
    return _item(request, request.act(World.unpublish, record.id, locales, recursive=request.flag("recursive")))


@ROUTES("POST /items/{item_id}/scheduled-publication", needs="can_write")
def schedule_publication(request: Request) -> Response:
    record, plan = _record(request), request.decode(Body[Attributes[Selected]]).data.attributes
    part, at = plan.selective_publication, plan.publication_scheduled_at
    if at is None:
        raise invalid_format("publication_scheduled_at is missing")
    selection = None if part is None else _selection(part)
    request.act(World.schedule_publication, record.id, parse_time(at), selection, as_sent=at)
    return _scheduled(request, record, request.environment.publications)


@ROUTES("POST /items/{item_id}/scheduled-unpublishing", needs="can_write")
def schedule_unpublishing(request: Request) -> Response:
    record, plan = _record(request), request.decode(Body[Attributes[Selected]]).data.attributes
    part, at = plan.content_in_locales, plan.unpublishing_scheduled_at
    if at is None:
        raise invalid_format("unpublishing_scheduled_at is missing")
    locales = None if part is None else frozenset(part)
    request.act(World.schedule_unpublishing, record.id, parse_time(at), locales, as_sent=at)
    return _scheduled(request, record, request.environment.unpublishings)


@ROUTES("DELETE /items/{item_id}/scheduled-publication", needs="can_write")
def cancel_publication(request: Request) -> Response:
    return json_response(request.serializer().item(request.act(World.cancel_publication, _record(request).id)))


@ROUTES("DELETE /items/{item_id}/scheduled-unpublishing", needs="can_write")
def cancel_unpublishing(request: Request) -> Response:
    return json_response(request.serializer().item(request.act(World.cancel_unpublishing, _record(request).id)))


def _bulk(name: str, action: Callable[..., BulkResult], *attributes: str) -> None:
    """Serve `POST /items/bulk/NAME`: a job that does *action* to each record that the request names.

    *attributes*: those of the request that the action needs, too.
    """

    def handler(request: Request) -> Response:
        sent = request.sent()
        ids = sent.ids("items", "item")
        if ids is None:
            raise invalid_format("relationships.items is missing")

        def run() -> Response:
            result = request.act(action, ids, *(sent.attributes.get(one, "") for one in attributes))
            return json_response([], meta=result._asdict())

        return as_job(request, run)

    ROUTES(f"POST /items/bulk/{name}", needs="can_write")(handler)


_bulk("publish", World.publish_many)
_bulk("unpublish", World.unpublish_many)
_bulk("destroy", World.delete_many)
_bulk("move-to-stage", World.move_many_to_stage, "stage")


def _record(request: Request) -> Record:
    return visible_record(request, request.ids["item_id"])


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
                raise ApiError("ITEM_TYPE_NOT_FOUND", details={"item_type": model_id})
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
                raise ApiError(
                    "INVALID_ATTRIBUTES", details={"creator": id, "reason": "no editor has this type and id"}
                )
            return known
    raise invalid_format("relationships.creator is no editor")


def _item(request: Request, record: Record, *, status: int = 200) -> Response:
    serializer = request.serializer()
    return json_response(serializer.item(record), status=status, included=[serializer.model(record.model)])


def _scheduled(request: Request, record: Record, plans: Mapping[str, Scheduled]) -> Response:
    serializer = request.serializer()
    return json_response(serializer.scheduled(plans[record.id]), status=201, included=[serializer.item(record)])

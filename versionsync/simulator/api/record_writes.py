"""Writing records: create, update, publish, schedule, delete, one by one and in bulk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from versionsync.simulator.api.bodies import Attributes, Body, BulkOperation, Meta, Relationships, Selected, SentItem
from versionsync.simulator.api.listing import can_read_model, visible_record
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response
from versionsync.simulator.errors import ApiError, invalid_format
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.record_actions import BulkResult
from versionsync.simulator.world.records import Record, Selection
from versionsync.simulator.world.times import parse_time

__all__ = ["ROUTES", "creator_named"]

ROUTES: Final = Routes()

NOTHING: Final = Response(b"", 204)


@ROUTES("POST /items", needs="can_write")
def create(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    model, meta = _model(request, sent), sent.meta or Meta()
    record = request.world.create(
        request.editor,
        model,
        sent.attributes or {},
        id=sent.id,
        created_at=parse_time(meta.created_at) if meta.created_at else None,
        first_published_at=parse_time(meta.first_published_at) if meta.first_published_at else None,
        creator=creator_named(request, sent.relationships),
        stage=meta.stage,
        environment=request.environment.id,
    )
    return _item(request, record, status=201)


@ROUTES("PUT /items/{item_id}", needs="can_write")
def update(request: Request) -> Response:
    sent = request.decode(Body[SentItem]).data
    record = _record(request)
    meta = sent.meta or Meta()
    updated = request.world.update(
        request.editor,
        record.id,
        sent.attributes,
        if_current=meta.current_version,
        stage=meta.stage if meta.stage != record.stage else None,
        creator=creator_named(request, sent.relationships),
        environment=request.environment.id,
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
    record = _record(request)

    def run() -> Response:
        deleted = request.world.delete(request.editor, record.id, environment=request.environment.id)
        return json_response(request.serializer().item(deleted))

    return as_job(request, run)


@ROUTES("POST /items/{item_id}/duplicate", needs="can_write")
def duplicate(request: Request) -> Response:
    record = _record(request)

    def run() -> Response:
        copy = request.world.duplicate(request.editor, record.id, environment=request.environment.id)
        return _item(request, copy)

    return as_job(request, run)


@ROUTES("PUT /items/{item_id}/publish", needs="can_write")
def publish(request: Request) -> Response:
    record, selected = _record(request), _selected(request)
    selection = None if selected is None else _selection(selected)
    published = request.world.publish(
        request.editor, record.id, selection, recursive=request.flag("recursive"), environment=request.environment.id
    )
    return _item(request, published)


@ROUTES("PUT /items/{item_id}/unpublish", needs="can_write")
def unpublish(request: Request) -> Response:
    record, selected = _record(request), _selected(request)
    locales = None if selected is None else frozenset(selected.content_in_locales or ())
    unpublished = request.world.unpublish(
        request.editor, record.id, locales, recursive=request.flag("recursive"), environment=request.environment.id
    )
    return _item(request, unpublished)


@ROUTES("POST /items/{item_id}/scheduled-publication", needs="can_write")
def schedule_publication(request: Request) -> Response:
    record, plan = _record(request), request.decode(Body[Attributes[Selected]]).data.attributes
    if plan.publication_scheduled_at is None:
        raise invalid_format("publication_scheduled_at is missing")
    part = plan.selective_publication
    request.world.schedule_publication(
        request.editor,
        record.id,
        parse_time(plan.publication_scheduled_at),
        None if part is None else _selection(part),
        as_sent=plan.publication_scheduled_at,
        environment=request.environment.id,
    )
    return _scheduled(request, record, publishes=True)


@ROUTES("POST /items/{item_id}/scheduled-unpublishing", needs="can_write")
def schedule_unpublishing(request: Request) -> Response:
    record, plan = _record(request), request.decode(Body[Attributes[Selected]]).data.attributes
    if plan.unpublishing_scheduled_at is None:
        raise invalid_format("unpublishing_scheduled_at is missing")
    request.world.schedule_unpublishing(
        request.editor,
        record.id,
        parse_time(plan.unpublishing_scheduled_at),
        None if plan.content_in_locales is None else frozenset(plan.content_in_locales),
        as_sent=plan.unpublishing_scheduled_at,
        environment=request.environment.id,
    )
    return _scheduled(request, record, publishes=False)


@ROUTES("DELETE /items/{item_id}/scheduled-publication", needs="can_write")
def cancel_publication(request: Request) -> Response:
    record = _record(request)
    freed = request.world.cancel_publication(request.editor, record.id, environment=request.environment.id)
    return json_response(request.serializer().item(freed))


@ROUTES("DELETE /items/{item_id}/scheduled-unpublishing", needs="can_write")
def cancel_unpublishing(request: Request) -> Response:
    record = _record(request)
    freed = request.world.cancel_unpublishing(request.editor, record.id, environment=request.environment.id)
    return json_response(request.serializer().item(freed))


def _bulk(name: str, action: Callable[[Request, list[str], str], BulkResult]) -> None:
    """Serve `POST /items/bulk/NAME`: a job that does *action* to each record that the request names."""

    def handler(request: Request) -> Response:
        operation = request.decode(Body[BulkOperation]).data
        ids = [pointer.id for pointer in operation.relationships.items.data]

        def run() -> Response:
            result = action(request, ids, operation.attributes.get("stage", ""))
            return json_response([], meta={"successful": result.successful, "failed": result.failed})

        return as_job(request, run)

    ROUTES(f"POST /items/bulk/{name}", needs="can_write")(handler)


_bulk("publish", lambda one, ids, _: one.world.publish_many(one.editor, ids, environment=one.environment.id))
_bulk("unpublish", lambda one, ids, _: one.world.unpublish_many(one.editor, ids, environment=one.environment.id))
_bulk("destroy", lambda one, ids, _: one.world.delete_many(one.editor, ids, environment=one.environment.id))
_bulk(
    "move-to-stage",
    lambda one, ids, stage: one.world.move_many_to_stage(one.editor, ids, stage, environment=one.environment.id),
)


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
    if sent.relationships is None or sent.relationships.item_type is None:
        raise invalid_format("relationships.item_type is missing")
    model_id = sent.relationships.item_type.data.id
    model = request.environment.models.get(model_id)
    if model is None or not can_read_model(request, model):
        raise ApiError("ITEM_TYPE_NOT_FOUND", details={"item_type": model_id})
    return model


def creator_named(request: Request, links: Relationships | None) -> Editor | None:
    """Return the creator that a request names, or None. Raise ApiError (422)."""
    if links is None or links.creator is None:
        return None
    sent = links.creator.data
    known = request.world.people.editors.get((sent.type, sent.id))
    if known is None:
        raise ApiError("INVALID_ATTRIBUTES", details={"creator": sent.id, "reason": "no editor has this type and id"})
    return known


def _item(request: Request, record: Record, *, status: int = 200) -> Response:
    serializer = request.serializer()
    included: list[Any] = [serializer.model(record.model)]
    return json_response(serializer.item(record), status=status, included=included)


def _scheduled(request: Request, record: Record, *, publishes: bool) -> Response:
    plans = request.environment.publications if publishes else request.environment.unpublishings
    serializer = request.serializer()
    return json_response(serializer.scheduled(plans[record.id]), status=201, included=[serializer.item(record)])

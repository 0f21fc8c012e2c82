"""Writing records: create, update, publish, schedule, delete, one by one and in bulk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from versionsync.simulator.api.bodies import BulkBody, ItemBody, Meta, OperationBody, Relationships, Selected
from versionsync.simulator.api.job_routes import as_job
from versionsync.simulator.api.listing import can_read_model, visible_record
from versionsync.simulator.api.request import Request, Response, Route, encode, json_response
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.bulk_actions import BulkResult
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.records import Record, Selection
from versionsync.simulator.world.serialization import Document
from versionsync.simulator.world.times import parse_time

__all__ = ["ROUTES", "creator_named"]

NOTHING: Final = Response(b"", 204)


def create(call: Request) -> Response:
    """`POST /items`"""
    call.demand("can_write")
    sent = call.decode(ItemBody).data
    links = sent.relationships or Relationships()
    model = _model(call, links)
    meta = sent.meta or Meta()
    record = call.world.create(
        call.editor,
        model,
        sent.attributes or {},
        id=sent.id,
        created_at=parse_time(meta.created_at) if meta.created_at else None,
        first_published_at=parse_time(meta.first_published_at) if meta.first_published_at else None,
        creator=creator_named(call, links),
        stage=meta.stage,
        environment=call.environment.id,
    )
    return _item(call, record, status=201)


def update(call: Request) -> Response:
    """`PUT /items/:id`"""
    sent = call.decode(ItemBody).data
    record = _writable(call)
    meta = sent.meta or Meta()
    updated = call.world.update(
        call.editor,
        record.id,
        sent.attributes,
        if_current=meta.current_version,
        stage=meta.stage if meta.stage != record.stage else None,
        creator=creator_named(call, sent.relationships or Relationships()),
        environment=call.environment.id,
    )
    return _item(call, updated)


def validate_new(call: Request) -> Response:
    """`POST /items/validate`: nothing, or what `create` would refuse."""
    sent = call.decode(ItemBody).data
    model = _model(call, sent.relationships or Relationships())
    call.world.check_new(model, sent.attributes or {}, environment=call.environment.id)
    return NOTHING


def validate_existing(call: Request) -> Response:
    """`POST /items/:id/validate`: nothing, or what `update` would refuse."""
    sent, record = call.decode(ItemBody).data, visible_record(call, call.ids["item_id"])
    call.world.check(record.id, sent.attributes or {}, environment=call.environment.id)
    return NOTHING


def delete(call: Request) -> Response:
    """`DELETE /items/:id`, a job."""
    record = _writable(call)
    return as_job(
        call, lambda: _document(call, call.world.delete(call.editor, record.id, environment=call.environment.id))
    )


def duplicate(call: Request) -> Response:
    """`POST /items/:id/duplicate`, a job."""
    record = _writable(call)

    def run() -> bytes:
        twin = call.world.duplicate(call.editor, record.id, environment=call.environment.id)
        return _item(call, twin).body

    return as_job(call, run)


def publish(call: Request) -> Response:
    """`PUT /items/:id/publish`"""
    record, selected = _writable(call), _selected(call)
    selection = None if selected is None else _selection(selected)
    published = call.world.publish(
        call.editor, record.id, selection, recursive=call.flag("recursive"), environment=call.environment.id
    )
    return _item(call, published)


def unpublish(call: Request) -> Response:
    """`PUT /items/:id/unpublish`"""
    record, selected = _writable(call), _selected(call)
    locales = None if selected is None else frozenset(selected.content_in_locales or ())
    unpublished = call.world.unpublish(
        call.editor, record.id, locales, recursive=call.flag("recursive"), environment=call.environment.id
    )
    return _item(call, unpublished)


def schedule_publication(call: Request) -> Response:
    """`POST /items/:id/scheduled-publication`"""
    record, plan = _writable(call), call.decode(OperationBody).data.attributes
    if plan.publication_scheduled_at is None:
        raise ApiError("INVALID_FORMAT", details={"reason": "publication_scheduled_at is missing"})
    part = plan.selective_publication
    call.world.schedule_publication(
        call.editor,
        record.id,
        parse_time(plan.publication_scheduled_at),
        None if part is None else _selection(part),
        as_sent=plan.publication_scheduled_at,
        environment=call.environment.id,
    )
    return _scheduled(call, record, publishes=True)


def schedule_unpublishing(call: Request) -> Response:
    """`POST /items/:id/scheduled-unpublishing`"""
    record, plan = _writable(call), call.decode(OperationBody).data.attributes
    if plan.unpublishing_scheduled_at is None:
        raise ApiError("INVALID_FORMAT", details={"reason": "unpublishing_scheduled_at is missing"})
    call.world.schedule_unpublishing(
        call.editor,
        record.id,
        parse_time(plan.unpublishing_scheduled_at),
        None if plan.content_in_locales is None else frozenset(plan.content_in_locales),
        as_sent=plan.unpublishing_scheduled_at,
        environment=call.environment.id,
    )
    return _scheduled(call, record, publishes=False)


def cancel_publication(call: Request) -> Response:
    """`DELETE /items/:id/scheduled-publication`"""
    record = _writable(call)
    freed = call.world.cancel_publication(call.editor, record.id, environment=call.environment.id)
    return json_response(call.serializer().item(freed))


def cancel_unpublishing(call: Request) -> Response:
    """`DELETE /items/:id/scheduled-unpublishing`"""
    record = _writable(call)
    freed = call.world.cancel_unpublishing(call.editor, record.id, environment=call.environment.id)
    return json_response(call.serializer().item(freed))


def bulk_publish(call: Request) -> Response:
    """`POST /items/bulk/publish`, a job."""
    return _bulk(call, lambda ids, _: call.world.publish_many(call.editor, ids, environment=call.environment.id))


def bulk_unpublish(call: Request) -> Response:
    """`POST /items/bulk/unpublish`, a job."""
    return _bulk(call, lambda ids, _: call.world.unpublish_many(call.editor, ids, environment=call.environment.id))


def bulk_destroy(call: Request) -> Response:
    """`POST /items/bulk/destroy`, a job."""
    return _bulk(call, lambda ids, _: call.world.delete_many(call.editor, ids, environment=call.environment.id))


def bulk_move_to_stage(call: Request) -> Response:
    """`POST /items/bulk/move-to-stage`, a job."""
    return _bulk(
        call,
        lambda ids, stage: call.world.move_many_to_stage(call.editor, ids, stage, environment=call.environment.id),
    )


def _bulk(call: Request, act: Callable[[list[str], str], BulkResult]) -> Response:
    call.demand("can_write")
    operation = call.decode(BulkBody).data
    ids = [pointer.id for pointer in operation.relationships.items.data]

    def run() -> bytes:
        result = act(ids, operation.attributes.get("stage", ""))
        return encode(Document([], {"successful": result.successful, "failed": result.failed}))

    return as_job(call, run)


def _writable(call: Request) -> Record:
    call.demand("can_write")
    return visible_record(call, call.ids["item_id"])


def _selected(call: Request) -> Selected | None:
    if call.body.strip() in {b"", b"null"}:
        return None
    return call.decode(OperationBody).data.attributes


def _selection(selected: Selected) -> Selection:
    return Selection.of(selected.content_in_locales or (), non_localized=selected.non_localized_content)


def _model(call: Request, links: Relationships) -> Model:
    """The model that a new record is to be of."""
    if links.item_type is None:
        raise ApiError("INVALID_FORMAT", details={"reason": "relationships.item_type is missing"})
    model = call.environment.models.get(links.item_type.data.id)
    if model is None or not can_read_model(call, model):
        raise ApiError("ITEM_TYPE_NOT_FOUND", details={"item_type": links.item_type.data.id})
    return model


def creator_named(call: Request, links: Relationships) -> Editor | None:
    """The creator that a request names; None: it names none. Raises Refused (422)."""
    if links.creator is None:
        return None
    sent = links.creator.data
    known = call.world.people.editors.get((sent.type, sent.id))
    if known is None:
        raise ApiError("INVALID_ATTRIBUTES", details={"creator": sent.id, "reason": "nobody by that type and id"})
    return known


def _item(call: Request, record: Record, *, status: int = 200) -> Response:
    writer = call.serializer()
    included: list[Any] = [writer.model(record.model)]
    return json_response(writer.item(record), status=status, included=included)


def _document(call: Request, record: Record) -> bytes:
    return encode(Document(call.serializer().item(record)))


def _scheduled(call: Request, record: Record, *, publishes: bool) -> Response:
    plans = call.environment.publications if publishes else call.environment.unpublishings
    writer = call.serializer()
    return json_response(writer.scheduled(plans[record.id]), status=201, included=[writer.item(record)])


ROUTES = (
    Route("POST", "/items", create),
    Route("POST", "/items/validate", validate_new),
    Route("POST", "/items/{item_id}/validate", validate_existing),
    Route("POST", "/items/bulk/publish", bulk_publish),
    Route("POST", "/items/bulk/unpublish", bulk_unpublish),
    Route("POST", "/items/bulk/destroy", bulk_destroy),
    Route("POST", "/items/bulk/move-to-stage", bulk_move_to_stage),
    Route("PUT", "/items/{item_id}", update),
    Route("DELETE", "/items/{item_id}", delete),
    Route("POST", "/items/{item_id}/duplicate", duplicate),
    Route("PUT", "/items/{item_id}/publish", publish),
    Route("PUT", "/items/{item_id}/unpublish", unpublish),
    Route("POST", "/items/{item_id}/scheduled-publication", schedule_publication),
    Route("DELETE", "/items/{item_id}/scheduled-publication", cancel_publication),
    Route("POST", "/items/{item_id}/scheduled-unpublishing", schedule_unpublishing),
    Route("DELETE", "/items/{item_id}/scheduled-unpublishing", cancel_unpublishing),
)

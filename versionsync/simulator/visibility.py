"""What a token may see: records of hidden models are not listed, and 404 when asked for."""

from __future__ import annotations

import zlib

from versionsync.simulator.calls import Call
from versionsync.simulator.models import Model
from versionsync.simulator.problems import Refused, not_found
from versionsync.simulator.records import Record

__all__ = ["block_asked_for", "is_listed", "named_model", "named_models", "sees_model", "visible_record"]


def sees_model(call: Call, model: Model) -> bool:
    """Whether the token may read records of *model*."""
    return not call.role.hides(model, call.environment.id)


def named_models(call: Call) -> list[Model]:
    """The models that the token is told of."""
    models = call.environment.models.values()
    return [model for model in models if call.world.switches.hidden_models_are_named or sees_model(call, model)]


def named_model(call: Call, key: str) -> Model:
    """The model with this id or api_key, if the token is told of it. Raises Refused (404)."""
    model = call.environment.model(key)
    if model not in named_models(call):
        raise not_found("item_type", key)
    return model


def visible_record(call: Call, record_id: str) -> Record:
    """The record, if the token may see it. Raises Refused (404)."""
    record = call.environment.record(record_id)
    if not sees_model(call, record.model):
        raise not_found("item", record_id)
    return record


def block_asked_for(call: Call, answer: str) -> Record | None:
    """The block that the path's `item_id` names, where *answer*, the value of a switch, wants it to be shown.

    None when the path names no block, or when *answer* is `404`, as for any unknown id. Raises Refused (422) for `422`.
    """
    record_id = call.ids["item_id"]
    known = call.environment.records.get(record_id)
    if answer == "404" or (known is not None and not known.model.is_block):
        return None
    block = call.services.blocks.find(call.environment, record_id)
    if block is None or not sees_model(call, block.model):
        return None
    if answer == "422":
        raise Refused("INVALID_ENTITY_ID", details={"id": record_id, "reason": "a block"})
    return block


def is_listed(call: Call, record: Record) -> bool:
    """Whether a listing shows *record*: the token may see it, and no fault hides it."""
    share = call.services.faults.vanished_share
    if share and zlib.crc32(record.id.encode()) / 2**32 < share:
        return False
    return call.role.sees_everything or sees_model(call, record.model)

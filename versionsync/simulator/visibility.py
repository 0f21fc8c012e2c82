"""What a token may see: records of hidden models are not listed, and 404 when asked for."""

from __future__ import annotations

import zlib

from versionsync.simulator.calls import Call
from versionsync.simulator.models import Model
from versionsync.simulator.problems import not_found
from versionsync.simulator.records import Record

__all__ = ["is_listed", "sees_model", "visible_record"]


def sees_model(call: Call, model: Model) -> bool:
    """Whether the token may read records of *model*."""
    return not call.role.hides(model)


def visible_record(call: Call, record_id: str) -> Record:
    """The record, if the token may see it. Raises Refused (404)."""
    record = call.environment.record(record_id)
    if not sees_model(call, record.model):
        raise not_found("item", record_id)
    return record


def is_listed(call: Call, record: Record) -> bool:
    """Whether a listing shows *record*: the token may see it, and no fault hides it."""
    share = call.services.faults.vanished_share
    if share and zlib.crc32(record.id.encode()) / 2**32 < share:
        return False
    return not call.role.hidden_models or sees_model(call, record.model)

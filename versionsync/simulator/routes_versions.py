"""Record versions: `/items/:id/versions`, `/versions/:id`, and restoring one."""

from __future__ import annotations

from collections.abc import Sequence

from versionsync.simulator.calls import Call, Reply, Route, encode, json_reply, page_reply
from versionsync.simulator.problems import not_found
from versionsync.simulator.records import Record, Version
from versionsync.simulator.resources import Document
from versionsync.simulator.routes_jobs import as_job
from versionsync.simulator.visibility import block_asked_for, visible_record

__all__ = ["ROUTES"]

DEFAULT_PAGE = 15
LARGEST_PAGE = 50


def list_versions(call: Call) -> Reply:
    """`GET /items/:item_id/versions`"""
    call.demand("can_read_versions")
    most = min(LARGEST_PAGE, call.world.switches.nested_versions_limit) if call.nested else LARGEST_PAGE
    page = call.page(default=min(DEFAULT_PAGE, most), most=most)
    versions = _versions(call)
    total = len(versions)
    if call.world.switches.versions_order == "oldest_first":
        chosen = versions[page]
    else:
        # The stored order is oldest first: a page is cut from the end, not from a reversed copy of a long list.
        chosen = versions[max(total - page.stop, 0) : max(total - page.start, 0)][::-1]
    writer = call.writer()
    return page_reply([writer.version(version) for version in chosen], total)


def get_version(call: Call) -> Reply:
    """`GET /versions/:id`"""
    call.demand("can_read_versions")
    readable = call.world.switches.deleted_versions_readable
    version = call.environment.version(call.ids["version_id"], of_deleted=readable)
    if not version.record.is_deleted:
        visible_record(call, version.record.id)
    return json_reply(call.writer().version(version))


def restore_version(call: Call) -> Reply:
    """`POST /versions/:id/restore`, a job."""
    call.demand("can_write")
    visible_record(call, call.environment.version(call.ids["version_id"]).record.id)

    def restore() -> bytes:
        record, version = call.world.restore(call.editor, call.ids["version_id"], environment=call.environment.id)
        writer = call.writer()
        return encode(Document([writer.item(record), writer.version(version)]))

    return as_job(call, restore)


def _versions(call: Call) -> Sequence[Version]:
    """The versions that the path asks for, oldest first; the switch `block_versions` says which of a block."""
    answer = call.world.switches.block_versions
    block = block_asked_for(call, answer)
    if block is None:
        return _record_with_versions(call).versions
    return block.versions if answer == "versions" else []


def _record_with_versions(call: Call) -> Record:
    record_id = call.ids["item_id"]
    if record_id not in call.environment.records and call.world.switches.deleted_versions_readable:
        if record := call.environment.deleted.get(record_id):
            return record
        raise not_found("item", record_id)
    return visible_record(call, record_id)


ROUTES = (
    Route("GET", "/items/{item_id}/versions", list_versions),
    Route("GET", "/versions/{version_id}", get_version),
    Route("POST", "/versions/{version_id}/restore", restore_version),
)

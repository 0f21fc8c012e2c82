"""Write records: create, change, publish, schedule and delete them. Only a restore does this.

No write is repeated if it may have happened: it raises OutcomeUnknown, and the caller reads the record. What upstream
does with each request is in the vendor's description of `items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Raw

from versionsync.cma import decode, jsonapi
from versionsync.cma.resources import Item, Ref
from versionsync.cma.session import ApiRequest, ApiSession, path_id

__all__ = ["BULK_LIMIT", "ContentWriter"]

BULK_LIMIT: Final = 200
"""The maximum number of records that one bulk request can name."""


class ContentWriter:
    """Writes the records of one environment. Get it from `Client.content`. Every method raises a `CmaError`."""

    def __init__(self, session: ApiSession, environment_id: str | None) -> None:
        self._session = session
        self._environment_id = environment_id

    async def create(
        self,
        id: str,
        item_type_id: str,
        attributes: bytes,
        *,
        created_at: datetime | None = None,
        first_published_at: datetime | None = None,
        creator: Ref | None = None,
        stage: str | None = None,
    ) -> Item:
        """Create a record under an id, which may be that of a deleted record. One request.

        Args:
            id: Its id.
            item_type_id: The id of its model.
            attributes: Its content, a JSON object.
            created_at: The time of creation that it claims. None: now.
            first_published_at: The time of the first publication that it claims.
            creator: Its creator. None: the token.
            stage: Its stage in the model's workflow. None: the first one.

        Raises:
            InvalidRequest: Upstream refuses the content (`problems`), or the id is taken.
        """
        times = {"created_at": created_at, "first_published_at": first_published_at}
        meta: dict[str, Any] = {name: _text(at) for name, at in times.items() if at is not None}
        if stage is not None:
            meta["stage"] = stage
        data = _item(item_type_id, attributes, id=id, creator=creator, meta=meta)
        return await self._item("POST", "/items", data)

    async def update(
        self, id: str, attributes: bytes | None, *, current_version: str | None, stage: str | None = None
    ) -> Item:
        """Save a new current version in which only `attributes` differ. One request.

        Args:
            id: The record.
            attributes: The members to change, a JSON object. None: only `stage` changes.
            current_version: The version that must still be current; otherwise upstream refuses. None: no such check.
            stage: Another stage of the model's workflow. None: it stays.

        Raises:
            InvalidRequest: Upstream refuses the content (`problems`), or with the code STALE_ITEM_VERSION, because
                another version is current.
            NotFound: There is no such record.
        """
        members = {"current_version": current_version, "stage": stage}
        meta = {name: value for name, value in members.items() if value is not None}
        data: dict[str, Any] = {"type": "item", "id": id, "meta": meta}
        if attributes is not None:
            data["attributes"] = Raw(attributes)
        return await self._item("PUT", f"/items/{path_id(id)}", data)

    async def check_new(self, item_type_id: str, attributes: bytes) -> None:
        """Raise what `create` would raise for this content; nothing changes. One request.

        The vendor calls the endpoint private. Raise NotFound if it is not there.
        """
        await self._send("POST", "/items/validate", _document(_item(item_type_id, attributes)))

    async def check(self, id: str, item_type_id: str, attributes: bytes) -> None:
        """Raise what `update` would raise for these members; nothing changes. One request. See `check_new`."""
        data = _item(item_type_id, attributes, id=id)
        await self._send("POST", f"/items/{path_id(id)}/validate", _document(data))

    async def publish(self, ids: Sequence[str]) -> str:
        """Publish the current versions of up to `BULK_LIMIT` records, and return the id of the job. One request."""
        return await self._bulk("publish", ids)

    async def publish_one(self, id: str) -> Item:
        """Publish the current version of one record. One request. Unlike `publish`, it says what upstream refuses."""
        request = ApiRequest(f"/items/{path_id(id)}/publish", (), "PUT", b"", self._environment_id, content=True)
        return (await self._session.send(request, jsonapi.document_reader(_decoded_item))).value

    async def unpublish(self, ids: Sequence[str]) -> str:
        """Unpublish up to `BULK_LIMIT` records, and return the id of the job. One request."""
        return await self._bulk("unpublish", ids)

    async def destroy(self, ids: Sequence[str]) -> str:
        """Delete up to `BULK_LIMIT` records, and return the id of the job. One request."""
        return await self._bulk("destroy", ids)

    async def schedule_publication(self, id: str, at: datetime) -> None:
        """Have upstream publish the record at a time. One request."""
        attributes = {"publication_scheduled_at": _text(at)}
        await self._schedule(id, "scheduled-publication", "scheduled_publication", attributes)

    async def schedule_unpublishing(self, id: str, at: datetime) -> None:
        """Have upstream unpublish the record at a time. One request."""
        attributes = {"unpublishing_scheduled_at": _text(at)}
        await self._schedule(id, "scheduled-unpublishing", "scheduled_unpublishing", attributes)

    async def _schedule(self, id: str, path: str, type: str, attributes: dict[str, str]) -> None:
        await self._send("POST", f"/items/{path_id(id)}/{path}", _document({"type": type, "attributes": attributes}))

    async def _bulk(self, action: str, ids: Sequence[str]) -> str:
        items = [{"type": "item", "id": id} for id in ids]
        data = {"type": f"item_bulk_{action}_operation", "relationships": {"items": {"data": items}}}
        request = self._request("POST", f"/items/bulk/{action}", _document(data))
        return (await self._session.send(request, jsonapi.document_reader(decode.job_id))).value

    async def _item(self, method: str, path: str, data: dict[str, Any]) -> Item:
        request = self._request(method, path, _document(data))
        return (await self._session.send(request, jsonapi.document_reader(_decoded_item))).value

    async def _send(self, method: str, path: str, body: bytes) -> None:
        await self._session.send(self._request(method, path, body), lambda _: None)

    def _request(self, method: str, path: str, body: bytes) -> ApiRequest:
        return ApiRequest(path, (), method, body, self._environment_id, content=True)


def _decoded_item(raw: Raw, _: list[Raw]) -> Item:
    return decode.item(raw)


def _item(
    item_type_id: str,
    attributes: bytes,
    *,
    id: str | None = None,
    creator: Ref | None = None,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    relationships: dict[str, Any] = {"item_type": {"data": {"type": "item_type", "id": item_type_id}}}
    if creator is not None:
        relationships["creator"] = {"data": {"type": creator.type, "id": creator.id}}
    data: dict[str, Any] = {"type": "item", "attributes": Raw(attributes), "relationships": relationships}
    if id is not None:
        data["id"] = id
    if meta:
        data["meta"] = meta
    return data


def _document(data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"data": data})


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The media area: `/upload-requests`, `/uploads`, and the records that name an upload."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from versionsync.simulator.api.bodies import Relationships
from versionsync.simulator.api.job_routes import as_job
from versionsync.simulator.api.listing import VERSION_CHOICES, can_read_model
from versionsync.simulator.api.record_writes import creator_named
from versionsync.simulator.api.request import Request, Response, Route, encode, json_response, page_response
from versionsync.simulator.errors import ApiError, invalid_params
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.serialization import Document, Resource
from versionsync.simulator.world.uploads import Upload

__all__ = ["FILES_PREFIX", "ROUTES"]

FILES_PREFIX: Final = "/_uploads"
"""Where files are sent to: no part of the API, as upstream's storage is none."""

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[eq\]")
_COLUMNS: Final[dict[str, Callable[[Upload], str]]] = {
    "md5": lambda upload: upload.file.md5,
    "filename": lambda upload: upload.file.filename,
    "basename": lambda upload: upload.basename,
}


class SentAttributes(msgspec.Struct):
    """An upload's attributes as a request sends them."""

    path: str | msgspec.UnsetType = msgspec.UNSET
    basename: str | msgspec.UnsetType = msgspec.UNSET
    author: str | msgspec.UnsetType | None = msgspec.UNSET
    copyright: str | msgspec.UnsetType | None = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET
    default_field_metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    def settings(self) -> dict[str, Any]:
        """The members that were sent, under the names that the acts have for them."""
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        sent = {name: value for name, value in members.items() if value is not msgspec.UNSET}
        if "default_field_metadata" in sent:
            sent["metadata"] = sent.pop("default_field_metadata")
        return sent


class SentUpload(msgspec.Struct):
    """The data of a request."""

    attributes: SentAttributes = msgspec.field(default_factory=SentAttributes)
    id: str | None = None
    relationships: Relationships | None = None


class Body(msgspec.Struct):
    """The body of a create or an update."""

    data: SentUpload


class RequestAttributes(msgspec.Struct):
    """What is said of a file before it is sent."""

    filename: str = "file"


class RequestData(msgspec.Struct):
    """The data of such a request."""

    attributes: RequestAttributes


class RequestBody(msgspec.Struct):
    """Its body."""

    data: RequestData


def request_upload(call: Request) -> Response:
    """`POST /upload-requests`: where to PUT the bytes of a file."""
    call.demand("can_write")
    filename = call.decode(RequestBody).data.attributes.filename
    signature = call.world.ids.new()
    path = call.world.files.request(filename, call.now, signature)
    url = f"{call.origin}{FILES_PREFIX}{path}?signature={signature}"
    return json_response(Resource(path, "upload_request", {"url": url, "request_headers": {}}), status=201)


def list_uploads(call: Request) -> Response:
    """`GET /uploads`"""
    page = call.page(default=30, most=500)
    uploads = list(call.environment.uploads.values())
    for name, value in call.query.items():
        if name == "filter[ids]":
            wanted = {id.strip() for id in value.split(",")}
            uploads = [upload for upload in uploads if upload.id in wanted]
        elif name.startswith("filter["):
            parsed = _FILTER.fullmatch(name)
            column = _COLUMNS.get(parsed[1]) if parsed else None
            if column is None:
                raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"parameter": name})
            uploads = [upload for upload in uploads if column(upload) == value]
    writer = call.serializer()
    return page_response([writer.upload(upload) for upload in uploads[page]], len(uploads))


def get_upload(call: Request) -> Response:
    """`GET /uploads/:id`"""
    return json_response(call.serializer().upload(_named(call)))


def create_upload(call: Request) -> Response:
    """`POST /uploads`, a job."""
    call.demand("can_write")
    sent = call.decode(Body).data
    settings = sent.attributes.settings()
    path = settings.pop("path", None)
    if path is None:
        raise ApiError("INVALID_FORMAT", details={"reason": "attributes.path is missing"})
    settings.pop("basename", None)  # the file has its name already
    return as_job(
        call,
        lambda: _document(
            call,
            call.world.create_upload(call.editor, path, id=sent.id, environment=call.environment.id, **settings),
        ),
    )


def update_upload(call: Request) -> Response:
    """`PUT /uploads/:id`, a job; `replace_strategy=keep_url` leaves a replaced file at its path."""
    call.demand("can_write")
    upload, sent = _named(call), call.decode(Body).data
    strategy = call.query.get("replace_strategy", "create_new_url")
    if strategy not in {"create_new_url", "keep_url"}:
        raise invalid_params("replace_strategy", "create_new_url or keep_url")
    creator = creator_named(call, sent.relationships or Relationships())
    return as_job(
        call,
        lambda: _document(
            call,
            call.world.update_upload(
                call.editor,
                upload.id,
                keep_url=strategy == "keep_url",
                creator=creator,
                environment=call.environment.id,
                **sent.attributes.settings(),
            ),
        ),
    )


def destroy_upload(call: Request) -> Response:
    """`DELETE /uploads/:id`"""
    call.demand("can_write")
    gone = call.world.destroy_upload(call.editor, _named(call).id, environment=call.environment.id)
    return json_response(call.serializer().upload(gone))


def references(call: Request) -> Response:
    """`GET /uploads/:id/references`: the records whose current or published content names the upload."""
    upload = _named(call)
    choice = call.query.get("version", "current")
    if choice not in VERSION_CHOICES:
        raise invalid_params("version", f"one of {', '.join(sorted(VERSION_CHOICES))}")
    quoted, writer = f'"{upload.id}"'.encode(), call.serializer()
    return json_response(
        [
            writer.item(record, published=choice != "current")
            for record in call.environment.records.values()
            if not record.model.is_block
            and can_read_model(call, record.model)
            and any(quoted in version.read() for version in _versions(record, choice))
        ]
    )


def create_track(call: Request) -> Response:
    """`POST /uploads/:id/tracks`: for videos alone, which this simulator does not have."""
    raise ApiError("NOT_A_VIDEO", details={"upload": _named(call).id})


def _versions(record: Record, choice: str) -> list[Version]:
    """The versions of *record* that *choice* is about."""
    chosen = {
        "current": [record.current],
        "published": [record.published],
        "published-or-current": [record.published or record.current],
    }[choice]
    return [version for version in chosen if version is not None]


def _named(call: Request) -> Upload:
    return call.world.upload(call.ids["upload_id"], environment=call.environment.id)


def _document(call: Request, upload: Upload) -> bytes:
    return encode(Document(call.serializer().upload(upload)))


ROUTES = (
    Route("POST", "/upload-requests", request_upload),
    Route("GET", "/uploads", list_uploads),
    Route("POST", "/uploads", create_upload),
    Route("GET", "/uploads/{upload_id}", get_upload),
    Route("PUT", "/uploads/{upload_id}", update_upload),
    Route("DELETE", "/uploads/{upload_id}", destroy_upload),
    Route("GET", "/uploads/{upload_id}/references", references),
    Route("POST", "/uploads/{upload_id}/tracks", create_track),
)

"""The media area: `/upload-requests`, `/uploads`, and the records that use an upload."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from versionsync.simulator.api.bodies import SentResource
from versionsync.simulator.api.listing import can_read_model, version_choice
from versionsync.simulator.api.records import creator_named
from versionsync.simulator.api.request import Request, Response, Routes, as_job, json_response, page_response
from versionsync.simulator.errors import ApiError, invalid_params
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.serialization import Resource
from versionsync.simulator.world.uploads import Upload
from versionsync.simulator.world.world import World

__all__ = ["FILES_PREFIX", "ROUTES"]

ROUTES: Final = Routes()

FILES_PREFIX: Final = "/_uploads"
"""The path that files are sent to. It is no part of the API, as upstream's storage is none."""

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[eq\]")
_COLUMNS: Final[dict[str, Callable[[Upload], str]]] = {
    "md5": lambda upload: upload.file.md5,
    "filename": lambda upload: upload.file.filename,
    "basename": lambda upload: upload.basename,
}
_SETTINGS: Final[Mapping[str, object]] = {
    "path": str,
    "basename": str,
    "author": str | None,
    "copyright": str | None,
    "notes": str | None,
    "tags": list[str],
    "default_field_metadata": dict[str, Any],
}
"""The attributes of an upload that a request can set, and their types."""


@ROUTES("POST /upload-requests", needs="can_write")
def request_upload(request: Request) -> Response:
    """Answer with the URL that the bytes of a file can be PUT to."""
    filename = request.sent().settings({"filename": str}).get("filename", "file")
    signature = request.world.ids.new()
    path = request.world.files.request(filename, request.now, signature)
    url = f"{request.origin}{FILES_PREFIX}{path}?signature={signature}"
    return json_response(Resource(path, "upload_request", {"url": url, "request_headers": {}}), status=201)


@ROUTES("GET /uploads", needs="can_read_uploads")
def list_uploads(request: Request) -> Response:
    page = request.page(default=30, maximum=500)
    uploads = list(request.environment.uploads.values())
    for name, value in request.query.items():
        if name == "filter[ids]":
            wanted = {id.strip() for id in value.split(",")}
            uploads = [upload for upload in uploads if upload.id in wanted]
        elif name.startswith("filter["):
            parsed = _FILTER.fullmatch(name)
            column = _COLUMNS.get(parsed[1]) if parsed else None
            if column is None:
                raise ApiError("INVALID_FILTER_FIELDS_PARAM", parameter=name)
            uploads = [upload for upload in uploads if column(upload) == value]
    serializer = request.serializer()
    return page_response([serializer.upload(upload) for upload in uploads[page]], len(uploads))


@ROUTES("GET /uploads/{upload_id}", needs="can_read_uploads")
def get_upload(request: Request) -> Response:
    return _response(request, _upload(request))


@ROUTES("POST /uploads", needs="can_write")
def create_upload(request: Request) -> Response:
    sent = request.sent()
    settings, path = _settings(sent), sent.text("path")
    del settings["path"]
    settings.pop("basename", None)  # the file has its name already
    return as_job(request, lambda: _response(request, request.act(World.create_upload, path, id=sent.id, **settings)))


@ROUTES("PUT /uploads/{upload_id}", needs="can_write")
def update_upload(request: Request) -> Response:
    """Change an upload; `replace_strategy=keep_url` keeps the path of a replaced file."""
    upload, sent = _upload(request), request.sent()
    strategy = request.query.get("replace_strategy", "create_new_url")
    if strategy not in {"create_new_url", "keep_url"}:
        raise invalid_params("replace_strategy", "create_new_url or keep_url")
    settings = _settings(sent) | {
        "keep_url": strategy == "keep_url",
        "creator": creator_named(request, sent.relationships),
    }
    return as_job(request, lambda: _response(request, request.act(World.update_upload, upload.id, **settings)))


def _settings(sent: SentResource) -> dict[str, Any]:
    """Return the attributes that were sent, under the names that the actions use."""
    settings = sent.settings(_SETTINGS)
    if "default_field_metadata" in settings:
        settings["metadata"] = settings.pop("default_field_metadata")
    return settings


@ROUTES("DELETE /uploads/{upload_id}", needs="can_write")
def destroy_upload(request: Request) -> Response:
    return _response(request, request.act(World.destroy_upload, request.ids["upload_id"]))


@ROUTES("GET /uploads/{upload_id}/references")
def references(request: Request) -> Response:
    """List the records whose current or published content has the upload's id."""
    upload, choice = _upload(request), version_choice(request, "current")
    quoted, serializer = f'"{upload.id}"'.encode(), request.serializer()
    return json_response(
        [
            serializer.item(record, published=choice != "current")
            for record in request.environment.records.values()
            if not record.model.is_block
            and can_read_model(request, record.model)
            and (version := _version(record, choice)) is not None
            and quoted in version.read()
        ]
    )


@ROUTES("GET /uploads/{upload_id}/tracks")
def list_tracks(request: Request) -> Response:
    _upload(request)
    return json_response([])


@ROUTES("POST /uploads/{upload_id}/tracks")
def create_track(request: Request) -> Response:
    """Refuse: only videos have tracks, and the simulator has none."""
    raise ApiError("NOT_A_VIDEO", upload=_upload(request).id)


def _version(record: Record, choice: str) -> Version | None:
    if choice == "published":
        return record.published
    return record.current if choice == "current" else record.published or record.current


def _upload(request: Request) -> Upload:
    return request.world.upload(request.ids["upload_id"], environment=request.environment.id)


def _response(request: Request, upload: Upload) -> Response:
    return json_response(request.serializer().upload(upload))

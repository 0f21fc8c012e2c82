"""Assets, the files that became none yet, and what the first bytes of a picture say about it."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.event_log import EditorRef

__all__ = ["FileFacts", "Files", "Picture", "Upload", "read_picture"]

FILES_KEPT: Final = 1_000
"""How many requested files are kept; the oldest are removed first."""
MAX_NAME_LENGTH: Final = 200
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The properties of a file, from its name and its bytes."""

    filename: str
    size: int
    md5: str
    mime_type: str
    format: str
    width: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, filename: str, content: bytes) -> FileFacts:
        """Return the properties of the file *filename* with the bytes *content*."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if picture := read_picture(content):
            return cls(filename, len(content), md5, picture.mime_type, picture.format, picture.width, picture.height)
        mime_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        return cls(filename, len(content), md5, mime_type, _extension(filename))


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in the media area."""

    id: str
    path: str
    file: FileFacts
    creator: EditorRef
    created_at: datetime
    updated_at: datetime
    author: str | None = None
    copyright: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    """The members of `default_field_metadata` that were set."""

    @property
    def basename(self) -> str:
        """The name without its extension."""
        return self.file.filename.rpartition(".")[0] or self.file.filename

    @property
    def is_image(self) -> bool:
        return self.file.mime_type.startswith("image/")


@dataclass(slots=True)
class _Requested:
    """A file that is expected or was received."""

    filename: str
    signature: str
    facts: FileFacts | None = None


class Files:
    """The files of a project between the request for a URL and the upload. Their bytes are not kept."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._requested: OrderedDict[str, _Requested] = OrderedDict()

    def new_path(self, filename: str, now: datetime) -> str:
        """Return an unused path for *filename*: `/project/seconds-name`, as upstream's are."""
        seconds = int(now.timestamp())
        while (path := f"/{self._project_id}/{seconds}-{filename}") in self._requested:
            seconds += 1
        return path

    def request(self, filename: str, now: datetime, signature: str) -> str:
        """Return the path of a file that can be sent with *signature*."""
        name = _UNUSUAL.sub("-", filename)[-MAX_NAME_LENGTH:].lstrip("-.") or "file"
        path = self.new_path(name, now)
        self._requested[path] = _Requested(name, signature)
        if len(self._requested) > FILES_KEPT:
            self._requested.popitem(last=False)
        return path

    def receive(self, path: str, signature: str, content: bytes) -> None:
        """Receive the bytes of the file that was requested under *path*. Raise ApiError (403)."""
        requested = self._requested.get(path)
        if requested is None or requested.signature != signature:
            raise ApiError("INVALID_REQUEST", 403, path=path)
        requested.facts = FileFacts.of(requested.filename, content)

    def facts(self, path: str) -> FileFacts:
        """Return the properties of the file that was sent to *path*. Raise ApiError (422)."""
        requested = self._requested.get(path)
        if requested is None or requested.facts is None:
            raise invalid_field("path", "VALIDATION_INVALID", path=path, reason="no file was sent to it")
        return requested.facts


def _extension(filename: str) -> str:
    return filename.rpartition(".")[2].lower()


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_GIF: Final = (b"GIF87a", b"GIF89a")
_JPEG: Final = b"\xff\xd8\xff"
_NO_FRAME_HEADERS: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Markers between C0 and CF that begin no frame header of JPEG: tables, and a reserved one."""
_WITHOUT_SEGMENT: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a segment after them."""
_END_MARKERS: Final = frozenset({0xD9, 0xDA})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's format, by its usual extension, and its size in pixels."""

    format: str
    mime_type: str
    width: int
    height: int


def read_picture(content: bytes) -> Picture | None:
    """Return format and size of a PNG, GIF or JPEG file; None for another file or a truncated header."""
    try:
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            return Picture("png", "image/png", *struct.unpack_from(">II", content, 16))
        if content.startswith(_GIF):
            return Picture("gif", "image/gif", *struct.unpack_from("<HH", content, 6))
        if content.startswith(_JPEG):
            return _read_jpeg(content)
    except struct.error:
        return None
    return None


def _read_jpeg(content: bytes) -> Picture | None:
    at = 2
    while at + 1 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _END_MARKERS:
            return None
        if marker == 0xFF:  # a filler byte
            at += 1
        elif marker in _WITHOUT_SEGMENT:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return Picture("jpg", "image/jpeg", width, height)
        else:
            (length,) = struct.unpack_from(">H", content, at + 2)
            at += 2 + length
    return None

"""Assets: what a record's content and its readers need to know of them, and the files that became none yet."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.event_log import EditorRef
from versionsync.simulator.world.pictures import read_picture

__all__ = ["FileFacts", "Files", "Upload"]

FILES_KEPT: Final = 1_000
"""How many requested files are remembered; the oldest go first."""
LONGEST_NAME: Final = 200
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known about a file from its name and its bytes."""

    filename: str
    size: int
    md5: str
    mime_type: str
    format: str
    width: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, filename: str, content: bytes) -> FileFacts:
        """Read *content*, the bytes of a file that is called *filename*."""
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
    """Those members of `default_field_metadata` that were set."""

    @property
    def basename(self) -> str:
        """The name without its extension."""
        return self.file.filename.rpartition(".")[0] or self.file.filename

    @property
    def is_image(self) -> bool:
        """Whether the file is a picture."""
        return self.file.mime_type.startswith("image/")


@dataclass(slots=True)
class _Requested:
    """A file that may be sent, or has been."""

    filename: str
    signature: str
    facts: FileFacts | None = None


class Files:
    """The files of a project between the request for an address and the upload; of their bytes only facts are kept."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._requested: OrderedDict[str, _Requested] = OrderedDict()

    def new_path(self, filename: str, now: datetime) -> str:
        """A path for *filename* that no file waits under: `/project/seconds-name`, as upstream's are."""
        seconds = int(now.timestamp())
        while (path := f"/{self._project_id}/{seconds}-{filename}") in self._requested:
            seconds += 1
        return path

    def request(self, filename: str, now: datetime, signature: str) -> str:
        """The path of a file that may be sent by whoever knows *signature*."""
        name = _UNUSUAL.sub("-", filename)[-LONGEST_NAME:].lstrip("-.") or "file"
        path = self.new_path(name, now)
        self._requested[path] = _Requested(name, signature)
        if len(self._requested) > FILES_KEPT:
            self._requested.popitem(last=False)
        return path

    def receive(self, path: str, signature: str, content: bytes) -> None:
        """Take the bytes of the file that was requested under *path*. Raises Refused (403)."""
        requested = self._requested.get(path)
        if requested is None or requested.signature != signature:
            raise ApiError("INVALID_REQUEST", 403, details={"path": path})
        requested.facts = FileFacts.of(requested.filename, content)

    def facts(self, path: str) -> FileFacts:
        """What is known about the file that was sent to *path*. Raises Refused (422)."""
        requested = self._requested.get(path)
        if requested is None or requested.facts is None:
            raise invalid_field("path", "VALIDATION_INVALID", path=path, reason="no file was sent to it")
        return requested.facts


def _extension(filename: str) -> str:
    """What comes after the last dot of the name."""
    return filename.rpartition(".")[2].lower()

"""Assets: only what a record's content and its readers need to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from versionsync.simulator.journal import EditorRef

__all__ = ["Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in the media area."""

    id: str
    filename: str
    size: int
    mime_type: str
    md5: str
    creator: EditorRef
    created_at: datetime
    width: int | None = None
    height: int | None = None
    author: str | None = None
    copyright: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """What comes after the last dot of the name."""
        return self.filename.rpartition(".")[2].lower()

    @property
    def is_image(self) -> bool:
        """Whether the file is a picture."""
        return self.mime_type.startswith("image/")

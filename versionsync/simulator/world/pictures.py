"""What the first bytes of a file say: whether it is a picture, in which format, and how large."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["Picture", "read_picture"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_GIF: Final = (b"GIF87a", b"GIF89a")
_JPEG: Final = b"\xff\xd8\xff"
_NO_FRAME_HEADERS: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Markers among those of JPEG's frame headers (C0 to CF) that begin something else: tables, and a reserved one."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a segment after them."""
_END_OF_HEADERS: Final = frozenset({0xD9, 0xDA})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's format, by its usual extension, and its size in pixels."""

    format: str
    mime_type: str
    width: int
    height: int


def read_picture(content: bytes) -> Picture | None:
    """Return what the header of a PNG, GIF or JPEG file says; None for any other file, or a header that is cut off."""
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
        if marker in _END_OF_HEADERS:
            return None
        if marker == 0xFF:  # a filler byte
            at += 1
        elif marker in _ALONE:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return Picture("jpg", "image/jpeg", width, height)
        else:
            (length,) = struct.unpack_from(">H", content, at + 2)
            at += 2 + length
    return None

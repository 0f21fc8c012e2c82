"""The headers of picture files: their format and size, and nothing of what is no picture."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.simulator.world.uploads import FileFacts, Picture, read_picture


def png(width: int, height: int) -> bytes:
    """A PNG file up to the end of its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def gif(width: int, height: int, version: bytes = b"GIF89a") -> bytes:
    """The header of a GIF file."""
    return version + struct.pack("<HHBBB", width, height, 0, 0, 0)


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG file."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(width: int, height: int, frame: int = 0xC0) -> bytes:
    """A JPEG file up to its frame header: with application data and tables before it, and a filler byte."""
    size = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    tables = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0") + segment(0xC4, b"\xff\xc0" + b"\1" * 20) + b"\xff\xff"
    return b"\xff\xd8" + tables + segment(0xDB, bytes(65))[1:] + segment(frame, size)


@pytest.mark.parametrize("width,height", [(1, 1), (480, 270), (65_535, 2)])
def test_a_picture_tells_its_size(width: int, height: int) -> None:
    """Of each format, with small sizes and large ones."""
    assert read_picture(png(width, height)) == Picture("png", "image/png", width, height)
    for version in (b"GIF87a", b"GIF89a"):
        assert read_picture(gif(width, height, version)) == Picture("gif", "image/gif", width, height)
    for frame in (0xC0, 0xC1, 0xC2, 0xCF):
        assert read_picture(jpeg(width, height, frame)) == Picture("jpg", "image/jpeg", width, height)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"%PDF-1.7", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_other_files_are_no_pictures(content: bytes) -> None:
    """Nor is a JPEG file that ends before its frame."""
    assert read_picture(content) is None


@given(st.sampled_from([png(7, 9), gif(7, 9), jpeg(7, 9)]), st.data())
def test_a_header_that_is_cut_off_has_no_size(picture: bytes, data: st.DataObject) -> None:
    """The size is complete, or missing."""
    cut = read_picture(picture[: data.draw(st.integers(0, len(picture)))])
    assert cut is None or (cut.width, cut.height) == (7, 9)


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]), st.binary(max_size=60))
def test_no_bytes_break_the_reader(start: bytes, rest: bytes) -> None:
    """Whatever comes after a header's first bytes."""
    picture = read_picture(start + rest)
    assert picture is None or picture.width >= 0


def test_the_bytes_decide_about_a_picture_and_the_name_about_the_rest() -> None:
    """A picture that is called a text is a picture."""
    facts = FileFacts.of("really.txt", png(3, 4))
    assert (facts.format, facts.mime_type, facts.width, facts.height) == ("png", "image/png", 3, 4)
    text = FileFacts.of("note.TXT", b"hello\n")
    assert (text.size, text.md5) == (6, "b1946ac92492d2347c6235b4d2611184")
    assert (text.format, text.mime_type, text.width) == ("txt", "text/plain", None)
    assert FileFacts.of("something", b"?").mime_type == "application/octet-stream"

"""Ids, and names of copies, as DatoCMS makes them. Ids come from a seed: a world has the same ones on every run.

Entities of an environment have version-4 UUIDs in URL-safe base64, 22 characters. Accounts, tokens, webhooks and their
calls still have decimal numbers.
"""

from __future__ import annotations

import base64
import binascii
import random
import re
import uuid
from collections.abc import Container
from itertools import count
from typing import Final

__all__ = ["Ids", "copy_key", "copy_name", "decode", "encode", "is_valid"]

MAX_LEGACY_ID: Final = 281_474_976_710_655
_LEGACY: Final = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_MODERN: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class Ids:
    """A seeded generator of ids."""

    __slots__ = ("_number", "_random")

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(f"ids:{seed}")  # noqa: S311 - repeatable on purpose
        self._number = 1000

    def new(self) -> str:
        """Return the next 22-character id."""
        bits = self._random.getrandbits(128)
        bits = bits & ~(0xF << 76) | (4 << 76)  # version 4
        bits = bits & ~(0x3 << 62) | (2 << 62)  # RFC 4122 variant
        return base64.urlsafe_b64encode(bits.to_bytes(16, "big"))[:22].decode("ascii")

    def secret(self) -> str:
        """Return the next secret of an API token: 30 hexadecimal digits."""
        return f"{self._random.getrandbits(120):030x}"

    def number(self) -> str:
        """Return the next decimal id."""
        self._number += 1
        return str(self._number)


def encode(value: uuid.UUID) -> str:
    """Return *value* as 22 characters."""
    return base64.urlsafe_b64encode(value.bytes)[:22].decode("ascii")


def decode(id: str) -> uuid.UUID | None:
    """Return the UUID in *id*; None for a decimal id. Raise ValueError for anything else."""
    if _LEGACY.fullmatch(id) and int(id) <= MAX_LEGACY_ID:
        return None
    if not _MODERN.fullmatch(id):
        raise ValueError(f"{id!r} is not an id: 22 characters of URL-safe base64, or a decimal number")
    try:
        value = uuid.UUID(bytes=base64.urlsafe_b64decode(id + "=="))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{id!r} does not hold a UUID") from error
    if value.variant != uuid.RFC_4122 or value.version != 4 or encode(value) != id:
        raise ValueError(f"{id!r} holds {value}, which is not a version-4 UUID")
    return value


def is_valid(id: str) -> bool:
    """Return whether DatoCMS would accept *id* for a new record."""
    try:
        return decode(id) is not None
    except ValueError:
        return False


def copy_name(name: str, taken: Container[str]) -> str:
    """Return the name of a copy, such as `Article (copy #1)`: the first one that is not *taken*."""
    return next(copy for number in count(1) if (copy := f"{name} (copy #{number})") not in taken)


def copy_key(api_key: str, taken: Container[str]) -> str:
    """Return the api_key of a copy, such as `article_copy1`: the first one that is not *taken*."""
    return next(copy for number in count(1) if (copy := f"{api_key}_copy{number}") not in taken)

"""Read one TOML file of the settings, and find the line of a setting in it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from versionsync.config.errors import FileProblem

__all__ = ["TomlFile", "read_toml"]

_PART: Final = re.compile(r"[^.\[\]]+|\[\d+\]")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file of the settings as it was read.

    Attributes:
        path: The file.
        text: Its text, which may hold secrets.
        table: What the text says.
        status: Its owner and mode when it was read.
    """

    path: Path
    text: str = field(repr=False)
    table: dict[str, Any] = field(repr=False)
    status: os.stat_result

    def where(self, setting: str = "") -> str:
        """Return the place of a `setting` such as `sources[2].name`: the file, and the line if one sets it."""
        line = _line_of(self.text, _parts(setting)) if setting else None
        return str(self.path) if line is None else f"{self.path}, line {line}"


def read_toml(path: Path, *, check: Callable[[], None] | None = None, missing: str) -> TomlFile:
    """Return the file `path`.

    Args:
        path: The file.
        check: Checks before that the file is trusted. May raise FileProblem and OSError.
        missing: What to do if there is no such file.

    Raises:
        FileProblem: It cannot be read, or is not TOML. The message never quotes the text.
    """
    try:
        if check is not None:
            check()
        with path.open(encoding="utf-8") as file:
            text, status = file.read(), os.fstat(file.fileno())
    except FileNotFoundError:
        raise FileProblem(f"there is no settings file {path}", hint=missing) from None
    except UnicodeDecodeError:
        raise FileProblem(f"{path} is not UTF-8 text", hint="Save it as UTF-8.") from None
    except OSError as error:
        raise FileProblem(
            f"the settings file {path} cannot be read: {error.strerror}", hint="Check its owner and mode."
        ) from error
    if text.startswith("\ufeff"):
        raise FileProblem(f"{path} begins with a byte order mark (BOM)", hint="Save it as UTF-8 without BOM.")
    try:
        return TomlFile(path, text, tomllib.loads(text), status)
    except tomllib.TOMLDecodeError as error:
        raise FileProblem(
            f"{path} is not valid TOML: {_plain_error(error, text)}",
            hint="A text needs quotes, a table is [name], a source is [[sources]].",
        ) from None


def _plain_error(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Return the error with line and column, also if the parser gives none. Never quotes the text."""
    message = str(error)
    if match := re.search(r"^(.*?) \(at line (\d+), column (\d+)\)$", message, re.DOTALL):
        what, line, column = match.group(1), int(match.group(2)), int(match.group(3))
    else:
        what = re.sub(r" \(at end of document\)$", "", message)
        lines = text.splitlines() or [""]
        line, column = len(lines), len(lines[-1]) + 1
    # Some messages of the parser quote names from the file, and a token may stand in the place of a name.
    what = re.sub(r": .*|'[^']{12,}'|\([^)]{12,}\)", "", what, flags=re.DOTALL).strip()
    return f"line {line}, column {column}: {what[:1].lower()}{what[1:]}"


def _parts(setting: str) -> list[str | int]:
    """Return the keys and list indexes that lead to a setting."""
    found = _PART.findall(setting)
    return [int(part[1:-1]) if part.startswith("[") else part for part in found]


def _line_of(text: str, parts: Sequence[str | int]) -> int | None:
    """Return the line on which the statement that sets a value begins, from 1. None: no statement does.

    The parser gives no lines. But the beginning of a file up to the end of any statement is a file too, so a binary
    search finds the first such beginning that has the value.
    """
    lines = text.split("\n")

    def beginning(end: int) -> tuple[object, int]:
        """Return what the longest beginning of at most `end` lines says that is TOML, and how many lines it has."""
        while True:
            try:
                return tomllib.loads("\n".join(lines[:end])), end
            except tomllib.TOMLDecodeError:  # it ends within a value of several lines
                end -= 1

    without, with_it = 0, len(lines)
    if not _has(beginning(with_it)[0], parts):
        return None
    while with_it - without > 1:
        middle = (without + with_it) // 2
        table, end = beginning(middle)
        if _has(table, parts):
            with_it = end
        else:
            without = middle
    return beginning(with_it - 1)[1] + 1


def _has(value: object, parts: Sequence[str | int]) -> bool:
    for part in parts:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if part < len(value):
                value = value[part]
            case _:
                return False
    return True

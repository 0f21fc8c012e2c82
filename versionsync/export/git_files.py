"""The files of a version in a Git repository: its content as JSON, and each structured text as a text beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from versionsync.export.dast_text import is_structured_text, text_of
from versionsync.export.exact_json import DuplicateMembers, dump, load
from versionsync.history.projections.titles import titles_of
from versionsync.history.schema_at import SchemaState

__all__ = ["Content", "Files", "RecordFiles", "files_of", "record_of_path", "shard_of"]

_NOT_IN_PATH: Final = re.compile(r"[^A-Za-z0-9_-]")
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Content:
    """What a version said, who saved it, and when."""

    version_id: str
    created_at: datetime
    editor_type: str | None
    editor_id: str | None
    text: str

    @classmethod
    def of(
        cls,
        version_id: str,
        created_at: datetime,
        editor_type: str | None,
        editor_id: str | None,
        attributes: str,
        exact: bytes | None,
    ) -> Self:
        """Return the content of a row. `exact` replaces `attributes`."""
        text = attributes if exact is None else bytes(exact).decode()
        return cls(version_id, created_at, editor_type, editor_id, text)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a version by their paths, and what it is called."""

    files: Mapping[str, bytes]
    title: str | None


class RecordFiles:
    """Which files each record has in the newest commit."""

    def __init__(self) -> None:
        self._paths: dict[str, set[str]] = {}

    def add(self, record: str, path: str) -> None:
        """Note that a record has a file."""
        self._paths.setdefault(record, set()).add(path)

    def replaced(self, record_id: str, files: Mapping[str, bytes]) -> list[str]:
        """Return the files that a record has no more if it has these, and note these."""
        record = _safe(record_id)
        gone = sorted(self._paths.pop(record, set()) - set(files))
        if files:
            self._paths[record] = set(files)
        return gone


def shard_of(record_id: str) -> str:
    """Return the two folders in which the files of a record are, such as `d/x`.

    Git writes each folder on the way to a changed file again, with all its names: in one folder of 10,000 records, that
    is 600 KB a commit. The folders follow from the id alone, so a repository only grows, and is the same everywhere.
    They are in lower case, as some file systems see no difference. An old id is a number that counts up: its last two
    digits spread records evenly, its first ones do not.
    """
    safe = _safe(record_id).lower()
    first, second = (safe[-1], safe[-2:-1]) if safe.isdecimal() else (safe[:1], safe[1:2])
    return f"{first}/{second or '_'}"


def record_of_path(path: str) -> str:
    """Return the id of the record that a file belongs to."""
    return path.rpartition("/")[2].partition(".")[0]


def files_of(
    content: Content, record_id: str, model_id: str, model: str, state: SchemaState, locales: Sequence[str]
) -> Files:
    """Return the files of a version.

    Members are sorted, those of the record as the fields of its model are: the two databases keep other orders.
    A content that no program could read in this form, such as one with two members of one name, stays as it was sent.

    Args:
        content: The version.
        record_id: Its record.
        model_id: The id of its model.
        model: The name of its model's folder.
        state: The schema of that time.
        locales: The locales of the project, the main one first.
    """
    base = f"{_safe(model)}/{shard_of(record_id)}/{_safe(record_id)}"
    try:
        attributes = load(content.text)
        fields = state.schema.of_model(model_id)
        names = [*(name for name in fields if name in attributes), *sorted(attributes.keys() - set(fields))]
        ordered = {name: _sorted(attributes[name]) for name in names}
        files = {f"{base}.json": _bytes(dump(ordered, indent=2) + "\n")}
        for name, value in ordered.items():
            for locale, document in _documents(value):
                path = ".".join((base, _safe(name), *([_safe(locale)] if locale else []), "dast.md"))
                files[path] = _bytes(text_of(document))
    except (DuplicateMembers, RecursionError):
        return Files({f"{base}.json": f"{content.text}\n".encode()}, None)
    titles = {row.locale: row.title for row in titles_of(content.version_id, record_id, model_id, attributes, state)}
    chosen = next((titles[locale] for locale in ("", *locales, *sorted(titles)) if locale in titles), None)
    return Files(files, chosen)


def _documents(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the structured texts in the value of a field, with their locales."""
    if is_structured_text(value):
        yield "", value
    elif isinstance(value, dict):
        yield from ((locale, text) for locale, text in value.items() if is_structured_text(text))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _bytes(text: str) -> bytes:
    """Return a text in UTF-8. Half characters become JSON's escapes; only JSON has any."""
    return _HALF_CHARACTER.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _safe(name: str) -> str:
    """Return a name that every file system takes."""
    return _NOT_IN_PATH.sub("_", name)

"""A folder of exported batches: it only grows, and holds whole batches only, wherever an export is killed.

    DIR/source=NAME/manifest.json           what is there
    DIR/source=NAME/batch=000001/           one export: a file for each table with rows
        events.parquet versions.parquet …   and batch.json, its entry in the manifest

A batch is written under another name. One rename makes all of its files appear at once; then the manifest replaces the
old one. If the process is killed between the two, the next export finds the batch complete and adds its entry.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from versionsync.export.errors import ExportError, ExportLocked

__all__ = ["Batch", "BatchFolder", "FileFormat", "Manifest", "SourceFolder"]

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
ENTRY: Final = "batch.json"
FileFormat = str
"""`ndjson`, `csv` or `parquet`: also the ending of the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one export wrote.

    Attributes:
        number: Counts the batches of a source, from 1.
        first_event_id: The first event that is in it; None: rows changed without an event.
        last_event_id: Every event up to this one is in this batch or an earlier one.
        synced_at: The latest `records.synced_at` that it saw.
        projected: For each table that is filled after the commit: up to which event, as of which sync, and how. For a
            table that knows when its rows changed: the latest such time.
        snapshots: SHA-256 of the rows of each small table, to write it only when it changed.
        rows: The number of rows of each table.
        sha256: SHA-256 of each file.
        finished_at: When it was written.
    """

    number: int
    first_event_id: int | None
    last_event_id: int
    synced_at: str | None
    projected: dict[str, dict[str, Any]]
    snapshots: dict[str, str]
    rows: dict[str, int]
    sha256: dict[str, str]
    finished_at: str

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"batch={self.number:06d}"

    def to_json(self) -> dict[str, Any]:
        """Return its entry in the manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder holds: of which source, in which form, and its batches in order."""

    source: str
    project_id: str
    environment: str
    schema_revision: str | None
    format: FileFormat
    tables: Sequence[str]
    batches: Sequence[Batch] = field(default=())

    @property
    def last(self) -> Batch | None:
        """The newest batch."""
        return self.batches[-1] if self.batches else None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        members = {name: getattr(self, name) for name in self.__slots__ if name != "batches"}
        return {"format_version": FORMAT_VERSION, **members, "batches": [batch.to_json() for batch in self.batches]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the manifest that `to_json` wrote."""
        members = {name: value[name] for name in cls.__slots__ if name != "batches"}
        return cls(**members, batches=[Batch(**batch) for batch in value["batches"]])


class SourceFolder:
    """The folder of one source, locked by this process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, source: str) -> Iterator[Self]:
        """Open the folder of a source within an export, and make it if it is not there.

        Raises:
            ExportLocked: Another process exports into it.
        """
        path = folder / f"source={quote(source, safe='')}"
        path.mkdir(parents=True, exist_ok=True)
        with (path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportLocked(f"another process exports into {path}") from None
            yield cls(path)

    def manifest(self) -> Manifest | None:
        """Return what is there, or None. What an interrupted export left is finished or removed.

        Raises:
            ExportError: The manifest cannot be read, or a later version of versionsync wrote it.
        """
        for unfinished in self._path.glob(".batch=*"):
            shutil.rmtree(unfinished)
        path = self._path / MANIFEST
        if not path.exists():
            if found := self._first_whole():
                self.save(found)
            return found
        found = self._read(path)
        entries = list(found.batches)
        while (entry := self._path / f"batch={len(entries) + 1:06d}" / ENTRY).exists():
            entries.append(self._read(entry).batches[0])
        if len(entries) > len(found.batches):
            found = Manifest.from_json(found.to_json() | {"batches": [batch.to_json() for batch in entries]})
            self.save(found)
        return found

    def _first_whole(self) -> Manifest | None:
        entry = self._path / "batch=000001" / ENTRY
        return self._read(entry) if entry.exists() else None

    def _read(self, path: Path) -> Manifest:
        try:
            value = json.loads(path.read_bytes())
            version = value["format_version"]
            if version == FORMAT_VERSION:
                return Manifest.from_json(value)
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(f"{path} is no manifest of an export ({error}): choose another folder") from None
        raise ExportError(f"{path} has format {version}; this version of versionsync writes {FORMAT_VERSION}")

    def save(self, manifest: Manifest) -> None:
        """Replace the manifest at once."""
        fresh = self._path / f".{MANIFEST}"
        _write_synced(fresh, manifest)
        fresh.replace(self._path / MANIFEST)
        _sync_folder(self._path)

    def begin(self, number: int) -> BatchFolder:
        """Return a folder for the files of a batch, which appears under its own name when it is whole."""
        path = self._path / f".batch={number:06d}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return BatchFolder(path)

    def publish(self, made: BatchFolder, manifest: Manifest) -> None:
        """Make a batch appear, whose entry is the last one of `manifest`."""
        batch = manifest.batches[-1]
        entry = Manifest.from_json(manifest.to_json() | {"batches": [batch.to_json()]})
        _write_synced(made.path / ENTRY, entry)
        for file in made.path.iterdir():
            _sync(file)
        _sync_folder(made.path)
        made.path.rename(self._path / batch.folder)
        _sync_folder(self._path)
        self.save(manifest)


@dataclass(frozen=True, slots=True)
class BatchFolder:
    """A folder for the files of a batch that is being written."""

    path: Path

    def sha256(self) -> dict[str, str]:
        """Return the SHA-256 of each file, by name."""
        found = {}
        for file in sorted(self.path.iterdir()):
            with file.open("rb") as stream:
                found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
        return found

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write_synced(path: Path, manifest: Manifest) -> None:
    path.write_text(json.dumps(manifest.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_folder = _sync

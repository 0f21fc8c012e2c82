"""The history of a Git repository's text files as records and versions.

A file is a record, each commit that changed it a version, made by the commit's author at the commit's time. The model
has no drafts, so each version was live until the next one: what a file said on a given day is a question about
intervals. Deletions delete; a file that comes back returns under its old id; a renamed one is another file.

Branches become one line: the commits in the order of `git log --topo-order`. Where clocks went back along it, a
version is as late as the one before it; the commit's own times are in the content. Ids come from paths and hashes.
"""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from versionsync.simulator.scenarios.git.repository import Blobs, Commit, Repository, RepositoryUnreadable
from versionsync.simulator.world.event_log import Content
from versionsync.simulator.world.ids import encode
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people import Editor, EditorKind
from versionsync.simulator.world.records import LoadedVersion
from versionsync.simulator.world.world import World

__all__ = ["PATTERNS", "GitHistory", "RepositoryUnreadable", "build_git"]

PATTERNS: Final = ("*.md", "*.py")
PACKED_FROM_BYTES: Final = 2048
"""Longer contents are kept compressed, so that a large history fits into memory."""
FIELDS: Final = {
    "path": "string",
    "name": "string",
    "folder": "string",
    "text": "text",
    "bytes": "integer",
    "commit": "string",
    "subject": "string",
    "authored_at": "date_time",
    "committed_at": "date_time",
}


@dataclass(slots=True)
class GitHistory:
    """What was found."""

    model: Model = field(repr=False)
    commits: int = 0
    """All of the history's commits, also those that changed none of these files."""
    records: int = 0
    """Files, deleted ones included."""
    versions: int = 0
    deletions: int = 0
    skipped: int = 0
    """Versions that are left out because they, or the file's name, are not UTF-8."""


def build_git(world: World, path: Path | str, *, patterns: Iterable[str] = PATTERNS) -> GitHistory:
    """Bring the history of the files that match *patterns* into *world*: of all that leads to HEAD at *path*.

    In a pattern `*` stands for anything, `/` included. Raises RepositoryUnreadable.
    """
    repository = Repository(Path(path))
    model = _create_model(world)
    found = GitHistory(model)
    files = _Files(world, model, found)
    wanted = tuple(patterns)
    with repository.blobs() as blobs:
        for commit, changes in repository.history():
            found.commits += 1
            for change in changes:
                name = _decoded(change.path)
                if name is None:
                    found.skipped += 1
                elif any(fnmatchcase(name, pattern) for pattern in wanted):
                    files.change(name, commit, change.blob, blobs)
    files.finish()
    return found


def _create_model(world: World) -> Model:
    model = world.create_model(world.account, "file", draft_mode=False)
    for api_key, field_type in FIELDS.items():
        world.create_field(world.account, model, api_key, field_type)
    return model


@dataclass(slots=True)
class _File:
    """A file as far as its history was read."""

    record_id: str
    blob: str | None = None
    """What it holds now; None: it is not there."""
    life: list[LoadedVersion] = field(default_factory=list)
    """The versions since it came, or came back."""
    latest: datetime | None = None
    """When something last happened to it."""


@dataclass(slots=True)
class _Files:
    """Collects versions file by file, and loads a file's into the world when its life is over, or all is read."""

    world: World
    model: Model
    found: GitHistory
    authors: dict[str, Editor] = field(default_factory=dict)
    files: dict[str, _File] = field(default_factory=dict)

    def change(self, path: str, commit: Commit, blob: str | None, blobs: Blobs) -> None:
        """*commit* gave the file at *path* the content *blob*, or (None) removed it."""
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = _File(_uuid(f"file:{path}"))
        if blob == file.blob:
            return  # a merge brought what its branch had brought already
        file.blob = blob
        at = min(max(commit.committed_at, file.latest or commit.committed_at), self.world.now())
        if blob is None:
            self._bury(file, at)
            return
        text = _decoded(blobs.read(blob))
        if text is None:
            self.found.skipped += 1
            return
        file.latest = at
        version_id = _uuid(f"version:{path}:{commit.hash}")
        file.life.append(LoadedVersion(_content(path, text, commit), self._author(commit), at, id=version_id))

    def finish(self) -> None:
        """Load what is still there, the files that changed last at the end, as if it had been acted out."""
        alive = [file for file in self.files.values() if file.life]
        for file in sorted(alive, key=lambda file: file.life[-1].created_at):
            self._load(file)
        self.found.records = sum(file.latest is not None for file in self.files.values())

    def _bury(self, file: _File, at: datetime) -> None:
        if file.life:
            self._load(file, deleted_at=at)
            file.latest = at
            self.found.deletions += 1

    def _load(self, file: _File, *, deleted_at: datetime | None = None) -> None:
        ends = [*(version.created_at for version in file.life[1:]), None]
        life = [
            LoadedVersion(past.content, past.editor, past.created_at, ((past.created_at, until),), past.id)
            for past, until in zip(file.life, ends, strict=True)
        ]
        self.world.created_at = self.world.primary.created_at = min(self.world.created_at, life[0].created_at)
        self.world.load(self.model, life, id=file.record_id, deleted_at=deleted_at)
        self.found.versions += len(life)
        file.life = []

    def _author(self, commit: Commit) -> Editor:
        """The author, known by the address: the name is the one that was used first."""
        key = commit.author_email.lower() or commit.author_name
        if key not in self.authors:
            number = 1_000_000 + int.from_bytes(hashlib.sha256(key.encode()).digest()[:5], "big")
            editor = Editor(
                EditorKind.USER, str(number), commit.author_name, commit.author_email, self.world.user.role_id
            )
            self.authors[key] = self.world.people.add(editor)
        return self.authors[key]


def _content(path: str, text: str, commit: Commit) -> Content:
    where = PurePosixPath(path)
    encoded = msgspec.json.encode(
        {
            "path": path,
            "name": where.name,
            "folder": "" if str(where.parent) == "." else str(where.parent),
            "text": text,
            "bytes": len(text.encode()),
            "commit": commit.hash,
            "subject": commit.subject,
            "authored_at": commit.authored_at,
            "committed_at": commit.committed_at,
        }
    )
    return _Packed(zlib.compress(encoded, 1)) if len(encoded) >= PACKED_FROM_BYTES else encoded


class _Packed(msgspec.Struct, frozen=True, gc=False):
    """A content that is unpacked whenever it is read."""

    packed: bytes

    def __call__(self) -> bytes:
        return zlib.decompress(self.packed)


def _decoded(text: bytes) -> str | None:
    """*text*, if it is UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _uuid(name: str) -> str:
    """The id that stands for *name*, always the same: a UUID of version 4 to whoever looks."""
    return encode(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))

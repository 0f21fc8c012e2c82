"""A project from the history of a Git repository, read with the program `git`.

A text file is a record. Each commit that changed it is a version, by the commit's author at the commit's time. The
model has no drafts, so each version was live until the next one: the intervals show what a file had on a given day.
Deletions delete; a file that comes back returns under its old id; a renamed one is another file.

Branches become one line: the commits in the order of `git log --topo-order`. If clocks went back along it, a version is
as late as the previous one; the commit's own times are in the content. Ids come from paths and hashes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec

from versionsync.errors import VersionsyncError
from versionsync.simulator.world.event_log import Content
from versionsync.simulator.world.ids import encode
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor, EditorKind
from versionsync.simulator.world.records import LoadedVersion
from versionsync.simulator.world.world import World

__all__ = ["PATTERNS", "Blobs", "Change", "Commit", "GitHistory", "Repository", "RepositoryUnreadable", "build_git"]

CHUNK_BYTES: Final = 256 * 1024
REGULAR_FILES: Final = frozenset({b"100644", b"100755"})
_FORMAT: Final = "%x00".join(("%H", "%an", "%ae", "%at", "%ct", "%s"))
_OTHER_REPOSITORY: Final = frozenset(
    {*("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")}
)
_FIELDS_AFTER_HASH: Final = 5


class RepositoryUnreadable(VersionsyncError):
    """There is no Git repository, or `git` cannot read it; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """A commit's change of the file at *path*: its new content *blob*; None: it is no regular file any more."""

    path: bytes
    blob: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    hash: str
    author_name: str
    author_email: str
    authored_at: datetime
    committed_at: datetime
    subject: str


class Repository:
    """The repository that contains *path*."""

    def __init__(self, path: Path) -> None:
        """Raise RepositoryUnreadable if there is none, or none with a commit."""
        self.path = path
        try:
            found = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except FileNotFoundError as error:
            missing = "the program `git` was not found: install Git" if path.exists() else f"{path} does not exist"
            raise RepositoryUnreadable(missing) from error
        except NotADirectoryError as error:
            raise RepositoryUnreadable(f"{path} is a file; name the folder of a Git repository") from error
        if found.returncode:
            message = found.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            raise RepositoryUnreadable(f"{path}: {message or 'the repository has no commit yet'}")

    def history(self) -> Iterator[tuple[Commit, list[Change]]]:
        """Yield the commits that lead to HEAD, each after its parents, with their changes.

        A merge has the differences from each of its parents, so that the last change of a path is its content at HEAD,
        with any number of branches.
        """
        command = (
            *("log", "HEAD", "--reverse", "--topo-order", "-m", "--root", "--raw", "--no-renames", "--no-abbrev", "-z"),
            *("--no-show-signature", "--no-notes", "--no-decorate", "--encoding=UTF-8", "--ignore-submodules=none"),
            f"--format={_FORMAT}",
        )
        commit: Commit | None = None
        changes: list[Change] = []
        with self._reading(*command) as output:
            tokens = _split_at_nul(output)
            for token in tokens:
                entry = token.lstrip(b"\n")
                if entry.startswith(b":"):
                    changes.append(_change(entry, next(tokens)))
                elif entry:
                    next_commit = _commit(entry, [next(tokens) for _ in range(_FIELDS_AFTER_HASH)])
                    # `git log -m` prints a merge once for each of its parents.
                    if commit is not None and next_commit.hash != commit.hash:
                        yield commit, changes
                        changes = []
                    commit = next_commit
        if commit is not None:
            yield commit, changes

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """Read contents of files while the block runs."""
        with self._start("cat-file", "--batch") as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("`git cat-file` was started without pipes")
            yield Blobs(process.stdin, process.stdout)

    def _command(self, *arguments: str) -> list[str]:
        return ["git", "--no-pager", "--no-replace-objects", *arguments]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603
            self._command(*arguments), cwd=self.path, env=_environment(), capture_output=True, check=False
        )

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(  # noqa: S603
            self._command(*arguments), cwd=self.path, env=_environment(), stdin=pipe, stdout=pipe
        )

    @contextmanager
    def _reading(self, *arguments: str) -> Iterator[IO[bytes]]:
        with self._start(*arguments) as process:
            if process.stdout is None:
                raise RuntimeError("`git` was started without a pipe")
            try:
                yield process.stdout
            except BaseException:  # nothing is read any more; git must not wait for it
                process.kill()
                raise
        if process.returncode:
            raise RepositoryUnreadable(f"{self.path}: `git {arguments[0]}` ended with code {process.returncode}")


class Blobs:
    """A running `git cat-file --batch`."""

    def __init__(self, requests: IO[bytes], responses: IO[bytes]) -> None:
        self._requests = requests
        self._responses = responses

    def read(self, blob: str) -> bytes:
        """Return the bytes of *blob*. Raise RepositoryUnreadable if the repository does not have it."""
        self._requests.write(blob.encode() + b"\n")
        self._requests.flush()
        header = self._responses.readline().split()
        if len(header) != 3:
            raise RepositoryUnreadable(f"the repository does not have the content {blob}: is it a partial clone?")
        content = self._responses.read(int(header[2]))
        self._responses.read(1)
        return content


def _split_at_nul(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := output.read(CHUNK_BYTES):
        *tokens, rest = (rest + chunk).split(b"\0")
        yield from tokens
    if rest:
        yield rest


def _commit(hash: bytes, fields: list[bytes]) -> Commit:
    name, email, authored, committed, subject = (field.decode("utf-8", "replace") for field in fields)
    authored_at, committed_at = (datetime.fromtimestamp(int(seconds), UTC) for seconds in (authored, committed))
    return Commit(hash.decode(), name, email, authored_at, committed_at, subject)


def _change(entry: bytes, path: bytes) -> Change:
    """*entry*: `:<old mode> <new mode> <old blob> <new blob> <status>`."""
    _, mode, _, blob, _ = entry.split(b" ")
    return Change(path, blob.decode() if mode in REGULAR_FILES else None)


def _environment() -> dict[str, str]:
    """Return the environment without the variables with which a Git hook names another repository."""
    return {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY} | {"LC_ALL": "C"}


PATTERNS: Final = ("*.md", "*.py")
MIN_COMPRESSED_BYTES: Final = 2048
"""Longer contents are compressed, so that a large history fits into memory."""
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
    """What was found in the repository."""

    model: Model = field(repr=False)
    commits: int = 0
    """All commits of the history, also those without these files."""
    records: int = 0
    """Files, with deleted ones."""
    versions: int = 0
    deletions: int = 0
    skipped: int = 0
    """Versions that were skipped because they, or the file's name, are not UTF-8."""


def build_git(world: World, path: Path | str, *, patterns: Iterable[str] = PATTERNS) -> GitHistory:
    """Load the history up to HEAD of the files that match *patterns*, from the repository at *path*.

    In a pattern `*` matches anything, also `/`. Raise RepositoryUnreadable.
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
    """A file up to the commit that was read last."""

    record_id: str
    blob: str | None = None
    """Its content; None: it does not exist."""
    versions: list[LoadedVersion] = field(default_factory=list)
    """The versions since it was created or returned."""
    latest: datetime | None = None
    """The time of its last change."""


@dataclass(slots=True)
class _Files:
    """Collects versions by file, and loads them into the world when the file is deleted, or at the end."""

    world: World
    model: Model
    found: GitHistory
    authors: dict[str, Editor] = field(default_factory=dict)
    files: dict[str, _File] = field(default_factory=dict)

    def change(self, path: str, commit: Commit, blob: str | None, blobs: Blobs) -> None:
        """Apply a change: *commit* gave the file at *path* the content *blob*, or (None) removed it."""
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = _File(_uuid(f"file:{path}"))
        if blob == file.blob:
            return  # a merge repeats a change of its branch
        file.blob = blob
        at = min(max(commit.committed_at, file.latest or commit.committed_at), self.world.now())
        if blob is None:
            self._delete(file, at)
            return
        text = _decoded(blobs.read(blob))
        if text is None:
            self.found.skipped += 1
            return
        file.latest = at
        version_id = _uuid(f"version:{path}:{commit.hash}")
        file.versions.append(LoadedVersion(_content(path, text, commit), self._author(commit), at, id=version_id))

    def finish(self) -> None:
        """Load the remaining files in the order of their last change, as if an editor had made the changes."""
        remaining = [file for file in self.files.values() if file.versions]
        for file in sorted(remaining, key=lambda file: file.versions[-1].created_at):
            self._load(file)
        self.found.records = sum(file.latest is not None for file in self.files.values())

    def _delete(self, file: _File, at: datetime) -> None:
        if file.versions:
            self._load(file, deleted_at=at)
            file.latest = at
            self.found.deletions += 1

    def _load(self, file: _File, *, deleted_at: datetime | None = None) -> None:
        ends = [*(version.created_at for version in file.versions[1:]), None]
        versions = [
            LoadedVersion(past.content, past.editor, past.created_at, ((past.created_at, until),), past.id)
            for past, until in zip(file.versions, ends, strict=True)
        ]
        self.world.created_at = self.world.primary.created_at = min(self.world.created_at, versions[0].created_at)
        self.world.load(self.model, versions, id=file.record_id, deleted_at=deleted_at)
        self.found.versions += len(versions)
        file.versions = []

    def _author(self, commit: Commit) -> Editor:
        """Return the author, identified by the address; the name is the first one that was used."""
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
    return _Compressed(zlib.compress(encoded, 1)) if len(encoded) >= MIN_COMPRESSED_BYTES else encoded


class _Compressed(msgspec.Struct, frozen=True, gc=False):
    """A content that is decompressed on each read."""

    compressed: bytes

    def __call__(self) -> bytes:
        return zlib.decompress(self.compressed)


def _decoded(text: bytes) -> str | None:
    """Return *text* decoded, or None if it is not UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _uuid(name: str) -> str:
    """Return the id for *name*, always the same: it has the form of a UUID of version 4."""
    return encode(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))

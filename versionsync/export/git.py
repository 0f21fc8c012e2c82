"""The history as a Git repository: one commit for each version, with its author and its time.

Commits come in the order of events, so a repository only grows: the next export adds the events after those it has.
Nothing in a commit depends on the machine, its settings or the time of the export. Two exports of one mirror have the
same ids.

How far a repository is follows from itself: each commit stands for one event, so their number says which one is next.
`git fast-import` moves the branch after the objects are written: an export that is killed adds whole commits or none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import Connection, func, select

from versionsync.export.errors import ExportError
from versionsync.export.git_files import Content, RecordFiles, files_of, record_of_path
from versionsync.history.schema_at import SchemaHistory
from versionsync.ledger.events import EventType
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.schema import editors, events, models, version_rewrites, versions
from versionsync.mirror.tables.events import OF_RECORD
from versionsync.mirror.tables.sources import SourceRow

__all__ = ["GitExported", "export_git"]

PROGRAM: Final = "versionsync"
NOT_KNOWN: Final = f"{PROGRAM} <{PROGRAM}@{PROGRAM}.invalid>"
CONTENT_EVENTS: Final = (EventType.VERSION_CREATED, EventType.VERSION_REWRITTEN)
COMMITTED: Final = (*CONTENT_EVENTS, EventType.RECORD_DELETED, EventType.RECORD_RETURNED)
"""The events that a commit stands for."""
EVENTS_AT_ONCE: Final = 200
COMMITS_A_CHECKPOINT: Final = 20_000
"""An export that is killed loses no more than these."""
_NOT_IN_BRANCH: Final = re.compile(r"[^A-Za-z0-9_-]")
_IN_NAME: Final = re.compile(r"[<>\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitExported:
    """What an export added to a repository.

    Attributes:
        source: The name of the source.
        branch: Its branch.
        commits: How many commits were added.
        head: The id of the newest commit. None: there is none.
    """

    source: str
    branch: str
    commits: int
    head: str | None


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    type: str
    record_id: str
    version_id: str | None
    model_id: str
    occurred_at: datetime


def export_git(mirror: Mirror, source: SourceRow, folder: Path) -> GitExported:
    """Add the new versions of a source to its branch of a repository.

    Args:
        mirror: The database.
        source: The source. Its branch has its name.
        folder: A repository, or an empty folder: it becomes a bare one.

    Raises:
        ExportError: Git is not installed, or the folder holds something else.
    """
    repository = _Repository.opened(folder, _NOT_IN_BRANCH.sub("-", source.name))
    with mirror.read() as connection:
        return _Export(connection, source, repository).run()


class _Repository:
    """A Git repository, used without anyone's settings."""

    def __init__(self, program: str, folder: Path, branch: str) -> None:
        self._program = program
        self._folder = folder
        self.branch = branch
        self.ref = f"refs/heads/{branch}"

    @classmethod
    def opened(cls, folder: Path, branch: str) -> _Repository:
        program = shutil.which("git")
        if program is None:
            raise ExportError("an export as Git needs the program `git`, which is not installed")
        repository = cls(program, folder, branch)
        if not (folder / ".git").exists() and not (folder / "HEAD").exists():
            if folder.exists() and any(folder.iterdir()):
                raise ExportError(f"{folder} is neither empty nor a Git repository: choose another folder")
            folder.mkdir(parents=True, exist_ok=True)
            repository.run("init", "--quiet", "--bare", ".")
            repository.run("symbolic-ref", "HEAD", repository.ref)
        return repository

    def command(self, *words: str) -> list[str]:
        # Git would look for a repository in the folders above, too.
        inside = self._folder / ".git"
        where = [] if words[0] == "init" else [f"--git-dir={inside if inside.exists() else self._folder}"]
        return [self._program, *where, *words]

    @property
    def environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return mine | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_DEFAULT_HASH": "sha1"}

    def run(self, *words: str) -> str:
        """Return what a command of Git writes. Raises ExportError with what it says."""
        cwd = self._folder if words[0] == "init" else None
        ran = subprocess.run(  # noqa: S603 - the words are ours
            self.command(*words), cwd=cwd, env=self.environment, capture_output=True, check=False
        )
        if ran.returncode:
            raise ExportError(f"git {words[0]} failed: {ran.stderr.decode(errors='replace').strip()}")
        return ran.stdout.decode(errors="surrogateescape")

    def head(self) -> str | None:
        """Return the id of the newest commit of the branch."""
        return self.run("for-each-ref", "--format=%(objectname)", self.ref).strip() or None

    @contextmanager
    def importing(self) -> Iterator[IO[bytes]]:
        """Open a stream of commits. They become part of the branch when it ends without an error."""
        words = self.command("fast-import", "--quiet", "--done", "--date-format=raw")
        with subprocess.Popen(  # noqa: S603 - the words are ours
            words, env=self.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            try:
                yield process.stdin
                process.stdin.write(b"done\n")
                process.stdin.close()
            except BrokenPipeError:  # Git says why
                with suppress(BrokenPipeError):
                    process.stdin.close()
            except BaseException:
                process.kill()
                raise
            said = process.stderr.read().decode(errors="replace").strip()
            if process.wait():
                raise ExportError(f"git fast-import failed: {said}")


class _Export:
    """One export of one source, from one snapshot."""

    def __init__(self, connection: Connection, source: SourceRow, repository: _Repository) -> None:
        self._connection = connection
        self._source = source
        self._repository = repository
        self._schemas = SchemaHistory.load(connection, source.id)
        keys = connection.execute(select(models.c.id, models.c.api_key).where(models.c.source_id == source.id))
        self._model_keys = {id: key or id for id, key in keys}
        self._authors = _authors(connection, source.id)
        self._files = RecordFiles()

    def run(self) -> GitExported:
        """Add the commits."""
        head = self._repository.head()
        after = 0 if head is None else self._last_event(head)
        commits = 0
        chunk = self._events(after)
        if chunk:
            if head is not None:
                self._load_files()
            with self._repository.importing() as stream:
                while chunk:
                    for event, content in self._contents(chunk):
                        self._commit(stream.write, event, content, parent=head if commits == 0 else None)
                        commits += 1
                        if commits % COMMITS_A_CHECKPOINT == 0:
                            stream.write(b"checkpoint\n\n")
                    chunk = self._events(chunk[-1].id)
        return GitExported(
            source=self._source.name,
            branch=self._repository.branch,
            commits=commits,
            head=self._repository.head() if commits else head,
        )

    def _last_event(self, head: str) -> int:
        """Return the id of the event that the newest commit stands for. Raises ExportError if it does not."""
        count = int(self._repository.run("rev-list", "--count", head))
        said = self._repository.run("show", "--no-patch", "--format=%(trailers:only,unfold)", head)
        query = _COMMITTED.where(events.c.source_id == self._source.id).order_by(events.c.id)
        row = self._connection.execute(query.offset(count - 1).limit(1)).one_or_none()
        if (
            row is None
            or f"Record-Id: {row.record_id}\n" not in said
            or (row.version_id is not None and f"Version-Id: {row.version_id}\n" not in said)
        ):
            raise ExportError(
                f"the branch {self._repository.branch} does not end with version {count} of this mirror: "
                "it has other commits, or is the export of another database",
                hint="Choose another folder, and leave the branch to exports.",
            )
        return int(row.id)

    def _load_files(self) -> None:
        listed = self._repository.run("ls-tree", "-r", "-z", "--name-only", self._repository.ref)
        for path in listed.split("\0"):
            if path:
                self._files.add(record_of_path(path), path)

    def _events(self, after: int) -> list[_Event]:
        query = _COMMITTED.where(events.c.source_id == self._source.id, events.c.id > after)
        rows = self._connection.execute(query.order_by(events.c.id).limit(EVENTS_AT_ONCE))
        return [_Event(*row) for row in rows]

    def _contents(self, chunk: Sequence[_Event]) -> Iterator[tuple[_Event, Content | None]]:
        """Yield each event with the content that its record had then. None: the record has no version yet."""
        wanted = [event for event in chunk if event.type in CONTENT_EVENTS]
        contents = _contents_at(self._connection, self._source.id, wanted)
        for event in chunk:
            content = contents.get(event.id)
            if content is None and (last := self._last_content_event(event)) is not None:
                content = _contents_at(self._connection, self._source.id, [last]).get(last.id)
            yield event, content

    def _last_content_event(self, event: _Event) -> _Event | None:
        query = _EVENT.where(
            events.c.source_id == self._source.id,
            events.c.record_id == event.record_id,
            events.c.type.in_(CONTENT_EVENTS),
            events.c.id < event.id,
        ).with_hint(events, OF_RECORD, "sqlite")
        row = self._connection.execute(query.order_by(events.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else _Event(*row)

    def _commit(
        self, write: Callable[[bytes], object], event: _Event, content: Content | None, *, parent: str | None
    ) -> None:
        """Write one commit."""
        is_deletion = event.type == EventType.RECORD_DELETED
        is_version = event.type in CONTENT_EVENTS
        model = self._model_keys.get(event.model_id, event.model_id)
        state = self._schemas.at(event.id)
        made = (
            None
            if content is None
            else files_of(content, event.record_id, event.model_id, model, state, self._source.project.locales)
        )
        time = content.created_at if is_version and content is not None else event.occurred_at
        author = self._authors.get((content.editor_type, content.editor_id)) if is_version and content else None
        title = (made.title if made else None) or event.record_id
        note = "" if event.type == EventType.VERSION_CREATED else f" ({event.type.partition('.')[2]})"
        trailers = [
            *([f"Version-Id: {event.version_id}"] if event.version_id is not None else []),
            f"Record-Id: {event.record_id}",
            f"Model: {model}",
            f"Source: {self._source.name}",
        ]
        message = f"{model}: {title}{note}\n\n{chr(10).join(trailers)}\n".encode(errors="replace")
        when = f"{max(0, int(time.astimezone(UTC).timestamp()))} +0000"
        write(f"commit {self._repository.ref}\nauthor {author or NOT_KNOWN} {when}\n".encode(errors="replace"))
        write(f"committer {NOT_KNOWN} {when}\ndata {len(message)}\n".encode() + message + b"\n")
        if parent is not None:
            write(f"from {parent}\n".encode())
        files = {} if is_deletion or made is None else made.files
        for path in self._files.replaced(event.record_id, files):
            write(f"D {path}\n".encode())
        for path, text in files.items():
            write(f"M 100644 inline {path}\ndata {len(text)}\n".encode() + text + b"\n")
        write(b"\n")


_EVENT: Final[Any] = select(*(events.c[name] for name in field_names(_Event)))
_COMMITTED: Final[Any] = _EVENT.where(
    events.c.type.in_([str(type) for type in COMMITTED]), events.c.record_id.is_not(None)
).with_hint(events, "INDEXED BY events_in_order", "sqlite")


def _authors(connection: Connection, source_id: int) -> dict[tuple[str | None, str | None], str]:
    query = select(editors.c.type, editors.c.id, editors.c.name, editors.c.email)
    found: dict[tuple[str | None, str | None], str] = {}
    for type, id, name, email in connection.execute(query.where(editors.c.source_id == source_id)):
        shown = _IN_NAME.sub(" ", name or email or f"{type} {id}").strip() or f"{type} {id}"
        address = _IN_NAME.sub("", email or f"{id}@{type}.invalid").strip()
        found[type, id] = f"{shown} <{address}>"
    return found


def _contents_at(connection: Connection, source_id: int, wanted: Sequence[_Event]) -> dict[int, Content]:
    """Return the content that came with each of these events, by the event's id.

    A version that was rewritten had other contents before. The first came with its creation, the others with its
    rewrites.
    """
    found: dict[str, list[Content]] = {}
    for chunk in chunked({event.version_id for event in wanted if event.version_id is not None}):
        columns = ("created_at", "editor_type", "editor_id", "attributes", "attributes_exact")
        former = select(version_rewrites.c.version_id, *(version_rewrites.c[name] for name in columns)).where(
            version_rewrites.c.source_id == source_id, version_rewrites.c.version_id.in_(chunk)
        )
        for row in connection.execute(former.order_by(version_rewrites.c.version_id, version_rewrites.c.observed_at)):
            found.setdefault(row[0], []).append(Content.of(*row))
        now = select(versions.c.id, *(versions.c[name] for name in columns)).where(
            versions.c.source_id == source_id, versions.c.id.in_(chunk)
        )
        for row in connection.execute(now):
            found.setdefault(row[0], []).append(Content.of(*row))
    contents = {}
    for event in wanted:
        of_version = found.get(event.version_id or "", [])
        if of_version:
            place = 0 if len(of_version) == 1 else _rewrites_up_to(connection, source_id, event)
            contents[event.id] = of_version[min(place, len(of_version) - 1)]
    return contents


def _rewrites_up_to(connection: Connection, source_id: int, event: _Event) -> int:
    query = select(func.count()).select_from(events).with_hint(events, OF_RECORD, "sqlite")
    query = query.where(
        events.c.source_id == source_id,
        events.c.record_id == event.record_id,
        events.c.version_id == event.version_id,
        events.c.type == EventType.VERSION_REWRITTEN,
        events.c.id <= event.id,
    )
    return connection.scalar(query) or 0

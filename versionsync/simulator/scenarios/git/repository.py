"""Reading a Git repository by way of the `git` program: its commits with what each changed, and the bytes of files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from versionsync.errors import VersionsyncError

__all__ = ["Blobs", "Change", "Commit", "Repository", "RepositoryUnreadable"]

CHUNK_BYTES: Final = 256 * 1024
REGULAR_FILES: Final = frozenset({b"100644", b"100755"})
_FORMAT: Final = "%x00".join(("%H", "%an", "%ae", "%at", "%ct", "%s"))
_ELSEWHERE: Final = frozenset(
    {*("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")}
)
_FIELDS_AFTER_HASH: Final = 5


class RepositoryUnreadable(VersionsyncError):
    """There is no Git repository, or `git` cannot read it; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to the file at *path*: it has the content *blob* now, or (None) is no regular file any more."""

    path: bytes
    blob: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: who wrote it, and when it was written and committed."""

    hash: str
    author_name: str
    author_email: str
    authored_at: datetime
    committed_at: datetime
    subject: str


class Repository:
    """The repository that *path* lies in."""

    def __init__(self, path: Path) -> None:
        """Raises RepositoryUnreadable when there is none, or none with a commit."""
        self.path = path
        try:
            found = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except FileNotFoundError as error:
            missing = "the program `git` was not found: install Git" if path.exists() else f"{path} does not exist"
            raise RepositoryUnreadable(missing) from error
        except NotADirectoryError as error:
            raise RepositoryUnreadable(f"{path} is a file; name the folder of a Git repository") from error
        if found.returncode:
            said = found.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            raise RepositoryUnreadable(f"{path}: {said or 'the repository has no commit yet'}")

    def history(self) -> Iterator[tuple[Commit, list[Change]]]:
        """The commits that lead to HEAD, each after its parents, with what each changed.

        A merge is told as it differs from each of its parents, so that the last change told of any path is its content
        at HEAD, however many branches there were.
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
                    told = _commit(entry, [next(tokens) for _ in range(_FIELDS_AFTER_HASH)])
                    # A merge is told once for each of its parents.
                    if commit is not None and told.hash != commit.hash:
                        yield commit, changes
                        changes = []
                    commit = told
        if commit is not None:
            yield commit, changes

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """The contents of files, as long as the block runs."""
        with subprocess.Popen(  # noqa: S603
            self._command("cat-file", "--batch"),
            cwd=self.path,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("`git cat-file` was started without pipes")
            yield Blobs(process.stdin, process.stdout)

    def _command(self, *arguments: str) -> list[str]:
        return ["git", "--no-pager", "--no-replace-objects", *arguments]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603
            self._command(*arguments), cwd=self.path, env=_environment(), capture_output=True, check=False
        )

    @contextmanager
    def _reading(self, *arguments: str) -> Iterator[IO[bytes]]:
        with subprocess.Popen(  # noqa: S603
            self._command(*arguments), cwd=self.path, env=_environment(), stdout=subprocess.PIPE
        ) as process:
            if process.stdout is None:
                raise RuntimeError("`git` was started without a pipe")
            try:
                yield process.stdout
            except BaseException:  # whoever reads has had enough; git must not wait for them
                process.kill()
                raise
        if process.returncode:
            raise RepositoryUnreadable(f"{self.path}: `git {arguments[0]}` ended with code {process.returncode}")


class Blobs:
    """A conversation with one `git cat-file --batch`."""

    def __init__(self, questions: IO[bytes], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers

    def read(self, blob: str) -> bytes:
        """The bytes of *blob*. Raises RepositoryUnreadable when the repository does not hold it."""
        self._questions.write(blob.encode() + b"\n")
        self._questions.flush()
        header = self._answers.readline().split()
        if len(header) != 3:
            raise RepositoryUnreadable(f"the repository does not hold the content {blob}: is it a partial clone?")
        content = self._answers.read(int(header[2]))
        self._answers.read(1)
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
    return Commit(
        hash.decode(),
        name,
        email,
        datetime.fromtimestamp(int(authored), UTC),
        datetime.fromtimestamp(int(committed), UTC),
        subject,
    )


def _change(entry: bytes, path: bytes) -> Change:
    """*entry*: `:<old mode> <new mode> <old blob> <new blob> <status>`."""
    _, mode, _, blob, _ = entry.split(b" ")
    return Change(path, blob.decode() if mode in REGULAR_FILES else None)


def _environment() -> dict[str, str]:
    """Ours, without what a Git hook would have us look at instead."""
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE} | {"LC_ALL": "C"}

"""Lists that may not fit in memory: they stay there while small, and move to a temporary file when they grow.

The records to pull, and the contents of one record's versions, can each have any size. If the disk is full,
DatabaseUnavailable is raised.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Self

import msgspec

from versionsync.ledger.ids import VersionId
from versionsync.ledger.records import KnownRecord, SeenRecord
from versionsync.mirror.errors import DatabaseUnavailable

__all__ = ["ContentSpool", "PullTask", "TaskSpool"]

TASKS_IN_MEMORY_BYTES = 4 * 1024 * 1024
CONTENTS_IN_MEMORY_BYTES = 1024 * 1024
_LENGTH_BYTES = 4


class PullTask(msgspec.Struct, frozen=True, array_like=True):
    """One record whose versions should be read: as the sweep saw it, and as the mirror holds it.

    `to_the_end`: read the whole history, whatever the mirror holds.
    """

    record: SeenRecord
    known: KnownRecord | None
    to_the_end: bool = False


class TaskSpool:
    """The pull tasks of a sweep, in the order in which they were added."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=TASKS_IN_MEMORY_BYTES)  # noqa: SIM115 closed by __exit__
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(PullTask)
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _discard(self._file)

    def add(self, task: PullTask) -> None:
        encoded = self._encoder.encode(task)
        with _on_disk(self._file):
            self._file.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
        self.count += 1

    def clear(self) -> None:
        """Remove all tasks: the sweep starts again."""
        with _on_disk(self._file):
            self._file.seek(0)
            self._file.truncate()
        self.count = 0

    def __iter__(self) -> Iterator[PullTask]:
        """Yield every task once. Nothing may be added meanwhile."""
        with _on_disk(self._file):
            self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            yield self._decoder.decode(self._file.read(int.from_bytes(length, "big")))


class ContentSpool(Mapping[VersionId, bytes]):
    """The contents of one record's versions by id.

    `close` frees the memory and the file. The file is closed automatically with a spool without references, as when a
    run is stopped with records in its queue.
    """

    def __init__(self) -> None:
        self.size = 0
        """How many bytes were added."""
        self._contents: dict[VersionId, bytes] = {}
        self._file: IO[bytes] | None = None
        self._ranges: dict[VersionId, tuple[int, int]] = {}

    def add(self, id: VersionId, content: bytes) -> None:
        """Store `content`. A second one with the same id replaces the first."""
        if self._file is None and self.size + len(content) > CONTENTS_IN_MEMORY_BYTES:
            self._file = self._moved_to_disk()
        self.size += len(content)
        if self._file is None:
            self._contents[id] = content
        else:
            self._append(self._file, id, content)

    def close(self) -> None:
        """Free the memory, and the file if there is one."""
        self._contents.clear()
        self._ranges.clear()
        if self._file is not None:
            _discard(self._file)

    def __getitem__(self, id: VersionId) -> bytes:
        if self._file is None:
            return self._contents[id]
        start, length = self._ranges[id]
        with _on_disk(self._file):
            self._file.seek(start)
            return self._file.read(length)

    def _moved_to_disk(self) -> IO[bytes]:
        """Move what is in memory to a temporary file, and return the file."""
        with _on_disk():
            file = tempfile.TemporaryFile()  # noqa: SIM115 see close
        weakref.finalize(self, _discard, file)
        for id, content in self._contents.items():
            self._append(file, id, content)
        self._contents.clear()
        return file

    def _append(self, file: IO[bytes], id: VersionId, content: bytes) -> None:
        with _on_disk(file):
            start = file.seek(0, os.SEEK_END)
            file.write(content)
        self._ranges[id] = (start, len(content))

    def __iter__(self) -> Iterator[VersionId]:
        return iter(self._ranges if self._file is not None else self._contents)

    def __len__(self) -> int:
        return len(self._ranges if self._file is not None else self._contents)


@contextmanager
def _on_disk(file: IO[bytes] | None = None) -> Iterator[None]:
    """Report a full disk as DatabaseUnavailable, and discard what the file still holds in memory."""
    try:
        yield
    except OSError as error:
        if file is not None:
            _discard(file)
        raise DatabaseUnavailable(
            f"there is no room for temporary files in {tempfile.gettempdir()} ({error.strerror}): "
            "free some space there, or name another folder in TMPDIR, then run this again"
        ) from error


def _discard(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing writes what is buffered, which is not needed any more
        file.close()

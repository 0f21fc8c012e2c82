"""systemd's journal: log lines with fields, so that `journalctl VERSIONSYNC_SOURCE=website` shows one source.

An entry is one datagram of fields (https://systemd.io/JOURNAL_NATIVE_PROTOCOL). A library for these few lines would
need compiled code.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["Journal", "entry", "is_journal"]

ADDRESS: Final = "/run/systemd/journal/socket"
STDERR: Final = 2
FIELDS: Final = ("event", "source", "run", "record")
"""The fields to search for, besides the priority: `VERSIONSYNC_EVENT` and so on."""
PRIORITIES: Final[Mapping[str, int]] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Journal:
    """Writes entries. If the journal refuses one, it goes to standard error, which also leads to the journal."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address

    def msg(self, text: str, event: Mapping[str, Any]) -> None:
        """Write the line `text` with the fields of `event`."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as journal:
                journal.sendto(entry(text, event), self._address)
        except OSError:  # none listens, or the entry is too large for a datagram
            # There, one line is one entry, with its priority before it.
            marked = f"<{_priority(event)}>"
            sys.stderr.write("".join(f"{marked}{line}\n" for line in text.splitlines()))
            sys.stderr.flush()

    log = debug = info = warning = warn = error = critical = fatal = failure = exception = msg


def is_journal(environ: Mapping[str, str]) -> bool:
    """Return whether standard error leads to the journal, and not only that of the parent process."""
    try:
        device, inode = (int(number) for number in environ.get("JOURNAL_STREAM", "").split(":"))
        status = os.fstat(STDERR)
    except (ValueError, OSError):
        return False
    return (status.st_dev, status.st_ino) == (device, inode)


def entry(text: str, event: Mapping[str, Any]) -> bytes:
    """Return the datagram of a line and its fields."""
    return b"".join(_field(name, value) for name, value in _fields(text, event))


def _fields(text: str, event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", text
    yield "PRIORITY", str(_priority(event))
    yield "SYSLOG_IDENTIFIER", "versionsync"
    for name in FIELDS:
        if (value := event.get(name)) is not None:
            yield f"VERSIONSYNC_{name.upper()}", str(value)


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def _priority(event: Mapping[str, Any]) -> int:
    return PRIORITIES.get(str(event.get("level")), PRIORITIES["info"])

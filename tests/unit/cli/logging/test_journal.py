"""Where standard error is systemd's journal, a line comes with the fields that it can be found by."""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.contextvars import bound_contextvars

from tests.fixtures.datagrams import datagrams
from versionsync.cli.logging import journal as journals
from versionsync.cli.logging.journal import Journal, is_journal
from versionsync.cli.logging.setup import make_log
from versionsync.redaction import Redactor

Heard = dict[str, str]


def parsed(datagram: bytes) -> Heard:
    """The fields, read as journald does."""
    fields: Heard = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest.startswith(b"\n")
            rest = rest[1:]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end."""
    with datagrams(tmp_path / "journal") as listening:
        yield listening


def log_to(journal: Journal) -> logging.Logger:
    """A log that goes there, and knows a secret."""
    redactor = Redactor()
    redactor.learn("hunter22")
    log: logging.Logger = make_log(level=logging.INFO, as_json=True, color=False, redactor=redactor, journal=journal)  # type: ignore[assignment]
    return log


def heard(journald: socket.socket) -> Heard:
    """The next entry."""
    return parsed(journald.recv(1 << 20))


def test_a_line_has_the_fields_it_is_found_by(journald: socket.socket) -> None:
    """In namespaced names, with its priority; and reads well as it is."""
    log = log_to(Journal(journald.getsockname()))
    with bound_contextvars(source="website", run=7, record="r1"):
        log.warning("pull.failed", why="no such page", status=404)  # type: ignore[call-arg]
    assert heard(journald) == {
        "MESSAGE": 'pull.failed source=website run=7 record=r1 why="no such page" status=404',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "versionsync",
        "VERSIONSYNC_EVENT": "pull.failed",
        "VERSIONSYNC_SOURCE": "website",
        "VERSIONSYNC_RUN": "7",
        "VERSIONSYNC_RECORD": "r1",
    }


def test_what_a_line_is_not_about_is_no_field(journald: socket.socket) -> None:
    log_to(Journal(journald.getsockname())).info("daemon.started")
    assert heard(journald) == {
        "MESSAGE": "daemon.started",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "versionsync",
        "VERSIONSYNC_EVENT": "daemon.started",
    }


def test_a_traceback_is_one_entry(journald: socket.socket) -> None:
    """Of several lines, without any secret."""
    try:
        raise ValueError("hunter22")
    except ValueError:
        log_to(Journal(journald.getsockname())).exception("run.failed")
    said = heard(journald)
    assert said["MESSAGE"].startswith("run.failed\n    Traceback")
    assert said["MESSAGE"].endswith("ValueError: ********")
    assert said["PRIORITY"] == "3"


def test_where_no_journal_listens_standard_error_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line with its priority, as the journal reads it there."""
    log = log_to(Journal(str(tmp_path / "nothing")))
    log.info("daemon.started")
    try:
        raise ValueError("x")
    except ValueError:
        log.exception("run.failed")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "<6>daemon.started"
    assert lines[1] == "<3>run.failed"
    assert lines[-1] == "<3>    ValueError: x"
    assert all(line.startswith("<3>") for line in lines[1:])


def test_one_that_comes_back_is_heard_again(journald: socket.socket, tmp_path: Path) -> None:
    """journald may be restarted: its socket is another one then."""
    journal = Journal(str(tmp_path / "journal"))
    log_to(journal).info("first")
    assert heard(journald)["MESSAGE"] == "first"
    journald.close()
    (tmp_path / "journal").unlink()
    log_to(journal).info("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(tmp_path / "journal"))
        again.settimeout(60)
        log_to(journal).info("second")
        assert heard(again)["MESSAGE"] == "second"


def test_what_is_too_large_for_a_datagram_is_written_all_the_same(
    journald: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to(Journal(journald.getsockname())).info("x" * 4_000_000)
    assert len(capsys.readouterr().err) > 4_000_000


def test_the_journal_is_known_by_where_standard_error_leads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not by the variable alone: a program that a service starts inherits that, and may write elsewhere."""
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setattr(journals, "STDERR", stream.fileno())
        assert is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
    assert not any(is_journal({"JOURNAL_STREAM": text}) for text in ("", "x", "1:2:3", "1"))
    assert not is_journal({})

"""The log: JSON for machines, lines for people, and never a secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from structlog.contextvars import bound_contextvars

from versionsync.cli.logging import setup as logs
from versionsync.cli.logging.setup import make_log
from versionsync.redaction import Redactor


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.learn("hunter22")
    return redactor


def test_json_lines_keep_values_and_lose_secrets(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(level=logging.INFO, as_json=True, color=False, redactor=redactor)
    log.bind(source="web").warning("pull.failed", count=3, why="no hunter22", nested={"url": ["x://me:pw1@db"]})
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == ""
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "pull.failed",
        "level": "warning",
        "source": "web",
        "count": 3,
        "why": "no ********",
        "nested": {"url": ["x://me:********@db"]},
    }


def test_a_traceback_in_the_log_has_no_secret(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(level=logging.INFO, as_json=True, color=False, redactor=redactor)
    try:
        raise ValueError("hunter22")
    except ValueError:
        log.exception("run.failed")
    err = capsys.readouterr().err
    assert "hunter22" not in err
    assert "ValueError: ********" in err


def test_lines_for_people_are_short(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(level=logging.INFO, as_json=False, color=False, redactor=redactor)
    log.info("run.finished", versions=6, token="hunter22")
    assert capsys.readouterr().err.split(maxsplit=1)[1] == "[info] run.finished versions=6 token=********\n"


def test_lines_for_people_leave_out_what_there_is_none_of(
    redactor: Redactor, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal most runs find nothing; a program still reads every count."""
    facts = {"requests": 1, "records_failed": 0, "status": None, "is_late": False}
    make_log(level=logging.INFO, as_json=False, color=False, redactor=redactor).info("run.finished", **facts)
    assert capsys.readouterr().err.rstrip().endswith("[info] run.finished requests=1 is_late=False")
    make_log(level=logging.INFO, as_json=True, color=False, redactor=redactor).info("run.finished", **facts)
    assert json.loads(capsys.readouterr().err).items() >= facts.items()


def test_a_line_for_people_is_one_line_and_moves_no_cursor(
    redactor: Redactor, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came from upstream, in values and in a traceback, looks like no other line of the log."""
    hostile = "\x1b[2J\x9b1m\u202ex\n12:00:00 [info] run.finished"
    log = make_log(level=logging.INFO, as_json=False, color=False, redactor=redactor)
    log.bind(source=hostile).warning(f"run.failed {hostile}", reason=hostile, word="\x1b[31mx", nested={"a": [hostile]})
    try:
        raise ValueError(hostile)
    except ValueError:
        log.exception("run.failed")
    err = capsys.readouterr().err
    assert not [char for char in err if char != "\n" and not char.isprintable()]
    first, second, *trace = err.splitlines()
    assert first.count("run.finished") == 4
    assert second.endswith("run.failed")
    assert all(line.startswith("    ") for line in trace if line)
    assert "run.finished" in trace[-1]


def test_what_is_below_the_level_is_not_written(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    make_log(level=logging.WARNING, as_json=True, color=False, redactor=redactor).info("run.started")
    assert capsys.readouterr().err == ""


def test_what_a_line_is_about_comes_first(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    """The source, its run, the record: also where the line itself does not say it."""
    log = make_log(level=logging.INFO, as_json=True, color=False, redactor=redactor)
    with bound_contextvars(record="r1", run=7, source="web"):
        log.info("request.failed", status=500)
    log.info("daemon.stopped")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert list(inside) == ["time", "level", "event", "source", "run", "record", "status"]
    assert (inside["source"], inside["run"], inside["record"]) == ("web", 7, "r1")
    assert list(outside) == ["time", "level", "event"]


LIBRARIES = """
import logging, sys
from versionsync.cli.logging.setup import capture_library_logs, make_log
from versionsync.redaction import Redactor
redactor = Redactor()
redactor.learn("hunter22")
capture_library_logs(make_log(level={level}, as_json=True, color=False, redactor=redactor), level={level})
logging.getLogger("apscheduler.executors.default").error("a job that was cancelled")
logging.getLogger("httpx").info("GET /items")
logging.getLogger("sqlalchemy.engine").debug("INSERT ...")
logging.getLogger("aiohttp.client").warning("a warning about %s", "hunter22")
logging.getLogger("aiohttp.server").error("an error about %s", "hunter22")
"""
WARNED = ("debug", "library.warning", "aiohttp.client", "a warning about ********")
FAILED = ("error", "library.failed", "aiohttp.server", "an error about ********")


def test_what_a_library_repeats_is_shown_once_a_minute_with_a_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text may have other numbers in it each time; another error is shown at once."""
    clock = [1000.0]
    monkeypatch.setattr("versionsync.cli.logging.setup.time.monotonic", lambda: clock[0])
    handler = logs._Libraries(make_log(level=logging.INFO, as_json=True, color=False, redactor=Redactor()))

    def fail(text: str, *arguments: object) -> None:
        handler.emit(logging.LogRecord("asyncio", logging.ERROR, "", 0, text, arguments, None))

    for number in range(1000):
        fail(f"socket.accept() out of system resource\nsocket: <fd={number}>")
        fail("an error about %s", number)
    clock[0] += 61
    fail("an error about %s", 7)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["said"].partition("\n")[0], line.get("not_shown")) for line in lines] == [
        ("socket.accept() out of system resource", None),
        ("an error about 0", None),
        ("an error about 7", 999),
    ]


@pytest.mark.parametrize(
    ("level", "heard"), [(logging.WARNING, []), (logging.INFO, [FAILED]), (logging.DEBUG, [WARNED, FAILED])]
)
def test_of_libraries_errors_are_heard_and_never_a_secret(level: int, heard: list[tuple[str, ...]]) -> None:
    """Not even in debugging what would have content or headers in it."""
    run = subprocess.run([sys.executable, "-c", LIBRARIES.format(level=level)], capture_output=True, check=True)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [(line["level"], line["event"], line["library"], line["said"]) for line in lines] == heard

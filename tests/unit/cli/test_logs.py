"""The log: JSON for machines, lines for people, and never a secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from versionsync.cli.logs import make_log
from versionsync.cli.redaction import Redactor


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


def test_what_is_below_the_level_is_not_written(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    make_log(level=logging.WARNING, as_json=True, color=False, redactor=redactor).info("run.started")
    assert capsys.readouterr().err == ""


LIBRARIES = """
import asyncio, logging, sys, warnings
from versionsync.cli.logs import quiet_libraries
quiet_libraries({level})
logging.getLogger("asyncio").error("noise")
"""


@pytest.mark.parametrize(("level", "heard"), [(logging.WARNING, False), (logging.DEBUG, True)])
def test_libraries_are_heard_in_debugging_alone(level: int, heard: bool) -> None:
    run = subprocess.run([sys.executable, "-c", LIBRARIES.format(level=level)], capture_output=True, check=True)
    assert (b"noise" in run.stderr) is heard

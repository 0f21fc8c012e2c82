"""Clients as the settings describe them: one governor a token, warnings only where upstream goes on failing."""

from __future__ import annotations

import json
import logging

import pytest

from versionsync import cma
from versionsync.cli.logging.setup import make_log
from versionsync.config import MassDeleteSettings, Secret, SourceSettings
from versionsync.redaction import Redactor
from versionsync.wiring.clients import _RequestLog, rate_limiter_of
from versionsync.wiring.sync_all import SourceJob, _rate_limiters, source_spec

FAILED = cma.Exchange(method="GET", path="/site", status=500, seconds=0.1, bytes=10, failure="server")
THROTTLED = cma.Exchange(method="GET", path="/site", status=429, seconds=0.1, bytes=10, failure="throttled")
FINISHED = cma.Exchange(method="GET", path="/site", status=200, seconds=0.1, bytes=10)


async def test_of_several_limits_the_lowest_holds() -> None:
    assert rate_limiter_of([30, None, "none", 50]).limit == 30
    assert rate_limiter_of([None, "none"]).limit == 60
    assert rate_limiter_of(["none"]).limit is None


async def test_sources_of_one_token_share_its_governor_and_others_do_not() -> None:
    works = [
        SourceJob(SourceSettings(name=name, rate_limit=limit), Secret(token))
        for name, limit, token in (("a", 30, "one"), ("b", 20, "one"), ("c", None, "two"))
    ]
    shared = _rate_limiters(works)
    assert {token.reveal(): governor.limit for token, governor in shared.items()} == {"one": 20, "two": 60}


def test_the_engine_gets_what_the_settings_say() -> None:
    source = SourceSettings(name="web", environment="main", mass_delete_limit=MassDeleteSettings(fraction=0.5, count=3))
    spec = source_spec(source)
    assert (spec.name, spec.environment, spec.mass_delete_limit.fraction, spec.mass_delete_limit.count) == (
        "web",
        "main",
        0.5,
        3,
    )


def test_an_outage_does_not_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of trouble is told once a run; in debugging every try is."""
    tell = _RequestLog(make_log(level=logging.INFO, as_json=True, color=False, redactor=Redactor()))
    for exchange in [FAILED, THROTTLED] * 20:
        tell(exchange)
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["request.failed", "request.throttled", "upstream.failing", "upstream.failing"]


def test_a_try_that_fails_is_no_warning_but_many_in_a_row_are(capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log(level=logging.WARNING, as_json=True, color=False, redactor=Redactor())
    tell = _RequestLog(log)
    for exchange in [FAILED] * 4 + [FINISHED] + [FAILED] * 19:
        tell(exchange)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line) | {"time": ""} == {
        "event": "upstream.failing",
        "level": "warning",
        "reason": "server",
        "in_a_row": 5,
        "time": "",
    }

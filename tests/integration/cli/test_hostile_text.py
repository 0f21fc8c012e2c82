"""Text from upstream, from settings and from the command line reaches the screen, and a terminal obeys none of it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.fixtures.fake_upstreams import Given, gateway, refusal
from tests.integration.cli.conftest import Cli, Ran
from versionsync.simulator import SimulatorThread

RECORD = "the record of hostile text"
HOSTILE = "\x1b]0;owned\x07\x1b[31mX\x9b1mY\nversionsync: error: forged\u202e"


def assert_tame(ran: Ran) -> None:
    """Nothing that was written is obeyed by a terminal, and no line of ours is forged."""
    obeyed = [char for char in ran.written if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl")]
    assert not obeyed, ran.written
    assert not [line for line in ran.written.splitlines() if line.startswith("versionsync: error: forged")]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(HOSTILE, 422),
        refusal(f"INSUFFICIENT_PERMISSIONS{HOSTILE}", 401),
        Given(302, "", {"Location": "https://login\x1b[31m.example/\x9bx"}),
        Given(403, f"<html>{HOSTILE}", {"Content-Type": "text/html", "Server": "a\x1b[31mb"}),
        Given(200, '{"data": {"id": "a\\u001b[31m", "type": "\\u001b[31m\\n"}}', {"Content-Type": "application/json"}),
        Given(429, "", {"X-RateLimit-Reset": "\x1b[31m", "Retry-After": "\x1b[31m"}),
    ],
    ids=["code", "permission", "redirect", "html", "shape", "throttled"],
)
def test_an_answer_moves_no_cursor(
    cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: Given
) -> None:
    monkeypatch.setattr("versionsync.cma.retry.backoff", lambda tries, **_: 0.01)
    monkeypatch.setattr("versionsync.wiring.clients.BATCH_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr("versionsync.wiring.clients.INTERACTIVE_TIMEOUT_SECONDS", 1.0)
    with gateway(at["VERSIONSYNC_BASE_URL"], instead=lambda _path: answer) as url:
        for argv in (("sync", "-vv"), ("sync", "--json"), ("doctor",), ("doctor", "--json")):
            ran = cli(*argv, **(at | {"VERSIONSYNC_BASE_URL": url}))
            assert ran.code != 0
            assert_tame(ran)


def test_names_from_upstream_move_no_cursor(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Of the project, of models and fields, and what a record holds."""

    def rename(world: object) -> None:
        world.name = HOSTILE  # type: ignore[attr-defined]
        model = world.create_model(world.account, "page", name=HOSTILE)  # type: ignore[attr-defined]
        world.create_field(world.account, model, "title")  # type: ignore[attr-defined]
        world.create(world.account, model, {"title": HOSTILE})  # type: ignore[attr-defined]

    upstream.act(rename)
    record = ""
    for argv in (
        ("init", "--yes", "--config", "other.toml"),
        ("sync", "-v"),
        ("status",),
        ("status", "--json"),
        ("doctor",),
        ("events",),
        ("events", "--raw"),
        ("events", "--json"),
        ("log",),
        ("log", "--json", "--content"),
        ("changes", "--since", "2020-01-01"),
        ("pending",),
        ("as-of", "now"),
        ("show", RECORD),
        ("show", RECORD, "--json"),
        ("diff", RECORD),
        ("diff", RECORD, "--side-by-side"),
        ("diff", RECORD, "--json"),
        ("diff", RECORD, "--json-patch"),
        ("diff", RECORD, "--html"),
        ("blame", RECORD),
        ("blame", RECORD, "--json"),
        ("grep", "a*"),
        ("grep", "a*", "--json"),
    ):
        words = (record if word == RECORD else word for word in argv)
        ran = cli(*words, **at)
        assert ran.code == 0, ran.written
        assert_tame(ran)
        if argv == ("log", "--json", "--content"):
            (record,) = (one["record_id"] for one in ran.lines if one["model"] == "page")


@pytest.mark.parametrize(
    "argv", [("sync", HOSTILE), (HOSTILE,), ("status", f"--{HOSTILE}"), ("--config", HOSTILE, "status")]
)
def test_what_is_said_on_the_command_line_moves_no_cursor(cli: Cli, argv: tuple[str, ...]) -> None:
    for more in ((), ("--debug",), ("--json",)):
        ran = cli(*argv, *more, DATOCMS_API_TOKEN="x" * 30)
        assert ran.code != 0
        assert_tame(ran)

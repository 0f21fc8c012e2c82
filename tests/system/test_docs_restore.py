"""The page on restores shows what is so: in each of its situations the commands run, and answer what is shown.

    VERSIONSYNC_TEST_WRITE=1 pytest tests/system/test_docs_restore.py

writes the answers into the page instead of comparing them.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
import time_machine

from tests.fixtures.pages import ROOT, Block, blocks
from versionsync.cli.context import CliContext
from versionsync.cli.main import run
from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, SimulatorThread, Token, World
from versionsync.simulator.scenarios.news.site import build_news

WRITE = bool(os.environ.get("VERSIONSYNC_TEST_WRITE"))
PAGE = ROOT / "docs" / "restore.md"
NOON = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
WIDTH = 100
TOKEN = "the-token-for-restores"

Record = dict[str, object]


def delete_a_page(world: World) -> None:
    """At 13:05 the page "Imprint" is deleted."""
    (page,) = (id for id, content in contents(world, "page").items() if content.get("slug") == "imprint")
    world.delete(world.user, page)


def spoil_a_field(world: World) -> None:
    """At 13:05 the title of the page "Imprint" is overwritten, and published."""
    (page,) = (id for id, content in contents(world, "page").items() if content.get("slug") == "imprint")
    world.update(world.user, page, {"title": {"en": "asdf", "it": "Note legali"}})
    world.publish(world.user, page)


def import_badly(world: World) -> None:
    """At 13:05 a program that uses the API token overwrites all biographies, and adds two authors."""
    for id in contents(world, "author"):
        world.update(world.api, id, {"biography": {"en": "NULL", "it": "NULL"}})
    for name in ("NULL", "TEST"):
        world.create(world.api, "author", {"name": name})


def remove_a_field(world: World) -> None:
    """At 13:05 a developer removes the field "color" of categories, and makes it again."""
    model = world.primary.model("category")
    (field,) = (one for one in model.fields.values() if one.api_key == "color")
    world.destroy_field(world.account, field.id)
    world.clock.advance(timedelta(minutes=10))
    world.create_field(world.account, "category", "color", "color")


def wreck_everything(world: World) -> None:
    """At 13:05 a migration wrecks the site; a fork is made to restore into."""
    for id, content in contents(world, "page").items():
        if content.get("slug") in ("imprint", "contact"):
            world.delete(world.user, id)
    for id in contents(world, "category"):
        world.update(world.user, id, {"name": {"en": "?", "it": "?"}})
    world.clock.advance(timedelta(minutes=10))
    world.fork(world.account, "main", "rescue")


SITUATIONS: dict[str, Callable[[World], None]] = {
    "A record was deleted": delete_a_page,
    "A field was overwritten": spoil_a_field,
    "An import went wrong": import_badly,
    "A field was removed": remove_a_field,
    "A whole environment is broken": wreck_everything,
}


def contents(world: World, model: str) -> dict[str, Record]:
    """The newest contents of a model's records, by id."""
    found = (one for one in world.primary.records.values() if one.model.api_key == model)
    return {one.id: msgspec.json.decode(bytes(one.head.read())) for one in found}


def commands(situation: str) -> list[Block]:
    """The commands under a heading of the page."""
    text = PAGE.read_text()
    start = text.index(f"\n## {situation}\n")
    end = text.find("\n## ", start + 1)
    return [one for one in blocks(PAGE, "sh") if start < one.end < (end if end >= 0 else len(text))]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_command_answers_what_is_shown(situation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("versionsync.cli.terminal.output.PIPE_WIDTH", WIDTH)
    monkeypatch.setattr("versionsync.restore.kept_plans.secrets.choice", Random(situation).choice)
    monkeypatch.setattr("versionsync.mirror.holder.getpass.getuser", lambda: "anna")
    monkeypatch.setattr("versionsync.mirror.holder.socket.gethostname", lambda: "desk")
    world = World(seed=1, clock=Clock.stopped(NOON))
    build_news(world)
    world.people.add_token(Token(TOKEN, world.account, next(iter(world.people.roles.values()))))
    with SimulatorThread(world) as simulator:
        environ = {
            "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
            "DATOCMS_RESTORE_TOKEN": TOKEN,
            "VERSIONSYNC_BASE_URL": simulator.url,
            "VERSIONSYNC_RATE_LIMIT": "none",
        }

        def ask(command: str) -> tuple[int, str, str]:
            with time_machine.travel(simulator.act(lambda world: world.now()), tick=False):
                out, err = io.StringIO(), io.StringIO()
                with redirect_stdout(out), redirect_stderr(err):
                    code = run(shlex.split(command)[1:], CliContext(environ=environ))
            simulator.act(lambda world: world.clock.advance(timedelta(minutes=1)))
            return code, out.getvalue(), err.getvalue()

        simulator.act(lambda world: world.clock.advance(timedelta(minutes=5)))
        assert ask("versionsync sync")[0] == 0
        simulator.act(lambda world: world.clock.advance(timedelta(minutes=59)))
        simulator.act(SITUATIONS[situation])
        simulator.act(lambda world: world.clock.advance(timedelta(minutes=10)))
        number = 0
        while number < len(found := commands(situation)):
            block = found[number]
            for line in block.text.strip().splitlines():
                code, out, err = ask(line)
                assert code == 0, err + out
            compare(block, out)
            number += 1
        if situation == "A whole environment is broken":
            restored = simulator.act(lambda world: len(world.environment("rescue").records))
            assert restored > simulator.act(lambda world: len(world.primary.records))


def compare(block: Block, out: str) -> None:
    """Compare an answer with what is shown under its command, or write it there."""
    text = PAGE.read_text()
    shown = re.compile(r"\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL).match(text, block.end)
    if shown is None:
        return
    if WRITE:
        PAGE.write_text(text[: shown.start(1)] + out + text[shown.end(1) :])
    else:
        assert out == shown[1]


def test_every_situation_is_tested() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
    assert [one for one in headings if one in SITUATIONS] == list(SITUATIONS)
    assert all(commands(one) for one in SITUATIONS)

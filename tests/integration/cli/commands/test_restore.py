"""`versionsync restore`: what a person in alarm sees and does, from the plan to the undo."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from tests.integration.cli.conftest import Cli, Ran
from tests.integration.cli.worlds import magazine
from versionsync.cli.commands import restore
from versionsync.mirror.database import Mirror
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables import leases, restores
from versionsync.simulator import SimulatorThread, Token, World
from versionsync.simulator.world.people_roles_tokens import Role

READING = "reading-token-0001"
WRITING = "restoring-token-0002"
MAP = "The lost map"
BUS = "article:the-night-bus"
MARKET = "article:old-fish-market"


@dataclass
class Desk:
    """A magazine, its mirror, and a person with both tokens."""

    cli: Cli
    upstream: SimulatorThread
    folder: Path

    def __call__(self, *argv: str, **environ: str) -> Ran:
        """Run a command with both tokens. An empty variable counts as not set."""
        given = {
            "DATOCMS_API_TOKEN": READING,
            "DATOCMS_RESTORE_TOKEN": WRITING,
            "VERSIONSYNC_BASE_URL": self.upstream.url,
            "VERSIONSYNC_RATE_LIMIT": "none",
        }
        return self.cli(*argv, **{name: value for name, value in (given | environ).items() if value})

    def act(self, act: Callable[[World], Any]) -> Any:
        """Let an editor do something, a minute after the last act, and return what came of it."""
        self.upstream.act(lambda world: world.clock.advance(timedelta(minutes=1)))
        return self.upstream.act(act)

    def record(self, title: str) -> str:
        """Return the id of the record that is called so now."""
        return self.upstream.act(lambda world: _titled(world, title))

    def sync(self) -> None:
        """Bring the mirror up to date."""
        self.upstream.act(lambda world: world.clock.advance(timedelta(minutes=1)))
        assert self("sync").code == 0

    def edit(self, id: str, **attributes: str) -> None:
        """Let an editor change a record."""
        self.act(lambda world: world.update(world.user, id, attributes))

    def delete(self, id: str) -> None:
        """Let an editor delete a record, and mirror that."""
        self.act(lambda world: world.delete(world.user, id))
        self.sync()

    def content(self, id: str, environment: str | None = None) -> dict[str, Any] | None:
        """Return the newest content of a record upstream. None: it does not exist."""

        def read(world: World) -> dict[str, Any] | None:
            records = world.environment(environment).records
            return json.loads(bytes(records[id].head.read())) if id in records else None

        return self.upstream.act(read)

    def plan_id(self, *argv: str) -> str:
        """Make a plan, and return its id."""
        ran = self("restore", *argv, "--json")
        assert ran.code == 0, ran.written
        id: str = ran.lines[0]["id"]
        assert id
        return id

    def requests(self) -> int:
        """Return how many requests the mirror knows of."""
        with sqlite3.connect(self.folder / "versionsync.db") as database:
            return int(database.execute("SELECT sum(requests) FROM request_usage").fetchone()[0])


def _titled(world: World, title: str) -> str:
    (id,) = (id for id, one in world.primary.records.items() if json.loads(bytes(one.head.read()))["title"] == title)
    return id


@pytest.fixture
def desk(cli: Cli, tmp_path: Path) -> Iterator[Desk]:
    """A mirrored magazine."""
    world = magazine()
    world.people.add_token(Token(READING, world.api, world.people.add_role(Role("r1", "Reader"))))
    world.people.add_token(Token(WRITING, world.account, world.people.add_role(Role("r2", "Restorer"))))
    with SimulatorThread(world) as simulator:
        made = Desk(cli, simulator, tmp_path)
        assert made("sync").code == 0
        yield made


def test_a_plan_is_shown_and_kept_and_writes_nothing(desk: Desk) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    ran = desk("restore", "--deleted")
    assert ran.code == 0, ran.written
    assert desk.content(lost) is None
    assert "create" in ran.out
    assert MAP in ran.out
    assert "does not exist" in ran.out
    assert "webhooks for 1 change" in ran.out
    assert "The restore token has the role “Restorer”." in ran.out
    (plan,) = desk("restore", "plans", "--json").lines
    assert (plan["state"], plan["steps"], plan["wanted"]) == ("planned", {"planned": 1}, "deleted records")
    assert f"versionsync restore {plan['id']} --apply" in ran.out


def test_a_deleted_record_comes_back_and_goes_again(desk: Desk) -> None:
    lost = desk.record(MAP)
    before = desk.content(lost)
    desk.delete(lost)
    ran = desk("restore", "--deleted", "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert desk.content(lost) == before
    assert "1 step: 1 done." in ran.out
    assert "The mirror has read it again. 1 record as planned." in ran.out
    (undo,) = (line.strip() for line in ran.out.splitlines() if "--undo" in line)
    assert desk("deleted", "--json").out == ""

    ran = desk(*undo.split()[1:], "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert desk.content(lost) is None


def test_what_datocms_does_not_take_of_a_record_that_comes_back_is_said(desk: Desk) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    desk.act(lambda world: setattr(world.options, "create_accepts_meta", "refused"))
    ran = desk("restore", "--deleted", "--apply", "--yes")
    assert "1 step: 1 done." in ran.out
    what = "DatoCMS did not take its creator and the times of its past"
    assert f"“{MAP}”" in ran.out
    assert what in " ".join(ran.out.split())
    desk.delete(lost)
    results = desk("restore", "--deleted", "--apply", "--yes", "--json").lines
    (told,) = (one for one in results if one["type"] == "result")
    assert (told["state"], told["error_code"], told["error"]) == ("done", "LEFT_OUT", what)


def test_a_kept_plan_is_applied_by_its_id_and_by_its_file(desk: Desk) -> None:
    lost, bus = desk.record(MAP), desk.record("The last night bus")
    desk.delete(lost)
    assert desk("restore", "--deleted", "--output", "plan.json").code == 0
    assert desk("restore", "--apply", "plan.json", "--yes").code == 0
    assert desk.content(lost) is not None
    id = desk.plan_id(BUS, "--at", "yesterday")
    assert desk("restore", id, "--apply", "--yes").code == 0
    assert (desk.content(bus) or {})["title"] == "The night bus"
    ran = desk("restore", id, "--apply", "--yes")
    assert ran.code == 2
    assert f"plan {id} is done already" in ran.err


def test_a_file_that_was_edited_or_is_of_another_plan_is_refused(desk: Desk) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    assert desk("restore", "--deleted", "--output", "plan.json").code == 0
    text = (desk.folder / "plan.json").read_text()
    (desk.folder / "edited.json").write_text(text.replace(MAP, "The found map"))
    ran = desk("restore", "edited.json", "--apply", "--yes")
    assert (ran.code, "was changed after it was written" in ran.err) == (2, True)
    other = desk.plan_id("--deleted")
    (desk.folder / "other.json").write_text(text.replace(json.loads(text)["id"], other))
    ran = desk("restore", "other.json", "--apply", "--yes")
    assert (ran.code, "is not the one in the file" in ran.err) == (2, True)
    (desk.folder / "poem.json").write_text("{}")
    ran = desk("restore", "poem.json", "--apply", "--yes")
    assert (ran.code, "is not the file of a plan" in ran.err) == (2, True)
    assert desk.content(lost) is None


def test_without_a_token_that_may_write_only_plans_are_made(desk: Desk) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    ran = desk("restore", "--deleted", DATOCMS_RESTORE_TOKEN="")
    assert ran.code == 0
    assert "No token is set that may write" in ran.out
    assert "role" not in ran.out
    ran = desk("restore", "--deleted", "--apply", "--yes", DATOCMS_RESTORE_TOKEN="")
    assert ran.code == 2
    assert "has no token that may write" in ran.err
    assert "DATOCMS_RESTORE_TOKEN" in ran.err
    assert desk.content(lost) is None


def test_a_token_that_may_only_read_is_refused(desk: Desk) -> None:
    def read_only(world: World) -> None:
        (environment,) = world.environments
        permissions: dict[str, Any] = {
            "positive_item_type_permissions": ({"action": "read", "environment": environment},)
        }
        role = Role("r3", "Only reader", permissions=permissions)
        world.people.add_token(Token("only-reading-0003", world.api, world.people.add_role(role)))

    desk.upstream.act(read_only)
    lost = desk.record(MAP)
    desk.delete(lost)
    ran = desk("restore", "--deleted", "--apply", "--yes", DATOCMS_RESTORE_TOKEN="only-reading-0003")
    assert ran.code == 4, ran.written
    assert "the role “Only reader” of the restore token cannot change records in main" in ran.err
    assert desk.content(lost) is None


def test_a_record_that_someone_edits_meanwhile_is_left_alone_and_the_rest_is_done(desk: Desk) -> None:
    lost, bus = desk.record(MAP), desk.record("The last night bus")
    desk.edit(lost, title="The lost mapp")
    desk.sync()
    id = desk.plan_id("--model", "article", "--at", "2 hours ago")
    desk.edit(bus, title="Theirs")
    ran = desk("restore", id, "--apply", "--yes")
    assert ran.code == 3, ran.written
    assert "step 1 failed: update" in ran.err or "step 2 failed: update" in ran.err
    assert "EDITED_MEANWHILE" in ran.out
    assert f"versionsync restore {id} --apply" in ran.out
    assert f"versionsync restore --undo {id}" in ran.out
    assert (desk.content(bus) or {})["title"] == "Theirs"
    assert (desk.content(lost) or {})["title"] == MAP
    (state,) = (one["state"] for one in desk("restore", "plans", "--json").lines)
    assert state == "partial"


def test_after_the_first_failure_a_run_can_stop(desk: Desk) -> None:
    bus = desk.record("The last night bus")
    id = desk.plan_id(BUS, "--at", "yesterday")
    desk.edit(bus, title="Theirs")
    ran = desk("restore", id, "--apply", "--yes", "--on-error", "stop", "--json")
    assert ran.code == 3
    *_, failed, applied = ran.lines
    assert (failed["type"], failed["state"], failed["error_code"]) == ("result", "failed", "EDITED_MEANWHILE")
    assert (applied["type"], applied["done"], applied["failed"]) == ("applied", 0, 1)


def test_programs_get_the_plan_its_steps_and_what_is_left_alone(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    plan, *rest = desk("restore", "--at", "2 hours ago", "--json", "--diff").lines
    assert (plan["type"], plan["environment"], plan["role"]) == ("plan", "main", "Restorer")
    assert [one["type"] for one in rest] == ["step"] * plan["steps"] + ["left_alone"] * plan["left_alone"]
    assert [(one["act"], one["reason"], one["fields"]) for one in rest if one["type"] == "step"] == [
        ("create", "missing", [{"field": "title", "locale": None}, {"field": "slug", "locale": None}]),
        ("update", "differs", [{"field": "title", "locale": None}]),
        ("update", "differs", [{"field": "title", "locale": None}]),
    ]
    assert {one["why"] for one in rest if one["type"] == "left_alone"} == {"It is as it should be."}


def test_each_step_is_shown_with_its_diff_and_as_a_page(desk: Desk) -> None:
    ran = desk("restore", BUS, "--at", "yesterday", "--diff", "--html", "plan.html")
    assert ran.code == 0, ran.written
    assert "The [-last-] night bus" in ran.out
    page = (desk.folder / "plan.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert re.search(r"<del[^>]*>last", page)
    assert "1 change: 1 update." in page
    assert "<script" not in page
    assert "http:" not in page.replace("http-equiv", "")


def test_a_record_that_is_as_it_should_be_is_no_failure(desk: Desk) -> None:
    ran = desk("restore", BUS, "--at", "1 minute ago")
    assert (ran.code, "everything is as it should be" in ran.err) == (0, True)
    assert desk("restore", "plans", "--json").out == ""
    ran = desk("restore", "--deleted")
    assert (ran.code, "no record fits" in ran.err) == (0, True)


def test_a_version_is_named_by_the_beginning_of_its_id(desk: Desk) -> None:
    bus = desk.record("The last night bus")
    first, *_ = desk("log", BUS, "--json").lines[::-1]
    ran = desk("restore", first["version_id"][:6], "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert (desk.content(bus) or {})["title"] == "The night bus"


def test_a_name_of_both_a_version_and_a_record_is_refused_with_both(desk: Desk) -> None:
    bus = desk.record("The last night bus")
    version: str = desk("log", BUS, "--json").lines[0]["version_id"]
    with sqlite3.connect(desk.folder / "versionsync.db") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("UPDATE versions SET id = ? WHERE id = ?", (bus[:8] + version[8:], version))
    ran = desk("restore", bus[:8])
    assert ran.code == 2
    assert "both a record and a version" in ran.err
    assert "record " in ran.err
    assert f"version {bus[:8]}" in ran.err


def test_a_stale_mirror_is_refused_unless_that_is_accepted(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    desk.edit(desk.record("The last night bus"), title="News")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=True):
        ran = desk("restore", "--deleted")
        assert ran.code == 2
        assert "the mirror agreed with DatoCMS last at 20" in ran.err
        assert "versionsync sync" in ran.err
        assert desk("restore", "--deleted", "--stale-ok").code == 0
        left = desk("restore", BUS, "--at", "2 days ago", "--stale-ok")
        assert left.code == 3
        assert "It was edited since the last sync" in left.out


def test_a_budget_is_respected_and_requests_are_counted(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    before = desk.requests()
    assert desk("restore", "--deleted", "--apply", "--yes").code == 0
    assert desk.requests() > before + 5
    (desk.folder / "versionsync.toml").write_text(
        f"[[sources]]\nname = 'default'\nbase_url = '{desk.upstream.url}'\nrate_limit = 'none'\nbudget = '10/day'\n"
    )
    ran = desk("restore", "--at", "2 hours ago")
    assert ran.code == 3
    assert "of 10 requests a day 0 are left" in ran.err


def test_a_spoilt_field_is_live_again(desk: Desk) -> None:
    market = desk.record("The old fish market")
    desk.edit(market, title="asdf", slug="kept")
    desk.act(lambda world: world.publish(world.user, market))
    desk.sync()
    ran = desk("restore", market, "--at", "20 minutes ago", "--field", "title", "--publish", "--apply", "--yes")
    assert ran.code == 0, ran.written
    content = desk.content(market) or {}
    assert (content["title"], content["slug"]) == ("The old fish market", "kept")
    assert desk.upstream.act(
        lambda world: world.primary.records[market].published is world.primary.records[market].head
    )


def test_a_draft_of_others_is_not_published_with_a_spoilt_field(desk: Desk) -> None:
    bus = desk.record("The last night bus")
    ran = desk("restore", bus, "--at", "yesterday", "--field", "title", "--publish", "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert (desk.content(bus) or {})["title"] == "The night bus"
    assert desk.upstream.act(lambda world: world.primary.records[bus].published is not world.primary.records[bus].head)


def test_another_environment_of_the_project_gets_the_content(desk: Desk) -> None:
    bus, lost = desk.record("The last night bus"), desk.record(MAP)
    desk.act(lambda world: world.fork(world.account, "main", "rescue"))
    desk.act(lambda world: world.clock.advance(timedelta(minutes=5)))
    desk.act(lambda world: world.delete(world.user, lost, environment="rescue"))
    desk.act(lambda world: world.update(world.user, bus, {"title": "Rescue bus"}, environment="rescue"))
    ran = desk("restore", "--at", "1 day ago", "--model", "article", "--to-environment", "rescue", "--json")
    assert {(one["act"], one["title"]) for one in ran.lines if one["type"] == "step"} == {
        ("create", MAP),
        ("update", "Old fish market"),
        ("update", "The night bus"),
    }
    id = ran.lines[0]["id"]
    ran = desk("restore", id, "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert "The environment rescue is not mirrored." in ran.out
    assert (desk.content(bus, "rescue") or {})["title"] == "The night bus"
    assert desk.content(lost, "rescue") == desk.content(lost)
    assert (desk.content(bus) or {})["title"] == "The last night bus"
    assert desk("restore", "--undo", id).code == 2


def test_datocms_itself_restores_a_version_only_with_apply(desk: Desk) -> None:
    bus = desk.record("The last night bus")
    first = desk("log", BUS, "--json").lines[-1]["version_id"]
    ran = desk("restore", first, "--upstream")
    assert (ran.code, "no lock" in ran.err) == (0, True)
    assert (desk.content(bus) or {})["title"] == "The last night bus"
    ran = desk("restore", first, "--upstream", "--apply", "--yes")
    assert ran.code == 0, ran.written
    assert (desk.content(bus) or {})["title"] == "The night bus"
    assert desk("show", BUS, "--json").json["attributes"]["title"] == "The night bus"


def test_a_running_daemon_is_left_to_sync(desk: Desk) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    with Mirror.open(f"sqlite:///{desk.folder}/versionsync.db") as mirror:
        lease = leases.acquire(mirror, 1, Holder.of_this_process())
        ran = desk("restore", "--deleted", "--apply", "--yes")
        leases.release(mirror, lease)
    assert ran.code == 0, ran.written
    assert "will sync what was changed" in ran.out
    assert desk.content(lost) is not None


def test_a_plan_that_another_process_carries_out_is_locked(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    id = desk.plan_id("--deleted")
    other = Holder(host="elsewhere", pid=7)
    with Mirror.open(f"sqlite:///{desk.folder}/versionsync.db") as mirror:
        mirror.transact(lambda tx: restores.claim_plan(tx, 1, id, other, at=datetime.now(UTC)))
    ran = desk("restore", id, "--apply", "--yes")
    assert ran.code == 7, ran.written
    assert "is being carried out by process 7 on elsewhere" in ran.err


def test_a_token_of_another_project_is_refused(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    id = desk.plan_id("--deleted")
    other = "token-of-another-0004"
    assert httpx.post(f"{desk.upstream.url}/_simulator/projects", json={"token": other}).is_success
    for argv in ((id, "--apply", "--yes"), ("--deleted",)):
        ran = desk("restore", *argv, DATOCMS_RESTORE_TOKEN=other)
        assert ran.code == 2, ran.written
        assert "leads to the project" in ran.err


def test_an_unreachable_datocms_is_code_5(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    assert desk("restore", "--deleted", VERSIONSYNC_BASE_URL="http://127.0.0.1:1").code == 5


def test_a_person_is_asked_before_anything_is_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = desk.record(MAP)
    desk.delete(lost)
    ran = desk("restore", "--deleted", "--apply")
    assert (ran.code, "there is no terminal to ask on" in ran.err) == (2, True)
    asked: list[str] = []

    def answer(question: str, **_: object) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr(restore.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(restore.typer, "confirm", answer)
    ran = desk("restore", "--deleted", "--apply")
    assert (ran.code, desk.content(lost)) == (0, None)
    assert "Nothing was written." in ran.out
    assert desk("restore", "--deleted", "--apply").code == 0
    assert desk.content(lost) is not None
    assert asked[0].startswith("Write 1 change to ")
    assert asked[0].endswith("/main?")


def test_no_token_is_written_anywhere(desk: Desk) -> None:
    desk.delete(desk.record(MAP))
    ran = desk("restore", "--deleted", "--apply", "--yes", "--output", "plan.json", "--html", "plan.html", "-vv")
    assert ran.code == 0
    written = ran.written.encode() + b"".join(one.read_bytes() for one in desk.folder.iterdir() if one.is_file())
    assert WRITING.encode() not in written
    assert READING.encode() not in written


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "argv", [("--at", "2 days ago", "--publish"), ("--deleted", "--diff"), ("plans",)], ids=" ".join
)
def test_a_plan_fits_the_terminal(
    desk: Desk, argv: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len

    desk.delete(desk.record(MAP))
    desk.plan_id("--deleted")
    monkeypatch.setattr("versionsync.cli.terminal.output.PIPE_WIDTH", width)
    ran = desk("restore", *argv)
    assert ran.code == 0, ran.written
    assert max(map(cell_len, ran.out.splitlines())) <= width


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "it is not said what to restore"),
        ((BUS,), "is not deleted, so it is not clear to what it must go back"),
        (("article:the-night-bsu", "--at", "yesterday"), "no article has the slug the-night-bsu"),
        (("zzzzzzz1",), "the mirror has never seen one"),
        (("--at", "2019-01-01"), "the history begins at"),
        (("--at", "someday"), "is not understood"),
        (("--model", "articel", "--at", "yesterday"), "Did you mean article?"),
        (("--model", "article"), "--model needs a time"),
        (("--changed-by", "Ben"), "--changed-by needs a time"),
        (("--changed-by", "Nobody At All", "--since", "yesterday"), "no editor is called"),
        (("--at", "yesterday", "--since", "yesterday"), "--since is for"),
        (("--deleted", "--at", "yesterday"), "--at does not fit here"),
        (("--deleted", "--field", "title"), "do not fit here"),
        (("--deleted", "--undo", "x"), "exclude one another"),
        ((BUS, "--at", "yesterday", "--field", "titel"), "Did you mean title?"),
        ((BUS, "--at", "yesterday", "--locale", "xx"), "there is no locale xx here now"),
        ((BUS, "--at", "yesterday", "--delete-new"), "--delete-new is for many records"),
        (("--at", "yesterday", "--no-create", "--no-update"), "leave nothing to do"),
        (("--at", "yesterday", "--upstream"), "--upstream restores one whole version"),
        (("--deleted", "--yes"), "--yes answers the question of --apply"),
        (("--deleted", "--on-error", "stop"), "--on-error is for --apply"),
        (("--undo", "nothere1"), "keeps no plan nothere1"),
        (("plans", "--apply"), "has no such options"),
        (("--deleted", "--source", "webiste"), "webiste"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_to_do(desk: Desk, argv: tuple[str, ...], says: str) -> None:
    ran = desk("restore", *argv)
    assert ran.code == 2, ran.written
    assert says in ran.err
    assert "Traceback" not in ran.written


def test_a_drill_restores_everything_into_a_simulated_project_and_says_what_differs(desk: Desk) -> None:
    before = desk.upstream.simulator.requests.total
    ran = desk("restore", "drill")
    assert ran.code == 0, ran.written
    assert re.search(r"Drill of default: of (\d+) records, \1 came back equal\.", ran.out), ran.out
    assert desk.upstream.simulator.requests.total == before, "DatoCMS is not asked"
    (told,) = (json.loads(line) for line in desk("restore", "drill", "--json").out.splitlines())
    assert (told["different"], told["left_alone"]) == ([], [])
    assert told["equal"] == told["records"] > 0


def test_a_drill_takes_no_other_options(desk: Desk) -> None:
    ran = desk("restore", "drill", "--apply")
    assert ran.code == 2, ran.written

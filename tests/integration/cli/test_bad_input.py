"""Whatever is wrong: one clear line that says what and what to do, the right exit code, nothing lost, no secret."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.integration.cli.conftest import Cli, Ran
from tests.integration.cli.mirror_queries import rows, version_count
from tests.integration.cli.worlds import blog
from versionsync.mirror.schema import migrate
from versionsync.simulator import FULL_ACCESS_TOKEN, Role, SimulatorThread, Token, World

WRONG_TOKEN = "0123456789abcdef0123456789abcd"


def check(ran: Ran, *, code: int, says: str) -> None:
    """The command line ended with `code`, and its only error is one line that matches `says`."""
    assert ran.code == code, ran.written
    errors = [line for line in ran.err.splitlines() if line.startswith("versionsync: error: ")]
    assert len(errors) == 1, ran.err
    assert re.search(says, errors[0]), errors[0]
    assert "Traceback" not in ran.written


def test_a_wrong_token(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    ran = cli("sync", **(at | {"DATOCMS_API_TOKEN": WRONG_TOKEN}))
    check(ran, code=4, says="401 INVALID_AUTHORIZATION_HEADER")
    assert WRONG_TOKEN not in ran.written
    assert version_count(tmp_path / "versionsync.db") == 6


def test_a_token_without_permission_for_versions(cli: Cli) -> None:
    world = blog()
    role = world.people.add_role(Role("blind", "Blind", can_read_versions=False))
    world.people.add_token(Token("blind-token-0001", world.api, role))
    with SimulatorThread(world) as upstream:
        environ = {"DATOCMS_API_TOKEN": "blind-token-0001", "VERSIONSYNC_BASE_URL": upstream.url}
        check(cli("sync", **environ), code=4, says="INSUFFICIENT_PERMISSIONS")
        ran = cli("doctor", **environ)
    assert ran.code == 4
    assert "✗ default: versions: " in ran.out


def test_an_unknown_environment(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", **at, VERSIONSYNC_ENVIRONMENT="nowhere")
    check(ran, code=4, says="environment does not exist")
    assert "Set `environment`" in ran.err


def test_a_host_that_refuses(cli: Cli, at: dict[str, str]) -> None:
    check(cli("sync", **(at | {"VERSIONSYNC_BASE_URL": "http://127.0.0.1:1"})), code=5, says="Connection refused")


def test_a_host_that_does_not_exist(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", **(at | {"VERSIONSYNC_BASE_URL": "http://nowhere.invalid"}))
    check(ran, code=5, says="nowhere.invalid")


@pytest.mark.parametrize("argv", [("sync",), ("status",), ("doctor",), ("init", "--yes", "--no-test")], ids=" ".join)
def test_a_misspelt_variable_leads_to_no_other_database(
    cli: Cli, at: dict[str, str], tmp_path: Path, argv: tuple[str, ...]
) -> None:
    ran = cli(*argv, **at, VERSIONSYNC_DATABSE_URL="sqlite:///elsewhere.db")
    assert ran.code == 2
    assert "there is no variable VERSIONSYNC_DATABSE_URL" in ran.written
    assert "Did you mean VERSIONSYNC_DATABASE_URL?" in ran.written
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_is_none_of_ours_is_told_once(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", **at, VERSIONSYNC_IMAGE="versionsync:1.2")
    assert ran.code == 0
    assert ran.err.count("VERSIONSYNC_IMAGE") == 1
    assert '"event": "settings.warning"' in ran.err
    told = cli("doctor", **at, VERSIONSYNC_IMAGE="versionsync:1.2")
    assert (told.out.count("VERSIONSYNC_IMAGE"), told.err.count("VERSIONSYNC_IMAGE")) == (1, 0)


@pytest.mark.parametrize("text", ["host=db user=me password=hunter22", "sqlite:other.db", "localhost:5432/mirror"])
def test_what_is_no_database_url_becomes_no_file(cli: Cli, at: dict[str, str], tmp_path: Path, text: str) -> None:
    for argv, environ in ((("--database", text), {}), ((), {"VERSIONSYNC_DATABASE_URL": text})):
        check(cli("sync", *argv, **at, **environ), code=2, says="is neither a URL nor the path of a file")
    assert list(tmp_path.iterdir()) == []


def test_no_token_at_all(cli: Cli) -> None:
    check(cli("sync"), code=2, says="source default has no API token: DATOCMS_API_TOKEN is not set")


def test_a_placeholder_instead_of_a_token(cli: Cli) -> None:
    check(cli("sync", DATOCMS_API_TOKEN="YOUR_API_TOKEN"), code=2, says="is only a placeholder")


def test_half_written_settings(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = \n")
    check(cli("sync"), code=2, says=r"versionsync.toml is not valid TOML: line 2, column 8")


def test_an_unknown_setting(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'web'\nenviroment = 'main'\n")
    ran = cli("sync")
    check(ran, code=2, says=r"there is no setting sources\[0\].enviroment")
    assert "Did you mean sources[0].environment?" in ran.err


def test_a_token_file_that_others_can_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "web.token").write_text(WRONG_TOKEN)
    (tmp_path / "web.token").chmod(0o644)
    (tmp_path / "versionsync.toml").write_text("[[sources]]\nname = 'web'\napi_token_file = 'web.token'\n")
    ran = cli("sync")
    check(ran, code=2, says=r"can be read by others \(mode 0644\)")
    assert "chmod 600" in ran.err
    assert WRONG_TOKEN not in ran.written


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(at: dict[str, str], tmp_path: Path) -> None:
    """As another user where this one is root, whom nothing is refused."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    run = subprocess.run(
        [*drop, sys.executable, "-m", "versionsync", "sync"],
        cwd=folder,
        env=os.environ | at | {"PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    check(Ran(run.returncode, run.stdout, run.stderr), code=6, says="closed|versionsync.db")


@pytest.fixture
def tiny_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system with room for little more than an empty mirror; the commands run in it."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", folder], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("file systems cannot be mounted here")
    monkeypatch.chdir(folder)
    yield folder
    monkeypatch.chdir(tmp_path)
    subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount")
def test_a_full_disk(cli: Cli, tiny_disk: Path) -> None:
    """The run fails with what to do, `status` and `doctor` still say how things are, and room mends it."""
    with SimulatorThread(blog(records=400, versions=8)) as upstream:
        environ = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": upstream.url}
        environ["VERSIONSYNC_RATE_LIMIT"] = "none"
        check(cli("sync", **environ), code=6, says="the disk is full; free some space, then run this again")
        assert "! the last run failed: " in cli("status", **environ).out
        assert "✗ disk space: " in cli("doctor", **environ).out
        subprocess.run(["mount", "-o", "remount,size=60m", tiny_disk], check=True)
        assert cli("sync", **environ).code == 0
    assert version_count(tiny_disk / "versionsync.db") == 3200


def test_a_file_that_is_no_database(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "versionsync.db").write_bytes(b"a letter to my aunt, not a database. " * 100)
    before = (tmp_path / "versionsync.db").read_bytes()
    check(cli("sync", **at), code=6, says="is no SQLite database")
    assert (tmp_path / "versionsync.db").read_bytes() == before


def test_a_database_of_another_program(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    rows(tmp_path / "versionsync.db", "create table recipes (id integer primary key)")
    check(cli("sync", **at), code=6, says="belongs to another program")


def test_a_database_of_a_newer_version(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    rows(tmp_path / "versionsync.db", "update versionsync_schema set version_num = '9999'")
    for verb in ("sync", "status", "events"):
        check(cli(verb, **at), code=6, says="at schema 9999, which is newer than this program's")
    assert version_count(tmp_path / "versionsync.db") == 6


def test_a_database_of_another_project(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    cli("sync", **at)
    with SimulatorThread(another_project()) as upstream:
        ran = cli("sync", **(at | {"VERSIONSYNC_BASE_URL": upstream.url}))
    check(ran, code=2, says=r"mirrors the project .* but its token now leads to .*99999")
    assert version_count(tmp_path / "versionsync.db") == 6


@pytest.mark.parametrize("options", [[], ["--full"], ["--scrub", "3"], ["--dry-run"], ["--dry-run", "--full"]])
def test_another_project_is_refused_by_whatever_would_read_it(
    cli: Cli, at: dict[str, str], tmp_path: Path, options: list[str]
) -> None:
    """Both are named, `doctor` tells it too, and with the right token all goes on."""
    cli("sync", **at)
    with SimulatorThread(another_project()) as upstream:
        wrong = at | {"VERSIONSYNC_BASE_URL": upstream.url}
        check(cli("sync", *options, **wrong), code=2, says=r"\(id 205\), but its token now leads to .* \(id 99999\)")
        ran = cli("doctor", "--json", **wrong)
    (told,) = [finding for finding in ran.json["findings"] if finding["severity"] == "error"]
    assert (ran.code, told["check"]) == (2, "project")
    assert "id 205" in told["message"]
    assert rows(tmp_path / "versionsync.db", "select count(*), count(deleted_at) from records") == [(3, 0)]
    assert cli("sync", "--full", **at).code == 0
    assert version_count(tmp_path / "versionsync.db") == 6


def test_another_project_without_the_named_environment(cli: Cli, at: dict[str, str], upstream: SimulatorThread) -> None:
    """It is the project that is wrong, not the environment's name."""
    upstream.act(lambda world: world.fork(world.account, "main", "staging"))
    staging = at | {"VERSIONSYNC_ENVIRONMENT": "staging"}
    assert cli("sync", **staging).code == 0
    with SimulatorThread(another_project()) as other:
        ran = cli("sync", **(staging | {"VERSIONSYNC_BASE_URL": other.url}))
    check(ran, code=2, says=r"\(id 205\), but its token now leads to .* \(id 99999\)")


def another_project() -> World:
    """Of the same age, with the same names, and a history of its own."""
    world = blog()
    world.project_id = "99999"
    world.update(world.account, next(iter(world.primary.records)), {"title": "Elsewhere"})
    return world


def test_a_postgresql_that_is_down(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", **at, VERSIONSYNC_DATABASE_URL="postgresql://me:hunter22@127.0.0.1:1/x")
    check(ran, code=6, says="cannot be reached: is the server running")
    assert "hunter22" not in ran.written


@pytest.mark.postgres
def test_a_wrong_password(cli: Cli, at: dict[str, str], empty_postgres_url: str) -> None:
    """A server that lets everybody in by name still refuses a name that it does not know."""
    url = make_url(empty_postgres_url).set(username="nobody_here", password="hunter22")
    wrong = url.render_as_string(hide_password=False)
    ran = cli("sync", **at, VERSIONSYNC_DATABASE_URL=wrong)
    check(ran, code=6, says="nobody_here|password|refuses")
    assert "hunter22" not in ran.written


@pytest.mark.postgres
def test_a_postgresql_that_is_not_at_this_schema(cli: Cli, at: dict[str, str], empty_postgres_url: str) -> None:
    url = empty_postgres_url
    check(cli("sync", **at, VERSIONSYNC_DATABASE_URL=url), code=6, says="versionsync db upgrade")
    assert cli("sync", "--upgrade", **at, VERSIONSYNC_DATABASE_URL=url).code == 0
    assert cli("sync", **at, VERSIONSYNC_DATABASE_URL=url).code == 0


def test_a_url_that_is_none(cli: Cli, at: dict[str, str]) -> None:
    ran = cli("sync", **at, VERSIONSYNC_DATABASE_URL="mysql://me:hunter22@db/x")
    check(ran, code=2, says=r"does not know databases of the kind mysql \(the variable VERSIONSYNC_DATABASE_URL\)")
    assert "hunter22" not in ran.written


def test_a_password_on_the_command_line(cli: Cli) -> None:
    ran = cli("status", "--database", "postgresql://me:hunter22@db/x")
    check(ran, code=2, says="can be read by every user")
    assert "hunter22" not in ran.written


def test_an_unknown_verb_and_an_unknown_option(cli: Cli) -> None:
    check(cli("snyc"), code=2, says="No such command 'snyc'. Did you mean 'sync'?")
    check(cli("sync", "--ful"), code=2, says="No such option: --ful")


def test_a_mass_vanishing_is_not_believed_and_says_how_to(cli: Cli, tmp_path: Path) -> None:
    world = blog(records=30, versions=1)
    with SimulatorThread(world) as upstream:
        environ = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": upstream.url}
        environ["VERSIONSYNC_RATE_LIMIT"] = "none"
        cli("sync", **environ)
        gone = upstream.act(lambda world: list(world.primary.records)[:20])
        for record in gone:
            upstream.act(lambda world, record=record: world.delete(world.account, record))
        check(cli("sync", **environ), code=3, says="20 of 30 records .* sync default --allow-mass-delete")
        assert rows(tmp_path / "versionsync.db", "select count(deleted_at) from records") == [(0,)]
        assert cli("sync", "--allow-mass-delete", **environ).code == 0
        assert rows(tmp_path / "versionsync.db", "select count(deleted_at) from records") == [(20,)]


def test_an_error_is_json_where_json_was_asked_for(cli: Cli) -> None:
    ran = cli("sync", "--json")
    assert ran.out == ""
    error = json.loads(ran.err)["error"]
    assert (error["kind"], error["exit"], ran.code) == ("usage", 2, 2)
    assert error["hint"]


def test_a_traceback_is_shown_for_debugging_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: str) -> None:
        raise ZeroDivisionError(f"of {url}")

    monkeypatch.setattr(migrate, "check", broken)
    secret = {"VERSIONSYNC_DATABASE_URL": "postgresql://me:hunter22@db/x"}
    check(cli("db", "check", **secret), code=1, says="ZeroDivisionError")
    debugged = cli("db", "check", "--debug", **secret)
    assert "Traceback" in debugged.err
    assert "hunter22" not in debugged.written

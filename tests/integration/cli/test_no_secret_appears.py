"""Invariant 11: no token and no password in anything that is written, whatever goes wrong, however much is logged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis.strategies import booleans, characters, lists, sampled_from, text

from tests.integration.cli.processes import ran, running
from tests.integration.cli.worlds import blog
from versionsync.cli.context import CliContext
from versionsync.cli.main import run
from versionsync.simulator import FaultKind, Faults, SimulatorThread, Token

TOKEN = "5e1f0c7ab2d94e6f8a3b1c0d9e8f7a"
PASSWORD = "correct-horse-battery"


@pytest.fixture
def unruly() -> Iterator[SimulatorThread]:
    """A project behind a bad line, which TOKEN opens."""
    world = blog(records=10)
    world.people.add_token(Token(TOKEN, world.api, next(iter(world.people.roles.values()))))
    rates = {FaultKind.INTERNAL_ERROR: 0.1, FaultKind.BAD_GATEWAY: 0.1, FaultKind.WRONG_SHAPE: 0.05}
    with SimulatorThread(world, faults=Faults(seed=3, rates=rates)) as simulator:
        yield simulator


def spoken(folder: Path, *argv: str, **environ: str) -> tuple[int, str]:
    """The exit code, and all that the program said."""
    process = ran(*argv, cwd=folder, **environ)
    return process.returncode, (process.stdout + process.stderr).decode()


def spoken_and_shown(folder: Path, *argv: str, **environ: str) -> tuple[int, str]:
    """The same, and all that it showed to other processes while it ran."""
    with running(*argv, cwd=folder, is_fresh=True, **environ) as process:
        seen = ""
        while process.poll() is None:
            try:
                seen += Path(f"/proc/{process.pid}/cmdline").read_text()
            except OSError:
                break
            time.sleep(0.05)
        out, err = process.communicate(timeout=60)
    return process.returncode, seen + out + err


def written(folder: Path) -> bytes:
    """Every byte of every file below `folder` that is not a settings or secret file of the test's own."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".toml", ".token"))
    return b"".join(path.read_bytes() for path in files)


def settings(folder: Path, url: str, **more: str) -> None:
    """A settings file whose token is in a file of its own."""
    (folder / "web.token").write_text(TOKEN)
    (folder / "web.token").chmod(0o600)
    top = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
    (folder / "versionsync.toml").write_text(
        f"{top}[[sources]]\nname = 'web'\napi_token_file = 'web.token'\nbase_url = '{url}'\nrate_limit = 'none'\n"
    )
    (folder / "versionsync.toml").chmod(0o600)


@pytest.mark.parametrize(
    "argv",
    [
        ("sync",),
        ("sync", "-vv"),
        ("sync", "--json", "--debug"),
        ("sync", "--full", "-v"),
        ("doctor",),
        ("doctor", "--json", "--debug"),
    ],
    ids=" ".join,
)
def test_no_token_is_said_logged_or_stored(unruly: SimulatorThread, tmp_path: Path, argv: tuple[str, ...]) -> None:
    settings(tmp_path, unruly.url)
    _, said = spoken(tmp_path, *argv)
    assert said
    assert TOKEN not in said
    assert TOKEN.encode() not in written(tmp_path)


def test_a_token_that_is_refused_is_not_repeated(unruly: SimulatorThread, tmp_path: Path) -> None:
    settings(tmp_path, unruly.url)
    (tmp_path / "web.token").write_text(TOKEN[::-1])
    for argv in (("sync", "--debug"), ("sync", "--json"), ("doctor",), ("init", "--yes", "--token-file", "web.token")):
        code, said = spoken(tmp_path, *argv)
        assert code != 0
        assert TOKEN[::-1] not in said
    assert TOKEN[::-1].encode() not in written(tmp_path)


def test_no_password_of_a_database_is_said(unruly: SimulatorThread, tmp_path: Path) -> None:
    settings(tmp_path, unruly.url, database_url=f"postgresql://me:{PASSWORD}@127.0.0.1:1/mirror")
    for argv in (
        ("sync", "--debug"),
        ("status", "--debug"),
        ("doctor", "-vv"),
        ("db", "url"),
        ("db", "check", "--json"),
    ):
        _, said = spoken(tmp_path, *argv)
        assert "127.0.0.1" in said
        assert PASSWORD not in said


URLS = (
    "postgresql://me:{}@127.0.0.1:1/mirror",
    "postgresql://127.0.0.1:1/mirror?user=me&password={}",
    "postgresql://me@127.0.0.1:1/mirror?sslpassword={}&sslmode=disable",
    "postgresql://me:{}@127.0.0.1:one/mirror",
    "postgresql:/me:{}@127.0.0.1:1/mirror",
    "host=127.0.0.1 port=1 user=me password={}",
    "psql 'postgresql://me:{}@127.0.0.1:1/mirror'",
)
FRAGMENT = text("ABCDEFGHJKMNPQRSTUVWXYZ23456789", min_size=7, max_size=9)
BETWEEN = text(characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Zs", "Cc"]), max_size=3)


@settings_of_hypothesis(max_examples=60, deadline=None)
@given(
    form=sampled_from(URLS),
    fragments=lists(FRAGMENT, min_size=1, max_size=3),
    between=BETWEEN,
    is_quoted=booleans(),
    argv=sampled_from([("db", "url"), ("db", "check", "--debug"), ("status", "--json"), ("db", "backup", "x.db")]),
    is_option=booleans(),
)
def test_no_password_of_any_database_url_is_said(
    form: str, fragments: list[str], between: str, is_quoted: bool, argv: tuple[str, ...], is_option: bool
) -> None:
    """Whatever is in it, whether it is raw or quoted, whether the URL is taken or refused, wherever it stands."""
    password = between.join(fragments)
    url = form.format(quote(password, safe="") if is_quoted else password)
    argv, environ = ((*argv, "--database", url), {}) if is_option else (argv, {"VERSIONSYNC_DATABASE_URL": url})
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run(argv, CliContext(environ=environ))
    said = out.getvalue() + err.getvalue()
    assert said
    assert not [fragment for fragment in fragments if fragment in said]
    assert (code == 0) is (argv == ("db", "url") and code != 2)


@pytest.mark.parametrize(
    "url", ["postgresql://me:{}@h/x", "postgresql://h/x?password={}", "postgresql://h?PASSWORD={}"]
)
@pytest.mark.parametrize("argv", [("db", "url"), ("init", "--yes", "--no-test")], ids=" ".join)
def test_a_password_on_the_command_line_is_refused_whatever_the_command(
    tmp_path: Path, url: str, argv: tuple[str, ...]
) -> None:
    code, said = spoken(tmp_path, *argv, "--database", url.format("hunter22"), DATOCMS_API_TOKEN=TOKEN)
    assert code == 2
    assert "a password on the command line can be read by every user" in said
    assert list(tmp_path.iterdir()) == []


def test_a_settings_file_with_everything_wrong_repeats_none_of_it(tmp_path: Path) -> None:
    texts = (
        f"[[sources]]\nname = 'web'\napi_token = {TOKEN}\n",
        f"[[sources]]\nname = '{TOKEN} '\n",
        f"[[sources]]\nname = 'web'\nrate_limit = '{TOKEN}'\n",
        f"database_url = 'postgres//me:{PASSWORD}@db/x'\n",
        f"database_url = 'oracle://me:{PASSWORD}@db/x'\n",
        f"[[sources]]\nname = 'web'\nbase_url = 'https://me:{PASSWORD}@proxy/'\n",
    )
    for table in texts:
        (tmp_path / "versionsync.toml").write_text(table)
        (tmp_path / "versionsync.toml").chmod(0o600)
        for argv in (("doctor", "--debug"), ("status", "--debug")):
            code, said = spoken(tmp_path, *argv)
            assert code != 0, (table, said)
            assert TOKEN not in said
            assert PASSWORD not in said


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="no /proc")  # noqa: PTH110
def test_the_process_list_shows_no_token_though_it_is_in_the_environment(
    unruly: SimulatorThread, tmp_path: Path
) -> None:
    _, said = spoken_and_shown(tmp_path, "sync", "-vv", DATOCMS_API_TOKEN=TOKEN, VERSIONSYNC_BASE_URL=unruly.url)
    assert "sync" in said
    assert TOKEN not in said

"""Environments that are rare: no home, no folder, no UTF-8, names that are no text. Each is told as what it is."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli, Ran
from tests.integration.cli.mirror_queries import version_count
from tests.integration.cli.processes import PROGRAM, environment
from tests.integration.cli.processes import ran as let_run
from tests.integration.cli.test_bad_input import check

TOKEN = "0123456789abcdef"
NOBODY = ["setpriv", "--reuid=10077", "--regid=10077", "--clear-groups"]
"""A user that has no name here, and so no home."""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can be somebody else"
)


def as_process(*argv: str | bytes, cwd: Path, drop: list[str] | None = None, **environ: str) -> Ran:
    """The program as a process of its own; `drop` is what it is started by."""
    if drop is None:
        process = let_run(*argv, cwd=cwd, **environ)
    else:
        command = [*drop, *PROGRAM, *argv]
        process = subprocess.run(command, cwd=cwd, env=environment(**environ), capture_output=True, check=False)
    return Ran(process.returncode, process.stdout.decode(errors="replace"), process.stderr.decode(errors="replace"))


@pytest.mark.parametrize("name", ["développement", "a b", '"main"', "main\nx", "a/b", "\udcff", "🚀"])
def test_an_environment_that_no_header_can_name(cli: Cli, at: dict[str, str], name: str) -> None:
    ran = cli("sync", **at, VERSIONSYNC_ENVIRONMENT=name)
    check(ran, code=2, says="VERSIONSYNC_ENVIRONMENT must be the id of an environment: letters, digits, - and _$")


@pytest.mark.parametrize(
    "url", ["https://a..b", "https://.", f"https://{'a' * 64}.example", "http://[::1", "http://a:b"]
)
def test_an_address_that_no_resolver_takes(cli: Cli, at: dict[str, str], url: str) -> None:
    check(cli("sync", **(at | {"VERSIONSYNC_BASE_URL": url})), code=2, says="VERSIONSYNC_BASE_URL must be an address")


@pytest.mark.parametrize(
    "argv", ["sync", "status", "doctor", "run", "demo --fast", "init --yes --no-test", "db upgrade", "db backup a.db"]
)
def test_a_current_folder_that_was_deleted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, argv: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    check(cli(*argv.split(), DATOCMS_API_TOKEN=TOKEN), code=2, says="the current folder does not exist any more$")


def test_a_current_folder_that_was_deleted_before_it_started(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"rmdir {shlex.quote(str(gone))}; exec {shlex.join(PROGRAM)} sync"
    ran = as_process(cwd=gone, drop=["sh", "-c", line, "sh"], DATOCMS_API_TOKEN=TOKEN)
    check(ran, code=2, says="the current folder does not exist any more$")


@needs_root
@pytest.mark.parametrize("argv", [("sync",), ("status",), ("db", "current"), ("db", "upgrade")], ids=" ".join)
def test_a_current_folder_that_is_shut(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """As after `sudo -u versionsync` in the folder of root: no settings are found there, and that is all."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    ran = as_process(*argv, cwd=shut, drop=NOBODY, DATOCMS_API_TOKEN=TOKEN)
    check(ran, code=6, says="versionsync.db cannot be reached .Permission denied.: name one in a folder that")


@needs_root
def test_a_user_without_a_home() -> None:
    no_home = ["env", "-u", "HOME", *NOBODY]
    told = {
        ("sync", "--database", "~/a.db"): (6, "no home folder is known for ~/a.db: write the whole path"),
        ("sync", "--database", "~nobody-of-this-name/a.db"): (6, "no home folder is known for ~nobody-of-this-name"),
        ("service", "install", "--user", "--dry-run"): (2, "no home folder is known for this user"),
    }
    for argv, (code, says) in told.items():
        check(as_process(*argv, cwd=Path("/"), drop=no_home, DATOCMS_API_TOKEN=TOKEN), code=code, says=says)


def test_a_backup_for_a_user_who_does_not_exist(cli: Cli, at: dict[str, str]) -> None:
    cli("sync", **at)
    check(cli("db", "backup", "~nobody-of-this-name/b.db", **at), code=2, says="no home folder is known for ~nobody-of")


@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent"])
def test_a_home_that_does_not_exist(tmp_path: Path, at: dict[str, str], home: str) -> None:
    """It is needed for nothing; where it is asked for, it is named."""
    assert as_process("sync", cwd=tmp_path, HOME=home, **at).code == 0
    ran = as_process("sync", "--database", "~/sub/a.db", cwd=tmp_path, HOME=home, **at)
    check(ran, code=6, says="~/sub/a.db cannot be (made or opened|reached)")
    if home == "/dev/null":
        # Typer asks the parent processes for the shell, and a service has none: so it is named.
        named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
        ran = as_process("--install-completion", "bash", cwd=tmp_path, HOME=home, **named)
        check(ran, code=2, says="/dev/null cannot be used: ")


@pytest.mark.nightly
def test_a_locale_without_utf_8(tmp_path: Path, at: dict[str, str]) -> None:
    """Names of files go through as they were given; what stands in a file cannot become one, and that is said."""
    for argv in (("sync",), ("status",), ("doctor",), ("status", "--json"), ("db", "backup", "bü.db")):
        ran = as_process(*argv, "--database", "mü.db", cwd=tmp_path, **at, **ASCII)
        assert ran.code == 0, ran.written
    assert version_count(tmp_path / "mü.db") == version_count(tmp_path / "bü.db") == 6
    for settings in ('database_url = "sqlite:///mü.db"\n', '[[sources]]\nname = "web"\napi_token_file = "tökn"\n'):
        (tmp_path / "a.toml").write_text(settings, encoding="utf-8")
        ran = as_process("sync", "--config", "a.toml", cwd=tmp_path, **at, **ASCII)
        check(ran, code=2, says=r"the locale of this process \(ascii\) cannot write a name that is used here")
        assert "LC_ALL=C.UTF-8" in ran.err


def test_names_that_are_no_text(tmp_path: Path, at: dict[str, str]) -> None:
    """Linux takes any bytes."""
    for argv in (
        ("sync",),
        ("status",),
        ("doctor",),
        ("status", "--json"),
        ("db", "url"),
        ("db", "backup", b"b\xff.db"),
    ):
        ran = as_process(*argv, "--database", b"m\xff.db", cwd=tmp_path, **at)
        assert ran.code == 0, ran.written
    assert {path.name for path in tmp_path.glob("*.db")} == {os.fsdecode(b"m\xff.db"), os.fsdecode(b"b\xff.db")}
    for argv in (("sync", b"\xff"), ("status", "--config", b"\xff.toml"), ("sync", "--json", b"\xff")):
        assert as_process(*argv, cwd=tmp_path, **at).code == 2


def test_a_byte_order_mark_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "versionsync.toml").write_text("\ufeff[http]\nport = 1\n", encoding="utf-8")
    ran = cli("status")
    check(ran, code=2, says=r"versionsync.toml begins with a byte order mark \(BOM\)$")
    assert "hint: Save it as UTF-8 without BOM." in ran.err


@pytest.mark.parametrize("quote", ['"', "'", "`"])
def test_quotes_around_a_token_are_named(cli: Cli, tmp_path: Path, quote: str) -> None:
    """A shell takes them off; a file of variables, as Docker's --env-file and systemd have it, may keep them."""
    token = f"{quote}{TOKEN}{quote}"
    check(cli("sync", DATOCMS_API_TOKEN=token), code=2, says=r"has quotes around it \(DATOCMS_API_TOKEN\)$")
    (tmp_path / "web.token").write_text(token)
    (tmp_path / "web.token").chmod(0o600)
    for name in ("api_token", "webhook_password", "heartbeat_url"):
        (tmp_path / "a.toml").write_text(f"[[sources]]\nname = 'web'\n{name}_file = 'web.token'\n")
        ran = cli("run", "--config", "a.toml", DATOCMS_API_TOKEN=TOKEN)
        check(ran, code=2, says=r"has quotes around it \(.*web.token\)$|has quotes around it \(web.token\)$")
        assert "abcdef" not in ran.written


def test_a_nul_in_the_name_of_a_file_is_named(cli: Cli, tmp_path: Path) -> None:
    for settings in ('database_url_file = "a\\u0000b"\n', '[[sources]]\nname = "web"\napi_token_file = "a\\u0000b"\n'):
        (tmp_path / "versionsync.toml").write_text(settings)
        check(cli("sync", DATOCMS_API_TOKEN=TOKEN), code=2, says="has a NUL in it$")

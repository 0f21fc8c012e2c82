"""Every command shows examples in its help, and every example runs as it is shown.

They run in a folder with settings of one source, `website`, and its mirror. Only what belongs to another machine is
replaced: `sudo`, the address of a public host, the folder of the system's settings, a port, a server.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import typer

from docs.generate.commands_page import commands_of
from tests.fixtures.databases import MakeDatabase
from tests.fixtures.fake_upstreams import unused_port
from tests.integration.cli.commands.test_service import UP, Host, machine, write_settings  # noqa: F401
from tests.integration.cli.commands.test_webhook import answering, edit  # noqa: F401
from tests.integration.cli.conftest import Cli
from tests.integration.cli.processes import running
from tests.integration.cli.worlds import magazine
from versionsync.cli.context import CliContext
from versionsync.cli.main import app, run
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World

WIDTH = 80
INDENTATION = 3
ROOT = typer.main.get_command(app)
GROUPS = [((name,), command) for name, command in ROOT.commands.items() if hasattr(command, "commands")]  # type: ignore[attr-defined]
COMMANDS = [((), ROOT), *GROUPS, *commands_of(ROOT)]
PASSWORD = "a-password-for-the-webhook"


def examples_of(command: object) -> list[str]:
    """The command lines of its examples, each with its continuation lines."""
    text = str(getattr(command, "examples")).replace("\\\n", " ")  # noqa: B009 - Typer's class is private
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


EXAMPLES = list(dict.fromkeys(line for _, command in COMMANDS for line in examples_of(command)))
ENDLESS = {"run", "simulator", "events --follow"}


def is_endless(example: str) -> bool:
    words = example.split()
    return words[1] in ENDLESS or " ".join(words[1:3]) in ENDLESS


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[" ".join(words) or "root" for words, _ in COMMANDS])
def test_every_help_shows_one_to_three_examples_that_fit(words: tuple[str, ...], command: object, cli: Cli) -> None:
    """Each of this command, with a line before it that says what it is for, and without a frame to copy."""
    lines = str(getattr(command, "examples")).splitlines()  # noqa: B009
    examples = examples_of(command)
    assert 1 <= len(examples) <= 3
    assert len([line for line in lines if line.startswith("# ")]) == len(examples)
    assert all(INDENTATION + len(line) <= WIDTH for line in lines)
    for example in examples:
        assert example.removeprefix("sudo ").startswith(" ".join(["versionsync", *words]))
    shown = cli(*words, "--help").out
    assert " Examples\n" in shown
    assert all(f"   {line}".rstrip() in shown.splitlines() for line in lines)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatorThread, Path]]:
    """A simulated project, and a folder with settings and a mirror of it."""
    folder = tmp_path_factory.mktemp("mirrored")
    (folder / "website.token").write_text(FULL_ACCESS_TOKEN)
    (folder / "website.webhook").write_text(PASSWORD)
    for secret in ("website.token", "website.webhook"):
        (folder / secret).chmod(0o600)
    with SimulatorThread(magazine()) as simulator:
        (folder / "versionsync.toml").write_text(
            f'database_url = "sqlite:///{folder}/versionsync.db"\n'
            f'[[sources]]\nname = "website"\nbase_url = "{simulator.url}"\nrate_limit = "none"\n'
            f'api_token_file = "website.token"\nwebhook_password_file = "website.webhook"\n'
            f"[http]\nport = {unused_port()}\n"
        )
        settings = ["--config", str(folder / "versionsync.toml")]
        assert run(["sync", *settings], CliContext(environ={})) == 0
        simulator.act(_lose_an_article)
        assert run(["sync", *settings], CliContext(environ={})) == 0
        yield simulator, folder


def _lose_an_article(world: World) -> None:
    (lost,) = (id for id, record in world.primary.records.items() if b"The lost map" in bytes(record.head.read()))
    world.delete(world.user, lost)
    world.clock.advance(timedelta(minutes=1))


@pytest.fixture
def upstream(mirrored: tuple[SimulatorThread, Path], tmp_path: Path) -> SimulatorThread:
    """The project; the test's folder becomes a copy of the one with the mirror."""
    simulator, folder = mirrored
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "versionsync.toml"
    settings.write_text(settings.read_text().replace(str(folder), str(tmp_path)))
    return simulator


def argv_of(example: str) -> list[str]:
    """The words of a command line after `versionsync`."""
    words = shlex.split(example.removeprefix("sudo ").replace("postgresql://me@localhost/website", "moved.db"))
    assert words.pop(0) == "versionsync"
    return words


def eventually(is_so: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def is_ordinary(example: str) -> bool:
    words = argv_of(example)
    needs_more = words[0] in ("service", "webhook", "init", "health", "demo") or words[:2] == ["db", "reader"]
    return not needs_more and not is_endless(example)


@pytest.mark.postgres
@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[:2] == ["db", "reader"]])
def test_an_example_of_a_reader_runs(example: str, cli: Cli, make_postgres_database: MakeDatabase) -> None:
    """On PostgreSQL; SQLite has no roles."""
    url = make_postgres_database().replace("+psycopg", "")
    ran = cli(*argv_of(example), "--json", VERSIONSYNC_DATABASE_URL=url)
    assert ran.code == 0, ran.written
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {ran.json['role']}".encode())
        owner.execute(f"DROP ROLE {ran.json['role']}".encode())


@pytest.mark.parametrize("example", list(filter(is_ordinary, EXAMPLES)))
def test_an_example_runs(
    example: str, cli: Cli, upstream: SimulatorThread, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "--send-test-notification" in example:
        address = request.getfixturevalue("answering").replace("http://", "json://")
        settings = tmp_path / "versionsync.toml"
        settings.write_text(f'{settings.read_text()}[[notifications]]\nurl = "{address}"\n')
        settings.chmod(0o600)
    ran = cli(*argv_of(example))
    assert ran.code == 0, ran.written
    assert ran.out


@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[0] == "demo"])
def test_an_example_of_the_demo_runs(example: str, cli: Cli) -> None:
    """In its quick form."""
    assert cli(*argv_of(example), "--fast").code == 0


@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[0] == "init"])
def test_an_example_of_init_writes_settings_that_work(
    example: str, cli: Cli, tmp_path: Path, upstream: SimulatorThread
) -> None:
    """Without a terminal each takes the token where it is."""
    (tmp_path / "versionsync.toml").unlink()
    (tmp_path / "website.token").rename(tmp_path / "api_token")
    argv = argv_of(example.replace("/etc/versionsync", str(tmp_path)))
    token = {} if "--token-file" in argv else {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN}
    ran = cli(*argv, VERSIONSYNC_BASE_URL=upstream.url, **token)
    assert ran.code == 0, ran.written
    assert cli("sync", **token).code == 0


@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[0] == "webhook"])
def test_an_example_of_a_webhook_runs(
    example: str, cli: Cli, upstream: SimulatorThread, request: pytest.FixtureRequest
) -> None:
    """There is a webhook already, and DatoCMS has called it once; `install` makes another."""
    address: str = request.getfixturevalue("answering")
    upstream.act(lambda world: world.webhooks.registered.clear())
    upstream.act(lambda world: world.clock.run())
    argv = argv_of(example.replace("https://my.host/", address))
    if argv[1] != "install":
        assert cli("webhook", "install", "--url", f"{address}webhooks/website").code == 0
        edit(upstream)
    ran = cli(*argv)
    assert ran.code == 0, ran.written
    count = len(upstream.act(lambda world: list(world.webhooks.registered)))
    assert count == ("--dry-run" not in argv if argv[1] == "install" else argv[1] != "remove" or "--dry-run" in argv)


@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[0] == "service"])
def test_an_example_of_the_service_runs(example: str, request: pytest.FixtureRequest) -> None:
    """On a simulated systemd, for a user instead of the machine."""
    host: Host = request.getfixturevalue("machine")
    host.answers(UP)
    argv = argv_of(example)[1:]
    for name in ("versionsync", "shop"):
        write_settings(host.settings, name)
    if argv[0] != "install":
        assert host.run("install", "--yes", *argv[1:]).code == 0
    ran = host.run(*argv, *(["--yes"] if argv[0] != "status" else []))
    assert ran.code == 0, ran.written
    assert ran.out


@pytest.mark.parametrize("example", [line for line in EXAMPLES if argv_of(line)[0] == "health"])
def test_an_example_of_health_runs_while_the_daemon_does(
    example: str, cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    with running("run", cwd=tmp_path):
        eventually(lambda: cli(*argv_of(example)).code == 0)
    assert cli(*argv_of(example)).code == 3


@pytest.mark.parametrize("example", list(filter(is_endless, EXAMPLES)))
def test_an_example_without_an_end_starts_and_stops(
    example: str, cli: Cli, upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Ctrl-C ends it well once it has done something."""
    argv = argv_of(example)
    if argv[0] == "simulator":
        argv += ["--port", "0"]
    with running(*argv, cwd=tmp_path) as process:
        assert process.stdout
        if argv[0] == "run":
            eventually(lambda: cli("health").code == 0)
        elif argv[0] == "simulator":
            assert process.stdout.readline()
            assert "It answers at http://127.0.0.1:" in process.stdout.readline()
        else:
            for _ in cli(*[word for word in argv if word != "--follow"], "--json").lines:
                process.stdout.readline()
            record = upstream.act(lambda world: next(iter(world.primary.records)))
            edit(upstream)
            upstream.act(lambda world: world.publish(world.user, record))
            assert cli("sync").code == 0
            assert "published" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == (130 if argv[0] == "events" else 0)

"""The documentation says what is so: its links lead somewhere, its lists are whole, its commands run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import select

from tests.fixtures.pages import PAGES, ROOT, Block, blocks
from tests.fixtures.sync_env import MakeSyncEnv
from versionsync.cli.exit_codes import ExitCode
from versionsync.cma import errors as cma_errors
from versionsync.config import errors as config_errors
from versionsync.erasure.carry_out import erase, plan_erasure
from versionsync.ledger.events import EventType
from versionsync.mirror import errors as mirror_errors
from versionsync.mirror.schema import events
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorOptions, SimulatorThread, World
from versionsync.simulator.scenarios.news.site import build_news
from versionsync.sync.deletions import MassDeletionError
from versionsync.systemd import errors as service_errors

EVENTS, EXIT_CODES, GUARANTEES, LOG, POSTGRESQL, TROUBLE = (
    ROOT / "docs" / f"{name}.md"
    for name in ("events", "exit-codes", "guarantees", "log", "postgresql", "troubleshooting")
)
README = ROOT / "README.md"
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
INVARIANTS = 16

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and headings of this repository; other sites are not asked."""
    broken = [target for target in _links(page) if not _leads_somewhere(page, target)]
    assert broken == []


@each_page
def test_every_test_that_is_named_exists(page: Path) -> None:
    """A page that names a test stands on it."""
    missing = [f"{path}::{name}" for path, name in NAMED_TEST.findall(page.read_text()) if not _is_defined(path, name)]
    assert missing == []


@each_page
def test_no_page_names_a_machine(page: Path) -> None:
    """No path of whoever wrote it; where the unit looks for the program is nobody's."""
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|Users|work|mnt|opt(?!/versionsync))/\S*", page.read_text()) == []


@each_page
def test_every_command_line_that_is_shown_exists(page: Path) -> None:
    """Its verb and its options: those of docs/commands.md, which is made from the program."""
    options = _options_by_verb()
    wrong = [line for line in _shown_command_lines(page) if not _is_understood(line, options)]
    assert wrong == []


def test_a_command_line_that_does_not_exist_is_noticed() -> None:
    """The test above can fail."""
    options = _options_by_verb()
    assert _is_understood("versionsync service install --name shop --yes", options)
    assert _is_understood("versionsync --config a.toml sync website --wait 60", options)
    assert not _is_understood("versionsync service instal", options)
    assert not _is_understood("versionsync sync --whole", options)


def test_each_invariant_is_numbered_and_has_a_test() -> None:
    """Thirteen of them, as the code cites them."""
    sections = re.split(r"^## ", GUARANTEES.read_text(), flags=re.MULTILINE)[1:]
    assert [section.partition(".")[0] for section in sections] == [str(number + 1) for number in range(INVARIANTS)]
    assert [section.splitlines()[0] for section in sections if not NAMED_TEST.search(section)] == []


def test_invariants_are_cited_by_numbers_that_exist() -> None:
    """In code, tests and migrations."""
    files = [file for folder in ("versionsync", "tests", "migrations") for file in (ROOT / folder).rglob("*.py")]
    cited = {int(number) for file in files for number in re.findall(r"[Ii]nvariants? (\d+)", file.read_text())}
    assert cited <= set(range(1, INVARIANTS + 1))
    assert cited


def test_every_type_of_event_is_documented_and_no_other() -> None:
    """The table of docs/events.md."""
    assert list(_documented_events()) == [type.value for type in EventType]


def test_events_are_as_they_are_documented(make_sync_env: MakeSyncEnv) -> None:
    """Every type happens here: its basis and the members of its data are those of the table."""
    documented = _documented_events()
    sync_env = make_sync_env(switches=SimulatorOptions(versions_kept=3))
    model = sync_env.act(lambda world: world.create_model(world.account, "post"))
    field = sync_env.act(lambda world: world.create_field(world.account, model, "title"))
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.sync()
    for act in _acts(post.id, field.id):
        sync_env.act(act)
        sync_env.sync()
    target = plan_erasure(sync_env.mirror, (), post.id).target
    erase(sync_env.mirror, target, reason=None, now=lambda: datetime.now(UTC), wait_seconds=0)
    query = select(events.c.type, events.c.occurred_basis, events.c.data)
    with sync_env.mirror.read() as connection:
        told = [(row.type, row.occurred_basis, set(json.loads(row.data))) for row in connection.execute(query)]
    for type, basis, members in told:
        assert basis in documented[type].bases, type
        assert members <= documented[type].members, type
    # The simulated project cannot change its time zone: tests/unit/ledger/test_time_formats.py plans that event.
    assert {type for type, _, _ in told} | {"source.format_changed"} == set(documented)


@each_page
def test_every_time_in_a_query_has_all_its_digits(page: Path) -> None:
    """SQLite compares texts: of a shorter one midnight would be on the wrong side."""
    times = [time for block in blocks(page, "sql") for time in re.findall(r"'(\d{4}-\d\d-\d\dT[^']*)'", block.text)]
    assert [time for time in times if not re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", time)] == []


def test_every_exit_code_is_explained() -> None:
    """In the table of docs/exit-codes.md."""
    table = EXIT_CODES.read_text().partition("\n## ")[0]
    codes = re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)
    assert codes == [str(code.value) for code in ExitCode]


def test_every_error_is_explained() -> None:
    """All that a user can meet, and no other."""
    bases = {"VersionsyncError", "CmaError", "MirrorError", "ConfigError", "ServiceError"}
    known = {MassDeletionError.__name__}
    for module in (cma_errors, mirror_errors, config_errors, service_errors):
        known |= _errors_of(module) - bases
    messages = re.findall(r"^- \*\*Message:\*\*.*(?:\n  .*)*", TROUBLE.read_text(), flags=re.MULTILINE)
    named = {name for message in messages for name in re.findall(r"\(`([A-Z]\w+)`\)", message)}
    assert named == known


def test_every_message_that_is_explained_is_said() -> None:
    """Somewhere in the program; lines that are split there are joined."""
    quoted = re.findall("“(.+?)”", TROUBLE.read_text())
    said = "".join(file.read_text() for file in sorted((ROOT / "versionsync").rglob("*.py")))
    said = re.sub(r"\"\n\s*f?\"", "", said)
    assert len(quoted) > 30
    assert [words for words in quoted if words not in said] == []


def test_the_picture_shows_the_demo_of_today(tmp_path: Path) -> None:
    """Its headings are those of the demo; `docs/images/make.py` draws it anew."""
    ran = _run("versionsync demo --fast", tmp_path, COLUMNS="200")
    for name in ("light", "dark"):
        headings = _bold_texts(ROOT / "docs" / "images" / f"demo-{name}.svg")
        assert len(headings) >= 5
        assert [heading for heading in headings if heading not in ran] == []


def test_every_event_of_the_log_is_explained() -> None:
    """In the table of docs/log.md, and no other. Events that only `-vv` shows are left out."""
    section = LOG.read_text().partition("\n## Events\n")[2]
    told = [
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+\.\w+)`", row)
    ]
    assert sorted(told) == sorted(set(_logged()))


def _logged() -> Iterator[str]:
    """Yield the names that are passed to a method of a log, or to one that was chosen before, except `debug`."""
    for file in sorted((ROOT / "versionsync").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                method = node.func
                if isinstance(method, ast.Call):
                    method = method.func
                name = method.attr if isinstance(method, ast.Attribute) else getattr(method, "id", "")
                if re.fullmatch(r"_?(info|warn\w*|error|log\w*|tell|emit|write|report)", name):
                    said = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
                    yield from (
                        word for word in said if isinstance(word, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", word)
                    )


@pytest.fixture
def upstream() -> Iterator[dict[str, str]]:
    """Where the commands of the pages find a DatoCMS."""
    world = World(seed=1)
    build_news(world)
    with SimulatorThread(world, limits=None) as simulator:
        yield {"VERSIONSYNC_BASE_URL": simulator.url, "VERSIONSYNC_RATE_LIMIT": "none"}


NOT_RUN = {
    "python3 -m venv": "tests/system/test_wheel.py installs it, and the demo is run for its picture",
    ".ci/run": "it runs this test",
    ". .venv/bin/activate": "the tests have an environment of their own",
    "pip install": "tests/system/test_wheel.py installs it",
    ".venv/bin/pytest": "it runs this test",
    "VERSIONSYNC_TEST_": "it repeats a test for long",
    "VERSIONSYNC_SOAK_SECONDS": "it lasts half an hour",
    ".venv/bin/python -m benchmarks": "it takes an hour",
    ".venv/bin/python -m tests.mutation": "it takes an hour and a half",
    ".venv/bin/python -m tests.service": "it needs root, and boots a machine",
    ".venv/bin/pip install": "it would change the environment that the tests run in",
    ".venv/bin/python -m tests.release": "it takes three quarters of an hour, and a package registry",
    ".venv/bin/python docs/images/": "it would change the pictures",
}


def test_the_commands_of_the_readme_run(upstream: dict[str, str], tmp_path: Path, empty_postgres_url: str) -> None:
    """And then those of docs/postgresql.md, in one empty folder; only addresses and secrets are replaced."""
    stands_for = {
        "versionsync init": f"versionsync init --yes --base-url {upstream['VERSIONSYNC_BASE_URL']}",
        "0123456789abcdef": FULL_ACCESS_TOKEN,
        "postgresql://me:secret@localhost/website": empty_postgres_url.replace("+psycopg", ""),
    }
    script = ["set -e", f"export DATOCMS_API_TOKEN={FULL_ACCESS_TOKEN}"]
    for block in (*blocks(README, "sh"), *blocks(POSTGRESQL, "sh")):
        for command in _commands(block):
            if not command.startswith(tuple(NOT_RUN)):
                for shown, real in stands_for.items():
                    command = command.replace(shown, real)
                script.append(command)
    assert len(script) > 8
    out = _run("\n".join(script), tmp_path, **upstream)
    assert "All is well" in out
    assert out.count("succeeded") >= 3
    assert "The database is now at schema" in out


def test_what_contributors_are_told_to_run_exists(tmp_path: Path) -> None:
    """Generators are asked whether their pages are current, which changes nothing."""
    for block in blocks(ROOT / "CONTRIBUTING.md", "sh"):
        for command in _commands(block):
            if not command.startswith(tuple(NOT_RUN)):
                assert command == ".venv/bin/python -m docs.generate"
                _run(f"{command.removeprefix('.venv/bin/')} --check", ROOT)


def test_the_consumer_of_events_runs(upstream: dict[str, str], tmp_path: Path) -> None:
    """It tells each publication once, however often it runs."""
    (block,) = (each for each in blocks(EVENTS, "python") if each.info == ("python",))
    (tmp_path / "consumer.py").write_text(block.text)
    _run("versionsync sync", tmp_path, DATOCMS_API_TOKEN=FULL_ACCESS_TOKEN, **upstream)
    assert _run("python consumer.py", tmp_path).count("went live with version") > 10
    assert _run("python consumer.py", tmp_path) == ""


class _Documented:
    """One row of the table of events."""

    def __init__(self, basis: str, data: str) -> None:
        self.bases = {word for word in ("upstream", "observed") if f"`{word}`" in basis}
        self.members = set(re.findall(r"`(\w+)`", data))


def _documented_events() -> dict[str, _Documented]:
    rows = re.findall(r"^\| ((?:`\w+\.\w+`(?:, )?)+) \| .* \| (.*) \| (.*) \|$", EVENTS.read_text(), flags=re.MULTILINE)
    return {type: _Documented(basis, data) for types, basis, data in rows for type in re.findall(r"`([^`]+)`", types)}


def _acts(post: str, field: str) -> list[Callable[[World], object]]:
    return [
        lambda world: world.publish(world.user, post),
        lambda world: world.update(world.user, post, {"title": "two"}),
        lambda world: world.publish(world.user, post),
        lambda world: world.unpublish(world.user, post),
        *[lambda world, n=n: world.update(world.user, post, {"title": f"{n}"}) for n in range(4)],
        lambda world: world.delete(world.user, post),
        lambda world: world.create(world.user, "post", {"title": "again"}, id=post),
        lambda world: world.create_model(world.account, "page"),
        lambda world: world.update_model(world.account, "page", name="Pages"),
        lambda world: world.destroy_model(world.account, "page"),
        lambda world: world.create_field(world.account, "post", "body"),
        lambda world: world.update_field(world.account, field, api_key="headline"),
        lambda world: world.destroy_field(world.account, field),
        lambda world: world.fork(world.account, "main", "spring"),
        lambda world: world.update(world.user, post, {"body": "only in main"}),
        lambda world: world.promote(world.account, "spring"),
        lambda world: world.promote(world.account, "main"),
        lambda world: setattr(world.options, "history_resolution", timedelta(hours=1)),
        lambda world: world.update(world.user, post, {"body": "merged"}),
    ]


def _links(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [first or second for first, second in LINK.findall(prose)]


def _leads_somewhere(page: Path, target: str) -> bool:
    if target.startswith("https://"):
        return True
    name, _, heading = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    return file.exists() and file.is_relative_to(ROOT) and (not heading or heading in _headings(file))


def _headings(page: Path) -> set[str]:
    """The headings of a page, as GitHub names them in an address."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def _is_defined(path: str, name: str) -> bool:
    file = ROOT / path
    return file.exists() and bool(
        re.search(rf"^(?:(?:async )?def|class) {name}\b|^{name} = ", file.read_text(), re.MULTILINE)
    )


def _errors_of(module: ModuleType) -> set[str]:
    return {name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Exception)}


def _bold_texts(picture: Path) -> list[str]:
    text = picture.read_text().replace("&#160;", " ").replace("&#x27;", "'")
    styles = re.findall(r"\.(demo-r\d+) \{[^}]*font-weight: bold", text)
    found = re.findall(r'<text class="(demo-r\d+)"[^>]*>(.*?)</text>', text)
    return [drawn.strip() for style, drawn in found if style in styles]


def _options_by_verb() -> dict[str, set[str]]:
    """The options of each verb, those of every command included."""
    text = (ROOT / "docs" / "commands.md").read_text()
    sections: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    options = {
        name: {
            option
            for row in re.findall(r"^\| (.*?) \|", body, re.MULTILINE)
            for option in re.findall(r"`(-[-\w]+)`", row)
        }
        for name, body in sections.items()
    }
    shared = options["Options of every command"] | {"--help", "-h", "-vv"}
    return {"": shared | {"--version", "--install-completion"}} | {
        name: own | shared for name, own in options.items() if f"versionsync {name}" in sections[name]
    }


def _shown_command_lines(page: Path) -> list[str]:
    """Of blocks and of the text."""
    text = page.read_text()
    lines = [command for block in blocks(page, "sh") for command in _commands(block)]
    lines += [" ".join(code.split()) for code in re.findall(r"(?<!`)`(versionsync [^`]+)`(?!`)", text)]
    shown = [re.match(r"(?:\w+=\S* |sudo )*(?:/\S*/)?(versionsync [^|;&>#)]*)", line) for line in lines]
    return [found[1] for found in shown if found]


def _is_understood(line: str, options: dict[str, set[str]]) -> bool:
    words = line.split()[1:]
    plain = [word for word in words if not word.startswith("-")]
    pairs = [" ".join(plain[at : at + size]) for size in (2, 1) for at in range(len(plain) - size + 1)]
    verb = next((pair for pair in pairs if pair in options), "")
    if plain and not verb and plain not in ([group] for group in _GROUPS):
        return False
    return {word.partition("=")[0] for word in words if word.startswith("-")} <= options[verb]


_GROUPS = ("service", "db", "webhook")


def _commands(block: Block) -> list[str]:
    return [re.sub(r"\s+# .*", "", line) for line in block.text.splitlines() if line.strip()]


def _run(script: str, folder: Path, **environ: str) -> str:
    """What a shell writes to standard output; it must succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    bash = shutil.which("bash")
    assert bash is not None
    ran = subprocess.run(
        [bash, "-c", script],
        cwd=folder,
        env={**os.environ, **environ, "PATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout

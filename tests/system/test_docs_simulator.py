"""docs/simulator.md says what is so: its tables are whole, and its examples run.

    VERSIONSYNC_TEST_WRITE=1 pytest tests/system/test_docs_simulator.py

writes the tables of faults and switches, which are made from the source, into the page instead of comparing them.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Final, get_args, get_type_hints

import pytest

from tests.fixtures.pages import ROOT, answer_table, blocks, put_under, shown_under
from tests.integration.cli.processes import ran, running
from versionsync.simulator import FULL_ACCESS_TOKEN, Simulator, SimulatorOptions, SimulatorThread, World
from versionsync.simulator.http import faults
from versionsync.simulator.http.faults import FaultKind
from versionsync.simulator.http.server import ALL_ROUTES
from versionsync.simulator.scenarios.news.site import build_news
from versionsync.simulator.world import options as switches

WRITE: Final = bool(os.environ.get("VERSIONSYNC_TEST_WRITE"))
PAGE: Final = ROOT / "docs" / "simulator.md"
ADDRESS: Final = "http://127.0.0.1:8080"
STARTS: Final = [
    command
    for block in blocks(PAGE, "sh")
    for command in block.text.splitlines()
    if command.startswith("versionsync simulator")
]
FAULTS, SWITCHES = "<!-- faults -->", "<!-- switches -->"


def test_every_route_is_named_in_the_table_and_no_other() -> None:
    """The message says which line to write where."""
    named = [
        (method, path)
        for row in _rows()
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/\S*)`", row["requests"])
    ]
    served = {(route.method, route.path) for route in ALL_ROUTES}
    missing = [f"`{method} {path}`" for method, path in sorted(served - set(named), key=lambda one: one[::-1])]
    gone = [f"`{method} {path}`" for method, path in named if (method, path) not in served]
    twice = sorted({f"`{method} {path}`" for method, path in named if named.count((method, path)) > 1})
    told = f'{PAGE.relative_to(ROOT)}, table under "What is simulated", column "requests"'
    assert not missing, f"{told}: put these routes into the row of their part, or into a new row: {', '.join(missing)}"
    assert not gone, f"{told}: these routes do not exist (any more): {', '.join(gone)}"
    assert not twice, f"{told}: these routes stand there twice: {', '.join(twice)}"


def test_every_switch_is_named_in_the_table_and_no_other() -> None:
    """Beside the part of the API about which it is."""
    named = [name for row in _rows() for name in re.findall(r"`(\w+)`", row["switches"])]
    known = SimulatorOptions.__dataclass_fields__.keys()
    missing = [f"`{name}`" for name in known if name not in named]
    gone = [f"`{name}`" for name in named if name not in known]
    told = f'{PAGE.relative_to(ROOT)}, table under "What is simulated", column "switches"'
    assert not missing, f"{told}: put these switches into the row of their part: {', '.join(missing)}"
    assert not gone, f"{told}: these switches do not exist (any more): {', '.join(gone)}"
    assert len(named) == len(set(named)), f"{told}: a switch stands there twice"


def test_every_part_says_how_far_it_goes() -> None:
    """No cell is empty."""
    assert [row["part"] for row in _rows() if not all(row.values())] == []


def test_the_tables_of_faults_and_switches_are_those_of_the_source() -> None:
    """Each with its docstring."""
    for mark, table in ((FAULTS, _faults_table()), (SWITCHES, _switches_table())):
        if WRITE:
            put_under(PAGE, mark, table)
        assert shown_under(PAGE, mark) == table, (
            f"{PAGE.relative_to(ROOT)}: the table under {mark} is not that of the source; write it anew with "
            "VERSIONSYNC_TEST_WRITE=1 pytest tests/system/test_docs_simulator.py"
        )


def test_every_control_endpoint_is_named_and_no_other() -> None:
    """The module's own table, too."""
    routes = Simulator(World()).server.app.router.routes()
    mounted = {
        (route.method, route.resource.canonical)
        for route in routes
        if route.resource is not None and route.resource.canonical.startswith("/_simulator") and route.method != "HEAD"
    }
    named = re.findall(r"^\| `(GET|POST|DELETE) (/_simulator\S*)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(mounted)


@pytest.mark.parametrize("command", STARTS)
def test_every_way_to_start_it_works(command: str, tmp_path: Path) -> None:
    """On a free port; in a repository or beside a mirror, where it reads one."""
    words = command.partition("#")[0].split()[1:]
    if "--from-mirror" in words:
        world = World(seed=1)
        build_news(world)
        with SimulatorThread(world) as upstream:
            at = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": upstream.url}
            assert ran("sync", cwd=tmp_path, VERSIONSYNC_RATE_LIMIT="none", **at).returncode == 0
    if "--git" in words:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        (tmp_path / "page.md").write_text("Hello\n")
        for argv in (["init", "-q"], ["add", "page.md"], [*who, "commit", "-qm", "first"]):
            subprocess.run(["git", *argv], cwd=tmp_path, check=True)
    with running(*words, "--port", "0", "--json", cwd=tmp_path) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
    assert told["versions"] >= told["records"] > 0
    if "--projects" in words:
        tokens = [project["token"] for project in told["projects"]]
        assert (tokens[0], tokens[1], tokens[-1]) == (
            FULL_ACCESS_TOKEN,
            f"{FULL_ACCESS_TOKEN}-2",
            "simulator-full-access-1000",
        )
        assert all(f"`{token}`" in PAGE.read_text() for token in (tokens[0], tokens[1], tokens[-1]))


@pytest.fixture
def simulator() -> Iterator[SimulatorThread]:
    """What the other commands of the page talk to."""
    world = World(seed=1)
    build_news(world, articles=4)
    with SimulatorThread(world) as running_one:
        yield running_one


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's examples use curl")
def test_the_other_commands_run(simulator: SimulatorThread, tmp_path: Path) -> None:
    """One after the other; each curl is answered with JSON and without an error."""
    commands = [
        command
        for block in blocks(PAGE, "sh")
        for command in block.text.splitlines()
        if not command.startswith("versionsync simulator")
    ]
    script = "\n".join(["set -e", *(command.replace(ADDRESS, simulator.url) for command in commands)])
    script = re.sub(r"^curl .*$", r"\g<0> --fail-with-body -o answer-$((++n)).json", script, flags=re.MULTILINE)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    bash = shutil.which("bash")
    assert bash is not None
    ran = subprocess.run(
        [bash, "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = [json.loads(file.read_bytes()) for file in tmp_path.glob("answer-*.json")]
    assert len(answers) == sum(command.startswith("curl") for command in commands) > 4
    assert (tmp_path / "versionsync.db").exists()
    assert simulator.act(lambda world: world.options.versions_order) == "oldest_first"


def test_the_example_in_python_runs() -> None:
    """As it stands there."""
    (block,) = blocks(PAGE, "python")
    exec(compile(block.text, str(block), "exec"), {})


def _rows() -> list[dict[str, str]]:
    """The table of what is simulated."""
    section = PAGE.read_text().partition("## What is simulated\n")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert len(lines) > 10
    head, _, *rows = lines
    return [dict(zip(head, row, strict=True)) for row in rows]


def _faults_table() -> str:
    said = _docstrings(faults, "FaultKind")
    return answer_table(["fault", "what happens"], [(f"`{kind.value}`", _cell(said[kind.name])) for kind in FaultKind])


def _switches_table() -> str:
    said, types, usual = _docstrings(switches, "SimulatorOptions"), get_type_hints(SimulatorOptions), SimulatorOptions()
    rows = []
    for name in SimulatorOptions.__dataclass_fields__:
        assert name in said, f"versionsync/simulator/world/options.py: `{name}` has no docstring"
        value = getattr(usual, name)
        others = [
            f"`{json.dumps(other)}`" for other in get_args(types[name]) if isinstance(other, str) and other != value
        ]
        default = f"`{json.dumps(_plain(value))}`" + (f" (or {', '.join(others)})" if others else "")
        rows.append((f"`{name}`", default, re.sub(r"\bNone\b", "`null`", _cell(said[name]))))
    return answer_table(["switch", "default", "meaning"], rows)


def _plain(value: object) -> object:
    """*value* as the control endpoint takes it."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(text: str) -> str:
    return " ".join(text.split())


def _docstrings(module: ModuleType, name: str) -> dict[str, str]:
    """What stands under each member of the class *name*."""
    (found,) = (
        node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    said = {}
    for member, text in zip(found.body, found.body[1:], strict=False):
        target = member.target if isinstance(member, ast.AnnAssign) else None
        if isinstance(member, ast.Assign):
            target = member.targets[0]
        if (
            isinstance(target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            said[target.id] = text.value.value
    return said

"""What the pages for data engineers show runs as it is shown: pandas, DuckDB, Datasette and dbt.

These tools are no dependencies of ours. `VERSIONSYNC_TEST_TOOLS` names a Python that has them, such as that of an
environment of their own; a page is skipped by name if it has not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.fixtures.databases import MakeDatabase
from tests.fixtures.pages import ROOT, blocks
from versionsync.cli.context import CliContext
from versionsync.cli.main import run
from versionsync.mirror.database import Mirror
from versionsync.mirror.sql.reader import make_reader, reader_url
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World
from versionsync.simulator.scenarios.news.site import build_news

PYTHON = os.environ.get("VERSIONSYNC_TEST_TOOLS", sys.executable)
SHOWN_URL = "postgresql://reader:password@localhost/website"


def tool(name: str) -> None:
    """Skip the test unless the package is there."""
    if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True, check=False).returncode:
        pytest.skip(f"{name} is not installed")


def python(code: str, folder: Path, **environ: str) -> str:
    return _ran([PYTHON, "-c", code], folder, **environ)


def _ran(argv: list[str], folder: Path, **environ: str) -> str:
    ended = subprocess.run(
        argv,
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def shown(page: str, language: str, kind: str) -> str:
    (found,) = (block.text for block in blocks(ROOT / "docs" / f"{page}.md", language) if block.info[1:] == (kind,))
    return found


@pytest.fixture(scope="module")
def upstream() -> Iterator[dict[str, str]]:
    world = World(seed=1)
    build_news(world)
    with SimulatorThread(world, limits=None) as simulator:
        yield {
            "VERSIONSYNC_BASE_URL": simulator.url,
            "VERSIONSYNC_RATE_LIMIT": "none",
            "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        }


@pytest.fixture
def folder(upstream: dict[str, str], tmp_path: Path) -> Path:
    """A folder with a mirror of the news site, as the pages name it."""
    assert run(["sync", "--database", str(tmp_path / "versionsync.db")], CliContext(environ=upstream)) == 0
    return tmp_path


@pytest.fixture
def server(upstream: dict[str, str], make_postgres_database: MakeDatabase) -> Iterator[tuple[str, str]]:
    """A mirror of the news site in PostgreSQL: the URL of its owner, and that of a reader."""
    url = make_postgres_database()
    role = f"reader_{uuid4().hex[:12]}"
    assert run(["sync"], CliContext(environ=upstream | {"VERSIONSYNC_DATABASE_URL": url})) == 0
    with Mirror.open(url) as mirror:
        make_reader(mirror, role, password="password")
    owner = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    yield owner, reader_url(url, role, "password")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role} CASCADE".encode())
        connection.execute(f"DROP ROLE {role}".encode())


def test_the_queries_of_the_page_about_sql_run(folder: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "sql.md", "sh")
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    answered = _ran(["sh", "-ec", block.text], folder, PATH=programs)
    assert "Ben Writer" in answered
    assert (folder / "versions.csv").read_text().startswith("source,")


def test_pandas_reads_sqlite(folder: Path) -> None:
    tool("pandas")
    assert "Ben Writer" in python(shown("pandas", "python", "sqlite"), folder)


@pytest.mark.postgres
def test_pandas_reads_postgresql(tmp_path: Path, server: tuple[str, str]) -> None:
    tool("pandas")
    code = shown("pandas", "python", "postgresql")
    url = SHOWN_URL.replace("postgresql:", "postgresql+psycopg:")
    assert url in code
    code = code.replace(url, server[1].replace("postgresql:", "postgresql+psycopg:"))
    assert "Ben Writer" in python(code, tmp_path)


def _duckdb(sql: str) -> str:
    """DuckDB runs it; INSTALL would need a network, so the extension has to be there."""
    ready = subprocess.run(
        [PYTHON, "-c", "import duckdb; duckdb.sql('LOAD sqlite'); duckdb.sql('LOAD postgres')"],
        capture_output=True,
        check=False,
    )
    if ready.returncode:
        pytest.skip("DuckDB has not its extensions sqlite and postgres")
    statements = [each.strip() for each in sql.split(";") if each.strip()]
    return f"import duckdb\nfor each in {statements!r}:\n    found = duckdb.sql(each)\n    print(found or '')"


def test_duckdb_reads_sqlite(folder: Path) -> None:
    tool("duckdb")
    assert "Ben Writer" in python(_duckdb(shown("duckdb", "sql", "duckdb-sqlite")), folder)
    assert (folder / "versions.parquet").read_bytes().startswith(b"PAR1")


@pytest.mark.postgres
def test_duckdb_reads_postgresql(tmp_path: Path, server: tuple[str, str]) -> None:
    tool("duckdb")
    sql = shown("duckdb", "sql", "duckdb-postgresql")
    assert SHOWN_URL in sql
    assert "Ben Writer" in python(_duckdb(sql.replace(SHOWN_URL, server[1])), tmp_path)


def test_datasette_serves_the_mirror(folder: Path) -> None:
    tool("datasette")
    lines = [line for block in blocks(ROOT / "docs" / "datasette.md", "sh") for line in block.text.splitlines()]
    (line,) = (line for line in lines if "--get" in line)
    answered = _ran(["sh", "-c", line.replace("datasette", f"{PYTHON} -m datasette", 1)], folder)
    assert answered.strip().startswith('[{"count(*)": ')
    (serving,) = (line for line in lines if "sql_time_limit_ms" in line)
    page = _ran(["sh", "-c", f"{serving.replace('datasette', f'{PYTHON} -m datasette', 1)} --get /"], folder)
    assert "versionsync" in page


@dataclass
class DbtProject:
    """The project of docs/dbt.md, and the mirror that it reads."""

    folder: Path
    owner: str

    def run(self, *commands: str) -> str:
        """What dbt says to some commands, in one process; they must succeed."""
        environ = {"DBT_PASSWORD": "password", "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"}
        arguments = [[*command.split(), "--profiles-dir", "."] for command in commands]
        code = f"from dbt.cli.main import dbtRunner; exit(not all(dbtRunner().invoke(a).success for a in {arguments}))"
        return python(code, self.folder, **environ)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What a query answers, in the mirror's database."""
        with psycopg.connect(self.owner) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def dbt(tmp_path: Path, request: pytest.FixtureRequest) -> DbtProject:
    """The files of the page, and the role and the schema that it asks for."""
    tool("dbt.adapters.postgres")
    server: tuple[str, str] = request.getfixturevalue("server")
    owner, theirs = make_url(server[0]), make_url(server[1])
    with psycopg.connect(server[0], autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA analytics AUTHORIZATION {theirs.username}".encode())
        role = f"ALTER ROLE {theirs.username} IN DATABASE {owner.database}"
        connection.execute(f"{role} SET default_transaction_read_only = off".encode())
    for language in ("yaml", "sql-jinja"):
        for block in _indented("dbt", language):
            path = tmp_path / block[0]
            path.parent.mkdir(exist_ok=True)
            text = (
                block[1]
                .replace("localhost", str(theirs.query["host"]))
                .replace("user: dbt", f"user: {theirs.username}")
                .replace("../versionsync/deploy/dbt", str(ROOT / "deploy" / "dbt"))
            )
            path.write_text(text.replace("dbname: website", f"dbname: {owner.database}"))
    return DbtProject(tmp_path, server[0])


@pytest.mark.postgres
def test_dbt_builds_a_table(dbt: DbtProject) -> None:
    (dbt.folder / "packages.yml").unlink()  # it belongs to the next part of the page
    assert "PASS=1" in dbt.run("run")
    assert dbt.ask("SELECT sum(versions) = (SELECT count(*) FROM versions) FROM analytics.versions_by_day") == [(True,)]


@pytest.mark.postgres
@pytest.mark.timeout(900)  # dbt starts slowly on a loaded machine
def test_the_dbt_package_builds_and_its_tests_pass(dbt: DbtProject) -> None:
    """Its tables have the rows of the mirror."""
    built = dbt.run("deps", "build --select versionsync")
    assert re.search(r"PASS=2\d WARN=0 ERROR=0 SKIP=0", built), built
    for model, rows in PACKAGE.items():
        ((found, wanted),) = dbt.ask(f"SELECT (SELECT count(*) FROM analytics.{model}), ({rows})")
        assert found == wanted > 0, model
    (titles,) = dbt.ask("SELECT count(*) FROM analytics.current_records WHERE title IS NOT NULL")
    assert titles[0] > 5
    with psycopg.connect(dbt.owner) as connection:
        connection.execute("UPDATE analytics.record_versions SET valid_until = 'infinity' WHERE NOT is_open")
    with pytest.raises(AssertionError, match=r"Got [0-9]+ results?, configured to fail if != 0"):
        dbt.run("test --select record_versions_do_not_overlap")


PACKAGE = {
    "record_versions": "SELECT count(*) FROM intervals",
    "current_records": "SELECT count(*) FROM records WHERE deleted_at IS NULL",
    "published_records": "SELECT count(*) FROM records WHERE deleted_at IS NULL AND published_version_id IS NOT NULL",
    "field_changes": "SELECT count(*) FROM changes",
    "publications_per_day": (
        "SELECT count(*) FROM (SELECT DISTINCT model_id, date_trunc('day', occurred_at AT TIME ZONE 'UTC') FROM events"
        " WHERE type IN ('version.published', 'version.unpublished')) AS days"
    ),
}
"""The models of the package, and how many rows each must have."""


def _indented(page: str, language: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each file that a numbered step shows."""
    lines = (ROOT / "docs" / f"{page}.md").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(f"```{language} "):
            end = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == "```")
            yield line.split()[-1], "".join(f"{each[3:]}\n" for each in lines[number + 1 : end])

"""What the pages for data engineers show runs as it is shown: pandas, DuckDB, Datasette and dbt.

These tools are no dependencies of ours. `VERSIONSYNC_TEST_TOOLS` names a Python that has them, such as that of an
environment of their own; a page is skipped by name if it has not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
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


@pytest.mark.postgres
def test_dbt_builds_a_table(tmp_path: Path, server: tuple[str, str]) -> None:
    tool("dbt.adapters.postgres")
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
            )
            path.write_text(text.replace("dbname: website", f"dbname: {owner.database}"))
    environ = {"DBT_PASSWORD": "password", "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"}
    code = "from dbt.cli.main import cli; cli(['run', '--profiles-dir', '.'])"
    assert "PASS=1" in python(code, tmp_path, **environ)
    with psycopg.connect(server[0]) as connection:
        found = connection.execute(
            "SELECT sum(versions) = (SELECT count(*) FROM versions) FROM analytics.versions_by_day"
        )
        assert found.fetchone() == (True,)


def _indented(page: str, language: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each file that a numbered step shows."""
    lines = (ROOT / "docs" / f"{page}.md").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(f"```{language} "):
            end = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == "```")
            yield line.split()[-1], "".join(f"{each[3:]}\n" for each in lines[number + 1 : end])

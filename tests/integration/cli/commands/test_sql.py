"""`versionsync sql` and `versionsync db reader`: what they write, and from where they take the query."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.fixtures.databases import MakeDatabase
from tests.integration.cli.conftest import Cli

MADE = "SELECT 1 AS number, 'a, \"b\"' AS text, NULL AS empty, x'00ff' AS bytes"
MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500) SELECT x FROM n"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, sqlite_template: Path) -> Path:
    """An empty mirror in the folder of the test."""
    path = tmp_path / "versionsync.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


def test_an_answer_is_a_table(cli: Cli) -> None:
    answer = cli("sql", MADE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == ["number  text    empty  bytes", '     1  a, "b"  NULL   00ff']


def test_a_time_is_short_for_a_person_and_whole_for_a_program(cli: Cli) -> None:
    query = "SELECT '2026-03-01T10:00:00.000000Z' AS at, '2026-03-01T10:00:00.000001Z' AS exact"
    assert cli("sql", query).out.splitlines()[1] == "2026-03-01 10:00:00  2026-03-01T10:00:00.000001Z"
    assert cli("sql", "--json", query).json["at"] == "2026-03-01T10:00:00.000000Z"


def test_an_answer_is_csv(cli: Cli) -> None:
    answer = cli("sql", "--csv", MADE)
    assert list(csv.reader(io.StringIO(answer.out))) == [
        ["number", "text", "empty", "bytes"],
        ["1", 'a, "b"', "", "00ff"],
    ]


def test_an_answer_is_one_object_a_line(cli: Cli) -> None:
    answer = cli("sql", "--json", f"{MADE} UNION ALL SELECT 2, 'c', 1.5, NULL")
    assert answer.lines == [
        {"number": 1, "text": 'a, "b"', "empty": None, "bytes": "00ff"},
        {"number": 2, "text": "c", "empty": 1.5, "bytes": None},
    ]


def test_columns_of_one_name_are_numbered_in_an_object(cli: Cli) -> None:
    assert cli("sql", "--json", "SELECT 1 AS id, 2 AS id, 3 AS id").json == {"id": 1, "id_2": 2, "id_3": 3}


def test_half_an_emoji_and_control_characters_do_no_harm(cli: Cli) -> None:
    answer = cli("sql", "SELECT CAST(x'eda0bd' AS TEXT) AS half, char(27) || '[2J' AS evil")
    assert (answer.code, "\x1b" in answer.out) == (0, False)


def test_a_limit_leaves_rows_out_and_says_so(cli: Cli) -> None:
    answer = cli("sql", "--limit", "3", MANY)
    assert answer.out.split() == ["x", "1", "2", "3"]
    assert answer.err == "There are more rows: --limit N shows more.\n"
    assert cli("sql", "--limit", "500", MANY).err == ""
    assert len(cli("sql", "--json", "--limit", "7", MANY).lines) == 7


def test_the_query_comes_from_a_file_or_from_standard_input(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "query.sql").write_text("-- how many?\nSELECT count(*) AS n FROM versions;\n")
    assert cli("sql", "--file", "query.sql", "--json").json == {"n": 0}
    assert cli("sql", "--file", "query.sql", "SELECT 1").code == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"SELECT 2 AS n")))
    assert cli("sql", "--json").json == {"n": 2}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["SELECT colour FROM versions"], "line 1, column 8: no such column: colour"),
        (["DELETE FROM versions"], "SQLite refuses DELETE"),
        (["--file", "nowhere.sql"], "nowhere.sql"),
        (["--csv", "--json", "SELECT 1"], "leave one of --csv and --json out"),
        (
            ["--timeout", "0.05", MANY.replace(" LIMIT 500", "").replace("SELECT x FROM", "SELECT sum(x) FROM")],
            "0.05 s",
        ),
    ],
)
def test_what_cannot_be_answered_is_a_usage_error(cli: Cli, argv: list[str], message: str) -> None:
    answer = cli("sql", *argv)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_reading_leaves_the_folder_as_it_was(cli: Cli, tmp_path: Path, file: Path) -> None:
    before = file.read_bytes()
    assert cli("sql", "SELECT count(*) FROM versions").code == 0
    assert ([path.name for path in tmp_path.iterdir()], file.read_bytes()) == ([file.name], before)


def test_it_reads_beside_a_process_that_writes(cli: Cli, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE notes (a)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes VALUES (1)")
        assert cli("sql", "--json", "SELECT count(*) AS n FROM notes").json == {"n": 0}
        writer.execute("COMMIT")
        assert cli("sql", "--json", "SELECT count(*) AS n FROM notes").json == {"n": 1}


def test_sqlite_needs_no_reader(cli: Cli) -> None:
    answer = cli("db", "reader")
    assert answer.code == 2
    assert "SQLite has no roles" in answer.err


@pytest.fixture
def server(make_postgres_database: MakeDatabase) -> dict[str, str]:
    """The environment in which a mirror in PostgreSQL belongs to a superuser."""
    return {"VERSIONSYNC_DATABASE_URL": make_postgres_database().replace("+psycopg", "")}


@pytest.fixture
def role(server: dict[str, str]) -> Iterator[str]:
    """The name of a role, which goes away after the test."""
    name = f"reader_{uuid4().hex[:12]}"
    yield name
    with psycopg.connect(server["VERSIONSYNC_DATABASE_URL"], autocommit=True) as owner:
        if owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            owner.execute(f"DROP OWNED BY {name}".encode())
            owner.execute(f"DROP ROLE {name}".encode())


@pytest.mark.postgres
def test_the_owner_of_a_mirror_is_refused_with_what_to_do(cli: Cli, server: dict[str, str]) -> None:
    answer = cli("sql", "SELECT 1", **server)
    assert answer.code == 2
    assert "the role postgres of PostgreSQL may write: it is a superuser" in answer.err
    assert "versionsync db reader" in answer.err


@pytest.mark.postgres
def test_a_reader_is_made_once_and_asked_through_its_file(
    cli: Cli, server: dict[str, str], role: str, tmp_path: Path
) -> None:
    made = cli("db", "reader", role, "--url-file", "reader_url", "--revoke-public", **server)
    assert made.code == 0, made.err
    assert "password" not in made.out
    path = tmp_path / "reader_url"
    assert path.stat().st_mode & 0o777 == 0o600
    asking = server | {"VERSIONSYNC_READER_URL_FILE": str(path)}
    answer = cli(
        "sql", "--json", "SELECT session_user AS who, count(*) AS n, 1.50 AS d, true AS b FROM versions", **asking
    )
    assert answer.out == f'{{"who":"{role}","n":0,"d":1.50,"b":true}}\n'
    refused = cli("sql", "DELETE FROM versions", **asking)
    assert (refused.code, "only reads" in refused.err) == (2, True)
    again = cli("db", "reader", role, "--url-file", "reader_url", **server)
    assert (again.code, "is there already" in again.err) == (2, True)


@pytest.mark.postgres
def test_a_password_is_shown_once(cli: Cli, server: dict[str, str], role: str) -> None:
    made = cli("db", "reader", role, "--json", **server).json
    assert made["is_new"]
    assert f"//{role}:" in made["url"]
    assert cli("sql", "--json", "SELECT 1 AS n", VERSIONSYNC_READER_URL=made["url"], **server).code == 0
    again = cli("db", "reader", role, "--json", **server).json
    assert (again["is_new"], again["url"]) == (False, None)
    assert cli("db", "reader", role, "--new-password", "--json", **server).json["url"] != made["url"]


@pytest.mark.postgres
def test_a_password_comes_from_a_file(cli: Cli, server: dict[str, str], role: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("a b@c/d\n")
    path.chmod(0o600)
    made = cli("db", "reader", role, "--password-file", str(path), "--json", **server).json
    assert f"//{role}:a%20b%40c%2Fd@" in made["url"]
    assert cli("sql", "SELECT 1", VERSIONSYNC_READER_URL=made["url"], **server).code == 0

"""What a query of a user comes to: its rows, a clear error with its place, or its end."""

from __future__ import annotations

import threading
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from sqlalchemy import text

from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import NoReader, QueryError, WritableRole
from versionsync.mirror.sql.query import ask
from versionsync.mirror.sql.reader import make_reader, reader_url

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def role() -> str:
    return f"reader_{uuid4().hex[:12]}"


@pytest.fixture
def reading(database_url: str, mirror: Mirror, role: str) -> Iterator[Mirror]:
    """The mirror as `versionsync sql` opens it."""
    with ExitStack() as stack:
        url = database_url
        if mirror.dialect.name == "postgresql":
            made = make_reader(mirror, role, password="a password", revoke_public=True)
            assert (made.is_new, made.public_rights) == (True, ())
            stack.callback(_drop, mirror, role)
            url = reader_url(database_url, role, "a password")
        yield stack.enter_context(Mirror.open(url, reads_only=True))


def answered(mirror: Mirror, query: str, *, seconds: float | None = None) -> list[tuple[object, ...]]:
    with ask(mirror, query, seconds=seconds) as answer:
        return list(answer.rows)


def test_the_rows_and_the_names_of_the_columns_come(reading: Mirror) -> None:
    with ask(reading, "SELECT 1 AS one, 'two' AS two, NULL AS three") as answer:
        assert (answer.columns, list(answer.rows)) == (("one", "two", "three"), [(1, "two", None)])
    with ask(reading, "SELECT id, name FROM sources WHERE 1 = 0") as answer:
        assert (answer.columns, list(answer.rows)) == (("id", "name"), [])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT colour FROM versions", "line 1, column 8: .*colour"),
        ("SELECT id\nFROM versions AS v,\n     nowhere", "line 3, column 6: .*nowhere"),
        ("SELECT id FORM versions", "line 1, column 16: .*syntax error"),
        ("SELECT 'no end", "line 1, column 8: "),
        ("SELECT nothing(1)", "line 1, column 8: .*nothing"),
        ("SELECT 1; SELECT 2", "there is more than one statement"),
        ("", "there is no query"),
        (" ; ", "there is no query"),
        ("SELECT 1\0; SELECT 2", "a character that no text has"),
        ("SELECT '\udcff'", "a character that no text has"),
    ],
)
def test_a_wrong_query_is_refused_with_its_place(reading: Mirror, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        answered(reading, query)
    assert answered(reading, "SELECT 1") == [(1,)]


def test_a_query_that_takes_too_long_is_ended(reading: Mirror) -> None:
    with pytest.raises(QueryError, match=r"the query was ended after 0\.2 s"):
        answered(reading, ENDLESS, seconds=0.2)
    assert answered(reading, "SELECT 1", seconds=20) == [(1,)]


def test_ctrl_c_ends_the_query(reading: Mirror) -> None:
    """Also on the server: it runs nothing any more."""
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.3, interrupt_main).start()
        answered(reading, ENDLESS)
    if reading.dialect.name == "postgresql":
        running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%RECURSIVE%'"
        assert answered(reading, f"{running} AND pid <> pg_backend_pid()") == [(0,)]


def test_rows_come_before_the_query_is_done(reading: Mirror) -> None:
    """An answer without an end is read as far as one likes."""
    with ask(reading, "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n") as answer:
        assert [next(answer.rows) for _ in range(3)] == [(1,), (2,), (3,)]


def test_what_was_committed_before_the_query_is_seen(mirror: Mirror, reading: Mirror) -> None:
    """Beside a process that writes."""
    with mirror.write() as tx:
        tx.execute(text("INSERT INTO titles SELECT * FROM titles"))
        assert answered(reading, "SELECT count(*) FROM titles") == [(0,)]
    assert answered(reading, "SELECT count(*) FROM titles") == [(0,)]


@pytest.mark.postgres
class TestReader:
    """The role that `versionsync db reader` makes."""

    @pytest.fixture(autouse=True)
    def _on_postgresql(self, mirror: Mirror) -> None:
        if mirror.dialect.name != "postgresql":
            pytest.skip("SQLite has no roles")

    def test_a_view_that_is_made_again_stays_readable(self, mirror: Mirror, reading: Mirror) -> None:
        with mirror.write() as tx:
            tx.execute(text("CREATE VIEW website_article_current AS SELECT 1 AS a"))
        assert answered(reading, "SELECT * FROM website_article_current") == [(1,)]
        with mirror.write() as tx:
            tx.execute(text("DROP VIEW website_article_current"))
            tx.execute(text("CREATE VIEW website_article_current AS SELECT 1 AS a, 2 AS b"))
        assert answered(reading, "SELECT * FROM website_article_current") == [(1, 2)]

    def test_it_has_no_temporary_tables_and_sees_no_other_schema(
        self, mirror: Mirror, reading: Mirror, role: str
    ) -> None:
        with mirror.write() as tx:
            tx.execute(text("CREATE SCHEMA other CREATE TABLE secret (a int)"))
            temporary = "has_database_privilege(:role, current_database(), 'TEMPORARY')"
            assert tx.scalar(text(f"SELECT {temporary}"), {"role": role}) is False
        with pytest.raises(QueryError, match="permission denied for schema other"):
            answered(reading, "SELECT * FROM other.secret")

    def test_making_it_again_keeps_the_password_and_grants_again(
        self, mirror: Mirror, reading: Mirror, role: str
    ) -> None:
        with mirror.write() as tx:
            tx.execute(text(f"REVOKE SELECT ON versions FROM {role}"))
        made = make_reader(mirror, role, password="another")
        assert (made.is_new, made.has_this_password) == (False, False)
        assert answered(reading, "SELECT count(*) FROM versions") == [(0,)]
        assert make_reader(mirror, role, password="another", is_new_password=True).has_this_password

    def test_a_role_that_may_write_is_left_alone(self, mirror: Mirror, reading: Mirror, role: str) -> None:
        with mirror.write() as tx:
            tx.execute(text(f"GRANT DELETE ON versions TO {role}"))
            tx.execute(text(f"REVOKE SELECT ON versions FROM {role}"))
        with pytest.raises(WritableRole, match="may write: DELETE on versions"):
            make_reader(mirror, role, password="another", is_new_password=True)
        with mirror.read() as connection:
            readable = text("SELECT has_table_privilege(:role, 'versions', 'SELECT')")
            assert connection.scalar(readable, {"role": role}) is False

    def test_a_mirror_in_a_schema_of_its_own_is_found(self, mirror: Mirror, database_url: str, role: str) -> None:
        """Without search_path in the URL of the reader."""
        with mirror.write() as tx:
            tx.execute(text("ALTER SCHEMA public RENAME TO mirror"))
            tx.execute(text("CREATE SCHEMA public"))
        divider = "&" if "?" in database_url else "?"
        with Mirror.open(f"{database_url}{divider}options=-csearch_path%3Dmirror") as moved:
            assert make_reader(moved, role, password="a password").schema == "mirror"
            with Mirror.open(reader_url(database_url, role, "a password"), reads_only=True) as reading:
                assert answered(reading, "SELECT count(*) FROM versions") == [(0,)]
            _drop(moved, role)


def test_sqlite_has_no_roles(mirror: Mirror) -> None:
    if mirror.dialect.name == "postgresql":
        pytest.skip("about SQLite")
    with pytest.raises(NoReader, match="SQLite has no roles"):
        make_reader(mirror, "reader", password="a password")


def _drop(mirror: Mirror, role: str) -> None:
    with mirror.write() as tx:
        tx.execute(text(f"DROP OWNED BY {role}"))
        tx.execute(text(f"DROP ROLE {role}"))

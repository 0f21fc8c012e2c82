"""A query that would write is refused by the database, whatever trick it uses, and nothing has changed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.fixtures.databases import MakeDatabase
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import QueryError, WritableRole
from versionsync.mirror.sql.query import ask
from versionsync.mirror.sql.reader import make_reader, reader_url

SQLITE_TRICKS = (
    "INSERT INTO editors (source_id, type, id) VALUES (1, 'user', 'x')",
    "INSERT INTO editors (source_id, type, id) VALUES (1, 'user', 'x') RETURNING id",
    "WITH x AS (SELECT 1) INSERT INTO notes SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM notes RETURNING *",
    "REPLACE INTO notes VALUES (1)",
    "UPDATE notes SET text = 'x'",
    "UPDATE notes SET text = 'x' RETURNING (SELECT count(*) FROM versions)",
    "DELETE FROM notes",
    "TRUNCATE notes",
    "SELECT * INTO other FROM notes",
    "INSERT INTO notes_view VALUES ('by a trigger')",
    "DELETE FROM notes_view",
    "INSERT INTO words(words) VALUES ('optimize')",
    "INSERT INTO words(words) VALUES ('rebuild')",
    "INSERT INTO words(words, rank) VALUES ('merge', 500)",
    "INSERT INTO words_config VALUES ('version', 99)",
    "UPDATE words_data SET block = NULL",
    "DELETE FROM words",
    "SELECT optimize(old_words) FROM old_words",
    "SELECT fts3_tokenizer('simple', x'00')",
    "CREATE TABLE other (a)",
    "CREATE TABLE other AS SELECT 1",
    "CREATE TEMP TABLE other (a)",
    "CREATE TEMP VIEW other AS SELECT 1",
    "CREATE TEMP TRIGGER other AFTER INSERT ON notes BEGIN SELECT 1; END",
    "CREATE VIEW other AS SELECT 1",
    "CREATE INDEX other ON notes (text)",
    "CREATE TRIGGER other AFTER INSERT ON notes BEGIN DELETE FROM notes; END",
    "CREATE VIRTUAL TABLE other USING fts5(a)",
    "CREATE VIRTUAL TABLE temp.other USING fts5(a)",
    "DROP TABLE notes",
    "DROP VIEW notes_view",
    "DROP TRIGGER by_view",
    "ALTER TABLE notes RENAME TO other",
    "ALTER TABLE notes ADD COLUMN other",
    "ATTACH 'attached.db' AS x",
    "ATTACH ':memory:' AS x",
    "ATTACH 'file:mirror.db?mode=rw' AS x",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'vacuumed.db'",
    "REINDEX",
    "ANALYZE",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA main.journal_mode = MEMORY",
    "PRAGMA user_version = 7",
    "PRAGMA application_id(7)",
    "PRAGMA schema_version = 7",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA trusted_schema = ON",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA wal_checkpoint",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA temp_store_directory = '.'",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA secure_delete = ON",
    "PRAGMA mmap_size = 1000000000",
    "SELECT * FROM pragma_user_version(7)",
    "SELECT * FROM pragma_wal_checkpoint",
    "SELECT * FROM pragma_journal_mode('DELETE')",
    "UPDATE sqlite_master SET sql = 'x'",
    "DELETE FROM sqlite_master",
    "INSERT INTO sqlite_master VALUES ('table', 'other', 'other', 0, '')",
    "SELECT load_extension('evil')",
    "SELECT writefile('written', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x', 'touch written')",
    "EXPLAIN DELETE FROM notes",
    "EXPLAIN QUERY PLAN DELETE FROM notes",
    "SELECT 1; DROP TABLE notes",
    "SELECT 1;;; DELETE FROM notes",
    "SELECT 1 /* ; */ ; /* */ DELETE FROM notes",
    "SELECT 1 -- comment\n; DROP TABLE notes",
    "/* SELECT */ DROP TABLE notes",
    "-- SELECT\nDROP TABLE notes",
    "\ufeffDROP TABLE notes",
    "SELECT 1\x00; DROP TABLE notes",
    "PREPARE a AS DELETE FROM notes",
    ".shell touch written",
    ".output written",
)

POSTGRES_TRICKS = (
    "INSERT INTO notes VALUES ('x')",
    "INSERT INTO notes VALUES ('x') RETURNING *",
    "WITH x AS (INSERT INTO notes VALUES ('x') RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM notes RETURNING *) SELECT count(*) FROM x",
    "WITH x AS (UPDATE notes SET text = 'x' RETURNING *) TABLE x",
    "WITH x AS (SELECT 1) DELETE FROM notes",
    "WITH x AS (SELECT 1) MERGE INTO notes USING x ON true WHEN MATCHED THEN DELETE",
    "UPDATE notes SET text = 'x'",
    "DELETE FROM notes",
    "TRUNCATE notes",
    "SELECT * INTO other FROM notes",
    "SELECT * INTO TEMP other FROM notes",
    "WITH x AS (SELECT 1) SELECT * INTO other FROM x",
    "SELECT * FROM notes FOR UPDATE",
    "SELECT * FROM notes FOR SHARE",
    "SELECT * FROM notes FOR KEY SHARE",
    "INSERT INTO notes_view VALUES ('x')",
    "CREATE TABLE other (a int)",
    "CREATE TABLE other AS SELECT 1",
    "CREATE TEMP TABLE other (a int)",
    "CREATE TEMP VIEW other AS SELECT 1",
    "CREATE SEQUENCE other",
    "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA other",
    "CREATE EXTENSION dblink",
    "CREATE ROLE other",
    "ALTER TABLE notes RENAME TO other",
    "ALTER ROLE CURRENT_USER SET default_transaction_read_only = off",
    "DROP TABLE notes",
    "COMMENT ON TABLE notes IS 'x'",
    "GRANT ALL ON notes TO PUBLIC",
    "REFRESH MATERIALIZED VIEW kept",
    "COPY notes FROM '/etc/passwd'",
    "COPY notes FROM STDIN",
    "COPY notes FROM PROGRAM 'echo x'",
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/written'",
    "COPY (SELECT 1) TO '/tmp/written'",
    "COPY notes TO STDOUT",
    "DO $$ BEGIN DELETE FROM notes; END $$",
    "CALL wipe()",
    "SELECT wipe_softly()",
    "SELECT * FROM wipe_softly()",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET default_transaction_read_only = off",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "RESET ROLE",
    "RESET ALL",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT set_config('transaction_read_only', 'off', true), wipe_softly()",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "PREPARE a AS DELETE FROM notes",
    "EXECUTE a",
    "DECLARE a CURSOR WITH HOLD FOR SELECT 1",
    "PREPARE TRANSACTION 'a'",
    "SELECT nextval('numbers')",
    "SELECT setval('numbers', 99)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/written')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lowrite(lo_open(1, 131072), 'x')",
    "SELECT lo_unlink(1)",
    "SELECT lo_create(987654) / 0",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT pg_file_write('written', 'x', false)",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_promote()",
    "SELECT pg_stat_reset()",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT dblink('dbname=postgres', 'DROP TABLE notes')",
    "SELECT dblink_connect_u('dbname=postgres')",
    "SELECT query_to_xml('DELETE FROM notes', true, true, '')",
    "SELECT query_to_xml('COMMIT', true, true, '')",
    "SELECT query_to_xml('DELETE FROM notes RETURNING *', true, true, '')",
    "SELECT database_to_xml(true, true, ''), nextval('numbers')",
    "LISTEN a",
    "NOTIFY a, 'x'",
    "UNLISTEN *",
    "LOCK TABLE notes",
    "VACUUM notes",
    "ANALYZE notes",
    "CLUSTER",
    "REINDEX TABLE notes",
    "CHECKPOINT",
    "LOAD 'auto_explain'",
    "DISCARD ALL",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "SECURITY LABEL ON TABLE notes IS 'x'",
    "EXPLAIN ANALYZE INSERT INTO notes VALUES ('x')",
    "EXPLAIN (ANALYZE) DELETE FROM notes",
    "EXPLAIN ANALYZE CREATE TABLE other AS SELECT 1",
    "EXPLAIN ANALYZE EXECUTE a",
    "EXPLAIN ANALYZE SELECT wipe_softly()",
    "EXPLAIN SELECT 1; DELETE FROM notes",
    "SHOW work_mem; DELETE FROM notes",
    "SELECT 1; DROP TABLE notes",
    "SELECT 1;;; DELETE FROM notes",
    "SELECT 1 /* ; */ ; /* */ DELETE FROM notes",
    "SELECT 1 -- comment\n; DROP TABLE notes",
    "SELECT 1; COMMIT; DROP TABLE notes",
    "/* /* SELECT */ */ DROP TABLE notes",
    "/* /* */ EXPLAIN */ DROP TABLE notes",
    "-- SELECT\nDROP TABLE notes",
    "SELECT 1) TO PROGRAM 'touch /tmp/written'; --",
    "\\! touch /tmp/written",
    "\\copy notes TO 'written'",
)

LEAVES_NOTHING = (
    "SELECT pg_notify('a', 'x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT set_config('work_mem', '1GB', false)",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
)
"""What PostgreSQL lets every role do, even in a read-only transaction. It ends with the query."""


def answered(mirror: Mirror, query: str) -> list[tuple[object, ...]]:
    with ask(mirror, query, seconds=20) as answer:
        return list(answer.rows)


@pytest.fixture
def sqlite_mirror(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror with a table, a view with a trigger, and full-text indexes beside it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mirror.db"
    path.write_bytes(sqlite_template.read_bytes())
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE notes (text); INSERT INTO notes VALUES ('first');"
            "CREATE VIEW notes_view AS SELECT * FROM notes;"
            "CREATE TRIGGER by_view INSTEAD OF INSERT ON notes_view BEGIN INSERT INTO notes VALUES (new.text); END;"
            "CREATE TRIGGER away INSTEAD OF DELETE ON notes_view BEGIN DELETE FROM notes; END;"
            "CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('hello world');"
            "CREATE VIRTUAL TABLE old_words USING fts4(text); INSERT INTO old_words VALUES ('hello world');"
        )
    with Mirror.open(f"sqlite:///{path}", reads_only=True) as mirror:
        yield mirror


@pytest.mark.parametrize("trick", SQLITE_TRICKS)
def test_sqlite_refuses_a_query_that_writes(sqlite_mirror: Mirror, tmp_path: Path, trick: str) -> None:
    before = _everything(tmp_path)
    with pytest.raises(QueryError):
        answered(sqlite_mirror, trick)
    assert _everything(tmp_path) == before


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT text FROM notes", [("first",)]),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3) SELECT sum(x) FROM n", [(6,)]),
        ("SELECT value FROM json_each('[1,2]')", [(1,), (2,)]),
        ("SELECT text FROM words WHERE words MATCH 'world'", [("hello world",)]),
        ("SELECT highlight(words, 0, '<', '>') FROM words('hello')", [("<hello> world",)]),
        ("PRAGMA user_version", [(0,)]),
        ("SELECT name FROM pragma_table_info('notes')", [("text",)]),
        ("VALUES (1), (2)", [(1,), (2,)]),
        ("SELECT count(*) FROM sqlite_master WHERE name = 'notes';  -- done", [(1,)]),
        ("SELECT text, 'INSERT; DROP' FROM notes", [("first", "INSERT; DROP")]),
    ],
)
def test_sqlite_answers_what_only_reads(sqlite_mirror: Mirror, query: str, expected: list[tuple[object, ...]]) -> None:
    assert answered(sqlite_mirror, query) == expected


@contextmanager
def _owned(make: MakeDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(_plain(make()), autocommit=True) as connection:
        for statement in (
            "CREATE TABLE notes (text text)",
            "INSERT INTO notes VALUES ('first')",
            "CREATE VIEW notes_view AS SELECT * FROM notes",
            "CREATE MATERIALIZED VIEW kept AS SELECT * FROM notes",
            "CREATE SEQUENCE numbers",
            "SELECT lo_from_bytea(1, 'large')",
            "CREATE PROCEDURE wipe() LANGUAGE sql AS 'DELETE FROM notes'",
            "CREATE FUNCTION wipe_softly() RETURNS bigint LANGUAGE sql AS 'DELETE FROM notes RETURNING 1::bigint'",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",  # which servers before 15 allow
        ):
            connection.execute(statement)
        yield connection


@contextmanager
def _read(owner: psycopg.Connection) -> Iterator[tuple[str, Mirror]]:
    role, url = f"reader_{uuid4().hex[:12]}", _url(owner)
    with Mirror.open(url) as mirror:
        make_reader(mirror, role, password="a password")
    with Mirror.open(reader_url(url, role, "a password"), reads_only=True) as mirror:
        yield role, mirror
    owner.execute(f"DROP OWNED BY {role}".encode())
    owner.execute(f"DROP ROLE {role}".encode())


@pytest.fixture(scope="module")
def owner(make_postgres_database: MakeDatabase) -> Iterator[psycopg.Connection]:
    """The owner of a mirror with a table, a view, a sequence and functions beside it. No test may change it."""
    with _owned(make_postgres_database) as connection:
        yield connection


@pytest.fixture(scope="module")
def role_and_reader(owner: psycopg.Connection) -> Iterator[tuple[str, Mirror]]:
    """A role of `db reader`, and the same mirror, opened with it."""
    with _read(owner) as both:
        yield both


@pytest.fixture
def role(role_and_reader: tuple[str, Mirror]) -> str:
    return role_and_reader[0]


@pytest.fixture
def reader(role_and_reader: tuple[str, Mirror]) -> Mirror:
    return role_and_reader[1]


@pytest.mark.postgres
@pytest.mark.parametrize("trick", POSTGRES_TRICKS)
def test_postgresql_refuses_a_query_that_writes(owner: psycopg.Connection, reader: Mirror, trick: str) -> None:
    before = _state(owner)
    with pytest.raises(QueryError):
        answered(reader, trick)
    assert _state(owner) == before
    assert not Path("/tmp/written").exists()


@pytest.mark.postgres
@pytest.mark.parametrize(
    "trick", [trick for trick in POSTGRES_TRICKS if "TEMP" not in trick and trick != "COPY notes TO STDOUT"]
)
def test_the_role_alone_stops_a_trick_in_any_other_program(
    owner: psycopg.Connection, reader: Mirror, role: str, trick: str
) -> None:
    """It has switched read-only transactions off. Temporary tables are its own, and COPY TO STDOUT reads."""
    before = _state(owner)
    with psycopg.connect(reader_url(_url(owner), role, "a password"), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with suppress(psycopg.Error):
            connection.execute(trick.encode())
    assert _state(owner) == before
    assert not Path("/tmp/written").exists()


@pytest.mark.postgres
@pytest.mark.parametrize("query", LEAVES_NOTHING)
def test_what_postgresql_lets_every_role_do_ends_with_the_query(
    owner: psycopg.Connection, reader: Mirror, query: str
) -> None:
    owner.execute("LISTEN a")
    before = _state(owner)
    answered(reader, query)
    assert answered(reader, "SELECT current_setting('work_mem') = '1GB', count(*) FROM notes") == [(False, 1)]
    assert _state(owner) == before
    assert list(owner.notifies(timeout=0, stop_after=1)) == []
    assert owner.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT text FROM notes", [("first",)]),
        ("  /* all */ -- of it\n(SELECT text FROM notes) UNION SELECT text FROM notes_view;  -- done", [("first",)]),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", [(1,)]),
        ("VALUES (1), (2)", [(1,), (2,)]),
        ("TABLE notes", [("first",)]),
        ("SHOW transaction_read_only", [("on",)]),
        ("""SELECT '100%', '{"a": 1.10}'::json, '{"a": 1.10}'::jsonb""", [("100%", '{"a": 1.10}', '{"a": 1.10}')]),
        ("SELECT count(*) FROM generate_series(1, 2000)", [(2000,)]),
        ("SELECT text FROM notes WHERE false", []),
    ],
)
def test_postgresql_answers_what_only_reads(reader: Mirror, query: str, expected: list[tuple[object, ...]]) -> None:
    assert answered(reader, query) == expected
    assert answered(reader, "EXPLAIN SELECT 1") == [("Result  (cost=0.00..0.01 rows=1 width=4)",)]


@pytest.mark.postgres
def test_a_superuser_is_refused(owner: psycopg.Connection) -> None:
    with (
        Mirror.open(_url(owner), reads_only=True) as mirror,
        pytest.raises(WritableRole, match="it is a superuser"),
    ):
        answered(mirror, "SELECT 1")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("right", "reason"),
    [
        ("GRANT INSERT ON notes TO {role}", "INSERT on notes"),
        ("GRANT UPDATE (text) ON notes TO {role}", "UPDATE on columns of notes"),
        ("GRANT TRUNCATE ON versions TO {role}", "TRUNCATE on versions"),
        ("GRANT USAGE ON SEQUENCE numbers TO {role}", "USAGE on the sequence numbers"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "CREATE in the schema public"),
        ("GRANT pg_execute_server_program TO {role}", "it is a member of pg_execute_server_program"),
        ("GRANT pg_write_server_files TO {role}", "it is a member of pg_write_server_files"),
        ("GRANT pg_signal_backend TO {role}", "it is a member of pg_signal_backend"),
        ("GRANT postgres TO {role}", "it may become the superuser postgres"),
        ("ALTER ROLE {role} CREATEROLE", "it may create roles"),
        ("ALTER ROLE {role} CREATEDB", "it may create databases"),
        ("ALTER ROLE {role} REPLICATION", "it may replicate"),
        ("ALTER ROLE {role} SUPERUSER", "it is a superuser"),
        ("ALTER TABLE notes OWNER TO {role}", "it owns notes"),
        ("ALTER FUNCTION wipe_softly() OWNER TO {role}", "it owns the function wipe_softly"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}", "EXECUTE on pg_catalog.pg_read_file"),
        ("ALTER FUNCTION wipe_softly() SECURITY DEFINER", "EXECUTE on wipe_softly, which runs with the rights of"),
    ],
)
def test_a_role_that_may_write_is_refused_with_the_reason(
    make_postgres_database: MakeDatabase, right: str, reason: str
) -> None:
    with _owned(make_postgres_database) as owner, _read(owner) as (role, reader):
        assert answered(reader, "SELECT 1") == [(1,)]
        owner.execute(right.format(role=role).encode())
        with pytest.raises(WritableRole, match=reason):
            answered(reader, "SELECT 1")
        for undo in ("REVOKE postgres FROM {}", "ALTER ROLE {} NOSUPERUSER", "REASSIGN OWNED BY {} TO CURRENT_USER"):
            owner.execute(undo.format(role).encode())


def _everything(folder: Path) -> dict[str, str]:
    """What is in the folder, to the byte; a log without content and its index are no change."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith(("-shm", "-wal")) or (path.name.endswith("-wal") and path.stat().st_size)
    }


def _state(owner: psycopg.Connection) -> list[tuple[object, ...]]:
    """Everything that a trick could change: rows, tables, rights, roles, large objects, sequences."""
    return owner.execute(
        """
        SELECT (SELECT array_agg(text ORDER BY text) FROM notes), (SELECT last_value FROM numbers),
            (SELECT is_called FROM numbers), (SELECT count(*) FROM pg_largeobject_metadata),
            (SELECT lo_get(1)),
            (SELECT string_agg(relname || coalesce(relacl::text, ''), ',' ORDER BY oid) FROM pg_class),
            (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'),
            (SELECT count(*) FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase
             WHERE d.datname = current_database()),
            (SELECT obj_description('notes'::regclass)), (SELECT count(*) FROM pg_prepared_xacts)
        """
    ).fetchall()


def _url(owner: psycopg.Connection) -> str:
    info = owner.info
    return f"postgresql://{info.user}@/{info.dbname}?host={info.host}"


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

"""A role of PostgreSQL that may only read one mirror, and stays so when versionsync makes new tables and views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.driver_errors import our_errors
from versionsync.mirror.engine.engine import VERSION_TABLE
from versionsync.mirror.engine.sqlalchemy_urls import parsed_url
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import DatabaseUnavailable, NoReader, WritableRole
from versionsync.mirror.sql.rights import public_rights_to_write, rights_to_write

if TYPE_CHECKING:
    import psycopg

__all__ = ["Reader", "make_reader", "reader_url"]

SETTINGS: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "10min",
    "lock_timeout": "15s",
}
"""What a session of a reader begins with. It may change these; they keep mistakes small."""
LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A role that may read.

    Attributes:
        is_new: Whether the role was made now. Otherwise it was there, and got the same rights again.
        has_this_password: Whether the password was set.
        public_rights: What every role of this database may do besides reading, so this one too.
    """

    name: str
    database: str
    schema: str
    is_new: bool
    has_this_password: bool
    public_rights: tuple[str, ...]


def make_reader(
    mirror: Mirror, name: str, *, password: str, is_new_password: bool = False, revoke_public: bool = False
) -> Reader:
    """Make a role that may read the mirror and nothing else, or give an existing one these rights again.

    Args:
        mirror: The mirror, opened with a role that owns its tables and may create roles.
        name: The name of the role.
        password: The password of a new role.
        is_new_password: Give it to an existing role too.
        revoke_public: Take from PUBLIC what it may do by default: temporary tables in this database, and tables in the
            mirror's schema and in `public`.

    Raises:
        NoReader: The database is SQLite, or the role of the connection may not do this.
        WritableRole: There is such a role, and it may write.
    """
    if mirror.dialect.name != POSTGRES:
        raise NoReader("SQLite has no roles", hint="`versionsync sql` only reads a SQLite file too, without a role.")
    if not 0 < len(name.encode()) <= LONGEST_NAME or name.startswith("pg_") or not name.isprintable():
        raise NoReader(f"{name!r} cannot be the name of a role", hint="Take a name such as versionsync_reader.")
    import psycopg

    with mirror.write() as tx, our_errors(tx):
        raw = cast("psycopg.Connection", tx.connection.driver_connection)
        try:
            return _make(raw, name, password, is_new_password=is_new_password, revoke_public=revoke_public)
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoReader(
                f"the role {raw.info.user} may not do this: {error.diag.message_primary}",
                hint="Run it once with the URL of an administrator in VERSIONSYNC_DATABASE_URL. Or let one create the "
                f"role (CREATE ROLE {name} LOGIN PASSWORD …), then run this again.",
            ) from error


def reader_url(url: str, name: str, password: str) -> str:
    """Return the URL of the same database for this user, without any other secret of `url`."""
    return parsed_url(url).with_login(name, password)


def _make(raw: psycopg.Connection, name: str, password: str, *, is_new_password: bool, revoke_public: bool) -> Reader:
    from psycopg import sql

    found = raw.execute(
        "SELECT current_database(), n.nspname, pg_get_userbyid(c.relowner) FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema() WHERE c.relname = %s",
        [VERSION_TABLE],
    ).fetchone()
    if found is None:
        raise DatabaseUnavailable("the tables of the mirror are gone: run `versionsync doctor`")
    database, schema, owner = found
    parts: dict[str, sql.Composable] = {
        "reader": sql.Identifier(name),
        "database": sql.Identifier(database),
        "schema": sql.Identifier(schema),
        "owner": sql.Identifier(owner),
    }

    def run(statement: LiteralString, **more: sql.Composable) -> None:
        raw.execute(sql.SQL(statement).format(**(parts | more)))

    role = raw.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    if role is None:
        run("CREATE ROLE {reader} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
    elif own := [one for one in rights_to_write(raw, name) if one not in public_rights_to_write(raw)]:
        raise WritableRole(
            f"there is a role {name} already, and it may write: {own[0]}",
            hint="Take another name, or remove its rights.",
        )
    if sets_password := role is None or is_new_password:
        # Only a hash is sent: the server's log may show the statement.
        verifier = raw.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
        run("ALTER ROLE {reader} LOGIN PASSWORD {verifier}", verifier=sql.Literal(verifier.decode()))
        for setting, value in SETTINGS.items():
            parts |= {"setting": sql.Identifier(setting), "value": sql.Literal(value)}
            run("ALTER ROLE {reader} IN DATABASE {database} SET {setting} = {value}")
        run("ALTER ROLE {reader} IN DATABASE {database} SET search_path = {schema}")
    run("GRANT CONNECT ON DATABASE {database} TO {reader}")
    run("GRANT USAGE ON SCHEMA {schema} TO {reader}")
    run("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}")
    run("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}")
    if revoke_public:
        _revoke_public(raw, run, schema)
    return Reader(
        name=name,
        database=database,
        schema=schema,
        is_new=role is None,
        has_this_password=sets_password,
        public_rights=tuple(public_rights_to_write(raw)),
    )


def _revoke_public(raw: psycopg.Connection, run: Any, schema: str) -> None:
    """Take the defaults of PUBLIC away. The owner of the mirror keeps them: it makes tables and views."""
    from psycopg import sql

    run("GRANT TEMPORARY ON DATABASE {database} TO {owner}")
    run("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    there: Sequence[tuple[str]] = raw.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname IN ('public', %s) "
        "AND has_schema_privilege('public', oid, 'CREATE')",
        [schema],
    ).fetchall()
    for (each,) in there:
        place = sql.Identifier(each)
        run("GRANT CREATE ON SCHEMA {place} TO {owner}", place=place)
        run("REVOKE CREATE ON SCHEMA {place} FROM PUBLIC", place=place)

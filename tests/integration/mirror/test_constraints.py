"""The database itself keeps the invariants, whoever writes to it; and it is what the metadata says."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Identity, inspect, text

from tests.integration.mirror.writing import Desk, Shown
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import OWN_VIEW
from versionsync.mirror.errors import ContentRejected
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.migrate import VERSION_TABLE
from versionsync.mirror.schema.views import VIEWS

BREACHES = {
    "two current versions": "UPDATE versions SET is_current = true",
    "two published versions": "UPDATE versions SET is_published = true",
    "two versions at one place": "UPDATE versions SET ordinal = 7",
    "a hash of another length": "UPDATE versions SET attributes_hash = substr(attributes_hash, 2)",
    "a missing version that is current": "UPDATE versions SET missing_since = created_at WHERE is_current",
    "an editor without an id": "UPDATE versions SET editor_id = NULL",
    "an unknown editor": "UPDATE versions SET editor_id = 'nobody'",
    "a version of no record": "UPDATE versions SET record_id = 'none'",
    "a version of no model": "UPDATE versions SET model_id = 'none'",
    "a record that points to no version": "UPDATE records SET current_version_id = 'none'",
    "a deletion without evidence": "UPDATE records SET deleted_at = first_seen_at",
    "evidence of another kind": "UPDATE records SET deleted_at = first_seen_at, deletion_evidence = 'rumour'",
    "a negative count": "UPDATE records SET version_count = -1",
    "an event told twice": "UPDATE events SET key = 'same'",
    "an actor without an id": "UPDATE events SET actor_type = 'user'",
    "an event on another basis": "UPDATE events SET occurred_basis = 'guess'",
    "a run that ended without an end": "UPDATE runs SET outcome = 'succeeded'",
    "an outcome of another kind": "UPDATE runs SET outcome = 'fine', finished_at = started_at",
    "a lease without an end": "UPDATE leases SET expires_at = NULL",
    "a version that is deleted": "DELETE FROM versions",
    "a record that is deleted": "DELETE FROM records",
    "a source that is deleted": "DELETE FROM sources",
    "a project without an environment": "UPDATE sources SET environment = NULL",
    "an environment without a project": "UPDATE sources SET project_id = NULL",
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES.keys())
def test_the_database_refuses(desk: Desk, breach: str) -> None:
    """Each of these, and the transaction leaves nothing."""
    desk.look(Shown("a", 1), Shown("b", 2, "cp"))
    with pytest.raises(ContentRejected, match="refuses a row"), desk.mirror.write() as tx:
        tx.execute(text(breach))


def test_a_second_source_of_one_name_is_refused(desk: Desk) -> None:
    """Names are how users speak of sources."""
    with pytest.raises(ContentRejected), desk.mirror.write() as tx:
        tx.execute(
            text(
                "INSERT INTO sources (name, project_id, environment, follows_primary, base_url, created_at) "
                "SELECT name, project_id, environment, follows_primary, base_url, created_at FROM sources"
            )
        )


def test_migrations_make_what_the_metadata_says(mirror: Mirror) -> None:
    """Tables, columns, types, keys and indexes, as Alembic compares them; and checks, which it does not."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with mirror.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda thing, name, kind, reflected, other: (
                    (kind != "table" or name in metadata.tables)
                    and getattr(thing, "info", {}).get("only_on", connection.dialect.name) == connection.dialect.name
                ),
            },
        )
        assert _structural(compare_metadata(context, metadata)) == []
        inspector = inspect(connection)
        for name, table in metadata.tables.items():
            wanted = {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}
            found = {str(one["name"]) for one in inspector.get_check_constraints(name)}
            assert found == wanted, name


def test_everything_has_a_comment_in_postgresql(mirror: Mirror) -> None:
    """The data dictionary travels with the database."""
    if mirror.dialect.name == "sqlite":
        pytest.skip("SQLite keeps no comments")
    with mirror.read() as connection:
        inspector = inspect(connection)
        for name, table in metadata.tables.items():
            assert inspector.get_table_comment(name)["text"] == table.comment
            for column in inspector.get_columns(name):
                assert column["comment"] == table.c[column["name"]].comment
        for view in VIEWS:
            assert inspector.get_table_comment(view.name)["text"] == f"{view.comment} ({OWN_VIEW})"
            comments = {column["name"]: column["comment"] for column in inspector.get_columns(view.name)}
            assert comments == dict(view.columns)


def test_content_is_compressed_with_lz4_where_the_server_can(mirror: Mirror) -> None:
    """Half of the time of PostgreSQL's own method."""
    if mirror.dialect.name == "sqlite":
        pytest.skip("PostgreSQL's own")
    with mirror.read() as connection:
        methods = connection.scalar(text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"))
        used = connection.scalar(
            text(
                "SELECT attcompression FROM pg_attribute "
                "WHERE attrelid = 'versions'::regclass AND attname = 'attributes'"
            )
        )
    assert (used == "l") == (methods is not None and "lz4" in methods)


def _structural(differences: list[Any]) -> list[Any]:
    """Those of structure: without comments (looked at below), and without the numbering that SQLite does by itself."""
    flat = [part for each in differences for part in (each if isinstance(each, list) else [each])]
    return [
        part
        for part in flat
        if "comment" not in part[0] and not (part[0] == "modify_default" and isinstance(part[-1], Identity))
    ]

"""For every model a view with a column a field, which never raises and is never rebuilt without need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, make_url, text

from tests.integration.mirror.writing import MODEL, Desk, Shown, a_field, at, model
from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.schema import Field
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema.migrate import VERSION_TABLE, upgrade
from versionsync.mirror.schema.typed_views import OWN_COLUMNS, TypedViews, rebuild_typed_views
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.models import upsert_schema
from versionsync.mirror.tables.sources import sources_of

NOTHING = TypedViews((), (), {})
IN_THE_WAY = {
    "sqlite": [
        ("CREATE TABLE {} (id integer)", "DROP TABLE {}", "a table"),
        ("CREATE VIEW {} AS SELECT 1 AS one", "DROP VIEW {}", "a view of another program"),
        ("CREATE INDEX {} ON models (name)", "DROP INDEX {}", "an index"),
    ],
    "postgresql": [
        ("CREATE TABLE {} (id integer)", "DROP TABLE {}", "a table"),
        ("CREATE VIEW {} AS SELECT 1 AS one", "DROP VIEW {}", "a view of another program"),
        ("CREATE MATERIALIZED VIEW {} AS SELECT 1 AS one", "DROP MATERIALIZED VIEW {}", "a materialized view"),
        ("CREATE TYPE {} AS (one integer)", "DROP TYPE {}", "a type"),
        ("CREATE TYPE {} AS ENUM ('one')", "DROP TYPE {}", "a type"),
        ("CREATE DOMAIN {} AS integer", "DROP DOMAIN {}", "a type"),
        ("CREATE SEQUENCE {}", "DROP SEQUENCE {}", "a sequence"),
        ("CREATE INDEX {} ON models (name)", "DROP INDEX {}", "an index"),
    ],
}
VIEW = "website_article_versions"
VIEWS = (VIEW, "website_article_current", "website_article_published")


def test_fields_become_columns_of_their_type(desk: Desk) -> None:
    """Numbers keep their digits, localized fields and structures are JSON."""
    _define(
        desk,
        a_field("title"),
        a_field("price", "float"),
        a_field("stock", "integer"),
        a_field("fresh", "boolean"),
        a_field("day", "date"),
        a_field("moment", "date_time"),
        a_field("name", is_localized=True),
        a_field("tags", "links"),
        a_field("place", "lat_lon"),
    )
    content = (
        '{"title": "Über 🎈", "price": 1.10, "stock": 12345678901234567890123, "fresh": true, "day": "2024-02-29",'
        ' "moment": "2026-03-01T10:00:00.250+01:00", "name": {"en": "x"}, "tags": ["a", "b"], "place": null}'
    )
    desk.look(Shown("v", 1, "c", content.encode()))
    row = _row(desk)
    assert (row["version_id"], row["record_id"], bool(row["is_current"])) == ("v", "record", True)
    assert row["title"] == "Über 🎈"
    assert (_json(row["name"]), _json(row["tags"]), row["place"]) == ({"en": "x"}, ["a", "b"], None)
    assert bool(row["fresh"]) is True
    if desk.mirror.dialect.name == "postgresql":
        assert (str(row["price"]), row["stock"]) == ("1.10", Decimal(12345678901234567890123))
        assert row["day"] == date(2024, 2, 29)
        assert row["moment"].astimezone(UTC) == datetime(2026, 3, 1, 9, 0, 0, 250_000, UTC)
    else:
        assert row["price"] == 1.1
        assert (row["day"], row["moment"]) == ("2024-02-29", "2026-03-01T10:00:00.250+01:00")


ODD_VALUES = [
    None,
    "text",
    "",
    "2026-02-30",
    "2023-02-29",
    "0000-01-01",
    "2026-13-01",
    "2026-01-01T25:00:00Z",
    "2026-01-01T10:00:00",
    "9999-12-31T23:59:60Z",
    "2026-01-01T10:00:00+99:00",
    5,
    1.5,
    10**400,
    True,
    [],
    {"a": 1},
    "'; DROP TABLE versions; --",
]


def test_a_value_of_any_type_reads_in_a_column_of_any(desk: Desk) -> None:
    """A field may have been retyped: old values are then NULL, never an error."""
    types = ("string", "integer", "float", "boolean", "date", "date_time", "json", "link", "seo", "what_comes_next")
    _define(desk, *(a_field(f"f_{type_}", type_) for type_ in types))
    shown = [
        Shown(f"v{place}", place, "", json.dumps({f"f_{type_}": value for type_ in types}).encode())
        for place, value in enumerate(ODD_VALUES)
    ]
    desk.look(*shown)
    rows = {row["version_id"]: row for row in _rows(desk)}
    for place, value in enumerate(ODD_VALUES):
        row = rows[f"v{place}"]
        if isinstance(value, str):
            assert row["f_string"] == value
            assert row["f_integer"] is row["f_boolean"] is None
        if desk.mirror.dialect.name == "postgresql":
            assert row["f_date"] is row["f_date_time"] is None, value


def test_a_view_is_rebuilt_only_when_its_definition_changed(desk: Desk) -> None:
    """What another program has prepared, or a user has built on it, stays."""
    assert _define(desk, a_field("title")) == TypedViews(VIEWS, (), {})
    assert _rebuild(desk) == NOTHING
    assert _define(desk, a_field("title"), a_field("more")) == TypedViews(VIEWS, (), {})
    assert _rebuild(desk) == NOTHING
    assert _define(desk, a_field("title", "integer"), a_field("more")) == TypedViews(VIEWS, (), {})


def test_a_deleted_model_and_its_fields_keep_their_view(desk: Desk) -> None:
    """Their versions are still here."""
    _define(desk, a_field("old"), a_field("new", position=2))
    desk.look(Shown("v", 1, "c", b'{"old": "x", "new": "y"}'))
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], [], deleted_models=[MODEL], deleted_fields=["old"], observed_at=at(9))
    _rebuild(desk)
    row = _row(desk)
    assert (row["old"], row["new"]) == ("x", "y")
    assert list(row)[-2:] == ["new", "old"]  # deleted ones come last


def test_a_renamed_field_is_found_under_its_old_name_too(desk: Desk) -> None:
    """The event of the renaming tells it; a name that another field has now is not its any more."""
    _define(desk, a_field("1", api_key="headline"), a_field("2", api_key="lead"))
    desk.look(Shown("v", 1, "c", b'{"headline": "old", "lead": "l"}'))
    with desk.mirror.write() as tx:
        write_events(tx, desk.lease, [_renaming("1", "headline", "title")], observed_at=at(9), run_id=None)
    _define(desk, a_field("1", api_key="title"), a_field("2", api_key="lead"))
    assert _row(desk)["title"] == "old"

    with desk.mirror.write() as tx:
        write_events(tx, desk.lease, [_renaming("2", "lead", "headline")], observed_at=at(9), run_id=None)
    _define(desk, a_field("1", api_key="title"), a_field("2", api_key="headline"))
    row = _row(desk)
    assert (row["title"], row["headline"]) == (None, "old")


def test_blocks_and_unreadable_models_have_no_view(desk: Desk) -> None:
    """Blocks live within others' versions."""
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model("hero", is_block=True)], [], observed_at=at(1))
        made = rebuild_typed_views(tx, desk.lease.source_id).made
    assert made == VIEWS


def test_odd_names_are_handled(desk: Desk) -> None:
    """Reserved words, quotes, the view's own columns, names that are too long or differ in case only."""
    odd = [
        "order",
        "select",
        'quo"te',
        "it's",
        "100%",
        "a:b",
        "id",
        "created_at",
        "Version_ID",
        "è",
        "x" * 80,
        "x" * 81,
    ]
    odd += ["title", "Title", "$.x", "?", ""]
    _define(desk, *(a_field(f"f{number}", api_key=key, position=number) for number, key in enumerate(odd)))
    content = json.dumps({key: f"value of {key}" for key in odd})
    desk.look(Shown("v", 1, "c", content.encode()))
    row = _row(desk)
    values = list(row.values())[-len(odd) :]
    assert values == [f"value of {key}" for key in odd]
    assert all(len(name.encode()) <= 63 for name in row)
    assert row["created_at"] != "value of created_at"


def test_a_field_with_a_reserved_name_gets_another_column(desk: Desk) -> None:
    """The view's own columns keep theirs, and so do the names for later ones."""
    free = ["title", "source", "ordinal"]
    keys = [*free, *OWN_COLUMNS]
    _define(desk, *(a_field(f"f{number}", api_key=key, position=number) for number, key in enumerate(keys)))
    desk.look(Shown("v", 1, "c", json.dumps({key: f"value of {key}" for key in keys}).encode()))
    row = _row(desk)
    assert [row[name] for name in free] == [f"value of {name}" for name in free]
    assert [row[f"{name}_"] for name in OWN_COLUMNS] == [f"value of {name}" for name in OWN_COLUMNS]
    assert set(row) == {*OWN_COLUMNS, *free, *(f"{name}_" for name in OWN_COLUMNS)}
    assert row["version_id"] == "v"


def test_each_model_has_a_view_of_current_and_one_of_published_versions(desk: Desk) -> None:
    """Of the records that are not deleted, with the columns of the view of all versions."""
    _define(desk, a_field("title"))
    first, second = b'{"title": "first"}', b'{"title": "second"}'
    desk.look(Shown("a", 1, "p", first, live=(1, None)), Shown("b", 2, "c", second))
    desk.look(Shown("d", 1, "c", b'{"title": "draft"}'), id="other")
    desk.look(Shown("g", 1, "cp", b'{"title": "deleted"}', live=(1, None)), id="deleted")
    desk.delete("deleted")
    every, current, published = ({row["version_id"]: row for row in _rows(desk, view)} for view in VIEWS)
    assert set(every) == {"a", "b", "d", "g"}
    assert current == {id: every[id] for id in ("b", "d")}
    assert published == {"a": every["a"]}


def test_two_sources_may_want_the_same_name(desk: Desk) -> None:
    """`a` + `b_c` and `a_b` + `c`: the one that was first keeps it, whoever rebuilds."""
    first = Desk.open(desk.mirror, "a", id="p1")
    second = Desk.open(desk.mirror, "a_b", id="p2")
    for each, key in ((first, "b_c"), (second, "c")):
        with desk.mirror.write() as tx:
            upsert_schema(tx, each.lease, [model("m", api_key=key)], [], observed_at=each.now())
    with desk.mirror.write() as tx:
        late = rebuild_typed_views(tx, second.lease.source_id).made
        early = rebuild_typed_views(tx, first.lease.source_id).made
        assert rebuild_typed_views(tx, second.lease.source_id) == NOTHING
    assert "a_b_c_versions" in early
    assert "a_b_c_versions" not in late
    assert len({*early, *late}) == 12


def test_a_renamed_model_gets_another_view(desk: Desk) -> None:
    """And the old one goes."""
    _define(desk)
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model(api_key="story")], [], observed_at=at(9))
        views = rebuild_typed_views(tx, desk.lease.source_id)
    assert views == TypedViews(tuple(view.replace("article", "story") for view in VIEWS), tuple(sorted(VIEWS)), {})


def test_views_of_a_users_own_are_left_alone(desk: Desk) -> None:
    """PostgreSQL drops no view on which another one stands: ours then stays as it is, and that is told."""
    _define(desk, a_field("title"))
    with desk.mirror.write() as tx:
        run_ddl(tx, f"CREATE VIEW mine AS SELECT title FROM {VIEW}")
    views = _define(desk, a_field("title", "integer"))
    if desk.mirror.dialect.name == "postgresql":
        assert (views.made, views.dropped, list(views.blocked)) == (VIEWS[1:], (), [VIEW])
        assert f"view mine depends on view {VIEW}: drop yours" in views.blocked[VIEW]
        assert _noted(desk) == views.blocked
        assert _define(desk, a_field("title"), a_field("more", position=2)) == TypedViews(VIEWS, (), {})
    else:
        assert views.made == VIEWS
    assert desk.rows("SELECT * FROM mine") == []


def test_a_view_is_made_as_soon_as_nothing_is_in_its_way(desk: Desk) -> None:
    """What is noted is forgotten then."""
    for make, drop, kind in IN_THE_WAY[desk.mirror.dialect.name]:
        with desk.mirror.write() as tx:
            run_ddl(tx, f"DROP VIEW IF EXISTS {VIEW}")
            run_ddl(tx, make.format(VIEW))
        views = _define(desk, a_field("title"))
        assert views.blocked == {VIEW: f"{kind} has this name: give that another one"}
        assert _noted(desk) == views.blocked
        assert _define(desk, a_field("title", "integer")).blocked == views.blocked
        with desk.mirror.write() as tx:
            run_ddl(tx, drop.format(VIEW))
        assert _rebuild(desk) == TypedViews((VIEW,), (), {})
        assert _noted(desk) == {}


def test_a_view_of_another_program_is_neither_replaced_nor_dropped(desk: Desk) -> None:
    """It has no mark of versionsync."""
    with desk.mirror.write() as tx:
        run_ddl(tx, f"CREATE VIEW {VIEW} AS SELECT 'theirs' AS title")
    assert list(_define(desk, a_field("title")).blocked) == [VIEW]
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model(api_key="story")], [], observed_at=at(9))
        assert rebuild_typed_views(tx, desk.lease.source_id).dropped == tuple(sorted(VIEWS[1:]))
    assert desk.rows(f"SELECT title FROM {VIEW}") == [("theirs",)]


@pytest.fixture
def other_role(desk: Desk) -> Iterator[str]:
    """A role that may do everything with the tables, and owns none of the views."""
    if desk.mirror.dialect.name == "sqlite":
        pytest.skip("SQLite has no roles")
    role = f"role_{uuid4().hex}"
    with desk.mirror.write() as tx:
        run_ddl(tx, f"CREATE ROLE {role} LOGIN")
        run_ddl(tx, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        run_ddl(tx, f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
        run_ddl(tx, f"GRANT USAGE ON SCHEMA public TO {role}")
    yield role
    with desk.mirror.write() as tx:
        run_ddl(tx, f"DROP OWNED BY {role}")
        run_ddl(tx, f"DROP ROLE {role}")


def test_a_view_that_another_role_owns_stays_as_it_was(desk: Desk, database_url: str, other_role: str) -> None:
    """And what cannot be made new is not made; both are told with what helps."""
    _define(desk, a_field("title"))
    owner = make_url(database_url).username
    url = make_url(database_url).set(username=other_role).render_as_string(False)
    with Mirror.open(url) as theirs, theirs.write() as tx:
        upsert_schema(tx, desk.lease, [model()], [a_field("title", "integer")], observed_at=at(2))
        upsert_schema(tx, desk.lease, [model("new")], [], observed_at=at(3))
        views = rebuild_typed_views(tx, desk.lease.source_id)
    assert views.made == ()
    new = tuple(view.replace("article", "new") for view in VIEWS)
    owned = {
        view: f'it belongs to the role {owner}: ALTER VIEW "{view}" OWNER TO {other_role}, or drop it' for view in VIEWS
    }
    no_right = f"the role {other_role} may not create views in this schema: GRANT CREATE ON SCHEMA … TO {other_role}"
    assert views.blocked == owned | dict.fromkeys(new, no_right)
    assert _noted(desk) == views.blocked
    assert _rebuild(desk).made == (*VIEWS, *new)
    assert _noted(desk) == {}


def test_a_session_that_reads_a_view_is_not_waited_for_long(desk: Desk, database_url: str) -> None:
    """A program that was left open in the middle of a transaction may read it for days."""
    if desk.mirror.dialect.name == "sqlite":
        pytest.skip("SQLite's readers keep nobody waiting")
    _define(desk, a_field("title"))
    with psycopg.connect(database_url) as idle:
        idle.execute(f"SELECT * FROM {VIEW}".encode())
        views = _define(desk, a_field("title", "integer"))
    assert views.blocked == {VIEW: "another session has it in use: the next run tries again"}
    assert _rebuild(desk).made == (VIEW,)


def test_a_readers_right_outlasts_a_view_by_default_privileges(desk: Desk) -> None:
    """As docs/postgresql.md has it: a view with other columns is another one to PostgreSQL."""
    if desk.mirror.dialect.name == "sqlite":
        pytest.skip("SQLite has no users")
    reader = f"reader_{uuid4().hex}"
    with desk.mirror.write() as tx:
        run_ddl(tx, f"CREATE ROLE {reader}")
        run_ddl(tx, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
        run_ddl(tx, f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {reader}")
    _define(desk, a_field("title"))
    _define(desk, a_field("title", api_key="headline"))
    try:
        for name in (VIEW, "versions", "publications"):
            assert desk.rows(f"SELECT has_table_privilege('{reader}', '{name}', 'SELECT')") == [(True,)], name
    finally:
        with desk.mirror.write() as tx:
            run_ddl(tx, f"DROP OWNED BY {reader}")
            run_ddl(tx, f"DROP ROLE {reader}")


def test_a_migration_keeps_them(desk: Desk, database_url: str) -> None:
    """They are dropped for it where they must be, and made again."""
    _define(desk, a_field("title"))
    desk.look(Shown("v", 1, "c", b'{"title": "x"}'))
    with desk.mirror.write() as tx:
        run_ddl(tx, f"DROP VIEW {VIEW}")
        from versionsync.mirror.schema.refresh_views import create_views, drop_all_views

        drop_all_views(tx)
        create_views(tx)
        assert tx.scalar(text(f"SELECT count(*) FROM {VERSION_TABLE}")) == 1
    assert upgrade(database_url)[0] is not None
    assert _row(desk)["title"] == "x"


def run_ddl(tx: Connection, statement: str) -> None:
    dialect_of(tx).run_ddl(tx, statement)


def _noted(desk: Desk) -> dict[str, str]:
    """What the source's row says is in the way of which view."""
    with desk.mirror.read() as connection:
        (found,) = sources_of(connection)
    return dict(found.blocked_views)


def _define(desk: Desk, *fields: Field) -> TypedViews:
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [model()], fields, observed_at=at(5))
        return rebuild_typed_views(tx, desk.lease.source_id)


def _rebuild(desk: Desk) -> TypedViews:
    with desk.mirror.write() as tx:
        return rebuild_typed_views(tx, desk.lease.source_id)


def _rows(desk: Desk, view: str = VIEW) -> list[dict[str, Any]]:
    with desk.mirror.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {view}").mappings()]


def _row(desk: Desk) -> dict[str, Any]:
    (row,) = _rows(desk)
    return row


def _json(value: Any) -> Any:
    return json.loads(value)


def _renaming(field: str, before: str, after: str) -> Event:
    return Event(
        type=EventType.FIELD_CHANGED,
        key=f"field.changed:{field}",
        occurred_at=at(9),
        basis=TimeBasis.OBSERVED,
        data={"field": {"id": field, "api_key": after}, "changes": {"api_key": [before, after]}},
    )

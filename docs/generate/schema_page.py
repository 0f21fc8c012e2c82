"""The text of `docs/schema.md`, made from the definitions of the tables and views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import CheckConstraint, Column, Dialect, ForeignKeyConstraint, Index, Table
from sqlalchemy.dialects import postgresql, sqlite

from versionsync.mirror.engine.dialects import ColumnType
from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.migrate import HEAD
from versionsync.mirror.schema.typed_views import COLUMN_TYPES, OWN_COLUMNS, VIEW_KINDS
from versionsync.mirror.schema.views import VIEWS, View

__all__ = ["schema_page"]

ORDER = (
    "sources",
    "records",
    "versions",
    "events",
    "version_rewrites",
    "erasures",
    "changes",
    "intervals",
    "links",
    "titles",
    "passages",
    "projection_cursors",
    "reordered_records",
    "models",
    "fields",
    "editors",
    "uploads",
    "upload_changes",
    "runs",
    "leases",
    "daemons",
    "source_claims",
    "request_usage",
    "webhook_queue",
    "webhook_log_cursors",
    "webhooks",
    "sent_notifications",
    "restore_plans",
    "restore_steps",
)
SQLITE: Dialect = sqlite.dialect()
POSTGRES: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left its types out

INTRODUCTION = """\
# The database

<!-- Made by `python -m docs.generate` from versionsync/mirror/schema/; do not edit. -->

Every table, column, constraint, index and view of a mirror at schema {head}. PostgreSQL shows the same descriptions as
comments (`\\d+ versions` in psql).

- **Times** are UTC. PostgreSQL has `timestamptz`. SQLite has text of 27 characters, `2026-03-01T10:00:00.000000Z`. It
  sorts by time; compare it with text of the same length.
- **JSON** is `jsonb` in PostgreSQL. In SQLite it is text that holds JSON: `json_extract(attributes, '$.title')`.
- **Booleans** are 1 and 0 in SQLite. `WHERE is_current` works on both.
- **Ids** are DatoCMS's own. They are compared byte by byte: upper and lower case differ.
- **Additive**: later schemas only add to this one. Everything on this page keeps its name and meaning.

Do not write to these tables. You may add your own views and indexes. PostgreSQL may ask you to drop such a view before
an upgrade.
"""

TYPED = """\
## Typed views

Every model that is not a block model has three views, named after the source and the model:

| view | rows |
| --- | --- |
{views}

They have one column for each field, named after its API key. versionsync rebuilds them when the project's schema
changes. Their own columns come first: {own}.

`record_title`, `live_from` and `live_until` come from projections, which are filled after a sync; until then they are
NULL. `live_from` and `live_until` are those of the last publication of the version. A title in several locales is that
of the project's main locale. If a field's API key is that of an own column, its column gets an underscore at the end,
as `{own_example}_`.

| field | SQLite | PostgreSQL |
| --- | --- | --- |
{rows}

After a field changed its type, it is NULL in versions with a value of the old type. A deleted field keeps its column,
and a deleted model keeps its views: their versions are still here. A renamed field also shows the values of old
versions, which are stored under its old name.

Half an emoji (a lone surrogate, from text that was cut in the middle of one) is U+FFFD in PostgreSQL. SQLite stores it
unchanged, which is not valid UTF-8. In Python, `connection.text_factory = lambda text: text.decode(errors="replace")`
reads it.
"""

VIEW_ROWS = {
    "versions": "Every version, including those of deleted records.",
    "current": "The current version of each record that is not deleted.",
    "published": "The published version of each record that has one and is not deleted.",
}

MEANINGS = {
    ColumnType.TEXT: ("text", "`text`"),
    ColumnType.NUMBER: ("a number", "`numeric`"),
    ColumnType.BOOLEAN: ("1 or 0", "`boolean`"),
    ColumnType.DATE: ("text", "`date`"),
    ColumnType.TIME: ("text, as sent", "`timestamptz`"),
}


def schema_page() -> str:
    """Return the page."""
    tables = [metadata.tables[name] for name in ORDER]
    parts = [INTRODUCTION.format(head=HEAD), _diagram(tables), "## Tables\n"]
    parts += [_table(table) for table in tables]
    parts.append("## Views\n")
    parts += [_view(view) for view in VIEWS]
    parts.append(_typed())
    return "\n".join(parts)


def _diagram(tables: Sequence[Table]) -> str:
    lines = [
        "## How the tables are connected\n",
        "This diagram shows only keys. The columns are below.\n",
        "```mermaid",
        "erDiagram",
    ]
    for table in tables:
        for key in _foreign_keys(table):
            optional = any(table.c[name].nullable for name in key.column_keys)
            lines.append(
                f"    {key.referred_table.name} {'|o' if optional else '||'}--o{{ {table.name} : {key.column_keys[-1]}"
            )
    for table in tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            marks = ["PK"] * column.primary_key + ["FK"] * bool(column.foreign_keys)
            if marks:
                lines.append(f"        {_type(column, SQLITE)} {column.name} {', '.join(marks)}")
        lines.append("    }")
    return "\n".join([*lines, "```", ""])


def _table(table: Table) -> str:
    lines = [f"### `{table.name}`\n", f"{table.comment}\n"]
    lines += ["| column | SQLite | PostgreSQL | NULL | meaning |", "| --- | --- | --- | --- | --- |"]
    for column in table.columns:
        name = f"**`{column.name}`**" if column.primary_key else f"`{column.name}`"
        nullable = "yes" if column.nullable else ""
        lines.append(
            f"| {name} | {_type(column, SQLITE)} | {_type(column, POSTGRES)} | {nullable} | {_cell(column.comment)} |"
        )
    lines.append("")
    lines += [f"- {sentence}" for sentence in _rules(table)]
    return "\n".join([*lines, ""])


def _rules(table: Table) -> Iterator[str]:
    yield f"Primary key: {_names(column.name for column in table.primary_key)}"
    for key in _foreign_keys(table):
        yield f"{_names(key.column_keys)} → `{key.referred_table.name}`"
    for check in sorted(_checks(table), key=lambda one: str(one.name)):
        yield f"Check: `{check.sqltext}`"
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        kind = "Unique" if index.unique else "Index"
        only = ", PostgreSQL only" if index.info.get("only_on") == "postgresql" else ""
        yield f"{kind} `{index.name}`: {_names(column.name for column in index.columns)}{_condition(index)}{only}"


def _view(view: View) -> str:
    lines = [f"### `{view.name}`\n", f"{view.comment}\n", "| column | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in view.columns.items()]
    return "\n".join([*lines, ""])


def _typed() -> str:
    rows = []
    for kind, (in_sqlite, in_postgres) in MEANINGS.items():
        types = _names(name for name, one in COLUMN_TYPES.items() if one is kind)
        rows.append(f"| {types} | {in_sqlite} | {in_postgres} |")
    rows.append("| any other type, and every localized field (an object by locale) | text that holds JSON | `jsonb` |")
    return TYPED.format(
        views="\n".join(f"| `<source>_<model>_{kind}` | {VIEW_ROWS[kind]} |" for kind in VIEW_KINDS),
        own=_names(OWN_COLUMNS),
        own_example=OWN_COLUMNS[2],
        rows="\n".join(rows),
    )


def _foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda key: str(key.name))


def _checks(table: Table) -> list[CheckConstraint]:
    return [one for one in table.constraints if isinstance(one, CheckConstraint)]


def _condition(index: Index) -> str:
    where = index.dialect_options["postgresql"]["where"]
    return "" if where is None else f" where `{where}`"


def _type(column: Column[object], dialect: Dialect) -> str:
    spelled = column.type.compile(dialect=dialect).replace(' COLLATE "C"', "")
    return {"TIMESTAMP WITH TIME ZONE": "timestamptz"}.get(spelled, spelled.lower())


def _names(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")

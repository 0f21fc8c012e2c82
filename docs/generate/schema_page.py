"""The data dictionary, docs/schema.md: made of the tables' and views' own definitions, so that it cannot say otherwise.

`python -m docs.generate.schema_page` writes it; with `--check` it only says whether it is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import CheckConstraint, Column, Dialect, ForeignKeyConstraint, Index, Table
from sqlalchemy.dialects import postgresql, sqlite

from versionsync.mirror.schema import metadata
from versionsync.mirror.schema.migrate import HEAD
from versionsync.mirror.schema.typed_views import COLUMN_TYPES, OWN_COLUMNS, ColumnType
from versionsync.mirror.schema.views import VIEWS, View

__all__ = ["PAGE", "dictionary"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "schema.md"
ORDER = (
    "sources",
    "records",
    "versions",
    "events",
    "version_rewrites",
    "models",
    "fields",
    "editors",
    "runs",
    "leases",
    "source_claims",
    "request_usage",
    "webhook_queue",
    "webhook_log_cursors",
    "webhooks",
    "sent_notifications",
)
SQLITE: Dialect = sqlite.dialect()
POSTGRES: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left its types out

INTRODUCTION = """\
# The database

<!-- Made by `python -m docs.generate.schema_page` from versionsync/mirror/schema/; do not edit. -->

Every table, column, constraint, index and view of a mirror at schema {head}. In PostgreSQL the same sentences are the
comments of the tables, columns and views (`\\d+ versions` in psql).

- **Times** are UTC: `timestamptz` in PostgreSQL; in SQLite text of 27 characters, `2026-03-01T10:00:00.000000Z`, whose
  order is that of time: compare it with text of just as many.
- **JSON** is `jsonb` in PostgreSQL, and text that holds JSON in SQLite (`json_extract(attributes, '$.title')`).
- **Booleans** are 1 and 0 in SQLite; `WHERE is_current` works on both.
- **Ids** are DatoCMS's own and are compared byte by byte: upper and lower case differ.
- **Additive**: later schemas add to this one; what is here keeps its name and meaning.

Write nothing here while versionsync runs. To add views or indexes of your own is fine; PostgreSQL may then ask you to
drop such a view before an upgrade.
"""

TYPED = """\
## Typed views

For every model that is not a block there is a view `<source>_<model>_versions` (`website_article_versions`) with a row
for each version and a column for each field, named as in the API. They are rebuilt when the schema of the project
changes. Their own columns come first: {own}; a field of such a name is called `field_<name>`.

| field | SQLite | PostgreSQL |
| --- | --- | --- |
{rows}

A field that was retyped is NULL in versions that hold another type. A deleted field keeps its column, and a deleted
model its view, since their versions are still here; a renamed field is found in old versions under its old name.

Half an emoji (a lone surrogate, as when a text was cut within one) is U+FFFD in PostgreSQL. In SQLite it is there as it
is, and no UTF-8: in Python, `connection.text_factory = lambda text: text.decode(errors="replace")` reads it.
"""

MEANINGS = {
    ColumnType.TEXT: ("text", "`text`"),
    ColumnType.NUMBER: ("a number", "`numeric`"),
    ColumnType.BOOLEAN: ("1 or 0", "`boolean`"),
    ColumnType.DATE: ("text", "`date`"),
    ColumnType.TIME: ("text, as sent", "`timestamptz`"),
}


def dictionary() -> str:
    """The whole page."""
    tables = [metadata.tables[name] for name in ORDER]
    parts = [INTRODUCTION.format(head=HEAD), _diagram(tables), "## Tables\n"]
    parts += [_table(table) for table in tables]
    parts.append("## Views\n")
    parts += [_view(view) for view in VIEWS]
    parts.append(_typed())
    return "\n".join(parts)


def _diagram(tables: Sequence[Table]) -> str:
    lines = ["## How the tables hang together\n", "Keys only; the columns are below.\n", "```mermaid", "erDiagram"]
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
        yield f"{kind} `{index.name}`: {_names(column.name for column in index.columns)}{_condition(index)}"


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
    return TYPED.format(own=_names(OWN_COLUMNS), rows="\n".join(rows))


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


def main(arguments: Sequence[str]) -> int:
    """Write the page, or check it; the exit code."""
    page = dictionary()
    if list(arguments) == ["--check"]:
        if PAGE.is_file() and PAGE.read_text() == page:
            return 0
        sys.stderr.write("docs/schema.md is not current: python -m docs.generate.schema_page\n")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

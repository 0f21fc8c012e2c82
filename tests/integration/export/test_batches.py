"""Exports into a folder: everything once, then only what is new, and nothing half written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from tests.integration.export.conftest import QUAY, Office, content
from tests.integration.mirror.writing import Shown, at
from versionsync.export.batches import export_stream, tables_named
from versionsync.export.errors import ExportError, ExportLocked
from versionsync.export.folder import SourceFolder
from versionsync.export.tables import TABLES
from versionsync.ledger.times import format_time
from versionsync.mirror.schema import events, versions
from versionsync.mirror.tables.sources import sources_of
from versionsync.mirror.tables.uploads import erase_upload

pytestmark = pytest.mark.both_databases

LATEST = "SELECT * FROM read_parquet('{}/source=*/batch=*/{}.parquet') QUALIFY row_number() OVER ({}) = 1"
"""The query of docs/export.md."""


def stream_of(office: Office, *tables: str, format: str = "ndjson", after: int = 0) -> str:
    """Export to a stream."""
    with office.mirror.read() as connection:
        (source,) = sources_of(connection)
    stream = io.StringIO(newline="")
    export_stream(office.mirror, source, tables_named(tables), stream, format=format, after=after)
    return stream.getvalue()


def test_the_first_export_has_every_row_of_every_table(office: Office) -> None:
    """As the database has them, and the manifest counts them."""
    office.write_two_records()
    done = office.export()
    assert done.batch == 1
    assert {row["id"] for row in office.rows("versions")} == {"v1", "v2", "w1"}
    with office.mirror.read() as connection:
        written = connection.execute(select(events.c.id, events.c.occurred_at).order_by(events.c.id)).all()
    assert [(row["id"], row["occurred_at"]) for row in office.rows("events")] == [
        (id, format_time(time)) for id, time in written
    ]
    assert done.rows == {name: len(office.rows(name)) for name in TABLES if office.rows(name)}
    assert set(done.rows) == set(TABLES)
    (batch,) = office.manifest["batches"]
    assert batch["rows"] == done.rows
    assert (batch["first_event_id"], batch["last_event_id"]) == (written[0].id, written[-1].id)


def test_contents_keep_every_digit_and_character(office: Office) -> None:
    """Also where PostgreSQL's `jsonb` cannot hold them."""
    raw = '{"title":"a\\u0000b\\ud800 鱼","price":1.10000000000000000001,"n":1e400}'
    office.desk.look(Shown("v1", 0, "c", raw.encode()))
    office.export(tables=["versions"])
    (file,) = office.folder.glob("source=website/batch=*/versions.ndjson")
    text = file.read_text(encoding="utf-8")
    assert '"price":1.10000000000000000001' in text.replace(" ", "")
    assert "\\u0000b\\ud800 鱼" in text
    assert "1e400" in text.lower()


def test_a_second_export_writes_only_what_is_new(office: Office) -> None:
    """Nothing at first. Then changed versions again, the new events once, and no small table that is the same."""
    office.write_two_records()
    office.export()
    assert office.export().batch is None
    assert len(office.batches) == 1
    office.rewrite()
    assert office.export().batch == 2
    new = office.batches[1]
    assert {row["id"] for row in office.rows("versions", new)} >= {"v2"}
    assert "v1" not in {row["id"] for row in office.rows("versions", new)}
    (rewritten,) = (row for row in office.rows("versions", new) if row["id"] == "v2")
    assert rewritten["attributes"]["title"] == "New fish"
    assert {row["id"] for row in office.rows("records", new)} == {"record", "other"}
    ids = [row["id"] for row in office.rows("events")]
    assert ids == sorted(set(ids))
    assert office.rows("editors", new) == office.rows("models", new) == []
    assert office.rows("intervals", new)


def test_the_latest_rows_are_those_of_a_fresh_export(office: Office, tmp_path: Path) -> None:
    """However many exports there were in between: the documented queries give the tables of now."""
    again = Office(office.mirror, office.desk, tmp_path / "again")
    office.write_two_records()
    office.export("parquet")
    office.rewrite()
    office.export("parquet")
    again.export("parquet")
    keys = {
        "versions": "PARTITION BY source, id ORDER BY batch DESC",
        "records": "PARTITION BY source, id ORDER BY batch DESC",
    }
    for table, window in keys.items():
        one, other = (
            duckdb.sql(LATEST.format(place.folder, table, window)).project("* EXCLUDE batch").order("id").fetchall()
            for place in (office, again)
        )
        assert one == other != []
    rank = "rank() OVER (PARTITION BY source, record_id ORDER BY batch DESC) = 1"
    for table in ("changes", "intervals", "titles"):
        one, other = (
            sorted(
                map(
                    repr,
                    duckdb.sql(
                        f"SELECT * EXCLUDE batch FROM read_parquet('{place.folder}/source=*/batch=*/{table}.parquet') "
                        f"QUALIFY {rank}"
                    ).fetchall(),
                )
            )
            for place in (office, again)
        )
        assert one == other != []


def test_parquet_has_types_and_the_same_contents(office: Office) -> None:
    """Times are times, flags are booleans, hashes are bytes, contents are texts."""
    office.write_two_records()
    office.export("parquet")
    found = duckdb.sql(f"SELECT * FROM read_parquet('{office.folder}/source=*/batch=*/versions.parquet') ORDER BY id")
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    assert types["created_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["is_current"] == "BOOLEAN"
    assert types["attributes_hash"] == "BLOB"
    assert types["attributes"] == "VARCHAR"
    rows = found.project("id, is_current, is_published, attributes_hash, attributes, epoch_us(created_at)").fetchall()
    with office.mirror.read() as connection:
        stored = connection.execute(select(versions).order_by(versions.c.id)).all()
    assert [row[:4] for row in rows] == [(v.id, v.is_current, v.is_published, v.attributes_hash) for v in stored]
    assert [json.loads(row[4]) for row in rows] == [json.loads(v.attributes) for v in stored]
    assert [row[5] for row in rows] == [round(v.created_at.timestamp() * 1_000_000) for v in stored]


def test_tables_that_are_not_filled_yet_come_later(office: Office) -> None:
    """The export says which, and the next one has them though no event is new."""
    office.write_two_records()
    office.desk.look(Shown("x1", 9, "c", content("Late")), id="late")
    assert office.export().left_out == ["changes", "intervals", "titles", "links"]
    office.fill()
    second = office.export()
    assert (second.batch, second.left_out) == (2, [])
    assert set(second.rows) == {"changes", "intervals", "titles", "links"}


def test_only_the_chosen_tables_are_there_and_stay_the_same(office: Office) -> None:
    """A folder holds the tables, the format and the project that it began with."""
    office.write_two_records()
    office.export(tables=["events", "versions"])
    assert set(office.manifest["tables"]) == {"events", "versions"}
    office.rewrite()
    assert set(office.export().rows) == {"events", "versions"}
    with pytest.raises(ExportError, match="the tables"):
        office.export(tables=["events"])
    with pytest.raises(ExportError, match="the format"):
        office.export("csv")
    with pytest.raises(ExportError, match="no table nothing"):
        office.export(tables=["nothing"])


def test_an_export_of_another_database_is_refused(office: Office) -> None:
    """Its events would be missing."""
    office.write_two_records()
    office.export()
    path = office.folder / "source=website" / "manifest.json"
    path.write_text(path.read_text().replace('"last_event_id": ', '"last_event_id": 99'))
    with pytest.raises(ExportError, match="does not have"):
        office.export()
    path.write_text("{}")
    with pytest.raises(ExportError, match="no manifest"):
        office.export()


def test_two_exports_into_one_folder_at_once_are_refused(office: Office) -> None:
    """The second says so."""
    with SourceFolder.opened(office.folder, "website"), pytest.raises(ExportLocked):
        office.export()


def test_the_manifest_has_the_hash_of_each_file(office: Office) -> None:
    """So a copy can be checked."""
    office.write_two_records()
    office.export()
    (batch,) = office.manifest["batches"]
    files = {file.name: file.read_bytes() for file in office.batches[0].glob("*.ndjson")}
    assert batch["sha256"] == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_csv_has_a_header_and_quotes_what_needs_it(office: Office) -> None:
    """As RFC 4180 says: any reader gives the values again."""
    office.desk.look(Shown("v1", 0, "c", content('a "b",\r\nc')))
    text = stream_of(office, "versions", format="csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert text.count("\r\n") == 2
    assert (row["source"], row["is_current"], row["missing_since"]) == ("website", "true", "")
    assert row["created_at"] == "2026-07-01T12:00:00.000000Z"
    assert json.loads(row["attributes"])["title"] == 'a "b",\r\nc'


def test_uploads_come_again_when_they_changed(office: Office) -> None:
    """Not when they were only read again. What an erasure left of one comes too."""
    office.write_two_records()
    office.export()
    assert [row["filename"] for row in office.rows("uploads")] == ["quay.jpg"]
    assert [(row["record_id"], row["target_id"]) for row in office.rows("links")] == [("other", "u1")]
    office.read_uploads("quay.jpg", minute=20)
    assert office.export().batch is None
    office.read_uploads("old-quay.jpg", minute=30)
    assert office.export().rows == {"uploads": 1}
    with office.mirror.write() as tx:
        erase_upload(tx, office.desk.lease.source_id, "u1", at=at(40))
    assert office.export().rows == {"uploads": 1}
    assert [row["filename"] for row in office.rows("uploads")] == ["quay.jpg", "old-quay.jpg", None]


def test_links_of_a_record_come_as_a_whole_when_it_changed(office: Office) -> None:
    office.write_two_records()
    office.export()
    office.desk.look(
        Shown("w1", 7, "", QUAY),
        Shown("w2", 9, "c", content("Quay")),
        id="other",
    )
    office.fill()
    assert office.export().rows["links"] == 1
    (old, new) = office.rows("links")
    assert (old["until_ordinal"], new["until_ordinal"] is None) == (None, False)


def test_a_stream_can_begin_after_an_event(office: Office) -> None:
    """It has the later events, and the versions and records that they are about."""
    office.write_two_records()
    lines = [json.loads(line) for line in stream_of(office, "events").splitlines()]
    last = lines[-1]["id"]
    assert stream_of(office, "events", "versions", after=last) == ""
    office.rewrite()
    found = [json.loads(line) for line in stream_of(office, "records", "versions", "events", after=last).splitlines()]
    assert {line["table"] for line in found} == {"records", "versions", "events"}
    assert all(line["id"] > last for line in found if line["table"] == "events")
    assert "v1" not in {line["id"] for line in found if line["table"] == "versions"}


def test_without_pyarrow_parquet_says_what_to_install(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is made."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ExportError, match=r"versionsync\[parquet\]"):
        office.export("parquet")
    assert not office.folder.exists()

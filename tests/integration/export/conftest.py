"""A mirror with a short history, and ways to read what was exported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.projections import fill
from tests.integration.mirror.writing import SOMEBODY, Desk, Shown, a_field, at, model
from versionsync.export.batches import Exported, export_batch
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import field_names
from versionsync.mirror.tables.editors import EditorRow, upsert_editors
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import upsert_schema
from versionsync.mirror.tables.uploads import UploadRow, insert_upload_ids, update_uploads

BODY = {
    "schema": "dast",
    "document": {"type": "root", "children": [{"type": "paragraph", "children": [{"type": "span", "value": "Fish."}]}]},
}


def content(title: str, **members: Any) -> bytes:
    """The content of a version."""
    return json.dumps({"title": title, "body": BODY, "price": 1, **members}).replace("1}", "1.10}").encode()


QUAY = content("Quay", cover={"upload_id": "u1", "alt": "a quay"})
"""The content of the other record."""


@dataclass
class Office:
    """A mirror that is written to, and the folder that it is exported to."""

    mirror: Mirror
    desk: Desk
    folder: Path

    def write_two_records(self) -> None:
        """One record with two versions, one live, and another one."""
        first, second = Shown("v1", 0, "", content("Fish")), Shown("v2", 5, "cp", content("Old fish"), live=(6, None))
        self.desk.look(first, second)
        self.desk.look(Shown("w1", 7, "c", QUAY), id="other")
        self.read_uploads("quay.jpg")
        self.fill()

    def read_uploads(self, filename: str, *, minute: int = 10) -> None:
        """A run reads the cover of the other record."""
        with self.mirror.write() as tx:
            insert_upload_ids(tx, self.desk.lease.source_id, ["u1"], observed_at=at(minute))
            row = UploadRow(**dict.fromkeys(field_names(UploadRow)) | {"id": "u1", "filename": filename})
            update_uploads(tx, self.desk.lease, ["u1"], [row], observed_at=at(minute))

    def rewrite(self) -> None:
        """The first record's second version gets other content, and the other record is deleted."""
        self.desk.look(Shown("v1", 0, "", content("Fish")), Shown("v2", 8, "c", content("New fish"), live=(6, 9)))
        self.desk.delete("other")
        self.fill()

    def fill(self) -> None:
        """Fill the projections, as the daemon does between two runs."""
        release(self.mirror, self.desk.lease)
        fill(self.mirror)
        self.desk.lease = acquire(self.mirror, self.desk.lease.source_id, Holder.of_this_process())

    def export(self, format: str = "ndjson", **options: Any) -> Exported:
        """Export into the folder."""
        return export_batch(self.mirror, "website", self.folder, format=format, **options)

    @property
    def batches(self) -> list[Path]:
        """The folders of the batches, in order."""
        return sorted(self.folder.glob("source=website/batch=*"))

    def rows(self, table: str, batch: Path | None = None) -> list[dict[str, Any]]:
        """The rows of a table in all batches, or in one."""
        files = [one / f"{table}.ndjson" for one in ([batch] if batch else self.batches)]
        lines = [line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()]
        return [json.loads(line) for line in lines]

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the source."""
        found: dict[str, Any] = json.loads((self.folder / "source=website" / "manifest.json").read_text())
        return found


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Any:
    """A mirror with a model and an editor, and an empty folder."""
    with Mirror.open(database_url) as mirror:
        desk = Desk.open(mirror)
        fields = [
            a_field("title", position=1),
            a_field("price", "float", position=2),
            a_field("body", "structured_text", position=3),
            a_field("cover", "file", position=4),
        ]
        with mirror.write() as tx:
            upsert_schema(tx, desk.lease, [model()], fields, observed_at=at(1))
            who = EditorRow(type=SOMEBODY.type, id=SOMEBODY.id, name="Ada <L>", email="ada@example.com")
            upsert_editors(tx, desk.lease, [who])
        yield Office(mirror, desk, tmp_path / "out")

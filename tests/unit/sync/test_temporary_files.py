"""Contents of a record's versions: in memory while they are small, in a temporary file when they grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.ids import VersionId
from versionsync.sync import temporary_files
from versionsync.sync.temporary_files import ContentSpool

CONTENTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.binary(max_size=40)), max_size=30)


@given(CONTENTS)
def test_contents_are_returned_as_they_were_added(added: list[tuple[str, bytes]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(temporary_files, "CONTENTS_IN_MEMORY_BYTES", 100)
        spool = ContentSpool()
        for id, content in added:
            spool.add(VersionId(id), content)
        assert dict(spool) == dict(added)
        assert len(spool) == len(dict(added))
        assert spool.size == sum(len(content) for _, content in added)
        spool.close()
        assert not list(spool)


def test_a_large_record_leaves_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_files, "CONTENTS_IN_MEMORY_BYTES", 100)
    spool = ContentSpool()
    spool.add(VersionId("a"), b"x" * 90)
    assert spool._file is None
    spool.add(VersionId("b"), b"y" * 90)
    assert spool._file is not None
    assert not spool._contents
    assert spool[VersionId("a")] == b"x" * 90
    spool.close()

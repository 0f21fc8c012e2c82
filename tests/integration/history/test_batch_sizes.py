"""An answer is the same however few rows are read at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import pytest

from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from versionsync.api import Find, Mirror
from versionsync.mirror.database import Mirror as Database
from versionsync.mirror.engine.bulk import chunked

__all__ = ["news_site"]

pytestmark = pytest.mark.both_databases

LONG_AGO = NOON - timedelta(days=400)
SIZES = (
    "history.projections.rows.CONTENTS_AT_ONCE",
    "history.questions.as_of.BATCH",
    "history.questions.as_of.CONTENTS",
    "history.questions.authors.CONTENTS_AT_ONCE",
    "history.questions.deleted.BATCH",
    "history.questions.details.FIRST",
    "history.questions.events.BATCH",
    "history.questions.grep.FIRST_PAGE",
    "history.questions.grep.PAGE",
    "history.questions.grep.RECORDS_AT_ONCE",
    "history.questions.log.BATCH",
    "history.questions.log.FIRST_BATCH",
    "history.questions.pending.BATCH",
)
"""The constants that say how much is read at a time."""

QUESTIONS: dict[str, Callable[[Mirror], Iterable[object]]] = {
    "what was current": lambda mirror: mirror.as_of(NOON),
    "what was live, without contents": lambda mirror: mirror.as_of(NOON, published=True, content=False),
    "all versions": lambda mirror: mirror.versions(),
    "some versions": lambda mirror: mirror.versions(model="article", since=NOON - timedelta(days=30)),
    "each record's versions": lambda mirror: [
        one for record in _records(mirror) for one in mirror.versions(record, content=False)
    ],
    "what changed": lambda mirror: mirror.changes(LONG_AGO),
    "what waits": lambda mirror: mirror.pending(),
    "what was deleted": lambda mirror: mirror.deleted(),
    "who wrote what": lambda mirror: [one for record in _records(mirror) for one in mirror.blame(record)],
    "where each record is used": lambda mirror: [one for record in _records(mirror) for one in mirror.usage(record)],
    "events": lambda mirror: mirror.events(),
    **{
        f"passages, {find}": lambda mirror, find=find: mirror.grep("the", find=find)  # type: ignore[misc]
        for find in Find
    },
    "passages of a model": lambda mirror: mirror.grep(regex="[Tt]he", model="article"),
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def mirror(request: pytest.FixtureRequest, news_site: MakeNewsSite) -> Iterator[Mirror]:
    with Database.open(news_site(request.param).url, reads_only=True) as opened:
        yield Mirror(opened, now=lambda: NOON + timedelta(hours=2))


def _records(mirror: Mirror) -> list[str]:
    return sorted({one.record_id for one in mirror.versions(content=False)})


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_does_not_depend_on_how_much_is_read_at_a_time(
    mirror: Mirror, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(QUESTIONS[question](mirror))
    assert expected
    for size in (1, 3):
        for name in SIZES:
            monkeypatch.setattr(f"versionsync.{name}", size)
        monkeypatch.setattr(chunked, "__defaults__", (size,))
        assert list(QUESTIONS[question](mirror)) == expected, size

"""What a diff of two versions costs: of long texts, and of the small edits that projections read by the thousand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.tables import Table, thousands
from versionsync.history.diff import Schema, SchemaField, compare
from versionsync.ledger.content import parse_value

__all__ = ["measure"]

Content = dict[str, Any]

WORDS = 12_000
EDITS = 200
VOCABULARY = 6_000
MODEL = "article"
_TYPES = {
    "title": "string",
    "summary": "text",
    "body": "structured_text",
    "seo": "seo",
    "cover": "file",
    "related": "links",
    "reads": "integer",
    "happens_at": "date_time",
}
SCHEMA = Schema.of(
    [
        (MODEL, SchemaField(id=name, api_key=name, label=name, field_type=type, is_localized=name != "cover"))
        for name, type in _TYPES.items()
    ]
)


def measure(*, small: bool) -> list[Table]:
    """Two tables: long texts, and versions of which one field changed."""
    rounds = 3 if small else 15
    return [_long_texts(rounds), _small_edits(rounds)]


def _long_texts(rounds: int) -> Table:
    rng = random.Random(1)
    paragraphs = [_words(rng, 100) for _ in range(WORDS // 100)]
    edited = [list(words) for words in paragraphs]
    for _ in range(EDITS):
        words = rng.choice(edited)
        words[rng.randrange(len(words))] = "edited"
    rewritten = [_words(rng, 100) for _ in paragraphs]
    one, other = ([word for words in side for word in words] for side in (paragraphs, edited))
    rows = []
    for name, before, after in (
        ("120 paragraphs, 200 words replaced", _document(paragraphs), _document(edited)),
        ("one paragraph, 200 words replaced", _document([one]), _document([other])),
        ("120 paragraphs, all of them rewritten", _document(paragraphs), _document(rewritten)),
    ):
        old, new = {"body": {"en": before}}, {"body": {"en": after}}
        diff = compare(old, new, SCHEMA, MODEL)
        seconds = _least(lambda old=old, new=new: compare(old, new, SCHEMA, MODEL), rounds)  # type: ignore[misc]
        rows.append([name, f"{1000 * seconds:.0f} ms", thousands(diff.words_added), thousands(diff.words_removed)])
    return Table(
        f"The diff of two structured texts of {thousands(WORDS)} words",
        ("texts", "CPU", "words added", "words removed"),
        rows,
        ("The aim is 50 ms at most for 200 edits. The least of several runs, on one core.",),
    )


def _small_edits(rounds: int) -> Table:
    rows = []
    for size in (1_000, 5_000):
        before = _version(size)
        for name, after in (
            ("one word of the title", before | {"title": before["title"] | {"en": before["title"]["en"] + " again"}}),
            ("one word of the body", before | {"body": before["body"] | {"en": _with_word(before["body"]["en"])}}),
            ("nothing", before),
        ):
            texts = msgspec.json.encode(before), msgspec.json.encode(after)
            old, new = (parse_value(text) for text in texts)
            reading = _least(lambda texts=texts: [parse_value(text) for text in texts], rounds * 100)  # type: ignore[misc]
            seconds = _least(lambda old=old, new=new: compare(old, new, SCHEMA, MODEL), rounds * 100)  # type: ignore[misc]
            rows.append(
                [
                    f"{len(texts[0]) / 1000:.1f} KB, {name}",
                    f"{1000 * seconds:.3f} ms",
                    f"{seconds / reading:.1f}",
                    thousands(1 / (seconds + reading)),
                ]
            )
    return Table(
        "The diff of two versions that differ in one field",
        ("version, and what changed", "CPU", "times reading both as JSON", "versions/s with reading"),
        rows,
        ("The least of many runs, on one core.",),
    )


def _least(work: Callable[[], object], rounds: int) -> float:
    """The least CPU time of some rounds, in seconds: other programs make a round longer, and none shorter."""
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least


def _words(rng: random.Random, number: int) -> list[str]:
    """Words of which a hundred make up half of the text, as in a natural language."""
    return [f"word{int(VOCABULARY ** rng.random())}" for _ in range(number)]


def _document(paragraphs: list[list[str]]) -> Content:
    nodes = [{"type": "paragraph", "children": [{"type": "span", "value": " ".join(words)}]} for words in paragraphs]
    return {"schema": "dast", "document": {"type": "root", "children": nodes}}


def _version(size: int) -> Content:
    """A version of about `size` bytes, in two locales."""
    rng = random.Random(size)
    number = (size - 600) // 320
    return {
        "title": {locale: " ".join(_words(rng, 6)) for locale in ("en", "it")},
        "summary": {locale: " ".join(_words(rng, 12)) for locale in ("en", "it")},
        "body": {locale: _document([_words(rng, 12) for _ in range(number)]) for locale in ("en", "it")},
        "seo": {locale: {"title": "word", "description": None, "image": None} for locale in ("en", "it")},
        "cover": {"upload_id": "upload", "alt": None, "title": None, "custom_data": {}, "focal_point": None},
        "related": {locale: ["record1", "record2"] for locale in ("en", "it")},
        "reads": {"en": 12, "it": 0},
        "happens_at": {"en": "2026-03-01T10:00:00Z", "it": None},
    }


def _with_word(document: Content) -> Content:
    """The document with another word in its last paragraph."""
    *nodes, last = document["document"]["children"]
    words = last["children"][0]["value"].split()
    words[len(words) // 2] = "edited"
    new = {"type": "paragraph", "children": [{"type": "span", "value": " ".join(words)}]}
    return document | {"document": {"type": "root", "children": [*nodes, new]}}

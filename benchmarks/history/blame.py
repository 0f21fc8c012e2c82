"""What it takes to find who wrote each passage, over a long history."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.tables import Table, thousands
from versionsync.history.blame import BlamedContent, blame
from versionsync.history.diff import Schema, SchemaField

__all__ = ["measure"]

TRIES = 5
VERSIONS, WORDS = 500, 3_000
PARAGRAPH = 60
MODEL = "article"
SCHEMA = Schema.of(
    [
        (MODEL, SchemaField(id="1", api_key="body", label="Body", field_type="structured_text", is_localized=False)),
        (MODEL, SchemaField(id="2", api_key="notes", label="Notes", field_type="text", is_localized=False)),
    ]
)

Paragraphs = list[list[str]]


def measure(*, small: bool) -> list[Table]:
    """One table: blame of a structured and of a plain text."""
    versions = VERSIONS // (10 if small else 1)
    rows = []
    for what, name, as_value in (("structured text", "body", _document), ("plain text", "notes", _plain)):
        contents = _history(random.Random(2), versions, name, as_value)
        seconds = _least(lambda contents=contents: blame(contents))  # type: ignore[misc]
        rows.append([what, f"{1000 * seconds:.0f} ms", thousands(versions / seconds)])
    return [
        Table(
            f"Blame of {versions} versions of {thousands(WORDS)} words; each changes two passages",
            ("text", "CPU", "versions/s"),
            rows,
            ("The aim is 150 ms at most. Reading the JSON is part of it. The least of several runs, on one core.",),
        )
    ]


def _text(rng: random.Random, words: int) -> Paragraphs:
    return [[_word(rng) for _ in range(PARAGRAPH)] for _ in range(words // PARAGRAPH)]


def _word(rng: random.Random) -> str:
    return f"word{rng.randrange(3_000)}"


def _edit(rng: random.Random, text: Paragraphs) -> None:
    paragraph = rng.choice(text)
    at = rng.randrange(len(paragraph) - 3)
    paragraph[at : at + 3] = [_word(rng) for _ in range(3)]


def _document(text: Paragraphs) -> Any:
    nodes = [{"type": "paragraph", "children": [{"type": "span", "value": " ".join(words)}]} for words in text]
    return {"schema": "dast", "document": {"type": "root", "children": nodes}}


def _plain(text: Paragraphs) -> Any:
    return ". ".join(" ".join(words) for words in text)


def _history(
    rng: random.Random, versions: int, name: str, as_value: Callable[[Paragraphs], Any]
) -> list[BlamedContent]:
    text = _text(rng, WORDS)
    contents = []
    for _ in range(versions):
        contents.append(BlamedContent(msgspec.json.encode({name: as_value(text)}), MODEL, SCHEMA))
        _edit(rng, text)
        _edit(rng, text)
    return contents


def _least(work: Callable[[], object]) -> float:
    """The least CPU time of some tries: other programs of the machine only add to it."""
    least = float("inf")
    for _ in range(TRIES):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
    return least

"""How long a diff of a long text takes, and blame over a long history. CPU time of one core; no database."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.tables import Table, thousands
from versionsync.history.blame import BlamedContent, blame
from versionsync.history.diff import Schema, SchemaField, compare

__all__ = ["measure"]

TRIES = 5
WORDS, EDITS = 12_000, 200
VERSIONS, VERSION_WORDS = 500, 3_000
PARAGRAPH = 60
MODEL = "article"
SCHEMA = Schema.of(
    [
        (MODEL, SchemaField(id="1", api_key="body", label="Body", field_type="structured_text", is_localized=False)),
        (MODEL, SchemaField(id="2", api_key="notes", label="Notes", field_type="text", is_localized=False)),
    ]
)

Paragraphs = list[list[str]]


def measure(_: object, *, small: bool) -> list[Table]:
    """One table: a diff, and blame of a structured and of a plain text."""
    tenth = 10 if small else 1
    rng = random.Random(1)
    before = _text(rng, WORDS // tenth)
    after = [list(words) for words in before]
    for _ in range(EDITS // tenth):
        _edit(rng, after)
    one, other = {"body": _document(before)}, {"body": _document(after)}
    rows = [
        [
            f"diff of {thousands(WORDS // tenth)} words with {EDITS // tenth} edits",
            _milliseconds(lambda: compare(one, other, SCHEMA, MODEL)),
            "50 ms",
        ]
    ]
    number = VERSIONS // tenth
    for name, as_value in (("body", _document), ("notes", _plain)):
        contents = _history(random.Random(2), number, name, as_value)
        what = "a structured text" if name == "body" else "a plain text"
        rows.append(
            [
                f"blame of {number} versions of {what} of {thousands(VERSION_WORDS)} words",
                _milliseconds(lambda contents=contents: blame(contents)),  # type: ignore[misc]
                "150 ms",
            ]
        )
    return [
        Table(
            "Diff and blame",
            ("what", "CPU time", "aim"),
            rows,
            ("A version changes two passages of three words. Blame reads JSON; the diff begins after that.",),
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
    text = _text(rng, VERSION_WORDS)
    contents = []
    for _ in range(versions):
        contents.append(BlamedContent(msgspec.json.encode({name: as_value(text)}), MODEL, SCHEMA))
        _edit(rng, text)
        _edit(rng, text)
    return contents


def _milliseconds(work: Callable[[], object]) -> str:
    """The least CPU time of some tries: other programs of the machine only add to it."""
    least = float("inf")
    for _ in range(TRIES):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
    return f"{1000 * least:.0f} ms"

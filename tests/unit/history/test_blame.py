"""Blame: who wrote each passage, compared with a naive reference over random histories, and case by case."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history.diff.build import bullets, dast, heading, para
from tests.unit.history.diff.generator import SCHEMA as ANY_SCHEMA
from tests.unit.history.diff.generator import Generator
from tests.unit.history.diff.test_laws import contents
from versionsync.history.blame import STRAY_WORDS, BlamedContent, BlamedText, blame
from versionsync.history.diff import Schema, SchemaField

MODEL = "article"
FIELDS = {
    "title": ("string", True),
    "body": ("structured_text", True),
    "intro": ("text", False),
    "sections": ("rich_text", False),
    "seo": ("seo", False),
    "publish_on": ("date", False),
}
SCHEMA = Schema.of(
    [
        (MODEL, SchemaField(id=key, api_key=key, label=key, field_type=type, is_localized=is_localized))
        for key, (type, is_localized) in FIELDS.items()
    ]
    + [("quote", SchemaField(id="words", api_key="words", label="Words", field_type="text", is_localized=False))]
)
SEEDS = int(os.environ.get("VERSIONSYNC_TEST_SEEDS", "1"))

Line = tuple[str, ...]
Version = list[Line]


def content(**attributes: Any) -> BlamedContent:
    return BlamedContent(json.dumps(attributes).encode(), MODEL, SCHEMA)


def block(id: str, words: str) -> dict[str, Any]:
    model_of = {"item_type": {"data": {"id": "quote", "type": "item_type"}}}
    return {"id": id, "type": "item", "attributes": {"words": words}, "relationships": model_of}


def shown(texts: Sequence[BlamedText]) -> list[list[tuple[str, int]]]:
    return [[(passage.text, passage.author) for passage in text.passages] for text in texts]


def bodies(*versions: Sequence[Any]) -> list[list[tuple[str, int]]]:
    return shown(blame(content(body={"en": dast(*nodes)}) for nodes in versions))


FISH = "The old fish market opens at six in the morning when the boats come back"
TUNA = "Whoever wants tuna has to come early and bring a bag of his own"
HALL = "The iron roof of the hall came from Vienna in eleven parts by train"


def test_words_belong_to_the_version_that_wrote_them() -> None:
    assert bodies([para(FISH)], [para(FISH.replace("six", "five"))]) == [
        [("The old fish market opens at", 0), (" five", 1), (" in the morning when the boats come back", 0)]
    ]


def test_formatting_alone_makes_no_author() -> None:
    bold = {"type": "paragraph", "children": [{"type": "span", "value": FISH, "marks": ["strong"]}]}
    assert bodies([para(FISH)], [bold]) == [[(FISH, 0)]]


def test_a_restored_version_keeps_its_authors() -> None:
    one, two = [para(FISH), para(TUNA)], [para("All of it is new now"), para("And nothing is as it was")]
    assert bodies(one, two, one) == [[(FISH, 0)], [(TUNA, 0)]]


def test_a_restored_version_with_an_edit_keeps_the_other_authors() -> None:
    edited = [para(FISH.replace("six", "five"))]
    assert bodies([para(FISH)], [para("Nothing to see here")], edited) == [
        [("The old fish market opens at", 0), (" five", 2), (" in the morning when the boats come back", 0)]
    ]


def test_moved_paragraphs_keep_their_authors_even_as_they_are_edited() -> None:
    before = [para(FISH), para(TUNA), para(HALL)]
    after = [para(HALL.replace("eleven", "twelve")), para(FISH), para(TUNA)]
    assert bodies(before, after) == [
        [("The iron roof of the hall came from Vienna in", 0), (" twelve", 1), (" parts by train", 0)],
        [(FISH, 0)],
        [(TUNA, 0)],
    ]


def test_split_and_merged_paragraphs_keep_their_authors() -> None:
    both = para(f"{FISH}. {TUNA}")
    assert bodies([both], [para(f"{FISH}."), para(TUNA)]) == [[(f"{FISH}.", 0)], [(TUNA, 0)]]
    assert bodies([para(f"{FISH}."), para(TUNA)], [both]) == [[(f"{FISH}. {TUNA}", 0)]]


def test_a_paragraph_that_became_a_heading_or_a_list_item_keeps_its_author() -> None:
    assert bodies([para(FISH), para(TUNA)], [heading(FISH), bullets(TUNA)]) == [[(FISH, 0)], [(TUNA, 0)]]


def test_words_that_stayed_by_chance_amid_others_count_as_rewritten() -> None:
    before, after = "one two three four of five six seven", "uno due tre quattro of cinque sei sette"
    assert bodies([para(before)], [para(after)]) == [[(after, 1)]]


def test_the_first_word_of_a_rewritten_line_counts_as_rewritten() -> None:
    before, after = "The harbour district will not move", "The old fish market stays open"
    assert bodies([para(before)], [para(after)]) == [[(after, 1)]]
    assert bodies([para("Good morning")], [para("Good morning to all who came here")]) == [
        [("Good morning", 0), (" to all who came here", 1)]
    ]


def test_moved_blocks_keep_their_authors() -> None:
    one, two = block("a", FISH), block("b", TUNA)
    versions = [[one, two], [two, one], [two, block("a", FISH.replace("six", "five"))]]
    texts = blame(content(sections=blocks) for blocks in versions)
    assert [text.place.block_path for text in texts] == [("b",), ("a",)]
    assert shown(texts) == [
        [(TUNA, 0)],
        [("The old fish market opens at", 0), (" five", 2), (" in the morning when the boats come back", 0)],
    ]


def test_a_plain_text_is_one_text_whatever_its_lines() -> None:
    versions = [f"{FISH}\n\n{TUNA}\n", f"{FISH}\n\n{HALL}\n\n{TUNA}\n"]
    (text,) = blame(content(intro=value) for value in versions)
    assert [(one.text, one.author) for one in text.passages] == [
        (f"{FISH}\n\n", 0),
        (f"{HALL}\n\n", 1),
        (f"{TUNA}\n", 0),
    ] or "".join(one.text for one in text.passages) == versions[-1]
    assert {one.author for one in text.passages if HALL in one.text} == {1}


def test_each_locale_has_its_own_authors() -> None:
    versions = [{"en": FISH}, {"en": FISH, "it": TUNA}, {"en": "Another title", "it": TUNA}]
    texts = blame(content(title=value) for value in versions)
    assert [(text.locale, *shown([text])[0]) for text in texts] == [("en", ("Another title", 2)), ("it", (TUNA, 1))]


def test_a_value_that_is_no_text_belongs_to_the_version_that_set_it() -> None:
    versions = ["2026-03-03", "2026-04-01", "2026-04-01", "2026-03-03"]
    (text,) = blame(content(publish_on=value) for value in versions)
    assert shown([text]) == [[('"2026-03-03"', 3)]]


def test_the_members_of_seo_have_their_own_authors() -> None:
    versions = [{"title": FISH, "description": TUNA}, {"title": FISH, "description": HALL}]
    texts = blame(content(seo=value) for value in versions)
    assert [(text.place.member, *shown([text])[0]) for text in texts] == [
        ("title", (FISH, 0)),
        ("description", (HALL, 1)),
    ]


def test_a_renamed_field_keeps_its_authors() -> None:
    old = BlamedContent(json.dumps({"lead": FISH}).encode(), MODEL, Schema(), {"lead": "intro"})
    assert shown(blame([old, content(intro=FISH)])) == [[(FISH, 0)]]


def test_only_the_wanted_fields_are_read() -> None:
    texts = blame([content(title={"en": FISH}, intro=TUNA)], ["intro"])
    assert [text.field for text in texts] == ["intro"]


@pytest.mark.parametrize("text", [b"[]", b"null", b'{"intro":"\\ud800 lone"}', b'{"body":{"en":{"schema":"dast"}}}'])
def test_odd_contents_are_read(text: bytes) -> None:
    blame([BlamedContent(text, MODEL, SCHEMA), content(intro=FISH), BlamedContent(text, MODEL, SCHEMA)])


@dataclass
class History:
    """A random history of lines. Each word is unique, so the version that wrote it is known."""

    rng: random.Random
    versions: list[Version] = field(default_factory=list)
    number: int = 0

    def words(self, count: int) -> Line:
        self.number += count
        return tuple(f"w{at}" for at in range(self.number - count, self.number))

    def line(self) -> Line:
        return self.words(self.rng.randint(12, 30))

    def play(self, steps: int) -> list[Version]:
        self.versions.append([self.line() for _ in range(6)])
        for _ in range(steps):
            if len(self.versions) > 1 and self.rng.random() < 0.15:
                self.versions.pop()  # a version that came back with other content
            version = list(self.versions[-1])
            common = [self.edit, self.insert, self.drop, self.move, self.split, self.merge]
            step = self.rng.choice([self.edit, self.edit, *common, self.rewrite, self.restore, self.restore_line])
            step(version)
            if not version:
                version.append(self.line())
            self.versions.append(version)
        return self.versions

    def edit(self, version: Version) -> None:
        at = self.rng.randrange(len(version))
        if len(version[at]) < 12:
            return  # an edit would rewrite most of it
        words = list(version[at])
        start = self.rng.randrange(len(words))
        words[start : start + self.rng.randint(0, 4)] = self.words(self.rng.randint(0, 5))
        version[at] = tuple(words) or self.line()

    def insert(self, version: Version) -> None:
        version.insert(self.rng.randint(0, len(version)), self.line())

    def drop(self, version: Version) -> None:
        del version[self.rng.randrange(len(version))]

    def move(self, version: Version) -> None:
        line = version.pop(self.rng.randrange(len(version)))
        version.insert(self.rng.randint(0, len(version)), line)

    def split(self, version: Version) -> None:
        at = self.rng.randrange(len(version))
        line = version[at]
        if len(line) > 12:
            version[at : at + 1] = [line[: len(line) // 2], line[len(line) // 2 :]]

    def merge(self, version: Version) -> None:
        if len(version) > 1:
            at = self.rng.randrange(len(version) - 1)
            version[at : at + 2] = [version[at] + version[at + 1]]

    def rewrite(self, version: Version) -> None:
        at = self.rng.randrange(len(version))
        version[at] = self.line()

    def restore(self, version: Version) -> None:
        version[:] = self.rng.choice(self.versions)

    def restore_line(self, version: Version) -> None:
        line = self.rng.choice(self.rng.choice(self.versions))
        if not set(line) & {word for other in version for word in other}:
            version.insert(self.rng.randint(0, len(version)), line)


def reference(versions: Sequence[Version]) -> list[list[int]]:
    """The authors of each word of the last version: those that it had when it was last there."""
    authors: list[list[list[int]]] = []
    for number, version in enumerate(versions):
        authors.append([_authors(line, number, versions, authors) for line in version])
    return authors[-1]


def _authors(line: Line, number: int, versions: Sequence[Version], authors: Sequence[list[list[int]]]) -> list[int]:
    earlier = [(versions[at], authors[at]) for at in range(number - 1, -1, -1)]
    for version, its in earlier:
        if line in version:
            return its[version.index(line)]
    found = [
        next(
            (its[i][other.index(word)] for version, its in earlier for i, other in enumerate(version) if word in other),
            number,
        )
        for word in line
    ]
    return _without_strays(found, number)


def _without_strays(found: list[int], number: int) -> list[int]:
    """One or two words that stayed between more that did not count as rewritten."""
    runs = [list(run) for _, run in groupby(found, key=lambda author: author == number)]
    for before, run, after in zip(runs, runs[1:], runs[2:], strict=False):
        if run[0] != number and len(run) <= STRAY_WORDS and min(len(before), len(after)) > len(run):
            run[:] = [number] * len(run)
    return [author for run in runs for author in run]


def as_words(texts: Sequence[BlamedText]) -> list[list[int]]:
    return [[passage.author for passage in text.passages for _ in passage.text.split()] for text in texts]


def as_body(version: Version) -> BlamedContent:
    return content(body={"en": dast(*(para(" ".join(line) + ".") for line in version))})


def as_blocks(version: Version) -> BlamedContent:
    """The blocks of a moved line move with it: their ids are those of their first words."""
    return content(sections=[block(f"b{line[0]}", " ".join(line)) for line in version])


@pytest.mark.parametrize("seed", range(40 * SEEDS))
@pytest.mark.parametrize("kind", ["paragraphs", "blocks"])
def test_blame_agrees_with_a_naive_reference_on_random_histories(seed: int, kind: str) -> None:
    """Edits, restores, rewrites, moves, splits and merges, and versions that came back with other content."""
    versions = History(random.Random(seed)).play(40)
    found = blame(map(as_body if kind == "paragraphs" else as_blocks, versions))
    assert as_words(found) == reference(versions)


@given(st.lists(contents, min_size=1, max_size=4))
@settings(max_examples=300)
def test_any_contents_have_authors(versions: list[dict[str, Any]]) -> None:
    """Whatever is in them: each passage has words, and a version that is there."""
    found = blame(BlamedContent(json.dumps(version).encode(), "article", ANY_SCHEMA) for version in versions)
    assert {text.field for text in found} <= set(versions[-1])
    for text in found:
        assert text.passages
        assert all(passage.text and 0 <= passage.author < len(versions) for passage in text.passages)


@pytest.mark.parametrize("seed", range(8))
def test_a_text_that_was_restored_after_any_edits_has_its_first_author(seed: int) -> None:
    """Equal contents have one author, and so has a text that was restored after any edits."""
    generator = Generator(seed)
    for pair in (pair for _ in range(4) for pair in generator.pairs(3)):
        before, after = (
            BlamedContent(json.dumps(one).encode(), "article", ANY_SCHEMA) for one in (pair.before, pair.after)
        )
        assert {one.author for text in blame([before, before]) for one in text.passages} <= {0}
        assert {
            one.author for text in blame([before, after, before]) for one in text.passages if text.place.type != "value"
        } <= {0}

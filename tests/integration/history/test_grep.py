"""A search returns the same hits on both databases: those of a naive reading of every version."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.fixtures.projections import differences_from_rebuild, fill
from tests.integration.mirror.writing import Desk, Shown, a_field, at
from versionsync.api import Find, Hit, Mirror, NoFullText, NotFilled, OddPattern, UnknownName
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.mirror.engine.full_text import PostgresFullText, SqliteFullText
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import upsert_schema

pytestmark = pytest.mark.both_databases

VOCABULARY = {
    "English": "the old fish market stays open until noon don't café naïve 3.14 well-known",
    "German": "Straße STRASSE über Öl weiß Fuß groß Häuser Äpfel süß daß müßig",
    "Polish": "Łódź łódź źdźbło ŻÓŁW żółw gęś jaźń Święty święty pchnąć w tę",
    "Turkish": "İstanbul ıstanbul ISPARTA ısparta istanbul çağ ŞİŞ şiş ığdır IĞDIR değil",
    "Greek": "ΌΣΟΣ όσος οδός ΟΔΌΣ Ελλάδα ελλάδα καφές ΚΑΦΈΣ ψωμί και",
    "Arabic": "مُحَمَّد محمد أحمد احمد السَّلام السلام كتاب في مدرسة قـلم قلم",
    "Russian": "Ёлка елка ёж Еж Москва москва рынок и рыба ЙОД йод",
    "Japanese": "東京都 京都 がっこう カタカナ ｶﾀｶﾅ です 市場 魚 東京 は",
    "Chinese": "北京市 京市 市场 老鱼 鱼市 中国 国人 中 的 鱼",
    "Thai": "ตลาด ปลา เก่า ที่ นี่ ประเทศไทย ไทย น้ำ กำลัง ตลาดปลา",
}
SPACELESS = ("Japanese", "Chinese", "Thai")
SPECIAL = str.maketrans({"ł": "l", "ı": "i"})


def folded(text: str) -> str:
    """Without case, accents and other spellings, character by character."""
    found = []
    for character in unicodedata.normalize("NFC", text):
        for part in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold()):
            is_accent = unicodedata.combining(part) in (220, 230, 27, 28, 29, 30, 31, 32, 33, 34, 202) or part == "ـ"
            found.append("" if is_accent and not "\u0e00" <= part <= "\u0eff" else part.translate(SPECIAL))
    return unicodedata.normalize("NFC", "".join(found))


def words(text: str) -> list[str]:
    """The words of a text in a script with spaces."""
    return "".join(one if one.isalnum() else " " for one in folded(text)).split()


def is_in(phrase: str, line: str, language: str) -> bool:
    """Whether a phrase is in a line, by the simplest reading."""
    if language in SPACELESS:
        return folded(phrase) in folded(line)
    wanted, found = words(phrase), words(line)
    return any(found[start : start + len(wanted)] == wanted for start in range(len(found)))


def naive(history: Sequence[str], phrase: str, language: str, find: Find) -> set[int]:
    """The numbers of the versions that a search returns."""
    lines = [[" ".join(line.split()) for line in text.split("\n")] for text in history]
    has = [any(is_in(phrase, line, language) for line in of_version) for of_version in lines]
    match find:
        case Find.CHANGED:
            return {
                number
                for number, of_version in enumerate(lines)
                for line in set(of_version) - set(lines[number - 1] if number else ())
                if is_in(phrase, line, language)
            }
        case Find.FIRST:
            return {has.index(True)} if True in has else set()
        case Find.LAST:
            return {len(has) - 1 - has[::-1].index(True)} if True in has else set()
        case Find.REMOVED:
            return {number for number in range(1, len(has)) if has[number - 1] and not has[number]}


def define(desk: Desk, *fields: Any) -> None:
    with desk.mirror.write() as tx:
        upsert_schema(tx, desk.lease, [], list(fields), observed_at=at(0))


def write(desk: Desk, histories: dict[str, Sequence[Any]], field: str = "text") -> None:
    """Write each record with its versions, the values of one field; fill, and let go of the lease."""
    for record, values in histories.items():
        shown = [
            Shown(f"{record}-{number:03}", number, "c" * (number == len(values) - 1), _content(field, value))
            for number, value in enumerate(values)
        ]
        desk.look(*shown, id=record, whole=True)
    release(desk.mirror, desk.lease)
    fill(desk.mirror)


def _content(field: str, value: Any) -> bytes:
    return json.dumps({field: value}).encode()


def asked(desk: Desk) -> Mirror:
    return Mirror(desk.mirror, now=lambda: at(2000))


def versions(hits: Any) -> list[str]:
    return [hit.version_id for hit in hits]


def any_line(chance: random.Random, language: str) -> str:
    vocabulary = VOCABULARY[language].split()
    chosen = chance.choices(vocabulary, k=chance.randrange(1, 6))
    if language in SPACELESS:
        return "".join(one + chance.choice(["", "", "。", " ", "tea"]) for one in chosen)
    return "".join(
        any_case(chance, one, language) + chance.choice([" ", " ", ", ", "  ", ". ", " — "]) for one in chosen
    )


def any_phrase(chance: random.Random, language: str, lines: Sequence[str]) -> str:
    if language in SPACELESS:
        part = max(re.split("[。 ]|tea", chance.choice(lines)), key=len)
        start = chance.randrange(len(part))
        return part[start : start + chance.randrange(1, 5)]
    line = chance.choice(lines)
    return chance.choice([any_case(chance, chance.choice(VOCABULARY[language].split()), language), line])


def any_case(chance: random.Random, word: str, language: str) -> str:
    shape: Callable[[str], str] = chance.choice(
        [str, str.upper, str.title, lambda one: unicodedata.normalize("NFD", one)]
    )
    # Upper case makes İ of no letter and ß of SS: whichever it is, the fold makes one of them.
    return word if language == "Greek" and shape is str.title else shape(word)


def any_history(chance: random.Random, language: str) -> list[str]:
    lines = [any_line(chance, language) for _ in range(3)]
    history = []
    for _ in range(8):
        history.append("\n".join(lines))
        match chance.randrange(4):
            case 0:
                lines.insert(chance.randrange(len(lines) + 1), any_line(chance, language))
            case 1 if len(lines) > 1:
                lines.pop(chance.randrange(len(lines)))
            case 2:
                chance.shuffle(lines)
            case _:
                lines[chance.randrange(len(lines))] = any_line(chance, language)
    return history


@pytest.mark.parametrize("language", VOCABULARY)
def test_random_texts_have_the_hits_of_a_naive_reading(desk: Desk, language: str) -> None:
    chance = random.Random(language)
    define(desk, a_field("text", "text"))
    histories = {f"record{number}": any_history(chance, language) for number in range(6)}
    write(desk, histories)
    mirror = asked(desk)
    found = 0
    lines = [line for texts in histories.values() for text in texts for line in text.split("\n")]
    for _ in range(25):
        phrase = any_phrase(chance, language, lines)
        for find in Find:
            wanted = {
                f"{record}-{number:03}"
                for record, texts in histories.items()
                for number in naive(texts, phrase, language, find)
            }
            hits = list(mirror.grep(phrase, find=find))
            assert {hit.version_id for hit in hits} == wanted, (phrase, find)
            assert all(marked(hit, phrase, language) for hit in hits), phrase
            found += len(hits)
    assert found > 100
    assert differences_from_rebuild(desk.mirror) == []


def marked(hit: Hit, phrase: str, language: str) -> bool:
    """Whether the spans of a hit are what was searched for."""
    texts = [hit.text[start:end] for start, end in hit.spans]
    return bool(texts) and all(is_in(phrase, text, language) for text in texts)


def test_a_phrase_is_found_across_punctuation_marks_and_html(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    write(desk, {"record": ['<p class="fish">Old <b>fi</b>sh, &eacute;t&eacute;</p><p>Market</p>']})
    mirror = asked(desk)
    (hit,) = mirror.grep("old fish ETE")
    assert (hit.text, hit.snippet) == ("Old fish, été", "«Old fish, été»")
    assert not list(mirror.grep("ete market")), "these are two paragraphs"
    assert not list(mirror.grep("class"))


def test_words_are_whole_unless_a_star_says_so(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    write(desk, {"record": ["the old fishmonger"]})
    mirror = asked(desk)
    assert not list(mirror.grep("old fish"))
    assert [hit.snippet for hit in mirror.grep("old fish*")] == ["the «old fish»monger"]


def test_several_phrases_are_in_one_passage(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    write(desk, {"one": ["fish at noon\nmarket"], "two": ["a market\nno fish", "a market with old fish"]})
    assert versions(asked(desk).grep("fish", "market")) == ["two-001"]


def test_a_long_line_is_found_at_its_end_and_a_long_phrase_as_a_whole(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    numbers = [f"w{number}" for number in range(1200)]
    write(desk, {"record": [" ".join(numbers)]})
    mirror = asked(desk)
    for start in range(0, 1200, 7):
        for length in (1, 2, 39, 40, 41, 90):
            phrase = numbers[start : start + length]
            assert versions(mirror.grep(" ".join(phrase))) == ["record-000"], (start, length)
            assert not list(mirror.grep(" ".join([*phrase, "no"])))


def test_a_word_that_comes_a_thousand_times_is_found_each_time(desk: Desk) -> None:
    """PostgreSQL keeps 255 places of a word."""
    define(desk, a_field("text", "text"))
    write(desk, {"record": ["a " * 1000 + "b"]})
    assert versions(asked(desk).grep("a a b")) == ["record-000"]


@pytest.mark.parametrize("walk", [0, 1, 10**9])
def test_sorted_or_walked_to_the_newest_hits_come_first(desk: Desk, walk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes one way or the other, page by page."""
    define(desk, a_field("text", "text"))
    texts = [f"sea and sand {number}" for number in range(30)]
    write(desk, {"record": texts, "other": texts})
    monkeypatch.setattr(PostgresFullText, "MANY", 5)
    monkeypatch.setattr(PostgresFullText, "WALK", walk)
    monkeypatch.setattr("versionsync.history.questions.grep.FIRST_PAGE", 3)
    monkeypatch.setattr("versionsync.history.questions.grep.PAGE", 7)
    for phrase, field, number in (("sea", None, 60), ("and sand", "text", 60), ("sand 7", None, 2)):
        hits = list(asked(desk).grep(phrase, field=field))
        assert len(hits) == number
        assert [hit.created_at for hit in hits] == sorted((hit.created_at for hit in hits), reverse=True)


def test_what_other_fields_have_is_found_too(desk: Desk) -> None:
    fields = {
        "seo": {"title": "Seo title", "description": "Seo words", "image": "nothere", "twitter_card": None},
        "price": 12.5,
        "day": "2026-03-01",
        "json": '{"inner": ["Json words", 7]}',
        "photo": {"upload_id": "nothere", "alt": "Alt words", "title": None, "custom_data": {}},
        "other": "nothere",
        "body": {
            "schema": "dast",
            "document": {
                "type": "root",
                "children": [
                    {
                        "type": "paragraph",
                        "children": [
                            {"type": "span", "value": "Dast "},
                            {"type": "link", "url": "http://nothere", "children": [{"type": "span", "value": "words"}]},
                        ],
                    },
                    {"type": "list", "children": [{"type": "listItem", "children": [
                        {"type": "paragraph", "children": [{"type": "span", "value": "Item words"}]}]}]},
                    {"type": "code", "code": "first\nCode words"},
                    {"type": "block", "item": {"id": "B", "type": "item", "attributes": {"quote": "Block words"},
                        "relationships": {"item_type": {"data": {"id": "quote", "type": "item_type"}}}}},
                ],
            },
        },
    }  # fmt: skip
    types = {"seo": "seo", "price": "float", "day": "date", "json": "json", "photo": "file", "other": "link"}
    define(desk, *(a_field(key, types.get(key, "structured_text")) for key in fields))
    desk.look(Shown("a", 1, "c", json.dumps(fields).encode()))
    release(desk.mirror, desk.lease)
    fill(desk.mirror)
    mirror = asked(desk)
    wanted = {
        "seo title": "seo", "seo words": "seo", "12.5": "price", "2026-03-01": "day", "json words": "json", "7": "json",
        "alt words": "photo", "dast words": "body", "item words": "body", "code words": "body", "block words": "quote",
    }  # fmt: skip
    assert {phrase: [hit.field for hit in mirror.grep(phrase)] for phrase in wanted} == {
        phrase: [field] for phrase, field in wanted.items()
    }
    (hit,) = mirror.grep("block words", field="body")
    assert hit.block_path == "B"
    assert not list(mirror.grep("nothere"))


def test_filters_narrow_the_answer(desk: Desk) -> None:
    define(desk, a_field("text", "text", is_localized=True), a_field("more", "text"))
    values = [{"en": "fish", "it": "pesce"}, {"en": "old fish", "it": "pesce"}, {"en": "fish again", "it": "fish"}]
    write(desk, {"one": values, "two": values[:1]})
    mirror = asked(desk)
    assert versions(mirror.grep("fish", record="one", locale="it")) == ["one-002"]
    assert versions(mirror.grep("fish", since=at(1), until=at(2))) == ["one-001"]
    assert versions(mirror.grep("fish", since=at(2), locale="en")) == ["one-002"]
    assert versions(mirror.grep("fish", model="article", find="first", locale="en")) == ["one-000", "two-000"]
    assert versions(mirror.grep("fish", field="more")) == []
    assert len(list(mirror.grep("fish", editor="7"))) == 5
    with pytest.raises(UnknownName):
        list(mirror.grep("fish", field="nothere"))


def test_a_phrase_that_moves_to_another_block_is_not_removed(desk: Desk) -> None:
    def content(id: str) -> list[Any]:
        model = {"item_type": {"data": {"id": "quote", "type": "item_type"}}}
        return [{"id": id, "type": "item", "attributes": {"quote": "old fish"}, "relationships": model}]

    define(desk, a_field("blocks", "rich_text"))
    write(desk, {"record": [content("A"), content("B"), []]}, field="blocks")
    mirror = asked(desk)
    assert versions(mirror.grep("fish")) == ["record-000"]
    assert versions(mirror.grep("fish", find="removed")) == ["record-002"]
    assert versions(mirror.grep("fish", find="last")) == ["record-001"]


def test_a_regular_expression_reads_what_is_named_and_says_how_much(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    write(desk, {"one": ["old fish", "old: fishes"], "two": ["été"]})
    mirror = asked(desk)
    hits = mirror.grep(regex=r"fish(es)?$", model="article")
    assert [hit.snippet for hit in hits] == ["old: «fishes»", "old «fish»"]
    assert (hits.passages_read, hits.bytes_read) == (3, 8 + 11 + 5)
    hits = mirror.grep(regex="é", record="one")
    assert not list(hits)
    assert hits.passages_read == 2
    for wrong in ({"regex": "fish"}, {"regex": "(", "model": "article"}):
        with pytest.raises(OddPattern):
            mirror.grep(**wrong)


def test_a_regular_expression_that_takes_too_long_gives_up(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    write(desk, {"one": ["a" * 60, "aa!"]})
    hits = asked(desk).grep(regex="^(a+)+!$", model="article")
    assert versions(hits) == ["one-001"]
    assert hits.passages_given_up == 1


def test_a_pattern_without_a_word_is_refused(desk: Desk) -> None:
    for phrases in ((), ("",), ("fish", "—!")):
        with pytest.raises(OddPattern):
            asked(desk).grep(*phrases)


def test_an_index_that_is_not_filled_says_so(desk: Desk) -> None:
    desk.look(Shown("a", 1, "c"))
    with pytest.raises(NotFilled):
        list(asked(desk).grep("a"))


def test_versions_of_one_second_keep_numbers_of_their_own(desk: Desk) -> None:
    """In two sources, too: the numbers in the index are the rows of one table."""
    other = Desk.open(desk.mirror, "other")
    for one in (desk, other):
        define(one, a_field("text", "text"))
        one.look(
            *(
                Shown(f"v{number}", 1, "c" * (number == 299), _content("text", f"fish {number}"))
                for number in range(300)
            )
        )
        release(one.mirror, one.lease)
    fill(desk.mirror)
    hits = list(asked(desk).grep("fish"))
    assert len(hits) == 600
    assert [hit.text for hit in asked(desk).grep("fish 7")] == ["fish 7"] * 2


def test_edits_rewrites_and_late_versions_are_followed(desk: Desk) -> None:
    define(desk, a_field("text", "text"))
    first, last = Shown("a", 1, "", _content("text", "old fish")), Shown("c", 3, "c", _content("text", "old fish"))
    desk.look(first, last)
    release(desk.mirror, desk.lease)
    fill(desk.mirror)
    desk.lease = acquire(desk.mirror, desk.lease.source_id, Holder.of_this_process())
    desk.look(
        first, Shown("b", 2, "", _content("text", "new market")), Shown("c", 3, "c", _content("text", "new fish"))
    )
    release(desk.mirror, desk.lease)
    fill(desk.mirror)
    mirror = asked(desk)
    assert versions(mirror.grep("fish")) == ["c", "a"]
    assert versions(mirror.grep("old fish", find="removed")) == ["b"]
    assert versions(mirror.grep("old fish", find="last")) == ["a"]
    assert differences_from_rebuild(desk.mirror) == []


def test_without_fts5_all_but_the_search_works(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    if desk.mirror.dialect.name != "sqlite":
        pytest.skip("SQLite's own")
    monkeypatch.setattr(SqliteFullText, "is_available", lambda *_: False)
    desk.look(Shown("a", 1, "c"))
    release(desk.mirror, desk.lease)
    filler = ProjectionFiller(desk.mirror, desk.lease.source_id)
    while filler.fill_batch().state is FillState.MORE:
        pass
    mirror = asked(desk)
    assert versions(mirror.versions("record")) == ["a"]
    with pytest.raises(NoFullText, match="no FTS5"):
        list(mirror.grep("a"))
    monkeypatch.undo()
    fill(desk.mirror)
    assert versions(mirror.grep("a")) == ["a"]

"""Pairs of contents that differ by edits which the generator knows: what they changed, and where.

Paragraphs are made of words with identities of their own. So a test can say whether a paragraph that a diff calls new
is new, and whether two that it calls one are one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from typing import Any

from versionsync.history.diff import Schema, SchemaField

Json = Any
Path = tuple[str | int, ...]
Where = tuple[str, str | None, tuple[str, ...]]
"""Field of the record, locale, and the ids of the blocks around."""

LOCALES = ("en", "it")
MARKS = ("strong", "emphasis", "code", "underline", "highlight")
TEXT_FIELDS = {"quote": ("words", "said_by"), "picture": ("caption",), "columns": (), "mention": ("handle",)}


def _field(model: str, api_key: str, field_type: str, *, localized: bool = False) -> tuple[str, SchemaField]:
    one = SchemaField(
        id=f"{model}.{api_key}",
        api_key=api_key,
        label=api_key.replace("_", " ").capitalize(),
        field_type=field_type,
        is_localized=localized,
    )
    return model, one


SCHEMA = Schema.of(
    [
        _field("article", "title", "string", localized=True),
        _field("article", "summary", "text", localized=True),
        _field("article", "body", "structured_text", localized=True),
        _field("article", "sections", "rich_text"),
        _field("article", "pull_quote", "single_block"),
        _field("article", "seo", "seo", localized=True),
        _field("article", "author", "link"),
        _field("article", "related", "links"),
        _field("article", "cover", "file"),
        _field("article", "pictures", "gallery"),
        _field("article", "video", "video"),
        _field("article", "dateline", "date"),
        _field("article", "happens_at", "date_time"),
        _field("article", "accent", "color"),
        _field("article", "place", "lat_lon"),
        _field("article", "data", "json"),
        _field("article", "reads", "integer"),
        _field("article", "rating", "float"),
        _field("article", "is_premium", "boolean"),
        _field("quote", "words", "text"),
        _field("quote", "said_by", "string"),
        _field("picture", "image", "file"),
        _field("picture", "caption", "string"),
        _field("columns", "left", "rich_text"),
        _field("columns", "right", "single_block"),
        _field("columns", "notes", "structured_text"),
        _field("mention", "handle", "string"),
    ],
    {"article": "Article", "quote": "Quote", "picture": "Picture", "columns": "Columns", "mention": "Mention"},
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word, with the marks on it (on its first half only if `is_half`), a link or a node in its place."""

    text: str
    marks: frozenset[str] = frozenset()
    link: str | None = None
    """A URL, or `item:` and the id of a record."""
    is_half: bool = False
    node: Block | str | None = None
    """An inline block, or the id of a record."""
    number: int = 0
    """Which word it is, wherever it stands."""


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph, heading or piece of code. `origins` names the first paragraphs that it comes from."""

    origins: frozenset[int]
    words: tuple[Word, ...]
    type: str = "paragraph"
    level: int = 2
    cuts: int = 0
    """How its spans are cut without need."""


@dataclass(slots=True)
class Group:
    """A list or a quote: items, each with paragraphs."""

    type: str
    style: str
    items: list[list[Para]]

    def copy(self) -> Group:
        return Group(self.type, self.style, [list(item) for item in self.items])


@dataclass(slots=True)
class Block:
    """A block. Values of its fields are lists of words, blocks, documents, or JSON."""

    id: str
    model: str
    fields: dict[str, Any]

    def copy(self) -> Block:
        return Block(self.id, self.model, {name: _copied(value) for name, value in self.fields.items()})


@dataclass(slots=True)
class Doc:
    """A structured text."""

    nodes: list[Para | Group | Block]

    def copy(self) -> Doc:
        return Doc([_copied(node) for node in self.nodes])


@dataclass(slots=True)
class Prose:
    """A text of words."""

    words: list[str]

    def copy(self) -> Prose:
        return Prose(list(self.words))


def _copied(value: Any) -> Any:
    if isinstance(value, Block | Doc | Group | Prose):
        return value.copy()
    if isinstance(value, Para):
        if any(isinstance(word.node, Block) for word in value.words):
            words = tuple(
                replace(word, node=word.node.copy()) if isinstance(word.node, Block) else word for word in value.words
            )
            return replace(value, words=words)
        return value
    if isinstance(value, list):
        return [_copied(one) for one in value]
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return value


@dataclass(slots=True)
class Edits:
    """What was done: the words added and removed at most, and the places."""

    words: int = 0
    places: set[Where] = field(default_factory=set)
    names: list[str] = field(default_factory=list)
    has_moves: bool = False
    moved_elsewhere: list[tuple[Block, Where, Where]] = field(default_factory=list)
    """Blocks that were moved to another list or structured text, from where, and to where."""
    carried: set[str] = field(default_factory=set)
    """Those of them that were moved out of a block that is gone now, or into a new one."""

    def note(self, name: str, where: Where, words: int = 0) -> None:
        self.names.append(name)
        self.places.add(where)
        self.words += words


@dataclass(slots=True)
class Pair:
    """Two contents and what lies between them. `lines` are the paragraphs by their paths in each of the contents."""

    before: dict[str, Json]
    after: dict[str, Json]
    edits: Edits
    lines_before: dict[Path, Para]
    lines_after: dict[Path, Para]


@cache
def _vocabulary(number: int) -> list[str]:
    rng = random.Random(number)
    letters = ("abcdefghiklmnoprstuvz", "abcdefghiklmnoprstuvz", "àèìòùçñßøåæ", "абвгдежзиклмн")
    spelled = (
        "".join(rng.choices(rng.choice(letters), k=rng.randint(1, 9))) for _ in range((4000, 400, 4000)[number % 3])
    )
    return list(spelled)


class Generator:
    """Makes pairs from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        number = self.rng.randrange(9)
        self.vocabulary = _vocabulary(number)
        self.is_natural = number % 3 == 0
        self.number = 0

    def pairs(self, number: int = 1) -> Iterator[Pair]:
        """Make a content, and others by one to six edits of it each."""
        rng = self.rng
        old = self._record()
        lines: dict[Path, Para] = {}
        before = _rendered(old, (), lines)
        for _ in range(number):
            # The other fields stay as they are: to copy them each time would only cost time.
            names = {"body", *rng.sample(sorted(old), 4)} - ({"body"} if rng.random() < 0.1 else set())
            new, edits = _copied({name: old[name] for name in old if name in names}), Edits()
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 6))):
                self._edit(new, edits)
            _count_what_moved_with_others(old, new, edits)
            lines_after: dict[Path, Para] = {}
            after = before | _rendered(new, (), lines_after)
            lines_before = {path: para for path, para in lines.items() if path[0] in names}
            yield Pair(before, after, edits, lines_before, lines_after)

    # Contents

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _word(self) -> str:
        # In a natural text, half of the words are of the hundred that are used most.
        size = len(self.vocabulary)
        word = self.vocabulary[int(size ** self.rng.random()) - 1 if self.is_natural else self.rng.randrange(size)]
        return word + self.rng.choice(",.;!") if self.rng.random() < 0.1 else word

    def _words(self, least: int, most: int) -> list[str]:
        return [self._word() for _ in range(self.rng.randint(least, most))]

    def _para(self, least: int = 1, most: int = 30) -> Para:
        rng = self.rng
        words = [Word(word, number=self._next()) for word in self._words(least, most)]
        if rng.random() < 0.3:
            start = rng.randrange(len(words))
            words[start:] = [replace(word, marks=frozenset(rng.sample(MARKS, 1))) for word in words[start:]]
        if rng.random() < 0.1:
            words.insert(rng.randint(0, len(words)), Word("", node=f"record{rng.randrange(9)}"))
        if rng.random() < 0.1:
            words.insert(rng.randint(0, len(words)), Word("", node=self._block("mention")))
        type = rng.choice(("paragraph", "paragraph", "paragraph", "paragraph", "heading"))
        return Para(frozenset((self._next(),)), tuple(words), type, rng.randint(1, 6), rng.randrange(8))

    def _doc(self, most: int = 8) -> Doc:
        rng = self.rng
        nodes: list[Para | Group | Block] = []
        for _ in range(rng.randint(1, most)):
            roll = rng.random()
            if roll < 0.7:
                nodes.append(self._para())
            elif roll < 0.8:
                items = [[self._para(1, 8) for _ in range(rng.choice((1, 1, 2)))] for _ in range(rng.randint(1, 4))]
                nodes.append(Group("list", rng.choice(("bulleted", "numbered")), items))
            elif roll < 0.87:
                nodes.append(Group("blockquote", "", [[self._para(1, 8) for _ in range(rng.randint(1, 2))]]))
            else:
                nodes.append(self._block(rng.choice(("quote", "picture"))))
        return Doc(nodes)

    def _block(self, model: str, depth: int = 0) -> Block:
        rng = self.rng
        fields: dict[str, Any]
        if model == "quote":
            fields = {"words": Prose(self._words(1, 15)), "said_by": Prose(self._words(1, 3))}
        elif model == "picture":
            fields = {"image": self._file(), "caption": Prose(self._words(1, 5)) if rng.random() < 0.7 else None}
        elif model == "columns":
            inner = ("quote", "picture", "columns") if depth < 3 else ("quote", "picture")
            fields = {
                "left": [self._block(rng.choice(inner), depth + 1) for _ in range(rng.randint(0, 3))],
                "right": self._block(rng.choice(inner), depth + 1) if rng.random() < 0.6 else None,
                "notes": self._doc(2) if rng.random() < 0.5 else None,
            }
        else:
            fields = {"handle": Prose(self._words(1, 1))}
        return Block(f"block{self._next()}", model, fields)

    def _file(self) -> Json:
        rng = self.rng
        return {
            "upload_id": f"upload{self._next()}",
            "alt": None,
            "title": None,
            "custom_data": {},
            "focal_point": {"x": 0.5, "y": rng.randrange(100)},
        }

    def _record(self) -> dict[str, Any]:
        rng = self.rng
        locales = LOCALES if rng.random() < 0.8 else LOCALES[:1]
        return {
            "title": {locale: Prose(self._words(1, 8)) for locale in locales},
            "summary": {locale: Prose(self._words(1, 30)) for locale in locales},
            "body": {locale: self._doc() for locale in locales},
            "sections": [self._block(rng.choice(("quote", "picture", "columns"))) for _ in range(rng.randint(0, 4))],
            "pull_quote": self._block("quote") if rng.random() < 0.5 else None,
            "seo": {
                locale: {"title": " ".join(self._words(1, 5)), "image": None, "no_index": False} for locale in locales
            },
            "author": f"record{rng.randrange(9)}",
            "related": rng.sample([f"record{number}" for number in range(9)], rng.randint(0, 5)),
            "cover": self._file(),
            "pictures": [self._file() for _ in range(rng.randint(0, 4))],
            "video": None,
            "dateline": "2026-03-01",
            "happens_at": "2026-03-01T10:00:00Z",
            "accent": {"red": rng.randrange(256), "green": 0, "blue": 9, "alpha": 255},
            "place": {"latitude": 45.5, "longitude": rng.randrange(90)},
            "data": f'{{"votes":{rng.randrange(99)},"days":[1,2,3]}}',
            "reads": rng.randrange(99),
            "rating": rng.randrange(99) / 10,
            "is_premium": rng.random() < 0.5,
            "mystery": {"deep": [1, {"x": rng.randrange(9)}], "text": " ".join(self._words(1, 5))},
        }

    # Edits

    def _edit(self, record: dict[str, Any], edits: Edits) -> None:
        rng = self.rng
        docs: list[tuple[Where, Doc]] = []
        texts: list[tuple[Where, Prose]] = []
        lists: list[tuple[Where, list[Block], bool]] = []
        for where, value in _parts(record):
            if isinstance(value, Doc):
                docs.append((where, value))
            elif isinstance(value, Prose):
                texts.append((where, value))
            else:
                lists.append((where, value, where[2] != ()))
        roll = rng.random()
        if roll < 0.62 and docs:
            self._edit_doc(*rng.choice(docs), edits)
        elif roll < 0.77 and texts:
            self._edit_text(*rng.choice(texts), edits)
        elif roll < 0.9 and lists:
            where, blocks, is_nested = rng.choice(lists)
            self._edit_blocks(where, blocks, edits, is_nested=is_nested)
        elif roll < 0.93:
            self._move_elsewhere(docs, lists, edits)
        else:
            self._edit_value(record, edits)

    def _edit_text(self, where: Where, text: Prose, edits: Edits) -> None:
        rng, words = self.rng, text.words
        start = rng.randrange(len(words)) if words else 0
        gone = words[start : start + rng.choice((0, 0, 1, 1, 2, 5))]
        new = self._words(0, 3)
        if len(gone) == len(words):
            new = new or self._words(1, 3)  # a text without words is another kind of change
        words[start : start + len(gone)] = new
        edits.note("text", where, len(gone) + len(new))

    def _edit_blocks(self, where: Where, blocks: list[Block], edits: Edits, *, is_nested: bool) -> None:
        rng = self.rng
        roll = rng.random()
        if roll < 0.4 or not blocks:
            block = self._block(rng.choice(("quote", "picture", "columns")), 2 if is_nested else 0)
            blocks.insert(rng.randint(0, len(blocks)), block)
            edits.note("add block", where, _block_words(block))
        elif roll < 0.7:
            block = blocks.pop(rng.randrange(len(blocks)))
            edits.note("remove block", where, _block_words(block))
        elif len(blocks) > 1:
            blocks.insert(rng.randrange(len(blocks)), blocks.pop(rng.randrange(len(blocks))))
            edits.note("move block", where)
            edits.has_moves = True

    def _move_elsewhere(
        self, docs: list[tuple[Where, Doc]], lists: list[tuple[Where, list[Block], bool]], edits: Edits
    ) -> None:
        """Move a block to another list or structured text."""
        rng = self.rng
        homes: list[tuple[Where, list[Any]]] = [(where, blocks) for where, blocks, _ in lists]
        homes += [(where, doc.nodes) for where, doc in docs]
        sources = [
            (where, nodes, index)
            for where, nodes in homes
            for index, node in enumerate(nodes)
            if isinstance(node, Block) and (len(nodes) > 1 or (where, nodes) in homes[: len(lists)])
        ]
        if not sources:
            return
        # Most blocks and homes are in the two bodies; so lists are drawn more often than they are there.
        in_lists = [source for source in sources if source[0][0] == "sections"]
        where, nodes, index = rng.choice(in_lists if in_lists and rng.random() < 0.5 else sources)
        block = nodes[index]
        # Not into itself, and not to where it is: two lists of one block are two places with one name.
        targets = [(to, inner) for to, inner in homes if inner is not nodes and block.id not in to[2]]
        if not targets:
            return
        to_lists = [target for target in targets if target[0][0] == "sections"]
        to, inner = rng.choice(to_lists if to_lists and rng.random() < 0.5 else targets)
        del nodes[index]
        inner.insert(rng.randint(0, len(inner)), block)
        edits.has_moves = True
        edits.note("move elsewhere", where)
        edits.moved_elsewhere.append((block, where, to))
        for _, _, path in list(edits.places):
            if block.id in path:  # what was edited in it is shown at its new place
                edits.places.add((to[0], to[1], (*to[2], *path[path.index(block.id) :])))
        edits.places.add(to)

    def _edit_value(self, record: dict[str, Any], edits: Edits) -> None:
        rng = self.rng
        names = sorted(name for name in record if name in _VALUES)
        if "title" in record and rng.random() < 0.3:
            _edit_locale(self, record, edits)
        elif names:
            _VALUES[rng.choice(names)](self, record, edits)

    def _edit_doc(self, where: Where, doc: Doc, edits: Edits) -> None:
        rng = self.rng
        name = rng.choice(sorted(_DOC_EDITS))
        spots = [(doc.nodes, index) for index, node in enumerate(doc.nodes) if isinstance(node, Para)]
        for node in doc.nodes:
            if isinstance(node, Group):
                spots += [(item, index) for item in node.items for index in range(len(item))]
        if not spots:
            name = "add para"
            spots = [(doc.nodes, 0)]
        _DOC_EDITS[name](self, where, doc, edits, *rng.choice(spots))

    def edit_words(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng, para = self.rng, nodes[index]
        words = list(para.words)
        start = rng.randrange(len(words)) if words else 0
        size = rng.choice((0, 0, 1, 1, 2, 4))
        gone = words[start : start + size]
        if any(word.node is not None for word in gone):
            gone = []
        style = words[start - 1] if start and words[start - 1].node is None else Word("")
        new = [replace(style, text=word, is_half=False, number=self._next()) for word in self._words(1, 3)]
        words[start : start + len(gone)] = new
        nodes[index] = replace(para, words=tuple(words))
        edits.note("words", where, len(gone) + len(new))

    def edit_marks(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng, para = self.rng, nodes[index]
        if not para.words:
            return
        words = list(para.words)
        start = rng.randrange(len(words))
        mark = rng.choice(MARKS)
        size = rng.randint(1, 4)
        is_half = rng.random() < 0.3
        for place in range(start, min(start + size, len(words))):
            if words[place].node is None:
                words[place] = replace(words[place], marks=words[place].marks ^ {mark}, is_half=is_half)
        nodes[index] = replace(para, words=tuple(words))
        edits.note("marks", where)

    def edit_links(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng, para = self.rng, nodes[index]
        if not para.words:
            return
        words = list(para.words)
        start = rng.randrange(len(words))
        link = rng.choice((None, f"https://example.com/{rng.randrange(5)}", f"item:record{rng.randrange(9)}"))
        for place in range(start, min(start + rng.randint(1, 4), len(words))):
            if words[place].node is None:
                words[place] = replace(words[place], link=link)
        nodes[index] = replace(para, words=tuple(words))
        edits.note("link", where)

    def edit_split(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng, para = self.rng, nodes[index]
        if len(para.words) < 2:
            return
        at = rng.randrange(1, len(para.words))
        parts = [replace(para, words=para.words[:at]), replace(para, words=para.words[at:])]
        if at == 0 or rng.random() < 0.1:
            parts[1] = replace(parts[1], type="paragraph")
        nodes[index : index + 1] = parts
        edits.note("split", where)

    def edit_merge(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        if index + 1 < len(nodes) and isinstance(nodes[index + 1], Para):
            one, other = nodes[index], nodes[index + 1]
            merged = replace(one, words=one.words + other.words, origins=one.origins | other.origins)
            nodes[index : index + 2] = [merged]
            edits.note("merge", where)

    def edit_move(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        if len(nodes) < 2:
            return
        para = nodes.pop(index)
        place = self.rng.randint(0, len(nodes))
        # What is too short to be sure of is shown as removed and added.
        words = _short_words([para, *nodes[min(index, place) : max(index, place)]])
        nodes.insert(place, para)
        edits.has_moves = True
        edits.note("move", where, 2 * words)

    def edit_add(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        para = self._para()
        nodes.insert(self.rng.randint(0, len(nodes)), para)
        edits.note("add para", where, _para_words(para))

    def edit_remove(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        if len(nodes) > 1:
            para = nodes.pop(index)
            edits.note("remove para", where, _para_words(para))

    def edit_retype(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        para = nodes[index]
        nodes[index] = replace(para, type="heading" if para.type == "paragraph" else "paragraph")
        edits.note("retype", where)

    def edit_level(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        nodes[index] = replace(nodes[index], level=self.rng.randint(1, 6))
        edits.note("level", where)

    def edit_wrap(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        if nodes is doc.nodes and len(nodes[index].words) > 3:
            kind = self.rng.choice(("list", "blockquote"))
            nodes[index] = Group(kind, "bulleted" if kind == "list" else "", [[nodes[index]]])
            edits.note("wrap", where)

    def edit_cuts(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        nodes[index] = replace(nodes[index], cuts=self.rng.randrange(8))
        edits.names.append("respell")

    def edit_style(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        for node in doc.nodes:
            if isinstance(node, Group) and node.type == "list":
                node.style = "numbered" if node.style == "bulleted" else "bulleted"
                edits.note("style", where)

    def edit_divide(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        for place, node in enumerate(doc.nodes):
            if isinstance(node, Group) and len(node.items) > 1:
                at = self.rng.randrange(1, len(node.items))
                doc.nodes[place : place + 1] = [
                    Group(node.type, node.style, node.items[:at]),
                    Group(node.type, node.style, node.items[at:]),
                ]
                edits.note("divide", where)
                return

    def edit_doc_blocks(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng = self.rng
        places = [place for place, node in enumerate(doc.nodes) if isinstance(node, Block)]
        roll = rng.random()
        if roll < 0.4 or not places:
            block = self._block(rng.choice(("quote", "picture")))
            doc.nodes.insert(rng.randint(0, len(doc.nodes)), block)
            edits.note("add block", where, _block_words(block))
        elif roll < 0.7 and len(doc.nodes) > 1:
            block = doc.nodes.pop(rng.choice(places))
            edits.note("remove block", where, _block_words(block))
        else:
            at, place = rng.choice(places), rng.randrange(len(doc.nodes))
            passed = _short_words(doc.nodes[min(at, place) : max(at, place) + 1])
            doc.nodes.insert(place, doc.nodes.pop(at))
            edits.note("move block", where, 2 * passed)
            edits.has_moves = True

    def edit_inline(self, where: Where, doc: Doc, edits: Edits, nodes: list[Any], index: int) -> None:
        rng, para = self.rng, nodes[index]
        words = list(para.words)
        places = [place for place, word in enumerate(words) if word.node is not None]
        if places and rng.random() < 0.5:
            gone = words.pop(rng.choice(places))
            edits.note("remove node", where, _block_words(gone.node) if isinstance(gone.node, Block) else 0)
        else:
            node = self._block("mention") if rng.random() < 0.5 else f"record{rng.randrange(9)}"
            words.insert(rng.randint(0, len(words)), Word("", node=node))
            edits.note("add node", where, _block_words(node) if isinstance(node, Block) else 0)
        nodes[index] = replace(para, words=tuple(words))

    def value_of(self, record: dict[str, Any], edits: Edits, name: str, value: Json) -> None:
        record[name] = value
        edits.note(name, (name, None, ()))


_DOC_EDITS: dict[str, Callable[..., None]] = {
    "words": Generator.edit_words,
    "words again": Generator.edit_words,
    "words still": Generator.edit_words,
    "marks": Generator.edit_marks,
    "more marks": Generator.edit_marks,
    "link": Generator.edit_links,
    "split": Generator.edit_split,
    "split again": Generator.edit_split,
    "merge": Generator.edit_merge,
    "move": Generator.edit_move,
    "add para": Generator.edit_add,
    "remove para": Generator.edit_remove,
    "retype": Generator.edit_retype,
    "level": Generator.edit_level,
    "wrap": Generator.edit_wrap,
    "cuts": Generator.edit_cuts,
    "style": Generator.edit_style,
    "divide": Generator.edit_divide,
    "blocks": Generator.edit_doc_blocks,
    "inline": Generator.edit_inline,
}


def _edit_related(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    value = list(record["related"])
    generator.rng.shuffle(value)
    value = value[generator.rng.randint(0, 1) :]
    if generator.rng.random() < 0.5:
        value.insert(0, f"record{generator.rng.randrange(20)}")
    edits.has_moves = True
    generator.value_of(record, edits, "related", value)


def _edit_pictures(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    value = [dict(one) for one in record["pictures"]]
    generator.rng.shuffle(value)
    edits.has_moves = True
    words = 0
    if value and generator.rng.random() < 0.5:
        new = generator._words(1, 4)
        value[0] |= {"alt": " ".join(new), "custom_data": {"by": "me"}}
        words = len(new) + 8
    if generator.rng.random() < 0.5:
        value.append(generator._file())
    generator.value_of(record, edits, "pictures", value)
    edits.words += words


def _edit_seo(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    locale = generator.rng.choice(list(record["seo"]))
    value = record["seo"][locale]
    title = generator._words(1, 5)
    edits.note("seo", ("seo", locale, ()), len(title) + len(value["title"].split()))
    record["seo"] = {**record["seo"], locale: {**value, "title": " ".join(title), "image": "upload1"}}


def _edit_locale(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    if "it" in record["title"]:
        for name in ("title", "summary", "body", "seo"):
            if "it" not in record.get(name, ()):
                continue
            value = record[name].pop("it")
            edits.note("remove locale", (name, "it", ()), _words_of(value))
    else:
        value = Prose(generator._words(1, 8))
        record["title"]["it"] = value
        edits.note("add locale", ("title", "it", ()), _words_of(value))
        if "body" in record:
            doc = generator._doc()
            record["body"]["it"] = doc
            edits.note("add locale", ("body", "it", ()), _words_of(doc))


def _edit_pull_quote(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    old = record["pull_quote"]
    new = generator._block("quote") if old is None or generator.rng.random() < 0.5 else None
    generator.value_of(record, edits, "pull_quote", new)
    edits.words += sum(_block_words(block) for block in (old, new) if block is not None)
    if new is not None:
        edits.places.add(("pull_quote", None, (new.id,)))  # what is like the old one may be the old one


def _edit_mystery(generator: Generator, record: dict[str, Any], edits: Edits) -> None:
    words = generator._words(1, 4)
    edits.words += len(words) + len(record["mystery"]["text"].split())
    deep = [*record["mystery"]["deep"], generator.rng.randrange(5)]
    if generator.rng.random() < 0.5:
        deep = [True, *deep[1:]]
    generator.value_of(record, edits, "mystery", {"deep": deep, "text": " ".join(words)})


_VALUES: dict[str, Callable[[Generator, dict[str, Any], Edits], None]] = {
    "author": lambda g, r, e: g.value_of(r, e, "author", g.rng.choice((None, f"record{g.rng.randrange(9)}"))),
    "related": _edit_related,
    "cover": lambda g, r, e: g.value_of(
        r, e, "cover", g.rng.choice((None, g._file(), {**(r["cover"] or g._file()), "alt": None}))
    ),
    "pictures": _edit_pictures,
    "seo": _edit_seo,
    "pull_quote": _edit_pull_quote,
    "mystery": _edit_mystery,
    "video": lambda g, r, e: g.value_of(
        r, e, "video", {"url": f"https://example.com/{g.rng.randrange(9)}", "width": 9}
    ),
    "dateline": lambda g, r, e: g.value_of(r, e, "dateline", f"2026-03-{g.rng.randint(10, 28)}"),
    "happens_at": lambda g, r, e: g.value_of(r, e, "happens_at", f"2026-03-{g.rng.randint(10, 28)}T10:00:00Z"),
    "accent": lambda g, r, e: g.value_of(
        r, e, "accent", {"red": g.rng.randrange(256), "green": 1, "blue": 9, "alpha": 255}
    ),
    "place": lambda g, r, e: g.value_of(r, e, "place", {"latitude": 1.5, "longitude": g.rng.randrange(90)}),
    "data": lambda g, r, e: g.value_of(
        r, e, "data", f'{{"votes": {g.rng.randrange(99)}, "days":[1,3], "new": {{"a":1}}}}'
    ),
    "reads": lambda g, r, e: g.value_of(r, e, "reads", g.rng.randrange(99)),
    "rating": lambda g, r, e: g.value_of(r, e, "rating", g.rng.choice((None, 1, 2.5, 10**30))),
    "is_premium": lambda g, r, e: g.value_of(r, e, "is_premium", not r["is_premium"]),
}


def _count_what_moved_with_others(old: dict[str, Any], new: dict[str, Any], edits: Edits) -> None:
    """Count the words of blocks that were moved out of a block or locale that is gone now, or into a new one.

    The other block or locale is shown as a whole, with them in it. So are two blocks of which the inner one is the
    outer one now: neither is in a place that is on both sides.
    """
    if not edits.moved_elsewhere:
        return
    inside_before, inside_after = (
        {pair for where, _ in _parts(one) for pair in combinations(where[2], 2)} for one in (old, new)
    )
    for block, _, _ in edits.moved_elsewhere:
        insides = {outer for outer, inner in inside_before if inner == block.id and (inner, outer) in inside_after}
        if insides and block.id not in edits.carried:
            edits.words += 2 * _block_words(block)
            edits.carried |= {block.id, *insides}
    before, after = ({name for where, _ in _parts(one) for name in _names(where)} for one in (old, new))
    for _ in edits.moved_elsewhere:  # what is in a block that is shown as a whole is shown with it
        before, after = before - edits.carried, after - edits.carried
        for block, where, to in edits.moved_elsewhere:
            is_whole = not before.issuperset(_names(to)) or not after.issuperset(_names(where))
            if is_whole and block.id not in edits.carried:
                edits.words += 2 * _block_words(block)
                edits.carried.add(block.id)


def _names(where: Where) -> tuple[object, ...]:
    return where[:2], *where[2]


def _parts(record: dict[str, Any]) -> Iterator[tuple[Where, Any]]:
    """The documents, texts and lists of blocks of a record, at any depth."""
    for name, value in record.items():
        if name in ("title", "summary", "body"):
            for locale, inner in value.items():
                yield from _inside(inner, (name, locale, ()))
        else:
            yield from _inside(value, (name, None, ()))


def _inside(value: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    if isinstance(value, Prose):
        yield where, value
    elif isinstance(value, Doc):
        yield where, value
        for node in value.nodes:
            if isinstance(node, Block):
                yield from _in_block(node, where)
    elif isinstance(value, Block):
        yield from _in_block(value, where)
    elif isinstance(value, list) and (where[0] == "sections" or where[2]):
        yield where, value
        for block in value:
            yield from _in_block(block, where)


def _in_block(block: Block, where: Where) -> Iterator[tuple[Where, Any]]:
    inside = (where[0], where[1], (*where[2], block.id))
    for value in block.fields.values():
        if isinstance(value, Prose | Doc | Block | list):
            yield from _inside(value, inside)


def _para_words(para: Para) -> int:
    return sum(_block_words(word.node) if isinstance(word.node, Block) else word.node is None for word in para.words)


def _short_words(nodes: list[Any]) -> int:
    """The words in short paragraphs."""
    paras: list[Any] = []
    for node in nodes:
        paras += [para for item in node.items for para in item] if isinstance(node, Group) else [node]
    return sum(_para_words(para) for para in paras if isinstance(para, Para) and len(para.words) < 6)


def _block_words(block: Block) -> int:
    return sum(_words_of(value) for value in block.fields.values())


def _words_of(value: Any) -> int:
    match value:
        case Prose():
            return len(value.words)
        case Block():
            return _block_words(value)
        case Doc():
            return sum(_words_of(node) for node in value.nodes)
        case Para():
            return _para_words(value)
        case Group():
            return sum(_para_words(para) for item in value.items for para in item)
        case list():
            return sum(map(_words_of, value))
        case {"title": str(title)}:
            return len(title.split())
    return 0


def _rendered(value: Any, path: Path, lines: dict[Path, Para]) -> Json:
    match value:
        case Prose():
            return " ".join(value.words)
        case Block():
            inner = {name: _rendered(one, (*path, "attributes", name), lines) for name, one in value.fields.items()}
            model = {"item_type": {"data": {"id": value.model, "type": "item_type"}}}
            return {"id": value.id, "type": "item", "attributes": inner, "relationships": model}
        case Doc():
            at = (*path, "document")
            return {"schema": "dast", "document": {"type": "root", "children": _rendered_nodes(value.nodes, at, lines)}}
        case Para():
            lines[path] = value
            node: dict[str, Json] = {"type": value.type, "children": _spans(value, path, lines)}
            return node | ({"level": value.level} if value.type == "heading" else {})
        case Group(type="list"):
            items = [
                {"type": "listItem", "children": _rendered_nodes(item, (*path, "children", index), lines)}
                for index, item in enumerate(value.items)
            ]
            return {"type": "list", "style": value.style, "children": items}
        case Group():
            paras = [para for item in value.items for para in item]
            return {"type": "blockquote", "children": _rendered_nodes(paras, path, lines)}
        case list():
            return [_rendered(one, (*path, index), lines) for index, one in enumerate(value)]
        case dict():
            return {name: _rendered(one, (*path, name), lines) for name, one in value.items()}
    return value


def _rendered_nodes(nodes: list[Any], path: Path, lines: dict[Path, Para]) -> Json:
    rendered = []
    for index, node in enumerate(nodes):
        at = (*path, "children", index)
        if isinstance(node, Block):
            rendered.append({"type": "block", "item": _rendered(node, (*at, "item"), lines)})
        else:
            rendered.append(_rendered(node, at, lines))
    return rendered


def _spans(para: Para, path: Path, lines: dict[Path, Para]) -> list[Json]:
    pieces: list[tuple[str, frozenset[str], str | None]] = []
    nodes: list[Json] = []

    def flush() -> None:
        while pieces:
            link = pieces[0][2]
            inner: list[Json] = []
            while pieces and pieces[0][2] == link:
                text, marks, _ = pieces.pop(0)
                if inner and inner[-1].get("marks", []) == sorted(marks) and (para.cuts + len(inner)) % 4:
                    inner[-1]["value"] += text
                else:
                    inner.append({"type": "span", "value": text} | ({"marks": sorted(marks)} if marks else {}))
            if link is None:
                nodes.extend(inner)
            elif link.startswith("item:"):
                nodes.append({"type": "itemLink", "item": link[5:], "children": inner})
            else:
                nodes.append({"type": "link", "url": link, "children": inner})

    for index, word in enumerate(para.words):
        space = " " if index + 1 < len(para.words) else ""
        if word.node is None:
            half = len(word.text) // 2 if word.is_half else len(word.text)
            pieces += [(word.text[:half], word.marks, word.link)] if half else []
            rest = word.text[half:]
            pieces += [(rest, frozenset(), word.link)] if rest else []
            pieces += [(space, frozenset() if word.is_half else word.marks, word.link)] if space else []
        else:
            flush()
            at = (*path, "children", len(nodes), "item")
            if isinstance(word.node, Block):
                nodes.append({"type": "inlineBlock", "item": _rendered(word.node, at, lines)})
            else:
                nodes.append({"type": "inlineItem", "item": word.node})
            pieces += [(space, frozenset(), None)] if space else []
    flush()
    return nodes

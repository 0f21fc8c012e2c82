"""The content of the news site's articles: first drafts, and later changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from versionsync.simulator.scenarios.news.prose import (
    FOREIGN_HEADLINES,
    Words,
    headline,
    paragraph,
    random_color,
    sentence,
    slug,
)
from versionsync.simulator.scenarios.news.schema import LOCALES
from versionsync.simulator.scenarios.news.staff import Newsroom
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.uploads import Upload

__all__ = ["EDITS", "NUMBERS_THAT_FLOATS_LOSE", "STRANGE_TEXT", "Draft", "file_value", "long_draft", "odd_attributes"]

LONG_BODY_BYTES: Final = 285_000
"""The size of a body that leaves room for the rest of the record: DatoCMS accepts at most 300 KB."""

STRANGE_TEXT: Final = (
    "nul:\x00 bell:\x07 tab:\t line:\u2028 bom:\ufeff joined:👩‍👩‍👧‍👦 é e\u0301 \u202eright to left\u202c"
)
NUMBERS_THAT_FLOATS_LOSE: Final = (
    b"12345678901234567890123",
    b"1.00",
    b"1e400",
    b"0.1000000000000000055511151231257827",
)


@dataclass(slots=True)
class Draft:
    """An article in progress: the parts from which its fields are composed."""

    newsroom: Newsroom
    title: Words
    paragraphs: list[Words]
    locales: tuple[str, ...] = LOCALES
    block_ids: dict[str, str] = field(default_factory=dict)
    """The ids of its blocks by their position, so that an unchanged block keeps its id."""

    @classmethod
    def begin(cls, newsroom: Newsroom, *, locales: tuple[str, ...] = LOCALES) -> Draft:
        rng = newsroom.rng
        title = headline(rng)
        if rng.random() < 0.2:
            title = title._replace(en=rng.choice(FOREIGN_HEADLINES))
        return cls(newsroom, title, [paragraph(rng) for _ in range(rng.randint(2, 5))], locales)

    def localized(self, words: Words) -> dict[str, str]:
        return {locale: getattr(words, locale) for locale in self.locales}

    def block(self, model: Model, position: str, **attributes: Json) -> Json:
        """Return a complete block for *position*."""
        return {
            "id": self.block_ids.setdefault(position, self.newsroom.world.ids.new()),
            "type": "item",
            "attributes": attributes,
            "relationships": {"item_type": {"data": {"id": model.id, "type": "item_type"}}},
        }

    def attributes(self) -> dict[str, object]:
        newsroom, rng = self.newsroom, self.newsroom.rng
        day = newsroom.world.now()
        pull_quote = self.block(newsroom.schema.quote, "pull quote", words=self.paragraphs[0].en, said_by="A neighbour")
        return {
            **self.titles(),
            "summary": self.localized(sentence(rng)),
            "body": self.body(),
            "sections": self.sections(),
            "pull_quote": pull_quote if rng.random() < 0.5 else None,
            "seo": self.seo(),
            "author": rng.choice(newsroom.authors),
            "categories": rng.sample(newsroom.categories, k=2),
            "related": [],
            "cover": file_value(newsroom.picture(), alt=self.title.en),
            "pictures": [file_value(newsroom.picture()) for _ in range(rng.randint(0, 3))],
            "video": None,
            "dateline": day.date().isoformat(),
            "happens_at": (day + timedelta(days=rng.randint(1, 30))).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "accent": random_color(rng),
            "place": {"latitude": 45.0 + rng.randrange(1000) / 1000, "longitude": 9.0 + rng.randrange(1000) / 1000},
            "data": data_value(day, votes=rng.randrange(1000)),
            "reads": 0,
            "rating": None,
            "is_premium": rng.random() < 0.2,
        }

    def titles(self) -> dict[str, object]:
        titles = self.localized(self.title)
        return {"title": titles, "slug": {locale: slug(text) for locale, text in titles.items()}}

    def seo(self) -> dict[str, object]:
        """Return the metadata for search engines."""
        upload = self.newsroom.picture()
        return {
            locale: {
                "title": text[:60],
                "description": self.localized(self.paragraphs[0])[locale][:160],
                "image": upload.id,
                "twitter_card": "summary",
                "no_index": False,
            }
            for locale, text in self.localized(self.title).items()
        }

    def sections(self) -> list[Json]:
        """Return modular content with nested blocks."""
        schema = self.newsroom.schema
        inner = self.block(schema.quote, "quote in columns", words=self.paragraphs[-1].en, said_by=None)
        picture = self.block(
            schema.picture, "picture in columns", image=file_value(self.newsroom.picture()), caption="⚓"
        )
        return [
            self.block(schema.quote, "quote", words=self.paragraphs[0].it, said_by="Il sindaco"),
            self.block(schema.columns, "columns", left=[inner], right=picture),
        ]

    def body(self) -> dict[str, object]:
        return {locale: {"schema": "dast", "document": self._document(locale)} for locale in self.locales}

    def _document(self, locale: str) -> Json:
        schema = self.newsroom.schema
        first, *others = [self.localized(words)[locale] for words in self.paragraphs]
        quote = self.block(schema.quote, f"body quote {locale}", words=first, said_by="—")
        children: list[Json] = [
            {"type": "heading", "level": 2, "children": [_span(self.localized(self.title)[locale])]},
            _paragraph(_span(first, "strong")),
            {"type": "block", "item": quote},
            *(_paragraph(_span(text)) for text in others),
            _paragraph(_span("See also "), *self._links()),
            {"type": "blockquote", "children": [_paragraph(_span("“…”", "emphasis"))], "attribution": "Anon."},
            {"type": "list", "style": "bulleted", "children": [_item("1"), _item("due"), _item("ثلاثة")]},
            {"type": "code", "language": "sql", "code": 'select *\nfrom versions -- \\ "all" of them'},
            {"type": "thematicBreak"},
            _paragraph(
                _span("By "),
                {"type": "inlineBlock", "item": self.block(schema.mention, f"mention {locale}", handle="@desk")},
                {"type": "link", "url": "https://example.com/?a=1&b=<2>", "children": [_span(" 🔗")]},
            ),
        ]
        return {"type": "root", "children": children}

    def _links(self) -> list[Json]:
        """Return links to the previous article, if any."""
        articles = self.newsroom.articles
        if not articles:
            return [_span("nothing yet")]
        return [
            {"type": "inlineItem", "item": articles[0]},
            {"type": "itemLink", "item": articles[0], "children": [_span("it")]},
        ]


def _span(text: str, *marks: str) -> Json:
    return {"type": "span", "value": text, "marks": list(marks)} if marks else {"type": "span", "value": text}


def _paragraph(*children: Json) -> Json:
    return {"type": "paragraph", "children": list(children)}


def _item(text: str) -> Json:
    return {"type": "listItem", "children": [_paragraph(_span(text))]}


def file_value(upload: Upload, *, alt: str | None = None) -> dict[str, Json]:
    """Return the value of a file field, or one of a gallery."""
    return {
        "upload_id": upload.id,
        "alt": alt,
        "title": None,
        "custom_data": {},
        "focal_point": {"x": 0.5, "y": 0.25} if upload.is_image else None,
        "poster_time": None,
    }


def data_value(day: datetime, **numbers: int) -> str:
    """Return the value of a JSON field: a string with JSON."""
    return msgspec.json.encode({"counted": day.date().isoformat(), **numbers}).decode()


def _retitled(draft: Draft) -> dict[str, object]:
    draft.title = headline(draft.newsroom.rng)
    return draft.titles() | {"seo": draft.seo()}


def _longer(draft: Draft) -> dict[str, object]:
    draft.paragraphs.append(paragraph(draft.newsroom.rng))
    return {"body": draft.body()}


def _corrected(draft: Draft) -> dict[str, object]:
    index = draft.newsroom.rng.randrange(len(draft.paragraphs))
    draft.paragraphs[index] = paragraph(draft.newsroom.rng)
    return {"body": draft.body(), "summary": draft.localized(sentence(draft.newsroom.rng))}


def _illustrated(draft: Draft) -> dict[str, object]:
    return {
        "pictures": [file_value(draft.newsroom.picture(), alt="📷") for _ in range(4)],
        "sections": draft.sections(),
    }


def _connected(draft: Draft) -> dict[str, object]:
    known = draft.newsroom.articles
    return {"related": draft.newsroom.lasting(draft.newsroom.rng.sample(known, k=min(3, len(known))))}


def _counted(draft: Draft) -> dict[str, object]:
    reads = draft.newsroom.rng.randrange(100_000)
    day = draft.newsroom.world.now()
    return {"reads": reads, "rating": reads % 50 / 10, "data": data_value(day, reads=reads)}


def _filmed(draft: Draft) -> dict[str, object]:
    film = {"provider": "youtube", "provider_uid": "aBcDeFgHiJk", "title": draft.title.en, "width": 1280, "height": 720}
    return {"video": {"url": "https://www.youtube.com/watch?v=aBcDeFgHiJk", "thumbnail_url": None, **film}}


EDITS: Final[tuple[Callable[[Draft], dict[str, object]], ...]] = (
    _retitled, _longer, _corrected, _illustrated, _connected, _counted, _filmed,
)  # fmt: skip
"""The edits of an article: each changes the draft and returns the fields to save."""


def odd_attributes() -> dict[str, object]:
    """Return texts and numbers that careless programs damage, for an article in English only."""
    integer, trailing, huge, long = (msgspec.Raw(number) for number in NUMBERS_THAT_FLOATS_LOSE)
    return {
        "summary": {"en": STRANGE_TEXT},
        "reads": integer,
        "rating": huge,
        "place": {"latitude": trailing, "longitude": long},
        "data": '{"big": 12345678901234567890123, "exact": 1.00, "text": "\\u0000"}',
    }


def long_draft(newsroom: Newsroom) -> Draft:
    """Return an article in English whose record is nearly as large as upstream allows."""
    draft = Draft.begin(newsroom, locales=LOCALES[:1])
    size = len(msgspec.json.encode(draft.body()))
    while size < LONG_BODY_BYTES:
        draft.paragraphs.append(paragraph(newsroom.rng, sentences=8))
        size += len(msgspec.json.encode(_paragraph(_span(draft.paragraphs[-1].en)))) + 1
    return draft

"""Changes that editors make, each as a record before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.unit.history.diff.build import bullets, dast, heading, para, span
from versionsync.history.diff import ContentDiff, Schema, SchemaField, compare
from versionsync.history.render.words import Names

Json = Any
MODEL: Final = "article"

_FIELDS: Final = {
    "title": ("string", True),
    "slug": ("slug", False),
    "intro": ("text", False),
    "body": ("structured_text", True),
    "sections": ("rich_text", False),
    "sidebar": ("rich_text", False),
    "cover": ("file", False),
    "gallery": ("gallery", False),
    "author": ("link", False),
    "related": ("links", False),
    "seo": ("seo", False),
    "accent_color": ("color", False),
    "publish_on": ("date", False),
    "starts_at": ("date_time", False),
    "place": ("lat_lon", False),
    "featured": ("boolean", False),
    "theme": ("json", False),
}
_BLOCKS: Final = {
    "quote": {"words": ("text", False), "said_by": ("string", False)},
    "picture": {"image": ("file", False), "caption": ("string", False)},
}


def _label(api_key: str) -> str:
    return "SEO" if api_key == "seo" else api_key.replace("_", " ").capitalize()


SCHEMA: Final = Schema.of(
    [
        (
            model,
            SchemaField(
                id=f"{model}-{key}",
                api_key=key,
                label=_label(key),
                field_type=type,
                is_localized=is_localized,
                position=position,
            ),
        )
        for model, fields in {MODEL: _FIELDS, **_BLOCKS}.items()
        for position, (key, (type, is_localized)) in enumerate(fields.items())
    ],
    {MODEL: "Article", "quote": "Quote", "picture": "Picture"},
)
NAMES: Final = Names(
    SCHEMA,
    {"r-anna": "Anna Marino", "r-luca": "Luca Conti", "r-harbour": "The harbour at night", "r-boats": "Three boats"},
)


@dataclass(frozen=True, slots=True)
class Example:
    """A record before and after a change."""

    before: Mapping[str, Json] | None
    after: Mapping[str, Json] | None

    @property
    def diff(self) -> ContentDiff:
        return compare(self.before, self.after, SCHEMA, MODEL)


def _block(id: str, model: str, **attributes: Json) -> Json:
    model_of = {"item_type": {"data": {"id": model, "type": "item_type"}}}
    return {"id": id, "type": "item", "attributes": attributes, "relationships": model_of}


def _quote(id: str, words: str, said_by: str) -> Json:
    return _block(id, "quote", words=words, said_by=said_by)


def _file(id: str, alt: str | None = None, title: str | None = None) -> Json:
    return {"upload_id": id, "alt": alt, "title": title, "focal_point": None, "custom_data": {}}


def _embedded(block: Json) -> Json:
    return {"type": "block", "item": block}


def _link(url: str, text: str) -> Json:
    return {"type": "link", "url": url, "children": [span(text)]}


def _record_link(id: str, text: str) -> Json:
    return {"type": "itemLink", "item": id, "children": [span(text)]}


MARKET = "The old fish market opens at six in the morning, when the first boats come back from the sea."
SELLERS = "Forty sellers stand at their tables, and nobody shouts. Whoever wants tuna has to come early."
HISTORY = "It was built in 1887 by a merchant from Trieste. The iron roof came from Vienna in eleven parts."
TODAY = "Today a third of the hall is empty. The city wants to let it to restaurants, the sellers do not."
FRIDAY = "On Fridays there is music."
LONG = " ".join(
    f"On day {day} the catch weighed {day * 37 % 900} kilos and sold for {day * 53 % 700} euros before noon."
    for day in range(1, 40)
)
SEA = _quote("q1", "The sea gives, and the sea waits.", "A fisherman")
BREAD = _quote("q2", "Without fish there is no Friday.", "A cook")
FISH = _quote("q3", "Fish is what the sea pays with.", "A seller")
STALLS = _block("p1", "picture", image=_file("4711", "Stalls at dawn"), caption="Stalls at dawn")


def _body(*nodes: Json) -> Json:
    return {"body": {"en": dast(*nodes)}}


def _rewritten(number: int, seed: int) -> str:
    return " ".join(f"word{(index * 7919 + seed) % 999_983}x{seed}" for index in range(number))


EXAMPLES: Final[Mapping[str, Example]] = {
    "text-edited": Example(
        {"title": {"en": "The old fish market"}, **_body(para(MARKET), para(SELLERS))},
        {
            "title": {"en": "The fish market"},
            **_body(para(MARKET.replace("six in the morning", "five")), para(SELLERS.replace("Forty", "Thirty-eight"))),
        },
    ),
    "only-formatting": Example(
        _body(para("The old fish market opens ", span("at six", "emphasis"), ", when the boats come back.")),
        _body(
            para(
                "The ",
                span("old fish market", "strong"),
                " opens at six, when ",
                _link("https://example.com/boats", "the boats"),
                " come back.",
            )
        ),
    ),
    "tags": Example(
        {"intro": "<p>The old fish market opens at six.</p>"},
        {"intro": "<p>The <strong>old</strong> fish market opens at five.</p>"},
    ),
    "paragraph-split": Example(
        _body(para(f"{MARKET} {SELLERS}"), para(TODAY)),
        _body(para(MARKET), para(SELLERS.replace("nobody shouts", "few shout")), para(TODAY)),
    ),
    "paragraphs-merged": Example(
        _body(para(MARKET), para(SELLERS), para(TODAY)), _body(para(MARKET), para(f"{SELLERS} {TODAY}"))
    ),
    "paragraph-moved": Example(
        _body(para(MARKET), para(SELLERS), para(HISTORY), para(TODAY)),
        _body(para(HISTORY), para(MARKET), para(SELLERS), para(TODAY)),
    ),
    "paragraph-became-heading": Example(
        _body(para("The hall"), para(HISTORY), para("Tuna"), para("Sardines")),
        _body(heading("The hall"), para(HISTORY), bullets("Tuna", "Sardines")),
    ),
    "block-added": Example({"sections": [SEA]}, {"sections": [SEA, BREAD]}),
    "block-removed": Example(_body(para(MARKET), _embedded(STALLS), para(SELLERS)), _body(para(MARKET), para(SELLERS))),
    "block-moved": Example({"sections": [SEA, STALLS, BREAD]}, {"sections": [BREAD, SEA, STALLS]}),
    "block-moved-elsewhere": Example(
        {"sections": [SEA, STALLS], "sidebar": [BREAD], **_body(para(MARKET), _embedded(FISH))},
        {
            "sections": [STALLS, FISH],
            "sidebar": [BREAD, _quote("q1", "The sea gives, and the sea takes.", "A fisherman")],
            **_body(para(MARKET)),
        },
    ),
    "block-changed": Example(
        {"sections": [SEA, STALLS]},
        {
            "sections": [
                _quote("q1", "The sea gives, and the sea takes.", "An old fisherman"),
                _block("p1", "picture", image=_file("4812", "Stalls at noon"), caption="Stalls at noon"),
            ]
        },
    ),
    "link-replaced": Example(
        {
            "author": "r-anna",
            "related": ["r-harbour", "r-boats"],
            **_body(para("See also ", _record_link("r-harbour", "our story"), " of March.")),
        },
        {
            "author": "r-luca",
            "related": ["r-boats", "r-unknown-record"],
            **_body(para("See also ", _record_link("r-boats", "our story"), " of March.")),
        },
    ),
    "image-replaced": Example(
        {"cover": _file("4711", "Stalls at dawn"), "gallery": [_file("1"), _file("2", "Nets"), _file("3")]},
        {"cover": _file("4812", "Stalls at noon", "Noon"), "gallery": [_file("3"), _file("1"), _file("4", "Ice")]},
    ),
    "seo": Example(
        {"seo": {"title": "Fish market", "description": "Open from six.", "image": "4711", "no_index": False}},
        {"seo": {"title": "The fish market", "description": "Open from five.", "image": "4812", "no_index": True}},
    ),
    "color": Example(
        {"accent_color": {"red": 200, "green": 30, "blue": 30, "alpha": 255}},
        {"accent_color": {"red": 20, "green": 90, "blue": 160, "alpha": 128}},
    ),
    "date-place-and-switch": Example(
        {
            "publish_on": "2026-03-03",
            "starts_at": "2026-03-03T06:00:00+01:00",
            "place": {"latitude": 45.6495, "longitude": 13.7768},
            "featured": False,
        },
        {
            "publish_on": "2026-04-01",
            "starts_at": "2026-04-01T05:00:00+02:00",
            "place": {"latitude": 45.6503, "longitude": 13.77},
            "featured": True,
        },
    ),
    "locale-added": Example(
        {"title": {"en": "The old fish market"}, **_body(para(MARKET))},
        {
            "title": {"en": "The old fish market", "it": "Il vecchio mercato del pesce"},
            "body": {"en": dast(para(MARKET)), "it": dast(para("Il mercato apre alle sei."), para("Vieni presto."))},
        },
    ),
    "field-removed": Example(
        {"slug": "fish-market", "intro": MARKET, "old_note": "Ask Ben first"}, {"slug": "fish-market"}
    ),
    "json-member": Example(
        {"theme": '{"layout":{"columns":2,"wide":true},"fonts":["Inter","Lora"]}'},
        {"theme": '{"layout":{"columns":3,"wide":true},"fonts":["Inter","Lora","Mono"]}'},
    ),
    "long-text": Example({"intro": LONG}, {"intro": LONG.replace("On day 20 the catch", "On day 20 the poor catch")}),
    "huge-text-limited": Example({"intro": _rewritten(10_500, 1)}, {"intro": _rewritten(10_500, 2)}),
    "first-version": Example(None, {"title": {"en": "The old fish market"}, "cover": _file("4711", "Stalls at dawn")}),
    "much-at-once": Example(
        {
            "title": {"en": "The old fish market"},
            **_body(para(MARKET), para(f"{SELLERS} {HISTORY}"), para(TODAY), para(FRIDAY)),
            "sections": [SEA],
            "author": "r-anna",
            "publish_on": "2026-03-03",
        },
        {
            "title": {"en": "The fish market at dawn"},
            **_body(
                para(FRIDAY),
                para(
                    "The old fish market opens at ",
                    span("five", "strong"),
                    " in the morning, when the first boats come back from the sea.",
                ),
                para(SELLERS),
                para(HISTORY.replace("a merchant", "two merchants")),
                para(TODAY),
            ),
            "sections": [SEA, BREAD],
            "author": "r-luca",
            "publish_on": "2026-04-01",
        },
    ),
}

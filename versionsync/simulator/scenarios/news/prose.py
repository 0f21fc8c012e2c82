"""The texts of the news site: invented headlines and sentences in English and Italian.

All subjects, events and remarks fit together: a headline is a subject and an event, a sentence adds a remark. The same
choice has the same meaning in both languages.
"""

from __future__ import annotations

import random
import re
import unicodedata
from typing import Final, NamedTuple

__all__ = ["FOREIGN_HEADLINES", "Words", "headline", "paragraph", "random_color", "sentence", "shortened", "slug"]


MAX_TITLE_LENGTH: Final = 60


class Words(NamedTuple):
    """The same text in both languages of the site."""

    en: str
    it: str


_SUBJECTS: Final = (
    Words("The harbour district", "Il quartiere del porto"),
    Words("The old fish market", "Il vecchio mercato del pesce"),
    Words("The riverside school", "La scuola sul fiume"),
    Words("The city library", "La biblioteca comunale"),
    Words("The botanical garden", "Il giardino botanico"),
    Words("The lighthouse museum", "Il museo del faro"),
    Words("The northern tram line", "La linea nord del tram"),
    Words("The observatory on the hill", "L’osservatorio sulla collina"),
    Words("The night bus", "L’autobus notturno"),
    Words("The café at the station", "Il caffè della stazione"),
    Words("The island’s only cinema", "L’unico cinema dell’isola"),
    Words("The rowing club", "Il circolo dei canottieri"),
)

_EVENTS: Final = (
    Words("opens its doors again", "riapre le porte"),
    Words("asks the town for patience", "chiede pazienza alla città"),
    Words("celebrates its hundredth year", "festeggia i cento anni"),
    Words("looks for forty volunteers", "cerca quaranta volontari"),
    Words("gets a roof of glass", "avrà un tetto di vetro"),
    Words("stays open until midnight", "resta in funzione fino a mezzanotte"),
    Words("saves a third of its energy", "risparmia un terzo dell’energia"),
    Words("wins a prize in Lisbon", "vince un premio a Lisbona"),
    Words("will not move after all", "alla fine non si trasferisce"),
    Words("finds a forgotten map", "ritrova una mappa dimenticata"),
)

_REMARKS: Final = (
    Words("and nobody had expected it before summer", "e nessuno se lo aspettava prima dell’estate"),
    Words("although the money is still missing", "anche se i soldi mancano ancora"),
    Words("as a letter to this newsroom shows", "come mostra una lettera a questa redazione"),
    Words("which pleases the neighbours most of all", "cosa che rallegra soprattutto i vicini"),
    Words("after a vote that took eleven hours", "dopo un voto durato undici ore"),
    Words("while the rain goes on", "mentre la pioggia continua"),
    Words("and the mayor calls it “a small miracle”", "e il sindaco parla di «un piccolo miracolo»"),
    Words("if the drawings can be believed", "se si può credere ai disegni"),
    Words("for the first time since 1987", "per la prima volta dal 1987"),
)

FOREIGN_HEADLINES: Final = (
    "المكتبة القديمة تفتح أبوابها من جديد",
    "הספרייה הישנה פותחת שוב את שעריה",
    "Nachtbus fährt wieder – größer, leiser, öfter 🚌💨",
    "古い灯台に新しい灯がともる",
    "Zażółć gęślą jaźń: o pisowni i jej wrogach",
)
"""Titles that try a reader's fonts: right to left, emoji, ideographs, letters with marks."""


def headline(rng: random.Random) -> Words:
    subject, event = rng.choice(_SUBJECTS), rng.choice(_EVENTS)
    return Words(f"{subject.en} {event.en}", f"{subject.it} {event.it}")


def sentence(rng: random.Random) -> Words:
    """Return a sentence with its full stop."""
    title, remark = headline(rng), rng.choice(_REMARKS)
    return Words(f"{title.en}, {remark.en}.", f"{title.it}, {remark.it}.")


def paragraph(rng: random.Random, *, sentences: int = 3) -> Words:
    parts = [sentence(rng) for _ in range(sentences)]
    return Words(" ".join(one.en for one in parts), " ".join(one.it for one in parts))


def shortened(title: str) -> str:
    return title if len(title) <= MAX_TITLE_LENGTH else title[: MAX_TITLE_LENGTH - 1] + "…"


def random_color(rng: random.Random) -> dict[str, int]:
    """Return the value of a field with a colour."""
    return {"red": rng.randrange(256), "green": rng.randrange(256), "blue": rng.randrange(256), "alpha": 255}


def slug(title: str) -> str:
    """Return *title* as part of a URL: lower-case ASCII and hyphens, or `untitled`."""
    ascii_text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-") or "untitled"

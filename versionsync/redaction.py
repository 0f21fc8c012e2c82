"""Takes secrets out of whatever is about to be written for somebody to read (invariant 11).

Two kinds are masked: the secrets in use, wherever they stand, and what looks like one though nobody knows it. The
second kind must leave sentences alone: `access_token: ids only` is no secret, `access_token=9f1c` is one.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from versionsync.database_urls import secrets_in

__all__ = ["Redactor"]

MASK: Final = "********"
SHORTEST: Final = 4
LONG_FOR_A_WORD: Final = 12

_NAME: Final = r"(?:password|passwd|pwd|api[-_]?token|access[-_]?token|secret)"
# No word of a sentence: it has a digit, or is longer than words are.
_NO_WORD: Final = r"(?=[^\s\"'&,;}]*\d|[^\s\"'&,;}]{16})"

_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s+|%20)(?=[\w.~+/=-]*\d|[\w.~+/=-]{16})[A-Za-z0-9._~+/=-]+")
# To the last `@`: a raw one may stand in a password. A port with a path behind it is none, nor is our own example.
_IN_URL: Final = re.compile(
    r"(?P<before>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)(?!\d{1,5}[/?#]|PASSWORD@)[^\s'\"]+(?=@)"
)
_ASSIGNED: Final = re.compile(rf"(?i)(?P<before>\b{_NAME}(?:=[\"']?|[\"']\s*[=:]\s*[\"']))[^\s\"'&,;}}]+")
_TOLD: Final = re.compile(rf"(?i)(?P<before>\b{_NAME}[\"']?\s*[=:]\s*[\"']?){_NO_WORD}[^\s\"'&,;}}]+")


class Redactor:
    """Knows the secrets in use and what secrets look like; `redact` masks both."""

    def __init__(self) -> None:
        self._known: dict[str, re.Pattern[str]] = {}

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, also where it is quoted for a URL. Too short ones would mask plain words."""
        quoted = (quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace"))
        for form in (secret, *quoted, unquote(secret)):
            if len(form) >= SHORTEST:
                self._known[form] = _pattern(form)

    def learn_url(self, url: str) -> None:
        """Mask the password in a database URL, if it has one, also where the rest of it is mistyped."""
        for secret in secrets_in(url):
            self.learn(secret)

    def redact(self, text: str) -> str:
        """`text` without any secret."""
        # The longest first: one secret may be the start of another.
        for secret in sorted(self._known, key=len, reverse=True):
            if secret in text:
                text = self._known[secret].sub(MASK, text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        text = _IN_URL.sub(rf"\g<before>{MASK}", text)
        text = _ASSIGNED.sub(rf"\g<before>{MASK}", text)
        return _TOLD.sub(rf"\g<before>{MASK}", text)


def _pattern(secret: str) -> re.Pattern[str]:
    """Where `secret` is masked. One that is a plain word is so only as a whole: `postgres` stays in `postgresql`."""
    is_word = secret.isalpha() and len(secret) < LONG_FOR_A_WORD
    return re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)" if is_word else re.escape(secret))

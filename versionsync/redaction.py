"""Mask secrets in all output (invariant 11).

Two kinds are masked: the secrets in use, wherever they appear, and text that looks like a secret. The second kind must
not change sentences: `access_token: ids only` is no secret, `access_token=9f1c` is one.
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
# Not a word of a sentence: it has a digit, or is longer than words are.
_NOT_A_WORD: Final = r"(?=[^\s\"'&,;}]*\d|[^\s\"'&,;}]{16})"

_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s+|%20)(?=[\w.~+/=-]*\d|[\w.~+/=-]{16})[A-Za-z0-9._~+/=-]+")
# Up to the last `@`: a password may contain a raw one. A port before a path is not a password, nor is our example.
_IN_URL: Final = re.compile(
    r"(?P<before>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)(?!\d{1,5}[/?#]|PASSWORD@)[^\s'\"]+(?=@)"
)
_ASSIGNED: Final = re.compile(rf"(?i)(?P<before>\b{_NAME}(?:=[\"']?|[\"']\s*[=:]\s*[\"']))[^\s\"'&,;}}]+")
_STATED: Final = re.compile(rf"(?i)(?P<before>\b{_NAME}[\"']?\s*[=:]\s*[\"']?){_NOT_A_WORD}[^\s\"'&,;}}]+")


class Redactor:
    """Masks the secrets in use, and text that looks like one."""

    def __init__(self) -> None:
        self._known: dict[str, re.Pattern[str]] = {}

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, also if it is quoted for a URL. Very short ones would mask plain words."""
        quoted = (quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace"))
        for form in (secret, *quoted, unquote(secret)):
            if len(form) >= SHORTEST:
                self._known[form] = _pattern(form)

    def learn_url(self, url: str) -> None:
        """Mask the password in a database URL, if it has one, even if the rest is mistyped."""
        for secret in secrets_in(url):
            self.learn(secret)

    def redact(self, text: str) -> str:
        """Return `text` with every secret masked."""
        # The longest first: one secret may be the start of another.
        for secret in sorted(self._known, key=len, reverse=True):
            if secret in text:
                text = self._known[secret].sub(MASK, text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        text = _IN_URL.sub(rf"\g<before>{MASK}", text)
        text = _ASSIGNED.sub(rf"\g<before>{MASK}", text)
        return _STATED.sub(rf"\g<before>{MASK}", text)


def _pattern(secret: str) -> re.Pattern[str]:
    """Return what to mask for `secret`. A plain word is masked only as a whole word: `postgresql` keeps `postgres`."""
    is_word = secret.isalpha() and len(secret) < LONG_FOR_A_WORD
    return re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)" if is_word else re.escape(secret))

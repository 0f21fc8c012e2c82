"""Takes secrets out of whatever is about to be written for somebody to read (invariant 11)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, quote_plus, unquote

__all__ = ["Redactor"]

MASK: Final = "********"
SHORTEST: Final = 4

_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s+|%20)[A-Za-z0-9._~+/=-]+")
_IN_URL: Final = re.compile(r"(?P<before>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)(?P<secret>[^\s@'\"]+)(?=@)")
# A URL that somebody mistyped is no URL, but its password still is one.
_IN_MISTYPED_URL: Final = re.compile(r"[^\s:/@]*:/*[^\s:/@]*:(?P<secret>[^\s@]+)@|[^\s:/@]+:(?!//)(?P<other>[^\s@]+)@")
_NAMED: Final = re.compile(
    r"(?i)(?P<before>\b(?:password|passwd|pwd|api[-_]?token|access[-_]?token|secret)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+"
)


class Redactor:
    """Knows the secrets in use and what secrets look like; `redact` masks both."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, also where it is quoted for a URL. Too short ones would mask plain words."""
        for form in (secret, quote(secret, safe=""), quote_plus(secret), unquote(secret)):
            if len(form) >= SHORTEST:
                self._known.add(form)

    def learn_url(self, url: str) -> None:
        """Mask the password in `url`, if it has one, also where the rest of it is mistyped."""
        for match in (*_IN_URL.finditer(url), *_IN_MISTYPED_URL.finditer(url)):
            for name, secret in match.groupdict().items():
                if secret and name != "before":
                    self.learn(secret)

    def redact(self, text: str) -> str:
        """`text` without any secret."""
        # The longest first: one secret may be the start of another.
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, MASK)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        text = _IN_URL.sub(rf"\g<before>{MASK}", text)
        return _NAMED.sub(rf"\g<before>{MASK}", text)

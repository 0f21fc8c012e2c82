"""The ids of the uploads that a content names, found in its text without its schema. Pure.

A file or gallery has objects with an `upload_id`, wherever a block or locale puts them. Only the picture of a search
preview (`seo`) has another name: it is the `image` of a flat object with no other members than these.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["upload_ids_in"]

_ID: Final = rb"[A-Za-z0-9_-]{1,64}"
# A quote inside of a text follows a backslash, an opening one never. That is asked last: a pattern that begins with a
# fixed text is found twenty times as fast.
_FILE: Final = re.compile(rb'"upload_id"(?<!\\"upload_id")\s*:\s*"(' + _ID + rb')"')
_IMAGE: Final = re.compile(rb'"image"\s*:\s*"(' + _ID + rb')"')
_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PREVIEW: Final = re.compile(
    # The attributes of a block may have members of these names, but then `image` is a field with a link.
    rb'(?<!"attributes":)(?<!"attributes": )\{\s*(?:"(?:title|description|image|twitter_card|no_index)"\s*:\s*'
    rb"(?:null|true|false|" + _TEXT + rb")\s*+,?+\s*+)++\}"
)


def upload_ids_in(content: bytes) -> set[str]:
    """Return the ids of the uploads that the JSON text of a content names."""
    found = {match.decode() for match in _FILE.findall(content)}
    if _IMAGE.search(content) is not None:
        for preview in _PREVIEW.finditer(content, 1):  # the content itself is no preview
            found.update(match.decode() for match in _IMAGE.findall(preview[0]))
    return found

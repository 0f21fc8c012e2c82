"""Which uploads a content names, without its schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from versionsync.ledger.upload_ids import upload_ids_in

SEO = {"title": 'A "quoted" {title}', "description": None, "image": "s", "twitter_card": None, "no_index": False}
BLOCK = {"id": "k", "type": "item", "attributes": {"title": "x", "image": "a-record"}}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ({"picture": {"alt": None, "upload_id": "p"}, "pictures": [{"upload_id": "q"}]}, {"p", "q"}),
        ({"parts": [{"type": "item", "attributes": {"picture": {"en": {"upload_id": "p"}}}}]}, {"p"}),
        ({"preview": SEO}, {"s"}),
        ({"preview": {"en": SEO, "it": {"image": "t"}}}, {"s", "t"}),
        ({"preview": {"title": "x", "description": "y", "image": None}}, set()),
        ({"note": json.dumps({"upload_id": "no", "preview": SEO}), "upload_id": None}, set()),
        ({"title": "x", "image": "a-record"}, set()),
        ({"parts": [BLOCK]}, set()),
        ({"card": {"image": "no", "price": 7}}, set()),
    ],
)
def test_files_and_pictures_of_search_previews_are_found(
    content: dict[str, Any], ids: set[str], separators: tuple[str, str]
) -> None:
    assert upload_ids_in(json.dumps(content, separators=separators).encode()) == ids


def test_a_hostile_content_takes_no_long_time() -> None:
    """Neither blanks nor quotes let the search try all ways to divide them."""
    blanks = b" " * 100_000
    hostile = b'{"a":{"title"' + blanks + b":" + blanks + b'"' + b'\\"' * 100_000 + b'"' + blanks + b',"image":"s"'
    assert upload_ids_in(hostile) == set()
    assert upload_ids_in(b'{"a":{"title":' * 20_000 + b'"image":"s"') == set()

"""A source knows its own webhook among all of a project, and whether that tells every change."""

from __future__ import annotations

from typing import Any

import pytest

from versionsync import cma
from versionsync.webhooks.registration import (
    EVENTS,
    find_own,
    is_own,
    missing_events,
    name_of,
    subscribed_events,
    unused_name,
)


def webhook(**members: Any) -> cma.Webhook:
    """One as `versionsync webhook install` makes it."""
    usual: dict[str, Any] = {
        "id": "4",
        "name": name_of("website"),
        "url": "https://mirror.example/webhooks/website",
        "enabled": True,
        "auto_retry": False,
        "is_custom": False,
        "http_basic_user": None,
        "http_basic_password": None,
        "header_names": (),
        "events": (told(*EVENTS),),
    }
    return cma.Webhook(**usual | members)


def told(*event_types: str, entity_type: str = "item", is_filtered: bool = False) -> cma.WebhookEvents:
    """Events of one kind of entity."""
    return cma.WebhookEvents(entity_type=entity_type, event_types=event_types, is_filtered=is_filtered)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("versionsync: website", True),
        ("versionsync: website (mirror.example)", True),
        ("versionsync: website-2", False),
        ("versionsync: web", False),
        ("Versionsync: website", False),
        ("", False),
    ],
)
def test_the_name_tells_whose_it_is(name: str, own: bool) -> None:
    """A source whose name begins like another's is another one."""
    assert is_own(webhook(name=name), "website") is own


def test_the_oldest_comes_first() -> None:
    """Ids are numbers, so a shorter one is older."""
    ids = [one.id for one in find_own([webhook(id="10"), webhook(id="9"), webhook(id="8", name="x")], "website")]
    assert ids == ["9", "10"]


def test_each_has_a_name_of_its_own() -> None:
    """Upstream may refuse one that is taken."""
    there: list[cma.Webhook] = []
    for _ in range(4):
        there.append(webhook(name=unused_name(there, "website", "https://a.example/x")))
    names = [one.name for one in there]
    assert names[:2] == ["versionsync: website", "versionsync: website (a.example)"]
    assert len(set(names)) == 4
    assert all(is_own(one, "website") for one in there)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"enabled": False}, "disabled"),
        ({"is_custom": True}, "payload"),
        ({"events": ()}, "create, update, delete, publish, unpublish"),
        ({"events": (told("create", "update", "delete", "publish"),)}, "unpublish"),
        ({"events": (told(*EVENTS, is_filtered=True),)}, "create"),
        ({"events": (told(*EVENTS, entity_type="upload"),)}, "create"),
    ],
)
def test_one_that_does_not_tell_all_says_why(members: dict[str, Any], why: str) -> None:
    """So that somebody can mend it."""
    assert why in (missing_events(webhook(**members)) or "")


def test_what_it_tells_besides_does_not_matter() -> None:
    """Nor in how many parts it tells it."""
    parts = (told("create", "update"), told("delete", "publish", "unpublish"), told("create", entity_type="upload"))
    assert missing_events(webhook(events=parts)) is None
    assert subscribed_events(webhook(events=parts)) == set(EVENTS)

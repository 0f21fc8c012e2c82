"""Finding the webhook of a source among all of a project, and whether it reports every change."""

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
    """Return one as `versionsync webhook install` creates it."""
    default: dict[str, Any] = {
        "id": "4",
        "name": name_of("website"),
        "url": "https://mirror.example/webhooks/website",
        "enabled": True,
        "auto_retry": False,
        "is_custom": False,
        "http_basic_user": None,
        "http_basic_password": None,
        "header_names": (),
        "events": (events(*EVENTS),),
    }
    return cma.Webhook(**default | members)


def events(*event_types: str, entity_type: str = "item", is_filtered: bool = False) -> cma.WebhookEvents:
    """Return events of one kind of entity."""
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
def test_the_name_identifies_the_source(name: str, own: bool) -> None:
    """A name that only begins like the source does not count."""
    assert is_own(webhook(name=name), "website") is own


def test_the_oldest_comes_first() -> None:
    """Ids are numbers, so a shorter one is older."""
    ids = [one.id for one in find_own([webhook(id="10"), webhook(id="9"), webhook(id="8", name="x")], "website")]
    assert ids == ["9", "10"]


def test_each_has_a_name_of_its_own() -> None:
    """DatoCMS may refuse a name that is taken."""
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
        ({"events": (events("create", "update", "delete", "publish"),)}, "unpublish"),
        ({"events": (events(*EVENTS, is_filtered=True),)}, "create"),
        ({"events": (events(*EVENTS, entity_type="upload"),)}, "create"),
    ],
)
def test_an_incomplete_webhook_has_a_reason(members: dict[str, Any], why: str) -> None:
    assert why in (missing_events(webhook(**members)) or "")


def test_further_events_do_not_matter() -> None:
    """Nor how they are grouped."""
    parts = (
        events("create", "update"),
        events("delete", "publish", "unpublish"),
        events("create", entity_type="upload"),
    )
    assert missing_events(webhook(events=parts)) is None
    assert subscribed_events(webhook(events=parts)) == set(EVENTS)

"""Which of a project's webhooks is a source's own, and whether it tells all that it should. Pure.

A project may have several mirrors. Each knows its own webhook by its name, which names the source, and by its URL:
it never touches one of that name that calls another address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from versionsync import cma

__all__ = ["EVENTS", "free_name", "is_own", "name_of", "own_webhooks", "silence", "told_events"]

EVENTS: Final = ("create", "update", "delete", "publish", "unpublish")
"""What happens to records."""
RECORD: Final = "item"


def name_of(source: str) -> str:
    """The name of the webhook of a source."""
    return f"versionsync: {source}"


def is_own(webhook: cma.Webhook, source: str) -> bool:
    """Whether it is one of the source's, by its name: of this mirror, or of another one that calls the source so."""
    name = name_of(source)
    return webhook.name == name or webhook.name.startswith(f"{name} (")


def own_webhooks(webhooks: Collection[cma.Webhook], source: str) -> Sequence[cma.Webhook]:
    """Those of a source, the oldest first."""
    return sorted((one for one in webhooks if is_own(one, source)), key=lambda one: (len(one.id), one.id))


def free_name(webhooks: Collection[cma.Webhook], source: str, url: str) -> str:
    """A name for another webhook of a source that none has: upstream may want each once."""
    name, host = name_of(source), urlsplit(url).hostname
    taken = {one.name for one in webhooks}
    names = [name, f"{name} ({host})", *(f"{name} ({host}, {number})" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def told_events(webhook: cma.Webhook) -> frozenset[str]:
    """Which events of all records it is called for."""
    all_of = [each for each in webhook.events if each.entity_type == RECORD and not each.is_filtered]
    return frozenset(event for each in all_of for event in each.event_types)


def silence(webhook: cma.Webhook) -> str | None:
    """Why it does not tell every change of a record; None: it does."""
    if not webhook.enabled:
        return "it is disabled"
    if webhook.is_custom:
        return "its payload is not the usual one"
    missing = [event for event in EVENTS if event not in told_events(webhook)]
    return f"it is not called for every {', '.join(missing)} of a record" if missing else None

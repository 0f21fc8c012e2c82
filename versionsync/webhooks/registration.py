"""Finds the webhook of a source in its project, and plans how to register or fix it. Pure.

A project may have several mirrors. Each knows its own webhook by its name, which contains the name of the source, and
by its URL. It never changes a webhook with that name and another URL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from versionsync import cma
from versionsync.config import InvalidSetting
from versionsync.webhooks.payload import BasicAuth

__all__ = [
    "EVENTS",
    "Action",
    "RegistrationPlan",
    "chosen_of",
    "find_own",
    "installation",
    "is_own",
    "missing_events",
    "name_of",
    "not_found",
    "subscribed_events",
    "unused_name",
]


class Action(StrEnum):
    """What a registration does."""

    CREATE = "create"
    CHANGE = "change"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPlan:
    """How to get the webhook that a source should have.

    Attributes:
        webhook: The existing webhook.
        spec: The webhook that should exist.
        changes: The differences, as lines for people.
        others: Webhooks with the same name and another URL, which stay as they are.
    """

    webhook: cma.Webhook | None
    spec: cma.WebhookSpec
    changes: Sequence[str]
    others: Sequence[cma.Webhook]

    @property
    def action(self) -> Action:
        if self.webhook is None:
            return Action.CREATE
        return Action.CHANGE if self.changes else Action.NONE

    @property
    def is_needed(self) -> bool:
        return self.action is not Action.NONE

    @property
    def lines(self) -> Iterator[str]:
        """The plan as lines for people."""
        spec = self.spec
        match self.action:
            case Action.CREATE:
                yield f"Create the webhook {spec.name}:"
            case Action.CHANGE:
                yield f"Change the webhook {spec.name}:"
            case Action.NONE:
                yield f"The webhook {spec.name} exists and is correct. It calls {spec.url}"
        for change in self.changes:
            yield f"  {change}"
        for other in self.others:
            yield f"Not changed: {other.name} (id {other.id}), which calls {other.url}"


def installation(
    webhooks: Sequence[cma.Webhook], source: str, *, url: str | None, login: BasicAuth | None
) -> RegistrationPlan:
    """Return the plan for the webhook of a source. Raises InvalidSetting.

    Args:
        webhooks: The webhooks of the project.
        source: The name of the source.
        url: The URL to call; None: that of the only webhook there is.
        login: The credentials that its calls send; None: those that it has.
    """
    found = chosen_of(webhooks, source, url=url)
    if found is None and url is None:
        raise InvalidSetting(
            f"{source} has no webhook yet, and a new one needs a URL",
            hint="Add --url https://your.host/webhooks/SOURCE with a host that DatoCMS can reach.",
        )
    user, password = (
        _credentials(login) if login or found is None else (found.http_basic_user, found.http_basic_password)
    )
    where = _checked(url) if found is None or url is not None else found.url
    if not user and urlsplit(where).path.endswith(f"/webhooks/{source}"):
        raise InvalidSetting(
            f"the settings have no password for the webhook of {source}: the receiver would answer its calls with 404",
            hint=f'Add webhook_password_file = "{source}.webhook" to the source; then this command creates a password '
            "and stores it there. A webhook for another receiver needs another URL.",
        )
    spec = cma.WebhookSpec(
        name=found.name if found else unused_name(webhooks, source, where),
        url=where,
        events={"item": EVENTS},
        auto_retry=False,
        http_basic_user=user,
        http_basic_password=password,
    )
    others = [one for one in find_own(webhooks, source) if one is not found]
    changes = list(_settings(spec) if found is None else _changes(found, spec))
    return RegistrationPlan(webhook=found, spec=spec, changes=changes, others=others)


def chosen_of(webhooks: Sequence[cma.Webhook], source: str, *, url: str | None) -> cma.Webhook | None:
    """Return the source's webhook that calls `url` (None: the only one). Raises InvalidSetting if there are several."""
    own = [one for one in find_own(webhooks, source) if url in (None, one.url)]
    if len(own) > 1:
        urls = ", ".join(dict.fromkeys(one.url for one in own))
        if url is not None:
            return own[0]
        raise InvalidSetting(
            f"the project has {len(own)} webhooks for {source}",
            hint=f"Choose one with --url: {urls}",
        )
    return own[0] if own else None


def not_found(source: str) -> InvalidSetting:
    """Return the error for a source without a webhook."""
    return InvalidSetting(
        f"{source} has no webhook, or none with that URL", hint=f"versionsync webhook install {source} creates one."
    )


def _checked(url: str | None) -> str:
    """Return the URL if it is valid. Raises InvalidSetting without the URL, which may hold a password."""
    try:
        parts = urlsplit(url or "")
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        has_login = parts.username is not None
    except ValueError:
        is_good, has_login = False, False
    if has_login:
        raise InvalidSetting(
            "--url must not hold a user or a password",
            hint="Set webhook_password_env or webhook_password_file: it is sent by HTTP basic authentication.",
        )
    if not is_good or url is None or not url.isprintable() or " " in url:
        raise InvalidSetting(
            "--url must be a URL that starts with https:// or http://",
            hint="For example: --url https://your.host/webhooks/SOURCE",
        )
    return url


def _settings(spec: cma.WebhookSpec) -> Iterator[str]:
    yield f"URL: {spec.url}"
    yield f"called for records: {', '.join(EVENTS)}"
    yield f"login: {_login(spec.http_basic_user)}"
    yield "automatic retries: no"


def _changes(found: cma.Webhook, spec: cma.WebhookSpec) -> Iterator[str]:
    if not found.enabled:
        yield "enabled: no → yes"
    if missing := [event for event in EVENTS if event not in subscribed_events(found)]:
        yield f"called for records: also {', '.join(missing)}"
    elif {(each.entity_type, each.is_filtered) for each in found.events} != {("item", False)}:
        yield f"called only for records: {', '.join(EVENTS)}"
    if found.auto_retry:
        yield "automatic retries: yes → no"
    if found.http_basic_user != spec.http_basic_user:
        yield f"login: {_login(found.http_basic_user)} → {_login(spec.http_basic_user)}"
    elif found.http_basic_password != spec.http_basic_password:
        yield "login: another password"
    if found.is_custom:
        yield "payload: the default one"


def _credentials(login: BasicAuth | None) -> tuple[str | None, cma.Secret | None]:
    return (None, None) if login is None else (login.user, cma.Secret(login.password.reveal()))


def _login(user: str | None) -> str:
    return f"{user}, with the password from the settings" if user else "none"


EVENTS: Final = ("create", "update", "delete", "publish", "unpublish")
"""The events of records."""
RECORD: Final = "item"


def name_of(source: str) -> str:
    return f"versionsync: {source}"


def is_own(webhook: cma.Webhook, source: str) -> bool:
    """Return whether it has the name for the source, in this mirror or in another one with that source name."""
    name = name_of(source)
    return webhook.name == name or webhook.name.startswith(f"{name} (")


def find_own(webhooks: Collection[cma.Webhook], source: str) -> Sequence[cma.Webhook]:
    """Return the webhooks of a source, the oldest first."""
    return sorted((one for one in webhooks if is_own(one, source)), key=lambda one: (len(one.id), one.id))


def unused_name(webhooks: Collection[cma.Webhook], source: str, url: str) -> str:
    """Return a name for another webhook of a source: DatoCMS may require unique names."""
    name, host = name_of(source), urlsplit(url).hostname
    taken = {one.name for one in webhooks}
    names = [name, f"{name} ({host})", *(f"{name} ({host}, {number})" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def subscribed_events(webhook: cma.Webhook) -> frozenset[str]:
    """Return the events for which it is called for all records."""
    all_of = [each for each in webhook.events if each.entity_type == RECORD and not each.is_filtered]
    return frozenset(event for each in all_of for event in each.event_types)


def missing_events(webhook: cma.Webhook) -> str | None:
    """Return why it does not report every change of a record; None: it does."""
    if not webhook.enabled:
        return "it is disabled"
    if webhook.is_custom:
        return "its payload is not the default one"
    missing = [event for event in EVENTS if event not in subscribed_events(webhook)]
    return f"it is not called for every {', '.join(missing)} of a record" if missing else None

"""What `doctor` looks at of a source's webhook: whether it tells all that it should, to whom, and how its calls go.

A mirror needs none: what is missing here costs a delay, never a change. So nothing of it is bad, and two GETs tell all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from versionsync import cma
from versionsync.cli.checks.result import CheckResult, ok, warning
from versionsync.cli.views.webhook import RUNNING, last_calls
from versionsync.config import SourceSettings
from versionsync.text import ago, count
from versionsync.webhooks.payload import BasicAuth
from versionsync.webhooks.registration import find_own, missing_events

__all__ = ["check_webhook"]

CHECK: Final = "webhook"
RECEIVER: Final = "/webhooks/"


async def check_webhook(
    source: SourceSettings, client: cma.Client, *, login: BasicAuth | None
) -> AsyncIterator[CheckResult]:
    """What can be said of the webhook of `source`. `login`: what the receiver wants to hear; None: there is none."""
    name = source.name
    try:
        own = find_own(await client.webhooks(), name)
    except cma.CmaError as failure:
        yield _unknown(failure, "whether there is a webhook", source)
        return
    webhook = next((one for one in own if missing_events(one) is None), own[0] if own else None)
    if webhook is None:
        sooner = f"`versionsync webhook install {name} --url URL`"
        todo = f"Changes are found within {source.max_staleness:g} s. Sooner: {sooner}"
        yield warning(CHECK, "there is none, and none is needed", todo, source=name)
        return
    flaws = [*_flaws(webhook), *_flaws_of_the_way(webhook, source, login)]
    for flaw, todo in flaws:
        yield warning(CHECK, f"{webhook.name} (id {webhook.id}): {flaw}", todo, source=name)
    if not flaws:
        yield ok(CHECK, f"{webhook.name} (id {webhook.id}) tells of all changes; it calls {webhook.url}", source=name)
    try:
        calls = await last_calls(client, webhook.id)
    except cma.CmaError as failure:
        yield _unknown(failure, "how its calls went", source)
    else:
        yield _how_calls_go(calls, source, login)


def _flaws(webhook: cma.Webhook) -> Iterator[tuple[str, str]]:
    """What keeps it from telling all, and what to do."""
    if flaw := missing_events(webhook):
        yield flaw, "`versionsync webhook install` mends it."
    if webhook.auto_retry:
        yield (
            "DatoCMS makes a call that failed again, for more than three days; by then its change was found",
            "`versionsync webhook install` turns that off.",
        )


def _flaws_of_the_way(
    webhook: cma.Webhook, source: SourceSettings, login: BasicAuth | None
) -> Iterator[tuple[str, str]]:
    """What keeps its calls from being heard by the receiver, and what to do."""
    path = urlsplit(webhook.url).path
    if login is None:
        if path.startswith(RECEIVER):
            todo = "Set webhook_password_env or webhook_password_file: without one the receiver answers with 404."
            yield f"it calls {webhook.url}, and the settings have no password for it", todo
        return
    if not path.endswith(f"{RECEIVER}{source.name}"):
        todo = f"Its URL should end with {RECEIVER}{source.name}; whatever it calls, the log of its calls is read."
        yield f"it calls {webhook.url}, which is not the receiver of {source.name}", todo
        return
    password = "" if webhook.http_basic_password is None else webhook.http_basic_password.reveal()
    if not login.matches(webhook.http_basic_user or "", password):
        yield "its user or password is not that of the settings", "`versionsync webhook install` sets it."


def _how_calls_go(calls: Sequence[cma.WebhookCall], source: SourceSettings, login: BasicAuth | None) -> CheckResult:
    """Whether somebody answers, where the receiver should; elsewhere the log tells all the same."""
    name, is_read = source.name, "their log can be read"
    if not calls:
        return ok("webhook calls", f"there was none yet; {is_read}", source=name)
    over = [call for call in calls if call.status not in RUNNING]
    lost = sum(call.status != "success" for call in over)
    last = f"the last one was made {ago(calls[0].created_at, datetime.now(UTC))}"
    if not lost:
        return ok("webhook calls", f"{last}; {is_read}", source=name)
    message = f"{last}; {lost} of the last {count(len(over), 'call')} did not arrive; {is_read}"
    if login is None:  # nobody of ours has to answer
        return ok("webhook calls", message, source=name)
    todo = "What they hint at is found in the log, a little later. `versionsync webhook test` tries the way."
    return warning("webhook calls", message, todo, source=name)


def _unknown(failure: cma.CmaError, what: str, source: SourceSettings) -> CheckResult:
    if isinstance(failure, cma.PermissionDenied):
        todo = "Nothing is missed: changes are found by looks. Sooner, if the role may manage webhooks."
        return warning(CHECK, f"the token's role may not say {what}", todo, source=source.name)
    return warning(CHECK, f"it is not known {what}: {failure}", source=source.name)

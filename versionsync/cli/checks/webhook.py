"""What `doctor` checks of a source's webhook: its events, its address, and the results of its calls.

A mirror needs no webhook: without it changes come later, but none is lost. So no result is an error. Two GETs suffice.
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
    """Check the webhook of `source`. `login` is what the receiver expects; None: there is no receiver."""
    name = source.name
    try:
        own = find_own(await client.webhooks(), name)
    except cma.CmaError as failure:
        yield _unknown(failure, "whether there is a webhook")
        return
    webhook = next((one for one in own if missing_events(one) is None), own[0] if own else None)
    if webhook is None:
        sooner = f"`versionsync webhook install {name} --url URL`"
        hint = f"Changes are found within {source.max_staleness:g} s. Sooner: {sooner}"
        yield warning(CHECK, "there is none, and none is needed", hint)
        return
    flaws = [*_flaws(webhook), *_flaws_of_address(webhook, source, login)]
    for flaw, hint in flaws:
        yield warning(CHECK, f"{webhook.name} (id {webhook.id}): {flaw}", hint)
    if not flaws:
        yield ok(CHECK, f"{webhook.name} (id {webhook.id}) reports all changes; it calls {webhook.url}")
    try:
        calls = await last_calls(client, webhook.id)
    except cma.CmaError as failure:
        yield _unknown(failure, "how its calls went")
    else:
        yield _calls_result(calls, login)


def _flaws(webhook: cma.Webhook) -> Iterator[tuple[str, str]]:
    """Yield what keeps it from reporting all changes, and what to do."""
    if flaw := missing_events(webhook):
        yield flaw, "`versionsync webhook install` fixes it."
    if webhook.auto_retry:
        yield (
            "DatoCMS repeats a failed call for more than three days; by then the change was found",
            "`versionsync webhook install` turns that off.",
        )


def _flaws_of_address(
    webhook: cma.Webhook, source: SourceSettings, login: BasicAuth | None
) -> Iterator[tuple[str, str]]:
    """Yield what keeps its calls from reaching the receiver, and what to do."""
    path = urlsplit(webhook.url).path
    if login is None:
        if path.startswith(RECEIVER):
            hint = "Set webhook_password_env or webhook_password_file: without one the receiver answers with 404."
            yield f"it calls {webhook.url}, but the settings have no password for it", hint
        return
    if not path.endswith(f"{RECEIVER}{source.name}"):
        hint = f"Its URL should end with {RECEIVER}{source.name}; the log of its calls is read in any case."
        yield f"it calls {webhook.url}, which is not the receiver of {source.name}", hint
        return
    password = "" if webhook.http_basic_password is None else webhook.http_basic_password.reveal()
    if not login.matches(webhook.http_basic_user or "", password):
        yield "its user or password is not that of the settings", "`versionsync webhook install` sets it."


def _calls_result(calls: Sequence[cma.WebhookCall], login: BasicAuth | None) -> CheckResult:
    """Check that its calls succeed, if the receiver should answer them. Otherwise the log of calls is enough."""
    is_read = "their log can be read"
    if not calls:
        return ok("webhook calls", f"there was none yet; {is_read}")
    finished = [call for call in calls if call.status not in RUNNING]
    failed = sum(call.status != "success" for call in finished)
    last = f"the last one was made {ago(calls[0].created_at, datetime.now(UTC))}"
    if not failed:
        return ok("webhook calls", f"{last}; {is_read}")
    message = f"{last}; {failed} of the last {count(len(finished), 'call')} did not arrive; {is_read}"
    if login is None:  # no receiver of this machine has to answer
        return ok("webhook calls", message)
    hint = "The changes are found in the log, a little later. `versionsync webhook test` tries a call."
    return warning("webhook calls", message, hint)


def _unknown(failure: cma.CmaError, what: str) -> CheckResult:
    if isinstance(failure, cma.PermissionDenied):
        hint = "No change is missed. They are found sooner if the role may manage webhooks."
        return warning(CHECK, f"the token's role may not say {what}", hint)
    return warning(CHECK, f"it is not known {what}: {failure}")

"""What `doctor` checks for `run`: whether notifications and heartbeats can be sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from versionsync.cli.checks.result import CheckResult, error, from_error, ok
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.config import ConfigError
from versionsync.daemon.notifications.apprise import NotSent
from versionsync.daemon.notifications.text import test_notification
from versionsync.wiring.notifiers import heartbeat_urls, subscription_of

__all__ = ["check_heartbeats", "check_notifications"]

CHECK: Final = "notifications"


def check_notifications(session: CliContext, *, send: bool) -> Iterator[CheckResult]:
    """Check each channel of `[[notifications]]`; with `send`, send each one a test notification."""
    if send and not session.configuration.notifications:
        hint = "Add [[notifications]] to the settings, or set VERSIONSYNC_NOTIFICATION_URL."
        yield error(CHECK, "the settings have no channel to send a test notification to", hint, ExitCode.USAGE)
    for entry in session.configuration.notifications:
        try:
            subscription = subscription_of(session.configuration, entry, redactor=session.redactor)
        except ConfigError as failure:
            yield from_error(CHECK, failure)
            continue
        where = subscription.channel
        if not send:
            yield ok(CHECK, f"{where} is valid; it gets: {', '.join(entry.on)}")
            continue
        try:
            subscription.send(test_notification(host=socket.gethostname(), now=datetime.now(UTC)))
        except NotSent as failure:
            hint = "Check its address, and whether this machine can reach its service."
            yield error(CHECK, f"the test notification to {where} did not arrive: {failure}", hint, ExitCode.USAGE)
        else:
            yield ok(CHECK, f"the test notification to {where} was accepted: check that it arrived")


def check_heartbeats(session: CliContext) -> Iterator[CheckResult]:
    """Check each heartbeat. It calls none: that would report a run that succeeded."""
    for source in session.configuration.sources:
        try:
            urls = heartbeat_urls(session.configuration, [source], redactor=session.redactor)
        except ConfigError as failure:
            yield from_error("heartbeat", failure).of(source.name)
        else:
            if urls:
                message = "its address can be read; `versionsync run` calls it after each success"
                yield ok("heartbeat", message).of(source.name)

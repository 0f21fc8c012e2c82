"""What `doctor` looks at for `run`: whether notices can be sent, and the dead man's switches called."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from versionsync.cli.checks.result import CheckResult, error, from_error, ok
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.config import ConfigError

__all__ = ["check_heartbeats", "check_notifications"]


def check_notifications(session: CliContext, *, send: bool) -> Iterator[CheckResult]:
    """Check each channel of `[[notifications]]`; with `send`, send each one a test notification."""
    from versionsync.daemon.notifications.apprise import NotSent
    from versionsync.daemon.notifications.text import test_notification
    from versionsync.wiring.notifiers import subscription_of

    if send and not session.configuration.notifications:
        todo = "Add [[notifications]] to the settings, or set VERSIONSYNC_NOTIFICATION_URL."
        yield error("notices", "the settings name nobody to send a test notice to", todo, ExitCode.USAGE)
    for notice in session.configuration.notifications:
        try:
            subscription = subscription_of(session.configuration, notice, redactor=session.redactor)
        except ConfigError as failure:
            yield from_error("notices", failure)
            continue
        where = subscription.channel
        if not send:
            yield ok("notices", f"{where} is understood; told are: {', '.join(notice.on)}")
            continue
        try:
            subscription.send(test_notification(host=socket.gethostname(), now=datetime.now(UTC)))
        except NotSent as failure:
            todo = "Look at its address and whether its service can be reached from here."
            yield error("notices", f"the test notice to {where} did not arrive: {failure}", todo, ExitCode.USAGE)
        else:
            yield ok("notices", f"the test notice to {where} was taken: look whether it is there")


def check_heartbeats(session: CliContext) -> Iterator[CheckResult]:
    """A line for each dead man's switch. None is called: that would say that a look has succeeded."""
    from versionsync.wiring.notifiers import heartbeat_urls

    for source in session.configuration.sources:
        try:
            urls = heartbeat_urls(session.configuration, [source], redactor=session.redactor)
        except ConfigError as failure:
            yield from_error("dead man's switch", failure, source=source.name)
        else:
            if urls:
                message = "its address can be read; `versionsync run` calls it after each success"
                yield ok("dead man's switch", message, source=source.name)

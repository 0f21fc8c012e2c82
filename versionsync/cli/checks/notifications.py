"""What `doctor` looks at for `run`: whether notices can be sent, and the dead man's switches called."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from versionsync.cli.checks.result import Finding, bad, failed, good
from versionsync.cli.context import Session
from versionsync.cli.exit_codes import Exit
from versionsync.config import ConfigError

__all__ = ["check_notices", "check_switches"]


def check_notices(session: Session, *, send: bool) -> Iterator[Finding]:
    """A line for each place of `[[notices]]`. With `send` each gets a notice that says nothing but that it arrived."""
    from versionsync.daemon.notifications.apprise import NotSent
    from versionsync.daemon.notifications.text import trial
    from versionsync.wiring.notifiers import subscription_of

    if send and not session.configuration.notices:
        todo = "Add [[notices]] to the settings, or set VERSIONSYNC_NOTICE_URL."
        yield bad("notices", "the settings name nobody to send a test notice to", todo, Exit.USAGE)
    for notice in session.configuration.notices:
        try:
            subscription = subscription_of(session.configuration, notice, redactor=session.redactor)
        except ConfigError as error:
            yield failed("notices", error)
            continue
        where = subscription.where
        if not send:
            yield good("notices", f"{where} is understood; told are: {', '.join(notice.on)}")
            continue
        try:
            subscription.send(trial(host=socket.gethostname(), now=datetime.now(UTC)))
        except NotSent as error:
            todo = "Look at its address and whether its service can be reached from here."
            yield bad("notices", f"the test notice to {where} did not arrive: {error}", todo, Exit.USAGE)
        else:
            yield good("notices", f"the test notice to {where} was taken: look whether it is there")


def check_switches(session: Session) -> Iterator[Finding]:
    """A line for each dead man's switch. None is called: that would say that a look has succeeded."""
    from versionsync.wiring.notifiers import ping_urls

    for source in session.configuration.sources:
        try:
            urls = ping_urls(session.configuration, [source], redactor=session.redactor)
        except ConfigError as error:
            yield failed("dead man's switch", error, source=source.name)
        else:
            if urls:
                message = "its address can be read; `versionsync run` calls it after each success"
                yield good("dead man's switch", message, source=source.name)

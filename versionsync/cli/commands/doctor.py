"""`versionsync doctor`: checks everything that a sync needs, and says what to do. It changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Final

import typer

from versionsync.cli.checks.result import CheckResult, Severity, from_error, most_severe, ok, warning
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import flag
from versionsync.config import ConfigError, SourceSettings
from versionsync.config.checking import settings_of
from versionsync.text import count, some

__all__ = ["doctor"]

_GOOD: Final[dict[Severity, bool | None]] = {Severity.OK: True, Severity.WARNING: None, Severity.ERROR: False}
SOURCES_AT_ONCE: Final = 8
"""A source takes a second or two, most of it waiting."""
_STYLES: Final[dict[Severity, str]] = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}


def doctor(
    session: CliContext,
    *,
    send_test_notification: Annotated[
        bool, flag("--send-test-notification", help="Send a test notification to each channel of [[notifications]].")
    ] = False,
) -> None:
    """Check everything that a sync needs, and say how to fix what is wrong.

    It checks the settings, the token and what its role may read, the webhook, the database and its disk. It changes
    nothing. The exit code is the one that a sync would fail with.

    Examples:
        # Check everything.
        versionsync doctor

        # Send a test notification, too.
        versionsync doctor --send-test-notification
    """
    found: list[CheckResult] = []
    for finding in examine(session, send_test_notification=send_test_notification):
        found.append(finding)
        session.verdict = most_severe(found)
        if not session.output.as_json:
            show(session, finding)
    code = session.verdict
    if session.output.as_json:
        session.output.json({"exit": code, "findings": [_entry(finding, session) for finding in found]})
    else:
        session.output.plain_line()
        session.output.plain_line(_summary(found))
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def show(session: CliContext, finding: CheckResult) -> None:
    """Print a result on one line, and what to do about it on the next."""
    redact, output = session.redactor.redact, session.output
    symbol = output.symbol(_GOOD[finding.severity])
    hang = len(symbol) + 1
    where = f"{finding.source}: " if finding.source else ""
    head = (f"{where}{finding.check}", "bold")
    output.paragraph((symbol, _STYLES[finding.severity]), " ", head, f": {redact(finding.message)}", hang=hang)
    if finding.hint:
        output.paragraph(" " * hang, redact(finding.hint), hang=hang)


def examine(session: CliContext, *, send_test_notification: bool = False) -> Iterator[CheckResult]:
    """Run all checks, and return what they found in order. Without usable settings it stops after the first."""
    from versionsync.cli.checks.database import check_database
    from versionsync.cli.checks.notifications import check_heartbeats, check_notifications

    session.keeps_doubts = True
    try:
        configuration = session.configuration
    except ConfigError as error:
        yield from_error("settings", error)
        return
    names = some([source.name for source in configuration.sources])
    yield ok("settings", f"{configuration.path or 'no file, the environment alone'}; sources: {names}")
    if files := configuration.source_files:
        of_each = some([f"{file.path.name} ({count(len(file.names), 'source')})" for file in files])
        yield ok("settings", f"{count(len(files), 'file')} in {files[0].path.parent}: {of_each}")
    for found in configuration.warnings:
        yield warning("settings", found.message, found.hint)
    yield from _ignored_variables(session)
    url: str | None = None
    try:
        url = session.database_url()
    except ConfigError as error:
        yield from_error("database", error)
    else:
        yield from check_database(url)

    def check(source: SourceSettings) -> list[CheckResult]:
        return [finding.of(source.name) for finding in _source(session, source, url=url)]

    with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
        for of_source in pool.map(check, configuration.sources):
            yield from of_source
    yield from check_notifications(session, send=send_test_notification)
    yield from check_heartbeats(session)


def _ignored_variables(session: CliContext) -> Iterator[CheckResult]:
    """Report variables that have no effect because of the settings file."""
    if session.configuration.path is None:
        return
    ignored = [
        setting.env for setting in settings_of(SourceSettings) if setting.env and session.environ.get(setting.env)
    ]
    if ignored and session.configuration.file_names_sources:
        hint = "Unset it, or write the setting into the file."
        yield warning("settings", f"{', '.join(ignored)} has no effect: the file names its sources", hint)


def _source(session: CliContext, source: SourceSettings, *, url: str | None) -> Iterator[CheckResult]:
    from versionsync.cli.checks.database import mirrored_source
    from versionsync.cli.checks.upstream import check_upstream
    from versionsync.cli.checks.webhook import check_webhook
    from versionsync.wiring.clients import INTERACTIVE_TIMEOUT_SECONDS, open_client

    try:
        token = session.api_token(source)
    except ConfigError as error:
        yield from_error("token", error)
        return

    try:
        login = session.webhook_login(source)
    except ConfigError as error:
        yield from_error("webhook", error)
        login = None
    mirrored = mirrored_source(url, source.name) if url is not None else None

    async def ask() -> list[CheckResult]:
        async with open_client(source, token, deadline=INTERACTIVE_TIMEOUT_SECONDS) as client:
            found = [finding async for finding in check_upstream(source, client, mirrored=mirrored)]
            if most_severe(found) is ExitCode.OK:
                found += [finding async for finding in check_webhook(source, client, login=login)]
            return found

    try:
        yield from asyncio.run(ask())
    except ConfigError as error:
        yield from_error("network", error)


def _summary(found: list[CheckResult]) -> str:
    bad = sum(finding.severity is Severity.ERROR for finding in found)
    notes = sum(finding.severity is Severity.WARNING for finding in found)
    if bad:
        return f"{bad} of {len(found)} checks failed."
    return "All is well." if not notes else f"All is well; {count(notes, 'warning')}."


def _entry(finding: CheckResult, session: CliContext) -> dict[str, object]:
    redact = session.redactor.redact
    return asdict(finding) | {"message": redact(finding.message), "hint": finding.hint and redact(finding.hint)}

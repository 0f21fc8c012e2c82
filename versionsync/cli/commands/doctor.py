"""`versionsync doctor`: looks at everything that a sync needs, and says what to do. It changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.checks.result import Finding, Verdict, failed, good, verdict_of, warning
from versionsync.cli.context import Session
from versionsync.cli.exit_codes import Exit
from versionsync.cli.options import flag

if TYPE_CHECKING:
    from versionsync.config import SourceSettings

__all__ = ["doctor"]

_GOOD: Final[dict[Verdict, bool | None]] = {Verdict.GOOD: True, Verdict.WARNING: None, Verdict.BAD: False}
_STYLES: Final[dict[Verdict, str]] = {Verdict.GOOD: "green", Verdict.WARNING: "yellow", Verdict.BAD: "bold red"}


def doctor(
    session: Session,
    *,
    send_test_notice: Annotated[
        bool, flag("--send-test-notice", help="Send a notice to each place of [[notices]], to see that it arrives.")
    ] = False,
) -> None:
    """Check the settings, the token and what its role may read, the database and its disk; say what to do.

    Nothing is changed. Ends with the exit code that the first thing found wrong would have given a sync.
    """
    found: list[Finding] = []
    for finding in examine(session, send_test_notice=send_test_notice):
        found.append(finding)
        session.verdict = verdict_of(found)
        if not session.output.as_json:
            show(session, finding)
    code = session.verdict
    if session.output.as_json:
        session.output.json({"exit": code, "findings": [_entry(finding, session) for finding in found]})
    else:
        session.output.line()
        session.output.line(_summary(found))
    if code is not Exit.DONE:
        raise typer.Exit(code)


def show(session: Session, finding: Finding) -> None:
    """A finding as a line for people, and what to do about it on another."""
    redact, output = session.redactor.redact, session.output
    symbol = output.symbol(_GOOD[finding.verdict])
    hang = len(symbol) + 1
    where = f"{finding.source}: " if finding.source else ""
    head = (f"{where}{finding.check}", "bold")
    output.prose((symbol, _STYLES[finding.verdict]), " ", head, f": {redact(finding.message)}", hang=hang)
    if finding.todo:
        output.prose(" " * hang, redact(finding.todo), hang=hang)


def examine(session: Session, *, send_test_notice: bool = False) -> Iterator[Finding]:
    """Everything that is looked at, one after the other; what needs settings only where there are some."""
    from versionsync.cli.checks.database import check_database
    from versionsync.cli.checks.notifications import check_notices, check_switches
    from versionsync.config import ConfigError

    session.keeps_doubts = True
    try:
        configuration = session.configuration
    except ConfigError as error:
        yield failed("settings", error)
        return
    names = ", ".join(source.name for source in configuration.sources)
    yield good("settings", f"{configuration.path or 'no file, the environment alone'}; sources: {names}")
    for doubt in configuration.doubts:
        yield warning("settings", doubt.message, doubt.hint)
    yield from _forgotten(session)
    url: str | None = None
    try:
        url = session.database_url()
    except ConfigError as error:
        yield failed("database", error)
    else:
        yield from check_database(url)
    for source in configuration.sources:
        yield from _source(session, source, url=url)
    yield from check_notices(session, send=send_test_notice)
    yield from check_switches(session)


def _forgotten(session: Session) -> Iterator[Finding]:
    """Variables that say something which the settings file has made void."""
    from versionsync.config.checking import settings_of
    from versionsync.config.definition import SourceSettings

    if session.configuration.path is None:
        return
    void = [setting.env for setting in settings_of(SourceSettings) if setting.env and session.environ.get(setting.env)]
    if void and session.configuration.file_names_sources:
        todo = "Unset it, or say the same in the file."
        yield warning("settings", f"{', '.join(void)} has no effect: the file names its sources", todo)


def _source(session: Session, source: SourceSettings, *, url: str | None) -> Iterator[Finding]:
    from versionsync.cli.checks.database import mirrored_source
    from versionsync.cli.checks.upstream import check_upstream
    from versionsync.cli.checks.webhook import check_webhook
    from versionsync.config import ConfigError
    from versionsync.wiring.clients import HASTY_SECONDS, open_client

    try:
        token = session.api_token(source)
    except ConfigError as error:
        yield failed("token", error, source=source.name)
        return

    try:
        login = session.webhook_login(source)
    except ConfigError as error:
        yield failed("webhook", error, source=source.name)
        login = None
    mirrored = mirrored_source(url, source.name) if url is not None else None

    async def ask() -> list[Finding]:
        async with open_client(source, token, deadline=HASTY_SECONDS) as client:
            found = [finding async for finding in check_upstream(source, client, mirrored=mirrored)]
            if verdict_of(found) is Exit.DONE:
                found += [finding async for finding in check_webhook(source, client, login=login)]
            return found

    try:
        yield from asyncio.run(ask())
    except ConfigError as error:
        yield failed("network", error, source=source.name)


def _summary(found: list[Finding]) -> str:
    bad = sum(finding.verdict is Verdict.BAD for finding in found)
    notes = sum(finding.verdict is Verdict.WARNING for finding in found)
    if bad:
        return f"{bad} of {len(found)} checks failed."
    return "All is well." if not notes else f"All is well; {notes} worth knowing."


def _entry(finding: Finding, session: Session) -> dict[str, object]:
    redact = session.redactor.redact
    return asdict(finding) | {"message": redact(finding.message), "todo": finding.todo and redact(finding.todo)}

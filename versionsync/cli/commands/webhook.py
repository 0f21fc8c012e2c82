"""`versionsync webhook`: create, check, test and remove a source's webhook in its DatoCMS project."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from versionsync import cma
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode, error_report, most_severe
from versionsync.cli.options import CommandGroup, add_command, flag, option, sources_to
from versionsync.config import ConfigError, Secret, SecretProblem, SourceSettings, UnknownSource
from versionsync.private_files import write_whole
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.webhooks.payload import BasicAuth

__all__ = ["app", "new_login"]

EXAMPLES: Final = """\
# Create the webhook.
versionsync webhook install --url https://my.host/webhooks/website

# Check that it reports every change.
versionsync webhook status
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Create, check, test or remove the webhook that reports changes at once.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)

T = TypeVar("T")

PASSWORD_BYTES: Final = 32

SourceArg = Annotated[
    str | None,
    typer.Argument(metavar="SOURCE", help="The source. You can leave it out if there is only one."),
]
UrlOption = Annotated[str | None, option("--url", "URL", "Which webhook, if the project has several of that name.")]
DryRun = Annotated[bool, flag("--dry-run", help="Show what would change. Change nothing.")]


def install(
    session: CliContext,
    source: SourceArg = None,
    *,
    url: Annotated[
        str | None,
        option(
            "--url",
            "URL",
            "What DatoCMS calls: the public address of the receiver, https://your.host/webhooks/SOURCE. Without "
            "a receiver, any URL will do. Needed only for a new webhook.",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Create the source's webhook, or fix the existing one. Show first what changes.

    DatoCMS then calls the URL for every change of a record. It logs each call, answered or not, and `versionsync run`
    reads that log. So changes arrive within about a second, even if you open no port.

    The webhook uses the password of the settings. If they name a password file that does not exist, a new password is
    stored there. No other webhook is changed. The token's role must be allowed to manage webhooks.

    Examples:
        # Show what would be created.
        versionsync webhook install --url https://my.host/webhooks/website --dry-run

        # Create it for one of several sources.
        versionsync webhook install website --url https://my.host/webhooks/website
    """
    from versionsync.webhooks.registration import installation

    chosen = _chosen(session, source)
    place = session.configuration.secrets.webhook_password_path(chosen)
    login = session.webhook_login(chosen) if place is None else new_login(session, chosen)

    async def carry_out(client: cma.Client) -> None:
        plan = installation(await client.webhooks(), chosen.name, url=url, login=login)
        if not session.output.as_json:
            for line in plan.lines:
                session.output.paragraph(line, hang=4)
            if place is not None:
                session.output.paragraph(f"  a new password, in {place}", hang=4)
        made, seen = plan.webhook, ""
        if not dry_run and place is not None and login is not None:
            _store(place, login)
        if not dry_run and plan.is_needed:
            spec = plan.spec
            made = await (client.update_webhook(made.id, spec) if made else client.create_webhook(spec))
            seen = "within seconds" if _notify_daemon(session, chosen) else "within the hour, or at once on SIGHUP"
        if session.output.as_json:
            session.output.json(
                {
                    "source": chosen.name,
                    "action": plan.action.value,
                    "done": plan.is_needed and not dry_run,
                    "changes": plan.changes,
                    "webhook": {"id": made.id if made else None, "name": plan.spec.name, "url": plan.spec.url},
                }
            )
        elif plan.is_needed:
            id = f" (id {made.id})" if made else ""
            session.output.plain_line("Nothing was done." if dry_run else f"Done{id}. A running daemon sees it {seen}.")
            if place is not None and not dry_run:
                session.output.paragraph(
                    f"The daemon reads the password at its start, or on SIGHUP: it must be able to read {place}.",
                    hang=2,
                )

    _ask(session, chosen, carry_out)


def new_login(session: CliContext, source: SourceSettings) -> BasicAuth:
    """Return a login with a new random password, masked from now on."""
    import secrets

    from versionsync.webhooks.payload import BasicAuth

    password = secrets.token_urlsafe(PASSWORD_BYTES)
    session.redactor.learn(password)
    return BasicAuth(source.webhook_user, Secret(password))


def _store(place: Path, login: BasicAuth) -> None:
    """Write the password to a file that only its owner can read. Raises SecretProblem."""
    try:
        write_whole(place, f"{login.password.reveal()}\n", mode=0o600)
    except OSError as error:
        raise SecretProblem(
            f"the password of the webhook cannot be stored in {place}: {error.strerror}",
            hint="Name another file in webhook_password_file, in an existing folder that you may write to.",
        ) from error


def status(
    session: CliContext,
    sources: Annotated[list[str] | None, sources_to("show")] = None,
) -> None:
    """Show whether the webhook exists, whether it reports every change, and how its last calls went.

    Examples:
        # The webhooks of all sources.
        versionsync webhook status
    """
    shown: list[tuple[ExitCode, dict[str, Any]]] = []
    for number, chosen in enumerate(session.sources(sources or ())):
        if number and not session.output.as_json:
            session.output.plain_line()
        shown.append(_show(session, chosen))
    if session.output.as_json:
        session.output.json({"sources": [told for _, told in shown]})
    if (code := most_severe(exit for exit, _ in shown)) is not ExitCode.OK:
        raise typer.Exit(code)


def _show(session: CliContext, source: SourceSettings) -> tuple[ExitCode, dict[str, Any]]:
    """Print the webhooks of one source. An error is printed too: the next source still follows."""
    from versionsync.cli.views.webhook import entry, last_calls, show
    from versionsync.webhooks.registration import find_own

    async def read(client: cma.Client) -> list[tuple[cma.Webhook, Sequence[cma.WebhookCall]]]:
        own = find_own(await client.webhooks(), source.name)
        return [(webhook, await last_calls(client, webhook.id)) for webhook in own]

    output = session.output
    try:
        found = _ask(session, source, read)
    except (cma.CmaError, ConfigError) as error:
        problem = error_report(error).redacted(session.redactor.redact)
        if not output.as_json:
            output.error(f"{source.name}: {problem.message}", problem.hint)
        return problem.exit, {"source": source.name, "error": problem.to_fields()}
    if not output.as_json:
        output.plain_line(source.name, style="bold")
        for webhook, calls in found:
            show(output, webhook, calls)
        if not found:
            output.plain_line(f"  no webhook. Make one: versionsync webhook install {source.name} --url URL")
    webhooks = [entry(webhook, calls) for webhook, calls in found]
    return ExitCode.OK, {"source": source.name, "installed": bool(found), "webhooks": webhooks}


def remove(session: CliContext, source: SourceArg = None, *, url: UrlOption = None, dry_run: DryRun = False) -> None:
    """Remove the source's webhook from its project. No other webhook is changed.

    Examples:
        # Show which webhook would be removed.
        versionsync webhook remove website --dry-run

        # Remove it.
        versionsync webhook remove website
    """
    from versionsync.webhooks.registration import chosen_of

    chosen = _chosen(session, source)

    async def carry_out(client: cma.Client) -> cma.Webhook | None:
        webhook = chosen_of(await client.webhooks(), chosen.name, url=url)
        if webhook is not None and not dry_run:
            await client.delete_webhook(webhook.id)
            _notify_daemon(session, chosen)
        return webhook

    webhook = _ask(session, chosen, carry_out)
    if session.output.as_json:
        removed = None if webhook is None else {"id": webhook.id, "name": webhook.name, "url": webhook.url}
        done = webhook is not None and not dry_run
        session.output.json({"source": chosen.name, "webhook": removed, "done": done})
    elif webhook is None:
        session.output.plain_line(f"{chosen.name} has no webhook: nothing to remove.")
    else:
        verb = "Would remove" if dry_run else "Removed"
        session.output.paragraph(f"{verb} {webhook.name} (id {webhook.id}), which calls {webhook.url}", hang=4)


def test(session: CliContext, source: SourceArg = None, *, url: UrlOption = None) -> None:
    """Let DatoCMS repeat the webhook's last call, and show the result. No content changes.

    DatoCMS can only repeat an earlier call: for a new webhook, save any record first. The exit code is 3 if there was
    no call to repeat, or if the response was not 2xx.

    Examples:
        # Repeat the last call.
        versionsync webhook test website
    """
    from versionsync.cli.views.webhook import TestCall, resend
    from versionsync.webhooks.registration import chosen_of, not_found

    chosen = _chosen(session, source)

    async def carry_out(client: cma.Client) -> TestCall | None:
        webhook = chosen_of(await client.webhooks(), chosen.name, url=url)
        if webhook is None:
            raise not_found(chosen.name)
        return await resend(client, webhook)

    trial = _ask(session, chosen, carry_out)
    if session.output.as_json:
        told = {"tested": False} if trial is None else {"tested": True} | trial.fields()
        session.output.json({"source": chosen.name} | told)
    elif trial is None:
        session.output.paragraph(
            f"{session.output.symbol(None)} Nothing can be tested yet: DatoCMS has made no call of this webhook, and "
            "it can only repeat one. Save any record, then run this again.",
            hang=2,
        )
    else:
        session.output.paragraph(f"{session.output.symbol(trial.succeeded)} {trial.sentence}", hang=2)
    if trial is None or not trial.succeeded:
        raise typer.Exit(ExitCode.PARTIAL)


def _chosen(session: CliContext, name: str | None) -> SourceSettings:
    """Return the source called `name`, or the only one. Raises UnknownSource."""
    sources: Sequence[SourceSettings] = session.sources([name] if name else ())
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise UnknownSource(
            f"which of the {count(len(sources), 'source')} do you mean?", hint=f"Name it. There are: {names}."
        )
    return sources[0]


def _notify_daemon(session: CliContext, source: SourceSettings) -> bool:
    """Mark in the database that the webhook changed, so that the daemon sees it. False: that is not possible."""
    from versionsync.mirror.errors import MirrorError
    from versionsync.mirror.tables.sources import source_id
    from versionsync.mirror.tables.webhooks import invalidate_cursor

    try:
        with session.open_mirror(outage_seconds=0.0) as mirror, mirror.write() as tx:
            if (id := source_id(tx, source.name)) is not None:
                invalidate_cursor(tx, id, at=datetime.now(UTC))
            return id is not None
    except (ConfigError, MirrorError):  # a webhook needs no database
        return False


def _ask(session: CliContext, source: SourceSettings, question: Callable[[cma.Client], Awaitable[T]]) -> T:
    """Return what `question` finds with a client of the source."""
    from versionsync.wiring.clients import INTERACTIVE_TIMEOUT_SECONDS, open_client

    token = session.api_token(source)

    async def ask() -> T:
        async with open_client(source, token, log=session.log, deadline=INTERACTIVE_TIMEOUT_SECONDS) as client:
            return await question(client)

    return asyncio.run(ask())


for verb in (install, status, remove, test):
    add_command(app, verb)

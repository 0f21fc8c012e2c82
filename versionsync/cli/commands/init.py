"""`versionsync init`: guide a person from an API token to a first sync, or write the settings without questions."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync import cma
from versionsync.cli.checks.result import Severity, most_severe
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode, error_report
from versionsync.cli.options import flag, option
from versionsync.config import (
    LOCAL_FILE,
    SYSTEM_FILE,
    ConfigError,
    FileProblem,
    InvalidSetting,
    Secret,
    SecretProblem,
    Settings,
    SourceSettings,
)
from versionsync.config.checking import check_table
from versionsync.config.credentials import SecretReader, check_database_url
from versionsync.config.definition import DEFAULT_TOKEN_VARIABLE
from versionsync.config.environment_variables import unknown_variables
from versionsync.config.example_file import settings_file
from versionsync.config.file_trust import check_found_folder
from versionsync.config.loading import check_command_line
from versionsync.private_files import no_file, write_whole
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.cli.checks.result import CheckResult

__all__ = ["init"]

RECORDS_A_SECOND: Final = 20
"""A first sync sends one request a record, and DatoCMS allows 60 requests in 3 seconds."""

WELCOME: Final = """\
versionsync keeps every version of your DatoCMS records in your own database.
It only reads from DatoCMS, so you can set it up on a live project.
Ctrl-C stops at any time. Nothing is written before the last question."""

ABOUT_TOKENS: Final = """\
First, versionsync needs an API token of your project:

  1. In DatoCMS, open Project settings > Roles and create a role. It must read
     all records of all models, and see the environments. It needs no
     permission to create, update, publish or delete.
     Optional: manage users and API tokens, to get the names of editors;
     manage webhooks, to let versionsync create one.
  2. Open Project settings > API tokens and create a token with this role.
     Let it use the Content Management API."""

ABOUT_WEBHOOKS: Final = """\
With a webhook, changes arrive within about a second. Without one, `versionsync
run` checks for changes at least every {staleness:g} seconds. The token's role must be
allowed to manage webhooks."""

ABOUT_URLS: Final = """\
DatoCMS calls a public URL for each change, and sends the record to it. If this
machine can be reached, that is https://your.host/webhooks/{name}. If not, use
any URL of your own: versionsync reads the calls in DatoCMS's log, too."""

ABOUT_SYNC: Final = """\
The first sync copies the whole history{records}.
It only reads, so it is safe on a live project. You can stop it with Ctrl-C:
the next sync continues."""


def init(
    session: CliContext,
    *,
    name: Annotated[str | None, option("--name", "NAME", "Name of the source. Default: the project's name.")] = None,
    environment: Annotated[
        str | None, option("--environment", "NAME", "Environment to mirror. Default: follow the primary one.")
    ] = None,
    token_env: Annotated[
        str | None, option("--token-env", "VARIABLE", "Environment variable that holds the API token.")
    ] = None,
    token_file: Annotated[
        Path | None, option("--token-file", "FILE", "File with the API token. It is written if it is missing.")
    ] = None,
    base_url: Annotated[str | None, option("--base-url", "URL", "Address of the API, such as a simulator's.")] = None,
    yes: Annotated[
        bool, flag("-y", "--yes", help="Ask nothing. Use the options, the environment and defaults.")
    ] = False,
    force: Annotated[bool, flag("--force", help="Overwrite existing files.")] = False,
    no_test: Annotated[bool, flag("--no-test", help="Do not try the token.")] = False,
) -> None:
    """Set up a mirror: get a token, try it, write the settings, start the first sync.

    It says where to get an API token, tries the token at once, and asks again if it does not work. Then it offers to
    create a webhook and to start the first sync, and says how long that takes.

    The token goes into its own file that only you can read, or stays in its environment variable. Nothing is written
    before everything was tried, and no file is overwritten. Without a terminal, or with --yes, it asks nothing.

    Examples:
        # Answer a few questions.
        versionsync init

        # Ask nothing. The token is in the variable DATOCMS_API_TOKEN.
        versionsync init --yes

        # Write the settings of the system service, with the token beside them.
        sudo versionsync init --config /etc/versionsync/versionsync.toml \\
          --token-file /etc/versionsync/api_token
    """
    from versionsync.cli.commands.webhook import new_login

    target = session.options.config or LOCAL_FILE
    if session.options.config is None:
        check_found_folder(target)
    if session.options.database is not None:
        check_command_line(session.options.database)
    unknown_variables(Settings(sources=(SourceSettings(name="new", api_token_env=token_env),)), session.environ)
    _refuse_overwriting(target, force=force)
    base_url = base_url or session.environ.get("VERSIONSYNC_BASE_URL")
    given = {setting: value for setting, value in (("environment", environment), ("base_url", base_url)) if value}
    _source(given, name or "new")
    questions = _Questions(session, asks=not yes and sys.stdin.isatty())
    questions.explain(WELCOME)

    def connect(token: _Token, *, shows_all: bool = True) -> _Project | None:
        source = _source(given | {token.setting: token.value})
        return None if no_test else _try(session, source, token.secret, shows_all=shows_all)

    token, project = _find_token(questions, token_env, token_file, target=target, connect=connect)
    if token.is_new:
        _refuse_overwriting(token.path, force=force)
    if environment is None and questions.asks:
        project = _choose_environment(questions, given, project, lambda: connect(token, shows_all=False))
    given |= {token.setting: token.value}
    questions.explain("")
    name = name or questions.ask(
        "Name of this source", _slug(project.name if project else "default"), lambda name: _source(given, name)
    )
    _source(given, name)
    database = session.options.database or questions.ask(
        "Database (a SQLite file or a PostgreSQL URL)",
        "sqlite:///versionsync.db",
        lambda url: check_database_url(url, where="what was given"),
    )
    session.redactor.learn_url(database)
    check_database_url(database, where="what was given")
    written = {token.path: token.secret} if token.is_new else {}
    url = _choose_webhook(questions, name)
    if url is not None:
        password = target.with_name(f"{name}.webhook")
        _refuse_overwriting(password, force=force)
        given["webhook_password_file"] = password.name
        written[password] = new_login(session, _source(given, name)).password
    text = _settings(name, given, database, session)
    for path, secret in written.items():
        _write(path, f"{secret.reveal()}\n")
    _write(target, text)
    _report(questions, [target, *written], name)
    if not session.output.as_json:
        _continue(questions, target, name, project, url)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, and the setting that names its variable or file."""

    secret: Secret
    setting: str
    value: str
    path: Path
    is_new: bool = False
    """Its file is still to be written."""


@dataclass(frozen=True, slots=True)
class _Project:
    """What a token opens."""

    name: str
    environments: tuple[str, ...] | None
    """The primary one first. None: the role may not list them."""
    records: int | None
    """How many the role may read, if that was asked for."""


class _Questions:
    """Asks a person on a terminal. Otherwise each question has its default for an answer."""

    def __init__(self, session: CliContext, *, asks: bool) -> None:
        self.session = session
        self.asks = asks

    def explain(self, text: str) -> None:
        """Write what a person should know before the next question."""
        if self.asks:
            for line in ("", *text.splitlines()):
                self.session.output.note(line)

    def ask(self, question: str, default: str, check: Callable[[str], object]) -> str:
        """Return an answer that passes `check`. Ask again if it raises a ConfigError."""
        while self.asks:
            answer = str(typer.prompt(question, default=default, err=True, show_default=bool(default)))
            try:
                check(answer)
            except ConfigError as error:
                self.session.output.error(str(error), error.hint)
            else:
                return answer
        return default

    def confirm(self, question: str, *, default: bool) -> bool:
        """Return whether the answer is yes. Ctrl-C is a no: what is written by now is complete."""
        try:
            return typer.confirm(question, default=default, err=True)
        except typer.Abort:
            self.session.output.note("")
            return False


def _find_token(
    questions: _Questions,
    variable: str | None,
    file: Path | None,
    *,
    target: Path,
    connect: Callable[[_Token], _Project | None],
) -> tuple[_Token, _Project | None]:
    """Return a token that works, and the project that it opens.

    Args:
        questions: Whom to ask for the token if no variable or file holds it.
        variable: The environment variable that holds it.
        file: The file that holds it, or to which it will be written.
        target: The settings file, beside which the token's file belongs.
        connect: Tries a token. Ends the program, or raises an error, if it does not work.
    """
    session, output = questions.session, questions.session.output

    def read(source: SourceSettings) -> Secret:
        token = SecretReader(Path(), session.environ).api_token(source)
        session.redactor.learn(token.reveal())
        return token

    if file is None and (variable is not None or session.environ.get(DEFAULT_TOKEN_VARIABLE) or not questions.asks):
        variable = variable or DEFAULT_TOKEN_VARIABLE
        secret = read(SourceSettings(name="new", api_token_env=variable))
        questions.explain(f"Using the API token in {variable}.")
        token = _Token(secret, "api_token_env", variable, Path())
        return token, connect(token)
    path = file or target.with_suffix(".token")
    value = path.name if path.resolve().parent == target.resolve().parent else str(path.resolve())
    if path.exists():
        secret = read(SourceSettings(name="new", api_token_file=str(path.resolve())))
        questions.explain(f"Using the API token in {path}.")
        token = _Token(secret, "api_token_file", value, path)
        return token, connect(token)
    if not questions.asks:
        raise SecretProblem(f"there is no file {path}", hint="Write the token into it, mode 0600.")
    questions.explain(ABOUT_TOKENS)
    while True:
        output.note("")
        typed = typer.prompt("API token (input is hidden)", hide_input=True, err=True)
        try:
            secret = read(SourceSettings(name="new", api_token=Secret(typed)))
            token = _Token(secret, "api_token_file", value, path, is_new=True)
            return token, connect(token)
        except cma.EnvironmentNotFound:
            raise  # another token would not help
        except (cma.CmaError, SecretProblem) as error:
            problem = error_report(error).redacted(session.redactor.redact)
            output.error(problem.message, problem.hint)
            output.note("Nothing was written.")
        except typer.Exit:
            pass  # the failed checks are shown
        output.note("Try another token, or press Ctrl-C to stop.")


def _choose_environment(
    questions: _Questions, given: dict[str, str], project: _Project | None, connect: Callable[[], _Project | None]
) -> _Project | None:
    """Ask for the environment if there are several, put it into `given`, and return the project seen from there."""
    known = project.environments if project else None
    if known is not None and len(known) < 2:
        return project
    if known is not None:
        questions.explain(
            f"The project has several environments: {', '.join(known)}. The first one is the primary one."
        )

    def check(answer: str) -> None:

        if answer and known is not None and answer not in known:
            raise InvalidSetting(f"there is no environment {answer}", hint=f"There are: {', '.join(known)}.")

    chosen = questions.ask("Environment to mirror (Enter: follow the primary one)", "", check)
    if not chosen:
        return project
    given["environment"] = chosen
    return connect()


def _source(given: Mapping[str, str], name: str = "new") -> SourceSettings:
    """Return the source, checked as one of a settings file is. Raise a ConfigError."""
    return check_table({"name": name} | dict(given), SourceSettings, where=lambda _: "what was given")


def _try(session: CliContext, source: SourceSettings, token: Secret, *, shows_all: bool) -> _Project:
    """Return the project that `token` opens. End the program if a sync with it would fail."""
    from versionsync.cli.checks.upstream import check_upstream, first_pages
    from versionsync.cli.commands.doctor import show
    from versionsync.wiring.clients import INTERACTIVE_TIMEOUT_SECONDS, open_client

    async def ask() -> tuple[_Project, list[CheckResult]]:
        async with open_client(source, token, deadline=INTERACTIVE_TIMEOUT_SECONDS) as client:
            site = await client.site()
            findings = [finding async for finding in check_upstream(source, client)]
            if most_severe(findings) is not ExitCode.OK:
                return _Project(site.name, None, None), findings
            try:
                environments = sorted(await client.environments(), key=lambda each: not each.primary)
                names = tuple(environment.id for environment in environments)
            except cma.PermissionDenied:
                names = None
            models = [model.id for model in await client.item_types() if not model.modular_block]
            records = sum([page.total async for page in first_pages(client, models)])
            return _Project(site.name, names, records), findings

    project, findings = asyncio.run(ask())
    if not session.output.as_json:
        for finding in findings:
            if shows_all or finding.severity is not Severity.OK:
                show(session, finding)
    code = most_severe(findings)
    if code is not ExitCode.OK:
        session.output.note("Nothing was written.")
        raise typer.Exit(code)
    return project


def _settings(name: str, given: Mapping[str, str], database: str, session: CliContext) -> str:

    # The variable wins over the file anyway, and may hold a password.
    top = {} if session.environ.get("VERSIONSYNC_DATABASE_URL") else {"database_url": database}
    return settings_file([{"name": name} | dict(given)], top=top)


def _choose_webhook(questions: _Questions, name: str) -> str | None:
    """Return what the webhook is to call, or None for no webhook."""
    from versionsync.webhooks.payload import BasicAuth
    from versionsync.webhooks.registration import installation

    questions.explain(ABOUT_WEBHOOKS.format(staleness=SourceSettings(name=name).max_staleness))
    if not questions.asks or not typer.confirm("Create a webhook?", default=False, err=True):
        return None
    questions.explain(ABOUT_URLS.format(name=name))

    def check(url: str) -> None:
        if url:
            installation([], name, url=url, login=BasicAuth("any", Secret("any")))

    return questions.ask("URL (Enter: no webhook)", "", check) or None


def _report(questions: _Questions, files: Sequence[Path], name: str) -> None:
    output = questions.session.output
    names = [str(file) for file in files]
    if output.as_json:
        output.json({"written": names, "source": name})
        return
    output.plain_line()
    output.paragraph("Written: ", f"{', '.join(names)}; only you can read them.", hang=9)


def _continue(questions: _Questions, target: Path, name: str, project: _Project | None, url: str | None) -> None:
    """Create the webhook and start the first sync, if they are wanted. Show what comes next."""
    output = questions.session.output
    config = f" --config {target}" if questions.session.options.config else ""
    if url is not None:
        output.plain_line()
        _create_webhook(questions.session, name, url)
    if target.parent == SYSTEM_FILE.parent:
        # A sync from here would fill another database, in the current folder.
        instance = f" --name {target.stem}" if target.name != SYSTEM_FILE.name else ""
        output.plain_line(f"Next:    versionsync service install{instance}")
    elif questions.asks and _offer_sync(questions, project):
        output.plain_line()
        output.plain_line(f"Next:    versionsync run{config}")
    else:
        output.plain_line(f"Next:    versionsync sync{config}")


def _create_webhook(session: CliContext, name: str, url: str) -> None:
    """Create the webhook. If that fails, show the command that does it later: the rest works without."""
    from versionsync.cli.commands import webhook

    try:
        webhook.install(session, name, url=url)
    except (cma.CmaError, ConfigError) as error:
        problem = error_report(error).redacted(session.redactor.redact)
        session.output.error(problem.message, problem.hint)
        config = f" --config {session.options.config}" if session.options.config else ""
        session.output.note("Everything else is ready. To create the webhook later:")
        session.output.note(f"  versionsync webhook install {name} --url {url}{config}")


def _offer_sync(questions: _Questions, project: _Project | None) -> bool:
    """Start the first sync if wanted. Return whether it ran."""
    from versionsync.cli.commands.sync import sync

    records = "" if project is None or project.records is None else f": {count(project.records, 'record')}"
    if project is not None and project.records is not None:
        records += f", in {_about(project.records / RECORDS_A_SECOND)}"
    questions.explain(ABOUT_SYNC.format(records=records))
    if not questions.confirm("Start the first sync now?", default=True):
        return False
    questions.session.output.note("")
    sync(questions.session)
    return True


def _about(seconds: float) -> str:
    """Return a duration in words: `about 3 minutes`."""
    if seconds < 60:
        return "less than a minute"
    if seconds < 2 * 3600:
        return f"about {count(round(seconds / 60), 'minute')}"
    return f"about {count(round(seconds / 3600), 'hour')}"


def _refuse_overwriting(path: Path, *, force: bool) -> None:

    if kind := no_file(path):
        raise FileProblem(f"{path} is {kind}, which is not replaced", hint="Name the file itself.")
    if path.exists() and not force:
        raise FileProblem(f"{path} exists already", hint="--force overwrites it; --config FILE writes another.")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    try:
        write_whole(path, text, mode=0o600)
    except OSError as error:
        raise FileProblem(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error


def _slug(text: str) -> str:
    """Return a name for a source from a project's: `Acme News (2026)` becomes `acme-news-2026`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "default"

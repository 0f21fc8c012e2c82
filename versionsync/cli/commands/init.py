"""`versionsync init`: asks for what is needed, tries the token, writes a commented settings file."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.checks.result import most_severe
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import flag

if TYPE_CHECKING:
    from versionsync.cli.checks.result import CheckResult
    from versionsync.config import Secret, SourceSettings

__all__ = ["init"]

Ask = Callable[[str, str], str]


def init(
    session: CliContext,
    *,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the source is called; else after the project.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option("--environment", metavar="NAME", help="Environment to mirror; else the primary one is followed."),
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option("--token-env", metavar="VARIABLE", help="Environment variable that holds the API token."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="File that holds the API token, or shall.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Another address of the API: a simulator's.")
    ] = None,
    yes: Annotated[bool, flag("-y", "--yes", help="Ask nothing: the options and the environment say it all.")] = False,
    force: Annotated[bool, flag("--force", help="Overwrite files that are there.")] = False,
    no_test: Annotated[bool, flag("--no-test", help="Do not try the token.")] = False,
) -> None:
    """Write a settings file: ask for what is needed, try the token, say what comes next.

    The token goes into a file of its own that only you can read, or stays in its environment variable: it never is in
    the settings file. Nothing is written before all was tried, and no file is overwritten.
    """
    from versionsync.config import LOCAL_FILE, Settings, SourceSettings
    from versionsync.config.credentials import check_database_url
    from versionsync.config.loading import check_command_line
    from versionsync.config.trust import check_found_folder
    from versionsync.config.variables import unknown_variables

    target = session.options.config or LOCAL_FILE
    if session.options.config is None:
        check_found_folder(target)
    if session.options.database is not None:
        check_command_line(session.options.database)
    unknown_variables(Settings(sources=(SourceSettings(name="new", api_token_env=token_env),)), session.environ)
    _refuse_overwriting(target, force=force)
    asks = not yes and sys.stdin.isatty()
    ask = _prompted if asks else _unattended
    token = _find_token(session, token_env, token_file, target=target, asks=asks)
    if token.is_new:
        _refuse_overwriting(token.path, force=force)
    if environment is None:
        environment = ask("Environment to mirror (empty: follow the primary one)", "")
    base_url = base_url or session.environ.get("VERSIONSYNC_BASE_URL")
    said = {"environment": environment, "base_url": base_url, token.setting: token.value}
    given = {setting: value for setting, value in said.items() if value}
    project = None if no_test else _try(session, _source(given), token.secret)
    name = name or ask("Name of this source", _slug(project or "default"))
    database = session.options.database or ask("Database", "sqlite:///versionsync.db")
    session.redactor.learn_url(database)
    check_database_url(database, where="what was given")
    text = _settings(name, given, database, session)
    if token.is_new:
        _write(token.path, f"{token.secret.reveal()}\n")
    _write(target, text)
    _report(session, target, token, name)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and how the settings will name its place. `is_new`: its file is still to be written."""

    secret: Secret
    setting: str
    value: str
    path: Path
    is_new: bool = False


def _find_token(session: CliContext, variable: str | None, file: Path | None, *, target: Path, asks: bool) -> _Token:
    """The token: from a variable or a file that is there, or asked for, to be written to a file."""
    from versionsync.config import Secret, SecretProblem, SourceSettings
    from versionsync.config.credentials import read_api_token
    from versionsync.config.definition import DEFAULT_TOKEN_VARIABLE

    def checked(source: SourceSettings) -> Secret:
        token = read_api_token(source, folder=Path(), environ=session.environ)
        session.redactor.learn(token.reveal())
        return token

    if file is None and (variable is not None or session.environ.get(DEFAULT_TOKEN_VARIABLE) or not asks):
        variable = variable or DEFAULT_TOKEN_VARIABLE
        token = checked(SourceSettings(name="new", api_token_env=variable))
        return _Token(token, "api_token_env", variable, Path())
    path = file or target.with_suffix(".token")
    value = path.name if path.resolve().parent == target.resolve().parent else str(path.resolve())
    if path.exists():
        token = checked(SourceSettings(name="new", api_token_file=str(path.resolve())))
        return _Token(token, "api_token_file", value, path)
    if not asks:
        raise SecretProblem(f"there is no file {path}", hint="Write the token into it, mode 0600.")
    typed = typer.prompt("API token (it is not shown)", hide_input=True, err=True)
    token = checked(SourceSettings(name="new", api_token=Secret(typed)))
    return _Token(token, "api_token_file", value, path, is_new=True)


def _source(given: dict[str, str]) -> SourceSettings:
    """The settings as they will be, checked as those of a file are."""
    from versionsync.config.checking import check_table
    from versionsync.config.definition import SourceSettings

    return check_table({"name": "new"} | given, SourceSettings, file="what was given")


def _try(session: CliContext, source: SourceSettings, token: Secret) -> str:
    """The name of the project that `token` opens. Ends the program if a sync with it would fail."""
    from versionsync.cli.checks.upstream import check_upstream
    from versionsync.cli.commands.doctor import show
    from versionsync.wiring.clients import INTERACTIVE_TIMEOUT_SECONDS, open_client

    async def ask() -> tuple[str, list[CheckResult]]:
        async with open_client(source, token, deadline=INTERACTIVE_TIMEOUT_SECONDS) as client:
            site = await client.site()
            return site.name, [finding async for finding in check_upstream(source, client)]

    project, findings = asyncio.run(ask())
    if not session.output.as_json:
        for finding in findings:
            show(session, replace(finding, source=None))  # it has no name yet
    code = most_severe(findings)
    if code is not ExitCode.OK:
        session.output.note("Nothing was written.")
        raise typer.Exit(code)
    return project


def _settings(name: str, given: dict[str, str], database: str, session: CliContext) -> str:
    from versionsync.config.checking import check_table
    from versionsync.config.definition import SourceSettings
    from versionsync.config.example_file import settings_file

    source = {"name": name} | given
    check_table(source, SourceSettings, file="what was given")
    # The variable wins over the file anyway, and may hold a password.
    told = {} if session.environ.get("VERSIONSYNC_DATABASE_URL") else {"database_url": database}
    return settings_file([source], top=told)


def _report(session: CliContext, target: Path, token: _Token, name: str) -> None:
    output = session.output
    files = [str(target), *([str(token.path)] if token.is_new else [])]
    if output.as_json:
        output.json({"written": files, "source": name})
        return
    output.plain_line()
    output.plain_line(f"Written: {' and '.join(files)}, readable by you alone.")
    output.plain_line(f"Next:    versionsync {_next_steps(session, target)}")


def _next_steps(session: CliContext, target: Path) -> str:
    """The command for which the settings are there: a service where it reads them, a first sync elsewhere."""
    from versionsync.config import SYSTEM_FILE

    if target.parent == SYSTEM_FILE.parent:
        return "service install" + (f" --name {target.stem}" if target.name != SYSTEM_FILE.name else "")
    return "sync" + (f" --config {target}" if session.options.config else "")


def _refuse_overwriting(path: Path, *, force: bool) -> None:
    from versionsync.config import FileProblem
    from versionsync.files import no_file

    if there := no_file(path):
        raise FileProblem(f"{path} is {there}, which is not replaced", hint="Name the file itself.")
    if path.exists() and not force:
        raise FileProblem(f"{path} is there already", hint="--force overwrites it; --config FILE writes another.")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    from versionsync.config import FileProblem
    from versionsync.files import write_whole

    try:
        write_whole(path, text, mode=0o600)
    except OSError as error:
        raise FileProblem(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error


def _prompted(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, err=True, show_default=bool(default)))


def _unattended(_question: str, default: str) -> str:
    return default


def _slug(text: str) -> str:
    """A name for a source made from a project's: `Acme News (2026)` becomes `acme-news-2026`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "default"

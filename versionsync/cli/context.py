"""What one invocation of the command line has at hand: its options, the settings, where to write, the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.terminal.output import Output
from versionsync.redaction import Redactor

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from versionsync.config import Configuration, Secret, SourceSettings
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.tables.sources import SourceRow
    from versionsync.webhooks.payload import BasicAuth

__all__ = ["CliContext", "Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that every verb has, before it or after it."""

    config: Path | None = None
    database: str | None = None
    as_json: bool = False
    debug: bool = False
    verbose: int = 0
    no_color: bool = False

    def joined(self, later: Options) -> Options:
        """Both together: what is said after the verb wins, and a flag said anywhere is set."""
        return Options(
            config=later.config or self.config,
            database=later.database or self.database,
            as_json=later.as_json or self.as_json,
            debug=later.debug or self.debug,
            verbose=later.verbose + self.verbose,
            no_color=later.no_color or self.no_color,
        )


class CliContext:
    """One invocation. Settings are loaded, and the log is made, when they are first asked for.

    `verdict` is how the command ends, as far as it knows: that counts also where nobody reads its results to the end.
    `keeps_doubts`: the command itself tells what is doubtful about the settings.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, options: Options | None = None) -> None:
        self.environ = os.environ if environ is None else environ
        self.options = options or Options()
        self.redactor = Redactor()
        self.verdict = ExitCode.OK
        self.keeps_doubts = False

    def also(self, options: Options) -> None:
        """Take more options into account. Must come before the settings, the output or the log are used."""
        self.options = self.options.joined(options)

    @property
    def color(self) -> bool:
        """Whether colours are wanted at all; the terminal has the last word."""
        return not self.options.no_color and not self.environ.get("NO_COLOR")

    @cached_property
    def output(self) -> Output:
        """Where results and notes go."""
        return Output(as_json=self.options.as_json, color=self.color, redactor=self.redactor)

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """The log, at the level that was asked for."""
        from versionsync.cli.logging.journal import Journal, is_journal
        from versionsync.cli.logging.setup import capture_library_logs, make_log

        terminal = sys.stderr.isatty()
        log = make_log(
            level=self.log_level,
            as_json=self.options.as_json or not terminal,
            color=self.color and terminal,
            redactor=self.redactor,
            journal=Journal() if is_journal(self.environ) and not self.options.as_json else None,
        )
        capture_library_logs(log, level=self.log_level)
        return log

    @property
    def log_level(self) -> int:
        """Warnings; with -v what happens, with -vv or --debug everything."""
        if self.options.debug or self.options.verbose > 1:
            return logging.DEBUG
        return logging.INFO if self.options.verbose else logging.WARNING

    @cached_property
    def configuration(self) -> Configuration:
        """The settings; what is doubtful about them is told once. Raises a ConfigError."""
        configuration = self.load_settings()
        for doubt in () if self.keeps_doubts else configuration.warnings:
            self.log.warning("settings.warning", reason=doubt.message, hint=doubt.hint)
        return configuration

    def load_settings(self) -> Configuration:
        """The settings as they are now: for whoever runs so long that they change. Raises a ConfigError."""
        from versionsync.config import load

        configuration = load(config=self.options.config, database_url=self.options.database, environ=self.environ)
        for source in configuration.sources:
            if source.api_token is not None:
                self.redactor.learn(source.api_token.reveal())
        return configuration

    def sources(self, names: Sequence[str]) -> list[SourceSettings]:
        """The sources called `names`, each once; all of them if none is named. Raises UnknownSource."""
        return self.configuration.named(names)

    def api_token(self, source: SourceSettings) -> Secret:
        """The token of `source`, masked from now on in whatever is written. Raises SecretProblem."""
        token = self.configuration.api_token(source)
        self.redactor.learn(token.reveal())
        return token

    def webhook_login(self, source: SourceSettings, configuration: Configuration | None = None) -> BasicAuth | None:
        """What calls of the webhook of `source` must say, masked from now on; None: nothing is set.

        `configuration` is where to look: that of the session, if none is given. Raises SecretProblem.
        """
        from versionsync.webhooks.payload import BasicAuth

        password = (configuration or self.configuration).webhook_password(source)
        if password is None:
            return None
        self.redactor.learn(password.reveal())
        return BasicAuth(source.webhook_user, password)

    def database_url(self) -> str:
        """The URL of the database, its password masked from now on. Raises a ConfigError."""
        url = self.configuration.database_url().reveal()
        self.redactor.learn_url(url)
        return url

    def open_mirror(
        self, *, create: bool = False, upgrade: bool = False, outage_seconds: float | None = None
    ) -> Mirror:
        """The mirror. With `create` a SQLite file is made and upgraded where needed; with `upgrade` PostgreSQL too.

        A server that goes away later is waited for, `outage_seconds` long; None: as long as is usual.
        Raises a MirrorError.
        """
        from versionsync.mirror.database import MAX_OUTAGE_SECONDS, Mirror
        from versionsync.mirror.engine.urls import database_url
        from versionsync.mirror.schema import migrate

        url = self.database_url()
        if upgrade or (create and database_url(url).get_backend_name() == "sqlite"):
            migrate.upgrade(url)
        return Mirror.open(url, outage_seconds=MAX_OUTAGE_SECONDS if outage_seconds is None else outage_seconds)

    def known_sources(self, mirror: Mirror, names: Sequence[str]) -> list[SourceRow]:
        """The sources of the mirror called `names`, all of them if none is named. Raises UnknownSource."""
        from versionsync.config import UnknownSource
        from versionsync.config.checking import nearest
        from versionsync.mirror.tables.sources import sources_of

        with mirror.read() as connection:
            known = {source.name: source for source in sources_of(connection)}
        for name in names:
            if name not in known:
                meant = nearest(name, known)
                raise UnknownSource(
                    f"the database has no source called {name}",
                    hint=f"Did you mean {meant}?" if meant else f"It has: {', '.join(known) or 'none yet'}.",
                )
        return [known[name] for name in dict.fromkeys(names or known)]

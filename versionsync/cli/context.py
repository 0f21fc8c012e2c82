"""One invocation of the command line: its options, its settings, its output and its log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import Options
from versionsync.cli.terminal.output import Output
from versionsync.config import Configuration, Secret, SourceSettings, UnknownSource, load
from versionsync.redaction import Redactor

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from versionsync.api import Mirror as History
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.tables.sources import SourceRow, SourceState
    from versionsync.webhooks.payload import BasicAuth

__all__ = ["CliContext"]


class CliContext:
    """One invocation. It loads the settings and makes the log on first use.

    Attributes:
        verdict: The exit code that the command expects. It also counts if the reader of its output ends early.
        keeps_doubts: The command itself reports the warnings about the settings.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, options: Options | None = None) -> None:
        self.environ = os.environ if environ is None else environ
        self.options = options or Options()
        self.redactor = Redactor()
        self.verdict = ExitCode.OK
        self.keeps_doubts = False

    def also(self, options: Options) -> None:
        """Add more options. Call it before the settings, the output or the log are used."""
        self.options = self.options.joined(options)

    @property
    def color(self) -> bool:
        """Whether colours are allowed. A terminal may still have none."""
        return not self.options.no_color and not self.environ.get("NO_COLOR")

    @cached_property
    def output(self) -> Output:
        """Where results and notes go."""
        return Output(as_json=self.options.as_json, color=self.color, redactor=self.redactor)

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """The log, at the level of the options."""
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
        """Warnings; with -v also what happens; with -vv or --debug everything."""
        if self.options.debug or self.options.verbose > 1:
            return logging.DEBUG
        return logging.INFO if self.options.verbose else logging.WARNING

    @cached_property
    def configuration(self) -> Configuration:
        """The settings. Warnings about them are logged once. Raises a ConfigError."""
        configuration = self.load_settings()
        for doubt in () if self.keeps_doubts else configuration.warnings:
            self.log.warning("settings.warning", reason=doubt.message, hint=doubt.hint)
        return configuration

    def load_settings(self) -> Configuration:
        """Load the settings as they are now: they may change while the daemon runs. Raises a ConfigError."""
        configuration = load(config=self.options.config, database_url=self.options.database, environ=self.environ)
        for source in configuration.sources:
            if source.api_token is not None:
                self.redactor.learn(source.api_token.reveal())
        return configuration

    def sources(self, names: Sequence[str]) -> list[SourceSettings]:
        """Return the sources called `names`, each once, or all if there are none. Raises UnknownSource."""
        return self.configuration.named(names)

    def api_token(self, source: SourceSettings) -> Secret:
        """Return the token of `source`, which is masked in all output from now on. Raises SecretProblem."""
        from versionsync.wiring.clients import api_token

        return api_token(self.configuration, source, redactor=self.redactor)

    def restore_token(self, source: SourceSettings) -> Secret | None:
        """Return the token that may write to `source`, masked in all output from now on; None: none is set.

        Raises SecretProblem.
        """
        from versionsync.wiring.clients import restore_token

        return restore_token(self.configuration, source, redactor=self.redactor)

    def webhook_login(self, source: SourceSettings) -> BasicAuth | None:
        """Return the user and password for webhook calls of `source`, the password masked from now on; None: none set.

        Raises SecretProblem.
        """
        from versionsync.wiring.clients import webhook_login

        return webhook_login(self.configuration, source, redactor=self.redactor)

    def database_url(self) -> str:
        """Return the URL of the database, whose password is masked from now on. Raises a ConfigError."""
        url = self.configuration.database_url().reveal()
        self.redactor.learn_url(url)
        return url

    def reader_url(self) -> str | None:
        """Return the URL of the database for readers, its password masked from now on; None: none is set.

        Raises a ConfigError.
        """
        given = self.configuration.reader_url()
        if given is None:
            return None
        self.redactor.learn_url(given.reveal())
        return given.reveal()

    def open_mirror(
        self,
        *,
        create: bool = False,
        upgrade: bool = False,
        outage_seconds: float | None = None,
        reads_only: bool = False,
        threads: int | None = None,
    ) -> Mirror:
        """Open the mirror of the settings. See `wiring.mirror.open_mirror`."""
        from versionsync.wiring.mirror import open_mirror

        return open_mirror(
            self.database_url(),
            create=create,
            upgrade=upgrade,
            outage_seconds=outage_seconds,
            reads_only=reads_only,
            threads=threads,
        )

    def open_history(self, *, sources: Sequence[str] = (), zone: str | None = None) -> History:
        """Open the mirror of the settings, to ask it about the past. See `versionsync.api.open_mirror`."""
        from versionsync.api import Mirror as History

        return History(self.open_mirror(reads_only=True), sources=sources, zone=zone)

    def matching_sources(self, mirror: Mirror, names: Sequence[str]) -> list[SourceState]:
        """Return the sources of the database that `names` name, or fit as patterns, or all if there are none.

        Raises UnknownSource, also for a pattern that none fits.
        """
        from versionsync.status.ranking import is_pattern, matches

        exact = [name for name in names if not is_pattern(name)]
        if len(exact) == len(names):
            return self.all_sources(mirror, names)
        known = self.all_sources(mirror, ())
        for name in names:
            if is_pattern(name) and not any(matches(source.name, [name]) for source in known):
                raise UnknownSource(
                    f"the database has no source like {name}", hint="`versionsync status` without a name shows all."
                )
        named = {source.name for source in self.all_sources(mirror, exact)} if exact else set()
        return [source for source in known if source.name in named or matches(source.name, names)]

    def known_sources(self, mirror: Mirror, names: Sequence[str]) -> list[SourceRow]:
        """Return the mirrored sources called `names`, or all if there are none. Raises UnknownSource."""
        from versionsync.mirror.tables.sources import SourceRow

        found = self.all_sources(mirror, names)
        known = [source for source in found if isinstance(source, SourceRow)]
        if names and len(known) < len(found):
            name = next(source.name for source in found if source not in known)
            raise UnknownSource(
                f"nothing of the source {name} is mirrored yet", hint=f"See its last run: versionsync status {name}"
            )
        return known

    def all_sources(self, mirror: Mirror, names: Sequence[str]) -> list[SourceState]:
        """Do the same, but also return sources whose project no run has read yet. Raises UnknownSource."""
        from versionsync.mirror.tables.sources import all_sources
        from versionsync.text import nearest

        known = {source.name: source for source in mirror.query(all_sources)}
        for name in names:
            if name not in known:
                meant = nearest(name, known)
                raise UnknownSource(
                    f"the database has no source called {name}",
                    hint=f"Did you mean {meant}?" if meant else f"It has: {', '.join(known) or 'none yet'}.",
                )
        return [known[name] for name in dict.fromkeys(names or known)]

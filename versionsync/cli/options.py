"""Turn functions into commands: their help and examples come from the docstring, and all share some options."""

from __future__ import annotations

import functools
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from versionsync.cli.terminal.streams import discard_output

if TYPE_CHECKING:
    from versionsync.cli.context import CliContext

__all__ = ["CommandGroup", "Options", "add_command", "flag", "option", "shared_options", "sources_to"]

PANEL: Final = "Options of every command"
EXAMPLES: Final = "\nExamples:\n"
"""What divides a docstring: the help before it, examples as a shell would run them after it."""


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """Return an option without a value."""
    return typer.Option(*names, help=help, rich_help_panel=panel)


def option(name: str, metavar: str, help: str, *, panel: str | None = None, **checks: Any) -> Any:
    """Return an option with a value, which the help calls `metavar`. `checks` are those of `typer.Option`."""
    return typer.Option(name, metavar=metavar, help=help, rich_help_panel=panel, **checks)


def sources_to(verb: str) -> Any:
    """Return the argument for any number of sources."""
    return typer.Argument(metavar="SOURCE", help=f"Sources to {verb}. Default: all.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of every command, written before it or after it."""

    config: Annotated[
        Path | None,
        option(
            "--config",
            "FILE",
            "Settings file. Default: ./versionsync.toml, then /etc/versionsync/versionsync.toml.",
            panel=PANEL,
        ),
    ] = None
    database: Annotated[
        str | None,
        option(
            "--database",
            "URL",
            "Database, a file or a URL without a password. Default: the one of the settings.",
            panel=PANEL,
        ),
    ] = None
    as_json: Annotated[
        bool, flag("--json", help="Write JSON: one object, or one on each line of a stream.", panel=PANEL)
    ] = False
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            help="Log what happens; -vv logs everything.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = 0
    debug: Annotated[bool, flag("--debug", help="Log everything, and show the traceback of an error.", panel=PANEL)] = (
        False
    )
    no_color: Annotated[bool, flag("--no-color", help="Write without colours, as NO_COLOR=1 does.", panel=PANEL)] = (
        False
    )

    def joined(self, later: Options) -> Options:
        """Return both together. What follows the command wins; a flag is set if it is set in either."""
        either = {field.name: getattr(later, field.name) or getattr(self, field.name) for field in fields(self)}
        return Options(**either | {"verbose": self.verbose + later.verbose})


class _WithExamples:
    """A command, or a group, whose help ends with examples (its `epilog`) and has no types: `<bool>` says nothing."""

    def __init__(self, *args: Any, epilog: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = (epilog or "").strip()

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: None
            elif param.metavar is None:
                param.metavar = ""
        return params

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and the examples below it without a frame, so that you can copy them."""
        super().format_help(ctx, formatter)  # type: ignore[misc]
        if not self.examples:
            return
        output = _session(ctx).output
        output.plain_line(" Examples", style="bold")
        for line in self.examples.splitlines():
            output.plain_line(f"   {line}".rstrip(), style="dim" if line.startswith("#") else "")
        output.plain_line()


class Command(_WithExamples, TyperCommand):
    pass


class CommandGroup(_WithExamples, TyperGroup):
    pass


def _session(ctx: Any) -> CliContext:
    session: CliContext = ctx.find_root().obj
    return session


def shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return `function(session, …)` as Typer wants it: with a context, its own parameters, and the shared options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    types = get_type_hints(Options, include_extras=True)

    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        session = _session(ctx)
        session.also(Options(**{name: given.pop(name) for name in types}))
        try:
            function(session, **given)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader (`| head`) has enough
            discard_output()
            raise typer.Exit(session.verdict) from None

    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        *(
            inspect.Parameter(field.name, keyword, annotation=types[field.name], default=field.default)
            for field in fields(Options)
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def add_command(app: typer.Typer, function: Callable[..., None]) -> None:
    """Add `function` to `app` as a command. Its docstring is the help: a first line, paragraphs, `Examples:`."""
    help, _, examples = inspect.cleandoc(function.__doc__ or "").partition(EXAMPLES)
    paragraphs = [" ".join(paragraph.split()) for paragraph in help.split("\n\n")]
    app.command(
        function.__name__.replace("_", "-"),
        cls=Command,
        help="\n\n".join(paragraphs).strip(),
        epilog=textwrap.dedent(examples).strip(),
    )(shared_options(function))

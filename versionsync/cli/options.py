"""Turn functions into commands: their help and examples come from the docstring, and all share some options."""

from __future__ import annotations

import functools
import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from versionsync.cli.context import CliContext, Options
from versionsync.cli.terminal.streams import discard_output

__all__ = ["CommandGroup", "add_command", "flag", "shared_options"]

PANEL: Final = "Options of every command"
EXAMPLES: Final = "\nExamples:\n"
"""What divides a docstring: the help before it, examples as a shell would run them after it."""


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """Return an option without a value."""
    return typer.Option(*names, help=help, rich_help_panel=panel)


_SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "config": (
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="FILE",
                help="Settings file. Default: ./versionsync.toml, then /etc/versionsync/versionsync.toml.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "database": (
        Annotated[
            str | None,
            typer.Option(
                "--database",
                metavar="URL",
                help="Database, a file or a URL without a password. Default: the one of the settings.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "as_json": (
        Annotated[bool, flag("--json", help="Write JSON: one object, or one on each line of a stream.", panel=PANEL)],
        False,
    ),
    "verbose": (
        Annotated[
            int,
            typer.Option(
                "-v",
                "--verbose",
                count=True,
                help="Log what happens; -vv logs everything.",
                rich_help_panel=PANEL,
                show_default=False,
            ),
        ],
        0,
    ),
    "debug": (
        Annotated[bool, flag("--debug", help="Log everything, and show the traceback of an error.", panel=PANEL)],
        False,
    ),
    "no_color": (
        Annotated[bool, flag("--no-color", help="Write without colours, as NO_COLOR=1 does.", panel=PANEL)],
        False,
    ),
}


class Command(TyperCommand):
    """A command that shows examples in its help, and no types: `<bool>` beside a flag says nothing."""

    def __init__(self, *args: Any, epilog: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = (epilog or "").strip()

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _print_examples(ctx, self.examples)


class CommandGroup(TyperGroup):
    """The same for a group of commands."""

    def __init__(self, *args: Any, epilog: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = (epilog or "").strip()

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _print_examples(ctx, self.examples)


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
        elif param.metavar is None:
            param.metavar = ""
    return params


def _print_examples(ctx: Any, examples: str) -> None:
    """Write the examples without a frame, so that you can copy them."""
    if not examples:
        return
    session = ctx.find_root().obj
    assert isinstance(session, CliContext)
    session.output.plain_line(" Examples", style="bold")
    for line in examples.splitlines():
        session.output.plain_line(f"   {line}".rstrip(), style="dim" if line.startswith("#") else "")
    session.output.plain_line()


def shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return `function(session, …)` as Typer wants it: with a context, its own parameters, and the shared options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY

    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        session = ctx.find_root().obj
        assert isinstance(session, CliContext)
        session.also(Options(**{name: given.pop(name) for name in _SHARED}))
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
            inspect.Parameter(name, keyword, annotation=annotation, default=default)
            for name, (annotation, default) in _SHARED.items()
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def add_command(app: typer.Typer, function: Callable[..., None], *, name: str | None = None) -> None:
    """Add `function` to `app` as a command. Its docstring is the help: a first line, paragraphs, `Examples:`."""
    help, _, examples = inspect.cleandoc(function.__doc__ or "").partition(EXAMPLES)
    paragraphs = [" ".join(paragraph.split()) for paragraph in help.split("\n\n")]
    app.command(
        name or function.__name__,
        cls=Command,
        help="\n\n".join(paragraphs).strip(),
        epilog=textwrap.dedent(examples).strip(),
    )(shared_options(function))

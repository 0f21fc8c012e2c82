"""Makes a function a verb: the options that every verb has are added to its own, and it is given the session."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from versionsync.cli.context import CliContext, Options
from versionsync.cli.terminal.streams import discard_output

__all__ = ["CommandGroup", "add_command", "flag", "shared_options"]

PANEL: Final = "Options of every command"


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """An option without a value."""
    return typer.Option(*names, help=help, rich_help_panel=panel)


_SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "config": (
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="FILE",
                help="Settings file, instead of ./versionsync.toml or /etc/versionsync/versionsync.toml.",
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
                help="Database, instead of the settings' one: a file, or a URL without a password.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "as_json": (
        Annotated[bool, flag("--json", help="For programs: one JSON object, or one a line for streams.", panel=PANEL)],
        False,
    ),
    "verbose": (
        Annotated[
            int,
            typer.Option(
                "-v",
                "--verbose",
                count=True,
                help="Log what happens; twice: everything.",
                rich_help_panel=PANEL,
                show_default=False,
            ),
        ],
        0,
    ),
    "debug": (
        Annotated[bool, flag("--debug", help="Log everything; show where an error came from.", panel=PANEL)],
        False,
    ),
    "no_color": (
        Annotated[bool, flag("--no-color", help="No colours (also: NO_COLOR=1).", panel=PANEL)],
        False,
    ),
}


class Command(TyperCommand):
    """A command whose help says nothing of types: `<bool>` beside a flag tells nobody anything."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """The same for a group of them."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
        elif param.metavar is None:
            param.metavar = ""
    return params


def shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """`function(session, …)` as Typer wants it: with a context, its own parameters, and the shared options."""
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


def add_command(app: typer.Typer, function: Callable[..., None], *, name: str | None = None, epilog: str = "") -> None:
    """Add `function` to `app` as a verb; its docstring is the help, its first line the short one."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    app.command(name or function.__name__, cls=Command, help=help, epilog=epilog or None)(shared_options(function))

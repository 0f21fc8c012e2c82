"""The text of `docs/commands.md`, made from the commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import typer

from versionsync.cli.exit_codes import DESCRIPTIONS, ExitCode, most_severe
from versionsync.cli.main import PROGRAM, app
from versionsync.cli.options import PANEL

__all__ = ["commands_of", "commands_page"]


_INTRODUCTION: Final = """\
# Commands

`python -m docs.generate` writes this page; change the commands in `versionsync/cli/` instead.

Only results go to standard output. Progress, questions, warnings and the log go to standard error. With `--json` a
command writes one object, or one object a line for a stream. An error is an object on standard error:
`{"error": {"kind": …, "exit": …, "message": …, "hint": …}}`. In a pipe, tables are plain text.

You can use `-h` for `--help`. `versionsync --install-completion` completes commands and options in your shell.
"""

_EXIT_CODES: Final = """\
## Exit codes

If several sources ended differently, the first of this order decides: {order}.

| code | name | meaning |
| --- | --- | --- |
"""


def commands_page() -> str:
    """Return the text of `docs/commands.md`."""
    root: Any = typer.main.get_command(app)
    parts = [_INTRODUCTION, "## Options of every command\n", _table(root.params, shared=True)]
    for words, command in commands_of(root):
        parts.append(_section(words, command))
    codes = (f"| {code.value} | `{code.name.lower()}` | {DESCRIPTIONS[code]} |" for code in ExitCode)
    parts.append(_EXIT_CODES.format(order=_order()) + "\n".join(codes) + "\n")
    return "\n".join(parts)


def commands_of(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command below `group` with the words that call it. (Typer keeps its classes private, hence Any.)"""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, (*before, name))
        else:
            yield (*before, name), command


def _order() -> str:
    """Return the names of the exit codes, the one that wins over all others first."""
    return ", ".join(code.name.lower() for code in sorted(ExitCode, key=_rank) if code is not ExitCode.OK)


def _rank(code: ExitCode) -> int:
    return -sum(most_severe([code, other]) is code for other in ExitCode)


def _section(words: tuple[str, ...], command: Any) -> str:
    arguments = " ".join(_argument(param) for param in command.params if param.param_type_name == "argument")
    call = " ".join(filter(None, [PROGRAM, *words, "[OPTIONS]", arguments]))
    usage = [f"## {' '.join(words)}", "", "```", call, "```", "", command.help, ""]
    examples = ["", "Examples:", "", "```sh", command.examples, "```", ""]
    return "\n".join(usage) + "\n" + _table(command.params, shared=False) + "\n".join(examples)


def _argument(param: Any) -> str:
    name = param.metavar if param.required else f"[{param.metavar}]"
    return name if param.nargs == 1 else f"{name}..."


def _table(params: Sequence[Any], *, shared: bool) -> str:
    rows = [_row(param) for param in params if (getattr(param, "rich_help_panel", None) == PANEL) == shared]
    rows = [row for row in rows if row]
    if not rows:
        return ""
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows]) + "\n"


def _row(param: Any) -> str:
    if param.name in ("help", "version", "install_completion", "show_completion"):
        return ""
    if param.param_type_name == "argument":
        return f"| `{_argument(param)}` | {param.help} |"
    names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=len))
    value = f" `{param.metavar}`" if param.metavar else ""
    default = param.default
    has_default = default not in (None, False, 0, 0.0, "", (), []) and not callable(default)
    return f"| {names}{value} | {param.help}{f' Default: `{default}`.' if has_default else ''} |"

"""Writes `docs/commands.md` from what the commands say of themselves.

`python -m docs.generate.commands_page` writes it in a checkout; with `--check` it only says whether it is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from versionsync.cli.exit_codes import DESCRIPTIONS, ExitCode
from versionsync.cli.main import PROGRAM, app
from versionsync.cli.options import PANEL

__all__ = ["commands_page", "main"]

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "commands.md"

_INTRODUCTION: Final = """\
# Commands

This page is written by `python -m docs.generate.commands_page`; change the commands in `versionsync/cli/` instead.

Results go to standard output, and nothing else does: progress, questions, warnings and the log go to standard error.
With `--json` a command writes one object, or one on each line if there are many. An error is an object too:
`{"error": {"kind": …, "exit": …, "message": …, "hint": …}}` on standard error. Tables are plain text in a pipe.

`versionsync --install-completion` completes commands and options in your shell.
"""

_EXIT_CODES: Final = """\
## Exit codes

If several sources ended differently, the first of this order decides: interrupted, unexpected, usage,
upstream_refused, database, upstream_unavailable, locked, differences, partial.

| code | name | meaning |
| --- | --- | --- |
"""


def commands_page() -> str:
    """`docs/commands.md`."""
    root: Any = typer.main.get_command(app)
    parts = [_INTRODUCTION, "## Options of every command\n", _table(root.params, shared=True)]
    for words, command in _verbs(root, ()):
        parts.append(_section(words, command))
    codes = (f"| {code.value} | `{code.name.lower()}` | {DESCRIPTIONS[code]} |" for code in ExitCode)
    parts.append(_EXIT_CODES + "\n".join(codes) + "\n")
    return "\n".join(parts)


def main(argv: Sequence[str]) -> int:
    """Write the page, or with `--check` compare it; 1 if it is not current."""
    page = commands_page()
    is_current = _PAGE.exists() and _PAGE.read_text(encoding="utf-8") == page
    if "--check" in argv:
        if not is_current:
            sys.stderr.write(f"{_PAGE.name} is not current: python -m docs.generate.commands_page\n")
        return 0 if is_current else 1
    _PAGE.write_text(page, encoding="utf-8")
    return 0


def _verbs(group: Any, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with the words that call it. (Typer keeps the classes of commands private, hence Any.)"""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, (*before, name))
        else:
            yield (*before, name), command


def _section(words: tuple[str, ...], command: Any) -> str:
    arguments = " ".join(_argument(param) for param in command.params if param.param_type_name == "argument")
    call = " ".join(filter(None, [PROGRAM, *words, "[OPTIONS]", arguments]))
    lines = [f"## {' '.join(words)}", "", "```", call, "```", "", command.help, ""]
    return "\n".join(lines) + "\n" + _table(command.params, shared=False)


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
    told = default not in (None, False, 0, 0.0, "", (), []) and not callable(default)
    return f"| {names}{value} | {param.help}{f' Default: `{default}`.' if told else ''} |"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

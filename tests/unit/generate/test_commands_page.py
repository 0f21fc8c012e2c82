"""The reference of commands says what the commands say."""

from __future__ import annotations

import re
from typing import Any

import typer

from docs.generate.commands_page import commands_page, main
from versionsync.cli.exit_codes import DESCRIPTIONS, ExitCode, most_severe
from versionsync.cli.main import app


def test_the_written_page_is_current() -> None:
    assert main(["--check"]) == 0, "run: python -m docs.generate.commands_page"


def verbs(group: Any) -> list[Any]:
    found = []
    for command in group.commands.values():
        found += verbs(command) if hasattr(command, "commands") else [command]
    return found


def test_every_verb_and_every_option_is_documented() -> None:
    page = commands_page()
    for verb in verbs(typer.main.get_command(app)):
        assert f"## {verb.name}" in page or f" {verb.name}\n" in page
        assert verb.help
        for param in verb.params:
            assert param.name == "help" or param.help, (verb.name, param.name)
            assert param.name == "help" or all(f"`{name}`" in page for name in param.opts if name.startswith("-"))


def test_every_exit_code_is_documented() -> None:
    page = commands_page()
    for code, meaning in DESCRIPTIONS.items():
        assert f"| {code.value} | `{code.name.lower()}` | {meaning} |" in page


def test_the_documented_order_of_badness_is_the_real_one() -> None:
    told = re.search(r"decides: ([a-z_,\s]+)\.", commands_page())
    assert told
    names = [name.strip() for name in told.group(1).split(",")]
    assert set(names) == {code.name.lower() for code in ExitCode} - {"ok"}
    for better, worse in zip(names[1:], names, strict=False):
        pair = [ExitCode[better.upper()], ExitCode[worse.upper()]]
        assert most_severe(pair) is pair[1]


def test_every_verb_takes_the_shared_options_after_it() -> None:
    for verb in verbs(typer.main.get_command(app)):
        options = {name for param in verb.params for name in param.opts}
        assert options >= {"--json", "--config", "--database", "--debug", "--verbose", "--no-color"}, verb.name

"""The reference of commands says what the commands say."""

from __future__ import annotations

import re

import typer

from docs.generate.commands_page import commands_of, commands_page
from versionsync.cli.exit_codes import DESCRIPTIONS, ExitCode, most_severe
from versionsync.cli.main import app

COMMANDS = list(commands_of(typer.main.get_command(app)))


def test_every_command_and_every_option_is_documented() -> None:
    page = commands_page()
    for words, command in COMMANDS:
        assert f"## {' '.join(words)}\n" in page
        assert command.help
        assert command.examples in page
        for param in command.params:
            assert param.name == "help" or param.help, (words, param.name)
            assert param.name == "help" or all(f"`{name}`" in page for name in param.opts if name.startswith("-"))


def test_every_exit_code_is_documented() -> None:
    page = commands_page()
    for code, meaning in DESCRIPTIONS.items():
        assert f"| {code.value} | `{code.name.lower()}` | {meaning} |" in page


def test_the_documented_order_of_severity_is_the_real_one() -> None:
    documented = re.search(r"decides: ([a-z_,\s]+)\.", commands_page())
    assert documented
    names = [name.strip() for name in documented.group(1).split(",")]
    assert set(names) == {code.name.lower() for code in ExitCode} - {"ok"}
    for better, worse in zip(names[1:], names, strict=False):
        pair = [ExitCode[better.upper()], ExitCode[worse.upper()]]
        assert most_severe(pair) is pair[1]


def test_every_command_takes_the_shared_options_after_it() -> None:
    for words, command in COMMANDS:
        options = {name for param in command.params for name in param.opts}
        assert options >= {"--json", "--config", "--database", "--debug", "--verbose", "--no-color"}, words

"""What can be wrong with the settings; each says what, where, and what to do about it.

ConfigError
├── FileProblem          a settings file cannot be read, or is no TOML (line and column)
├── UnknownSetting       no setting has this name; the nearest one that exists
├── InvalidSetting       a setting has a value that it cannot have, or two that exclude each other are set
├── UnknownSource        a source was asked for that the settings do not have; the nearest one that exists
├── MissingExtra         a setting needs a part of versionsync that is not installed
└── SecretProblem        a token or a password is missing, a placeholder, or in a file that others can read
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "FileProblem",
    "InvalidSetting",
    "MissingExtra",
    "SecretProblem",
    "UnknownSetting",
    "UnknownSource",
]


class ConfigError(Exception):
    """The settings cannot be used. `hint` is what to do about it; neither it nor the message holds a secret."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class FileProblem(ConfigError):
    """A settings file cannot be read, or is not TOML."""


class UnknownSetting(ConfigError):
    """There is no setting of this name."""


class InvalidSetting(ConfigError):
    """A setting has a value that it cannot have."""


class UnknownSource(ConfigError):
    """The settings have no source of this name."""


class MissingExtra(ConfigError):
    """A setting needs a part of versionsync that is not installed."""


class SecretProblem(ConfigError):
    """A token or a password is missing, a placeholder, or in a file that others can read."""

"""What can be wrong with the settings. Each error says what is wrong and where, and has a hint.

ConfigError
├── FileProblem          a settings file cannot be read, or is no TOML (line and column)
├── UnknownSetting       no setting has this name; the nearest one that exists
├── InvalidSetting       a setting has an invalid value, or two settings exclude each other
├── UnknownSource        you named a source that the settings do not have; the nearest one that exists
├── MissingExtra         a setting needs a part of versionsync that is not installed
└── SecretProblem        a token or a password is missing, a placeholder, or in a file that others can read
"""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "ConfigError",
    "FileProblem",
    "InvalidSetting",
    "MissingExtra",
    "SecretProblem",
    "UnknownSetting",
    "UnknownSource",
]


class ConfigError(VersionsyncError):
    """The settings cannot be used. Neither the message nor the hint holds a secret."""

    kind = ErrorKind.CONFIGURATION


class FileProblem(ConfigError):
    """A settings file cannot be read, or is not TOML."""


class UnknownSetting(ConfigError):
    """There is no setting of this name."""


class InvalidSetting(ConfigError):
    """A setting has an invalid value."""


class UnknownSource(ConfigError):
    """The settings have no source of this name."""


class MissingExtra(ConfigError):
    """A setting needs a part of versionsync that is not installed."""


class SecretProblem(ConfigError):
    """A token or a password is missing, a placeholder, or in a file that others can read."""

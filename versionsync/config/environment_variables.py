"""Find misspelt environment variables.

A mirror in another database than you meant looks like a success. So a name that resembles a known variable is an error,
and any other name with the same prefix is logged once. Exempt are the names that the settings mention, those of tests,
and those in which Kubernetes gives each container the address of the service `versionsync`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from versionsync.config.checking import settings_of
from versionsync.config.definition import (
    DEFAULT_TOKEN_VARIABLE,
    HttpSettings,
    NotificationSettings,
    Settings,
    SourceSettings,
)
from versionsync.config.errors import UnknownSetting

__all__ = ["unknown_variables"]

PREFIX: Final = "VERSIONSYNC_"
CLOSE: Final = 0.7
"""How similar two names must be, from 0 to 1, without `VERSIONSYNC_` and underscores."""

_OURS: Final = re.compile(r"VERSION_?SYNC_+", re.IGNORECASE)
_OF_TESTS: Final = re.compile(r"VERSIONSYNC_(TEST|SOAK)_")
_SERVICE_LINK: Final = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_ADDRESS_OF_LINK: Final = re.compile(r"(tcp|udp|sctp)://")
_READ_ELSEWHERE: Final = frozenset({"VERSIONSYNC_SIMULATOR_CONTROL_TOKEN"})
"""An option of `versionsync simulator`, which reads no settings."""
_TOKENS: Final = frozenset({"TOKEN", "API_TOKEN", "API_KEY", "DATOCMS_API_TOKEN", "DATOCMS_TOKEN"})


def unknown_variables(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in `environ` that have the prefix, but are not known and resemble no known one.

    Raises UnknownSetting for a name that resembles a known one.
    """
    known = _known()
    exempt = {*known, *_named_by(settings), *_READ_ELSEWHERE}
    found = []
    for name in sorted(environ):
        if name in exempt or not environ[name].strip() or not _OURS.match(name) or _is_not_for_us(name, environ[name]):
            continue
        if meant := _meant_by(name, known):
            raise UnknownSetting(f"there is no variable {name}", hint=f"Did you mean {meant}? Rename it, or unset it.")
        found.append(name)
    return tuple(found)


def _known() -> set[str]:
    structs: tuple[type[Struct], ...] = (Settings, SourceSettings, HttpSettings, NotificationSettings)
    return {setting.env for struct in structs for setting in settings_of(struct) if setting.env}


def _named_by(settings: Settings) -> Iterator[str]:
    """Yield the variables in which the settings look for secrets."""
    for table in (*settings.sources, *settings.notifications):
        for name in table.__struct_fields__:
            if name.endswith("_env") and (variable := getattr(table, name)):
                yield variable


def _is_not_for_us(name: str, value: str) -> bool:
    rest = name.removeprefix("VERSIONSYNC")
    is_address = _ADDRESS_OF_LINK.match(value) and (rest.endswith("_PORT") or re.search(r"_PORT_\d+_\w+$", rest))
    return bool(is_address or _OF_TESTS.match(name) or re.search(rf"({_SERVICE_LINK.pattern})$", rest))


def _meant_by(name: str, known: set[str]) -> str | None:
    """Return the variable that was probably meant; None: none is similar."""
    said = name[len(_OURS.match(name)[0]) :].upper()  # type: ignore[index]
    if name.upper() in known or f"{PREFIX}{said}" in known:
        return f"{PREFIX}{said}"
    if said in _TOKENS:
        return DEFAULT_TOKEN_VARIABLE
    rests = {candidate.removeprefix(PREFIX): candidate for candidate in sorted(known)}
    if any(said.endswith(f"_{rest}") for rest in rests):
        return None  # VERSIONSYNC_SHOP_DATABASE_URL is not a typing error
    said = re.sub(r"^DB_?(?=[A-Z])|^DB$", "DATABASE_", said)
    said = re.sub(r"^(NOTIFY|NOTICE)(?=_)", "NOTIFICATION", said)
    nearest, likeness = None, 0.0
    for rest, candidate in rests.items():
        alike = difflib.SequenceMatcher(None, said.replace("_", ""), rest.replace("_", "")).ratio()
        if alike > likeness:
            nearest, likeness = candidate, alike
    if likeness >= CLOSE:
        return nearest
    ends = [candidate for candidate in known if candidate.endswith(f"_{said}")]
    return ends[0] if len(ends) == 1 else None

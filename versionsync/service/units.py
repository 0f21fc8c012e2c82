"""The systemd units, all made from one description, so that they cannot drift apart. Pure.

For the machine there are a daemon (`versionsync.service` with its socket) and a sync by timer
(`versionsync-sync.service` with its timer), each also as a template for several configurations; and the same for one
user, without what only root can ask for. `deploy/systemd` shows those of the machine:
`python -m versionsync.service.units` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from versionsync.service import sandbox, wording

__all__ = ["DEFAULT_ADDRESS", "DEFAULT_PROGRAM", "Form", "Unit", "units_of"]

DEFAULT_PROGRAM: Final = PurePosixPath("/opt/versionsync/bin/versionsync")
DEFAULT_ADDRESS: Final = "127.0.0.1:8765"
FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "systemd"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its name and what stands in it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Which units are meant: the user's or the machine's, a sync by timer or a daemon, one configuration or several.

    `instance` is the name of one of several configurations: their units are templates.
    """

    user: bool = False
    timer: bool = False
    instance: str | None = None

    @property
    def stem(self) -> str:
        """The name of the unit files, without their kind."""
        return f"versionsync{'-sync' if self.timer else ''}{'' if self.instance is None else '@'}"

    @property
    def service(self) -> str:
        """The service, as systemctl knows it."""
        return f"{self.stem}{self.instance or ''}.service"

    @property
    def starter(self) -> str | None:
        """What starts the service, its timer or its socket; None: an instance of the daemon listens by itself."""
        if self.timer:
            return f"{self.stem}{self.instance or ''}.timer"
        return None if self.instance is not None else f"{self.stem}.socket"

    @property
    def enabled(self) -> tuple[str, ...]:
        """The units that are enabled, in the order in which they are started."""
        starter = (self.starter,) if self.starter else ()
        return starter if self.timer else (*starter, self.service)

    @property
    def state(self) -> str:
        """The name of its state directory. One never lies in another: they have different owners."""
        return "versionsync" if self.instance is None else f"versionsync-{self.instance}"

    @property
    def settings(self) -> str:
        """The name of its settings file."""
        return f"{self.instance or 'versionsync'}.toml"

    @property
    def credential(self) -> str:
        """The file beside its settings with the token, unless the settings name another."""
        return "api_token" if self.instance is None else f"{self.instance}.token"

    @property
    def systemctl(self) -> str:
        """How systemctl is called for it."""
        return "systemctl --user" if self.user else "systemctl"


def units_of(form: Form, program: PurePosixPath = DEFAULT_PROGRAM, *, is_single_file: bool = False) -> tuple[Unit, ...]:
    """The unit files of `form`, the service first; `program` is the installed program's path.

    One that `is_single_file` unpacks itself, and is given a place for that.
    """
    form = form if form.instance is None else replace(form, instance="%i")
    service = Unit(f"{form.stem}.service", _service(form, program, is_single_file))
    if form.starter is None:
        return (service,)
    kind, text = ("timer", wording.TIMER) if form.timer else ("socket", wording.SOCKET)
    which = " (%i)" if form.instance else ""
    text = text.format(which=which, edit=_edit(form, f".{kind}"), address=DEFAULT_ADDRESS)
    return service, Unit(f"{form.stem}.{kind}", text)


def _service(form: Form, program: PurePosixPath, is_single_file: bool) -> str:
    start = f"{_quoted(str(program))} --config {'%E' if form.user else '/etc'}/versionsync/{form.settings}"
    runs = wording.SYNC if form.timer else wording.DAEMON
    socket = wording.WITH_SOCKET.format(socket=form.starter) if form.starter else ""
    does = runs.format(start=start, credential=_handed_over(form), socket=socket)
    parts = [_about(form), _unit(form), does, _identity(form)]
    if is_single_file:
        parts.append(wording.UNPACKS.format(state=form.state))
    parts.append(sandbox.OF_A_USER if form.user else sandbox.OF_THE_MACHINE)
    if not form.timer:
        also = f"Also={form.starter}\n" if form.starter else ""
        parts.append(f"[Install]\nWantedBy={'default' if form.user else 'multi-user'}.target\n{also}")
    return "\n".join(parts)


def _about(form: Form) -> str:
    named = form if form.instance is None else replace(form, instance="NAME")
    return wording.ABOUT.format(
        does="Mirrors, whenever its timer says so," if form.timer else "Follows DatoCMS projects and mirrors",
        several="" if form.instance is None else wording.SEVERAL,
        settings=f"{'%E' if form.user else '/etc'}/versionsync/{named.settings}",
        token=f"{'%E' if form.user else '/etc'}/versionsync/{named.credential}",
        credential=named.credential,
        read="" if form.user else wording.READ_BY_SYSTEMD,
        state=f"{'%S' if form.user else '/var/lib'}/{named.state}",
        edit=_edit(form),
    )


def _unit(form: Form) -> str:
    lines = ["[Unit]", f"Description=versionsync, mirrors the record versions of DatoCMS{_which(form)}"]
    if not form.user:
        socket = f" {form.starter}" if form.starter and not form.timer else ""
        lines += ["Wants=network-online.target", f"After=network-online.target postgresql.service{socket}"]
    return "\n".join(lines) + "\n" + ("" if form.timer else wording.START_LIMIT)


def _identity(form: Form) -> str:
    return wording.IDENTITY.format(user="" if form.user else wording.USER.format(state=form.state), state=form.state)


def _handed_over(form: Form) -> str:
    return "" if form.user else f"LoadCredential={form.credential}:/etc/versionsync/{form.credential}\n"


def _which(form: Form) -> str:
    of = [*(["%i"] if form.instance else []), *(["by timer"] if form.timer else [])]
    return f" ({', '.join(of)})" if of else ""


def _edit(form: Form, kind: str = "") -> str:
    return f"{form.systemctl} edit {form.stem}{'NAME' if form.instance else ''}{kind}"


def _quoted(path: str) -> str:
    """A path as the program of an `ExecStart=`."""
    path = path.replace("%", "%%")
    if not any(char in path for char in " \"'\\"):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main(argv: Sequence[str]) -> int:
    """Write `deploy/systemd`; with --check only say whether it is current."""
    forms = [Form(timer=timer, instance=instance) for timer in (False, True) for instance in (None, "%i")]
    wanted = {unit.name: unit.text for form in forms for unit in units_of(form)}
    there = {file.name: file.read_text() for file in FOLDER.glob("versionsync*")}
    if "--check" in argv:
        if old := sorted(name for name in wanted | there if wanted.get(name) != there.get(name)):
            sys.stderr.write(f"deploy/systemd is not current: {', '.join(old)}\n")
        return int(bool(old))
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
